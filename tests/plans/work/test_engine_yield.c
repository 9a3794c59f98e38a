/* SPDX-License-Identifier: Apache-2.0 */
/* Packets that stop early for the good of others. */
#include "plans/work/engine.h"

#include <pthread.h>
#include <sched.h>

#include "tests/plans/work/support.h"
#include "tests/support/runner.h"

#define FOREVER_NS (5 * ENGINE_YIELD_NS)

static struct engine *engine;
static _Atomic uint64_t yields, stayed,
    hasty; /* packets that were told to stop; that were not; that were told too soon */

static void teardown(void)
{
    engine = engine_unref(engine);
}

/* Works until it should yield, or for @at_most_ns; true: it should. */
static bool work(struct worker *w, uint64_t at_most_ns)
{
    uint64_t start_ns = mm_now_ns();
    while (mm_now_ns() - start_ns < at_most_ns) {
        if (!worker_should_yield(w))
            continue;
        at_add_relaxed(&hasty, mm_now_ns() - w->running_ns < ENGINE_YIELD_NS);
        at_add_relaxed(&yields, 1);
        return true;
    }
    at_add_relaxed(&stayed, 1);
    return false;
}

static void run_alone(struct worker *w, struct packet *p)
{
    work(w, FOREVER_NS);
}

static const struct packet_kind ALONE = { "alone", 0, run_alone, 0 };

START_TEST(nobody_else_is_no_reason_to_yield)
{
    engine = test_engine(1);
    MM_AUTO(job) job = test_job(engine, &(struct job_config){ .name = "alone", .stages = 1 });
    test_add(job, &ALONE, 0);
    test_add(job, &ALONE, 0); /* waits, but gains nothing */
    engine_run(engine, job);
    ck_assert_uint_eq(at_load_relaxed(&stayed), 2);
    ck_assert_uint_eq(at_load_relaxed(&yields), 0);
}
END_TEST

/* One that goes on until another job is done: with one worker it must let go for that to happen. */

static _Atomic bool begun, other_done;

static void run_until_other(struct worker *w, struct packet *p);
static const struct packet_kind UNTIL_OTHER = { "until other", 0, run_until_other, 0 };

static void run_until_other(struct worker *w, struct packet *p)
{
    at_store_release(&begun, true);
    while (!at_load_acquire(&other_done))
        if (work(w, FOREVER_NS)) {
            test_push(w, &UNTIL_OTHER, 0, 0);
            return;
        }
}

static void run_nothing(struct worker *w, struct packet *p) {}
static const struct packet_kind NOTHING = { "nothing", 0, run_nothing, 0 };

static void *run_job(void *arg)
{
    engine_run(engine, arg);
    return NULL;
}

START_TEST(another_job_gets_its_turn)
{
    pthread_t thread;
    engine = test_engine(1);
    MM_AUTO(job) a = test_job(engine, &(struct job_config){ .name = "endless", .stages = 1 });
    test_add(a, &UNTIL_OTHER, 0);
    pthread_create(&thread, NULL, run_job, a);
    while (!at_load_acquire(&begun)) /* from here on the one worker is taken */
        sched_yield();
    for (unsigned i = 0; i < 5; i++) {
        MM_AUTO(job) b = test_job(engine, &(struct job_config){ .name = "small", .stages = 1 });
        for (unsigned n = 0; n < 10; n++)
            test_add(b, &NOTHING, 0);
        engine_run(engine, b);
    }
    at_store_release(&other_done, true);
    pthread_join(thread, NULL);
    ck_assert_uint_ge(at_load_relaxed(&yields), 1);
    ck_assert_uint_eq(at_load_relaxed(&hasty), 0);
}
END_TEST

/* Two halves that wait for each other: the first worker must let the second have one. */

static _Atomic unsigned inside;

static void run_half(struct worker *w, struct packet *p)
{
    at_add_relaxed(&inside, 1);
    while (at_load_relaxed(&inside) < 2)
        sched_yield();
}

static const struct packet_kind HALF = { "half", 0, run_half, 0 };

static void run_whole(struct worker *w, struct packet *p)
{
    while (!work(w, FOREVER_NS))
        ;
    test_push(w, &HALF, 0, 0);
    test_push(w, &HALF, 0, 0);
}

static const struct packet_kind WHOLE = { "whole", 0, run_whole, 0 };

START_TEST(idle_workers_get_a_share)
{
    engine = test_engine(2);
    MM_AUTO(job) job = test_job(engine, &(struct job_config){ .name = "share", .stages = 1 });
    test_add(job, &WHOLE, 0);
    engine_run(engine, job);
    ck_assert_uint_eq(at_load_relaxed(&yields), 1);
    ck_assert_uint_eq(at_load_relaxed(&hasty), 0);
}
END_TEST

static void run_with_bound(struct worker *w, struct packet *p)
{
    struct packet *mine = worker_packet_try_new(w, &NOTHING);
    MM_ASSERT(mine != NULL);
    work(w, FOREVER_NS);
    worker_packet_push_for(w, mine, worker_index(w));
    while (!work(w, FOREVER_NS)) /* without a reason this hangs */
        ;
}

static const struct packet_kind WITH_BOUND = { "with bound", 0, run_with_bound, 0 };

START_TEST(bound_packet_that_waits_is_a_reason)
{
    engine = test_engine(1);
    MM_AUTO(job) job = test_job(engine, &(struct job_config){ .name = "bound", .stages = 1 });
    test_add(job, &WITH_BOUND, 0);
    engine_run(engine, job);
    ck_assert_uint_ge(at_load_relaxed(&stayed), 1); /* before it was pushed */
    ck_assert_uint_eq(at_load_relaxed(&yields), 1);
}
END_TEST

static Suite *suite(void)
{
    Suite *s = suite_create("engine yield");
    TCase *tc = tcase_create("engine yield");
    tcase_add_checked_fixture(tc, NULL, teardown);
    tcase_set_timeout(tc, 60);
    tcase_add_test(tc, nobody_else_is_no_reason_to_yield);
    tcase_add_test(tc, another_job_gets_its_turn);
    tcase_add_test(tc, idle_workers_get_a_share);
    tcase_add_test(tc, bound_packet_that_waits_is_a_reason);
    suite_add_tcase(s, tc);
    return s;
}

int main(int argc, char **argv)
{
    return runner_main(argc, argv, suite);
}
