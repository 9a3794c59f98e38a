/* SPDX-License-Identifier: Apache-2.0 */
/* mmgcctl trace: what it writes is a trace as the Trace Event Format has it, whatever the plan, and says what has happened. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "plans/plan.h"
#include "tests/client/ctl/churner.h"
#include "tests/client/ctl/run.h"
#include "tests/support/daemon.h"
#include "tests/support/runner.h"

#define ROUNDING_US 0.002 /* times are whole nanoseconds, in microseconds */
#define MAX_EVENTS 65536

static struct daemon *d;
static struct churner churner;
static struct ctl_run run;
static char path[256];
static json_t *trace;

struct span { /* a complete event */
    double begin, end;
    json_int_t pid, tid;
    const char *category, *name;
};
static struct span spans[MAX_EVENTS];
static size_t span_count;

static void set_up(void)
{
    d = daemon_start("[daemon]\nthreads = 2\n");
    snprintf(path, sizeof(path), "%s/trace.json", daemon_directory(d));
}

static void tear_down(void)
{
    json_decref(trace);
    trace = NULL;
    ctl_run_free(&run);
    run = (struct ctl_run){ 0 };
    (void)unlink(path);
    daemon_stop(d);
}

#define RUN(wanted_status, ...) \
    do { \
        run = ctl_run(daemon_socket(d), __VA_ARGS__, NULL); \
        ck_assert_msg(run.status == (wanted_status), "status %d: %s", run.status, run.err); \
    } while (0)

/* ---- the format ---- */

static bool is_string(const json_t *value)
{
    return json_is_string(value);
}

static bool is_integer(const json_t *value)
{
    return json_is_integer(value) && json_integer_value(value) > 0;
}

static bool is_time(const json_t *value)
{
    return json_is_number(value) && json_number_value(value) >= 0;
}

static bool is_object(const json_t *value)
{
    return json_is_object(value);
}

static const json_t *need_key(const json_t *event, const char *key, bool fits(const json_t *))
{
    const json_t *value = json_object_get(event, key);

    if (!fits(value))
        ck_abort_msg("no good \"%s\" in %s", key, json_dumps(event, JSON_COMPACT));
    return value;
}

static void take_span(const json_t *event)
{
    ck_assert_uint_lt(span_count, MAX_EVENTS);
    struct span *s = &spans[span_count++];
    s->name = json_string_value(need_key(event, "name", is_string));
    s->category = json_string_value(need_key(event, "cat", is_string));
    s->begin = json_number_value(need_key(event, "ts", is_time));
    s->end = s->begin + json_number_value(need_key(event, "dur", is_time));
    s->pid = json_integer_value(need_key(event, "pid", is_integer));
    s->tid = json_integer_value(need_key(event, "tid", is_integer));
    (void)need_key(event, "args", is_object);
}

static void check_instant(const json_t *event)
{
    (void)need_key(event, "name", is_string);
    (void)need_key(event, "ts", is_time);
    (void)need_key(event, "pid", is_integer);
    (void)need_key(event, "tid", is_integer);
    ck_assert_str_eq(json_string_value(need_key(event, "s", is_string)), "t");
}

static bool is_named(const char *what, json_int_t pid, json_int_t tid)
{
    size_t i;
    json_t *event;

    json_array_foreach(json_object_get(trace, "traceEvents"), i, event)
    {
        bool named = strcmp(json_string_value(json_object_get(event, "name")), what) == 0;
        if (named && json_integer_value(json_object_get(event, "pid")) == pid &&
            (tid == 0 || json_integer_value(json_object_get(event, "tid")) == tid))
            return json_is_string(json_object_get(json_object_get(event, "args"), "name"));
    }
    return false;
}

static int by_thread_and_time(const void *left, const void *right)
{
    const struct span *a = left, *b = right;

    if (a->pid != b->pid || a->tid != b->tid)
        return a->pid < b->pid || (a->pid == b->pid && a->tid < b->tid) ? -1 : 1;
    if (a->begin != b->begin)
        return a->begin < b->begin ? -1 : 1;
    return a->end > b->end ? -1 : a->end < b->end;
}

/* On each thread spans lie within each other or apart, and whose they are has a name. */
static void check_nesting(void)
{
    double open[16];
    size_t depth = 0;

    qsort(spans, span_count, sizeof(spans[0]), by_thread_and_time);
    for (size_t i = 0; i < span_count; i++) {
        const struct span *s = &spans[i];
        if (i == 0 || s->pid != s[-1].pid || s->tid != s[-1].tid) {
            ck_assert_msg(is_named("process_name", s->pid, 0), "process %d has no name", (int)s->pid);
            ck_assert_msg(is_named("thread_name", s->pid, s->tid), "thread %d of %d has no name", (int)s->tid, (int)s->pid);
            depth = 0;
        }
        while (depth > 0 && open[depth - 1] <= s->begin + ROUNDING_US)
            depth--;
        if (depth > 0 && s->end > open[depth - 1] + ROUNDING_US)
            ck_abort_msg("%s %s of thread %d: %f to %f, within what ends at %f", s->category, s->name, (int)s->tid, s->begin, s->end,
                         open[depth - 1]);
        ck_assert_uint_lt(depth, 16);
        open[depth++] = s->end;
    }
}

static void load(void)
{
    json_error_t error;
    size_t i;
    json_t *event;

    span_count = 0;
    trace = json_load_file(path, JSON_REJECT_DUPLICATES, &error);
    ck_assert_msg(trace != NULL, "line %d: %s", error.line, error.text);
    ck_assert(json_is_array(json_object_get(trace, "traceEvents")));
    json_array_foreach(json_object_get(trace, "traceEvents"), i, event)
    {
        const char *phase = json_string_value(need_key(event, "ph", is_string));
        if (strcmp(phase, "X") == 0)
            take_span(event);
        else if (strcmp(phase, "i") == 0)
            check_instant(event);
        else
            ck_assert_str_eq(phase, "M");
    }
    check_nesting();
}

/* ---- what it says ---- */

static bool is_of(const struct span *s, const char *category)
{
    return strcmp(s->category, category) == 0;
}

static bool lies_within(const struct span *s, const struct span *outer)
{
    return s->begin >= outer->begin - ROUNDING_US && s->end <= outer->end + ROUNDING_US;
}

static bool lies_in_a(const struct span *s, const char *category)
{
    for (size_t i = 0; i < span_count; i++)
        if (is_of(&spans[i], category) && lies_within(s, &spans[i]))
            return true;
    return false;
}

static size_t count_of(const char *category)
{
    size_t count = 0;

    for (size_t i = 0; i < span_count; i++)
        count += is_of(&spans[i], category);
    return count;
}

/* When the last task had ended whose end is in the trace: one that was cut short by its end has parts and no whole. */
static double last_end(void)
{
    double end = 0;

    for (size_t i = 0; i < span_count; i++)
        if ((is_of(&spans[i], "pause") || is_of(&spans[i], "beside")) && spans[i].end > end)
            end = spans[i].end;
    return end;
}

/* Stages are within what the daemon did for this heap, and packets within stages; of a pause they fill no more than there is. */
static void check_stages(void)
{
    double end = last_end();

    for (size_t i = 0; i < span_count; i++) {
        const struct span *outer = &spans[i];
        double sum = 0;
        if (outer->begin >= end)
            continue;
        if (is_of(outer, "stage"))
            ck_assert_msg(lies_in_a(outer, "pause") || lies_in_a(outer, "beside"), "stage %s at %f", outer->name, outer->begin);
        if (is_of(outer, "packet"))
            ck_assert_msg(lies_in_a(outer, "stage"), "packet %s at %f", outer->name, outer->begin);
        if (is_of(outer, "stop"))
            ck_assert_msg(lies_in_a(outer, "pause"), "stop at %f", outer->begin);
        for (size_t k = 0; is_of(outer, "pause") && k < span_count; k++)
            sum += is_of(&spans[k], "stage") && lies_within(&spans[k], outer) ? spans[k].end - spans[k].begin : 0;
        ck_assert_msg(!is_of(outer, "pause") || sum <= outer->end - outer->begin + 1, "pause %s of %f us has stages of %f us", outer->name,
                      outer->end - outer->begin, sum);
    }
}

static json_int_t number(const json_t *object, const char *key)
{
    ck_assert_msg(json_is_integer(json_object_get(object, key)), "%s is no integer", key);
    return json_integer_value(json_object_get(object, key));
}

START_TEST(a_trace_is_one_whatever_the_plan)
{
    if (plans[_i]->constraints.trace == PLAN_TRACE_NONE)
        return;
    churner_start(&churner, daemon_socket(d), "churner", "trees", plans[_i]->name, "limit=12M");
    RUN(0, "trace", "trees", "--collections=3", "--timeout=60s", "--json", "-o", path);
    churner_stop(&churner);
    json_auto_t *said = parse_json(run.out);
    load();
    ck_assert_int_ge(number(said, "collections"), 3);
    ck_assert_uint_eq((size_t)number(said, "events"), json_array_size(json_object_get(trace, "traceEvents")));
    ck_assert_int_eq(number(said, "lost_events"), number(json_object_get(trace, "otherData"), "lost_events"));
    ck_assert_str_eq(json_string_value(json_object_get(json_object_get(trace, "otherData"), "plan")), plans[_i]->name);
    ck_assert_uint_ge(count_of("pause"), 3);
    ck_assert_uint_ge(count_of("stage"), 3);
    ck_assert_uint_ge(count_of("packet"), 3);
    if (number(said, "lost_events") == 0)
        check_stages();
}
END_TEST

/* The client's thread allocates all the time: sooner or later a stop finds it inside. */
START_TEST(who_was_waited_for_is_a_thread_of_its_client)
{
    churner_start(&churner, daemon_socket(d), "churner", "trees", "immix", "limit=8M");
    RUN(0, "trace", "trees", "--collections=30", "--timeout=60s", "-o", path);
    churner_stop(&churner);
    load();
    size_t waited = 0;
    for (size_t i = 0; i < span_count; i++)
        if (is_of(&spans[i], "stop") && spans[i].pid == getpid())
            waited += strcmp(spans[i].name, "to its safepoint, the last") == 0;
    ck_assert_uint_ge(waited, 1);
    ck_assert_int_ge(strtol(run.out, NULL, 10), 30);
    ck_assert_ptr_nonnull(strstr(run.out, " collections, "));
}
END_TEST

START_TEST(time_ends_it_too_and_stdout_has_it)
{
    churner_start(&churner, daemon_socket(d), "churner", "trees", "immix", "limit=8M");
    RUN(0, "trace", "trees", "--for=200ms");
    churner_stop(&churner);
    json_auto_t *whole = parse_json(run.out);
    ck_assert_uint_ge(json_array_size(json_object_get(whole, "traceEvents")), 5);
    ck_assert_ptr_nonnull(strstr(run.err, " events"));
}
END_TEST

START_TEST(a_trace_that_cannot_be_written_is_none)
{
    churner_start(&churner, daemon_socket(d), "churner", "trees", "immix", NULL);
    RUN(1, "trace", "trees", "--for=1ms", "-o", "/nonexistent/trace");
    ck_assert_ptr_nonnull(strstr(run.err, "/nonexistent/trace: No such file"));
    ctl_run_free(&run);
    RUN(1, "trace", "trees", "--for=1ms", "-o", "/dev/full");
    ck_assert_ptr_nonnull(strstr(run.err, "/dev/full cannot be written"));
    ctl_run_free(&run);
    RUN(1, "trace", "others", "--for=1ms");
    ck_assert_ptr_nonnull(strstr(run.err, "there is no heap of this name"));
    churner_stop(&churner);
}
END_TEST

static Suite *trace_suite(void)
{
    Suite *suite = suite_create("trace");
    TCase *tc = tcase_create("trace");

    tcase_add_checked_fixture(tc, set_up, tear_down);
    tcase_set_timeout(tc, 90);
    tcase_add_loop_test(tc, a_trace_is_one_whatever_the_plan, 0, PLAN_COUNT);
    tcase_add_test(tc, who_was_waited_for_is_a_thread_of_its_client);
    tcase_add_test(tc, time_ends_it_too_and_stdout_has_it);
    tcase_add_test(tc, a_trace_that_cannot_be_written_is_none);
    suite_add_tcase(suite, tc);
    return suite;
}

int main(int argc, char **argv)
{
    return runner_main(argc, argv, trace_suite);
}
