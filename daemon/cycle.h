/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/* Cycle: a collection that goes on while clients run, as the daemon drives it: which task comes next, and when one begins.
 *   Tasks    clear, stop (initial mark), mark as often as there is something logged that was not marked, sweep: each is the collector
 *            thread's from post to done; between them the loop is the heap's one caller (plans/heap.h, heap_cycle()). There is a
 *            stop before the sweep (final mark) only where marking cannot end without one
 *            Under a plan that counts references most collections are a stop, then count, then sweep; some are a cycle before that
 *   Threads  loop                                                      docs/architecture.md#concurrent-collections */
#include <stdbool.h>
#include <stdint.h>

#include "daemon/collector.h"

struct pace {                                 /* of cycles of one heap */
    bool marked;                              /* the cycle under way has marked what it could: its final mark is next, in a stop */
    unsigned rounds;                          /* of marking, in it */
    uint64_t declined;                        /* the number of the collection that could not begin as one, for want of memory: it stops the clients */
    uint64_t beside_ns;                       /* worked beside the clients, in it */
    uint64_t began_granted;                   /* control's granted_bytes when it was due */
    uint64_t needed_bytes;                    /* about what clients are granted from there to its end; 0: not known yet */
};

/* The next task of a cycle, or of one that is to begin because a collection is promised. False: none. */
bool cycle_next_work(struct shared_heap *h, enum collector_work *ret_work);
/* The collector is busy: if that is with something that may wait, and a stop is wanted, it comes to an end soon. */
void cycle_hurry(struct shared_heap *h);
/* Less is left to be granted than a cycle takes: it should begin now. */
bool cycle_is_due_locked(struct shared_heap *h);
/* A task of a cycle, not a stop, is done. */
void cycle_task_done(struct shared_heap *h, const struct collector_task *task);
/* Its first stop was given up: nothing of it is left. */
void cycle_cancel(struct shared_heap *h);
