/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/* cache.h: what all contenders of the bench "cache" do alike, C and C++: keys, values, phases, checks, figures.
 * A program defines struct cache and the calls below "a contender's own", and ends its main() with cache_bench().
 *
 *   Keys     8 bytes each, asked for as zipf.h says, s = 0.99
 *   Values   100 B to 10 KiB, the logarithm of the size evenly spread; the size is a function of the key. Stamps of key and put at both
 *            ends, between them bytes that depend on the key
 *   Fill     before the start: puts alone, drawn like all others, so that what remains is what each contender's eviction keeps
 *   Phases   gets alone; puts alone; the mix, of which one in ten is a put, and a get that misses is followed by a put of its key
 *   Check    each get: both stamps fit each other, the key and the size. After the end: every byte of some thousand values
 *   Clock    read once in 16 operations; in the mix after each, since there we look at single ones
 *   Owner    one thread a process      Why here  a peer builds without the rest of the project                                  */
#include <stdbool.h>

#include "stalls.h"
#include "zipf.h"

enum { CACHE_MIN_BYTES = 100, CACHE_MAX_BYTES = 10240, CACHE_SIZES = 1024, CACHE_OFFSETS = 512, CACHE_AT_ONCE = 16 };

struct cache;

/* ---- a contender's own ---- */

#ifdef CACHE_PIPELINES                       /* it talks to a server: questions may go out before the answers to earlier ones are in */
static void cache_ask_get(struct cache *c, uint64_t key);
static uint32_t cache_take_get(struct cache *c, char *into);
static void cache_ask_put(struct cache *c, uint64_t key, const char *value, uint32_t bytes);
static void cache_take_put(struct cache *c);
#else
/* Copies the value of @key to @into and returns its size; 0: there is none. */
static uint32_t cache_get(struct cache *c, uint64_t key, char *into);
static void cache_put(struct cache *c, uint64_t key, const char *value, uint32_t bytes);
#endif

/* ---- the same for all ---- */

struct cache_run {
    const char *where;                       /* a socket, or a segment's name */
    uint64_t capacity_bytes;
    uint32_t keys, process, processes, fill, phase_ms;
    uint32_t pipeline;                       /* operations under way at once; above 1: no mix */
    uint32_t sizes[CACHE_SIZES];
    uint32_t *draws, next;
    uint64_t puts;
    char pattern[CACHE_OFFSETS * 8 + CACHE_MAX_BYTES + 8];
    char got[CACHE_MAX_BYTES];
};
enum { CACHE_DRAWS = 1 << 22, CACHE_PIECE = 16, CACHE_PIECES = CACHE_DRAWS / CACHE_PIECE }; /* a process's */

static void cache_fail(const char *what)
{
    fprintf(stderr, "cache: %s\n", what);
    exit(2);
}

static struct cache_run cache_run_of(int argc, char **argv)
{
    struct cache_run run;
    memset(&run, 0, sizeof run);
    if (argc != 9)
        cache_fail("usage: PROGRAM WHERE CAPACITY_MIB KEYS PROCESS PROCESSES FILL PHASE_MS PIPELINE");
    run.where = argv[1];
    run.capacity_bytes = strtoull(argv[2], NULL, 10) << 20;
    uint32_t *numbers[] = { &run.keys, &run.process, &run.processes, &run.fill, &run.phase_ms, &run.pipeline };
    for (int i = 0; i < 6; i++)
        *numbers[i] = (uint32_t)strtoul(argv[3 + i], NULL, 10);
    if (run.keys < 1 || run.processes < 1 || run.pipeline < 1)
        cache_fail("KEYS, PROCESSES and PIPELINE are at least 1");
    run.draws = zipf_draws(run.keys, 0.99, CACHE_DRAWS, (uint64_t)(run.process + 1) << 32);
    if (!run.draws)
        cache_fail("no memory");
    for (int i = 0; i < CACHE_SIZES; i++)
        run.sizes[i] = (uint32_t)(CACHE_MIN_BYTES * pow((double)CACHE_MAX_BYTES / CACHE_MIN_BYTES, (i + 0.5) / CACHE_SIZES));
    for (size_t i = 0; i < sizeof run.pattern; i++)
        run.pattern[i] = (char)zipf_mix(i);
    return run;
}

/* When all are through, the same draws come again, but their pieces in another order: whoever is fast enough to get there must not
 * find a row that it had just seen. */
static uint64_t cache_next_key(struct cache_run *run)
{
    uint32_t at = run->next++, again = at / CACHE_DRAWS, piece = at % CACHE_DRAWS / CACHE_PIECE;
    piece = piece * (2 * again + 1) % CACHE_PIECES;
    return zipf_mix(run->draws[piece * CACHE_PIECE + at % CACHE_PIECE]);
}

static uint32_t cache_bytes_of(const struct cache_run *run, uint64_t key)
{
    return run->sizes[(key >> 8) % CACHE_SIZES];
}

static char *cache_value_of(struct cache_run *run, uint64_t key)
{
    return run->pattern + (key >> 20) % CACHE_OFFSETS * 8;
}

/* Whose put, and which: first word the key, second word the put, last word of both. The pattern's own words are put back after. */
static void cache_swap_stamps(char *value, uint32_t bytes, uint64_t stamps[3])
{
    char *at[3] = { value, value + 8, value + bytes - 8 };
    for (int i = 0; i < 3; i++) {
        uint64_t old;
        memcpy(&old, at[i], 8);
        memcpy(at[i], &stamps[i], 8);
        stamps[i] = old;
    }
}

static bool cache_is_value(const struct cache_run *run, uint64_t key, uint32_t bytes)
{
    uint64_t first, put, last;
    if (bytes != cache_bytes_of(run, key))
        return false;
    memcpy(&first, run->got, 8);
    memcpy(&put, run->got + 8, 8);
    memcpy(&last, run->got + bytes - 8, 8);
    return first == key && last == zipf_mix(key ^ put);
}

/* @bytes: what a get of @key gave. Whether it was there; what was there must be right. */
static bool cache_check(const struct cache_run *run, uint64_t key, uint32_t bytes)
{
    if (bytes > 0 && !cache_is_value(run, key, bytes))
        cache_fail("a value is not what was put");
    return bytes > 0;
}

#ifdef CACHE_PIPELINES
static uint32_t cache_get(struct cache *c, uint64_t key, char *into)
{
    cache_ask_get(c, key);
    return cache_take_get(c, into);
}
#endif

static bool cache_get_one(struct cache_run *run, struct cache *c, uint64_t key)
{
    return cache_check(run, key, cache_get(c, key, run->got));
}

static void cache_put_one(struct cache_run *run, struct cache *c, uint64_t key, bool take_answer)
{
    uint64_t put = (uint64_t)run->process << 48 | run->puts++, stamps[3] = { key, put, zipf_mix(key ^ put) };
    uint32_t bytes = cache_bytes_of(run, key);
    char *value = cache_value_of(run, key);
    cache_swap_stamps(value, bytes, stamps);
#ifdef CACHE_PIPELINES
    cache_ask_put(c, key, value, bytes);
    if (take_answer)
        cache_take_put(c);
#else
    (void)take_answer;
    cache_put(c, key, value, bytes);
#endif
    cache_swap_stamps(value, bytes, stamps);
}

/* @count gets, or puts, @run->pipeline of them at once. Returns how many gets found something. */
static uint32_t cache_gets(struct cache_run *run, struct cache *c, uint32_t count)
{
    uint32_t hits = 0;
#ifdef CACHE_PIPELINES
    uint64_t keys[CACHE_AT_ONCE];
    for (uint32_t done = 0; run->pipeline > 1 && done < count; done += run->pipeline) {
        for (uint32_t i = 0; i < run->pipeline; i++)
            cache_ask_get(c, keys[i] = cache_next_key(run));
        for (uint32_t i = 0; i < run->pipeline; i++)
            hits += cache_check(run, keys[i], cache_take_get(c, run->got));
    }
    if (run->pipeline > 1)
        return hits;
#endif
    for (uint32_t i = 0; i < count; i++)
        hits += cache_get_one(run, c, cache_next_key(run));
    return hits;
}

static void cache_puts(struct cache_run *run, struct cache *c, uint32_t count, uint32_t at_once)
{
    for (uint32_t done = 0; done < count; done += at_once) {
        for (uint32_t i = 0; i < at_once; i++)
            cache_put_one(run, c, cache_next_key(run), at_once == 1);
#ifdef CACHE_PIPELINES
        for (uint32_t i = 0; at_once > 1 && i < at_once; i++)
            cache_take_put(c);
#endif
    }
}
