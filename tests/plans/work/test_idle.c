/* SPDX-License-Identifier: Apache-2.0 */
#include "plans/work/idle.h"

#include <pthread.h>
#include <sched.h>
#include <unistd.h>

#include "tests/plans/work/support.h"
#include "tests/support/runner.h"

#define SLEEPERS 5u

static struct idle idle;
static _Atomic uint64_t awake;   /* a bit a sleeper that got up */
static _Atomic uint64_t errands; /* a bit a sleeper that has something to do, which only it can */
static _Atomic bool holding, over;
static pthread_t threads[SLEEPERS];

static uint32_t asleep(void)
{
    return at_load_relaxed(&idle.state) & 0xffff;
}

static uint32_t tickets(void)
{
    return at_load_relaxed(&idle.state) >> 32 & 0xff;
}

static bool must_not_sleep(unsigned me)
{
    return at_load_acquire(&over) ||
           (atomic_load_explicit(&errands, memory_order_seq_cst) >> me & 1) != 0;
}

/* Sleeps, notes that it got up, does its errand. While `holding` it searches on until its bit of `awake` goes. */
static void *sleeper(void *arg)
{
    unsigned me = (unsigned)(uintptr_t)arg;
    idle_search(&idle);
    while (!at_load_acquire(&over)) {
        idle_sleep_begin(&idle, me);
        if (must_not_sleep(me))
            idle_sleep_cancel(&idle);
        else
            idle_sleep_end(&idle, me);
        atomic_fetch_or_explicit(&awake, UINT64_C(1) << me, memory_order_release);
        at_and_relaxed(&errands, ~(UINT64_C(1) << me));
        while ((at_load_acquire(&awake) >> me & 1) != 0 && at_load_acquire(&holding))
            sched_yield();
    }
    idle_found(&idle);
    return NULL;
}

static void until_asleep(uint32_t count)
{
    while (asleep() != count)
        sched_yield();
}

static void until_awake(unsigned count)
{
    while ((unsigned)__builtin_popcountll(at_load_acquire(&awake)) < count)
        sched_yield();
}

static uint64_t those_awake(unsigned count) /* after a moment more, for those who should not be */
{
    until_awake(count);
    usleep(2000);
    return at_load_acquire(&awake);
}

static void all_back_to_sleep(void)
{
    at_store_release(&awake, 0);
    until_asleep(SLEEPERS);
}

static void setup(void)
{
    idle = (struct idle){ 0 };
    at_store_relaxed(&awake, 0);
    at_store_relaxed(&errands, 0);
    at_store_relaxed(&over, false);
    at_store_relaxed(&holding, true);
    for (uintptr_t i = 0; i < SLEEPERS; i++)
        pthread_create(&threads[i], NULL, sleeper, (void *)i);
    until_asleep(SLEEPERS);
}

static void teardown(void)
{
    at_store_release(&over, true);
    at_store_release(&holding, false);
    idle_wake(&idle, IDLE_ALL);
    for (unsigned i = 0; i < SLEEPERS; i++)
        pthread_join(threads[i], NULL);
    ck_assert_uint_eq((uint32_t)at_load_relaxed(&idle.state), 0); /* nobody is counted twice or not at all */
    ck_assert_uint_eq(tickets(), 0);
}

START_TEST(as_many_are_woken_as_there_is_work_for)
{
    for (unsigned want = 1; want <= SLEEPERS; want++) {
        idle_wake(&idle, want);
        idle_wake(&idle, want); /* they search already: nobody else is needed */
        ck_assert_uint_eq(__builtin_popcountll(those_awake(want)), want);
        ck_assert_uint_eq(asleep(), SLEEPERS - want);
        all_back_to_sleep();
    }
}
END_TEST

START_TEST(only_the_called_get_up)
{
    static const uint64_t calls[] = { 1, 2, 4, 8, 16, 0x12, 0x0d, 0x1f };
    for (unsigned i = 0; i < MM_ARRAY_LEN(calls); i++) {
        unsigned count = (unsigned)__builtin_popcountll(calls[i]);
        idle_call(&idle, calls[i]);
        ck_assert_uint_eq(those_awake(count), calls[i]);
        ck_assert_uint_eq(asleep(), SLEEPERS - count);
        all_back_to_sleep();
    }
}
END_TEST

/* Called past a ticket, it would leave that to sleepers whom nobody wakes, and one would count as searching for ever. */
START_TEST(called_one_takes_a_ticket_if_there_is_one)
{
    for (unsigned round = 0; round < 500 / SLOWER; round++) {
        idle_wake(&idle, round % 3);
        idle_call(&idle, (1u << SLEEPERS) - 1);
        until_awake(SLEEPERS);
        ck_assert_uint_eq(tickets(), 0);
        ck_assert_uint_eq((uint32_t)at_load_relaxed(&idle.state), SLEEPERS << 16); /* all search */
        all_back_to_sleep();
    }
}
END_TEST

/* Wakes that others may answer come just before and after: the one with the errand gets up all the same. */
START_TEST(call_is_not_lost_among_wakes)
{
    uint32_t random = test_seed();
    at_store_release(&holding, false);
    for (unsigned round = 0; round < 20000 / SLOWER; round++) {
        uint64_t bit = UINT64_C(1) << test_random(&random) % SLEEPERS;
        idle_wake(&idle, test_random(&random) % 4);
        test_spin_ns(test_random(&random) % 2048);
        atomic_fetch_or_explicit(&errands, bit, memory_order_seq_cst);
        idle_call(&idle, bit);
        idle_wake(&idle, test_random(&random) % 4);
        while ((at_load_acquire(&errands) & bit) != 0 || tickets() != 0) /* a lost one hangs here */
            sched_yield();
    }
}
END_TEST

static Suite *suite(void)
{
    Suite *s = suite_create("idle");
    TCase *tc = tcase_create("idle");
    tcase_add_checked_fixture(tc, setup, teardown);
    tcase_set_timeout(tc, 60);
    tcase_add_test(tc, as_many_are_woken_as_there_is_work_for);
    tcase_add_test(tc, only_the_called_get_up);
    tcase_add_test(tc, called_one_takes_a_ticket_if_there_is_one);
    tcase_add_test(tc, call_is_not_lost_among_wakes);
    suite_add_tcase(s, tc);
    return s;
}

int main(int argc, char **argv)
{
    return runner_main(argc, argv, suite);
}
