/* SPDX-License-Identifier: Apache-2.0 */
#include "demo.h"

#include <errno.h>
#include <inttypes.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "index.h"
#include "indexer.h"
#include "query.h"
#include "say.h"

#define INDEXERS_MAX 64u
#define TICK_MS 100

struct demo {
    const struct place *place;
    const struct demo_options *o;
    const char *const *dirs;
    size_t dir_count;
    pid_t pids[INDEXERS_MAX];                /* 0: ended well */
    uint64_t expected;                       /* how many times a file will be indexed, all in all */
    uint64_t started_ns;
    struct access access;
};

static uint64_t now_ns(void)
{
    struct timespec ts;
    clock_gettime(CLOCK_MONOTONIC, &ts);
    return (uint64_t)ts.tv_sec * 1000000000u + (uint64_t)ts.tv_nsec;
}

static double mib(uint64_t bytes)
{
    return (double)bytes / (1 << 20);
}

/* ---- processes --------------------------------------------------------------------------------------------------- */

/* Runs @argv[0]; its output goes where ours goes. The pid, or -1. */
static pid_t start(char *const argv[])
{
    fflush(NULL);
    pid_t pid = fork();
    if (pid == 0) {
        execv(argv[0], argv);
        fprintf(stderr, "wordindex: cannot run %s: %s\n", argv[0], strerror(errno));
        _exit(127);
    }
    if (pid < 0)
        fail("cannot fork: %s", strerror(errno));
    return pid;
}

static int finish(pid_t pid)
{
    int status;
    while (waitpid(pid, &status, 0) < 0)
        if (errno != EINTR)
            return 1;
    return WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
}

static int start_indexer(struct demo *d, unsigned share)
{
    char number[32], of[32], passes[32], size[32];
    char *argv[16 + INDEXERS_MAX] = {"/proc/self/exe", "index", "--heap", (char *)d->place->heap, "--share", number,
                                     "--of", of, "--passes", passes, "--heap-mib", size};
    size_t n = 12;
    snprintf(number, sizeof(number), "%u", share);
    snprintf(of, sizeof(of), "%u", d->o->indexers);
    snprintf(passes, sizeof(passes), "%u", d->o->passes);
    snprintf(size, sizeof(size), "%" PRIu64, d->place->max_bytes >> 20);
    if (d->place->socket != NULL) {
        argv[n++] = "--socket";
        argv[n++] = (char *)d->place->socket;
    }
    for (size_t i = 0; i < d->dir_count && n + 1 < sizeof(argv) / sizeof(argv[0]); i++)
        argv[n++] = (char *)d->dirs[i];
    d->pids[share] = start(argv);
    return d->pids[share] > 0 ? 0 : 1;
}

/* ---- watching ---------------------------------------------------------------------------------------------------- */

static uint64_t files_indexed(struct demo *d)
{
    uint64_t n = 0;
    if (mmgc_enter(d->access.t) == MMGC_OK) {
        struct catalog *catalog = mmgc_name_get(d->access.t, "wordindex");
        if (catalog != NULL)
            n = __atomic_load_n(&catalog->files_indexed, __ATOMIC_RELAXED);
        mmgc_leave(d->access.t);
    }
    return n;
}

static void say_progress(struct demo *d, uint64_t done, bool last)
{
    struct mmgc_heap_info info;
    static uint64_t said_ns;
    bool tty = isatty(STDOUT_FILENO) != 0;
    if (!last && !tty && now_ns() - said_ns < 1000000000u)
        return;
    said_ns = now_ns();
    if (mmgc_heap_info(d->access.heap, &info) != MMGC_OK)
        return;
    printf("%s%7.1f s  %" PRIu64 " files indexed", tty ? "\r\033[K" : "", (double)(now_ns() - d->started_ns) / 1e9, done);
    if (!last)
        printf(" of about %" PRIu64, d->expected);
    printf("  %.0f MiB allocated  %.0f MiB live  %" PRIu64 " collections%s", mib(info.granted_bytes), mib(info.live_bytes), info.collections,
           tty && !last ? "" : "\n");
    fflush(stdout);
}

static int verify(struct demo *d)
{
    char *argv[8] = {(char *)d->o->mmgcctl};
    size_t n = 1;
    if (d->o->mmgcctl == NULL)
        return 0;
    if (d->place->socket != NULL) {
        argv[n++] = "--socket";
        argv[n++] = (char *)d->place->socket;
    }
    argv[n++] = "verify";
    argv[n++] = (char *)d->place->heap;
    pid_t pid = start(argv);
    return pid > 0 && finish(pid) == 0 ? 0 : fail("the heap does not verify");
}

/* The promise of the whole project in one step: a client dies at any instruction, the heap is whole, others go on. */
static int kill_one(struct demo *d)
{
    unsigned victim = d->o->indexers / 2;
    if (d->pids[victim] <= 0)
        return 0;
    kill(d->pids[victim], SIGKILL);
    (void)finish(d->pids[victim]);
    printf("%skilled indexer %u (pid %ld) with SIGKILL; the others go on\n", isatty(STDOUT_FILENO) ? "\r\033[K" : "", victim,
           (long)d->pids[victim]);
    int r = verify(d);
    if (r == 0) {
        puts("its share is taken up by a new process");
        r = start_indexer(d, victim);
        d->expected += d->expected / d->o->indexers;      /* about: the share is done again from its beginning */
    }
    return r;
}

/* Takes note of who ended. 0: somebody still works; 1: all are done; -1: one failed. */
static int reap(struct demo *d)
{
    int working = 0;
    for (unsigned i = 0; i < d->o->indexers; i++) {
        int status;
        if (d->pids[i] > 0 && waitpid(d->pids[i], &status, WNOHANG) == d->pids[i]) {
            d->pids[i] = 0;
            if (!WIFEXITED(status) || WEXITSTATUS(status) != 0)
                return fail("indexer %u failed", i), -1;
        }
        working += d->pids[i] > 0;
    }
    return working == 0;
}

static int watch(struct demo *d)
{
    bool kill_due = d->o->kill && d->o->indexers > 1;
    int ended;
    while ((ended = reap(d)) == 0) {
        uint64_t done = files_indexed(d);
        say_progress(d, done, false);
        if (kill_due && done * 3 > d->expected) {
            kill_due = false;
            if (kill_one(d) != 0)
                return 1;
        }
        nanosleep(&(struct timespec){.tv_nsec = TICK_MS * 1000000L}, NULL);
    }
    say_progress(d, files_indexed(d), true);
    return ended < 0;
}

/* ---- the end ----------------------------------------------------------------------------------------------------- */

static int say_query(struct demo *d)
{
    char *argv[16] = {"/proc/self/exe", "query", "--heap", (char *)d->place->heap};
    size_t n = 4;
    if (d->place->socket != NULL) {
        argv[n++] = "--socket";
        argv[n++] = (char *)d->place->socket;
    }
    argv[n++] = "int";
    argv[n++] = "socket";
    argv[n++] = "mmgc_new";
    puts("\na query process of its own reads the same graph:");
    pid_t pid = start(argv);
    return pid > 0 && finish(pid) == 0 ? 0 : 1;
}

static int say_summary(struct demo *d, uint64_t took_ns)
{
    struct totals totals;
    struct mmgc_heap_info info;
    int r = mmgc_gc(d->access.t);            /* so that what is called live is */
    if (r != MMGC_OK)
        return fail_mmgc("collecting", r);
    if (query_totals(&d->access, &totals) != 0 || mmgc_heap_info(d->access.heap, &info) != MMGC_OK)
        return 1;
    printf("\nfiles           %" PRIu64 ", each indexed %u times by %u processes\n", totals.files, d->o->passes, d->o->indexers);
    printf("words           %" PRIu64 " different, %" PRIu64 " in all, %" PRIu64 " postings\n", totals.words, totals.occurrences, totals.postings);
    printf("objects         %" PRIu64 " live\n", info.live_objects);
    printf("allocated       %.1f MiB\n", mib(info.granted_bytes));
    printf("live            %.1f MiB of at most %.0f MiB\n", mib(info.live_bytes), mib(info.max_bytes));
    printf("collections     %" PRIu64 " by plan %s\n", info.collections, info.plan);
    printf("pauses          %.1f ms in all, %.2f ms on average, %.2f ms the last\n", (double)info.total_pause_ns / 1e6,
           info.collections ? (double)info.total_pause_ns / 1e6 / (double)info.collections : 0.0, (double)info.last_pause_ns / 1e6);
    printf("time            %.2f s\n", (double)took_ns / 1e9);
    return 0;
}

static void stop_all(struct demo *d)
{
    for (unsigned i = 0; i < d->o->indexers; i++)
        if (d->pids[i] > 0) {
            kill(d->pids[i], SIGTERM);
            (void)finish(d->pids[i]);
        }
}

/* The index of a text takes about as many bytes as the text; what is made on the way, a dozen times as many. */
static uint64_t heap_bytes_for(uint64_t text_bytes)
{
    uint64_t bytes = text_bytes * 8, least = 32u << 20, most = 4ull << 30;
    return bytes < least ? least : bytes > most ? most : bytes;
}

int demo_run(const struct place *wanted, const struct demo_options *options, const char *const *dirs, size_t dir_count)
{
    struct place sized = *wanted, *place = &sized;
    struct demo d = {.place = place, .o = options, .dirs = dirs, .dir_count = dir_count, .started_ns = now_ns()};
    if (options->indexers < 1 || options->indexers > INDEXERS_MAX || dir_count > INDEXERS_MAX)
        return fail("1 to %u indexers, and at most as many folders", INDEXERS_MAX);
    uint64_t files, bytes;
    indexer_measure(dirs, dir_count, &files, &bytes);
    d.expected = files * options->passes;
    if (sized.max_bytes == 0)
        sized.max_bytes = heap_bytes_for(bytes);
    if (access_open(&d.access, place, "wordindex demo") != 0)
        return 1;
    printf("%u processes index %" PRIu64 " files (%.0f MiB) %u times each into the heap \"%s\" of at most %.0f MiB\n", options->indexers,
           files, mib(bytes), options->passes, place->heap, mib(sized.max_bytes));
    int r = 0;
    d.started_ns = now_ns();
    for (unsigned i = 0; i < options->indexers && r == 0; i++)
        r = start_indexer(&d, i);
    if (r == 0)
        r = watch(&d);
    stop_all(&d);
    uint64_t took_ns = now_ns() - d.started_ns;
    if (r == 0)
        r = say_query(&d);
    if (r == 0)
        r = say_summary(&d, took_ns);
    access_close(&d.access);
    return r;
}
