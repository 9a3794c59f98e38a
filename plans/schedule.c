/* SPDX-License-Identifier: Apache-2.0 */
/* schedule.c - Schedule: one collection as stages of packets, the same for every plan that traces.
 *   S1  no stage reads what an earlier one has not finished: marks are clear and G is opened before any root, ambiguous roots
 *       are pinned before anything moves, marks are complete before blocks are swept
 *   S2  the journal says what is under way before its first effect, and IDLE when VO and G are those of the next cycle (S19)
 *   S3  every packet is a range that halves itself, or made by one: what the pool declines is done by who asked
 *   S4  stages that a plan has no use for are disabled: nothing waits for them                                         */
#include "plans/schedule.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "plans/heap/bitmap.h"
#include "plans/heap/resolve.h"
#include "plans/heap/state.h"
#include "plans/heap/walk.h"
#include "plans/space/slide/forward.h"
#include "plans/space/slide/slide.h"
#include "plans/trace/trace.h"

enum { STAGE_MEASURE, STAGE_PREPARE, STAGE_PIN, STAGE_SETTLE, STAGE_ROOTS, STAGE_CLOSURE, STAGE_LAYOUT, STAGE_MAP, STAGE_SLIDE,
       STAGE_RELEASE, STAGES };
static const char *const stage_names[STAGES] = { "measure", "prepare", "pin", "settle", "roots", "closure", "layout", "map", "slide",
                                                 "release" };

/* clang-format off */
#define PACKET_KINDS(X) /* stage           run               largest piece */ \
    X(MEASURE_BLOCKS,      STAGE_MEASURE,  run_measure,      64 /* blocks */) \
    X(PREPARE_BLOCKS,      STAGE_PREPARE,  run_prepare,      64 /* blocks */) \
    X(RESOLVE_AMBIGUOUS,   STAGE_PIN,      run_ambiguous,   256 /* words */) \
    X(SCAN_IMMORTAL,       STAGE_PIN,      run_immortal,     16 /* blocks */) \
    X(SETTLE_PINS,         STAGE_SETTLE,   run_settle,       64 /* blocks */) \
    X(TRACE_EXACT,         STAGE_ROOTS,    run_exact,       256 /* words */) \
    X(MARK_OBJECTS,        STAGE_CLOSURE,  run_objects,       0 /* a packet */) \
    X(EVACUATE_SLOTS,      STAGE_CLOSURE,  run_slots,         0 /* a packet */) \
    X(SCAN_SLICE,          STAGE_CLOSURE,  run_slice,         0 /* 512 references, or 256 places */) \
    X(RESCAN_BLOCKS,       STAGE_CLOSURE,  run_rescan,        0 /* 64 blocks */) \
    X(LAYOUT_GROUPS,       STAGE_LAYOUT,   run_layout,        1 /* group */) \
    X(MAP_GROUPS,          STAGE_MAP,      run_map,           1 /* group */) \
    X(SLIDE_PARTS,         STAGE_SLIDE,    run_slide,         1 /* group, or 16 blocks or 256 words to update */) \
    X(SLIDE_READY,         STAGE_SLIDE,    run_slide_ready,   0 /* a group, and those that waited for it alone */) \
    X(UPDATE_ELEMENTS,     STAGE_SLIDE,    run_elements,      0 /* 4096 references */) \
    X(SWEEP_BLOCKS,        STAGE_RELEASE,  run_sweep,        64 /* blocks */)

#define X(name, stage, run, grain) static void run(struct worker *w, struct packet *p);
PACKET_KINDS(X)
#undef X

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
static_assert(PACKET_NAMES <= HEAP_PACKET_KINDS_MAX, "heap_collection.packets");

struct collection { /* the job's context */
    struct heap *heap;
    const struct heap_stop *stop;
    unsigned workers;   /* [const] */
    uint64_t *row_ends; /* words in the rows of roots up to and with this one */
    uint64_t row_words; /* [const] in all of them */
    struct trace trace;
    struct slide slide;
};

struct share { /* one worker's */
    struct trace_tally trace;
    struct sweep_tally sweep;
    struct plan_spill spill;
};

static struct collection *collection_of(struct worker *w)
{
    return job_context(worker_job(w));
}

static struct trace_tally *tally_of(struct worker *w)
{
    return &((struct share *)worker_local(w))->trace;
}

/* blocks */

static void run_measure(struct worker *w, struct packet *p)
{
    struct heap *h = collection_of(w)->heap;
    struct share *share = worker_local(w);

    trace_split_range(w, p, grains[MEASURE_BLOCKS]);
    for (uint32_t block = (uint32_t)p->args[0]; block < p->args[1]; block++)
        if (block_kind_in_use(blocks_kind(&h->blocks, block)))
            h->plan->measure_block(h, block, &share->spill);
}

static void choose(struct collection *c, struct job *job)
{
    struct plan_spill total = { 0 };

    for (unsigned i = 0; i < c->workers; i++) {
        const struct share *share = job_worker_local(job, i);
        for (unsigned rank = 0; rank < PLAN_SPILL_RANKS; rank++)
            total.lines[rank] += share->spill.lines[rank];
    }
    c->heap->plan->choose_stw(c->heap, &total);
}

static void run_prepare(struct worker *w, struct packet *p)
{
    struct heap *h = collection_of(w)->heap;

    trace_split_range(w, p, grains[PREPARE_BLOCKS]);
    for (uint32_t block = (uint32_t)p->args[0]; block < p->args[1]; block++) {
        const struct space *space = space_of(blocks_kind(&h->blocks, block));
        if (space == NULL)
            continue;
        at_store_relaxed(&h->meta.flags[block], 0);
        space->prepare_block(h, block);
    }
}

static void run_sweep(struct worker *w, struct packet *p)
{
    struct heap *h = collection_of(w)->heap;
    struct share *share = worker_local(w);

    trace_split_range(w, p, grains[SWEEP_BLOCKS]);
    for (uint32_t block = (uint32_t)p->args[0]; block < p->args[1]; block++) {
        const struct space *space = space_of(blocks_kind(&h->blocks, block));
        if (space != NULL)
            space->sweep_block(h, block, &share->sweep);
    }
}

/* the closure */

static void run_objects(struct worker *w, struct packet *p)
{
    mark_run_objects(&collection_of(w)->trace, tally_of(w), w, p);
}

static void run_slots(struct worker *w, struct packet *p)
{
    evacuate_run_slots(&collection_of(w)->trace, tally_of(w), w, p);
}

static void run_slice(struct worker *w, struct packet *p)
{
    struct collection *c = collection_of(w);

    if (c->heap->evacuates)
        evacuate_run_slice(&c->trace, tally_of(w), w, p);
    else
        mark_run_slice(&c->trace, tally_of(w), w, p);
}

static trace_rescan rescan_of(const struct collection *c)
{
    return c->heap->evacuates ? evacuate_run_rescan : mark_run_rescan;
}

static void run_rescan(struct worker *w, struct packet *p)
{
    struct collection *c = collection_of(w);

    rescan_of(c)(&c->trace, tally_of(w), w, p);
}

/* roots */

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

/* Calls @visit for the words [@at, @stop) of all rows laid end to end that are of @kind. */
static void each_word(struct collection *c, uint64_t at, uint64_t stop, enum heap_root_kind kind, struct tracer *r,
                      void (*visit)(struct collection *c, struct tracer *r, _Atomic uint32_t *word))
{
    size_t row = row_of(c, at);

    for (uint64_t end; at < stop; at = end, row++) {
        const struct heap_roots *roots = &c->stop->roots[row];
        uint64_t first = c->row_ends[row] - roots->count;
        end = MM_MIN(stop, c->row_ends[row]);
        for (uint64_t i = at; roots->kind == kind && i < end; i++)
            visit(c, r, &roots->words[i - first]);
    }
}

/* Finds the object around an ambiguous word, which then stays where it is. */
static void pin_word(struct collection *c, struct tracer *r, _Atomic uint32_t *word)
{
    struct heap *h = c->heap;
    uint32_t granule = resolve_ambiguous_stw(h, at_load_relaxed(word));

    if (granule == 0)
        return;
    if (c->heap->evacuates) {
        evacuate_pin(r, granule);
        return;
    }
    at_or_relaxed(&h->meta.flags[granule / MM_BLOCK_GRANULES], BLOCK_STAYS);
    mark_root(r, granule);
}

static void run_ambiguous(struct worker *w, struct packet *p)
{
    struct tracer r = { &collection_of(w)->trace, tally_of(w), w, NULL };

    trace_split_range(w, p, grains[RESOLVE_AMBIGUOUS]);
    each_word(collection_of(w), p->args[0], p->args[1], HEAP_ROOTS_AMBIGUOUS, &r, pin_word);
    trace_roots_end(&r);
}

static void run_settle(struct worker *w, struct packet *p)
{
    struct heap *h = collection_of(w)->heap;

    trace_split_range(w, p, grains[SETTLE_PINS]);
    for (uint32_t block = (uint32_t)p->args[0]; block < p->args[1]; block++)
        if (blocks_flag(&h->blocks, block, BLOCK_EVACUATE))
            evacuate_settle_pins(h, block);
}

/* A handle's owner may change it while we move what it refers to (S8): then its new value is its own business. */
static void trace_word(struct collection *c, struct tracer *r, _Atomic uint32_t *word)
{
    uint32_t was = at_load_relaxed(word), now;

    if (was == 0)
        return;
    if (object_place(c->heap, was) == BLOCK_UNCOMMITTED) {
        r->tally->forged_refs++;
        return;
    }
    if (!c->heap->evacuates) {
        mark_root(r, was);
        return;
    }
    now = evacuate_root(r, was);
    if (now != was)
        (void)at_cas_acq_rel(word, &was, now);
}

static void run_exact(struct worker *w, struct packet *p)
{
    struct tracer r = { &collection_of(w)->trace, tally_of(w), w, NULL };

    trace_split_range(w, p, grains[TRACE_EXACT]);
    each_word(collection_of(w), p->args[0], p->args[1], HEAP_ROOTS_EXACT, &r, trace_word);
    trace_roots_end(&r);
}

/* Every object of the immortal space is a root (immortal_space.c T1). */
static void scan_immortal_block(struct collection *c, struct tracer *r, uint32_t block)
{
    uint64_t at = (uint64_t)block * MM_BLOCK_GRANULES, end = at + MM_BLOCK_GRANULES;
    const _Atomic uint64_t *vo = heap_vo(c->heap);

    resolve_parse_block(c->heap, block);
    for (at = bitmap_find_set(vo, at, end); at < end; at = bitmap_find_set(vo, at + 1, end)) {
        if (object_place(c->heap, (uint32_t)at) == BLOCK_UNCOMMITTED)
            continue;
        if (c->heap->evacuates)
            evacuate_pin(r, (uint32_t)at);
        else
            mark_root(r, (uint32_t)at);
    }
}

static void run_immortal(struct worker *w, struct packet *p)
{
    struct collection *c = collection_of(w);
    struct tracer r = { &c->trace, tally_of(w), w, NULL };

    trace_split_range(w, p, grains[SCAN_IMMORTAL]);
    for (uint32_t block = (uint32_t)p->args[0]; block < p->args[1]; block++)
        if (blocks_kind(&c->heap->blocks, block) == BLOCK_IMMORTAL)
            scan_immortal_block(c, &r, block);
    trace_roots_end(&r);
}

/* sliding: space/slide/slide.h */

static void run_layout(struct worker *w, struct packet *p)
{
    trace_split_range(w, p, grains[LAYOUT_GROUPS]);
    for (uint32_t group = (uint32_t)p->args[0]; group < p->args[1]; group++)
        slide_layout(&collection_of(w)->slide, group);
}

static void run_map(struct worker *w, struct packet *p)
{
    trace_split_range(w, p, grains[MAP_GROUPS]);
    for (uint32_t group = (uint32_t)p->args[0]; group < p->args[1]; group++)
        slide_map(&collection_of(w)->slide, group);
}

static void run_slide_ready(struct worker *w, struct packet *p)
{
    slide_run_ready(&collection_of(w)->slide, tally_of(w), w, (uint32_t)p->args[0]);
}

static void run_elements(struct worker *w, struct packet *p)
{
    slide_update_elements(&collection_of(w)->slide, w, p);
}

/* As trace_word(): what its owner has put there meanwhile is its own business (S8). */
static void update_word(struct collection *c, struct tracer *r, _Atomic uint32_t *word)
{
    uint32_t was = at_load_relaxed(word), now = was == 0 ? 0 : slide_forward(c->heap, was);

    (void)r;
    if (now != was)
        (void)at_cas_acq_rel(word, &was, now);
}

/* The parts of the slide stage, as one range: groups, then blocks whose references are updated, then words. */
#define UPDATE_BLOCKS 16u
#define UPDATE_WORDS 256u

static uint64_t parts_of(uint64_t count, uint64_t part)
{
    return (count + part - 1) / part;
}

static uint64_t slide_parts(const struct collection *c)
{
    return c->slide.count + parts_of(c->heap->blocks.high, UPDATE_BLOCKS) +
           parts_of(c->row_words, UPDATE_WORDS);
}

static void slide_part(struct collection *c, struct worker *w, uint64_t part)
{
    uint64_t blocks = c->heap->blocks.high, words = c->row_words;

    if (part < c->slide.count) {
        slide_take_turn(&c->slide, tally_of(w), w, (uint32_t)part);
        return;
    }
    part -= c->slide.count;
    if (part < parts_of(blocks, UPDATE_BLOCKS)) {
        for (uint64_t i = part * UPDATE_BLOCKS; i < MM_MIN((part + 1) * UPDATE_BLOCKS, blocks); i++)
            slide_update_block(&c->slide, w, (uint32_t)i);
        return;
    }
    part -= parts_of(blocks, UPDATE_BLOCKS);
    each_word(c, part * UPDATE_WORDS, MM_MIN((part + 1) * UPDATE_WORDS, words), HEAP_ROOTS_EXACT, NULL, update_word);
}

static void run_slide(struct worker *w, struct packet *p)
{
    trace_split_range(w, p, grains[SLIDE_PARTS]);
    for (uint64_t part = p->args[0]; part < p->args[1]; part++)
        slide_part(collection_of(w), w, part);
}

/* the run */

static void journal(struct heap *h, enum heap_journal word)
{
    at_store_release(&h->meta.header->journal, word);
}

static bool on_drained(struct job *job, struct worker *w, uint32_t stage)
{
    struct collection *c = job_context(job);

    switch (stage) {
    case STAGE_MEASURE: choose(c, job); return false;
    case STAGE_PREPARE: grants_open_stw(c->heap, c->stop); return false;
    case STAGE_PIN: journal(c->heap, c->heap->evacuates ? HEAP_EVACUATE : HEAP_MARK); return false;
    case STAGE_CLOSURE:
        if (trace_on_drained(&c->trace, tally_of(w), w, rescan_of(c)))
            return true;
        journal(c->heap, c->slide.count == 0 ? HEAP_RELEASE : HEAP_MARK);
        return false;
    case STAGE_LAYOUT: slide_layout_end_stw(&c->slide); journal(c->heap, HEAP_SLIDE); return false;
    case STAGE_SLIDE: journal(c->heap, HEAP_RELEASE); return false;
    default: return false;
    }
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
    c->row_words = words;
    return words;
}

static void fold_trace(struct heap *h, const struct trace_tally *t, struct heap_collection *ret)
{
    ret->live_objects += t->objects;
    ret->live_bytes += t->bytes;
    ret->moved_objects += t->moved_objects;
    ret->moved_bytes += t->moved_bytes;
    ret->forged_refs += t->forged_refs + t->bad_headers;
    for (unsigned kind = 0; kind < BLOCK_KINDS; kind++)
        h->live_kind_bytes[kind] += t->kind_bytes[kind];
}

static void fold_sweep(struct sweep_tally *to, const struct sweep_tally *from)
{
    to->freed_bytes += from->freed_bytes;
    to->freed_pages += from->freed_pages;
    for (unsigned kind = 0; kind < BLOCK_KINDS; kind++) {
        to->freed_blocks[kind] += from->freed_blocks[kind];
        to->closed_blocks[kind] += from->closed_blocks[kind];
        to->free_lines[kind] += from->free_lines[kind];
    }
}

static void fold(struct heap *h, struct job *job, unsigned workers, struct heap_collection *ret)
{
    struct sweep_tally sweep = { 0 };

    memset(h->live_kind_bytes, 0, sizeof(h->live_kind_bytes));
    for (unsigned i = 0; i < workers; i++) {
        const struct share *s = job_worker_local(job, i);
        fold_trace(h, &s->trace, ret);
        fold_sweep(&sweep, &s->sweep);
    }
    ret->freed_bytes = (uint64_t)MM_MAX(sweep.freed_bytes, 0);
    h->live_objects = ret->live_objects;
    h->live_bytes = ret->live_bytes;
    for (size_t i = 0; i < PLAN_SPACES_MAX && h->plan->spaces[i] != NULL; i++)
        h->plan->spaces[i]->after_sweep_stw(h, &sweep);
    if (h->plan->end_stw != NULL)
        h->plan->end_stw(h);
}

/* VO is what was marked; G is what nobody has begun. */
static void finish(struct heap *h, const struct heap_stop *stop)
{
    at_store_relaxed(&h->meta.header->vo, heap_vo_index(h) ^ 1);
    grants_end_collected_stw(h, stop);
    journal(h, HEAP_IDLE);
    for (uint32_t block = 0; h->check && block < h->blocks.high; block++)
        MM_ASSERT(spaces_check_block_stw(h, block) == HEAP_FAULT_NONE);
}

/* Stages that only plans that slide have; of no groups, if there is nothing to slide. */
static bool add_slide_packets(struct collection *c, struct job *job)
{
    uint32_t groups = c->slide.count;

    for (uint32_t stage = STAGE_LAYOUT; groups == 0 && stage <= STAGE_SLIDE; stage++)
        job_disable_stage(job, stage);
    return groups == 0 || (add_range(job, LAYOUT_GROUPS, groups) && add_range(job, MAP_GROUPS, groups) &&
                           add_range(job, SLIDE_PARTS, slide_parts(c)));
}

static bool add_packets(struct collection *c, struct job *job)
{
    uint32_t blocks = c->heap->blocks.high;
    uint64_t words = fill_row_ends(c);

    bool measures = c->heap->evacuates && c->heap->plan->measure_block != NULL;

    if (!measures)
        job_disable_stage(job, STAGE_MEASURE);
    if (!c->heap->evacuates)
        job_disable_stage(job, STAGE_SETTLE);
    return add_range(job, MEASURE_BLOCKS, measures ? blocks : 0) && add_range(job, PREPARE_BLOCKS, blocks) && add_range(job, RESOLVE_AMBIGUOUS, words) &&
           add_range(job, SCAN_IMMORTAL, c->heap->blocks.counts[BLOCK_IMMORTAL] > 0 ? blocks : 0) &&
           add_range(job, SETTLE_PINS, c->heap->evacuates ? blocks : 0) &&
           add_range(job, TRACE_EXACT, words) && add_slide_packets(c, job) &&
           add_range(job, SWEEP_BLOCKS, blocks);
}

static void begin(struct collection *c, struct engine *engine)
{
    struct heap *h = c->heap;

    c->workers = engine_workers(engine);
    trace_init(&c->trace, h, c->workers == 1);
    c->trace.objects = &kinds[MARK_OBJECTS];
    c->trace.slots = &kinds[EVACUATE_SLOTS];
    c->trace.slice = &kinds[SCAN_SLICE];
    c->trace.rescan = &kinds[RESCAN_BLOCKS];
    c->slide.ready = &kinds[SLIDE_READY];
    c->slide.elements = &kinds[UPDATE_ELEMENTS];
    h->evacuates = h->plan->constraints.trace == PLAN_TRACE_EVACUATE;
    if (h->plan->begin_stw != NULL)
        h->plan->begin_stw(h, c->stop);
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

    int r = job_new(&job, engine, &config);
    if (r < 0)
        return r;
    begin(c, engine);
    if (!add_packets(c, job))
        return -ENOMEM;
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
    int r = slide_init(&c.slide, h);
    if (r == 0)
        r = run(&c, engine, ret);
    slide_fini(&c.slide);
    free(c.row_ends);
    return r;
}
