/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/* Stress: what long random tests share: a seed that is printed and can be replayed, a budget of time, sizes that fit the
 * build, the plans to try.
 *   Env       MMGC_SEED=N replays a run, as far as processes that race can be replayed
 *   Env       MMGC_STRESS=N is --times N, for what is started by meson
 *   Options   --long: hours instead of seconds, with a new seed for each round     --times N: N times as long
 *             --plan NAME: this plan alone
 *   Threads   settled in stress_main(), constant afterwards; a struct rng belongs to one thread                          */
#include <stdbool.h>
#include <stdint.h>

#include "tests/support/runner.h"

/* Sanitized builds are slower by about this much: divide sizes and counts, not seconds. */
#if defined(__SANITIZE_THREAD__)
#define STRESS_SLOWER 6u
#elif defined(__SANITIZE_ADDRESS__)
#define STRESS_SLOWER 3u
#elif defined(__has_feature)
#if __has_feature(thread_sanitizer) || __has_feature(address_sanitizer)
#define STRESS_SLOWER 4u
#endif
#endif
#ifndef STRESS_SLOWER
#define STRESS_SLOWER 1u
#endif

/* runner_main() after the options above are taken out of argv; prints MMGC_SEED=... */
int stress_main(int argc, char **argv, Suite *(*make)(void));

uint64_t stress_seed(uint64_t which); /* differs for each @which, the same in every replay */
double stress_seconds(double by_default); /* how long something may go on: multiplied by --times or --long */
uint64_t stress_count(uint64_t by_default); /* the same for a number of rounds */
/* What each of @cases cases gets of a program's whole budget: tables of plans grow, and a suite that is run often does not. */
double stress_seconds_each(double all, int cases);
uint64_t stress_count_each(uint64_t all, int cases);
bool stress_long(void);
void stress_limit(TCase *tc, double by_default_s); /* tcase_set_timeout() that knows of --long */

/* The plans that collect, from the daemon's own table. */
int stress_plan_count(void);
const char *stress_plan(int i);
int stress_generational_count(void); /* of those, the ones that have young collections */
const char *stress_generational_plan(int i);
/* A heap of @plan that holds as many small objects as others do in @bytes: under pageprotect each has pages of its own. */
uint64_t stress_heap_bytes(const char *plan, uint64_t bytes);
/* For programs that count bytes until a heap is full, or instructions: leaves out plans under which each object has pages of its own. Before the
 * suite is made. */
void stress_leave_out_pages(void);
bool stress_plan_copies(const char *plan); /* a heap is as good as full with half of it alive: as much is kept for the copies */
/* For mmgc_heap_options.options, by the seed: a second trace checks each collection; collections come every 256 KiB; immix moves
 * whatever it can; nurseries of several sizes. Static. */
const char *stress_options(const char *plan, uint64_t which);
/* One of two, by the seed: what need not be tried both ways in every run. */
bool stress_toss(uint64_t which);

/* xorshift64*: fast, good enough to choose with. */
struct rng {
    uint64_t state; /* never 0 */
};
static inline struct rng rng_from(uint64_t seed)
{
    return (struct rng){ .state = seed * UINT64_C(0x9e3779b97f4a7c15) | 1 };
}
static inline uint64_t rng_next(struct rng *r)
{
    r->state ^= r->state >> 12;
    r->state ^= r->state << 25;
    r->state ^= r->state >> 27;
    return r->state * UINT64_C(0x2545f4914f6cdd1d);
}
static inline uint32_t rng_below(struct rng *r, uint32_t n) /* 0 .. n-1; n > 0 */
{
    return (uint32_t)((rng_next(r) >> 32) * n >> 32);
}
static inline bool rng_one_in(struct rng *r, uint32_t n)
{
    return rng_below(r, n) == 0;
}
/* Small numbers often, up to @max rarely: each power of two is as likely. */
uint32_t rng_skewed(struct rng *r, uint32_t max);
