/* SPDX-License-Identifier: Apache-2.0 */
/* concurrentstickyimmix.c - Concurrent sticky immix: what is young is collected in short stops, what is old beside the clients.
 *   Spaces  immix (old and young side by side, line by line), large, nonmoving, immortal
 *   Young   stickyimmix's: survivors stay where they are and are old from then on
 *   Old     concurrentimmix's cycle, when young collections no longer leave the room that one takes. In its first stop nothing is
 *           collected: what is young then is of the snapshot. What is granted after it is young when it ends (cycle_log.h)
 *   Rest    where nearly all that is young survives: then concurrentimmix, cycle after cycle (generational.h)
 *   Whole   immix, in a stop: for who asks for one, in an emergency, when the log is incomplete that a cycle needs, and if one cannot begin
 *   From    MMTk's wish for such a plan (mmtk-core issue 1461)                        docs/plans.md#concurrentstickyimmix */
#include "plans/generational.h"
#include "plans/heap/state.h"
#include "plans/plan.h"
#include "plans/room.h"
#include "plans/space/immix_defrag.h"
#include "plans/space/immix_grant.h"

static void end_stw(struct heap *h)
{
    immix_defrag_judge_stw(h);
    generational_judge_stw(h, room_free(h) + h->holes[BLOCK_IMMIX].lines * MM_LINE_BYTES);
}

const struct plan plan_concurrentstickyimmix = {
    .name = "concurrentstickyimmix",
    .constraints = { .trace = PLAN_TRACE_EVACUATE,
                     .moves = true,
                     .concurrent = true,
                     .generational = true,
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
    .end_stw = end_stw,
};
