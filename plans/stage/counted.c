/* SPDX-License-Identifier: Apache-2.0 */
/* counted.c - Stages of plans that count references: what was held is released, and logged fields are counted (refcount.h). */
#include "plans/heap/bitmap.h"
#include "plans/heap/walk.h"
#include "plans/refcount.h"
#include "plans/stage/collection.h"

void stage_release_held(struct worker *w, struct packet *p)
{
    const struct heap *h = collection_of(w)->heap;

    stage_split(w, p);
    for (uint64_t i = p->args[0]; i < p->args[1]; i++)
        at_and_relaxed(refcount_of(h, h->count.released[i]), (uint8_t)~REFCOUNT_HELD);
}

void stage_count_elements(struct worker *w, struct packet *p)
{
    refcount_count_elements(collection_of(w)->heap, w, p);
}

struct halves {
    uint64_t are_references;
};

static void note_half(void *context, uint64_t place, uint32_t reference)
{
    struct halves *halves = context;

    (void)reference;
    halves->are_references |= (uint64_t)UINT32_MAX << (place % 2 * 32);
}

/* A row is a client's word: it counts if an old object stands there, which stays where it is, and once: who sets the unit's bit counts
 * it, the others lose nothing. Of what stood there the references are left in the row; what stands there now is for the closure. */
static void count_row(struct collection *c, struct tracer *r, struct logged *row)
{
    struct heap *h = c->heap;
    enum block_kind kind = object_place(h, row->object);
    uint64_t old = row->old;
    struct halves halves = { 0 };
    struct object o;

    row->old = 0;
    if (kind == BLOCK_UNCOMMITTED || !bitmap_test(heap_vo(h), row->object) ||
        blocks_flag(&h->blocks, row->object / MM_BLOCK_GRANULES, BLOCK_EVACUATE) ||
        !object_load(h, row->object, kind, &o) || row->offset >= o.granules - 1 ||
        !log_claim_granule(&h->log, (uint64_t)row->object + row->offset))
        return;
    object_each_in_piece(h, &o, (struct piece){ row->offset, 1 }, note_half, &halves);
    row->old = old & halves.are_references;
    evacuate_piece(r, &o, (struct piece){ row->offset, 1 });
}

void stage_counted(struct worker *w, struct packet *p)
{
    struct collection *c = collection_of(w);
    struct tracer r = { &c->trace, tally_of(w), w, NULL };

    stage_split(w, p);
    for (uint64_t i = p->args[0]; i < p->args[1]; i++) {
        if (i + STAGE_ROWS_AHEAD < p->args[1])
            stage_fetch_row(c->heap, &c->heap->log.rows[i + STAGE_ROWS_AHEAD]);
        count_row(c, &r, &c->heap->log.rows[i]);
    }
    trace_roots_end(&r);
}
