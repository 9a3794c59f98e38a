/* SPDX-License-Identifier: Apache-2.0 */
/* stress_flood.c - What one user can do to another by asking too much: how long a grant takes, with and without a flood.
 *   The flood  by another user: a client that sends requests as fast as it can, one that asks for what is dear, and one that connects and
 *              leaves as fast as it can
 *   Control    the same flood against another daemon: it takes as much of the machine, and what is left is what the daemon is to blame for
 *   The grant  is a raw client's, from its send to the wake in its mailbox: so no time of the library's is in it
 *   The bound  is generous, since the machine may be busy and have two cores, on which the flood's processes run, too. The figures are
 *              printed; docs/reliability.md has those of a quiet machine */
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <unistd.h>

#include "shm/futex.h"
#include "tests/daemon/raw.h"
#include "tests/support/crew.h"
#include "tests/support/stress.h"

#define LIMIT_S 30.0
#define HEAP_BYTES (UINT64_C(64) << 20)
#define SAMPLES_MAX 20000u
#define PERIOD_US 500u
#define NS_PER_US 1000u

static const struct raw_user victim = { .uid = 12346, .gid = 12346 },
                             flooder = { .uid = 12345, .gid = 12345 };

struct latencies {
    uint64_t ns[SAMPLES_MAX];
    size_t count;
};

/* ---- the flood: processes of another user ------------------------------------------------------------------------- */

static void become(const struct raw_user *user)
{
    EXPECT(setresgid(user->gid, user->gid, user->gid) == 0 &&
               setresuid(user->uid, user->uid, user->uid) == 0,
           "setresuid");
    EXPECT(prctl(PR_SET_PDEATHSIG, SIGKILL) == 0 && getppid() != 1,
           "the test is gone"); /* which a new uid has undone */
}

/* A connection that has said Hello; -1: it was turned away. */
static int greet(const char *path)
{
    wire_reply *reply = NULL;
    RAW(hello, HELLO, hello);

    int sock = packet_connect(path);
    if (sock < 0)
        return -1;
    hello_body.version_min = hello_body.version_max = WIRE_VERSION_MAX;
    hello_body.client_name = (char *)"flood";
    hello.serial = 1;
    bool in = wire_send_request(sock, &hello, NULL) == 0 && packet_wait(sock, 5000) == 0 &&
              wire_recv_reply(sock, &reply, NULL) == WIRE_OK &&
              reply->body_case == WIRE_REPLY(WELCOME);
    wire_reply_free(reply);
    if (!in)
        close(sock);
    return in ? sock : -1;
}

static int greet_in_time(const char *path)
{
    for (int tick = 0; tick < 500; tick++, usleep(10000)) {
        int sock = greet(path);
        if (sock >= 0)
            return sock;
    }
    mate_fail(__FILE__, __LINE__, "never let in");
}

/* Sends @request whenever there is room, and reads whatever there is: never waits for an answer. */
static void send_without_end(struct mate *mate, const char *path, wire_request *request)
{
    int sock = greet_in_time(path);
    char scrap[PACKET_BYTES_MAX];

    EXPECT(fcntl(sock, F_SETFL, O_NONBLOCK) == 0, "fcntl");
    mate_say(mate, 1);
    while (at_load_relaxed(&mate->told) == 0) {
        struct pollfd both = { .fd = sock, .events = POLLIN | POLLOUT };
        EXPECT(poll(&both, 1, 100) >= 0, "poll");
        request->serial++;
        while (wire_send_request(sock, request, NULL) == 0)
            (void)at_add_relaxed(&mate->numbers[0], 1);
        while (recv(sock, scrap, sizeof(scrap), 0) > 0)
            continue;
    }
    close(sock);
}

static void flood_with_pings(struct mate *mate, void *path)
{
    RAW(ping, PING, ping);

    become(&flooder);
    send_without_end(mate, path, &ping);
}

static void flood_with_lists(struct mate *mate, void *path)
{
    RAW(clients, CLIENTS, clients);

    become(&flooder);
    send_without_end(mate, path, &clients);
}

static void flood_with_connections(struct mate *mate, void *path)
{
    become(&flooder);
    mate_say(mate, 1);
    while (at_load_relaxed(&mate->told) == 0) {
        int sock = packet_connect(path);
        if (sock >= 0)
            close(sock);
        (void)at_add_relaxed(&mate->numbers[0], 1);
    }
}

/* ---- the grant ---------------------------------------------------------------------------------------------------- */

static uint64_t grant_ns(struct raw_thread *t)
{
    struct shm_mailbox *mail = &t->m->mail[SHM_GRANT_LINES];
    uint64_t before_ns = mm_now_ns();

    raw_grant_send(t, SHM_GRANT_LINES, 4096);
    for (uint32_t seen; (seen = at_load_acquire(&mail->answered)) != t->mail_serial;) {
        (void)futex_wait(&mail->answered, seen, UINT64_C(1000000000));
        ck_assert_msg(mm_now_ns() - before_ns < UINT64_C(20000000000), "a grant was not answered");
    }
    uint64_t took_ns = mm_now_ns() - before_ns;
    ck_assert_uint_eq(at_load_relaxed(&mail->error), MMGC_E_OK);
    at_store_release(&mail->taken, at_load_acquire(&mail->published)); /* garbage at once */
    return took_ns;
}

static int by_size(const void *a, const void *b)
{
    uint64_t x = *(const uint64_t *)a, y = *(const uint64_t *)b;

    return x < y ? -1 : x > y;
}

static void measure(struct latencies *l, struct raw_thread *t, double seconds)
{
    uint64_t end_ns = mm_now_ns() + (uint64_t)(seconds * 1e9);

    for (l->count = 0; l->count < SAMPLES_MAX && mm_now_ns() < end_ns; usleep(PERIOD_US))
        l->ns[l->count++] = grant_ns(t);
    qsort(l->ns, l->count, sizeof(l->ns[0]), by_size);
}

static uint64_t us_at(const struct latencies *l, double share)
{
    return l->ns[(size_t)(share * (double)(l->count - 1))] / NS_PER_US;
}

static void print(const char *when, const struct latencies *l)
{
    fprintf(stderr, "# grants %s: %zu, median %lu us, p90 %lu us, p99 %lu us, longest %lu us\n",
            when, l->count, (unsigned long)us_at(l, 0.5), (unsigned long)us_at(l, 0.9),
            (unsigned long)us_at(l, 0.99), (unsigned long)us_at(l, 1));
}

/* How long grants take while @target is flooded. */
static void measure_beside_flood(struct latencies *l, struct raw_thread *t, const struct daemon *target)
{
    static void (*const floods[])(struct mate * mate, void *path) = { flood_with_pings, flood_with_lists,
                                                                      flood_with_connections };
    struct mate *mates[MM_ARRAY_LEN(floods)];
    uint64_t before[MM_ARRAY_LEN(floods)];
    double rate[MM_ARRAY_LEN(floods)];
    struct crew crew;

    crew_init(&crew);
    for (size_t i = 0; i < MM_ARRAY_LEN(floods);
         i++) { /* who connects without end comes last, or the others would not get in */
        mates[i] = crew_start(&crew, floods[i], (char *)daemon_socket(target));
        mate_await(mates[i], 1, LIMIT_S);
    }
    measure(l, t, 0.2);
    for (size_t i = 0; i < MM_ARRAY_LEN(floods); i++)
        before[i] = at_load_relaxed(&mates[i]->numbers[0]);
    uint64_t since_ns = mm_now_ns();
    measure(l, t, stress_seconds(3));
    double seconds = (double)(mm_now_ns() - since_ns) / 1e9;
    for (size_t i = 0; i < MM_ARRAY_LEN(floods); i++) {
        rate[i] = (double)(at_load_relaxed(&mates[i]->numbers[0]) - before[i]) / seconds;
        mate_tell(mates[i], 1);
    }
    for (size_t i = 0; i < MM_ARRAY_LEN(floods); i++)
        mate_join(mates[i], LIMIT_S);
    crew_fini(&crew);
    fprintf(stderr, "# the flood: %.0f pings, %.0f lists and %.0f connections a second\n", rate[0],
            rate[1], rate[2]);
}

/* @ours against @control, generously. */
static void expect_alike(const struct latencies *ours, const struct latencies *control)
{
    ck_assert_uint_gt(ours->count, 100);
    ck_assert_uint_lt(us_at(ours, 0.5), 4 * us_at(control, 0.5) + 1000 * STRESS_SLOWER);
    ck_assert_uint_lt(us_at(ours, 0.9), 4 * us_at(control, 0.9) + 20000 * STRESS_SLOWER);
}

START_TEST(a_flood_by_one_user_leaves_another_users_grants_as_they_are)
{
    static struct latencies quiet, elsewhere, flooded;
    static const char config[] = "[daemon]\nthreads = 2\nlog_level = info\n";
    struct raw c = { .options = "plan=immix" }, visitor;
    struct raw_thread t;

    if (!raw_is_root())
        return;
    struct daemon *d = daemon_start(config), *other = daemon_start(config);
    raw_start_as(&visitor, other, "visitor", &victim); /* which also makes its directory one that others reach */
    raw_start_as(&c, d, "victim", &victim);
    raw_open(&c, "h", HEAP_BYTES);
    raw_attach(&t, &c, "t");
    measure(&quiet, &t, 0.2);
    measure(&quiet, &t, stress_seconds(3));
    measure_beside_flood(&elsewhere, &t, other);
    measure_beside_flood(&flooded, &t, d);
    print("without a flood", &quiet);
    print("while another daemon is flooded", &elsewhere);
    print("in the flood", &flooded);
    expect_alike(&flooded, us_at(&elsewhere, 0.5) > us_at(&quiet, 0.5) ? &elsewhere : &quiet);
    raw_close(&visitor);
    raw_close(&c);
    daemon_stop(other);
    daemon_stop(d);
}
END_TEST

static Suite *flood_suite(void)
{
    Suite *suite = suite_create("stress_flood");
    TCase *flood = tcase_create("flood");

    stress_limit(flood, 60);
    tcase_add_test(flood, a_flood_by_one_user_leaves_another_users_grants_as_they_are);
    suite_add_tcase(suite, flood);
    return suite;
}

int main(int argc, char **argv)
{
    return stress_main(argc, argv, flood_suite);
}
