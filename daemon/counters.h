/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/* Counters: what the collections of one heap have cost its clients and what they found, since the heap was made.
 *   Owner    a shared heap
 *   Threads  the loop, which hears of each collection when it is done; what any thread may add to is atomic     */
#include <stdint.h>

#include "daemon/latency.h"
#include "plans/heap.h"
#include "proto/wire.h"
#include "shm/base.h"

struct collector_task;

#define COUNTERS_RECENT 256u
#define COUNTERS_BUCKETS 12u
extern const uint64_t counters_bucket_ns[COUNTERS_BUCKETS];    /* their upper ends, rising */

struct counters_recent {                      /* the newest as they were, for who wants to look at them one by one */
    uint64_t ns[COUNTERS_RECENT];
    uint64_t count;                           /* ever */
};
struct counters_buckets {                     /* exact, where the latencies' rows are not: what is added up over days and machines */
    uint64_t of[COUNTERS_BUCKETS];            /* no longer than this bucket's end, and longer than the one before; longer ones have none */
};
struct counters_quantiles {                   /* of pauses of all kinds */
    uint64_t count, total_ns, p50_ns, p99_ns, max_ns;
};
struct counters_young {
    uint64_t new_bytes, promoted_bytes;       /* looked at; survived, and are young no longer */
};
struct counters {
    struct latency pauses[HEAP_PAUSES];       /* asked to stop until resumed, by kind */
    struct latency stops;                     /* asked to stop until all had stopped */
    struct counters_buckets pause_buckets[HEAP_PAUSES], stop_buckets;
    struct counters_quantiles known;          /* as of known.count pauses: counters_quantiles() */
    struct counters_recent recent_pauses, recent_stops;
    struct counters_young young, last_young;
    _Atomic uint64_t concurrent_ns;           /* [any] */
    _Atomic uint64_t fallbacks;               /* [any] */
};

/* A collection was done. */
void counters_collected(struct counters *counters, const struct collector_task *task);
/* A thread of the daemon worked for this heap while its clients ran; any thread says so, afterwards. */
static inline void counters_add_concurrent(struct counters *counters, uint64_t ns)
{
    (void)at_add_relaxed(&counters->concurrent_ns, ns);
}
/* A concurrent cycle could not be finished in time and became a full collection. */
static inline void counters_add_fallback(struct counters *counters)
{
    (void)at_add_relaxed(&counters->fallbacks, 1);
}

/* What the facts that counters_fill() made point to. */
struct counters_rows {
    wire_pause_row kinds[HEAP_PAUSES], *pointers[HEAP_PAUSES], all_pauses, all_stops;
    uint64_t recent_pauses[COUNTERS_RECENT], recent_stops[COUNTERS_RECENT];
};
void counters_fill(const struct counters *counters, wire_heap_facts *facts, struct counters_rows *rows);
uint64_t counters_last_stop_ns(const struct counters *counters);
/* Looks at the rows only if there was a pause since it was asked the last time. */
const struct counters_quantiles *counters_quantiles(struct counters *counters);
