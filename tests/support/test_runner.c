/* SPDX-License-Identifier: Apache-2.0 */
#include "tests/support/runner.h"

#include <stdio.h>
#include <sys/stat.h>
#include <unistd.h>

START_TEST(what_a_test_prints_is_no_result)
{
    printf("not ok 99 - printed, so not counted\n");
    fflush(stdout);
}
END_TEST

START_TEST(stdout_of_tests_and_children_is_stderr)
{
    struct stat out, err;

    ck_assert_int_eq(fstat(STDOUT_FILENO, &out), 0);
    ck_assert_int_eq(fstat(STDERR_FILENO, &err), 0);
    ck_assert_uint_eq(out.st_ino, err.st_ino);
}
END_TEST

static Suite *runner_suite(void)
{
    Suite *suite = suite_create("runner");
    TCase *output = tcase_create("output");

    tcase_add_test(output, what_a_test_prints_is_no_result);
    tcase_add_test(output, stdout_of_tests_and_children_is_stderr);
    suite_add_tcase(suite, output);
    return suite;
}

int main(int argc, char **argv)
{
    return runner_main(argc, argv, runner_suite);
}
