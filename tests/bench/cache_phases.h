/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/* cache_phases.h: what is measured of a cache, and what is said of it; the top of cache.h tells the phases.
 *   Time     a phase begins and ends at the same time for all processes: none may do gets while another, who waits, leaves it its core
 *            and is still at its puts. Who comes late to a phase has done so much less in it
 *   Figures  PHASE_ops and PHASE_per_s of each phase; get_, mix_hits; mix_KIND_le_NS: how many gets or puts of the mix took no longer
 *            than that and longer than the one before: what the driver makes percentiles of, over all processes */
#include "cache.h"

enum { CACHE_SAMPLES = 4096 };

struct cache_phase {
    const char *name;
    uint64_t begin_ns, ops, gets, hits;
};

static void cache_phase_end(const struct cache_phase *p)
{
    char name[32];
    snprintf(name, sizeof name, "%s_ops", p->name);
    bench_result(name, (double)p->ops);
    snprintf(name, sizeof name, "%s_per_s", p->name);
    bench_result(name, (double)p->ops * 1e9 / (double)(bench_now_ns() - p->begin_ns));
    snprintf(name, sizeof name, "%s_gets", p->name);
    bench_result(name, (double)p->gets);
    snprintf(name, sizeof name, "%s_hits", p->name);
    bench_result(name, (double)p->hits);
}

static void cache_times(const char *kind, const struct stalls *s)
{
    char name[48];
    for (unsigned i = 0; i < STALLS_BUCKETS; i++)
        if (s->buckets[i] > 0) {
            snprintf(name, sizeof name, "mix_%s_le_%llu", kind, (unsigned long long)stalls_highest(i));
            bench_result(name, (double)s->buckets[i]);
        }
}

static void cache_phase_gets(struct cache_run *run, struct cache *c, uint64_t begin_ns, uint64_t end_ns)
{
    struct cache_phase p = { "get", begin_ns, 0, 0, 0 };
    for (; bench_now_ns() < end_ns; p.ops += CACHE_AT_ONCE)
        p.hits += cache_gets(run, c, CACHE_AT_ONCE);
    p.gets = p.ops;
    cache_phase_end(&p);
}

static void cache_phase_puts(struct cache_run *run, struct cache *c, uint64_t begin_ns, uint64_t end_ns)
{
    struct cache_phase p = { "put", begin_ns, 0, 0, 0 };
    for (; bench_now_ns() < end_ns; p.ops += CACHE_AT_ONCE)
        cache_puts(run, c, CACHE_AT_ONCE, run->pipeline);
    cache_phase_end(&p);
}

/* One operation ends here, the next one begins: of which kind that one is, nobody has to know yet. */
static uint64_t cache_count(struct stalls *kind, struct stalls *other)
{
    return other->last_ns = stalls_count(kind);
}

static void cache_phase_mix(struct cache_run *run, struct cache *c, uint64_t begin_ns, uint64_t end_ns)
{
    static struct stalls gets, puts;
    stalls_begin(&gets);
    stalls_begin(&puts);
    struct cache_phase p = { "mix", begin_ns, 0, 0, 0 };
    for (uint64_t now_ns = gets.last_ns = puts.last_ns; now_ns < end_ns;) {
        uint64_t key = cache_next_key(run);
        bool is_put = zipf_mix(run->next) % 10 == 0;
        if (!is_put) {
            is_put = !cache_get_one(run, c, key);
            p.hits += !is_put;
            now_ns = cache_count(&gets, &puts);
        }
        if (is_put) {
            cache_put_one(run, c, key, true);
            now_ns = cache_count(&puts, &gets);
        }
    }
    p.gets = gets.count;
    p.ops = gets.count + puts.count;
    cache_phase_end(&p);
    cache_times("get", &gets);
    cache_times("put", &puts);
}

static void cache_fill(struct cache_run *run, struct cache *c)
{
    cache_puts(run, c, run->fill / run->processes / CACHE_AT_ONCE * CACHE_AT_ONCE, CACHE_AT_ONCE);
}

static void cache_measure(struct cache_run *run, struct cache *c, uint64_t begin_ns)
{
    uint64_t phase_ns = run->phase_ms * UINT64_C(1000000), ends_ns[4];
    for (unsigned i = 0; i < 4; i++)
        ends_ns[i] = begin_ns + i * phase_ns;
    cache_phase_gets(run, c, ends_ns[0], ends_ns[1]);
    cache_phase_puts(run, c, ends_ns[1], ends_ns[2]);
    if (run->pipeline == 1)
        cache_phase_mix(run, c, ends_ns[2], ends_ns[3]);
}

/* Looks at every byte of what the cache has of the next keys. A cache that has none of them is none. */
static void cache_check_all(struct cache_run *run, struct cache *c)
{
    uint32_t found = 0;
    for (int i = 0; i < CACHE_SAMPLES; i++) {
        uint64_t key = cache_next_key(run);
        uint32_t bytes = cache_get(c, key, run->got);
        if (!cache_check(run, key, bytes))
            continue;
        if (memcmp(run->got + 16, cache_value_of(run, key) + 16, bytes - 24) != 0)
            cache_fail("a value's bytes are not those that were put");
        found++;
    }
    if (found < CACHE_SAMPLES / 10)
        cache_fail("next to nothing of what was put is there");
}

/* For who has nothing to do between the parts. */
static inline void cache_main(struct cache_run *run, struct cache *c)
{
    cache_fill(run, c);
    uint64_t begin_ns = bench_ready();
    bench_sleep_until(begin_ns);
    cache_measure(run, c, begin_ns);
    cache_check_all(run, c);
}
