/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/* Gray: what a trace still has to look at while none of its packets runs: so a pause may come in the middle of it (refcount_trace.c).
 *   Items    granules. Of one whose object has been dropped meanwhile nothing follows: who dropped it has left what it referred to here
 *   Slices   parts of arrays that are marked already
 *   Interrupted  packets that see it leave here what they have, and end
 *   Owner    the heap     Threads  add: any worker; the rest: the heap's caller while no packet of the trace runs; interrupted: any     */
#include <pthread.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "shm/base.h"

struct gray_slice {
    uint32_t granule, at, end;
};
struct gray {
    pthread_mutex_t lock;                    /* leaf: guards the four below */
    uint32_t *items;
    size_t count, capacity;
    struct gray_slice *slices;
    size_t slice_count, slice_capacity;
    bool rescan;                             /* some references of marked objects are nowhere: they are to be looked at once more */
    _Atomic uint32_t interrupted;
    _Atomic uint32_t lost;                   /* something could not be added that is nowhere else: the trace is worth nothing */
};

void gray_init(struct gray *g);
void gray_fini(struct gray *g);
void gray_clear(struct gray *g);
static inline bool gray_is_empty(const struct gray *g)
{
    return g->count == 0 && g->slice_count == 0 && !g->rescan;
}
static inline bool gray_interrupted(const struct gray *g)
{
    return at_load_relaxed(&g->interrupted) != 0;
}
/* False: no memory. */
bool gray_add(struct gray *g, const uint32_t *items, size_t count);
bool gray_add_slice(struct gray *g, struct gray_slice slice);
