/* SPDX-License-Identifier: Apache-2.0 */
/* refcount_beside.c - Refcount, beside clients: what has no references any more is dropped, then its memory is swept.
 *   D1  nobody but these packets writes VO bits and counts while clients run; grants go on: G is closed, and they look at lines alone
 *   D2  dropping and sweeping take turns: nothing is swept before all is dropped, so that headers and fields stand until they are read.
 *       What was dropped is in blocks flagged BLOCK_UNSWEPT, which the sweep has for itself (cycle_sweep.c W1)
 *   D3  the sweep after a trace's last pause drops first what is not marked: its references to what is marked are lost, so that R1
 *       holds, and what had no others goes, too
 *   D4  dropping may be interrupted: what is dropped and not looked at is left (trace/gray.h), and looked at before anything is swept, and
 *       before the next pause counts      */
#include <errno.h>
#include <string.h>

#include "plans/heap/bitmap.h"
#include "plans/heap/walk.h"
#include "plans/refcount.h"
#include "plans/room.h"
#include "plans/stage/collection.h"
#include "plans/trace/drop.h"

#define WHOLE_PART 16u                       /* of the heap's limit: less room than that, and nobody waits for a trace */
#define SWEEP_PART_MAX 4096u                 /* blocks, 128 MiB: about a millisecond, since only metadata is looked at */
#define SWEEP_PARTS 4u                       /* of a small heap: about so many */

#define AHEAD 16u                            /* rows whose objects' bits and counts are on their way into the cache */

static void fetch_old(const struct heap *h, uint64_t old)
{
    for (; old != 0; old >>= 32)
        if ((uint32_t)old < h->granules) {
            __builtin_prefetch((const void *)&heap_vo(h)[(uint32_t)old / 64]);
            __builtin_prefetch((const void *)refcount_of(h, (uint32_t)old));
        }
}

static void run_undone(struct worker *w, struct packet *p);
static void run_undone_slices(struct worker *w, struct packet *p);
static void run_released(struct worker *w, struct packet *p);
static void run_rows(struct worker *w, struct packet *p);
static void run_objects(struct worker *w, struct packet *p);
static void run_slice(struct worker *w, struct packet *p);
static void run_rescan(struct worker *w, struct packet *p);
static void run_unmarked(struct worker *w, struct packet *p);
static void run_sweep(struct worker *w, struct packet *p);

enum { STAGE_DROP, STAGE_SWEEP, STAGES };
static const char *const stage_names[STAGES] = { "drop", "sweep" };

/* clang-format off */
static const struct packet_kind DROP_UNDONE   = { "DROP_UNDONE",   STAGE_DROP,  run_undone,   256 /* objects */ },
                                UNDONE_SLICES = { "UNDONE_SLICES", STAGE_DROP,  run_undone_slices, 1 /* slice */ },
                                DROP_RELEASED = { "DROP_RELEASED", STAGE_DROP,  run_released, 512 /* objects */ },
                                LOSE_OLD      = { "LOSE_OLD",      STAGE_DROP,  run_rows,     256 /* rows */ },
                                DROP_OBJECTS  = { "DROP_OBJECTS",  STAGE_DROP,  run_objects,    0 /* a packet */ },
                                DROP_SLICE    = { "DROP_SLICE",    STAGE_DROP,  run_slice,      0 /* 512 references */ },
                                DROP_RESCAN   = { "DROP_RESCAN",   STAGE_DROP,  run_rescan,     0 /* 64 blocks */ },
                                DROP_UNMARKED = { "DROP_UNMARKED", STAGE_DROP,  run_unmarked,  64 /* blocks */ },
                                SWEEP_DROPPED = { "SWEEP_DROPPED", STAGE_SWEEP, run_sweep,     64 /* blocks */ };
/* clang-format on */

/* ---- a run ---- */

static bool on_drained(struct job *job, struct worker *w, uint32_t stage)
{
    struct collection *c = job_context(job);

    return stage == STAGE_DROP && !drop_interrupted(&c->trace) && trace_on_drained(&c->trace, tally_of(w), w, drop_run_rescan);
}

static void fold(struct heap *h, struct job *job, unsigned workers)
{
    for (unsigned i = 0; i < workers; i++) {
        const struct share *s = job_worker_local(job, i);
        h->count.dropped_objects += s->trace.objects;
        h->count.dropped_bytes += s->trace.bytes;
        stage_fold_sweep(&h->cycle.swept, &s->sweep);
    }
}

/* A new job, and what its packets share. */
static int make_job(struct job **ret, struct collection *c, struct engine *engine)
{
    struct job_config config = { .name = "drop",
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
    trace_init(&c->trace, c->heap, c->workers == 1);
    c->trace.objects = &DROP_OBJECTS;
    c->trace.slice = &DROP_SLICE;
    c->trace.rescan = &DROP_RESCAN;
    const struct refcount *count = &c->heap->count;
    c->trace.gray = count->traces && !count->fresh && !count->last_pause ? &c->heap->count.gray : NULL;
    return 0;
}

/* Before anything is dropped. Grants do the same. */
static void clear_charges(struct heap *h)
{
    for (uint32_t block = 0; block < blocks_high(&h->blocks); block++)
        at_store_relaxed(&h->meta.charged[block], 0);
}

/* ---- dropping ---- */

/* What an interrupted run has left. Another interruption leaves the rest of it to the next. */
static void run_undone(struct worker *w, struct packet *p)
{
    struct collection *c = collection_of(w);
    struct tracer r = { &c->trace, tally_of(w), w, p };
    const uint32_t *items = c->heap->count.redone.items;

    stage_split(w, p);
    for (uint64_t i = p->args[0]; i < p->args[1]; i++) {
        if (drop_interrupted(r.t) && gray_add(r.t->undone, items + i, p->args[1] - i))
            return;
        drop_resume(&r, items[i]);
    }
}

static void run_undone_slices(struct worker *w, struct packet *p)
{
    struct collection *c = collection_of(w);
    struct tracer r = { &c->trace, tally_of(w), w, p };

    stage_split(w, p);
    for (uint64_t i = p->args[0]; i < p->args[1]; i++)
        drop_resume_slice(&r, &c->heap->count.redone.slices[i]);
}

static void run_released(struct worker *w, struct packet *p)
{
    struct collection *c = collection_of(w);
    struct tracer r = { &c->trace, tally_of(w), w, p };

    stage_split(w, p);
    for (uint64_t i = p->args[0]; i < p->args[1] && !drop_interrupted(r.t); i++) {
        drop_unheld(&r, c->heap->count.released[i]); /* twice does no harm */
        drop_drain(&r);
    }
}

static void lose_old(struct tracer *r, uint32_t granule)
{
    drop_reference(r, granule);
    if (r->t->gray != NULL)
        refcount_gray(r->t->heap, granule); /* refcount_trace.c T2, T3 */
}

static void run_rows(struct worker *w, struct packet *p)
{
    struct collection *c = collection_of(w);
    struct tracer r = { &c->trace, tally_of(w), w, p };

    stage_split(w, p);
    for (uint64_t i = p->args[0]; i < p->args[1] && !drop_interrupted(r.t); i++) {
        uint64_t old = c->heap->count.rows[i].old;
        c->heap->count.rows[i].old = 0;
        if (i + AHEAD < p->args[1])
            fetch_old(c->heap, c->heap->count.rows[i + AHEAD].old);
        lose_old(&r, (uint32_t)old);
        lose_old(&r, (uint32_t)(old >> 32));
        if (i % AHEAD == AHEAD - 1) /* by then the first of them are in the cache */
            drop_drain(&r);
    }
    drop_drain(&r);
}

static void run_objects(struct worker *w, struct packet *p)
{
    drop_run_objects(&collection_of(w)->trace, tally_of(w), w, p);
}

static void run_slice(struct worker *w, struct packet *p)
{
    drop_run_slice(&collection_of(w)->trace, tally_of(w), w, p);
}

static void run_rescan(struct worker *w, struct packet *p)
{
    drop_run_rescan(&collection_of(w)->trace, tally_of(w), w, p);
}

int heap_count(struct heap *h, struct engine *engine)
{
    struct refcount *count = &h->count;
    struct collection c = { .heap = h };
    MM_AUTO(job) job = NULL;

    MM_ASSERT(heap_cycle(h) == HEAP_CYCLE_COUNTING);
    int r = make_job(&job, &c, engine);
    if (r < 0)
        return r;
    clear_charges(h);
    c.trace.undone = &count->undone;
    at_store_relaxed(&c.trace.overflowed, count->undone.rescan);
    gray_swap(&count->undone, &count->redone);
    if (!stage_add_range(job, &DROP_UNDONE, 0, count->redone.count) || !stage_add_range(job, &UNDONE_SLICES, 0, count->redone.slice_count) ||
        !stage_add_range(job, &DROP_RELEASED, 0, count->released_count) || !stage_add_range(job, &LOSE_OLD, 0, count->row_count)) {
        gray_swap(&count->undone, &count->redone);
        return -ENOMEM;
    }
    engine_run(engine, job);
    fold(h, job, c.workers);
    count->redone.count = count->redone.slice_count = 0;
    count->undone.rescan = at_load_relaxed(&c.trace.overflowed) != 0;
    count->unfinished = gray_interrupted(&count->undone);
    if (!count->unfinished)
        count->released_count = count->row_count = 0;
    return 0;
}

void refcount_forget_undone(struct heap *h)
{
    gray_clear(&h->count.undone);
    h->count.dropped_objects = h->count.dropped_bytes = 0; /* all that lives is counted by who does this */
    h->count.unfinished = false;
}

static void begin_sweep(struct heap *h)
{
    h->cycle.swept = (struct sweep_tally){ 0 };
    h->cycle.freed_bytes = 0;
    h->cycle.swept_end = h->cycle.part_end = 0;
    h->count.unmarked_dropped = !h->count.last_pause;
    at_store_relaxed(&h->cycle.state, HEAP_CYCLE_SWEEPING);
}

void heap_end_count(struct heap *h)
{
    MM_ASSERT(heap_cycle(h) == HEAP_CYCLE_COUNTING && heap_counted(h));
    h->count.fresh = false;
    begin_sweep(h);
}

/* ---- sweeping ---- */

static void run_unmarked(struct worker *w, struct packet *p)
{
    struct collection *c = collection_of(w);
    struct tracer r = { &c->trace, tally_of(w), w, p };

    stage_split(w, p);
    for (uint32_t block = (uint32_t)p->args[0]; block < p->args[1]; block++)
        if (block_kind_in_use(blocks_kind(&c->heap->blocks, block)))
            drop_unmarked(&r, block);
}

static void run_sweep(struct worker *w, struct packet *p)
{
    struct heap *h = collection_of(w)->heap;
    struct share *share = worker_local(w);

    stage_split(w, p);
    for (uint32_t block = (uint32_t)p->args[0]; block < p->args[1]; block++)
        if (blocks_flag(&h->blocks, block, BLOCK_UNSWEPT) && block_kind_has_lines(blocks_kind(&h->blocks, block)))
            line_blocks_sweep_dropped(h, block, &share->sweep);
}

static int run_range(struct heap *h, struct engine *engine, const struct packet_kind *kind, uint32_t from, uint32_t end)
{
    struct collection c = { .heap = h };
    MM_AUTO(job) job = NULL;

    int r = make_job(&job, &c, engine);
    if (r < 0)
        return r;
    if (!stage_add_range(job, kind, from, end))
        return -ENOMEM;
    engine_run(engine, job);
    fold(h, job, c.workers);
    return 0;
}

int refcount_sweep(struct heap *h, struct engine *engine)
{
    struct cycle *cycle = &h->cycle;
    uint32_t blocks = blocks_high(&h->blocks), part = MM_MIN(blocks / SWEEP_PARTS + 1, SWEEP_PART_MAX);
    uint32_t end = MM_MIN(cycle->swept_end + part, blocks);
    int r = 0;

    if (!h->count.unmarked_dropped) { /* D2 */
        clear_charges(h);
        r = run_range(h, engine, &DROP_UNMARKED, 0, blocks);
        h->count.unmarked_dropped = r == 0;
    }
    if (r == 0)
        r = run_range(h, engine, &SWEEP_DROPPED, cycle->swept_end, end);
    if (r == 0)
        cycle->part_end = end;
    return r;
}

bool refcount_take_swept(struct heap *h)
{
    struct cycle *cycle = &h->cycle;

    line_blocks_take_dropped(h, cycle->swept_end, cycle->part_end, &cycle->swept);
    blocks_release_swept(&h->blocks, cycle->swept_end, cycle->part_end);
    cycle->freed_bytes += cycle->swept.freed_bytes;
    cycle->swept = (struct sweep_tally){ 0 };
    cycle->swept_end = cycle->part_end;
    return cycle->swept_end < blocks_high(&h->blocks);
}

/* Page runs are few, and their blocks are shared. */
static void sweep_large(struct heap *h, struct sweep_tally *tally)
{
    for (uint32_t block = 0; block < blocks_high(&h->blocks); block++)
        if (blocks_kind(&h->blocks, block) == BLOCK_LARGE && blocks_flag(&h->blocks, block, BLOCK_UNSWEPT))
            large_space_sweep_dropped(h, block, tally);
}

/* ---- the end ---- */

static uint64_t above(uint64_t a, uint64_t b)
{
    return a > b ? a - b : 0;
}

/* A trace, when what counts take for alive has grown so much since the last one that, with the gaps between it, half of the room left
 * then is gone. Gaps alone bring none: it would find nothing in them. A whole collection, which moves, when hardly any room is left,
 * and there was more. */
static void judge(struct heap *h)
{
    const struct refcount *c = &h->count;
    uint64_t used = heap_used_bytes(h) - heap_hole_bytes(h), half = above(room_share(h, 1), c->used_after_trace) / 2;
    double grown = (double)above(h->live_bytes, c->live_after_trace) * ((double)used / (double)MM_MAX(h->live_bytes, 1u));

    h->count.trace_next = grown > (double)half;
    h->whole_next = above(used, c->used_after_trace) > half && room_free(h) + heap_hole_bytes(h) < room_share(h, WHOLE_PART);
}

void refcount_note_looked(struct heap *h)
{
    h->count.used_after_trace = heap_used_bytes(h) - heap_hole_bytes(h);
    h->count.live_after_trace = h->live_bytes;
    h->count.trace_next = false;
}

/* Back to what comes next: marking, or nothing. */
static void settle_state(struct heap *h)
{
    struct refcount *c = &h->count;

    if (c->last_pause || at_load_relaxed(&c->gray.lost) != 0) {
        if (c->last_pause)
            refcount_note_looked(h);
        refcount_end_trace(h);
    }
    at_store_relaxed(&h->cycle.state, c->traces ? HEAP_CYCLE_MARKING : HEAP_CYCLE_NONE);
    judge(h);
}

void refcount_end_cycle(struct heap *h, struct heap_collection *ret)
{
    struct refcount *c = &h->count;
    struct sweep_tally large = { 0 };

    (void)refcount_take_swept(h); /* the last part */
    *ret = h->cycle.sum;
    sweep_large(h, &large);
    large_space.after_sweep_stw(h, &large);
    blocks_release_swept(&h->blocks, 0, blocks_high(&h->blocks));
    h->live_objects -= MM_MIN(h->live_objects, c->dropped_objects);
    h->live_bytes -= MM_MIN(h->live_bytes, c->dropped_bytes);
    c->dropped_objects = c->dropped_bytes = 0;
    ret->freed_bytes = (uint64_t)MM_MAX(h->cycle.freed_bytes + large.freed_bytes, 0);
    ret->live_objects = h->live_objects;
    ret->live_bytes = h->live_bytes;
    settle_state(h);
    if (h->plan->end_stw != NULL)
        h->plan->end_stw(h);
    at_store_release(&h->meta.header->journal, HEAP_IDLE);
    spaces_assert(h);
}

bool heap_wants_cycle(const struct heap *h)
{
    return h->plan->constraints.concurrent && heap_cycle(h) == HEAP_CYCLE_NONE &&
           (!h->plan->constraints.counts || h->count.trace_next);
}
