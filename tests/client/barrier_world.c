/* SPDX-License-Identifier: Apache-2.0 */
#include "tests/client/barrier_world.h"

#include <stdio.h>
#include <string.h>
#include <sys/mman.h>

#include "client/write_barrier.h"
#include "shm/units.h"

#define ROW_BYTE (MM_BLOCK_BYTES + 40u) /* in mid-line */
#define FIELD_BASE 1000u

struct mapping { /* what the child shares */
    struct world world;
    struct mmgc_heap heap;
    struct shm_control control;
    struct thread threads[WORLD_THREADS];
    _Alignas(4096) struct shm_mutator mutators[WORLD_THREADS];
    _Alignas(4096) _Atomic uint8_t lines[WORLD_ARENA_BYTES / MM_LINE_BYTES];
    _Atomic uint64_t bits[WORLD_ARENA_BYTES / 512];
    char quiet[WORLD_ARENA_BYTES / MM_LINE_BYTES];
    _Alignas(4096) char arena[WORLD_ARENA_BYTES];
};

struct world *world_new(void)
{
    struct mapping *map =
        mmap(NULL, sizeof(*map), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
    MM_ASSERT(map != MAP_FAILED);
    struct world *w = &map->world;
    map->heap.control = &map->control;
    map->heap.log_lines = w->lines = map->lines;
    map->heap.log_bits = w->bits = map->bits;
    map->heap.quiet_lines = map->quiet;
    at_store_relaxed(&map->heap.connection.broken, MMGC_E_DISCONNECTED);
    w->row = (mmgc_ref *)(void *)(map->arena + ROW_BYTE);
    for (uint32_t i = 0; i < WORLD_THREADS; i++) {
        struct shm_mutator *m = w->m[i] = &map->mutators[i];
        map->threads[i] = (struct thread){ .m = m, .heap = &map->heap };
        m->base = map->arena;
        m->client = &map->threads[i];
        w->t[i] = thread_public(&map->threads[i]);
    }
    return w;
}

static struct shm_control *control_of(const struct world *w)
{
    return (struct shm_control *)thread_of(w->t[0])->heap->control;
}

static void set_bits(struct world *w)
{
    for (uint32_t i = 0; i < WORLD_ARENA_BYTES / 512; i++)
        at_store_relaxed(&w->bits[i], UINT64_MAX);
}

void world_arm(struct world *w, enum shm_barrier_kind kind, bool full)
{
    struct shm_control *control = control_of(w);

    control->barrier = w->kind = kind;
    at_store_relaxed(&control->barrier_active, 1);
    for (uint32_t i = 0; i < WORLD_REFS; i++)
        w->before[i].granule = w->row[i].granule = FIELD_BASE + i;
    set_bits(w);
    for (uint32_t i = 0; i < WORLD_ARENA_BYTES / MM_LINE_BYTES; i++)
        at_store_relaxed(&w->lines[i], 1);
    for (uint32_t i = 0; i < WORLD_THREADS; i++) {
        struct shm_log *log = &w->m[i]->log;
        write_barrier_follow(thread_of(w->t[i]));
        w->pushed[i] = at_load_relaxed(&log->pushed);
        w->lost[i] = at_load_relaxed(&log->lost);
        at_store_relaxed(&log->drained, w->pushed[i] - (full ? SHM_LOG_CAPACITY : 0));
    }
    w->last.tentative = false;
}

void world_rest(struct world *w)
{
    at_store_relaxed(&control_of(w)->barrier_active, 0);
    set_bits(w);
}

/* ---- the question ---- */

static uint32_t row_granule(const struct world *w)
{
    return (uint32_t)(((char *)w->row - w->m[0]->base) >> MM_GRANULE_LOG);
}

/* What is logged at once: a granule, or a line by its first one. */
static uint32_t unit_of(const struct world *w, uint32_t granule)
{
    return w->kind == SHM_BARRIER_FIELDS ? granule : granule - granule % MM_LINE_GRANULES;
}

static uint32_t unit_of_field(const struct world *w, uint32_t field)
{
    return unit_of(w, row_granule(w) + (uint32_t)(field * sizeof(mmgc_ref) >> MM_GRANULE_LOG));
}

static bool is_armed(const struct world *w, uint32_t unit)
{
    if (w->kind == SHM_BARRIER_LINES)
        return at_load_acquire(&w->lines[unit / MM_LINE_GRANULES]) != 0;
    return (at_load_acquire(&w->bits[unit / 64]) >> unit % 64 & 1) != 0;
}

static uint64_t old_of_unit(const struct world *w, uint32_t unit)
{
    uint64_t old;

    memcpy(&old, (const char *)w->before + ((uint64_t)(unit - row_granule(w)) << MM_GRANULE_LOG), sizeof(old));
    return old;
}

/* Entries of thread @i that count: those pushed, and the one it may have died over. */
static uint32_t entries_of(const struct world *w, uint32_t i, bool dead)
{
    const struct shm_log *log = &w->m[i]->log;
    uint32_t pushed = at_load_acquire(&log->pushed);

    bool over_one = dead && w->kind == SHM_BARRIER_FIELDS && at_load_acquire(&log->tentative) == pushed + 1;
    return pushed - w->pushed[i] + over_one;
}

/* How many log @unit; -1: one of them wrongly. */
static int count_entries(const struct world *w, uint32_t unit, bool dead)
{
    int found = 0;

    for (uint32_t i = 0; i < WORLD_THREADS; i++)
        for (uint32_t n = 0, count = entries_of(w, i, dead); n < count; n++) {
            const struct shm_log_entry *entry = &w->m[i]->log_ring[(w->pushed[i] + n) % SHM_LOG_CAPACITY];
            if (unit_of(w, at_load_relaxed(&entry->object) + at_load_relaxed(&entry->offset)) != unit)
                continue;
            if (at_load_relaxed(&entry->object) != row_granule(w))
                return -1;
            if (w->kind == SHM_BARRIER_FIELDS && at_load_relaxed(&entry->old) != old_of_unit(w, unit))
                return -1;
            found++;
        }
    return found;
}

static bool any_lost(const struct world *w)
{
    bool lost = false;

    for (uint32_t i = 0; i < WORLD_THREADS; i++)
        lost = lost || at_load_acquire(&w->m[i]->log.lost) != w->lost[i];
    return lost;
}

static const char *say(const char *what, uint32_t field)
{
    static char text[120];

    (void)snprintf(text, sizeof(text), "field %u %s", field, what);
    return text;
}

const char *world_fault(const struct world *w)
{
    bool lost = any_lost(w);

    for (uint32_t i = 0; i < WORLD_REFS; i++) {
        uint32_t unit = unit_of_field(w, i);
        bool armed = is_armed(w, unit);
        int entries = count_entries(w, unit, true);
        if (armed && w->row[i].granule != w->before[i].granule)
            return say("has changed, and asks to be logged", i);
        if (!armed && entries < 0)
            return say("is logged with what it was not", i);
        if (!armed && entries == 0 && !lost)
            return say("is not logged, and does not ask for it", i);
    }
    return NULL;
}

const char *world_rest_fault(const struct world *w)
{
    for (uint32_t i = 0; i < WORLD_REFS && !any_lost(w); i++) {
        uint32_t unit = unit_of_field(w, i);
        if (!is_armed(w, unit) && count_entries(w, unit, true) == 0)
            return say("is not logged, and does not ask for it while the barrier rests", i);
    }
    return NULL;
}

static struct world_entry entry_at_work(const struct world *w)
{
    const struct shm_log *log = &w->m[0]->log;
    uint32_t at = at_load_acquire(&log->pushed);
    const struct shm_log_entry *entry = &w->m[0]->log_ring[at % SHM_LOG_CAPACITY];

    return (struct world_entry){ .tentative = at_load_acquire(&log->tentative) == at + 1,
                                 .at = at,
                                 .retracted = at_load_acquire(&log->retracted),
                                 .object = at_load_relaxed(&entry->object),
                                 .offset = at_load_relaxed(&entry->offset),
                                 .old = at_load_relaxed(&entry->old) };
}

const char *world_rewrite_fault(struct world *w)
{
    struct world_entry before = w->last, now = entry_at_work(w);
    bool same = now.object == before.object && now.offset == before.offset && now.old == before.old;

    if (!before.tentative || now.at != before.at || now.retracted != before.retracted) /* there is nothing to be kept, or no longer */
        w->last = now;
    else if (!same)
        return "an entry was written anew that was not said to be taken back";
    return NULL;
}

const char *world_end_fault(const struct world *w, uint32_t first, uint32_t count)
{
    int most = w->kind == SHM_BARRIER_FIELDS ? 1 : (int)WORLD_THREADS;

    for (uint32_t i = 0; i < WORLD_REFS; i++) {
        uint32_t unit = unit_of_field(w, i);
        bool touched = unit >= unit_of_field(w, first) && unit <= unit_of_field(w, first + count - 1);
        int entries = count_entries(w, unit, false), wanted = any_lost(w) ? 0 : touched;
        if (entries < wanted || entries > wanted * most)
            return say("has not as many entries as it should", i);
        if (is_armed(w, unit) == touched)
            return say("has a byte or bit that says otherwise", i);
    }
    for (uint32_t i = 0; i < WORLD_THREADS; i++)
        if (entries_of(w, i, true) != entries_of(w, i, false))
            return "an entry was not taken back";
    return world_fault(w);
}
