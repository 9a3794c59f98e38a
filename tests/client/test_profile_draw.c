/* SPDX-License-Identifier: Apache-2.0 */
/* Chances are what they are said to be: against libm, and by chi-square. */
#include "client/profile_draw.h"

#include <math.h>
#include <stdbool.h>

#include "tests/support/runner.h"

/* 16 classes of equal probability: chi-square with 15 degrees of freedom exceeds 44.3 once in ten thousand. The seeds are fixed. */
START_TEST(distances_are_exponentially_distributed)
{
    enum { CLASSES = 16, DRAWS = 200000 };
    static const uint64_t intervals[] = { 1 << 19, 1000003, UINT64_C(1) << 40 };
    uint64_t interval = intervals[_i], state = 7;
    double counts[CLASSES] = { 0 }, chi = 0;

    for (int i = 0; i < DRAWS; i++) {
        double x = (double)profile_draw(&state, interval) / (double)interval;
        int class = (int)(-expm1(-x) * CLASSES);
        counts[class < CLASSES ? class : CLASSES - 1]++;
    }
    for (int i = 0; i < CLASSES; i++)
        chi += pow(counts[i] - (double)DRAWS / CLASSES, 2) / ((double)DRAWS / CLASSES);
    ck_assert_double_lt(chi, 44.3);
}
END_TEST

/* Also where the interval is hardly more than an object, in whole bytes. */
START_TEST(an_object_is_picked_as_often_as_its_weight_says)
{
    enum { DRAWS = 100000 };
    static const uint64_t sizes[][2] = { { 16, 24 }, { 24, 512 }, { 1000, 100 }, { 40, 8 } };
    uint64_t bytes = sizes[_i][0], interval = sizes[_i][1], state = 11;
    double picked = 0, chance = 1 / profile_weight(bytes, interval);

    for (int i = 0; i < DRAWS; i++)
        picked += profile_draw(&state, interval) < bytes;
    ck_assert_double_le(fabs(picked - DRAWS * chance), 5 * sqrt(DRAWS * chance * (1 - chance)) + 1);
}
END_TEST

START_TEST(weights_agree_with_libm)
{
    for (double x = 1e-9; x < 100; x *= 1.07) {
        uint64_t interval = UINT64_C(1) << 40, bytes = (uint64_t)(x * (double)interval);
        double expected = 1 / -expm1(-(double)bytes / (double)interval);
        ck_assert_double_le(fabs(profile_weight(bytes, interval) / expected - 1), 1e-9);
    }
}
END_TEST

START_TEST(with_an_interval_of_one_byte_all_are_picked_for_themselves)
{
    uint64_t state = 1;

    ck_assert_uint_eq(profile_draw(&state, 1), 0);
    ck_assert_double_eq(profile_weight(16, 1), 1);
}
END_TEST

static Suite *make(void)
{
    Suite *s = suite_create("profile_draw");
    TCase *tc = tcase_create("draw");

    tcase_add_loop_test(tc, distances_are_exponentially_distributed, 0, 3);
    tcase_add_loop_test(tc, an_object_is_picked_as_often_as_its_weight_says, 0, 4);
    tcase_add_test(tc, weights_agree_with_libm);
    tcase_add_test(tc, with_an_interval_of_one_byte_all_are_picked_for_themselves);
    suite_add_tcase(s, tc);
    return s;
}

int main(int argc, char **argv)
{
    return runner_main(argc, argv, make);
}
