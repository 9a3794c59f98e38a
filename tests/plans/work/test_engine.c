/* SPDX-License-Identifier: Apache-2.0 */
#include "plans/work/engine.h"

#include <sched.h>
#include <signal.h>
#include <unistd.h>

#include "tests/plans/work/support.h"
#include "tests/support/runner.h"

static const unsigned worker_counts[] = { 1, 2, 4, 8 };
static struct engine *engine;

static void setup_two(void)
{
    engine = test_engine(2);
}

static void teardown(void)
{
    engine = engine_unref(engine);
}

/* Every packet once: a tree of ranges, one number a packet. */

#define NUMBERS (1000000u / SLOWER)

static _Atomic uint8_t *seen;

static void run_range(struct worker *w, struct packet *p);
static const struct packet_kind RANGE = { "range", 0, run_range, 0 };

static void run_range(struct worker *w, struct packet *p)
{
    uint64_t from = p->args[0] + 1, to = p->args[1], middle = from + (to - from) / 2;
    at_add_relaxed(&seen[from - 1], 1);
    if (from < middle)
        test_push(w, &RANGE, from, middle);
    if (middle < to)
        test_push(w, &RANGE, middle, to);
}

START_TEST(every_packet_runs_exactly_once)
{
    struct packet_counters counters[2];
    engine = test_engine(worker_counts[_i]);
    engine_set_seed(engine, test_seed());
    seen = calloc(NUMBERS, sizeof(*seen));
    MM_AUTO(job) job = test_job(engine, &(struct job_config){ .name = "tree", .stages = 1 });
    for (uint64_t i = 0; i < 16; i++)
        test_add(job, &RANGE, NUMBERS * i / 16)->args[1] = NUMBERS * (i + 1) / 16;
    engine_run(engine, job);
    ck_assert_uint_eq(test_count_not_one(seen, NUMBERS), 0);
    ck_assert_uint_eq(job_counters(job, counters, 2), 1);
    ck_assert_uint_eq(counters[0].count, NUMBERS);
    free((void *)seen);
}
END_TEST

/* Stages. */

#define STAGES 5u

static _Atomic int64_t outstanding[STAGES]; /* pushed and not yet finished */
static _Atomic uint64_t broken, ran;

static void run_staged(struct worker *w, struct packet *p);
static const struct packet_kind STAGED[STAGES] = {
    { "staged 0", 0, run_staged, 0 }, { "staged 1", 1, run_staged, 0 }, { "staged 2", 2, run_staged, 0 },
    { "staged 3", 3, run_staged, 0 }, { "staged 4", 4, run_staged, 0 },
};

static void push_staged(struct worker *w, uint32_t stage, uint64_t depth, uint64_t seed)
{
    at_add_relaxed(&outstanding[stage], 1);
    test_push(w, &STAGED[stage], depth, seed);
}

/* Children in its own stage and in later ones, to a depth; each checks that nothing earlier is left. */
static void run_staged(struct worker *w, struct packet *p)
{
    uint32_t stage = p->kind->stage, random = (uint32_t)p->args[1] | 1;
    for (uint32_t i = 0; i < stage; i++)
        if (at_load_relaxed(&outstanding[i]) != 0)
            at_add_relaxed(&broken, 1);
    for (unsigned i = 0; p->args[0] != 0 && i < 3; i++) {
        uint32_t child = test_random(&random);
        push_staged(w, stage + child % 3 % (STAGES - stage), p->args[0] - 1, child);
    }
    at_add_relaxed(&ran, 1);
    atomic_fetch_sub_explicit(&outstanding[stage], 1, memory_order_relaxed);
}

START_TEST(later_stage_waits_for_the_earlier)
{
    uint32_t seed = test_seed();
    engine = test_engine(worker_counts[_i]);
    engine_set_seed(engine, seed);
    for (unsigned round = 0; round < 200 / SLOWER; round++) {
        MM_AUTO(job)
        job = test_job(engine, &(struct job_config){ .name = "staged", .stages = STAGES });
        at_store_relaxed(&ran, 0);
        for (uint32_t stage = 0; stage < 2; stage++) {
            at_add_relaxed(&outstanding[stage], 1);
            test_add(job, &STAGED[stage], 5)->args[1] = test_random(&seed);
        }
        engine_run(engine, job);
        ck_assert_uint_eq(at_load_relaxed(&broken), 0);
        ck_assert_uint_eq(at_load_relaxed(&ran), 2 * 364); /* 1 + 3 + ... + 3^5 each */
    }
}
END_TEST

static void run_nothing(struct worker *w, struct packet *p)
{
    at_add_relaxed(&ran, 1);
}

static const struct packet_kind NOTHING[STAGES] = {
    { "nothing 0", 0, run_nothing, 0 }, { "nothing 1", 1, run_nothing, 0 },
    { "nothing 2", 2, run_nothing, 0 }, { "nothing 3", 3, run_nothing, 0 },
    { "nothing 4", 4, run_nothing, 0 },
};

/* Sentinels. */

struct asked {
    unsigned by_stage[STAGES], rounds;
};

static _Atomic int running;

static void run_alone(struct worker *w, struct packet *p)
{
    at_add_relaxed(&running, 1);
    test_spin_ns(p->args[0]);
    at_add_relaxed(&ran, 1);
    at_add_relaxed(&running, -1);
}

static const struct packet_kind ALONE = { "alone", 1, run_alone, 0 };

static bool until_a_fixpoint(struct job *job, struct worker *w, uint32_t stage)
{
    struct asked *asked = job_context(job);
    MM_ASSERT(worker_job(w) == job);
    asked->by_stage[stage]++;
    if (stage != 1 || asked->rounds == 0)
        return false;
    for (unsigned i = 0; i < 20; i++) {
        test_push(w, &ALONE, 1000, 0);
        if (at_load_relaxed(&running) != 0) /* nor does one begin before we return */
            at_add_relaxed(&broken, 1);
    }
    asked->rounds--;
    return true;
}

START_TEST(sentinel_reruns_its_stage_to_a_fixpoint)
{
    struct asked asked = { .rounds = 10 };
    MM_AUTO(job)
    job = test_job(engine, &(struct job_config){ .name = "fixpoint",
                                                 .stages = 3,
                                                 .context = &asked,
                                                 .on_drained = until_a_fixpoint });
    for (unsigned i = 0; i < 20; i++)
        test_add(job, &ALONE, 1000);
    engine_run(engine, job);
    ck_assert_uint_eq(at_load_relaxed(&ran), 220);
    ck_assert_uint_eq(at_load_relaxed(&broken), 0);
    ck_assert_uint_eq(asked.by_stage[0], 1); /* an empty stage has drained too */
    ck_assert_uint_eq(asked.by_stage[1], 11);
    ck_assert_uint_eq(asked.by_stage[2], 1);
}
END_TEST

START_TEST(sentinel_fills_an_empty_stage)
{
    struct asked asked = { .rounds = 2 };
    MM_AUTO(job)
    job = test_job(
        engine, &(struct job_config){
                    .name = "empty", .stages = 2, .context = &asked, .on_drained = until_a_fixpoint });
    engine_run(engine, job);
    ck_assert_uint_eq(at_load_relaxed(&ran), 40);
    ck_assert_uint_eq(asked.by_stage[1], 3);
}
END_TEST

START_TEST(disabled_stages_are_passed_over)
{
    struct asked asked = { 0 };
    MM_AUTO(job)
    job = test_job(engine, &(struct job_config){ .name = "gaps",
                                                 .stages = STAGES,
                                                 .context = &asked,
                                                 .on_drained = until_a_fixpoint });
    job_disable_stage(job, 0);
    job_disable_stage(job, 2);
    job_disable_stage(job, 4);
    test_add(job, &NOTHING[1], 0);
    test_add(job, &NOTHING[3], 0);
    engine_run(engine, job);
    ck_assert_uint_eq(at_load_relaxed(&ran), 2);
    for (unsigned i = 0; i < STAGES; i++)
        ck_assert_uint_eq(asked.by_stage[i], i % 2);
}
END_TEST

START_TEST(packet_for_a_disabled_stage_is_an_error)
{
    MM_AUTO(job) job = test_job(engine, &(struct job_config){ .name = "gaps", .stages = STAGES });
    job_disable_stage(job, 2);
    job_packet_add(job, &NOTHING[2]);
}
END_TEST

START_TEST(empty_job_finishes)
{
    for (uint32_t stages = 1; stages <= JOB_STAGES_MAX; stages++) {
        MM_AUTO(job)
        job = test_job(engine, &(struct job_config){ .name = "empty", .stages = stages });
        if (stages % 3 == 0)
            for (uint32_t i = 0; i < stages; i++)
                job_disable_stage(job, i);
        engine_run(engine, job);
        ck_assert_uint_eq(job_counters(job, NULL, 0), 0);
    }
}
END_TEST

START_TEST(job_that_never_ran_returns_its_packets)
{
    struct job *job = test_job(engine, &(struct job_config){ .name = "unrun", .stages = STAGES });
    test_add(job, &NOTHING[0], 0);
    test_add(job, &NOTHING[4], 0);
    ck_assert_uint_eq(pool_out_racy(&engine->pool), 2);
    job = job_unref(job);
    ck_assert_ptr_null(job);
    ck_assert_uint_eq(pool_out_racy(&engine->pool), 0);
}
END_TEST

/* Order within a worker. */

static unsigned visited[64], visits;

/* args[0]: a node of a binary heap; its children are pushed left, then right. */
static void run_node(struct worker *w, struct packet *p);
static const struct packet_kind NODE = { "node", 0, run_node, 0 };

static void run_node(struct worker *w, struct packet *p)
{
    unsigned node = (unsigned)p->args[0];
    visited[visits++] = node;
    for (unsigned child = 2 * node; child <= 2 * node + 1; child++)
        if (child < MM_ARRAY_LEN(visited))
            test_push(w, &NODE, child, 0);
}

static void walk(unsigned node, unsigned *expected, unsigned *n)
{
    if (node >= MM_ARRAY_LEN(visited))
        return;
    expected[(*n)++] = node;
    walk(2 * node + 1, expected, n);
    walk(2 * node, expected, n);
}

START_TEST(one_worker_goes_depth_first)
{
    unsigned expected[MM_ARRAY_LEN(visited)], n = 0;
    engine = test_engine(1);
    MM_AUTO(job) job = test_job(engine, &(struct job_config){ .name = "depth", .stages = 1 });
    test_add(job, &NODE, 1);
    engine_run(engine, job);
    walk(1, expected, &n);
    ck_assert_uint_eq(visits, n);
    ck_assert_mem_eq(visited, expected, n * sizeof(*expected));
}
END_TEST

static void run_flood(struct worker *w, struct packet *p)
{
    for (unsigned i = 0; i < p->args[0]; i++)
        test_push(w, &NOTHING[0], 0, 0);
}

static const struct packet_kind FLOOD = { "flood", 0, run_flood, 0 };

START_TEST(flood_beyond_the_deque_spills_and_runs)
{
    engine = test_engine(worker_counts[_i]);
    MM_AUTO(job) job = test_job(engine, &(struct job_config){ .name = "flood", .stages = 1 });
    test_add(job, &FLOOD, 10000);
    engine_run(engine, job);
    ck_assert_uint_eq(at_load_relaxed(&ran), 10000);
}
END_TEST

/* Sharing. */

static _Atomic int taken_by; /* index of the worker that ran the gift, or -1 */

static void run_gift(struct worker *w, struct packet *p)
{
    at_store_release(&taken_by, (int)worker_index(w));
}

static const struct packet_kind GIFT = { "gift", 0, run_gift, 0 };

/* Holds its worker until another has run what it pushed: only a woken thief can end this. */
static void run_giver(struct worker *w, struct packet *p)
{
    while (!worker_others_idle_racy(w))
        ;
    test_spin_ns(p->args[0]); /* 0: the other is still spinning; else it sleeps */
    test_push(w, &GIFT, 0, 0);
    while (at_load_acquire(&taken_by) < 0)
        ;
    MM_ASSERT(at_load_acquire(&taken_by) != (int)worker_index(w));
}

static const struct packet_kind GIVER = { "giver", 0, run_giver, 0 };

START_TEST(push_wakes_an_idle_worker)
{
    for (unsigned round = 0; round < 2000 / SLOWER; round++) {
        MM_AUTO(job) job = test_job(engine, &(struct job_config){ .name = "gift", .stages = 1 });
        at_store_relaxed(&taken_by, -1);
        test_add(job, &GIVER, round % 20 * 1000);
        engine_run(engine, job);
    }
}
END_TEST

/* Two packets that each wait for the other: both workers must be inside at once. */
static void run_meet(struct worker *w, struct packet *p)
{
    at_add_relaxed(&running, 1);
    while (at_load_relaxed(&running) < (int)p->args[0])
        sched_yield(); /* there may be more workers than cores */
}

static const struct packet_kind MEET = { "meet", 1, run_meet, 0 };

START_TEST(opening_a_stage_wakes_enough_workers)
{
    engine = test_engine(worker_counts[_i]);
    for (unsigned round = 0; round < 200 / SLOWER; round++) {
        MM_AUTO(job) job = test_job(engine, &(struct job_config){ .name = "meet", .stages = 2 });
        at_store_relaxed(&running, 0);
        for (unsigned i = 0; i < worker_counts[_i]; i++)
            test_add(job, &MEET, worker_counts[_i]);
        engine_run(engine, job);
    }
}
END_TEST

/* Pushes guests in one breath and holds its worker till all are in. Only the first push wakes somebody: the others see
 * a worker searching already, so each of these must wake the next when it finds that there is more. */
static void run_host(struct worker *w, struct packet *p)
{
    at_add_relaxed(&running, 1);
    for (unsigned i = 1; i < p->args[0]; i++)
        test_push(w, &MEET, p->args[0], 0);
    while (at_load_relaxed(&running) < (int)p->args[0])
        sched_yield();
}

static const struct packet_kind HOST = { "host", 1, run_host, 0 };

START_TEST(woken_workers_wake_the_next)
{
    engine = test_engine(worker_counts[_i]);
    for (unsigned round = 0; round < 200 / SLOWER; round++) {
        MM_AUTO(job) job = test_job(engine, &(struct job_config){ .name = "party", .stages = 2 });
        at_store_relaxed(&running, 0);
        test_add(job, &HOST, worker_counts[_i]);
        engine_run(engine, job);
    }
}
END_TEST

/* Memory. */

static void run_hoard(struct worker *w, struct packet *p)
{
    struct packet *list = NULL, *more;
    unsigned n = 0;
    while ((more = worker_packet_try_new(w, &NOTHING[0])) != NULL) {
        more->next = list;
        list = more;
        n++;
    }
    MM_ASSERT(n == p->args[0]);
    for (; list != NULL; list = more, n--) {
        more = list->next;
        if (n % 2 == 0)
            worker_packet_free(w, list);
        else
            worker_packet_push(w, list);
    }
}

static const struct packet_kind HOARD = { "hoard", 0, run_hoard, 0 };

START_TEST(pool_limit_declines_and_frees_come_back)
{
    engine = test_engine(1);
    engine_set_packet_limit(engine, 11 * PACKET_BYTES);
    for (unsigned round = 0; round < 5; round++) {
        MM_AUTO(job) job = test_job(engine, &(struct job_config){ .name = "hoard", .stages = 1 });
        test_add(job, &HOARD, 10);
        at_store_relaxed(&ran, 0);
        engine_run(engine, job);
        ck_assert_uint_eq(at_load_relaxed(&ran), 5);
    }
    MM_AUTO(job) job = test_job(engine, &(struct job_config){ .name = "full", .stages = 1 });
    for (unsigned i = 0; i < 11; i++)
        ck_assert_ptr_nonnull(job_packet_add(job, &NOTHING[0]));
    ck_assert_ptr_null(job_packet_add(job, &NOTHING[0]));
    engine_run(engine, job);
}
END_TEST

START_TEST(sleeping_workers_keep_no_packets)
{
    MM_AUTO(job) job = test_job(engine, &(struct job_config){ .name = "flood", .stages = 1 });
    test_add(job, &FLOOD, 1000);
    engine_run(engine, job);
    for (unsigned ms = 0; ms < 5000 && pool_out_racy(&engine->pool) != 0; ms++)
        usleep(1000);
    ck_assert_uint_eq(pool_out_racy(&engine->pool), 0);
}
END_TEST

static void run_count(struct worker *w, struct packet *p)
{
    uint64_t *local = worker_local(w);
    *local += p->args[0];
    test_spin_ns(p->args[0]);
}

static const struct packet_kind COUNT = { "count", 1, run_count, 0 };

START_TEST(locals_and_counters_fold)
{
    uint64_t sum = 0;
    struct packet_counters rows[4];
    MM_AUTO(job)
    job = test_job(engine, &(struct job_config){
                               .name = "fold", .stages = 2, .worker_local_bytes = sizeof(uint64_t) });
    for (uint64_t i = 1; i <= 100; i++)
        test_add(job, &COUNT, i * 1000);
    test_add(job, &NOTHING[0], 0);
    engine_run(engine, job);
    for (unsigned i = 0; i < engine_workers(engine); i++)
        sum += *(uint64_t *)job_worker_local(job, i);
    ck_assert_uint_eq(sum, 5050000);
    ck_assert_uint_eq(job_counters(job, rows, 4), 2);
    ck_assert_str_eq(rows[0].name, "nothing 0");
    ck_assert_uint_eq(rows[0].count, 1);
    ck_assert_uint_eq(rows[0].min_ns, rows[0].max_ns);
    ck_assert_uint_eq(rows[0].min_ns, rows[0].total_ns);
    ck_assert_str_eq(rows[1].name, "count");
    ck_assert_uint_eq(rows[1].count, 100);
    ck_assert_uint_ge(rows[1].min_ns, 1000);
    ck_assert_uint_ge(rows[1].max_ns, 100000);
    ck_assert_uint_ge(rows[1].total_ns, 5050000);
    ck_assert_uint_eq(job_counters(job, rows, 1), 1);
}
END_TEST

static Suite *suite(void)
{
    Suite *s = suite_create("engine");
    TCase *tc = tcase_create("two workers");
    tcase_add_checked_fixture(tc, setup_two, teardown);
    tcase_set_timeout(tc, 60);
    tcase_add_test(tc, sentinel_reruns_its_stage_to_a_fixpoint);
    tcase_add_test(tc, sentinel_fills_an_empty_stage);
    tcase_add_test(tc, disabled_stages_are_passed_over);
    tcase_add_test_raise_signal(tc, packet_for_a_disabled_stage_is_an_error, SIGABRT);
    tcase_add_test(tc, empty_job_finishes);
    tcase_add_test(tc, job_that_never_ran_returns_its_packets);
    tcase_add_test(tc, push_wakes_an_idle_worker);
    tcase_add_test(tc, sleeping_workers_keep_no_packets);
    tcase_add_test(tc, locals_and_counters_fold);
    suite_add_tcase(s, tc);

    tc = tcase_create("one to eight workers");
    tcase_add_checked_fixture(tc, NULL, teardown);
    tcase_set_timeout(tc, 60);
    tcase_add_loop_test(tc, every_packet_runs_exactly_once, 0, MM_ARRAY_LEN(worker_counts));
    tcase_add_loop_test(tc, later_stage_waits_for_the_earlier, 0, MM_ARRAY_LEN(worker_counts));
    tcase_add_loop_test(tc, flood_beyond_the_deque_spills_and_runs, 0, MM_ARRAY_LEN(worker_counts));
    tcase_add_loop_test(tc, opening_a_stage_wakes_enough_workers, 0, MM_ARRAY_LEN(worker_counts));
    tcase_add_loop_test(tc, woken_workers_wake_the_next, 0, MM_ARRAY_LEN(worker_counts));
    tcase_add_test(tc, one_worker_goes_depth_first);
    tcase_add_test(tc, pool_limit_declines_and_frees_come_back);
    suite_add_tcase(s, tc);
    return s;
}

int main(int argc, char **argv)
{
    return runner_main(argc, argv, suite);
}
