/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/* State: the body of struct heap, for the files below plans/. Nobody outside includes it. */
#include <stdbool.h>
#include <stdint.h>

#include "plans/heap.h"
#include "plans/heap/blocks.h"
#include "plans/heap/grants.h"
#include "plans/heap/layout.h"
#include "plans/heap/types.h"
#include "plans/plan.h"
#include "shm/foreign.h"

struct heap {
    const struct plan *plan;                 /* [const] */
    foreign arena;                           /* [const] */
    uint64_t granules;                       /* [const] of the arena */
    bool check;                              /* [const] check the spaces after each collection */
    struct metadata meta;                    /* [const] pointers */
    struct types types;
    struct blocks blocks;
    struct grants grants;
    uint32_t recycle_cursor;                 /* blocks below have no more holes to grant; 0 after each collection */
    uint32_t long_hole_cursor;               /* blocks from recycle_cursor up to it have no hole of ... */
    uint32_t long_hole_lines;                /* ... this many lines */
    uint64_t hole_lines;                     /* that may be granted, in IMMIX blocks */
    bool full;                               /* the last collection found next to nothing: plans/immix.c */
    uint32_t large_cursor;                   /* block where the next search for free pages starts */
    uint64_t large_free_pages;               /* in LARGE blocks */
    uint64_t live_objects, live_bytes;       /* found by the last collection */
    struct packet spare;                     /* the marking stack when there is no packet to be had: trace.c */
};

static inline unsigned heap_vo_index(const struct heap *h)
{
    return at_load_relaxed(&h->meta.header->vo) & 1;
}
static inline _Atomic uint64_t *heap_vo(const struct heap *h)
{
    return h->meta.objects[heap_vo_index(h)];
}
static inline _Atomic uint64_t *heap_marks(const struct heap *h)
{
    return h->meta.objects[heap_vo_index(h) ^ 1];
}
static inline unsigned heap_current_index(const struct heap *h)
{
    return at_load_relaxed(&h->meta.header->current) & 1;
}
static inline _Atomic uint64_t *heap_granted(const struct heap *h)
{
    return h->meta.granted[heap_current_index(h)];
}
static inline _Atomic uint64_t *heap_granted_next(const struct heap *h)
{
    return h->meta.granted[heap_current_index(h) ^ 1];
}
