/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/* Immix grants: what a thread gets of the immix space.
 *   LINES   holes in address order, then whole blocks          BLOCKS  whole blocks, then holes that are long enough,
 *           the longest first
 *   Room    the last eighth of the heap's blocks is kept from LINES, the last sixteenth from BLOCKS while there are long holes, the
 *           last thirty-second for page runs (room.h)                                                          */
#include "plans/plan.h"

/* As plan.grant. */
size_t immix_grant(struct heap *h, struct heap_mutator *m, const struct grant_request *request, struct shm_grant *ret,
                   size_t capacity);
