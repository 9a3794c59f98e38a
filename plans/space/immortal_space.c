/* SPDX-License-Identifier: Apache-2.0 */
/* immortal_space.c - Immortal space: objects that are never freed and never move; they, and all that they refer to, live as long as
 * the heap.
 *   T1  every object in it is a root: the trace begins with all that stand in its blocks (schedule.c), so that an immortal
 *       object never refers to something freed. MMTk keeps only the memory of unreached ones; their references would dangle
 *   T2  hence after a collection each of its objects is marked, and only lines that no object was made in are free
 *   T3  what line_blocks.c says of lines, holes and object bits
 *   Checked by line_blocks_check_block_stw().  docs/plans.md#common-spaces */
#include "plans/heap/state.h"
#include "plans/space/line_blocks.h"
#include "plans/space/space.h"

static void after_sweep_stw(struct heap *h, const struct sweep_tally *total)
{
    line_blocks_after_sweep_stw(h, BLOCK_IMMORTAL, total);
}

static uint64_t used_bytes(const struct heap *h)
{
    return line_blocks_used_bytes(h, BLOCK_IMMORTAL);
}

const struct space immortal_space = {
    .name = "immortal",
    .kind = BLOCK_IMMORTAL,
    .prepare_block = line_blocks_prepare_block,
    .sweep_block = line_blocks_sweep_block,
    .after_sweep_stw = after_sweep_stw,
    .check_block_stw = line_blocks_check_block_stw,
    .used_bytes = used_bytes,
};
