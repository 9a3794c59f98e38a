/* SPDX-License-Identifier: Apache-2.0 */
/* Eviction: who may end whom, and what is left of who was ended. */
#include <signal.h>
#include <stdio.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include "tests/daemon/raw.h"
#include "tests/support/runner.h"

#define HEAP_BYTES (UINT64_C(16) << 20)

static const struct raw_user one = { .uid = 12345, .gid = 12345 }, other = { .uid = 12346, .gid = 12346 };

static struct daemon *d;

static void set_up(void)
{
    d = daemon_start(NULL);
}

static void tear_down(void)
{
    daemon_stop(d);
}

/* A process with a client that sits inside the heap for good; its session. @user NULL: this one. */
struct victim {
    pid_t pid;
    uint64_t session;
};

static struct victim start_victim(const struct raw_user *user)
{
    struct victim v = { .pid = 0 };
    int ready[2];

    ck_assert_int_eq(pipe(ready), 0);
    v.pid = fork();
    if (v.pid == 0) {
        struct raw c = { .options = "mode=0666" };
        struct raw_thread t;
        prctl(PR_SET_PDEATHSIG, SIGKILL);
        if (user != NULL && (setresgid(user->gid, user->gid, user->gid) < 0 || setresuid(user->uid, user->uid, user->uid) < 0))
            _exit(1);
        raw_start(&c, d, "victim");
        raw_open(&c, "h", HEAP_BYTES);
        raw_attach(&t, &c, "busy");
        raw_enter(&t);
        (void)!write(ready[1], &c.session, sizeof(c.session));
        for (;;)
            pause();
    }
    ck_assert_int_eq(read(ready[0], &v.session, sizeof(v.session)), sizeof(v.session));
    close(ready[0]);
    close(ready[1]);
    return v;
}

static enum mmgc_error evict(struct raw *c, uint64_t session)
{
    RAW(request, EVICT, evict);

    request_body.session = session;
    return raw_try(c, &request);
}

static void expect_killed(const struct victim *v)
{
    int status;

    ck_assert_int_eq(waitpid(v->pid, &status, 0), v->pid);
    ck_assert(WIFSIGNALED(status) && WTERMSIG(status) == SIGKILL);
}

START_TEST(a_stop_waits_no_longer_for_who_was_evicted)
{
    struct victim v = start_victim(NULL);
    struct raw c;
    RAW(request, EVICT, evict);

    raw_start(&c, d, "administrator");
    raw_open(&c, "h", 0);
    uint64_t number = raw_collect_begin(&c, "h");
    request_body.session = v.session;
    wire_reply *reply = raw_ask(&c, &request);
    ck_assert_int_eq(reply->body_case, WIRE_REPLY(EVICTED));
    ck_assert_str_eq(reply->evicted->name, "victim");
    ck_assert_uint_eq(reply->evicted->pid, v.pid);
    ck_assert_uint_eq(reply->evicted->connections, 1);
    wire_reply_free(reply);
    raw_collect_wait(&c, number);
    expect_killed(&v);
    ck_assert(daemon_log_has(d, "is evicted by user"));
    raw_close(&c);
}
END_TEST

START_TEST(nobody_evicts_himself_or_who_is_not_there)
{
    struct raw c;

    raw_start(&c, d, "client");
    ck_assert_int_eq(evict(&c, c.session), MMGC_E_INVALID);
    ck_assert_int_eq(evict(&c, 0), MMGC_E_INVALID);
    ck_assert_int_eq(evict(&c, UINT64_MAX), MMGC_E_INVALID);
    ck_assert_int_eq(raw_ping(&c), MMGC_E_OK);
    raw_close(&c);
}
END_TEST

START_TEST(a_user_evicts_his_own_clients_and_no_others)
{
    struct raw stranger, own;

    if (!raw_is_root())
        return;
    raw_start_as(&stranger, d, "stranger", &other); /* which also makes the socket's directory one that others reach */
    raw_start_as(&own, d, "own", &one);
    struct victim v = start_victim(&one);
    ck_assert_int_eq(evict(&stranger, v.session), MMGC_E_INVALID);
    ck_assert_int_eq(kill(v.pid, 0), 0);
    ck_assert_int_eq(evict(&own, v.session), MMGC_E_OK);
    expect_killed(&v);
    raw_close(&stranger);
    raw_close(&own);
}
END_TEST

static Suite *evict_suite(void)
{
    Suite *suite = suite_create("evict");
    TCase *evicting = tcase_create("evicting");

    tcase_add_checked_fixture(evicting, set_up, tear_down);
    tcase_add_test(evicting, a_stop_waits_no_longer_for_who_was_evicted);
    tcase_add_test(evicting, nobody_evicts_himself_or_who_is_not_there);
    tcase_add_test(evicting, a_user_evicts_his_own_clients_and_no_others);
    suite_add_tcase(suite, evicting);
    return suite;
}

int main(int argc, char **argv)
{
    return runner_main(argc, argv, evict_suite);
}
