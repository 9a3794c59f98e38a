/* SPDX-License-Identifier: Apache-2.0 */
/* mmgcctl looks into heaps of a real daemon, under every plan: what it says of who holds what is what this process has made. */
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include <mmgc/mmgc.h>

#include "plans/plan.h"
#include "tests/client/ctl/run.h"
#include "tests/support/daemon.h"
#include "tests/support/runner.h"

#define LINKS 5
#define REF_BYTES 8

struct link {
    mmgc_ref next, other;
    uint32_t value;
};

static struct daemon *d;
static struct mmgc_client *client;
static struct mmgc_heap *heap;
static struct mmgc_thread *t;
static mmgc_type link_type, bytes_type, row_type;
static struct ctl_run run;
static char file[256];

#define ok(call) ck_assert_msg((call) == MMGC_OK, "%s: %s", #call, mmgc_error_detail())
#define RUN(wanted_status, ...) \
    do { \
        ctl_run_free(&run); \
        run = ctl_run(daemon_socket(d), __VA_ARGS__, NULL); \
        ck_assert_msg(run.status == (wanted_status), "status %d: %s", run.status, run.err); \
    } while (0)
#define assert_has(text, part) ck_assert_msg(strstr(text, part) != NULL, "no '%s' in:\n%s", part, text)

/* A thread that is exact: nothing on this stack holds anything. */
static void open_heap(const char *plan)
{
    struct mmgc_heap_options options = { .create = true, .max_bytes = UINT64_C(32) << 20, .plan = plan };
    struct mmgc_thread_options exact = { .exact = true, .name = "worker" };
    static const uint32_t zero[] = { 0 };
    struct mmgc_type_layout bytes = { .name = "bytes", .element_bytes = 1 },
                            row = { .name = "row", .element_bytes = 4, .element_refs = zero, .element_ref_count = 1 };

    ok(mmgc_heap_open(client, "trees", &options, &heap));
    ok(MMGC_DEFINE_TYPE(heap, link, &link_type, next, other));
    ok(mmgc_type_define(heap, &bytes, &bytes_type));
    ok(mmgc_type_define(heap, &row, &row_type));
    ok(mmgc_attach(heap, &exact, &t));
}

static void set_up(void)
{
    d = daemon_start("[daemon]\nthreads = 2\n");
    ok(mmgc_connect(daemon_socket(d), "maker", &client));
    snprintf(file, sizeof(file), "%s/heap.snapshot", daemon_directory(d));
}

static void tear_down(void)
{
    ctl_run_free(&run);
    run = (struct ctl_run){ 0 };
    (void)unlink(file);
    mmgc_heap_close(heap);
    mmgc_disconnect(client);
    daemon_stop(d);
}

static const char *plan_of(int i)
{
    return plans[i]->name;
}

/* Of a plan that frees nothing every object is held as an immortal one, too. */
static size_t immortals(int i)
{
    return plans[i]->constraints.trace == PLAN_TRACE_NONE;
}

/* LINKS links in a row, the first one in @first. */
static void make_list(mmgc_local first)
{
    for (int i = 0; i < LINKS; i++) {
        struct link *link = mmgc_new(t, link_type);
        ck_assert_ptr_nonnull(link);
        link->value = (uint32_t)(LINKS - i);
        mmgc_init(t, link, next, mmgc_local_get(t, first));
        mmgc_local_set(t, first, link);
    }
}

static json_int_t number(const json_t *object, const char *key)
{
    ck_assert_msg(json_is_integer(json_object_get(object, key)), "%s is no integer", key);
    return json_integer_value(json_object_get(object, key));
}

static const char *text(const json_t *object, const char *key)
{
    return json_string_value(json_object_get(object, key));
}

static const json_t *row_of(const json_t *rows, const char *key, const char *value)
{
    size_t i;
    json_t *row;

    json_array_foreach((json_t *)rows, i, row) if (text(row, key) != NULL && strcmp(text(row, key), value) == 0) return row;
    ck_abort_msg("no row has %s = %s", key, value);
}

START_TEST(why_shows_the_way_from_a_name)
{
    open_heap(plan_of(_i));
    ok(mmgc_enter(t));
    mmgc_scope scope = mmgc_scope_open(t);
    mmgc_local first = mmgc_local_new(t, NULL);
    make_list(first);
    ok(mmgc_name_set(t, "list", mmgc_local_get(t, first)));
    struct link *last = mmgc_local_get(t, first);
    while (mmgc_get(t, last, next) != NULL)
        last = mmgc_get(t, last, next);
    char place[32];
    snprintf(place, sizeof(place), "0x%llx", (unsigned long long)mmgc_ref_of(t, last).granule * REF_BYTES);
    mmgc_scope_close(t, scope);
    mmgc_leave(t);
    RUN(0, "why", "trees", place, "--json");
    json_auto_t *json = parse_json(run.out);
    const json_t *path = row_of(json_object_get(json, "paths"), "owner", "names");
    ck_assert_uint_eq(json_array_size(json_object_get(json, "paths")), 1 + immortals(_i));
    ck_assert_str_eq(text(path, "name"), "list");
    ck_assert_int_eq(number(path, "length"), LINKS);
    ck_assert_uint_eq(json_array_size(json_object_get(path, "steps")), LINKS);
    ck_assert_int_eq(number(json_array_get(json_object_get(path, "steps"), 0), "field"), 0);
    RUN(0, "why", "trees", place);
    assert_has(run.out, "the heap's names: named 'list'");
    assert_has(run.out, place);
}
END_TEST

START_TEST(each_owner_has_a_way_of_its_own)
{
    mmgc_handle handle;

    open_heap(plan_of(_i));
    ok(mmgc_enter(t));
    mmgc_scope scope = mmgc_scope_open(t);
    mmgc_local first = mmgc_local_new(t, NULL);
    make_list(first);
    ok(mmgc_handle_new(t, mmgc_get(t, (struct link *)mmgc_local_get(t, first), next), &handle));
    ok(mmgc_handle_name(heap, handle, "cache"));
    ok(mmgc_name_set(t, "list", mmgc_local_get(t, first)));
    mmgc_leave(t);
    RUN(0, "why", "trees", "link", "--json");
    json_auto_t *json = parse_json(run.out);
    const json_t *paths = json_object_get(json, "paths");
    ck_assert_int_eq(number(json, "objects"), LINKS);
    ck_assert_uint_eq(json_array_size(paths), 3 + immortals(_i));
    ck_assert_str_eq(text(row_of(paths, "owner", "client"), "name"), "cache");
    ck_assert_str_eq(text(row_of(paths, "owner", "client"), "client"), "maker");
    ck_assert_int_eq(number(row_of(paths, "owner", "client"), "pid"), getpid());
    ck_assert_str_eq(text(row_of(paths, "owner", "thread"), "kind"), "local");
    ck_assert_str_eq(text(row_of(paths, "owner", "thread"), "thread_name"), "worker");
    ck_assert_str_eq(text(row_of(paths, "owner", "names"), "name"), "list");
    ok(mmgc_enter(t));
    mmgc_scope_close(t, scope);
    mmgc_leave(t);
}
END_TEST

START_TEST(a_snapshot_in_a_file_says_the_same)
{
    open_heap(plan_of(_i));
    ok(mmgc_enter(t));
    mmgc_scope scope = mmgc_scope_open(t);
    mmgc_local first = mmgc_local_new(t, NULL);
    make_list(first);
    ok(mmgc_name_set(t, "list", mmgc_local_get(t, first)));
    mmgc_scope_close(t, scope);
    mmgc_leave(t);
    RUN(0, "why", "trees", "link");
    char *direct = strdup(run.out);
    RUN(0, "snapshot", "trees", file);
    assert_has(run.out, "the heap stood still for");
    RUN(0, "why", "--from", file, "link");
    ck_assert_str_eq(run.out, direct);
    free(direct);
}
END_TEST

START_TEST(garbage_is_held_by_nobody)
{
    open_heap(plan_of(_i));
    ok(mmgc_enter(t));
    ck_assert_ptr_nonnull(mmgc_new(t, link_type));
    mmgc_leave(t);
    RUN(0, "why", "trees", "link");
    assert_has(run.out, immortals(_i) ? "immortal objects" : "nothing holds it");
}
END_TEST

static Suite *snapshot_suite(void)
{
    Suite *suite = suite_create("snapshot");
    TCase *tc = tcase_create("snapshot");

    tcase_add_checked_fixture(tc, set_up, tear_down);
    tcase_add_loop_test(tc, why_shows_the_way_from_a_name, 0, PLAN_COUNT);
    tcase_add_loop_test(tc, each_owner_has_a_way_of_its_own, 0, PLAN_COUNT);
    tcase_add_loop_test(tc, a_snapshot_in_a_file_says_the_same, 0, PLAN_COUNT);
    tcase_add_loop_test(tc, garbage_is_held_by_nobody, 0, PLAN_COUNT);
    suite_add_tcase(suite, tc);
    return suite;
}

int main(int argc, char **argv)
{
    return runner_main(argc, argv, snapshot_suite);
}
