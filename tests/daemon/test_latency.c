/* SPDX-License-Identifier: Apache-2.0 */
#include "daemon/latency.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "shm/base.h"
#include "tests/support/runner.h"

#define MANY 20000
#define IN_RANGE (UINT64_C(127) << 37)        /* the first value that is not */

static const unsigned shares[] = { 1, 100, 2500, 5000, 9000, 9900, 9990, 9999, LATENCY_ALL };

static struct latency l, other;
static uint64_t values[MANY];
static uint64_t random_state;

static void set_up(void)
{
    memset(&l, 0, sizeof(l));
    memset(&other, 0, sizeof(other));
    random_state = 0x9e3779b97f4a7c15;
}

static uint64_t random_word(void)
{
    random_state ^= random_state << 13;
    random_state ^= random_state >> 7;
    random_state ^= random_state << 17;
    return random_state;
}

/* As many small ones as large ones: every power of two in range is as likely. */
static uint64_t random_ns(void)
{
    uint64_t ns = random_word() >> (20 + random_word() % 44);

    return ns % IN_RANGE;
}

static int compare(const void *a, const void *b)
{
    uint64_t x = *(const uint64_t *)a, y = *(const uint64_t *)b;

    return (x > y) - (x < y);
}

/* @said is @truth, or up to 1/64 more. */
static void assert_close(uint64_t said, uint64_t truth)
{
    ck_assert_msg(said >= truth && (said - truth) * LATENCY_PRECISION <= truth, "%" PRIu64 " for %" PRIu64, said, truth);
}

/* What latency_at() says with @ns below the maximum, so that it is no exact one that is said. */
static uint64_t said_of(uint64_t ns)
{
    memset(&l, 0, sizeof(l));
    latency_add(&l, ns);
    latency_add(&l, UINT64_MAX / 2);
    return latency_at(&l, 5000);
}

START_TEST(nothing_added_is_zero)
{
    for (size_t i = 0; i < MM_ARRAY_LEN(shares); i++)
        ck_assert_uint_eq(latency_at(&l, shares[i]), 0);
    ck_assert_uint_eq(l.count + l.total_ns + l.min_ns + l.max_ns, 0);
}
END_TEST

START_TEST(one_value_is_every_quantile_exactly)
{
    latency_add(&l, 123456789);
    for (size_t i = 0; i < MM_ARRAY_LEN(shares); i++)
        ck_assert_uint_eq(latency_at(&l, shares[i]), 123456789);
    ck_assert_uint_eq(l.min_ns, 123456789);
    ck_assert_uint_eq(l.max_ns, 123456789);
}
END_TEST

START_TEST(below_128_ns_nothing_is_lost)
{
    for (uint64_t ns = 0; ns < 128; ns++)
        ck_assert_uint_eq(said_of(ns), ns);
    ck_assert_uint_eq(said_of(128), 129);
}
END_TEST

/* Around each row's end, of every power of two in range, where a wrong shift or index would show. */
START_TEST(the_error_is_bounded_at_the_edges_of_all_rows)
{
    for (unsigned bit = 7; bit <= LATENCY_TOP_BIT; bit++) {
        uint64_t width = UINT64_C(1) << (bit - 6);
        for (uint64_t edge = UINT64_C(1) << bit; edge < UINT64_C(2) << bit && edge < IN_RANGE; edge += width) {
            assert_close(said_of(edge - 1), edge - 1);
            assert_close(said_of(edge), edge);
            ck_assert_uint_eq(said_of(edge - 1), edge - 1); /* the last of its row */
            ck_assert_uint_eq(said_of(edge), edge + width - 1);
        }
    }
}
END_TEST

START_TEST(the_error_is_bounded_for_random_values)
{
    for (int i = 0; i < MANY; i++) {
        uint64_t ns = random_ns();
        assert_close(said_of(ns), ns);
    }
}
END_TEST

/* Add and compare: @count of values[], each quantile as the sorted array has it by nearest rank. */
static void assert_quantiles(size_t count)
{
    memset(&l, 0, sizeof(l));
    for (size_t i = 0; i < count; i++)
        latency_add(&l, values[i]);
    qsort(values, count, sizeof(values[0]), compare);
    for (size_t i = 0; i < MM_ARRAY_LEN(shares); i++) {
        size_t rank = (count * shares[i] + LATENCY_ALL - 1) / LATENCY_ALL;
        assert_close(latency_at(&l, shares[i]), values[MM_MAX(rank, 1u) - 1]);
    }
    ck_assert_uint_eq(latency_at(&l, LATENCY_ALL), values[count - 1]);
    ck_assert_uint_eq(l.min_ns, values[0]);
    ck_assert_uint_eq(l.max_ns, values[count - 1]);
}

START_TEST(quantiles_are_those_of_the_sorted_values)
{
    for (size_t count = 1; count <= MANY; count = count * 3 + 1) {
        for (size_t i = 0; i < count; i++)
            values[i] = random_ns();
        assert_quantiles(count);
    }
}
END_TEST

/* One in ten thousand is long: p99.99 must not see it, the maximum must; one more, and p99.99 is it. */
START_TEST(a_rare_pause_is_seen_where_it_counts)
{
    for (int i = 0; i < 9999; i++)
        latency_add(&l, 100);
    latency_add(&l, 1000000);
    ck_assert_uint_eq(latency_at(&l, 9999), 100);
    ck_assert_uint_eq(l.max_ns, 1000000);
    latency_add(&l, 1000000);
    ck_assert_uint_eq(latency_at(&l, 9999), 1000000);
    ck_assert_uint_eq(latency_at(&l, 9990), 100);
}
END_TEST

START_TEST(what_is_too_long_is_said_to_be_the_longest)
{
    latency_add(&l, 5);
    latency_add(&l, IN_RANGE);
    latency_add(&l, UINT64_MAX / 4);
    ck_assert_uint_eq(latency_at(&l, 3000), 5);
    ck_assert_uint_eq(latency_at(&l, 6000), UINT64_MAX / 4);
    ck_assert_uint_eq(l.max_ns, UINT64_MAX / 4);
    ck_assert_uint_eq(l.count, 3);
    latency_add(&l, UINT64_MAX);
    ck_assert_uint_eq(l.max_ns, UINT64_MAX);
}
END_TEST

START_TEST(merged_is_as_if_all_had_been_added_to_one)
{
    struct latency all = { 0 };

    for (int i = 0; i < MANY; i++) {
        uint64_t ns = random_ns();
        latency_add(&all, ns);
        latency_add(i % 3 == 0 ? &l : &other, ns);
    }
    latency_merge(&l, &other);
    ck_assert_mem_eq(&l, &all, sizeof(l));
}
END_TEST

START_TEST(merging_an_empty_one_changes_nothing)
{
    latency_add(&l, 7);
    struct latency before = l;
    latency_merge(&l, &other);
    ck_assert_mem_eq(&l, &before, sizeof(l));
    latency_merge(&other, &l);
    ck_assert_mem_eq(&other, &before, sizeof(l)); /* its least is 7, not the 0 of an empty one */
}
END_TEST

static Suite *latency_suite(void)
{
    Suite *suite = suite_create("latency");
    TCase *latency = tcase_create("latency");

    tcase_add_checked_fixture(latency, set_up, NULL);
    tcase_add_test(latency, nothing_added_is_zero);
    tcase_add_test(latency, one_value_is_every_quantile_exactly);
    tcase_add_test(latency, below_128_ns_nothing_is_lost);
    tcase_add_test(latency, the_error_is_bounded_at_the_edges_of_all_rows);
    tcase_add_test(latency, the_error_is_bounded_for_random_values);
    tcase_add_test(latency, quantiles_are_those_of_the_sorted_values);
    tcase_add_test(latency, a_rare_pause_is_seen_where_it_counts);
    tcase_add_test(latency, what_is_too_long_is_said_to_be_the_longest);
    tcase_add_test(latency, merged_is_as_if_all_had_been_added_to_one);
    tcase_add_test(latency, merging_an_empty_one_changes_nothing);
    suite_add_tcase(suite, latency);
    return suite;
}

int main(int argc, char **argv)
{
    return runner_main(argc, argv, latency_suite);
}
