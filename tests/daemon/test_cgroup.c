/* SPDX-License-Identifier: Apache-2.0 */
/* Under a memory cgroup: out of memory is an answer; whose pages are charged to whom; who is killed. Where no cgroup can be made, the cases say so
 * and are left out. */
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "shm/units.h"
#include "tests/daemon/memory.h"
#include "tests/support/runner.h"

#define SECOND_NS UINT64_C(1000000000)
#define V1 "/sys/fs/cgroup/memory"
#define V2 "/sys/fs/cgroup"

/* ---- a group of our own ---- */

static struct {
    char above[512], folder[600];
    const char *limit, *usage;
} group;

static bool put(const char *folder, const char *name, const char *text)
{
    char path[700];

    snprintf(path, sizeof(path), "%s/%s", folder, name);
    int fd = open(path, O_WRONLY | O_CLOEXEC);
    bool done = fd >= 0 && write(fd, text, strlen(text)) == (ssize_t)strlen(text);
    if (fd >= 0)
        close(fd);
    return done;
}

/* Where this process is, by /proc/self/cgroup, in the version that has the memory controller. */
static bool find_above(void)
{
    char line[512];
    FILE *lines = fopen("/proc/self/cgroup", "re");

    group.above[0] = '\0';
    while (lines != NULL && fgets(line, sizeof(line), lines) != NULL) {
        char *controllers = strchr(line, ':'),
             *path = controllers == NULL ? NULL : strchr(controllers + 1, ':');
        if (path == NULL)
            continue;
        path[strcspn(path, "\n")] = '\0';
        *path++ = '\0';
        if (strcmp(controllers, ":memory") == 0) {
            snprintf(group.above, sizeof(group.above), V1 "%s", path);
            group.limit = "memory.limit_in_bytes";
            group.usage = "memory.usage_in_bytes";
            break;
        }
        if (strcmp(controllers, ":") == 0 && access(V2 "/cgroup.controllers", F_OK) == 0) {
            snprintf(group.above, sizeof(group.above), V2 "%s", path);
            group.limit = "memory.max";
            group.usage = "memory.current";
        }
    }
    if (lines != NULL)
        fclose(lines);
    if (group.above[0] != '\0' && access(group.above, F_OK) < 0) /* a container that sees its own as the root */
        snprintf(group.above, sizeof(group.above), "%s", group.limit[7] == 'l' ? V1 : V2);
    return group.above[0] != '\0';
}

static bool group_make(uint64_t bytes)
{
    char text[32];

    group.folder[0] = '\0';
    if (!find_above())
        return false;
    (void)put(group.above, "cgroup.subtree_control", "+memory"); /* version 2 */
    snprintf(group.folder, sizeof(group.folder), "%s/mmgcd-test-%d", group.above, (int)getpid());
    snprintf(text, sizeof(text), "%llu", (unsigned long long)bytes);
    if (mkdir(group.folder, 0755) == 0 && put(group.folder, group.limit, text))
        return true;
    fprintf(stderr, "# left out: no memory cgroup can be made in %s: %s\n", group.above,
            strerror(errno));
    (void)rmdir(group.folder);
    group.folder[0] = '\0';
    return false;
}

static void enter(const char *folder)
{
    char text[16];

    snprintf(text, sizeof(text), "%d", (int)getpid());
    ck_assert_msg(put(folder, "cgroup.procs", text), "%s: %s", folder, strerror(errno));
}

static void group_drop(void)
{
    for (int tick = 0; group.folder[0] != '\0' && rmdir(group.folder) < 0 && tick < 2000; tick++)
        usleep(5000);
    ck_assert(group.folder[0] == '\0' || access(group.folder, F_OK) < 0);
}

/* ---- cases ---- */

static void check_daemon(void)
{
    ck_assert_int_eq(waitpid(daemon_pid(memory.daemon), NULL, WNOHANG), 0);
}

static char *keep_a_pattern(void)
{
    ck_assert_int_eq(memory_keep("kept", 3 * MIB), MMGC_E_OK);
    char *bytes = memory_bytes_of(memory_newest_run()) + 8;
    memset(bytes, 0x6b, 3 * MIB - 64);
    return bytes;
}

static void check_pattern(const char *bytes)
{
    for (uint64_t at = 0; at < 3 * MIB - 64; at++)
        if (bytes[at] != 0x6b)
            ck_abort_msg("byte %llu", (unsigned long long)at);
}

/* Objects that stay, until there is no memory: how many MiB. */
static unsigned keep_all(enum mmgc_error *ret_code)
{
    unsigned n = 0;
    char called[16];

    do {
        snprintf(called, sizeof(called), "k%u", n);
        *ret_code = memory_keep(called, 2 * MIB);
        n += *ret_code == MMGC_E_OK;
    } while (*ret_code == MMGC_E_OK && n < 1000);
    return 2 * n;
}

static void drop_all(unsigned mib)
{
    char called[16];

    for (unsigned i = 0; i < mib / 2; i++) {
        snprintf(called, sizeof(called), "k%u", i);
        memory_name(called, 0);
    }
}

START_TEST(a_daemon_at_its_limit_answers_with_an_error_and_goes_on)
{
    enum mmgc_error code;

    if (!group_make(160 * MIB))
        return;
    enter(group.folder);
    memory_open(512 * MIB, NULL);
    enter(group.above);
    pid_t committer = daemon_committer_pid(memory.daemon);
    char *kept = keep_a_pattern();
    unsigned mib = keep_all(&code);
    check_daemon();
    ck_assert_msg(code == MMGC_E_SYSTEM_NOMEM, "%s after %u MiB", mmgc_error_name(code), mib);
    ck_assert_uint_ge(mib, 40);
    ck_assert_uint_le(mib, 160);
    ck_assert_int_eq(daemon_committer_pid(memory.daemon),
                     committer); /* it was asked for no more than there was */
    check_pattern(kept);
    drop_all(mib);
    memory_collect();
    for (int tick = 0; (code = memory_waste(&memory.thread, 8 * MIB)) != MMGC_E_OK && tick < 100; tick++)
        usleep(100000); /* none is tried for a second */
    ck_assert_msg(code == MMGC_E_OK, "%s though all was dropped", mmgc_error_name(code));
    check_pattern(kept);
    memory_close();
    group_drop();
}
END_TEST

/* The daemon's own group has no limit, so it sees headroom, and its committer's is killed for believing it. */
START_TEST(a_committer_that_the_system_kills_is_an_error_and_comes_back)
{
    char text[16];
    enum mmgc_error code = MMGC_E_OK;

    if (!group_make(40 * MIB))
        return;
    memory_open(512 * MIB, NULL);
    char *kept = keep_a_pattern();
    usleep(100000);
    pid_t committer = daemon_committer_pid(memory.daemon);
    snprintf(text, sizeof(text), "%d", (int)committer);
    ck_assert(put(group.folder, "cgroup.procs", text));
    unsigned mib = keep_all(&code);
    check_daemon(); /* killed while it committed ahead, nobody need have waited: then the next one has filled the heap */
    ck_assert_msg(code == MMGC_E_SYSTEM_NOMEM || code == MMGC_E_NOMEM, "%s after %u MiB",
                  mmgc_error_name(code), mib);
    ck_assert_int_ne(daemon_committer_pid(memory.daemon), committer);
    check_pattern(kept);
    drop_all(mib);
    memory_collect();
    for (int tick = 0; (code = memory_waste(&memory.thread, 100 * MIB)) != MMGC_E_OK && tick < 100;
         tick++)
        usleep(100000);
    ck_assert_msg(code == MMGC_E_OK, "%s though another committer is there", mmgc_error_name(code));
    check_pattern(kept);
    memory_close();
    group_drop();
}
END_TEST

/* Whether this machine let the daemon be the last one: -900 takes CAP_SYS_RESOURCE. */
static bool is_last(pid_t pid)
{
    char path[64];
    int score = 0;

    snprintf(path, sizeof(path), "/proc/%d/oom_score_adj", (int)pid);
    FILE *file = fopen(path, "re");
    if (file != NULL && fscanf(file, "%d", &score) != 1)
        score = 0;
    if (file != NULL)
        fclose(file);
    return score < 0;
}

/* Beside the daemon, in its group: takes what there is and more. */
static pid_t start_hog(void)
{
    pid_t pid = fork();

    if (pid != 0)
        return pid;
    (void)prctl(PR_SET_PDEATHSIG, SIGKILL);
    enter(group.folder);
    (void)put("/proc/self", "oom_score_adj", "500"); /* after the committer, before everybody else */
    for (;;) {
        char *more = mmap(NULL, MIB, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
        if (more != MAP_FAILED)
            memset(more, 1, MIB);
        usleep(3000);
    }
}

START_TEST(when_the_system_kills_it_kills_the_committer_and_not_the_daemon)
{
    uint64_t begun_ns = mm_now_ns();
    unsigned refused = 0;

    if (!group_make(160 * MIB))
        return;
    enter(group.folder);
    memory_open(512 * MIB, NULL);
    enter(group.above);
    if (!is_last(daemon_pid(memory.daemon))) {
        fprintf(stderr, "# left out: nobody here may tell the kernel whom to kill last\n");
        memory_close();
        group_drop();
        return;
    }
    char *kept = keep_a_pattern();
    pid_t hog = start_hog();
    while (mm_now_ns() - begun_ns < 6 * SECOND_NS) {
        enum mmgc_error code;
        unsigned mib = keep_all(&code);
        ck_assert_msg(code == MMGC_E_SYSTEM_NOMEM || code == MMGC_E_NOMEM, "%s", mmgc_error_name(code));
        refused++;
        check_daemon();
        check_pattern(kept);
        drop_all(mib);
        memory_collect();
        if (waitpid(hog, NULL, WNOHANG) == hog)
            hog = start_hog();
        usleep(300000); /* what was dropped goes back, and the hog has it */
    }
    (void)kill(hog, SIGKILL);
    ck_assert_int_eq(waitpid(hog, NULL, 0), hog);
    enum mmgc_error code = MMGC_E_OK;
    for (int tick = 0; (code = memory_waste(&memory.thread, 8 * MIB)) != MMGC_E_OK && tick < 100; tick++)
        usleep(100000);
    ck_assert_msg(code == MMGC_E_OK, "%s though the hog is gone", mmgc_error_name(code));
    check_daemon();
    check_pattern(kept);
    fprintf(stderr, "# %u requests were refused\n", refused);
    memory_close();
    group_drop();
}
END_TEST

/* What the committer touched first is the daemon's to pay for. */
START_TEST(a_client_under_a_small_limit_may_use_a_large_heap)
{
    int status;

    if (!group_make(24 * MIB))
        return;
    memory_open(256 * MIB, NULL);
    char *kept = keep_a_pattern();
    pid_t client = fork();
    if (client == 0) {
        struct raw c = { 0 };
        struct raw_thread thread;
        (void)prctl(PR_SET_PDEATHSIG, SIGKILL);
        enter(group.folder);
        raw_start(&c, memory.daemon, "small");
        raw_open(&c, "h", 0);
        raw_attach(&thread, &c, "one");
        for (int i = 0; i < 16; i++) {
            if (memory_waste(&thread, 6 * MIB) != MMGC_E_OK)
                _exit(3);
            struct shm_grant run = shm_mutator_ring(
                thread.m,
                SHM_GRANT_LARGE)[(at_load_acquire(&thread.m->mail[SHM_GRANT_LARGE].published) - 1) %
                                 shm_ring_capacity(SHM_GRANT_LARGE)];
            memset(c.arena + ((size_t)run.start << MM_GRANULE_LOG) + 8, 0x33, 6 * MIB - 64);
        }
        _exit(0);
    }
    ck_assert_int_eq(waitpid(client, &status, 0), client);
    ck_assert_msg(WIFEXITED(status) && WEXITSTATUS(status) == 0, "wait status %#x", (unsigned)status);
    check_daemon();
    check_pattern(kept);
    memory_close();
    group_drop();
}
END_TEST

/* What he touches that nobody was granted is his to pay for: his group's limit kills him, nobody else, and his pages go back. */
START_TEST(who_reads_what_was_not_granted_pays_for_it)
{
    int status;
    uint64_t begun_ns = mm_now_ns();

    if (!group_make(24 * MIB))
        return;
    memory_open(256 * MIB, NULL);
    char *kept = keep_a_pattern();
    pid_t reader = fork();
    if (reader == 0) {
        struct raw c = { .read_only = true };
        (void)prctl(PR_SET_PDEATHSIG, SIGKILL);
        enter(group.folder);
        raw_start(&c, memory.daemon, "reader");
        raw_open(&c, "h", 0);
        for (size_t at = 0; at < c.arena_bytes; at += MM_PAGE_BYTES)
            (void)*(volatile const char *)(c.arena + at);
        _exit(0);
    }
    ck_assert_int_eq(waitpid(reader, &status, 0), reader);
    bool killed = WIFSIGNALED(status) && (WTERMSIG(status) == SIGKILL || WTERMSIG(status) == SIGBUS);
    ck_assert_msg(killed, "wait status %#x", (unsigned)status);
    check_daemon();
    while (memory_sizes().resident > memory_sizes().committed && mm_now_ns() - begun_ns < 15 * SECOND_NS)
        usleep(20000);
    ck_assert_uint_le(memory_sizes().resident, memory_sizes().committed);
    check_pattern(kept);
    ck_assert_int_eq(memory_waste(&memory.thread, 8 * MIB), MMGC_E_OK);
    memory_close();
    group_drop();
}
END_TEST

static Suite *cgroup_suite(void)
{
    Suite *suite = suite_create("cgroup");
    TCase *groups = tcase_create("cgroup");

    tcase_set_timeout(groups, 90);
    tcase_add_test(groups, a_daemon_at_its_limit_answers_with_an_error_and_goes_on);
    tcase_add_test(groups, a_committer_that_the_system_kills_is_an_error_and_comes_back);
    tcase_add_test(groups, when_the_system_kills_it_kills_the_committer_and_not_the_daemon);
#if !defined(__SANITIZE_THREAD__) /* whose own memory would be over the limit */
    tcase_add_test(groups, a_client_under_a_small_limit_may_use_a_large_heap);
#endif
    tcase_add_test(groups, who_reads_what_was_not_granted_pays_for_it);
    suite_add_tcase(suite, groups);
    return suite;
}

int main(int argc, char **argv)
{
    return runner_main(argc, argv, cgroup_suite);
}
