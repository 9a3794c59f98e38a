/* SPDX-License-Identifier: Apache-2.0 */
/* copy_space.c - Copy space: every collection copies what lives into fresh blocks and frees the old ones. Block-structured, so that
 * from-space is a set of blocks, not an address range, and a block may stay behind.
 *   C1  a collection begins by flagging all its blocks BLOCK_EVACUATE; blocks taken for copies are not flagged
 *   C2  a block that holds a pinned object loses its flag before anything is copied: all of it stays in place, as in Bartlett's
 *       mostly-copying collection (DEC WRL 88/2), and its free lines are granted like any hole
 *   C3  a flagged block is free after the sweep, unless objects found no room to be copied to, or its mutator bumps in it
 *   C4  what line_blocks.c says of lines, holes and object bits, between collections
 *   Checked by line_blocks_check_block_stw().  docs/plans.md#semispace */
#include "plans/heap/state.h"
#include "plans/space/line_blocks.h"
#include "plans/space/space.h"

static void prepare_block(struct heap *h, uint32_t block)
{
    line_blocks_prepare_block(h, block);
    at_or_relaxed(&h->meta.flags[block], BLOCK_EVACUATE); /* C1 */
}

static void after_sweep_stw(struct heap *h, const struct sweep_tally *total)
{
    line_blocks_after_sweep_stw(h, BLOCK_COPY, total);
}

static uint64_t used_bytes(const struct heap *h)
{
    return line_blocks_used_bytes(h, BLOCK_COPY);
}

const struct space copy_space = {
    .name = "copy",
    .kind = BLOCK_COPY,
    .prepare_block = prepare_block,
    .sweep_block = line_blocks_sweep_block,
    .after_sweep_stw = after_sweep_stw,
    .check_block_stw = line_blocks_check_block_stw,
    .used_bytes = used_bytes,
};
