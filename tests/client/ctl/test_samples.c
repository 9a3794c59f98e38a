/* SPDX-License-Identifier: Apache-2.0 */
#include "client/ctl/samples.h"

#include "tests/support/runner.h"

START_TEST(nothing_measured_is_zero)
{
    struct samples samples = samples_of(NULL, 0);

    ck_assert_uint_eq(samples.mean + samples.median + samples.p99 + samples.max, 0);
}
END_TEST

START_TEST(one_measurement_is_all_of_them)
{
    struct samples samples = samples_of((const uint64_t[]){ 7 }, 1);

    ck_assert_uint_eq(samples.mean, 7);
    ck_assert_uint_eq(samples.median, 7);
    ck_assert_uint_eq(samples.p99, 7);
    ck_assert_uint_eq(samples.max, 7);
}
END_TEST

START_TEST(ranks_do_not_depend_on_the_order)
{
    uint64_t values[200];

    for (size_t i = 0; i < 200; i++)
        values[i] = (i * 77) % 200 + 1; /* 1 to 200, each once */
    struct samples samples = samples_of(values, 200);
    ck_assert_uint_eq(samples.mean, 101); /* 100.5 */
    ck_assert_uint_eq(samples.median, 100);
    ck_assert_uint_eq(samples.p99, 198);
    ck_assert_uint_eq(samples.max, 200);
    ck_assert_uint_eq(values[1], 78); /* they stay in their order */
}
END_TEST

static Suite *samples_suite(void)
{
    Suite *suite = suite_create("samples");
    TCase *samples = tcase_create("samples");

    tcase_add_test(samples, nothing_measured_is_zero);
    tcase_add_test(samples, one_measurement_is_all_of_them);
    tcase_add_test(samples, ranks_do_not_depend_on_the_order);
    suite_add_tcase(suite, samples);
    return suite;
}

int main(int argc, char **argv)
{
    return runner_main(argc, argv, samples_suite);
}
