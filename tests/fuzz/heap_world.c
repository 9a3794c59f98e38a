/* SPDX-License-Identifier: Apache-2.0 */
#include "tests/fuzz/heap_world.h"

#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

#include "daemon/server.h"
#include "daemon/session.h"
#include "tests/fuzz/storm.h"

#define GUARD_BYTES 65536u
#define GRANT_ROWS 64u /* as many as daemon/grants.c asks for at once */

static struct ground ground_new(size_t bytes)
{
    size_t whole = mm_align_up(bytes, MM_PAGE_BYTES);

    if (bytes == 0)
        return (struct ground){ 0 };
    char *at = mmap(NULL, whole + 2 * GUARD_BYTES, PROT_NONE,
                    MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
    MM_ASSERT(at != MAP_FAILED && mprotect(at + GUARD_BYTES, whole, PROT_READ | PROT_WRITE) == 0);
    return (struct ground){ .at = at + GUARD_BYTES, .bytes = whole };
}

static void ground_free(struct ground *g)
{
    if (g->at != NULL)
        (void)munmap(g->at - GUARD_BYTES, g->bytes + 2 * GUARD_BYTES);
    *g = (struct ground){ 0 };
}

static void commit_all(struct heap_world *w)
{
    uint64_t offset;

    while (heap_commit_next(w->fake.heap, &offset))
        heap_commit_done(w->fake.heap, offset, true);
}

void heap_world_open(struct heap_world *w, const struct heap_config *config)
{
    struct engine_config engine = { .workers = 1, .threadless = true };
    struct heap_config c = *config;

    memset(w, 0, sizeof(*w));
    w->plan = plan_find(c.plan);
    w->arena = ground_new(c.max_bytes);
    w->private = ground_new(heap_private_bytes(c.plan, c.max_bytes));
    w->log = ground_new(heap_log_bytes(c.plan, c.max_bytes));
    w->page_map = ground_new(heap_page_map_bytes(c.plan, c.max_bytes));
    w->session = ground_new(sizeof(struct shm_session));
    w->rows = (void *)w->session.at;
    MM_ASSERT(shm_segment_init_memory(&w->arena_segment, w->arena.at, w->arena.bytes) == 0);
    MM_ASSERT(shm_segment_init_memory(&w->private_segment, w->private.at, w->private.bytes) == 0);
    c.log = w->log.at;
    c.page_map = w->page_map.at;
    MM_ASSERT(engine_new_with(&w->fake.engine, &engine) == 0);
    MM_ASSERT(heap_new(&w->fake.heap, &c, &w->arena_segment, &w->private_segment) == 0);
    w->fake.arena = &w->arena_segment;
    w->fake.private = &w->private_segment;
    w->fake.base = w->arena.at;
    w->fake.log = w->log.at;
    w->fake.allocator = heap_plan_allocator(w->fake.heap);
    commit_all(w);
}

void heap_world_close(struct heap_world *w)
{
    for (uint32_t i = 0; i < HEAP_WORLD_CLIENTS; i++)
        if (w->clients[i].fake != NULL)
            heap_world_client_end(w, &w->clients[i]);
    engine_unref(w->fake.engine);
    heap_unref(w->fake.heap);
    ground_free(&w->arena);
    ground_free(&w->private);
    ground_free(&w->log);
    ground_free(&w->page_map);
    ground_free(&w->session);
}

bool heap_world_rests(const struct heap_world *w)
{
    enum heap_cycle cycle = heap_cycle(w->fake.heap);

    return cycle == HEAP_CYCLE_NONE ||
           (!heap_in_collection(w->fake.heap) && cycle != HEAP_CYCLE_CLEARED);
}

/* ---- clients ------------------------------------------------------------------------------------------------------ */

struct heap_client *heap_world_client_new(struct heap_world *w)
{
    for (uint32_t i = 0; i < HEAP_WORLD_CLIENTS; i++) {
        struct heap_client *c = &w->clients[i];
        if (c->fake != NULL)
            continue;
        *c = (struct heap_client){ .fake = fake_mutator_new(&w->fake),
                                   .ground = ground_new(shm_mutator_bytes(HEAP_WORLD_ROOT_CAPACITY)) };
        c->daemons = (struct mutator){ .words = (void *)c->ground.at,
                                       .record = c->fake->heap_mutator,
                                       .root_capacity = HEAP_WORLD_ROOT_CAPACITY };
        c->daemons.words->base = w->fake.base;
        c->fake->hold_rows = c->daemons.words->hold_rows;
        c->fake->lines_bytes = 64 * 1024;
        return c;
    }
    return NULL;
}

struct heap_client *heap_world_honest(struct heap_world *w, uint32_t which)
{
    for (uint32_t i = 0; i < HEAP_WORLD_CLIENTS; i++) {
        struct heap_client *c = &w->clients[(which + i) % HEAP_WORLD_CLIENTS];
        if (c->fake != NULL && !c->lied)
            return c;
    }
    return heap_world_client_new(w);
}

/* What an honest library would have written there by now. */
static void say(struct heap_client *c)
{
    const struct fake_mutator *m = c->fake;
    struct shm_mutator *words = c->daemons.words;

    if (c->lied)
        return;
    words->base = m->world->base;
    at_store_relaxed(&words->held, m->held);
    for (unsigned class = 0; class < SHM_GRANT_CLASSES; class ++) {
        at_store_relaxed(&words->mail[class].taken, m->rings[class].taken);
        bool parked = class == SHM_GRANT_LINES && m->held != 0;
        struct shm_bump *bump = parked ? &words->bumps[class] : shm_mutator_bump(words, class);
        bump->cursor = m->bumps[class].cursor;
        bump->limit = m->bumps[class].limit;
    }
}

static const _Atomic uint64_t *log_bits(const struct heap_world *w)
{
    return heap_plan_barrier(w->fake.heap) != SHM_BARRIER_FIELDS
               ? NULL
               : (void *)(w->log.at + shm_log_bits_offset(w->arena.bytes));
}

void heap_world_drain(struct heap_world *w, struct heap_client *c)
{
    if (w->log.at == NULL)
        return;
    if (heap_plan_ends_beside(w->fake.heap))
        drain_running_locked(&c->daemons.drain, c->daemons.words, w->fake.heap);
    else
        drain_locked(&c->daemons.drain, c->daemons.words, w->fake.heap);
}

void heap_world_client_end(struct heap_world *w, struct heap_client *c)
{
    struct heap_mutator_view view = { 0 };

    say(c);
    if (w->log.at != NULL)
        drain_last_locked(&c->daemons.drain, c->daemons.words, w->fake.heap, log_bits(w),
                          w->arena.bytes >> MM_GRANULE_LOG);
    mutator_view(&c->daemons, w->arena.bytes, &view);
    fake_mutator_kill_as(c->fake, &view);
    ground_free(&c->ground);
    *c = (struct heap_client){ .fake = NULL };
}

/* ---- what the daemon does ----------------------------------------------------------------------------------------- */

struct heap_stop heap_world_stop(struct heap_world *w)
{
    static struct heap_roots rows[2 * HEAP_WORLD_CLIENTS + 2];
    static struct heap_mutator *records[HEAP_WORLD_CLIENTS];
    static struct heap_mutator_view views[HEAP_WORLD_CLIENTS];
    static struct server server = { .config.max_handles = SHM_ROWS_MAX };
    struct session session = { .words = w->rows, .server = &server };
    struct heap_stop stop = { .roots = rows, .mutators = records, .views = views };

    memset(views, 0, sizeof(views));
    for (uint32_t i = 0; i < HEAP_WORLD_CLIENTS; i++) {
        struct heap_client *c = &w->clients[i];
        if (c->fake == NULL)
            continue;
        say(c);
        if (w->log.at != NULL)
            drain_locked(&c->daemons.drain, c->daemons.words, w->fake.heap);
        records[stop.mutator_count] = c->daemons.record;
        mutator_view(&c->daemons, w->arena.bytes, &views[stop.mutator_count++]);
        stop.roots_overflowed |= !mutator_roots(&c->daemons, &rows[stop.root_count]);
        stop.root_count += 2;
    }
    session_roots(&session, &rows[stop.root_count++]);
    rows[stop.root_count++] = (struct heap_roots){ .kind = HEAP_ROOTS_EXACT,
                                                   .words = w->fake.rows[0],
                                                   .count = w->fake.row_counts[0] };
    return stop;
}

size_t heap_world_grant(struct heap_world *w, struct heap_client *c, enum shm_grant_class class,
                        uint64_t bytes, uint32_t min_bytes)
{
    struct shm_mutator *words = c->daemons.words;
    struct fake_ring *ring = &c->fake->rings[class];
    struct shm_grant rows[GRANT_ROWS];
    uint32_t capacity = shm_ring_capacity(class);

    say(c);
    uint32_t used = heap_mutator_outstanding(c->daemons.record, class,
                                             at_load_acquire(&words->mail[class].taken));
    uint32_t room = used >= capacity ? 0 : capacity - used;
    size_t count = heap_grant(w->fake.heap, c->daemons.record, class, bytes, min_bytes, rows,
                              MM_MIN(room, GRANT_ROWS));
    for (size_t i = 0; i < count; i++) {
        uint32_t at = ring->published++ % capacity;
        if (class == SHM_GRANT_HOLD)
            at_store_relaxed(&words->hold_rows[at], 0);
        MM_ASSERT(rows[i].granules > 0 &&
                  (uint64_t)rows[i].start + rows[i].granules <= w->arena.bytes >> MM_GRANULE_LOG);
        ring->rows[at] = rows[i];
    }
    return count;
}

void heap_world_areas(struct heap_world *w)
{
    storm_areas_clear();
    storm_area_add(w->arena.at, w->arena.bytes);
    storm_area_add(w->rows->row_words, 4096);
    storm_area_add(w->rows->row_tags, 4096);
    storm_area_add(w->rows->row_notes, 4096);
    if (w->log.at != NULL)
        storm_area_add(w->log.at, w->log.bytes);
    for (uint32_t i = 0; i < HEAP_WORLD_CLIENTS; i++) {
        if (w->clients[i].fake == NULL)
            continue;
        storm_area_add(w->clients[i].ground.at, offsetof(struct shm_mutator, rings));
        storm_area_add(w->clients[i].daemons.words->hold_rows, 4096);
        storm_area_add(w->clients[i].daemons.words->locals, 4096);
        storm_area_add(w->clients[i].daemons.words->roots, 4096);
    }
}
