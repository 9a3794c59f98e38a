/* SPDX-License-Identifier: Apache-2.0 */
#include <dirent.h>
#include <errno.h>
#include <stdalign.h>
#include <string.h>

#include "plans/work/store.h"
#include "tests/plans/work/support.h"
#include "tests/support/runner.h"

#define STAGES 3u
#define NUMBERS (100000u / SLOWER)
#define PACKETS_BYTES (4u << 20)

static alignas(64) char region[8u << 20];
static struct store *store;
static struct engine *engine;
static uint32_t order[STAGES];
static unsigned drained[STAGES], ran;
static pthread_t caller;

static unsigned threads(void)
{
    unsigned count = 0;
    DIR *tasks = opendir("/proc/self/task");
    ck_assert_ptr_nonnull(tasks);
    for (struct dirent *task; (task = readdir(tasks)) != NULL;)
        count += task->d_name[0] != '.';
    closedir(tasks);
    return count;
}

static void setup(void)
{
    struct engine_config config = { .workers = 1, .threadless = true };
    ck_assert_int_eq(store_new_in(&store, region, sizeof(region)), 0);
    config.store = store;
    ck_assert_int_eq(engine_new_with(&engine, &config), 0);
    engine_set_packet_limit(engine, PACKETS_BYTES);
    caller = pthread_self();
}

static void teardown(void)
{
    engine_unref(engine);
    ck_assert_uint_eq(store_usage(store).pieces, 0);
    store_unref(store);
}

static void run_tree(struct worker *w, struct packet *p);
static const struct packet_kind TREE[STAGES] = { { "tree 0", 0, run_tree, 0 }, { "tree 1", 1, run_tree, 0 }, { "tree 2", 2, run_tree, 0 } };

/* Halves, and one for itself. Bound packets are among them, and every call that a packet may make. */
static void run_tree(struct worker *w, struct packet *p)
{
    uint32_t stage = p->kind->stage;
    uint64_t rest = p->args[0];
    MM_ASSERT(pthread_equal(pthread_self(), caller) && worker_index(w) == 0);
    for (uint32_t i = stage + 1; i < STAGES; i++)
        MM_ASSERT(order[i] == 0); /* nothing of a later stage has begun */
    order[stage]++;
    ran++;
    (void)worker_should_yield(w);
    MM_ASSERT(!worker_others_idle_racy(w));
    for (uint64_t half = rest / 2; rest > 1; rest = 0) {
        test_push(w, &TREE[stage], half, 0);
        struct packet *bound = worker_packet_try_new(w, &TREE[stage]);
        MM_ASSERT(bound != NULL);
        bound->args[0] = rest - half;
        worker_packet_push_for(w, bound, 0);
    }
}

static bool on_drained(struct job *job, struct worker *w, uint32_t stage)
{
    (void)job;
    if (++drained[stage] == 2 || stage == STAGES - 1)
        return false;
    test_push(w, &TREE[stage], 3, 0);
    return true;
}

START_TEST(the_caller_runs_every_packet_stage_by_stage)
{
    unsigned before = threads();
    for (unsigned round = 0; round < 3; round++) {
        MM_AUTO(job) job = test_job(engine, &(struct job_config){ .name = "tree", .stages = STAGES, .on_drained = on_drained });
        memset(order, 0, sizeof(order));
        memset(drained, 0, sizeof(drained));
        ran = 0;
        for (unsigned stage = 0; stage < STAGES; stage++)
            test_add(job, &TREE[stage], NUMBERS);
        engine_run(engine, job);
        for (unsigned stage = 0; stage < STAGES; stage++)
            ck_assert_uint_eq(order[stage], 2 * NUMBERS - 1 + (stage < STAGES - 1 ? 5 : 0));
        ck_assert_uint_eq(drained[0] + drained[1] + drained[2], 5);
    }
    ck_assert_uint_eq(threads(), before);
}
END_TEST

START_TEST(a_job_without_packets_ends)
{
    MM_AUTO(job) job = test_job(engine, &(struct job_config){ .name = "nothing", .stages = STAGES });
    engine_run(engine, job);
    ck_assert_uint_eq(job_counters(job, NULL, 0), 0);
}
END_TEST

static void run_hoard(struct worker *w, struct packet *p)
{
    struct packet *list = NULL, *one;
    (void)p;
    while ((one = worker_packet_try_new(w, &TREE[0])) != NULL) {
        one->next = list;
        list = one;
        ran++;
    }
    while ((one = list) != NULL) {
        list = one->next;
        worker_packet_free(w, one);
    }
}

static const struct packet_kind HOARD = { "hoard", 0, run_hoard, 0 };

START_TEST(a_store_that_is_full_declines_packets)
{
    engine_set_packet_limit(engine, 2 * sizeof(region));
    for (unsigned round = 0; round < 2; round++) {
        MM_AUTO(job) job = test_job(engine, &(struct job_config){ .name = "hoard", .stages = 1 });
        test_add(job, &HOARD, 0);
        ran = 0;
        engine_run(engine, job);
        ck_assert_uint_gt(ran, sizeof(region) / PACKET_BYTES * 9 / 10);
        ck_assert_uint_lt(ran, sizeof(region) / PACKET_BYTES);
    }
    ck_assert_uint_gt(store_usage(store).refused, 0);
}
END_TEST

START_TEST(what_an_engine_takes_is_what_it_said)
{
    size_t most = engine_store_bytes(1, PACKETS_BYTES);
    {
        MM_AUTO(job) job = test_job(engine, &(struct job_config){ .name = "hoard", .stages = 1, .worker_local_bytes = 2000 });
        test_add(job, &HOARD, 0);
        engine_run(engine, job);
    }
    ck_assert_uint_le(store_usage(store).high, most);
    ck_assert_uint_gt(store_usage(store).high, PACKETS_BYTES);
}
END_TEST

START_TEST(without_memory_there_is_no_engine_and_no_job)
{
    struct engine *other = NULL;
    struct job *job = NULL;
    size_t pieces = store_usage(store).pieces;
    void *all = store_alloc(store, 64);
    for (size_t bytes = sizeof(region); bytes > 0; bytes /= 2) { /* all that is left */
        void *more;
        while ((more = store_alloc(store, bytes)) != NULL) {
            *(void **)more = all;
            all = more;
        }
    }
    ck_assert_int_eq(engine_new_with(&other, &(struct engine_config){ .workers = 1, .threadless = true, .store = store }), -ENOMEM);
    ck_assert_int_eq(job_new(&job, engine, &(struct job_config){ .name = "none", .stages = 1 }), -ENOMEM);
    ck_assert(other == NULL && job == NULL);
    while (store_usage(store).pieces > pieces + 1) {
        void *next = *(void **)all;
        store_free(store, all);
        all = next;
    }
    store_free(store, all);
}
END_TEST

static Suite *suite(void)
{
    Suite *s = suite_create("threadless");
    TCase *tc = tcase_create("engine");
    tcase_add_checked_fixture(tc, setup, teardown);
    tcase_add_test(tc, the_caller_runs_every_packet_stage_by_stage);
    tcase_add_test(tc, a_job_without_packets_ends);
    tcase_add_test(tc, a_store_that_is_full_declines_packets);
    tcase_add_test(tc, what_an_engine_takes_is_what_it_said);
    tcase_add_test(tc, without_memory_there_is_no_engine_and_no_job);
    suite_add_tcase(s, tc);
    return s;
}

int main(int argc, char **argv)
{
    return runner_main(argc, argv, suite);
}
