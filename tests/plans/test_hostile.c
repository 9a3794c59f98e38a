/* SPDX-License-Identifier: Apache-2.0 */
/* A client that writes anything anywhere in the arena and in its own words: the collector neither crashes, nor hangs, nor writes
 * the arena, nor breaks an invariant of its own (MM_HEAP_CHECK asserts them after each collection).
 *   MMGC_SEED=N replays a run; built with ASan, reads outside the segments show */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "plans/plan.h"
#include "tests/plans/objects.h"
#include "tests/support/runner.h"

#define MIB (UINT64_C(1) << 20)
#define HEAP_BYTES (8 * MIB)

#define ROUNDS 30u

static struct fake_world world;
static struct objects types;
static size_t honest_from; /* mutators below it have told lies, and are out of step with what the heap believes */
static uint64_t rng;

static uint64_t next(void)
{
    rng ^= rng << 13;
    rng ^= rng >> 7;
    rng ^= rng << 17;
    return rng * UINT64_C(0x2545f4914f6cdd1d);
}
static uint32_t below(uint32_t n)
{
    return (uint32_t)((next() >> 32) * n >> 32);
}

static void open_world(const char *plan, unsigned workers)
{
    const char *seed = getenv("MMGC_SEED");

    rng = seed != NULL ? strtoull(seed, NULL, 0) : mm_now_ns() % UINT64_C(1000000000000);
    fprintf(stderr, "MMGC_SEED=%" PRIu64 "\n", rng);
    rng = rng * UINT64_C(0x9e3779b97f4a7c15) | 1;
    struct heap_config config = { .plan = plan, .max_bytes = HEAP_BYTES, .options.sanity = below(3) != 0 };
    fake_world_open_with(&world, &config, workers);
    honest_from = 0;
    objects_define(&types, &world);
    fake_mutator_new(&world);
    fake_mutator_new(&world);
}

static uint32_t wild_granule(void)
{
    return below(4) == 0 ? (uint32_t)next() : below(HEAP_BYTES / MM_GRANULE_BYTES + 10);
}

static uint64_t wild_word(void)
{
    switch (below(6)) {
    case 0: return next();
    case 1: return object_header(below(8), below(100));
    case 2: return object_header(below(8), (uint32_t)next());
    case 3: return object_header(types.refs, below(5000));
    case 4: return wild_granule() | (uint64_t)wild_granule() << 32;
    default: return 0;
    }
}

static struct fake_mutator *honest_mutator(void)
{
    return world.mutators[honest_from + below((uint32_t)(world.mutator_count - honest_from))];
}

static void allocate(uint32_t count)
{
    uint32_t newest = 0;

    for (uint32_t i = 0; i < count; i++) {
        uint32_t type = 1 + below(5), length = below(300) == 0 ? below(20000) : below(30);
        uint32_t object = fake_new(honest_mutator(), type,
                                   type == types.node || type == types.wide ? 0 : length);
        if (object == 0)
            return;
        if (type != types.bytes && length > 0)
            fake_set(&world, object, 0, newest);
        newest = object;
        if (below(100) == 0 && world.row_counts[0] < 1000)
            fake_root(&world, below(4), object + below(3));
    }
}

static void scribble(uint32_t words)
{
    for (uint32_t i = 0; i < words; i++)
        ((uint64_t *)(void *)world.base)[below(HEAP_BYTES / 8)] = wild_word();
}

/* What a client may say about itself. */
static void lie(struct heap_mutator_view *v)
{
    for (unsigned i = 0; i < SHM_GRANT_CLASSES; i++)
        if (below(3) == 0)
            v->taken[i] += below(3) == 0 ? (uint32_t)next() : below(5) - 2;
    for (unsigned i = 0; i < SHM_GRANT_CLASSES; i++) {
        if (below(3) == 0)
            v->cursor[i] = below(2) == 0 ? wild_granule() : v->cursor[i] + below(100) - 50;
        if (below(3) == 0)
            v->limit[i] = below(2) == 0 ? wild_granule() : v->limit[i] + below(1000) - 500;
    }
}

/* What a client may say that it stored. */
static void tell_of_stores(uint32_t count)
{
    for (uint32_t i = 0; i < count; i++) {
        struct shm_log_entry entry = { wild_granule(), below(3) == 0 ? (uint32_t)next() : below(5000), wild_word() };
        heap_log_drain(world.heap, &entry, 1);
    }
    if (below(20) == 0)
        heap_log_lost(world.heap);
}

static void mischief(void)
{
    if (below(2) == 0)
        allocate(below(2000));
    if (below(2) == 0)
        scribble(1u << below(14));
    tell_of_stores(below(200));
}

static struct heap_stop lying_stop(bool lies)
{
    struct heap_stop stop = fake_stop(&world);

    stop.whole = below(2) == 0;
    for (size_t i = 0; lies && i < stop.mutator_count; i++)
        lie((struct heap_mutator_view *)&stop.views[i]);
    return stop;
}

static uint64_t arena_sum(void)
{
    const uint64_t *words = (const void *)world.base;
    uint64_t sum = 0;

    for (size_t i = 0; i < HEAP_BYTES / 8; i++)
        sum = (sum ^ words[i]) * UINT64_C(0x9e3779b97f4a7c15);
    return sum;
}

static void collect_and_look(bool lies)
{
    struct heap_stop stop = lying_stop(lies);
    struct heap_histogram_row rows[8];
    struct heap_collection c;
    struct heap_verdict v;
    uint64_t before = arena_sum();

    ck_assert_int_eq(heap_verify_stw(world.heap, world.engine, &stop, &v), 0);
    ck_assert_int_eq(heap_histogram_stw(world.heap, world.engine, &stop, rows), 0);
    ck_assert_uint_eq(arena_sum(), before);
    if (heap_plan_collects(world.heap)) {
        ck_assert_int_eq(heap_collect_stw(world.heap, world.engine, &stop, &c), 0);
        ck_assert_uint_le(c.live_objects, HEAP_BYTES / MM_GRANULE_BYTES);
        /* Lies told before the stop are not the collector's doing; but a young one is right to name stores that nobody logged. */
        ck_assert(c.sanity_faults == 0 || c.kind == HEAP_PAUSE_YOUNG || c.kind == HEAP_PAUSE_REFCOUNT);
        ck_assert_int_eq(heap_verify_stw(world.heap, world.engine, &stop, &v), 0);
    }
}

static void stop_in_cycle(bool lies)
{
    struct heap_stop stop = lying_stop(lies);
    struct heap_collection c;

    ck_assert_int_eq(heap_collect_stw(world.heap, world.engine, &stop, &c), 0);
    if (!lies)
        return;
    honest_from = world.mutator_count;
    fake_mutator_new(&world);
}

static void sweep(void)
{
    struct heap_collection c = fake_cycle_sweep(&world, mischief);

    ck_assert_uint_le(c.live_objects, HEAP_BYTES / MM_GRANULE_BYTES);
}

/* Of plans that count: what the last stop has left to be done. */
static void count(void)
{
    if (heap_cycle(world.heap) != HEAP_CYCLE_COUNTING)
        return;
    do {
        mischief();
        heap_interrupt(world.heap, below(2) == 0);
        ck_assert_int_eq(heap_count(world.heap, world.engine), 0);
        mischief();
        if (below(10) == 0)
            return;
    } while (!heap_counted(world.heap));
    heap_end_count(world.heap);
    mischief();
    sweep();
}

/* The calls of a cycle; anything may be written, granted and told of in between. */
static void cycle(bool lies)
{
    count();
    heap_begin_cycle(world.heap);
    ck_assert_int_eq(heap_clear(world.heap, world.engine), 0);
    mischief();
    stop_in_cycle(lies);
    for (uint32_t i = below(3); heap_cycle(world.heap) == HEAP_CYCLE_MARKING && i > 0; i--) {
        mischief();
        heap_take_log(world.heap);
        ck_assert_int_eq(heap_mark(world.heap, world.engine), 0);
    }
    mischief();
    if (heap_cycle(world.heap) == HEAP_CYCLE_MARKING)
        stop_in_cycle(lies);
    mischief();
    if (heap_cycle(world.heap) == HEAP_CYCLE_SWEEPING)
        sweep();
    if (below(2) == 0)
        count();
}

/* Of plans that count, a trace: its marking is interrupted, and pauses that count come in between. */
static void trace(bool lies)
{
    count();
    if (heap_cycle(world.heap) == HEAP_CYCLE_NONE) {
        heap_begin_cycle(world.heap);
        ck_assert_int_eq(heap_clear(world.heap, world.engine), 0);
    }
    mischief();
    for (stop_in_cycle(lies); heap_cycle(world.heap) != HEAP_CYCLE_NONE; stop_in_cycle(lies)) {
        count();
        for (uint32_t i = below(3); heap_cycle(world.heap) == HEAP_CYCLE_MARKING && i > 0; i--) {
            mischief();
            heap_interrupt(world.heap, below(2) == 0);
            ck_assert_int_eq(heap_mark(world.heap, world.engine), 0);
            mischief();
        }
        if (heap_cycle(world.heap) == HEAP_CYCLE_NONE)
            return;
    }
}

/* After lies: start again with new ones. */
static void replace_mutators(bool lies)
{
    while (world.mutator_count > 0) {
        struct fake_mutator *m = world.mutators[0];
        struct heap_mutator_view v = fake_view(m);
        if (lies)
            lie(&v);
        fake_mutator_kill_as(m, &v);
    }
    honest_from = 0;
    fake_mutator_new(&world);
    fake_mutator_new(&world);
}

static void run(const char *plan, bool lies)
{
    static const unsigned workers[] = { 1, 2, 4 };

    open_world(plan, workers[mm_now_ns() % 3]);
    if (below(2) == 0)
        engine_set_packet_limit(world.engine, (8 + below(60)) * PACKET_BYTES);
    for (uint32_t round = 0; round < ROUNDS; round++) {
        allocate(20000);
        scribble(1u << below(18));
        for (uint32_t i = below(200); i > 0; i--)
            fake_root(&world, below(FAKE_ROWS_MAX), wild_granule());
        tell_of_stores(below(300));
        if (heap_plan_is_concurrent(world.heap) && below(2) == 0)
            heap_plan_counts(world.heap) ? trace(lies) : cycle(lies);
        collect_and_look(lies);
        if (lies || below(20) == 0)
            replace_mutators(lies);
        if (below(3) == 0)
            fake_roots_clear(&world);
    }
    /* Nothing it did is for ever. */
    fake_roots_clear(&world);
    replace_mutators(lies);
    fake_collect(&world);
    fake_collect(&world);
    ck_assert_uint_eq(heap_used_bytes(world.heap), 0);
    fake_world_close(&world);
}

START_TEST(random_bits_in_the_arena)
{
    run(plans[_i]->name, false);
}
END_TEST

START_TEST(random_bits_and_lies_about_the_bump)
{
    run(plans[_i]->name, true);
}
END_TEST

START_TEST(forged_references_are_counted_not_followed)
{
    open_world("immix", 2);
    struct fake_mutator *m = world.mutators[0];
    uint32_t node = fake_new(m, types.node, 0), large = fake_new(m, types.refs, 10000);
    const uint32_t forged[] = { UINT32_MAX,
                                HEAP_BYTES / 8,
                                HEAP_BYTES / 8 - 1,
                                5 * MIB / 8,
                                node & ~(MM_BLOCK_GRANULES - 1),
                                large + 1,
                                large - 1,
                                large + MM_PAGE_GRANULES };
    uint32_t count = 0;
    fake_root(&world, 0, node);
    fake_root(&world, 0, large);
    for (size_t i = 0; i < MM_ARRAY_LEN(forged); i++) {
        if (forged[i] == 0)
            continue; /* the block's first granule may be the arena's */
        fake_set(&world, large, (uint32_t)i, forged[i]);
        fake_root(&world, 0, forged[i]);
        count += 2;
    }
    struct heap_collection c = fake_collect(&world);
    ck_assert_uint_eq(c.forged_refs, count);
    ck_assert_uint_eq(c.live_objects, 2);
    fake_world_close(&world);
}
END_TEST

START_TEST(a_forged_reference_leaves_no_trace_behind_a_cursor)
{
    open_world("immix", 2);
    struct fake_mutator *m = world.mutators[0];
    uint32_t node = fake_new(m, types.node, 0);
    for (uint32_t ahead = 1; ahead < 200; ahead += 3) { /* in the cursor's line, and beyond */
        fake_roots_clear(&world);
        fake_root(&world, 0, node);
        fake_root(&world, 0, fake_granule(&world, m->bumps[0].cursor) + ahead);
        ck_assert_uint_eq(fake_collect(&world).live_objects, 2);
        fake_roots_clear(&world);
        fake_verify_clean(&world);
    }
    fake_world_close(&world);
}
END_TEST

START_TEST(bad_headers_are_leaves)
{
    open_world("immix", 2);
    struct fake_mutator *m = world.mutators[0];
    uint32_t node = fake_new(m, types.node, 0), child = fake_new(m, types.node, 0),
             large = fake_new(m, types.refs, 10000);
    const uint64_t bad[] = { 0,
                             6,
                             OBJECT_TYPE_MAX,
                             object_header(types.node, 0) | 1u << 31,
                             object_header(types.node, 7) | 1u << OBJECT_IDENTITY_SHIFT,
                             object_header(types.bytes, 7) | 1u << 31,
                             object_header(types.refs, UINT32_MAX),
                             object_header(types.pairs, 1u << 29),
                             object_header(types.bytes, MM_BLOCK_BYTES) };
    for (size_t i = 0; i < MM_ARRAY_LEN(bad); i++) {
        fake_roots_clear(&world);
        fake_root(&world, 0, node);
        fake_root(&world, 0, large);
        node_set(&world, node, child, child, 1);
        fake_set(&world, large, 0, child);
        *(uint64_t *)fake_at(&world, node - 1) = bad[i];
        *(uint64_t *)fake_at(&world, large - 1) =
            i + 1 < MM_ARRAY_LEN(bad) ? bad[i] : object_header(types.refs, 20000);
        struct heap_collection c = fake_collect(&world);
        ck_assert_uint_eq(c.live_objects, 2);
        ck_assert_uint_eq(c.forged_refs, 2);
        ck_assert_uint_eq(c.live_bytes, 2 * MM_OBJECT_MIN_BYTES);
    }
    fake_world_close(&world);
}
END_TEST

START_TEST(overlapping_arrays_cost_no_more_than_their_blocks)
{
    open_world("immix", 2);
    struct fake_mutator *m = world.mutators[0];
    uint32_t refs = fake_new(m, types.refs, 300000), count = 0;
    for (uint32_t i = 0; i < 40; i++) {
        uint32_t array = fake_new(m, types.refs, 4000);
        for (uint32_t k = 0; k < 2000 && array != 0; k++) {
            ((uint64_t *)fake_at(&world, array))[k] = object_header(types.refs, 3900);
            fake_set(&world, refs, count++, array + 1 + k);
        }
    }
    fake_root(&world, 0, refs);
    struct heap_collection c = fake_collect(&world);
    ck_assert_uint_gt(c.live_objects, 40000);
    ck_assert_uint_lt(c.live_bytes, 3 * heap_used_bytes(world.heap));
    fake_world_close(&world);
}
END_TEST

static Suite *make_suite(void)
{
    Suite *s = suite_create("hostile");
    TCase *tc = tcase_create("hostile");

    tcase_set_timeout(tc, 100);
    tcase_add_loop_test(tc, random_bits_in_the_arena, 1, PLAN_COUNT);
    tcase_add_loop_test(tc, random_bits_and_lies_about_the_bump, 1, PLAN_COUNT);
    tcase_add_test(tc, forged_references_are_counted_not_followed);
    tcase_add_test(tc, a_forged_reference_leaves_no_trace_behind_a_cursor);
    tcase_add_test(tc, bad_headers_are_leaves);
    tcase_add_test(tc, overlapping_arrays_cost_no_more_than_their_blocks);
    suite_add_tcase(s, tc);
    return s;
}

int main(int argc, char **argv)
{
    return runner_main(argc, argv, make_suite);
}
