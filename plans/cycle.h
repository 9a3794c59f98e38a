/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/* Cycle: one collection that marks and sweeps while clients run, and stops them twice for moments.
 *   Calls    heap_clear, a stop (initial mark), heap_mark as often as there is something logged, a stop (final mark), heap_sweep
 *            and heap_take_swept by turns, heap_end_cycle. heap.h says who may call what when; what is not a stop runs beside the heap's caller
 *   Marks    what the roots reached at the first stop: the snapshot at the beginning (Yuasa 1990). What is granted after it counts as alive
 *   Barrier  between the stops clients log what stood in a field before its first change: shm/write_barrier.h
 *   Owner    the heap                                                            docs/architecture.md#concurrent-collections */
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "plans/heap.h"
#include "plans/heap/log.h"
#include "plans/space/space.h"

struct cycle {
    _Atomic enum heap_cycle state;           /* stored by the heap's caller, or with the world stopped; packets read it */
    uint32_t *seeds;                         /* the roots at the first stop, granules */
    size_t seed_capacity;
    _Atomic size_t seed_count;
    bool seeded;                             /* they have been marked */
    struct logged *rows;                     /* what heap_mark() or the last stop looks at next */
    size_t row_count, row_capacity;
    uint32_t swept_end, part_end;            /* blocks below the first have been swept and taken back, below the second swept */
    struct sweep_tally swept;                /* between the two */
    int64_t freed_bytes;                     /* below the first */
    uint64_t kind_bytes[BLOCK_KINDS];        /* marked, if the heap counts them by kind of block */
    struct heap_collection sum;              /* what was done so far */
};

/* The two stops. Errors: -ENOMEM; then nothing has changed. */
int cycle_initial_stw(struct heap *h, struct engine *engine, const struct heap_stop *stop, struct heap_collection *ret);
int cycle_final_stw(struct heap *h, struct engine *engine, const struct heap_stop *stop, struct heap_collection *ret);
void cycle_fini(struct cycle *cycle);
