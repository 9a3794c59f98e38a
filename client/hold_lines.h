/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/* Hold lines: what threads with a hold open look at in place of the write barrier's bytes, so that every store is looked at.
 *   Owner    the heap, until it is closed                                    Threads  any                        */
struct mmgc_heap;

/* Sees to heap->held_lines: MMGC_OK, or the system has no room. */
int hold_lines_map(struct mmgc_heap *heap);
