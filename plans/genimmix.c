/* SPDX-License-Identifier: Apache-2.0 */
/* genimmix.c - GenImmix: a copying nursery before an immix space.
 *   Spaces  nursery (new objects of up to 16 KiB), immix (what survived a collection), large, nonmoving, immortal
 *   Grants  whole blocks of the nursery, the lowest first: those that the last collection has just left, still in the cache
 *   Room    an eighth of what the nursery has is kept for its survivors, and immix's headroom. Survivors go to holes of the immix
 *           space first; what finds no room stays, and its block is promoted as it is
 *   From    Blackburn and McKinley, PLDI 2008, section 3.3; MMTk's GenImmix                                docs/plans.md#genimmix */
#include "plans/generational.h"
#include "plans/heap/state.h"
#include "plans/plan.h"
#include "plans/room.h"
#include "plans/space/immix_defrag.h"
#include "plans/space/nursery_grant.h"

static uint64_t reserve_bytes(const struct heap *h)
{
    return immix_defrag_headroom_bytes(h) + nursery_reserve_bytes(h);
}

static void begin_stw(struct heap *h, const struct heap_stop *stop)
{
    immix_defrag_begin_stw(h, stop);
    h->evacuates = true; /* the nursery at least */
}

static void end_stw(struct heap *h)
{
    immix_defrag_judge_stw(h);
    generational_judge_stw(h, room_free(h));
}

const struct plan plan_genimmix = {
    .name = "genimmix",
    .constraints = { .trace = PLAN_TRACE_EVACUATE,
                     .moves = true,
                     .generational = true,
                     .restarts = true,
                     .barrier = SHM_BARRIER_LINES,
                     .small_max_bytes = MM_SMALL_MAX_BYTES },
    .spaces = { &nursery_space, &immix_space, &large_space, &nonmoving_space, &immortal_space },
    .grant = nursery_grant,
    .copies_to = { [BLOCK_NURSERY] = BLOCK_IMMIX, [BLOCK_IMMIX] = BLOCK_IMMIX },
    .reserve_bytes = reserve_bytes,
    .begin_stw = begin_stw,
    .measure_block = immix_defrag_measure_block,
    .choose_stw = immix_defrag_choose_stw,
    .end_stw = end_stw,
};
