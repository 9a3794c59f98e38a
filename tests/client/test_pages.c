/* SPDX-License-Identifier: Apache-2.0 */
/* Closed pages: the bookkeeping, on a map and an arena of our own. */
#include "client/pages.h"

#include <string.h>
#include <sys/mman.h>

#include "shm/units.h"
#include "tests/client/faults.h"
#include "tests/support/runner.h"

#define PAGES 256u

static _Atomic uint64_t map[PAGES / 64];
static char *arena;
static struct pages *pages;

static void open_pages(bool read_only, uint64_t runs_max)
{
    arena = mmap(NULL, PAGES * MM_PAGE_BYTES, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    ck_assert_ptr_ne(arena, MAP_FAILED);
    memset((void *)map, 0, sizeof(map));
    catch_faults();
    struct pages_config config = { arena, PAGES, map, read_only, runs_max };
    ck_assert_int_eq(pages_new(&pages, &config), 0);
}

static void close_pages(void)
{
    pages_free(pages);
    ck_assert_int_eq(munmap(arena, PAGES * MM_PAGE_BYTES), 0);
}

static void map_set(uint32_t page, bool closed)
{
    uint64_t bit = UINT64_C(1) << page % 64, word = at_load_relaxed(&map[page / 64]);

    at_store_relaxed(&map[page / 64], closed ? word | bit : word & ~bit);
}

static bool map_has(uint32_t page)
{
    return (at_load_relaxed(&map[page / 64]) >> page % 64 & 1) != 0;
}

/* Pages closed here, each of which must be in the map. */
static uint32_t count_faults(void)
{
    uint32_t count = 0;

    for (uint32_t page = 0; page < PAGES; page++) {
        bool faults = read_faults(arena + (size_t)page * MM_PAGE_BYTES);
        ck_assert(!faults || map_has(page));
        count += faults;
    }
    return count;
}

START_TEST(what_the_map_says_is_closed_and_opened)
{
    uint32_t seed = 1, epoch = 0;

    open_pages(false, 0);
    ck_assert_uint_eq(count_faults(), 0);
    for (int round = 0; round < 20; round++) {
        uint32_t closed = 0;
        for (uint32_t page = 0; page < PAGES; page++) {
            seed = seed * 1664525 + 1013904223;
            map_set(page, round % 5 == 4 ? round % 2 == 0 : seed >> 30 == 0);
            closed += map_has(page);
        }
        ck_assert_int_eq(pages_follow(pages, epoch += 2), 0);
        ck_assert_uint_eq(count_faults(), closed);
        ck_assert_uint_eq(pages_counts(pages).closed, closed);
        ck_assert_uint_eq(pages_counts(pages).left_open, 0);
    }
    close_pages();
}
END_TEST

START_TEST(nothing_is_looked_at_twice_in_an_epoch)
{
    open_pages(false, 0);
    map_set(7, true);
    ck_assert_int_eq(pages_follow(pages, 0), 0);
    map_set(8, true);
    ck_assert_int_eq(pages_follow(pages, 0), 0);
    ck_assert_uint_eq(count_faults(), 1);
    ck_assert_int_eq(pages_follow(pages, 2), 0);
    ck_assert_uint_eq(count_faults(), 2);
    ck_assert_int_eq(pages_follow(NULL, 4), 0);
    close_pages();
}
END_TEST

START_TEST(a_reader_gets_back_what_it_may_read)
{
    open_pages(true, 0);
    map_set(3, true);
    ck_assert_int_eq(pages_follow(pages, 0), 0);
    ck_assert(read_faults(arena + 3 * MM_PAGE_BYTES));
    map_set(3, false);
    ck_assert_int_eq(pages_follow(pages, 2), 0);
    ck_assert(!read_faults(arena + 3 * MM_PAGE_BYTES));
    ck_assert(write_faults(arena + 3 * MM_PAGE_BYTES));
    close_pages();
}
END_TEST

START_TEST(more_runs_than_may_be_stay_open_and_are_counted)
{
    open_pages(false, 10);
    for (uint32_t page = 0; page < PAGES; page += 2)
        map_set(page, true);
    ck_assert_int_eq(pages_follow(pages, 0), 0);
    ck_assert_uint_eq(count_faults(), 10);
    ck_assert_uint_eq(pages_counts(pages).closed, PAGES / 2);
    ck_assert_uint_eq(pages_counts(pages).left_open, PAGES / 2 - 10);
    for (uint32_t page = 0; page < PAGES; page++)
        map_set(page, page >= 100);
    ck_assert_int_eq(pages_follow(pages, 2), 0);
    ck_assert_uint_eq(count_faults(), PAGES - 100); /* one run */
    ck_assert_uint_eq(pages_counts(pages).left_open, 0);
    close_pages();
}
END_TEST

static Suite *pages_suite(void)
{
    Suite *suite = suite_create("pages");
    TCase *tc = tcase_create("pages");

    tcase_add_test(tc, what_the_map_says_is_closed_and_opened);
    tcase_add_test(tc, nothing_is_looked_at_twice_in_an_epoch);
    tcase_add_test(tc, a_reader_gets_back_what_it_may_read);
    tcase_add_test(tc, more_runs_than_may_be_stay_open_and_are_counted);
    suite_add_tcase(suite, tc);
    return suite;
}

int main(int argc, char **argv)
{
    return runner_main(argc, argv, pages_suite);
}
