/* SPDX-License-Identifier: Apache-2.0 */
/* immix.c - Immix: mark-region collection that moves objects out of fragmented blocks when that makes room.
 *   Spaces  immix (objects of up to 16 KiB), large, nonmoving, immortal
 *   Grants  space/immix_grant.h
 *   From    Blackburn and McKinley, PLDI 2008                                                     docs/plans.md#immix */
#include "plans/heap/state.h"
#include "plans/plan.h"
#include "plans/space/immix_defrag.h"
#include "plans/space/immix_grant.h"

const struct plan plan_immix = {
    .name = "immix",
    .constraints = { .trace = PLAN_TRACE_EVACUATE,
                     .moves = true,
                     .restarts = true,
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
