/* SPDX-License-Identifier: Apache-2.0 */
/* markcompact.c - MarkCompact: every collection slides what lives to the low end of the heap, in address order.
 *   Spaces  slide (objects of up to 16 KiB), large, nonmoving, immortal
 *   Grants  holes, then whole blocks; nothing is reserved for copies
 *   Groups  of a megabyte: large enough that the half-filled block at the end of each is little, small enough
 *           that in a heap where nearly everything lives, and each group waits for the one below, the first can
 *           go ahead
 *   Crash   a daemon that dies while objects slide loses the heap (soundness S19)
 *   From    Kermany and Petrank's offset vector in place of Lisp 2's forwarding words; parallel by groups,
 *           after Flood et al. (JVM 2001)   docs/plans.md#markcompact */
#include "plans/plan.h"
#include "plans/room.h"
#include "plans/space/slide/slide.h"
#include "plans/space/slide/slide_space.h"

static const struct slide_policy policy = { .group_blocks = 32, .whole_heap = true };

const struct plan plan_markcompact = {
    .name = "markcompact",
    .constraints = { .trace = PLAN_TRACE_SLIDE, .moves = true, .small_max_bytes = MM_SMALL_MAX_BYTES },
    .spaces = { &slide_space, &large_space, &nonmoving_space, &immortal_space },
    .grant = slide_space_grant,
    .slide = &policy,
    .end_stw = room_judge_stw,
};
