/* SPDX-License-Identifier: Apache-2.0 */
/* immix.c - Immix: mark-region collection that marks in place; free lines of 256 bytes are granted again.
 *   Spaces  immix (objects of up to 16 KiB), large
 *   Grants  LINES   holes in address order, then whole blocks      BLOCKS  whole blocks, then holes that are long enough
 *   Room    the last eighth of the heap's blocks is kept from LINES, the last sixteenth from BLOCKS while there are long holes, the
 *           last thirty-second for page runs: what needs room in one piece must not fail on a heap that is merely full of
 *           gaps. When a collection finds next to nothing, the last blocks are for whoever comes
 *   From    Blackburn and McKinley, PLDI 2008; opportunistic evacuation is not in yet */
#include "plans/heap/state.h"
#include "plans/plan.h"
#include "plans/space/immix_space.h"
#include "plans/space/large_space.h"
#include "plans/space/spaces.h"

/* The parts of the heap's blocks that are kept from LINES, from BLOCKS, and from BLOCKS when there is no long hole either. */
enum { KEPT_FROM_LINES = 8, KEPT_FROM_BLOCKS = 16, KEPT_FOR_LARGE = 32 };

static uint64_t share(const struct heap *h, unsigned part)
{
    return (uint64_t)h->blocks.units_limit * MM_COMMIT_BYTES / part;
}

/* What may be taken of blocks that are free or still to be committed. */
static uint64_t bytes_above(const struct heap *h, unsigned part)
{
    uint64_t bytes = heap_free_bytes(h) + heap_uncommitted_bytes(h), kept = h->full ? 0 : share(h, part);

    return bytes > kept ? bytes - kept : 0;
}

static size_t grant_lines(struct heap *h, struct heap_mutator *m, uint64_t bytes, struct shm_grant *ret, size_t capacity)
{
    size_t count = immix_space_grant_holes(h, m, bytes, ret, capacity);
    uint64_t granted = 0;

    for (size_t i = 0; i < count; i++)
        granted += (uint64_t)ret[i].granules * MM_GRANULE_BYTES;
    if (granted >= bytes)
        return count;
    bytes = MM_MIN(bytes - granted, bytes_above(h, KEPT_FROM_LINES));
    return count + immix_space_grant_blocks(h, m, SHM_GRANT_LINES, bytes, ret + count, capacity - count);
}

static size_t grant_long_holes(struct heap *h, struct heap_mutator *m, const struct grant_request *request,
                               struct shm_grant *ret, size_t capacity)
{
    uint64_t granted = 0;
    size_t count = 0;

    while (granted < request->bytes && count < capacity &&
           immix_space_grant_one_hole(h, m, request->min_bytes, &ret[count]) != 0)
        granted += (uint64_t)ret[count++].granules * MM_GRANULE_BYTES;
    return count;
}

static size_t grant_overflow(struct heap *h, struct heap_mutator *m, const struct grant_request *request,
                             struct shm_grant *ret, size_t capacity)
{
    uint64_t bytes = MM_MIN(request->bytes, bytes_above(h, KEPT_FROM_BLOCKS));
    size_t count = immix_space_grant_blocks(h, m, SHM_GRANT_BLOCKS, bytes, ret, capacity);

    if (count == 0)
        count = grant_long_holes(h, m, request, ret, capacity);
    if (count == 0) {
        bytes = MM_MIN(request->min_bytes, bytes_above(h, KEPT_FOR_LARGE));
        count = immix_space_grant_blocks(h, m, SHM_GRANT_BLOCKS, bytes, ret, capacity);
    }
    return count;
}

static size_t immix_grant(struct heap *h, struct heap_mutator *m, const struct grant_request *request,
                          struct shm_grant *ret, size_t capacity)
{
    switch (request->class) {
    case SHM_GRANT_LINES: return grant_lines(h, m, request->bytes, ret, capacity);
    case SHM_GRANT_LARGE: return large_space_grant(h, m, request->bytes, ret);
    default: return grant_overflow(h, m, request, ret, capacity);
    }
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
    h->full = false;
    h->full = heap_hole_bytes(h) + bytes_above(h, KEPT_FROM_LINES) < share(h, KEPT_FROM_BLOCKS);
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
