/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/* Room: what of the free blocks may be granted: not what the next collection needs for its copies, and the last parts only to who
 * needs them most. What needs room in one piece must not fail on a heap that is merely full of gaps. */
#include "plans/heap/state.h"

/* Parts of the heap's limit that are kept from LINES, from BLOCKS, and from all but page runs. */
enum { ROOM_KEPT_FROM_LINES = 8, ROOM_KEPT_FROM_BLOCKS = 16, ROOM_KEPT_FOR_LARGE = 32 };

uint64_t room_share(const struct heap *h, unsigned part);
/* Bytes of blocks, free or still to be committed, beyond the plan's reserve. */
uint64_t room_free(const struct heap *h);
/* The same above the part that is kept; all of it once a collection found next to nothing (h->full). */
uint64_t room_above(const struct heap *h, unsigned part);
/* After a sweep: is the heap so full that nothing is kept from anybody? Sets h->full. */
void room_judge_stw(struct heap *h);
