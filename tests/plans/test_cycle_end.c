/* SPDX-License-Identifier: Apache-2.0 */
/* Cycle end: marking that ends while clients run, and what those do who hear of it late. */
#include "tests/plans/cycle_world.h"

static void open_here(int loop)
{
    open_world(2 * loop + 1); /* without sanity, which needs a stop */
    world.stops = false;
    ck_assert(heap_may_end_beside(world.heap));
}

START_TEST(marking_ends_when_a_run_finds_nothing)
{
    open_here(_i);
    (void)list(20 * MANY); /* nobody holds it */
    uint32_t hidden = list(MANY), holder = node(hidden, 0, 7);
    roots(holder, 0);
    fake_cycle_begin(&world);
    ck_assert(!heap_end_mark(world.heap)); /* nothing was marked yet */
    fake_cycle_mark(&world);
    ck_assert(!heap_end_mark(world.heap)); /* a lot was found */
    fake_set(&world, holder, 0, 0);        /* all of it is marked: its entry is nothing new */
    fake_cycle_mark(&world);
    ck_assert(heap_end_mark(world.heap));
    ck_assert_int_eq(heap_cycle(world.heap), HEAP_CYCLE_SWEEPING);
    ck_assert(!heap_barrier_active(world.heap));
    struct heap_collection c = fake_cycle_sweep(&world, NULL);
    ck_assert_uint_eq(c.live_objects, MANY + 1);
    ck_assert_uint_ge(c.freed_bytes, UINT64_C(19) * MANY * NODE_BYTES);
    list_is_whole(hidden, MANY);
    exactly(1);
    close_world();
}
END_TEST

START_TEST(marking_does_not_end_with_what_only_the_log_reached)
{
    open_here(_i);
    uint32_t hidden = list(MANY), holder = node(hidden, 0, 7);
    roots(holder, 0);
    fake_cycle_begin(&world);
    fake_set(&world, holder, 0, 0); /* before anything is marked */
    ck_assert_int_eq(heap_mark(world.heap, world.engine), 0);
    ck_assert(!heap_end_mark(world.heap));
    fake_cycle_mark(&world);
    ck_assert(!heap_end_mark(world.heap)); /* MANY were found */
    fake_cycle_mark(&world);
    ck_assert(heap_end_mark(world.heap));
    ck_assert_uint_eq(fake_cycle_sweep(&world, NULL).live_objects, MANY + 1);
    list_is_whole(hidden, MANY);
    roots(holder, hidden);
    exactly(MANY + 1);
    close_world();
}
END_TEST

START_TEST(a_run_that_did_not_look_at_the_log_ends_nothing)
{
    open_here(_i);
    roots(list(10), 0);
    fake_cycle_begin(&world);
    fake_cycle_mark(&world);
    for (int i = 0; i < 3; i++) {
        ck_assert_int_eq(heap_mark(world.heap, world.engine), 0);
        ck_assert(!heap_end_mark(world.heap));
    }
    finish();
    exactly(10);
    close_world();
}
END_TEST

START_TEST(with_a_log_that_is_lost_marking_ends_in_a_stop)
{
    open_here(_i);
    uint32_t kept = list(MANY);
    roots(kept, 0);
    fake_cycle_begin(&world);
    fake_cycle_mark(&world);
    heap_log_lost(world.heap);
    fake_cycle_mark(&world);
    ck_assert(!heap_may_end_beside(world.heap));
    ck_assert(!heap_end_mark(world.heap));
    ck_assert(fake_collect_young(&world).fell_back);
    list_is_whole(kept, MANY);
    exactly(MANY);
    close_world();
}
END_TEST

START_TEST(with_sanity_marking_ends_in_a_stop)
{
    open_world(2 * _i);
    roots(list(10), 0);
    fake_cycle_begin(&world);
    fake_cycle_mark(&world);
    fake_cycle_mark(&world);
    ck_assert(!heap_end_mark(world.heap));
    finish();
    exactly(10);
    close_world();
}
END_TEST

/* Of the phases of a cycle the one in which the late store comes. */
enum { BEFORE_THE_SWEEP, BETWEEN_ITS_PARTS, AFTER_IT, PHASES };
static uint32_t late_holder;

static void store_late(void)
{
    world.late = 1;
    fake_set(&world, late_holder, 1, fake_ref(&world, late_holder, 1)); /* the same granule as reference 0, whose bit it clears */
    ck_assert_uint_eq(world.late, 0);
}

static void store_late_once(void)
{
    if (late_holder != 0)
        store_late();
    late_holder = 0;
}

static void end_with_late_store(uint32_t holder, int phase)
{
    late_holder = holder;
    fake_cycle_begin(&world);
    fake_cycle_end(&world);
    if (phase == BEFORE_THE_SWEEP)
        store_late();
    (void)fake_cycle_sweep(&world, phase == BETWEEN_ITS_PARTS ? store_late_once : NULL);
    late_holder = holder;
    if (phase == AFTER_IT)
        store_late();
}

START_TEST(a_field_that_was_logged_late_is_logged_in_the_next_cycle)
{
    open_here(_i / PHASES);
    uint32_t hidden = list(MANY), holder = node(hidden, 0, 7);
    roots(holder, 0);
    end_with_late_store(holder, _i % PHASES);
    fake_cycle_begin(&world);
    fake_set(&world, holder, 0, 0);
    roots(holder, hidden); /* found by no second stop: there is none */
    fake_cycle_end(&world);
    ck_assert_uint_eq(fake_cycle_sweep(&world, NULL).live_objects, MANY + 1);
    list_is_whole(hidden, MANY);
    exactly(MANY + 1);
    close_world();
}
END_TEST

START_TEST(after_a_late_loss_the_next_first_stop_arms_every_field)
{
    open_here(_i);
    uint32_t hidden = list(MANY), holder = node(hidden, 0, 7);
    roots(holder, 0);
    end_with_late_store(holder, AFTER_IT);
    world.heap->log.count = 0; /* which field that was */
    heap_log_lost(world.heap);
    clear();
    ck_assert_int_eq(fake_collect_young(&world).kind, HEAP_PAUSE_INITIAL_MARK);
    fake_set(&world, fake_root_word(&world, 0, 0), 0, 0);
    ck_assert_uint_eq(heap_logged(world.heap), 1);
    fake_cycle_end(&world);
    ck_assert_uint_eq(fake_cycle_sweep(&world, NULL).live_objects, MANY + 1);
    exactly(1);
    close_world();
}
END_TEST

START_TEST(a_late_row_that_names_no_granule_sets_no_bit)
{
    open_here(_i);
    roots(list(10), 0);
    fake_cycle_begin(&world);
    fake_cycle_end(&world);
    (void)fake_cycle_sweep(&world, NULL);
    struct shm_log_entry forged[] = { { UINT32_MAX, UINT32_MAX, 1 }, { UINT32_MAX, 1, 1 }, { (uint32_t)world.heap->granules, 0, 1 } };
    heap_log_drain(world.heap, forged, MM_ARRAY_LEN(forged));
    ck_assert_uint_eq(fake_cycle(&world).live_objects, 10);
    exactly(10);
    close_world();
}
END_TEST

static Suite *make_suite(void)
{
    Suite *s = suite_create("cycle_end");
    TCase *tc = tcase_create("end");

    tcase_set_timeout(tc, 60);
#define EACH(name, loops) tcase_add_loop_test(tc, name, 0, loops)
    EACH(marking_ends_when_a_run_finds_nothing, 3);
    EACH(marking_does_not_end_with_what_only_the_log_reached, 3);
    EACH(a_run_that_did_not_look_at_the_log_ends_nothing, 3);
    EACH(with_a_log_that_is_lost_marking_ends_in_a_stop, 3);
    EACH(with_sanity_marking_ends_in_a_stop, 3);
    EACH(a_field_that_was_logged_late_is_logged_in_the_next_cycle, 3 * PHASES);
    EACH(after_a_late_loss_the_next_first_stop_arms_every_field, 3);
    EACH(a_late_row_that_names_no_granule_sets_no_bit, 3);
#undef EACH
    suite_add_tcase(s, tc);
    return s;
}

int main(int argc, char **argv)
{
    return runner_main(argc, argv, make_suite);
}
