/* SPDX-License-Identifier: Apache-2.0 */
/* Notices from the daemon's side: subscribers that are slow, dead or hostile, and what all of it costs others. The heap is filled and
 * collected through the library; subscribers are raw. */
#include <errno.h>
#include <fcntl.h>
#include <mmgc/mmgc.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <sys/resource.h>
#include <unistd.h>

#include "daemon/notices.h"
#include "shm/move.h"
#include "shm/sheet.h"
#include "tests/daemon/raw.h"
#include "tests/support/runner.h"

#define HEAP_BYTES (UINT64_C(32) << 20)
#define ck_assert_ok(call) ck_assert_int_eq((call), MMGC_OK)

struct node {
    mmgc_ref next;
    int64_t value;
};

static struct daemon *mmgcd;
static struct mmgc_client *client;
static struct mmgc_heap *heap;
static struct mmgc_thread *t;
static mmgc_type node_type;
static struct raw raw;

static void start(const char *config)
{
    struct mmgc_heap_options options = { .create = true, .max_bytes = HEAP_BYTES, .plan = "semispace" };
    char text[256];

    (void)snprintf(text, sizeof(text), "[daemon]\nthreads = 2\n%s", config);
    mmgcd = daemon_start(text);
    ck_assert_ok(mmgc_connect(daemon_socket(mmgcd), "writer", &client));
    ck_assert_ok(mmgc_heap_open(client, "h", &options, &heap));
    ck_assert_ok(MMGC_DEFINE_TYPE(heap, node, &node_type, next));
    ck_assert_ok(mmgc_attach(heap, &(struct mmgc_thread_options){ .exact = true }, &t));
}

static void stop(void)
{
    mmgc_detach(t);
    mmgc_heap_close(heap);
    mmgc_disconnect(client);
    daemon_stop(mmgcd);
}

/* A list of @count nodes with a name; every collection moves all of them. */
static void make_list(uint32_t count)
{
    ck_assert_ok(mmgc_enter(t));
    mmgc_scope scope = mmgc_scope_open(t);
    mmgc_local list = mmgc_local_new(t, NULL);
    for (uint32_t i = 0; i < count; i++) {
        struct node *n = mmgc_new(t, node_type);
        ck_assert_ptr_nonnull(n);
        mmgc_set(t, n, next, (struct node *)mmgc_local_get(t, list));
        mmgc_local_set(t, list, n);
    }
    ck_assert_ok(mmgc_name_set(t, "list", mmgc_local_get(t, list)));
    mmgc_scope_close(t, scope);
    mmgc_leave(t);
}

static enum mmgc_error try_subscribe(struct raw *c, bool all, uint64_t deadline_ns)
{
    RAW(request, NOTICES_OPEN, notices_open);
    request_body.all = all;
    request_body.deadline_ns = deadline_ns;
    return raw_try(c, &request);
}

static void subscribe(struct raw *c, bool all, uint64_t deadline_ns)
{
    *c = (struct raw){ .read_only = true };
    raw_start(c, mmgcd, "subscriber");
    raw_open(c, "h", 0);
    ck_assert_int_eq(try_subscribe(c, all, deadline_ns), MMGC_E_OK);
}

static wire_reply *next_notice(struct raw *c, struct packet_fds *fds)
{
    wire_reply *reply = raw_receive(c, fds);

    ck_assert_ptr_nonnull(reply);
    ck_assert_uint_eq(reply->serial, 0);
    ck_assert_int_eq(reply->body_case, WIRE_REPLY(NOTICE));
    return reply;
}

static void take(struct raw *c, uint64_t number)
{
    RAW(request, NOTICES_TAKEN, notices_taken);
    request_body.number = number;
    raw_send(c, &request);
}

/* One notice, taken. Its rows. */
static uint64_t take_next(struct raw *c, uint64_t number, bool incomplete)
{
    struct packet_fds fds;
    wire_reply *reply = next_notice(c, &fds);
    uint64_t count = reply->notice->count;

    ck_assert_uint_eq(reply->notice->number, number);
    ck_assert_int_eq(reply->notice->incomplete, incomplete);
    ck_assert_uint_eq(fds.count, count > NOTICE_INLINE_MAX);
    packet_fds_close(&fds);
    wire_reply_free(reply);
    take(c, number);
    return count;
}

START_TEST(rows_come_in_the_message_or_in_a_sheet)
{
    const uint32_t nodes = _i == 0 ? NOTICE_INLINE_MAX : NOTICE_INLINE_MAX + 1;
    struct packet_fds fds;
    struct shm_sheet sheet;
    struct shm_move rows[NOTICE_INLINE_MAX + 1];

    start("");
    make_list(nodes);
    subscribe(&raw, true, 0);
    ck_assert_ok(mmgc_gc(t));
    ck_assert_uint_eq(at_load_acquire(&raw.segment->notices), 1); /* whether it has come or not */
    wire_reply *reply = next_notice(&raw, &fds);
    ck_assert_uint_eq(reply->notice->count, nodes);
    ck_assert_uint_eq(reply->notice->collection, at_load_acquire(&raw.control->collections));
    if (_i == 0) {
        ck_assert_uint_eq(fds.count, 0);
        ck_assert_uint_eq(reply->notice->n_moves, 3 * nodes);
        memcpy(rows, reply->notice->moves, nodes * sizeof(*rows));
    } else {
        ck_assert_uint_eq(fds.count, 1);
        ck_assert_uint_eq(reply->notice->n_moves, 0);
        ck_assert_int_eq(shm_sheet_read(&sheet, fds.fd[0], nodes * sizeof(*rows)), 0);
        ck_assert_int_lt(pwrite(fds.fd[0], "x", 1, 0), 0);
        memcpy(rows, sheet.address, nodes * sizeof(*rows));
        shm_sheet_close(&sheet);
    }
    for (uint32_t i = 0; i < nodes; i++)
        ck_assert(rows[i].from != 0 && rows[i].to != 0 && rows[i].from != rows[i].to && rows[i].granules == 3);
    packet_fds_close(&fds);
    wire_reply_free(reply);
    raw_close(&raw);
    stop();
}
END_TEST

START_TEST(what_moves_nothing_tells_nothing)
{
    start("");
    subscribe(&raw, true, 0);
    ck_assert_ok(mmgc_gc(t));
    ck_assert_ok(mmgc_gc(t));
    ck_assert_uint_eq(at_load_acquire(&raw.segment->notices), 0);
    ck_assert_int_eq(raw_ping(&raw), MMGC_E_OK);
    raw_close(&raw);
    stop();
}
END_TEST

START_TEST(requests_out_of_order_are_refused)
{
    start("");
    raw = (struct raw){ .read_only = true };
    raw_start(&raw, mmgcd, "subscriber");
    ck_assert_int_eq(try_subscribe(&raw, true, 0), MMGC_E_ORDER); /* no heap */
    raw_open(&raw, "h", 0);
    RAW(taken, NOTICES_TAKEN, notices_taken);
    taken_body.number = 1;
    ck_assert_int_eq(raw_try(&raw, &taken), MMGC_E_ORDER);
    ck_assert_int_eq(try_subscribe(&raw, true, 0), MMGC_E_OK);
    ck_assert_int_eq(try_subscribe(&raw, false, 0), MMGC_E_ORDER);
    ck_assert_int_eq(raw_try(&raw, &taken), MMGC_E_INVALID); /* that has not been sent */
    raw_close(&raw);
    stop();
}
END_TEST

/* A stop that is under way does not know of it: the answer comes when that is over, so that what it promises is true. */
START_TEST(who_comes_during_a_stop_is_answered_after_it)
{
    struct raw other = { .read_only = false };
    struct raw_thread late;

    start("");
    make_list(10);
    raw_start(&other, mmgcd, "late");
    raw_open(&other, "h", 0);
    raw_attach(&late, &other, "late");
    raw_enter(&late);
    uint64_t number = raw_collect_begin(&other, "h");
    raw = (struct raw){ .read_only = true };
    raw_start(&raw, mmgcd, "subscriber");
    raw_open(&raw, "h", 0);
    RAW(request, NOTICES_OPEN, notices_open);
    request_body.all = true;
    raw_send(&raw, &request);
    ck_assert_int_eq(packet_wait(raw.sock, 100), -ETIMEDOUT);
    raw_leave(&late);
    wire_reply *reply = raw_receive(&raw, NULL);
    ck_assert_int_eq(reply->body_case, WIRE_REPLY(DONE));
    wire_reply_free(reply);
    raw_collect_wait(&other, number);
    ck_assert_uint_eq(at_load_acquire(&raw.segment->notices), 0);
    ck_assert_ok(mmgc_gc(t));
    ck_assert_uint_eq(take_next(&raw, 1, false), 10);
    raw_close(&raw);
    raw_close(&other);
    stop();
}
END_TEST

START_TEST(who_takes_too_long_is_dropped)
{
    start(_i == 0 ? "" : "notice_deadline = 30ms\n"); /* its own deadline, or the daemon's */
    make_list(10);
    subscribe(&raw, true, _i == 0 ? 30000000 : 0);
    for (uint64_t number = 1; number <= 3; number++) { /* one after the other in time */
        ck_assert_ok(mmgc_gc(t));
        ck_assert_uint_eq(take_next(&raw, number, false), 10);
    }
    ck_assert_ok(mmgc_gc(t));
    ck_assert_int_eq(raw_last_word(&raw), MMGC_E_NO_NOTICES);
    ck_assert_uint_eq(at_load_acquire(&raw.segment->notices), SHM_NOTICES_DROPPED | 4);
    ck_assert_ok(mmgc_gc(t));
    raw_close(&raw);
    stop();
}
END_TEST

/* On one CPU, where the daemon's loop is run last, so that what it is sent next lies there before it really stops: then that is what it
 * finds first when it goes on, and its timers come after. */
static void share_one_cpu(void)
{
    cpu_set_t one;

    CPU_ZERO(&one);
    CPU_SET((unsigned)sched_getcpu(), &one);
    ck_assert_int_eq(sched_setaffinity(0, sizeof(one), &one), 0);
    ck_assert_int_eq(sched_setaffinity(daemon_pid(mmgcd), sizeof(one), &one), 0);
    ck_assert_int_eq(setpriority(PRIO_PROCESS, (id_t)daemon_pid(mmgcd), 19), 0);
}

START_TEST(who_could_not_be_heard_while_the_daemon_slept_is_not_dropped)
{
    start("notice_deadline = 200ms\n");
    make_list(10);
    subscribe(&raw, true, 0);
    ck_assert_ok(mmgc_gc(t));
    ck_assert_ok(mmgc_gc(t));
    if (_i == 1)
        share_one_cpu();
    ck_assert_int_eq(kill(daemon_pid(mmgcd), SIGSTOP), 0);
    take(&raw, 1);
    usleep(600000);
    ck_assert_int_eq(kill(daemon_pid(mmgcd), SIGCONT), 0);
    usleep(50000);
    take(&raw, 2); /* which was sent before it slept */
    ck_assert_ok(mmgc_gc(t));
    for (uint64_t number = 1; number <= 3; number++) {
        wire_reply *reply = next_notice(&raw, NULL);
        ck_assert_uint_eq(reply->notice->number, number);
        wire_reply_free(reply);
    }
    take(&raw, 3);
    raw_close(&raw);
    stop();
}
END_TEST

START_TEST(who_leaves_too_many_is_dropped_and_nobody_waits)
{
    struct raw other;

    start("");
    make_list(200);
    subscribe(&raw, true, 0);
    subscribe(&other, true, 0);
    int fds = daemon_fd_count(mmgcd);
    for (uint64_t number = 1; number <= NOTICES_WAITING_MAX + 8; number++) {
        ck_assert_ok(mmgc_gc(t));
        ck_assert_uint_eq(take_next(&other, number, false), 200);
    }
    ck_assert_uint_eq(at_load_acquire(&raw.segment->notices), SHM_NOTICES_DROPPED | (NOTICES_WAITING_MAX + 1));
    raw_close(&raw);
    if (fds > 0)
        ck_assert(daemon_await_fds(mmgcd, fds - 1));
    raw_close(&other);
    stop();
}
END_TEST

START_TEST(what_is_over_the_limit_is_incomplete)
{
    start("notice_limit = 64K\n");
    make_list(65536 / sizeof(struct shm_move) + 1);
    subscribe(&raw, true, 0);
    ck_assert_ok(mmgc_gc(t));
    ck_assert_uint_eq(take_next(&raw, 1, true), 0);
    make_list(2000); /* the longer one is garbage now */
    ck_assert_ok(mmgc_gc(t));
    ck_assert_uint_eq(take_next(&raw, 2, false), 2000);
    ck_assert_ok(mmgc_gc(t)); /* 24 KB each: the third does not fit with two before it */
    ck_assert_ok(mmgc_gc(t));
    ck_assert_ok(mmgc_gc(t));
    ck_assert_int_eq(raw_last_word(&raw), MMGC_E_NO_NOTICES);
    raw_close(&raw);
    stop();
}
END_TEST

START_TEST(many_notices_leave_no_fds_behind)
{
    struct raw watcher;

    start("");
    make_list(1000);
    subscribe(&raw, true, 0);
    subscribe(&watcher, false, 0);
    ck_assert_ok(mmgc_gc(t));
    ck_assert_uint_eq(take_next(&raw, 1, false), 1000);
    int fds = daemon_fd_count(mmgcd);
    for (uint64_t number = 2; number < 100; number++) {
        ck_assert_ok(mmgc_gc(t));
        ck_assert_uint_eq(take_next(&raw, number, false), 1000);
    }
    ck_assert(daemon_await_fds(mmgcd, fds));
    raw_close(&watcher);
    raw_close(&raw);
    stop();
}
END_TEST

START_TEST(subscribers_may_die_at_any_time)
{
    start("");
    make_list(1000);
    int fds = daemon_fd_count(mmgcd);
    for (int i = 0; i < 30; i++) {
        subscribe(&raw, i % 3 != 0, 0);
        if (i % 2 == 0)
            ck_assert_ok(mmgc_gc(t));
        raw_close(&raw);
        ck_assert_ok(mmgc_gc(t));
    }
    if (fds > 0)
        ck_assert(daemon_await_fds(mmgcd, fds));
    stop();
}
END_TEST

/* Whatever stands in its own table and in its words: it is told something, or dropped; the heap goes on. */
START_TEST(a_hostile_table_harms_nobody)
{
    uint64_t rng = 88172645463325252u;

    start("");
    make_list(1000);
    subscribe(&raw, false, 0);
    for (int round = 0; round < 20; round++) {
        for (uint32_t i = 0; i < 5000; i++) {
            rng ^= rng << 13, rng ^= rng >> 7, rng ^= rng << 17;
            at_store_relaxed(&raw.segment->row_words[i], (uint32_t)rng);
            at_store_relaxed(&raw.segment->row_tags[i], i % 3 == 0 ? (uint32_t)(rng >> 32) : shm_row_tag(SHM_ROW_WATCHED, i));
        }
        at_store_relaxed(&raw.segment->row_high, round % 2 == 0 ? UINT32_MAX : 5000);
        at_store_relaxed(&raw.segment->notices, rng);
        ck_assert_ok(mmgc_gc(t));
    }
    raw_close(&raw);
    ck_assert_ok(mmgc_enter(t));
    uint32_t count = 0;
    for (struct node *n = mmgc_name_get(t, "list"); n != NULL; n = mmgc_get(t, n, next))
        count++;
    ck_assert_uint_eq(count, 1000);
    mmgc_leave(t);
    stop();
}
END_TEST

START_TEST(administrators_see_who_is_told_what)
{
    start("");
    make_list(10);
    subscribe(&raw, true, 0);
    ck_assert_ok(mmgc_gc(t));
    wire_reply_free(next_notice(&raw, NULL));
    RAW(clients, CLIENTS, clients);
    clients_body.heap = (char *)"h";
    wire_reply *reply = raw_ask(&raw, &clients);
    ck_assert_int_eq(reply->body_case, WIRE_REPLY(CLIENT_ROWS));
    ck_assert_uint_eq(reply->client_rows->n_rows, 2);
    ck_assert_str_eq(reply->client_rows->rows[0]->notices, "");
    ck_assert_str_eq(reply->client_rows->rows[1]->notices, "all");
    ck_assert_uint_eq(reply->client_rows->rows[1]->notices_due, 1);
    wire_reply_free(reply);
    raw_close(&raw);
    stop();
}
END_TEST

static Suite *make(void)
{
    Suite *suite = suite_create("notices");
    TCase *tc = tcase_create("notices");

    tcase_set_timeout(tc, 60);
    tcase_add_loop_test(tc, rows_come_in_the_message_or_in_a_sheet, 0, 2);
    tcase_add_test(tc, what_moves_nothing_tells_nothing);
    tcase_add_test(tc, requests_out_of_order_are_refused);
    tcase_add_test(tc, who_comes_during_a_stop_is_answered_after_it);
    tcase_add_loop_test(tc, who_takes_too_long_is_dropped, 0, 2);
    tcase_add_loop_test(tc, who_could_not_be_heard_while_the_daemon_slept_is_not_dropped, 0, 2);
    tcase_add_test(tc, who_leaves_too_many_is_dropped_and_nobody_waits);
    tcase_add_test(tc, what_is_over_the_limit_is_incomplete);
    tcase_add_test(tc, many_notices_leave_no_fds_behind);
    tcase_add_test(tc, subscribers_may_die_at_any_time);
    tcase_add_test(tc, a_hostile_table_harms_nobody);
    tcase_add_test(tc, administrators_see_who_is_told_what);
    suite_add_tcase(suite, tc);
    return suite;
}

int main(int argc, char **argv)
{
    return runner_main(argc, argv, make);
}
