/* SPDX-License-Identifier: Apache-2.0 */
/* immix_space.c - Immix space: mark-region: objects bump into free lines, and are moved when that makes room.
 *   I1  what line_blocks.c says of lines, holes and object bits
 *   I2  outside a collection no block is flagged BLOCK_EVACUATE; inside one, only blocks that were chosen before the roots
 *   Checked by line_blocks_check_block_stw().  From: Blackburn and McKinley, PLDI 2008.  docs/plans.md#immix */
#include "plans/heap/state.h"
#include "plans/space/immix_defrag.h"
#include "plans/space/line_blocks.h"
#include "plans/space/space.h"

static void prepare_block(struct heap *h, uint32_t block)
{
    bool chosen = immix_defrag_chosen(h, block); /* before its rank is cleared */

    line_blocks_prepare_block(h, block);
    if (chosen)
        at_or_relaxed(&h->meta.flags[block], BLOCK_EVACUATE);
}

static void after_sweep_stw(struct heap *h, const struct sweep_tally *total)
{
    line_blocks_after_sweep_stw(h, BLOCK_IMMIX, total);
}

static uint64_t used_bytes(const struct heap *h)
{
    return line_blocks_used_bytes(h, BLOCK_IMMIX);
}

const struct space immix_space = {
    .name = "immix",
    .kind = BLOCK_IMMIX,
    .prepare_block = prepare_block,
    .sweep_block = line_blocks_sweep_block,
    .after_sweep_stw = after_sweep_stw,
    .check_block_stw = line_blocks_check_block_stw,
    .used_bytes = used_bytes,
};
