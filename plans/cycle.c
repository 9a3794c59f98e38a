/* SPDX-License-Identifier: Apache-2.0 */
/* cycle.c - Cycle: a snapshot-at-the-beginning collection in a short stop and three runs of packets beside the clients; or two stops.
 *   Y1  the object bits that are not VO are the marks: nobody but this collection touches them from heap_clear() to heap_end_cycle()
 *   Y2  at the first stop G is opened and stays so (grants.h G4): what is finished is the snapshot's, what is granted from then on is in
 *       next and lives. An object in next that the trace meets is marked all the same; the sweep clears that
 *   Y3  every object that the snapshot reaches is marked, or on its way to be: by a reference that still stands there, or one that a client
 *       logged before it changed. A log that is incomplete ends the cycle with everything alive, at a second stop, and a whole
 *       collection follows at once
 *   Y4  lines marked by the collection before stay marked until a block's sweep, so grants see only what was free before the cycle
 *   Y5  what follows when all is marked is the sweep's: cycle_sweep.c
 *   Y6  marking has ended when a run that looked at all entries written since the run before, tentative ones included, marked
 *       nothing. Then the run before had closed the marks: of an object of the snapshot that is not marked somebody must have
 *       overwritten a reference before its field was looked at; that entry was there first, and would have marked it now. So nobody
 *       is asked to stop, or to answer. Otherwise, or where only a stop will do, the rows are drained to the last at a second stop
 *   Y7  the barrier rests from then on. Who had looked at it just before may still clear a bit, even one that the sweep has set: the
 *       entry stands in h->log until the next first stop, which sets the bit again. If one was lost, that stop sets all of them
 *   From  Yuasa, JSS 1990; MMTk's ConcurrentImmix, whose second pause also does not scan roots again                         */
#include "plans/cycle.h"

#include <errno.h>
#include <string.h>

#include "plans/cycle_log.h"
#include "plans/generational.h"
#include "plans/heap/bitmap.h"
#include "plans/heap/resolve.h"
#include "plans/heap/sanity.h"
#include "plans/heap/state.h"
#include "plans/heap/walk.h"
#include "plans/refcount.h"
#include "plans/schedule.h"
#include "plans/stage/collection.h"
#include "plans/work/store.h"

static void run_seed_ambiguous(struct worker *w, struct packet *p);
static void run_seed_exact(struct worker *w, struct packet *p);
static void run_arm_blocks(struct worker *w, struct packet *p);
static void run_arm_rows(struct worker *w, struct packet *p);
static void run_mark_seeds(struct worker *w, struct packet *p);
static void run_mark_old(struct worker *w, struct packet *p);
static void run_keep_all(struct worker *w, struct packet *p);
static void run_promote(struct worker *w, struct packet *p);
static void run_flag(struct worker *w, struct packet *p);
static void run_find_rows(struct worker *w, struct packet *p);

enum { STAGE_CLEAR, STAGE_SEED, STAGE_ROOTS, STAGE_CLOSURE, STAGE_KEEP, STAGE_FLAG, STAGES };
static const char *const stage_names[STAGES] = { "clear", "seed", "roots", "closure", "keep", "flag" };

/* clang-format off */
static const struct packet_kind CLEAR_BLOCKS   = { "CLEAR_BLOCKS",   STAGE_CLEAR,   stage_prepare,      64 /* blocks */ },
                                SEED_AMBIGUOUS = { "SEED_AMBIGUOUS", STAGE_SEED,    run_seed_ambiguous, 256 /* words */ },
                                SEED_EXACT     = { "SEED_EXACT",     STAGE_SEED,    run_seed_exact,     256 /* words */ },
                                ARM_BLOCKS     = { "ARM_BLOCKS",     STAGE_SEED,    run_arm_blocks,     64 /* blocks */ },
                                ARM_ROWS       = { "ARM_ROWS",       STAGE_SEED,    run_arm_rows,       1024 /* rows */ },
                                MARK_SEEDS     = { "MARK_SEEDS",     STAGE_ROOTS,   run_mark_seeds,     256 /* objects */ },
                                SCAN_IMMORTAL  = { "SCAN_IMMORTAL",  STAGE_ROOTS,   stage_immortal,       16 /* blocks */ },
                                MARK_OLD       = { "MARK_OLD",       STAGE_ROOTS,   run_mark_old,       256 /* rows */ },
                                FIND_ROWS      = { "FIND_ROWS",      STAGE_ROOTS,   run_find_rows,      1024 /* words */ },
                                MARK_OBJECTS   = { "MARK_OBJECTS",   STAGE_CLOSURE, stage_objects,      0 /* a packet */ },
                                SCAN_SLICE     = { "SCAN_SLICE",     STAGE_CLOSURE, stage_slice,        0 /* 512 references */ },
                                RESCAN_BLOCKS  = { "RESCAN_BLOCKS",  STAGE_CLOSURE, stage_rescan,       0 /* 64 blocks */ },
                                REFERENCE_BLOCKS = { "REFERENCE_BLOCKS", STAGE_CLOSURE, stage_reference_blocks, 64 /* blocks */ },
                                REFERENCE_ROWS   = { "REFERENCE_ROWS", STAGE_CLOSURE, stage_reference_rows, 256 /* words */ },
                                REFERENCE_ELEMENTS = { "REFERENCE_ELEMENTS", STAGE_CLOSURE, stage_reference_elements, 4096 /* elements */ },
                                KEEP_BLOCKS    = { "KEEP_BLOCKS",    STAGE_KEEP,    run_keep_all,       64 /* blocks */ },
                                PROMOTE_BLOCKS = { "PROMOTE_BLOCKS", STAGE_FLAG,    run_promote,        64 /* blocks */ },
                                FLAG_BLOCKS    = { "FLAG_BLOCKS",    STAGE_FLAG,    run_flag,           1024 /* blocks */ };
/* clang-format on */


/* ---- a run: some of the stages ---- */

struct range {
    const struct packet_kind *kind;
    uint64_t from, end;
};

static bool on_drained(struct job *job, struct worker *w, uint32_t stage)
{
    struct collection *c = job_context(job);

    return stage == STAGE_CLOSURE && (trace_on_drained(&c->trace, tally_of(w), w, mark_run_rescan) || references_next(c, w));
}

static void fold_trace(struct cycle *cycle, const struct trace_tally *t)
{
    struct heap_collection *sum = &cycle->sum;

    sum->live_objects += t->objects;
    sum->live_bytes += t->bytes;
    sum->forged_refs += t->forged_refs + t->bad_headers;
    sum->cleared_refs += t->cleared_refs;
    sum->readied += t->readied;
    sum->announced += t->announced;
    for (unsigned kind = 0; kind < BLOCK_KINDS; kind++)
        cycle->kind_bytes[kind] += t->kind_bytes[kind];
}

static void fold(struct heap *h, struct job *job, unsigned workers)
{
    for (unsigned i = 0; i < workers; i++) {
        const struct share *s = job_worker_local(job, i);
        fold_trace(&h->cycle, &s->trace);
    }
}

/* Runs the ranges, by stages, to their end. @ret, if not NULL, gets the packets' figures. */
static int run(struct collection *c, struct engine *engine, const struct range *ranges, size_t count, struct heap_collection *ret)
{
    struct job_config config = { .name = "cycle",
                                 .stage_names = stage_names,
                                 .stages = STAGES,
                                 .context = c,
                                 .worker_local_bytes = sizeof(struct share),
                                 .on_drained = on_drained,
                                 .timeline = c->heap->timeline };
    MM_AUTO(job) job = NULL;

    int r = job_new(&job, engine, &config);
    if (r < 0)
        return r;
    c->workers = engine_workers(engine);
    trace_init(&c->trace, c->heap, c->workers == 1);
    c->trace.objects = &MARK_OBJECTS;
    c->trace.slice = &SCAN_SLICE;
    c->trace.rescan = &RESCAN_BLOCKS;
    if (c->references.blocks != NULL)
        references_begin(c);
    for (size_t i = 0; i < count; i++)
        if (!stage_add_range(job, ranges[i].kind, ranges[i].from, ranges[i].end))
            return -ENOMEM;
    engine_run(engine, job);
    fold(c->heap, job, c->workers);
    if (ret != NULL)
        ret->packet_kinds = job_counters(job, ret->packets, HEAP_PACKET_KINDS_MAX);
    return 0;
}

static int run_one(struct heap *h, struct engine *engine, const struct packet_kind *kind, uint64_t end)
{
    struct collection c = { .heap = h };
    struct range range = { kind, 0, end };

    return run(&c, engine, &range, 1, NULL);
}

/* ---- before the first stop ---- */

bool heap_plan_is_concurrent(const struct heap *h)
{
    return h->plan->constraints.concurrent;
}

bool heap_plan_counts(const struct heap *h)
{
    return h->plan->constraints.counts;
}

enum heap_cycle heap_cycle(const struct heap *h)
{
    return (enum heap_cycle)at_load_relaxed(&h->cycle.state);
}

static void become(struct heap *h, enum heap_cycle state)
{
    at_store_relaxed(&h->cycle.state, state);
}

void heap_begin_cycle(struct heap *h)
{
    MM_ASSERT(heap_cycle(h) == HEAP_CYCLE_NONE);
    h->evacuates = h->defrags = h->young = false; /* as the last collection left them: no block is to be emptied */
    become(h, HEAP_CYCLE_CLEARED);
}

void heap_cancel_cycle(struct heap *h)
{
    MM_ASSERT(heap_cycle(h) == HEAP_CYCLE_CLEARED);
    become(h, HEAP_CYCLE_NONE);
}

int heap_clear(struct heap *h, struct engine *engine)
{
    MM_ASSERT(heap_cycle(h) == HEAP_CYCLE_CLEARED);
    if (h->plan->constraints.counts)
        return refcount_clear_traced(h, engine);
    return run_one(h, engine, &CLEAR_BLOCKS, blocks_high(&h->blocks));
}

/* ---- the first stop ---- */

static void add_seed(struct heap *h, uint32_t granule)
{
    size_t at = at_add_relaxed(&h->cycle.seed_count, 1);

    h->cycle.seeds[at] = granule; /* a word each at most */
}

static void seed_ambiguous(struct collection *c, struct tracer *r, _Atomic uint32_t *word)
{
    uint32_t granule = resolve_ambiguous_stw(c->heap, at_load_relaxed(word));

    (void)r;
    if (granule != 0)
        add_seed(c->heap, granule);
}

static void seed_exact(struct collection *c, struct tracer *r, _Atomic uint32_t *word)
{
    uint32_t granule = at_load_relaxed(word);

    if (granule == 0)
        return;
    if (object_place(c->heap, granule) == BLOCK_UNCOMMITTED)
        r->tally->forged_refs++;
    else
        add_seed(c->heap, granule);
}

static void run_seeds(struct worker *w, struct packet *p, enum heap_root_kind kind,
                      void (*visit)(struct collection *c, struct tracer *r, _Atomic uint32_t *word))
{
    struct tracer r = { &collection_of(w)->trace, tally_of(w), w, NULL };

    stage_split(w, p);
    stage_each_word(collection_of(w), p->args[0], p->args[1], kind, &r, visit);
}

static void run_seed_ambiguous(struct worker *w, struct packet *p)
{
    run_seeds(w, p, HEAP_ROOTS_AMBIGUOUS, seed_ambiguous);
}

static void run_seed_exact(struct worker *w, struct packet *p)
{
    run_seeds(w, p, HEAP_ROOTS_EXACT, seed_exact);
}

static void run_arm_blocks(struct worker *w, struct packet *p)
{
    stage_split(w, p);
    for (uint32_t block = (uint32_t)p->args[0]; block < p->args[1]; block++)
        cycle_log_arm_block(collection_of(w)->heap, block);
}

static void run_arm_rows(struct worker *w, struct packet *p)
{
    stage_split(w, p);
    for (uint64_t row = p->args[0]; row < p->args[1]; row++)
        cycle_log_arm_row(collection_of(w)->heap, row);
}

static bool make_seeds(struct cycle *cycle, struct store *store, size_t words)
{
    if (words > cycle->seed_capacity) {
        store_free(store, cycle->seeds);
        cycle->seeds = store_alloc(store, words * sizeof(*cycle->seeds));
        cycle->seed_capacity = cycle->seeds == NULL ? 0 : words;
    }
    at_store_relaxed(&cycle->seed_count, 0);
    return words <= cycle->seed_capacity;
}

/* G is opened, the seeds are found, G stays open. Finding them leaves object bits in G: from there on nothing may fail. */
static int seed(struct collection *c, struct engine *engine, struct heap_collection *ret)
{
    struct heap *h = c->heap;
    bool shares = heap_shares_log(h), lost = h->log.lost;
    struct range ranges[] = { { &SEED_AMBIGUOUS, 0, c->row_words },
                              { &SEED_EXACT, 0, c->row_words },
                              { &ARM_BLOCKS, 0, shares || lost ? blocks_high(&h->blocks) : 0 },
                              { &ARM_ROWS, 0, shares && !lost ? h->log.count : 0 } };

    int r = grants_reserve_open(h);
    if (r < 0)
        return r;
    grants_open_stw(h, c->stop);
    r = run(c, engine, ranges, MM_ARRAY_LEN(ranges), ret);
    if (r == 0)
        grants_stay_open_stw(h, c->stop);
    else
        grants_end_unchanged_stw(h, c->stop);
    return r;
}

int cycle_initial_stw(struct heap *h, struct engine *engine, const struct heap_stop *stop, struct heap_collection *ret)
{
    struct collection c = { .heap = h, .stop = stop };
    int r = -ENOMEM;

    h->cycle.sum = (struct heap_collection){ .kind = HEAP_PAUSE_FINAL_MARK };
    h->cycle.swept = (struct sweep_tally){ 0 };
    h->cycle.freed_bytes = 0;
    memset(h->cycle.kind_bytes, 0, sizeof(h->cycle.kind_bytes));
    h->cycle.seeded = h->cycle.promotes = h->cycle.took_all = h->cycle.closed = false;
    if (heap_plan_ends_beside(h) && !h->log.lost)
        log_rearm_stw(&h->log, h->granules); /* before grants_stay_open_stw() says what is not wanted */
    if (stage_count_words(&c) == 0) {
        if (make_seeds(&h->cycle, h->store, c.row_words))
            r = seed(&c, engine, ret);
        h->cycle.met_weak = references_are_wanted(&c);
        stage_forget_words(&c);
    }
    if (r < 0)
        return r;
    generational_turn_stw(h);
    cycle_log_begin_stw(h);
    become(h, HEAP_CYCLE_MARKING);
    h->cycle.sum.nursery_begun = heap_shares_log(h);
    ret->kind = HEAP_PAUSE_INITIAL_MARK;
    ret->nursery_begun = ret->begins_nursery = h->cycle.sum.nursery_begun;
    ret->live_objects = h->live_objects;
    ret->live_bytes = h->live_bytes;
    at_store_release(&h->meta.header->journal, HEAP_MARK);
    return 0;
}

/* ---- between the stops ---- */

static void run_mark_seeds(struct worker *w, struct packet *p)
{
    struct collection *c = collection_of(w);
    struct tracer r = { &c->trace, tally_of(w), w, NULL };

    stage_split(w, p);
    for (uint64_t i = p->args[0]; i < p->args[1]; i++)
        mark_root(&r, c->heap->cycle.seeds[i]);
    trace_roots_end(&r);
}

static void run_mark_old(struct worker *w, struct packet *p)
{
    struct collection *c = collection_of(w);
    struct tracer r = { &c->trace, tally_of(w), w, NULL };

    stage_split(w, p);
    cycle_mark_rows(&r, p->args[0], p->args[1]);
    trace_roots_end(&r);
}

bool heap_marked(const struct heap *h)
{
    return !h->plan->constraints.counts || gray_is_empty(&h->count.gray);
}

void heap_interrupt(struct heap *h, bool now)
{
    at_store_relaxed(&h->count.gray.interrupted, now);
    at_store_relaxed(&h->count.undone.interrupted, now);
}

bool heap_counted(const struct heap *h)
{
    return !h->count.unfinished;
}

bool heap_in_collection(const struct heap *h)
{
    enum heap_cycle cycle = heap_cycle(h);

    return cycle == HEAP_CYCLE_COUNTING || cycle == HEAP_CYCLE_SWEEPING ||
           (cycle == HEAP_CYCLE_MARKING && !h->plan->constraints.counts);
}

size_t heap_logged(const struct heap *h)
{
    return h->log.count - h->cycle.taken;
}

void heap_take_log(struct heap *h)
{
    struct cycle *cycle = &h->cycle;
    struct log *log = &h->log;
    struct logged *rows = cycle->rows;
    size_t capacity = cycle->row_capacity;

    if (cycle->row_count > 0 || h->plan->constraints.counts)
        return; /* heap_mark() had no memory for those: they come first */
    cycle->sum.logged_units += heap_logged(h);
    if (heap_shares_log(h)) {
        cycle_log_take(h);
        return;
    }
    cycle->took_all = true;
    cycle->rows = log->rows;
    cycle->row_count = log->count;
    cycle->row_capacity = log->capacity;
    log->rows = rows; /* the room is used again */
    log->capacity = capacity;
    log->count = 0;
}

int heap_mark(struct heap *h, struct engine *engine)
{
    struct cycle *cycle = &h->cycle;
    struct collection c = { .heap = h };
    bool first = !cycle->seeded;
    struct range ranges[] = { { &MARK_SEEDS, 0, first ? at_load_relaxed(&cycle->seed_count) : 0 },
                              { &SCAN_IMMORTAL, 0, first ? blocks_high(&h->blocks) : 0 },
                              { &MARK_OLD, 0, cycle->row_count } };

    MM_ASSERT(heap_cycle(h) == HEAP_CYCLE_MARKING);
    if (h->plan->constraints.counts)
        return refcount_mark(h, engine);
    uint64_t before = cycle->sum.live_objects;
    int r = run(&c, engine, ranges, MM_ARRAY_LEN(ranges), NULL);
    cycle->closed = r == 0 && cycle->took_all && cycle->sum.live_objects == before;
    cycle->took_all = false;
    if (r == 0) {
        cycle->seeded = true;
        cycle->row_count = 0;
    }
    return r;
}

/* ---- the end of marking, beside the clients ---- */

bool heap_plan_ends_beside(const struct heap *h)
{
    return heap_plan_is_concurrent(h) && !h->plan->constraints.counts && !heap_shares_log(h);
}

/* Sanity looks at a world that stands still, and references are cleared only in one. */
bool heap_may_end_beside(const struct heap *h)
{
    return heap_plan_ends_beside(h) && !h->options.sanity && !h->log.lost && !h->cycle.met_weak && !types_have_weak(&h->types);
}

static inline void flag_unswept(struct heap *h, uint32_t block)
{
    _Atomic uint8_t *flags = &h->meta.flags[block];

    if (block_kind_has_lines(blocks_kind(&h->blocks, block)))
        at_store_relaxed(flags, at_load_relaxed(flags) | BLOCK_UNSWEPT); /* nobody else is at the flags */
}

static void end_marking(struct heap *h)
{
    cycle_log_end(h);
    cycle_begin_sweep(h);
    at_store_release(&h->meta.header->journal, HEAP_RELEASE);
}

bool heap_end_mark(struct heap *h)
{
    MM_ASSERT(heap_cycle(h) == HEAP_CYCLE_MARKING);
    if (!h->cycle.closed || !heap_may_end_beside(h))
        return false;
    for (uint32_t block = 0; block < blocks_high(&h->blocks); block++)
        flag_unswept(h, block);
    end_marking(h);
    return true;
}

/* ---- the second stop ---- */

static void run_flag(struct worker *w, struct packet *p)
{
    struct heap *h = collection_of(w)->heap;

    stage_split(w, p);
    for (uint32_t block = (uint32_t)p->args[0]; block < p->args[1]; block++)
        flag_unswept(h, block);
}

/* Everything that stood in the block at the first stop is marked, and so are its lines. */
static void keep_block(struct heap *h, uint32_t block)
{
    uint64_t first = (uint64_t)block * MM_BLOCK_LINES, word = (uint64_t)block * MM_BLOCK_GRANULES / 64;

    resolve_parse_block(h, block);
    for (uint64_t i = word; i < word + MM_BLOCK_GRANULES / 64; i++)
        at_or_relaxed(&heap_marks(h)[i], at_load_relaxed(&heap_vo(h)[i]));
    for (uint64_t line = first; line < first + MM_BLOCK_LINES; line++)
        if (at_load_relaxed(&h->meta.lines[line]) != 0 || bitmap_test(heap_granted(h), line))
            at_store_relaxed(&h->meta.lines[line], LINE_MARKED_NEXT);
}

static void keep_runs(struct heap *h, uint32_t block)
{
    for (uint32_t page = block * MM_BLOCK_PAGES; page < (block + 1) * MM_BLOCK_PAGES; page++)
        if (large_run_starts(h, page) && !large_run_untaken(h, page))
            bitmap_set(heap_marks(h), large_object_granule(page));
}

static void run_keep_all(struct worker *w, struct packet *p)
{
    struct heap *h = collection_of(w)->heap;

    stage_split(w, p);
    for (uint32_t block = (uint32_t)p->args[0]; block < p->args[1]; block++) {
        enum block_kind kind = blocks_kind(&h->blocks, block);
        if (block_kind_has_lines(kind))
            keep_block(h, block);
        else if (kind == BLOCK_LARGE)
            keep_runs(h, block);
    }
}

/* Marks what is left, or keeps everything if some of what was overwritten is not known (Y3). */
static int finish_marking(struct heap *h, struct engine *engine, bool keep, struct heap_collection *ret)
{
    struct cycle *cycle = &h->cycle;
    struct collection c = { .heap = h };
    struct range ranges[] = { { &MARK_SEEDS, 0, cycle->seeded || keep ? 0 : at_load_relaxed(&cycle->seed_count) },
                              { &SCAN_IMMORTAL, 0, cycle->seeded || keep ? 0 : blocks_high(&h->blocks) },
                              { &MARK_OLD, 0, keep ? 0 : cycle->row_count },
                              { &KEEP_BLOCKS, 0, keep ? blocks_high(&h->blocks) : 0 },
                              { &FLAG_BLOCKS, 0, blocks_high(&h->blocks) } };

    int r = run(&c, engine, ranges, MM_ARRAY_LEN(ranges), ret);
    if (r < 0)
        return r;
    cycle->seeded = true;
    cycle->row_count = 0;
    return 0;
}

/* To the last row: those that heap_mark() did not come to, then those logged since. */
static int finish_log(struct heap *h, struct engine *engine, struct heap_collection *ret)
{
    int r;

    do {
        heap_take_log(h);
        r = finish_marking(h, engine, h->log.lost, ret);
    } while (r == 0 && heap_logged(h) > 0 && !h->log.lost);
    return r;
}

static void run_find_rows(struct worker *w, struct packet *p)
{
    stage_split(w, p);
    stage_each_word(collection_of(w), p->args[0], p->args[1], HEAP_ROOTS_NONE, NULL, NULL);
}

/* All is marked that strong references reach. What is weak by now is, or was made since of what is marked or new. */
static int see_references(struct heap *h, struct engine *engine, const struct heap_stop *stop)
{
    struct collection c = { .heap = h, .stop = stop };

    int r = stage_count_words(&c);
    if (r < 0)
        return r;
    struct range words = { &FIND_ROWS, 0, c.row_words };
    c.references.blocks = &REFERENCE_BLOCKS;
    c.references.rows = &REFERENCE_ROWS;
    c.references.elements = &REFERENCE_ELEMENTS;
    r = run(&c, engine, &words, 1, NULL);
    stage_forget_words(&c);
    return r;
}

static void report(const struct heap *h, struct heap_collection *ret)
{
    const struct heap_collection *sum = &h->cycle.sum;

    ret->kind = HEAP_PAUSE_FINAL_MARK;
    ret->live_objects = sum->live_objects;
    ret->live_bytes = sum->live_bytes;
    ret->logged_units = sum->logged_units;
    ret->nursery_begun = sum->nursery_begun;
    ret->begins_nursery = h->cycle.promotes;
    ret->forged_refs = sum->forged_refs;
    ret->cleared_refs = sum->cleared_refs;
    ret->readied = sum->readied;
    ret->announced = sum->announced;
}

/* Everything is alive. What is not is found out at once, if the roots are known. */
static int give_up(struct heap *h, struct engine *engine, const struct heap_stop *stop, struct heap_collection *ret)
{
    struct heap_collection kept;

    h->cycle.sum.live_objects = h->live_objects; /* nobody has counted */
    h->cycle.sum.live_bytes = h->live_bytes;
    int r = cycle_sweep_stw(h, engine, &kept);
    if (r < 0)
        return r;
    if (stop->roots_overflowed) {
        report(h, ret);
        return 0;
    }
    r = schedule_collect_stw(h, engine, stop, ret);
    ret->fell_back = true;
    return r;
}

static void run_promote(struct worker *w, struct packet *p)
{
    stage_split(w, p);
    for (uint32_t block = (uint32_t)p->args[0]; block < p->args[1]; block++)
        cycle_promote_block(collection_of(w)->heap, block);
}

/* If there is no memory for it, what is young stays so. */
static void promote(struct heap *h, struct engine *engine, const struct heap_stop *stop)
{
    struct irregular *list = store_alloc(h->store, MM_MAX(h->grants.capacity, 1u) * sizeof(*list));

    if (list != NULL && run_one(h, engine, &PROMOTE_BLOCKS, blocks_high(&h->blocks)) == 0)
        cycle_promote_stw(h, stop, list);
    else
        store_free(h->store, list);
}

int cycle_final_stw(struct heap *h, struct engine *engine, const struct heap_stop *stop, struct heap_collection *ret)
{
    int r = finish_log(h, engine, ret);
    bool keep = h->log.lost;

    if (r == 0 && !keep)
        r = see_references(h, engine, stop);
    if (r < 0)
        return r;
    if (heap_shares_log(h) && h->mostly_survives && !keep)
        promote(h, engine, stop);
    end_marking(h);
    if (keep)
        return give_up(h, engine, stop, ret);
    report(h, ret);
    return h->options.sanity ? cycle_sweep_stw(h, engine, ret) : 0;
}

void cycle_fini(struct cycle *cycle, struct store *store)
{
    store_free(store, cycle->seeds);
    store_free(store, cycle->rows);
}
