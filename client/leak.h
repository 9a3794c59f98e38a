/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/* Leak: what a heap's session still has in its table. */
#include "client/heap.h"

/* On stderr, a line a row, if there are any. */
void leak_report(struct mmgc_heap *heap);
/* Whether the environment asks for that (MMGC_LEAKS). */
bool leak_wanted(void);
