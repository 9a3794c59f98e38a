/* SPDX-License-Identifier: Apache-2.0 */
/* refcount.c - Refcount: the pauses of plans that count.
 *   R1  between pauses the count of an object with a VO bit is the number of references to it from such objects at the last pause, and
 *       as many more as old values of rows still have; but stuck stays stuck
 *       Without packets for the closure a pause may count some twice: then a whole collection is next
 *   R2  an object without VO bit has a count byte of 0
 *   R3  exactly the fields of old objects that nobody has stored to since the last pause have their log bit set (refcount_arm())
 *   R4  nothing old is moved, but by a whole collection, which counts anew: what is held, released or in a row keeps its address
 *   A lie (a forged row, a reference stored without the barrier) can drop what lives, in the liar's own heap, or keep what does not   */
#include "plans/refcount.h"

#include <errno.h>
#include <string.h>

#include "plans/generational.h"
#include "plans/heap/bitmap.h"
#include "plans/heap/walk.h"
#include "plans/room.h"
#include "plans/schedule.h"
#include "plans/trace/trace.h"
#include "plans/work/store.h"

/* ---- roots and survivors ---- */

void refcount_hold(struct heap *h, uint32_t granule)
{
    if (!h->plan->constraints.counts || (h->young && !bitmap_test(heap_vo(h), granule))) /* R2: it is forged */
        return;
    if ((at_or_relaxed(refcount_of(h, granule), (uint8_t)REFCOUNT_HELD) & REFCOUNT_HELD) == 0)
        h->count.held[at_add_relaxed(&h->count.held_count, 1)] = granule; /* a word each at most */
}

void refcount_stick(const struct heap *h, uint32_t granule)
{
    if (h->plan->constraints.counts)
        at_or_relaxed(refcount_of(h, granule), (uint8_t)REFCOUNT_STUCK);
}

/* Others may set bits of the same lines. */
static void arm(const struct heap *h, uint64_t at, uint64_t end)
{
    while (at < end) {
        uint64_t line = at / MM_LINE_GRANULES, next = MM_MIN(end, (line + 1) * MM_LINE_GRANULES);
        uint32_t ones = next - at == MM_LINE_GRANULES ? UINT32_MAX : (UINT32_C(1) << (next - at)) - 1;
        at_or_relaxed(&h->log.bits[line], ones << at % MM_LINE_GRANULES);
        at_store_relaxed(&h->log.lines[line], 1);
        at = next;
    }
}

void refcount_arm(const struct heap *h, const struct object *o)
{
    arm(h, o->granule, (uint64_t)o->granule + o->granules - 1);
}

/* Nothing old would have to stay behind. */
bool refcount_moves_block(const struct heap *h, uint32_t block, enum block_kind kind)
{
    const uint64_t *lines = (const uint64_t *)(const void *)(h->meta.lines + (size_t)block * MM_BLOCK_LINES);
    uint64_t any = 0;

    if (!h->count.moves_young || kind != BLOCK_IMMIX)
        return false;
    for (unsigned i = 0; i < MM_BLOCK_LINES / 8; i++)
        any |= lines[i];
    return any == 0;
}

/* ---- counting anew ---- */

struct sweeper {
    struct heap *heap;
    struct worker *worker;
    const struct packet_kind *elements;
};

void refcount_clear_block(const struct heap *h, uint32_t block)
{
    memset((void *)refcount_of(h, block * MM_BLOCK_GRANULES), 0, MM_BLOCK_GRANULES / 2);
}

static void count_reference(void *context, uint64_t place, uint32_t reference)
{
    const struct heap *h = context;

    (void)place;
    if (reference != 0 && object_place(h, reference) != BLOCK_UNCOMMITTED && bitmap_test(heap_marks(h), reference))
        refcount_up(h, reference);
}

/* Elements [args[0], args[1]) of an array. */
void refcount_count_elements(struct heap *h, struct worker *w, struct packet *p)
{
    const struct scan_program *program = (const void *)(uintptr_t)p->args[3];
    uint32_t granule = (uint32_t)p->args[2];

    trace_split_range(w, p, p->kind->grain);
    uint64_t from = program->fixed_bytes + p->args[0] * program->element_bytes;
    uint64_t end = program->fixed_bytes + p->args[1] * program->element_bytes;
    arm(h, granule + from / MM_GRANULE_BYTES, granule + (end + MM_GRANULE_BYTES - 1) / MM_GRANULE_BYTES);
    object_each_element(h->arena, granule, program, (uint32_t)p->args[0], (uint32_t)p->args[1], count_reference, h);
}

/* A large array is many packets' work. False: there are none. */
static bool leave_elements(struct worker *w, const struct packet_kind *elements, const struct object *o)
{
    struct packet *p = o->length <= elements->grain ? NULL : worker_packet_try_new(w, elements);

    if (p == NULL)
        return false;
    p->args[0] = 0;
    p->args[1] = o->length;
    p->args[2] = o->granule;
    p->args[3] = (uintptr_t)o->program;
    worker_packet_push(w, p);
    return true;
}

/* @room: what the block's objects may still claim to fill (settle.h T4). */
static void count_object(struct sweeper *s, uint32_t granule, enum block_kind kind, uint64_t *room)
{
    struct heap *h = s->heap;
    struct object o;

    if (!object_load(h, granule, kind, &o) || o.program->shape == SCAN_LEAF)
        return;
    if (o.granules > MM_LINE_GRANULES && o.granules > *room)
        return;
    *room -= o.granules > MM_LINE_GRANULES ? o.granules : 0;
    object_each_fixed(h->arena, granule, o.program, count_reference, h);
    if (o.program->shape == SCAN_ARRAY && leave_elements(s->worker, s->elements, &o)) {
        arm(h, granule, granule + o.program->fixed_bytes / MM_GRANULE_BYTES);
        return;
    }
    refcount_arm(h, &o);
    if (o.program->shape == SCAN_ARRAY)
        object_each_element(h->arena, granule, o.program, 0, o.length, count_reference, h);
}

static void count_block(struct sweeper *s, uint32_t block, enum block_kind kind)
{
    struct heap *h = s->heap;
    uint64_t at = (uint64_t)block * MM_BLOCK_GRANULES, end = at + MM_BLOCK_GRANULES;
    uint64_t room = kind == BLOCK_LARGE ? UINT64_MAX : MM_BLOCK_GRANULES;

    for (at = bitmap_find_set(heap_marks(h), at, end); at < end; at = bitmap_find_set(heap_marks(h), at + 1, end))
        if (object_place(h, (uint32_t)at) != BLOCK_UNCOMMITTED)
            count_object(s, (uint32_t)at, kind, &room);
}

void refcount_block_swept(struct heap *h, struct worker *w, const struct packet_kind *elements, uint32_t block)
{
    enum block_kind kind = blocks_kind(&h->blocks, block);

    if (!h->young && block_kind_in_use(kind))
        count_block(&(struct sweeper){ h, w, elements }, block, kind);
}

/* ---- a collection ---- */

int refcount_reserve_stw(struct heap *h, uint64_t root_words)
{
    struct refcount *c = &h->count;

    if (root_words > c->released_capacity) { /* empty now; it will be held */
        store_free(h->store, c->released);
        c->released = store_alloc(h->store, root_words * sizeof(*c->released));
        c->released_capacity = c->released == NULL ? 0 : root_words;
    }
    return root_words <= c->released_capacity ? 0 : -ENOMEM;
}

void refcount_begin_stw(struct heap *h)
{
    struct refcount *c = &h->count;
    uint32_t *held = c->held;
    size_t capacity = c->held_capacity;

    c->held = c->released;
    c->held_capacity = c->released_capacity;
    c->released = held;
    c->released_capacity = capacity;
    c->released_count = h->young ? at_load_relaxed(&c->held_count) : 0;
    at_store_relaxed(&c->held_count, 0);
    c->row_count = 0;
}

/* What the rows have lost is for later; a whole collection has counted without them. */
void refcount_end_stw(struct heap *h)
{
    struct refcount *c = &h->count;
    struct log *log = &h->log;
    struct logged *rows = c->rows;
    size_t capacity = c->row_capacity;

    h->evacuates = h->defrags = false; /* nothing that goes on beside clients moves anything */
    if (!h->young) {
        refcount_note_looked(h);
        c->inexact = false;
        return;
    }
    c->rows = log->rows;
    c->row_capacity = log->capacity;
    c->row_count = log->count;
    log->rows = rows; /* the room is used again */
    log->capacity = capacity;
}

/* ---- pauses ---- */

static int sweep_all(struct heap *h, struct engine *engine)
{
    int r;

    do
        r = heap_sweep(h, engine);
    while (r == 0 && heap_take_swept(h));
    return r;
}

int refcount_finish_stw(struct heap *h, struct engine *engine)
{
    struct heap_collection unused;
    int r;

    heap_interrupt(h, false);
    r = heap_count(h, engine);
    if (r < 0)
        return r;
    heap_end_count(h);
    r = sweep_all(h, engine);
    if (r == 0)
        heap_end_cycle(h, &unused);
    return r;
}

int refcount_settle_stw(struct heap *h, struct engine *engine, const struct heap_stop *stop)
{
    MM_ASSERT(heap_cycle(h) != HEAP_CYCLE_SWEEPING);
    if (heap_cycle(h) == HEAP_CYCLE_COUNTING && generational_young_stw(h, stop))
        return refcount_finish_stw(h, engine);
    return 0;
}

/* A whole collection has come: counts are forgotten, and with them a trace. */
static void forget_counts(struct heap *h)
{
    h->count.inexact |= heap_cycle(h) == HEAP_CYCLE_COUNTING; /* if it fails: what is forgotten is in the counts */
    refcount_end_trace(h);
    refcount_forget_undone(h);
    at_store_relaxed(&h->cycle.state, HEAP_CYCLE_NONE);
}

/* The pause that a trace begins with, and its last one, count like others. Without memory for it a trace does not begin, or is tried
 * again after the next pause. */
static void trace_in_pause(struct heap *h, struct engine *engine, bool begins, bool ends, struct heap_collection *ret)
{
    h->young = h->evacuates = h->defrags = false;
    if (begins && refcount_begin_trace_stw(h))
        ret->kind = HEAP_PAUSE_INITIAL_MARK;
    h->count.traced_high = h->count.traces ? MM_MAX(h->count.traced_high, blocks_high(&h->blocks)) : h->count.traced_high;
    h->count.last_pause = ends && refcount_finish_mark_stw(h, engine) == 0;
    if (h->count.last_pause)
        ret->kind = HEAP_PAUSE_FINAL_MARK;
}

int refcount_collect_stw(struct heap *h, struct engine *engine, const struct heap_stop *stop, struct heap_collection *ret)
{
    bool young = generational_young_stw(h, stop), traced = h->count.traces; /* what was dropped may not have been enough */
    bool begins = heap_cycle(h) == HEAP_CYCLE_CLEARED && young, ends = traced && gray_is_empty(&h->count.gray);

    if (!young)
        forget_counts(h);
    int r = schedule_collect_stw(h, engine, stop, ret);
    if (r < 0) {
        h->young = h->evacuates = h->defrags = false; /* a trace may go on */
        return r;
    }
    ret->counts = ret->kind == HEAP_PAUSE_REFCOUNT;
    ret->fell_back = traced && !ret->counts && !(stop->whole || stop->full_heap || stop->emergency);
    if (ret->counts) {
        trace_in_pause(h, engine, begins, ends, ret);
        at_store_relaxed(&h->cycle.state, HEAP_CYCLE_COUNTING);
    }
    h->cycle.sum = *ret;
    return 0;
}

void refcount_init(struct refcount *c, struct store *store)
{
    gray_init(&c->gray, store);
    gray_init(&c->undone, store);
}

void refcount_fini(struct refcount *c, struct store *store)
{
    store_free(store, c->held);
    store_free(store, c->released);
    store_free(store, c->rows);
    gray_taken_fini(&c->taken, store);
    gray_taken_fini(&c->redone, store);
    gray_fini(&c->gray);
    gray_fini(&c->undone);
    *c = (struct refcount){ 0 };
}
