/* SPDX-License-Identifier: Apache-2.0 */
#include "daemon/names.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "tests/support/runner.h"

#define MANY 1000

static struct names n;

static void set_up(void)
{
    names_init(&n, MANY);
}

static void tear_down(void)
{
    names_fini(&n);
}

/* @i scrambled, so that insertions come in no order. */
static const char *name_of(uint32_t i)
{
    static char name[16];

    snprintf(name, sizeof(name), "%04u", i * 619 % MANY);
    return name;
}

START_TEST(what_was_set_is_found_and_sorted)
{
    for (uint32_t i = 0; i < MANY; i++)
        ck_assert_int_eq(names_set(&n, name_of(i), i + 1), 0);
    for (uint32_t i = 0; i < MANY; i++)
        ck_assert_uint_eq(names_get(&n, name_of(i)), i + 1);
    for (uint32_t i = 1; i < MANY; i++)
        ck_assert_int_lt(strcmp(n.rows[i - 1].name, n.rows[i].name), 0);
    ck_assert_uint_eq(names_get(&n, "absent"), 0);
}
END_TEST

START_TEST(slots_of_removed_names_are_null_and_used_again)
{
    for (uint32_t i = 0; i < MANY; i++)
        ck_assert_int_eq(names_set(&n, name_of(i), i + 1), 0);
    for (uint32_t i = 0; i < MANY; i += 2)
        ck_assert_int_eq(names_set(&n, name_of(i), 0), 0);
    uint32_t standing = 0;
    for (uint32_t slot = 0; slot < n.high; slot++)
        standing += at_load_relaxed(&n.words[slot]) != 0;
    ck_assert_uint_eq(standing, MANY / 2); /* all that a collection would see */
    for (uint32_t i = 0; i < MANY; i += 2)
        ck_assert_int_eq(names_set(&n, name_of(i), 7), 0);
    ck_assert_uint_eq(n.high, MANY);
}
END_TEST

START_TEST(the_limit_is_kept_and_replacing_is_always_possible)
{
    for (uint32_t i = 0; i < MANY; i++)
        ck_assert_int_eq(names_set(&n, name_of(i), 1), 0);
    ck_assert_int_eq(names_set(&n, "one more", 1), -ENOSPC);
    ck_assert_int_eq(names_set(&n, name_of(3), 2), 0);
    ck_assert_uint_eq(names_get(&n, name_of(3)), 2);
    ck_assert_int_eq(names_set(&n, "absent", 0), 0);
}
END_TEST

START_TEST(a_page_begins_after_a_name_whether_it_is_there_or_not)
{
    names_set(&n, "b", 1);
    names_set(&n, "d", 1);
    ck_assert_uint_eq(names_after(&n, ""), 0);
    ck_assert_uint_eq(names_after(&n, "a"), 0);
    ck_assert_uint_eq(names_after(&n, "b"), 1);
    ck_assert_uint_eq(names_after(&n, "c"), 1);
    ck_assert_uint_eq(names_after(&n, "d"), 2);
}
END_TEST

static Suite *names_suite(void)
{
    Suite *suite = suite_create("names");
    TCase *names = tcase_create("names");

    tcase_add_checked_fixture(names, set_up, tear_down);
    tcase_add_test(names, what_was_set_is_found_and_sorted);
    tcase_add_test(names, slots_of_removed_names_are_null_and_used_again);
    tcase_add_test(names, the_limit_is_kept_and_replacing_is_always_possible);
    tcase_add_test(names, a_page_begins_after_a_name_whether_it_is_there_or_not);
    suite_add_tcase(suite, names);
    return suite;
}

int main(int argc, char **argv)
{
    return runner_main(argc, argv, names_suite);
}
