/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/* Counts: what plans/refcount.c promises of every count (R1, R2) and log bit (R3), looked at from outside; and the drives of what
 * goes on beside clients. */
#include <errno.h>
#include <sched.h>
#include <stdlib.h>

#include "plans/heap/bitmap.h"
#include "plans/heap/walk.h"
#include "plans/refcount.h"
#include "tests/plans/objects.h"

struct counts_expected {
    const struct heap *heap;
    uint32_t *of;                            /* by granule / 2 */
};

static inline void counts_add(void *context, uint64_t place, uint32_t reference)
{
    struct counts_expected *e = context;

    (void)place;
    if (reference != 0 && bitmap_test(heap_vo(e->heap), reference))
        e->of[reference / 2]++;
}

static inline void counts_of_rows(struct counts_expected *e)
{
    for (size_t i = 0; i < e->heap->count.row_count; i++) {
        counts_add(e, 0, (uint32_t)e->heap->count.rows[i].old);
        counts_add(e, 0, (uint32_t)(e->heap->count.rows[i].old >> 32));
    }
}

static inline bool counts_armed(const struct heap *h, uint32_t granule)
{
    uint32_t line = granule / MM_LINE_GRANULES;

    return at_load_relaxed(&h->log.lines[line]) != 0 && (at_load_relaxed(&h->log.bits[line]) >> granule % MM_LINE_GRANULES & 1) != 0;
}

static inline void counts_of_object(struct counts_expected *e, uint32_t granule, bool armed)
{
    const struct heap *h = e->heap;
    struct object o;

    HOLDS(object_load(h, granule, blocks_kind(&h->blocks, granule / MM_BLOCK_GRANULES), &o));
    object_each_fixed(h->arena, granule, o.program, counts_add, e);
    if (o.program->shape == SCAN_ARRAY)
        object_each_element(h->arena, granule, o.program, 0, o.length, counts_add, e);
    for (uint32_t i = 0; armed && o.program->shape != SCAN_LEAF && i < o.granules - 1; i++)
        HOLDS(counts_armed(h, granule + i));
}

static inline void counts_compare(const struct counts_expected *e)
{
    const struct heap *h = e->heap;

    for (uint32_t pair = 0; pair < h->granules / 2; pair++) {
        bool old = bitmap_test(heap_vo(h), 2 * pair) || bitmap_test(heap_vo(h), 2 * pair + 1);
        uint32_t count = at_load_relaxed(&h->meta.counts[pair]) & REFCOUNT_STUCK;
        HOLDS(old || at_load_relaxed(&h->meta.counts[pair]) == 0);
        HOLDS(!old || count == REFCOUNT_STUCK || count == e->of[pair] || (h->count.inexact && count > e->of[pair]));
    }
}

/* Right after a pause, before anybody stores: all old objects are @armed. */
static inline void counts_are_exact(const struct heap *h, bool armed)
{
    struct counts_expected e = { h, calloc(h->granules / 2, sizeof(uint32_t)) };

    HOLDS(e.of != NULL);
    for (uint64_t at = bitmap_find_set(heap_vo(h), 0, h->granules); at < h->granules;
         at = bitmap_find_set(heap_vo(h), at + 1, h->granules))
        counts_of_object(&e, (uint32_t)at, armed);
    counts_of_rows(&e);
    counts_compare(&e);
    free(e.of);
}

static inline void counts_sweep(struct fake_world *w)
{
    do
        HOLDS(heap_sweep(w->heap, w->engine) == 0);
    while (heap_take_swept(w->heap));
}

/* All that the last pause, or a trace, has left to be done. What it freed. */
static inline uint64_t counts_finish(struct fake_world *w)
{
    struct heap_collection c = { 0 };

    HOLDS(heap_cycle(w->heap) == HEAP_CYCLE_COUNTING);
    int r = heap_count(w->heap, w->engine);
    for (unsigned tries = 0; r == -ENOMEM && tries < 1000; tries++) { /* packets on their way back from workers that go to sleep */
        sched_yield();
        r = heap_count(w->heap, w->engine);
    }
    HOLDS(r == 0 && heap_counted(w->heap));
    heap_end_count(w->heap);
    counts_sweep(w);
    heap_end_cycle(w->heap, &c);
    HOLDS(heap_cycle(w->heap) == HEAP_CYCLE_NONE || heap_cycle(w->heap) == HEAP_CYCLE_MARKING);
    return c.freed_bytes;
}

/* The first half of a trace: its first stop. And what that left to be done. */
static inline void counts_begin_trace(struct fake_world *w)
{
    heap_begin_cycle(w->heap);
    HOLDS(heap_clear(w->heap, w->engine) == 0);
    HOLDS(fake_collect_young(w).kind == HEAP_PAUSE_INITIAL_MARK);
    (void)counts_finish(w);
    HOLDS(heap_cycle(w->heap) == HEAP_CYCLE_MARKING);
}
/* All that can be; or, @interrupted, nearly nothing. */
static inline void counts_mark_some(struct fake_world *w, bool interrupted)
{
    heap_interrupt(w->heap, interrupted);
    HOLDS(heap_mark(w->heap, w->engine) == 0);
    HOLDS(interrupted || heap_marked(w->heap));
    heap_interrupt(w->heap, false);
}
static inline void counts_mark(struct fake_world *w)
{
    counts_mark_some(w, false);
}
/* Its last stop, and what that left to be done: all that was not marked. */
static inline void counts_end_trace(struct fake_world *w)
{
    if (!heap_marked(w->heap))
        counts_mark(w);
    HOLDS(fake_collect_young(w).kind == HEAP_PAUSE_FINAL_MARK);
    (void)counts_finish(w);
    HOLDS(heap_cycle(w->heap) == HEAP_CYCLE_NONE);
}
