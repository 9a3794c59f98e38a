/* SPDX-License-Identifier: Apache-2.0 */
/* mmgcctl and the real daemon, with a heap that this process fills. */
#include <pthread.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include <mmgc/mmgc.h>

#include "tests/client/ctl/run.h"
#include "tests/support/daemon.h"
#include "tests/support/runner.h"

#define GARBAGE 100000 /* nodes: 2.4 MB */
#define ROOTS 300      /* more than two pages */
#define TYPES 300      /* more than a page */

struct node {
    mmgc_ref next;
    uint32_t value;
};

static struct daemon *d;
static struct mmgc_client *client;
static struct mmgc_heap *heap;
static struct mmgc_thread *t;
static mmgc_type node_type;
static struct ctl_run run;

#define ok(call) ck_assert_msg((call) == MMGC_OK, "%s: %s", #call, mmgc_error_detail())
#define RUN(wanted_status, ...) \
    do { \
        run = ctl_run(daemon_socket(d), __VA_ARGS__, NULL); \
        ck_assert_msg(run.status == (wanted_status), "status %d: %s", run.status, run.err); \
    } while (0)
#define assert_has(text, part) \
    ck_assert_msg(strstr(text, part) != NULL, "no '%s' in:\n%s", part, text)

static void set_up(void)
{
    struct mmgc_heap_options options = { .create = true, .max_bytes = UINT64_C(32) << 20 };

    d = daemon_start("[daemon]\nthreads = 2\nstop_deadline = 200ms\n");
    ok(mmgc_connect(daemon_socket(d), "filler", &client));
    ok(mmgc_heap_open(client, "trees", &options, &heap));
    ok(MMGC_DEFINE_TYPE(heap, node, &node_type, next));
    ok(mmgc_attach(heap, NULL, &t));
}

static void tear_down(void)
{
    ctl_run_free(&run);
    mmgc_heap_close(heap);
    mmgc_disconnect(client);
    daemon_stop(d);
}

/* Runs it and gives the document. */
static json_t *document(const char *command, const char *option)
{
    RUN(0, command, "trees", "--json", option);
    json_t *json = parse_json(run.out);
    ctl_run_free(&run);
    run = (struct ctl_run){ 0 };
    return json;
}

static json_int_t number(const json_t *object, const char *key)
{
    ck_assert_msg(json_is_integer(json_object_get(object, key)), "%s is no integer", key);
    return json_integer_value(json_object_get(object, key));
}

START_TEST(gc_frees_garbage_and_info_has_its_pause)
{
    ok(mmgc_enter(t));
    for (int i = 0; i < GARBAGE; i++)
        ck_assert_ptr_nonnull(mmgc_new(t, node_type));
    mmgc_leave(t);
    json_auto_t *gc = document("gc", NULL), *info = document("info", NULL);
    ck_assert_int_gt(number(gc, "freed_bytes"), 1 << 20);
    ck_assert_int_gt(number(gc, "pause_ns"), 0);
    ck_assert_int_ge(number(info, "collections"), number(gc, "collection"));
    ck_assert_uint_eq(json_array_size(json_object_get(info, "recent_pause_ns")),
                      (size_t)number(info, "collections"));
    ck_assert_uint_eq(json_array_size(json_object_get(info, "recent_stop_ns")),
                      (size_t)number(info, "collections"));
    ck_assert_int_eq(number(json_object_get(info, "all_pauses"), "count"), number(info, "collections"));
    ck_assert_int_eq(number(json_object_get(info, "all_pauses"), "max_ns"), number(info, "max_pause_ns"));
    ck_assert_int_gt(number(json_object_get(info, "all_stops"), "max_ns"), 0);
    ck_assert_uint_ge(json_array_size(json_object_get(info, "pauses")), 1);
    ck_assert_int_eq(number(info, "max_bytes"), 32 << 20);
    ck_assert_int_eq(number(info, "threads"), 1);
    ck_assert_str_ne(json_string_value(json_object_get(info, "pages")), "");
}
END_TEST

START_TEST(roots_come_from_all_pages)
{
    char name[32];

    ok(mmgc_enter(t));
    struct node *node = mmgc_new(t, node_type);
    for (int i = 0; i < ROOTS; i++) {
        snprintf(name, sizeof(name), "root %03d", i);
        ok(mmgc_name_set(t, name, node));
    }
    mmgc_leave(t);
    json_auto_t *json = document("roots", NULL);
    const json_t *roots = json_object_get(json, "roots");
    ck_assert_uint_eq(json_array_size(roots), ROOTS);
    for (size_t i = 0; i < ROOTS; i++) {
        snprintf(name, sizeof(name), "root %03zu", i);
        ck_assert_str_eq(json_string_value(json_object_get(json_array_get(roots, i), "name")), name);
        ck_assert_int_gt(number(json_array_get(roots, i), "ref"), 0);
    }
}
END_TEST

START_TEST(a_histogram_comes_from_all_pages)
{
    char name[32];
    mmgc_type type;

    ok(mmgc_enter(t));
    mmgc_scope scope = mmgc_scope_open(t);
    for (int i = 0; i < TYPES; i++) {
        struct mmgc_type_layout layout = { .name = name, .fixed_bytes = 8 };
        snprintf(name, sizeof(name), "type %03d", i);
        ok(mmgc_type_define(heap, &layout, &type));
        (void)mmgc_local_new(t, mmgc_new(t, type));
    }
    mmgc_leave(t);
    json_auto_t *json = document("histogram", "--sort=name");
    size_t i, found = 0;
    json_t *row;
    json_array_foreach(json_object_get(json, "types"), i, row) found +=
        strncmp(json_string_value(json_object_get(row, "name")), "type ", 5) == 0;
    ck_assert_uint_eq(found, TYPES);
    ok(mmgc_enter(t));
    mmgc_scope_close(t, scope);
    mmgc_leave(t);
}
END_TEST

START_TEST(a_thread_that_does_not_stop_is_an_error_and_named)
{
    ok(mmgc_enter(t));
    RUN(1, "gc", "trees");
    assert_has(run.err, "a client did not stop in time");
    ctl_run_free(&run);
    RUN(0, "clients", "trees");
    assert_has(run.out, "of 'filler' (pid ");
    assert_has(run.out, "past the deadline");
    mmgc_leave(t);
}
END_TEST

START_TEST(clients_has_this_process_and_not_mmgcctl)
{
    RUN(0, "clients", "--json");
    json_auto_t *json = parse_json(run.out);
    size_t i;
    json_t *row;
    json_array_foreach(json_object_get(json, "clients"), i, row)
    {
        ck_assert_str_eq(json_string_value(json_object_get(row, "name")), "filler");
        ck_assert_int_eq(number(row, "pid"), getpid());
    }
    ck_assert_uint_eq(i, 2); /* the client's connection, and the heap's */
}
END_TEST

START_TEST(verify_finds_a_sound_heap_clean)
{
    json_auto_t *json = document("verify", NULL);

    ck_assert(json_is_true(json_object_get(json, "clean")));
    ck_assert_int_eq(number(json, "faults"), 0);
}
END_TEST

START_TEST(destroy_wants_force_and_then_the_heap_is_gone)
{
    RUN(1, "destroy", "trees");
    ctl_run_free(&run);
    RUN(0, "destroy", "--force", "trees");
    ctl_run_free(&run);
    RUN(0, "list");
    ck_assert_str_eq(run.out, "no heaps\n");
    ctl_run_free(&run);
    RUN(1, "info", "trees");
    assert_has(run.err, "there is no heap of this name");
}
END_TEST

START_TEST(ping_says_the_version)
{
    RUN(0, "ping");
    assert_has(run.out, "mmgcd " MM_VERSION " (protocol 1) answers on ");
}
END_TEST

/* mmgcctl, for two seconds. */
static void *decide(void *unused)
{
    run = ctl_run(daemon_socket(d), "trigger", "wanting", "--grow=4M", "--up-to=12M", "--timeout=2s", "--json", NULL);
    return unused;
}

#define HOLDS(x) \
    do { \
        if (!(x)) \
            ck_abort_msg("%s: %s", #x, mmgc_error_detail()); \
    } while (0)

START_TEST(resize_moves_the_limit)
{
    RUN(0, "resize", "trees", "9M");
    assert_has(run.out, "trees: may hold 10.0 MiB, holds "); /* whole units of 2 MiB */
    ctl_run_free(&run);
    json_auto_t *info = document("info", NULL);
    ck_assert_int_eq(number(info, "limit_bytes"), 10 << 20);
    ck_assert_int_eq(number(info, "max_bytes"), 32 << 20);
    RUN(1, "resize", "trees", "1G");
    assert_has(run.err, "can have 1 to 33554432");
}
END_TEST

START_TEST(trigger_is_for_heaps_that_want_one)
{
    RUN(1, "trigger", "trees", "--timeout=1s");
    assert_has(run.err, "was not made with gc_trigger = delegated");
}
END_TEST

/* A heap of 4 MiB that may grow to 12, which a thread of ours fills three times over. */
START_TEST(trigger_grows_and_then_collects)
{
    struct mmgc_heap_options options = { .create = true, .max_bytes = UINT64_C(32) << 20, .options = "gc_trigger=delegated limit=4M" };
    struct mmgc_heap *wanting;
    struct mmgc_thread *filler;
    mmgc_type type;
    pthread_t decider;

    ok(mmgc_heap_open(client, "wanting", &options, &wanting));
    ok(MMGC_DEFINE_TYPE(wanting, node, &type, next));
    ok(mmgc_attach(wanting, NULL, &filler));
    ck_assert_int_eq(pthread_create(&decider, NULL, decide, NULL), 0);
    usleep(200000); /* it is there before the heap is full */
    ok(mmgc_enter(filler));
    for (int i = 0; i < 36 << 20; i += 24)
        HOLDS(mmgc_new(filler, type) != NULL);
    mmgc_leave(filler);
    pthread_join(decider, NULL);
    ck_assert_msg(run.status == 0, "status %d: %s", run.status, run.err);
    json_auto_t *json = parse_json(run.out);
    ck_assert_int_eq(number(json, "growths"), 2); /* 8, 12 */
    ck_assert_int_ge(number(json, "collections"), 1);
    ck_assert_int_eq(number(json, "pressures"), number(json, "growths") + number(json, "collections"));
    mmgc_heap_close(wanting);
}
END_TEST

static Suite *real_suite(void)
{
    Suite *suite = suite_create("real");
    TCase *real = tcase_create("real");

    tcase_add_checked_fixture(real, set_up, tear_down);
    tcase_add_test(real, gc_frees_garbage_and_info_has_its_pause);
    tcase_add_test(real, roots_come_from_all_pages);
    tcase_add_test(real, a_histogram_comes_from_all_pages);
    tcase_add_test(real, a_thread_that_does_not_stop_is_an_error_and_named);
    tcase_add_test(real, clients_has_this_process_and_not_mmgcctl);
    tcase_add_test(real, verify_finds_a_sound_heap_clean);
    tcase_add_test(real, destroy_wants_force_and_then_the_heap_is_gone);
    tcase_add_test(real, ping_says_the_version);
    tcase_add_test(real, resize_moves_the_limit);
    tcase_add_test(real, trigger_is_for_heaps_that_want_one);
    tcase_add_test(real, trigger_grows_and_then_collects);
    suite_add_tcase(suite, real);
    return suite;
}

int main(int argc, char **argv)
{
    return runner_main(argc, argv, real_suite);
}
