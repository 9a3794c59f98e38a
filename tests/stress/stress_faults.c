/* SPDX-License-Identifier: Apache-2.0 */
/* stress_faults: every allocation and every system call of a daemon fails in turn, and nothing is lost. The asker does all that a client can
 * do, in steps; the bystander has a heap of its own and a session that lives as long as the daemon. One call of the daemon's fails meanwhile, or
 * all of them do for a while. Then: the daemon lives; whoever asked has its answer or a code of mmgc, and asked again has its answer; the
 * bystander's session and both heaps are whole; the daemon has as many descriptors as before.
 *   MMGC_FAULTS_EVERY=1   each call fails once in each of its ways; by default some of each kind, spread over the run
 *   MMGC_FAULTS_KIND=mmap   these alone, and each point is named as it is tried
 *   The daemon is another process with tests/support/faults_preload.c in front of its C library (tests/support/faults.h)       */
#include <fcntl.h>
#include <inttypes.h>
#include <mmgc/mmgc.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include "proto/packet.h"
#include "shm/base.h"
#include "tests/stress/fault_user.h"
#include "tests/support/daemon.h"
#include "tests/support/faults.h"
#include "tests/support/inspect.h"
#include "tests/support/stress.h"

#define OWN "own"
#define POINTS_A_WAY 12u /* of each kind, by default */
#define RECOVERY_S 4.0   /* after a failed commit none is tried for a second */
#define STORM_NS UINT64_C(50000000)
#define STORMS 4u /* of each kind */
#define START_LIMIT_S 20.0
#define COMMITTER_S \
    20.0 /* until another has come: half a second, on a machine that does nothing else */
#define STARTS_A_WAY 6u
#define POOL_THREADS 4u /* libuv's */
#define CASE_LIMIT_S 150.0

static const struct fault_row rows[] = FAULT_ROWS;
static struct faults *faults;
static struct daemon *d;

/* ---- the run ------------------------------------------------------------------------------------------------------ */

/* What a daemon may say that was refused something by its system. */
static bool is_plausible(int code)
{
    switch (code) {
    case MMGC_E_NOMEM:
    case MMGC_E_SYSTEM_NOMEM:
    case MMGC_E_RESERVE: /* no memory, in words of its own */
    case MMGC_E_LIMIT:
    case MMGC_E_SYSTEM:
    case MMGC_E_STALLED: /* a collection that did not come about */
    case MMGC_E_DISCONNECTED: return true;
    default: return false;
    }
}

static bool connection_is_lost(const struct user *u)
{
    return u->client == NULL || mmgc_ping(u->client) != MMGC_OK ||
           (u->heap != NULL && mmgc_type_bytes(u->heap, &(mmgc_type){ 0 }) == MMGC_E_DISCONNECTED);
}

static void check_daemon(void)
{
    int status;
    if (waitpid(daemon_pid(d), &status, WNOHANG) == daemon_pid(d))
        ck_abort_msg("%s: the daemon has died: wait status %#x, the last failed call was made at %#" PRIx64,
                     fault_doing, (unsigned)status, (uint64_t)faults->last_caller);
}

static unsigned refusals; /* answers that were a code, all told */

/* One step until it is done. False: the connection is lost, and the steps before it have to be done again. */
static bool step_run(const struct step *step, struct user *u, bool may_be_lost)
{
    for (uint64_t begun_ns = mm_now_ns();;) {
        fault_doing = step->name;
        int code = step->run(u);
        check_daemon();
        if (code == MMGC_OK)
            return true;
        refusals++;
        ck_assert_msg(is_plausible(code), "%s says %s (%s)", step->name,
                      mmgc_error_name((enum mmgc_error)code), mmgc_error_detail());
        bool lost = code == MMGC_E_DISCONNECTED && step->run != do_inspect &&
                    (step->run == do_connect || connection_is_lost(u));
        ck_assert_msg(!lost || may_be_lost,
                      "%s: the connection of one who had no part in it is lost", step->name);
        if (lost)
            return false;
        ck_assert_msg(mm_now_ns() - begun_ns < (uint64_t)(RECOVERY_S * 1e9),
                      "%s: still %s (%s) when the fault is over", step->name,
                      mmgc_error_name((enum mmgc_error)code), mmgc_error_detail());
        usleep(2000);
    }
}

static struct user asker, bystander;

static void run_asker(void)
{
    unsigned lost = 0;
    for (size_t i = 0; i < asker_step_count; i++) {
        if (step_run(&asker_steps[i], &asker, true))
            continue;
        ck_assert_msg(++lost < 20, "%s: the connection is lost again and again", fault_doing);
        user_leave(&asker);
        i = asker_steps[i].run == do_destroy ? i - 1 : (size_t)-1;
        usleep(2000);
    }
}

static void run_bystander(void)
{
    for (size_t i = 0; i < bystander_step_count; i++)
        (void)step_run(&bystander_steps[i], &bystander, false);
}

/* Otherwise nobody starts a process. */
static bool committer_dies;

static void replace_committer(void)
{
    pid_t old = daemon_committer_pid(d);

    fault_doing = "the committer's death";
    ck_assert_int_gt(old, 0);
    ck_assert_int_eq(kill(old, SIGKILL), 0);
    for (uint64_t begun_ns = mm_now_ns();
         daemon_committer_pid(d) == old || daemon_committer_pid(d) <= 0; usleep(2000)) {
        check_daemon();
        ck_assert_msg(mm_now_ns() - begun_ns < (uint64_t)(COMMITTER_S * 1e9),
                      "no other committer has come");
    }
}

static void run_all(void)
{
    if (committer_dies)
        replace_committer();
    run_bystander();
    run_asker();
    run_bystander();
}

/* ---- the daemon --------------------------------------------------------------------------------------------------- */

static char faults_path[64];

static void make_faults(void)
{
    snprintf(faults_path, sizeof(faults_path), "/tmp/mmgc-faults-XXXXXX");
    int fd = mkstemp(faults_path);
    ck_assert_int_ge(fd, 0);
    ck_assert_int_eq(ftruncate(fd, sizeof(*faults)), 0);
    faults = mmap(NULL, sizeof(*faults), PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
    ck_assert_ptr_ne(faults, MAP_FAILED);
    close(fd);
}

static void drop_faults(void)
{
    munmap(faults, sizeof(*faults));
    (void)unlink(faults_path);
}

static void preload(bool on)
{
    const char *root = getenv("MMGC_BUILD_ROOT");
    char path[4096];

    snprintf(path, sizeof(path), "%s/tests/support/libfaults_preload.so", root == NULL ? "build" : root);
    ck_assert_msg(access(path, R_OK) == 0, "%s is not there", path);
    if (on) {
        ck_assert_int_eq(setenv("LD_PRELOAD", path, 1), 0);
        ck_assert_int_eq(setenv(FAULTS_VARIABLE, faults_path, 1), 0);
    } else {
        (void)unsetenv("LD_PRELOAD");
        (void)unsetenv(FAULTS_VARIABLE);
    }
}

static void disarm(void)
{
    atomic_store_explicit(&faults->mode, FAULTS_OFF, memory_order_release);
}

static void arm(enum fault_mode mode, uint32_t kind, uint32_t way, uint64_t at)
{
    disarm();
    faults->kind = kind;
    faults->way = way;
    faults->at = at;
    faults->until_ns = mm_now_ns() + STORM_NS;
    for (size_t i = 0; i < FAULT_KIND_COUNT; i++)
        atomic_store_explicit(&faults->calls[i], 0, memory_order_relaxed);
    atomic_store_explicit(&faults->failed, 0, memory_order_relaxed);
    atomic_store_explicit(&faults->mode, mode, memory_order_release);
}

static int usual_fds;

static void set_up(void)
{
    make_faults();
    preload(true);
    d = daemon_start("[daemon]\nthreads = 2\nstop_deadline = 10s\n[heap]\nplan = immix\n");
    preload(false);
    fault_socket = daemon_socket(d);
    asker = (struct user){ 0 };
    user_prepare(&bystander, OWN);
    run_all(); /* what is made once is made */
    usleep(300000);
    usual_fds = daemon_fd_count(d);
}

static void tear_down(void)
{
    user_leave(&asker);
    user_leave(&bystander);
    daemon_stop(d);
    drop_faults();
}

/* Nothing fails any more: all is as it was, and works. */
static void check_aftermath(const char *point)
{
    struct inspect look;

    fault_doing = point;
    inspect_open(&look, daemon_socket(d));
    inspect_verify(&look, OWN);
    inspect_close(&look);
    ck_assert_msg(daemon_await_fds(d, usual_fds), "%s: the daemon has %d descriptors, before it had %d",
                  point, daemon_fd_count(d), usual_fds);
}

static bool every(void)
{
    const char *value = getenv("MMGC_FAULTS_EVERY");

    return value != NULL && value[0] != '\0' && value[0] != '0';
}

/* ---- cases -------------------------------------------------------------------------------------------------------- */

static unsigned ways_of(enum fault_kind kind)
{
    unsigned ways = 0;

    while (ways < FAULT_WAYS_MAX && rows[kind].ways[ways] != 0)
        ways++;
    return ways;
}

static bool try_point(enum fault_kind kind, unsigned way, uint64_t at)
{
    char point[96];

    snprintf(point, sizeof(point), "%s number %" PRIu64 " fails with %s", rows[kind].name, at,
             strerrorname_np(rows[kind].ways[way]));
    if (getenv("MMGC_FAULTS_KIND") != NULL)
        fprintf(stderr, "# %s\n", point);
    arm(FAULTS_ONE, kind, way, at);
    run_all();
    bool hit = faults->failed > 0;
    disarm();
    check_aftermath(point);
    return hit;
}

START_TEST(whichever_call_fails_the_daemon_lives_and_nothing_is_lost)
{
    enum fault_kind kind = (enum fault_kind)_i;
    unsigned tried = 0, hit = 0;

    committer_dies = kind == FAULT_SPAWN || kind == FAULT_SOCKETPAIR;
    arm(FAULTS_COUNT, 0, 0, 0);
    run_all();
    disarm();
    uint64_t calls = faults->calls[kind];
    uint64_t points = every() ? calls : MM_MIN(calls, (uint64_t)POINTS_A_WAY);
    for (unsigned way = 0; way < ways_of(kind); way++)
        for (uint64_t i = 0; i < points; i++, tried++) /* each way somewhere else */
            hit += try_point(kind, way,
                             1 + (i * calls + way * calls / ways_of(kind) / 2) / points % calls);
    fprintf(stderr, "# %s: %" PRIu64 " calls, %u points tried, %u met, %u refusals\n",
            rows[kind].name, calls, tried, hit, refusals);
}
END_TEST

/* What fails together when something is short. */
#define BIT(kind) (UINT64_C(1) << FAULT_##kind)
#define ALL_KINDS ((UINT64_C(1) << FAULT_KIND_COUNT) - 1)
static const struct {
    const char *name;
    uint64_t kinds;
} shortages[] = {
    { "malloc() and its kin", BIT(MALLOC) | BIT(CALLOC) | BIT(REALLOC) | BIT(STRDUP) | BIT(MEMALIGN) },
    { "memory", BIT(MALLOC) | BIT(CALLOC) | BIT(REALLOC) | BIT(STRDUP) | BIT(MEMALIGN) | BIT(MMAP) |
                    BIT(MPROTECT) | BIT(MADVISE) | BIT(FOPEN) | BIT(FSTAT) | BIT(FALLOCATE) |
                    BIT(THREAD) | BIT(SPAWN) },
    { "file descriptors", BIT(MEMFD) | BIT(OPEN) | BIT(FOPEN) | BIT(ACCEPT) | BIT(SOCKETPAIR) |
                              BIT(SOCKET) | BIT(GETSOCKOPT) | BIT(EVENTFD) | BIT(PIPE) },
    { "the kernel's own memory", BIT(SENDMSG) | BIT(RECVMSG) | BIT(ACCEPT) | BIT(EPOLL_CTL) |
                                     BIT(BARRIER) | BIT(MADVISE) | BIT(MMAP) },
    { "all but what is waited for", ALL_KINDS & ~BIT(EPOLL_CTL) & ~BIT(SENDMSG) & ~BIT(BARRIER) },
    { "everything", ALL_KINDS },
};

static unsigned storms_of(uint64_t kinds, const char *name)
{
    char point[96];
    unsigned met = 0;

    for (unsigned i = 0; i < stress_count(STORMS); i++) {
        snprintf(point, sizeof(point), "storm %u of %s", i, name);
        arm(FAULTS_ALL, 0, 0, 0);
        atomic_store_explicit(&faults->mode, FAULTS_OFF, memory_order_relaxed);
        faults->kinds = kinds;
        faults->until_ns += i * UINT64_C(7000000);
        atomic_store_explicit(&faults->mode, FAULTS_ALL, memory_order_release);
        run_all();
        disarm();
        met += faults->failed > 0;
        check_aftermath(point);
    }
    return met;
}

START_TEST(what_is_out_for_a_moment_loses_nothing)
{
    unsigned met = 0, before = refusals;
    const char *name;

    committer_dies = _i == FAULT_SPAWN || _i == FAULT_SOCKETPAIR;
    if (_i < FAULT_KIND_COUNT)
        met = storms_of(UINT64_C(1) << _i, name = rows[_i].name);
    else
        met = storms_of(shortages[_i - FAULT_KIND_COUNT].kinds,
                        name = shortages[_i - FAULT_KIND_COUNT].name);
    fprintf(stderr, "# %s: %u storms met, %u refusals\n", name, met, refusals - before);
}
END_TEST

/* ---- the start ---------------------------------------------------------------------------------------------------- */

struct start {
    char directory[64], socket[96], log[96];
    pid_t pid;
};

static void start_begin(struct start *s)
{
    snprintf(s->directory, sizeof(s->directory), "/tmp/mmgcd-start-XXXXXX");
    ck_assert_ptr_nonnull(mkdtemp(s->directory));
    snprintf(s->socket, sizeof(s->socket), "%s/sock", s->directory);
    snprintf(s->log, sizeof(s->log), "%s/log", s->directory);
    preload(true);
    s->pid = fork();
    if (s->pid == 0) {
        int log = open(s->log, O_WRONLY | O_CREAT | O_APPEND, 0600);
        (void)prctl(PR_SET_PDEATHSIG, SIGKILL);
        (void)dup2(log, STDOUT_FILENO);
        (void)dup2(log, STDERR_FILENO);
        execl(daemon_program(), "mmgcd", "--foreground", "--socket", s->socket, "--threads", "2",
              (char *)NULL);
        _exit(127);
    }
    preload(false);
    ck_assert_int_gt(s->pid, 0);
}

/* True: it answers. False: it has ended, *ret_status. */
static bool start_await(const struct start *s, int *ret_status)
{
    for (uint64_t begun_ns = mm_now_ns(); mm_now_ns() - begun_ns < (uint64_t)(START_LIMIT_S * 1e9);
         usleep(1000)) {
        int sock = packet_connect(s->socket);
        bool answers = sock >= 0 && fault_hello(sock, 1) == MMGC_OK;
        if (sock >= 0)
            close(sock);
        if (answers)
            return true;
        if (waitpid(s->pid, ret_status, WNOHANG) == s->pid)
            return false;
    }
    ck_abort_msg("%s: neither does it start nor does it end", fault_doing);
}

/* True: it did start, and ends well when it is told to. False: it said why not, and with which status. */
static bool start_end(struct start *s)
{
    int status = 0;
    char text[512], command[160];
    bool started = start_await(s, &status);

    if (started) {
        disarm();
        kill(s->pid, SIGTERM);
        ck_assert_int_eq(waitpid(s->pid, &status, 0), s->pid);
        ck_assert_msg(WIFEXITED(status) && WEXITSTATUS(status) == 0,
                      "%s: it ended with wait status %#x", fault_doing, (unsigned)status);
    }
    int log = open(s->log, O_RDONLY);
    ssize_t got = log < 0 ? 0 : read(log, text, sizeof(text) - 1);
    if (log >= 0)
        close(log);
    text[got < 0 ? 0 : got] = '\0';
    ck_assert_msg(
        started || (WIFEXITED(status) && WEXITSTATUS(status) != 0 && strstr(text, "mmgcd: ") != NULL),
        "%s: it ended with wait status %#x, the last failed call made at %#" PRIx64 ", and said: %s",
        fault_doing, (unsigned)status, (uint64_t)faults->last_caller, text);
    snprintf(command, sizeof(command), "rm -rf '%s'", s->directory);
    ck_assert_int_eq(system(command), 0);
    return started;
}

/* libuv ends the process with no word for these: its pool's threads, its pipe. The daemon tries as many of its own just before. */
static bool start_excepts(enum fault_kind kind, uint64_t at, uint64_t calls)
{
    return (kind == FAULT_THREAD && at > calls - POOL_THREADS) || (kind == FAULT_PIPE && at == 2);
}

START_TEST(a_start_that_fails_says_why)
{
    enum fault_kind kind = (enum fault_kind)_i;
    struct start s;
    char point[96];
    unsigned tried = 0, began = 0;

    arm(FAULTS_COUNT, 0, 0, 0);
    start_begin(&s);
    ck_assert(start_end(&s));
    uint64_t calls = faults->calls[kind],
             points = every() ? calls : MM_MIN(calls, (uint64_t)STARTS_A_WAY);
    for (unsigned way = 0; way < ways_of(kind); way++)
        for (uint64_t i = 0; i < points; i++) {
            uint64_t at = 1 + (i * calls + way * calls / ways_of(kind) / 2) / points % calls;
            if (start_excepts(kind, at, calls))
                continue;
            snprintf(point, sizeof(point), "at the start %s number %" PRIu64 " fails with %s",
                     rows[kind].name, at, strerrorname_np(rows[kind].ways[way]));
            fault_doing = point;
            arm(FAULTS_ONE, kind, way, at);
            start_begin(&s);
            began += start_end(&s);
            disarm();
            tried++;
        }
    fprintf(stderr, "# start: %s: %" PRIu64 " calls, %u points tried, %u starts\n", rows[kind].name,
            calls, tried, began);
}
END_TEST

static Suite *make(void)
{
    Suite *suite = suite_create("faults");
    TCase *one = tcase_create("one call"), *storm = tcase_create("storm"),
          *start = tcase_create("start");
    const char *only = getenv("MMGC_FAULTS_KIND");
    int wanted = 0;

    tcase_add_checked_fixture(one, set_up, tear_down);
    tcase_set_timeout(one, every() ? 36000 : CASE_LIMIT_S);
    while (only != NULL && wanted < FAULT_KIND_COUNT && strcmp(only, rows[wanted].name) != 0)
        wanted++;
    tcase_add_loop_test(one, whichever_call_fails_the_daemon_lives_and_nothing_is_lost,
                        only == NULL ? 0 : wanted, only == NULL ? FAULT_KIND_COUNT : wanted + 1);
    suite_add_tcase(suite, one);
    tcase_add_checked_fixture(storm, set_up, tear_down);
    stress_limit(storm, CASE_LIMIT_S);
    tcase_add_loop_test(storm, what_is_out_for_a_moment_loses_nothing, only == NULL ? 0 : wanted,
                        only == NULL ? FAULT_KIND_COUNT + (int)MM_ARRAY_LEN(shortages) : wanted + 1);
    suite_add_tcase(suite, storm);
    tcase_add_checked_fixture(start, make_faults, drop_faults);
    tcase_set_timeout(start, every() ? 36000 : CASE_LIMIT_S);
    tcase_add_loop_test(start, a_start_that_fails_says_why, only == NULL ? 0 : wanted,
                        only == NULL ? FAULT_KIND_COUNT : wanted + 1);
    suite_add_tcase(suite, start);
    return suite;
}

int main(int argc, char **argv)
{
    return stress_main(argc, argv, make);
}
