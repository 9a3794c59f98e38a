/* SPDX-License-Identifier: Apache-2.0 */
#include "tests/client/fixture.h"

static void setup_in(void)
{
    setup();
    ck_assert_ok(mmgc_enter(t));
}

static uint32_t word_of(mmgc_handle h)
{
    return at_load_relaxed(&fake_session(fake)->row_words[h.slot]);
}

START_TEST(a_handle_is_a_row_the_daemon_sees)
{
    struct node *n = mmgc_new(t, node_type);
    mmgc_handle h;

    ck_assert_ok(mmgc_handle_new(t, n, &h));
    ck_assert_uint_ne(h.slot, 0);
    ck_assert_uint_eq(word_of(h), mmgc_ref_of(t, n).granule);
    ck_assert_uint_gt(at_load_relaxed(&fake_session(fake)->row_high), h.slot);
    ck_assert_ptr_eq(mmgc_handle_get(t, h), n);
    struct node *other = mmgc_new(t, node_type);
    mmgc_handle_set(t, h, other);
    ck_assert_ptr_eq(mmgc_handle_get(t, h), other);
    at_store_relaxed(&fake_session(fake)->row_words[h.slot], mmgc_ref_of(t, n).granule); /* it moved */
    ck_assert_ptr_eq(mmgc_handle_get(t, h), n);
    mmgc_leave(t);
    ck_assert_int_eq(shm_row_kind(at_load_relaxed(&fake_session(fake)->row_tags[h.slot])), SHM_ROW_STRONG);
    ck_assert_ok(mmgc_handle_drop(heap, h)); /* from outside */
    ck_assert_int_eq(shm_row_kind(at_load_relaxed(&fake_session(fake)->row_tags[h.slot])), SHM_ROW_FREE);
    ck_assert_uint_eq(word_of(h), 0);
    ck_assert_int_eq(mmgc_handle_new(t, n, &h), MMGC_E_NOT_IN);
}
END_TEST

START_TEST(dropped_rows_are_used_again_and_a_second_drop_is_an_error)
{
    mmgc_handle a, b, c, d;

    ck_assert_ok(mmgc_handle_new(t, NULL, &a));
    ck_assert_ok(mmgc_handle_new(t, NULL, &b));
    ck_assert_ok(mmgc_handle_drop(heap, a));
    ck_assert_int_eq(mmgc_handle_drop(heap, a), MMGC_E_DROPPED);
    ck_assert_int_eq(mmgc_handle_drop(heap, (mmgc_handle){ 0 }), MMGC_E_INVALID);
    ck_assert_int_eq(mmgc_handle_drop(heap, (mmgc_handle){ UINT32_MAX, 1 }), MMGC_E_INVALID);
    ck_assert_int_eq(mmgc_handle_drop(NULL, b), MMGC_E_INVALID);
    ck_assert_ok(mmgc_handle_new(t, NULL, &c));
    ck_assert_ok(mmgc_handle_new(t, NULL, &d));
    ck_assert_uint_eq(c.slot, a.slot);
    ck_assert_uint_ne(d.slot, c.slot);
    ck_assert_uint_ne(d.slot, b.slot);
}
END_TEST

START_TEST(use_after_drop_is_found_out_even_when_the_row_is_anothers)
{
    struct node *n = mmgc_new(t, node_type);
    mmgc_handle old, new;

    ck_assert_ok(mmgc_handle_new(t, n, &old));
    ck_assert_ok(mmgc_handle_drop(heap, old));
    ck_assert_ptr_null(mmgc_handle_get(t, old));
    ck_assert_int_eq(mmgc_thread_error(t), MMGC_E_DROPPED);
    ck_assert_ok(mmgc_handle_new(t, n, &new));
    ck_assert_uint_eq(new.slot, old.slot);
    ck_assert_int_eq(mmgc_handle_set(t, old, NULL), MMGC_E_DROPPED);
    ck_assert_int_eq(mmgc_handle_drop(heap, old), MMGC_E_DROPPED);
    ck_assert_ptr_eq(mmgc_handle_get(t, new), n);
}
END_TEST

START_TEST(handles_end_at_their_limit)
{
    mmgc_handle h = { 0, 0 };

    for (uint32_t i = 1; i < SHM_ROWS_MAX; i++)
        ck_assert_ok(mmgc_handle_new(t, NULL, &h));
    ck_assert_int_eq(mmgc_handle_new(t, NULL, &h), MMGC_E_LIMIT);
    mmgc_handle_drop(heap, h);
    ck_assert_ok(mmgc_handle_new(t, NULL, &h));
    ck_assert_uint_eq(at_load_relaxed(&fake_session(fake)->row_high), SHM_ROWS_MAX);
}
END_TEST

static void *churn(void *arg)
{
    struct mmgc_thread *mine;
    mmgc_handle held[64];

    if (mmgc_attach(heap, NULL, &mine) != MMGC_OK || mmgc_enter(mine) != MMGC_OK)
        return NULL;
    for (int round = 0; round < 300; round++) {
        for (int i = 0; i < 64; i++)
            if (mmgc_handle_new(mine, mine->base + 64 + 8 * i, &held[i]) != MMGC_OK)
                return NULL;
        for (int i = 0; i < 64; i++) {
            if (mmgc_handle_get(mine, held[i]) != mine->base + 64 + 8 * i)
                return NULL; /* somebody else has it, too */
            mmgc_handle_drop(heap, held[i]);
        }
    }
    return arg;
}

START_TEST(no_two_threads_get_one_row)
{
    pthread_t threads[4];
    void *result;

    for (int i = 0; i < 4; i++)
        ck_assert_int_eq(pthread_create(&threads[i], NULL, churn, fake), 0);
    for (int i = 0; i < 4; i++) {
        ck_assert_int_eq(pthread_join(threads[i], &result), 0);
        ck_assert_ptr_eq(result, fake);
    }
}
END_TEST

START_TEST(a_scope_gives_its_locals_back)
{
    struct node *n = mmgc_new(t, node_type);
    mmgc_local outer = mmgc_local_new(t, n);
    mmgc_scope scope = mmgc_scope_open(t);
    mmgc_local inner = mmgc_local_new(t, n);

    ck_assert_uint_eq(at_load_relaxed(&mutator()->local_count), 3); /* with slot 0 */
    ck_assert_ptr_eq(mmgc_local_get(t, inner), n);
    ck_assert_uint_eq(at_load_relaxed(&mutator()->locals[inner.slot]), mmgc_ref_of(t, n).granule);
    mmgc_scope_close(t, scope);
    ck_assert_uint_eq(at_load_relaxed(&mutator()->local_count), 2);
    ck_assert_ptr_null(mmgc_local_get(t, inner));
    ck_assert_ptr_eq(mmgc_local_get(t, outer), n);
    mmgc_local_set(t, outer, NULL);
    ck_assert_ptr_null(mmgc_local_get(t, outer));
    mmgc_scope_close(t, (mmgc_scope){ 100 }); /* of no scope */
    ck_assert_uint_eq(at_load_relaxed(&mutator()->local_count), 2);
    mmgc_leave(t);
    ck_assert_uint_eq(at_load_relaxed(&mutator()->local_count), 2); /* they stay roots outside */
}
END_TEST

START_TEST(locals_end_at_their_limit)
{
    mmgc_scope scope = mmgc_scope_open(t);

    for (uint32_t i = 1; i < SHM_LOCALS_MAX; i++)
        ck_assert_uint_ne(mmgc_local_new(t, NULL).slot, 0);
    ck_assert_uint_eq(mmgc_local_new(t, NULL).slot, 0);
    ck_assert_int_eq(mmgc_thread_error(t), MMGC_E_LIMIT);
    mmgc_scope_close(t, scope);
    ck_assert_uint_ne(mmgc_local_new(t, NULL).slot, 0);
}
END_TEST

START_TEST(names_are_set_found_and_claimed_once)
{
    struct node *n = mmgc_new(t, node_type), *other = mmgc_new(t, node_type);
    void *winner = NULL;

    ck_assert_ptr_null(mmgc_name_get(t, "root"));
    ck_assert_int_eq(mmgc_thread_error(t), MMGC_E_NO_NAME);
    ck_assert_ok(mmgc_name_claim(t, "root", n, &winner));
    ck_assert_ptr_eq(winner, n);
    ck_assert_ok(mmgc_name_claim(t, "root", other, &winner));
    ck_assert_ptr_eq(winner, n);
    ck_assert_ok(mmgc_name_set(t, "root", other));
    ck_assert_ptr_eq(mmgc_name_get(t, "root"), other);
    ck_assert_ok(mmgc_name_set(t, "root", NULL));
    ck_assert_ptr_null(mmgc_name_get(t, "root"));
    ck_assert_int_eq(mmgc_name_set(t, "", n), MMGC_E_NAME_TOO_LONG);
    ck_assert_int_eq(mmgc_name_set(t, "a\nb", n), MMGC_E_NAME_TOO_LONG);
    mmgc_leave(t);
    ck_assert_int_eq(mmgc_name_set(t, "root", n), MMGC_E_NOT_IN);
}
END_TEST

START_TEST(references_round_trip_and_null_is_null)
{
    struct node *n = mmgc_new(t, node_type), *l = mmgc_new(t, node_type);

    mmgc_set(t, n, left, l);
    ck_assert_ptr_eq(mmgc_get(t, n, left), l);
    ck_assert_ptr_null(mmgc_get(t, n, right));
    ck_assert(!mmgc_cas(t, n, left, NULL, n));
    ck_assert(mmgc_cas(t, n, left, l, NULL));
    ck_assert_ptr_null(mmgc_exchange(t, n, &n->right, l));
    ck_assert_ptr_eq(mmgc_exchange(t, n, &n->right, NULL), l);
}
END_TEST

static Suite *handle_suite(void)
{
    Suite *suite = suite_create("handle");
    TCase *handle = tcase_create("handle"), *local = tcase_create("local"),
          *name = tcase_create("name");

    tcase_add_checked_fixture(handle, setup_in, teardown);
    tcase_add_test(handle, a_handle_is_a_row_the_daemon_sees);
    tcase_add_test(handle, dropped_rows_are_used_again_and_a_second_drop_is_an_error);
    tcase_add_test(handle, use_after_drop_is_found_out_even_when_the_row_is_anothers);
    tcase_add_test(handle, handles_end_at_their_limit);
    tcase_add_test(handle, no_two_threads_get_one_row);
    suite_add_tcase(suite, handle);
    tcase_add_checked_fixture(local, setup_in, teardown);
    tcase_add_test(local, a_scope_gives_its_locals_back);
    tcase_add_test(local, locals_end_at_their_limit);
    suite_add_tcase(suite, local);
    tcase_add_checked_fixture(name, setup_in, teardown);
    tcase_add_test(name, names_are_set_found_and_claimed_once);
    tcase_add_test(name, references_round_trip_and_null_is_null);
    suite_add_tcase(suite, name);
    return suite;
}

int main(int argc, char **argv)
{
    return runner_main(argc, argv, handle_suite);
}
