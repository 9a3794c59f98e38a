/* SPDX-License-Identifier: Apache-2.0 */
/* A plan that counts, while it traces: what counts cannot find is found, and counts stay exact meanwhile and beside clients. */
#include <pthread.h>

#include "tests/plans/refcount_world.h"

START_TEST(cycles_are_left_to_a_trace)
{
    open_world(_i);
    uint32_t array = old_array(2);
    uint32_t ring = make_list(100), last = ring;
    while (fake_ref(&world, last, 0) != 0)
        last = fake_ref(&world, last, 0);
    node_set(&world, last, ring, make_list(10), 0); /* which leads out of it */
    fake_set(&world, array, 0, ring);
    ck_assert_uint_eq(settle(), 111);
    fake_set(&world, array, 1, fake_ref(&world, fake_ref(&world, array, 0), 0));
    (void)settle();
    fake_set(&world, array, 0, 0);
    fake_set(&world, array, 1, 0);
    ck_assert_uint_eq(settle(), 111);
    ck_assert_uint_eq(trace(), 1);
    fake_verify_clean(&world);
    fake_world_close(&world);
}
END_TEST

START_TEST(what_a_dropped_ring_referred_to_keeps_only_its_other_references)
{
    open_world(_i);
    uint32_t array = old_array(2);
    fake_set(&world, array, 0, make_list(1));
    (void)settle();
    uint32_t kept = fake_ref(&world, array, 0), ring = make_list(1);
    node_set(&world, ring, ring, kept, 0);
    fake_set(&world, array, 1, ring);
    (void)settle();
    ck_assert_uint_eq(count_of(kept), 2);
    fake_set(&world, array, 1, 0);
    ck_assert_uint_eq(settle(), 3);
    ck_assert_uint_eq(trace(), 2);
    ck_assert_uint_eq(count_of(kept), 1);
    fake_set(&world, array, 0, 0);
    ck_assert_uint_eq(settle(), 1);
    fake_world_close(&world);
}
END_TEST

START_TEST(what_is_hidden_while_a_trace_marks_is_found)
{
    open_world(_i);
    uint32_t array = old_array(3);
    fake_set(&world, array, 0, make_list(1000));
    (void)settle();
    counts_begin_trace(&world);
    uint32_t list = fake_ref(&world, array, 0), tail = fake_ref(&world, list, 0);
    fake_set(&world, list, 0, 0);
    fake_set(&world, array, 0, 0);
    counts_mark(&world);
    uint32_t node = fake_new(m, types.node, 0); /* new: it is kept, and what it refers to is */
    node_set(&world, node, tail, 0, 0);
    fake_set(&world, array, 1, node);
    counts_end_trace(&world);
    array = root(0);
    ck_assert_uint_eq(list_length(fake_ref(&world, array, 1)), 1000);
    ck_assert_uint_eq(settle(), 1001); /* and the first node is gone */
    ck_assert_uint_eq(list_length(fake_ref(&world, array, 1)), 1000);
    fake_verify_clean(&world);
    fake_world_close(&world);
}
END_TEST

START_TEST(what_a_pause_left_to_be_done_waits_for_the_trace)
{
    open_world(_i);
    uint32_t array = old_array(3);
    fake_set(&world, array, 0, make_list(100));
    uint32_t ring = make_list(1);
    node_set(&world, ring, ring, 0, 0);
    fake_set(&world, array, 1, ring);
    ck_assert_uint_eq(settle(), 102);
    fake_set(&world, array, 0, 0);
    fake_set(&world, array, 1, 0);
    ck_assert_uint_eq(trace(), 1);
    fake_verify_clean(&world);
    fake_world_close(&world);
}
END_TEST

/* A chain of ten, the first of which is cut off; the others are held by something else, and only the trace's care keeps them. */
START_TEST(what_is_dropped_before_it_was_marked_hides_nothing)
{
    open_world(_i);
    uint32_t array = old_array(300);
    for (uint32_t i = 0; i < 100; i++)
        fake_set(&world, array, i, make_list(10));
    ck_assert_uint_eq(settle(), 1001);
    counts_begin_trace(&world);
    for (uint32_t i = 0; i < 100; i++) {
        fake_set(&world, array, 100 + i, fake_ref(&world, fake_ref(&world, array, i), 0));
        fake_set(&world, array, i, 0);
    }
    ck_assert_uint_eq(settle(), 901); /* nothing is marked yet */
    ck_assert_int_eq(heap_cycle(world.heap), HEAP_CYCLE_MARKING);
    counts_end_trace(&world);
    ck_assert_uint_eq(world.heap->live_objects, 901);
    for (uint32_t i = 0; i < 100; i++)
        ck_assert_uint_eq(list_length(fake_ref(&world, array, 100 + i)), 9);
    fake_verify_clean(&world);
    fake_world_close(&world);
}
END_TEST

START_TEST(pauses_count_while_a_trace_marks)
{
    open_world(_i);
    uint32_t array = old_array(100);
    fake_set(&world, array, 0, make_list(20000));
    ck_assert_uint_eq(settle(), 20001);
    counts_begin_trace(&world);
    for (unsigned round = 0; round < 10; round++) {
        counts_mark_some(&world, true);
        ck_assert(!heap_marked(world.heap));
        fake_set(&world, array, 1, make_list(100));
        ck_assert_uint_eq(settle(), 20101);
        ck_assert_int_eq(heap_cycle(world.heap), HEAP_CYCLE_MARKING);
    }
    counts_end_trace(&world);
    ck_assert_uint_eq(world.heap->live_objects, 20101);
    counts_are_exact(world.heap, true);
    fake_world_close(&world);
}
END_TEST

START_TEST(a_ring_that_became_old_while_a_trace_marked_is_left_to_the_next)
{
    open_world(_i);
    uint32_t array = old_array(100);
    counts_begin_trace(&world);
    uint32_t ring = make_list(1);
    node_set(&world, ring, ring, 0, 0);
    fake_set(&world, array, 1, ring);
    ck_assert_uint_eq(settle(), 2);
    fake_set(&world, array, 1, 0);
    ck_assert_uint_eq(settle(), 2);
    counts_end_trace(&world);
    ck_assert_uint_eq(world.heap->live_objects, 2);
    ck_assert_uint_eq(trace(), 1);
    fake_world_close(&world);
}
END_TEST

START_TEST(a_whole_collection_ends_a_trace)
{
    open_world(_i);
    uint32_t array = old_array(100);
    fake_set(&world, array, 0, make_list(1000));
    (void)settle();
    counts_begin_trace(&world);
    counts_mark_some(&world, true);
    struct heap_collection c = fake_collect(&world);
    ck_assert_int_eq(c.kind, HEAP_PAUSE_FULL);
    ck_assert(!c.fell_back);
    ck_assert_int_eq(heap_cycle(world.heap), HEAP_CYCLE_NONE);
    counts_are_exact(world.heap, true);
    ck_assert_uint_eq(trace(), 1001);
    fake_world_close(&world);
}
END_TEST

START_TEST(counting_that_is_interrupted_is_finished_by_the_next_pause_or_before)
{
    open_world(_i);
    uint32_t array = old_array(3);
    for (unsigned round = 0; round < 6; round++) {
        fake_set(&world, array, 0, make_list(20000));
        uint32_t large = fake_new(m, types.refs, 50000);
        for (uint32_t i = 0; i < 50000; i += 500)
            fake_set(&world, large, i, make_list(1));
        fake_set(&world, array, 1, large);
        ck_assert_uint_eq(settle(), 20001 + 101);
        fake_set(&world, array, 0, 0);
        fake_set(&world, array, 1, 0);
        (void)pause_only();
        for (unsigned i = 0; i < round; i++) {
            heap_interrupt(world.heap, true);
            HOLDS(heap_count(world.heap, world.engine) == 0 && !heap_counted(world.heap));
            heap_interrupt(world.heap, false);
        }
        (void)(round % 2 == 0 ? counts_finish(&world) : settle());
        ck_assert_uint_eq(world.heap->live_objects, 1);
        counts_are_exact(world.heap, true);
        fake_verify_clean(&world);
    }
    fake_world_close(&world);
}
END_TEST

START_TEST(a_trace_whose_log_is_incomplete_becomes_a_whole_collection)
{
    open_world(_i);
    uint32_t array = old_array(3);
    fake_set(&world, array, 0, make_list(100));
    (void)settle();
    counts_begin_trace(&world);
    heap_log_lost(world.heap);
    struct heap_collection c = fake_collect_young(&world);
    ck_assert_int_eq(c.kind, HEAP_PAUSE_FULL);
    ck_assert(c.fell_back);
    ck_assert_uint_eq(c.live_objects, 101);
    counts_are_exact(world.heap, true);
    ck_assert_uint_eq(settle(), 101);
    fake_world_close(&world);
}
END_TEST

START_TEST(a_trace_is_wanted_when_counts_find_too_little)
{
    unsigned rounds = 0;

    open_world(_i);
    (void)old_array(3);
    ck_assert(!heap_wants_cycle(world.heap));
    while (!heap_wants_cycle(world.heap)) {
        uint32_t ring = make_list(10000), last = ring;
        while (fake_ref(&world, last, 0) != 0)
            last = fake_ref(&world, last, 0);
        fake_set(&world, last, 0, ring);
        fake_set(&world, root(0), 0, ring);
        (void)settle();
        ck_assert_uint_le(++rounds, 200);
    }
    ck_assert_uint_ge(rounds, 10);
    fake_set(&world, root(0), 0, 0);
    (void)settle();
    uint64_t used = heap_used_bytes(world.heap);
    ck_assert_uint_eq(trace(), 1);
    ck_assert_uint_le(heap_used_bytes(world.heap), used / 8);
    ck_assert(!heap_wants_cycle(world.heap));
    fake_world_close(&world);
}
END_TEST

/* ---- beside clients ---- */

static void *count_beside(void *unused)
{
    (void)unused;
    HOLDS(heap_count(world.heap, world.engine) == 0);
    return NULL;
}

static void *sweep_beside(void *unused)
{
    (void)unused;
    HOLDS(heap_sweep(world.heap, world.engine) == 0);
    return NULL;
}

/* A client that goes on while @work is done. */
static void client_beside(void *(*work)(void *), uint32_t array)
{
    pthread_t thread;

    HOLDS(pthread_create(&thread, NULL, work, NULL) == 0);
    for (uint32_t i = 0; i < 300; i++) {
        fake_set(&world, array, 10 + i, make_list(10));
        fake_set(&world, array, 400 + i % 100, fake_ref(&world, array, 10 + i));
    }
    (void)fake_new(m, types.bytes, 20000);
    HOLDS(pthread_join(thread, NULL) == 0);
}

START_TEST(clients_go_on_while_the_dead_are_dropped)
{
    struct heap_collection c;

    open_world(_i);
    uint32_t array = old_array(600);
    for (unsigned round = 0; round < 10; round++) {
        fake_set(&world, array, 0, make_list(20000));
        (void)settle();
        fake_set(&world, array, 0, 0);
        (void)pause_only();
        client_beside(count_beside, array);
        heap_end_count(world.heap);
        client_beside(sweep_beside, array);
        while (heap_take_swept(world.heap))
            client_beside(sweep_beside, array);
        heap_end_cycle(world.heap, &c);
        ck_assert_uint_ge(c.freed_bytes, 20000 * NODE_BYTES * 9 / 10);
        fake_verify_clean(&world);
        (void)settle();
        ck_assert_uint_eq(world.heap->live_objects, 1 + 300 * 10);
        for (uint32_t i = 0; i < 300; i++)
            ck_assert_uint_eq(list_length(fake_ref(&world, array, 10 + i)), 10);
    }
    fake_world_close(&world);
}
END_TEST

static Suite *make_suite(void)
{
    Suite *s = suite_create("refcount_trace");
    TCase *traces = tcase_create("traces"), *beside = tcase_create("beside");

    tcase_add_loop_test(traces, cycles_are_left_to_a_trace, 0, WAYS);
    tcase_add_loop_test(traces, what_a_dropped_ring_referred_to_keeps_only_its_other_references, 0, WAYS);
    tcase_add_loop_test(traces, what_is_hidden_while_a_trace_marks_is_found, 0, WAYS);
    tcase_add_loop_test(traces, what_is_dropped_before_it_was_marked_hides_nothing, 0, WAYS);
    tcase_add_loop_test(traces, pauses_count_while_a_trace_marks, 0, WAYS);
    tcase_add_loop_test(traces, a_ring_that_became_old_while_a_trace_marked_is_left_to_the_next, 0, WAYS);
    tcase_add_loop_test(traces, a_whole_collection_ends_a_trace, 0, WAYS);
    tcase_add_loop_test(traces, counting_that_is_interrupted_is_finished_by_the_next_pause_or_before, 0, WAYS);
    tcase_add_loop_test(traces, what_a_pause_left_to_be_done_waits_for_the_trace, 0, WAYS);
    tcase_add_loop_test(traces, a_trace_whose_log_is_incomplete_becomes_a_whole_collection, 0, WAYS);
    tcase_add_loop_test(traces, a_trace_is_wanted_when_counts_find_too_little, 0, WAYS);
    tcase_add_loop_test(beside, clients_go_on_while_the_dead_are_dropped, 0, WAYS);
    suite_add_tcase(s, traces);
    suite_add_tcase(s, beside);
    tcase_set_timeout(traces, 60);
    tcase_set_timeout(beside, 60);
    return s;
}

int main(int argc, char **argv)
{
    return runner_main(argc, argv, make_suite);
}
