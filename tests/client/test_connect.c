/* SPDX-License-Identifier: Apache-2.0 */
#include "tests/client/fixture.h"

#include <dirent.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

static int count_fds(void)
{
    DIR *dir = opendir("/proc/self/fd");
    int count = 0;

    while (readdir(dir) != NULL)
        count++;
    (void)closedir(dir);
    return count;
}

START_TEST(without_a_daemon_connecting_says_so)
{
    struct mmgc_client *none = NULL;

    ck_assert_int_eq(mmgc_connect("/nonexistent/mmgcd.sock", NULL, &none), MMGC_E_NO_DAEMON);
    ck_assert_str_ne(mmgc_error_detail(), "");
    ck_assert_ptr_null(none);
}
END_TEST

START_TEST(the_socket_is_found_in_the_environment)
{
    struct mmgc_client *other;

    ck_assert_int_eq(setenv("MMGC_SOCKET", fake->path, 1), 0);
    ck_assert_ok(mmgc_connect(NULL, NULL, &other));
    ck_assert_ok(mmgc_ping(other));
    mmgc_disconnect(other);
}
END_TEST

START_TEST(an_error_reply_is_the_calls_error_with_its_detail)
{
    struct mmgc_heap *none = NULL;

    ck_assert_int_eq(mmgc_heap_open(client, "absent", NULL, &none), MMGC_E_NO_HEAP);
    ck_assert_str_eq(mmgc_error_detail(), "the fake says so");
    ck_assert_int_eq(mmgc_heap_open(client, "", NULL, &none), MMGC_E_NAME_TOO_LONG);
    ck_assert_int_eq(mmgc_heap_destroy(client, "heap", false), MMGC_E_UNSUPPORTED);
    ck_assert_ptr_null(none);
}
END_TEST

START_TEST(info_reads_what_the_daemon_published)
{
    struct mmgc_heap_info info;

    at_store_relaxed(&fake->control->live_bytes, 12345);
    ck_assert_ok(mmgc_heap_info(heap, &info));
    ck_assert_uint_eq(info.max_bytes, FAKE_ARENA_BYTES);
    ck_assert_uint_eq(info.live_bytes, 12345);
    ck_assert_str_eq(info.plan, "fake");
}
END_TEST

START_TEST(a_lost_connection_is_every_later_calls_error)
{
    fake_drop_all(fake);
    ck_assert_int_eq(mmgc_ping(client), MMGC_E_DISCONNECTED);
    ck_assert_int_eq(mmgc_ping(client), MMGC_E_DISCONNECTED);
    mmgc_type type;
    struct mmgc_type_layout layout = { .name = "late", .fixed_bytes = 8 };
    ck_assert_int_eq(mmgc_type_define(heap, &layout, &type), MMGC_E_DISCONNECTED);
    ck_assert_int_eq(mmgc_enter(t), MMGC_E_DISCONNECTED);
}
END_TEST

START_TEST(an_event_that_says_why_wins_over_the_end_of_file)
{
    fake_event(fake, MMGC_E_HEAP_GONE);
    (void)usleep(20000);
    fake_drop_all(fake);
    ck_assert_int_eq(mmgc_ping(client), MMGC_E_HEAP_GONE);
    struct mmgc_type_layout layout = { .name = "late", .fixed_bytes = 8 };
    mmgc_type type;
    ck_assert_int_eq(mmgc_type_define(heap, &layout, &type), MMGC_E_HEAP_GONE);
}
END_TEST

START_TEST(closing_gives_every_descriptor_back)
{
    int before = count_fds();
    struct mmgc_client *other;
    struct mmgc_heap *second;
    struct mmgc_thread *thread;

    ck_assert_ok(mmgc_connect(fake->path, NULL, &other));
    ck_assert_ok(mmgc_heap_open(other, "second", NULL, &second));
    ck_assert_ok(mmgc_attach(second, NULL, &thread));
    mmgc_heap_close(second); /* detaches */
    mmgc_disconnect(other);
    ck_assert_uint_eq(at_load_relaxed(&fake->detaches), 1);
    for (int i = 0; i < 100 && count_fds() > before + 2; i++)
        (void)usleep(10000);
    ck_assert_int_le(count_fds(), before + 2); /* the fake keeps a session and a mutator segment */
}
END_TEST

static void *attach_and_end(void *arg)
{
    struct mmgc_thread *thread;

    if (mmgc_attach(heap, NULL, &thread) != MMGC_OK || mmgc_enter(thread) != MMGC_OK)
        return NULL;
    return arg; /* inside, and not detached */
}

START_TEST(a_thread_that_ends_leaves_and_detaches)
{
    pthread_t thread;
    void *result;

    ck_assert_int_eq(pthread_create(&thread, NULL, attach_and_end, fake), 0);
    ck_assert_int_eq(pthread_join(thread, &result), 0);
    ck_assert_ptr_eq(result, fake);
    ck_assert_uint_eq(at_load_relaxed(&fake->detaches), 1);
    ck_assert_uint_eq(at_load_relaxed(&fake_mutator(fake, 2)->state), SHM_OUT);
}
END_TEST

START_TEST(a_thread_attaches_to_a_heap_once)
{
    struct mmgc_thread *again = NULL;

    ck_assert_int_eq(mmgc_attach(heap, NULL, &again), MMGC_E_INVALID);
    ck_assert_ptr_null(again);
    mmgc_detach(t);
    ck_assert_ok(mmgc_attach(heap, NULL, &t));
}
END_TEST

START_TEST(types_are_remembered_and_clashes_named)
{
    mmgc_type again, other;
    uint32_t refs[] = { 0, 4 };
    struct mmgc_type_layout layout = { .name = "node", .fixed_bytes = 16, .refs = refs, .ref_count = 2 };

    ck_assert_ok(MMGC_DEFINE_TYPE(heap, node, &again, left, right));
    ck_assert_ptr_eq(again, node_type);
    ck_assert_uint_eq(node_type->bytes, 24);
    ck_assert_ok(mmgc_type_define(heap, &layout, &other));
    ck_assert_ptr_eq(other, node_type);
    layout.fixed_bytes = 24;
    ck_assert_int_eq(mmgc_type_define(heap, &layout, &other), MMGC_E_TYPE_CLASH);
    refs[1] = 3;
    ck_assert_int_eq(mmgc_type_define(heap, &layout, &other), MMGC_E_TYPE_LAYOUT);
    ck_assert_str_ne(mmgc_error_detail(), "");
    for (int i = 0; i < 600; i++) { /* many types: the buckets chain */
        char name[16];
        (void)snprintf(name, sizeof(name), "t%d", i % 300);
        struct mmgc_type_layout many = { .name = name, .fixed_bytes = 8 };
        ck_assert_ok(mmgc_type_define(heap, &many, &other));
        ck_assert_uint_eq(other->id, (uint32_t)(4 + i % 300));
    }
}
END_TEST

static Suite *connect_suite(void)
{
    Suite *suite = suite_create("connect");
    TCase *without = tcase_create("without"), *with = tcase_create("with");

    tcase_add_test(without, without_a_daemon_connecting_says_so);
    suite_add_tcase(suite, without);
    tcase_add_checked_fixture(with, setup, teardown);
    tcase_add_test(with, the_socket_is_found_in_the_environment);
    tcase_add_test(with, an_error_reply_is_the_calls_error_with_its_detail);
    tcase_add_test(with, info_reads_what_the_daemon_published);
    tcase_add_test(with, a_lost_connection_is_every_later_calls_error);
    tcase_add_test(with, an_event_that_says_why_wins_over_the_end_of_file);
    tcase_add_test(with, closing_gives_every_descriptor_back);
    tcase_add_test(with, a_thread_that_ends_leaves_and_detaches);
    tcase_add_test(with, a_thread_attaches_to_a_heap_once);
    tcase_add_test(with, types_are_remembered_and_clashes_named);
    suite_add_tcase(suite, with);
    return suite;
}

int main(int argc, char **argv)
{
    return runner_main(argc, argv, connect_suite);
}
