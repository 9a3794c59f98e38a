/* SPDX-License-Identifier: Apache-2.0 */
#include "tests/support/fake_mutator.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "plans/work/store.h"

#define ZERO_AHEAD 1024u

void fake_world_open(struct fake_world *w, const char *plan, uint64_t max_bytes, unsigned workers)
{
    struct heap_config config = { .plan = plan, .max_bytes = max_bytes, .options.sanity = true };

    fake_world_open_with(w, &config, workers);
}

void fake_world_open_with(struct fake_world *w, const struct heap_config *config, unsigned workers)
{
    uint64_t max_bytes = mm_align_up(config->max_bytes, MM_CHUNK_BYTES), offset;

    setenv("MM_HEAP_CHECK", "1", 0);
    memset(w, 0, sizeof(*w));
    MM_ASSERT(shm_segment_new(&w->arena, max_bytes, "arena") == 0);
    MM_ASSERT(shm_segment_new(&w->private, heap_private_bytes(config->plan, max_bytes), "private") == 0);
    struct heap_config with_log = *config;
    size_t log_bytes = heap_log_bytes(config->plan, max_bytes);
    if (log_bytes > 0)
        MM_ASSERT((with_log.log = w->log = calloc(1, log_bytes)) != NULL);
    MM_ASSERT(heap_new(&w->heap, &with_log, w->arena, w->private) == 0);
    w->allocator = heap_plan_allocator(w->heap);
    MM_ASSERT(engine_new(&w->engine, workers) == 0);
    w->base = shm_segment_address(w->arena);
    while (heap_commit_next(w->heap, &offset))
        heap_commit_done(w->heap, offset, true);
}

/* Its own record, and a ring for each class. */
static size_t mutator_bytes(void)
{
    size_t rows = 0;

    for (unsigned i = 0; i < SHM_GRANT_CLASSES; i++)
        rows += shm_ring_capacity(i);
    return sizeof(struct fake_mutator) + rows * sizeof(struct shm_grant);
}

static struct bare_config with_mutators(const struct bare_config *config)
{
    struct bare_config bare = *config;

    bare.extra_bytes += FAKE_MUTATORS_MAX * store_piece_bytes(mutator_bytes());
    return bare;
}

size_t fake_bare_bytes(const struct bare_config *config)
{
    struct bare_config bare = with_mutators(config);

    return bare_region_bytes(&bare);
}

int fake_world_open_bare(struct fake_world *w, const struct bare_config *config, void *region, size_t bytes)
{
    struct bare_config bare = with_mutators(config);

    memset(w, 0, sizeof(*w));
    int r = bare_open(&w->bare, &bare, region, bytes);
    if (r < 0)
        return r;
    w->arena = &w->bare.arena_segment;
    w->private = &w->bare.private_segment;
    w->heap = w->bare.heap;
    w->engine = w->bare.engine;
    w->base = w->bare.arena;
    w->log = w->bare.log;
    w->allocator = heap_plan_allocator(w->heap);
    return 0;
}

void fake_world_close(struct fake_world *w)
{
    while (w->mutator_count > 0)
        fake_mutator_kill(w->mutators[0]);
    if (w->bare.store != NULL) {
        bare_close(&w->bare);
        return;
    }
    engine_unref(w->engine);
    heap_unref(w->heap);
    free(w->log);
    shm_segment_unref(w->private);
    shm_segment_unref(w->arena);
}

/* Of fields: true if @granule has been logged. Then it is from now on. */
static bool field_is_logged(struct fake_world *w, uint32_t granule)
{
    _Atomic uint64_t *bits = (void *)(w->log + shm_log_bits_offset(shm_segment_bytes(w->arena)));
    uint64_t bit = UINT64_C(1) << granule % 64;

    return (at_and_relaxed(&bits[granule / 64], ~bit) & bit) == 0;
}

static bool is_late(struct fake_world *w)
{
    if (w->late == 0)
        return false;
    w->late--;
    return true;
}

/* shm/write_barrier.h, by one who is never killed. */
static void log_store(struct fake_world *w, uint32_t granule, uint32_t index)
{
    uint32_t offset = index * 4 / MM_GRANULE_BYTES, slot = granule + offset;
    char *line = w->log == NULL ? NULL : w->log + slot / MM_LINE_GRANULES;
    bool fields = heap_plan_barrier(w->heap) == SHM_BARRIER_FIELDS;

    if (line == NULL || (!heap_barrier_active(w->heap) && !is_late(w)) || *line == 0 || (fields && field_is_logged(w, slot)))
        return;
    struct shm_log_entry entry = { granule, offset, fields ? *(uint64_t *)fake_at(w, slot) : 0 };
    heap_log_drain(w->heap, &entry, 1);
    if (!fields)
        *line = 0;
}

void fake_set(struct fake_world *w, uint32_t granule, uint32_t index, uint32_t ref)
{
    log_store(w, granule, index);
    at_store_release(&((_Atomic uint32_t *)fake_at(w, granule))[index], ref); /* markers read it, and what it leads to */
}

uint32_t fake_type(struct fake_world *w, const struct shm_type_layout *layout)
{
    const char *why = "";
    uint32_t id;

    MM_ASSERT(shm_type_check(layout, &why) == 0);
    MM_ASSERT(heap_type_define(w->heap, layout, &id) == 0);
    return id;
}

struct fake_mutator *fake_mutator_new(struct fake_world *w)
{
    struct store *store = w->bare.store;
    struct fake_mutator *m = store != NULL ? store_alloc_zeroed(store, mutator_bytes()) : calloc(1, mutator_bytes());

    if (m == NULL && store != NULL)
        return NULL;
    MM_ASSERT(m != NULL && w->mutator_count < FAKE_MUTATORS_MAX);
    struct shm_grant *rows = (struct shm_grant *)(m + 1);
    m->world = w;
    m->lines_bytes = 256 * 1024;
    for (unsigned i = 0; i < SHM_GRANT_CLASSES; i++) {
        m->rings[i].rows = rows;
        rows += shm_ring_capacity(i);
    }
    m->heap_mutator = heap_mutator_new(w->heap);
    if (m->heap_mutator == NULL && store != NULL) {
        store_free(store, m);
        return NULL;
    }
    MM_ASSERT(m->heap_mutator != NULL);
    w->mutators[w->mutator_count++] = m;
    return m;
}

struct heap_mutator_view fake_view(const struct fake_mutator *m)
{
    struct heap_mutator_view view = { .hold_rows = m->hold_rows, .held = m->held };

    for (unsigned i = 0; i < SHM_GRANT_CLASSES; i++)
        view.taken[i] = m->rings[i].taken;
    for (unsigned i = 0; i < SHM_GRANT_CLASSES; i++) {
        if (m->bumps[i].cursor == NULL)
            continue;
        view.cursor[i] = fake_granule(m->world, m->bumps[i].cursor);
        view.limit[i] = fake_granule(m->world, m->bumps[i].limit);
    }
    return view;
}

void fake_mutator_kill(struct fake_mutator *m)
{
    struct heap_mutator_view view = fake_view(m);

    fake_mutator_kill_as(m, &view);
}

void fake_mutator_kill_as(struct fake_mutator *m, const struct heap_mutator_view *view)
{
    struct fake_world *w = m->world;

    heap_mutator_seal(w->heap, m->heap_mutator, view);
    for (size_t i = 0; i < w->mutator_count; i++)
        if (w->mutators[i] == m)
            w->mutators[i] = w->mutators[--w->mutator_count];
    if (w->bare.store != NULL)
        store_free(w->bare.store, m);
    else
        free(m);
}

bool fake_refill(struct fake_mutator *m, enum shm_grant_class class, uint64_t bytes)
{
    struct fake_ring *ring = &m->rings[class];
    uint32_t outstanding = heap_mutator_outstanding(m->heap_mutator, class, ring->taken);
    uint32_t capacity = shm_ring_capacity(class);
    struct shm_grant rows[SHM_LINES_CAPACITY];

    MM_ASSERT(class == SHM_GRANT_HOLD || outstanding == ring->published - ring->taken); /* of HOLD until the next collection */
    size_t count = heap_grant(m->world->heap, m->heap_mutator, class, bytes,
                              class == SHM_GRANT_BLOCKS ? (uint32_t)MM_MIN(bytes, MM_BLOCK_BYTES) : 0,
                              rows, capacity - outstanding);
    MM_ASSERT(count <= capacity - outstanding);
    for (size_t i = 0; i < count; i++) {
        if (class == SHM_GRANT_HOLD && m->hold_rows != NULL) /* as the daemon does */
            at_store_relaxed(&m->hold_rows[ring->published % capacity], 0);
        ring->rows[ring->published++ % capacity] = rows[i];
    }
    return count > 0;
}

/* Markers that come from a new reference read what others made of the same bytes: words, not bytes (TSan knows no dependencies). */
static void zero(char *at, size_t bytes)
{
    for (size_t i = 0; i < bytes; i += MM_GRANULE_BYTES)
        at_store_relaxed((_Atomic uint64_t *)(void *)(at + i), 0);
}

/* Leaves the span in use: what remains of it is zeroed first, so that it can be parsed to its end. */
static void leave_span(struct fake_mutator *m, enum shm_grant_class class)
{
    struct fake_bump *b = &m->bumps[class];

    if (b->cursor == NULL)
        return;
    zero(b->limit, (size_t)(b->end - b->limit));
    b->limit = b->end;
    m->rings[class].taken++;
    *b = (struct fake_bump){ NULL, NULL, NULL };
}

/* Begins the next span. False: none is left and none is granted. */
static bool next_span(struct fake_mutator *m, enum shm_grant_class class, uint64_t bytes)
{
    struct fake_ring *ring = &m->rings[class];
    struct fake_bump *b = &m->bumps[class];

    leave_span(m, class);
    if (ring->taken == ring->published && !fake_refill(m, class, bytes))
        return false;
    const struct shm_grant *row = &ring->rows[ring->taken % shm_ring_capacity(class)];
    b->cursor = fake_at(m->world, row->start);
    b->end = b->cursor + (size_t)row->granules * MM_GRANULE_BYTES;
    b->limit = (row->flags & SHM_GRANT_ZEROED) != 0 ? b->end : b->cursor;
    return true;
}

static char *bump(struct fake_bump *b, uint64_t bytes)
{
    char *at = b->cursor;

    if (at == NULL || (uint64_t)(b->end - at) < bytes)
        return NULL;
    if (at + bytes > b->limit) {
        size_t ahead =
            MM_MIN((size_t)(b->end - b->limit), (size_t)(at + bytes - b->limit) + ZERO_AHEAD);
        zero(b->limit, ahead);
        b->limit += ahead;
    }
    b->cursor = at + bytes;
    return at;
}

static char *reserve_large(struct fake_mutator *m, uint64_t bytes)
{
    struct fake_ring *ring = &m->rings[SHM_GRANT_LARGE];

    if (ring->taken == ring->published && !fake_refill(m, SHM_GRANT_LARGE, bytes))
        return NULL;
    const struct shm_grant *row = &ring->rows[ring->taken % SHM_LARGE_CAPACITY];
    MM_ASSERT((uint64_t)row->granules * MM_GRANULE_BYTES >= bytes);
    char *at = fake_at(m->world, row->start);
    if ((row->flags & SHM_GRANT_ZEROED) == 0)
        zero(at, bytes);
    return at;
}

static char *reserve_in(struct fake_mutator *m, enum shm_grant_class class, uint64_t bytes, uint64_t ask_bytes)
{
    for (;;) {
        char *at = bump(&m->bumps[class], bytes);
        if (at != NULL)
            return at;
        if (!next_span(m, class, ask_bytes))
            return NULL;
    }
}

/* Cells are taken whole, whatever is put in. */
static char *reserve_cell(struct fake_mutator *m, uint64_t bytes)
{
    uint32_t class = m->world->allocator == SHM_ALLOCATOR_PAGES ? shm_page_cell_class((uint32_t)bytes)
                                                                : shm_cell_class((uint32_t)bytes);

    return reserve_in(m, SHM_GRANT_CELLS + class, shm_cell_bytes(class), MM_MAX(MM_BLOCK_BYTES, bytes));
}

char *fake_reserve(struct fake_mutator *m, uint64_t bytes)
{
    if (bytes > MM_SMALL_MAX_BYTES)
        return reserve_large(m, bytes);
    if (m->world->allocator != SHM_ALLOCATOR_BUMP)
        return reserve_cell(m, bytes);
    /* Immix: what does not fit the hole but is longer than a line goes to whole blocks, and the hole is kept. */
    enum shm_grant_class class = SHM_GRANT_LINES;
    if (m->bumps[class].cursor != NULL &&
        (uint64_t)(m->bumps[class].end - m->bumps[class].cursor) < bytes && bytes > MM_LINE_BYTES)
        class = SHM_GRANT_BLOCKS;
    return reserve_in(m, class, bytes, class == SHM_GRANT_LINES ? m->lines_bytes : bytes);
}

static uint32_t fill(struct fake_mutator *m, char *at, uint32_t type, uint32_t length)
{
    at_store_relaxed((_Atomic uint64_t *)(void *)at, object_header(type, length));
    return fake_granule(m->world, at) + 1;
}

uint32_t fake_new_in(struct fake_mutator *m, enum shm_grant_class class, uint32_t type, uint32_t length)
{
    const struct shm_type_row *row = heap_type_row(m->world->heap, type);
    uint64_t bytes = object_bytes(row->fixed_bytes, row->element_bytes, length);
    char *at = reserve_in(m, class, bytes, MM_MAX(MM_BLOCK_BYTES, bytes));

    return at == NULL ? 0 : fill(m, at, type, length);
}

uint32_t fake_new(struct fake_mutator *m, uint32_t type, uint32_t length)
{
    const struct shm_type_row *row = heap_type_row(m->world->heap, type);
    uint64_t bytes = object_bytes(row->fixed_bytes, row->element_bytes, length);
    char *at = fake_reserve(m, bytes);

    if (at == NULL)
        return 0;
    uint32_t granule = fill(m, at, type, length);
    if (bytes > MM_SMALL_MAX_BYTES)
        m->rings[SHM_GRANT_LARGE].taken++;
    return granule;
}

void fake_root(struct fake_world *w, unsigned row, uint32_t word)
{
    MM_ASSERT(row < FAKE_ROWS_MAX && w->row_counts[row] < FAKE_ROW_WORDS);
    at_store_relaxed(&w->rows[row][w->row_counts[row]++], word);
}

uint32_t fake_row(struct fake_world *w, enum shm_row_kind kind, uint32_t word)
{
    uint32_t row = w->table_count++;

    MM_ASSERT(row < FAKE_TABLE_ROWS);
    at_store_relaxed(&w->table_words[row], word);
    at_store_relaxed(&w->table_tags[row], shm_row_tag(kind, 1));
    at_store_relaxed(&w->table_notes[row].since_ns, mm_now_ns());
    return row;
}

void fake_roots_clear(struct fake_world *w)
{
    memset(w->row_counts, 0, sizeof(w->row_counts));
    w->table_count = 0;
}

struct heap_stop fake_stop(struct fake_world *w)
{
    static struct heap_roots roots[FAKE_ROWS_MAX + 1];
    static struct heap_mutator *mutators[FAKE_MUTATORS_MAX];
    static struct heap_mutator_view views[FAKE_MUTATORS_MAX];

    w->late = 0;
    for (unsigned i = 0; i < FAKE_ROWS_MAX; i++)
        roots[i] = (struct heap_roots){ .kind = i == 0 ? HEAP_ROOTS_EXACT : HEAP_ROOTS_AMBIGUOUS,
                                        .words = w->rows[i],
                                        .count = w->row_counts[i] };
    roots[FAKE_ROWS_MAX] = (struct heap_roots){ .kind = HEAP_ROOTS_TABLE,
                                                .words = w->table_words,
                                                .count = w->table_count,
                                                .tags = w->table_tags,
                                                .notes = w->table_notes };
    for (size_t i = 0; i < w->mutator_count; i++) {
        mutators[i] = w->mutators[i]->heap_mutator;
        views[i] = fake_view(w->mutators[i]);
    }
    return (struct heap_stop){ .roots = roots,
                               .root_count = FAKE_ROWS_MAX + 1,
                               .mutators = mutators,
                               .views = views,
                               .mutator_count = w->mutator_count };
}

struct heap_collection fake_collect_as(struct fake_world *w, const struct heap_stop *stop)
{
    struct heap_collection c;

    MM_ASSERT(heap_collect_stw(w->heap, w->engine, stop, &c) == 0);
    if (c.sanity_faults != 0)
        fprintf(stderr, "%u faults; first at granule %u, reference %u: %s\n", (unsigned)c.sanity_faults,
                c.sanity_object, c.sanity_ref, heap_fault_sentence(c.sanity_first));
    MM_ASSERT(c.sanity_faults == 0);
    return c;
}

struct heap_collection fake_collect(struct fake_world *w)
{
    struct heap_stop stop = fake_stop(w);

    stop.whole = true;
    return fake_collect_as(w, &stop);
}

struct heap_collection fake_collect_young(struct fake_world *w)
{
    struct heap_stop stop = fake_stop(w);

    return fake_collect_as(w, &stop);
}

void fake_cycle_begin(struct fake_world *w)
{
    heap_begin_cycle(w->heap);
    MM_ASSERT(heap_clear(w->heap, w->engine) == 0);
    (void)fake_collect_young(w);
    MM_ASSERT(heap_cycle(w->heap) == HEAP_CYCLE_MARKING);
}

void fake_cycle_mark(struct fake_world *w)
{
    heap_take_log(w->heap);
    MM_ASSERT(heap_mark(w->heap, w->engine) == 0);
}

struct heap_collection fake_cycle_sweep(struct fake_world *w, void (*between)(void))
{
    struct heap_collection c;

    MM_ASSERT(heap_sweep(w->heap, w->engine) == 0);
    while (heap_take_swept(w->heap)) {
        if (between != NULL)
            between();
        MM_ASSERT(heap_sweep(w->heap, w->engine) == 0);
    }
    heap_end_cycle(w->heap, &c);
    return c;
}

void fake_cycle_end(struct fake_world *w)
{
    unsigned runs = 0;

    do {
        fake_cycle_mark(w);
        MM_ASSERT(++runs < 100);
    } while (!heap_end_mark(w->heap));
}

struct heap_collection fake_cycle_finish(struct fake_world *w)
{
    if (!w->stops && heap_may_end_beside(w->heap)) {
        fake_cycle_end(w);
        return fake_cycle_sweep(w, NULL);
    }
    struct heap_collection c = fake_collect_young(w);
    if (heap_cycle(w->heap) == HEAP_CYCLE_NONE)
        return c;
    return fake_cycle_sweep(w, NULL);
}

struct heap_collection fake_cycle(struct fake_world *w)
{
    fake_cycle_begin(w);
    fake_cycle_mark(w);
    return fake_cycle_finish(w);
}

struct heap_verdict fake_verify(struct fake_world *w)
{
    struct heap_stop stop = fake_stop(w);
    struct heap_verdict v;

    MM_ASSERT(heap_verify_stw(w->heap, w->engine, &stop, &v) == 0);
    return v;
}

void fake_verify_clean(struct fake_world *w)
{
    struct heap_verdict v = fake_verify(w);
    if (v.faults != 0)
        fprintf(stderr, "%u faults; first at granule %u, reference %u: %s\n", (unsigned)v.faults,
                v.rows[0].object, v.rows[0].ref, heap_fault_sentence(v.rows[0].fault));
    MM_ASSERT(v.faults == 0);
}
