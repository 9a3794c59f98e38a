/* SPDX-License-Identifier: Apache-2.0 */
/* Young collections and cycles of one heap: what a cycle lets be granted is young when it ends, nothing that refers to it is forgotten,
 * and what was young when it began is old. */
#include "tests/plans/cycle_world.h"

static void open_sticky(int loop)
{
    plan_name = "concurrentstickyimmix";
    open_world(loop);
}

static struct heap_collection young(void)
{
    struct heap_collection c = fake_collect_young(&world);

    ck_assert_int_eq(c.kind, HEAP_PAUSE_YOUNG);
    return c;
}

/* ---- what is remembered ---- */

enum { WHILE_CLEARED, WHILE_MARKING, WHILE_MARKED, WHILE_SWEEPING, AFTERWARDS, TIMES };

static uint32_t holder, made_at;

/* An old object is made to refer to a new list, which nothing else does, if it is time. */
static void make_at(uint32_t time)
{
    if (time == made_at && fake_ref(&world, holder, 1) == 0)
        fake_set(&world, holder, 1, list(MANY));
}

static void make_while_sweeping(void)
{
    make_at(WHILE_SWEEPING);
}

static void cycle_in_which_it_is_made(void)
{
    heap_begin_cycle(world.heap);
    make_at(WHILE_CLEARED);
    ck_assert_int_eq(heap_clear(world.heap, world.engine), 0);
    (void)fake_collect_young(&world);
    make_at(WHILE_MARKING);
    fake_cycle_mark(&world);
    make_at(WHILE_MARKED);
    (void)fake_collect_young(&world);
    if (heap_cycle(world.heap) == HEAP_CYCLE_SWEEPING) /* not with sanity */
        (void)fake_cycle_sweep(&world, make_while_sweeping);
    make_at(WHILE_SWEEPING);
    make_at(AFTERWARDS);
}

START_TEST(what_an_old_object_is_made_to_refer_to_survives_whenever_that_was)
{
    open_sticky(_i / TIMES);
    made_at = (uint32_t)(_i % TIMES);
    holder = node(0, 0, 1);
    roots(holder, 0);
    if (_i % 2 == 0)
        (void)young(); /* old already, or only of the snapshot */
    cycle_in_which_it_is_made();
    for (unsigned i = 0; i < 3; i++) {
        (void)list(50000); /* where it would be, had it been freed */
        (void)young();
        list_is_whole(fake_ref(&world, holder, 1), MANY);
    }
    exactly(MANY + 1);
    close_world();
}
END_TEST

START_TEST(each_field_of_a_large_array_is_remembered_in_a_cycle_and_after_it)
{
    open_sticky(_i);
    uint32_t a = array(20000);
    roots(a, 0);
    fake_cycle_begin(&world); /* it is granted since the last collection, and taken */
    for (uint32_t i = 0; i < 20000; i += 7)
        fake_set(&world, a, i, node(0, 0, i));
    fake_cycle_mark(&world);
    finish();
    for (uint32_t i = 3; i < 20000; i += 7)
        fake_set(&world, a, i, node(0, 0, i));
    ck_assert_uint_eq(young().survived_bytes / NODE_BYTES, 20000 / 7 + 1 + (20000 - 4) / 7 + 1);
    (void)list(50000);
    (void)young();
    for (uint32_t i = 0; i < 20000; i++)
        HOLDS(i % 7 != 0 && i % 7 != 3 ? fake_ref(&world, a, i) == 0 : node_value(&world, fake_ref(&world, a, i)) == i);
    close_world();
}
END_TEST

/* ---- what the snapshot is ---- */

/* While it marks nothing but the log knows of the list that @from referred to. */
static void hide_and_finish(uint32_t from)
{
    uint32_t hidden = fake_ref(&world, from, 1);

    fake_cycle_begin(&world);
    fake_set(&world, from, 1, 0);
    fake_cycle_mark(&world);
    roots(fake_root_word(&world, 0, 0), hidden);
    finish();
    (void)young();
    (void)list(50000);
    list_is_whole(hidden, MANY);
}

START_TEST(what_stood_in_a_young_object_is_of_the_snapshot)
{
    open_sticky(_i);
    uint32_t from = node(0, list(MANY), 1);
    (void)list(50000); /* spans are left behind */
    roots(from, 0);
    hide_and_finish(from);
    close_world();
}
END_TEST

START_TEST(what_was_stored_before_the_first_stop_is_of_the_snapshot)
{
    open_sticky(_i);
    uint32_t from = node(0, 0, 1);
    (void)list(1000); /* which is in no line that is granted again */
    roots(from, 0);
    (void)young();
    fake_set(&world, from, 1, list(MANY)); /* logged already */
    hide_and_finish(from);
    close_world();
}
END_TEST

/* ---- what is young, and what is old ---- */

START_TEST(what_a_cycle_let_be_granted_is_young_when_it_ends)
{
    open_sticky(_i);
    uint32_t old = list(MANY);
    roots(old, 0);
    (void)young();
    fake_cycle_begin(&world);
    uint32_t kept = array(30000);
    (void)list(50000);
    (void)array(100000);
    fake_set(&world, old, 1, kept);
    fake_cycle_mark(&world);
    world.heap->mostly_survives = false;
    struct heap_collection c = fake_cycle_finish(&world);
    ck_assert(c.nursery_begun);
    ck_assert_uint_eq(c.live_objects, MANY);
    uint64_t used = heap_used_bytes(world.heap) - heap_hole_bytes(world.heap);
    c = young();
    ck_assert_uint_eq(c.live_objects, MANY + 1);
    ck_assert_uint_le(heap_used_bytes(world.heap) - heap_hole_bytes(world.heap), used - 50000 * NODE_BYTES);
    ck_assert(!large_run_untaken(world.heap, kept / MM_PAGE_GRANULES));
    ck_assert_uint_eq(fake_ref(&world, old, 1), kept);
    exactly(MANY + 1);
    close_world();
}
END_TEST

START_TEST(what_was_young_when_a_cycle_began_is_old_when_it_ends)
{
    open_sticky(_i);
    uint32_t once_young = list(MANY);
    roots(once_young, 0);
    ck_assert_uint_eq(fake_cycle(&world).live_objects, MANY);
    struct heap_collection c = young();
    ck_assert_uint_eq(c.survived_bytes, 0);
    ck_assert_uint_eq(c.live_objects, MANY);
    roots(0, 0);
    ck_assert_uint_eq(young().live_objects, MANY); /* dead, but old */
    ck_assert_uint_eq(fake_cycle(&world).live_objects, 0);
    close_world();
}
END_TEST

START_TEST(what_is_new_is_not_counted_twice)
{
    open_sticky(_i);
    uint32_t old = list(MANY);
    roots(old, 0);
    fake_cycle_begin(&world);
    fake_set(&world, old, 1, list(MANY)); /* found there by the trace */
    fake_set(&world, fake_ref(&world, old, 0), 1, array(30000));
    fake_cycle_mark(&world);
    world.heap->mostly_survives = false;
    ck_assert_uint_eq(fake_cycle_finish(&world).live_objects, MANY);
    struct heap_collection c = young();
    ck_assert_uint_eq(c.live_objects, 2 * MANY + 1);
    ck_assert_uint_eq(live_now(), 2 * MANY + 1);
    close_world();
}
END_TEST

/* ---- what is promoted ---- */

/* Of a cycle in which everything that a client may make was made: lines, blocks, page runs, what does not move, what is never freed. */
START_TEST(what_a_cycle_let_be_granted_is_old_when_it_ends_if_most_of_it_lives)
{
    open_sticky(_i);
    uint32_t old = array(10);
    roots(old, 0);
    (void)young();
    fake_cycle_begin(&world);
    uint32_t still = fake_new_in(mutator, SHM_GRANT_NONMOVING, types.node, 0), ever = fake_new_in(mutator, SHM_GRANT_IMMORTAL, types.node, 0);
    fake_set(&world, old, 0, list(MANY));
    fake_set(&world, old, 1, array(30000));
    fake_set(&world, old, 2, still);
    fake_set(&world, still, 0, list(MANY));
    fake_set(&world, ever, 0, list(MANY));
    fake_set(&world, old, 3, fake_new(mutator, types.wide, 0));
    (void)list(MANY); /* garbage, which stays */
    fake_cycle_mark(&world);
    world.heap->mostly_survives = true;
    struct heap_collection c = fake_cycle_finish(&world);
    ck_assert_uint_eq(c.live_objects, 1 + 4 * MANY + 4);
    fake_verify_clean(&world);
    c = young();
    ck_assert_uint_eq(c.survived_bytes, 0);
    ck_assert_uint_eq(c.live_objects, 1 + 4 * MANY + 4);
    list_is_whole(fake_ref(&world, old, 0), MANY);
    list_is_whole(fake_ref(&world, still, 0), MANY);
    list_is_whole(fake_ref(&world, ever, 0), MANY);
    exactly(1 + 3 * MANY + 4);
    close_world();
}
END_TEST

START_TEST(what_is_stored_to_promoted_objects_is_remembered)
{
    open_sticky(_i);
    uint32_t old = array(4);
    roots(old, 0);
    (void)young();
    fake_cycle_begin(&world);
    uint32_t large = array(20000), small = node(0, 0, 1);
    fake_set(&world, old, 0, large);
    fake_set(&world, old, 1, small);
    (void)list(MANY);
    fake_cycle_mark(&world);
    world.heap->mostly_survives = true;
    (void)fake_collect_young(&world);
    fake_set(&world, large, 19999, list(MANY)); /* while it is swept, if it is not by now */
    fake_set(&world, small, 1, list(MANY));
    fake_set(&world, old, 2, list(MANY));
    if (heap_cycle(world.heap) == HEAP_CYCLE_SWEEPING)
        (void)fake_cycle_sweep(&world, NULL);
    ck_assert_uint_eq(young().survived_bytes, 3 * MANY * NODE_BYTES);
    (void)list(50000);
    (void)young();
    list_is_whole(fake_ref(&world, large, 19999), MANY);
    list_is_whole(fake_ref(&world, small, 1), MANY);
    list_is_whole(fake_ref(&world, old, 2), MANY);
    exactly(3 * MANY + 3);
    close_world();
}
END_TEST

/* Its objects lie in spans and runs that were granted before a stop, and begun after it. */
START_TEST(what_is_made_after_a_promotion_is_young)
{
    open_sticky(_i);
    uint32_t old = array(4);
    roots(old, 0);
    mutator->lines_bytes = 100000;
    for (unsigned round = 0; round < 4; round++) {
        fake_cycle_begin(&world);
        fake_set(&world, old, 0, list(10));
        fake_cycle_mark(&world);
        world.heap->mostly_survives = true;
        (void)fake_collect_young(&world);
        (void)list(MANY); /* garbage */
        fake_set(&world, old, 1, list(MANY));
        if (heap_cycle(world.heap) == HEAP_CYCLE_SWEEPING)
            (void)fake_cycle_sweep(&world, NULL);
        fake_verify_clean(&world);
        ck_assert_uint_eq(young().survived_bytes, MANY * NODE_BYTES);
        list_is_whole(fake_ref(&world, old, 0), 10);
        list_is_whole(fake_ref(&world, old, 1), MANY);
    }
    close_world();
}
END_TEST

/* ---- by turns ---- */

/* Two fields of its own each time: what one collection has armed, the next must hear of. */
START_TEST(young_collections_and_cycles_take_turns)
{
    open_sticky(_i);
    uint32_t a = array(4000), next = 0;
    roots(a, 0);
    for (unsigned round = 0; round < 20; round++) {
        for (unsigned i = 0; i < 100; i++, next++)
            fake_set(&world, a, next % 4000, list(10));
        if (round % 3 == 2)
            fake_cycle_begin(&world);
        for (unsigned i = 0; i < 100; i++, next++)
            fake_set(&world, a, next % 4000, list(10));
        if (round % 3 == 2)
            finish();
        else
            (void)young();
        for (uint32_t i = 0; i < MM_MIN(next, 4000u); i++)
            list_is_whole(fake_ref(&world, a, i), 10);
    }
    exactly(1 + 10 * MM_MIN(next, 4000u));
    close_world();
}
END_TEST

/* ---- which comes when ---- */

START_TEST(after_a_log_that_is_lost_a_cycle_comes_that_arms_every_field)
{
    open_sticky(_i);
    holder = array(20000);
    roots(holder, 0);
    (void)young();
    uint32_t hidden = list(MANY);
    fake_set(&world, holder, 1, hidden);
    world.heap->log.count = 0; /* nobody knows of that store */
    heap_log_lost(world.heap);
    ck_assert(heap_wants_cycle(world.heap));
    ck_assert(!heap_young_suffices(world.heap, 0));
    fake_cycle_begin(&world);
    fake_set(&world, holder, 1, 0);
    ck_assert_uint_eq(heap_logged(world.heap), 1);
    fake_cycle_mark(&world);
    roots(holder, hidden);
    finish();
    (void)young();
    (void)list(50000);
    list_is_whole(hidden, MANY);
    exactly(MANY + 1);
    close_world();
}
END_TEST

/* Without roots nothing whole can be found out: then the next collection is the whole one. */
START_TEST(a_log_that_is_lost_in_a_cycle_is_not_forgotten_before_a_whole_collection)
{
    open_sticky(_i);
    uint32_t old = list(MANY);
    roots(old, 0);
    fake_cycle_begin(&world);
    heap_log_lost(world.heap);
    struct heap_stop stop = fake_stop(&world);
    stop.roots_overflowed = true;
    (void)fake_collect_as(&world, &stop);
    ck_assert_int_eq(heap_cycle(world.heap), HEAP_CYCLE_NONE);
    ck_assert_int_eq(fake_collect_young(&world).kind, HEAP_PAUSE_FULL);
    list_is_whole(old, MANY);
    exactly(MANY);
    close_world();
}
END_TEST

START_TEST(young_collections_suffice_while_they_leave_enough)
{
    open_sticky(0);
    ck_assert(heap_young_suffices(world.heap, HEAP_BYTES)); /* nothing is known yet */
    roots(list(100), 0);
    (void)young();
    ck_assert(heap_young_suffices(world.heap, HEAP_BYTES / 2));
    ck_assert(heap_young_suffices(world.heap, HEAP_BYTES)); /* no more is to be had: nothing has become old since */
    (void)fake_cycle(&world);
    ck_assert(heap_young_suffices(world.heap, HEAP_BYTES)); /* what is new may be garbage */
    (void)young();
    roots(list(450000), 0); /* of 11 MiB, and 16 */
    (void)young();
    ck_assert(!heap_young_suffices(world.heap, HEAP_BYTES / 4));
    close_world();
}
END_TEST

/* ---- the nursery rests ---- */

/* A list of which all survives takes the place of the one before. */
static void replace(uint32_t nodes)
{
    roots(list(nodes), 0);
    (void)young();
}

/* It stays, and what is new is put before it. */
static void build(uint32_t nodes)
{
    uint32_t first = fake_root_word(&world, 0, 0);

    for (uint32_t i = 0; i < nodes; i++)
        first = node(first, 0, i);
    roots(first, 0);
    (void)young();
}

/* Two looks at everything with nothing but survivors between them. */
static void replace_until_it_rests(void)
{
    for (unsigned look = 0; look < 2; look++) {
        for (unsigned collections = 1; !heap_nursery_wants_cycle(world.heap); collections++) {
            replace(50000);
            ck_assert_uint_le(collections, 5);
        }
        ck_assert_uint_ne(heap_nursery_bytes(world.heap), 0);
        (void)fake_cycle(&world);
        ck_assert_uint_eq(heap_nursery_rests(world.heap), 0);
    }
    ck_assert(heap_nursery_wants_cycle(world.heap));
    (void)fake_cycle(&world);
    ck_assert_uint_eq(heap_nursery_bytes(world.heap), 0);
    ck_assert_uint_eq(heap_nursery_rests(world.heap), 1);
}

START_TEST(a_nursery_rests_of_which_all_survives_and_then_dies)
{
    open_sticky(_i);
    replace_until_it_rests();
    uint64_t live = live_now();
    ck_assert(!heap_barrier_active(world.heap));
    (void)list(50000);
    ck_assert_int_eq(fake_collect_young(&world).kind, HEAP_PAUSE_FULL);
    ck_assert_uint_eq(world.heap->live_objects, live);
    close_world();
}
END_TEST

START_TEST(it_is_tried_again_and_rests_for_longer_if_nothing_has_changed)
{
    unsigned cycles[2] = { 0 };

    open_sticky(_i);
    replace_until_it_rests();
    for (unsigned i = 0; i < 2; i++) {
        for (; heap_nursery_bytes(world.heap) == 0; cycles[i]++)
            (void)fake_cycle(&world);
        ck_assert(heap_barrier_active(world.heap));
        ck_assert(!heap_nursery_wants_cycle(world.heap));
        replace(1000);
        ck_assert(heap_nursery_wants_cycle(world.heap)); /* one is enough */
        (void)fake_cycle(&world);
        ck_assert_uint_eq(heap_nursery_bytes(world.heap), 0);
    }
    ck_assert_uint_eq(cycles[1], 2 * cycles[0]);
    close_world();
}
END_TEST

START_TEST(it_does_its_work_again_once_what_is_young_dies)
{
    open_sticky(_i);
    replace_until_it_rests();
    while (heap_nursery_bytes(world.heap) == 0)
        (void)fake_cycle(&world);
    holder = fake_root_word(&world, 0, 0);
    fake_set(&world, holder, 1, list(MANY)); /* which the log knows of again */
    (void)list(50000);
    ck_assert_uint_eq(young().survived_bytes, MANY * NODE_BYTES);
    list_is_whole(fake_ref(&world, holder, 1), MANY);
    for (unsigned i = 0; i < 3; i++) {
        (void)fake_cycle(&world);
        ck_assert_uint_ne(heap_nursery_bytes(world.heap), 0);
    }
    close_world();
}
END_TEST

START_TEST(a_nursery_of_a_size_that_was_said_never_rests)
{
    open_sticky(_i);
    world.heap->options.nursery.kind = HEAP_NURSERY_FIXED;
    for (unsigned i = 0; i < 8; i++) {
        replace(50000);
        ck_assert(!heap_nursery_wants_cycle(world.heap));
        if (i % 4 == 3)
            (void)fake_cycle(&world);
    }
    close_world();
}
END_TEST

START_TEST(nor_does_one_while_something_is_built_that_stays)
{
    unsigned looks = 0;

    open_sticky(_i);
    for (unsigned i = 0; i < 12; i++) {
        build(40000);
        if (heap_nursery_wants_cycle(world.heap)) {
            (void)fake_cycle(&world);
            looks++;
        }
        ck_assert_uint_eq(heap_nursery_rests(world.heap), 0);
    }
    ck_assert_uint_eq(looks, 2); /* after a third, and an eighth more; the next would come after two */
    close_world();
}
END_TEST

START_TEST(what_died_before_a_row_of_survivors_says_nothing_of_them)
{
    open_sticky(_i);
    for (unsigned i = 0; i < 3; i++)
        replace(50000);
    (void)list(50000);
    (void)young(); /* of which nothing survives: the row ends */
    roots(0, 0);
    for (unsigned i = 0; i < 6; i++) {
        build(30000);
        if (heap_nursery_wants_cycle(world.heap))
            (void)fake_cycle(&world);
        ck_assert_uint_eq(heap_nursery_rests(world.heap), 0);
    }
    close_world();
}
END_TEST

static Suite *make_suite(void)
{
    Suite *s = suite_create("cycle_log");
    TCase *tc = tcase_create("sticky");

    tcase_set_timeout(tc, 60);
#define EACH(name, loops) tcase_add_loop_test(tc, name, 0, loops)
    EACH(what_an_old_object_is_made_to_refer_to_survives_whenever_that_was, 6 * TIMES);
    EACH(each_field_of_a_large_array_is_remembered_in_a_cycle_and_after_it, 6);
    EACH(what_stood_in_a_young_object_is_of_the_snapshot, 6);
    EACH(what_was_stored_before_the_first_stop_is_of_the_snapshot, 6);
    EACH(what_a_cycle_let_be_granted_is_young_when_it_ends, 6);
    EACH(what_was_young_when_a_cycle_began_is_old_when_it_ends, 6);
    EACH(what_is_new_is_not_counted_twice, 6);
    EACH(what_a_cycle_let_be_granted_is_old_when_it_ends_if_most_of_it_lives, 6);
    EACH(what_is_stored_to_promoted_objects_is_remembered, 6);
    EACH(what_is_made_after_a_promotion_is_young, 6);
    EACH(young_collections_and_cycles_take_turns, 6);
    EACH(after_a_log_that_is_lost_a_cycle_comes_that_arms_every_field, 6);
    EACH(a_log_that_is_lost_in_a_cycle_is_not_forgotten_before_a_whole_collection, 6);
    EACH(a_nursery_rests_of_which_all_survives_and_then_dies, 6);
    EACH(it_is_tried_again_and_rests_for_longer_if_nothing_has_changed, 6);
    EACH(it_does_its_work_again_once_what_is_young_dies, 6);
    EACH(a_nursery_of_a_size_that_was_said_never_rests, 6);
    EACH(nor_does_one_while_something_is_built_that_stays, 6);
    EACH(what_died_before_a_row_of_survivors_says_nothing_of_them, 6);
    tcase_add_test(tc, young_collections_suffice_while_they_leave_enough);
#undef EACH
    suite_add_tcase(s, tc);
    return s;
}

int main(int argc, char **argv)
{
    return runner_main(argc, argv, make_suite);
}
