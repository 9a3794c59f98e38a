/* SPDX-License-Identifier: Apache-2.0 */
/* refcount_trace.c - Refcount, its traces: what counts never find is found by marking beside clients, while counting goes on.
 *   T1  the snapshot is what old objects reach from what is held, and from the immortal ones, when the pause is over that begins the trace.
 *       Each of them is marked, or reached from something gray (trace/gray.h): fields that change, and what is dropped, are seen to:
 *   T2  what stood in a field that was logged is gray, when the pause after has looked at the log
 *   T3  what is dropped before it was marked leaves what it refers to gray; so does it if it was marked, and some of its references
 *       may still be in a slice, or left to a rescan. Marking and dropping never run at once
 *   T4  what becomes old while the trace is active is marked then (trace.h: also)
 *   T5  when nothing is gray the next pause is the last: what its log has is marked within it, and what is unmarked then is nobody's.
 *       It goes before the next sweep, and what it referred to loses those references
 *   T6  a whole collection, and a log that is incomplete, end the trace without result
 *   Marks are a bitmap of their own: pauses and their sweeps need the two that other plans have                              */
#include <errno.h>
#include <string.h>

#include "plans/heap/bitmap.h"
#include "plans/heap/walk.h"
#include "plans/refcount.h"
#include "plans/stage/collection.h"
#include "plans/trace/stack.h"

static void run_clear(struct worker *w, struct packet *p);
static void run_gray(struct worker *w, struct packet *p);
static void run_slices(struct worker *w, struct packet *p);
static void run_immortal(struct worker *w, struct packet *p);
static void run_rows(struct worker *w, struct packet *p);

enum { STAGE_CLEAR, STAGE_ROOTS, STAGE_CLOSURE, STAGES };
static const char *const stage_names[STAGES] = { "clear", "roots", "closure" };

/* clang-format off */
static const struct packet_kind CLEAR_TRACED  = { "CLEAR_TRACED",  STAGE_CLEAR,   run_clear,    256 /* blocks */ },
                                MARK_GRAY     = { "MARK_GRAY",     STAGE_CLOSURE, run_gray,     512 /* objects */ },
                                RESUME_SLICES = { "RESUME_SLICES", STAGE_ROOTS,   run_slices,    64 /* slices */ },
                                SCAN_IMMORTAL = { "SCAN_IMMORTAL", STAGE_ROOTS,   run_immortal,  16 /* blocks */ },
                                MARK_OLD      = { "MARK_OLD",      STAGE_ROOTS,   run_rows,     256 /* rows */ },
                                MARK_OBJECTS  = { "MARK_OBJECTS",  STAGE_CLOSURE, stage_objects,  0 /* a packet */ },
                                SCAN_SLICE    = { "SCAN_SLICE",    STAGE_CLOSURE, stage_slice,    0 /* 512 references */ },
                                RESCAN_BLOCKS = { "RESCAN_BLOCKS", STAGE_CLOSURE, stage_rescan,   0 /* 64 blocks */ };
/* clang-format on */

/* ---- a run ---- */

static bool on_drained(struct job *job, struct worker *w, uint32_t stage)
{
    struct collection *c = job_context(job);

    if (stage != STAGE_CLOSURE || gray_interrupted(&c->heap->count.gray))
        return false;
    return trace_on_drained(&c->trace, tally_of(w), w, mark_run_rescan);
}

static int make_job(struct job **ret, struct collection *c, struct engine *engine)
{
    struct job_config config = { .name = "trace",
                                 .stage_names = stage_names,
                                 .stages = STAGES,
                                 .context = c,
                                 .worker_local_bytes = sizeof(struct share),
                                 .on_drained = on_drained,
                                 .timeline = c->heap->timeline };

    int r = job_new(ret, engine, &config);
    if (r < 0)
        return r;
    c->workers = engine_workers(engine);
    trace_init_traced(&c->trace, c->heap, c->workers == 1);
    c->trace.objects = &MARK_OBJECTS;
    c->trace.slice = &SCAN_SLICE;
    c->trace.rescan = &RESCAN_BLOCKS;
    return 0;
}

/* ---- making ready ---- */

/* Free ones as well: what is granted there may become old before the trace is over. */
static void run_clear(struct worker *w, struct packet *p)
{
    struct heap *h = collection_of(w)->heap;

    stage_split(w, p);
    bitmap_clear_range(h->meta.traced, p->args[0] * MM_BLOCK_GRANULES, p->args[1] * MM_BLOCK_GRANULES);
    for (uint64_t block = p->args[0]; block < p->args[1]; block++)
        at_store_relaxed(&h->meta.traced_charge[block], 0);
}

int refcount_clear_traced(struct heap *h, struct engine *engine)
{
    struct collection c = { .heap = h };
    MM_AUTO(job) job = NULL;

    int r = make_job(&job, &c, engine);
    if (r < 0)
        return r;
    if (!stage_add_range(job, &CLEAR_TRACED, 0, h->count.traced_high)) /* beyond that nothing was ever marked */
        return -ENOMEM;
    engine_run(engine, job);
    return 0;
}

/* ---- marking ---- */

static bool is_old(const struct heap *h, uint32_t granule)
{
    return granule != 0 && object_place(h, granule) != BLOCK_UNCOMMITTED && bitmap_test(heap_vo(h), granule);
}

bool refcount_is_unmarked(const struct heap *h, uint32_t granule)
{
    return is_old(h, granule) && !bitmap_test(h->meta.traced, granule);
}

/* As what is on a stack. Where there is no object any more there is no VO bit, and that is asked first. If this is interrupted before
 * it has begun, all of it goes back at once. */
static void run_gray(struct worker *w, struct packet *p)
{
    struct collection *c = collection_of(w);
    const uint32_t *items = c->heap->count.taken.items;

    if (!gray_interrupted(&c->heap->count.gray) || !gray_add(&c->heap->count.gray, items + p->args[0], p->args[1] - p->args[0])) {
        stage_split(w, p);
        for (uint64_t at = p->args[0], end; at < p->args[1]; at = end) { /* all of it, if there were no packets to split it */
            end = MM_MIN(at + MARK_GRAY.grain, p->args[1]);
            p->count = (uint32_t)(end - at);
            memcpy(p->items, items + at, p->count * sizeof(*items));
            mark_run_objects(&c->trace, tally_of(w), w, p);
        }
    }
}

static void mark_reference(void *context, uint64_t place, uint32_t reference)
{
    struct tracer *r = context;

    (void)place;
    if (refcount_is_unmarked(r->t->heap, reference))
        mark_root(r, reference);
}

/* Its array may be gone, and another object in its place: then what that refers to is kept, no more. */
static void resume_slice(struct tracer *r, const struct gray_slice *s)
{
    const struct heap *h = r->t->heap;
    enum block_kind kind = object_place(h, s->granule);
    struct object o;

    if (!is_old(h, s->granule) || !object_load(h, s->granule, kind, &o) || o.program->shape != SCAN_ARRAY)
        return;
    uint32_t end = MM_MIN(s->end, o.length), at = MM_MIN(s->at, end);
    if (at < end && !stack_leave_slice(r, o.granule, o.program, at, end))
        object_each_element(h->arena, o.granule, o.program, at, end, mark_reference, r);
}

static void run_slices(struct worker *w, struct packet *p)
{
    struct collection *c = collection_of(w);
    struct tracer r = { &c->trace, tally_of(w), w, NULL };

    stage_split(w, p);
    for (uint64_t i = p->args[0]; i < p->args[1]; i++)
        resume_slice(&r, &c->heap->count.taken.slices[i]);
    trace_roots_end(&r);
}

static void mark_immortals(struct heap *h, struct tracer *r, uint32_t block)
{
    uint64_t at = (uint64_t)block * MM_BLOCK_GRANULES, end = at + MM_BLOCK_GRANULES;

    for (at = bitmap_find_set(heap_vo(h), at, end); at < end; at = bitmap_find_set(heap_vo(h), at + 1, end))
        if (object_place(h, (uint32_t)at) != BLOCK_UNCOMMITTED)
            mark_root(r, (uint32_t)at);
}

static void run_immortal(struct worker *w, struct packet *p)
{
    struct collection *c = collection_of(w);
    struct tracer r = { &c->trace, tally_of(w), w, NULL };

    stage_split(w, p);
    for (uint32_t block = (uint32_t)p->args[0]; block < p->args[1]; block++)
        if (blocks_kind(&c->heap->blocks, block) == BLOCK_IMMORTAL)
            mark_immortals(c->heap, &r, block);
    trace_roots_end(&r);
}

static void run_rows(struct worker *w, struct packet *p)
{
    struct collection *c = collection_of(w);
    struct tracer r = { &c->trace, tally_of(w), w, NULL };

    stage_split(w, p);
    for (uint64_t i = p->args[0]; i < p->args[1]; i++) {
        mark_reference(&r, 0, (uint32_t)c->heap->count.rows[i].old);
        mark_reference(&r, 0, (uint32_t)(c->heap->count.rows[i].old >> 32));
    }
    trace_roots_end(&r);
}

static bool add_packets(struct heap *h, struct job *job, size_t rows)
{
    const struct refcount *c = &h->count;

    return stage_add_range(job, &MARK_GRAY, 0, c->taken.count) && stage_add_range(job, &RESUME_SLICES, 0, c->taken.slice_count) &&
           stage_add_range(job, &SCAN_IMMORTAL, 0, c->immortals_marked ? 0 : blocks_high(&h->blocks)) &&
           stage_add_range(job, &MARK_OLD, 0, rows);
}

static int run(struct heap *h, struct engine *engine, size_t rows)
{
    struct collection c = { .heap = h };
    MM_AUTO(job) job = NULL;

    int r = make_job(&job, &c, engine);
    if (r < 0)
        return r;
    at_store_relaxed(&c.trace.overflowed, h->count.gray.rescan);
    gray_swap(&h->count.gray, &h->count.taken);
    if (!add_packets(h, job, rows)) {
        gray_swap(&h->count.gray, &h->count.taken); /* back */
        return -ENOMEM;
    }
    engine_run(engine, job);
    h->count.taken.count = h->count.taken.slice_count = 0;
    h->count.immortals_marked = true;
    h->count.gray.rescan = at_load_relaxed(&c.trace.overflowed) != 0;
    return 0;
}

int refcount_mark(struct heap *h, struct engine *engine)
{
    return run(h, engine, 0);
}

int refcount_finish_mark_stw(struct heap *h, struct engine *engine)
{
    at_store_relaxed(&h->count.gray.interrupted, 0);
    return run(h, engine, h->count.row_count);
}

/* ---- life ---- */

bool refcount_begin_trace_stw(struct heap *h)
{
    struct refcount *c = &h->count;

    gray_clear(&c->gray);
    c->traces = gray_add(&c->gray, c->held, at_load_relaxed(&c->held_count));
    c->last_pause = c->immortals_marked = false;
    c->fresh = true;
    at_store_relaxed(&c->gray.interrupted, 0);
    return c->traces;
}

void refcount_end_trace(struct heap *h)
{
    h->count.traces = h->count.last_pause = false;
    gray_clear(&h->count.gray);
}

/* Its last pause cannot come as long as some roots are not known. */
void refcount_give_up_trace(struct heap *h)
{
    refcount_end_trace(h);
    at_store_relaxed(&h->cycle.state, HEAP_CYCLE_NONE);
}

/* ---- what is dropped meanwhile ---- */

void refcount_gray(struct heap *h, uint32_t granule)
{
    if (refcount_is_unmarked(h, granule) && !gray_add(&h->count.gray, &granule, 1))
        at_store_relaxed(&h->count.gray.lost, 1);
}
