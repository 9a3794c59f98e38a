/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/* Cycle: one collection that marks and sweeps while clients run, and stops them once for a moment; twice, if it must.
 *   Calls    heap_clear, a stop (initial mark), heap_mark as often as there is something logged, heap_end_mark or a stop (final
 *            mark), heap_sweep and heap_take_swept by turns, heap_end_cycle. heap.h says who may call what when; what is not a stop runs beside the heap's caller
 *   Marks    what the roots reached at the first stop: the snapshot at the beginning (Yuasa 1990). What is granted after it counts as alive
 *   Barrier  until all is marked clients log what stood in a field before its first change: shm/write_barrier.h
 *   Owner    the heap                                                            docs/architecture.md#concurrent-collections */
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "plans/heap.h"
#include "plans/heap/log.h"
#include "plans/space/space.h"

struct cycle_found {                         /* by one worker of the sweep: cycle_promote.c */
    uint64_t objects, kind_bytes[BLOCK_KINDS];
};

struct cycle {
    _Atomic enum heap_cycle state;           /* stored by the heap's caller, or with the world stopped; packets read it */
    uint32_t *seeds;                         /* the roots at the first stop, granules */
    size_t seed_capacity;
    _Atomic size_t seed_count;
    bool seeded;                             /* they have been marked */
    struct logged *rows;                     /* what heap_mark() or the last stop looks at next */
    size_t row_count, row_capacity;
    bool took_all;                           /* those are all that was logged when heap_mark() had last come back */
    bool closed;                             /* it then found nothing that was not marked (Y6) */
    size_t taken;                            /* of the log, rows that were copied to those: cycle_log.h */
    bool met_weak;                           /* at the first stop there were references, or rows, that are not strong: no end beside clients */
    bool promotes;                           /* the second stop has taken what was granted since the first for alive, and old */
    uint32_t swept_end, part_end;            /* blocks below the first have been swept and taken back, below the second swept */
    struct sweep_tally swept;                /* between the two */
    int64_t freed_bytes;                     /* below the first */
    uint64_t kind_bytes[BLOCK_KINDS];        /* marked, if the heap counts them by kind of block */
    struct heap_collection sum;              /* what was done so far */
};

/* The two stops. Errors: -ENOMEM; then nothing has changed. */
int cycle_initial_stw(struct heap *h, struct engine *engine, const struct heap_stop *stop, struct heap_collection *ret);
int cycle_final_stw(struct heap *h, struct engine *engine, const struct heap_stop *stop, struct heap_collection *ret);
/* The world is still stopped: it is SWEEPING. Then all of it at once, to its end: 0, -ENOMEM. */
void cycle_begin_sweep(struct heap *h);
int cycle_sweep_stw(struct heap *h, struct engine *engine, struct heap_collection *ret);
/* cycle_promote.c: before that, for each block in use, then once: what clients were granted since the first stop is old. @list: room for as
 * many as G has, which is the heap's from then on. When it is swept: the block's own part of that. */
struct irregular;
void cycle_promote_block(struct heap *h, uint32_t block);
void cycle_promote_stw(struct heap *h, const struct heap_stop *stop, struct irregular *list);
void cycle_promote_swept(struct heap *h, uint32_t block, struct cycle_found *found);
/* cycle_rows.c: in a packet, of the cycle's rows from @from on, before @end. */
struct tracer;
void cycle_mark_rows(struct tracer *r, uint64_t from, uint64_t end);
void cycle_fini(struct cycle *cycle, struct store *store);
