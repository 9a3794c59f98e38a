/* SPDX-License-Identifier: Apache-2.0 */
/* concurrentimmix.c - Concurrent immix: marks and sweeps while clients run; what moves objects stops them.
 *   Spaces  immix, large, nonmoving, immortal
 *   Most    a cycle (cycle.h): a stop for a moment, at its beginning; survivors stay where they are
 *   Whole   a collection that somebody asked for, and an emergency, is immix's: clients are stopped throughout
 *   From    MMTk's ConcurrentImmix; Yuasa, JSS 1990                                          docs/plans.md#concurrentimmix */
#include "plans/heap/state.h"
#include "plans/plan.h"
#include "plans/space/immix_defrag.h"
#include "plans/space/immix_grant.h"

const struct plan plan_concurrentimmix = {
    .name = "concurrentimmix",
    .constraints = { .trace = PLAN_TRACE_EVACUATE,
                     .moves = true,
                     .concurrent = true,
                     .restarts = true,
                     .barrier = SHM_BARRIER_FIELDS,
                     .small_max_bytes = MM_SMALL_MAX_BYTES },
    .spaces = { &immix_space, &large_space, &nonmoving_space, &immortal_space },
    .grant = immix_grant,
    .copies_to = { [BLOCK_IMMIX] = BLOCK_IMMIX },
    .reserve_bytes = immix_defrag_headroom_bytes,
    .begin_stw = immix_defrag_begin_stw,
    .measure_block = immix_defrag_measure_block,
    .choose_stw = immix_defrag_choose_stw,
    .end_stw = immix_defrag_judge_stw,
};
