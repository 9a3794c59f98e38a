/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/* Tally: how many packets of each kind a worker ran in a job, and how long they took.
 *   Owner    embedded in the job's record of a worker      Threads  that worker; anyone once the job is done
 *   Units    ns                                            Cost     two clock reads a packet: 2 x 21 ns            */
#include <stddef.h>
#include <stdint.h>

#include "plans/work/engine.h"

#define TALLY_KINDS 64u /* kinds in one job; a power of two */

struct tally {
    struct tally_row {
        const struct packet_kind *kind; /* NULL: free */
        uint64_t count, total_ns, min_ns, max_ns;
    } rows[TALLY_KINDS]; /* open addressing by the kind's address */
};

void tally_add(struct tally *t, const struct packet_kind *kind, uint64_t ns);
void tally_merge(struct tally *t, const struct tally *from);
/* Rows in order of stage, then name; writes at most @capacity of them, returns how many it wrote. */
size_t tally_list(const struct tally *t, struct packet_counters *ret, size_t capacity);
