/* SPDX-License-Identifier: Apache-2.0 */
/* Holds, as a program meets them, under every plan, with exact and with ambiguous roots: the library and the real daemon. */
#include "tests/client/hold_world.h"

/* ---- beginning and ending ---- */

START_TEST(what_is_made_in_a_hold_is_its_own_and_gone_at_its_end)
{
    open_both(_i);
    mmgc_hold hold = begin();

    struct node *n = node_new(1);
    ck_assert(is_held(n));
    ck_assert_uint_eq(mmgc_hold_bytes(t, hold), mmgc_size(node_type, 0));
    end(hold);
    ck_assert(!is_held(node_new(2)));
    ck_assert_uint_eq(mmgc_hold_bytes(t, hold), 0);
}
END_TEST

START_TEST(a_hold_that_ends_gives_its_blocks_to_the_next_one)
{
    open_both(_i);
    mmgc_hold hold = begin();
    struct node *first = node_new(1);
    end(hold);

    for (int i = 0; i < 1000; i++) {
        hold = begin();
        struct node *n = node_new(i);
        ck_assert_ptr_eq(n, first);
        ck_assert_ptr_null(mmgc_get(t, n, left));
        end(hold);
    }
}
END_TEST

START_TEST(much_more_is_dropped_than_the_heap_could_hold)
{
    open_both(_i);
    for (int round = 0; round < 40; round++) {
        mmgc_hold hold = begin();
        ck_assert_int_eq(list_length(list_new(40000)), 40000);
        end(hold);
    }
}
END_TEST

START_TEST(holds_end_in_the_reverse_order)
{
    open_both(_i);
    mmgc_hold outer = begin(), inner = begin();

    ck_assert_int_eq(mmgc_hold_end(t, outer, NULL, 0), MMGC_E_UNBALANCED);
    end(inner);
    ck_assert_int_eq(mmgc_hold_end(t, inner, NULL, 0), MMGC_E_UNBALANCED);
    end(outer);
    ck_assert_int_eq(mmgc_hold_end(t, outer, NULL, 0), MMGC_E_UNBALANCED);
    ck_assert_int_eq(mmgc_hold_end(t, (mmgc_hold){ 0, 0 }, NULL, 0), MMGC_E_UNBALANCED);
}
END_TEST

START_TEST(holds_nest_to_a_depth_and_no_deeper)
{
    mmgc_hold holds[MMGC_HOLD_DEPTH_MAX], more;

    open_both(_i);
    for (unsigned i = 0; i < MMGC_HOLD_DEPTH_MAX; i++) {
        holds[i] = begin();
        (void)node_new(i);
    }
    ck_assert_int_eq(mmgc_hold_begin(t, NULL, &more), MMGC_E_LIMIT);
    for (unsigned i = MMGC_HOLD_DEPTH_MAX; i-- > 0;)
        end(holds[i]);
}
END_TEST

START_TEST(calls_that_are_not_possible_say_why)
{
    mmgc_hold hold;
    struct mmgc_hold_options strange = { .policy = (enum mmgc_hold_policy)7 };

    open_both(_i);
    ck_assert_int_eq(mmgc_hold_begin(NULL, NULL, &hold), MMGC_E_INVALID);
    ck_assert_int_eq(mmgc_hold_begin(t, NULL, NULL), MMGC_E_INVALID);
    ck_assert_int_eq(mmgc_hold_begin(t, &strange, &hold), MMGC_E_INVALID);
    ck_assert_int_eq(mmgc_hold_stow(t, NULL, 0), MMGC_E_UNBALANCED);
    mmgc_leave(t);
    ck_assert_int_eq(mmgc_hold_begin(t, NULL, &hold), MMGC_E_NOT_IN);
    ck_assert_ok(mmgc_enter(t));
}
END_TEST

/* ---- budgets ---- */

START_TEST(no_more_is_made_than_the_budget_says)
{
    open_both(_i);
    mmgc_hold hold = begin_with(MMGC_HOLD_STOW, 100 * mmgc_size(node_type, 0) + 8);

    for (int i = 0; i < 100; i++)
        (void)node_new(i);
    ck_assert_ptr_null(mmgc_new(t, node_type));
    ck_assert_int_eq(mmgc_thread_error(t), MMGC_E_BUDGET);
    ck_assert_uint_eq(mmgc_hold_bytes(t, hold), 100 * mmgc_size(node_type, 0));
    ck_assert_ptr_null(mmgc_new_array(t, bytes_type, 100000));
    ck_assert_int_eq(mmgc_thread_error(t), MMGC_E_BUDGET);
    end(hold);
    ck_assert_ptr_nonnull(mmgc_new(t, node_type));
}
END_TEST

START_TEST(large_objects_count_too)
{
    open_both(_i);
    mmgc_hold hold = begin_with(MMGC_HOLD_STOW, 120000);

    ck_assert_ptr_nonnull(mmgc_new_array(t, bytes_type, 100000));
    ck_assert_uint_eq(mmgc_hold_bytes(t, hold), mmgc_size(bytes_type, 100000));
    ck_assert_ptr_null(mmgc_new_array(t, bytes_type, 100000));
    ck_assert_int_eq(mmgc_thread_error(t), MMGC_E_BUDGET);
    (void)node_new(1);
    end(hold);
}
END_TEST

START_TEST(stopping_does_not_change_what_is_used)
{
    open_both(_i);
    mmgc_hold hold = begin_with(MMGC_HOLD_STOW, 100 * mmgc_size(node_type, 0));

    for (int i = 0; i < 100; i++) {
        (void)node_new(i);
        mmgc_leave(t);
        ck_assert_ok(mmgc_enter(t));
        ck_assert_uint_eq(mmgc_hold_bytes(t, hold), (uint64_t)(i + 1) * mmgc_size(node_type, 0));
    }
    ck_assert_ptr_null(mmgc_new(t, node_type));
    end(hold);
}
END_TEST

/* ---- collections meanwhile ---- */

START_TEST(what_a_hold_has_lives_through_collections)
{
    open_both(_i);
    mmgc_hold hold = begin();
    mmgc_local local = mmgc_local_new(t, list_new(3000));
    collect();
    struct node *old = mmgc_local_get(t, local);
    ck_assert_int_eq(list_length(old), 3000);
    mmgc_local_set(t, local, pair_new(3000, old, NULL));
    collect();
    collect();
    old = mmgc_local_get(t, local);
    ck_assert(is_held(old));
    ck_assert_int_eq(list_length(end_keeping(hold, old)), 3001);
    collect();
    ck_assert_int_eq(list_length(mmgc_local_get(t, local)), 3001);
}
END_TEST

START_TEST(nobody_is_granted_what_lies_between_the_objects_of_a_hold)
{
    open_both(_i);
    mmgc_hold hold = begin();
    (void)list_new(3000);
    mmgc_local local = mmgc_local_new(t, list_new(10));
    collect();
    for (int i = 0; i < 2000; i++) /* where nothing moves, as in holds */
        memset(mmgc_new_in(t, bytes_type, 100, MMGC_SPACE_NONMOVING), 0xff, 100);
    collect();
    void *objects[1] = { mmgc_local_get(t, local) };
    ck_assert_ok(mmgc_hold_stow(t, objects, 1)); /* which looks at all that the hold ever had */
    ck_assert_int_eq(list_length(objects[0]), 10);
    end(hold);
}
END_TEST

__attribute__((noinline)) static void use_holds_across_collections(void)
{
    for (int i = 0; i < 20; i++) {
        mmgc_hold outer = begin(), inner = begin();
        ck_assert_int_eq(list_length(list_new(5000)), 5000);
        collect();
        end(inner);
        (void)list_new(100);
        inner = begin();
        (void)list_new(5000);
        end(inner);
        end(outer);
    }
}

START_TEST(blocks_that_a_stop_has_seen_are_the_heaps_again)
{
    open_both(_i);
    use_holds_across_collections();
    mmgc_leave(t); /* nothing is on the stack */
    ck_assert_ok(mmgc_enter(t));
    if (exact)
        expect_live(0);
    for (int i = 0; i < 4; i++) { /* and there is room */
        mmgc_hold hold = begin();
        ck_assert_int_eq(list_length(list_new(200000)), 200000);
        end(hold);
    }
}
END_TEST

START_TEST(a_thread_outside_keeps_what_its_roots_have_in_a_hold)
{
    open_both(_i);
    mmgc_hold hold = begin();
    mmgc_local local = mmgc_local_new(t, list_new(2000));
    mmgc_leave(t);
    ck_assert_int_eq(mmgc_gc(t), plan->constraints.trace != PLAN_TRACE_NONE ? MMGC_OK : MMGC_E_UNSUPPORTED);
    ck_assert_ok(mmgc_enter(t));
    ck_assert_int_eq(list_length(end_keeping(hold, mmgc_local_get(t, local))), 2000);
}
END_TEST

START_TEST(a_thread_that_goes_drops_its_holds)
{
    open_both(_i);
    struct mmgc_thread_options options = { .exact = exact };
    (void)begin();
    (void)list_new(3000);
    (void)begin();
    (void)list_new(3000);
    mmgc_detach(t);
    ck_assert_ok(mmgc_attach(heap, &options, &t));
    ck_assert_ok(mmgc_enter(t));
    expect_live(0);
}
END_TEST

/* ---- reservations ---- */

START_TEST(what_is_reserved_in_a_hold_is_there_without_a_stop)
{
    open_both(_i);
    mmgc_hold hold = begin();
    ck_assert_ok(mmgc_reserve(t, 1 << 20));
    uint32_t epoch = at_load_relaxed(&thread_of(t)->heap->control->epoch);
    for (uint64_t bytes = 0, i = 0; bytes + mmgc_size(bytes_type, 16000) <= 1 << 20; i++) {
        uint32_t length = (uint32_t)(i * 7919 % 16000);
        if (mmgc_new_array(t, bytes_type, length) == NULL)
            ck_abort_msg("no %u bytes: %d", length, mmgc_thread_error(t));
        bytes += mmgc_size(bytes_type, length);
    }
    ck_assert_uint_eq(at_load_relaxed(&thread_of(t)->heap->control->epoch), epoch);
    ck_assert_int_eq(mmgc_reserve(t, UINT64_C(5) << 20), MMGC_E_RESERVE);
    end(hold);
    hold = begin_with(MMGC_HOLD_STOW, 1000);
    ck_assert_int_eq(mmgc_reserve(t, 1001), MMGC_E_BUDGET);
    ck_assert_ok(mmgc_reserve(t, 1000));
    end(hold);
}
END_TEST

static Suite *make(void)
{
    Suite *suite = suite_create("hold");
    TCase *tc = tcase_create("hold");

    tcase_add_checked_fixture(tc, setup, teardown);
    tcase_set_timeout(tc, 60);
    tcase_add_loop_test(tc, what_is_made_in_a_hold_is_its_own_and_gone_at_its_end, 0, BOTH);
    tcase_add_loop_test(tc, a_hold_that_ends_gives_its_blocks_to_the_next_one, 0, BOTH);
    tcase_add_loop_test(tc, much_more_is_dropped_than_the_heap_could_hold, 0, BOTH);
    tcase_add_loop_test(tc, holds_end_in_the_reverse_order, 0, BOTH);
    tcase_add_loop_test(tc, holds_nest_to_a_depth_and_no_deeper, 0, BOTH);
    tcase_add_loop_test(tc, calls_that_are_not_possible_say_why, 0, BOTH);
    tcase_add_loop_test(tc, no_more_is_made_than_the_budget_says, 0, BOTH);
    tcase_add_loop_test(tc, large_objects_count_too, 0, BOTH);
    tcase_add_loop_test(tc, stopping_does_not_change_what_is_used, 0, BOTH);
    tcase_add_loop_test(tc, what_a_hold_has_lives_through_collections, 0, BOTH);
    tcase_add_loop_test(tc, nobody_is_granted_what_lies_between_the_objects_of_a_hold, 0, BOTH);
    tcase_add_loop_test(tc, blocks_that_a_stop_has_seen_are_the_heaps_again, 0, BOTH);
    tcase_add_loop_test(tc, a_thread_outside_keeps_what_its_roots_have_in_a_hold, 0, BOTH);
    tcase_add_loop_test(tc, a_thread_that_goes_drops_its_holds, 0, BOTH);
    tcase_add_loop_test(tc, what_is_reserved_in_a_hold_is_there_without_a_stop, 0, BOTH);
    suite_add_tcase(suite, tc);
    return suite;
}

int main(int argc, char **argv)
{
    return runner_main(argc, argv, make);
}
