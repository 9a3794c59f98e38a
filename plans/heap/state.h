/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/* State: the body of struct heap, for the files below plans/. Nobody outside includes it. */
#include <pthread.h>
#include <stdbool.h>
#include <stdint.h>

#include "plans/generational.h"
#include "plans/goal.h"
#include "plans/cycle.h"
#include "plans/heap.h"
#include "plans/heap/blocks.h"
#include "plans/heap/grants.h"
#include "plans/heap/layout.h"
#include "plans/heap/log.h"
#include "plans/heap/types.h"
#include "plans/plan.h"
#include "plans/refcount_state.h"
#include "plans/space/line_blocks.h"
#include "shm/foreign.h"

struct heap {
    const struct plan *plan;                 /* [const] */
    struct store *store;                     /* [const] where the heap's records come from, this one too */
    struct store *own_store;                 /* [const] that, if heap_config had none */
    foreign arena;                           /* [const] */
    uint64_t granules;                       /* [const] of the arena */
    bool check;                              /* [const] check the spaces after each collection */
    struct timeline *timeline;               /* heap_record() */
    struct metadata meta;                    /* [const] pointers */
    struct types types;
    struct blocks blocks;
    struct grants grants;
    struct log log;
    struct cycle cycle;
    struct refcount count;
    struct heap_options options;             /* [const] */
    struct line_holes holes[BLOCK_KINDS];    /* of the kinds that have lines */
    uint32_t cell_cursor[SHM_CELL_CLASSES];  /* blocks below have no free cell of that class; 0 after each collection */
    bool full;                               /* the last collection found next to nothing: room.h */
    bool young;                              /* [stw] this collection: only of what was granted since the last one */
    uint64_t nursery_bytes;                  /* an adaptive nursery's size */
    struct goal goal;                        /* and what it goes by */
    uint64_t left_bytes;                     /* the last collection, a young one, has left so much to be granted; else UINT64_MAX */
    uint64_t left_first;                     /* the same of the first one after a whole collection or a cycle */
    bool overran;                            /* the next young collection is of more than a nursery: a cycle has kept it waiting */
    bool mostly_survives;                    /* what young collections look at, by the last of them: cycle_promote.c */
    struct nursery_rest rest;
    bool whole_next;                         /* the next collection is not to be a young one: generational.h */
    bool evacuates;                          /* [stw] this collection: else it marks in place */
    bool defrags;                            /* [stw] out of blocks chosen by immix_defrag.c, too */
    bool by_used_lines;                      /* [stw] how its blocks are ranked: space/immix_defrag.c */
    uint32_t defrag_rank;                    /* [stw] blocks of this rank and above are emptied */
    bool fragmented;                         /* the last collection left gaps, but few whole blocks */
    uint32_t copy_cursor;                    /* [lock: block] blocks below have no holes for copies; 0 when the collection begins */
    pthread_mutex_t block_lock;              /* guards blocks while workers take some for copies; leaf */
    _Atomic uint8_t *closed;                 /* [const] byte a block: its closed pages (closed.h); NULL: the plan closes none */
    void *own_page_map;                      /* [const] that, if heap_config had none */
    uint32_t large_cursor;                   /* block where the next search for free pages starts */
    uint64_t large_free_pages;               /* in LARGE blocks */
    uint64_t live_objects, live_bytes;       /* found by the last collection */
    uint64_t live_kind_bytes[BLOCK_KINDS];   /* of those, by kind of block; if count_live_bytes_in_gc */
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
/* Plans that count close G at each pause: what they mark is old, and nothing else. The others' concurrent collections keep it open. */
static inline bool heap_g_stays_open(const struct heap *h)
{
    return at_load_relaxed(&h->cycle.state) != HEAP_CYCLE_NONE && !h->plan->constraints.counts;
}
/* Some of its collections are young ones, as things are: generational.h. */
static inline bool heap_has_young(const struct heap *h)
{
    return h->plan->constraints.generational && !h->rest.on;
}
/* Young collections and cycles have one log: cycle_log.h. */
static inline bool heap_shares_log(const struct heap *h)
{
    return h->plan->constraints.concurrent && heap_has_young(h) && !h->plan->constraints.counts;
}
/* In a collection: where objects are marked, and what else there is for it. A whole one marks anew, and resolves ambiguous words
 * against VO, which nobody needs after that. In a young one what is old is marked from the start: VO itself is added to, and what
 * is found in memory granted since then has its bits in the other bitmap (soundness S6 I1: a sticky collection never clears). */
static inline _Atomic uint64_t *heap_mark_bits(const struct heap *h)
{
    return h->young ? heap_vo(h) : heap_marks(h);
}
static inline _Atomic uint64_t *heap_scratch_bits(const struct heap *h)
{
    return h->young ? heap_marks(h) : heap_vo(h);
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
