/* SPDX-License-Identifier: Apache-2.0 */
/* The concurrent cycle, call by call: what the roots reached when it began survives it, what is granted meanwhile does, and what was
 * dead is granted again. With sanity (even loops), which sweeps in the second stop, and without. */
#include <errno.h>

#include "tests/plans/cycle_world.h"

/* ---- what survives, and what does not ---- */

START_TEST(what_lives_is_counted_by_space_if_somebody_wants_it)
{
    struct heap_config config = { .plan = plan_name, .max_bytes = HEAP_BYTES, .options.count_live_bytes_in_gc = true };
    struct heap_space_info spaces[8];

    fake_world_open_with(&world, &config, 2);
    objects_define(&types, &world);
    mutator = fake_mutator_new(&world);
    uint32_t kept = list(MANY);
    roots(kept, array(100000));
    (void)fake_cycle(&world);
    ck_assert_uint_ge(heap_spaces(world.heap, spaces, 8), 2);
    ck_assert_uint_eq(spaces[0].live_bytes, MANY * NODE_BYTES);
    ck_assert_uint_ge(spaces[1].live_bytes, 400000); /* large */
    close_world();
}
END_TEST

START_TEST(what_the_roots_reached_survives)
{
    open_world(_i);
    uint32_t exact = list(MANY), ambiguous = list(MANY);
    roots(exact, ambiguous + 1);
    struct heap_collection c = fake_cycle(&world);
    ck_assert_uint_eq(c.live_objects, 2 * MANY);
    ck_assert_uint_eq(c.live_bytes, 2 * MANY * NODE_BYTES);
    list_is_whole(exact, MANY);
    list_is_whole(ambiguous, MANY);
    exactly(2 * MANY);
    close_world();
}
END_TEST

START_TEST(survivors_of_cycles_survive_more_of_them)
{
    open_world(_i);
    uint32_t kept = list(MANY);
    for (uint32_t i = 0; i < 6; i++) {
        roots(kept, list(MANY));
        struct heap_collection c = fake_cycle(&world);
        ck_assert_uint_eq(c.live_objects, 2 * MANY);
        list_is_whole(kept, MANY);
        fake_verify_clean(&world);
    }
    close_world();
}
END_TEST

START_TEST(what_was_dead_before_a_cycle_is_freed_by_it)
{
    open_world(_i);
    roots(node(0, 0, 1), 0);
    (void)list(100000);
    uint64_t used = heap_used_bytes(world.heap);
    struct heap_collection c = fake_cycle(&world);
    ck_assert_uint_eq(c.live_objects, 1);
    ck_assert_uint_ge(c.freed_bytes, 2 * MIB);
    ck_assert_uint_lt(heap_used_bytes(world.heap), used / 2);
    close_world();
}
END_TEST

START_TEST(what_dies_in_a_cycle_is_freed_by_the_next)
{
    open_world(_i);
    roots(list(100000), 0);
    fake_cycle_begin(&world);
    roots(0, 0);
    fake_cycle_mark(&world);
    ck_assert_uint_eq(fake_cycle_finish(&world).live_objects, 100000);
    uint64_t used = heap_used_bytes(world.heap);
    ck_assert_uint_ge(used, 100000 * NODE_BYTES);
    ck_assert_uint_eq(fake_cycle(&world).live_objects, 0);
    ck_assert_uint_lt(heap_used_bytes(world.heap), used / 2);
    close_world();
}
END_TEST

START_TEST(what_is_new_survives_unmarked)
{
    open_world(_i);
    uint32_t old = list(MANY);
    roots(old, 0);
    fake_cycle_begin(&world);
    uint32_t new = list(MANY);
    fake_cycle_mark(&world);
    roots(old, new);
    uint32_t newer = list(MANY);
    fake_set(&world, old, 1, newer);
    struct heap_collection c = fake_cycle_finish(&world);
    ck_assert_uint_eq(c.live_objects, MANY);
    list_is_whole(new, MANY);
    list_is_whole(newer, MANY);
    exactly(3 * MANY);
    close_world();
}
END_TEST

START_TEST(what_was_made_and_dropped_in_a_cycle_is_freed_by_the_next)
{
    open_world(_i);
    fake_cycle_begin(&world);
    (void)list(100000);
    (void)array(50000);
    fake_cycle_mark(&world);
    finish();
    uint64_t used = heap_used_bytes(world.heap);
    (void)fake_cycle(&world);
    ck_assert_uint_lt(heap_used_bytes(world.heap), used / 2);
    close_world();
}
END_TEST

START_TEST(what_was_made_while_marks_were_cleared_is_of_the_snapshot)
{
    open_world(_i);
    uint32_t old = list(MANY);
    roots(old, 0);
    (void)fake_collect(&world);
    clear();
    uint32_t array_of = array(300), new = fake_new(mutator, types.wide, 0); /* alone leads to the list from now on */
    fake_set(&world, array_of, 299, old);
    for (uint32_t i = 0; i < 5000; i++) /* spans are left behind */
        (void)fake_new(mutator, types.wide, 0);
    fake_set(&world, new, 99, array_of);
    roots(0, new);
    (void)fake_collect_young(&world);
    ck_assert_int_eq(heap_cycle(world.heap), HEAP_CYCLE_MARKING);
    fake_cycle_mark(&world);
    struct heap_collection c = fake_cycle_finish(&world);
    list_is_whole(old, MANY);
    ck_assert_uint_eq(c.live_objects, MANY + 2);
    ck_assert_uint_eq(c.forged_refs, 0);
    exactly(MANY + 2);
    close_world();
}
END_TEST

static struct heap_collection defragment(void)
{
    struct heap_stop stop = fake_stop(&world);

    stop.full_heap = true;
    return fake_collect_as(&world, &stop);
}

/* Of objects longer than a line, one in @of that are made survives; the first of them. */
static uint32_t sparse_list(uint32_t count, uint32_t of)
{
    uint32_t first = 0;

    for (uint32_t i = 0; i < count; i++) {
        uint32_t wide = fake_new(mutator, types.wide, 0);
        ck_assert_uint_ne(wide, 0);
        fake_set(&world, wide, 99, first);
        first = i % of == 0 ? wide : first;
    }
    return first;
}

START_TEST(a_block_taken_while_marks_were_cleared_is_not_charged_for_its_past)
{
    open_world(_i);
    roots(sparse_list(20000, 4), 0);
    (void)fake_cycle(&world);
    ck_assert_uint_gt(defragment().moved_objects, 0); /* which charged what it emptied */
    clear();
    uint32_t first = sparse_list(10000, 1);
    roots(first, 0);
    (void)fake_collect_young(&world);
    fake_cycle_mark(&world);
    struct heap_collection c = fake_cycle_finish(&world);
    ck_assert_uint_eq(c.forged_refs, 0);
    ck_assert_uint_eq(c.live_objects, 10000);
    close_world();
}
END_TEST

/* ---- hiding references ---- */

START_TEST(a_reference_that_moved_into_a_new_object_is_found_in_the_log)
{
    open_world(_i);
    uint32_t hidden = list(MANY), holder = node(hidden, 0, 7);
    roots(holder, 0);
    fake_cycle_begin(&world);
    uint32_t new = node(hidden, 0, 8);
    fake_set(&world, holder, 0, 0);
    ck_assert_uint_ge(heap_logged(world.heap), 1);
    fake_cycle_mark(&world);
    fake_set(&world, holder, 1, new); /* when nobody looks any more */
    finish();
    list_is_whole(hidden, MANY);
    exactly(MANY + 2);
    close_world();
}
END_TEST

START_TEST(a_reference_hidden_in_registers_is_found_in_the_log)
{
    open_world(_i);
    bool marks = _i < 6; /* else the second stop does it all */
    uint32_t from = array(40000), hidden[40];
    for (uint32_t i = 0; i < 40; i++)
        fake_set(&world, from, i * 1000, hidden[i] = list(50));
    roots(from, 0);
    fake_cycle_begin(&world);
    for (uint32_t i = 0; i < 40; i++) {
        if (i == 20 && marks)
            fake_cycle_mark(&world);
        fake_set(&world, from, i * 1000, 0);
        fake_root(&world, 1, hidden[i]);
    }
    struct heap_collection c = fake_cycle_finish(&world);
    ck_assert_uint_eq(c.live_objects, 1 + 40 * 50);
    ck_assert_uint_eq(c.logged_units, 40);
    for (uint32_t i = 0; i < 40; i++)
        list_is_whole(hidden[i], 50);
    exactly(1 + 40 * 50);
    close_world();
}
END_TEST

START_TEST(a_field_is_logged_once_a_cycle_and_again_in_the_next)
{
    open_world(_i);
    uint32_t kept = node(0, 0, 1);
    roots(kept, 0);
    for (uint32_t i = 0; i < 4; i++) {
        fake_cycle_begin(&world);
        fake_set(&world, kept, 0, 0);
        fake_set(&world, kept, 1, 0); /* the same granule */
        fake_set(&world, kept, 0, 0);
        ck_assert_uint_eq(heap_logged(world.heap), 1);
        fake_cycle_mark(&world);
        ck_assert_uint_eq(heap_logged(world.heap), 0);
        finish();
        fake_set(&world, kept, 0, 0);
        ck_assert_uint_eq(heap_logged(world.heap), heap_shares_log(world.heap) ? 1 : 0); /* the same: it remembers */
    }
    close_world();
}
END_TEST

START_TEST(stores_to_new_objects_are_not_logged)
{
    open_world(_i);
    roots(node(0, 0, 1), 0);
    fake_cycle_begin(&world);
    uint32_t objects[] = { array(100000), fake_new_in(mutator, SHM_GRANT_NONMOVING, types.node, 0), 0, 0 };
    for (uint32_t i = 0; i < 50; i++) /* in the span that was begun, past the line that old objects are in */
        objects[2] = node(0, 0, 0);
    ck_assert_uint_le(heap_logged(world.heap), MM_LINE_BYTES / NODE_BYTES);
    for (uint32_t i = 0; i < 50000; i++)
        objects[3] = node(0, 0, 0);
    size_t before = heap_logged(world.heap);
    for (uint32_t i = 0; i < MM_ARRAY_LEN(objects); i++)
        fake_set(&world, objects[i], 0, objects[i]);
    ck_assert_uint_eq(heap_logged(world.heap), before);
    fake_cycle_mark(&world);
    finish();
    close_world();
}
END_TEST

/* ---- what ends a cycle otherwise ---- */

START_TEST(a_log_that_is_lost_keeps_everything_and_a_whole_collection_follows)
{
    open_world(_i);
    uint32_t hidden = list(MANY), holder = node(hidden, 0, 7), large = array(20000);
    fake_set(&world, large, 5, holder);
    (void)list(MANY);
    roots(large, 0);
    fake_cycle_begin(&world);
    fake_cycle_mark(&world);
    fake_root(&world, 1, list(MANY));
    heap_log_lost(world.heap);
    struct heap_collection c = fake_collect_young(&world);
    ck_assert(c.fell_back);
    ck_assert_int_eq(c.kind, HEAP_PAUSE_FULL);
    ck_assert_int_eq(heap_cycle(world.heap), HEAP_CYCLE_NONE);
    ck_assert_uint_eq(c.live_objects, 2 * MANY + 2);
    list_is_whole(hidden, MANY);
    fake_verify_clean(&world);
    ck_assert_uint_eq(fake_cycle(&world).live_objects, 2 * MANY + 2); /* the next is a cycle as ever */
    close_world();
}
END_TEST

START_TEST(a_log_that_is_lost_before_anything_is_marked_keeps_what_only_words_in_registers_reach)
{
    open_world(_i);
    uint32_t young = list(30); /* in a span in use */
    roots(0, young);
    fake_cycle_begin(&world);
    heap_log_lost(world.heap);
    struct heap_collection c = fake_collect_young(&world);
    ck_assert(c.fell_back);
    ck_assert_uint_eq(c.live_objects, 30);
    list_is_whole(young, 30);
    close_world();
}
END_TEST

START_TEST(a_second_stop_needs_no_roots)
{
    open_world(_i);
    uint32_t kept = list(MANY);
    roots(kept, 0);
    fake_cycle_begin(&world);
    bool lost = _i >= 6;
    if (lost)
        heap_log_lost(world.heap);
    struct heap_stop stop = fake_stop(&world);
    stop.roots_overflowed = true;
    struct heap_collection c = fake_collect_as(&world, &stop);
    ck_assert(!c.fell_back);
    ck_assert_int_ne(heap_cycle(world.heap), HEAP_CYCLE_MARKING);
    if (heap_cycle(world.heap) == HEAP_CYCLE_SWEEPING) {
        (void)fake_cycle_sweep(&world, NULL);
    }
    list_is_whole(kept, MANY);
    exactly(MANY);
    close_world();
}
END_TEST

START_TEST(a_first_stop_without_roots_begins_nothing)
{
    open_world(_i);
    uint32_t kept = list(MANY);
    roots(kept, 0);
    clear();
    struct heap_stop stop = fake_stop(&world);
    stop.roots_overflowed = true;
    (void)fake_collect_as(&world, &stop);
    ck_assert_int_eq(heap_cycle(world.heap), HEAP_CYCLE_NONE);
    list_is_whole(kept, MANY);
    ck_assert_uint_eq(fake_cycle(&world).live_objects, MANY);
    close_world();
}
END_TEST

START_TEST(a_wish_for_more_than_a_cycle_is_granted_when_marks_are_cleared)
{
    open_world(_i);
    for (unsigned wish = 0; wish < 3; wish++) {
        uint32_t kept = list(MANY);
        roots(kept, 0);
        clear();
        (void)list(MANY);
        struct heap_stop stop = fake_stop(&world);
        stop.whole = wish == 0;
        stop.emergency = wish == 1;
        stop.full_heap = wish == 2;
        struct heap_collection c = fake_collect_as(&world, &stop);
        ck_assert_int_eq(c.kind, HEAP_PAUSE_FULL);
        ck_assert_int_eq(heap_cycle(world.heap), HEAP_CYCLE_NONE);
        ck_assert_uint_eq(c.live_objects, MANY);
        list_is_whole(fake_root_word(&world, 0, 0), MANY);
        fake_verify_clean(&world);
        ck_assert_uint_eq(fake_cycle(&world).live_objects, MANY);
    }
    close_world();
}
END_TEST

START_TEST(a_defragmentation_flags_no_block_of_the_cycle_after_it)
{
    open_world(_i);
    roots(sparse_list(20000, 4), 0);
    (void)fake_cycle(&world);
    ck_assert_uint_gt(defragment().moved_objects, 0);
    clear();
    for (uint32_t block = 0; block < HEAP_BYTES / MM_BLOCK_BYTES; block++)
        ck_assert(!blocks_flag(&world.heap->blocks, block, BLOCK_EVACUATE));
    (void)fake_collect_young(&world);
    fake_cycle_mark(&world);
    ck_assert_uint_eq(fake_cycle_finish(&world).live_objects, 5000);
    close_world();
}
END_TEST

START_TEST(marking_without_memory_for_packets_changes_nothing)
{
    open_world(_i);
    uint32_t hidden = list(MANY), holder = node(hidden, 0, 7), kept = node(0, 0, 8);
    fake_set(&world, kept, 1, holder);
    roots(kept, 0);
    fake_cycle_begin(&world);
    fake_set(&world, holder, 0, 0);
    roots(kept, hidden);
    engine_set_packet_limit(world.engine, 0);
    heap_take_log(world.heap);
    int r = heap_mark(world.heap, world.engine);
    engine_set_packet_limit(world.engine, 256 * MIB);
    ck_assert_int_eq(r, -ENOMEM);
    fake_set(&world, kept, 1, 0);
    finish(); /* both parts of the log */
    list_is_whole(hidden, MANY);
    exactly(MANY + 1);
    close_world();
}
END_TEST

START_TEST(few_packets_are_enough)
{
    open_world(_i);
    uint32_t wide = array(60000);
    for (uint32_t i = 0; i < 60000; i++)
        fake_set(&world, wide, i, node(0, 0, i));
    roots(wide, 0);
    engine_set_packet_limit(world.engine, 40 * PACKET_BYTES);
    ck_assert_uint_eq(fake_cycle(&world).live_objects, 60001);
    close_world();
}
END_TEST

static void choose_sticky(void)
{
    plan_name = "concurrentstickyimmix";
}

static void add_all(TCase *tc)
{
    tcase_set_timeout(tc, 60);
#define EACH(name, loops) tcase_add_loop_test(tc, name, 0, loops)
    tcase_add_test(tc, what_lives_is_counted_by_space_if_somebody_wants_it);
    EACH(what_the_roots_reached_survives, 6);
    EACH(survivors_of_cycles_survive_more_of_them, 6);
    EACH(what_was_dead_before_a_cycle_is_freed_by_it, 6);
    EACH(what_dies_in_a_cycle_is_freed_by_the_next, 6);
    EACH(what_is_new_survives_unmarked, 6);
    EACH(what_was_made_and_dropped_in_a_cycle_is_freed_by_the_next, 6);
    EACH(what_was_made_while_marks_were_cleared_is_of_the_snapshot, 6);
    EACH(a_block_taken_while_marks_were_cleared_is_not_charged_for_its_past, 6);
    EACH(a_reference_that_moved_into_a_new_object_is_found_in_the_log, 6);
    EACH(a_reference_hidden_in_registers_is_found_in_the_log, 12);
    EACH(a_field_is_logged_once_a_cycle_and_again_in_the_next, 6);
    EACH(stores_to_new_objects_are_not_logged, 6);
    EACH(a_log_that_is_lost_keeps_everything_and_a_whole_collection_follows, 6);
    EACH(a_log_that_is_lost_before_anything_is_marked_keeps_what_only_words_in_registers_reach, 6);
    EACH(a_second_stop_needs_no_roots, 12);
    EACH(a_first_stop_without_roots_begins_nothing, 6);
    EACH(a_wish_for_more_than_a_cycle_is_granted_when_marks_are_cleared, 6);
    EACH(a_defragmentation_flags_no_block_of_the_cycle_after_it, 6);
    EACH(marking_without_memory_for_packets_changes_nothing, 6);
    EACH(few_packets_are_enough, 6);
#undef EACH
}

static Suite *make_suite(void)
{
    Suite *s = suite_create("cycle");
    TCase *plain = tcase_create("cycle"), *sticky = tcase_create("sticky");

    tcase_add_checked_fixture(sticky, choose_sticky, NULL);
    add_all(plain);
    add_all(sticky);
    suite_add_tcase(s, plain);
    suite_add_tcase(s, sticky);
    return s;
}

int main(int argc, char **argv)
{
    return runner_main(argc, argv, make_suite);
}
