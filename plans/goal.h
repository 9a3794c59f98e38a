/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/* Goal: how large a nursery may be so that its pauses are as long as they should be at most. Arithmetic only.
 *   Model    pause = fixed + slope * nursery: what it costs to look at anything at all (roots, blocks in use), and what survives of
 *            a nursery. How much survives changes from one pause to the next; what is fixed, hardly. So it is learned slowly, by least
 *            squares over the last pauses, whenever nurseries differed enough to tell, and is never more than the shortest of them
 *            without what is known to have been its nursery's; all the rest of a pause is its nursery's
 *   Spared   no nursery makes the fixed part smaller. It may take an eighth of the time: below that a smaller nursery costs the
 *            program more than the goal is worth
 *   Owner    the heap      Threads  whoever collects it                                                   */
#include <stdint.h>

struct goal {                                /* zero at first */
    double weight, n, d, nn, nd;             /* sums of nursery bytes and pauses, fading */
    double least_ns, fixed_ns;               /* of a pause, without what was known to be its nursery's; what is taken for fixed */
    uint64_t ended_ns;                       /* when the last pause was over; 0: there was none */
};

struct goal_pause {
    uint64_t nursery_bytes, pause_ns, goal_ns;
    uint64_t looking_ns;                     /* of pause_ns, what is known to be the nursery's; 0: nothing is */
    uint64_t begun_ns;                       /* on the clock of mm_now_ns() */
};

/* What the next nursery should have: at most half as much more or less than this one, since one slow pause says little. */
uint64_t goal_nursery_bytes(struct goal *goal, const struct goal_pause *pause);
