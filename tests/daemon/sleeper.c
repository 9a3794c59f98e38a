/* SPDX-License-Identifier: Apache-2.0 */
#include "tests/daemon/sleeper.h"

#include <check.h>
#include <signal.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

static void go_in(struct raw *c, struct raw_thread *t, const struct daemon *d, enum sleeper kind)
{
    raw_start(c, d, "sleeper");
    c->read_only = kind == READING;
    raw_open(c, "h", SLEEPER_HEAP_BYTES);
    raw_attach(t, c, "sleeping");
    if (kind != OUTSIDE)
        raw_enter(t);
}

static _Noreturn void sleep_on(const struct daemon *d, const struct sleeper_options *options, int ready_fd)
{
    struct raw c[2] = { { 0 } };
    struct raw_thread t[2];
    char byte;

    (void)prctl(PR_SET_PDEATHSIG, SIGKILL);
    if (options->uid != 0 && setresuid(options->uid, options->uid, options->uid) < 0)
        _exit(1);
    (void)prctl(PR_SET_PDEATHSIG, SIGKILL); /* it is forgotten with the uid */
    go_in(&c[0], &t[0], d, options->kind);
    if (options->kind == TWICE_INSIDE)
        go_in(&c[1], &t[1], d, options->kind);
    (void)!write(ready_fd, "", 1);
    while (options->leave_fd == 0)
        pause();
    (void)!read(options->leave_fd, &byte, 1);
    raw_leave(&t[0]);
    _exit(0);
}

pid_t sleeper_start(const struct daemon *d, const struct sleeper_options *options)
{
    int ready[2];
    char byte;

    ck_assert_int_eq(pipe(ready), 0);
    pid_t pid = fork();
    if (pid == 0)
        sleep_on(d, options, ready[1]);
    close(ready[1]);
    ck_assert_int_eq(read(ready[0], &byte, 1), 1);
    close(ready[0]);
    return pid;
}

void sleeper_reap(pid_t pid, bool killed_by_daemon)
{
    int status;

    if (!killed_by_daemon)
        kill(pid, SIGKILL);
    ck_assert_int_eq(waitpid(pid, &status, 0), pid);
    ck_assert(WIFSIGNALED(status) && WTERMSIG(status) == SIGKILL);
}

void sleeper_join(pid_t pid)
{
    int status;

    ck_assert_int_eq(waitpid(pid, &status, 0), pid);
    ck_assert_msg(WIFEXITED(status) && WEXITSTATUS(status) == 0,
                  "the sleeper ended with status %#x", (unsigned)status);
}
