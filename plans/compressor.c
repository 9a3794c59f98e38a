/* SPDX-License-Identifier: Apache-2.0 */
/* compressor.c - Compressor: every collection slides what lives to the low end of its own 2 MiB, all of them at once:
 * none needs what another has left.
 *   Spaces  slide (objects of up to 16 KiB), large, nonmoving, immortal
 *   Grants  holes, then whole blocks; nothing is reserved for copies
 *   Crash   a daemon that dies while objects slide loses the heap (soundness S19)
 *   From    Kermany and Petrank, PLDI 2006, as MMTk has it: with the world stopped, and within regions
 *           docs/plans.md#compressor */
#include "plans/plan.h"
#include "plans/room.h"
#include "plans/space/slide/slide.h"
#include "plans/space/slide/slide_space.h"

static const struct slide_policy policy = { .group_blocks = MM_COMMIT_BLOCKS };

const struct plan plan_compressor = {
    .name = "compressor",
    .constraints = { .trace = PLAN_TRACE_SLIDE, .moves = true, .small_max_bytes = MM_SMALL_MAX_BYTES },
    .spaces = { &slide_space, &large_space, &nonmoving_space, &immortal_space },
    .grant = slide_space_grant,
    .slide = &policy,
    .end_stw = room_judge_stw,
};
