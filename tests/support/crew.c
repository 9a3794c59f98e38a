/* SPDX-License-Identifier: Apache-2.0 */
#include "tests/support/crew.h"

#include <check.h>
#include <errno.h>
#include <mmgc/mmgc.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "shm/base.h"

#define TICK_US 200

static struct mate *self; /* in a mate's process: which it is */

void crew_sleep_us(uint64_t us)
{
    struct timespec left = { .tv_sec = (time_t)(us / 1000000), .tv_nsec = (long)(us % 1000000) * 1000 };
    while (nanosleep(&left, &left) < 0 && errno == EINTR)
        continue;
}

/* ---- the crew ------------------------------------------------------------------------------------------------------ */

void crew_init(struct crew *crew)
{
    crew->count = 0;
    crew->mates = mmap(NULL, CREW_MAX * sizeof(struct mate), PROT_READ | PROT_WRITE,
                       MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    ck_assert_ptr_ne(crew->mates, MAP_FAILED);
}

void crew_fini(struct crew *crew)
{
    for (uint32_t i = 0; i < crew->count; i++)
        if (crew->mates[i].pid > 0) {
            kill(crew->mates[i].pid, SIGKILL);
            waitpid(crew->mates[i].pid, NULL, 0);
        }
    munmap(crew->mates, CREW_MAX * sizeof(struct mate));
    *crew = (struct crew){ 0 };
}

static _Noreturn void be_mate(struct mate *mate, pid_t test, void (*run)(struct mate *, void *),
                              void *arg)
{
    prctl(PR_SET_PDEATHSIG, SIGKILL);
    if (getppid() != test)
        _exit(1);
    self = mate;
    run(mate, arg);
    exit(0); /* the library's own ends, destructors and leak checks belong to the test */
}

struct mate *crew_start(struct crew *crew, void (*run)(struct mate *, void *), void *arg)
{
    uint32_t i = 0;
    pid_t test = getpid();
    while (i < crew->count && crew->mates[i].pid > 0)
        i++;
    ck_assert_uint_lt(i, CREW_MAX);
    crew->count = MM_MAX(crew->count, i + 1);
    struct mate *mate = &crew->mates[i];
    memset(mate, 0, sizeof(*mate));
    mate->number = i;
    fflush(NULL);
    pid_t pid = fork();
    if (pid == 0) /* no ck_assert() in here: killed while it notes down that it holds, it would spoil Check's notes */
        be_mate(mate, test, run, arg);
    ck_assert_int_gt(pid, 0);
    mate->pid = pid;
    return mate;
}

/* ---- the test's side ----------------------------------------------------------------------------------------------- */

static void judge(struct mate *mate, int status)
{
    mate->pid = 0;
    if (WIFEXITED(status) && WEXITSTATUS(status) == 0)
        return;
    if (WIFSIGNALED(status))
        ck_abort_msg("client %u ended by signal %d: %s", mate->number, WTERMSIG(status), mate->report);
    ck_abort_msg("client %u: %s", mate->number,
                 mate->report[0] ? mate->report : "it ended badly and said nothing");
}

static bool has_ended(struct mate *mate, int *ret_status)
{
    pid_t pid;
    while ((pid = waitpid(mate->pid, ret_status, WNOHANG)) < 0 && errno == EINTR)
        continue;
    ck_assert_int_ge(pid, 0);
    return pid > 0;
}

static uint64_t deadline(double limit_s)
{
    const char *times = getenv("CK_TIMEOUT_MULTIPLIER"); /* slow builds get longer everywhere */
    double factor = times ? strtod(times, NULL) : 1;
    return mm_now_ns() + (uint64_t)(limit_s * (factor > 1 ? factor : 1) * 1e9);
}

int mate_wait_status(struct mate *mate, double limit_s)
{
    int status = 0;
    ck_assert_int_gt(mate->pid, 0);
    for (uint64_t end = deadline(limit_s); !has_ended(mate, &status); crew_sleep_us(TICK_US))
        if (mm_now_ns() > end)
            ck_abort_msg("client %u (pid %d) has not ended in %.0f s; it said %u, told %u",
                         mate->number, (int)mate->pid, limit_s, mate->said, mate->told);
    mate->pid = 0;
    return status;
}

void mate_join(struct mate *mate, double limit_s)
{
    if (mate->pid > 0)
        judge(mate, mate_wait_status(mate, limit_s));
}

void mate_check(struct mate *mate)
{
    int status;
    if (mate->pid > 0 && has_ended(mate, &status))
        judge(mate, status);
}

void mate_await(struct mate *mate, uint32_t said, double limit_s)
{
    for (uint64_t end = deadline(limit_s); at_load_acquire(&mate->said) < said;) {
        mate_check(mate);
        if (mate->pid == 0 && at_load_acquire(&mate->said) < said)
            ck_abort_msg("client %u ended after saying %u, not %u", mate->number, mate->said, said);
        if (mm_now_ns() > end)
            ck_abort_msg("client %u (pid %d) says %u, and not %u in %.0f s", mate->number,
                         (int)mate->pid, mate->said, said, limit_s);
        crew_sleep_us(TICK_US);
    }
}

void mate_tell(struct mate *mate, uint32_t told)
{
    at_store_release(&mate->told, told); /* pairs with mate_listen */
}

bool mate_kill(struct mate *mate)
{
    int status = 0;
    if (mate->pid == 0)
        return false;
    kill(mate->pid, SIGKILL);
    while (waitpid(mate->pid, &status, 0) < 0)
        ck_assert_int_eq(errno, EINTR);
    mate->pid = 0;
    if (WIFSIGNALED(status) && WTERMSIG(status) == SIGKILL)
        return true;
    judge(mate, status);
    return false;
}

/* ---- the mate's side ----------------------------------------------------------------------------------------------- */

void mate_say(struct mate *mate, uint32_t said)
{
    at_store_release(&mate->said, said); /* pairs with mate_await */
}

void mate_listen(struct mate *mate, uint32_t told)
{
    while (at_load_acquire(&mate->told) < told)
        crew_sleep_us(TICK_US);
}

void mate_fail(const char *file, int line, const char *format, ...)
{
    va_list args;
    char said[sizeof(self->report) - 64];
    va_start(args, format);
    vsnprintf(said, sizeof(said), format, args);
    va_end(args);
    fprintf(stderr, "%s:%d: %s\n", file, line, said);
    if (self == NULL)
        abort();
    static _Atomic int failed;
    if (atomic_exchange(&failed, 1) == 0) { /* the first thread that fails is the one to hear */
        snprintf(self->report, sizeof(self->report), "%s:%d: %s", file, line, said);
        _exit(1);
    }
    for (;;)
        pause();
}

void mate_expect_ok(int code, const char *call, const char *file, int line)
{
    if (code != MMGC_OK)
        mate_fail(file, line, "%s: %s (%s)", call, mmgc_strerror(code), mmgc_error_detail());
}
