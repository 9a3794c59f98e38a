/* SPDX-License-Identifier: Apache-2.0 */
#include "tests/support/stress.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "plans/plan.h"
#include "shm/base.h"

#define LONG_TIMES 600 /* a case of six seconds becomes one of an hour */

static struct {
    uint64_t seed;
    double times;
    bool is_long;
    const char *plan; /* NULL: all */
} settled = { .times = 1 };

static void settle_seed(void)
{
    const char *given = getenv("MMGC_SEED");
    if (given != NULL && *given != '\0')
        settled.seed = strtoull(given, NULL, 0);
    else
        settled.seed = (mm_now_ns() ^ (uint64_t)getpid() << 32) % UINT64_C(1000000000000);
    fprintf(stderr, "MMGC_SEED=%" PRIu64 "\n", settled.seed);
}

static void settle_times(void)
{
    const char *given = getenv("MMGC_STRESS");
    if (given != NULL && strtod(given, NULL) > 0)
        settled.times = strtod(given, NULL);
}

int stress_main(int argc, char **argv, Suite *(*make)(void))
{
    int kept = 1;
    settle_times();
    for (int i = 1; i < argc; i++)
        if (strcmp(argv[i], "--long") == 0) {
            settled.is_long = true;
            settled.times = LONG_TIMES;
        } else if (strcmp(argv[i], "--times") == 0 && i + 1 < argc) {
            settled.times = strtod(argv[++i], NULL);
        } else if (strcmp(argv[i], "--plan") == 0 && i + 1 < argc) {
            settled.plan = argv[++i];
        } else {
            argv[kept++] = argv[i];
        }
    settle_seed();
    setenv("MM_HEAP_CHECK", "1", 0); /* every daemon checks its heaps after each collection */
    return runner_main(kept, argv, make);
}

uint64_t stress_seed(uint64_t which)
{
    struct rng r = rng_from(settled.seed + which * UINT64_C(0xd1342543de82ef95));
    rng_next(&r);
    return rng_next(&r);
}

bool stress_toss(uint64_t which)
{
    return stress_seed(which) >> 32 & 1;
}

const char *stress_options(const char *plan, uint64_t which)
{
    static const char *const options[3][4] = {
        { "", "sanity=on", "sanity=on stress_factor=256K", "stress_factor=256K" },
        { "immix_always_defrag=on immix_defrag_every_block=on", "sanity=on immix_always_defrag=on",
          "sanity=on stress_factor=256K",
          "sanity=on stress_factor=256K immix_always_defrag=on immix_defrag_every_block=on" },
        { "nursery=fixed:1M", "sanity=on nursery=fixed:256K", "sanity=on stress_factor=256K immix_defrag_every_block=on",
          "sanity=on nursery=adaptive:64K,4M pause_goal=1ms" },
    };
    unsigned row = plan_find(plan)->constraints.generational ? 2 : strcmp(plan, "immix") == 0;
    return options[row][(stress_seed(which) >> 32) % 4];
}

double stress_seconds(double by_default)
{
    return by_default * settled.times;
}

uint64_t stress_count(uint64_t by_default)
{
    return (uint64_t)((double)by_default * settled.times / STRESS_SLOWER) + 1;
}

double stress_seconds_each(double all, int cases)
{
    return stress_seconds(MM_MAX(all / cases, 0.3));
}

uint64_t stress_count_each(uint64_t all, int cases)
{
    return stress_count(MM_MAX(all / (uint64_t)cases, 4u));
}

bool stress_long(void)
{
    return settled.is_long;
}

void stress_limit(TCase *tc, double by_default_s)
{
    tcase_set_timeout(tc, settled.times > 1 ? 0 : by_default_s); /* 0: none */
}

static bool has_pages(const struct plan *plan)
{
    return plan->constraints.allocator == SHM_ALLOCATOR_PAGES;
}

static bool pages_left_out;

void stress_leave_out_pages(void)
{
    pages_left_out = true;
}

uint64_t stress_heap_bytes(const char *plan, uint64_t bytes)
{
    return has_pages(plan_find(plan)) ? 16 * bytes : bytes;
}

static bool is_chosen(const struct plan *plan)
{
    return !(pages_left_out && has_pages(plan)) && plan->constraints.trace != PLAN_TRACE_NONE &&
           (settled.plan == NULL || strcmp(plan->name, settled.plan) == 0);
}

int stress_plan_count(void)
{
    int count = 0;
    for (size_t i = 0; i < PLAN_COUNT; i++)
        count += is_chosen(plans[i]);
    return count;
}

const char *stress_plan(int i)
{
    for (size_t p = 0; p < PLAN_COUNT; p++)
        if (is_chosen(plans[p]) && i-- == 0)
            return plans[p]->name;
    return NULL;
}

static bool is_generational(int i)
{
    return plan_find(stress_plan(i))->constraints.generational;
}

int stress_generational_count(void)
{
    int count = 0;
    for (int i = 0; i < stress_plan_count(); i++)
        count += is_generational(i);
    return count;
}

const char *stress_generational_plan(int which)
{
    for (int i = 0; i < stress_plan_count(); i++)
        if (is_generational(i) && which-- == 0)
            return stress_plan(i);
    return NULL;
}

bool stress_plan_copies(const char *plan)
{
    return plan_find(plan)->reserve_bytes != NULL;
}

uint32_t rng_skewed(struct rng *r, uint32_t max)
{
    unsigned bits = 32u - (unsigned)__builtin_clz(max | 1);
    uint32_t below = 1u << rng_below(r, bits + 1) % 32;
    uint32_t n = rng_below(r, below + 1);
    return n < max ? n : max;
}
