/* SPDX-License-Identifier: Apache-2.0 */
#include "daemon/bucket.h"

#include "tests/support/runner.h"

#define NS_PER_S UINT64_C(1000000000)
#define NOW (1000 * NS_PER_S)

static const struct bucket_rate hundred = { .per_second = 100, .depth = 10 };

START_TEST(a_new_one_is_full_and_no_fuller_for_waiting)
{
    struct bucket b = { 0 };

    ck_assert(bucket_is_full(&b, NOW));
    ck_assert_uint_eq(bucket_tokens(&b, &hundred, NOW), 10);
    ck_assert_uint_eq(bucket_tokens(&b, &hundred, NOW + 3600 * NS_PER_S), 10);
}
END_TEST

START_TEST(what_is_taken_drips_in_again_at_the_rate)
{
    struct bucket b = { 0 };

    for (uint64_t left = 10; left > 0; left--) {
        ck_assert_uint_eq(bucket_tokens(&b, &hundred, NOW), left);
        bucket_take(&b, &hundred, 1, NOW);
    }
    ck_assert_uint_eq(bucket_tokens(&b, &hundred, NOW), 0);
    ck_assert_uint_eq(bucket_ready_ns(&b, &hundred, NOW), NOW + NS_PER_S / 100);
    ck_assert_uint_eq(bucket_tokens(&b, &hundred, NOW + NS_PER_S / 100 - 1), 0);
    ck_assert_uint_eq(bucket_tokens(&b, &hundred, NOW + NS_PER_S / 100), 1);
    ck_assert_uint_eq(bucket_tokens(&b, &hundred, NOW + NS_PER_S / 20), 5);
    ck_assert(!bucket_is_full(&b, NOW + NS_PER_S / 20));
    ck_assert(bucket_is_full(&b, NOW + NS_PER_S / 10));
}
END_TEST

START_TEST(over_a_long_time_no_more_is_taken_than_the_rate_and_one_depth)
{
    struct bucket b = { 0 };
    uint64_t taken = 0;

    for (uint64_t now = NOW; now < NOW + 10 * NS_PER_S; now += 137000)
        if (bucket_tokens(&b, &hundred, now) > 0) {
            bucket_take(&b, &hundred, 1, now);
            taken++;
        }
    ck_assert_uint_ge(taken, 1000);
    ck_assert_uint_le(taken, 1010);
}
END_TEST

START_TEST(a_debt_is_paid_before_anything_is_there_again_and_is_a_second_at_most)
{
    struct bucket b = { 0 };

    bucket_take(&b, &hundred, 30, NOW); /* ten were there */
    ck_assert_uint_eq(bucket_tokens(&b, &hundred, NOW + NS_PER_S / 5), 0);
    ck_assert_uint_eq(bucket_tokens(&b, &hundred, NOW + NS_PER_S / 5 + NS_PER_S / 100), 1);
    bucket_take(&b, &hundred, UINT64_MAX, NOW);
    ck_assert_uint_le(bucket_ready_ns(&b, &hundred, NOW), NOW + NS_PER_S + NS_PER_S / 100);
    ck_assert_uint_eq(bucket_tokens(&b, &hundred, NOW + NS_PER_S), 0);
}
END_TEST

START_TEST(without_a_bound_nothing_is_missing)
{
    const struct bucket_rate unbounded = { .per_second = BUCKET_UNBOUNDED, .depth = 1 };
    struct bucket b = { 0 };

    bucket_take(&b, &unbounded, UINT64_MAX, NOW);
    ck_assert_uint_eq(bucket_tokens(&b, &unbounded, NOW), UINT64_MAX);
    ck_assert_uint_eq(bucket_ready_ns(&b, &unbounded, NOW), NOW);
    ck_assert(bucket_is_full(&b, NOW));
}
END_TEST

static Suite *bucket_suite(void)
{
    Suite *suite = suite_create("bucket");
    TCase *bucket = tcase_create("bucket");

    tcase_add_test(bucket, a_new_one_is_full_and_no_fuller_for_waiting);
    tcase_add_test(bucket, what_is_taken_drips_in_again_at_the_rate);
    tcase_add_test(bucket, over_a_long_time_no_more_is_taken_than_the_rate_and_one_depth);
    tcase_add_test(bucket, a_debt_is_paid_before_anything_is_there_again_and_is_a_second_at_most);
    tcase_add_test(bucket, without_a_bound_nothing_is_missing);
    suite_add_tcase(suite, bucket);
    return suite;
}

int main(int argc, char **argv)
{
    return runner_main(argc, argv, bucket_suite);
}
