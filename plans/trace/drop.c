/* SPDX-License-Identifier: Apache-2.0 */
/* drop.c - Drop: objects without references, and what they were the last to refer to.
 *   P1  who clears an object's VO bit drops it: it alone reads its header and its fields, once
 *   P2  fields of what is dropped hold what was counted: nobody has stored there since, or the log had it at the last pause
 *   P3  without room on the stack an object keeps its VO bit and its count of nothing, and overflowed is set: a rescan finds it
 *   P4  its block is flagged BLOCK_UNSWEPT, its run RUN_DEAD: lines and pages are free when that is swept, not before            */
#include "plans/trace/drop.h"

#include "plans/refcount.h"
#include "plans/trace/settle.h"
#include "plans/trace/stack.h"

static bool clear_shared(_Atomic uint64_t *words, uint64_t bit)
{
    uint64_t mask = UINT64_C(1) << bit % 64;

    return (at_and_relaxed(&words[bit / 64], ~mask) & mask) != 0;
}

static void leave_to_sweep(const struct heap *h, uint32_t granule)
{
    uint32_t block = granule / MM_BLOCK_GRANULES;

    if (blocks_kind(&h->blocks, block) == BLOCK_LARGE)
        at_or_relaxed(&h->meta.runs[granule / MM_PAGE_GRANULES], RUN_DEAD);
    if (!blocks_flag(&h->blocks, block, BLOCK_UNSWEPT))
        at_or_relaxed(&h->meta.flags[block], BLOCK_UNSWEPT);
}

/* True for who drops it. */
static bool claim(const struct heap *h, uint32_t granule)
{
    if (!clear_shared(heap_vo(h), granule))
        return false;
    leave_to_sweep(h, granule);
    at_store_relaxed(refcount_of(h, granule), 0);
    return true;
}

static void drop(struct tracer *r, uint32_t granule)
{
    if (MM_UNLIKELY(r->stack->count == PACKET_ITEMS)) {
        at_store_relaxed(&r->t->overflowed, 1);
        return;
    }
    if (!claim(r->t->heap, granule))
        return;
    foreign_prefetch(r->t->arena, (size_t)(granule - 1) * MM_GRANULE_BYTES);
    r->stack->items[r->stack->count++] = granule;
}

void drop_reference(struct tracer *r, uint32_t granule)
{
    struct heap *h = r->t->heap;

    if (granule == 0)
        return;
    if (MM_UNLIKELY(object_place(h, granule) == BLOCK_UNCOMMITTED))
        r->tally->forged_refs++;
    else if (bitmap_test(heap_vo(h), granule) && refcount_down(h, granule)) /* without: dropped with a cycle, or forged */
        drop(r, granule);
}

void drop_unheld(struct tracer *r, uint32_t granule)
{
    if (bitmap_test(heap_vo(r->t->heap), granule) && at_load_relaxed(refcount_of(r->t->heap, granule)) == 0)
        drop(r, granule);
}

static void lose(void *context, uint64_t place, uint32_t reference)
{
    struct tracer *r = context;

    (void)place;
    if (reference != 0 && object_place(r->t->heap, reference) != BLOCK_UNCOMMITTED)
        reference = refcount_fetch(r->t->heap, &r->tally->later, reference);
    drop_reference(r, reference);
}

/* All that has been fetched. True: something was dropped by that. */
static bool lose_rest(struct tracer *r)
{
    stack_make_room(r, r->t->objects, TRACE_LATER);
    for (unsigned i = 0; i < TRACE_LATER; i++)
        drop_reference(r, refcount_fetch(r->t->heap, &r->tally->later, 0));
    return r->stack->count > 0;
}

static void lose_gray(void *context, uint64_t place, uint32_t reference)
{
    struct tracer *r = context;

    (void)place;
    drop_reference(r, reference);
    refcount_gray(r->t->heap, reference); /* if it is still there */
}

/* refcount_trace.c T3 */
static bool leaves_gray(const struct trace *t, const struct object *o)
{
    return t->gray != NULL && (t->gray->rescan || !bitmap_test(t->heap->meta.traced, o->granule) ||
                               (o->program->shape == SCAN_ARRAY && o->length > stack_slice_elements(o->program, 1)));
}

/* scanning */

static inline void scan_array(struct tracer *r, const struct object *o, reference_visit visit)
{
    uint32_t slice = stack_slice_elements(o->program, 1);

    if (o->length > slice && stack_leave_slice(r, o->granule, o->program, 0, o->length))
        return;
    for (uint32_t at = 0, end; at < o->length; at = end) {
        end = o->length - at > slice ? at + slice : o->length;
        stack_make_room(r, r->t->objects, STACK_SLICE_ITEMS);
        object_each_element(r->t->arena, o->granule, o->program, at, end, visit, r);
    }
}

/* It reaches into no line any more. */
static void uncross_lines(const struct heap *h, const struct object *o)
{
    uint32_t first = (o->granule - 1) / MM_LINE_GRANULES, last = (o->granule + o->granules - 2) / MM_LINE_GRANULES;

    for (uint32_t line = first + 1; line <= last; line++)
        at_store_relaxed(&h->meta.lines[line], LINE_MARKED);
}

/* Reads the header of what has been dropped. False: it is bad, and nothing follows from it, but that some lines are not free before
 * a whole collection. */
static bool load(struct tracer *r, uint32_t granule, struct object *o)
{
    enum block_kind kind = blocks_kind(&r->t->heap->blocks, granule / MM_BLOCK_GRANULES);

    if (!settle_size(r->t, r->tally, granule, kind, o))
        return false;
    if (block_kind_has_lines(kind))
        uncross_lines(r->t->heap, o);
    return o->program->shape != SCAN_LEAF;
}

static inline void scan(struct tracer *r, const struct object *o, reference_visit visit)
{
    stack_make_room(r, r->t->objects, o->program->ref_count);
    object_each_fixed(r->t->arena, o->granule, o->program, visit, r);
    if (o->program->shape == SCAN_ARRAY)
        scan_array(r, o, visit);
}

static void visit(struct tracer *r, uint32_t granule)
{
    struct object o;

    if (!load(r, granule, &o))
        return;
    if (MM_UNLIKELY(leaves_gray(r->t, &o)))
        scan(r, &o, lose_gray);
    else
        scan(r, &o, lose);
}

bool drop_interrupted(const struct trace *t)
{
    return t->undone != NULL && !t->bounded && gray_interrupted(t->undone);
}

/* Without memory for that it goes on now. */
static bool leave_undone(struct tracer *r)
{
    (void)lose_rest(r);
    if (!gray_add(r->t->undone, r->stack->items, r->stack->count))
        return false;
    r->stack->count = 0;
    return true;
}

void drop_resume(struct tracer *r, uint32_t granule)
{
    visit(r, granule);
    drop_drain(r);
}

void drop_resume_slice(struct tracer *r, const struct gray_slice *s)
{
    const struct heap *h = r->t->heap;
    struct object o;

    if (!object_load(h, s->granule, blocks_kind(&h->blocks, s->granule / MM_BLOCK_GRANULES), &o) || o.program->shape != SCAN_ARRAY)
        return;
    o.length = MM_MIN(o.length, s->end);
    uint32_t slice = stack_slice_elements(o.program, 1);
    for (uint32_t at = s->at, end; at < o.length; at = end) {
        end = o.length - at > slice ? at + slice : o.length;
        object_each_element(r->t->arena, o.granule, o.program, at, end, r->t->gray == NULL ? lose : lose_gray, r);
        drop_drain(r);
        if (drop_interrupted(r->t) && end < o.length && gray_add_slice(r->t->undone, (struct gray_slice){ o.granule, end, o.length }))
            return;
    }
}

void drop_drain(struct tracer *r)
{
    struct packet *stack = r->stack;
    unsigned visits = 0;

    while (stack->count > 0 || lose_rest(r)) {
        visit(r, stack->items[--stack->count]);
        if (++visits % STACK_SHARE_EVERY != 0 || r->t->bounded)
            continue;
        if (MM_UNLIKELY(drop_interrupted(r->t)) && leave_undone(r))
            return;
        if (stack->count >= STACK_SHARE_MIN && worker_others_idle_racy(r->worker))
            stack_give_half(r, r->t->objects);
        if (MM_UNLIKELY(worker_should_yield(r->worker)) && lose_rest(r) && stack_leave(r, r->t->objects))
            return;
    }
}

void drop_run_objects(struct trace *t, struct trace_tally *tally, struct worker *w, struct packet *p)
{
    struct tracer r = { t, tally, w, p };

    if (!drop_interrupted(t) || !leave_undone(&r))
        drop_drain(&r);
}

void drop_run_slice(struct trace *t, struct trace_tally *tally, struct worker *w, struct packet *p)
{
    struct tracer r = { t, tally, w, p };
    struct slice s = stack_slice_of(p);
    uint32_t step = stack_slice_elements(s.program, 1);

    while (stack_slice_next(&r, &s, step)) {
        if (drop_interrupted(t) && gray_add_slice(t->undone, (struct gray_slice){ s.granule, s.at, s.end }))
            return;
        object_each_element(t->arena, s.granule, s.program, s.at, s.stop, t->gray == NULL ? lose : lose_gray, &r);
        drop_drain(&r);
    }
}

/* When all else is done an old object without count and root is one that found no room. */
static void rescan_block(struct tracer *r, uint32_t block)
{
    const _Atomic uint64_t *vo = heap_vo(r->t->heap);
    uint64_t at = (uint64_t)block * MM_BLOCK_GRANULES, end = at + MM_BLOCK_GRANULES;

    for (at = bitmap_find_set(vo, at, end); at < end; at = bitmap_find_set(vo, at + 1, end)) {
        drop_unheld(r, (uint32_t)at);
        drop_drain(r);
    }
}

void drop_run_rescan(struct trace *t, struct trace_tally *tally, struct worker *w, struct packet *p)
{
    struct tracer r = { t, tally, w, p };

    if (!t->bounded)
        trace_split_range(w, p, MM_COMMIT_BLOCKS);
    for (uint64_t block = p->args[0]; block < p->args[1]; block++)
        if (drop_interrupted(t))
            at_store_relaxed(&t->overflowed, 1); /* later */
        else if (block_kind_in_use(blocks_kind(&t->heap->blocks, (uint32_t)block)))
            rescan_block(&r, (uint32_t)block);
}

/* what a trace has not marked */

static void lose_to_marked(void *context, uint64_t place, uint32_t reference)
{
    struct tracer *r = context;
    const struct heap *h = r->t->heap;

    (void)place;
    if (reference != 0 && object_place(h, reference) != BLOCK_UNCOMMITTED && bitmap_test(h->meta.traced, reference))
        drop_reference(r, reference); /* others that are marked may still refer to it */
}

static void drop_one(struct tracer *r, uint32_t granule)
{
    struct object o;

    if (!claim(r->t->heap, granule) || !load(r, granule, &o))
        return;
    object_each_fixed(r->t->arena, granule, o.program, lose_to_marked, r);
    for (uint32_t at = 0, end; o.program->shape == SCAN_ARRAY && at < o.length; at = end) {
        end = (uint32_t)MM_MIN((uint64_t)at + STACK_SLICE_ITEMS / 4, o.length);
        object_each_element(r->t->arena, granule, o.program, at, end, lose_to_marked, r);
        drop_drain(r);
    }
    drop_drain(r);
}

void drop_unmarked(struct tracer *r, uint32_t block)
{
    const struct heap *h = r->t->heap;
    uint64_t at = (uint64_t)block * MM_BLOCK_GRANULES, end = at + MM_BLOCK_GRANULES;

    for (at = bitmap_find_set(heap_vo(h), at, end); at < end; at = bitmap_find_set(heap_vo(h), at + 1, end))
        if (!bitmap_test(h->meta.traced, at) && object_place(h, (uint32_t)at) != BLOCK_UNCOMMITTED)
            drop_one(r, (uint32_t)at);
}
