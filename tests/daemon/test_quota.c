/* SPDX-License-Identifier: Apache-2.0 */
#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <unistd.h>

#include "shm/base.h"
#include "tests/daemon/raw.h"
#include "tests/support/runner.h"

#define MIB (UINT64_C(1) << 20)
#define NS_PER_MS UINT64_C(1000000)
#define TICKS 2500 /* of 2 ms */

static const struct raw_user one = { .uid = 12345, .gid = 12345 },
                             other = { .uid = 12346, .gid = 12346 };
static struct daemon *d;

/* A daemon whose own user, who is ours, has these limits, too. */
static void start_with(const char *limits)
{
    char config[512];

    snprintf(config, sizeof(config), "[daemon]\nthreads = 2\n[user %u]\n%s", (unsigned)geteuid(),
             limits);
    d = daemon_start(config);
}

/* The daemon has seen the end of that session. */
static void await_end(uint64_t session)
{
    char line[64];

    snprintf(line, sizeof(line), "session %llu ends", (unsigned long long)session);
    ck_assert(daemon_log_has(d, line));
}

static void tear_down(void)
{
    if (d != NULL)
        daemon_stop(d);
    d = NULL;
}

static void expect_detail(const struct raw *c, const char *words)
{
    ck_assert_msg(strstr(c->detail, words) != NULL, "expected '%s', was told '%s'", words, c->detail);
}

/* "max_heaps of [user 1000] allows" */
static const char *of_our_section(const char *key)
{
    static char text[96];

    snprintf(text, sizeof(text), "%s of [user %u] allows", key, (unsigned)geteuid());
    return text;
}

static enum mmgc_error destroy(struct raw *c, const char *heap)
{
    RAW(request, HEAP_DESTROY, heap_destroy);

    request_body.name = (char *)heap;
    request_body.force = true;
    return raw_try(c, &request);
}

/* What was given back may come a moment later: a collector thread ends first. */
static void open_in_time(struct raw *c, const char *heap, uint64_t bytes)
{
    for (int tick = 0; tick < TICKS; tick++, usleep(2000))
        if (raw_try_open(c, heap, bytes) == MMGC_E_OK)
            return;
    ck_abort_msg("never opened: %s", c->detail);
}

/* ---- what a user has --------------------------------------------------------------------------------------------- */

START_TEST(a_quota_of_heaps_that_is_used_up_names_user_limit_and_value)
{
    char words[128];
    struct raw c[3];

    start_with("max_heaps = 2\n");
    for (int i = 0; i < 3; i++)
        raw_start(&c[i], d, "web");
    raw_open(&c[0], "a", 4 * MIB);
    raw_open(&c[1], "b", 4 * MIB);
    ck_assert_int_eq(raw_try_open(&c[2], "c", 4 * MIB), MMGC_E_LIMIT);
    snprintf(words, sizeof(words), "user %u (%u) has 2 heaps, as many as", (unsigned)geteuid(),
             (unsigned)geteuid());
    expect_detail(&c[2], words);
    expect_detail(&c[2], of_our_section("max_heaps"));
    ck_assert(daemon_log_has(d, words));
    raw_open(&c[2], "a", 0); /* that is nobody's quota */
    raw_close(&c[2]);
    ck_assert_int_eq(destroy(&c[1], "a"), MMGC_E_OK);
    raw_start(&c[2], d, "web");
    raw_open(&c[2], "c", 4 * MIB);
    for (int i = 0; i < 3; i++)
        raw_close(&c[i]);
}
END_TEST

START_TEST(a_heap_counts_with_its_maximum)
{
    struct raw c[3];

    start_with("max_bytes = 16M\n");
    for (int i = 0; i < 3; i++)
        raw_start(&c[i], d, "web");
    c[0].options = "limit=4M"; /* what it may hold now does not matter */
    raw_open(&c[0], "a", 12 * MIB);
    ck_assert_int_eq(raw_try_open(&c[1], "b", 8 * MIB), MMGC_E_LIMIT);
    expect_detail(&c[1], "has 12M in heaps, 8M more are above the 16M that max_bytes of");
    raw_open(&c[1], "b", 4 * MIB);
    ck_assert_int_eq(raw_try_open(&c[2], "c", 4 * MIB), MMGC_E_LIMIT);
    expect_detail(&c[2], "has 16M in heaps, as many as");
    ck_assert_int_eq(destroy(&c[2], "a"), MMGC_E_OK);
    raw_close(&c[0]);
    open_in_time(&c[2], "c", 12 * MIB);
    raw_close(&c[1]);
    raw_close(&c[2]);
}
END_TEST

START_TEST(connections_have_a_quota)
{
    struct raw c[4], late;

    start_with("max_sessions = 4\n");
    await_end(1); /* the connection that waited for the start */
    for (int i = 0; i < 4; i++)
        raw_start(&c[i], d, "web");
    raw_connect(&late, d);
    ck_assert_int_eq(raw_last_word(&late), MMGC_E_LIMIT);
    expect_detail(&late, "has 4 connections");
    expect_detail(&late, of_our_section("max_sessions"));
    raw_close(&late);
    raw_close(&c[1]);
    await_end(c[1].session);
    raw_start(&c[1], d, "again");
    for (int i = 0; i < 4; i++)
        raw_close(&c[i]);
}
END_TEST

START_TEST(threads_of_all_connections_have_one_quota)
{
    struct raw c[2];
    struct raw_thread t[4];
    RAW(attach, ATTACH, attach);

    start_with("max_threads = 3\n");
    for (int i = 0; i < 2; i++) {
        raw_start(&c[i], d, "web");
        raw_open(&c[i], "a", 4 * MIB);
    }
    raw_attach(&t[0], &c[0], "t");
    raw_attach(&t[1], &c[0], "t");
    raw_attach(&t[2], &c[1], "t");
    ck_assert_int_eq(raw_try(&c[1], &attach), MMGC_E_LIMIT);
    expect_detail(&c[1], "has 3 threads");
    ck_assert_int_eq(raw_detach(&t[0]), MMGC_E_OK);
    raw_attach(&t[3], &c[1], "t");
    raw_close(&c[0]);
    await_end(c[0].session);
    raw_attach(&t[0], &c[1], "t"); /* what the other had is given back with it */
    raw_close(&c[1]);
}
END_TEST

static enum mmgc_error define(struct raw *c, const char *name)
{
    RAW(request, TYPE_DEFINE, type_define);

    request_body.name = (char *)name;
    request_body.fixed_bytes = 16;
    return raw_try(c, &request);
}

START_TEST(types_are_charged_to_who_defines_them_first)
{
    struct raw c[2];

    start_with("max_types = 2\n");
    for (int i = 0; i < 2; i++)
        raw_start(&c[i], d, "web");
    raw_open(&c[0], "a", 4 * MIB);
    ck_assert_int_eq(define(&c[0], "x"), MMGC_E_OK);
    ck_assert_int_eq(define(&c[0], "x"), MMGC_E_OK);
    ck_assert_int_eq(define(&c[0], "y"), MMGC_E_OK);
    ck_assert_int_eq(define(&c[0], "z"), MMGC_E_LIMIT);
    expect_detail(&c[0], "has 2 types");
    ck_assert_int_eq(define(&c[0], "x"), MMGC_E_OK); /* it is there */
    ck_assert_int_eq(destroy(&c[1], "a"), MMGC_E_OK);
    raw_close(&c[0]);
    raw_open(&c[1], "b", 4 * MIB);
    enum mmgc_error code = MMGC_E_LIMIT;
    for (int tick = 0; code == MMGC_E_LIMIT && tick < TICKS; tick++, usleep(2000))
        code = define(&c[1], "z");
    ck_assert_int_eq(code, MMGC_E_OK);
    raw_close(&c[1]);
}
END_TEST

static enum mmgc_error ask_for_rows(struct raw *c)
{
    RAW(request, MORE_ROWS, more_rows);

    return raw_try(c, &request);
}

static uint64_t handles_of(struct raw *c, const char *heap)
{
    RAW(request, HEAP_INFO, heap_info);

    request_body.name = (char *)heap;
    wire_reply *reply = raw_ask(c, &request);
    uint64_t handles = reply->heap_facts->handles;
    wire_reply_free(reply);
    return handles;
}

START_TEST(rows_come_in_portions_and_those_beyond_count_for_nothing)
{
    struct raw c[3];

    start_with("max_handles = 1500\n");
    for (int i = 0; i < 3; i++)
        raw_start(&c[i], d, "web");
    raw_open(&c[0], "a", 4 * MIB);
    ck_assert_uint_eq(at_load_acquire(&c[0].segment->row_limit), 1024);
    for (uint32_t row = 1; row < 2000; row++)
        at_store_relaxed(&c[0].segment->row_tags[row], shm_row_tag(SHM_ROW_STRONG, 1));
    at_store_release(&c[0].segment->row_high, 2000); /* more than it may */
    ck_assert_uint_eq(handles_of(&c[2], "a"), 1023);
    ck_assert_int_eq(ask_for_rows(&c[0]), MMGC_E_OK);
    ck_assert_uint_eq(at_load_acquire(&c[0].segment->row_limit), 1500);
    ck_assert_uint_eq(handles_of(&c[2], "a"), 1499);
    ck_assert_int_eq(ask_for_rows(&c[0]), MMGC_E_LIMIT);
    expect_detail(&c[0], "has 1500 places for handles, as many as");
    raw_open(&c[1], "a", 0); /* it can do without any */
    ck_assert_uint_eq(at_load_acquire(&c[1].segment->row_limit), 0);
    ck_assert_int_eq(ask_for_rows(&c[1]), MMGC_E_LIMIT);
    raw_close(&c[0]);
    enum mmgc_error code = MMGC_E_LIMIT;
    for (int tick = 0; code == MMGC_E_LIMIT && tick < TICKS; tick++, usleep(2000))
        code = ask_for_rows(&c[1]);
    ck_assert_uint_eq(at_load_acquire(&c[1].segment->row_limit), 1024);
    raw_close(&c[1]);
    raw_close(&c[2]);
}
END_TEST

START_TEST(a_connection_has_no_more_rows_than_the_daemon_gives_to_one)
{
    char config[128];
    struct raw c;

    snprintf(config, sizeof(config),
             "[daemon]\nthreads = 2\nmax_handles = 1200\n[user %u]\nmax_handles = 5000\n",
             (unsigned)geteuid());
    d = daemon_start(config);
    raw_start(&c, d, "web");
    raw_open(&c, "a", 4 * MIB);
    ck_assert_int_eq(ask_for_rows(&c), MMGC_E_OK);
    ck_assert_uint_eq(at_load_acquire(&c.segment->row_limit), 1200);
    ck_assert_int_eq(ask_for_rows(&c), MMGC_E_LIMIT);
    expect_detail(&c, "max_handles of [daemon]");
    raw_close(&c);
}
END_TEST

static void await_may_lease(const struct raw *c, uint32_t expected)
{
    for (int tick = 0; at_load_acquire(&c->segment->may_lease) != expected; tick++, usleep(2000))
        ck_assert_msg(tick < TICKS, "may_lease is never %u", expected);
}

START_TEST(who_has_as_many_leases_as_it_may_is_told_to_begin_no_more)
{
    struct raw c[2];

    start_with("max_leases = 2\n");
    for (int i = 0; i < 2; i++) {
        raw_start(&c[i], d, "web");
        raw_open(&c[i], "a", 4 * MIB);
        ck_assert_uint_eq(at_load_acquire(&c[i].segment->may_lease), 1);
        at_store_relaxed(&c[i].segment->row_tags[1], shm_row_tag(SHM_ROW_SHARED, 1));
        at_store_release(&c[i].segment->row_high, 2);
    }
    await_may_lease(&c[0], 0);
    await_may_lease(&c[1], 0);
    ck_assert_uint_eq(at_load_acquire(&c[0].segment->lease_limit), 2);
    ck_assert(daemon_log_has(d, "has 2 leases, as many as max_leases"));
    raw_close(&c[1]);
    await_may_lease(&c[0], 1);
    raw_close(&c[0]);
}
END_TEST

/* ---- how often --------------------------------------------------------------------------------------------------- */

START_TEST(requests_that_come_too_fast_are_answered_later_and_none_is_lost)
{
    enum { MANY = 120 };
    struct raw c;
    RAW(ping, PING, ping);

    start_with("requests_per_second = 200\n"); /* 20 at once */
    raw_start(&c, d, "hasty");
    uint64_t before_ns = mm_now_ns();
    for (int i = 0; i < MANY; i++)
        raw_send(&c, &ping);
    for (uint32_t i = 0; i < MANY; i++) {
        wire_reply *reply = raw_receive(&c, NULL);
        ck_assert_ptr_nonnull(reply);
        ck_assert_int_eq(reply->body_case, WIRE_REPLY(DONE));
        ck_assert_uint_eq(reply->serial, c.serial - MANY + 1 + i);
        wire_reply_free(reply);
    }
    ck_assert_uint_ge(mm_now_ns() - before_ns, 450 * NS_PER_MS); /* 100 of them, 5 ms each, less a little */
    raw_close(&c);
}
END_TEST

START_TEST(who_leaves_while_it_waits_is_gone)
{
    struct raw c, watcher;
    RAW(ping, PING, ping);
    RAW(clients, CLIENTS, clients);
    size_t seen = 2;

    start_with("requests_per_second = 50\n");
    raw_start(&c, d, "hasty");
    raw_start(&watcher, d, "watcher");
    for (int i = 0; i < 40; i++)
        raw_send(&c, &ping);
    raw_close(&c);
    for (int tick = 0; seen > 1 && tick < 50; tick++, usleep(50000)) {
        wire_reply *reply = raw_ask(&watcher, &clients);
        seen = reply->client_rows->n_rows;
        wire_reply_free(reply);
    }
    ck_assert_uint_eq(seen, 1);
    raw_close(&watcher);
}
END_TEST

START_TEST(a_flood_by_one_connection_starves_no_grant_of_another_of_the_same_user)
{
    struct raw flood, c;
    struct raw_thread t;
    RAW(ping, PING, ping);

    start_with("requests_per_second = 2000\n");
    raw_start(&flood, d, "flood");
    raw_start(&c, d, "web");
    raw_open(&c, "a", 64 * MIB);
    raw_attach(&t, &c, "t");
    ping.serial = 1;
    uint64_t worst_ns = 0;
    for (int i = 0; i < 20; i++) {
        for (int k = 0; k < 60; k++)
            ck_assert_int_eq(wire_send_request(flood.sock, &ping, NULL), 0);
        uint64_t before_ns = mm_now_ns();
        ck_assert_int_eq(raw_grant(&t, SHM_GRANT_LINES, 4096), MMGC_E_OK);
        worst_ns = MM_MAX(worst_ns, mm_now_ns() - before_ns);
        at_store_release(&t.m->mail[SHM_GRANT_LINES].taken,
                         at_load_acquire(&t.m->mail[SHM_GRANT_LINES].published));
        for (int k = 0; k < 60; k++)
            wire_reply_free(raw_receive(&flood, NULL));
    }
    ck_assert_uint_lt(worst_ns, 1000 * NS_PER_MS);
    raw_close(&c);
    raw_close(&flood);
}
END_TEST

/* True: let in. */
static bool knock(struct raw *c)
{
    RAW(hello, HELLO, hello);

    raw_connect(c, d);
    hello_body.version_min = hello_body.version_max = WIRE_VERSION_MAX;
    hello.serial = 1;
    (void)wire_send_request(c->sock, &hello, NULL); /* what is left unread must not overtake the reason */
    wire_reply *reply = raw_receive(c, NULL);
    ck_assert_ptr_nonnull(reply);
    bool in = reply->body_case == WIRE_REPLY(WELCOME);
    ck_assert(in || (reply->error->code == MMGC_E_LIMIT &&
                     strstr(reply->error->detail, "connections_per_second of [user") != NULL));
    wire_reply_free(reply);
    return in;
}

START_TEST(connections_that_come_too_fast_are_turned_away_with_a_reason)
{
    struct raw c;
    int away = 0;

    start_with("connections_per_second = 1\n");
    for (int i = 0; i < 20; i++) {
        away += !knock(&c);
        raw_close(&c);
    }
    ck_assert_int_gt(away, 5);
    for (int tries = 0; tries < 20; tries++) { /* one who is patient gets in */
        usleep(1100000);
        if (knock(&c))
            break;
        raw_close(&c);
    }
    ck_assert_int_eq(raw_ping(&c), MMGC_E_OK);
    raw_close(&c);
}
END_TEST

/* ---- several users ----------------------------------------------------------------------------------------------- */

START_TEST(each_user_has_a_quota_of_its_own_and_root_has_none)
{
    struct raw c[6];

    d = daemon_start("[daemon]\nthreads = 2\n[user]\nmax_heaps = 1\n[user 12346]\nmax_heaps = 2\n");
    if (!raw_is_root())
        return;
    for (int i = 0; i < 6; i++)
        raw_start_as(&c[i], d, "web", i < 2 ? &one : i < 5 ? &other : &(struct raw_user){ 0 });
    raw_open(&c[0], "a", 4 * MIB);
    ck_assert_int_eq(raw_try_open(&c[1], "b", 4 * MIB), MMGC_E_LIMIT);
    expect_detail(&c[1], "user 12345 has 1 heaps, as many as max_heaps of [user] allows");
    raw_open(&c[2], "c", 4 * MIB);
    raw_open(&c[3], "d", 4 * MIB);
    ck_assert_int_eq(raw_try_open(&c[4], "e", 4 * MIB), MMGC_E_LIMIT);
    expect_detail(&c[4], "max_heaps of [user 12346] allows");
    raw_open(&c[5], "f", 4 * MIB);
    for (int i = 0; i < 6; i++)
        raw_close(&c[i]);
}
END_TEST

/* As many as they get, of @max. */
static int connect_many(struct raw *c, int max, const struct raw_user *user)
{
    int made = 0;

    for (int i = 0; i < max; i++) {
        RAW(hello, HELLO, hello);
        raw_connect_as(&c[made], d, user);
        hello_body.version_min = hello_body.version_max = WIRE_VERSION_MAX;
        hello.serial = 1;
        (void)wire_send_request(c[made].sock, &hello, NULL);
        wire_reply *reply = raw_receive(&c[made], NULL);
        ck_assert_ptr_nonnull(reply);
        bool in = reply->body_case == WIRE_REPLY(WELCOME);
        ck_assert(in || reply->error->code == MMGC_E_LIMIT);
        ck_assert(in || strstr(reply->error->detail, "of the daemon's file descriptors") != NULL);
        wire_reply_free(reply);
        if (!in)
            raw_close(&c[made]);
        made += in;
    }
    return made;
}

START_TEST(a_flood_of_connections_leaves_file_descriptors_for_others_and_for_administrators)
{
    enum { MANY = 200 };
    struct raw c[3 * MANY], root;

    daemon_limit_files(256);
    d = daemon_start("[daemon]\nthreads = 2\n[user]\nconnections_per_second = unlimited\n");
    daemon_limit_files(0);
    if (!raw_is_root())
        return;
    int first = connect_many(c, MANY, &one), second = connect_many(c + first, MANY, &other);
    ck_assert_int_gt(first, 20);
    ck_assert_int_lt(first, 120);
    ck_assert_int_gt(second, 10);
    raw_start(&root, d, "root");
    raw_open(&root, "a", 4 * MIB);
    ck_assert_int_eq(raw_ping(&root), MMGC_E_OK);
    ck_assert_int_eq(raw_ping(&c[0]), MMGC_E_OK);
    raw_collect_wait(&root, raw_collect_begin(&root, ""));
    raw_close(&root);
    for (int i = 0; i < first + second; i++)
        raw_close(&c[i]);
}
END_TEST

static const wire_user_row *row_of(const wire_reply *reply, uid_t uid)
{
    for (size_t i = 0; i < reply->user_rows->n_rows; i++)
        if (reply->user_rows->rows[i]->uid == uid)
            return reply->user_rows->rows[i];
    return NULL;
}

START_TEST(users_are_listed_with_what_they_have_and_may_have)
{
    struct raw c, spectator;
    struct raw_thread t;
    RAW(users, USERS, users);

    start_with("max_heaps = 7\nmax_sessions = unlimited\n");
    raw_start(&c, d, "web");
    raw_open(&c, "a", 8 * MIB);
    raw_attach(&t, &c, "t");
    ck_assert_int_eq(define(&c, "x"), MMGC_E_OK);
    at_store_relaxed(&c.segment->row_tags[1], shm_row_tag(SHM_ROW_EXCLUSIVE, 1));
    at_store_release(&c.segment->row_high, 2);
    wire_reply *reply = raw_ask(&c, &users);
    const wire_user_row *row = row_of(reply, geteuid());
    ck_assert_ptr_nonnull(row);
    ck_assert_uint_eq(row->heaps, 1);
    ck_assert_uint_eq(row->max_heaps, 7);
    ck_assert_uint_eq(row->bytes, 8 * MIB);
    ck_assert_uint_eq(row->sessions, 1);
    ck_assert_uint_eq(row->max_sessions, UINT64_MAX);
    ck_assert_uint_eq(row->threads, 1);
    ck_assert_uint_eq(row->types, 1);
    ck_assert_uint_eq(row->leases, 1);
    ck_assert_uint_ge(row->files, 2 + 1 + 4 + 1); /* connection, session, heap, thread */
    ck_assert(row->trusted);
    ck_assert_uint_ge(reply->user_rows->files, row->files);
    wire_reply_free(reply);
    if (raw_is_root()) {
        raw_start_as(&spectator, d, "spectator", &one);
        reply = raw_ask(&spectator, &users);
        ck_assert_uint_eq(reply->user_rows->n_rows, 1); /* itself alone */
        ck_assert_uint_eq(reply->user_rows->rows[0]->uid, one.uid);
        ck_assert_uint_eq(reply->user_rows->rows[0]->sessions, 1);
        ck_assert(!reply->user_rows->rows[0]->trusted);
        wire_reply_free(reply);
        raw_close(&spectator);
    }
    raw_close(&c);
}
END_TEST

/* ---- read again, and out of memory ------------------------------------------------------------------------------- */

START_TEST(a_hangup_reads_the_quotas_again_and_takes_nothing_away)
{
    char path[128];
    struct raw c[3];

    start_with("max_heaps = 2\n");
    for (int i = 0; i < 3; i++)
        raw_start(&c[i], d, "web");
    raw_open(&c[0], "a", 4 * MIB);
    raw_open(&c[1], "b", 4 * MIB);
    snprintf(path, sizeof(path), "%s/conf", daemon_directory(d));
    for (int most = 1; most <= 3; most += 2) {
        FILE *file = fopen(path, "we");
        ck_assert_ptr_nonnull(file);
        fprintf(file, "[user %u]\nmax_heaps = %d\nmax_types = %d\n", (unsigned)geteuid(), most, most);
        fclose(file);
        kill(daemon_pid(d), SIGHUP);
        RAW(users, USERS, users);
        uint64_t read = 0;
        for (int tick = 0; read != (uint64_t)most && tick < TICKS; tick++, usleep(2000)) {
            wire_reply *reply = raw_ask(&c[0], &users);
            read = row_of(reply, geteuid())->max_types;
            wire_reply_free(reply);
        }
        ck_assert_uint_eq(read, (uint64_t)most);
        ck_assert_int_eq(raw_try_open(&c[2], "c", 4 * MIB), most == 1 ? MMGC_E_LIMIT : MMGC_E_OK);
        if (most == 1)
            expect_detail(&c[2], "has 2 heaps, more than the 1 that max_heaps");
    }
    for (int i = 0; i < 3; i++)
        raw_close(&c[i]);
}
END_TEST

/* Bytes of address space that the daemon has. */
static rlim_t address_space(void)
{
    char path[64];
    unsigned long pages = 0;

    snprintf(path, sizeof(path), "/proc/%d/statm", (int)daemon_pid(d));
    FILE *file = fopen(path, "re");
    ck_assert_ptr_nonnull(file);
    ck_assert_int_eq(fscanf(file, "%lu", &pages), 1);
    fclose(file);
    return (rlim_t)pages * (rlim_t)sysconf(_SC_PAGESIZE);
}

START_TEST(a_request_without_memory_fails_alone)
{
    struct rlimit before, none;
    struct raw c[2];

    start_with("max_heaps = unlimited\n");
    raw_start(&c[0], d, "web");
    raw_start(&c[1], d, "web");
    raw_open(&c[0], "a", 4 * MIB);
    none.rlim_cur = none.rlim_max = address_space();
    ck_assert_int_eq(prlimit(daemon_pid(d), RLIMIT_AS, NULL, &before), 0);
    none.rlim_max = before.rlim_max;
    ck_assert_int_eq(prlimit(daemon_pid(d), RLIMIT_AS, &none, NULL), 0);
    ck_assert_int_eq(raw_try_open(&c[1], "b", 64 * MIB), MMGC_E_SYSTEM_NOMEM);
    ck_assert_int_eq(raw_ping(&c[0]), MMGC_E_OK);
    ck_assert_int_eq(raw_ping(&c[1]), MMGC_E_OK);
    ck_assert_int_eq(prlimit(daemon_pid(d), RLIMIT_AS, &before, NULL), 0);
    raw_open(&c[1], "b", 64 * MIB);
    raw_close(&c[0]);
    raw_close(&c[1]);
}
END_TEST

static Suite *quota_suite(void)
{
    Suite *suite = suite_create("quota");
    TCase *has = tcase_create("has"), *often = tcase_create("often"),
          *several = tcase_create("several"), *again = tcase_create("again");

    tcase_add_test(has, a_quota_of_heaps_that_is_used_up_names_user_limit_and_value);
    tcase_add_test(has, a_heap_counts_with_its_maximum);
    tcase_add_test(has, connections_have_a_quota);
    tcase_add_test(has, threads_of_all_connections_have_one_quota);
    tcase_add_test(has, types_are_charged_to_who_defines_them_first);
    tcase_add_test(has, rows_come_in_portions_and_those_beyond_count_for_nothing);
    tcase_add_test(has, a_connection_has_no_more_rows_than_the_daemon_gives_to_one);
    tcase_add_test(has, who_has_as_many_leases_as_it_may_is_told_to_begin_no_more);
    tcase_add_test(often, requests_that_come_too_fast_are_answered_later_and_none_is_lost);
    tcase_add_test(often, who_leaves_while_it_waits_is_gone);
    tcase_add_test(often, a_flood_by_one_connection_starves_no_grant_of_another_of_the_same_user);
    tcase_add_test(often, connections_that_come_too_fast_are_turned_away_with_a_reason);
    tcase_add_test(several, each_user_has_a_quota_of_its_own_and_root_has_none);
    tcase_add_test(several,
                   a_flood_of_connections_leaves_file_descriptors_for_others_and_for_administrators);
    tcase_add_test(several, users_are_listed_with_what_they_have_and_may_have);
    tcase_add_test(again, a_hangup_reads_the_quotas_again_and_takes_nothing_away);
#if !defined(__SANITIZE_ADDRESS__) && \
    !defined(__SANITIZE_THREAD__) /* whose shadow has no room under such a limit */
    tcase_add_test(again, a_request_without_memory_fails_alone);
#endif
    TCase *all[] = { has, often, several, again };
    for (size_t i = 0; i < MM_ARRAY_LEN(all); i++) {
        tcase_add_checked_fixture(all[i], NULL, tear_down);
        tcase_set_timeout(all[i], 60);
        suite_add_tcase(suite, all[i]);
    }
    return suite;
}

int main(int argc, char **argv)
{
    return runner_main(argc, argv, quota_suite);
}
