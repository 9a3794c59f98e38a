/* SPDX-License-Identifier: Apache-2.0 */
/* mark.c - Mark: the closure of plans whose objects stay where they are while it runs.
 *   T1  an object is scanned by the one worker that set its mark bit, and its header is read by nobody else in the closure
 *       (a rescan after an overflow reads it again, for its references only: sizes and line marks are already settled)
 *   T2  every reference of a marked object is in a packet, in a ring, in a slice, or marked, or leads to no place for objects; or
 *       overflowed is set. What is in packets and rings was not looked at: visit() asks for the place, before it marks
 *   T3  a rescan that overflows has marked at least one object more, so that rescans come to an end
 *   T4, Races  settle.h */
#include "plans/trace/settle.h"
#include "plans/trace/stack.h"

/* Reads the header and settles all about the object at @granule, in a block of @kind: false for a bad one. */
static inline bool settle(struct tracer *r, uint32_t granule, enum block_kind kind, struct object *o)
{
    bool good = settle_size(r->t, r->tally, granule, kind, o);

    settle_in_place(r->t, kind, o);
    return good;
}

void mark_root(struct tracer *r, uint32_t granule)
{
    struct object o;

    if (stack_root_room(r, r->t->objects, 1)) {
        r->stack->items[r->stack->count++] = granule;
        return;
    }
    enum block_kind kind = blocks_kind(&r->t->heap->blocks, granule / MM_BLOCK_GRANULES);
    if (settle_try_mark(r->t, granule) && settle(r, granule, kind, &o) && o.program->shape != SCAN_LEAF)
        at_store_relaxed(&r->t->overflowed, 1); /* no packet: its references are left to a rescan */
}

static void root_reference(void *context, uint64_t place, uint32_t reference)
{
    struct tracer *r = context;

    (void)place;
    if (reference == 0)
        return;
    if (MM_UNLIKELY(object_place(r->t->heap, reference) == BLOCK_UNCOMMITTED))
        r->tally->forged_refs++;
    else if (!bitmap_test(r->t->marks, reference)) /* in a young collection most are old */
        mark_root(r, reference);
}

void mark_piece(struct tracer *r, const struct object *o, struct piece piece)
{
    struct object followed = *o;

    followed.program = settle_followed(r->t, o);
    object_each_in_piece(r->t->heap, &followed, piece, root_reference, r);
}

static inline __attribute__((always_inline)) void push(void *context, uint64_t place, uint32_t reference)
{
    struct tracer *r = context;
    struct packet *stack = r->stack;
    uint32_t count = stack->count;

    (void)place;
    if (reference == 0)
        return;
    if (MM_UNLIKELY(count >= PACKET_ITEMS)) {
        at_store_relaxed(&r->t->overflowed, 1);
        return;
    }
    stack->items[count] = reference;
    stack->count = count + 1;
}

/* Only what is unmarked: a rescan meets every reference of the heap. */
static void push_unmarked(void *context, uint64_t place, uint32_t reference)
{
    struct tracer *r = context;

    if (reference < r->t->heap->granules && !bitmap_test(r->t->marks, reference))
        push(r, place, reference);
}

/* scanning */

static void scan_array(struct tracer *r, const struct object *o)
{
    uint32_t slice = stack_slice_elements(o->program, 1);

    stack_make_room(r, r->t->objects, o->program->ref_count + STACK_SLICE_ITEMS);
    object_each_fixed(r->t->arena, o->granule, o->program, push, r);
    if (o->length <= slice)
        object_each_element(r->t->arena, o->granule, o->program, 0, o->length, push, r);
    else if (!stack_leave_slice(r, o->granule, o->program, 0, o->length))
        at_store_relaxed(&r->t->overflowed, 1);
}

static inline void scan_fixed(struct tracer *r, uint32_t granule, const struct scan_program *program)
{
    stack_make_room(r, r->t->objects, program->ref_count);
    object_each_fixed(r->t->arena, granule, program, push, r);
}

/* Of any size and shape, in any block; it has just been marked. */
static __attribute__((noinline)) void scan_any(struct tracer *r, uint32_t granule, enum block_kind kind)
{
    struct object o;

    if (!settle(r, granule, kind, &o))
        return;
    o.program = settle_followed(r->t, &o);
    if (o.program->shape == SCAN_ARRAY)
        scan_array(r, &o);
    else if (o.program->shape != SCAN_LEAF)
        scan_fixed(r, granule, o.program);
}

static inline __attribute__((always_inline)) void visit(struct tracer *r, uint32_t granule)
{
    enum block_kind kind = object_place(r->t->heap, granule);

    if (MM_UNLIKELY(kind == BLOCK_UNCOMMITTED)) {
        r->tally->forged_refs++;
        return;
    }
    if (!settle_try_mark(r->t, granule))
        return;
    const struct scan_program *program = settle_small(r->t, r->tally, granule, kind);
    if (MM_UNLIKELY(program == NULL))
        scan_any(r, granule, kind);
    else if (program->shape != SCAN_LEAF)
        scan_fixed(r, granule, program);
}

/* Header and first fields are in two cache lines often enough that fetching both saves a third of the closure: 47 -> 29 ns
 * an object (bench_trace: 4 M nodes of 24 bytes in random order, one worker). The mark word is there already. */
static inline void fetch(const struct trace *t, uint32_t granule)
{
    foreign_prefetch(t->arena, (size_t)(granule - 1) * MM_GRANULE_BYTES);
    foreign_prefetch(t->arena, (size_t)granule * MM_GRANULE_BYTES + MM_GRANULE_BYTES);
}

/* Objects on their way into the cache: first the mark word, then, if it does not say that all is done, header and fields. */
struct approach {
    uint32_t near[STACK_NEAR], ring[STACK_RING];
    unsigned near_head, near_tail, head, tail;
};

static inline void fetch_marks(struct tracer *r, struct approach *a)
{
    struct packet *stack = r->stack;
    unsigned tail = a->near_tail, full = a->near_head + STACK_NEAR;
    uint32_t count = stack->count;

    for (; tail != full && count > 0; tail++) {
        uint32_t granule = stack->items[--count];
        __builtin_prefetch((const void *)&r->t->marks[granule / 64]);
        a->near[tail % STACK_NEAR] = granule;
    }
    a->near_tail = tail;
    stack->count = count;
}

static inline void fetch_objects(struct tracer *r, struct approach *a)
{
    const struct trace *t = r->t;
    unsigned head = a->near_head, end = a->near_tail, tail = a->tail, full = a->head + STACK_RING;

    for (; head != end && tail != full; head++) {
        uint32_t granule = a->near[head % STACK_NEAR];
        if (granule < t->heap->granules && bitmap_test(t->marks, granule))
            continue; /* its line is not worth a miss */
        fetch(t, granule);
        a->ring[tail++ % STACK_RING] = granule;
    }
    a->near_head = head;
    a->tail = tail;
}

/* The next to be visited; 0: there is none that is near enough. A chain has nothing to be fetched meanwhile, so it makes no detour. */
static inline uint32_t next_object(struct tracer *r, struct approach *a)
{
    if (a->head == a->tail && a->near_head == a->near_tail && r->stack->count == 1)
        return r->stack->items[--r->stack->count];
    fetch_marks(r, a);
    fetch_objects(r, a);
    return a->head != a->tail ? a->ring[a->head++ % STACK_RING] : 0;
}

/* Everything that is on its way. */
static bool put_back(struct packet *p, struct approach *a)
{
    if (p->count + STACK_RING + STACK_NEAR > PACKET_ITEMS)
        return false; /* later, then */
    while (a->head != a->tail)
        p->items[p->count++] = a->ring[a->head++ % STACK_RING];
    while (a->near_head != a->near_tail)
        p->items[p->count++] = a->near[a->near_head++ % STACK_NEAR];
    return true;
}

/* It goes back, then to another packet. */
static bool leave(struct tracer *r, struct approach *a)
{
    struct packet *p = r->stack;

    return put_back(p, a) && (p->count == 0 || stack_leave(r, r->t->objects));
}

static bool is_interrupted(const struct trace *t)
{
    return t->gray != NULL && !t->bounded && gray_interrupted(t->gray);
}

/* The same, to nobody's packet: the trace goes on later. Without memory for that it goes on now. */
static bool leave_gray(struct tracer *r, struct approach *a)
{
    struct packet *p = r->stack;

    if (!put_back(p, a) || !gray_add(r->t->gray, p->items, p->count))
        return false;
    p->count = 0;
    return true;
}

/* Until nothing is left on the stack or on its way, or others want this worker. */
static void drain(struct tracer *r)
{
    struct packet *stack = r->stack;
    struct approach a = { .head = 0 };
    unsigned visits = 0;

    for (;;) {
        uint32_t granule = next_object(r, &a);
        if (MM_LIKELY(granule != 0))
            visit(r, granule);
        else if (stack->count == 0 && a.near_head == a.near_tail)
            return;
        if (++visits % STACK_SHARE_EVERY != 0 || r->t->bounded)
            continue;
        if (MM_UNLIKELY(is_interrupted(r->t)) && leave_gray(r, &a))
            return;
        if (stack->count >= STACK_SHARE_MIN && worker_others_idle_racy(r->worker))
            stack_give_half(r, r->t->objects);
        if (MM_UNLIKELY(worker_should_yield(r->worker)) && leave(r, &a))
            return;
    }
}

void mark_run_objects(struct trace *t, struct trace_tally *tally, struct worker *w, struct packet *p)
{
    if (!is_interrupted(t) || !gray_add(t->gray, p->items, p->count))
        drain(&(struct tracer){ t, tally, w, p });
}

void mark_run_slice(struct trace *t, struct trace_tally *tally, struct worker *w, struct packet *p)
{
    struct tracer r = { t, tally, w, p };
    struct slice s = stack_slice_of(p);
    uint32_t step = stack_slice_elements(s.program, 1);

    while (stack_slice_next(&r, &s, step)) {
        if (is_interrupted(t) && gray_add_slice(t->gray, (struct gray_slice){ s.granule, s.at, s.end }))
            return;
        object_each_element(t->arena, s.granule, s.program, s.at, s.stop, push, &r);
        drain(&r);
    }
}

/* overflow */

/* Pushes the unmarked references of a marked object and follows them. @room: what the block may still cost (T4). */
static void rescan_object(struct tracer *r, uint32_t granule, enum block_kind kind, uint64_t *room)
{
    struct object o;

    if (!object_load(r->t->heap, granule, kind, &o) || o.program->shape == SCAN_LEAF)
        return;
    if (o.granules > MM_LINE_GRANULES && o.granules > *room)
        return;
    *room -= o.granules > MM_LINE_GRANULES ? o.granules : 0;
    o.program = settle_followed(r->t, &o);
    object_each_fixed(r->t->arena, granule, o.program, push_unmarked, r);
    drain(r);
    if (o.program->shape != SCAN_ARRAY)
        return;
    uint32_t slice = stack_slice_elements(o.program, 1);
    for (uint32_t at = 0, stop; at < o.length; at = stop) {
        stop = o.length - at > slice ? at + slice : o.length;
        object_each_element(r->t->arena, granule, o.program, at, stop, push_unmarked, r);
        drain(r);
    }
}

static void rescan_block(struct tracer *r, uint32_t block, enum block_kind kind)
{
    uint64_t at = (uint64_t)block * MM_BLOCK_GRANULES, stop = at + MM_BLOCK_GRANULES;
    uint64_t room = kind == BLOCK_LARGE ? UINT64_MAX : MM_BLOCK_GRANULES;

    for (at = bitmap_find_set(r->t->marks, at, stop); at < stop; at = bitmap_find_set(r->t->marks, at + 1, stop))
        if (object_place(r->t->heap, (uint32_t)at) != BLOCK_UNCOMMITTED) /* a bit of a cell in G is none */
            rescan_object(r, (uint32_t)at, kind, &room);
}

void mark_run_rescan(struct trace *t, struct trace_tally *tally, struct worker *w, struct packet *p)
{
    struct tracer r = { t, tally, w, p };

    if (!t->bounded)
        trace_split_range(w, p, MM_COMMIT_BLOCKS);
    for (uint64_t block = p->args[0]; block < p->args[1]; block++) {
        enum block_kind kind = blocks_kind(&t->heap->blocks, (uint32_t)block);
        if (is_interrupted(t))
            at_store_relaxed(&t->overflowed, 1); /* what comes now is looked at later */
        else if (block_kind_in_use(kind))
            rescan_block(&r, (uint32_t)block, kind);
    }
}
