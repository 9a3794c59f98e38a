/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/* Refcount: counts of references, by which most of what dies is found without a trace.
 *   Count   a byte for each old object: how many references old objects hold to it, 127 at the most and then for ever (stuck), and a bit
 *           that says that a root held it at the last pause. Young objects (soundness S6: G) have none; their fields count nothing
 *   Pause   a young collection (generational.h) that counts every reference it follows: those in fields that clients have logged, and
 *           those of young objects that it finds, which are old from then on. What has a count, or is held, survives
 *   After   beside the clients: what stood in those fields before loses a reference each, what no root holds any more is looked at,
 *           and what has nothing left is dropped, with the references in it. Nobody can reach it, so nobody writes to it
 *   Cycles  and what is stuck, are found by a trace now and then, beside which all this goes on: refcount_trace.c
 *   Whole   a collection of everything counts anew; whatever was still to be done before is forgotten
 *   From    Deutsch and Bobrow, CACM 1976 (roots are not counted); Levanoni and Petrank, OOPSLA 2001 (coalescing); Shahriyar et al., OOPSLA
 *           2013 (young objects are counted when they survive); Zhao, Blackburn and McKinley, PLDI 2022 (LXR)     docs/plans.md#lxr */
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "plans/heap.h"
#include "plans/heap/state.h"
#include "plans/trace/trace.h"

#define REFCOUNT_HELD 0x80u                      /* by a root, at the last pause */
#define REFCOUNT_STUCK 0x7fu                     /* no longer counted */

/* No two objects begin in the same two granules. */
static inline _Atomic uint8_t *refcount_of(const struct heap *h, uint32_t granule)
{
    return &h->meta.counts[granule / 2];
}
/* For whoever has seen the object's VO bit. Any number of workers at once. */
static inline void refcount_up(const struct heap *h, uint32_t granule)
{
    _Atomic uint8_t *count = refcount_of(h, granule);
    uint8_t was = at_load_relaxed(count);

    while ((was & REFCOUNT_STUCK) != REFCOUNT_STUCK && !at_cas_acq_rel(count, &was, (uint8_t)(was + 1)))
        ;
}
/* True: that was all that kept it. */
static inline bool refcount_down(const struct heap *h, uint32_t granule)
{
    _Atomic uint8_t *count = refcount_of(h, granule);
    uint8_t was = at_load_relaxed(count);

    while ((was & REFCOUNT_STUCK) != REFCOUNT_STUCK && (was & REFCOUNT_STUCK) != 0) /* 0: a client lied */
        if (at_cas_acq_rel(count, &was, (uint8_t)(was - 1)))
            return was == 1;
    return false;
}

/* What @granule takes the place of in @later: the oldest there, or 0. */
static inline uint32_t refcount_fetch(const struct heap *h, struct trace_later *later, uint32_t granule)
{
    uint32_t *place = &later->items[later->at++ % TRACE_LATER], oldest = *place;

    if (granule != 0) {
        __builtin_prefetch((const void *)&heap_vo(h)[granule / 64]);
        __builtin_prefetch((const void *)refcount_of(h, granule));
    }
    *place = granule;
    return oldest;
}

/* Stores to it are to be logged from now on. The world is stopped, or nobody knows the object. */
struct object;
void refcount_arm(const struct heap *h, const struct object *o);

/* Before a collection, and before anybody looks at what there is (sanity.h): a young one finishes what the last pause left to be done.
 * What that drops is dead, though a stale word may still stand for it. 0; -ENOMEM: some of it is still to be done. */
int refcount_settle_stw(struct heap *h, struct engine *engine, const struct heap_stop *stop);
/* What the last pause left to be done, in this one, whatever the roots are: counted and swept, and no longer COUNTING. 0; -ENOMEM, as above. */
int refcount_finish_stw(struct heap *h, struct engine *engine);
/* The body of heap_collect_stw(), after refcount_settle_stw(). 0; -ENOMEM: no collection. */
int refcount_collect_stw(struct heap *h, struct engine *engine, const struct heap_stop *stop, struct heap_collection *ret);

/* Steps of a collection (schedule.c), young or whole. */
int refcount_reserve_stw(struct heap *h, uint64_t root_words);       /* -ENOMEM: it cannot begin */
void refcount_begin_stw(struct heap *h);                             /* it begins: what was held is to be released */
void refcount_end_stw(struct heap *h);                               /* it has ended; before the log is cleared */
void refcount_hold(struct heap *h, uint32_t granule);                /* a root refers to it; many workers at once */
void refcount_stick(const struct heap *h, uint32_t granule);         /* it lives for ever */
bool refcount_moves_block(const struct heap *h, uint32_t block, enum block_kind kind);  /* a young one: out of this block? */
void refcount_clear_block(const struct heap *h, uint32_t block);     /* a whole one: before anything is marked */
/* All is marked and moved; a whole one counts what is in @block, and leaves large arrays to packets of kind @elements, which run the other. */
void refcount_block_swept(struct heap *h, struct worker *w, const struct packet_kind *elements, uint32_t block);
void refcount_count_elements(struct heap *h, struct worker *w, struct packet *p);

/* Traces: refcount_trace.c. What is unmarked is an old object, and nothing else. */
bool refcount_begin_trace_stw(struct heap *h);                       /* after a pause; false: no memory for it */
void refcount_end_trace(struct heap *h);                             /* its marks say nothing any more */
void refcount_give_up_trace(struct heap *h);                         /* MARKING: NONE again */
int refcount_clear_traced(struct heap *h, struct engine *engine);
int refcount_mark(struct heap *h, struct engine *engine);
int refcount_finish_mark_stw(struct heap *h, struct engine *engine); /* with what the pause's rows have */
bool refcount_is_unmarked(const struct heap *h, uint32_t granule);
void refcount_gray(struct heap *h, uint32_t granule);                /* it is to be marked, if it is not; any worker */
void refcount_forget_undone(struct heap *h);                         /* nothing is left of the last pause's counting */
void refcount_note_looked(struct heap *h);                           /* everything was looked at, and what is dead is swept */

/* Bodies of what heap.h says of cycles, under plans that count. */
int refcount_sweep(struct heap *h, struct engine *engine);
bool refcount_take_swept(struct heap *h);
void refcount_end_cycle(struct heap *h, struct heap_collection *ret);
void refcount_init(struct refcount *count, struct store *store);
void refcount_fini(struct refcount *count, struct store *store);
