/* SPDX-License-Identifier: Apache-2.0 */
#include "plans/work/pool.h"

#include <string.h>

#include "plans/work/store.h"
#include "tests/plans/work/support.h"
#include "tests/support/runner.h"

static struct pool pool;
static struct store *store;

static void setup(void)
{
    ck_assert_int_eq(store_new(&store, (size_t)1 << 30), 0);
    pool_init(&pool, store, 2);
}

static void teardown(void)
{
    pool_fini(&pool); /* asserts that everything came back */
    store_unref(store);
}

/* Takes up to @max into a list; returns how many there were. */
static size_t take_all(struct pool_cache *cache, struct packet **list, size_t max)
{
    size_t n = 0;
    struct packet *p;
    while (n < max && (p = pool_try_take(&pool, cache)) != NULL) {
        memset(p, 0xa5, PACKET_BYTES);
        p->next = *list;
        *list = p;
        n++;
    }
    return n;
}

static void give_all(struct pool_cache *cache, struct packet *list)
{
    while (list != NULL) {
        struct packet *next = list->next;
        pool_give(&pool, cache, list);
        list = next;
    }
}

START_TEST(tiny_limit_declines_exactly_and_recovers)
{
    struct pool_cache a = { 0 }, b = { 0 };
    struct packet *list = NULL;
    pool_set_limit(&pool, 8 * PACKET_BYTES + 1);
    for (unsigned round = 0; round < 3; round++) {
        ck_assert_uint_eq(take_all(round == 1 ? NULL : &a, &list, 100), 8);
        ck_assert_ptr_null(pool_try_take(&pool, &b));
        give_all(round == 2 ? NULL : &b, list);
        list = NULL;
        ck_assert_uint_eq(pool_out_racy(&pool), 0); /* no cache hoards at this size */
    }
    pool_set_limit(&pool, 0);
    ck_assert_ptr_null(pool_try_take(&pool, &a));
}
END_TEST

START_TEST(caches_hoard_an_eighth_at_most)
{
    struct pool_cache a = { 0 }, b = { 0 };
    struct packet *list = NULL, *more = NULL;
    size_t limit = 256;
    pool_set_limit(&pool, limit * PACKET_BYTES);
    ck_assert_uint_eq(take_all(&a, &list, 200), 200);
    give_all(&b, list); /* one worker frees what another made */
    ck_assert_uint_ge(take_all(&a, &more, limit), limit - limit / 8);
    give_all(&a, more);
    pool_rest(&pool, &a);
    pool_rest(&pool, &b);
    ck_assert_uint_eq(pool_out_racy(&pool), 0);
}
END_TEST

START_TEST(resting_returns_memory_and_the_pool_still_works)
{
    struct pool_cache a = { 0 };
    struct packet *list = NULL;
    size_t many = 10000, kept;
    ck_assert_uint_eq(take_all(&a, &list, many), many);
    ck_assert_uint_ge(pool.mapped, many);
    give_all(&a, list);
    pool_rest(&pool, &a);
    kept = pool.mapped;
    ck_assert_uint_lt(kept, many / 2);
    list = NULL;
    ck_assert_uint_eq(take_all(&a, &list, many), many);
    pool_rest(&pool, &a); /* not whole: nothing is unmapped under the owner */
    ck_assert_uint_ge(pool.mapped, many);
    give_all(&a, list);
    pool_rest(&pool, &a);
    ck_assert_uint_eq(pool.mapped, kept);
}
END_TEST

START_TEST(packets_do_not_overlap)
{
    enum { MANY = 300 };
    struct packet *all[MANY];
    ck_assert_uint_eq(sizeof(struct packet), PACKET_BYTES);
    for (unsigned i = 0; i < MANY; i++) {
        all[i] = pool_try_take(&pool, NULL);
        ck_assert_ptr_nonnull(all[i]);
        memset(all[i], (int)i & 0xff, PACKET_BYTES);
    }
    for (unsigned i = 0; i < MANY; i++) {
        const unsigned char *bytes = (const unsigned char *)all[i];
        ck_assert(bytes[0] == (i & 0xff) && bytes[PACKET_BYTES - 1] == (i & 0xff));
        pool_give(&pool, NULL, all[i]);
    }
}
END_TEST

static Suite *suite(void)
{
    Suite *s = suite_create("pool");
    TCase *tc = tcase_create("pool");
    tcase_add_checked_fixture(tc, setup, teardown);
    tcase_add_test(tc, tiny_limit_declines_exactly_and_recovers);
    tcase_add_test(tc, caches_hoard_an_eighth_at_most);
    tcase_add_test(tc, resting_returns_memory_and_the_pool_still_works);
    tcase_add_test(tc, packets_do_not_overlap);
    suite_add_tcase(s, tc);
    return s;
}

int main(int argc, char **argv)
{
    return runner_main(argc, argv, suite);
}
