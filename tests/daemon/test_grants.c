/* SPDX-License-Identifier: Apache-2.0 */
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "shm/units.h"
#include "tests/daemon/raw.h"
#include "tests/support/runner.h"

#define HEAP_BYTES (UINT64_C(16) << 20)

static struct daemon *d;
static struct raw c;
static struct raw_thread t;

static void set_up(void)
{
    d = daemon_start(NULL);
    raw_start(&c, d, "client");
    raw_open(&c, "h", HEAP_BYTES);
    raw_attach(&t, &c, "one");
}

static void tear_down(void)
{
    raw_close(&c);
    daemon_stop(d);
}

static uint64_t ring_bytes(enum shm_grant_class class, uint32_t from)
{
    uint32_t published = at_load_acquire(&t.m->mail[class].published);
    uint64_t bytes = 0;

    for (uint32_t i = from; i != published; i++)
        bytes += 8 * (uint64_t)shm_mutator_ring(t.m, class)[i % shm_ring_capacity(class)].granules;
    return bytes;
}

static void take_all(enum shm_grant_class class)
{
    at_store_release(&t.m->mail[class].taken, at_load_acquire(&t.m->mail[class].published));
}

START_TEST(grants_are_published_before_they_are_answered)
{
    for (int i = 0; i < 20; i++) {
        uint32_t before = at_load_acquire(&t.m->mail[SHM_GRANT_LINES].published);
        ck_assert_int_eq(raw_grant(&t, SHM_GRANT_LINES, 32768), MMGC_E_OK);
        ck_assert_uint_gt(ring_bytes(SHM_GRANT_LINES, before), 0);
        take_all(SHM_GRANT_LINES);
    }
    ck_assert_uint_ge(at_load_relaxed(&c.control->granted_bytes), 20 * 256);
}
END_TEST

START_TEST(what_was_granted_can_be_written_to)
{
    ck_assert_int_eq(raw_grant(&t, SHM_GRANT_LARGE, 3 << 20), MMGC_E_OK);
    struct shm_grant *run = shm_mutator_ring(t.m, SHM_GRANT_LARGE);
    ck_assert_uint_ge(8 * (uint64_t)run->granules, 3 << 20);
    memset(c.arena + 8 * (uint64_t)run->start, 0, 8 * (size_t)run->granules);
}
END_TEST

START_TEST(no_thread_is_given_all_that_is_free)
{
    struct raw_thread other;

    raw_attach(&other, &c, "two");
    ck_assert_int_eq(raw_grant(&t, SHM_GRANT_BLOCKS, UINT64_MAX), MMGC_E_OK);
    ck_assert_uint_le(ring_bytes(SHM_GRANT_BLOCKS, 0), HEAP_BYTES / 2);
    ck_assert_int_eq(raw_grant(&other, SHM_GRANT_BLOCKS, 65536), MMGC_E_OK);
}
END_TEST

START_TEST(a_full_heap_is_collected_and_then_an_error)
{
    enum mmgc_error code;
    int grants = 0;

    raw_enter(&t);
    raw_leave(&t);
    while ((code = raw_grant(&t, SHM_GRANT_LARGE, 1 << 20)) == MMGC_E_OK && grants++ < 100)
        take_all(SHM_GRANT_LARGE); /* each is taken and never filled: garbage of the next collection but one */
    ck_assert_msg(grants > 100 || code == MMGC_E_NOMEM, "%s", mmgc_error_name(code));
    ck_assert_uint_gt(at_load_acquire(&c.control->collections), 0);
}
END_TEST

START_TEST(what_nobody_takes_stays_its_owners)
{
    enum mmgc_error code = MMGC_E_OK;

    for (int i = 0; i < 10000 && code == MMGC_E_OK; i++)
        code = raw_grant(&t, SHM_GRANT_BLOCKS, 1 << 20);
    ck_assert_msg(code == MMGC_E_NOMEM || code == MMGC_E_LIMIT, "%s", mmgc_error_name(code));
    ck_assert_int_eq(raw_detach(&t), MMGC_E_OK); /* and goes back when it goes */
    raw_attach(&t, &c, "again");
    ck_assert_int_eq(raw_grant(&t, SHM_GRANT_BLOCKS, 1 << 20), MMGC_E_OK);
}
END_TEST

START_TEST(a_reservation_is_all_or_an_error)
{
    RAW(grant, GRANT, grant);

    grant_body.thread = t.id;
    grant_body.grant_class = SHM_GRANT_BLOCKS;
    grant_body.bytes = 4 << 20;
    grant_body.reserve = true;
    grant_body.mail_serial = ++t.mail_serial;
    raw_send(&c, &grant);
    ck_assert_int_eq(raw_grant_wait(&t, SHM_GRANT_BLOCKS), MMGC_E_OK);
    ck_assert_uint_ge(ring_bytes(SHM_GRANT_BLOCKS, 0), 4 << 20);
    grant_body.bytes = HEAP_BYTES;
    grant_body.mail_serial = ++t.mail_serial;
    raw_send(&c, &grant);
    ck_assert_int_eq(raw_grant_wait(&t, SHM_GRANT_BLOCKS), MMGC_E_RESERVE);
    grant_body.bytes = UINT64_MAX;
    grant_body.mail_serial = ++t.mail_serial;
    raw_send(&c, &grant);
    ck_assert_int_eq(raw_grant_wait(&t, SHM_GRANT_BLOCKS), MMGC_E_RESERVE);
}
END_TEST

static bool await_committer(pid_t not )
{
    for (int tick = 0; tick < 5000; tick++, usleep(1000))
        if (daemon_committer_pid(d) > 0 && daemon_committer_pid(d) != not )
            return true;
    return false;
}

START_TEST(a_killed_committer_is_replaced)
{
    pid_t first = daemon_committer_pid(d);

    ck_assert_int_gt(first, 0);
    ck_assert_int_eq(raw_grant(&t, SHM_GRANT_LARGE, 2 << 20), MMGC_E_OK);
    kill(first, SIGKILL);
    ck_assert(await_committer(first));
    enum mmgc_error code = raw_grant(&t, SHM_GRANT_LARGE, 2 << 20);
    for (int i = 0; i < 30 && code == MMGC_E_SYSTEM_NOMEM; i++) { /* it was killed over a commit: the next one is a second away */
        usleep(100000);
        code = raw_grant(&t, SHM_GRANT_LARGE, 2 << 20);
    }
    ck_assert_int_eq(code, MMGC_E_OK);
}
END_TEST

/* Stopped, so that a commit is surely under way when it is killed. */
START_TEST(who_waits_for_a_killed_committer_gets_an_answer)
{
    pid_t first = daemon_committer_pid(d);
    enum mmgc_error code = MMGC_E_OK;

    ck_assert_int_eq(raw_grant(&t, SHM_GRANT_LARGE, 2 << 20), MMGC_E_OK);
    take_all(SHM_GRANT_LARGE);
    kill(first, SIGSTOP);
    raw_grant_send(&t, SHM_GRANT_LARGE, 12 << 20); /* more than is committed ahead */
    raw_ping(&c); /* answered after that request has been dealt with: the commit is asked for */
    kill(first, SIGKILL);
    code = raw_grant_wait(&t, SHM_GRANT_LARGE);
    ck_assert_msg(code == MMGC_E_SYSTEM_NOMEM, "%s", mmgc_error_name(code));
    ck_assert(await_committer(first));
    usleep(1100000); /* it does not ask again at once */
    ck_assert_int_eq(raw_grant(&t, SHM_GRANT_LARGE, 10 << 20), MMGC_E_OK);
}
END_TEST

START_TEST(the_committer_volunteers_for_the_oom_killer)
{
    char path[64], text[16] = "";

    for (int tick = 0; tick < 1000 && strcmp(text, "1000\n") != 0; tick++, usleep(1000)) {
        snprintf(path, sizeof(path), "/proc/%d/oom_score_adj", (int)daemon_committer_pid(d));
        FILE *file = fopen(path, "re");
        ck_assert_ptr_nonnull(file);
        ck_assert_ptr_nonnull(fgets(text, sizeof(text), file));
        fclose(file);
    }
    ck_assert_str_eq(text, "1000\n");
}
END_TEST

/* Where this test could have done that, too. */
START_TEST(the_daemon_is_to_be_killed_last)
{
    char path[64], text[16] = "";
    int status;
    pid_t pid = fork();

    if (pid == 0) {
        FILE *own = fopen("/proc/self/oom_score_adj", "we");
        _exit(own != NULL && fputs("-900", own) >= 0 && fclose(own) == 0 ? 0 : 1);
    }
    ck_assert_int_eq(waitpid(pid, &status, 0), pid);
    snprintf(path, sizeof(path), "/proc/%d/oom_score_adj", (int)daemon_pid(d));
    FILE *file = fopen(path, "re");
    ck_assert_ptr_nonnull(file);
    ck_assert_ptr_nonnull(fgets(text, sizeof(text), file));
    fclose(file);
    ck_assert_str_eq(text, WIFEXITED(status) && WEXITSTATUS(status) == 0 ? "-900\n" : "0\n");
}
END_TEST

static Suite *grants_suite(void)
{
    Suite *suite = suite_create("grants");
    TCase *grants = tcase_create("grants"), *committer = tcase_create("committer");

    tcase_add_checked_fixture(grants, set_up, tear_down);
    tcase_add_test(grants, grants_are_published_before_they_are_answered);
    tcase_add_test(grants, what_was_granted_can_be_written_to);
    tcase_add_test(grants, no_thread_is_given_all_that_is_free);
    tcase_add_test(grants, a_full_heap_is_collected_and_then_an_error);
    tcase_add_test(grants, what_nobody_takes_stays_its_owners);
    tcase_add_test(grants, a_reservation_is_all_or_an_error);
    suite_add_tcase(suite, grants);
    tcase_add_checked_fixture(committer, set_up, tear_down);
    tcase_add_test(committer, a_killed_committer_is_replaced);
    tcase_add_test(committer, who_waits_for_a_killed_committer_gets_an_answer);
    tcase_add_test(committer, the_committer_volunteers_for_the_oom_killer);
    tcase_add_test(committer, the_daemon_is_to_be_killed_last);
    suite_add_tcase(suite, committer);
    return suite;
}

int main(int argc, char **argv)
{
    return runner_main(argc, argv, grants_suite);
}
