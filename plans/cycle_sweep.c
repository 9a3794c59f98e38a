/* SPDX-License-Identifier: Apache-2.0 */
/* cycle_sweep.c - Cycle, its sweep: what marking has left unmarked is free, part by part.
 *   W1  the sweep has the blocks that had lines in use when all was marked (BLOCK_UNSWEPT) for itself, part by part: grants take free
 *       blocks, and holes of parts that have been taken back (heap_take_swept()); until then what is freed is SWEPT. So nobody waits
 *       for all of it
 *   W2  page runs are swept in heap_end_cycle(), all of them: they are few, and their blocks are shared. One is RUN_NEW that was
 *       granted, or untaken, after the first stop, and in no other time                     the rest: cycle.c, whose Y1 to Y4 hold */
#include "plans/cycle.h"

#include <errno.h>
#include <string.h>

#include "plans/generational.h"
#include "plans/heap/state.h"
#include "plans/refcount.h"
#include "plans/stage/collection.h"

static void run_sweep(struct worker *w, struct packet *p);

static const char *const stage_names[] = { "sweep" };
static const struct packet_kind SWEEP_BLOCKS = { "SWEEP_BLOCKS", 0, run_sweep, 64 /* blocks */ };

#define SWEEP_PART_MAX 1024u /* blocks, 32 MiB: half a millisecond */
#define SWEEP_PARTS 16u      /* of a small heap: about so many */

/* Holes are counted anew, part by part. */
void cycle_begin_sweep(struct heap *h)
{
    memset(h->holes, 0, sizeof(h->holes));
    h->cycle.part_end = h->cycle.swept_end = 0;
    at_store_relaxed(&h->cycle.state, HEAP_CYCLE_SWEEPING);
}

/* In the stop, as STW collections do it. */
int cycle_sweep_stw(struct heap *h, struct engine *engine, struct heap_collection *ret)
{
    struct heap_collection cycle;
    int r;

    do
        r = heap_sweep(h, engine);
    while (r == 0 && heap_take_swept(h));
    if (r == 0) {
        heap_end_cycle(h, &cycle);
        ret->freed_bytes = cycle.freed_bytes;
        ret->live_objects = cycle.live_objects;
        ret->live_bytes = cycle.live_bytes;
    }
    return r;
}

/* ---- a part ---- */

struct swept { /* one worker's */
    struct sweep_tally sweep;
    struct cycle_found found;
};

static void fold(struct cycle *cycle, const struct swept *s)
{
    stage_fold_sweep(&cycle->swept, &s->sweep);
    cycle->sum.live_objects += s->found.objects;
    for (unsigned kind = 0; kind < BLOCK_KINDS; kind++) {
        cycle->sum.live_bytes += s->found.kind_bytes[kind];
        cycle->kind_bytes[kind] += s->found.kind_bytes[kind];
    }
}

static int run(struct heap *h, struct engine *engine, uint64_t from, uint64_t end)
{
    struct collection c = { .heap = h, .workers = engine_workers(engine) };
    struct job_config config = { .name = "sweep",
                                 .stage_names = stage_names,
                                 .stages = 1,
                                 .context = &c,
                                 .worker_local_bytes = sizeof(struct swept),
                                 .timeline = h->timeline };
    MM_AUTO(job) job = NULL;

    int r = job_new(&job, engine, &config);
    if (r < 0)
        return r;
    if (!stage_add_range(job, &SWEEP_BLOCKS, from, end))
        return -ENOMEM;
    engine_run(engine, job);
    for (unsigned i = 0; i < c.workers; i++)
        fold(&h->cycle, job_worker_local(job, i));
    return 0;
}

static void run_sweep(struct worker *w, struct packet *p)
{
    struct heap *h = collection_of(w)->heap;
    struct swept *share = worker_local(w);

    stage_split(w, p);
    for (uint32_t block = (uint32_t)p->args[0]; block < p->args[1]; block++) {
        enum block_kind kind = blocks_kind(&h->blocks, block);
        if (!block_kind_has_lines(kind) || !blocks_flag(&h->blocks, block, BLOCK_UNSWEPT))
            continue;
        if (h->cycle.promotes)
            cycle_promote_swept(h, block, &share->found);
        space_of(kind)->sweep_block(h, block, &share->sweep);
    }
}

int heap_sweep(struct heap *h, struct engine *engine)
{
    MM_ASSERT(heap_cycle(h) == HEAP_CYCLE_SWEEPING);
    if (h->plan->constraints.counts)
        return refcount_sweep(h, engine);
    struct cycle *cycle = &h->cycle;
    uint32_t high = blocks_high(&h->blocks), part = MM_MIN(high / SWEEP_PARTS + 1, SWEEP_PART_MAX);
    uint32_t end = MM_MIN(cycle->swept_end + part, high);

    int r = run(h, engine, cycle->swept_end, end);
    if (r == 0)
        cycle->part_end = end;
    return r;
}

/* ---- taken back ---- */

/* What @h->cycle.swept counts is the heap's. */
static void take_back(struct heap *h)
{
    struct cycle *cycle = &h->cycle;

    for (size_t i = 0; i < PLAN_SPACES_MAX && h->plan->spaces[i] != NULL; i++)
        h->plan->spaces[i]->after_sweep_stw(h, &cycle->swept);
    blocks_release_swept(&h->blocks, cycle->swept_end, cycle->part_end);
    cycle->freed_bytes += cycle->swept.freed_bytes;
    cycle->swept = (struct sweep_tally){ 0 };
    cycle->swept_end = cycle->part_end;
}

bool heap_take_swept(struct heap *h)
{
    if (h->plan->constraints.counts)
        return refcount_take_swept(h);
    take_back(h);
    return h->cycle.swept_end < blocks_high(&h->blocks);
}

/* ---- the end ---- */

static void sweep_large(struct heap *h, struct sweep_tally *tally)
{
    for (uint32_t block = 0; block < blocks_high(&h->blocks); block++)
        if (blocks_kind(&h->blocks, block) == BLOCK_LARGE)
            large_space.sweep_block(h, block, tally);
}

void heap_end_cycle(struct heap *h, struct heap_collection *ret)
{
    struct cycle *cycle = &h->cycle;

    if (h->plan->constraints.counts) {
        refcount_end_cycle(h, ret);
        return;
    }
    sweep_large(h, &cycle->swept);
    take_back(h);
    blocks_release_swept(&h->blocks, 0, blocks_high(&h->blocks)); /* of page runs */
    at_store_relaxed(&h->meta.header->vo, heap_vo_index(h) ^ 1);
    grants_close(h);
    cycle->sum.freed_bytes = (uint64_t)MM_MAX(cycle->freed_bytes, 0);
    h->overran = heap_shares_log(h) && !cycle->promotes;
    h->live_objects = cycle->sum.live_objects;
    h->live_bytes = cycle->sum.live_bytes;
    generational_looked(h, h->live_bytes);
    if (h->options.count_live_bytes_in_gc)
        memcpy(h->live_kind_bytes, cycle->kind_bytes, sizeof(h->live_kind_bytes));
    at_store_relaxed(&cycle->state, HEAP_CYCLE_NONE);
    if (h->plan->end_stw != NULL)
        h->plan->end_stw(h);
    at_store_release(&h->meta.header->journal, HEAP_IDLE);
    spaces_assert(h);
    *ret = cycle->sum;
}
