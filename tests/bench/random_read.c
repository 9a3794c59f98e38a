/* SPDX-License-Identifier: Apache-2.0 */
/* The machine's random access: how many independent 8-byte reads a second memory answers, whatever asks.
 * Usage: random_read MIB THREADS
 * The region is a memfd with the pages that an arena would get here, since a trace cannot have better ones. Addresses
 * come from a register, never from what was read, and each line is prefetched READS_AHEAD reads before it is used. */
#include <pthread.h>

#include "bench.h"
#include "shm/commit.h"
#include "shm/segment.h"
#include "shm/units.h"

enum { READS_AHEAD = 32, READS = 40 * 1000 * 1000, THREADS_MAX = 64 };

struct reader {
    pthread_t thread;
    pthread_barrier_t *start;
    const uint64_t *words;
    uint64_t count; /* of words; below 2^32 */
    uint64_t state; /* of the generator; never zero */
    uint64_t begin_ns, end_ns;
    uint64_t sum; /* somebody might look at it, so the reads stay */
};

static inline const uint64_t *next_address(struct reader *r)
{
    r->state ^= r->state << 13;
    r->state ^= r->state >> 7;
    r->state ^= r->state << 17;
    return &r->words[(r->state >> 32) * r->count >> 32];
}

static void *read_at_random(void *context)
{
    struct reader *shared = context, r = *shared; /* the copy lives in registers */
    const uint64_t *ahead[READS_AHEAD];
    uint64_t sum = 0;
    for (int i = 0; i < READS_AHEAD; i++)
        ahead[i] = next_address(&r);
    pthread_barrier_wait(r.start);
    shared->begin_ns = bench_now_ns();
    for (int i = 0; i < READS; i++) {
        const uint64_t **slot = &ahead[i % READS_AHEAD];
        sum += *(const volatile uint64_t *)*slot;
        *slot = next_address(&r);
        __builtin_prefetch(*slot);
    }
    shared->end_ns = bench_now_ns();
    shared->sum = sum;
    return NULL;
}

static struct shm_segment *new_region(uint64_t mib)
{
    struct shm_segment *region = NULL;
    enum shm_pages pages;
    uint64_t bytes = (mib << 20) / MM_COMMIT_BYTES * MM_COMMIT_BYTES;
    int r = shm_segment_new(&region, bytes, "random-read");
    if (r == 0)
        r = shm_commit(shm_segment_address(region), bytes, SHM_HUGE_AUTO, &pages);
    if (r < 0) {
        fprintf(stderr, "no region of %llu MiB: %s\n", (unsigned long long)mib, strerror(-r));
        exit(2);
    }
    bench_result("huge_pages", pages != SHM_PAGES_SMALL);
    return region;
}

/* Also maps the region: a reader should meet no fault. */
static void fill(uint64_t *words, uint64_t count)
{
    for (uint64_t i = 0; i < count; i++)
        words[i] = i;
}

static uint64_t run(struct reader *readers, int threads) /* nanoseconds from the first start to the last end */
{
    uint64_t begin = UINT64_MAX, end = 0;
    for (int i = 0; i < threads; i++)
        if (pthread_create(&readers[i].thread, NULL, read_at_random, &readers[i]) != 0)
            exit(2);
    for (int i = 0; i < threads; i++) {
        pthread_join(readers[i].thread, NULL);
        begin = readers[i].begin_ns < begin ? readers[i].begin_ns : begin;
        end = readers[i].end_ns > end ? readers[i].end_ns : end;
    }
    return end - begin;
}

int main(int argc, char **argv)
{
    int threads = argc == 3 ? atoi(argv[2]) : 0;
    if (threads < 1 || threads > THREADS_MAX) {
        fputs("usage: random_read MIB THREADS\n", stderr);
        return 2;
    }
    struct shm_segment *region = new_region((uint64_t)atoi(argv[1]));
    uint64_t count = shm_segment_bytes(region) / sizeof(uint64_t);
    uint64_t *words = shm_segment_address(region);
    pthread_barrier_t start;
    struct reader readers[THREADS_MAX];
    fill(words, count);
    pthread_barrier_init(&start, NULL, (unsigned)threads);
    for (int i = 0; i < threads; i++)
        readers[i] = (struct reader){ .start = &start,
                                      .words = words,
                                      .count = count,
                                      .state = 88172645463325252u + (uint64_t)i * 7919 };
    bench_ready();
    uint64_t took_ns = run(readers, threads);
    bench_result("reads_per_s", 1e9 * threads * READS / (double)took_ns);
    shm_segment_unref(region);
    return 0;
}
