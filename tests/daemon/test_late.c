/* SPDX-License-Identifier: Apache-2.0 */
#include <signal.h>
#include <stdio.h>
#include <sys/ptrace.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "shm/base.h"
#include "tests/daemon/raw.h"
#include "tests/daemon/sleeper.h"
#include "tests/support/runner.h"

#define NS_PER_MS UINT64_C(1000000)
#define OTHER_UID 65533
#define LATE 4

static struct daemon *d;
static struct raw owner;

/* The heap's owner, and a client that is never late. */
static void start(const char *options)
{
    char config[256];

    snprintf(config, sizeof(config), "[daemon]\nthreads = 2\n%s", options);
    d = daemon_start(config);
    owner = (struct raw){ 0 };
    raw_start(&owner, d, "owner");
    raw_open(&owner, "h", SLEEPER_HEAP_BYTES);
}

static void stop(void)
{
    raw_close(&owner);
    daemon_stop(d);
}

static void await_abandoned(uint64_t count)
{
    uint64_t end_ns = mm_now_ns() + 20000 * NS_PER_MS;

    while (at_load_acquire(&owner.control->abandoned_stops) < count && mm_now_ns() < end_ns)
        usleep(1000);
    ck_assert_uint_eq(at_load_acquire(&owner.control->abandoned_stops), count);
}

static void suspend_daemon(uint64_t ms)
{
    ck_assert_int_eq(kill(daemon_pid(d), SIGSTOP), 0);
    usleep((useconds_t)ms * 1000);
    ck_assert_int_eq(kill(daemon_pid(d), SIGCONT), 0);
}

static pid_t start_one(enum sleeper kind)
{
    return sleeper_start(d, &(struct sleeper_options){ .kind = kind });
}

/* ---- who is killed ---- */

START_TEST(of_several_late_processes_each_is_killed_and_the_deadline_is_waited_for_once)
{
    pid_t pids[LATE];

    start("stop_deadline = 500ms\nstop_policy = kill\n");
    for (int i = 0; i < LATE; i++) {
        pids[i] = start_one(INSIDE);
        ck_assert_int_eq(kill(pids[i], SIGSTOP), 0);
    }
    uint64_t begun_ns = mm_now_ns();
    raw_collect_wait(&owner, raw_collect_begin(&owner, ""));
    uint64_t took_ns = mm_now_ns() - begun_ns;
    ck_assert_uint_ge(took_ns, 500 * NS_PER_MS);
    ck_assert_uint_lt(took_ns, 2500 * NS_PER_MS); /* not 500 ms and then 2 s for each */
    for (int i = 0; i < LATE; i++)
        sleeper_reap(pids[i], true);
    ck_assert_uint_eq(at_load_acquire(&owner.control->abandoned_stops), 0);
    stop();
}
END_TEST

START_TEST(a_late_process_with_two_sessions_is_killed_once)
{
    start("stop_deadline = 100ms\nstop_policy = kill\n");
    pid_t pid = start_one(TWICE_INSIDE);
    raw_collect_wait(&owner, raw_collect_begin(&owner, ""));
    sleeper_reap(pid, true);
    ck_assert_uint_eq(at_load_acquire(&owner.control->abandoned_stops), 0);
    stop();
}
END_TEST

START_TEST(by_default_an_owner_s_client_is_not_killed_and_a_stranger_s_is)
{
    if (geteuid() != 0) /* only root can be two users */
        return;
    start("stop_deadline = 100ms\n[heap]\nmode = 0666\n");
    ck_assert_int_eq(chmod(daemon_directory(d), 0711), 0);
    pid_t stranger = sleeper_start(d, &(struct sleeper_options){ .kind = INSIDE, .uid = OTHER_UID });
    raw_collect_wait(&owner, raw_collect_begin(&owner, ""));
    sleeper_reap(stranger, true);
    ck_assert_uint_eq(at_load_acquire(&owner.control->abandoned_stops), 0);
    pid_t own = start_one(INSIDE);
    (void)raw_collect_begin(&owner, "");
    await_abandoned(1);
    ck_assert_int_eq(waitpid(own, NULL, WNOHANG), 0); /* it lives */
    sleeper_reap(own, false);
    stop();
}
END_TEST

START_TEST(by_the_policy_to_abandon_not_even_a_reader_is_killed)
{
    start("stop_deadline = 100ms\nstop_policy = abandon\n");
    pid_t pid = start_one(READING);
    (void)raw_collect_begin(&owner, "");
    await_abandoned(1);
    ck_assert_int_eq(waitpid(pid, NULL, WNOHANG), 0);
    sleeper_reap(pid, false);
    raw_collect_wait(&owner, raw_collect_begin(&owner, ""));
    stop();
}
END_TEST

START_TEST(a_client_in_a_debugger_is_named_with_it)
{
    char traced[64];
    int leave[2], status;

    start("stop_deadline = 100ms\nstop_policy = abandon\n");
    ck_assert_int_eq(pipe(leave), 0);
    pid_t pid = sleeper_start(d, &(struct sleeper_options){ .kind = INSIDE, .leave_fd = leave[0] });
    if (ptrace(PTRACE_SEIZE, pid, 0, 0) == 0) { /* else this system does not let us */
        ck_assert_int_eq(ptrace(PTRACE_INTERRUPT, pid, 0, 0), 0);
        ck_assert_int_eq(waitpid(pid, &status, __WALL), pid);
        (void)raw_collect_begin(&owner, "");
        await_abandoned(1);
        snprintf(traced, sizeof(traced), "traced by process %d", (int)getpid());
        ck_assert(daemon_log_has(d, traced));
        ck_assert_int_eq(ptrace(PTRACE_DETACH, pid, 0, 0), 0);
    }
    ck_assert_int_eq(write(leave[1], "", 1), 1);
    raw_collect_wait(&owner, raw_collect_begin(&owner, "")); /* it leaves, unharmed */
    sleeper_join(pid);
    stop();
}
END_TEST

/* ---- the daemon itself was asleep ---- */

START_TEST(nobody_is_killed_for_what_the_daemon_has_slept)
{
    int leave[2];

    start("stop_deadline = 1s\nstop_policy = kill\n");
    ck_assert_int_eq(pipe(leave), 0);
    pid_t pid = sleeper_start(d, &(struct sleeper_options){ .kind = INSIDE, .leave_fd = leave[0] });
    uint64_t number = raw_collect_begin(&owner, "");
    usleep(700000);
    suspend_daemon(_i == 0 ? 1500 : 600); /* all of a deadline: it starts again; or less, which does not count */
    usleep(_i == 0 ? 500000 : 100000);
    ck_assert_int_eq(waitpid(pid, NULL, WNOHANG), 0);
    ck_assert_int_eq(write(leave[1], "", 1), 1);
    raw_collect_wait(&owner, number);
    sleeper_join(pid);
    ck_assert_uint_eq(at_load_acquire(&owner.control->abandoned_stops), 0);
    stop();
}
END_TEST

START_TEST(who_is_late_is_killed_when_the_daemon_was_asleep_before)
{
    start("stop_deadline = 300ms\nstop_policy = kill\n");
    pid_t pid = start_one(INSIDE);
    uint64_t number = raw_collect_begin(&owner, "");
    suspend_daemon(500);
    raw_collect_wait(&owner, number);
    sleeper_reap(pid, true);
    stop();
}
END_TEST

START_TEST(a_hello_that_came_while_the_daemon_slept_is_in_time)
{
    struct raw c;
    RAW(hello, HELLO, hello);

    start("hello_timeout = 300ms\n");
    hello_body.version_min = WIRE_VERSION_MIN;
    hello_body.version_max = WIRE_VERSION_MAX;
    hello_body.client_name = (char *)"patient";
    raw_connect(&c, d);
    ck_assert_int_eq(raw_ping(&owner), MMGC_E_OK); /* so that one is accepted, and its time runs */
    ck_assert_int_eq(kill(daemon_pid(d), SIGSTOP), 0);
    raw_send(&c, &hello);
    usleep(800000);
    ck_assert_int_eq(kill(daemon_pid(d), SIGCONT), 0);
    wire_reply *reply = raw_receive(&c, NULL);
    ck_assert_ptr_nonnull(reply);
    ck_assert_int_eq(reply->body_case, WIRE_REPLY(WELCOME));
    wire_reply_free(reply);
    raw_close(&c);
    stop();
}
END_TEST

/* ---- other heaps ---- */

/* As many collections of another heap as fit, while nobody can stop this one. */
START_TEST(a_heap_that_waits_for_who_is_stopped_slows_no_other)
{
    struct raw other;
    uint64_t longest_ns = 0;

    start("stop_deadline = 2s\nstop_policy = abandon\n");
    raw_start(&other, d, "other");
    raw_open(&other, "other", SLEEPER_HEAP_BYTES);
    pid_t pid = start_one(INSIDE);
    ck_assert_int_eq(kill(pid, SIGSTOP), 0);
    (void)raw_collect_begin(&owner, "");
    for (int i = 0; i < 200; i++) {
        uint64_t begun_ns = mm_now_ns();
        raw_collect_wait(&other, raw_collect_begin(&other, ""));
        longest_ns = MM_MAX(longest_ns, mm_now_ns() - begun_ns);
    }
    ck_assert_uint_lt(longest_ns, 500 * NS_PER_MS);
    await_abandoned(1);
    sleeper_reap(pid, false);
    raw_close(&other);
    stop();
}
END_TEST

static Suite *late_suite(void)
{
    Suite *suite = suite_create("late");
    TCase *killed = tcase_create("killed"), *asleep = tcase_create("asleep"),
          *others = tcase_create("others");

    tcase_add_test(killed, of_several_late_processes_each_is_killed_and_the_deadline_is_waited_for_once);
    tcase_add_test(killed, a_late_process_with_two_sessions_is_killed_once);
    tcase_add_test(killed, by_default_an_owner_s_client_is_not_killed_and_a_stranger_s_is);
    tcase_add_test(killed, by_the_policy_to_abandon_not_even_a_reader_is_killed);
    tcase_add_test(killed, a_client_in_a_debugger_is_named_with_it);
    tcase_add_loop_test(asleep, nobody_is_killed_for_what_the_daemon_has_slept, 0, 2);
    tcase_add_test(asleep, who_is_late_is_killed_when_the_daemon_was_asleep_before);
    tcase_add_test(asleep, a_hello_that_came_while_the_daemon_slept_is_in_time);
    tcase_add_test(others, a_heap_that_waits_for_who_is_stopped_slows_no_other);
    TCase *all[] = { killed, asleep, others };
    for (size_t i = 0; i < MM_ARRAY_LEN(all); i++) {
        tcase_set_timeout(all[i], 60);
        suite_add_tcase(suite, all[i]);
    }
    return suite;
}

int main(int argc, char **argv)
{
    return runner_main(argc, argv, late_suite);
}
