/* SPDX-License-Identifier: Apache-2.0 */
#include <dirent.h>
#include <pthread.h>

#include "tests/plans/work/support.h"
#include "tests/support/runner.h"

static struct engine *engine;

static void teardown(void)
{
    engine = engine_unref(engine);
}

static void *run_job(void *arg)
{
    engine_run(engine, arg);
    return NULL;
}

/* Turns, exactly: one worker, two jobs, the order of their packets. */

#define EACH 500u

static char order[2 * EACH + 2];
static unsigned ordered;

static void run_letter(struct worker *w, struct packet *p)
{
    order[ordered++] = (char)p->args[0];
}

static void run_gate(struct worker *w, struct packet *p)
{
    while (at_load_relaxed(&engine->active) < p->args[0])
        ;
}

static const struct packet_kind GATE = { "gate", 0, run_gate, 0 }, LETTER = { "letter", 1, run_letter, 0 };

static struct job *letters_job(char letter)
{
    struct job *job = test_job(engine, &(struct job_config){ .name = "letters", .stages = 2 });
    test_add(job, &GATE, 2);
    for (unsigned i = 0; i < EACH; i++)
        test_add(job, &LETTER, (uint64_t)letter);
    return job;
}

static size_t longest_run(const char *letters, size_t n)
{
    size_t longest = 0, run = 0;
    for (size_t i = 0; i < n; i++) {
        run = i > 0 && letters[i] == letters[i - 1] ? run + 1 : 1;
        longest = MM_MAX(longest, run);
    }
    return longest;
}

static size_t longest_run_of(char letter, const char *letters)
{
    size_t longest = 0;
    for (size_t run = 0; *letters != '\0'; letters++) {
        run = *letters == letter ? run + 1 : 0;
        longest = MM_MAX(longest, run);
    }
    return longest;
}

START_TEST(two_jobs_take_turns_of_a_burst_each)
{
    pthread_t other;
    size_t both = 0, left[2] = { EACH, EACH };
    engine = test_engine(1);
    MM_AUTO(job) a = letters_job('a');
    MM_AUTO(job) b = letters_job('b');
    pthread_create(&other, NULL, run_job, a);
    engine_run(engine, b);
    pthread_join(other, NULL);
    ck_assert_uint_eq(ordered, 2 * EACH);
    while (left[0] != 0 && left[1] != 0)
        left[order[both++] - 'a']--;
    ck_assert_uint_le(longest_run(order, both), ENGINE_BURST);
    ck_assert_uint_ge(both, 2 * EACH - 2 * ENGINE_BURST); /* they ended together */
}
END_TEST

/* By time too: packets of 300 us fill a turn of 1 ms with four, not with a burst. */

#define LONG_NS 300000u
#define LONG_TURN ((ENGINE_TURN_NS + LONG_NS - 1) / LONG_NS)

static void run_long(struct worker *w, struct packet *p)
{
    run_letter(w, p);
    test_spin_ns(LONG_NS);
}

static const struct packet_kind LONG = { "long", 1, run_long, 0 };

START_TEST(long_packets_take_turns_with_many_short_ones)
{
    enum { LONGS = 60 };
    pthread_t other;
    size_t both = 0, left[2] = { LONGS, EACH };
    engine = test_engine(1);
    MM_AUTO(job) b = letters_job('b');
    MM_AUTO(job) a = test_job(engine, &(struct job_config){ .name = "long", .stages = 2 });
    test_add(a, &GATE, 2);
    for (unsigned i = 0; i < LONGS; i++)
        test_add(a, &LONG, 'a');
    pthread_create(&other, NULL, run_job, a);
    engine_run(engine, b);
    pthread_join(other, NULL);
    while (left[0] != 0 && left[1] != 0)
        left[order[both++] - 'a']--;
    order[both] = '\0';
    ck_assert_uint_le(longest_run_of('a', order), LONG_TURN);
    ck_assert_uint_le(longest_run_of('b', order), ENGINE_BURST);
}
END_TEST

/* A job that goes on until another has ended. */

static _Atomic bool other_done;

static void run_until_other(struct worker *w, struct packet *p);
static const struct packet_kind UNTIL_OTHER = { "until other", 0, run_until_other, 0 };

static void run_until_other(struct worker *w, struct packet *p)
{
    if (!at_load_acquire(&other_done))
        for (unsigned i = 0; i < p->args[0]; i++)
            test_push(w, &UNTIL_OTHER, i == 0, 0); /* a chain, whose head alone branches */
}

static const struct packet_kind WORK = { "work", 0, run_gate, 0 };

START_TEST(busy_job_does_not_starve_another)
{
    static const unsigned workers[] = { 1, 2, 4 };
    pthread_t busy;
    engine = test_engine(workers[_i]);
    MM_AUTO(job) a = test_job(engine, &(struct job_config){ .name = "busy", .stages = 1 });
    for (unsigned i = 0; i < 64; i++)
        test_add(a, &UNTIL_OTHER, 1);
    pthread_create(&busy, NULL, run_job, a);
    for (unsigned i = 0; i < 100; i++) {
        MM_AUTO(job) b = test_job(engine, &(struct job_config){ .name = "small", .stages = 3 });
        for (unsigned n = 0; n < 50; n++)
            test_add(b, &WORK, 0);
        engine_run(engine, b);
    }
    at_store_release(&other_done, true);
    pthread_join(busy, NULL);
}
END_TEST

/* Churn: small jobs of random shape from several threads; a lost wake hangs, a lost packet shows. */

#define JOBS (10000u / SLOWER)
#define SUBMITTERS 4u

static void run_leaf(struct worker *w, struct packet *p);
static const struct packet_kind LEAF[3] = { { "leaf 0", 0, run_leaf, 0 },
                                            { "leaf 1", 1, run_leaf, 0 },
                                            { "leaf 2", 2, run_leaf, 0 } };

/* args: how many packets this one stands for, random state */
static void run_leaf(struct worker *w, struct packet *p)
{
    uint64_t *ran = worker_local(w), rest = p->args[0] - 1;
    uint32_t random = (uint32_t)p->args[1] | 1, stage = p->kind->stage;
    *ran += 1;
    while (rest != 0) {
        uint64_t part = 1 + test_random(&random) % rest;
        test_push(w, &LEAF[stage + test_random(&random) % (3 - stage)], part, test_random(&random));
        rest -= part;
    }
    if (random % 16 == 0)
        test_spin_ns(random % 8192);
}

static uint64_t sum_locals(struct job *job)
{
    uint64_t sum = 0;
    for (unsigned i = 0; i < engine_workers(engine); i++)
        sum += *(uint64_t *)job_worker_local(job, i);
    return sum;
}

static void *churn(void *arg)
{
    uint32_t random = *(uint32_t *)arg;
    for (unsigned i = 0; i < JOBS / SUBMITTERS; i++) {
        MM_AUTO(job)
        job = test_job(engine, &(struct job_config){ .name = "churn",
                                                     .stages = 3,
                                                     .worker_local_bytes = sizeof(uint64_t) });
        uint64_t expected = 0, count = test_random(&random) % 4;
        for (unsigned n = 0; n < count; n++) {
            uint64_t packets = 1 + test_random(&random) % 30;
            test_add(job, &LEAF[test_random(&random) % 3], packets)->args[1] = test_random(&random);
            expected += packets;
        }
        engine_run(engine, job);
        ck_assert_uint_eq(sum_locals(job), expected);
        if (random % 8 == 0)
            test_spin_ns(random % 65536); /* let the workers fall asleep at odd moments */
    }
    return NULL;
}

START_TEST(churn_of_small_jobs_loses_no_wake)
{
    static const unsigned workers[] = { 1, 2, 4, 8 };
    uint32_t seeds[SUBMITTERS], seed = test_seed();
    pthread_t threads[SUBMITTERS];
    engine = test_engine(workers[_i]);
    engine_set_seed(engine, seed);
    for (unsigned i = 0; i < SUBMITTERS; i++) {
        seeds[i] = test_random(&seed);
        pthread_create(&threads[i], NULL, churn, &seeds[i]);
    }
    for (unsigned i = 0; i < SUBMITTERS; i++)
        pthread_join(threads[i], NULL);
    ck_assert_uint_eq(at_load_relaxed(&engine->active), 0);
}
END_TEST

START_TEST(many_jobs_at_once_finish)
{
    enum { MANY = 40 };
    pthread_t threads[MANY];
    struct job *jobs[MANY];
    engine = test_engine(2);
    for (unsigned i = 0; i < MANY; i++) {
        jobs[i] = test_job(engine, &(struct job_config){ .name = "many",
                                                         .stages = 3,
                                                         .worker_local_bytes = sizeof(uint64_t) });
        test_add(jobs[i], &LEAF[0], 1000 + i)->args[1] = i;
        pthread_create(&threads[i], NULL, run_job, jobs[i]);
    }
    for (unsigned i = 0; i < MANY; i++) {
        pthread_join(threads[i], NULL);
        ck_assert_uint_eq(sum_locals(jobs[i]), 1000 + i);
        job_unref(jobs[i]);
    }
}
END_TEST

/* Life of the engine. */

static unsigned threads_of_process(void)
{
    unsigned n = 0;
    DIR *tasks = opendir("/proc/self/task");
    ck_assert_ptr_nonnull(tasks);
    for (struct dirent *entry; (entry = readdir(tasks)) != NULL;)
        n += entry->d_name[0] != '.';
    closedir(tasks);
    return n;
}

START_TEST(unref_joins_the_workers)
{
    engine = engine_unref(test_engine(1)); /* a sanitizer adds a thread of its own beside the first */
    unsigned before = threads_of_process();
    for (unsigned round = 0; round < 200 / SLOWER; round++) {
        engine = test_engine(1 + round % 8);
        ck_assert_uint_eq(threads_of_process(), before + 1 + round % 8);
        if (round % 2 == 0) {
            MM_AUTO(job) job = test_job(engine, &(struct job_config){ .name = "one", .stages = 1 });
            test_add(job, &WORK, 0);
            engine_run(engine, job);
        }
        test_spin_ns(round % 10 * 2000);
        engine = engine_unref(engine);
        for (unsigned i = 0; i < 1000 && threads_of_process() != before; i++)
            test_spin_ns(10000); /* joined is not yet gone from /proc */
        ck_assert_uint_eq(threads_of_process(), before);
    }
    ck_assert_ptr_null(engine_unref(NULL));
}
END_TEST

/* Sleepers stay asleep: an engine with nothing to do uses no processor. */
static int64_t cpu_ns_in(struct timespec rest)
{
    struct timespec before, after;
    clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &before);
    nanosleep(&rest, NULL);
    clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &after);
    return (after.tv_sec - before.tv_sec) * 1000000000 + (after.tv_nsec - before.tv_nsec);
}

START_TEST(idle_engine_costs_nothing)
{
    struct timespec rest = { .tv_nsec = 50 * 1000 * 1000 };
    engine = test_engine(8);
    MM_AUTO(job) job = test_job(engine, &(struct job_config){ .name = "one", .stages = 1 });
    test_add(job, &WORK, 0);
    engine_run(engine, job);
    int64_t used_ns = cpu_ns_in(rest);
    for (int i = 0; i < 40 && used_ns >= 1000 * 1000 * SLOWER; i++) /* on a busy machine they take a while to lie down */
        used_ns = cpu_ns_in(rest);
    ck_assert_int_lt(used_ns, 1000 * 1000 * SLOWER);
}
END_TEST

static Suite *suite(void)
{
    Suite *s = suite_create("engine jobs");
    TCase *tc = tcase_create("engine jobs");
    tcase_add_checked_fixture(tc, NULL, teardown);
    tcase_set_timeout(tc, 100);
    tcase_add_test(tc, two_jobs_take_turns_of_a_burst_each);
    tcase_add_test(tc, long_packets_take_turns_with_many_short_ones);
    tcase_add_loop_test(tc, busy_job_does_not_starve_another, 0, 3);
    tcase_add_loop_test(tc, churn_of_small_jobs_loses_no_wake, 0, 4);
    tcase_add_test(tc, many_jobs_at_once_finish);
    tcase_add_test(tc, unref_joins_the_workers);
    tcase_add_test(tc, idle_engine_costs_nothing);
    suite_add_tcase(s, tc);
    return s;
}

int main(int argc, char **argv)
{
    return runner_main(argc, argv, suite);
}
