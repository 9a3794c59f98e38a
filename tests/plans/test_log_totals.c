/* SPDX-License-Identifier: Apache-2.0 */
#include <stdlib.h>

#include "plans/heap.h"
#include "plans/heap/state.h"
#include "plans/work/store.h"
#include "tests/support/runner.h"

static struct heap *h;
static struct store *store;
static struct shm_log_entry entries[3];

static void set_up(void)
{
    ck_assert_int_eq(store_new(&store, (size_t)1 << 30), 0);
    h = calloc(1, sizeof(*h)); /* no plan: the log alone */
    ck_assert_int_eq(log_init(&h->log, store, SHM_BARRIER_LINES, NULL, MM_CHUNK_BYTES), 0);
}

static void tear_down(void)
{
    log_fini(&h->log);
    free(h);
    store_unref(store);
}

START_TEST(what_was_drained_is_counted_for_ever)
{
    heap_log_drain(h, entries, 3);
    heap_log_drain(h, entries, 2);
    log_clear(&h->log);
    heap_log_drain(h, entries, 1);
    ck_assert_uint_eq(heap_log_totals(h).entries, 6);
    ck_assert_uint_eq(heap_log_totals(h).losses, 0);
}
END_TEST

START_TEST(losses_are_counted_although_a_collection_forgets_them)
{
    heap_log_lost(h);
    log_clear(&h->log);
    heap_log_lost(h);
    ck_assert_uint_eq(heap_log_totals(h).losses, 2);
    ck_assert_uint_eq(heap_log_totals(h).entries, 0);
}
END_TEST

static Suite *log_totals_suite(void)
{
    Suite *suite = suite_create("log_totals");
    TCase *totals = tcase_create("totals");

    tcase_add_checked_fixture(totals, set_up, tear_down);
    tcase_add_test(totals, what_was_drained_is_counted_for_ever);
    tcase_add_test(totals, losses_are_counted_although_a_collection_forgets_them);
    suite_add_tcase(suite, totals);
    return suite;
}

int main(int argc, char **argv)
{
    return runner_main(argc, argv, log_totals_suite);
}
