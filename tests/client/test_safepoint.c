/* SPDX-License-Identifier: Apache-2.0 */
#include "tests/client/fixture.h"

#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "shm/futex.h"

static uint32_t state_of(uint32_t id)
{
    return at_load_acquire(&fake_mutator(fake, id)->state);
}

START_TEST(enter_and_leave_change_the_state)
{
    ck_assert_uint_eq(state_of(1), SHM_OUT);
    ck_assert_int_eq(mmgc_poll_slow_(t), MMGC_E_NOT_IN);
    ck_assert_ok(mmgc_enter(t));
    ck_assert_uint_eq(state_of(1), SHM_IN);
    ck_assert_int_eq(mmgc_enter(t), MMGC_E_IS_IN);
    ck_assert_ok(mmgc_poll(t));
    mmgc_leave(t);
    ck_assert_uint_eq(state_of(1), SHM_OUT);
    ck_assert_uint_eq(at_load_relaxed(&mutator()->root_count), 0);
}
END_TEST

/* ---- with a worker thread, so that the test can be the daemon ---------------------------------------------------- */

enum step { ENTER, POLL, LEAVE, GC, END };
struct worker {
    pthread_t thread;
    struct mmgc_thread *t;
    _Atomic int ready;       /* attached, and in its loop */
    _Atomic int asked, done; /* steps, counted */
    _Atomic int step;
    _Atomic int result;
    bool exact;
};

static void *work(void *arg)
{
    struct worker *w = arg;
    struct mmgc_thread_options options = { .exact = w->exact };

    MM_ASSERT(mmgc_attach(heap, &options, &w->t) == MMGC_OK);
    at_store_release(&w->ready, 1);
    for (int n = 0;; n++) {
        int r = MMGC_OK;
        while (at_load_acquire(&w->asked) == n)
            (void)usleep(50);
        switch ((enum step)at_load_relaxed(&w->step)) {
        case ENTER: r = mmgc_enter(w->t); break;
        case POLL: r = mmgc_poll(w->t); break;
        case LEAVE: mmgc_leave(w->t); break;
        case GC: r = mmgc_gc(w->t); break;
        case END: return NULL;
        }
        at_store_relaxed(&w->result, r);
        at_store_release(&w->done, n + 1);
    }
}

static void worker_start(struct worker *w)
{
    ck_assert_int_eq(pthread_create(&w->thread, NULL, work, w), 0);
    while (at_load_acquire(&w->ready) == 0)
        (void)usleep(50);
}

static void worker_ask(struct worker *w, enum step step)
{
    at_store_relaxed(&w->step, step);
    (void)at_add_acq_rel(&w->asked, 1);
}

static bool worker_done_within(struct worker *w, unsigned ms)
{
    for (unsigned i = 0; i < ms * 10; i++) {
        if (at_load_acquire(&w->done) == at_load_relaxed(&w->asked))
            return true;
        (void)usleep(100);
    }
    return false;
}

static int worker_do(struct worker *w, enum step step)
{
    worker_ask(w, step);
    ck_assert(worker_done_within(w, 5000));
    return at_load_relaxed(&w->result);
}

static void worker_end(struct worker *w)
{
    worker_ask(w, END);
    (void)pthread_join(w->thread, NULL);
}

START_TEST(enter_backs_out_while_the_world_is_stopped)
{
    struct worker w = { .exact = false };

    worker_start(&w);
    ck_assert(fake_stop_world(fake, 100));
    worker_ask(&w, ENTER);
    ck_assert(!worker_done_within(&w, 50));
    ck_assert_uint_eq(state_of(2), SHM_OUT); /* to OUT, never to PARKED */
    fake_resume_world(fake);
    ck_assert(worker_done_within(&w, 500));
    ck_assert_uint_eq(state_of(2), SHM_IN);
    worker_end(&w);
}
END_TEST

START_TEST(poll_parks_with_roots_until_the_resume)
{
    struct worker w = { .exact = false };

    worker_start(&w);
    ck_assert_ok(worker_do(&w, ENTER));
    ck_assert(!fake_stop_world(fake, 20)); /* it does not poll yet */
    worker_ask(&w, POLL);
    ck_assert(fake_stop_world(fake, 500));
    ck_assert_uint_eq(state_of(2), SHM_PARKED);
    ck_assert(!worker_done_within(&w, 50));
    fake_resume_world(fake);
    ck_assert(worker_done_within(&w, 500));
    ck_assert_ok(at_load_relaxed(&w.result));
    ck_assert_uint_eq(state_of(2), SHM_IN);
    worker_end(&w);
}
END_TEST

START_TEST(a_second_stop_finds_a_parked_thread_parked)
{
    struct worker w = { .exact = false };

    worker_start(&w);
    ck_assert_ok(worker_do(&w, ENTER));
    for (int i = 0; i < 200; i++) {
        at_store_release(&fake->control->epoch, at_load_relaxed(&fake->control->epoch) | 1);
        worker_ask(&w, POLL);
        ck_assert(fake_stop_world(fake, 2000));
        uint32_t roots = at_load_relaxed(&fake_mutator(fake, 2)->root_count);
        fake_resume_world(fake);
        if (fake_stop_world(fake, 1) && state_of(2) == SHM_PARKED && i % 2 == 0)
            ck_assert_uint_eq(at_load_relaxed(&fake_mutator(fake, 2)->root_count), roots);
        fake_resume_world(fake);
        ck_assert(worker_done_within(&w, 3000));
    }
    worker_end(&w);
}
END_TEST

START_TEST(leave_wakes_a_daemon_that_waits)
{
    struct worker w = { .exact = false };

    worker_start(&w);
    ck_assert_ok(worker_do(&w, ENTER));
    at_store_release(&fake->control->epoch, 1);
    worker_ask(&w, LEAVE);
    uint64_t start_ns = mm_now_ns();
    while (state_of(2) == SHM_IN)
        (void)futex_wait(&fake_mutator(fake, 2)->state, SHM_IN, UINT64_C(5000000000));
    ck_assert_uint_lt(mm_now_ns() - start_ns, UINT64_C(2000000000));
    fake_resume_world(fake);
    worker_end(&w);
}
END_TEST

START_TEST(exact_threads_publish_no_words)
{
    struct worker w = { .exact = true };

    worker_start(&w);
    ck_assert_ok(worker_do(&w, ENTER));
    at_store_release(&fake->control->epoch, 1);
    worker_ask(&w, POLL);
    ck_assert(fake_stop_world(fake, 500));
    ck_assert_uint_eq(at_load_relaxed(&fake_mutator(fake, 2)->root_count), 0);
    fake_resume_world(fake);
    worker_end(&w);
}
END_TEST

START_TEST(waiting_for_a_dead_daemon_ends)
{
    struct worker in = { .exact = false };

    worker_start(&in);
    ck_assert_ok(worker_do(&in, ENTER));
    at_store_release(&fake->control->epoch, 1);
    worker_ask(&in, POLL);
    ck_assert(fake_stop_world(fake, 500));
    fake_drop_all(fake); /* and no resume */
    ck_assert(worker_done_within(&in, 4000));
    ck_assert_int_eq(at_load_relaxed(&in.result), MMGC_E_DISCONNECTED);
    ck_assert_uint_eq(state_of(2), SHM_OUT);
    ck_assert_int_eq(worker_do(&in, ENTER), MMGC_E_DISCONNECTED);
    worker_end(&in);
}
END_TEST

START_TEST(waiting_for_a_heap_that_is_destroyed_says_so)
{
    struct worker w = { .exact = false };

    worker_start(&w);
    at_store_release(&fake->control->epoch, 1);
    worker_ask(&w, ENTER);
    fake_event(fake, MMGC_E_HEAP_GONE);
    ck_assert(worker_done_within(&w, 4000));
    ck_assert_int_eq(at_load_relaxed(&w.result), MMGC_E_HEAP_GONE);
    worker_end(&w);
}
END_TEST

START_TEST(gc_waits_parked_for_its_collection)
{
    struct worker w = { .exact = false };

    worker_start(&w);
    ck_assert_ok(worker_do(&w, ENTER));
    at_store_relaxed(&fake->collect_number, 3);
    at_store_relaxed(&fake->control->collections, 1);
    worker_ask(&w, GC);
    ck_assert(!worker_done_within(&w, 50));
    ck_assert_uint_eq(state_of(2), SHM_PARKED);
    for (uint64_t number = 2; number <= 3; number++) {
        ck_assert(fake_stop_world(fake, 500));
        at_store_release(&fake->control->collections, number);
        fake_resume_world(fake);
        if (number == 2)
            ck_assert(!worker_done_within(&w, 50));
    }
    ck_assert(worker_done_within(&w, 500));
    ck_assert_ok(at_load_relaxed(&w.result));
    ck_assert_uint_eq(state_of(2), SHM_IN);
    worker_end(&w);
}
END_TEST

START_TEST(gc_ends_when_the_stop_is_abandoned)
{
    struct worker w = { .exact = false };

    worker_start(&w);
    at_store_relaxed(&fake->collect_number, 1);
    worker_ask(&w, GC); /* from outside */
    ck_assert(!worker_done_within(&w, 20));
    ck_assert(fake_stop_world(fake, 500));
    at_store_release(&fake->control->abandoned_stops, 1);
    fake_resume_world(fake);
    ck_assert(worker_done_within(&w, 500));
    ck_assert_int_eq(at_load_relaxed(&w.result), MMGC_E_STALLED);
    worker_end(&w);
}
END_TEST

/* ---- a race of stops against a busy thread ----------------------------------------------------------------------- */

struct race {
    _Atomic bool over;
    _Atomic uint64_t writes; /* raised only while IN */
};

static void *race_work(void *arg)
{
    struct race *race = arg;
    struct mmgc_thread *thread;

    MM_ASSERT(mmgc_attach(heap, NULL, &thread) == MMGC_OK);
    while (!at_load_relaxed(&race->over)) {
        MM_ASSERT(mmgc_enter(thread) == MMGC_OK);
        for (int i = 0; i < 50; i++) {
            at_store_relaxed(&race->writes, at_load_relaxed(&race->writes) + 1);
            MM_ASSERT(mmgc_poll(thread) == MMGC_OK);
        }
        mmgc_leave(thread);
    }
    return NULL;
}

START_TEST(nothing_is_written_while_the_world_stands)
{
    enum { THREADS = 3, STOPS = 3000 };
    struct race races[THREADS] = { 0 };
    pthread_t threads[THREADS];

    for (int i = 0; i < THREADS; i++)
        ck_assert_int_eq(pthread_create(&threads[i], NULL, race_work, &races[i]), 0);
    while (at_load_acquire(&fake->attaches) < 1 + THREADS ||
           at_load_relaxed(&races[THREADS - 1].writes) == 0)
        (void)usleep(100);
    for (int stop = 0; stop < STOPS; stop++) {
        uint64_t before[THREADS];
        ck_assert(fake_stop_world(fake, 5000));
        for (int i = 0; i < THREADS; i++)
            before[i] = at_load_relaxed(&races[i].writes);
        for (int spin = 0; spin < 200; spin++)
            at_compiler_fence();
        for (int i = 0; i < THREADS; i++)
            ck_assert_uint_eq(at_load_relaxed(&races[i].writes), before[i]);
        fake_resume_world(fake);
    }
    for (int i = 0; i < THREADS; i++) {
        at_store_relaxed(&races[i].over, true);
        (void)pthread_join(threads[i], NULL);
    }
}
END_TEST

static Suite *safepoint_suite(void)
{
    Suite *suite = suite_create("safepoint");
    TCase *steps = tcase_create("steps"), *race = tcase_create("race");

    tcase_add_checked_fixture(steps, setup, teardown);
    tcase_add_test(steps, enter_and_leave_change_the_state);
    tcase_add_test(steps, enter_backs_out_while_the_world_is_stopped);
    tcase_add_test(steps, poll_parks_with_roots_until_the_resume);
    tcase_add_test(steps, a_second_stop_finds_a_parked_thread_parked);
    tcase_add_test(steps, leave_wakes_a_daemon_that_waits);
    tcase_add_test(steps, exact_threads_publish_no_words);
    tcase_add_test(steps, waiting_for_a_dead_daemon_ends);
    tcase_add_test(steps, waiting_for_a_heap_that_is_destroyed_says_so);
    tcase_add_test(steps, gc_waits_parked_for_its_collection);
    tcase_add_test(steps, gc_ends_when_the_stop_is_abandoned);
    suite_add_tcase(suite, steps);
    tcase_add_checked_fixture(race, setup, teardown);
    tcase_set_timeout(race, 60);
    tcase_add_test(race, nothing_is_written_while_the_world_stands);
    suite_add_tcase(suite, race);
    return suite;
}

int main(int argc, char **argv)
{
    return runner_main(argc, argv, safepoint_suite);
}
