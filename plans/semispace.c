/* SPDX-License-Identifier: Apache-2.0 */
/* semispace.c - SemiSpace: every collection copies what lives together and frees the rest whole.
 *   Spaces  copy (objects of up to 16 KiB), large, nonmoving, immortal
 *   Grants  holes that pinned blocks left, then whole blocks, while as much stays free as is in use: room for the copies
 *   From    Cheney, CACM 1970, with blocks in place of halves: what is pinned stays, and costs its block, not the plan
 *           docs/plans.md#semispace */
#include "plans/heap/state.h"
#include "plans/plan.h"
#include "plans/room.h"

static uint64_t semispace_reserve_bytes(const struct heap *h)
{
    return (uint64_t)h->blocks.counts[BLOCK_COPY] * MM_BLOCK_BYTES;
}

/* A block granted is a block more to be reserved. */
static uint64_t room_for_blocks(const struct heap *h)
{
    uint64_t room = room_above(h, ROOM_KEPT_FOR_LARGE);

    return room / 2 < MM_BLOCK_BYTES ? 0 : room / 2;
}

static size_t semispace_grant(struct heap *h, struct heap_mutator *m, const struct grant_request *request,
                              struct shm_grant *ret, size_t capacity)
{
    size_t count = request->min_bytes > MM_LINE_BYTES
                       ? line_blocks_grant_one_hole(h, m, BLOCK_COPY, request->class, request->min_bytes, ret)
                       : line_blocks_grant_holes(h, m, BLOCK_COPY, request->class, request->bytes, ret, capacity);

    return count > 0 ? count
                     : line_blocks_grant_free(h, m, BLOCK_COPY, request->class,
                                              MM_MIN(request->bytes, room_for_blocks(h)), ret, capacity);
}

const struct plan plan_semispace = {
    .name = "semispace",
    .constraints = { .trace = PLAN_TRACE_EVACUATE,
                     .moves = true,
                     .restarts = true,
                     .small_max_bytes = MM_SMALL_MAX_BYTES },
    .spaces = { &copy_space, &large_space, &nonmoving_space, &immortal_space },
    .grant = semispace_grant,
    .copies_to = { [BLOCK_COPY] = BLOCK_COPY },
    .reserve_bytes = semispace_reserve_bytes,
    .end_stw = room_judge_stw,
};
