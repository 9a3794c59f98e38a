/* SPDX-License-Identifier: Apache-2.0 */
#include "plans/work/engine.h"

#include <errno.h>
#include <sched.h>
#include <string.h>

#include "tests/plans/work/support.h"
#include "tests/support/runner.h"

#define WORKERS 5u

static cpu_set_t allowed;

static void setup(void)
{
    ck_assert_int_eq(sched_getaffinity(0, sizeof(allowed), &allowed), 0);
}

static bool has_just(const cpu_set_t *set, const int *cores, int count)
{
    int found = 0;
    for (int i = 0; i < count; i++)
        found += CPU_ISSET(cores[i], set) != 0;
    return found == count && CPU_COUNT(set) == count;
}

static int core_at(const cpu_set_t *set, unsigned n)
{
    for (int core = 0; core < CPU_SETSIZE; core++)
        if (CPU_ISSET(core, set) && n-- == 0)
            return core;
    return -1;
}

/* Where workers may run, as they themselves see it. */

static void run_where(struct worker *w, struct packet *p)
{
    cpu_set_t *set = worker_local(w);
    MM_ASSERT(sched_getaffinity(0, sizeof(*set), set) == 0); /* 0: the calling thread */
}

static const struct packet_kind WHERE = { "where", 0, run_where, 0 };

static void ask_all(const struct engine_config *config, cpu_set_t ret[static WORKERS])
{
    struct engine *engine = NULL;
    ck_assert_int_eq(engine_new_with(&engine, config), 0);
    struct job *job =
        test_job(engine, &(struct job_config){
                             .name = "where", .stages = 1, .worker_local_bytes = sizeof(cpu_set_t) });
    for (unsigned i = 0; i < WORKERS; i++)
        ck_assert_ptr_nonnull(job_packet_add_for(job, &WHERE, i));
    engine_run(engine, job);
    for (unsigned i = 0; i < WORKERS; i++)
        ret[i] = *(cpu_set_t *)job_worker_local(job, i);
    job_unref(job);
    engine_unref(engine);
}

START_TEST(default_leaves_it_to_the_system)
{
    cpu_set_t where[WORKERS];
    ask_all(&(struct engine_config){ .workers = WORKERS }, where);
    for (unsigned i = 0; i < WORKERS; i++)
        ck_assert(CPU_EQUAL(&where[i], &allowed));
}
END_TEST

START_TEST(round_robin_deals_one_core_a_worker)
{
    cpu_set_t where[WORKERS];
    unsigned count = (unsigned)CPU_COUNT(&allowed);
    ask_all(&(struct engine_config){ .workers = WORKERS, .affinity = AFFINITY_ROUND_ROBIN, .cpus = allowed }, where);
    for (unsigned i = 0; i < WORKERS; i++) {
        ck_assert_int_eq(CPU_COUNT(&where[i]), 1);
        ck_assert(CPU_ISSET(core_at(&allowed, i % count), &where[i]));
    }
}
END_TEST

START_TEST(all_in_set_keeps_to_the_set)
{
    cpu_set_t where[WORKERS], set;
    CPU_ZERO(&set);
    CPU_SET(core_at(&allowed, (unsigned)CPU_COUNT(&allowed) - 1), &set);
    ask_all(&(struct engine_config){ .workers = WORKERS, .affinity = AFFINITY_ALL_IN_SET, .cpus = set }, where);
    for (unsigned i = 0; i < WORKERS; i++)
        ck_assert(CPU_EQUAL(&where[i], &set));
}
END_TEST

START_TEST(core_that_may_not_be_used_is_an_error)
{
    struct engine *engine = NULL;
    struct engine_config config = { .workers = 1, .affinity = AFFINITY_ROUND_ROBIN };
    ck_assert_int_eq(engine_new_with(&engine, &config), -EINVAL); /* no core at all */
    config.cpus = allowed;
    CPU_SET(CPU_SETSIZE - 1, &config.cpus);
    ck_assert_int_eq(engine_new_with(&engine, &config), -EINVAL);
    config.affinity = AFFINITY_ALL_IN_SET;
    ck_assert_int_eq(engine_new_with(&engine, &config), -EINVAL);
    ck_assert_ptr_null(engine);

    cpu_set_t one = allowed; /* a core of the machine, yet not ours */
    if (CPU_COUNT(&allowed) > 1) {
        CPU_CLR(core_at(&allowed, 0), &one);
        ck_assert_int_eq(sched_setaffinity(0, sizeof(one), &one), 0);
        config.cpus = allowed;
        ck_assert_int_eq(engine_new_with(&engine, &config), -EINVAL);
        ck_assert_int_eq(sched_setaffinity(0, sizeof(allowed), &allowed), 0);
    }
}
END_TEST

/* The words. */

static struct engine_config parsed(const char *text)
{
    struct engine_config config = { .workers = 3, .affinity = AFFINITY_ALL_IN_SET };
    const char *why = NULL;
    ck_assert_msg(engine_affinity_parse(text, &config, &why) == 0, "%s: %s", text, why);
    ck_assert_ptr_null(why);
    ck_assert_uint_eq(config.workers, 3);
    return config;
}

START_TEST(words_and_lists_are_understood)
{
    struct engine_config config = parsed("os-default");
    ck_assert_int_eq(config.affinity, AFFINITY_OS_DEFAULT);

    config = parsed("round-robin:0-3,8");
    ck_assert_int_eq(config.affinity, AFFINITY_ROUND_ROBIN);
    ck_assert(has_just(&config.cpus, (const int[]){ 0, 1, 2, 3, 8 }, 5));

    config = parsed("all-in-set:7,0-1,1023");
    ck_assert_int_eq(config.affinity, AFFINITY_ALL_IN_SET);
    ck_assert(has_just(&config.cpus, (const int[]){ 0, 1, 7, 1023 }, 4));

    config = parsed("round-robin");
    ck_assert_int_eq(config.affinity, AFFINITY_ROUND_ROBIN);
    ck_assert(CPU_EQUAL(&config.cpus, &allowed));

    config = parsed("all-in-set");
    ck_assert_int_eq(config.affinity, AFFINITY_ALL_IN_SET);
    ck_assert(CPU_EQUAL(&config.cpus, &allowed));
}
END_TEST

static const struct {
    const char *text, *why;
} nonsense[] = {
    { "", "an affinity is" },
    { "round", "an affinity is" },
    { "round-robins", "an affinity is" },
    { "Round-Robin:0", "an affinity is" },
    { "os-default:0", "takes no list" },
    { "os-default:", "takes no list" },
    { "round-robin:", "a core is a number" },
    { "round-robin:,1", "a core is a number" },
    { "round-robin:1,", "a core is a number" },
    { "round-robin:1-", "a core is a number" },
    { "round-robin:-1", "a core is a number" },
    { "round-robin: 1", "a core is a number" },
    { "all-in-set:+1", "a core is a number" },
    { "all-in-set:a", "a core is a number" },
    { "all-in-set:1-2-3", "comes a comma" },
    { "all-in-set:1 ", "comes a comma" },
    { "all-in-set:1:2", "comes a comma" },
    { "all-in-set:3-2", "ends before it begins" },
    { "all-in-set:1024", "above 1023" },
    { "all-in-set:0-1024", "above 1023" },
    { "all-in-set:99999999999999999999999999", "above 1023" },
};

START_TEST(nonsense_is_named)
{
    struct engine_config before = { .workers = 3, .affinity = AFFINITY_ALL_IN_SET }, config;
    const char *why = NULL;
    CPU_ZERO(&before.cpus);
    CPU_SET(5, &before.cpus);
    config = before;
    ck_assert_int_eq(engine_affinity_parse(nonsense[_i].text, &config, &why), -EINVAL);
    ck_assert_ptr_nonnull(why);
    ck_assert_msg(strstr(why, nonsense[_i].why) != NULL, "%s: %s", nonsense[_i].text, why);
    ck_assert_int_eq(config.affinity, before.affinity);
    ck_assert(CPU_EQUAL(&config.cpus, &before.cpus));
}
END_TEST

static Suite *suite(void)
{
    Suite *s = suite_create("affinity");
    TCase *tc = tcase_create("affinity");
    tcase_add_checked_fixture(tc, setup, NULL);
    tcase_add_test(tc, default_leaves_it_to_the_system);
    tcase_add_test(tc, round_robin_deals_one_core_a_worker);
    tcase_add_test(tc, all_in_set_keeps_to_the_set);
    tcase_add_test(tc, core_that_may_not_be_used_is_an_error);
    tcase_add_test(tc, words_and_lists_are_understood);
    tcase_add_loop_test(tc, nonsense_is_named, 0, MM_ARRAY_LEN(nonsense));
    suite_add_tcase(s, tc);
    return s;
}

int main(int argc, char **argv)
{
    return runner_main(argc, argv, suite);
}
