/* SPDX-License-Identifier: Apache-2.0 */
/* mmgcctl watch, and what the daemon's log says of collections: of each, whatever the plan; of the life of heaps and clients. */
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "plans/plan.h"
#include "tests/client/ctl/churner.h"
#include "tests/client/ctl/follower.h"
#include "tests/client/ctl/run.h"
#include "tests/support/daemon.h"
#include "tests/support/runner.h"

static struct daemon *d;
static struct churner churner;
static struct follower follower;
static struct ctl_run run;

static void set_up(void)
{
    d = daemon_start("[daemon]\nthreads = 2\nstop_deadline = 200ms\nstop_policy = abandon\n");
}

static void tear_down(void)
{
    daemon_stop(d);
}

#define ok(call) ck_assert_msg((call) == MMGC_OK, "%s: %s", #call, mmgc_error_detail())

static json_int_t number(const json_t *object, const char *key)
{
    ck_assert_msg(json_is_integer(json_object_get(object, key)), "%s is no integer", key);
    return json_integer_value(json_object_get(object, key));
}

static const char *text(const json_t *object, const char *key)
{
    ck_assert_msg(json_is_string(json_object_get(object, key)), "%s is no text", key);
    return json_string_value(json_object_get(object, key));
}

static bool is_one_of(const char *word, const char *words)
{
    char spaced[80];

    snprintf(spaced, sizeof(spaced), " %s ", word);
    return strstr(words, spaced) != NULL;
}

/* ---- collections ---- */

#define KINDS " full young refcount cycle final-mark "
#define CAUSES " plan ahead nursery stress full asked emergency "

static void check_collection(const json_t *event, json_int_t after)
{
    if (number(event, "lost_events") == 0 && after != 0)
        ck_assert_int_eq(number(event, "number"), after + 1);
    ck_assert_msg(is_one_of(text(event, "kind"), KINDS), "%s", text(event, "kind"));
    ck_assert_msg(is_one_of(text(event, "why"), CAUSES), "%s", text(event, "why"));
    ck_assert_int_gt(number(event, "before_bytes"), 0);
    ck_assert_int_ge(number(event, "pauses"), 1);
    ck_assert_int_gt(number(event, "pause_ns"), 0);
    ck_assert_int_gt(number(event, "stop_ns"), 0);
    ck_assert_int_ge(number(event, "pause_ns"), number(event, "stop_ns"));
    ck_assert_int_eq(number(event, "workers"), 2);
    ck_assert_int_gt(number(event, "time_ms"), 1600000000000);
    if (json_object_get(event, "session") != NULL) /* somebody had to be waited for */
        ck_assert_str_eq(text(event, "client"), "churner");
}

START_TEST(collections_are_told_whatever_the_plan)
{
    json_int_t last = 0;

    if (plans[_i]->constraints.trace == PLAN_TRACE_NONE)
        return;
    churner_start(&churner, daemon_socket(d), "churner", "trees", plans[_i]->name, "limit=12M");
    follower_start(&follower, daemon_socket(d), "trees", "collection", NULL);
    for (int i = 0; i < 3; i++) {
        json_auto_t *event = follower_next_of(&follower, "collection", "trees");
        check_collection(event, last);
        last = number(event, "number");
    }
    ck_assert_int_eq(follower_end(&follower, SIGINT), 0);
    churner_stop(&churner);
}
END_TEST

/* The value of @key in a line of logfmt, without quotes; fails if it has none. */
static void value_of(const char *line, const char *key, char ret_value[64])
{
    char start[64];

    snprintf(start, sizeof(start), " %s=", key);
    const char *at = strstr(line, start);
    ck_assert_msg(at != NULL, "no %s in %s", key, line);
    at += strlen(start);
    size_t length = *at == '"' ? strcspn(at + 1, "\"") : strcspn(at, " \n");
    snprintf(ret_value, 64, "%.*s", (int)length, at + (*at == '"'));
}

static long long log_number(const char *line, const char *key)
{
    char value[64], *end;

    value_of(line, key, value);
    long long n = strtoll(value, &end, 10);
    ck_assert_msg(*value != '\0' && *end == '\0', "%s=%s in %s", key, value, line);
    return n;
}

static void check_line(const char *line, const char *plan)
{
    static const char *const numbers[] = { "number", "before_bytes", "after_bytes", "live_bytes", "pauses", "pause_ns", "stop_ns", "beside_ns",
                                           "last_pid", "last_thread", "moved_objects", "moved_bytes", "workers", "unsaid" };
    char value[64];

    for (size_t i = 0; i < sizeof(numbers) / sizeof(numbers[0]); i++)
        ck_assert_int_ge(log_number(line, numbers[i]), 0);
    value_of(line, "heap", value);
    ck_assert_str_eq(value, "my \\");      /* my \"trees\", up to the quote within */
    value_of(line, "plan", value);
    ck_assert_str_eq(value, plan);
    value_of(line, "kind", value);
    ck_assert(is_one_of(value, KINDS));
    value_of(line, "why", value);
    ck_assert(is_one_of(value, CAUSES));
    ck_assert_int_gt(log_number(line, "pause_ns"), 0);
}

static int check_log(const char *plan)
{
    char path[256], line[2048];
    int lines = 0;

    snprintf(path, sizeof(path), "%s/log", daemon_directory(d));
    FILE *log = fopen(path, "r");
    ck_assert_ptr_nonnull(log);
    while (fgets(line, sizeof(line), log) != NULL) {
        if (strncmp(line, "mmgcd: info: collection ", 24) != 0)
            continue;
        check_line(line, plan);
        lines++;
    }
    fclose(log);
    return lines;
}

START_TEST(collections_are_logged_whatever_the_plan)
{
    if (plans[_i]->constraints.trace == PLAN_TRACE_NONE)
        return;
    churner_start(&churner, daemon_socket(d), "churner", "my \"trees\"", plans[_i]->name, "limit=12M");
    ck_assert(daemon_log_has(d, "mmgcd: info: collection heap=\"my \\\"trees\\\"\" plan="));
    churner_stop(&churner);
    ck_assert_int_ge(check_log(plans[_i]->name), 1);
}
END_TEST

START_TEST(what_was_moved_and_asked_for_is_said)
{
    churner_start(&churner, daemon_socket(d), "churner", "trees", "semispace", NULL);
    follower_start(&follower, daemon_socket(d), "trees", "collection", NULL);
    run = ctl_run(daemon_socket(d), "gc", "trees", NULL);
    ck_assert_int_eq(run.status, 0);
    ctl_run_free(&run);
    for (bool asked = false, moved = false; !asked || !moved;) {
        json_auto_t *event = follower_next(&follower);
        asked |= strcmp(text(event, "why"), "asked") == 0;
        moved |= number(event, "moved_objects") > 0 && number(event, "moved_bytes") > 0;
        if (!asked) { /* it may have been before we watched */
            run = ctl_run(daemon_socket(d), "gc", "trees", NULL);
            ctl_run_free(&run);
        }
    }
    ck_assert_int_eq(follower_end(&follower, SIGTERM), 0);
    churner_stop(&churner);
}
END_TEST

/* ---- lives ---- */

struct guest {
    struct mmgc_client *client;
    struct mmgc_heap *heap;
};

static void guest_open(struct guest *g, const char *heap, const char *options)
{
    struct mmgc_heap_options made = { .create = true, .max_bytes = UINT64_C(32) << 20, .plan = "immix", .options = options };

    ok(mmgc_connect(daemon_socket(d), "guest", &g->client));
    ok(mmgc_heap_open(g->client, heap, &made, &g->heap));
}

static void guest_close(struct guest *g)
{
    mmgc_heap_close(g->heap);
    mmgc_disconnect(g->client);
}

/* Until it hears something, it may not be there yet. */
static void await_follower(void)
{
    struct guest g;

    do {
        guest_open(&g, "first", NULL);
        guest_close(&g);
    } while (!follower_has(&follower, 50));
}

static void control(const char *command, const char *heap, const char *operand)
{
    run = ctl_run(daemon_socket(d), command, heap, operand, NULL);
    ck_assert_msg(run.status == 0, "%s", run.err);
    ctl_run_free(&run);
}

START_TEST(a_heap_s_life_is_told)
{
    struct guest g;

    follower_start(&follower, daemon_socket(d), NULL);
    await_follower();
    guest_open(&g, "trees", NULL);
    json_auto_t *made = follower_next_of(&follower, "heap-made", "trees"), *joined = follower_next_of(&follower, "client-join", "trees");
    ck_assert_str_eq(text(made, "why"), "immix");
    ck_assert_int_eq(number(made, "after_bytes"), 32 << 20);
    ck_assert_str_eq(text(joined, "client"), "guest");
    ck_assert_int_eq(number(joined, "pid"), getpid());
    control("resize", "trees", "8M");
    json_auto_t *limit = follower_next_of(&follower, "limit", "trees");
    ck_assert_int_eq(number(limit, "before_bytes"), 32 << 20);
    ck_assert_int_eq(number(limit, "after_bytes"), 8 << 20);
    guest_close(&g);
    json_auto_t *left = follower_next_of(&follower, "client-leave", "trees");
    ck_assert_int_eq(number(left, "session"), number(joined, "session"));
    control("destroy", "trees", NULL);
    json_decref(follower_next_of(&follower, "heap-gone", "trees"));
    ck_assert_int_eq(follower_end(&follower, SIGINT), 0);
}
END_TEST

START_TEST(who_gets_no_memory_and_who_does_not_stop_are_told)
{
    struct mmgc_thread *t;
    struct guest g;
    mmgc_type blob;

    follower_start(&follower, daemon_socket(d), "out-of-memory", "stop-late", NULL);
    guest_open(&g, "trees", "limit=8M");
    ok(mmgc_type_define(g.heap, &(struct mmgc_type_layout){ .name = "blob", .element_bytes = 1 }, &blob));
    ok(mmgc_attach(g.heap, NULL, &t));
    do {
        ok(mmgc_enter(t));
        void *first = mmgc_new_array(t, blob, 5 << 20);
        ck_assert_ptr_nonnull(first);
        ck_assert_ptr_null(mmgc_new_array(t, blob, 5 << 20));
        mmgc_keep(first);
        mmgc_leave(t);
    } while (!follower_has(&follower, 50));
    json_auto_t *denied = follower_next_of(&follower, "out-of-memory", "trees");
    ck_assert_str_eq(text(denied, "client"), "guest");
    ck_assert_int_ge(number(denied, "before_bytes"), 5 << 20);
    ok(mmgc_enter(t));
    run = ctl_run(daemon_socket(d), "gc", "trees", NULL);
    ck_assert_int_eq(run.status, 1);
    ctl_run_free(&run);
    mmgc_leave(t);
    json_auto_t *late = follower_next_of(&follower, "stop-late", "trees");
    ck_assert_str_eq(text(late, "why"), "the stop was given up");
    ck_assert_int_eq(number(late, "pid"), getpid());
    ck_assert_int_ge(number(late, "thread"), 1);
    mmgc_detach(t);
    guest_close(&g);
    ck_assert_int_eq(follower_end(&follower, SIGINT), 0);
}
END_TEST

START_TEST(it_ends_by_number_and_by_time)
{
    churner_start(&churner, daemon_socket(d), "churner", "trees", "immix", "limit=8M");
    follower_start(&follower, daemon_socket(d), "trees", "--limit=2", NULL);
    ck_assert_int_eq(follower_end(&follower, 0), 0);
    run = ctl_run(daemon_socket(d), "watch", "trees", "collection", "--timeout=300ms", NULL);
    ck_assert_msg(run.status == 0, "%s", run.err);
    ck_assert_ptr_nonnull(strstr(run.out, " trees: full collection "));
    ck_assert_ptr_nonnull(strstr(run.out, " to stop"));
    ctl_run_free(&run);
    churner_stop(&churner);
    run = ctl_run(daemon_socket(d), "watch", "others", "collection", NULL);
    ck_assert_int_eq(run.status, 1);
    ck_assert_ptr_nonnull(strstr(run.err, "to wait for it ask for heap-made"));
    ctl_run_free(&run);
    run = ctl_run(daemon_socket(d), "watch", "trees", "colection", NULL);
    ck_assert_int_eq(run.status, 2);
    ck_assert_ptr_nonnull(strstr(run.err, "there is no event 'colection'"));
    ctl_run_free(&run);
}
END_TEST

static Suite *watch_suite(void)
{
    Suite *suite = suite_create("watch");
    TCase *tc = tcase_create("watch");

    tcase_add_checked_fixture(tc, set_up, tear_down);
    tcase_set_timeout(tc, 60);
    tcase_add_loop_test(tc, collections_are_told_whatever_the_plan, 0, PLAN_COUNT);
    tcase_add_loop_test(tc, collections_are_logged_whatever_the_plan, 0, PLAN_COUNT);
    tcase_add_test(tc, what_was_moved_and_asked_for_is_said);
    tcase_add_test(tc, a_heap_s_life_is_told);
    tcase_add_test(tc, who_gets_no_memory_and_who_does_not_stop_are_told);
    tcase_add_test(tc, it_ends_by_number_and_by_time);
    suite_add_tcase(suite, tc);
    return suite;
}

int main(int argc, char **argv)
{
    return runner_main(argc, argv, watch_suite);
}
