/* SPDX-License-Identifier: Apache-2.0 */
#include "shm/urgency.h"

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

/* In threads of their own: what one test asks for is nobody else's. */
static void *ask_prompt(void *context)
{
    struct attributes *both = context;

    both[0] = attributes();
    urgency_set(URGENCY_PROMPT);
    both[1] = attributes();
    return NULL;
}

static void *ask_patient(void *context)
{
    struct attributes *both = context;

    both[0] = attributes();
    urgency_set(URGENCY_PATIENT);
    both[1] = attributes();
    return NULL;
}

static void *ask_in_batch(void *context)
{
    struct sched_param param = { 0 };

    ck_assert_int_eq(pthread_setschedparam(pthread_self(), SCHED_BATCH, &param), 0);
    return ask_prompt(context);
}

static void in_thread(void *(*body)(void *), struct attributes *both)
{
    pthread_t thread;

    ck_assert_int_eq(pthread_create(&thread, NULL, body, both), 0);
    ck_assert_int_eq(pthread_join(thread, NULL), 0);
    ck_assert_int_eq(both[1].sched_nice, both[0].sched_nice);
}

START_TEST(who_is_prompt_keeps_policy_and_niceness_and_has_short_turns)
{
    struct attributes both[2];

    in_thread(ask_prompt, both);
    ck_assert_uint_eq(both[1].sched_policy, SCHED_OTHER);
    if (both[0].sched_runtime != 0) /* a system that has turns of one's own */
        ck_assert_uint_eq(both[1].sched_runtime, 100000);
}
END_TEST

START_TEST(who_is_patient_interrupts_nobody_and_has_long_turns)
{
    struct attributes both[2];

    in_thread(ask_patient, both);
    ck_assert_uint_eq(both[1].sched_policy, SCHED_BATCH);
    if (both[0].sched_runtime != 0)
        ck_assert_uint_eq(both[1].sched_runtime, 100000000);
}
END_TEST

START_TEST(who_was_given_another_policy_keeps_it)
{
    struct attributes both[2];

    in_thread(ask_in_batch, both);
    ck_assert_uint_eq(both[1].sched_policy, SCHED_BATCH);
    ck_assert_uint_eq(both[1].sched_runtime, both[0].sched_runtime);
}
END_TEST

static Suite *urgency_suite(void)
{
    Suite *suite = suite_create("urgency");
    TCase *tcase = tcase_create("urgency");

    tcase_add_test(tcase, who_is_prompt_keeps_policy_and_niceness_and_has_short_turns);
    tcase_add_test(tcase, who_is_patient_interrupts_nobody_and_has_long_turns);
    tcase_add_test(tcase, who_was_given_another_policy_keeps_it);
    suite_add_tcase(suite, tcase);
    return suite;
}

int main(int argc, char **argv)
{
    return runner_main(argc, argv, urgency_suite);
}
