/* SPDX-License-Identifier: Apache-2.0 */
/* immix.c - Immix: mark-region collection that marks in place; free lines of 256 bytes are granted again.
 *   Spaces  immix (objects of up to 16 KiB), large
 *   Grants  LINES   holes in address order, then whole blocks      BLOCKS  whole blocks, then one hole that is long enough
 *   From    Blackburn and McKinley, PLDI 2008; opportunistic evacuation is not in yet */
#include "plans/heap/state.h"
#include "plans/plan.h"
#include "plans/space/immix_space.h"
#include "plans/space/large_space.h"
#include "plans/space/spaces.h"

static size_t grant_lines(struct heap *h, struct heap_mutator *m, uint64_t bytes,
                          struct shm_grant *ret, size_t capacity)
{
    size_t count = immix_space_grant_holes(h, m, bytes, ret, capacity);
    uint64_t granted = 0;

    for (size_t i = 0; i < count; i++)
        granted += (uint64_t)ret[i].granules * MM_GRANULE_BYTES;
    if (granted >= bytes)
        return count;
    return count + immix_space_grant_blocks(h, m, SHM_GRANT_LINES, bytes - granted, ret + count,
                                            capacity - count);
}

static size_t immix_grant(struct heap *h, struct heap_mutator *m,
                          const struct grant_request *request, struct shm_grant *ret, size_t capacity)
{
    switch (request->class) {
    case SHM_GRANT_LINES: return grant_lines(h, m, request->bytes, ret, capacity);
    case SHM_GRANT_LARGE: return large_space_grant(h, m, request->bytes, ret);
    default: break;
    }
    size_t count = immix_space_grant_blocks(h, m, SHM_GRANT_BLOCKS, request->bytes, ret, capacity);
    return count != 0 ? count : immix_space_grant_one_hole(h, m, request->min_bytes, ret);
}

static void prepare_block(struct heap *h, uint32_t block)
{
    if (blocks_kind(&h->blocks, block) == BLOCK_IMMIX)
        immix_space_prepare_block(h, block);
    else
        large_space_prepare_block(h, block);
}

static void sweep_block(struct heap *h, uint32_t block, struct sweep_tally *tally)
{
    if (blocks_kind(&h->blocks, block) == BLOCK_IMMIX)
        immix_space_sweep_block(h, block, tally);
    else
        large_space_sweep_block(h, block, tally);
}

static void after_sweep_stw(struct heap *h, const struct sweep_tally *total)
{
    immix_space_after_sweep_stw(h, total);
    large_space_after_sweep_stw(h, total);
}

const struct plan plan_immix = {
    .name = "immix",
    .constraints = { .collects = true, .small_max_bytes = MM_SMALL_MAX_BYTES },
    .grant = immix_grant,
    .prepare_block = prepare_block,
    .sweep_block = sweep_block,
    .after_sweep_stw = after_sweep_stw,
    .check_block_stw = spaces_check_block_stw,
    .spaces = spaces_describe,
};
