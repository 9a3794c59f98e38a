/* SPDX-License-Identifier: Apache-2.0 */
/* Concurrent cycles and where objects are: spaces of all kinds are marked and swept, and what is granted beside a cycle overlaps nothing alive. */
#include "tests/plans/cycle_world.h"

/* ---- spaces ---- */

START_TEST(page_runs_live_and_die_like_the_rest)
{
    open_world(_i);
    uint32_t kept = array(20000), dropped = array(20000), value = node(0, 0, 3);
    fake_set(&world, kept, 19999, value);
    roots(kept, 0);
    fake_cycle_begin(&world);
    uint32_t new = array(20000);
    fake_set(&world, new, 0, value);
    fake_cycle_mark(&world);
    finish();
    ck_assert(large_run_starts(world.heap, new / MM_PAGE_GRANULES));
    ck_assert(!large_run_starts(world.heap, dropped / MM_PAGE_GRANULES));
    ck_assert_uint_eq(fake_ref(&world, kept, 19999), value);
    exactly(2);
    ck_assert(!large_run_starts(world.heap, new / MM_PAGE_GRANULES));
    close_world();
}
END_TEST

static uint32_t take_run(uint32_t length) /* one that was granted before */
{
    ck_assert_uint_ne(mutator->rings[SHM_GRANT_LARGE].published, mutator->rings[SHM_GRANT_LARGE].taken);
    return array(length);
}

static void grant_run(uint64_t bytes)
{
    ck_assert(fake_refill(mutator, SHM_GRANT_LARGE, bytes));
}

START_TEST(a_run_granted_before_and_taken_in_a_cycle_survives_it)
{
    open_world(_i);
    grant_run(100000);
    fake_cycle_begin(&world);
    uint32_t run = take_run(24000), child = node(0, 0, 5);
    fake_set(&world, run, 23999, child);
    roots(run, 0);
    fake_cycle_mark(&world);
    finish();
    exactly(2);
    close_world();
}
END_TEST

/* Of runs: granted in the phase @when of one cycle, taken behind it, dead or alive in the next. */
enum phase { BEFORE, CLEARED, MARKING, SWEEPING, PHASES };

static void one_cycle_with(enum phase when, void (*act)(void))
{
    if (when == BEFORE)
        act();
    clear();
    if (when == CLEARED)
        act();
    (void)fake_collect_young(&world);
    if (when == MARKING)
        act();
    fake_cycle_mark(&world);
    (void)fake_collect_young(&world);
    if (when == SWEEPING)
        act();
    if (heap_cycle(world.heap) == HEAP_CYCLE_NONE)
        return; /* sanity swept */
    (void)fake_cycle_sweep(&world, NULL);
}

static void grant_a_run(void)
{
    grant_run(100000);
}

START_TEST(a_run_granted_in_a_cycle_and_taken_later_is_like_any_other)
{
    open_world(_i / PHASES);
    one_cycle_with(_i % PHASES, grant_a_run);
    fake_verify_clean(&world);
    uint32_t run = take_run(24000), hidden = list(MANY);
    fake_set(&world, run, 100, hidden);
    roots(run, 0);
    fake_cycle_begin(&world); /* stores to it count: it is old */
    fake_set(&world, run, 100, 0);
    roots(run, hidden);
    fake_cycle_mark(&world);
    finish();
    exactly(MANY + 1);
    list_is_whole(hidden, MANY);
    roots(hidden, 0);
    (void)fake_cycle(&world); /* and it is dead */
    ck_assert(!large_run_starts(world.heap, run / MM_PAGE_GRANULES));
    close_world();
}
END_TEST

static uint32_t made_run, made_child;
static void make_and_drop_a_run(void)
{
    made_child = list(10);
    made_run = array(30000);
    fake_set(&world, made_run, 1, made_child);
}

START_TEST(no_dead_run_outlives_what_it_refers_to)
{
    open_world(_i / PHASES);
    roots(node(0, 0, 1), 0);
    one_cycle_with(_i % PHASES, make_and_drop_a_run);
    fake_verify_clean(&world); /* its references, too */
    (void)fake_cycle(&world);
    ck_assert(!large_run_starts(world.heap, made_run / MM_PAGE_GRANULES));
    fake_verify_clean(&world);
    close_world();
}
END_TEST

START_TEST(a_whole_collection_instead_of_a_cycle_frees_what_was_made_since_marks_were_cleared)
{
    open_world(_i);
    roots(node(0, 0, 1), 0);
    clear();
    make_and_drop_a_run();
    (void)list(100000);
    ck_assert_uint_eq(fake_collect(&world).live_objects, 1);
    ck_assert_int_eq(heap_cycle(world.heap), HEAP_CYCLE_NONE);
    ck_assert(!large_run_starts(world.heap, made_run / MM_PAGE_GRANULES));
    close_world();
}
END_TEST

START_TEST(nonmoving_and_immortal_objects_are_marked_and_followed)
{
    open_world(_i);
    uint32_t still = fake_new_in(mutator, SHM_GRANT_NONMOVING, types.node, 0), dead = fake_new_in(mutator, SHM_GRANT_NONMOVING, types.node, 0);
    uint32_t forever = fake_new_in(mutator, SHM_GRANT_IMMORTAL, types.node, 0);
    node_set(&world, dead, list(10), 0, 0);
    node_set(&world, still, list(MANY), 0, 1);
    node_set(&world, forever, list(MANY), 0, 2);
    roots(0, still);
    for (uint32_t i = 0; i < 3; i++) {
        ck_assert_uint_eq(fake_cycle(&world).live_objects, 2 * MANY + 2);
        list_is_whole(fake_ref(&world, still, 0), MANY);
        list_is_whole(fake_ref(&world, forever, 0), MANY);
        fake_verify_clean(&world);
    }
    fake_cycle_begin(&world); /* new ones */
    uint32_t later = fake_new_in(mutator, SHM_GRANT_IMMORTAL, types.node, 0);
    node_set(&world, later, fake_ref(&world, still, 0), 0, 3);
    roots(0, 0);
    fake_cycle_mark(&world);
    finish();
    ck_assert_uint_eq(fake_cycle(&world).live_objects, 2 * MANY + 2);
    list_is_whole(fake_ref(&world, later, 0), MANY);
    close_world();
}
END_TEST

START_TEST(arrays_of_all_shapes_are_marked)
{
    open_world(_i);
    uint32_t refs = array(3000), pairs = fake_new(mutator, types.pairs, 1500), large = fake_new(mutator, types.pairs, 20000);
    for (uint32_t i = 0; i < 3000; i += 100)
        fake_set(&world, refs, i, node(0, 0, i));
    for (uint32_t i = 0; i < 1500; i += 100)
        fake_set(&world, pairs, 2 + 2 * i + 1, node(0, 0, i));
    for (uint32_t i = 0; i < 20000; i += 1000)
        fake_set(&world, large, 2 + 2 * i + 1, node(0, 0, i));
    fake_set(&world, pairs, 0, refs);
    fake_set(&world, large, 0, pairs);
    roots(large, 0);
    fake_cycle_begin(&world);
    for (uint32_t i = 0; i < 20000; i += 2000)
        fake_set(&world, large, 2 + 2 * i + 1, 0);
    fake_cycle_mark(&world);
    ck_assert_uint_eq(fake_cycle_finish(&world).live_objects, 3 + 30 + 15 + 20);
    exactly(3 + 30 + 15 + 10);
    close_world();
}
END_TEST

/* ---- granting beside it ---- */

/* Nodes that carry their own address, all of which live: a grant over one of them would show. */
static uint32_t stamped;
static uint32_t chain_of_stamped(uint32_t first, uint32_t count)
{
    for (uint32_t i = 0; i < count; i++) {
        uint32_t n = fake_new(mutator, types.node, 0);
        if (n == 0)
            return first;
        node_set(&world, n, first, 0, n);
        first = n;
        stamped++;
    }
    return first;
}

static uint32_t growing;

/* Between two parts of a sweep: into what the first has freed, too. */
static void grow(void)
{
    growing = chain_of_stamped(growing, 500);
}

static void stamps_hold(uint32_t first)
{
    uint32_t count = 0;

    for (; first != 0; first = fake_ref(&world, first, 0), count++)
        HOLDS(node_value(&world, first) == first);
    ck_assert_uint_eq(count, stamped);
}

START_TEST(grants_of_any_phase_overlap_nothing_alive)
{
    open_world(_i);
    mutator->lines_bytes = 20000;
    uint32_t kept = 0;
    stamped = 0;
    for (uint32_t round = 0; round < 8; round++) {
        kept = chain_of_stamped(kept, 500);
        (void)list(8000); /* holes of the rounds before */
        roots(kept, 0);
        clear();
        kept = chain_of_stamped(kept, 500);
        (void)list(2000);
        roots(0, kept);
        (void)fake_collect_young(&world);
        (void)list(2000);
        kept = chain_of_stamped(kept, 500);
        fake_cycle_mark(&world);
        kept = chain_of_stamped(kept, 500);
        roots(kept, 0);
        (void)fake_collect_young(&world);
        (void)list(2000);
        kept = chain_of_stamped(kept, 500);
        if (heap_cycle(world.heap) == HEAP_CYCLE_SWEEPING) {
            growing = kept;
            (void)fake_cycle_sweep(&world, grow);
            kept = growing;
        }
        stamps_hold(kept);
        roots(kept, 0);
        fake_verify_clean(&world);
    }
    exactly(stamped);
    stamps_hold(kept);
    close_world();
}
END_TEST

START_TEST(holes_that_a_cycle_freed_are_granted_again)
{
    open_world(_i);
    uint32_t first = 0, kept = 0;
    for (uint32_t i = 0; i < 60000; i++) {
        uint32_t n = node(i % 100 == 0 ? first : 0, 0, i);
        if (i % 100 == 0) {
            first = n;
            kept++;
        }
    }
    roots(first, 0);
    ck_assert_uint_eq(fake_cycle(&world).live_objects, kept);
    uint64_t used = heap_used_bytes(world.heap), holes = heap_hole_bytes(world.heap);
    ck_assert_uint_gt(holes, used / 2);
    for (uint32_t i = 0; i < 20000; i++)
        (void)node(0, 0, 0);
    ck_assert_uint_eq(heap_used_bytes(world.heap), used);
    ck_assert_uint_lt(heap_hole_bytes(world.heap), holes);
    close_world();
}
END_TEST

START_TEST(a_mutator_that_comes_in_a_cycle_has_its_spans_opened_by_the_next)
{
    open_world(_i);
    fake_cycle_begin(&world);
    for (uint32_t i = 1; i < FAKE_MUTATORS_MAX; i++) {
        mutator = fake_mutator_new(&world);
        fake_root(&world, 0, list(300));
    }
    fake_cycle_mark(&world);
    finish();
    ck_assert_uint_eq(fake_cycle(&world).live_objects, 300 * (FAKE_MUTATORS_MAX - 1));
    close_world();
}
END_TEST

START_TEST(a_mutator_that_died_before_a_cycle_has_its_objects_in_the_snapshot)
{
    open_world(_i);
    struct fake_mutator *first = mutator;
    mutator = fake_mutator_new(&world);
    uint32_t in_span = list(20);
    fake_mutator_kill(mutator);
    mutator = first;
    uint32_t top = node(in_span, 0, 0);
    roots(0, top);
    fake_cycle_begin(&world);
    fake_cycle_mark(&world);
    ck_assert_uint_eq(fake_cycle_finish(&world).live_objects, 21);
    list_is_whole(in_span, 20);
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
    EACH(page_runs_live_and_die_like_the_rest, 6);
    EACH(a_run_granted_before_and_taken_in_a_cycle_survives_it, 6);
    EACH(a_run_granted_in_a_cycle_and_taken_later_is_like_any_other, 2 * PHASES);
    EACH(no_dead_run_outlives_what_it_refers_to, 2 * PHASES);
    EACH(a_whole_collection_instead_of_a_cycle_frees_what_was_made_since_marks_were_cleared, 6);
    EACH(nonmoving_and_immortal_objects_are_marked_and_followed, 6);
    EACH(arrays_of_all_shapes_are_marked, 6);
    EACH(grants_of_any_phase_overlap_nothing_alive, 6);
    EACH(holes_that_a_cycle_freed_are_granted_again, 6);
    EACH(a_mutator_that_comes_in_a_cycle_has_its_spans_opened_by_the_next, 6);
    EACH(a_mutator_that_died_before_a_cycle_has_its_objects_in_the_snapshot, 6);
#undef EACH
}

static Suite *make_suite(void)
{
    Suite *s = suite_create("cycle_spaces");
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
