/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/* stalls.h: how long each operation took, as the program itself sees it: one clock reading an operation, counted in a
 * log-linear histogram. peers/Churn.java has the same; keep the two alike.
 *   Gapless   an operation begins when the one before ended, so nothing that happens in between is lost: neither a pause
 *             between two operations, nor what the counting costs
 *   Error     64 steps a power of two: a value is shown at most 1.6 % too high, below 128 ns and the longest exactly
 *   Owner     one thread      Units     nanoseconds of CLOCK_MONOTONIC, which is what System.nanoTime() reads            */
#include "bench.h"

enum {
    STALLS_STEP_BITS = 6,
    STALLS_STEPS = 1 << STALLS_STEP_BITS,
    STALLS_BUCKETS = (65 - STALLS_STEP_BITS) * STALLS_STEPS
};

struct stalls {
    uint64_t last_ns, longest_ns, count;
    uint64_t buckets[STALLS_BUCKETS];
};

static inline unsigned stalls_bucket(uint64_t ns)
{
    if (ns < STALLS_STEPS)
        return (unsigned)ns;
    unsigned shift = 63u - (unsigned)__builtin_clzll(ns) - STALLS_STEP_BITS;
    return (shift << STALLS_STEP_BITS) + (unsigned)(ns >> shift);
}

/* The highest value that is counted in @bucket. */
static inline uint64_t stalls_highest(unsigned bucket)
{
    if (bucket < 2 * STALLS_STEPS)
        return bucket;
    unsigned shift = (bucket >> STALLS_STEP_BITS) - 1;
    uint64_t step = STALLS_STEPS + (bucket & (STALLS_STEPS - 1));
    return (step << shift) + ((UINT64_C(1) << shift) - 1);
}

static inline void stalls_begin(struct stalls *s)
{
    memset(s, 0, sizeof *s);
    s->last_ns = bench_now_ns();
}

/* An operation ends here and the next one begins. Returns the time. */
static inline uint64_t stalls_count(struct stalls *s)
{
    uint64_t now_ns = bench_now_ns(), took_ns = now_ns - s->last_ns;
    s->last_ns = now_ns;
    s->longest_ns = took_ns > s->longest_ns ? took_ns : s->longest_ns;
    s->buckets[stalls_bucket(took_ns)]++;
    s->count++;
    return now_ns;
}

/* What at most @beyond of all operations exceed. */
static inline uint64_t stalls_exceeded_by(const struct stalls *s, uint64_t beyond)
{
    uint64_t seen = 0;
    for (unsigned i = STALLS_BUCKETS; i-- > 0; seen += s->buckets[i])
        if (seen + s->buckets[i] > beyond)
            return i == stalls_bucket(s->longest_ns) ? s->longest_ns : stalls_highest(i);
    return 0;
}

/* stall_p50 and on; and one_in_K: what at most one operation in 2^K exceeds, for a plot; the last K gives the longest. */
static inline void stalls_result(const struct stalls *s)
{
    static const struct {
        const char *name;
        uint64_t one_in;
    } points[] = {
        { "stall_p50", 2 }, { "stall_p99", 100 }, { "stall_p99.9", 1000 }, { "stall_p99.99", 10000 }
    };
    char name[32];

    for (unsigned i = 0; i < sizeof points / sizeof *points; i++)
        bench_result(points[i].name, (double)stalls_exceeded_by(s, s->count / points[i].one_in));
    for (unsigned k = 1; k < 64 && s->count >> (k - 1) > 0; k++) {
        snprintf(name, sizeof name, "one_in_%u", k);
        bench_result(name, (double)stalls_exceeded_by(s, s->count >> k));
    }
    bench_result("stall_max", (double)s->longest_ns);
}
