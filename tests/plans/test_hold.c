/* SPDX-License-Identifier: Apache-2.0 */
/* Blocks for holds, as the heap sees them, under every plan: what a row says is parsed and lives or dies; what it does not say is nobody's
 * business; nothing of a block is granted to others until it is retired. */
#include <string.h>

#include "tests/plans/objects.h"
#include "tests/support/runner.h"

#define MIB (UINT64_C(1) << 20)
#define NODES_A_LINE (MM_LINE_BYTES / NODE_BYTES)
#define LINES 40u

static struct fake_world world;
static struct objects types;
static struct fake_mutator *m;
static const struct plan *plan;
static _Atomic uint64_t hold_rows[SHM_HOLD_CAPACITY];

static void open_world(int i)
{
    plan = plans[i];
    fake_world_open(&world, plan->name, 8 * MIB, 2);
    objects_define(&types, &world);
    m = fake_mutator_new(&world);
    memset((void *)hold_rows, 0, sizeof(hold_rows));
    m->hold_rows = hold_rows;
    m->held = 1;
}

static bool collects(void)
{
    return plan->constraints.trace != PLAN_TRACE_NONE;
}

static struct heap_collection collect(void)
{
    return collects() ? fake_collect(&world) : (struct heap_collection){ 0 };
}

/* A new block's place in the ring. */
static uint32_t block_new(void)
{
    uint32_t place = m->rings[SHM_GRANT_HOLD].published;

    ck_assert(fake_refill(m, SHM_GRANT_HOLD, MM_BLOCK_BYTES));
    ck_assert_uint_eq(m->rings[SHM_GRANT_HOLD].published, place + 1);
    ck_assert_uint_eq(m->rings[SHM_GRANT_HOLD].rows[place % SHM_HOLD_CAPACITY].granules, MM_BLOCK_GRANULES);
    return place;
}

static char *start_of(uint32_t place)
{
    return fake_at(&world, m->rings[SHM_GRANT_HOLD].rows[place % SHM_HOLD_CAPACITY].start);
}

static void say(uint32_t place, uint64_t row)
{
    at_store_relaxed(&m->hold_rows[place % SHM_HOLD_CAPACITY], row | UINT64_C(1) << SHM_HOLD_SERIAL_LOG);
}

/* Nodes in lines @first to @end of the block, @from its first one: the granule of the first. Each refers to the one before. */
static uint32_t fill_lines(uint32_t place, uint32_t first, uint32_t end)
{
    char *start = start_of(place);
    uint32_t before = 0;

    for (uint32_t line = first; line < end; line++) {
        char *at = start + line * MM_LINE_BYTES;
        memset(at, 0, MM_LINE_BYTES);
        for (uint32_t i = 0; i < NODES_A_LINE; i++, at += NODE_BYTES) {
            at_store_relaxed((_Atomic uint64_t *)(void *)at, object_header(types.node, 0));
            uint32_t granule = fake_granule(&world, at) + 1;
            node_set(&world, granule, before, 0, granule);
            before = granule;
        }
    }
    return before;
}

static void soil(uint32_t place, uint32_t first)
{
    memset(start_of(place) + first * MM_LINE_BYTES, 0xee, (MM_BLOCK_LINES - first) * MM_LINE_BYTES);
}

static uint32_t chain_length(uint32_t last)
{
    uint32_t length = 0;

    for (; last != 0; last = *(uint32_t *)fake_at(&world, last), length++)
        HOLDS(node_value(&world, last) == last);
    return length;
}

/* No hole of that block is granted, however much is wanted. */
static bool is_left_alone(uint32_t place)
{
    uint32_t first = m->rings[SHM_GRANT_HOLD].rows[place % SHM_HOLD_CAPACITY].start;
    struct fake_mutator *other = fake_mutator_new(&world);
    bool alone = true;

    for (int i = 0; i < 400; i++) {
        uint32_t object = fake_new_in(other, SHM_GRANT_NONMOVING, types.wide, 0);
        alone = alone && (object == 0 || object / MM_BLOCK_GRANULES != first / MM_BLOCK_GRANULES);
    }
    fake_mutator_kill(other);
    return alone;
}

START_TEST(what_a_row_says_is_looked_at)
{
    open_world(_i);
    uint32_t place = block_new(), last = fill_lines(place, 0, LINES);
    soil(place, LINES);
    say(place, LINES);
    fake_root(&world, 1, last); /* ambiguous: it is found because the block is parsed */
    fake_verify_clean(&world);
    struct heap_collection c = collect();
    ck_assert_uint_eq(c.live_objects, collects() ? LINES * NODES_A_LINE : 0);
    fake_verify_clean(&world);
    ck_assert_uint_eq(chain_length(last), LINES * NODES_A_LINE);
    fake_world_close(&world);
}
END_TEST

START_TEST(what_no_row_says_is_nothing)
{
    open_world(_i);
    uint32_t place = block_new(), last = fill_lines(place, 0, LINES);
    soil(place, LINES);
    fake_root(&world, 1, last);
    ck_assert_uint_eq(collect().live_objects, 0);
    fake_verify_clean(&world);
    ck_assert_uint_eq(chain_length(last), LINES * NODES_A_LINE); /* and it is not touched */
    fake_world_close(&world);
}
END_TEST

START_TEST(what_is_of_a_hold_that_has_ended_is_nothing)
{
    open_world(_i);
    uint32_t place = block_new(), last = fill_lines(place, 0, LINES);
    say(place, LINES);
    m->held = 2;
    fake_root(&world, 1, last);
    ck_assert_uint_eq(collect().live_objects, 0);
    m->held = 0;
    ck_assert_uint_eq(collect().live_objects, 0);
    fake_verify_clean(&world);
    fake_world_close(&world);
}
END_TEST

START_TEST(a_block_grows_from_one_collection_to_the_next)
{
    open_world(_i);
    uint32_t place = block_new(), rows[] = { LINES, LINES, LINES + 30, MM_BLOCK_LINES, MM_BLOCK_LINES }, done = 0, lasts[5];
    for (size_t i = 0; i < MM_ARRAY_LEN(rows); i++) {
        lasts[i] = fill_lines(place, done, rows[i]);
        done = rows[i];
        say(place, done);
        fake_root(&world, 0, lasts[i]);
        ck_assert_uint_eq(collect().live_objects, collects() ? done * NODES_A_LINE : 0);
        fake_verify_clean(&world);
    }
    fake_world_close(&world);
}
END_TEST

START_TEST(nobody_is_granted_a_line_of_a_block_that_is_held)
{
    open_world(_i);
    uint32_t place = block_new();
    (void)fill_lines(place, 0, LINES);
    say(place, LINES);
    ck_assert_uint_eq(collect().live_objects, 0); /* nothing in it lives */
    ck_assert(is_left_alone(place));
    fake_verify_clean(&world);
    collect();
    ck_assert(is_left_alone(place));
    fake_world_close(&world);
}
END_TEST

START_TEST(a_retired_block_is_free_after_the_next_collection)
{
    open_world(_i);
    uint64_t used = heap_used_bytes(world.heap);
    uint32_t place = block_new(), last = fill_lines(place, 0, LINES);
    say(place, LINES);
    fake_root(&world, 0, last);
    collect();
    fake_roots_clear(&world);
    soil(place, LINES);
    say(place, LINES | SHM_HOLD_RETIRED);
    m->rings[SHM_GRANT_HOLD].taken++;
    fake_verify_clean(&world);
    ck_assert_uint_gt(heap_used_bytes(world.heap), used);
    collect();
    end_of_term(&world, plan);
    if (collects())
        ck_assert_uint_eq(heap_used_bytes(world.heap), used);
    fake_verify_clean(&world);
    fake_world_close(&world);
}
END_TEST

START_TEST(what_lives_in_a_retired_block_lives_on)
{
    open_world(_i);
    uint32_t place = block_new(), last = fill_lines(place, 0, LINES);
    say(place, LINES | SHM_HOLD_RETIRED);
    soil(place, LINES);
    fake_root(&world, 0, last);
    for (int i = 0; i < 3; i++) {
        ck_assert_uint_eq(collect().live_objects, collects() ? LINES * NODES_A_LINE : 0);
        fake_verify_clean(&world);
    }
    ck_assert_uint_eq(chain_length(last), LINES * NODES_A_LINE);
    fake_world_close(&world);
}
END_TEST

START_TEST(a_dead_threads_blocks_are_the_heaps)
{
    open_world(_i);
    struct fake_mutator *dies = m;
    uint32_t first = block_new(), second = block_new(), last = fill_lines(first, 0, LINES);
    say(first, LINES);
    soil(first, LINES);
    soil(second, 0);
    fake_root(&world, 0, last);
    uint64_t used = heap_used_bytes(world.heap);
    m = fake_mutator_new(&world);
    fake_mutator_kill(dies);
    ck_assert_uint_eq(heap_used_bytes(world.heap), used - MM_BLOCK_BYTES); /* the second was never begun */
    fake_verify_clean(&world);
    for (int i = 0; i < 2; i++) {
        ck_assert_uint_eq(collect().live_objects, collects() ? LINES * NODES_A_LINE : 0);
        fake_verify_clean(&world);
    }
    fake_roots_clear(&world);
    ck_assert_uint_eq(collect().live_objects, 0);
    fake_world_close(&world);
}
END_TEST

START_TEST(the_ring_has_room_again_when_a_collection_has_seen_what_is_retired)
{
    open_world(_i);
    struct fake_ring *ring = &m->rings[SHM_GRANT_HOLD];
    if (!collects())
        return;
    for (uint32_t round = 0; round < 50; round++) {
        uint32_t places[4];
        for (uint32_t i = 0; i < 4; i++) {
            places[i] = block_new();
            (void)fill_lines(places[i], 0, LINES);
            say(places[i], LINES);
        }
        collect();
        for (uint32_t i = 4; i-- > 0;) /* in another order than they came */
            say(places[i], LINES | SHM_HOLD_RETIRED);
        ring->taken = ring->published;
        ck_assert_uint_eq(heap_mutator_outstanding(m->heap_mutator, SHM_GRANT_HOLD, ring->taken), 4);
        collect();
        ck_assert_uint_eq(heap_mutator_outstanding(m->heap_mutator, SHM_GRANT_HOLD, ring->taken), 0);
        end_of_term(&world, plan);
    }
    fake_verify_clean(&world);
    fake_world_close(&world);
}
END_TEST

START_TEST(young_collections_see_what_is_new_in_a_block)
{
    open_world(_i);
    uint32_t place = block_new(), old = fill_lines(place, 0, LINES);
    if (!collects())
        return;
    say(place, LINES);
    fake_root(&world, 0, old);
    (void)fake_collect_young(&world);
    uint32_t new = fill_lines(place, LINES, LINES + 10);
    say(place, LINES + 10);
    fake_root(&world, 0, new);
    (void)fake_collect_young(&world);
    fake_verify_clean(&world);
    ck_assert_uint_eq(chain_length(old), LINES * NODES_A_LINE);
    ck_assert_uint_eq(chain_length(new), 10 * NODES_A_LINE);
    say(place, (LINES + 10) | SHM_HOLD_RETIRED);
    (void)fake_collect_young(&world);
    fake_verify_clean(&world);
    fake_roots_clear(&world);
    ck_assert_uint_eq(collect().live_objects, 0);
    fake_world_close(&world);
}
END_TEST

START_TEST(a_cycle_keeps_what_is_held_and_frees_what_is_retired)
{
    open_world(_i);
    if (!plan->constraints.concurrent || plan->constraints.counts)
        return;
    uint32_t held = block_new(), done = block_new(), last = fill_lines(held, 0, LINES);
    (void)fill_lines(done, 0, LINES);
    say(held, LINES);
    say(done, LINES | SHM_HOLD_RETIRED);
    fake_root(&world, 0, last);
    fake_cycle_begin(&world);
    uint32_t newer = fill_lines(held, LINES, LINES + 10);
    say(held, LINES + 10);
    fake_set(&world, last, 1, newer);
    fake_cycle_mark(&world);
    fake_cycle_finish(&world);
    fake_verify_clean(&world);
    ck_assert(is_left_alone(held));
    ck_assert_uint_eq(collect().live_objects, (LINES + 10) * NODES_A_LINE);
    fake_world_close(&world);
}
END_TEST

/* Rows are a client's words. */
START_TEST(whatever_rows_say_the_heap_stays_whole)
{
    open_world(_i);
    uint32_t places[8];
    uint64_t random = 88172645463325252u + (uint64_t)_i;
    for (uint32_t i = 0; i < 8; i++)
        places[i] = block_new();
    for (uint32_t round = 0; round < 40; round++) {
        for (uint32_t i = 0; i < 8; i++) {
            random ^= random << 13;
            random ^= random >> 7;
            random ^= random << 17;
            uint64_t row = random >> 20;
            say(places[i], round < 20 ? row & ~SHM_HOLD_RETIRED : row);
        }
        m->rings[SHM_GRANT_HOLD].taken = (uint32_t)random % 3 == 0 ? (uint32_t)random : 0;
        collect();
        m->rings[SHM_GRANT_HOLD].taken = 0;
    }
    fake_world_close(&world);
}
END_TEST

static Suite *make(void)
{
    Suite *suite = suite_create("hold");
    TCase *tc = tcase_create("hold");

    tcase_add_loop_test(tc, what_a_row_says_is_looked_at, 0, PLAN_COUNT);
    tcase_add_loop_test(tc, what_no_row_says_is_nothing, 0, PLAN_COUNT);
    tcase_add_loop_test(tc, what_is_of_a_hold_that_has_ended_is_nothing, 0, PLAN_COUNT);
    tcase_add_loop_test(tc, a_block_grows_from_one_collection_to_the_next, 0, PLAN_COUNT);
    tcase_add_loop_test(tc, nobody_is_granted_a_line_of_a_block_that_is_held, 0, PLAN_COUNT);
    tcase_add_loop_test(tc, a_retired_block_is_free_after_the_next_collection, 0, PLAN_COUNT);
    tcase_add_loop_test(tc, what_lives_in_a_retired_block_lives_on, 0, PLAN_COUNT);
    tcase_add_loop_test(tc, a_dead_threads_blocks_are_the_heaps, 0, PLAN_COUNT);
    tcase_add_loop_test(tc, the_ring_has_room_again_when_a_collection_has_seen_what_is_retired, 0, PLAN_COUNT);
    tcase_add_loop_test(tc, young_collections_see_what_is_new_in_a_block, 0, PLAN_COUNT);
    tcase_add_loop_test(tc, a_cycle_keeps_what_is_held_and_frees_what_is_retired, 0, PLAN_COUNT);
    tcase_add_loop_test(tc, whatever_rows_say_the_heap_stays_whole, 0, PLAN_COUNT);
    suite_add_tcase(suite, tc);
    return suite;
}

int main(int argc, char **argv)
{
    return runner_main(argc, argv, make);
}
