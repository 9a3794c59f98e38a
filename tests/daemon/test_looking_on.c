/* SPDX-License-Identifier: Apache-2.0 */
/* Traces and watchers from the daemon's side: who may, how many may, what becomes of those that are slow, and of those that go. */
#include <string.h>
#include <unistd.h>

#include "daemon/trace.h"
#include "daemon/watch.h"
#include "tests/daemon/raw.h"
#include "tests/support/runner.h"

#define HEAP_BYTES (UINT64_C(4) << 20)

static struct daemon *d;
static struct raw maker;

static void set_up(void)
{
    d = daemon_start("[daemon]\nthreads = 2\nadmin_group = 4000\n");
    maker = (struct raw){ 0 };
    raw_start(&maker, d, "maker");
    raw_open(&maker, "h", HEAP_BYTES);
}

static void tear_down(void)
{
    raw_close(&maker);
    daemon_stop(d);
}

static enum mmgc_error trace_begin(struct raw *c, const char *heap)
{
    RAW(request, TRACE_BEGIN, trace_begin);

    request_body.heap = (char *)heap;
    return raw_try(c, &request);
}

static wire_reply *trace_read(struct raw *c)
{
    RAW(request, TRACE_READ, trace_read);

    return raw_ask(c, &request);
}

static enum mmgc_error watch(struct raw *c, const char *heap, uint32_t events)
{
    RAW(request, WATCH, watch);

    request_body.heap = (char *)heap;
    request_body.events = events;
    return raw_try(c, &request);
}

static void collect(void)
{
    raw_collect_wait(&maker, raw_collect_begin(&maker, "h"));
}

/* ---- traces ---- */

START_TEST(a_trace_is_one_a_heap_and_one_a_connection_and_ends_with_it)
{
    struct raw one, two;

    raw_start(&one, d, "one");
    raw_start(&two, d, "two");
    wire_reply *reply = trace_read(&one);
    ck_assert_int_eq(reply->error->code, MMGC_E_ORDER);
    wire_reply_free(reply);
    ck_assert_int_eq(trace_begin(&one, "nothing"), MMGC_E_NO_HEAP);
    ck_assert_int_eq(trace_begin(&one, "h"), MMGC_E_OK);
    ck_assert_int_eq(trace_begin(&one, "h"), MMGC_E_ORDER);
    ck_assert_int_eq(trace_begin(&two, "h"), MMGC_E_LIMIT);
    raw_close(&one);
    while (trace_begin(&two, "h") == MMGC_E_LIMIT) /* until the daemon has heard of the end */
        continue;
    collect();
    reply = trace_read(&two);
    ck_assert_int_eq(reply->body_case, WIRE_REPLY(TRACE_ROWS));
    ck_assert(!reply->trace_rows->over);
    wire_reply_free(reply);
    raw_close(&two);
}
END_TEST

static bool has_row(const wire_trace_rows *rows, uint32_t kind)
{
    for (size_t i = 0; i < rows->n_rows; i++)
        if (rows->rows[i]->kind == kind && rows->rows[i]->begin_ns > 0)
            return true;
    return false;
}

/* It outlives the heap: what there was can be read. */
START_TEST(a_trace_of_a_heap_that_ends_is_over_and_can_be_read)
{
    struct raw one;
    RAW(destroy, HEAP_DESTROY, heap_destroy);

    raw_start(&one, d, "one");
    ck_assert_int_eq(trace_begin(&one, "h"), MMGC_E_OK);
    collect();
    destroy_body.name = (char *)"h";
    destroy_body.force = true;
    ck_assert_int_eq(raw_try(&one, &destroy), MMGC_E_OK);
    wire_reply *reply = trace_read(&one);
    ck_assert(reply->trace_rows->over);
    ck_assert_uint_ge(reply->trace_rows->collections, 1);
    ck_assert(has_row(reply->trace_rows, TIMELINE_PAUSE));
    ck_assert(has_row(reply->trace_rows, TIMELINE_STOP));
    ck_assert(has_row(reply->trace_rows, TIMELINE_STAGE));
    wire_reply_free(reply);
    raw_close(&one);
}
END_TEST

/* Nobody reads: the rings fill, and no more. */
START_TEST(a_trace_that_nobody_reads_loses_what_comes_last)
{
    uint64_t lost = 0;
    struct raw one;

    raw_start(&one, d, "one");
    ck_assert_int_eq(trace_begin(&one, "h"), MMGC_E_OK);
    for (unsigned i = 0; i < 3 * TIMELINE_EVENTS / 2; i++) /* two events of each are the collector's */
        collect();
    for (bool more = true; more;) {
        wire_reply *reply = trace_read(&one);
        more = reply->trace_rows->more;
        lost = reply->trace_rows->lost;
        wire_reply_free(reply);
    }
    ck_assert_uint_gt(lost, 0);
    raw_close(&one);
}
END_TEST

START_TEST(a_user_has_so_many_traces_and_watchers_and_all_together_so_many)
{
    static const struct raw_user user = { .uid = 1001, .gid = 2000 };
    struct raw c[WATCHERS_MAX + 1];
    char name[8] = "h0";

    if (!raw_is_root())
        return;
    for (unsigned i = 0; i <= TRACES_OF_USER; i++, name[1]++) {
        raw_start_as(&c[i], d, "own", &user);
        c[i].options = NULL;
        raw_open(&c[i], name, HEAP_BYTES);
        ck_assert_int_eq(trace_begin(&c[i], name), i < TRACES_OF_USER ? MMGC_E_OK : MMGC_E_LIMIT);
    }
    for (unsigned i = 0; i <= TRACES_OF_USER; i++)
        raw_close(&c[i]);
    for (unsigned i = 0; i <= WATCHERS_OF_USER; i++) {
        raw_start_as(&c[i], d, "own", &user);
        ck_assert_int_eq(watch(&c[i], "", 0), i < WATCHERS_OF_USER ? MMGC_E_OK : MMGC_E_LIMIT);
    }
    ck_assert_int_eq(watch(&c[0], "", 2), MMGC_E_OK); /* once more is another filter */
    for (unsigned i = WATCHERS_OF_USER; i <= WATCHERS_MAX; i++) {
        if (i > WATCHERS_OF_USER)
            raw_start(&c[i], d, "root's");
        ck_assert_int_eq(i == WATCHERS_OF_USER ? MMGC_E_OK : watch(&c[i], "", 0), MMGC_E_OK);
    }
    ck_assert_int_eq(watch(&maker, "", 0), MMGC_E_LIMIT);
    for (unsigned i = 0; i <= WATCHERS_MAX; i++)
        raw_close(&c[i]);
}
END_TEST

/* ---- watchers ---- */

/* The next event of @kind; NULL: the end. */
static wire_reply *next_event(struct raw *c, uint32_t kind)
{
    wire_reply *reply;

    while ((reply = raw_receive(c, NULL)) != NULL) {
        if (reply->serial == 0 && reply->body_case == WIRE_REPLY(WATCH_EVENT) && reply->watch_event->kind == kind)
            return reply;
        wire_reply_free(reply);
    }
    return NULL;
}

START_TEST(users_watch_their_own_heaps_and_administrators_all)
{
    static const struct raw_user stranger = { .uid = 1002, .gid = 2000 }, admin = { .uid = 1003, .gid = 4000 };
    struct raw one, two, own = { 0 };

    if (!raw_is_root())
        return;
    raw_start_as(&one, d, "stranger", &stranger);
    raw_start_as(&two, d, "admin", &admin);
    ck_assert_int_eq(watch(&one, "h", 0), MMGC_E_DENIED);
    ck_assert_int_eq(watch(&one, "new", 2), MMGC_E_NO_HEAP);
    ck_assert_int_eq(watch(&one, "new", 1u << WATCH_HEAP_MADE), MMGC_E_OK);
    ck_assert_int_eq(watch(&one, "", 1u << WATCH_KINDS), MMGC_E_INVALID);
    ck_assert_int_eq(watch(&one, "", 0), MMGC_E_OK);
    ck_assert_int_eq(watch(&two, "", 1u << WATCH_COLLECTION | 1u << WATCH_HEAP_MADE), MMGC_E_OK);
    collect(); /* of "h", which is root's */
    raw_start_as(&own, d, "owner", &stranger);
    raw_open(&own, "new", HEAP_BYTES);
    wire_reply *reply = raw_receive(&one, NULL); /* the first that it hears */
    ck_assert_int_eq(reply->watch_event->kind, WATCH_HEAP_MADE);
    ck_assert_str_eq(reply->watch_event->heap, "new");
    wire_reply_free(reply);
    reply = next_event(&two, WATCH_COLLECTION);
    ck_assert_str_eq(reply->watch_event->heap, "h");
    wire_reply_free(reply);
    wire_reply_free(next_event(&two, WATCH_HEAP_MADE));
    raw_close(&one);
    raw_close(&two);
    raw_close(&own);
}
END_TEST

/* Until its socket is full; then nothing of it is told but their number, and nobody has waited. */
START_TEST(a_watcher_that_does_not_read_loses_events_and_is_told_how_many)
{
    uint64_t made = 0, heard = 0, lost = 0, last = 0;
    struct raw slow, quick;

    raw_start(&slow, d, "slow");
    raw_start(&quick, d, "quick");
    ck_assert_int_eq(watch(&slow, "h", 1u << WATCH_COLLECTION), MMGC_E_OK);
    ck_assert_int_eq(watch(&quick, "h", 1u << WATCH_COLLECTION), MMGC_E_OK);
    for (; made < 3000; made++) {
        collect();
        wire_reply *reply = next_event(&quick, WATCH_COLLECTION);
        ck_assert_uint_eq(reply->watch_event->lost, 0);
        ck_assert_uint_eq(reply->watch_event->number, made + 1);
        wire_reply_free(reply);
    }
    while (heard + lost < made) { /* the last is WATCH_LOST: as soon as there was room */
        wire_reply *reply = raw_receive(&slow, NULL);
        ck_assert_ptr_nonnull(reply);
        const wire_watch_event *event = reply->watch_event;
        if (event->kind == WATCH_COLLECTION) {
            ck_assert_uint_eq(event->number, last + 1);
            last = event->number;
            heard++;
        }
        lost += event->lost;
        wire_reply_free(reply);
    }
    ck_assert_uint_gt(lost, 0);
    ck_assert_uint_gt(heard, 0);
    ck_assert_uint_eq(heard + lost, made);
    ck_assert_int_eq(raw_ping(&slow), MMGC_E_OK); /* it is as good as any */
    raw_close(&slow);
    raw_close(&quick);
}
END_TEST

/* Who watches the heap that it has open, and is ended with it, hears of that. */
START_TEST(a_watcher_that_is_ended_by_what_it_watches_hears_of_it_first)
{
    struct raw other;
    RAW(destroy, HEAP_DESTROY, heap_destroy);

    raw_start(&other, d, "other");
    ck_assert_int_eq(watch(&maker, "h", 0), MMGC_E_OK);
    destroy_body.name = (char *)"h";
    destroy_body.force = true;
    ck_assert_int_eq(raw_try(&other, &destroy), MMGC_E_OK);
    wire_reply *reply = next_event(&maker, WATCH_HEAP_GONE);
    ck_assert_ptr_nonnull(reply);
    wire_reply_free(reply);
    raw_close(&other);
}
END_TEST

static Suite *looking_on_suite(void)
{
    Suite *suite = suite_create("looking on");
    TCase *traces = tcase_create("traces"), *watchers = tcase_create("watchers");

    tcase_add_checked_fixture(traces, set_up, tear_down);
    tcase_set_timeout(traces, 60);
    tcase_add_test(traces, a_trace_is_one_a_heap_and_one_a_connection_and_ends_with_it);
    tcase_add_test(traces, a_trace_of_a_heap_that_ends_is_over_and_can_be_read);
    tcase_add_test(traces, a_trace_that_nobody_reads_loses_what_comes_last);
    tcase_add_test(traces, a_user_has_so_many_traces_and_watchers_and_all_together_so_many);
    suite_add_tcase(suite, traces);
    tcase_add_checked_fixture(watchers, set_up, tear_down);
    tcase_set_timeout(watchers, 60);
    tcase_add_test(watchers, users_watch_their_own_heaps_and_administrators_all);
    tcase_add_test(watchers, a_watcher_that_does_not_read_loses_events_and_is_told_how_many);
    tcase_add_test(watchers, a_watcher_that_is_ended_by_what_it_watches_hears_of_it_first);
    suite_add_tcase(suite, watchers);
    return suite;
}

int main(int argc, char **argv)
{
    return runner_main(argc, argv, looking_on_suite);
}
