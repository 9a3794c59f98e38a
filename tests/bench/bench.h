/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/* bench.h: the clock, the starting gun and the one output format of every bench program, ours and peers alike.
 *   Owner    nobody: static inline only, no state      Threads  any
 *   Units    nanoseconds, CLOCK_MONOTONIC              Why here  a peer builds without the rest of the project */
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#define BENCH_NO_ROOM 4 /* the exit status that says: the work does not fit into this heap */

static inline uint64_t bench_now_ns(void)
{
    struct timespec ts;
    clock_gettime(CLOCK_MONOTONIC, &ts);
    return (uint64_t)ts.tv_sec * UINT64_C(1000000000) + (uint64_t)ts.tv_nsec;
}

/* What this process's own threads have had of the processors: without the time that it waited. */
static inline uint64_t bench_cpu_ns(void)
{
    struct timespec ts;
    clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &ts);
    return (uint64_t)ts.tv_sec * UINT64_C(1000000000) + (uint64_t)ts.tv_nsec;
}

/* @object, where there is one. */
static inline void *bench_some(void *object)
{
    if (__builtin_expect(object == NULL, 0)) {
        fputs("out of memory\n", stderr);
        exit(BENCH_NO_ROOM);
    }
    return object;
}

/* Tells the driver that setting up is over and waits for its line: several processes then start together. Returns what the line says:
 * when that is, the same time for all of them, a little ahead. */
static inline uint64_t bench_ready(void)
{
    char line[32];
    puts("ready");
    fflush(stdout);
    if (!fgets(line, sizeof line, stdin))
        exit(3); /* the driver has gone: nothing left to measure for */
    return strtoull(line, NULL, 10);
}

static inline void bench_sleep_until(uint64_t ns)
{
    struct timespec ts = { (time_t)(ns / UINT64_C(1000000000)), (long)(ns % UINT64_C(1000000000)) };
    while (clock_nanosleep(CLOCK_MONOTONIC, TIMER_ABSTIME, &ts, NULL) != 0)
        continue;
}

/* When the work was over, by the clock that the driver reads, too, and exactly: of several processes the last one counts. */
static inline void bench_ended(uint64_t now_ns)
{
    printf("ended_ns %llu\n", (unsigned long long)now_ns);
}

/* One figure for the driver, which reads "name value" lines until EOF and ignores what it does not know. */
static inline void bench_result(const char *name, double value)
{
    printf("%s %.6g\n", name, value);
}
