/* SPDX-License-Identifier: Apache-2.0 */
/* trace.c - Trace: the mark closure.
 *   T1  an object is scanned by the one worker that set its mark bit, and its header is read by nobody else in the closure
 *       (a rescan after an overflow reads it again, for its references only: sizes and line marks are already settled)
 *   T2  every reference of a marked object is in a packet, in a ring, in a slice, or marked; or overflowed is set
 *   T3  a rescan that overflows has marked at least one object more, so that rescans come to an end
 *   T4  objects longer than a line are charged to their block, and what no longer fits is a bad header: honest objects do not
 *       overlap, and forged ones cannot make a block cost more than 33 times its bytes
 *   Races  line marks: equal bytes, relaxed, harmless.  Mark bits: relaxed OR; the stage's end orders all for the sweep. */
#include "plans/trace.h"

#include <string.h>

#include "plans/heap/bitmap.h"
#include "plans/heap/walk.h"

#define RING 16u        /* misses in flight; a power of two */
#define SLICE_REFS 512u /* references of an array that one packet takes */
#define SHARE_EVERY 32u /* objects between two looks at idle workers */
#define SHARE_MIN 16u   /* items that are worth sharing */
static_assert(SLICE_REFS + SHM_TYPE_REFS_MAX <= PACKET_ITEMS, "an empty stack has room for any scan");

struct tracer { /* what one packet's run carries about */
    struct trace *t;
    struct trace_tally *tally;
    struct worker *worker;
    struct packet *stack; /* newest last */
};

void trace_init(struct trace *t, struct heap *h, bool alone)
{
    *t = (struct trace){ .heap = h, .arena = h->arena, .marks = heap_marks(h), .alone = alone };
}

void trace_split_range(struct worker *w, struct packet *p, uint64_t grain)
{
    while (p->args[1] - p->args[0] > grain) {
        struct packet *half = worker_packet_try_new(w, p->kind);
        if (half == NULL)
            return; /* then this packet does it all */
        uint64_t middle = p->args[0] + (p->args[1] - p->args[0]) / 2;
        memcpy(half->args, p->args, sizeof(p->args));
        half->args[0] = middle;
        p->args[1] = middle;
        worker_packet_push(w, half);
    }
}

/* marking */

static bool try_mark(const struct trace *t, uint32_t granule)
{
    if (!t->alone)
        return bitmap_set_shared(t->marks, granule);
    if (bitmap_test(t->marks, granule))
        return false;
    bitmap_set(t->marks, granule);
    return true;
}

static void mark_lines(const struct trace *t, uint32_t granule, uint32_t granules)
{
    uint32_t first = (granule - 1) / MM_LINE_GRANULES;
    uint32_t last = (uint32_t)(((uint64_t)granule + granules - 2) / MM_LINE_GRANULES);

    for (uint32_t line = first; line <= last; line++)
        at_store_relaxed(&t->heap->meta.lines[line], 1);
}

/* T4. Racing workers may lose a charge: each of them once a block and object at the most. */
static bool charge(const struct trace *t, uint32_t granule, uint32_t granules)
{
    _Atomic uint16_t *charged = &t->heap->meta.charged[granule / MM_BLOCK_GRANULES];
    uint32_t sum = at_load_relaxed(charged) + granules;

    if (sum > MM_BLOCK_GRANULES)
        return false;
    at_store_relaxed(charged, (uint16_t)sum);
    return true;
}

/* Reads the header and settles the size: false for a bad one, which is a leaf of one granule. */
static inline bool settle(struct trace *t, struct trace_tally *tally, uint32_t granule, struct object *o)
{
    enum block_kind kind = blocks_kind(&t->heap->blocks, granule / MM_BLOCK_GRANULES);
    bool good = object_load(t->heap, granule, kind, o);

    if (good && o->granules > MM_LINE_GRANULES && kind == BLOCK_IMMIX)
        good = charge(t, granule, o->granules);
    if (MM_UNLIKELY(!good)) {
        o->granules = MM_OBJECT_MIN_BYTES / MM_GRANULE_BYTES;
        tally->bad_headers++;
    }
    if (MM_LIKELY(kind == BLOCK_IMMIX))
        mark_lines(t, granule, o->granules);
    tally->objects++;
    tally->bytes += (uint64_t)o->granules * MM_GRANULE_BYTES;
    return good;
}

void trace_mark_only(struct trace *t, struct trace_tally *tally, uint32_t granule)
{
    struct object o;

    if (!try_mark(t, granule))
        return;
    if (settle(t, tally, granule, &o) && o.program->shape != SCAN_LEAF)
        at_store_relaxed(&t->overflowed, 1);
}

/* the stack */

static void push(void *context, uint32_t reference)
{
    struct tracer *r = context;

    if (reference == 0)
        return;
    if (MM_UNLIKELY(object_place(r->t->heap, reference) == BLOCK_UNCOMMITTED))
        r->tally->forged_refs++;
    else if (MM_LIKELY(r->stack->count < PACKET_ITEMS))
        r->stack->items[r->stack->count++] = reference;
    else
        at_store_relaxed(&r->t->overflowed, 1);
}

/* Only what is unmarked: a rescan meets every reference of the heap. */
static void push_unmarked(void *context, uint32_t reference)
{
    struct tracer *r = context;

    if (reference < r->t->heap->granules && !bitmap_test(r->t->marks, reference))
        push(r, reference);
}

static struct packet *try_packet(struct tracer *r, const struct packet_kind *kind)
{
    return r->t->bounded ? NULL : worker_packet_try_new(r->worker, kind);
}

/* Gives away the oldest half: it is the nearest to the roots, so most hangs off it. False: no packet to be had. */
static bool give_half(struct tracer *r)
{
    struct packet *p = r->stack, *half = try_packet(r, r->t->mark);
    uint32_t give = p->count / 2;

    if (half == NULL)
        return false;
    memcpy(half->items, p->items, give * sizeof(p->items[0]));
    half->count = give;
    p->count -= give;
    memmove(p->items, p->items + give, p->count * sizeof(p->items[0]));
    worker_packet_push(r->worker, half);
    return true;
}

/* For @count references. Without packets push() notices when the stack is full. */
static void make_room(struct tracer *r, uint64_t count)
{
    while (MM_UNLIKELY(r->stack->count + count > PACKET_ITEMS) && give_half(r))
        ;
}

/* scanning */

static uint32_t slice_elements(const struct scan_program *p)
{
    return SLICE_REFS / p->element_ref_count; /* at least 2: SHM_TYPE_REFS_MAX */
}

/* Leaves elements [@first, @end) of an array to a packet. False: no packet to be had. */
static bool leave_slice(struct tracer *r, uint32_t granule, const struct scan_program *program,
                        uint32_t first, uint32_t end)
{
    struct packet *p = try_packet(r, r->t->slice);

    if (p == NULL)
        return false;
    p->args[0] = granule;
    p->args[1] = first;
    p->args[2] = end;
    p->args[3] = (uintptr_t)program;
    worker_packet_push(r->worker, p);
    return true;
}

static void scan_array(struct tracer *r, const struct object *o)
{
    uint32_t slice = slice_elements(o->program);

    make_room(r, o->program->ref_count + SLICE_REFS);
    object_each_fixed(r->t->arena, o->granule, o->program, push, r);
    if (o->length <= slice)
        object_each_element(r->t->arena, o->granule, o->program, 0, o->length, push, r);
    else if (!leave_slice(r, o->granule, o->program, 0, o->length))
        at_store_relaxed(&r->t->overflowed, 1);
}

static inline void visit(struct tracer *r, uint32_t granule)
{
    struct object o;

    if (!try_mark(r->t, granule) || !settle(r->t, r->tally, granule, &o) || o.program->shape == SCAN_LEAF)
        return;
    if (MM_UNLIKELY(o.program->shape == SCAN_ARRAY)) {
        scan_array(r, &o);
        return;
    }
    make_room(r, o.program->ref_count);
    object_each_fixed(r->t->arena, granule, o.program, push, r);
}

/* Header and first fields are in two cache lines often enough that fetching both saves a third of the closure: 47 -> 29 ns
 * an object (bench_trace: 4 M nodes of 24 bytes in random order, one worker). */
static inline void fetch(const struct trace *t, uint32_t granule)
{
    foreign_prefetch(t->arena, (size_t)(granule - 1) * MM_GRANULE_BYTES);
    foreign_prefetch(t->arena, (size_t)granule * MM_GRANULE_BYTES + MM_GRANULE_BYTES);
    __builtin_prefetch((const void *)&t->marks[granule / 64]);
}

/* Until the stack and the ring are empty. */
static void drain(struct tracer *r)
{
    struct packet *stack = r->stack;
    uint32_t ring[RING];
    unsigned head = 0, tail = 0, visits = 0;

    for (;;) {
        while (tail - head < RING && stack->count > 0) {
            uint32_t granule = stack->items[--stack->count];
            if (bitmap_test(r->t->marks, granule))
                continue; /* its line is not worth a miss */
            fetch(r->t, granule);
            ring[tail++ % RING] = granule;
        }
        if (head == tail)
            return;
        visit(r, ring[head++ % RING]);
        if (++visits % SHARE_EVERY == 0 && stack->count >= SHARE_MIN && !r->t->bounded &&
            worker_others_idle_racy(r->worker))
            give_half(r);
    }
}

void trace_run_mark(struct trace *t, struct trace_tally *tally, struct worker *w, struct packet *p)
{
    drain(&(struct tracer){ t, tally, w, p });
}

/* The rest of the array goes out first, so that others can have it while this part is traced. */
void trace_run_slice(struct trace *t, struct trace_tally *tally, struct worker *w, struct packet *p)
{
    struct tracer r = { t, tally, w, p };
    uint32_t granule = (uint32_t)p->args[0], at = (uint32_t)p->args[1], end = (uint32_t)p->args[2];
    const struct scan_program *program = (const void *)(uintptr_t)p->args[3];
    uint32_t slice = slice_elements(program);

    for (bool left = false; at < end && !left;) {
        uint32_t stop = end - at > slice ? at + slice : end;
        left = stop < end && leave_slice(&r, granule, program, stop, end);
        object_each_element(t->arena, granule, program, at, stop, push, &r);
        drain(&r);
        at = stop;
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
    object_each_fixed(r->t->arena, granule, o.program, push_unmarked, r);
    drain(r);
    if (o.program->shape != SCAN_ARRAY)
        return;
    uint32_t slice = slice_elements(o.program);
    for (uint32_t at = 0, stop; at < o.length; at = stop) {
        stop = o.length - at > slice ? at + slice : o.length;
        object_each_element(r->t->arena, granule, o.program, at, stop, push_unmarked, r);
        drain(r);
    }
}

static void rescan_blocks(struct tracer *r, uint64_t first, uint64_t end)
{
    for (uint64_t block = first; block < end; block++) {
        enum block_kind kind = blocks_kind(&r->t->heap->blocks, (uint32_t)block);
        uint64_t at = block * MM_BLOCK_GRANULES, stop = at + MM_BLOCK_GRANULES;
        uint64_t room = kind == BLOCK_LARGE ? UINT64_MAX : MM_BLOCK_GRANULES;
        if (!block_kind_in_use(kind))
            continue;
        for (at = bitmap_find_set(r->t->marks, at, stop); at < stop;
             at = bitmap_find_set(r->t->marks, at + 1, stop))
            rescan_object(r, (uint32_t)at, kind, &room);
    }
}

void trace_run_rescan(struct trace *t, struct trace_tally *tally, struct worker *w, struct packet *p)
{
    trace_split_range(w, p, MM_COMMIT_BLOCKS);
    rescan_blocks(&(struct tracer){ t, tally, w, p }, p->args[0], p->args[1]);
}

bool trace_on_drained(struct trace *t, struct trace_tally *tally, struct worker *w)
{
    struct heap *h = t->heap;

    if (at_load_relaxed(&t->overflowed) == 0)
        return false;
    at_store_relaxed(&t->overflowed, 0);
    struct packet *p = worker_packet_try_new(w, t->rescan);
    if (p != NULL) {
        p->args[0] = 0;
        p->args[1] = h->blocks.high;
        worker_packet_push(w, p);
        return true;
    }
    t->bounded = true; /* other heaps have all the packets: this worker does it alone */
    h->spare.count = 0;
    do {
        at_store_relaxed(&t->overflowed, 0);
        rescan_blocks(&(struct tracer){ t, tally, w, &h->spare }, 0, h->blocks.high);
    } while (at_load_relaxed(&t->overflowed) != 0);
    t->bounded = false;
    return false;
}
