/* SPDX-License-Identifier: Apache-2.0 */
/* lxr.c - LXR: counts references, without a trace most of the time.
 *   Spaces  immix, large, nonmoving, immortal
 *   Most    a pause for what is young and for the fields that clients logged; what died of the old is dropped beside them (refcount.h)
 *   Moves   what survives its first pause, out of blocks that had nothing old, into gaps between old objects
 *   Cycles  a trace beside clients, when counts no longer find enough (refcount_trace.c)
 *   Whole   a collection that somebody asked for, and an emergency, is immix's
 *   From    Zhao, Blackburn and McKinley, PLDI 2022; MMTk's branch of that name                                docs/plans.md#lxr */
#include "plans/heap/state.h"
#include "plans/plan.h"
#include "plans/room.h"
#include "plans/space/immix_defrag.h"
#include "plans/space/immix_grant.h"

static void begin_stw(struct heap *h, const struct heap_stop *stop)
{
    immix_defrag_begin_stw(h, stop);
    h->evacuates = h->evacuates || h->young; /* the trace that rewrites references is the one that counts them */
    h->count.moves_young = h->young && room_free(h) > 0;
}

const struct plan plan_lxr = {
    .name = "lxr",
    .constraints = { .trace = PLAN_TRACE_EVACUATE,
                     .moves = true,
                     .concurrent = true,
                     .generational = true,
                     .counts = true,
                     .restarts = true,
                     .barrier = SHM_BARRIER_FIELDS,
                     .small_max_bytes = MM_SMALL_MAX_BYTES },
    .spaces = { &immix_space, &large_space, &nonmoving_space, &immortal_space },
    .grant = immix_grant,
    .copies_to = { [BLOCK_IMMIX] = BLOCK_IMMIX },
    .reserve_bytes = immix_defrag_headroom_bytes,
    .begin_stw = begin_stw,
    .measure_block = immix_defrag_measure_block,
    .choose_stw = immix_defrag_choose_stw,
    .end_stw = immix_defrag_judge_stw,
};
