/* SPDX-License-Identifier: Apache-2.0 */
/* bench_engine: what the engine itself costs. Prints "name value" lines; `meson test --benchmark`.
 *   _1, _2             with that many workers
 *   packets_per_s      trivial packets, each pushed by another
 *   chain_ns           one trivial packet pushing the next: with two workers, they take it from each other
 *   empty_job_us       five stages without a packet, after 1 ms of sleep; median and 99th of a hundred
 *   small_job_us       the same with one packet a stage
 *   small_job_hot_us   and one job straight after the other */
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

#include "plans/work/engine.h"

#define PACKETS 2000000u
#define STAGES 5u
#define RUNS 100u

static void run_range(struct worker *w, struct packet *p);

static void run_nothing(struct worker *w, struct packet *p) {}

static const struct packet_kind RANGE = { "range", 0, run_range, 0 };
static const struct packet_kind NOTHING[STAGES] = {
    { "nothing 0", 0, run_nothing, 0 }, { "nothing 1", 1, run_nothing, 0 },
    { "nothing 2", 2, run_nothing, 0 }, { "nothing 3", 3, run_nothing, 0 },
    { "nothing 4", 4, run_nothing, 0 },
};

static void push_range(struct worker *w, uint64_t from, uint64_t to)
{
    struct packet *p = worker_packet_try_new(w, &RANGE);
    MM_ASSERT(p != NULL);
    p->args[0] = from;
    p->args[1] = to;
    worker_packet_push(w, p);
}

static void run_range(struct worker *w, struct packet *p)
{
    uint64_t from = p->args[0] + 1, to = p->args[1], middle = from + (to - from) / 2;
    if (from < middle)
        push_range(w, from, middle);
    if (middle < to)
        push_range(w, middle, to);
}

static void run_chain(struct worker *w, struct packet *p);
static const struct packet_kind CHAIN = { "chain", 0, run_chain, 0 };

static void run_chain(struct worker *w, struct packet *p)
{
    if (p->args[0] == 0)
        return;
    struct packet *next = worker_packet_try_new(w, &CHAIN);
    MM_ASSERT(next != NULL);
    next->args[0] = p->args[0] - 1;
    worker_packet_push(w, next);
}

static uint64_t time_job(struct engine *engine, const struct packet_kind *const *kinds,
                         unsigned count, uint64_t arg0, uint64_t arg1)
{
    MM_AUTO(job) job = NULL;
    int r = job_new(&job, engine, &(struct job_config){ .name = "bench", .stages = STAGES });
    MM_ASSERT(r == 0);
    for (unsigned i = 0; i < count; i++) {
        struct packet *p = job_packet_add(job, kinds[i]);
        p->args[0] = arg0;
        p->args[1] = arg1;
    }
    uint64_t start_ns = mm_now_ns();
    engine_run(engine, job);
    return mm_now_ns() - start_ns;
}

static int compare_u64(const void *a, const void *b)
{
    uint64_t x = *(const uint64_t *)a, y = *(const uint64_t *)b;
    return (x > y) - (x < y);
}

static void latency(struct engine *engine, const char *name, unsigned packets, long sleep_ns)
{
    const struct packet_kind *kinds[STAGES];
    uint64_t times[RUNS];
    for (unsigned i = 0; i < STAGES; i++)
        kinds[i] = &NOTHING[i];
    for (unsigned i = 0; i < RUNS; i++) {
        if (sleep_ns != 0)
            nanosleep(&(struct timespec){ .tv_nsec = sleep_ns }, NULL);
        times[i] = time_job(engine, kinds, packets, 0, 0);
    }
    qsort(times, RUNS, sizeof(*times), compare_u64);
    unsigned workers = engine_workers(engine);
    printf("%s_us_p50_%u %.1f\n", name, workers, (double)times[RUNS / 2] / 1e3);
    printf("%s_us_p99_%u %.1f\n", name, workers, (double)times[RUNS * 99 / 100] / 1e3);
}

int main(void)
{
    for (unsigned workers = 1; workers <= 2; workers++) {
        MM_AUTO(engine) engine = NULL;
        int r = engine_new(&engine, workers);
        MM_ASSERT(r == 0);
        const struct packet_kind *range = &RANGE, *chain = &CHAIN;
        (void)time_job(engine, &range, 1, 0, PACKETS / 10);
        uint64_t ns = time_job(engine, &range, 1, 0, PACKETS);
        printf("packets_per_s_%u %.3g\n", workers, PACKETS * 1e9 / (double)ns);
        ns = time_job(engine, &chain, 1, PACKETS, 0);
        printf("chain_ns_%u %.0f\n", workers, (double)ns / PACKETS);
        latency(engine, "empty_job", 0, 1000000);
        latency(engine, "small_job", STAGES, 1000000);
        latency(engine, "small_job_hot", STAGES, 0);
    }
    return 0;
}
