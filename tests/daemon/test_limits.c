/* SPDX-License-Identifier: Apache-2.0 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/time.h>
#include <unistd.h>

#include "tests/daemon/raw.h"
#include "tests/support/runner.h"

#define HEAP_BYTES (UINT64_C(4) << 20)

/* Whether the daemon lets @c in; false: it is turned away for a limit. */
static bool is_let_in(struct raw *c, const struct daemon *d)
{
    RAW(hello, HELLO, hello);

    raw_connect(c, d);
    hello_body.version_min = hello_body.version_max = WIRE_VERSION_MAX;
    hello.serial = ++c->serial;
    (void)wire_send_request(c->sock, &hello, NULL);
    wire_reply *reply = raw_receive(c, NULL);
    bool in = reply == NULL || reply->body_case != WIRE_REPLY(ERROR);
    if (!in)
        ck_assert_uint_eq(reply->error->code, MMGC_E_LIMIT);
    wire_reply_free(reply);
    return in;
}

/* The daemon may still have to notice that others are gone. */
static void start_when_there_is_room(struct raw *c, const struct daemon *d)
{
    for (int tick = 0; tick < 10000 && !is_let_in(c, d); tick++, usleep(1000))
        raw_close(c);
    ck_assert_int_eq(raw_ping(c), MMGC_E_OK);
}

START_TEST(connections_up_to_the_limit_then_a_clear_error)
{
    enum { MOST = 2000 + 32, MORE = 100 }; /* 32 are kept for administrators, and the daemon's own user is one */
    struct daemon *d = daemon_start("[daemon]\nthreads = 2\nmax_sessions = 2000\n");
    struct raw *c = calloc(MOST + MORE, sizeof(*c));

    for (int i = 0; i < MOST - 1; i++)
        raw_start(&c[i], d, "many");
    start_when_there_is_room(&c[MOST - 1], d); /* the connection that waited for the start is gone */
    for (int i = MOST; i < MOST + MORE; i++) {
        raw_connect(&c[i], d);
        enum mmgc_error last = raw_last_word(&c[i]);
        ck_assert_int_eq(last, MMGC_E_LIMIT);
        ck_assert_ptr_nonnull(strstr(c[i].detail, "max_sessions of [daemon]"));
        raw_close(&c[i]);
    }
    for (int i = 0; i < MOST; i += 97)
        ck_assert_int_eq(raw_ping(&c[i]), MMGC_E_OK);
    raw_close(&c[0]);
    start_when_there_is_room(&c[0], d);
    for (int i = 0; i < MOST; i++)
        raw_close(&c[i]);
    free(c);
    daemon_stop(d);
}
END_TEST

START_TEST(who_does_not_say_hello_is_told_and_closed)
{
    struct daemon *d = daemon_start("[daemon]\nthreads = 2\nhello_timeout = 100ms\n");
    struct raw silent, other;

    raw_start(&other, d, "other");
    raw_connect(&silent, d);
    ck_assert_int_eq(raw_last_word(&silent), MMGC_E_TIMEOUT);
    ck_assert_int_eq(raw_ping(&other), MMGC_E_OK);
    raw_close(&silent);
    raw_close(&other);
    daemon_stop(d);
}
END_TEST

START_TEST(heaps_and_threads_have_limits)
{
    struct daemon *d = daemon_start("[daemon]\nthreads = 2\nmax_heaps = 2\nmax_threads = 3\n");
    struct raw c[3];
    struct raw_thread t[3];
    RAW(attach, ATTACH, attach);

    for (int i = 0; i < 3; i++)
        raw_start(&c[i], d, "many");
    raw_open(&c[0], "a", HEAP_BYTES);
    raw_open(&c[1], "b", HEAP_BYTES);
    ck_assert_int_eq(raw_try_open(&c[2], "c", HEAP_BYTES), MMGC_E_LIMIT);
    ck_assert_ptr_nonnull(strstr(c[2].detail, "max_heaps"));
    for (int i = 0; i < 3; i++)
        raw_attach(&t[i], &c[0], "thread");
    ck_assert_int_eq(raw_try(&c[0], &attach), MMGC_E_LIMIT);
    ck_assert_ptr_nonnull(strstr(c[0].detail, "max_threads"));
    ck_assert_int_eq(raw_detach(&t[1]), MMGC_E_OK);
    raw_attach(&t[1], &c[0], "again");
    for (int i = 0; i < 3; i++)
        raw_close(&c[i]);
    daemon_stop(d);
}
END_TEST

START_TEST(names_have_a_limit)
{
    struct daemon *d = daemon_start("[daemon]\nthreads = 2\n[heap]\nmax_names = 3\n");
    char name[8];
    struct raw c;
    RAW(set, NAME_SET, name_set);

    raw_start(&c, d, "names");
    raw_open(&c, "names", HEAP_BYTES);
    set_body.name = name;
    set_body.ref = 4096;
    for (int i = 0; i < 4; i++) {
        snprintf(name, sizeof(name), "n%d", i);
        ck_assert_int_eq(raw_try(&c, &set), i < 3 ? MMGC_E_OK : MMGC_E_LIMIT);
    }
    set_body.ref = 0;
    snprintf(name, sizeof(name), "n1");
    ck_assert_int_eq(raw_try(&c, &set), MMGC_E_OK);
    set_body.ref = 4096;
    snprintf(name, sizeof(name), "n9");
    ck_assert_int_eq(raw_try(&c, &set), MMGC_E_OK);
    raw_close(&c);
    daemon_stop(d);
}
END_TEST

/* The first object of a span, of 16 bytes, and another behind it. */
static uint32_t make_two(struct raw_thread *t, uint32_t type)
{
    struct shm_grant span = *shm_mutator_ring(t->m, SHM_GRANT_LINES);
    uint64_t *at = (uint64_t *)(void *)(t->client->arena + 8 * (uint64_t)span.start);

    at[0] = at[2] = type;
    t->m->lines = (struct shm_bump){ (char *)&at[4], (char *)&at[4], (char *)&at[span.granules] };
    return span.start + 1;
}

static void hold(struct raw *c, uint32_t row, uint32_t ref)
{
    at_store_relaxed(&c->segment->row_words[row], ref);
    at_store_release(&c->segment->row_tags[row], shm_row_tag(SHM_ROW_STRONG, 1));
}

/* Whatever a client writes, it has no more rows than the daemon allows: those beyond are neither roots nor handles. */
START_TEST(rows_beyond_max_handles_hold_nothing)
{
    struct daemon *d = daemon_start("[daemon]\nthreads = 2\nmax_handles = 100\n");
    uint32_t refs[] = { 0 };
    struct raw c;
    struct raw_thread t;
    RAW(clients, CLIENTS, clients);

    raw_start(&c, d, "greedy");
    raw_open(&c, "h", HEAP_BYTES);
    raw_attach(&t, &c, "greedy");
    uint32_t type = raw_type(&c, "cell", 8, 1, refs);
    ck_assert_int_eq(raw_grant(&t, SHM_GRANT_LINES, 32768), MMGC_E_OK);
    uint32_t first = make_two(&t, type);
    hold(&c, 99, first);
    hold(&c, 100, first + 2);
    at_store_release(&c.segment->row_high, UINT32_MAX);
    c.segment->row_limit = UINT32_MAX;
    raw_collect_wait(&c, raw_collect_begin(&c, ""));
    ck_assert_uint_eq(at_load_acquire(&c.control->live_objects), 1);
    wire_reply *reply = raw_ask(&c, &clients);
    ck_assert_int_eq(reply->body_case, WIRE_REPLY(CLIENT_ROWS));
    ck_assert_uint_eq(reply->client_rows->rows[0]->handles, 1);
    wire_reply_free(reply);
    raw_close(&c);
    daemon_stop(d);
}
END_TEST

static uint64_t allocated(int fd)
{
    struct stat status;

    ck_assert_int_eq(fstat(fd, &status), 0);
    return (uint64_t)status.st_blocks * 512;
}

/* To read what nobody has written would allocate it, and charge it to the daemon (soundness S12). */
START_TEST(roots_that_are_only_claimed_cost_no_memory)
{
    struct daemon *d = daemon_start(NULL);
    struct packet_fds fds;
    struct raw c;
    RAW(attach, ATTACH, attach);

    raw_start(&c, d, "claiming");
    raw_open(&c, "h", HEAP_BYTES);
    attach_body.stack_bytes = UINT64_C(1) << 30;
    attach.serial = ++c.serial;
    ck_assert_int_eq(wire_send_request(c.sock, &attach, NULL), 0);
    wire_reply *reply = raw_receive(&c, &fds);
    struct shm_mutator *m =
        mmap(NULL, reply->attached->mutator_bytes, PROT_READ | PROT_WRITE, MAP_SHARED, fds.fd[0], 0);
    ck_assert(m != MAP_FAILED);
    wire_reply_free(reply);
    for (uint32_t i = 0; i < 3; i++) { /* all of them, and behind a few that were written */
        at_store_relaxed(&m->root_count, UINT32_MAX - 1);
        raw_collect_wait(&c, raw_collect_begin(&c, ""));
        ck_assert_uint_lt(allocated(fds.fd[0]), UINT64_C(4) << 20);
        m->roots[1024 * i] = 1;
    }
    packet_fds_close(&fds);
    raw_close(&c);
    daemon_stop(d);
}
END_TEST

/* A daemon with few file descriptors turns clients away instead of leaving them in the queue, and recovers. */
START_TEST(out_of_file_descriptors_is_an_error_too)
{
    enum { MANY = 60 };
    struct daemon *d;
    struct raw c[MANY];

    daemon_limit_files(64);
    d = daemon_start(NULL);
    int turned_away = 0;
    for (int i = 0; i < MANY; i++)
        turned_away += !is_let_in(&c[i], d);
    ck_assert_int_gt(turned_away, 0);
    ck_assert_int_lt(turned_away, MANY);
    ck_assert_int_eq(raw_ping(&c[0]), MMGC_E_OK);
    for (int i = 0; i < MANY; i++)
        raw_close(&c[i]);
    start_when_there_is_room(&c[0], d);
    raw_close(&c[0]);
    daemon_stop(d);
}
END_TEST

START_TEST(a_client_that_reads_no_replies_waits_alone)
{
    struct daemon *d = daemon_start(NULL);
    struct raw deaf, other;
    RAW(ping, PING, ping);

    raw_start(&other, d, "other");
    raw_start(&deaf, d, "deaf");
    struct timeval patience = { .tv_usec = 200000 };
    ck_assert_int_eq(setsockopt(deaf.sock, SOL_SOCKET, SO_SNDTIMEO, &patience, sizeof(patience)), 0);
    int sent = 0;
    ping.serial = 1;
    while (sent < 100000 && wire_send_request(deaf.sock, &ping, NULL) == 0)
        sent++;
    ck_assert_int_lt(sent, 100000); /* the daemon stopped reading: it does not pile up replies */
    ck_assert_int_eq(raw_ping(&other), MMGC_E_OK);
    for (int i = 0; i < sent; i++) { /* and goes on when they are read: none is lost */
        wire_reply *reply = raw_receive(&deaf, NULL);
        ck_assert_ptr_nonnull(reply);
        wire_reply_free(reply);
    }
    ck_assert_int_eq(raw_ping(&deaf), MMGC_E_OK);
    raw_close(&deaf);
    raw_close(&other);
    daemon_stop(d);
}
END_TEST

static Suite *limits_suite(void)
{
    Suite *suite = suite_create("limits");
    TCase *limits = tcase_create("limits");

    tcase_set_timeout(limits, 60);
    tcase_add_test(limits, connections_up_to_the_limit_then_a_clear_error);
    tcase_add_test(limits, who_does_not_say_hello_is_told_and_closed);
    tcase_add_test(limits, heaps_and_threads_have_limits);
    tcase_add_test(limits, names_have_a_limit);
    tcase_add_test(limits, rows_beyond_max_handles_hold_nothing);
    tcase_add_test(limits, roots_that_are_only_claimed_cost_no_memory);
    tcase_add_test(limits, out_of_file_descriptors_is_an_error_too);
    tcase_add_test(limits, a_client_that_reads_no_replies_waits_alone);
    suite_add_tcase(suite, limits);
    return suite;
}

int main(int argc, char **argv)
{
    return runner_main(argc, argv, limits_suite);
}
