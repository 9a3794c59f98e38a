/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/* Complete: what a shell may offer next: `mmgcctl complete WORD...`, for the scripts in completions/, which know nothing themselves.
 *   Daemon   heap names are asked of it, if it answers within half a second; else there are none, silently */
#include <stddef.h>

/* @words: what stands behind "mmgcctl", up to the one that is being written, which may be empty. A candidate a line, a tab and what it is;
 * a line of "@files" stands for names of files. */
void complete_print(size_t count, char *const *words);
