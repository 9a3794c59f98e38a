/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/* batches.h: how long each batch of objects took, and what all of them took beyond the usual one.
 *   Usual     the median. Exact, so all times are kept and sorted: a histogram's steps are as large as what is looked for
 *   Beyond    of batches that took more than twice the usual: what is below is the spread of the usual ones, and shown as such
 *   Owner     one thread      Units     nanoseconds                                                          */
#include "bench.h"

enum { CELL_BYTES = 24, BATCH_CELLS = 4096 / CELL_BYTES };

struct reading { /* what tells waiting from being stopped, and from being kept from the processor */
    uint64_t cpu_ns, pause_ns, switches;
};
struct batches {
    uint32_t *took_ns; /* each, without pauses and others' turns */
    uint64_t count, longest_ns, waits, waited_ns;
    uint64_t begin_ns, short_ns; /* of the batch under way; of all short ones since the last reading */
    struct reading last;
};

static _Noreturn void die(const char *why)
{
    fprintf(stderr, "slab: %s\n", why);
    exit(2);
}

static void *some(void *p)
{
    if (p == NULL)
        die("out of memory");
    return p;
}

static int by_value(const void *a, const void *b)
{
    uint32_t x = *(const uint32_t *)a, y = *(const uint32_t *)b;
    return (x > y) - (x < y);
}

static uint32_t share_of(const uint32_t *sorted, uint64_t count, double share)
{
    return sorted[(uint64_t)(share * (double)(count - 1))];
}

static struct batches batches_new(uint64_t count)
{
    struct batches b = { .took_ns = some(malloc(count * sizeof(uint32_t))), .count = count };
    memset(b.took_ns, 0, count * sizeof(uint32_t)); /* touched, so that no fault is timed */
    return b;
}

static void batches_result(struct batches *b)
{
    double sum_ns = 0, beyond_ns = 0, gib = (double)b->count * BATCH_CELLS * CELL_BYTES / (1 << 30);

    qsort(b->took_ns, b->count, sizeof(uint32_t), by_value);
    uint32_t usual_ns = share_of(b->took_ns, b->count, 0.5);
    for (uint64_t i = 0; i < b->count; i++) {
        sum_ns += b->took_ns[i];
        beyond_ns += b->took_ns[i] > 2 * usual_ns ? b->took_ns[i] - usual_ns : 0;
    }
    bench_result("share", 100 * beyond_ns / sum_ns);
    bench_result("spread", 100 * (sum_ns - beyond_ns - (double)usual_ns * (double)b->count) / sum_ns);
    bench_result("waits", (double)b->waits);
    bench_result("waited_ns", (double)b->waited_ns);
    bench_result("waits_per_gib", (double)b->waits / gib);
    bench_result("usual_ns_per_object", (double)usual_ns / BATCH_CELLS);
    bench_result("ns_per_object", sum_ns / (double)b->count / BATCH_CELLS);
    bench_result("longest", (double)b->longest_ns);
}

static void batch_took(struct batches *b, uint64_t i, uint64_t ns)
{
    b->longest_ns = ns > b->longest_ns ? ns : b->longest_ns;
    b->took_ns[i] = ns < UINT32_MAX ? (uint32_t)ns : UINT32_MAX;
}
