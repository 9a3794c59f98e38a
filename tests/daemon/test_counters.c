/* SPDX-License-Identifier: Apache-2.0 */
#include "daemon/counters.h"

#include <pthread.h>
#include <string.h>

#include "daemon/collector.h"
#include "shm/base.h"
#include "tests/support/runner.h"

static struct counters c;
static struct counters_rows rows;
static wire_heap_facts facts;

static void set_up(void)
{
    memset(&c, 0, sizeof(c));
}

static void collected(enum heap_pause kind, uint64_t stop_ns, uint64_t pause_ns)
{
    struct collector_task task = { .work = WORK_COLLECT, .stop_ns = stop_ns, .pause_ns = pause_ns };

    task.collection.kind = kind;
    counters_collected(&c, &task);
}

static void collected_young(enum heap_pause kind, uint64_t new_bytes, uint64_t survived_bytes)
{
    struct collector_task task = { .work = WORK_COLLECT };

    task.collection.kind = kind;
    task.collection.new_bytes = new_bytes;
    task.collection.survived_bytes = survived_bytes;
    counters_collected(&c, &task);
}

static void fill(void)
{
    facts = (wire_heap_facts)wire_heap_facts_init();
    counters_fill(&c, &facts, &rows);
}

START_TEST(a_heap_never_collected_has_no_pauses)
{
    fill();
    ck_assert_uint_eq(facts.n_pauses, 0);
    ck_assert_uint_eq(facts.all_pauses->count, 0);
    ck_assert_uint_eq(facts.all_stops->max_ns, 0);
    ck_assert_uint_eq(facts.n_recent_pause_ns + facts.n_recent_stop_ns, 0);
    ck_assert_uint_eq(facts.last_stop_ns, 0);
}
END_TEST

START_TEST(each_kind_of_pause_has_its_own_row)
{
    collected(HEAP_PAUSE_REFCOUNT, 1, 100);
    collected(HEAP_PAUSE_YOUNG, 2, 10);
    collected(HEAP_PAUSE_YOUNG, 3, 30);
    fill();
    ck_assert_uint_eq(facts.n_pauses, 2);
    ck_assert_str_eq(facts.pauses[0]->kind, "young");
    ck_assert_uint_eq(facts.pauses[0]->count, 2);
    ck_assert_uint_eq(facts.pauses[0]->total_ns, 40);
    ck_assert_uint_eq(facts.pauses[0]->min_ns, 10);
    ck_assert_uint_eq(facts.pauses[0]->p50_ns, 10);
    ck_assert_uint_eq(facts.pauses[0]->p99_ns, 30);
    ck_assert_uint_eq(facts.pauses[0]->max_ns, 30);
    ck_assert_str_eq(facts.pauses[1]->kind, "refcount");
    ck_assert_uint_eq(facts.pauses[1]->p99_99_ns, 100);
}
END_TEST

START_TEST(all_pauses_are_those_of_all_kinds)
{
    for (unsigned i = 1; i <= 100; i++)
        collected((enum heap_pause)(i % HEAP_PAUSES), 1000 + i % 7, i);
    fill();
    ck_assert_uint_eq(facts.n_pauses, HEAP_PAUSES);
    ck_assert_uint_eq(facts.all_pauses->count, 100);
    ck_assert_uint_eq(facts.all_pauses->total_ns, 5050);
    ck_assert_uint_eq(facts.all_pauses->min_ns, 1);
    ck_assert_uint_eq(facts.all_pauses->p50_ns, 50);
    ck_assert_uint_eq(facts.all_pauses->p90_ns, 90);
    ck_assert_uint_eq(facts.all_pauses->p99_ns, 99);
    ck_assert_uint_eq(facts.all_pauses->p99_9_ns, 100);
    ck_assert_uint_eq(facts.max_pause_ns, 100);
    ck_assert_uint_eq(facts.total_pause_ns, 5050);
    ck_assert_uint_eq(facts.all_stops->count, 100);
    ck_assert_uint_eq(facts.all_stops->max_ns, 1006);
    ck_assert_uint_eq(facts.max_stop_ns, 1006);
}
END_TEST

START_TEST(the_newest_are_kept_as_they_were_oldest_first)
{
    for (unsigned i = 0; i < COUNTERS_RECENT + 10; i++)
        collected(HEAP_PAUSE_FULL, i, 1000000 + i);
    fill();
    ck_assert_uint_eq(facts.n_recent_pause_ns, COUNTERS_RECENT);
    ck_assert_uint_eq(facts.recent_pause_ns[0], 1000010);
    ck_assert_uint_eq(facts.recent_pause_ns[COUNTERS_RECENT - 1], 1000009 + COUNTERS_RECENT);
    ck_assert_uint_eq(facts.recent_stop_ns[0], 10);
    ck_assert_uint_eq(facts.last_stop_ns, 9 + COUNTERS_RECENT);
    ck_assert_uint_eq(facts.pauses[0]->count, COUNTERS_RECENT + 10);
}
END_TEST

START_TEST(survival_is_summed_and_of_the_last)
{
    collected_young(HEAP_PAUSE_YOUNG, 1000, 100);
    collected_young(HEAP_PAUSE_REFCOUNT, 3000, 900);
    fill();
    ck_assert_uint_eq(facts.young_new_bytes, 4000);
    ck_assert_uint_eq(facts.promoted_bytes, 1000);
    ck_assert_uint_eq(facts.last_young_new_bytes, 3000);
    ck_assert_uint_eq(facts.last_promoted_bytes, 900);
}
END_TEST

START_TEST(what_survives_other_pauses_was_not_promoted)
{
    collected_young(HEAP_PAUSE_YOUNG, 1000, 100);
    collected_young(HEAP_PAUSE_FULL, 5000, 5000);
    collected_young(HEAP_PAUSE_INITIAL_MARK, 5000, 5000);
    collected_young(HEAP_PAUSE_FINAL_MARK, 5000, 5000);
    collected_young(HEAP_PAUSE_YOUNG, 0, 0); /* nothing was new: it says nothing */
    fill();
    ck_assert_uint_eq(facts.young_new_bytes, 1000);
    ck_assert_uint_eq(facts.promoted_bytes, 100);
    ck_assert_uint_eq(facts.last_young_new_bytes, 1000);
}
END_TEST

static void *work(void *unused)
{
    for (int i = 0; i < 1000; i++) {
        counters_add_concurrent(&c, 3);
        counters_add_fallback(&c);
    }
    return unused;
}

START_TEST(any_thread_may_add_concurrent_time_and_fallbacks)
{
    pthread_t threads[4];

    for (size_t i = 0; i < MM_ARRAY_LEN(threads); i++)
        ck_assert_int_eq(pthread_create(&threads[i], NULL, work, NULL), 0);
    for (size_t i = 0; i < MM_ARRAY_LEN(threads); i++)
        pthread_join(threads[i], NULL);
    fill();
    ck_assert_uint_eq(facts.concurrent_ns, 12000);
    ck_assert_uint_eq(facts.fallbacks, 4000);
}
END_TEST

static Suite *counters_suite(void)
{
    Suite *suite = suite_create("counters");
    TCase *counters = tcase_create("counters");

    tcase_add_checked_fixture(counters, set_up, NULL);
    tcase_add_test(counters, a_heap_never_collected_has_no_pauses);
    tcase_add_test(counters, each_kind_of_pause_has_its_own_row);
    tcase_add_test(counters, all_pauses_are_those_of_all_kinds);
    tcase_add_test(counters, the_newest_are_kept_as_they_were_oldest_first);
    tcase_add_test(counters, survival_is_summed_and_of_the_last);
    tcase_add_test(counters, what_survives_other_pauses_was_not_promoted);
    tcase_add_test(counters, any_thread_may_add_concurrent_time_and_fallbacks);
    suite_add_tcase(suite, counters);
    return suite;
}

int main(int argc, char **argv)
{
    return runner_main(argc, argv, counters_suite);
}
