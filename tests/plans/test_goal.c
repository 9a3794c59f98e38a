/* SPDX-License-Identifier: Apache-2.0 */
/* Goal: what nurseries come to under pauses that are made up. */
#include "plans/goal.h"

#include <stdlib.h>

#include "shm/base.h"
#include "tests/support/runner.h"

#define MIB (UINT64_C(1) << 20)
#define MS UINT64_C(1000000)
#define RATE_NS 5.0 /* how long the program takes for a byte: 200 MB/s */

struct program {
    double fixed_ns, slope_ns; /* of its pauses */
    uint64_t min, max;
    double noise; /* of a pause, at most, either way */
    uint64_t goal_ns, nursery, now_ns;
    struct goal goal;
    unsigned seed;
};

static struct program program(double fixed_ms, double ms_a_mib)
{
    struct program p = { .fixed_ns = fixed_ms * 1e6,
                         .slope_ns = ms_a_mib * 1e6 / (double)MIB,
                         .min = 2 * MIB,
                         .max = 64 * MIB,
                         .goal_ns = 10 * MS,
                         .nursery = 64 * MIB,
                         .now_ns = 1 };
    return p;
}

static double pause_of(struct program *p)
{
    double off = p->noise == 0 ? 0 : ((double)rand_r(&p->seed) / RAND_MAX * 2 - 1) * p->noise;

    return (p->fixed_ns + p->slope_ns * (double)p->nursery) * (1 + off);
}

static void collect(struct program *p)
{
    struct goal_pause pause = { .nursery_bytes = p->nursery, .goal_ns = p->goal_ns };

    p->now_ns += (uint64_t)(RATE_NS * (double)p->nursery);
    pause.begun_ns = p->now_ns;
    pause.pause_ns = (uint64_t)pause_of(p);
    p->now_ns += pause.pause_ns;
    uint64_t wanted = goal_nursery_bytes(&p->goal, &pause);
    p->nursery = MM_MAX(MM_MIN(wanted, p->max), p->min);
}

static void run(struct program *p, int collections)
{
    for (int i = 0; i < collections; i++)
        collect(p);
}

START_TEST(a_nursery_of_which_nothing_survives_is_as_large_as_it_may_be)
{
    struct program p = program(0.5, 0.001);

    for (int i = 0; i < 50; i++) {
        collect(&p);
        ck_assert_uint_eq(p.nursery, p.max);
    }
}
END_TEST

START_TEST(pauses_that_grow_with_the_nursery_come_to_three_quarters_of_the_goal)
{
    struct program p = program(0, 1.5);

    run(&p, 8);
    ck_assert_double_ge(pause_of(&p), 7e6);
    ck_assert_double_le(pause_of(&p), 8e6);
    run(&p, 100);
    ck_assert_double_ge(pause_of(&p), 7e6);
    ck_assert_double_le(pause_of(&p), 8e6);
}
END_TEST

START_TEST(a_fixed_part_is_told_apart)
{
    struct program p = program(3, 1);

    run(&p, 50);
    ck_assert_double_ge(pause_of(&p), 6e6);
    ck_assert_double_le(pause_of(&p), 9e6);
}
END_TEST

START_TEST(a_fixed_part_beyond_the_goal_takes_an_eighth_of_the_time_and_not_all_of_it)
{
    struct program p = program(12, 0.01);
    uint64_t begun_ns, paused_ns;

    run(&p, 50);
    begun_ns = p.now_ns;
    paused_ns = 0;
    for (int i = 0; i < 50; i++) {
        collect(&p);
        paused_ns += 12 * MS;
    }
    ck_assert_uint_le(paused_ns, (p.now_ns - begun_ns) / 5);
    ck_assert_uint_ge(p.nursery, 16 * MIB);
}
END_TEST

START_TEST(a_goal_that_changes_what_the_nursery_can_do_is_followed)
{
    struct program p = program(0.2, 1.5);

    run(&p, 30);
    ck_assert_uint_le(p.nursery, 8 * MIB);
    p.slope_ns /= 100; /* little survives from now on */
    run(&p, 20);
    ck_assert_uint_eq(p.nursery, p.max);
    p.slope_ns *= 100;
    run(&p, 12);
    ck_assert_uint_le(p.nursery, 8 * MIB);
}
END_TEST

START_TEST(no_step_is_of_more_than_a_half)
{
    struct program p = program(0, 1.5);

    for (int i = 0; i < 40; i++) {
        uint64_t before = p.nursery;
        if (i % 10 == 0)
            p.slope_ns = i % 20 == 0 ? 1e-9 : 1;
        collect(&p);
        ck_assert_uint_ge(p.nursery, MM_MAX(before / 2, p.min));
        ck_assert_uint_le(p.nursery, before + before / 2);
    }
}
END_TEST

START_TEST(noise_does_not_carry_it_away)
{
    struct program p = program(1, 1);
    int within = 0;

    p.noise = 0.3;
    p.seed = (unsigned)_i;
    run(&p, 50);
    for (int i = 0; i < 1000; i++) {
        collect(&p);
        within += p.nursery >= 13 * MIB / 4 && p.nursery <= 13 * MIB; /* 6.5 MiB would be right */
    }
    ck_assert_int_ge(within, 900);
}
END_TEST

static Suite *goal_suite(void)
{
    Suite *suite = suite_create("goal");
    TCase *tc = tcase_create("goal");

    tcase_add_test(tc, a_nursery_of_which_nothing_survives_is_as_large_as_it_may_be);
    tcase_add_test(tc, pauses_that_grow_with_the_nursery_come_to_three_quarters_of_the_goal);
    tcase_add_test(tc, a_fixed_part_is_told_apart);
    tcase_add_test(tc, a_fixed_part_beyond_the_goal_takes_an_eighth_of_the_time_and_not_all_of_it);
    tcase_add_test(tc, a_goal_that_changes_what_the_nursery_can_do_is_followed);
    tcase_add_test(tc, no_step_is_of_more_than_a_half);
    tcase_add_loop_test(tc, noise_does_not_carry_it_away, 0, 50); /* seeds */
    suite_add_tcase(suite, tc);
    return suite;
}

int main(int argc, char **argv)
{
    return runner_main(argc, argv, goal_suite);
}
