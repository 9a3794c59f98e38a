/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/* Moves: what a collection writes down of each object that it moves, if somebody wants to know.
 *   Owner    heap_collect_stw()'s caller, who gives room for the rows when it is known how many there may be
 *   Threads  begin: one, between two stages; all else: many workers at once
 *   M1  a row is written once, for an object whose move is decided; between the call of begin and the collection's end
 *   M2  rows beyond the room are counted, not written: then, or without room, it is incomplete. Honest arenas have no such rows: only
 *       headers that somebody forged meanwhile can seem to be of more moved objects than were counted                         */
#include <stdint.h>

#include "plans/heap.h"

struct heap;

/* At most @most rows will come. */
void moves_begin(struct heap_moves *moves, uint64_t most);
void moves_add(struct heap_moves *moves, const struct shm_move *rows, uint32_t count);
/* Of @block, which is flagged BLOCK_EVACUATE and not swept yet: all that has left it, as the headers there say (trace/evacuate.c E2). */
void moves_note_evacuated(struct heap_moves *moves, const struct heap *h, uint32_t block);
