/* SPDX-License-Identifier: Apache-2.0 */
#include "daemon/estate.h"

#include <sys/mman.h>

#include "tests/support/runner.h"

static struct estate estate;
static struct shm_session *table;

static void setup(void)
{
    estate = (struct estate){ 0 };
    table = mmap(NULL, sizeof(*table), PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0); /* aligned to pages, as it asks */
    ck_assert_ptr_ne(table, MAP_FAILED);
}

static void teardown(void)
{
    estate_fini(&estate);
    (void)munmap(table, sizeof(*table));
}

static void put(uint32_t row, enum shm_row_kind kind, uint32_t granule)
{
    at_store_relaxed(&table->row_tags[row], shm_row_tag(kind, 7));
    at_store_relaxed(&table->row_words[row], granule);
    at_store_relaxed(&table->row_notes[row].since_ns, 1000 + granule);
}

static uint32_t rows_used(void)
{
    uint32_t used = 0;

    for (uint32_t i = 0; i < estate.high; i++)
        used += estate.heirs[i] != NULL;
    return used;
}

/* As a collection does that finds it unreachable. */
static void make_ready(uint32_t granule)
{
    struct heap_roots roots = estate_roots(&estate);

    for (uint32_t i = 0; i < roots.count; i++)
        if (at_load_relaxed(&roots.words[i]) == granule)
            at_store_relaxed(&roots.tags[i], shm_row_tag(SHM_ROW_READY, 0));
}

START_TEST(only_what_is_guarded_is_inherited_and_only_what_is_ready_taken)
{
    uint64_t mark = 0;

    for (unsigned kind = SHM_ROW_FREE; kind < SHM_ROW_KINDS; kind++)
        put(1 + kind, kind, 100 + kind);
    put(20, SHM_ROW_GUARDED, 500);
    put(21, SHM_ROW_GUARDED, 0);
    ck_assert_uint_eq(estate_inherit(&estate, "heir", table, 22), 0);
    ck_assert_uint_eq(rows_used(), 3);
    ck_assert_uint_eq(estate_take(&estate, "stranger", &mark), 0);
    ck_assert_uint_eq(estate_take(&estate, "heir", &mark), 100 + SHM_ROW_READY);
    ck_assert_uint_eq(mark, 1100 + SHM_ROW_READY);
    ck_assert_uint_eq(estate_take(&estate, "heir", &mark), 0);
    make_ready(500);
    ck_assert_uint_eq(estate_take(&estate, "heir", &mark), 500);
    ck_assert_uint_eq(mark, 1500);
    ck_assert_uint_eq(rows_used(), 1);
    struct heap_roots roots = estate_roots(&estate);
    ck_assert_int_eq(roots.kind, HEAP_ROOTS_TABLE);
    for (uint32_t i = 0, left = 0; i < roots.count; i++) {
        left += heap_root_kind(&roots, i) == HEAP_ROOTS_GUARDED;
        ck_assert(i + 1 < roots.count || left == 1);
    }
}
END_TEST

START_TEST(rows_are_used_again_and_have_an_end)
{
    uint64_t mark;

    for (uint32_t i = 1; i < SHM_ROWS_MAX; i++)
        put(i, SHM_ROW_READY, i);
    ck_assert_uint_eq(estate_inherit(&estate, "a", table, 5), 0);
    ck_assert_uint_ne(estate_take(&estate, "a", &mark), 0);
    ck_assert_uint_eq(estate_inherit(&estate, "b", table, 2), 0);
    ck_assert_uint_eq(estate.high, 4);
    ck_assert_uint_eq(estate_take(&estate, "b", &mark), 1);
    ck_assert_uint_eq(estate_inherit(&estate, "c", table, UINT32_MAX), SHM_ROWS_MAX - 1 - (ESTATE_MAX - 3));
    ck_assert_uint_eq(rows_used(), ESTATE_MAX);
}
END_TEST

/* Wherever the last one was found. */
START_TEST(all_that_is_ready_is_taken_once_in_whatever_row)
{
    uint64_t mark, sum = 0;

    for (uint32_t i = 1; i < 5; i++)
        put(i, SHM_ROW_READY, i);
    ck_assert_uint_eq(estate_inherit(&estate, "a", table, 5), 0);
    for (int i = 0; i < 3; i++)
        sum += estate_take(&estate, "a", &mark);
    ck_assert_uint_eq(estate_inherit(&estate, "a", table, 3), 0); /* behind it */
    for (int i = 0; i < 3; i++)
        sum += estate_take(&estate, "a", &mark);
    ck_assert_uint_eq(sum, 1 + 2 + 3 + 4 + 1 + 2);
    ck_assert_uint_eq(estate_take(&estate, "a", &mark), 0);
    ck_assert_uint_eq(estate.count, 0);
    ck_assert_uint_eq(estate.high, 4);
}
END_TEST

START_TEST(a_row_that_a_collection_cleared_is_nobodys)
{
    uint64_t mark;

    put(1, SHM_ROW_GUARDED, 0x7fffffff);
    ck_assert_uint_eq(estate_inherit(&estate, "heir", table, 2), 0);
    at_store_relaxed(&estate.words[0], 0);
    ck_assert_uint_eq(estate_take(&estate, "heir", &mark), 0);
    ck_assert_uint_eq(rows_used(), 0);
}
END_TEST

static Suite *make_suite(void)
{
    Suite *s = suite_create("estate");
    TCase *tc = tcase_create("rows");

    tcase_set_timeout(tc, 60);
    tcase_add_checked_fixture(tc, setup, teardown);
    tcase_add_test(tc, only_what_is_guarded_is_inherited_and_only_what_is_ready_taken);
    tcase_add_test(tc, rows_are_used_again_and_have_an_end);
    tcase_add_test(tc, all_that_is_ready_is_taken_once_in_whatever_row);
    tcase_add_test(tc, a_row_that_a_collection_cleared_is_nobodys);
    suite_add_tcase(s, tc);
    return s;
}

int main(int argc, char **argv)
{
    return runner_main(argc, argv, make_suite);
}
