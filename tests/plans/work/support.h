/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/* Support: what the tests of plans/work share: a replayable seed, sizes a sanitizer can bear, jobs in one line. */
#include <check.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>

#include "plans/work/engine.h"
#include "plans/work/worker.h"

#if defined(__SANITIZE_THREAD__) || defined(__SANITIZE_ADDRESS__)
#define SLOWER 10u
#elif defined(__has_feature)
#if __has_feature(thread_sanitizer) || __has_feature(address_sanitizer)
#define SLOWER 10u
#endif
#endif
#ifndef SLOWER
#define SLOWER 1u
#endif

/* MMGC_SEED of the environment, or a new one; printed, so that a failure can be run again. Never 0. */
static inline uint32_t test_seed(void)
{
    const char *given = getenv("MMGC_SEED");
    uint32_t seed = given ? (uint32_t)strtoul(given, NULL, 0) : (uint32_t)(mm_now_ns() >> 4);
    fprintf(stderr, "MMGC_SEED=%" PRIu32 "\n", seed | 1);
    return seed | 1;
}

static inline uint32_t test_random(uint32_t *state)
{
    *state ^= *state << 13;
    *state ^= *state >> 17;
    return *state ^= *state << 5;
}

static inline struct engine *test_engine(unsigned workers)
{
    struct engine *engine = NULL;
    ck_assert_int_eq(engine_new(&engine, workers), 0);
    return engine;
}

static inline struct job *test_job(struct engine *engine, const struct job_config *config)
{
    struct job *job = NULL;
    ck_assert_int_eq(job_new(&job, engine, config), 0);
    return job;
}

static inline struct packet *test_add(struct job *job, const struct packet_kind *kind, uint64_t arg)
{
    struct packet *p = job_packet_add(job, kind);
    ck_assert_ptr_nonnull(p);
    p->args[0] = arg;
    return p;
}

/* In a packet: pushes one of @kind. Aborts when the pool declines, which these tests do not expect. */
static inline void test_push(struct worker *w, const struct packet_kind *kind, uint64_t arg0,
                             uint64_t arg1)
{
    struct packet *p = worker_packet_try_new(w, kind);
    MM_ASSERT(p != NULL);
    p->args[0] = arg0;
    p->args[1] = arg1;
    worker_packet_push(w, p);
}

/* How many of @count bytes are not 1. A ck_assert each would take a microsecond each. */
static inline size_t test_count_not_one(const _Atomic uint8_t *bytes, size_t count)
{
    size_t n = 0;
    for (size_t i = 0; i < count; i++)
        n += at_load_relaxed(&bytes[i]) != 1;
    return n;
}

static inline void test_spin_ns(uint64_t ns)
{
    for (uint64_t until = mm_now_ns() + ns; mm_now_ns() < until;)
        ;
}
