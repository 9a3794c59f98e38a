/* SPDX-License-Identifier: Apache-2.0 */
/* gencopy.c - GenCopy: a copying nursery before a copy space.
 *   Spaces  nursery (new objects of up to 16 KiB), copy (what survived a collection), large, nonmoving, immortal
 *   Grants  whole blocks of the nursery, as genimmix
 *   Room    as much as the copy space has is kept for its copies, and an eighth of the nursery for its survivors
 *   From    Lieberman and Hewitt, CACM 1983; Appel, SPE 1989; MMTk's GenCopy                                docs/plans.md#gencopy */
#include "plans/generational.h"
#include "plans/heap/state.h"
#include "plans/plan.h"
#include "plans/room.h"
#include "plans/space/nursery_grant.h"

static uint64_t reserve_bytes(const struct heap *h)
{
    return (uint64_t)h->blocks.counts[BLOCK_COPY] * MM_BLOCK_BYTES + nursery_reserve_bytes(h);
}

static void end_stw(struct heap *h)
{
    room_judge_stw(h);
    generational_judge_stw(h, room_free(h) / 2);
}

const struct plan plan_gencopy = {
    .name = "gencopy",
    .constraints = { .trace = PLAN_TRACE_EVACUATE,
                     .moves = true,
                     .generational = true,
                     .restarts = true,
                     .barrier = SHM_BARRIER_LINES,
                     .small_max_bytes = MM_SMALL_MAX_BYTES },
    .spaces = { &nursery_space, &copy_space, &large_space, &nonmoving_space, &immortal_space },
    .grant = nursery_grant,
    .copies_to = { [BLOCK_NURSERY] = BLOCK_COPY, [BLOCK_COPY] = BLOCK_COPY },
    .reserve_bytes = reserve_bytes,
    .end_stw = end_stw,
};
