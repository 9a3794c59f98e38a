/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/* Patience: the first stop of a cycle that nobody needs yet (daemon/cycle.h) holds up those who have come for moments only. If a thread does
 * not come to its safepoint in that time the others go on, and it is tried again a little later: who is slow delays the
 * collection, not the other threads.
 *   Ends     when somebody waits for memory, has asked for a collection or to look inside; and after stop_deadline of trying: then
 *            the stop is one like any other, with its deadline and what follows from it
 *   Owner    the shared heap      Threads  loop                           docs/architecture.md#stopping */
#include <stdbool.h>
#include <stdint.h>
#include <uv.h>

#include "daemon/collector.h"

struct patience {
    uint64_t next_ns;                         /* how long the next try may take */
    uint64_t again_ns;                        /* not before; 0: at once */
    uint64_t since_ns;                        /* the first try of this cycle was given up; 0: none was */
    uv_timer_t *timer;
};

int patience_start(struct shared_heap *h);    /* 0, -ENOMEM */
void patience_end(struct shared_heap *h);
void patience_begin_cycle(struct shared_heap *h);
/* For a stop that is posted now: how long it may take; 0: as any other. */
uint64_t patience_of(const struct shared_heap *h, enum collector_work work);
bool patience_waits(const struct shared_heap *h);            /* the first stop of a cycle is next, but not yet */
void patience_put_off(struct shared_heap *h); /* it took too long */
