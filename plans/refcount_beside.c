/* SPDX-License-Identifier: Apache-2.0 */
/* refcount_beside.c - Refcount, beside clients: what has no references any more is dropped, then its memory is swept.
 *   D1  nobody but these packets writes VO bits and counts while clients run; grants go on: G is closed, and they look at lines alone
 *   D2  dropping and sweeping take turns: nothing is swept before all is dropped, so that headers and fields stand until they are read.
 *       What was dropped is in blocks flagged BLOCK_UNSWEPT, which the sweep has for itself (cycle_sweep.c W1)
 *   D3  the sweep of a trace drops first what is not marked: its references to what is marked are lost, so that R1 holds        */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "plans/heap/bitmap.h"
#include "plans/heap/walk.h"
#include "plans/refcount.h"
#include "plans/room.h"
#include "plans/stage/collection.h"
#include "plans/trace/drop.h"

#define WHOLE_PART 16u                       /* of the heap's limit: less room than that, and nobody waits for a trace */

#define AHEAD 16u                            /* rows whose objects' bits and counts are on their way into the cache */

static void fetch_old(const struct heap *h, uint64_t old)
{
    for (; old != 0; old >>= 32)
        if ((uint32_t)old < h->granules) {
            __builtin_prefetch((const void *)&heap_vo(h)[(uint32_t)old / 64]);
            __builtin_prefetch((const void *)refcount_of(h, (uint32_t)old));
        }
}

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
static const struct packet_kind DROP_RELEASED = { "DROP_RELEASED", STAGE_DROP,  run_released, 512 /* objects */ },
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

    return stage == STAGE_DROP && trace_on_drained(&c->trace, tally_of(w), w, drop_run_rescan);
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
                                 .on_drained = on_drained };

    int r = job_new(ret, engine, &config);
    if (r < 0)
        return r;
    c->workers = engine_workers(engine);
    trace_init(&c->trace, c->heap, c->workers == 1);
    c->trace.objects = &DROP_OBJECTS;
    c->trace.slice = &DROP_SLICE;
    c->trace.rescan = &DROP_RESCAN;
    for (uint32_t block = 0; block < blocks_high(&c->heap->blocks); block++) /* grants do the same */
        at_store_relaxed(&c->heap->meta.charged[block], 0);
    return 0;
}

/* ---- dropping ---- */

static void run_released(struct worker *w, struct packet *p)
{
    struct collection *c = collection_of(w);
    struct tracer r = { &c->trace, tally_of(w), w, p };

    stage_split(w, p);
    for (uint64_t i = p->args[0]; i < p->args[1]; i++) {
        drop_unheld(&r, c->heap->count.released[i]);
        drop_drain(&r);
    }
}

static void run_rows(struct worker *w, struct packet *p)
{
    struct collection *c = collection_of(w);
    struct tracer r = { &c->trace, tally_of(w), w, p };

    stage_split(w, p);
    for (uint64_t i = p->args[0]; i < p->args[1]; i++) {
        uint64_t old = c->heap->count.rows[i].old;
        if (i + AHEAD < p->args[1])
            fetch_old(c->heap, c->heap->count.rows[i + AHEAD].old);
        drop_reference(&r, (uint32_t)old);
        drop_reference(&r, (uint32_t)(old >> 32));
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
    if (!stage_add_range(job, &DROP_RELEASED, 0, count->released_count) || !stage_add_range(job, &LOSE_OLD, 0, count->row_count))
        return -ENOMEM;
    engine_run(engine, job);
    fold(h, job, c.workers);
    count->released_count = count->row_count = 0;
    return 0;
}

void heap_end_count(struct heap *h)
{
    MM_ASSERT(heap_cycle(h) == HEAP_CYCLE_COUNTING);
    h->cycle.swept = (struct sweep_tally){ 0 };
    at_store_relaxed(&h->cycle.state, HEAP_CYCLE_SWEEPING);
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

int refcount_sweep(struct heap *h, struct engine *engine)
{
    struct collection c = { .heap = h };
    uint32_t blocks = blocks_high(&h->blocks);
    MM_AUTO(job) job = NULL;

    int r = make_job(&job, &c, engine);
    if (r < 0)
        return r;
    if (!stage_add_range(job, &DROP_UNMARKED, 0, h->count.tracing ? blocks : 0) || !stage_add_range(job, &SWEEP_DROPPED, 0, blocks))
        return -ENOMEM;
    engine_run(engine, job);
    fold(h, job, c.workers);
    return 0;
}

/* Page runs are few, and their blocks are shared. */
static void sweep_large(struct heap *h, struct sweep_tally *tally)
{
    for (uint32_t block = 0; block < blocks_high(&h->blocks); block++)
        if (blocks_kind(&h->blocks, block) == BLOCK_LARGE && blocks_flag(&h->blocks, block, BLOCK_UNSWEPT))
            large_space_sweep_dropped(h, block, tally);
}

/* ---- the end ---- */

/* A trace, when half of the room that the last one left is gone for good; a whole collection, when hardly any is left. */
static void judge(struct heap *h)
{
    uint64_t used = heap_used_bytes(h) - heap_hole_bytes(h), limit = room_share(h, 1), then = h->count.used_after_trace;

    h->count.trace_next = used > then && used - then > (limit - MM_MIN(then, limit)) / 2;
    h->whole_next = h->count.trace_next && room_free(h) + heap_hole_bytes(h) < room_share(h, WHOLE_PART);
}

/* Back to what comes next: what a trace has kept waiting, or nothing. */
static void settle_state(struct heap *h)
{
    struct refcount *c = &h->count;

    if (c->tracing) {
        c->used_after_trace = heap_used_bytes(h) - heap_hole_bytes(h);
        c->trace_next = false;
        c->tracing = false;
        at_store_relaxed(&h->cycle.state, HEAP_CYCLE_COUNTING);
        return;
    }
    at_store_relaxed(&h->cycle.state, HEAP_CYCLE_NONE);
    judge(h);
}

static void fold_large(struct heap *h, const struct sweep_tally *total)
{
    large_space.after_sweep_stw(h, total);
    for (unsigned kind = 0; kind < BLOCK_KINDS; kind++)
        if (block_kind_has_lines(kind))
            line_blocks_after_dropped(h, kind, total);
}

void refcount_end_cycle(struct heap *h, struct heap_collection *ret)
{
    struct refcount *c = &h->count;
    struct sweep_tally *swept = &h->cycle.swept;

    *ret = h->cycle.sum;
    sweep_large(h, swept);
    fold_large(h, swept);
    blocks_release_swept(&h->blocks, 0, blocks_high(&h->blocks));
    h->live_objects -= MM_MIN(h->live_objects, c->dropped_objects);
    h->live_bytes -= MM_MIN(h->live_bytes, c->dropped_bytes);
    c->dropped_objects = c->dropped_bytes = 0;
    ret->freed_bytes = (uint64_t)MM_MAX(swept->freed_bytes, 0);
    ret->live_objects = h->live_objects;
    ret->live_bytes = h->live_bytes;
    settle_state(h);
    if (h->plan->end_stw != NULL)
        h->plan->end_stw(h);
    at_store_release(&h->meta.header->journal, HEAP_IDLE);
    spaces_assert(h);
}

/* ---- marking ---- */

bool heap_wants_cycle(const struct heap *h)
{
    return h->plan->constraints.concurrent && heap_cycle(h) == HEAP_CYCLE_NONE && !(heap_shares_log(h) && h->log.lost) &&
           (!h->plan->constraints.counts || h->count.trace_next);
}

/* The log is for the next pause that counts; marking has a copy of what is new in it. */
void refcount_take_log(struct heap *h)
{
    struct cycle *cycle = &h->cycle;
    size_t count = h->log.count - h->count.marked_rows;

    if (cycle->row_count > 0) /* not marked yet */
        return;
    if (count > cycle->row_capacity) {
        free(cycle->rows);
        cycle->rows = malloc(count * sizeof(*cycle->rows));
        cycle->row_capacity = cycle->rows == NULL ? 0 : count;
    }
    if (count > cycle->row_capacity) {
        heap_log_lost(h);
        return;
    }
    if (count > 0)
        memcpy(cycle->rows, h->log.rows + h->count.marked_rows, count * sizeof(*cycle->rows));
    cycle->row_count = count;
    cycle->sum.logged_units += count;
    h->count.marked_rows += count;
}
