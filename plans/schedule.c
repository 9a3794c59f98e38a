/* SPDX-License-Identifier: Apache-2.0 */
/* schedule.c - Schedule: one collection as stages of packets.
 *   S1  no stage reads what an earlier one has not finished: marks are clear before roots, complete before the release
 *   S2  the journal says MARK before the first mark bit changes, RELEASE before the first block is swept, IDLE when VO and G
 *       are those of the next cycle (soundness S19)
 *   S3  every packet is a range that halves itself, or made by one: what the pool declines is done by who asked      */
#include "plans/schedule.h"

#include <errno.h>
#include <stdlib.h>

#include "plans/heap/bitmap.h"
#include "plans/heap/resolve.h"
#include "plans/heap/state.h"
#include "plans/heap/walk.h"
#include "plans/trace.h"

enum { STAGE_PREPARE, STAGE_ROOTS, STAGE_CLOSURE, STAGE_RELEASE, STAGES };
static const char *const stage_names[STAGES] = { "prepare", "roots", "closure", "release" };

static void run_prepare(struct worker *w, struct packet *p);
static void run_roots(struct worker *w, struct packet *p);
static void run_mark(struct worker *w, struct packet *p);
static void run_slice(struct worker *w, struct packet *p);
static void run_rescan(struct worker *w, struct packet *p);
static void run_sweep(struct worker *w, struct packet *p);

/* clang-format off */
#define PACKET_KINDS(X) /* stage           run       largest piece */ \
    X(PREPARE_BLOCKS,      STAGE_PREPARE,  run_prepare,  64 /* blocks */) \
    X(RESOLVE_ROOTS,       STAGE_ROOTS,    run_roots,   256 /* words */) \
    X(MARK_OBJECTS,        STAGE_CLOSURE,  run_mark,      0 /* a packet */) \
    X(MARK_SLICE,          STAGE_CLOSURE,  run_slice,     0 /* 512 references */) \
    X(RESCAN_BLOCKS,       STAGE_CLOSURE,  run_rescan,    0 /* 64 blocks */) \
    X(SWEEP_BLOCKS,        STAGE_RELEASE,  run_sweep,    64 /* blocks */)

enum packet_name {
#define X(name, stage, run, grain) name,
    PACKET_KINDS(X)
#undef X
    PACKET_NAMES
};
/* clang-format on */
static const struct packet_kind kinds[PACKET_NAMES] = {
#define X(name, stage, run, grain) { #name, stage, run },
    PACKET_KINDS(X)
#undef X
};
static const uint64_t grains[PACKET_NAMES] = {
#define X(name, stage, run, grain) grain,
    PACKET_KINDS(X)
#undef X
};

struct collection { /* the job's context */
    struct heap *heap;
    const struct heap_stop *stop;
    uint64_t *row_ends; /* words in the rows of roots up to and with this one */
    struct trace trace;
};

struct share { /* one worker's */
    struct trace_tally trace;
    struct sweep_tally sweep;
};

static_assert(PACKET_NAMES <= HEAP_PACKET_KINDS_MAX, "heap_collection.packets");

static struct collection *collection_of(struct worker *w)
{
    return job_context(worker_job(w));
}

static void run_prepare(struct worker *w, struct packet *p)
{
    struct heap *h = collection_of(w)->heap;

    trace_split_range(w, p, grains[PREPARE_BLOCKS]);
    for (uint32_t block = (uint32_t)p->args[0]; block < p->args[1]; block++) {
        if (!block_kind_in_use(blocks_kind(&h->blocks, block)))
            continue;
        at_and_relaxed(&h->meta.flags[block], (uint8_t)~BLOCK_PARSED);
        h->plan->prepare_block(h, block);
    }
}

static void run_sweep(struct worker *w, struct packet *p)
{
    struct heap *h = collection_of(w)->heap;
    struct share *share = worker_local(w);

    trace_split_range(w, p, grains[SWEEP_BLOCKS]);
    for (uint32_t block = (uint32_t)p->args[0]; block < p->args[1]; block++)
        if (block_kind_in_use(blocks_kind(&h->blocks, block)))
            h->plan->sweep_block(h, block, &share->sweep);
}

static void run_mark(struct worker *w, struct packet *p)
{
    trace_run_mark(&collection_of(w)->trace, &((struct share *)worker_local(w))->trace, w, p);
}

static void run_slice(struct worker *w, struct packet *p)
{
    trace_run_slice(&collection_of(w)->trace, &((struct share *)worker_local(w))->trace, w, p);
}

static void run_rescan(struct worker *w, struct packet *p)
{
    trace_run_rescan(&collection_of(w)->trace, &((struct share *)worker_local(w))->trace, w, p);
}

/* roots */

/* The object that a root word keeps alive, or 0. */
static uint32_t resolve_root(struct heap *h, enum heap_root_kind kind, uint32_t word,
                             struct trace_tally *tally)
{
    if (word == 0)
        return 0;
    if (kind == HEAP_ROOTS_AMBIGUOUS)
        return resolve_ambiguous_stw(h, word);
    if (object_place(h, word) != BLOCK_UNCOMMITTED)
        return word;
    tally->forged_refs++;
    return 0;
}

/* The row that word @at of all rows is in. */
static size_t row_of(const struct collection *c, uint64_t at)
{
    size_t low = 0, high = c->stop->root_count;

    while (low < high) {
        size_t middle = low + (high - low) / 2;
        if (c->row_ends[middle] <= at)
            low = middle + 1;
        else
            high = middle;
    }
    return low;
}

/* Words [args[0], args[1]) of all rows laid end to end. */
static void run_roots(struct worker *w, struct packet *p)
{
    struct collection *c = collection_of(w);
    struct trace_tally *tally = &((struct share *)worker_local(w))->trace;
    struct packet *found = NULL;

    trace_split_range(w, p, grains[RESOLVE_ROOTS]);
    size_t row = row_of(c, p->args[0]);
    for (uint64_t at = p->args[0]; at < p->args[1]; at++) {
        while (at >= c->row_ends[row])
            row++;
        const struct heap_roots *r = &c->stop->roots[row];
        uint32_t word = at_load_relaxed(&r->words[at - (c->row_ends[row] - r->count)]);
        uint32_t granule = resolve_root(c->heap, r->kind, word, tally);
        if (granule == 0)
            continue;
        if (found == NULL)
            found = worker_packet_try_new(w, &kinds[MARK_OBJECTS]);
        if (found == NULL) {
            trace_mark_only(&c->trace, tally, granule);
            continue;
        }
        found->items[found->count++] = granule;
        if (found->count < PACKET_ITEMS)
            continue;
        worker_packet_push(w, found);
        found = NULL;
    }
    if (found != NULL && found->count > 0)
        worker_packet_push(w, found);
}

/* the run */

static void journal(struct heap *h, enum heap_journal word)
{
    at_store_release(&h->meta.header->journal, word);
}

static bool on_drained(struct job *job, struct worker *w, uint32_t stage)
{
    struct collection *c = job_context(job);

    if (stage != STAGE_CLOSURE)
        return false;
    if (trace_on_drained(&c->trace, &((struct share *)worker_local(w))->trace, w))
        return true;
    journal(c->heap, HEAP_RELEASE);
    return false;
}

static bool add_range(struct job *job, enum packet_name name, uint64_t end)
{
    struct packet *p = end == 0 ? NULL : job_packet_add(job, &kinds[name]);

    if (p != NULL) {
        p->args[0] = 0;
        p->args[1] = end;
    }
    return p != NULL || end == 0;
}

static uint64_t fill_row_ends(struct collection *c)
{
    uint64_t words = 0;

    for (size_t i = 0; i < c->stop->root_count; i++) {
        words += c->stop->roots[i].count;
        c->row_ends[i] = words;
    }
    return words;
}

static void fold(struct heap *h, struct job *job, unsigned workers, struct heap_collection *ret)
{
    struct sweep_tally sweep = { 0 };

    for (unsigned i = 0; i < workers; i++) {
        const struct share *s = job_worker_local(job, i);
        ret->live_objects += s->trace.objects;
        ret->live_bytes += s->trace.bytes;
        ret->forged_refs += s->trace.forged_refs + s->trace.bad_headers;
        sweep.freed_bytes += s->sweep.freed_bytes;
        sweep.hole_lines += s->sweep.hole_lines;
        sweep.freed_immix_blocks += s->sweep.freed_immix_blocks;
        sweep.freed_large_blocks += s->sweep.freed_large_blocks;
        sweep.freed_pages += s->sweep.freed_pages;
    }
    ret->freed_bytes = sweep.freed_bytes;
    h->live_objects = ret->live_objects;
    h->live_bytes = ret->live_bytes;
    h->plan->after_sweep_stw(h, &sweep);
}

/* VO is what was marked; G is what nobody has begun. */
static void finish(struct heap *h, const struct heap_stop *stop)
{
    at_store_relaxed(&h->meta.header->vo, heap_vo_index(h) ^ 1);
    grants_end_collected_stw(h, stop);
    journal(h, HEAP_IDLE);
    for (uint32_t block = 0; h->check && block < h->blocks.high; block++)
        MM_ASSERT(h->plan->check_block_stw(h, block) == HEAP_FAULT_NONE);
}

static int run(struct collection *c, struct engine *engine, struct heap_collection *ret)
{
    struct heap *h = c->heap;
    struct job_config config = { .name = "collect",
                                 .stage_names = stage_names,
                                 .stages = STAGES,
                                 .context = c,
                                 .worker_local_bytes = sizeof(struct share),
                                 .on_drained = on_drained };
    MM_AUTO(job) job = NULL;

    trace_init(&c->trace, h, engine_workers(engine) == 1);
    c->trace.mark = &kinds[MARK_OBJECTS];
    c->trace.slice = &kinds[MARK_SLICE];
    c->trace.rescan = &kinds[RESCAN_BLOCKS];
    int r = job_new(&job, engine, &config);
    if (r < 0)
        return r;
    uint64_t words = fill_row_ends(c);
    if (!add_range(job, PREPARE_BLOCKS, h->blocks.high) || !add_range(job, RESOLVE_ROOTS, words) ||
        !add_range(job, SWEEP_BLOCKS, h->blocks.high))
        return -ENOMEM;
    grants_open_stw(h, c->stop);
    journal(h, HEAP_MARK);
    engine_run(engine, job);
    ret->packet_kinds = job_counters(job, ret->packets, HEAP_PACKET_KINDS_MAX);
    fold(h, job, engine_workers(engine), ret);
    finish(h, c->stop);
    return 0;
}

int schedule_collect_stw(struct heap *h, struct engine *engine, const struct heap_stop *stop,
                         struct heap_collection *ret)
{
    struct collection c = { .heap = h, .stop = stop };

    c.row_ends = malloc((stop->root_count + 1) * sizeof(*c.row_ends));
    if (c.row_ends == NULL)
        return -ENOMEM;
    int r = run(&c, engine, ret);
    free(c.row_ends);
    return r;
}
