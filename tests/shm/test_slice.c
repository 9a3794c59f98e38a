/* SPDX-License-Identifier: Apache-2.0 */
#include "shm/slice.h"

#include <pthread.h>
#include <sched.h>
#include <stdint.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "tests/support/runner.h"

struct attributes { /* the kernel's struct sched_attr, whose header and <sched.h> exclude each other */
    uint32_t size, sched_policy;
    uint64_t sched_flags;
    int32_t sched_nice;
    uint32_t sched_priority;
    uint64_t sched_runtime, sched_deadline, sched_period;
};

static struct attributes attributes(void)
{
    struct attributes attr;

    ck_assert_int_eq((int)syscall(SYS_sched_getattr, 0, &attr, sizeof(attr), 0), 0);
    return attr;
}

/* In a thread of its own: what one test asks for is nobody else's. */
static void *ask(void *context)
{
    struct attributes *both = context;

    both[0] = attributes();
    shm_slice_set(3000000);
    both[1] = attributes();
    return NULL;
}

START_TEST(a_thread_that_asks_for_another_slice_keeps_policy_and_niceness)
{
    struct attributes both[2];
    pthread_t thread;

    ck_assert_int_eq(pthread_create(&thread, NULL, ask, both), 0);
    ck_assert_int_eq(pthread_join(thread, NULL), 0);
    ck_assert_uint_eq(both[1].sched_policy, both[0].sched_policy);
    ck_assert_int_eq(both[1].sched_nice, both[0].sched_nice);
    if (both[0].sched_runtime != 0) /* a system that has slices of one's own */
        ck_assert_uint_eq(both[1].sched_runtime, 3000000);
}
END_TEST

static void *ask_in_batch(void *context)
{
    struct sched_param param = { 0 };

    ck_assert_int_eq(pthread_setschedparam(pthread_self(), SCHED_BATCH, &param), 0);
    return ask(context);
}

START_TEST(who_was_given_another_policy_keeps_it)
{
    struct attributes both[2];
    pthread_t thread;

    ck_assert_int_eq(pthread_create(&thread, NULL, ask_in_batch, both), 0);
    ck_assert_int_eq(pthread_join(thread, NULL), 0);
    ck_assert_uint_eq(both[1].sched_policy, SCHED_BATCH);
    ck_assert_uint_eq(both[1].sched_runtime, both[0].sched_runtime);
}
END_TEST

static Suite *slice_suite(void)
{
    Suite *suite = suite_create("slice");
    TCase *tcase = tcase_create("slice");

    tcase_add_test(tcase, a_thread_that_asks_for_another_slice_keeps_policy_and_niceness);
    tcase_add_test(tcase, who_was_given_another_policy_keeps_it);
    suite_add_tcase(suite, tcase);
    return suite;
}

int main(int argc, char **argv)
{
    return runner_main(argc, argv, slice_suite);
}
