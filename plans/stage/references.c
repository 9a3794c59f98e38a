/* SPDX-License-Identifier: Apache-2.0 */
/* references.c - References: weak, soft, phantom ones and ephemerons, in fields and in rows of the clients' tables.
 *   W1  between two steps the closure is complete: an object without a mark bit is reachable by nothing that was followed so far
 *   W2  each slot of a marked object that was met before step Guarded is null, or refers to a marked object, when that step begins, but for
 *       phantom ones, of which that holds at the end. What is met later has its references followed
 *   W3  a slot is changed by the one packet that looks at its block; a queue, which several may add to, by compare-and-swap
 *   W4  what is stored here refers from old to old, or to what survives this collection, so that no barrier has to hear of it
 *   W5  steps add to marks and never take back: at most ROUNDS_MAX looks at ephemerons, after which their values are followed whatever
 *       their keys, so that the work is bounded whoever made the chain
 *   In a cycle what clients were granted since its first stop lives, and what they stored meanwhile refers to what is marked or new */
#include "plans/stage/references.h"

#include "plans/cycle_log.h"
#include "plans/heap/bitmap.h"
#include "plans/heap/walk.h"
#include "plans/refcount.h"
#include "plans/stage/collection.h"

#define ROUNDS_MAX 64u
#define SLICE_ELEMENTS 4096u

/* ---- one reference ---- */

/* Where the object at @granule is now; 0: it was not reached. */
static uint32_t now_at(struct tracer *r, uint32_t granule)
{
    const struct heap *h = r->t->heap;

    if (granule == 0)
        return 0;
    if (object_place(h, granule) == BLOCK_UNCOMMITTED) {
        r->tally->forged_refs++;
        return 0;
    }
    if (!bitmap_test(r->t->marks, granule))
        return heap_cycle(h) == HEAP_CYCLE_MARKING && !h->plan->constraints.counts && cycle_log_is_new(h, granule) ? granule : 0;
    return h->evacuates ? evacuate_now(r, granule) : granule;
}

static uint32_t follow_root(struct tracer *r, uint32_t granule)
{
    if (object_place(r->t->heap, granule) == BLOCK_UNCOMMITTED) {
        r->tally->forged_refs++;
        return 0;
    }
    if (r->t->heap->evacuates)
        return evacuate_root(r, granule);
    mark_root(r, granule);
    return granule;
}

static bool is_kept(const struct references *s, uint32_t used)
{
    return (uint32_t)(s->now - used) <= s->keep_age;
}

/* ---- slots ---- */

struct visit {
    struct collection *c;
    struct tracer *r;
    bool cleared;                            /* some slot of this object was */
};

static uint32_t slot_load(const struct visit *v, size_t at)
{
    return foreign_load32(v->r->t->arena, at);
}

static void slot_clear(struct visit *v, size_t at)
{
    if (slot_load(v, at) == 0)
        return;
    foreign_store32(v->r->t->arena, at, 0);
    v->cleared = true;
    v->r->tally->cleared_refs++;
}

/* It refers to where its object is now, or to nothing. True: it is null. */
static bool slot_settle(struct visit *v, size_t at)
{
    uint32_t was = slot_load(v, at), now = now_at(v->r, was);

    if (now == 0)
        slot_clear(v, at);
    else if (now != was)
        foreign_store32(v->r->t->arena, at, now);
    return now == 0;
}

static void slot_follow(struct visit *v, size_t at)
{
    uint32_t was = slot_load(v, at), now = was == 0 ? 0 : follow_root(v->r, was);

    if (now != was && now != 0)
        foreign_store32(v->r->t->arena, at, now);
}

static void follow_value(struct visit *v, size_t key)
{
    uint32_t value = slot_load(v, key + 4);
    bool forced = v->c->references.rounds > ROUNDS_MAX; /* W5 */

    if (value == 0 || bitmap_test(v->r->t->marks, MM_MIN(value, v->r->t->heap->granules - 1)))
        return; /* settled in the next step */
    if (!forced && now_at(v->r, slot_load(v, key)) == 0)
        return;
    if (forced)
        slot_follow(v, key);
    slot_follow(v, key + 4);
    at_store_relaxed(&v->c->references.progress, 1);
}

static void visit_slot(struct visit *v, enum shm_ref_kind kind, size_t at)
{
    switch (v->c->references.step) {
    case REFERENCES_SOFT:
        if (kind == SHM_REF_SOFT && is_kept(&v->c->references, slot_load(v, at + 4)))
            slot_follow(v, at);
        return;
    case REFERENCES_EPHEMERON:
        if (kind == SHM_REF_EPHEMERON)
            follow_value(v, at);
        return;
    case REFERENCES_WEAK:
        if (kind != SHM_REF_PHANTOM && slot_settle(v, at) && kind == SHM_REF_EPHEMERON)
            slot_clear(v, at + 4);
        if (kind == SHM_REF_EPHEMERON)
            (void)slot_settle(v, at + 4);
        return;
    case REFERENCES_PHANTOM:
        if (kind == SHM_REF_PHANTOM)
            (void)slot_settle(v, at);
        return;
    default: return;
    }
}

/* ---- queues ---- */

/* Has what it refers to its first reference, a strong one, in its first word? */
static bool is_queue(const struct heap *h, uint32_t queue)
{
    enum block_kind kind = object_place(h, queue);
    struct object o;

    if (kind == BLOCK_UNCOMMITTED || !object_load(h, queue, kind, &o) || o.program->weak || o.program->fixed_bytes < 4)
        return false;
    return o.program->shape == SCAN_BITMAP ? (o.program->bitmap & 1) != 0
                                           : o.program->shape != SCAN_LEAF && o.program->ref_count > 0 && o.program->refs[0] == 0;
}

/* Once: its queue is taken from it by that. The newest is the first in the queue. */
static void announce(struct visit *v, const struct object *o, const struct weak_program *weak)
{
    foreign arena = v->r->t->arena;
    size_t payload = (size_t)o->granule * MM_GRANULE_BYTES;
    uint32_t queue = weak->queue == WEAK_NO_QUEUE ? 0 : foreign_exchange32(arena, payload + weak->queue, 0);

    if (queue == 0)
        return;
    if (!is_queue(v->r->t->heap, queue)) {
        v->r->tally->forged_refs++;
        return;
    }
    v->r->tally->announced++;
    uint32_t first = foreign_load32(arena, (size_t)queue * MM_GRANULE_BYTES);
    do
        foreign_store32(arena, payload + weak->link, first);
    while (!foreign_cas32(arena, (size_t)queue * MM_GRANULE_BYTES, &first, o->granule));
}

/* ---- objects ---- */

static void visit_elements(struct visit *v, const struct object *o, const struct weak_program *weak, uint64_t from, uint64_t end)
{
    size_t at = (size_t)o->granule * MM_GRANULE_BYTES + weak->strong.fixed_bytes + from * weak->strong.element_bytes;

    for (uint64_t i = from; i < end; i++, at += weak->strong.element_bytes)
        for (uint32_t k = 0; k < weak->element_slot_count; k++)
            visit_slot(v, weak->element_slots[k].kind, at + weak->element_slots[k].offset);
}

/* The elements of a large array go to packets. False: there are none. */
static bool leave_elements(struct visit *v, const struct object *o)
{
    const struct packet_kind *kind = v->c->references.elements;
    struct packet *p = o->length <= SLICE_ELEMENTS ? NULL : worker_packet_try_new(v->r->worker, kind);

    if (p == NULL)
        return false;
    p->args[0] = 0;
    p->args[1] = o->length;
    p->args[2] = o->granule;
    worker_packet_push(v->r->worker, p);
    return true;
}

static void visit_object(struct visit *v, const struct object *o)
{
    const struct weak_program *weak = types_weak(&v->r->t->heap->types, o->program);
    size_t payload = (size_t)o->granule * MM_GRANULE_BYTES;

    v->cleared = false;
    for (uint32_t i = 0; i < weak->slot_count; i++)
        visit_slot(v, weak->slots[i].kind, payload + weak->slots[i].offset);
    if (weak->element_slot_count > 0 && !leave_elements(v, o))
        visit_elements(v, o, weak, 0, o->length);
    if (v->cleared)
        announce(v, o, weak);
}

/* @room: what the block's objects may still claim to fill (settle.h T4). */
static void visit_granule(struct visit *v, uint32_t granule, enum block_kind kind, uint64_t *room)
{
    const struct heap *h = v->r->t->heap;
    struct object o;

    if (object_place(h, granule) == BLOCK_UNCOMMITTED || (h->evacuates && evacuate_has_left(v->r->t, granule)) ||
        !object_load(h, granule, kind, &o) || !o.program->weak)
        return;
    if (o.granules > MM_LINE_GRANULES && o.granules > *room)
        return;
    *room -= o.granules > MM_LINE_GRANULES ? o.granules : 0;
    visit_object(v, &o);
}

static void visit_block(struct visit *v, uint32_t block)
{
    const struct heap *h = v->r->t->heap;
    enum block_kind kind = blocks_kind(&h->blocks, block);
    uint64_t at = (uint64_t)block * MM_BLOCK_GRANULES, end = at + MM_BLOCK_GRANULES;
    uint64_t room = kind == BLOCK_LARGE ? UINT64_MAX : MM_BLOCK_GRANULES;

    if (!block_kind_in_use(kind))
        return;
    for (at = bitmap_find_set(v->r->t->marks, at, end); at < end; at = bitmap_find_set(v->r->t->marks, at + 1, end))
        visit_granule(v, (uint32_t)at, kind, &room);
}

void stage_reference_blocks(struct worker *w, struct packet *p)
{
    struct collection *c = collection_of(w);
    struct tracer r = { &c->trace, tally_of(w), w, NULL };
    struct visit v = { .c = c, .r = &r };

    stage_split(w, p);
    for (uint64_t block = p->args[0]; block < p->args[1]; block++)
        if (at_load_relaxed(&c->heap->meta.weak[block]) != 0)
            visit_block(&v, (uint32_t)block);
    trace_roots_end(&r);
}

void stage_reference_elements(struct worker *w, struct packet *p)
{
    struct collection *c = collection_of(w);
    struct tracer r = { &c->trace, tally_of(w), w, NULL };
    struct visit v = { .c = c, .r = &r };
    struct object o;
    uint32_t granule = (uint32_t)p->args[2];

    stage_split(w, p);
    /* the header is read once more: if it is another by now, its own word says how many there are */
    if (object_load(c->heap, granule, blocks_kind(&c->heap->blocks, granule / MM_BLOCK_GRANULES), &o) && o.program->weak) {
        const struct weak_program *weak = types_weak(&c->heap->types, o.program);
        visit_elements(&v, &o, weak, p->args[0], MM_MIN(p->args[1], o.length));
        if (v.cleared)
            announce(&v, &o, weak);
    }
    trace_roots_end(&r);
}

/* ---- rows ---- */

static void row_clear(struct tracer *r, _Atomic uint32_t *tag, _Atomic uint32_t *word, uint32_t was)
{
    uint32_t stood = at_load_relaxed(tag);

    if (at_cas_acq_rel(tag, &stood, stood | SHM_ROW_CLEARED) && at_cas_acq_rel(word, &was, 0))
        r->tally->cleared_refs++;
}

static void row_move(_Atomic uint32_t *word, uint32_t was, uint32_t now)
{
    if (now != was)
        (void)at_cas_acq_rel(word, &was, now);
}

static void row_settle(struct tracer *r, const struct heap_roots *row, uint32_t i, uint32_t was)
{
    uint32_t now = now_at(r, was);

    if (now == 0)
        row_clear(r, &row->tags[i], &row->words[i], was);
    else
        row_move(&row->words[i], was, now);
}

/* Its object was not reached: that is noted in its tag until the next step, if its client has not ended it just now. */
static void row_find(struct tracer *r, const struct heap_roots *row, uint32_t i, uint32_t was)
{
    uint32_t now = now_at(r, was), tag = at_load_relaxed(&row->tags[i]);

    if (now == 0 && object_place(r->t->heap, was) == BLOCK_UNCOMMITTED)
        row_clear(r, &row->tags[i], &row->words[i], was);
    else if (now != 0)
        row_move(&row->words[i], was, now);
    else if (shm_row_kind(tag) == SHM_ROW_GUARDED)
        (void)at_cas_acq_rel(&row->tags[i], &tag, tag | SHM_ROW_CLEARED);
}

/* What another that is ready refers to may have been reached by now. */
static void row_ready(struct tracer *r, const struct heap_roots *row, uint32_t i, uint32_t was)
{
    uint32_t tag = at_load_relaxed(&row->tags[i]);

    if ((tag & SHM_ROW_CLEARED) == 0 || shm_row_kind(tag) != SHM_ROW_GUARDED || object_place(r->t->heap, was) == BLOCK_UNCOMMITTED ||
        !at_cas_acq_rel(&row->tags[i], &tag, shm_row_tag(SHM_ROW_READY, shm_row_serial(tag))))
        return;
    r->tally->readied++;
    uint32_t now = follow_root(r, was);
    refcount_hold(r->t->heap, now);
    row_move(&row->words[i], was, now);
}

static bool row_was_used(const struct references *s, const struct heap_roots *row, uint32_t i)
{
    return row->notes == NULL || is_kept(s, (uint32_t)(at_load_relaxed(&row->notes[i].since_ns) >> REFERENCE_CLOCK_SHIFT));
}

static void visit_row(struct collection *c, struct tracer *r, const struct heap_roots *row, uint32_t i)
{
    enum heap_root_kind kind = heap_root_kind(row, i);
    uint32_t was = at_load_relaxed(&row->words[i]);

    if (was == 0)
        return;
    switch (c->references.step) {
    case REFERENCES_SOFT:
        if (kind == HEAP_ROOTS_SOFT && row_was_used(&c->references, row, i))
            row_move(&row->words[i], was, follow_root(r, was));
        return;
    case REFERENCES_WEAK:
        if (kind == HEAP_ROOTS_WEAK || kind == HEAP_ROOTS_SOFT)
            row_settle(r, row, i, was);
        return;
    case REFERENCES_GUARDED:
        if (kind == HEAP_ROOTS_GUARDED)
            row_find(r, row, i, was);
        return;
    case REFERENCES_READY:
        if (kind == HEAP_ROOTS_GUARDED)
            row_ready(r, row, i, was);
        return;
    default: return;
    }
}

void stage_reference_rows(struct worker *w, struct packet *p)
{
    struct collection *c = collection_of(w);
    struct tracer r = { &c->trace, tally_of(w), w, NULL };

    stage_split(w, p);
    stage_each_row(c, p->args[0], p->args[1], &r, visit_row);
    trace_roots_end(&r);
}

/* ---- the steps ---- */

/* Soft references are kept the longer the more room there is: by the mebibyte so many milliseconds. */
static uint64_t keep_age(const struct heap *h, const struct heap_stop *stop)
{
    uint64_t limit = h->blocks.units_limit * (uint64_t)MM_COMMIT_BYTES, free_mib = (limit - MM_MIN(limit, h->live_bytes)) >> 20;

    return stop->emergency || stop->full_heap ? 0 : free_mib * h->options.soft_ms_per_mib / REFERENCE_UNIT_MS;
}

void references_begin(struct collection *c)
{
    struct references *s = &c->references;

    s->step = c->trace.all ? REFERENCES_END : REFERENCES_BEGIN;
    s->now = (uint32_t)(mm_now_ns() >> REFERENCE_CLOCK_SHIFT);
    s->keep_age = keep_age(c->heap, c->stop);
}

bool references_are_wanted(const struct collection *c)
{
    return types_have_weak(&c->heap->types) || at_load_relaxed(&c->references.met_rows) != 0;
}

static bool has_kind(const struct collection *c, enum shm_ref_kind kind)
{
    return (c->heap->types.kinds & 1u << kind) != 0;
}

/* Is there anything to be looked at in this step: in blocks, in rows? */
static bool wants_blocks(const struct collection *c)
{
    switch (c->references.step) {
    case REFERENCES_SOFT: return c->references.keep_age > 0 && has_kind(c, SHM_REF_SOFT);
    case REFERENCES_EPHEMERON: return has_kind(c, SHM_REF_EPHEMERON);
    case REFERENCES_WEAK: return types_have_weak(&c->heap->types);
    case REFERENCES_PHANTOM: return has_kind(c, SHM_REF_PHANTOM);
    default: return false;
    }
}

static bool wants_rows(const struct collection *c)
{
    enum reference_step step = c->references.step;
    bool any = at_load_relaxed(&c->references.met_rows) != 0;

    return any && (step == REFERENCES_WEAK || step == REFERENCES_GUARDED || step == REFERENCES_READY || (step == REFERENCES_SOFT && c->references.keep_age > 0));
}

/* True: a packet was added. Without one to be had this worker does it alone, here. */
static bool add_or_run(struct collection *c, struct worker *w, const struct packet_kind *kind, uint64_t end)
{
    struct packet *p = worker_packet_try_new(w, kind), *all = p == NULL ? &c->heap->spare : p;

    all->args[0] = 0;
    all->args[1] = end;
    if (p != NULL) {
        worker_packet_push(w, p);
        return true;
    }
    all->count = 0;
    all->kind = kind;
    kind->run(w, all);
    return false;
}

static enum reference_step step_after(struct references *s)
{
    if (s->step != REFERENCES_EPHEMERON)
        return s->step + 1;
    bool again = at_load_relaxed(&s->progress) != 0;
    at_store_relaxed(&s->progress, 0);
    s->rounds += again;
    return again ? REFERENCES_EPHEMERON : REFERENCES_WEAK;
}

static void forget_blocks(struct collection *c)
{
    for (uint32_t block = 0; types_have_weak(&c->heap->types) && block < blocks_high(&c->heap->blocks); block++)
        at_store_relaxed(&c->heap->meta.weak[block], 0);
}

bool references_next(struct collection *c, struct worker *w)
{
    struct references *s = &c->references;

    if (s->step == REFERENCES_OFF || s->step == REFERENCES_END)
        return false;
    while (s->step < REFERENCES_END) {
        bool added = false;
        s->step = step_after(s);
        c->trace.all = s->step >= REFERENCES_GUARDED;
        if (wants_rows(c))
            added |= add_or_run(c, w, s->rows, c->row_words);
        if (wants_blocks(c))
            added |= add_or_run(c, w, s->blocks, blocks_high(&c->heap->blocks));
        if (added)
            return true;
        if (trace_on_drained(&c->trace, tally_of(w), w, stage_rescan_of(c)))
            return true; /* what could not be pushed */
    }
    forget_blocks(c);
    return false;
}
