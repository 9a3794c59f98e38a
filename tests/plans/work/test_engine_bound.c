/* SPDX-License-Identifier: Apache-2.0 */
/* Packets that are bound to one worker. */
#include "plans/work/engine.h"

#include <sched.h>
#include <signal.h>

#include "tests/plans/work/support.h"
#include "tests/support/runner.h"

#define STAGES 3u

static const unsigned worker_counts[] = { 1, 2, 4, 8 };
static struct engine *engine;
static _Atomic uint64_t ran, strayed, early;
static _Atomic int64_t outstanding[STAGES]; /* pushed and not yet finished */

static void teardown(void)
{
    engine = engine_unref(engine);
}

static struct job *bound_job(uint32_t stages)
{
    return test_job(engine, &(struct job_config){ .name = "bound", .stages = stages });
}

static void add_for(struct job *job, const struct packet_kind *kind, unsigned worker, uint64_t arg1)
{
    struct packet *p = job_packet_add_for(job, kind, worker);
    ck_assert_ptr_nonnull(p);
    p->args[0] = worker;
    p->args[1] = arg1;
}

static void push_for(struct worker *w, const struct packet_kind *kind, unsigned worker, uint64_t arg1)
{
    struct packet *p = worker_packet_try_new(w, kind);
    MM_ASSERT(p != NULL);
    p->args[0] = worker;
    p->args[1] = arg1;
    worker_packet_push_for(w, p, worker);
}

/* Before the run. */

static void run_home(struct worker *w, struct packet *p)
{
    at_add_relaxed(&strayed, worker_index(w) != p->args[0]);
    at_add_relaxed(&ran, 1);
    test_spin_ns(500);
}

static void run_anywhere(struct worker *w, struct packet *p)
{
    test_spin_ns(500);
    at_add_relaxed(&ran, 1);
}

static const struct packet_kind HOME[STAGES] = { { "home 0", 0, run_home, 0 },
                                                 { "home 1", 1, run_home, 0 },
                                                 { "home 2", 2, run_home, 0 } };
static const struct packet_kind ANYWHERE = { "anywhere", 1, run_anywhere, 0 };

START_TEST(bound_packet_runs_on_its_worker)
{
    unsigned workers = worker_counts[_i];
    struct packet_counters rows[4];
    engine = test_engine(workers);
    MM_AUTO(job) job = bound_job(STAGES);
    for (unsigned n = 0; n < 300; n++) {
        add_for(job, &HOME[n % STAGES], n % workers, 0);
        test_add(job, &ANYWHERE, 0);
    }
    engine_run(engine, job);
    ck_assert_uint_eq(at_load_relaxed(&ran), 600);
    ck_assert_uint_eq(at_load_relaxed(&strayed), 0);
    ck_assert_uint_eq(job_counters(job, rows, 4), 4);
    ck_assert_str_eq(rows[1].name, "anywhere");
    ck_assert_uint_eq(rows[1].count, 300);
    ck_assert_uint_eq(rows[3].count, 100);
}
END_TEST

START_TEST(one_worker_can_have_it_all)
{
    unsigned workers = worker_counts[_i];
    engine = test_engine(workers);
    for (unsigned round = 0; round < 2000 / SLOWER; round++) {
        MM_AUTO(job) job = bound_job(STAGES);
        at_store_relaxed(&ran, 0);
        for (unsigned stage = 0; stage < STAGES; stage++)
            add_for(job, &HOME[stage], (round + stage) % workers, 0); /* nobody else has anything to do */
        engine_run(engine, job);
        ck_assert_uint_eq(at_load_relaxed(&ran), STAGES);
        ck_assert_uint_eq(at_load_relaxed(&strayed), 0);
    }
}
END_TEST

START_TEST(job_that_never_ran_returns_its_bound_packets)
{
    engine = test_engine(2);
    struct job *job = bound_job(STAGES);
    add_for(job, &HOME[0], 0, 0);
    add_for(job, &HOME[2], 1, 0);
    ck_assert_uint_eq(pool_out_racy(&engine->pool), 2);
    job = job_unref(job);
    ck_assert_uint_eq(pool_out_racy(&engine->pool), 0);
}
END_TEST

START_TEST(worker_that_does_not_exist_is_an_error)
{
    engine = test_engine(2);
    MM_AUTO(job) job = bound_job(STAGES);
    job_packet_add_for(job, &HOME[0], 2);
}
END_TEST

/* Inside the run. */

static char order[8];
static unsigned ordered;

static void run_letter(struct worker *w, struct packet *p)
{
    order[ordered++] = (char)p->args[1];
}

static const struct packet_kind LETTER = { "letter", 0, run_letter, 0 };

static void run_mixed(struct worker *w, struct packet *p)
{
    push_for(w, &LETTER, 0, 'b');
    for (unsigned i = 0; i < 3; i++)
        test_push(w, &LETTER, 0, 'a');
}

static const struct packet_kind MIXED = { "mixed", 0, run_mixed, 0 };

START_TEST(bound_packet_goes_before_all_others)
{
    engine = test_engine(1);
    MM_AUTO(job) job = bound_job(1);
    test_add(job, &MIXED, 0);
    engine_run(engine, job);
    ck_assert_str_eq(order, "baaa");
}
END_TEST

/* Children in its own stage and in later ones, half of them bound, to a depth. args[0]: its worker, or more than there are */
static void run_tree(struct worker *w, struct packet *p);
static const struct packet_kind TREE[STAGES] = { { "tree 0", 0, run_tree, 0 },
                                                 { "tree 1", 1, run_tree, 0 },
                                                 { "tree 2", 2, run_tree, 0 } };

static void tree_note(struct worker *w, struct packet *p)
{
    for (uint32_t i = 0; i < p->kind->stage; i++)
        at_add_relaxed(&early, at_load_relaxed(&outstanding[i]) != 0);
    if (p->args[0] < engine_workers(engine))
        at_add_relaxed(&strayed, worker_index(w) != p->args[0]);
    at_add_relaxed(&ran, 1);
}

static void run_tree(struct worker *w, struct packet *p)
{
    uint32_t stage = p->kind->stage, random = (uint32_t)p->args[1] >> 4 | 1;
    uint64_t depth = p->args[1] & 15;
    tree_note(w, p);
    for (unsigned i = 0; depth != 0 && i < 3; i++) {
        uint32_t child = test_random(&random), later = stage + child % 3 % (STAGES - stage);
        uint64_t arg = (child & ~15u) | (depth - 1);
        at_add_relaxed(&outstanding[later], 1);
        if ((child >> 8) % 2 == 0)
            push_for(w, &TREE[later], (child >> 9) % engine_workers(engine), arg);
        else
            test_push(w, &TREE[later], UINT64_MAX, arg);
    }
    atomic_fetch_sub_explicit(&outstanding[stage], 1, memory_order_relaxed);
}

START_TEST(bound_and_free_packets_mix_in_every_stage)
{
    uint32_t seed = test_seed();
    engine = test_engine(worker_counts[_i]);
    engine_set_seed(engine, seed);
    for (unsigned round = 0; round < 200 / SLOWER; round++) {
        MM_AUTO(job) job = bound_job(STAGES);
        at_store_relaxed(&ran, 0);
        at_store_relaxed(&outstanding[0], 1);
        test_add(job, &TREE[0], UINT64_MAX)->args[1] = (test_random(&seed) & ~15u) | 6;
        engine_run(engine, job);
        ck_assert_uint_eq(at_load_relaxed(&ran), 1093); /* 1 + 3 + ... + 3^6 */
        ck_assert_uint_eq(at_load_relaxed(&strayed), 0);
        ck_assert_uint_eq(at_load_relaxed(&early), 0);
    }
}
END_TEST

/* Waking. */

static _Atomic bool received;

static void run_letter_home(struct worker *w, struct packet *p)
{
    at_add_relaxed(&strayed, worker_index(w) != p->args[0]);
    at_store_release(&received, true);
}

static void run_note(struct worker *w, struct packet *p) {}

static const struct packet_kind NOTE = { "note", 0, run_note, 0 };
static const struct packet_kind LETTER_HOME = { "letter home", 0, run_letter_home, 0 };

/* args[1]: how long to wait first, so that the others are searching, falling asleep, or asleep. Holds its worker until the
 * packet it sent has run: if its worker sleeps on, this hangs. */
static void run_sender(struct worker *w, struct packet *p)
{
    unsigned workers = engine_workers(engine);
    unsigned to = (unsigned)((worker_index(w) + 1 + p->args[0] % (workers - 1)) % workers);
    test_spin_ns(p->args[1]);
    push_for(w, &LETTER_HOME, to, 0);
    if (p->args[0] % 3 == 0)
        test_push(w, &NOTE, 0, 0); /* a wake that anybody may answer, right behind the call */
    while (!at_load_acquire(&received))
        sched_yield();
}

static const struct packet_kind SENDER = { "sender", 0, run_sender, 0 };

START_TEST(sleeping_worker_is_woken_for_its_packet)
{
    engine = test_engine(worker_counts[_i]);
    for (unsigned round = 0; round < 3000 / SLOWER; round++) {
        MM_AUTO(job) job = bound_job(1);
        at_store_relaxed(&received, false);
        test_add(job, &SENDER, round)->args[1] = round % 40 * 500;
        engine_run(engine, job);
        ck_assert_uint_eq(at_load_relaxed(&strayed), 0);
    }
}
END_TEST

static _Atomic unsigned inside;

static void run_meet(struct worker *w, struct packet *p)
{
    at_add_relaxed(&strayed, worker_index(w) != p->args[0]);
    at_add_relaxed(&inside, 1);
    while (at_load_relaxed(&inside) < engine_workers(engine))
        sched_yield(); /* there may be more workers than cores */
}

static const struct packet_kind MEET = { "meet", 1, run_meet, 0 };

START_TEST(opening_a_stage_wakes_those_it_has_packets_for)
{
    unsigned workers = worker_counts[_i];
    engine = test_engine(workers);
    for (unsigned round = 0; round < 500 / SLOWER; round++) {
        MM_AUTO(job) job = bound_job(2);
        at_store_relaxed(&inside, 0);
        for (unsigned i = 0; i < workers; i++)
            add_for(job, &MEET, i, 0);
        if (round % 2 == 0)
            test_spin_ns(round % 16 * 1000);
        engine_run(engine, job);
        ck_assert_uint_eq(at_load_relaxed(&strayed), 0);
    }
}
END_TEST

/* The closure has drained: each worker is to flush what is its own, before anything else. */
static bool flush_once(struct job *job, struct worker *w, uint32_t stage)
{
    bool *flushed = job_context(job);
    if (stage != 1 || *flushed)
        return false;
    at_store_relaxed(&inside, 0);
    for (unsigned i = 0; i < engine_workers(engine); i++)
        push_for(w, &MEET, i, 0);
    push_for(w, &HOME[2], engine_workers(engine) - 1, 0);
    return *flushed = true;
}

START_TEST(sentinel_makes_every_worker_flush)
{
    engine = test_engine(worker_counts[_i]);
    for (unsigned round = 0; round < 200 / SLOWER; round++) {
        bool flushed = false;
        struct packet_counters rows[4];
        MM_AUTO(job)
        job = test_job(engine, &(struct job_config){ .name = "flush",
                                                     .stages = STAGES,
                                                     .context = &flushed,
                                                     .on_drained = flush_once });
        for (unsigned i = 0; i < 20; i++)
            test_add(job, &ANYWHERE, 0);
        engine_run(engine, job);
        ck_assert_uint_eq(job_counters(job, rows, 4), 3);
        ck_assert_str_eq(rows[1].name, "meet");
        ck_assert_uint_eq(rows[1].count, worker_counts[_i]);
        ck_assert_uint_eq(rows[2].count, 1);
        ck_assert_uint_eq(at_load_relaxed(&strayed), 0);
    }
}
END_TEST

static Suite *suite(void)
{
    Suite *s = suite_create("engine bound");
    TCase *tc = tcase_create("engine bound");
    int counts = MM_ARRAY_LEN(worker_counts);
    tcase_add_checked_fixture(tc, NULL, teardown);
    tcase_set_timeout(tc, 60);
    tcase_add_loop_test(tc, bound_packet_runs_on_its_worker, 0, counts);
    tcase_add_loop_test(tc, one_worker_can_have_it_all, 0, counts);
    tcase_add_test(tc, job_that_never_ran_returns_its_bound_packets);
    tcase_add_test_raise_signal(tc, worker_that_does_not_exist_is_an_error, SIGABRT);
    tcase_add_test(tc, bound_packet_goes_before_all_others);
    tcase_add_loop_test(tc, bound_and_free_packets_mix_in_every_stage, 0, counts);
    tcase_add_loop_test(tc, sleeping_worker_is_woken_for_its_packet, 1, counts);
    tcase_add_loop_test(tc, opening_a_stage_wakes_those_it_has_packets_for, 0, counts);
    tcase_add_loop_test(tc, sentinel_makes_every_worker_flush, 0, counts);
    suite_add_tcase(s, tc);
    return s;
}

int main(int argc, char **argv)
{
    return runner_main(argc, argv, suite);
}
