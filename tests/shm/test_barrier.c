/* SPDX-License-Identifier: Apache-2.0 */
#include "shm/barrier.h"

#include <errno.h>

#include "tests/support/runner.h"

START_TEST(registering_twice_says_the_same)
{
    bool first = shm_barrier_register();

    ck_assert_int_eq(shm_barrier_register(), first);
}
END_TEST

/* Where the daemon's side fails the client's must have failed too: else a client would leave out a
 * fence that nobody makes up for. */
START_TEST(who_could_register_is_reached)
{
    bool registered = shm_barrier_register();
    int r = shm_barrier_all();

    if (registered)
        ck_assert_int_eq(r, 0);
    else
        ck_assert(r == 0 || r == -ENOSYS || r == -EINVAL || r == -EPERM);
}
END_TEST

static Suite *make(void)
{
    Suite *suite = suite_create("barrier");
    TCase *tc = tcase_create("barrier");

    tcase_add_test(tc, registering_twice_says_the_same);
    tcase_add_test(tc, who_could_register_is_reached);
    suite_add_tcase(suite, tc);
    return suite;
}

int main(int argc, char **argv)
{
    return runner_main(argc, argv, make);
}
