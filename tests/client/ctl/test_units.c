/* SPDX-License-Identifier: Apache-2.0 */
#include "client/ctl/units.h"

#include <string.h>

#include "shm/base.h"
#include "tests/support/runner.h"

#define KIB (UINT64_C(1) << 10)
#define MIB (UINT64_C(1) << 20)
#define GIB (UINT64_C(1) << 30)

struct row {
    uint64_t value;
    const char *text;
};

static const struct row sizes[] = {
    { 0, "0 B" },
    { 1023, "1023 B" },
    { KIB, "1.0 KiB" },
    { 1536, "1.5 KiB" },
    { MIB - 1, "1.0 MiB" }, /* never "1024.0 KiB" */
    { MIB, "1.0 MiB" },
    { 10 * MIB + 300 * KIB, "10.3 MiB" },
    { 32 * GIB, "32.0 GiB" },
    { UINT64_MAX, "16.0 EiB" },
};
static const struct row times[] = {
    { 0, "0 ns" },
    { 999, "999 ns" },
    { 1000, "1.0 us" },
    { 23456, "23.5 us" },
    { 999949, "999.9 us" },
    { 999950, "1.0 ms" }, /* never "1000.0 us" */
    { 1234567, "1.2 ms" },
    { 999999999, "1.00 s" },
    { UINT64_C(1500000000), "1.50 s" },
    { UINT64_C(59999999999), "1 min" },
    { UINT64_C(125000000000), "2 min 5 s" },
    { UINT64_MAX, "213503 d 23 h" },
};
static const struct row ages[] = {
    { 0, "0 s" },
    { 7999, "7 s" },
    { 60000, "1 min" },
    { 125000, "2 min 5 s" },
    { 3 * 3600000 + 12 * 60000, "3 h 12 min" },
    { UINT64_C(4) * 86400000 + 3600000, "4 d 1 h" },
    { UINT64_C(4) * 86400000 + 59000, "4 d" },
};
static const struct row short_sizes[] = {
    { 0, "0" },        { 1023, "1023" },          { 1024, "1.0K" }, { 1536, "1.5K" },
    { 10 * KIB, "10K" }, { MIB - 1, "1.0M" },     { 999 * MIB + MIB / 2, "1000M" }, { 32 * GIB, "32G" },
    { UINT64_MAX, "16E" },
};
static const struct row short_times[] = {
    { 0, "0" },
    { 999, "999n" },
    { 1000, "1.0u" },
    { 9949, "9.9u" },
    { 9950, "10u" },
    { 999499, "999u" },
    { 999500, "1.0m" }, /* never "1000u" */
    { 23456789, "23m" },
    { UINT64_C(1500000000), "1.5s" },
    { UINT64_C(999000000000), "999s" },
    { UINT64_C(9000000000000), "2.5h" },
    { UINT64_MAX, "9999h" },
};
static const struct row good_times[] = {
    { 0, "0" },
    { 10 * UNITS_NS_PER_S, "10" },
    { 10 * UNITS_NS_PER_S, "10s" },
    { 500 * UNITS_NS_PER_MS, "500ms" },
    { 120 * UNITS_NS_PER_S, "2min" },
};
static const char *const bad_times[] = { "",     "s",  "-1",   " 1",          "1 s",
                                         "1.5s", "1h", "1ms2", "18446744074", "99999999999999999999" };

START_TEST(sizes_have_one_decimal_of_their_unit)
{
    char text[UNITS_TEXT_MAX];

    ck_assert_str_eq(units_bytes(text, sizes[_i].value), sizes[_i].text);
}
END_TEST

START_TEST(times_are_in_the_unit_people_compare)
{
    char text[UNITS_TEXT_MAX];

    ck_assert_str_eq(units_ns(text, times[_i].value), times[_i].text);
}
END_TEST

START_TEST(short_ones_have_three_digits_that_matter_and_five_columns_at_most)
{
    char text[UNITS_TEXT_MAX];

    if ((size_t)_i < MM_ARRAY_LEN(short_sizes)) {
        ck_assert_str_eq(units_bytes_short(text, (double)short_sizes[_i].value), short_sizes[_i].text);
        ck_assert_uint_le(strlen(text), 5);
    }
    ck_assert_str_eq(units_ns_short(text, short_times[_i].value), short_times[_i].text);
    ck_assert_uint_le(strlen(text), 5);
}
END_TEST

START_TEST(ages_have_their_two_greatest_parts)
{
    char text[UNITS_TEXT_MAX];

    ck_assert_str_eq(units_age(text, ages[_i].value), ages[_i].text);
}
END_TEST

START_TEST(a_time_is_read_with_its_unit)
{
    uint64_t ns = 1;

    ck_assert(units_parse_time(good_times[_i].text, &ns));
    ck_assert_uint_eq(ns, good_times[_i].value);
}
END_TEST

START_TEST(what_is_no_time_is_refused)
{
    uint64_t ns;

    ck_assert_msg(!units_parse_time(bad_times[_i], &ns), "'%s'", bad_times[_i]);
}
END_TEST

START_TEST(a_count_is_digits_only)
{
    uint64_t count;

    ck_assert(units_parse_count("0", &count) && count == 0);
    ck_assert(units_parse_count("18446744073709551615", &count) && count == UINT64_MAX);
    ck_assert(!units_parse_count("18446744073709551616", &count));
    ck_assert(!units_parse_count("", &count));
    ck_assert(!units_parse_count("-1", &count));
    ck_assert(!units_parse_count("+1", &count));
    ck_assert(!units_parse_count("1k", &count));
}
END_TEST

static const struct {
    const char *text;
    uint64_t bytes;
} good_sizes[] = {
    { "0", 0 }, { "4096", 4096 }, { "64K", 65536 }, { "3M", 3 << 20 }, { "17179869183G", UINT64_C(17179869183) << 30 },
};

START_TEST(sizes_have_a_unit_or_none)
{
    uint64_t bytes;

    ck_assert(units_parse_size(good_sizes[_i].text, &bytes));
    ck_assert_uint_eq(bytes, good_sizes[_i].bytes);
}
END_TEST

static const char *const bad_sizes[] = { "", "M", "-1", "+1", " 1", "1 M", "1MiB", "1m", "1T", "17179869184G", "18446744073709551616" };

START_TEST(nothing_else_is_a_size)
{
    uint64_t bytes;

    ck_assert_msg(!units_parse_size(bad_sizes[_i], &bytes), "'%s'", bad_sizes[_i]);
}
END_TEST

static Suite *units_suite(void)
{
    Suite *suite = suite_create("units");
    TCase *print = tcase_create("print"), *parse = tcase_create("parse");

    tcase_add_loop_test(print, sizes_have_one_decimal_of_their_unit, 0, MM_ARRAY_LEN(sizes));
    tcase_add_loop_test(print, times_are_in_the_unit_people_compare, 0, MM_ARRAY_LEN(times));
    tcase_add_loop_test(print, short_ones_have_three_digits_that_matter_and_five_columns_at_most, 0, MM_ARRAY_LEN(short_times));
    tcase_add_loop_test(print, ages_have_their_two_greatest_parts, 0, MM_ARRAY_LEN(ages));
    tcase_add_loop_test(parse, a_time_is_read_with_its_unit, 0, MM_ARRAY_LEN(good_times));
    tcase_add_loop_test(parse, what_is_no_time_is_refused, 0, MM_ARRAY_LEN(bad_times));
    tcase_add_loop_test(parse, sizes_have_a_unit_or_none, 0, MM_ARRAY_LEN(good_sizes));
    tcase_add_loop_test(parse, nothing_else_is_a_size, 0, MM_ARRAY_LEN(bad_sizes));
    tcase_add_test(parse, a_count_is_digits_only);
    suite_add_tcase(suite, print);
    suite_add_tcase(suite, parse);
    return suite;
}

int main(int argc, char **argv)
{
    return runner_main(argc, argv, units_suite);
}
