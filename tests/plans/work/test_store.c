/* SPDX-License-Identifier: Apache-2.0 */
#include "plans/work/store.h"

#include <errno.h>
#include <pthread.h>
#include <signal.h>
#include <stdalign.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "shm/units.h"
#include "tests/support/runner.h"

#define REGION_BYTES ((size_t)1 << 20)
#define SPARSE_BYTES ((size_t)1 << 36)

static alignas(64) char region[REGION_BYTES + 64];
static struct store *store;

static void in_region(void)
{
    memset(region, 0xa5, sizeof(region));
    ck_assert_int_eq(store_new_in(&store, region, REGION_BYTES), 0);
}

static void of_system(void)
{
    ck_assert_int_eq(store_new(&store, SPARSE_BYTES), 0);
}

static void gone(void)
{
    store_unref(store);
}

static size_t used(void)
{
    return store_usage(store).used;
}

static bool is_filled(const char *at, size_t bytes, char with)
{
    for (size_t i = 0; i < bytes; i++)
        if (at[i] != with)
            return false;
    return true;
}

/* Pages of [@at, @at + @bytes) that are there. */
static size_t resident(const void *at, size_t bytes)
{
    char *from = (char *)mm_align_down((uintptr_t)at, MM_PAGE_BYTES);
    size_t pages = ((size_t)((const char *)at - from) + bytes + MM_PAGE_BYTES - 1) / MM_PAGE_BYTES, count = 0;
    unsigned char *there = malloc(pages);
    ck_assert_int_eq(mincore(from, pages * MM_PAGE_BYTES, there), 0);
    for (size_t i = 0; i < pages; i++)
        count += there[i] & 1;
    free(there);
    return count;
}

START_TEST(pieces_are_lines_of_their_own_inside_the_region)
{
    char *a = store_alloc(store, 1), *b = store_alloc(store, 48), *c = store_alloc(store, 49), *d = store_alloc(store, 0);
    ck_assert_uint_eq((uintptr_t)a % MM_CACHE_LINE, 0);
    ck_assert_ptr_eq(b, a + 64);
    ck_assert_ptr_eq(c, b + 64);
    ck_assert_ptr_eq(d, c + 128);
    ck_assert(a > region && d + 64 < region + REGION_BYTES);
    ck_assert_uint_eq(used(), store_piece_bytes(1) + store_piece_bytes(48) + store_piece_bytes(49) + store_piece_bytes(0));
    ck_assert_uint_eq(store_usage(store).pieces, 4);
    store_free(store, a);
    store_free(store, b);
    store_free(store, c);
    store_free(store, d);
    ck_assert_uint_eq(used(), 0);
}
END_TEST

START_TEST(all_of_it_can_be_had_and_no_more)
{
    size_t all = store_usage(store).capacity - 16;
    ck_assert_uint_gt(all, REGION_BYTES - STORE_BYTES_MIN);
    ck_assert_ptr_null(store_alloc(store, all + 1));
    ck_assert_ptr_null(store_alloc(store, SIZE_MAX));
    ck_assert_ptr_null(store_alloc_zeroed(store, SIZE_MAX - 100));
    ck_assert_uint_eq(store_usage(store).refused, 3);
    char *piece = store_alloc_zeroed(store, all);
    ck_assert_ptr_nonnull(piece);
    ck_assert(is_filled(piece, all, 0));
    ck_assert(piece + all <= region + REGION_BYTES);
    ck_assert_ptr_null(store_alloc(store, 0));
    store_free(store, piece);
    ck_assert_uint_eq(store_usage(store).high, store_usage(store).capacity);
}
END_TEST

START_TEST(what_is_full_is_full_until_something_is_freed)
{
    void *pieces[4096];
    size_t n = 0;
    while (n < MM_ARRAY_LEN(pieces) && (pieces[n] = store_alloc(store, 1000)) != NULL)
        n++;
    ck_assert_uint_eq(n, store_usage(store).capacity / store_piece_bytes(1000));
    store_free(store, pieces[n / 2]);
    ck_assert_ptr_eq(store_alloc(store, 1000), pieces[n / 2]);
    for (size_t i = 0; i < n; i += 2)
        store_free(store, pieces[i]);
    ck_assert_ptr_null(store_alloc(store, 2000)); /* no two free ones are neighbours */
    for (size_t i = 1; i < n; i += 2)
        store_free(store, pieces[i]);
    ck_assert_uint_eq(used(), 0);
    void *all = store_alloc(store, store_usage(store).capacity - 16); /* all are one again */
    ck_assert_ptr_nonnull(all);
    store_free(store, all);
}
END_TEST

START_TEST(what_grows_stays_where_it_is_if_there_is_room_behind_it)
{
    char *a = store_alloc(store, 100);
    memset(a, 7, 100);
    ck_assert_ptr_eq(store_resize(store, a, 10000), a);
    char *b = store_alloc(store, 100);
    char *moved = store_resize(store, a, 20000);
    ck_assert_ptr_ne(moved, a);
    ck_assert(is_filled(moved, 100, 7));
    ck_assert_ptr_null(store_resize(store, moved, 2 * REGION_BYTES));
    ck_assert(is_filled(moved, 100, 7));
    ck_assert_ptr_eq(store_resize(store, moved, 10), moved);
    store_free(store, b);
    store_free(store, moved);
    store_free(store, NULL);
    char *fresh = store_resize(store, NULL, 10);
    ck_assert_ptr_nonnull(fresh);
    store_free(store, fresh);
}
END_TEST

START_TEST(a_region_too_small_or_too_large_is_refused)
{
    struct store *other = NULL;
    ck_assert_int_eq(store_new_in(&other, region, STORE_BYTES_MIN - 1), -EINVAL);
    ck_assert_int_eq(store_new_in(&other, region, SIZE_MAX), -EINVAL);
    ck_assert_int_eq(store_new(&other, 0), -EINVAL);
    ck_assert_int_eq(store_new(&other, SIZE_MAX / 2), -EINVAL);
    ck_assert_int_eq(store_new(&other, (size_t)1 << 40), -EINVAL);
    ck_assert_ptr_null(other);
    for (unsigned off = 1; off < 64; off++) { /* wherever it begins */
        ck_assert_int_eq(store_new_in(&other, region + off, STORE_BYTES_MIN), 0);
        size_t all = store_usage(other).capacity - 16;
        char *piece = store_alloc(other, all);
        ck_assert_uint_eq((uintptr_t)piece % MM_CACHE_LINE, 0);
        ck_assert(piece + all <= region + off + STORE_BYTES_MIN);
        store_free(other, piece);
        store_unref(other);
    }
}
END_TEST

START_TEST(a_piece_freed_twice_is_found_out)
{
    char *a = store_alloc(store, 100), *b = store_alloc(store, 100);
    (void)b;
    store_free(store, a);
    store_free(store, a);
}
END_TEST

START_TEST(a_piece_freed_twice_is_found_out_when_its_neighbour_is_free_too)
{
    char *a = store_alloc(store, 100), *b = store_alloc(store, 100);
    store_free(store, a);
    store_free(store, b);
    store_free(store, b);
}
END_TEST

START_TEST(what_is_no_piece_is_found_out)
{
    char *a = store_alloc_zeroed(store, 1000);
    store_free(store, a + 64);
}
END_TEST

START_TEST(who_writes_beyond_a_piece_is_found_out)
{
    char *a = store_alloc(store, 48), *b = store_alloc(store, 48);
    memset(a, 1, 64);
    (void)b;
    store_free(store, a);
}
END_TEST

START_TEST(a_piece_left_behind_is_found_out)
{
    (void)store_alloc(store, 1);
    store_unref(store);
}
END_TEST

/* Pieces of random sizes come, grow and go; each keeps what was written to it, and no two overlap. */
START_TEST(random_pieces_keep_what_they_hold)
{
    enum { MANY = 400 };
    static struct { char *at; size_t bytes; } pieces[MANY];
    unsigned seed = (unsigned)_i + 1;
    size_t live = 0, refused = 0;
    for (unsigned step = 0; step < 60000; step++) {
        unsigned i = (unsigned)rand_r(&seed) % MANY, what = (unsigned)rand_r(&seed) % 4;
        size_t bytes = (size_t)rand_r(&seed) % (rand_r(&seed) % 20 == 0 ? 60000u : 900u);
        char fill = (char)(i + 1);
        if (pieces[i].at == NULL) {
            pieces[i].at = what == 0 ? store_alloc_zeroed(store, bytes) : store_alloc(store, bytes);
            if (pieces[i].at == NULL) {
                refused++;
                continue;
            }
            ck_assert(what != 0 || is_filled(pieces[i].at, bytes, 0));
            pieces[i].bytes = bytes;
            live += store_piece_bytes(bytes);
        } else {
            ck_assert(is_filled(pieces[i].at, pieces[i].bytes, fill));
            char *grown = what != 0 ? NULL : store_resize(store, pieces[i].at, pieces[i].bytes + bytes);
            if (what == 0 && grown == NULL)
                continue;
            if (grown != NULL) {
                ck_assert(is_filled(grown, pieces[i].bytes, fill));
                live += store_piece_bytes(pieces[i].bytes + bytes) - store_piece_bytes(pieces[i].bytes);
                pieces[i].bytes += bytes;
                pieces[i].at = grown;
            } else {
                store_free(store, pieces[i].at);
                live -= store_piece_bytes(pieces[i].bytes);
                pieces[i].at = NULL;
                continue;
            }
        }
        memset(pieces[i].at, fill, pieces[i].bytes);
        ck_assert_uint_eq(used(), live);
    }
    if (!store_is_sparse(store))
        ck_assert_uint_gt(refused, 0);
    for (unsigned i = 0; i < MANY; i++) {
        store_free(store, pieces[i].at);
        pieces[i].at = NULL;
    }
    ck_assert_uint_eq(used(), 0);
    ck_assert_uint_gt(store_usage(store).high, REGION_BYTES / 2);
}
END_TEST

static void *come_and_go(void *arg)
{
    unsigned seed = (unsigned)(uintptr_t)arg;
    for (unsigned i = 0; i < 20000; i++) {
        size_t bytes = (size_t)rand_r(&seed) % 3000;
        char *piece = store_alloc(store, bytes);
        if (piece == NULL)
            continue;
        memset(piece, (int)seed, bytes);
        char was = bytes > 0 ? piece[bytes - 1] : 0;
        MM_ASSERT(bytes == 0 || is_filled(piece, bytes, was));
        store_free(store, piece);
    }
    return NULL;
}

START_TEST(many_threads_share_one)
{
    pthread_t threads[4];
    for (unsigned i = 0; i < MM_ARRAY_LEN(threads); i++)
        pthread_create(&threads[i], NULL, come_and_go, (void *)(uintptr_t)(i + 1));
    for (unsigned i = 0; i < MM_ARRAY_LEN(threads); i++)
        pthread_join(threads[i], NULL);
    ck_assert_uint_eq(used(), 0);
}
END_TEST

START_TEST(the_systems_pages_stay_away_until_they_are_touched)
{
    size_t large = (size_t)1 << 30;
    char *a = store_alloc_zeroed(store, large), *b = store_alloc(store, large);
    ck_assert_uint_le(resident(a, large), 3);
    ck_assert_uint_le(resident(b, large), 2);
    a[large / 2] = 1;
    ck_assert_uint_le(resident(a, large), 4);
    store_free(store, a);
    store_free(store, b);
    char *again = store_alloc_zeroed(store, large);
    ck_assert_ptr_eq(again, a);
    ck_assert_int_eq(again[large / 2], 0);
    store_free(store, again);
}
END_TEST

START_TEST(large_pieces_that_are_freed_are_the_systems_again)
{
    size_t large = 4 * STORE_GIVE_BACK_BYTES;
    char *a = store_alloc(store, large), *keep = store_alloc(store, 1);
    memset(a, 1, large);
    ck_assert_uint_ge(resident(a, large), large / MM_PAGE_BYTES);
    store_free(store, a);
    ck_assert_uint_le(resident(a, large), 2);
    store_free(store, keep);
}
END_TEST

START_TEST(what_was_dirty_is_zero_when_asked)
{
    char *a = store_alloc(store, 3 * STORE_LARGE_BYTES);
    memset(a, 1, 3 * STORE_LARGE_BYTES);
    store_free(store, a); /* kept: it is not large enough to go back */
    char *b = store_alloc_zeroed(store, 3 * STORE_LARGE_BYTES - 4321);
    ck_assert_ptr_eq(b, a);
    ck_assert(is_filled(b, 3 * STORE_LARGE_BYTES - 4321, 0));
    store_free(store, b);
}
END_TEST

static Suite *suite(void)
{
    Suite *s = suite_create("store");
    TCase *tc = tcase_create("region");
    tcase_add_checked_fixture(tc, in_region, gone);
    tcase_add_test(tc, pieces_are_lines_of_their_own_inside_the_region);
    tcase_add_test(tc, all_of_it_can_be_had_and_no_more);
    tcase_add_test(tc, what_is_full_is_full_until_something_is_freed);
    tcase_add_test(tc, what_grows_stays_where_it_is_if_there_is_room_behind_it);
    tcase_add_loop_test(tc, random_pieces_keep_what_they_hold, 0, 4);
    tcase_add_test(tc, many_threads_share_one);
    suite_add_tcase(s, tc);
    tc = tcase_create("system");
    tcase_add_checked_fixture(tc, of_system, gone);
    tcase_add_loop_test(tc, random_pieces_keep_what_they_hold, 0, 2);
    tcase_add_test(tc, many_threads_share_one);
    tcase_add_test(tc, the_systems_pages_stay_away_until_they_are_touched);
    tcase_add_test(tc, large_pieces_that_are_freed_are_the_systems_again);
    tcase_add_test(tc, what_was_dirty_is_zero_when_asked);
    suite_add_tcase(s, tc);
    tc = tcase_create("sizes");
    tcase_add_test(tc, a_region_too_small_or_too_large_is_refused);
    suite_add_tcase(s, tc);
    tc = tcase_create("mistakes");
    tcase_add_checked_fixture(tc, in_region, NULL);
    tcase_add_test_raise_signal(tc, a_piece_freed_twice_is_found_out, SIGABRT);
    tcase_add_test_raise_signal(tc, a_piece_freed_twice_is_found_out_when_its_neighbour_is_free_too, SIGABRT);
    tcase_add_test_raise_signal(tc, what_is_no_piece_is_found_out, SIGABRT);
    tcase_add_test_raise_signal(tc, who_writes_beyond_a_piece_is_found_out, SIGABRT);
    tcase_add_test_raise_signal(tc, a_piece_left_behind_is_found_out, SIGABRT);
    suite_add_tcase(s, tc);
    return s;
}

int main(int argc, char **argv)
{
    return runner_main(argc, argv, suite);
}
