/* SPDX-License-Identifier: Apache-2.0 */
/* nonmoving_space.c - Non-moving space: objects that keep their address for life, whatever the plan; freed when unreachable.
 *   M1  what line_blocks.c says of lines, holes and object bits
 *   M2  its blocks are never flagged BLOCK_EVACUATE and never slid: no trace moves what is in them
 *   Checked by line_blocks_check_block_stw() and by check below.  docs/plans.md#common-spaces */
#include "plans/heap/state.h"
#include "plans/space/line_blocks.h"
#include "plans/space/space.h"

static void after_sweep_stw(struct heap *h, const struct sweep_tally *total)
{
    line_blocks_after_sweep_stw(h, BLOCK_NONMOVING, total);
}

static uint64_t used_bytes(const struct heap *h)
{
    return line_blocks_used_bytes(h, BLOCK_NONMOVING);
}

const struct space nonmoving_space = {
    .name = "nonmoving",
    .kind = BLOCK_NONMOVING,
    .prepare_block = line_blocks_prepare_block,
    .sweep_block = line_blocks_sweep_block,
    .after_sweep_stw = after_sweep_stw,
    .check_block_stw = line_blocks_check_block_stw,
    .used_bytes = used_bytes,
};
