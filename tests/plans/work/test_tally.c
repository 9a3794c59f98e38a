/* SPDX-License-Identifier: Apache-2.0 */
#include "plans/work/tally.h"

#include "tests/plans/work/support.h"
#include "tests/support/runner.h"

static const struct packet_kind kinds[] = { { .name = "late", .stage = 2 },
                                            { .name = "early b", .stage = 1 },
                                            { .name = "early a", .stage = 1 } };
static struct tally one, other, all;
static struct packet_counters rows[4];

/* What a worker that ran none has must not pass for a minimum of 0. */
START_TEST(least_and_most_are_those_of_packets_that_ran)
{
    tally_add(&one, &kinds[0], 500);
    tally_add(&one, &kinds[0], 300);
    tally_add(&other, &kinds[0], 900);
    tally_add(&other, &kinds[1], 7);
    tally_merge(&all, &one);
    tally_merge(&all, &other);
    ck_assert_uint_eq(tally_list(&all, rows, 4), 2);
    ck_assert_uint_eq(rows[0].min_ns, 7); /* the first worker has no row of it */
    ck_assert_uint_eq(rows[0].max_ns, 7);
    ck_assert_uint_eq(rows[1].count, 3);
    ck_assert_uint_eq(rows[1].total_ns, 1700);
    ck_assert_uint_eq(rows[1].min_ns, 300);
    ck_assert_uint_eq(rows[1].max_ns, 900);
}
END_TEST

START_TEST(rows_come_by_stage_then_name)
{
    for (unsigned i = 0; i < MM_ARRAY_LEN(kinds); i++)
        tally_add(&all, &kinds[i], 1);
    ck_assert_uint_eq(tally_list(&all, rows, 4), 3);
    ck_assert_str_eq(rows[0].name, "early a");
    ck_assert_str_eq(rows[1].name, "early b");
    ck_assert_str_eq(rows[2].name, "late");
    ck_assert_uint_eq(tally_list(&all, rows, 2), 2);
}
END_TEST

START_TEST(kinds_whose_addresses_collide_keep_apart)
{
    static struct packet_kind many[TALLY_KINDS];
    struct packet_counters got[TALLY_KINDS];
    uint64_t sum = 0;
    for (unsigned i = 0; i < TALLY_KINDS; i++) {
        many[i] = (struct packet_kind){ .name = "one of many" };
        for (unsigned n = 0; n <= i; n++)
            tally_add(&all, &many[i], i + 1);
    }
    ck_assert_uint_eq(tally_list(&all, got, TALLY_KINDS), TALLY_KINDS);
    for (unsigned i = 0; i < TALLY_KINDS; i++) {
        ck_assert_uint_eq(got[i].min_ns, got[i].count);
        ck_assert_uint_eq(got[i].max_ns, got[i].count);
        sum += got[i].count;
    }
    ck_assert_uint_eq(sum, TALLY_KINDS * (TALLY_KINDS + 1) / 2);
}
END_TEST

static void run_short(struct worker *w, struct packet *p)
{
    test_spin_ns(p->args[0]);
}

static const struct packet_kind SHORT = { "short", 0, run_short, 0 };

START_TEST(least_is_never_nothing)
{
    MM_AUTO(engine) engine = test_engine(4);
    MM_AUTO(job) job = test_job(engine, &(struct job_config){ .name = "short", .stages = 1 });
    for (uint64_t i = 0; i < 50; i++)
        test_add(job, &SHORT, 200 + i);
    engine_run(engine, job);
    ck_assert_uint_eq(job_counters(job, rows, 4), 1);
    ck_assert_uint_eq(rows[0].count, 50);
    ck_assert_uint_ge(rows[0].min_ns, 200);
    ck_assert_uint_le(rows[0].min_ns, rows[0].total_ns / 50);
    ck_assert_uint_ge(rows[0].max_ns, rows[0].total_ns / 50);
    ck_assert_uint_le(rows[0].max_ns, rows[0].total_ns);
}
END_TEST

static Suite *suite(void)
{
    Suite *s = suite_create("tally");
    TCase *tc = tcase_create("tally");
    tcase_add_test(tc, least_and_most_are_those_of_packets_that_ran);
    tcase_add_test(tc, rows_come_by_stage_then_name);
    tcase_add_test(tc, kinds_whose_addresses_collide_keep_apart);
    tcase_add_test(tc, least_is_never_nothing);
    suite_add_tcase(s, tc);
    return s;
}

int main(int argc, char **argv)
{
    return runner_main(argc, argv, suite);
}
