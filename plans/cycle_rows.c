/* SPDX-License-Identifier: Apache-2.0 */
/* cycle_rows.c - Cycle, its rows: what stood in fields that clients have changed while it marks is marked as if it stood there still.
 *   Hostile  a row is a client's word: the worst it can do is to keep something alive                      the rest: cycle.c, Y3 */
#include "plans/cycle.h"

#include "plans/heap/bitmap.h"
#include "plans/heap/state.h"
#include "plans/heap/walk.h"
#include "plans/trace/trace.h"

/* If it is a reference at all. */
static bool is_unmarked(const struct trace *t, uint32_t granule)
{
    return granule != 0 && granule < t->heap->granules && !bitmap_test(t->marks, granule);
}

/* What rows lead to is anywhere: without this they cost as much as all other marking (churn: a third of the objects are changed while
 * it marks). First the mark words, then, of what is not marked, the headers: its own, and of the object whose field it was. */
#define ROWS_NEAR 8u
#define ROWS_FAR 24u

static void fetch_marks(const struct trace *t, const struct logged *row)
{
    uint32_t low = (uint32_t)row->old, high = (uint32_t)(row->old >> 32);

    if (low != 0 && low < t->heap->granules)
        __builtin_prefetch((const void *)&t->marks[low / 64]);
    if (high != 0 && high < t->heap->granules)
        __builtin_prefetch((const void *)&t->marks[high / 64]);
}

static void fetch_header(const struct trace *t, uint32_t granule)
{
    if (granule - 1 < t->heap->granules - 1)
        foreign_prefetch(t->arena, (size_t)(granule - 1) * MM_GRANULE_BYTES);
}

static void fetch_unmarked(const struct trace *t, const struct logged *row)
{
    uint32_t low = (uint32_t)row->old, high = (uint32_t)(row->old >> 32);

    if (is_unmarked(t, low))
        fetch_header(t, low);
    if (is_unmarked(t, high))
        fetch_header(t, high);
    if (is_unmarked(t, low) || is_unmarked(t, high))
        fetch_header(t, row->object);
}

static void fetch_ahead(const struct trace *t, const struct logged *rows, uint64_t at, uint64_t end)
{
    if (at + ROWS_FAR < end)
        fetch_marks(t, &rows[at + ROWS_FAR]);
    if (at + ROWS_NEAR < end)
        fetch_unmarked(t, &rows[at + ROWS_NEAR]);
}

struct old_unit {
    struct tracer *tracer;
    uint64_t old;
};

/* Of the unit's two halves those that are references. */
static void mark_old(void *context, uint64_t place, uint32_t reference)
{
    const struct old_unit *u = context;
    uint32_t was = (uint32_t)(u->old >> (place % 2 * 32));
    const struct trace *t = u->tracer->t;

    (void)reference; /* what stands there now is its own business */
    if (is_unmarked(t, was) && object_place(t->heap, was) != BLOCK_UNCOMMITTED)
        mark_root(u->tracer, was);
}

static void mark_row(struct heap *h, struct tracer *r, const struct logged *row)
{
    enum block_kind kind = object_place(h, row->object);
    struct old_unit unit = { r, row->old };
    struct object o;

    if (MM_UNLIKELY(row->offset == SHM_LOG_KEEP)) {
        if (is_unmarked(r->t, row->object) && kind != BLOCK_UNCOMMITTED)
            mark_root(r, row->object);
        return;
    }
    if (!is_unmarked(r->t, (uint32_t)row->old) && !is_unmarked(r->t, (uint32_t)(row->old >> 32)))
        return;
    if (kind != BLOCK_UNCOMMITTED && object_load(h, row->object, kind, &o))
        object_each_in_piece(h, &o, (struct piece){ row->offset, 1 }, mark_old, &unit);
}

void cycle_mark_rows(struct tracer *r, uint64_t from, uint64_t end)
{
    struct heap *h = r->t->heap;

    for (uint64_t i = from; i < end; i++) {
        fetch_ahead(r->t, h->cycle.rows, i, end);
        mark_row(h, r, &h->cycle.rows[i]);
    }
}
