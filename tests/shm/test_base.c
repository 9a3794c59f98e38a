/* SPDX-License-Identifier: Apache-2.0 */
#include "shm/base.h"

#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "tests/support/runner.h"

START_TEST(aligning_keeps_multiples_and_moves_the_rest)
{
    ck_assert_uint_eq(mm_align_up(0, 8), 0);
    ck_assert_uint_eq(mm_align_up(1, 8), 8);
    ck_assert_uint_eq(mm_align_up(8, 8), 8);
    ck_assert_uint_eq(mm_align_up(UINT64_C(0xffffffff) + 2, 4096), UINT64_C(0x100001000));
    ck_assert_uint_eq(mm_align_down(4095, 4096), 0);
    ck_assert_uint_eq(mm_align_down(8191, 4096), 4096);
}
END_TEST

START_TEST(a_broken_assertion_names_file_and_line_and_aborts)
{
    int out[2], status;
    char text[256], expected[64];

    ck_assert_int_eq(pipe(out), 0);
    int line = __LINE__ + 4;
    pid_t child = fork();
    if (child == 0) {
        dup2(out[1], STDERR_FILENO);
        MM_ASSERT(line == 0);
        _exit(0);
    }
    close(out[1]);
    ssize_t got = read(out[0], text, sizeof(text) - 1);
    ck_assert_int_gt(got, 0);
    text[got] = '\0';
    close(out[0]);
    ck_assert_int_eq(waitpid(child, &status, 0), child);
    ck_assert(WIFSIGNALED(status) && WTERMSIG(status) == SIGABRT);
    snprintf(expected, sizeof(expected), "test_base.c:%d: ", line);
    ck_assert_ptr_nonnull(strstr(text, expected));
    ck_assert_ptr_nonnull(strstr(text, "line == 0"));
}
END_TEST

START_TEST(time_goes_forward)
{
    uint64_t before = mm_now_ns();

    usleep(2000);
    ck_assert_uint_ge(mm_now_ns() - before, 2000000);
}
END_TEST

struct thing {
    int *drops;
};
static struct thing *thing_unref(struct thing *thing)
{
    (*thing->drops)++;
    return NULL;
}
MM_DEFINE_AUTO(thing, thing_unref)

START_TEST(auto_drops_at_scope_end_unless_taken)
{
    int drops = 0;
    struct thing body = { .drops = &drops }, *kept = NULL;

    {
        MM_AUTO(thing) dropped = &body;
        ck_assert_ptr_nonnull(dropped);
    }
    ck_assert_int_eq(drops, 1);
    {
        MM_AUTO(thing) given = &body;
        kept = MM_TAKE(given);
        ck_assert_ptr_null(given);
    }
    ck_assert_int_eq(drops, 1);
    ck_assert_ptr_eq(kept, &body);
}
END_TEST

static Suite *make(void)
{
    Suite *suite = suite_create("base");
    TCase *tc = tcase_create("base");

    tcase_add_test(tc, aligning_keeps_multiples_and_moves_the_rest);
    tcase_add_test(tc, a_broken_assertion_names_file_and_line_and_aborts);
    tcase_add_test(tc, time_goes_forward);
    tcase_add_test(tc, auto_drops_at_scope_end_unless_taken);
    suite_add_tcase(suite, tc);
    return suite;
}

int main(int argc, char **argv)
{
    return runner_main(argc, argv, make);
}
