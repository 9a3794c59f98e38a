/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/* Say: a failure ends the program, with a line on stderr. */
#include <mmgc/mmgc.h>

void must(const char *what, int code);                       /* MMGC_OK, or it failed */
void *made(struct mmgc_thread *t, void *object);             /* NULL: it failed */
int must_system(const char *what, int result);               /* -1: it failed, and errno says why */
