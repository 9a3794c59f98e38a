/* SPDX-License-Identifier: Apache-2.0 */
/* Guards, with a daemon that makes ready what it is told to. */
#include <mmgc/guardian.h>

#include "tests/client/fixture.h"

static void setup_in(void)
{
    setup();
    ck_assert_ok(mmgc_enter(t));
}

static void make_ready(mmgc_guard guard)
{
    _Atomic uint32_t *tag = &fake_session(fake)->row_tags[guard.slot];

    at_store_release(tag, shm_row_tag(SHM_ROW_READY, shm_row_serial(at_load_relaxed(tag))));
    (void)at_add_relaxed(&fake_session(fake)->go, 1);
}

START_TEST(what_is_ready_is_given_back_once_with_its_mark)
{
    struct node *n = mmgc_new(t, node_type), *m = mmgc_new(t, node_type);
    mmgc_guard first, second;
    uint64_t mark = 0;

    ck_assert_ok(mmgc_guard_new(t, n, 41, &first));
    ck_assert_ok(mmgc_guard_new(t, m, 42, &second));
    ck_assert_int_eq(mmgc_guard_new(t, NULL, 0, &first), MMGC_E_INVALID);
    ck_assert_ptr_null(mmgc_guard_take(t, &mark));
    ck_assert_int_eq(mmgc_thread_error(t), MMGC_OK);
    make_ready(second);
    ck_assert_ptr_eq(mmgc_guard_take(t, &mark), m);
    ck_assert_uint_eq(mark, 42);
    ck_assert_ptr_null(mmgc_guard_take(t, &mark));
    ck_assert_int_eq(mmgc_guard_drop(heap, second), MMGC_E_DROPPED);
    make_ready(first);
    ck_assert_ptr_eq(mmgc_guard_take(t, NULL), n);
    mmgc_leave(t);
    ck_assert_ptr_null(mmgc_guard_take(t, NULL));
    ck_assert_int_eq(mmgc_thread_error(t), MMGC_E_NOT_IN);
}
END_TEST

START_TEST(a_guard_may_be_dropped_before_it_is_ready_and_after)
{
    mmgc_guard guard;

    ck_assert_ok(mmgc_guard_new(t, mmgc_new(t, node_type), 0, &guard));
    ck_assert_ok(mmgc_guard_drop(heap, guard));
    ck_assert_int_eq(mmgc_guard_drop(heap, guard), MMGC_E_DROPPED);
    ck_assert_ok(mmgc_guard_new(t, mmgc_new(t, node_type), 0, &guard));
    make_ready(guard);
    ck_assert_ok(mmgc_guard_drop(heap, guard));
    ck_assert_ptr_null(mmgc_guard_take(t, NULL));
    ck_assert_int_eq(mmgc_guard_drop(heap, (mmgc_guard){ 0, 0 }), MMGC_E_INVALID);
    ck_assert_int_eq(mmgc_guard_drop(NULL, guard), MMGC_E_INVALID);
}
END_TEST

#define GUARDS 400u

static void *take_all(void *taken)
{
    struct mmgc_thread *mine;
    uint64_t mark;

    if (mmgc_attach(heap, NULL, &mine) != MMGC_OK || mmgc_enter(mine) != MMGC_OK)
        return NULL;
    while (mmgc_guard_take(mine, &mark) != NULL)
        (void)at_add_relaxed((_Atomic uint32_t *)taken + mark, 1);
    mmgc_leave(mine);
    return taken;
}

START_TEST(threads_that_take_at_once_share_what_there_is)
{
    static _Atomic uint32_t taken[GUARDS];
    pthread_t threads[3];
    mmgc_guard guards[GUARDS];

    for (uint64_t i = 0; i < GUARDS; i++)
        ck_assert_ok(mmgc_guard_new(t, mmgc_new(t, node_type), i, &guards[i]));
    for (uint32_t i = 0; i < GUARDS; i++)
        make_ready(guards[i]);
    for (int i = 0; i < 3; i++)
        ck_assert_int_eq(pthread_create(&threads[i], NULL, take_all, (void *)taken), 0);
    for (int i = 0; i < 3; i++)
        ck_assert_int_eq(pthread_join(threads[i], NULL), 0);
    for (uint32_t i = 0; i < GUARDS; i++)
        ck_assert_uint_eq(at_load_relaxed(&taken[i]), 1);
}
END_TEST

START_TEST(who_waits_sleeps_until_a_collection_has_gone_by)
{
    ck_assert_ptr_null(mmgc_guard_take(t, NULL));
    ck_assert_int_eq(mmgc_guard_wait(t, 1000), MMGC_E_TIMEOUT);
    (void)at_add_relaxed(&fake_session(fake)->go, 1);
    ck_assert_ok(mmgc_guard_wait(t, 1000));
    ck_assert_ptr_null(mmgc_guard_take(t, NULL));
    ck_assert_int_eq(mmgc_guard_wait(t, 0), MMGC_E_TIMEOUT);
    ck_assert_int_eq(mmgc_guards_leave_to(heap, "a\nb"), MMGC_E_NAME_TOO_LONG);
    ck_assert_int_eq(mmgc_guardian_be(NULL, "a"), MMGC_E_INVALID);
}
END_TEST

static Suite *make_suite(void)
{
    Suite *s = suite_create("guardian");
    TCase *tc = tcase_create("guards");

    tcase_add_checked_fixture(tc, setup_in, teardown);
    tcase_add_test(tc, what_is_ready_is_given_back_once_with_its_mark);
    tcase_add_test(tc, a_guard_may_be_dropped_before_it_is_ready_and_after);
    tcase_add_test(tc, threads_that_take_at_once_share_what_there_is);
    tcase_add_test(tc, who_waits_sleeps_until_a_collection_has_gone_by);
    suite_add_tcase(s, tc);
    return s;
}

int main(int argc, char **argv)
{
    return runner_main(argc, argv, make_suite);
}
