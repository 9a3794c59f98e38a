/* SPDX-License-Identifier: Apache-2.0 */
/* Fork, exec, spawn and threads' ends in a client of the real daemon, while its other threads allocate and collections run. */
#include <mmgc/hold.h>
#include <mmgc/lease.h>
#include <mmgc/mmgc.h>
#include <mmgc/notice.h>

#include <fcntl.h>
#include <pthread.h>
#include <spawn.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "shm/base.h"
#include "tests/support/daemon.h"
#include "tests/support/runner.h"

#define FORKS 20
#define BUSY_THREADS 3
#define ck_assert_ok(call) ck_assert_int_eq((call), MMGC_OK)

extern char **environ;

struct node {
    mmgc_ref next;
    int64_t value;
};

static struct daemon *mmgcd;
static struct mmgc_client *client;
static struct mmgc_heap *heap;
static struct mmgc_thread *t;
static mmgc_type node_type;
static struct mmgc_notices *notices;
static _Atomic bool busy_over;

static int open_all(void)
{
    struct mmgc_heap_options options = { .create = true, .max_bytes = UINT64_C(64) << 20 };
    int r = mmgc_connect(daemon_socket(mmgcd), "test", &client);

    if (r == MMGC_OK)
        r = mmgc_heap_open(client, "heap", &options, &heap);
    if (r == MMGC_OK)
        r = MMGC_DEFINE_TYPE(heap, node, &node_type, next);
    if (r == MMGC_OK)
        r = mmgc_attach(heap, NULL, &t);
    return r == MMGC_OK ? mmgc_notices_subscribe(heap, NULL, &notices) : r;
}

static void close_all(void)
{
    mmgc_notices_close(notices);
    mmgc_detach(t);
    mmgc_heap_close(heap);
    mmgc_disconnect(client);
}

static void setup(void)
{
    mmgcd = daemon_start(NULL);
    ck_assert_ok(open_all());
}

static void teardown(void)
{
    close_all();
    daemon_stop(mmgcd);
}

/* ---- other threads ----------------------------------------------------------------------------------------------- */

static int churn(struct mmgc_thread *mine)
{
    struct node *list = NULL;

    for (int i = 0; i < 2000; i++) {
        struct node *n = mmgc_new(mine, node_type);
        if (n == NULL)
            return mmgc_thread_error(mine);
        n->value = i;
        mmgc_set(mine, n, next, list);
        list = n;
    }
    for (int64_t i = 1999; list != NULL; list = mmgc_get(mine, list, next), i--)
        if (list->value != i)
            return MMGC_E_CORRUPT;
    return MMGC_OK;
}

static void *busy(void *arg)
{
    struct mmgc_thread *mine;
    int r = mmgc_attach(heap, NULL, &mine);

    while (r == MMGC_OK && !at_load_relaxed(&busy_over)) {
        r = mmgc_enter(mine);
        if (r == MMGC_OK)
            r = churn(mine);
        mmgc_leave(mine);
    }
    if (r == MMGC_OK)
        mmgc_detach(mine);
    (void)arg;
    return (void *)(intptr_t)r;
}

static pthread_t busy_threads[BUSY_THREADS];

static void busy_start(void)
{
    at_store_relaxed(&busy_over, false);
    for (int i = 0; i < BUSY_THREADS; i++)
        ck_assert_int_eq(pthread_create(&busy_threads[i], NULL, busy, NULL), 0);
}

static void busy_stop(void)
{
    void *result;

    at_store_relaxed(&busy_over, true);
    for (int i = 0; i < BUSY_THREADS; i++) {
        ck_assert_int_eq(pthread_join(busy_threads[i], &result), 0);
        ck_assert_int_eq((int)(intptr_t)result, MMGC_OK); /* they have noticed nothing */
    }
}

static void await_child(pid_t pid)
{
    int status;

    ck_assert_int_gt(pid, 0);
    ck_assert_int_eq(waitpid(pid, &status, 0), pid);
    ck_assert_int_eq(status, 0);
}

/* ---- fork -------------------------------------------------------------------------------------------------------- */

/* 0, or the line that is not so. Ends with a heap of its own, by a connection of its own. */
static int be_child(void)
{
    struct mmgc_move moves[1];
    struct mmgc_notice notice;
    size_t count;

    if (mmgc_ping(client) != MMGC_E_FORKED || mmgc_enter(t) != MMGC_E_FORKED ||
        mmgc_gc(t) != MMGC_E_FORKED)
        return __LINE__;
    if (mmgc_new(t, node_type) != NULL || mmgc_thread_error(t) != MMGC_E_FORKED)
        return __LINE__;
    if (mmgc_notices_next(notices, NULL, 0, moves, 1, &count, &notice) != MMGC_E_FORKED)
        return __LINE__;
    close_all(); /* of the parent's: does nothing */
    if (open_all() != MMGC_OK || mmgc_enter(t) != MMGC_OK || churn(t) != MMGC_OK)
        return __LINE__;
    mmgc_leave(t);
    if (mmgc_gc(t) != MMGC_OK)
        return __LINE__;
    close_all();
    return 0;
}

START_TEST(children_of_a_busy_client_have_nothing_and_can_have_their_own)
{
    busy_start();
    for (int i = 0; i < FORKS; i++) {
        ck_assert_ok(mmgc_enter(t));
        ck_assert_ok(churn(t));
        pid_t pid = fork();
        if (pid == 0) {
            (void)alarm(15);
            _exit(be_child() == 0 ? 0 : 1);
        }
        ck_assert_ok(churn(t));
        mmgc_leave(t);
        await_child(pid);
    }
    ck_assert_ok(mmgc_gc(t));
    busy_stop();
}
END_TEST

/* Its copies of our sockets are closed, so that our end is seen at once however long it lives. */
START_TEST(a_child_that_lives_on_keeps_no_session_alive)
{
    int hold[2];
    int before;

    close_all();
    ck_assert(daemon_await_fds(mmgcd, daemon_fd_count(mmgcd)));
    before = daemon_fd_count(mmgcd);
    ck_assert_ok(open_all());
    ck_assert_int_eq(pipe(hold), 0);
    pid_t pid = fork();
    if (pid == 0) {
        char byte;
        close(hold[1]);
        _exit(read(hold[0], &byte, 1) == 0 ? 0 : 1);
    }
    close(hold[0]);
    close_all();
    ck_assert(daemon_await_fds(mmgcd, before));
    close(hold[1]);
    await_child(pid);
    ck_assert_ok(open_all());
}
END_TEST

/* ---- exec, spawn --------------------------------------------------------------------------------------------------- */

/* The fds of a program that is run, as `ls` in it sees them, in one string. */
static void fds_after_exec(char *ret_fds, size_t size)
{
    char *argv[] = { (char *)"sh", (char *)"-c", (char *)"cd /proc/self/fd && echo *", NULL };
    posix_spawn_file_actions_t actions;
    int out[2];
    pid_t pid;

    ck_assert_int_eq(pipe2(out, O_CLOEXEC), 0);
    posix_spawn_file_actions_init(&actions);
    posix_spawn_file_actions_adddup2(&actions, out[1], STDOUT_FILENO);
    ck_assert_int_eq(posix_spawn(&pid, "/bin/sh", &actions, NULL, argv, environ), 0);
    posix_spawn_file_actions_destroy(&actions);
    close(out[1]);
    ssize_t got = read(out[0], ret_fds, size - 1);
    ck_assert_int_gt(got, 0);
    ret_fds[got] = '\0';
    close(out[0]);
    await_child(pid);
}

START_TEST(no_fd_of_ours_is_left_after_exec)
{
    char before[256], with[256];

    close_all();
    fds_after_exec(before, sizeof(before));
    ck_assert_ok(open_all());
    ck_assert_ok(mmgc_enter(t));
    ck_assert_ok(churn(t));
    mmgc_hold hold; /* has a memfd, too */
    ck_assert_ok(mmgc_hold_begin(t, NULL, &hold));
    fds_after_exec(with, sizeof(with));
    ck_assert_ok(mmgc_hold_end(t, hold, NULL, 0));
    mmgc_leave(t);
    ck_assert_str_eq(with, before);
}
END_TEST

START_TEST(programs_are_spawned_from_inside_while_others_allocate)
{
    char *argv[] = { (char *)"true", NULL };
    pid_t pid;

    busy_start();
    ck_assert_ok(mmgc_enter(t));
    for (int i = 0; i < FORKS; i++) {
        ck_assert_int_eq(posix_spawnp(&pid, "true", NULL, NULL, argv, environ), 0);
        await_child(pid);
        pid = vfork();
        if (pid == 0) {
            execlp("true", "true", (char *)NULL);
            _exit(127);
        }
        await_child(pid);
        ck_assert_ok(churn(t)); /* after vfork() we are who we were */
        ck_assert_ok(mmgc_poll(t));
    }
    mmgc_leave(t);
    busy_stop();
}
END_TEST

/* ---- threads' ends ------------------------------------------------------------------------------------------------- */

static void *end_attached(void *arg)
{
    struct mmgc_thread *mine;
    int r = mmgc_attach(heap, NULL, &mine);

    if (r == MMGC_OK)
        r = mmgc_enter(mine);
    if (r == MMGC_OK)
        r = churn(mine);
    if (arg != NULL)
        (void)pthread_cancel(pthread_self());
    pthread_testcancel();
    return (void *)(intptr_t)r;
}

START_TEST(threads_that_end_inside_are_waited_for_by_nobody)
{
    pthread_t thread;
    void *result;

    for (int i = 0; i < FORKS; i++) {
        void *cancelled = i % 2 == 0 ? NULL : &thread;
        ck_assert_int_eq(pthread_create(&thread, NULL, end_attached, cancelled), 0);
        ck_assert_int_eq(pthread_join(thread, &result), 0);
        ck_assert_ptr_eq(result, cancelled == NULL ? (void *)MMGC_OK : PTHREAD_CANCELED);
    }
    uint64_t before_ns = mm_now_ns();
    ck_assert_ok(mmgc_gc(t));
    ck_assert_uint_lt((mm_now_ns() - before_ns) / 1000000,
                      5000); /* half of what the daemon waits for one that is inside */
}
END_TEST

static Suite *fork_exec_suite(void)
{
    Suite *suite = suite_create("fork_exec");
    TCase *process = tcase_create("process");

    tcase_add_checked_fixture(process, setup, teardown);
    tcase_set_timeout(process, 60);
#if !defined(__SANITIZE_ADDRESS__) && \
    !defined(__SANITIZE_THREAD__) /* their allocators may be locked by a thread that the child has not */
    tcase_add_test(process, children_of_a_busy_client_have_nothing_and_can_have_their_own);
#endif
    tcase_add_test(process, a_child_that_lives_on_keeps_no_session_alive);
    tcase_add_test(process, no_fd_of_ours_is_left_after_exec);
    tcase_add_test(process, programs_are_spawned_from_inside_while_others_allocate);
    tcase_add_test(process, threads_that_end_inside_are_waited_for_by_nobody);
    suite_add_tcase(suite, process);
    return suite;
}

int main(int argc, char **argv)
{
    return runner_main(argc, argv, fork_exec_suite);
}
