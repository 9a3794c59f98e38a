/* SPDX-License-Identifier: Apache-2.0 */
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "tests/client/fixture.h"

static void setup_in(void)
{
    setup();
    ck_assert_ok(mmgc_enter(t));
}

static void setup_limited(void)
{
    fake = fake_start();
    fake->row_limit = 100;
    ck_assert_ok(mmgc_connect(fake->path, "test", &client));
    ck_assert_ok(mmgc_heap_open(client, "heap", NULL, &heap));
    ck_assert_ok(mmgc_attach(heap, NULL, &t));
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
    void *nodes[64];

    if (mmgc_attach(heap, NULL, &mine) != MMGC_OK || mmgc_enter(mine) != MMGC_OK)
        return NULL;
    for (int i = 0; i < 64; i++)
        nodes[i] = mmgc_new(mine, node_type);
    for (int round = 0; round < 300; round++) {
        for (int i = 0; i < 64; i++)
            if (mmgc_handle_new(mine, nodes[i], &held[i]) != MMGC_OK)
                return NULL;
        for (int i = 0; i < 64; i++) {
            if (mmgc_handle_get(mine, held[i]) != nodes[i])
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

START_TEST(rows_that_a_thread_kept_for_itself_come_back_with_its_end)
{
    mmgc_handle h;

    for (int i = 0; i < 200; i++) {
        struct mmgc_thread_options options = { .name = "again" };
        mmgc_detach(t);
        ck_assert_ok(mmgc_attach(heap, &options, &t));
        ck_assert_ok(mmgc_enter(t));
        ck_assert_ok(mmgc_handle_new(t, NULL, &h));
        ck_assert_ok(mmgc_handle_drop(heap, h));
        if (i % 10 == 9) { /* more than it may keep, given back from outside */
            mmgc_handle many[40];
            for (size_t k = 0; k < MM_ARRAY_LEN(many); k++)
                ck_assert_ok(mmgc_handle_new(t, NULL, &many[k]));
            mmgc_leave(t);
            for (size_t k = 0; k < MM_ARRAY_LEN(many); k++)
                ck_assert_ok(mmgc_handle_drop(heap, many[k]));
        }
        if (i >= (int)FAKE_THREADS - 3)
            break;
    }
    ck_assert_uint_le(at_load_relaxed(&fake_session(fake)->row_high), 64);
}
END_TEST

START_TEST(the_daemons_limit_holds)
{
    mmgc_handle h;
    int made = 0;

    teardown();
    setup_limited();
    while (mmgc_handle_new(t, NULL, &h) == MMGC_OK)
        made++;
    ck_assert_int_eq(made, 99);
    ck_assert_int_eq(mmgc_handle_new(t, NULL, &h), MMGC_E_LIMIT);
    ck_assert_ptr_nonnull(strstr(mmgc_error_detail(), "max_handles"));
}
END_TEST

START_TEST(what_is_no_object_gets_no_handle)
{
    struct node *n = mmgc_new(t, node_type);
    mmgc_handle h;
    mmgc_weak w;
    int local = 0;
    const void *wrong[] = { &local, t->base, (char *)n + 1, (char *)n + 8, t->base - 4096, t->base + FAKE_ARENA_BYTES, t->base + (1 << 20) };

    for (size_t i = 0; i < MM_ARRAY_LEN(wrong); i++) {
        ck_assert_int_eq(mmgc_handle_new(t, wrong[i], &h), MMGC_E_NO_OBJECT);
        ck_assert_int_eq(mmgc_weak_new(t, wrong[i], &w), MMGC_E_NO_OBJECT);
        ck_assert_int_eq(mmgc_soft_new(t, wrong[i], &w), MMGC_E_NO_OBJECT);
    }
    ck_assert_ok(mmgc_handle_new(t, n, &h));
    ck_assert_int_eq(mmgc_handle_set(t, h, (char *)n + 1), MMGC_E_NO_OBJECT);
    ck_assert_ptr_eq(mmgc_handle_get(t, h), n);
    ck_assert_int_eq(mmgc_weak_new(t, NULL, &w), MMGC_E_INVALID);
    ck_assert_int_eq(mmgc_weak_new(t, n, NULL), MMGC_E_INVALID);
}
END_TEST

static void clear_row(uint32_t slot)
{
    struct shm_session *s = fake_session(fake);

    at_store_relaxed(&s->row_words[slot], 0);
    at_store_relaxed(&s->row_tags[slot], at_load_relaxed(&s->row_tags[slot]) | SHM_ROW_CLEARED);
}

START_TEST(a_weak_handle_gives_its_object_until_it_is_cleared)
{
    enum shm_row_kind kind = _i == 0 ? SHM_ROW_WEAK : SHM_ROW_SOFT;
    struct node *n = mmgc_new(t, node_type);
    mmgc_weak w, other;
    mmgc_handle h;

    ck_assert_ok(_i == 0 ? mmgc_weak_new(t, n, &w) : mmgc_soft_new(t, n, &w));
    ck_assert_int_eq(shm_row_kind(at_load_relaxed(&fake_session(fake)->row_tags[w.slot])), kind);
    ck_assert_ptr_eq(mmgc_weak_get(t, w), n);
    ck_assert_ok(mmgc_weak_dup(t, w, &other));
    ck_assert_int_eq(shm_row_kind(at_load_relaxed(&fake_session(fake)->row_tags[other.slot])), kind);
    ck_assert_ok(mmgc_weak_upgrade(t, w, &h));
    ck_assert_ptr_eq(mmgc_handle_get(t, h), n);
    clear_row(w.slot);
    ck_assert_ptr_null(mmgc_weak_get(t, w));
    ck_assert_int_eq(mmgc_thread_error(t), MMGC_E_CLEARED);
    ck_assert_int_eq(mmgc_weak_upgrade(t, w, &h), MMGC_E_CLEARED);
    ck_assert_int_eq(mmgc_weak_dup(t, w, &other), MMGC_E_CLEARED);
    ck_assert_ptr_eq(mmgc_weak_get(t, other), n);
    ck_assert_ok(mmgc_weak_drop(heap, w));
    ck_assert_int_eq(mmgc_weak_drop(heap, w), MMGC_E_DROPPED);
    ck_assert_ptr_null(mmgc_weak_get(t, w));
    ck_assert_int_eq(mmgc_thread_error(t), MMGC_E_DROPPED);
    mmgc_leave(t);
    ck_assert_ok(mmgc_weak_drop(heap, other));
}
END_TEST

START_TEST(strong_and_weak_are_not_taken_for_each_other)
{
    struct node *n = mmgc_new(t, node_type);
    mmgc_handle h, twin, empty;
    mmgc_weak w;

    ck_assert_ok(mmgc_handle_new(t, n, &h));
    ck_assert_ok(mmgc_handle_dup(t, h, &twin));
    ck_assert_ok(mmgc_handle_weaken(t, h, &w));
    ck_assert_ok(mmgc_handle_new(t, NULL, &empty));
    ck_assert_int_eq(mmgc_handle_weaken(t, empty, &w), MMGC_E_INVALID);
    ck_assert_ptr_eq(mmgc_weak_get(t, w), n);
    ck_assert_ok(mmgc_handle_drop(heap, h));
    ck_assert_ptr_eq(mmgc_handle_get(t, twin), n);
    ck_assert_int_eq(mmgc_handle_dup(t, h, &twin), MMGC_E_DROPPED);
    ck_assert_int_eq(mmgc_handle_drop(heap, (mmgc_handle){ w.slot, w.serial }), MMGC_E_INVALID);
    ck_assert_int_eq(mmgc_weak_drop(heap, (mmgc_weak){ twin.slot, twin.serial }), MMGC_E_INVALID);
    ck_assert_ptr_null(mmgc_weak_get(t, (mmgc_weak){ twin.slot, twin.serial }));
    ck_assert_int_eq(mmgc_thread_error(t), MMGC_E_INVALID);
}
END_TEST

START_TEST(handles_are_counted_by_kind)
{
    struct node *n = mmgc_new(t, node_type);
    struct mmgc_handle_counts counts;
    mmgc_handle h[3];
    mmgc_weak w[3];

    for (int i = 0; i < 3; i++) {
        ck_assert_ok(mmgc_handle_new(t, n, &h[i]));
        ck_assert_ok(i < 2 ? mmgc_weak_new(t, n, &w[i]) : mmgc_soft_new(t, n, &w[i]));
    }
    ck_assert_ok(mmgc_handle_drop(heap, h[0]));
    ck_assert_ok(mmgc_handle_counts(heap, &counts));
    ck_assert_uint_eq(counts.strong, 2);
    ck_assert_uint_eq(counts.weak, 2);
    ck_assert_uint_eq(counts.soft, 1);
    ck_assert_uint_eq(counts.shared + counts.exclusive + counts.revoked + counts.guarded + counts.ready + counts.watched, 0);
    ck_assert_int_eq(mmgc_handle_counts(heap, NULL), MMGC_E_INVALID);
}
END_TEST

struct leaks {
    unsigned count;
    char text[256];
};

static void on_leak(void *context, const struct mmgc_leak *leak)
{
    struct leaks *leaks = context;

    leaks->count++;
    (void)snprintf(leaks->text + strlen(leaks->text), sizeof(leaks->text) - strlen(leaks->text), "%s '%s' %d;", leak->kind, leak->name,
                   leak->age_ms < 60000);
}

START_TEST(what_is_still_held_is_told_by_name)
{
    struct node *n = mmgc_new(t, node_type);
    struct leaks leaks = { 0 };
    mmgc_handle h, other;
    mmgc_weak w;

    ck_assert_ok(mmgc_handle_new(t, n, &h));
    ck_assert_ok(mmgc_handle_new(t, n, &other));
    ck_assert_ok(mmgc_weak_new(t, n, &w));
    ck_assert_ok(mmgc_handle_name(heap, h, "the root of a tree, and more than fits"));
    ck_assert_ok(mmgc_handle_drop(heap, other));
    ck_assert_ok(mmgc_heap_leaks(heap, on_leak, &leaks));
    ck_assert_uint_eq(leaks.count, 2);
    ck_assert_str_eq(leaks.text, "strong 'the root of a tree, and' 1;weak '' 1;");
    ck_assert_ok(mmgc_handle_drop(heap, h));
    ck_assert_ok(mmgc_handle_new(t, n, &h)); /* the same row, and nothing is left of the name */
    leaks = (struct leaks){ 0 };
    ck_assert_ok(mmgc_heap_leaks(heap, on_leak, &leaks));
    ck_assert_str_eq(leaks.text, "strong '' 1;weak '' 1;");
    ck_assert_int_eq(mmgc_handle_name(heap, other, "late"), MMGC_E_DROPPED);
    ck_assert_int_eq(mmgc_heap_leaks(heap, NULL, NULL), MMGC_E_INVALID);
}
END_TEST

/* ---- what a program that asks for it gets on stderr --------------------------------------------------------------- */

/* Runs @what with stderr in a pipe, in a child that never knew this process's heaps; what it printed. Its status goes to *@ret_status. */
static const char *printed_by(void (*what)(void), int *ret_status)
{
    static char text[4096];
    int ends[2];
    size_t got = 0;
    ssize_t more;

    ck_assert_int_eq(pipe(ends), 0);
    pid_t pid = fork();
    if (pid == 0) {
        (void)dup2(ends[1], STDERR_FILENO);
        (void)close(ends[0]);
        (void)close(ends[1]);
        what();
        _exit(0);
    }
    (void)close(ends[1]);
    while ((more = read(ends[0], text + got, sizeof(text) - 1 - got)) > 0)
        got += (size_t)more;
    (void)close(ends[0]);
    text[got] = '\0';
    ck_assert_int_eq(waitpid(pid, ret_status, 0), pid);
    return text;
}

static void leave_handles_behind(void)
{
    mmgc_handle h;

    if (mmgc_connect(fake->path, "leaky", &client) != MMGC_OK ||
        mmgc_heap_open(client, "heap", &(struct mmgc_heap_options){ .report_leaks = true }, &heap) != MMGC_OK ||
        mmgc_attach(heap, NULL, &t) != MMGC_OK || mmgc_enter(t) != MMGC_OK || mmgc_handle_new(t, NULL, &h) != MMGC_OK ||
        mmgc_handle_name(heap, h, "forgotten") != MMGC_OK)
        _exit(1);
    mmgc_heap_close(heap);
}

START_TEST(a_close_reports_leaks_if_it_was_asked_to)
{
    int status;
    const char *text = printed_by(leave_handles_behind, &status);

    ck_assert_int_eq(status, 0);
    ck_assert_ptr_nonnull(strstr(text, "mmgc: still held at the heap's close: strong 1 'forgotten', for "));
}
END_TEST

static void drop_twice(void)
{
    mmgc_handle h;

    if (setenv("MMGC_ABORT_ON_MISUSE", "1", 1) != 0 || mmgc_connect(fake->path, "wrong", &client) != MMGC_OK ||
        mmgc_heap_open(client, "heap", NULL, &heap) != MMGC_OK || mmgc_attach(heap, NULL, &t) != MMGC_OK || mmgc_enter(t) != MMGC_OK ||
        mmgc_handle_new(t, NULL, &h) != MMGC_OK || mmgc_handle_drop(heap, h) != MMGC_OK)
        _exit(1);
    (void)mmgc_handle_drop(heap, h);
}

START_TEST(a_mistake_stops_the_program_that_asked_for_it)
{
    int status;
    const char *text = printed_by(drop_twice, &status);

    ck_assert(WIFSIGNALED(status) && WTERMSIG(status) == SIGABRT);
    ck_assert_ptr_nonnull(strstr(text, "mmgc: mmgc_handle_drop: it was dropped or released before"));
    ck_assert_ptr_nonnull(strstr(text, "test_client_handle"));
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
    tcase_add_test(handle, rows_that_a_thread_kept_for_itself_come_back_with_its_end);
    tcase_add_test(handle, the_daemons_limit_holds);
    tcase_add_test(handle, what_is_no_object_gets_no_handle);
    tcase_add_loop_test(handle, a_weak_handle_gives_its_object_until_it_is_cleared, 0, 2);
    tcase_add_test(handle, strong_and_weak_are_not_taken_for_each_other);
    tcase_add_test(handle, handles_are_counted_by_kind);
    tcase_add_test(handle, what_is_still_held_is_told_by_name);
    tcase_add_test(handle, a_close_reports_leaks_if_it_was_asked_to);
    tcase_add_test(handle, a_mistake_stops_the_program_that_asked_for_it);
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
