/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/* Gray: what packets that were interrupted have left to be done, so that a pause may come in the middle of it. There are two: what a
 * trace is still to look at (refcount_trace.c), and what has been dropped and is still to be looked at (refcount_beside.c).
 *   Items    granules. Of a trace's, nothing follows when its object has been dropped meanwhile: who did it has left what it referred to
 *   Slices   parts of arrays
 *   Interrupted  packets that see it leave here what they have, and end
 *   Owner    the heap     Threads  add: any worker; the rest: the heap's caller while no packet of the trace runs; interrupted: any     */
#include <pthread.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "shm/base.h"

struct store;

struct gray_slice {
    uint32_t granule, at, end;
};
struct gray {
    struct store *store;                     /* [const] where rows come from */
    pthread_mutex_t lock;                    /* guards the four below; only the store's is inside */
    uint32_t *items;
    size_t count, capacity;
    struct gray_slice *slices;
    size_t slice_count, slice_capacity;
    bool rescan;                             /* something is in neither of them: a rescan is to find it */
    _Atomic uint32_t interrupted;
    _Atomic uint32_t lost;                   /* something could not be added that is nowhere else: the trace is worth nothing */
};

struct gray_taken {                          /* what a run begins with */
    uint32_t *items;
    size_t count, capacity;
    struct gray_slice *slices;
    size_t slice_count, slice_capacity;
};

void gray_init(struct gray *g, struct store *store);
void gray_fini(struct gray *g);
void gray_taken_fini(struct gray_taken *t, struct store *store);
void gray_clear(struct gray *g);
static inline bool gray_is_empty(const struct gray *g)
{
    return g->count == 0 && g->slice_count == 0 && !g->rescan;
}
static inline bool gray_interrupted(const struct gray *g)
{
    return at_load_relaxed(&g->interrupted) != 0;
}
/* What is there is @t's, and what was @t's is there. */
void gray_swap(struct gray *g, struct gray_taken *t);
/* False: no memory. */
bool gray_add(struct gray *g, const uint32_t *items, size_t count);
bool gray_add_slice(struct gray *g, struct gray_slice slice);
