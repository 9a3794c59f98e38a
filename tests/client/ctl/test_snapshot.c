/* SPDX-License-Identifier: Apache-2.0 */
/* mmgcctl looks into heaps of a real daemon, under every plan: what it says of who holds what is what this process has made. */
#include <pthread.h>
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

/* A heap of the @plan-th plan, with nothing but a list, named so. */
static void open_with_list(int plan)
{
    open_heap(plan_of(plan));
    ok(mmgc_enter(t));
    mmgc_scope scope = mmgc_scope_open(t);
    mmgc_local first = mmgc_local_new(t, NULL);
    make_list(first);
    ok(mmgc_name_set(t, "list", mmgc_local_get(t, first)));
    mmgc_scope_close(t, scope);
    mmgc_leave(t);
}

/* Where @object is, as mmgcctl takes and shows it. */
static void place_of(char place[32], const void *object, uint64_t bytes)
{
    snprintf(place, 32, "0x%llx", (unsigned long long)(mmgc_ref_of(t, object).granule * (uint64_t)REF_BYTES + bytes));
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
    open_with_list(_i);
    ok(mmgc_enter(t));
    mmgc_scope scope = mmgc_scope_open(t);
    mmgc_local first = mmgc_local_new(t, mmgc_name_get(t, "list"));
    struct link *last = mmgc_local_get(t, first);
    while (mmgc_get(t, last, next) != NULL)
        last = mmgc_get(t, last, next);
    char place[32];
    place_of(place, last, 0);
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
    open_with_list(_i);
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

/* A row of LINKS lists, by name; its rows' own bytes, and one list more on a handle. */
START_TEST(retained_counts_what_each_type_and_client_keeps_alone)
{
    mmgc_handle handle;

    open_heap(plan_of(_i));
    ok(mmgc_enter(t));
    mmgc_scope scope = mmgc_scope_open(t);
    mmgc_local row = mmgc_local_new(t, mmgc_new_array(t, row_type, LINKS)), first = mmgc_local_new(t, NULL);
    for (int i = 0; i < LINKS; i++) {
        mmgc_local_set(t, first, NULL);
        make_list(first);
        mmgc_ref *slots = mmgc_local_get(t, row);
        mmgc_store(t, slots, &slots[i], mmgc_local_get(t, first));
    }
    ok(mmgc_name_set(t, "row", mmgc_local_get(t, row)));
    mmgc_local_set(t, first, NULL);
    make_list(first);
    ok(mmgc_handle_new(t, mmgc_local_get(t, first), &handle));
    mmgc_scope_close(t, scope);
    mmgc_leave(t);
    json_int_t link = (json_int_t)mmgc_size(link_type, 0), bytes = (json_int_t)mmgc_size(row_type, LINKS);
    RUN(0, "retained", "trees", "--json");
    json_auto_t *types = parse_json(run.out);
    const json_t *rows = json_object_get(types, "retained");
    ck_assert_int_eq(number(types, "reachable_objects"), 1 + LINKS * (LINKS + 1));
    ck_assert_int_eq(number(types, "reachable_bytes"), bytes + LINKS * (LINKS + 1) * link);
    ck_assert_int_eq(number(row_of(rows, "type", "link"), "objects"), LINKS * (LINKS + 1));
    ck_assert_int_eq(number(row_of(rows, "type", "link"), "bytes"), LINKS * (LINKS + 1) * link);
    if (!immortals(_i)) {
        ck_assert_int_eq(number(types, "shared_bytes"), 0);
        ck_assert_int_eq(number(row_of(rows, "type", "row"), "retained_bytes"), bytes + LINKS * LINKS * link);
        ck_assert_int_eq(number(row_of(rows, "type", "link"), "retained_bytes"), LINKS * (LINKS + 1) * link);
        RUN(0, "retained", "trees", "--by=client", "--json");
        json_auto_t *clients = parse_json(run.out);
        const json_t *owners = json_object_get(clients, "retained");
        ck_assert_int_eq(number(row_of(owners, "owner", "client"), "retained_bytes"), LINKS * link);
        ck_assert_int_eq(number(row_of(owners, "owner", "names"), "retained_bytes"), bytes + LINKS * LINKS * link);
        RUN(0, "retained", "trees", "--by=object", "--limit=1", "--json");
        json_auto_t *objects = parse_json(run.out);
        ck_assert_str_eq(text(json_array_get(json_object_get(objects, "retained"), 0), "type"), "row");
    }
    RUN(0, "retained", "trees");
    assert_has(run.out, "RETAINED");
    assert_has(run.out, "objects are held");
}
END_TEST

START_TEST(show_has_fields_bytes_and_text)
{
    static const char said[] = "hello, world";
    char place[32], link_place[32];

    open_with_list(_i);
    ok(mmgc_enter(t));
    mmgc_scope scope = mmgc_scope_open(t);
    mmgc_local first = mmgc_local_new(t, mmgc_name_get(t, "list"));
    char *string = mmgc_new_array(t, bytes_type, sizeof(said) - 1);
    memcpy(string, said, sizeof(said) - 1);
    ok(mmgc_name_set(t, "said", string));
    place_of(place, string, 0);
    place_of(link_place, mmgc_local_get(t, first), 8);
    mmgc_scope_close(t, scope);
    mmgc_leave(t);
    RUN(0, "show", "trees", place, "--json");
    json_auto_t *shown = parse_json(run.out);
    ck_assert_str_eq(text(shown, "type"), "bytes");
    ck_assert_str_eq(text(shown, "text"), said);
    ck_assert_int_eq(number(shown, "length"), sizeof(said) - 1);
    RUN(0, "show", "trees", link_place, "--json"); /* within it */
    json_auto_t *link = parse_json(run.out);
    const json_t *refs = json_object_get(link, "refs");
    ck_assert_uint_eq(json_array_size(refs), 2);
    ck_assert_str_eq(text(json_array_get(refs, 0), "type"), "link");
    ck_assert_int_eq(number(json_array_get(refs, 1), "ref"), 0);
    ck_assert_int_eq(number(json_array_get(refs, 1), "field"), 4);
    ck_assert_int_eq(strncmp(text(link, "data") + 16, "01000000", 8), 0); /* the value: it was made last */
    RUN(0, "show", "trees", place);
    assert_has(run.out, "\"hello, world\"");
    RUN(1, "show", "trees", "0x1fffff8"); /* the last block is nobody's */
    assert_has(run.err, "there is no object at 0x1fffff8");
    RUN(1, "show", "trees", "17");
    assert_has(run.err, "0x1a2b8");
}
END_TEST

START_TEST(find_finds_by_type_and_value)
{
    open_with_list(_i);
    RUN(0, "find", "trees", "link", "--json");
    json_auto_t *all = parse_json(run.out);
    ck_assert_int_eq(number(all, "found"), LINKS);
    RUN(0, "find", "trees", "link", "8=3", "--json");
    json_auto_t *one = parse_json(run.out);
    ck_assert_int_eq(number(one, "found"), 1);
    RUN(0, "find", "trees", "link", "0=0", "--json"); /* the last one's next */
    json_auto_t *last = parse_json(run.out);
    ck_assert_int_eq(number(last, "found"), 1);
    RUN(0, "find", "trees", "link", "8:2=3");
    assert_has(run.out, "1 objects");
    RUN(1, "find", "trees", "link", "8");
    assert_has(run.err, "a condition is OFFSET=VALUE");
    RUN(1, "find", "trees", "tree");
    assert_has(run.err, "the heap has no type 'tree'");
}
END_TEST

/* Snapshots beside a client that fills the heap and a collector that is at work on it: what is reachable is whole each time. */
static void *ask_again_and_again(void *directory)
{
    (void)directory;
    for (int i = 0; i < 5; i++) {
        struct ctl_run one = ctl_run(daemon_socket(d), "retained", "trees", "--json", NULL);
        json_t *json = one.status == 0 ? json_loads(one.out, 0, NULL) : NULL;
        bool whole = json != NULL && json_integer_value(json_object_get(json, "reachable_objects")) >= LINKS;
        json_decref(json);
        ctl_run_free(&one);
        if (!whole)
            return (void *)1;
    }
    return NULL;
}

START_TEST(a_heap_at_work_is_copied_whole)
{
    pthread_t asker;
    void *failed = NULL;
    bool full = false;

    open_with_list(_i);
    ok(mmgc_enter(t));
    ck_assert_int_eq(pthread_create(&asker, NULL, ask_again_and_again, NULL), 0);
    while (pthread_tryjoin_np(asker, &failed) != 0) {
        for (int i = 0; i < 1000 && !immortals(_i); i++) /* no assertion of Check's: it locks, and the asker forks */
            full |= mmgc_new(t, link_type) == NULL;
        full |= mmgc_poll(t) != MMGC_OK;
    }
    ck_assert(!full);
    ck_assert_ptr_null(failed);
    mmgc_leave(t);
}
END_TEST

START_TEST(files_that_are_no_snapshots_are_refused)
{
    open_heap(NULL);
    RUN(0, "snapshot", "trees", file);
    RUN(1, "why", "--from=/dev/null", "link");
    assert_has(run.err, "this is no snapshot");
    RUN(1, "why", "--from=/nonexistent", "link");
    assert_has(run.err, "the file cannot be opened");
    ck_assert_int_eq(truncate(file, 4096), 0);
    RUN(1, "why", "--from", file, "link");
    assert_has(run.err, "cut short");
    RUN(2, "why", "trees");
    RUN(2, "why", "--from", file, "trees", "link");
    RUN(2, "retained", "trees", "--by=colour");
}
END_TEST

static Suite *snapshot_suite(void)
{
    Suite *suite = suite_create("snapshot");
    TCase *tc = tcase_create("snapshot");

    tcase_set_timeout(tc, 30);
    tcase_add_checked_fixture(tc, set_up, tear_down);
    tcase_add_loop_test(tc, why_shows_the_way_from_a_name, 0, PLAN_COUNT);
    tcase_add_loop_test(tc, each_owner_has_a_way_of_its_own, 0, PLAN_COUNT);
    tcase_add_loop_test(tc, a_snapshot_in_a_file_says_the_same, 0, PLAN_COUNT);
    tcase_add_loop_test(tc, garbage_is_held_by_nobody, 0, PLAN_COUNT);
    tcase_add_loop_test(tc, retained_counts_what_each_type_and_client_keeps_alone, 0, PLAN_COUNT);
    tcase_add_loop_test(tc, show_has_fields_bytes_and_text, 0, PLAN_COUNT);
    tcase_add_loop_test(tc, find_finds_by_type_and_value, 0, PLAN_COUNT);
    tcase_add_test(tc, files_that_are_no_snapshots_are_refused);
    suite_add_tcase(suite, tc);
    TCase *work = tcase_create("at work");
    tcase_set_timeout(work, 30);
    tcase_add_checked_fixture(work, set_up, tear_down);
    tcase_add_loop_test(work, a_heap_at_work_is_copied_whole, 0, PLAN_COUNT);
    suite_add_tcase(suite, work);
    return suite;
}

int main(int argc, char **argv)
{
    return runner_main(argc, argv, snapshot_suite);
}
