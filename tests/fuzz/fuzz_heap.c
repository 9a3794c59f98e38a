/* SPDX-License-Identifier: Apache-2.0 */
/* fuzz_heap.c - A heap under any plan, and clients that write anything into all that they can write, at any time.
 *   They do honest work, too, lie between any two calls of the daemon's, and during them (storm.h). An input is a plan, its options, then
 *   calls, each a byte and its arguments; a byte that is missing is 0.
 *   Beyond not crashing and not hanging: no invariant of the heap breaks (MM_HEAP_CHECK, MM_ASSERT), and when everybody has gone all
 *   of its memory can be had again.  docs/reliability.md#attacks */
#include <stdlib.h>
#include <string.h>

#include "shm/object.h"
#include "tests/fuzz/fuzz.h"
#include "tests/fuzz/heap_world.h"
#include "tests/fuzz/storm.h"
#include "tests/plans/objects.h"
#include "tests/support/wild.h"

#define ARENA_BYTES (UINT64_C(4) << 20)
#define CALLS_MAX 300u
#define RECENT 64u
#define WORK_MAX 12000u /* objects made and words scribbled by one input */
#define HOLD_NODES (MM_LINE_BYTES / NODE_BYTES)

static struct heap_world world;
static struct objects types;
static struct {
    const uint8_t *at, *end;
} input;
static struct {
    uint32_t granule, type, length;
} recent[RECENT];
static uint32_t recent_count, work, immortals;

static uint32_t take(void)
{
    return input.at < input.end ? *input.at++ : 0;
}
static uint32_t take16(void)
{
    uint32_t low = take();
    return low | take() << 8;
}
static uint32_t take32(void)
{
    uint32_t low = take16();
    return low | take16() << 16;
}

static uint64_t seed_from(uint32_t n)
{
    return (n + 1) * UINT64_C(0x9e3779b97f4a7c15);
}

static bool spend(uint32_t amount)
{
    work += amount;
    return work <= WORK_MAX;
}

/* ---- honest work -------------------------------------------------------------------------------------------------- */

static struct heap_client *honest(void)
{
    return heap_world_honest(&world, take());
}

static uint32_t refs_of(uint32_t type, uint32_t length)
{
    return type == types.node ? 2 : type == types.refs ? length : 0;
}

static void remember(uint32_t granule, uint32_t type, uint32_t length)
{
    recent[recent_count % RECENT].granule = granule;
    recent[recent_count % RECENT].type = type;
    recent[recent_count++ % RECENT].length = length;
}

static uint32_t recent_one(uint32_t which)
{
    return recent[which % RECENT].granule;
}

static bool in_arena(uint64_t granule)
{
    return granule > 0 && granule < ARENA_BYTES / MM_GRANULE_BYTES;
}

/* A place that may be stale by now: to the heap one more lie. */
static void link_one(uint32_t from, uint32_t i, uint32_t to)
{
    uint32_t granule = recent[from % RECENT].granule,
             refs = refs_of(recent[from % RECENT].type, recent[from % RECENT].length);

    if (refs > 0 && in_arena(granule) && in_arena((uint64_t)granule + i % refs / 2))
        fake_set(&world.fake, granule, i % refs, to);
}

static void make(struct heap_client *c, uint32_t type, uint32_t length, uint32_t to)
{
    uint32_t granule = c == NULL || !spend(1 + length / 64) ? 0 : fake_new(c->fake, type, length);

    if (granule == 0)
        return;
    remember(granule, type, length);
    if (refs_of(type, length) > 0)
        link_one(recent_count - 1, 0, to);
}

static void call_make(void)
{
    struct heap_client *c = honest();
    uint32_t count = 1 + take() % 64, type = 1 + take() % 5, length = take();

    length = type == types.node || type == types.wide ? 0
             : length < 0xf8                          ? length % 32
                                                      : length * 61;
    for (uint32_t i = 0; i < count; i++)
        make(c, type, length, recent_one(recent_count + i * 7));
}

static void call_make_many(void)
{
    struct heap_client *c = honest();
    uint32_t count = 4 * take(), keep = 1 + take();

    for (uint32_t i = 0; i < count; i++)
        make(c, i % keep == 0 ? types.refs : types.node, i % keep == 0 ? 20 : 0,
             i % keep == 0 ? recent_one(i) : 0);
}

static void call_make_still(void)
{
    struct heap_client *c = honest();
    bool forever = take() % 4 == 0;

    if (c == NULL || !spend(1))
        return;
    immortals += forever;
    uint32_t granule =
        fake_new_in(c->fake, forever ? SHM_GRANT_IMMORTAL : SHM_GRANT_NONMOVING, types.node, 0);
    if (granule != 0)
        remember(granule, types.node, 0);
}

static void call_link(void)
{
    uint32_t from = take(), i = take();

    link_one(from, i, recent_one(take()));
}

/* Memory without a header: its owner may die there. */
static void call_reserve(void)
{
    struct heap_client *c = honest();
    uint32_t bytes = 8 * (2 + take16() % 8192);

    if (c == NULL || !spend(bytes / 64))
        return;
    (void)fake_reserve(c->fake, bytes);
    c->lied |= bytes > MM_SMALL_MAX_BYTES; /* it says nothing of what it has */
}

static void root_in_words(struct shm_mutator *words, bool exact, uint32_t word)
{
    _Atomic uint32_t *count = exact ? &words->local_count : &words->root_count;
    _Atomic uint32_t *roots = exact ? words->locals : (_Atomic uint32_t *)(void *)words->roots;
    uint32_t i = at_load_relaxed(count);

    if (i >= HEAP_WORLD_ROOT_CAPACITY)
        return;
    at_store_relaxed(&roots[i], word);
    at_store_relaxed(count, i + 1);
}

static void root_in_table(uint32_t kind, uint32_t word)
{
    uint32_t row = at_load_relaxed(&world.rows->row_high);

    row = row == 0 || row >= 4096 ? 1 : row;
    at_store_relaxed(&world.rows->row_notes[row].since_ns, take());
    at_store_relaxed(&world.rows->row_words[row], word);
    at_store_relaxed(&world.rows->row_tags[row], shm_row_tag(kind % SHM_ROW_KINDS, 1));
    at_store_relaxed(&world.rows->row_high, row + 1);
}

static void call_root(void)
{
    uint32_t where = take(), word = recent_one(take()) + (where >> 6);
    struct heap_client *c = honest();

    if (where % 16 == 0 && world.fake.row_counts[0] < 100)
        fake_root(&world.fake, 0, word); /* a name: whoever sets one says any number */
    else if (where % 16 <= 4 && c != NULL)
        root_in_words(heap_client_words(c), where % 2 == 0, word);
    else
        root_in_table(where, word);
}

static void call_unroot(void)
{
    uint32_t what = take();

    if ((what & 1) != 0)
        fake_roots_clear(&world.fake);
    if ((what & 2) != 0)
        at_store_relaxed(&world.rows->row_high, 0);
    for (uint32_t i = 0; i < HEAP_WORLD_CLIENTS; i++) {
        struct heap_client *c = &world.clients[i];
        if (c->fake == NULL || (what >> 2 & 1u << i) == 0)
            continue;
        at_store_relaxed(&heap_client_words(c)->root_count, 0);
        at_store_relaxed(&heap_client_words(c)->local_count, 0);
    }
}

/* ---- lies --------------------------------------------------------------------------------------------------------- */

static uint64_t lie_word(void)
{
    uint32_t what = take();

    switch (what % 8) {
    case 0: return take();
    case 1: return take32();
    case 2: return take32() | (uint64_t)take32() << 32;
    case 3: return object_header(take() % 8, take16());
    case 4: return object_header(take() % 8, take32());
    case 5: return object_header_moved(recent_one(take()) + take());
    case 6: return UINT64_MAX - take();
    default: return recent_one(take()) | (uint64_t)recent_one(take()) << 32;
    }
}

static void call_poke_arena(void)
{
    uint32_t what = take();
    uint64_t granule = what < 0xc0 ? (uint64_t)recent_one(what) + take() % 8 - 1
                                   : take32() % (ARENA_BYTES / MM_GRANULE_BYTES);

    if (in_arena(granule))
        at_store_relaxed((_Atomic uint64_t *)fake_at(&world.fake, (uint32_t)granule), lie_word());
}

static void call_scribble(void)
{
    uint32_t area = take(), count = 1u << take() % 13, seed = take16();

    if (area != 0)
        for (uint32_t i = 0; i < HEAP_WORLD_CLIENTS; i++)
            world.clients[i].lied = true;
    if (!spend(count / 8))
        return;
    heap_world_areas(&world);
    storm_scribble(area, seed_from(seed), count);
}

static struct heap_client *any_client(void)
{
    struct heap_client *c = &world.clients[take() % HEAP_WORLD_CLIENTS];

    return c->fake == NULL ? heap_world_honest(&world, 0) : c;
}

static void lie_of_bump(struct shm_mutator *words, unsigned class)
{
    struct shm_bump *bump = class == SHM_GRANT_LINES ? &words->lines : &words->bumps[class];
    uint32_t what = take();
    char *place = what % 4 == 0 ? (char *)(uintptr_t)lie_word()
                  : what % 4 == 1
                      ? world.fake.base + 8 * (uint64_t)(take32() % (ARENA_BYTES / 8))
                      : (char *)((uintptr_t)bump->cursor + 8 * (uintptr_t)(int16_t)take16());

    if ((what & 0x10) != 0)
        bump->cursor = place;
    if ((what & 0x20) != 0)
        bump->limit = place;
}

static void lie_of_log(struct shm_mutator *words)
{
    struct shm_log_entry *entry = &words->log_ring[take16() % SHM_LOG_CAPACITY];
    uint32_t what = take();

    at_store_relaxed(&entry->object, (what & 8) != 0 ? take32() : recent_one(take()));
    at_store_relaxed(&entry->offset, (what & 16) != 0   ? take32()
                                     : (what & 32) != 0 ? SHM_LOG_KEEP
                                                        : take());
    at_store_relaxed(&entry->old, lie_word());
    switch (what % 4) {
    case 0:
        at_store_relaxed(&words->log.pushed, at_load_relaxed(&words->log.pushed) + take());
        return;
    case 1:
        at_store_relaxed(&words->log.tentative, at_load_relaxed(&words->log.pushed) + take() % 3);
        return;
    case 2: at_store_relaxed(&words->log.lost, take()); return;
    default: at_store_relaxed(&words->log.pushed, take32()); return;
    }
}

static void call_lie(void)
{
    struct heap_client *c = any_client();
    uint32_t what = take(), class = take() % SHM_GRANT_CLASSES;

    if (c == NULL)
        return;
    struct shm_mutator *words = heap_client_words(c);
    (void)heap_world_stop(&world); /* what is not lied about is up to date */
    c->lied = true;
    switch (what % 10) {
    case 0:
        at_store_relaxed(&words->mail[class].taken,
                         at_load_relaxed(&words->mail[class].taken) + take() - 4);
        return;
    case 1: at_store_relaxed(&words->mail[class].taken, take32()); return;
    case 2:
    case 3: lie_of_bump(words, class); return;
    case 4:
        words->base =
            (char *)(uintptr_t)((uintptr_t)world.fake.base + 8 * (intptr_t)(int32_t)take32());
        return;
    case 5: at_store_relaxed(&words->held, lie_word()); return;
    case 6: at_store_relaxed(&words->hold_rows[take() % SHM_HOLD_CAPACITY], lie_word()); return;
    case 7: at_store_relaxed(&words->root_count, (take() & 1) != 0 ? take16() : take32()); return;
    case 8: at_store_relaxed(&words->local_count, take16()); return;
    default: lie_of_log(words); return;
    }
}

static void call_lie_of_rows(void)
{
    uint32_t what = take(), row = what < 0x80 ? take() : take32() % SHM_ROWS_MAX;

    switch (what % 4) {
    case 0: at_store_relaxed(&world.rows->row_words[row], (uint32_t)lie_word()); return;
    case 1: at_store_relaxed(&world.rows->row_tags[row], (uint32_t)lie_word()); return;
    case 2: at_store_relaxed(&world.rows->row_notes[row].since_ns, lie_word()); return;
    default:
        at_store_relaxed(&world.rows->row_high, what == 0xff ? UINT32_MAX : take16() % 8192);
        return;
    }
}

static void call_lie_of_bytes(void)
{
    uint32_t at = take32(), count = take(), with = take();

    if (world.log.at != NULL)
        memset(world.log.at + at % (world.log.bytes - 256), (int)with, count);
}

/* What comes next happens under a storm. */
static struct {
    uint32_t seed, gap, writes;
} coming;

static void call_storm(void)
{
    coming.seed = take16();
    coming.gap = 1u << take() % 14;
    coming.writes = 1 + take();
}

static void storm_on(void)
{
    if (coming.writes == 0)
        return;
    heap_world_areas(&world);
    storm_begin(seed_from(coming.seed), coming.gap, coming.writes);
}

static void storm_off(void)
{
    if (coming.writes == 0)
        return;
    coming.writes = 0;
    if (storm_end() > 0)
        for (uint32_t i = 0; i < HEAP_WORLD_CLIENTS; i++)
            world.clients[i].lied = true;
}

/* ---- the daemon's calls ------------------------------------------------------------------------------------------- */

static struct shm_move *room_for_moves(void *context, uint64_t count)
{
    struct shm_move **rows = context;

    free(*rows);
    *rows = count < 100000 ? calloc(count + 1, sizeof(**rows)) : NULL;
    return *rows;
}

static void collect(uint32_t how)
{
    struct shm_move *rows = NULL;
    struct heap_moves moves = { .room = room_for_moves, .context = &rows };
    struct heap_stow stows[2] = { { .root = recent_one(how >> 4) },
                                  { .root = recent_one(how >> 3) + (how >> 6) } };
    struct heap_collection done = { 0 };

    struct heap_stop stop = heap_world_stop(&world);
    stop.whole = (how & 1) != 0;
    stop.full_heap = (how & 3) == 3;
    stop.emergency = (how & 12) == 12;
    stop.moves = (how & 16) != 0 ? &moves : NULL;
    if ((how & 32) != 0) {
        stop.stows = stows;
        stop.stow_count = 1 + (how >> 7);
    }
    int r = heap_collect_stw(world.fake.heap, world.fake.engine, &stop, &done);
    MM_ASSERT(r == 0 || r == -ENOMEM || (r == -ENOTSUP && !heap_plan_collects(world.fake.heap)));
    MM_ASSERT(r != 0 || done.live_objects <= ARENA_BYTES / MM_GRANULE_BYTES);
    /* A stop without roots ends what it cannot go on with: who waits sees an end. */
    enum heap_cycle cycle = heap_cycle(world.fake.heap);
    MM_ASSERT(r != 0 || !stop.roots_overflowed || cycle == HEAP_CYCLE_NONE ||
              cycle == HEAP_CYCLE_SWEEPING);
    for (uint64_t i = 0; rows != NULL && i < MM_MIN(at_load_relaxed(&moves.count), moves.capacity); i++)
        MM_ASSERT(rows[i].from < ARENA_BYTES / 8 && rows[i].to < ARENA_BYTES / 8);
    free(rows);
}

static void counted(void)
{
    heap_interrupt(world.fake.heap, (take() & 3) == 1);
    (void)heap_count(world.fake.heap, world.fake.engine);
    heap_interrupt(world.fake.heap, false);
    if (heap_counted(world.fake.heap))
        heap_end_count(world.fake.heap);
}

static void marked(uint32_t how)
{
    if (heap_plan_counts(world.fake.heap)) {
        heap_interrupt(world.fake.heap, (how & 4) != 0);
        (void)heap_mark(world.fake.heap, world.fake.engine);
        heap_interrupt(world.fake.heap, false);
        return;
    }
    if (heap_mark(world.fake.heap, world.fake.engine) == 0 && heap_end_mark(world.fake.heap))
        return;
    for (uint32_t i = 0; i < HEAP_WORLD_CLIENTS; i++)
        if (world.clients[i].fake != NULL)
            heap_world_drain(&world, &world.clients[i]);
    heap_take_log(world.fake.heap);
}

static void swept(void)
{
    struct heap_collection done;

    if (heap_sweep(world.fake.heap, world.fake.engine) == 0 && !heap_take_swept(world.fake.heap))
        heap_end_cycle(world.fake.heap, &done);
}

/* What comes next of a collection that goes on while clients run (daemon/cycle.c). */
static void step_cycle(uint32_t how)
{
    switch (heap_cycle(world.fake.heap)) {
    case HEAP_CYCLE_NONE:
        if (!heap_wants_cycle(world.fake.heap) && (how & 8) == 0)
            return;
        heap_begin_cycle(world.fake.heap);
        if (heap_clear(world.fake.heap, world.fake.engine) < 0 || (how & 0x30) == 0x30)
            heap_cancel_cycle(world.fake.heap);
        return;
    case HEAP_CYCLE_COUNTING: (how & 3) == 3 ? collect(0) : counted(); return;
    case HEAP_CYCLE_CLEARED: collect(how & 0xd0); return;
    case HEAP_CYCLE_MARKING: (how & 3) == 3 ? collect(how & 0xd0) : marked(how); return;
    case HEAP_CYCLE_SWEEPING: swept(); return;
    }
}

static void call_collect(void)
{
    uint32_t how = take();

    storm_on();
    if (heap_cycle(world.fake.heap) == HEAP_CYCLE_SWEEPING) /* it must come to its end before */
        step_cycle(how);
    else
        collect(how);
    storm_off();
}

static void call_cycle(void)
{
    uint32_t how = take();

    if (!heap_plan_is_concurrent(world.fake.heap))
        return;
    storm_on();
    step_cycle(how);
    storm_off();
}

static void call_drain(void)
{
    struct heap_client *c = any_client();

    storm_on();
    if (c != NULL)
        heap_world_drain(&world, c);
    if (take() == 0xff)
        heap_log_lost(world.fake.heap);
    storm_off();
}

static void call_grant(void)
{
    struct heap_client *c = any_client();
    uint32_t class = take() % SHM_GRANT_CLASSES, how = take();
    uint64_t bytes = (how & 1) != 0 ? take16() * UINT64_C(64) : lie_word();

    immortals += class == SHM_GRANT_IMMORTAL;
    if (c == NULL || !spend(64))
        return;
    c->lied |= class == SHM_GRANT_LARGE; /* of another size than its next object may be */
    (void)heap_world_grant(&world, c, class, bytes, (how & 2) != 0 ? take32() : take16());
}

static void call_end_client(void)
{
    struct heap_client *c = any_client();

    if (c == NULL || !heap_world_rests(&world))
        return;
    storm_on();
    heap_world_client_end(&world, c);
    storm_off();
}

static void call_new_client(void)
{
    (void)heap_world_client_new(&world);
}

static void call_limit(void)
{
    heap_set_limit(world.fake.heap, (take() & 1) != 0 ? ARENA_BYTES : take() * (ARENA_BYTES / 256));
}

static void call_release(void)
{
    uint64_t offset = ARENA_BYTES;
    bool success = take() % 4 != 0;

    for (uint64_t bytes;
         (bytes = heap_release_next(world.fake.heap, UINT64_C(2) << 20, ARENA_BYTES, &offset)) > 0;) {
        if (success)
            memset(world.fake.base + offset, 0, bytes);
        heap_release_done(world.fake.heap, offset, bytes, success);
    }
    while (heap_commit_next(world.fake.heap, &offset))
        heap_commit_done(world.fake.heap, offset, true);
}

static void call_look(void)
{
    struct heap_histogram_row rows[8];
    struct heap_verdict verdict;

    if (!heap_world_rests(&world))
        return;
    storm_on();
    struct heap_stop stop = heap_world_stop(&world);
    if (take() % 2 == 0)
        (void)heap_verify_stw(world.fake.heap, world.fake.engine, &stop, &verdict);
    else
        (void)heap_histogram_stw(world.fake.heap, world.fake.engine, &stop, rows);
    storm_off();
}

static void call_packets(void)
{
    engine_set_packet_limit(world.fake.engine, (8 + take()) * PACKET_BYTES);
}

/* A hold: begun, blocks of it filled and told of, ended. */
static void call_hold(void)
{
    struct heap_client *c = honest();
    uint32_t lines = take() % (MM_BLOCK_LINES + 1), how = take();

    if (c == NULL || !spend(lines * 8))
        return;
    if ((how & 1) != 0)
        c->fake->held = c->fake->held == 0 ? 1 + how : 0;
    uint32_t place = c->fake->rings[SHM_GRANT_HOLD].published;
    if (heap_world_grant(&world, c, SHM_GRANT_HOLD, MM_BLOCK_BYTES, 0) == 0)
        return;
    uint32_t granule = c->fake->rings[SHM_GRANT_HOLD].rows[place % SHM_HOLD_CAPACITY].start;
    for (uint32_t line = 0; line < lines; line++, granule += MM_LINE_GRANULES) {
        memset(fake_at(&world.fake, granule), 0, MM_LINE_BYTES);
        for (uint32_t i = 0; i < HOLD_NODES; i++)
            *(uint64_t *)fake_at(&world.fake, granule + 3 * i) = object_header(types.node, 0);
        remember(granule + 1, types.node, 0);
    }
    uint64_t row =
        lines | ((how & 2) != 0 ? SHM_HOLD_RETIRED : 0) | c->fake->held << SHM_HOLD_SERIAL_LOG;
    at_store_relaxed(&heap_client_words(c)->hold_rows[place % SHM_HOLD_CAPACITY], row);
}

/* ---- an input ----------------------------------------------------------------------------------------------------- */

/* clang-format off */
static void (*const calls[])(void) = {
    call_make, call_make_many, call_make_still,   call_link,       call_reserve,    call_root,        call_unroot,
    call_hold, call_collect,   call_cycle,        call_poke_arena, call_scribble,   call_lie,         call_lie_of_rows,
    call_storm, call_lie_of_bytes, call_drain,    call_grant,      call_end_client, call_new_client,  call_limit,
    call_release, call_look,   call_packets,      call_collect,    call_cycle,      call_storm,       call_make_many,
};
/* clang-format on */

static void open_world(void)
{
    uint32_t which = take(), how = take();
    struct heap_config config = { .plan = plans[which % PLAN_COUNT]->name, .max_bytes = ARENA_BYTES };

    config.options.sanity = (how & 1) != 0;
    config.options.immix_always_defrag = (how & 2) != 0;
    config.options.immix_defrag_every_block = (how & 4) != 0;
    config.options.count_live_bytes_in_gc = (how & 8) != 0;
    config.options.soft_ms_per_mib = (how & 16) != 0 ? 1 : 0;
    config.options.pause_goal_ns = (how & 32) != 0 ? 1000000 : 0;
    if ((how & 64) != 0)
        config.options.nursery =
            (struct heap_nursery){ .kind = HEAP_NURSERY_FIXED, .max_bytes = 1 << 18 };
    heap_world_open(&world, &config);
    objects_define(&types, &world.fake);
    (void)heap_world_client_new(&world);
}

static void finish_cycle(void)
{
    for (uint32_t i = 0; heap_cycle(world.fake.heap) != HEAP_CYCLE_NONE; i++) {
        MM_ASSERT(i < 200);
        step_cycle(i % 4 == 3 ? 3 : 0);
    }
}

/* Nothing that clients did is for ever: when they have gone their memory can be had again. */
static void close_world(void)
{
    fake_roots_clear(&world.fake);
    at_store_relaxed(&world.rows->row_high, 0);
    engine_set_packet_limit(world.fake.engine, 1024 * PACKET_BYTES);
    finish_cycle();
    for (uint32_t i = 0; i < HEAP_WORLD_CLIENTS; i++)
        if (world.clients[i].fake != NULL)
            heap_world_client_end(&world, &world.clients[i]);
    for (uint32_t i = 0; i < 3 && heap_plan_collects(world.fake.heap); i++) {
        collect(3);
        finish_cycle();
    }
    MM_ASSERT(!heap_plan_collects(world.fake.heap) || immortals > 0 ||
              heap_used_bytes(world.fake.heap) == 0);
    heap_world_close(&world);
}

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t count)
{
    input.at = bytes;
    input.end = bytes + count;
    memset(recent, 0, sizeof(recent));
    memset(&coming, 0, sizeof(coming));
    recent_count = work = immortals = 0;
    open_world();
    for (uint32_t i = 0; i < CALLS_MAX && input.at < input.end; i++)
        calls[take() % MM_ARRAY_LEN(calls)]();
    close_world();
    return 0;
}

/* ---- where to begin ----------------------------------------------------------------------------------------------- */

/* For each plan: something is made, rooted, linked; lies and a storm; collections of all kinds; and again. */
size_t fuzz_good_input(size_t i, uint8_t *bytes, size_t capacity)
{
    /* clang-format off */
    static const uint8_t script[] = {
        0, 0, 40, 0, 0, 0, 1, 30, 2, 9, 5, 0, 1, 0, 5, 2, 9, 0, 5, 11, 3, 0, 7, 0, 0, 100, 3, 3, 5, 1, 9, 27, 0, 100, 8, 8, 0, 8, 1,
        26, 7, 1, 3, 40, 24, 0, 9, 8, 26, 9, 2, 2, 60, 9, 0, 9, 0, 9, 0, 9, 0, 9, 0, 0, 1, 30, 1, 250, 10, 3, 0, 3, 2, 60, 0,
        12, 0, 2, 0, 0x30, 1, 5, 0, 0, 0, 26, 1, 1, 1, 200, 8, 1, 18, 0, 19, 22, 0, 22, 1, 1, 0, 90, 5, 5, 6, 3, 24, 3, 6, 0x7f, 8, 17,
    };
    /* clang-format on */
    uint64_t state = seed_from((uint32_t)i);

    if (i >= (size_t)4 * PLAN_COUNT || capacity < 2 + 2 * sizeof(script))
        return 0;
    bytes[0] = (uint8_t)(i % PLAN_COUNT);
    bytes[1] = i < PLAN_COUNT ? 1 : (uint8_t)wild_random(&state);
    memcpy(bytes + 2, script, sizeof(script));
    if (i < (size_t)2 * PLAN_COUNT)
        return 2 + sizeof(script);
    for (size_t k = 0; k < sizeof(script); k++) /* others, by chance */
        bytes[2 + sizeof(script) + k] = (uint8_t)(wild_random(&state) >> 24);
    return 2 + 2 * sizeof(script);
}
