/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/* Drain: what the write barrier of one thread has logged, from its ring to the heap (docs/heap-layout.md#log-ring).
 *   Owner    the thread's struct mutator     Threads  [lock: heap], loop or collector; the client may run meanwhile
 *   Hostile  pushed, tentative, lost and the entries: each read once; what there is room for follows from our own counts  */
#include <stdbool.h>
#include <stdint.h>

#include "plans/heap.h"
#include "shm/mutator.h"

struct drain {                                /* zeroed for a new ring */
    uint32_t drained, lost;                   /* our own counts; the ring shows the first */
    bool over;                                /* nothing more is taken from it */
};

/* Hands over what counts by now. Who says more than a ring can hold, or that some found no room, has lost an unknown number. */
void drain_locked(struct drain *d, struct shm_mutator MM_NODEREF *words, struct heap *heap);
/* Of one that only reads: nothing but what it has found by weak references counts, and it can lose nothing. */
void drain_keeps_locked(struct drain *d, struct shm_mutator MM_NODEREF *words, struct heap *heap);
/* The same, for one that runs, by who must know of all its stores so far: also the entry that it may be about to confirm. It comes
 * again when it is confirmed, and counts for nothing if it never is: not for plans that count. */
void drain_running_locked(struct drain *d, struct shm_mutator MM_NODEREF *words, struct heap *heap);
/* The same, for a thread that is gone: also the entry that it may have died over, if its bit in @bits (NULL: the plan logs no
 * fields) says so. @granules: of the arena. Once: later calls, of either kind, do nothing. */
void drain_last_locked(struct drain *d, struct shm_mutator MM_NODEREF *words, struct heap *heap, const _Atomic uint64_t *bits,
                       uint64_t granules);
