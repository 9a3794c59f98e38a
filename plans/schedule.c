/* SPDX-License-Identifier: Apache-2.0 */
/* schedule.c - Schedule: one collection as stages of packets, the same for every plan that traces.
 *   S1  no stage reads what an earlier one has not finished: marks are clear and G is opened before any root, ambiguous roots
 *       are pinned before anything moves, marks are complete before blocks are swept
 *   S2  the journal says what is under way before its first effect, and IDLE when VO and G are those of the next cycle (S19)
 *   S3  every packet is a range that halves itself, or made by one: what the pool declines is done by who asked
 *   S4  stages that a plan has no use for are disabled: nothing waits for them                                         */
#include "plans/schedule.h"

#include <errno.h>
#include <string.h>

#include "plans/generational.h"
#include "plans/heap/moves.h"
#include "plans/heap/state.h"
#include "plans/refcount.h"
#include "plans/stage/collection.h"

enum { STAGE_MEASURE, STAGE_PREPARE, STAGE_FIND, STAGE_PIN, STAGE_SETTLE, STAGE_STOW, STAGE_ROOTS, STAGE_CLOSURE, STAGE_LAYOUT, STAGE_MAP, STAGE_SLIDE,
       STAGE_RELEASE, STAGES };
static const char *const stage_names[STAGES] = { "measure", "prepare", "find", "pin", "settle", "stow", "roots", "closure", "layout", "map", "slide",
                                                 "release" };

/* clang-format off */
#define PACKET_KINDS(X) /* stage           run               largest piece */ \
    X(MEASURE_BLOCKS,      STAGE_MEASURE,  stage_measure,      64 /* blocks */) \
    X(PREPARE_BLOCKS,      STAGE_PREPARE,  stage_prepare,      64 /* blocks */) \
    X(RELEASE_HELD,        STAGE_PREPARE,  stage_release_held, 1024 /* objects */) \
    X(FIND_STOWS,          STAGE_FIND,     stage_find_stows,    0 /* all of them */) \
    X(RESOLVE_AMBIGUOUS,   STAGE_PIN,      stage_ambiguous,   256 /* words */) \
    X(SCAN_IMMORTAL,       STAGE_PIN,      stage_immortal,     16 /* blocks */) \
    X(SETTLE_PINS,         STAGE_SETTLE,   stage_settle,       64 /* blocks */) \
    X(STOW_GRAPHS,         STAGE_STOW,     stage_stow,          0 /* all of them */) \
    X(MARK_PINS,           STAGE_STOW,     stage_mark_pins,    64 /* blocks */) \
    X(TRACE_EXACT,         STAGE_ROOTS,    stage_exact,       256 /* words */) \
    X(SCAN_LOGGED,         STAGE_ROOTS,    stage_logged,      256 /* rows */) \
    X(COUNT_LOGGED,        STAGE_ROOTS,    stage_counted,     256 /* rows */) \
    X(MARK_OBJECTS,        STAGE_CLOSURE,  stage_objects,       0 /* a packet */) \
    X(EVACUATE_SLOTS,      STAGE_CLOSURE,  stage_slots,         0 /* a packet */) \
    X(SCAN_SLICE,          STAGE_CLOSURE,  stage_slice,         0 /* 512 references, or 256 places */) \
    X(RESCAN_BLOCKS,       STAGE_CLOSURE,  stage_rescan,        0 /* 64 blocks */) \
    X(REFERENCE_BLOCKS,    STAGE_CLOSURE,  stage_reference_blocks, 64 /* blocks */) \
    X(REFERENCE_ROWS,      STAGE_CLOSURE,  stage_reference_rows, 256 /* words */) \
    X(REFERENCE_ELEMENTS,  STAGE_CLOSURE,  stage_reference_elements, 4096 /* elements */) \
    X(LAYOUT_GROUPS,       STAGE_LAYOUT,   stage_layout,        1 /* group */) \
    X(MAP_GROUPS,          STAGE_MAP,      stage_map,           1 /* group */) \
    X(SLIDE_PARTS,         STAGE_SLIDE,    stage_slide,         1 /* group, or 16 blocks or 256 words to update */) \
    X(SLIDE_READY,         STAGE_SLIDE,    stage_slide_ready,   0 /* a group, and those that waited for it alone */) \
    X(UPDATE_ELEMENTS,     STAGE_SLIDE,    stage_elements,      0 /* 4096 references */) \
    X(SWEEP_BLOCKS,        STAGE_RELEASE,  stage_sweep,        64 /* blocks */) \
    X(COUNT_ELEMENTS,      STAGE_RELEASE,  stage_count_elements, 16384 /* elements */)

enum packet_name {
#define X(name, stage, run, grain) name,
    PACKET_KINDS(X)
#undef X
    PACKET_NAMES
};
/* clang-format on */
static const struct packet_kind kinds[PACKET_NAMES] = {
#define X(name, stage, run, grain) { #name, stage, run, grain },
    PACKET_KINDS(X)
#undef X
};
static_assert(PACKET_NAMES <= HEAP_PACKET_KINDS_MAX, "heap_collection.packets");

/* the run */

static void journal(struct heap *h, enum heap_journal word)
{
    at_store_release(&h->meta.header->journal, word);
}

/* All is marked: objects that are to slide may all move; what is evacuated has been. */
static void begin_moves(struct collection *c, struct job *job)
{
    uint64_t most = 0;

    if (c->stop->moves == NULL)
        return;
    for (unsigned i = 0; i < c->workers; i++) {
        const struct trace_tally *t = &((const struct share *)job_worker_local(job, i))->trace;
        most += c->slide.count == 0 ? t->moved_objects : t->objects;
    }
    moves_begin(c->stop->moves, most);
}

static bool on_drained(struct job *job, struct worker *w, uint32_t stage)
{
    struct collection *c = job_context(job);

    switch (stage) {
    case STAGE_MEASURE: stage_choose(c, job); return false;
    case STAGE_PREPARE: grants_open_stw(c->heap, c->stop); return false;
    case STAGE_PIN: journal(c->heap, c->heap->evacuates ? HEAP_EVACUATE : HEAP_MARK); return false;
    case STAGE_CLOSURE:
        if (trace_on_drained(&c->trace, tally_of(w), w, stage_rescan_of(c)) || references_next(c, w))
            return true;
        begin_moves(c, job);
        journal(c->heap, c->slide.count == 0 ? HEAP_RELEASE : HEAP_MARK);
        return false;
    case STAGE_LAYOUT: slide_layout_end_stw(&c->slide); journal(c->heap, HEAP_SLIDE); return false;
    case STAGE_SLIDE: journal(c->heap, HEAP_RELEASE); return false;
    default: return false;
    }
}

static bool add_range(struct job *job, enum packet_name name, uint64_t end)
{
    return stage_add_range(job, &kinds[name], 0, end);
}

static void fold_trace(struct heap *h, const struct trace_tally *t, struct heap_collection *ret)
{
    ret->live_objects += t->objects;
    ret->live_bytes += t->bytes;
    ret->survived_bytes += t->bytes;
    ret->moved_objects += t->moved_objects;
    ret->moved_bytes += t->moved_bytes;
    ret->forged_refs += t->forged_refs + t->bad_headers;
    ret->cleared_refs += t->cleared_refs;
    ret->readied += t->readied;
    ret->announced += t->announced;
    for (unsigned kind = 0; kind < BLOCK_KINDS; kind++)
        h->live_kind_bytes[kind] += t->kind_bytes[kind];
}

static void fold(struct heap *h, struct job *job, unsigned workers, struct heap_collection *ret)
{
    struct sweep_tally sweep = { 0 };

    if (h->young) { /* what is old counts as alive */
        ret->live_objects = h->live_objects;
        ret->live_bytes = h->live_bytes;
    } else {
        memset(h->live_kind_bytes, 0, sizeof(h->live_kind_bytes));
    }
    for (unsigned i = 0; i < workers; i++) {
        const struct share *s = job_worker_local(job, i);
        fold_trace(h, &s->trace, ret);
        stage_fold_sweep(&sweep, &s->sweep);
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
    if (!h->young)
        at_store_relaxed(&h->meta.header->vo, heap_vo_index(h) ^ 1);
    grants_end_collected_stw(h, stop);
    if (h->plan->constraints.counts)
        refcount_end_stw(h);
    log_clear(&h->log);
    h->young = false;
    journal(h, HEAP_IDLE);
    spaces_assert(h);
}

/* Stages that only plans that slide have; of no groups, if there is nothing to slide. */
static bool add_slide_packets(struct collection *c, struct job *job)
{
    uint32_t groups = c->slide.count;

    for (uint32_t stage = STAGE_LAYOUT; groups == 0 && stage <= STAGE_SLIDE; stage++)
        job_disable_stage(job, stage);
    return groups == 0 || (add_range(job, LAYOUT_GROUPS, groups) && add_range(job, MAP_GROUPS, groups) &&
                           add_range(job, SLIDE_PARTS, stage_slide_parts(c)));
}

static bool add_packets(struct collection *c, struct job *job)
{
    uint32_t blocks = blocks_high(&c->heap->blocks);
    uint64_t words = c->row_words;
    bool measures = c->heap->defrags && c->heap->plan->measure_block != NULL;
    size_t logged = c->heap->young ? c->heap->log.count : 0, held = at_load_relaxed(&c->heap->count.held_count);
    bool counts = c->heap->plan->constraints.counts;

    if (!measures)
        job_disable_stage(job, STAGE_MEASURE);
    if (!c->heap->evacuates)
        job_disable_stage(job, STAGE_SETTLE);
    for (uint32_t i = 0; !c->stows && i < 2; i++)
        job_disable_stage(job, i == 0 ? STAGE_FIND : STAGE_STOW);
    return add_range(job, FIND_STOWS, c->stows) && add_range(job, STOW_GRAPHS, c->stows) && add_range(job, MEASURE_BLOCKS, measures ? blocks : 0) && add_range(job, PREPARE_BLOCKS, blocks) &&
           add_range(job, RESOLVE_AMBIGUOUS, words) &&
           add_range(job, SCAN_IMMORTAL, c->heap->blocks.counts[BLOCK_IMMORTAL] > 0 ? blocks : 0) &&
           add_range(job, SETTLE_PINS, c->heap->evacuates ? blocks : 0) &&
           add_range(job, TRACE_EXACT, words) && add_range(job, SCAN_LOGGED, counts ? 0 : logged) &&
           add_range(job, COUNT_LOGGED, counts ? logged : 0) && add_range(job, RELEASE_HELD, c->heap->young ? held : 0) && add_slide_packets(c, job) &&
           add_range(job, SWEEP_BLOCKS, blocks);
}

static void begin(struct collection *c, struct engine *engine)
{
    struct heap *h = c->heap;

    c->workers = engine_workers(engine);
    h->young = heap_has_young(h) && generational_young_stw(h, c->stop);
    trace_init(&c->trace, h, c->workers == 1);
    c->trace.objects = &kinds[MARK_OBJECTS];
    c->trace.slots = &kinds[EVACUATE_SLOTS];
    c->trace.slice = &kinds[SCAN_SLICE];
    c->trace.rescan = &kinds[RESCAN_BLOCKS];
    references_begin(c);
    c->references.blocks = &kinds[REFERENCE_BLOCKS];
    c->references.rows = &kinds[REFERENCE_ROWS];
    c->references.elements = &kinds[REFERENCE_ELEMENTS];
    c->slide.ready = &kinds[SLIDE_READY];
    c->slide.moves = c->stop->moves;
    c->slide.elements = &kinds[UPDATE_ELEMENTS];
    c->elements = &kinds[COUNT_ELEMENTS];
    c->mark_pins = &kinds[MARK_PINS];
    h->evacuates = h->plan->constraints.trace == PLAN_TRACE_EVACUATE;
    h->defrags = false;
    h->copy_cursor = 0;
    if (h->plan->begin_stw != NULL)
        h->plan->begin_stw(h, c->stop);
    c->stows = c->stop->stow_count > 0 && !h->young && heap_plan_stows(h);
    h->evacuates |= c->stows;
}

/* As if the workers had shared it evenly. */
static uint64_t looking_ns(const struct heap_collection *c, unsigned workers)
{
    static const enum packet_name looks[] = { SCAN_LOGGED, COUNT_LOGGED, MARK_OBJECTS, EVACUATE_SLOTS, SCAN_SLICE };
    uint64_t sum = 0;

    for (size_t i = 0; i < c->packet_kinds; i++)
        for (size_t k = 0; k < MM_ARRAY_LEN(looks); k++)
            sum += c->packets[i].name == kinds[looks[k]].name ? c->packets[i].total_ns : 0;
    return sum / workers;
}

static int run(struct collection *c, struct engine *engine, struct heap_collection *ret)
{
    struct heap *h = c->heap;
    struct job_config config = { .name = "collect",
                                 .stage_names = stage_names,
                                 .stages = STAGES,
                                 .context = c,
                                 .worker_local_bytes = sizeof(struct share),
                                 .on_drained = on_drained,
                                 .timeline = h->timeline };
    MM_AUTO(job) job = NULL;

    int r = job_new(&job, engine, &config);
    if (r < 0)
        return r;
    begin(c, engine);
    if (!add_packets(c, job)) {
        h->young = false;
        return -ENOMEM;
    }
    if (h->plan->constraints.counts)
        refcount_begin_stw(h);
    ret->kind = !h->young ? HEAP_PAUSE_FULL : h->plan->constraints.counts ? HEAP_PAUSE_REFCOUNT : HEAP_PAUSE_YOUNG;
    ret->logged_units = h->young ? h->log.count : 0;
    journal(h, HEAP_MARK);
    engine_run(engine, job);
    ret->packet_kinds = job_counters(job, ret->packets, HEAP_PACKET_KINDS_MAX);
    ret->looking_ns = looking_ns(ret, c->workers);
    fold(h, job, engine_workers(engine), ret);
    finish(h, c->stop);
    return 0;
}

int schedule_collect_stw(struct heap *h, struct engine *engine, const struct heap_stop *stop,
                         struct heap_collection *ret)
{
    struct collection c = { .heap = h, .stop = stop };

    int r = stage_count_words(&c);
    if (r < 0)
        return r;
    r = slide_init(&c.slide, h);
    if (r == 0 && h->plan->constraints.counts)
        r = refcount_reserve_stw(h, c.row_words + stop->stow_count);
    if (r == 0)
        r = run(&c, engine, ret);
    slide_fini(&c.slide);
    stage_forget_words(&c);
    return r;
}
