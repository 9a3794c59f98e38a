/* SPDX-License-Identifier: Apache-2.0 */
/* stickyimmix.c - Sticky immix: immix whose mark bits stick: most collections look only at what was granted since the last one.
 *   Spaces  immix (old and young side by side, line by line), large, nonmoving, immortal
 *   Young   survivors stay where they are: their lines are marked, the others are granted again
 *   Whole   immix, which moves objects out of fragmented blocks
 *   From    Demers et al., POPL 1990 (sticky mark bits); Blackburn and McKinley, PLDI 2008, section 3.3   docs/plans.md#stickyimmix */
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

const struct plan plan_stickyimmix = {
    .name = "stickyimmix",
    .constraints = { .trace = PLAN_TRACE_EVACUATE,
                     .moves = true,
                     .generational = true,
                     .restarts = true,
                     .barrier = SHM_BARRIER_LINES,
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
