/* SPDX-License-Identifier: Apache-2.0 */
#include "daemon/counters.h"

#include "daemon/collector.h"

/* ---- a collection was done ---- */

static void recent_add(struct counters_recent *recent, uint64_t ns)
{
    recent->ns[recent->count++ % COUNTERS_RECENT] = ns;
}

/* Some four a power of ten where pauses are, fewer beyond. */
const uint64_t counters_bucket_ns[COUNTERS_BUCKETS] = {
    10000,    30000,     100000,    300000,     1000000,     3000000,
    10000000, 30000000, 100000000, 300000000, 1000000000, 10000000000,
};

static void bucket_add(struct counters_buckets *buckets, uint64_t ns)
{
    for (size_t i = 0; i < COUNTERS_BUCKETS; i++) {
        if (ns <= counters_bucket_ns[i]) {
            buckets->of[i]++;
            return;
        }
    }
}

/* Counting references finds out what new objects survive, as a nursery's collection does. */
static bool tells_survival(const struct heap_collection *c)
{
    return heap_pause_is_partial(c->kind) && c->new_bytes > 0;
}

void counters_collected(struct counters *counters, const struct collector_task *task)
{
    const struct heap_collection *c = &task->collection;

    latency_add(&counters->pauses[c->kind], task->pause_ns);
    latency_add(&counters->stops, task->stop_ns);
    bucket_add(&counters->pause_buckets[c->kind], task->pause_ns);
    bucket_add(&counters->stop_buckets, task->stop_ns);
    recent_add(&counters->recent_pauses, task->pause_ns);
    recent_add(&counters->recent_stops, task->stop_ns);
    if (!tells_survival(c))
        return;
    counters->last_young = (struct counters_young){ c->new_bytes, c->survived_bytes };
    counters->young.new_bytes += c->new_bytes;
    counters->young.promoted_bytes += c->survived_bytes;
}

/* ---- facts ---- */

/* Oldest first. */
static size_t recent_read(const struct counters_recent *recent, uint64_t ret_ns[COUNTERS_RECENT])
{
    size_t count = (size_t)MM_MIN(recent->count, COUNTERS_RECENT);

    for (size_t i = 0; i < count; i++)
        ret_ns[i] = recent->ns[(recent->count - count + i) % COUNTERS_RECENT];
    return count;
}

static wire_pause_row pause_row(const char *kind, const struct latency *latency)
{
    wire_pause_row row = wire_pause_row_init();

    row.kind = (char *)kind;
    row.count = latency->count;
    row.total_ns = latency->total_ns;
    row.min_ns = latency->min_ns;
    row.p50_ns = latency_at(latency, 5000);
    row.p90_ns = latency_at(latency, 9000);
    row.p99_ns = latency_at(latency, 9900);
    row.p99_9_ns = latency_at(latency, 9990);
    row.p99_99_ns = latency_at(latency, 9999);
    row.max_ns = latency->max_ns;
    return row;
}

static void fill_pauses(const struct counters *counters, wire_heap_facts *facts, struct counters_rows *rows)
{
    struct latency all = { 0 };

    facts->pauses = rows->pointers;
    for (enum heap_pause kind = 0; kind < HEAP_PAUSES; kind++) {
        size_t row = facts->n_pauses;
        if (counters->pauses[kind].count == 0)
            continue;
        latency_merge(&all, &counters->pauses[kind]);
        rows->kinds[row] = pause_row(heap_pause_name(kind), &counters->pauses[kind]);
        rows->pointers[row] = &rows->kinds[row];
        facts->n_pauses++;
    }
    rows->all_pauses = pause_row("all", &all);
    rows->all_stops = pause_row("all", &counters->stops);
    facts->all_pauses = &rows->all_pauses;
    facts->all_stops = &rows->all_stops;
    facts->max_pause_ns = all.max_ns;
    facts->total_pause_ns = all.total_ns;
    facts->max_stop_ns = counters->stops.max_ns;
}

uint64_t counters_last_stop_ns(const struct counters *counters)
{
    const struct counters_recent *stops = &counters->recent_stops;

    return stops->count == 0 ? 0 : stops->ns[(stops->count - 1) % COUNTERS_RECENT];
}

static void fill_recent(const struct counters *counters, wire_heap_facts *facts, struct counters_rows *rows)
{
    const struct counters_recent *stops = &counters->recent_stops;

    facts->n_recent_pause_ns = recent_read(&counters->recent_pauses, rows->recent_pauses);
    facts->recent_pause_ns = rows->recent_pauses;
    facts->n_recent_stop_ns = recent_read(stops, rows->recent_stops);
    facts->recent_stop_ns = rows->recent_stops;
    facts->last_stop_ns = counters_last_stop_ns(counters);
}

void counters_fill(const struct counters *counters, wire_heap_facts *facts, struct counters_rows *rows)
{
    fill_pauses(counters, facts, rows);
    fill_recent(counters, facts, rows);
    facts->concurrent_ns = at_load_relaxed(&counters->concurrent_ns);
    facts->fallbacks = at_load_relaxed(&counters->fallbacks);
    facts->young_new_bytes = counters->young.new_bytes;
    facts->promoted_bytes = counters->young.promoted_bytes;
    facts->last_young_new_bytes = counters->last_young.new_bytes;
    facts->last_promoted_bytes = counters->last_young.promoted_bytes;
}

const struct counters_quantiles *counters_quantiles(struct counters *counters)
{
    struct latency all = { 0 };
    uint64_t count = 0;

    for (enum heap_pause kind = 0; kind < HEAP_PAUSES; kind++)
        count += counters->pauses[kind].count;
    if (count == counters->known.count)
        return &counters->known;
    for (enum heap_pause kind = 0; kind < HEAP_PAUSES; kind++)
        latency_merge(&all, &counters->pauses[kind]);
    counters->known = (struct counters_quantiles){
        count, all.total_ns, latency_at(&all, 5000), latency_at(&all, 9900), all.max_ns
    };
    return &counters->known;
}
