/* SPDX-License-Identifier: Apache-2.0 */
/* What generational plans promise: a young collection costs what is young, and loses nothing that anybody refers to. */
#include "plans/plan.h"
#include "tests/plans/objects.h"

#define MIB (UINT64_C(1) << 20)

static const char *const names[] = { "stickyimmix", "genimmix", "gencopy", "concurrentstickyimmix" };
#define NAMES ((int)MM_ARRAY_LEN(names))

static struct fake_world world;
static struct fake_mutator *m;
static struct objects types;

static void open_world(int plan, unsigned workers)
{
    struct heap_config config = { .plan = names[plan], .max_bytes = 32 * MIB, .options.sanity = true };

    fake_world_open_with(&world, &config, workers);
    objects_define(&types, &world);
    m = fake_mutator_new(&world);
}

static struct heap_collection young(void)
{
    struct heap_collection c = fake_collect_young(&world);

    ck_assert_int_eq(c.kind, HEAP_PAUSE_YOUNG);
    return c;
}

static uint32_t root(unsigned i)
{
    return fake_root_word(&world, 0, i);
}

/* A list of @count nodes, the last of which is made first. */
static uint32_t make_list(uint32_t count)
{
    uint32_t head = 0;

    for (uint32_t i = 0; i < count; i++) {
        uint32_t node = fake_new(m, types.node, 0);
        ck_assert_uint_ne(node, 0);
        node_set(&world, node, head, 0, i);
        head = node;
    }
    return head;
}

static uint32_t list_length(uint32_t head)
{
    uint32_t length = 0;

    for (; head != 0; head = fake_ref(&world, head, 0))
        length++;
    return length;
}

START_TEST(what_is_young_and_unreached_is_freed_and_what_is_old_waits)
{
    open_world(_i, 2);
    fake_root(&world, 0, make_list(1000));
    (void)young();
    uint64_t used = heap_used_bytes(world.heap);
    make_list(100000);
    fake_roots_clear(&world);
    struct heap_collection c = young();
    ck_assert_uint_eq(c.survived_bytes, 0);
    ck_assert_uint_le(heap_used_bytes(world.heap), used + MIB); /* spans in use */
    ck_assert_uint_eq(c.live_objects, 1000);
    c = fake_collect(&world);
    ck_assert_int_eq(c.kind, HEAP_PAUSE_FULL);
    ck_assert_uint_eq(c.live_objects, 0);
    fake_world_close(&world);
}
END_TEST

START_TEST(what_an_old_object_is_made_to_refer_to_survives)
{
    open_world(_i, 2);
    fake_root(&world, 0, make_list(10));
    (void)young();
    for (unsigned round = 0; round < 5; round++) { /* its line is armed again each time */
        uint32_t list = make_list(100 + round);
        fake_set(&world, root(0), 1, list);
        make_list(1000);
        struct heap_collection c = young();
        ck_assert(c.logged_units >= 1 && c.logged_units <= 1 + MM_LINE_GRANULES); /* new objects in the bump's line, too */
        ck_assert_uint_eq(c.survived_bytes, (100 + round) * NODE_BYTES);
        ck_assert_uint_eq(list_length(fake_ref(&world, root(0), 1)), 100 + round);
    }
    fake_verify_clean(&world);
    fake_world_close(&world);
}
END_TEST

/* Ten nodes of a line: only the first of them to be stored to says so, where lines are logged. */
START_TEST(neighbours_of_a_logged_object_are_looked_at_too)
{
    open_world(_i, 2);
    fake_root(&world, 0, make_list(1000));
    (void)young();
    uint64_t before = heap_log_totals(world.heap).entries, nodes = 0;
    for (uint32_t node = root(0); node != 0; node = fake_ref(&world, node, 0), nodes++)
        fake_set(&world, node, 1, make_list(1));
    ck_assert_uint_eq(nodes, 1000);
    uint64_t most = heap_plan_barrier(world.heap) == SHM_BARRIER_LINES ? 1000 * NODE_BYTES / MM_LINE_BYTES : 1000;
    ck_assert_uint_le(heap_log_totals(world.heap).entries - before, most + 2 * MM_LINE_GRANULES);
    ck_assert_uint_eq(young().survived_bytes, 1000 * NODE_BYTES);
    for (uint32_t node = root(0); node != 0; node = fake_ref(&world, node, 0))
        ck_assert_uint_eq(list_length(fake_ref(&world, node, 1)), 1);
    fake_verify_clean(&world);
    fake_world_close(&world);
}
END_TEST

/* Of an entry nothing counts but its line, and that only if something old is there. */
START_TEST(forged_entries_change_nothing)
{
    static const uint32_t ends[] = { 0, 1, 31, 32, 4095, 4096, UINT32_MAX - 1, UINT32_MAX };
    struct shm_log_entry entries[1000];

    open_world(_i, 2);
    fake_root(&world, 0, make_list(3000));
    fake_root(&world, 0, fake_new(m, types.refs, 20000));
    (void)young();
    for (unsigned round = 0; round < 5; round++) {
        for (unsigned i = 0; i < MM_ARRAY_LEN(entries); i++)
            entries[i] = (struct shm_log_entry){ .object = (uint32_t)(i * UINT64_C(32) * MIB / MM_GRANULE_BYTES / 1000) + round,
                                                 .offset = ends[i % MM_ARRAY_LEN(ends)],
                                                 .old = UINT64_MAX - i };
        heap_log_drain(world.heap, entries, MM_ARRAY_LEN(entries));
        make_list(500);
        struct heap_collection c = young();
        ck_assert_uint_ge(c.logged_units, MM_ARRAY_LEN(entries));
        ck_assert_uint_eq(c.survived_bytes, 0);
        ck_assert_uint_eq(c.live_objects, 3001);
    }
    fake_verify_clean(&world);
    fake_world_close(&world);
}
END_TEST

/* A client that pushes and is drained for ever. */
START_TEST(a_log_beyond_measure_makes_the_next_collection_a_whole_one)
{
    static struct shm_log_entry entries[SHM_LOG_CAPACITY];
    uint64_t lines = 32 * MIB / MM_LINE_BYTES;

    open_world(_i, 1);
    for (uint64_t rows = 0; rows <= 5 * lines; rows += SHM_LOG_CAPACITY)
        heap_log_drain(world.heap, entries, SHM_LOG_CAPACITY);
    ck_assert_uint_eq(heap_log_totals(world.heap).losses, 1);
    ck_assert_int_eq(fake_collect_young(&world).kind, HEAP_PAUSE_FULL);
    heap_log_drain(world.heap, entries, SHM_LOG_CAPACITY);
    ck_assert_uint_eq(young().logged_units, SHM_LOG_CAPACITY);
    fake_world_close(&world);
}
END_TEST

/* Each line of a long object is logged by itself, wherever its space is. */
START_TEST(every_line_of_an_array_is_remembered)
{
    static const uint32_t lengths[] = { 3, 63, 64, 65, 1000, 4000, 100000 };

    open_world(_i, 2);
    for (unsigned i = 0; i < MM_ARRAY_LEN(lengths); i++)
        fake_root(&world, 0, fake_new(m, types.refs, lengths[i]));
    fake_root(&world, 0, fake_new(m, types.wide, 0));
    fake_root(&world, 0, fake_new(m, types.pairs, 500));
    (void)young();
    for (unsigned i = 0; i < MM_ARRAY_LEN(lengths); i++)
        for (uint32_t k = i; k < lengths[i]; k += 1 + lengths[i] / 37)
            fake_set(&world, root(i), k, make_list(2));
    fake_set(&world, root(MM_ARRAY_LEN(lengths)), 99, make_list(7));
    for (uint32_t k = 0; k < 500; k++)
        fake_set(&world, root(MM_ARRAY_LEN(lengths) + 1), 2 + 2 * k + 1, make_list(1));
    (void)young();
    for (unsigned i = 0; i < MM_ARRAY_LEN(lengths); i++)
        for (uint32_t k = i; k < lengths[i]; k += 1 + lengths[i] / 37)
            ck_assert_uint_eq(list_length(fake_ref(&world, root(i), k)), 2);
    ck_assert_uint_eq(list_length(fake_ref(&world, root(MM_ARRAY_LEN(lengths)), 99)), 7);
    for (uint32_t k = 0; k < 500; k++)
        ck_assert_uint_eq(list_length(fake_ref(&world, root(MM_ARRAY_LEN(lengths) + 1), 2 + 2 * k + 1)), 1);
    fake_verify_clean(&world);
    fake_world_close(&world);
}
END_TEST

START_TEST(stores_to_new_objects_are_not_logged)
{
    open_world(_i, 1);
    fake_root(&world, 0, make_list(20000));
    ck_assert_uint_eq(heap_log_totals(world.heap).entries, 0);
    (void)young();
    fake_root(&world, 0, make_list(20000)); /* where there were objects before */
    ck_assert_uint_le(heap_log_totals(world.heap).entries, MM_LINE_GRANULES); /* in the line that the bump stood in */
    fake_world_close(&world);
}
END_TEST

START_TEST(large_objects_are_young_once)
{
    open_world(_i, 2);
    uint32_t kept = fake_new(m, types.refs, 50000), inner;
    fake_root(&world, 0, kept);
    (void)young();
    fake_set(&world, root(0), 49999, fake_new(m, types.bytes, 100000));
    (void)fake_new(m, types.bytes, 200000);
    uint64_t used = heap_used_bytes(world.heap);
    struct heap_collection c = young();
    ck_assert_uint_le(heap_used_bytes(world.heap), used - 200000 + MIB);
    ck_assert_uint_ge(c.freed_bytes, 200000);
    inner = fake_ref(&world, root(0), 49999);
    ck_assert_uint_eq(root(0), kept);
    ck_assert_uint_ne(inner, 0);
    fake_set(&world, root(0), 49999, 0);
    c = young();
    ck_assert_uint_eq(c.freed_bytes / 100000, 0); /* old by now */
    c = fake_collect(&world);
    ck_assert_uint_eq(c.live_objects, 1);
    fake_world_close(&world);
}
END_TEST

START_TEST(a_pinned_object_stays_and_is_old_then)
{
    open_world(_i, 2);
    uint32_t pinned = make_list(50);
    fake_root(&world, 1, pinned);
    (void)young();
    ck_assert_uint_eq(list_length(pinned), 50);
    fake_set(&world, pinned, 1, make_list(10));
    struct heap_collection c = young();
    ck_assert_uint_ge(c.logged_units, 1);
    ck_assert_uint_eq(list_length(fake_ref(&world, pinned, 1)), 10);
    fake_verify_clean(&world);
    fake_world_close(&world);
}
END_TEST

START_TEST(a_log_that_is_incomplete_makes_the_next_collection_a_whole_one)
{
    open_world(_i, 1);
    heap_log_lost(world.heap);
    ck_assert_int_eq(fake_collect_young(&world).kind, HEAP_PAUSE_FULL);
    (void)young();
    fake_world_close(&world);
}
END_TEST

START_TEST(when_young_collections_make_no_room_a_whole_one_comes)
{
    unsigned whole = 0;

    open_world(_i, 2);
    for (unsigned round = 0; round < 60; round++) { /* of lists that live for a few rounds */
        fake_roots_clear(&world);
        uint32_t list = make_list(30000);
        fake_root(&world, 0, list);
        whole += fake_collect_young(&world).kind == HEAP_PAUSE_FULL;
        ck_assert_uint_eq(list_length(root(0)), 30000);
    }
    ck_assert_uint_ge(whole, 1);
    ck_assert_uint_le(whole, 30);
    fake_verify_clean(&world);
    fake_world_close(&world);
}
END_TEST

/* Without a goal: then the bound is what a nursery has. */
START_TEST(threads_that_allocate_together_have_a_larger_nursery_together)
{
    struct heap_config config = { .plan = names[_i], .max_bytes = 64 * MIB };
    struct fake_mutator *others[3];

    config.options.nursery = (struct heap_nursery){ .kind = HEAP_NURSERY_ADAPTIVE, .min_bytes = MIB / 2, .max_bytes = 2 * MIB };
    fake_world_open_with(&world, &config, 1);
    objects_define(&types, &world);
    m = fake_mutator_new(&world);
    for (int i = 0; i < 3; i++)
        others[i] = fake_mutator_new(&world);
    ck_assert_uint_ne(fake_new(m, types.node, 0), 0);
    ck_assert_uint_eq(heap_nursery_bytes(world.heap), 2 * MIB);
    for (int i = 0; i < 3; i++)
        ck_assert_uint_ne(fake_new(others[i], types.node, 0), 0);
    ck_assert_uint_eq(heap_nursery_bytes(world.heap), 8 * MIB);
    (void)young();
    ck_assert_uint_eq(heap_nursery_bytes(world.heap), 8 * MIB);
    for (uint32_t i = 0; i < 20000; i++)
        ck_assert_uint_ne(fake_new(m, types.node, 0), 0);
    (void)young(); /* the others have not been granted anything since */
    ck_assert_uint_eq(heap_nursery_bytes(world.heap), 2 * MIB);
    fake_world_close(&world);
}
END_TEST

/* Of ten lists in one block each nine die, so that the old space is full of gaps. */
START_TEST(survivors_fill_the_gaps_between_old_objects)
{
    open_world(_i, 1);
    uint32_t array = fake_new(m, types.refs, 4000);
    fake_root(&world, 0, array);
    for (uint32_t i = 0; i < 4000; i++) {
        fake_set(&world, array, i, fake_new(m, types.wide, 0)); /* two lines each, or nearly */
        if (i % 100 == 99)
            (void)young();
        array = root(0);
    }
    for (uint32_t i = 0; i < 4000; i++)
        if (i % 10 != 0)
            fake_set(&world, array, i, 0);
    (void)fake_collect(&world);
    array = root(0);
    uint64_t used = heap_used_bytes(world.heap);
    for (uint32_t i = 0; i < 1000; i++)
        if (i % 10 != 0)
            fake_set(&world, array, i, make_list(10));
    (void)young();
    if (strcmp(names[_i], "gencopy") != 0) /* which has no gaps */
        ck_assert_uint_le(heap_used_bytes(world.heap), used + MIB / 8);
    fake_verify_clean(&world);
    fake_world_close(&world);
}
END_TEST

static Suite *make_suite(void)
{
    Suite *s = suite_create("generational");
    TCase *tc = tcase_create("young");

    tcase_set_timeout(tc, 60);
    tcase_add_loop_test(tc, what_is_young_and_unreached_is_freed_and_what_is_old_waits, 0, NAMES);
    tcase_add_loop_test(tc, what_an_old_object_is_made_to_refer_to_survives, 0, NAMES);
    tcase_add_loop_test(tc, every_line_of_an_array_is_remembered, 0, NAMES);
    tcase_add_loop_test(tc, neighbours_of_a_logged_object_are_looked_at_too, 0, NAMES);
    tcase_add_loop_test(tc, forged_entries_change_nothing, 0, NAMES);
    tcase_add_loop_test(tc, a_log_beyond_measure_makes_the_next_collection_a_whole_one, 0, NAMES);
    tcase_add_loop_test(tc, stores_to_new_objects_are_not_logged, 0, NAMES);
    tcase_add_loop_test(tc, threads_that_allocate_together_have_a_larger_nursery_together, 0, NAMES);
    tcase_add_loop_test(tc, large_objects_are_young_once, 0, NAMES);
    tcase_add_loop_test(tc, a_pinned_object_stays_and_is_old_then, 0, NAMES);
    tcase_add_loop_test(tc, a_log_that_is_incomplete_makes_the_next_collection_a_whole_one, 0, NAMES);
    tcase_add_loop_test(tc, when_young_collections_make_no_room_a_whole_one_comes, 0, NAMES);
    tcase_add_loop_test(tc, survivors_fill_the_gaps_between_old_objects, 0, NAMES);
    suite_add_tcase(s, tc);
    return s;
}

int main(int argc, char **argv)
{
    return runner_main(argc, argv, make_suite);
}
