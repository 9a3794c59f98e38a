/* SPDX-License-Identifier: Apache-2.0 */
#include "plans/work/deque.h"

#include <pthread.h>
#include <string.h>

#include "tests/plans/work/support.h"
#include "tests/support/runner.h"

#define PACKETS (1000000u / SLOWER)

static struct deque deque;

/* A deque never looks into a packet: a number will do. */
static struct packet *packet_of(size_t n)
{
    return (struct packet *)((n + 1) << 12);
}

static size_t number_of(const struct packet *p)
{
    return ((uintptr_t)p >> 12) - 1;
}

static bool push(size_t n)
{
    struct packet *p = packet_of(n);
    return deque_try_push(&deque, &p, 1);
}

static void setup(void)
{
    deque_init(&deque);
}

START_TEST(newest_comes_out_first)
{
    for (size_t i = 0; i < 10; i++)
        ck_assert(push(i));
    for (size_t i = 10; i-- > 0;)
        ck_assert_ptr_eq(deque_pop(&deque), packet_of(i));
    ck_assert_ptr_null(deque_pop(&deque));
    ck_assert(deque_is_empty(&deque));
}
END_TEST

START_TEST(theft_takes_the_oldest_half_rounded_up)
{
    struct packet *got[DEQUE_STEAL_MAX];
    for (size_t i = 0; i < 7; i++)
        ck_assert(push(i));
    ck_assert_uint_eq(deque_steal(&deque, got), 4);
    for (size_t i = 0; i < 4; i++)
        ck_assert_ptr_eq(got[i], packet_of(i));
    ck_assert_ptr_eq(deque_pop(&deque), packet_of(6));
    ck_assert_uint_eq(deque_steal(&deque, got), 1);
    ck_assert_ptr_eq(got[0], packet_of(4));
    ck_assert_ptr_eq(deque_pop(&deque), packet_of(5));
    ck_assert_uint_eq(deque_steal(&deque, got), 0);
}
END_TEST

START_TEST(full_deque_declines_and_loses_nothing)
{
    struct packet *two[2] = { packet_of(1000), packet_of(1001) };
    for (size_t i = 0; i < DEQUE_CAPACITY - 1; i++)
        ck_assert(push(i));
    ck_assert(!deque_try_push(&deque, two, 2)); /* all or none */
    ck_assert(push(DEQUE_CAPACITY - 1));
    ck_assert(!push(DEQUE_CAPACITY));
    for (size_t i = DEQUE_CAPACITY; i-- > 0;)
        ck_assert_ptr_eq(deque_pop(&deque), packet_of(i));
    ck_assert_ptr_null(deque_pop(&deque));
}
END_TEST

/* Against an array that shifts: random calls, far past every wrap of the indices. */
START_TEST(behaves_like_a_plain_array)
{
    uint32_t random = test_seed();
    size_t model[DEQUE_CAPACITY], count = 0, next = 0;
    struct packet *got[DEQUE_STEAL_MAX];

    for (unsigned round = 0; round < 200000 / SLOWER; round++) {
        uint32_t what = test_random(&random) % 16;
        if (what < 9) {
            ck_assert_int_eq(push(next), count < DEQUE_CAPACITY);
            if (count < DEQUE_CAPACITY)
                model[count++] = next;
            next++;
        } else if (what < 15) {
            struct packet *p = deque_pop(&deque);
            ck_assert_int_eq(p != NULL, count != 0);
            if (p != NULL)
                ck_assert_uint_eq(number_of(p), model[--count]);
        } else {
            unsigned n = deque_steal(&deque, got);
            ck_assert_uint_eq(n, (count + 1) / 2);
            for (unsigned i = 0; i < n; i++)
                ck_assert_uint_eq(number_of(got[i]), model[i]);
            memmove(model, model + n, (count - n) * sizeof(*model));
            count -= n;
        }
    }
}
END_TEST

static _Atomic uint8_t *seen;
static _Atomic bool done;

static void see(const struct packet *p)
{
    at_add_relaxed(&seen[number_of(p)], 1);
}

static void *thief(void *arg)
{
    struct packet *got[DEQUE_STEAL_MAX];
    while (!at_load_acquire(&done))
        for (unsigned n = deque_steal(&deque, got); n-- > 0;)
            see(got[n]);
    return NULL;
}

START_TEST(owner_and_thieves_get_each_packet_once)
{
    uint32_t random = test_seed();
    pthread_t thieves[3];
    size_t next = 0;
    struct packet *p;

    seen = calloc(PACKETS, sizeof(*seen));
    at_store_relaxed(&done, false);
    for (unsigned i = 0; i < MM_ARRAY_LEN(thieves); i++)
        pthread_create(&thieves[i], NULL, thief, NULL);
    while (next < PACKETS) {
        if (test_random(&random) % 8 < 5 && push(next))
            next++;
        else if ((p = deque_pop(&deque)) != NULL)
            see(p);
    }
    while ((p = deque_pop(&deque)) != NULL)
        see(p);
    at_store_release(&done, true);
    for (unsigned i = 0; i < MM_ARRAY_LEN(thieves); i++)
        pthread_join(thieves[i], NULL);
    ck_assert_uint_eq(test_count_not_one(seen, PACKETS), 0);
    free((void *)seen);
}
END_TEST

static Suite *suite(void)
{
    Suite *s = suite_create("deque");
    TCase *tc = tcase_create("deque");
    tcase_add_checked_fixture(tc, setup, NULL);
    tcase_set_timeout(tc, 60);
    tcase_add_test(tc, newest_comes_out_first);
    tcase_add_test(tc, theft_takes_the_oldest_half_rounded_up);
    tcase_add_test(tc, full_deque_declines_and_loses_nothing);
    tcase_add_test(tc, behaves_like_a_plain_array);
    tcase_add_test(tc, owner_and_thieves_get_each_packet_once);
    suite_add_tcase(s, tc);
    return s;
}

int main(int argc, char **argv)
{
    return runner_main(argc, argv, suite);
}
