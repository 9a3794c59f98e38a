/* SPDX-License-Identifier: Apache-2.0 */
/* nursery_space.c - Nursery: where new objects are under plans that copy what survives its first collection.
 *   N1  every collection, a young one too, begins by flagging its blocks BLOCK_EVACUATE: what lives leaves for the old space
 *   N2  a block that holds a pinned object loses its flag before anything is copied; what lives in it, and what found no room
 *       elsewhere, stays, and the block belongs to the old space from then on: nothing old is in the nursery
 *   N3  so after a collection its blocks are those that threads have spans in, and no line of them is marked
 *   N4  what line_blocks.c says of lines, holes and object bits, between collections
 *   Checked by check_block_stw().  docs/plans.md#genimmix */
#include "plans/heap/state.h"
#include "plans/space/line_blocks.h"
#include "plans/space/space.h"

static enum block_kind old_kind(const struct heap *h)
{
    return (enum block_kind)h->plan->copies_to[BLOCK_NURSERY];
}

static void prepare_block(struct heap *h, uint32_t block)
{
    line_blocks_prepare_block(h, block);
    at_or_relaxed(&h->meta.flags[block], BLOCK_EVACUATE); /* N1 */
}

static bool has_marked_line(const struct heap *h, uint32_t block)
{
    const _Atomic uint8_t *lines = h->meta.lines + (size_t)block * MM_BLOCK_LINES;

    for (uint32_t i = 0; i < MM_BLOCK_LINES; i++)
        if (at_load_relaxed(&lines[i]) != 0)
            return true;
    return false;
}

/* N2: its holes are the old space's, too. */
static void promote(struct heap *h, uint32_t block, struct sweep_tally *tally)
{
    uint8_t holes = at_load_relaxed(&h->meta.free_lines[block]);

    at_store_relaxed(&h->meta.kinds[block], (uint8_t)old_kind(h));
    tally->free_lines[BLOCK_NURSERY] -= holes;
    tally->free_lines[old_kind(h)] += holes;
    tally->promoted_blocks++;
}

static void sweep_block(struct heap *h, uint32_t block, struct sweep_tally *tally)
{
    line_blocks_sweep_block(h, block, tally);
    if (blocks_kind(&h->blocks, block) == BLOCK_NURSERY && has_marked_line(h, block))
        promote(h, block, tally);
}

static void after_sweep_stw(struct heap *h, const struct sweep_tally *total)
{
    line_blocks_after_sweep_stw(h, BLOCK_NURSERY, total);
    blocks_swept(&h->blocks, BLOCK_NURSERY, old_kind(h), total->promoted_blocks);
}

static enum heap_fault check_block_stw(const struct heap *h, uint32_t block)
{
    return has_marked_line(h, block) ? HEAP_FAULT_BLOCK : line_blocks_check_block_stw(h, block);
}

static uint64_t used_bytes(const struct heap *h)
{
    return line_blocks_used_bytes(h, BLOCK_NURSERY);
}

const struct space nursery_space = {
    .name = "nursery",
    .kind = BLOCK_NURSERY,
    .prepare_block = prepare_block,
    .sweep_block = sweep_block,
    .after_sweep_stw = after_sweep_stw,
    .check_block_stw = check_block_stw,
    .used_bytes = used_bytes,
};
