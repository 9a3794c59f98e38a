/* SPDX-License-Identifier: Apache-2.0 */
/* immix_defrag.c - Immix defragmentation: opportunistic evacuation.
 *   D1  ranks are measured on what the last collection left, before its marks are cleared; lines granted since count as used
 *   D2  blocks are chosen from the highest rank down while their used lines fit into the free blocks: the estimate is from above,
 *       so nearly all that lives in them finds room; what does not stays where it is
 *   D3  a rank is the number of holes, as in Immix: many short holes make allocation slow; where whole blocks are what is
 *       missing (an emergency, or somebody asked for all that can be had) it is the number of free lines: the emptiest first
 *   Headroom  free blocks that no grant touches, so that there is something to copy into when the heap is full
 *   From  Blackburn and McKinley, PLDI 2008, section 3.2 (candidates by a histogram of holes)      docs/plans.md#immix */
#include "plans/space/immix_defrag.h"

#include "plans/heap/state.h"
#include "plans/room.h"

static_assert(MM_BLOCK_LINES < 256 && PLAN_SPILL_RANKS <= UINT16_MAX, "a rank fits the word of a block's charge");

uint64_t immix_defrag_headroom_bytes(const struct heap *h)
{
    unsigned percent = h->options.immix_defrag_headroom_percent;
    uint64_t bytes = room_share(h, 100) * (percent == 0 ? IMMIX_HEADROOM_DEFAULT : percent);

    return mm_align_up(bytes, MM_BLOCK_BYTES);
}

void immix_defrag_begin_stw(struct heap *h, const struct heap_stop *stop)
{
    h->by_used_lines = stop->emergency || stop->full_heap;
    h->defrags = !h->young && (h->by_used_lines || h->fragmented || h->options.immix_always_defrag ||
                               h->options.immix_defrag_every_block);
    h->evacuates = h->defrags;
}

/* The charge is of no use before the trace: until then it holds the rank. */
void immix_defrag_measure_block(struct heap *h, uint32_t block, struct plan_spill *spill)
{
    uint32_t used, holes = line_blocks_count_holes(h, block, &used);
    uint32_t rank = h->by_used_lines ? MM_BLOCK_LINES - used : holes;

    if (blocks_kind(&h->blocks, block) != BLOCK_IMMIX)
        return;
    at_store_relaxed(&h->meta.charged[block], (uint16_t)rank);
    spill->lines[rank] += used;
}

static uint32_t highest_rank(const struct plan_spill *spill)
{
    uint32_t rank = PLAN_SPILL_RANKS;

    while (rank > 1 && spill->lines[rank - 1] == 0)
        rank--;
    return rank - 1;
}

void immix_defrag_choose_stw(struct heap *h, const struct plan_spill *total)
{
    uint64_t room = heap_free_bytes(h) / MM_LINE_BYTES, nursery = (uint64_t)h->blocks.counts[BLOCK_NURSERY] * MM_BLOCK_LINES;
    uint32_t rank = PLAN_SPILL_RANKS;

    room -= MM_MIN(room, nursery); /* whose survivors come first */
    room -= room / 16; /* the ends of blocks, where the next object did not fit */
    while (rank > 1 && total->lines[rank - 1] <= room)
        room -= total->lines[--rank];
    if (rank > highest_rank(total)) /* not even the first fits whole: as many of it as find room */
        rank = MM_MAX(highest_rank(total), 1u);
    h->defrag_rank = h->options.immix_defrag_every_block ? 0 : rank;
}

bool immix_defrag_chosen(const struct heap *h, uint32_t block)
{
    return h->defrags && at_load_relaxed(&h->meta.charged[block]) >= h->defrag_rank;
}

void immix_defrag_judge_stw(struct heap *h)
{
    room_judge_stw(h);
    h->fragmented = room_free(h) <= room_share(h, ROOM_KEPT_FROM_LINES) &&
                    h->holes[BLOCK_IMMIX].lines * MM_LINE_BYTES > room_share(h, ROOM_KEPT_FROM_BLOCKS);
}
