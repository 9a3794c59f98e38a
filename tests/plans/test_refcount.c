/* SPDX-License-Identifier: Apache-2.0 */
/* What a plan that counts promises: counts are exact, what loses its last reference goes without a trace, and nothing else does. */
#include "tests/plans/refcount_world.h"

START_TEST(what_loses_its_last_reference_is_dropped_without_a_trace)
{
    open_world(_i);
    uint32_t array = old_array(10);
    uint64_t used = heap_used_bytes(world.heap);
    fake_set(&world, array, 3, make_list(50000));
    ck_assert_uint_eq(settle(), 50001);
    fake_set(&world, array, 3, 0);
    (void)pause_only();
    ck_assert_uint_eq(list_length(array) > 0, 1);
    ck_assert_uint_ge(counts_finish(&world), 50000 * NODE_BYTES - MIB / 8);
    ck_assert_uint_eq(world.heap->live_objects, 1);
    ck_assert_uint_le(heap_used_bytes(world.heap), used + MIB);
    fake_verify_clean(&world);
    fake_world_close(&world);
}
END_TEST

START_TEST(what_the_next_pause_finds_undone_it_does)
{
    open_world(_i);
    uint32_t array = old_array(1);
    fake_set(&world, array, 0, make_list(1000));
    ck_assert_uint_eq(settle(), 1001);
    fake_set(&world, array, 0, 0);
    (void)pause_only();
    (void)pause_only();
    ck_assert_uint_eq(world.heap->live_objects, 1);
    fake_world_close(&world);
}
END_TEST

START_TEST(a_stale_word_wakes_nothing_of_what_is_still_to_be_dropped)
{
    open_world(_i);
    uint32_t array = old_array(2);
    fake_set(&world, array, 0, make_list(1000));
    (void)settle();
    uint32_t list = fake_ref(&world, array, 0);
    fake_set(&world, array, 0, 0);
    (void)pause_only();
    fake_root(&world, 1, list); /* ambiguous */
    struct heap_collection c = pause_only();
    ck_assert_uint_eq(c.sanity_faults, 0);
    ck_assert(c.sanity_ran == world.heap->options.sanity);
    ck_assert_uint_eq(world.heap->live_objects, 1);
    fake_world_close(&world);
}
END_TEST

START_TEST(what_is_young_and_unreached_needs_no_counting)
{
    open_world(_i);
    uint32_t array = old_array(1);
    make_list(10000);
    struct heap_collection c = pause_only();
    ck_assert_uint_eq(c.survived_bytes, 0);
    ck_assert_uint_eq(c.logged_units, 0);
    fake_set(&world, array, 0, make_list(5));
    c = pause_only();
    ck_assert_uint_eq(c.logged_units, 1);
    ck_assert_uint_eq(c.survived_bytes, 5 * NODE_BYTES);
    fake_world_close(&world);
}
END_TEST

START_TEST(only_the_first_and_the_last_value_of_a_field_count)
{
    open_world(_i);
    uint32_t array = old_array(4), old[3];
    for (uint32_t i = 0; i < 3; i++)
        fake_set(&world, array, i, make_list(1));
    (void)settle();
    for (uint32_t i = 0; i < 3; i++)
        old[i] = fake_ref(&world, array, i);
    for (unsigned round = 0; round < 100; round++)
        fake_set(&world, array, 3, old[round % 3]);
    fake_set(&world, array, 3, old[1]);
    fake_set(&world, array, 0, old[2]);
    (void)pause_only();
    (void)counts_finish(&world);
    ck_assert_uint_eq(world.heap->live_objects, 3);
    ck_assert_uint_eq(count_of(old[1]), 2);
    ck_assert_uint_eq(count_of(old[2]), 2);
    fake_world_close(&world);
}
END_TEST

START_TEST(roots_hold_while_they_are_there)
{
    open_world(_i);
    fake_root(&world, 0, make_list(10));
    fake_root(&world, 1, make_list(20)); /* ambiguous */
    fake_root(&world, 0, root(0));
    ck_assert_uint_eq(settle(), 30);
    ck_assert_uint_eq(count_of(root(0)), 0);
    for (unsigned round = 0; round < 3; round++)
        ck_assert_uint_eq(settle(), 30);
    uint32_t inner = fake_ref(&world, root(0), 0);
    fake_roots_clear(&world);
    fake_root(&world, 2, inner);
    ck_assert_uint_eq(settle(), 9);
    ck_assert_uint_eq(list_length(inner), 9);
    fake_roots_clear(&world);
    ck_assert_uint_eq(settle(), 0);
    fake_verify_clean(&world);
    fake_world_close(&world);
}
END_TEST

/* In a field before it leaves the root, and back. */
START_TEST(what_goes_from_root_to_field_and_back_is_not_lost)
{
    open_world(_i);
    uint32_t array = old_array(1);
    fake_root(&world, 0, make_list(3));
    ck_assert_uint_eq(settle(), 4);
    for (unsigned round = 0; round < 5; round++) {
        uint32_t list = root(1);
        fake_set(&world, array, 0, list);
        fake_roots_clear(&world);
        fake_root(&world, 0, array);
        ck_assert_uint_eq(settle(), 4);
        fake_set(&world, array, 0, 0);
        fake_root(&world, 0, list);
        ck_assert_uint_eq(settle(), 4);
    }
    fake_world_close(&world);
}
END_TEST

START_TEST(a_count_that_is_full_sticks_until_everything_is_looked_at)
{
    open_world(_i);
    uint32_t array = old_array(600);
    fake_set(&world, array, 0, make_list(1));
    fake_set(&world, array, 200, make_list(1));
    (void)settle();
    uint32_t many = fake_ref(&world, array, 0), few = fake_ref(&world, array, 200);
    for (uint32_t i = 0; i < 127; i++)
        fake_set(&world, array, i, many);
    for (uint32_t i = 200; i < 200 + 125; i++) /* and for a while one more: what is lost is subtracted later */
        fake_set(&world, array, i, few);
    ck_assert_uint_eq(settle(), 3);
    ck_assert_uint_eq(count_of(many), REFCOUNT_STUCK);
    ck_assert_uint_eq(count_of(few), 125);
    for (uint32_t i = 0; i < 600; i++)
        fake_set(&world, array, i, 0);
    ck_assert_uint_eq(settle(), 2);
    ck_assert_uint_eq(count_of(many), REFCOUNT_STUCK);
    if (_i % 2 == 0) {
        ck_assert_uint_eq(trace(), 1);
    } else {
        ck_assert_uint_eq(fake_collect(&world).live_objects, 1);
    }
    fake_world_close(&world);
}
END_TEST

START_TEST(a_whole_collection_counts_anew)
{
    open_world(_i);
    uint32_t array = old_array(300);
    fake_set(&world, array, 0, make_list(100));
    fake_set(&world, array, 1, fake_new(m, types.bytes, 50000));
    (void)settle();
    for (uint32_t i = 2; i < 300; i++)
        fake_set(&world, array, i, fake_ref(&world, array, i % 2));
    (void)pause_only(); /* and what it left to be done is forgotten */
    for (uint32_t i = 4; i < 300; i++)
        fake_set(&world, array, i, 0);
    ck_assert_int_eq(fake_collect(&world).kind, HEAP_PAUSE_FULL);
    counts_are_exact(world.heap, true);
    array = root(0);
    ck_assert_uint_eq(count_of(fake_ref(&world, array, 0)), 2);
    ck_assert_uint_eq(settle(), 102);
    for (uint32_t i = 0; i < 4; i++)
        fake_set(&world, array, i, 0);
    ck_assert_uint_eq(settle(), 1);
    fake_world_close(&world);
}
END_TEST

START_TEST(large_objects_and_what_their_elements_hold_are_dropped)
{
    open_world(_i);
    uint32_t array = old_array(2);
    uint64_t used = heap_used_bytes(world.heap);
    uint32_t large = fake_new(m, types.refs, 100000);
    for (uint32_t i = 0; i < 100000; i += 7)
        fake_set(&world, large, i, make_list(2));
    fake_set(&world, large, 99999, fake_new(m, types.bytes, 300000));
    fake_set(&world, array, 0, large);
    (void)settle();
    ck_assert_uint_ge(world.heap->live_objects, 2 * (100000 / 7));
    fake_set(&world, array, 0, 0);
    (void)pause_only();
    ck_assert_uint_ge(counts_finish(&world), 700000);
    ck_assert_uint_eq(world.heap->live_objects, 1);
    ck_assert_uint_le(heap_used_bytes(world.heap), used + MIB);
    fake_verify_clean(&world);
    fake_world_close(&world);
}
END_TEST

static const struct packet_counters *packets_of(const struct heap_collection *c, const char *name)
{
    for (size_t i = 0; i < c->packet_kinds; i++)
        if (strcmp(c->packets[i].name, name) == 0)
            return &c->packets[i];
    return NULL;
}

START_TEST(a_large_array_is_counted_anew_in_pieces)
{
    open_world(_i);
    uint32_t array = old_array(1), large = fake_new(m, types.refs, 500001);
    for (uint32_t i = 0; i < 500001; i += 50000)
        fake_set(&world, large, i, make_list(1));
    fake_set(&world, large, 499999, fake_ref(&world, large, 0));
    fake_set(&world, array, 0, large);
    struct heap_collection c = fake_collect(&world);
    ck_assert_uint_ge(packets_of(&c, "COUNT_ELEMENTS")->count, 500001 / 16384);
    counts_are_exact(world.heap, true);
    ck_assert_uint_eq(count_of(fake_ref(&world, large, 499999)), 2);
    ck_assert_uint_eq(settle(), 2 + 11);
    fake_world_close(&world);
}
END_TEST

/* As a dead thread's entry may, after which there is no other way to tell. */
START_TEST(a_unit_counts_once_however_often_it_is_logged)
{
    open_world(_i);
    uint32_t array = old_array(2);
    fake_set(&world, array, 0, make_list(1));
    (void)settle();
    uint32_t kept = fake_ref(&world, array, 0);
    fake_root(&world, 0, make_list(1));
    (void)settle();
    fake_set(&world, root(1), 1, kept);
    (void)settle();
    ck_assert_uint_eq(count_of(kept), 2);
    fake_set(&world, array, 0, 0);
    struct shm_log_entry again = { array, 0, kept };
    for (unsigned i = 0; i < 3; i++)
        heap_log_drain(world.heap, &again, 1);
    ck_assert_uint_eq(pause_only().logged_units, 4);
    (void)counts_finish(&world);
    ck_assert_uint_eq(count_of(kept), 1);
    heap_log_drain(world.heap, &again, 1); /* of a unit that nobody has logged */
    ck_assert_uint_eq(settle(), 3);
    ck_assert_uint_eq(count_of(kept), 1);
    fake_world_close(&world);
}
END_TEST

START_TEST(a_log_that_is_incomplete_is_followed_by_a_whole_collection)
{
    open_world(_i);
    uint32_t array = old_array(1);
    ((uint32_t *)fake_at(&world, array))[0] = make_list(7);
    heap_log_lost(world.heap);
    ck_assert_int_eq(fake_collect_young(&world).kind, HEAP_PAUSE_FULL);
    counts_are_exact(world.heap, true);
    ck_assert_uint_eq(settle(), 8);
    fake_world_close(&world);
}
END_TEST

START_TEST(what_immortal_objects_refer_to_lives_for_ever)
{
    open_world(_i);
    uint32_t immortal = fake_new_in(m, SHM_GRANT_IMMORTAL, types.node, 0);
    fake_set(&world, immortal, 0, make_list(5));
    ck_assert_uint_eq(settle(), 6);
    ck_assert_uint_eq(settle(), 6);
    ck_assert_uint_eq(trace(), 6);
    fake_set(&world, immortal, 0, 0);
    ck_assert_uint_eq(settle(), 1);
    ck_assert_uint_eq(fake_collect(&world).live_objects, 1);
    ck_assert_uint_eq(settle(), 1);
    fake_world_close(&world);
}
END_TEST

/* A pause with sparse blocks: the survivors move together. */
START_TEST(survivors_leave_blocks_that_had_nothing_old)
{
    open_world(_i);
    uint32_t array = old_array(2000);
    for (uint32_t i = 0; i < 2000; i++) {
        make_list(50);
        fake_set(&world, array, i, make_list(1));
    }
    struct heap_collection c = pause_only();
    ck_assert_uint_ge(c.moved_objects, 1900);
    ck_assert_uint_eq(c.survived_bytes, 2000 * NODE_BYTES);
    ck_assert_uint_le(heap_used_bytes(world.heap), MIB);
    for (uint32_t i = 0; i < 2000; i++)
        ck_assert_uint_eq(list_length(fake_ref(&world, array, i)), 1);
    fake_verify_clean(&world);
    fake_world_close(&world);
}
END_TEST

/* Arrays, each the last element of the one before: what is dropped grows on the stack with each. */
static uint32_t make_comb(unsigned depth)
{
    uint32_t array = fake_new(m, types.refs, 500);

    for (uint32_t i = 0; i < 499; i++)
        fake_set(&world, array, i, make_list(1));
    fake_set(&world, array, 499, depth > 1 ? make_comb(depth - 1) : make_list(1));
    return array;
}

START_TEST(without_packets_the_dead_are_found_by_a_second_look)
{
    open_world(_i);
    uint32_t array = old_array(1);
    fake_set(&world, array, 0, make_comb(8));
    ck_assert_uint_eq(settle(), 1 + 8 * 500 + 1);
    fake_set(&world, array, 0, 0);
    (void)pause_only();
    engine_set_packet_limit(world.engine, 2 * PACKET_BYTES);
    (void)counts_finish(&world);
    ck_assert_uint_eq(world.heap->live_objects, 1);
    fake_verify_clean(&world);
    fake_world_close(&world);
}
END_TEST

START_TEST(without_packets_for_the_young_the_next_collection_counts_anew)
{
    open_world(_i);
    uint32_t array = old_array(1), many = fake_new(m, types.refs, 100);
    for (uint32_t i = 0; i < 100; i++)
        fake_set(&world, many, i, fake_new(m, types.refs, 1000)); /* each more than a packet's share of references */
    for (uint32_t i = 0; i < 100; i++)
        fake_set(&world, fake_ref(&world, many, i), 999, make_list(3));
    fake_set(&world, array, 0, many);
    engine_set_packet_limit(world.engine, 12 * PACKET_BYTES);
    ck_assert_int_eq(fake_collect_young(&world).kind, HEAP_PAUSE_REFCOUNT);
    ck_assert(world.heap->count.inexact);
    (void)counts_finish(&world);
    engine_set_packet_limit(world.engine, 1000 * PACKET_BYTES);
    ck_assert_int_eq(fake_collect_young(&world).kind, HEAP_PAUSE_FULL);
    counts_are_exact(world.heap, true);
    ck_assert_uint_eq(settle(), 2 + 100 * 4);
    fake_world_close(&world);
}
END_TEST

static Suite *make_suite(void)
{
    Suite *s = suite_create("refcount");
    TCase *tc = tcase_create("counts");

    tcase_add_loop_test(tc, what_loses_its_last_reference_is_dropped_without_a_trace, 0, WAYS);
    tcase_add_loop_test(tc, what_the_next_pause_finds_undone_it_does, 0, WAYS);
    tcase_add_loop_test(tc, a_stale_word_wakes_nothing_of_what_is_still_to_be_dropped, 0, WAYS);
    tcase_add_loop_test(tc, what_is_young_and_unreached_needs_no_counting, 0, WAYS);
    tcase_add_loop_test(tc, only_the_first_and_the_last_value_of_a_field_count, 0, WAYS);
    tcase_add_loop_test(tc, roots_hold_while_they_are_there, 0, WAYS);
    tcase_add_loop_test(tc, what_goes_from_root_to_field_and_back_is_not_lost, 0, WAYS);
    tcase_add_loop_test(tc, a_count_that_is_full_sticks_until_everything_is_looked_at, 0, WAYS);
    tcase_add_loop_test(tc, a_whole_collection_counts_anew, 0, WAYS);
    tcase_add_loop_test(tc, large_objects_and_what_their_elements_hold_are_dropped, 0, WAYS);
    tcase_add_loop_test(tc, a_large_array_is_counted_anew_in_pieces, 0, WAYS);
    tcase_add_loop_test(tc, a_unit_counts_once_however_often_it_is_logged, 0, WAYS);
    tcase_add_loop_test(tc, a_log_that_is_incomplete_is_followed_by_a_whole_collection, 0, WAYS);
    tcase_add_loop_test(tc, what_immortal_objects_refer_to_lives_for_ever, 0, WAYS);
    tcase_add_loop_test(tc, survivors_leave_blocks_that_had_nothing_old, 0, WAYS);
    tcase_add_loop_test(tc, without_packets_the_dead_are_found_by_a_second_look, 0, WAYS);
    tcase_add_loop_test(tc, without_packets_for_the_young_the_next_collection_counts_anew, 0, 2); /* one worker */
    suite_add_tcase(s, tc);
    tcase_set_timeout(tc, 60);
    return s;
}

int main(int argc, char **argv)
{
    return runner_main(argc, argv, make_suite);
}
