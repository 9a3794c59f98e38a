/* SPDX-License-Identifier: Apache-2.0 */
/* stress_stop: a client that does not come to a safepoint, because it computes or because it is stopped, harms nobody for
 * longer than the deadline: others get memory or MMGC_E_STALLED, mmgcctl names it, and it can go on when it wakes up. */
#include <inttypes.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/wait.h>

#include "shm/base.h"
#include "tests/support/crew.h"
#include "tests/support/daemon.h"
#include "tests/support/entry.h"
#include "tests/support/inspect.h"
#include "tests/support/shadow.h"
#include "tests/support/stress.h"

#define HEAP "stops"
#define HEAP_BYTES (UINT64_C(16) << 20)
#define DEADLINE_MS (300u * STRESS_SLOWER)
#define SHORT_DEADLINE_MS (2u * STRESS_SLOWER)
#define CALLERS 3u
#define LATE_MS (5u * DEADLINE_MS)
#define LIMIT_S 60.0
#define PAIRS 1000u
#define VISITS 100u

enum told { GO_ON = 1, LEAVE, END }; /* to the client that is late */
enum said { READY = 1, WORKING, LEFT };

struct stop_case {
    const char *socket, *plan, *options;
    bool exact;
};
struct stage { /* of each test here: a daemon, one that will be late, one that wants something */
    struct daemon *daemon;
    struct stop_case c;
    struct crew crew;
    struct inspect ask;
};

static void open_entry(struct entry *e, const struct stop_case *c, const char *name)
{
    entry_open(e, &(struct entry_options){ .socket = c->socket,
                                           .heap = HEAP,
                                           .plan = c->plan,
                                           .max_bytes = HEAP_BYTES,
                                           .options = c->options,
                                           .name = name,
                                           .exact = c->exact });
}

static void stage_init(struct stage *s, int i, const char *policy, unsigned deadline_ms)
{
    char config[128];
    snprintf(config, sizeof(config),
             "[daemon]\nthreads = 2\nstop_deadline = %ums\nstop_policy = %s\n", deadline_ms, policy);
    s->daemon = daemon_start(config);
    s->c = (struct stop_case){ .socket = daemon_socket(s->daemon),
                               .plan = stress_plan(i),
                               .exact = stress_toss(1400 + (uint64_t)i) };
    crew_init(&s->crew);
    inspect_open(&s->ask, s->c.socket);
}

static void stage_fini(struct stage *s)
{
    inspect_verify(&s->ask, HEAP);
    inspect_close(&s->ask);
    crew_fini(&s->crew);
    daemon_stop(s->daemon);
}

/* ---- who is late --------------------------------------------------------------------------------------------------- */

static mmgc_handle make_chain(struct entry *e)
{
    mmgc_handle top;
    EXPECT_OK(mmgc_handle_new(e->t, mmgc_new(e->t, e->types.of[SHADOW_PAIR]), &top));
    for (uint64_t i = 1; i < PAIRS; i++) {
        struct shadow_pair *pair = mmgc_new(e->t, e->types.of[SHADOW_PAIR]);
        EXPECT(pair != NULL, "no memory for a pair: %s", mmgc_strerror(mmgc_thread_error(e->t)));
        pair->value = i;
        mmgc_set(e->t, pair, left, mmgc_handle_get(e->t, top));
        mmgc_handle_set(e->t, top, pair);
    }
    return top;
}

static void check_chain(struct entry *e, mmgc_handle top)
{
    uint64_t i = PAIRS;
    for (struct shadow_pair *pair = mmgc_handle_get(e->t, top); pair != NULL;
         pair = mmgc_get(e->t, pair, left))
        EXPECT(pair->value == --i, "pair %" PRIu64 " of the chain is %" PRIu64, i, pair->value);
    EXPECT(i == 0, "%" PRIu64 " pairs of the chain are gone", i);
}

/* Stays inside without a poll until it is told otherwise; its graph is whole whatever the others did meanwhile. */
static void be_late(struct mate *mate, void *arg)
{
    struct entry e;
    open_entry(&e, arg, "late");
    EXPECT_OK(mmgc_enter(e.t));
    mmgc_handle top = make_chain(&e);
    for (mate_say(mate, READY); at_load_acquire(&mate->told) < LEAVE;)
        continue;
    check_chain(&e, top);
    (void)mmgc_poll(e.t);
    check_chain(&e, top);
    mmgc_leave(e.t);
    mate_say(mate, LEFT);
    mate_listen(mate, END);
    EXPECT_OK(mmgc_enter(e.t));
    EXPECT_OK(mmgc_gc(e.t));
    check_chain(&e, top);
    mmgc_leave(e.t);
    entry_close(&e);
}

/* ---- who is not ---------------------------------------------------------------------------------------------------- */

/* numbers: what mmgc_gc() said, and how many milliseconds it took. */
static void collect_once(struct mate *mate, void *arg)
{
    struct entry e;
    open_entry(&e, arg, "collecting");
    uint64_t began = mm_now_ns();
    int r = mmgc_gc(e.t);
    at_store_relaxed(&mate->numbers[0], (uint64_t)r);
    at_store_relaxed(&mate->numbers[1], (mm_now_ns() - began) / 1000000);
    entry_close(&e);
}

static uint64_t collect_by_a_client(struct stage *s, uint64_t *ret_ms)
{
    struct mate *mate = crew_start(&s->crew, collect_once, &s->c);
    mate_join(mate, LIMIT_S);
    *ret_ms = mate->numbers[1];
    return mate->numbers[0];
}

/* Garbage until memory ends (half of it, if the plan keeps room for copies), while nobody can collect: an error that says so. Then,
 * when told, garbage for ever. */
static void allocate_meanwhile(struct mate *mate, void *arg)
{
    struct entry e;
    uint64_t allocated = 0;
    open_entry(&e, arg, "allocating");
    EXPECT_OK(mmgc_enter(e.t));
    for (mate_say(mate, READY);;) {
        void *p = mmgc_new_array(e.t, e.types.of[SHADOW_BYTES], 1000);
        if (p == NULL)
            break;
        allocated += 1008;
        EXPECT(allocated <= HEAP_BYTES, "more was allocated than fits, though nobody could collect");
    }
    int error = mmgc_thread_error(e.t);
    EXPECT(error == MMGC_E_STALLED, "nobody can collect, and the error is: %s", mmgc_strerror(error));
    EXPECT(allocated > HEAP_BYTES / 3, "only %" PRIu64 " bytes were granted before the error",
           allocated);
    mmgc_leave(e.t);
    mate_say(mate, WORKING);
    mate_listen(mate, GO_ON);
    EXPECT_OK(mmgc_enter(e.t));
    for (allocated = 0; allocated < 3 * HEAP_BYTES; allocated += 1008) {
        void *p = mmgc_new_array(e.t, e.types.of[SHADOW_BYTES], 1000);
        EXPECT(p != NULL, "everybody polls again, and there is no memory: %s",
               mmgc_strerror(mmgc_thread_error(e.t)));
    }
    mmgc_leave(e.t);
    entry_close(&e);
}

/* ---- the cases ----------------------------------------------------------------------------------------------------- */

START_TEST(a_thread_that_does_not_poll_is_named_and_stalls_nobody_beyond_the_deadline)
{
    struct stage s;
    struct inspect_thread thread;
    uint64_t ms;
    stage_init(&s, _i, "abandon", DEADLINE_MS);
    struct mate *late = crew_start(&s.crew, be_late, &s.c);
    mate_await(late, READY, LIMIT_S);
    uint32_t pid = (uint32_t)late->pid;
    ck_assert_uint_eq(collect_by_a_client(&s, &ms), MMGC_E_STALLED);
    ck_assert_uint_ge(ms, DEADLINE_MS * 9 / 10);
    ck_assert_uint_lt(ms, LATE_MS);
    ck_assert(inspect_thread(&s.ask, HEAP, pid, "late", &thread));
    ck_assert_uint_eq(thread.late_stops, 1);
    ck_assert_str_eq(thread.state, "in");
    while (inspect_heap(&s.ask, HEAP).abandoned_stops == 0) /* a moment after the others heard of it */
        crew_sleep_us(1000);
    mate_tell(late, LEAVE);
    mate_await(late, LEFT, LIMIT_S);
    ck_assert_uint_eq(collect_by_a_client(&s, &ms), MMGC_E_OK);
    ck_assert_uint_lt(ms, DEADLINE_MS);
    mate_tell(late, END);
    mate_join(late, LIMIT_S);
    stage_fini(&s);
}
END_TEST

START_TEST(while_a_thread_does_not_poll_others_get_what_memory_there_is_and_then_an_error)
{
    struct stage s;
    stage_init(&s, _i, "abandon", DEADLINE_MS);
    struct mate *late = crew_start(&s.crew, be_late, &s.c);
    mate_await(late, READY, LIMIT_S);
    struct mate *other = crew_start(&s.crew, allocate_meanwhile, &s.c);
    mate_await(other, WORKING, LIMIT_S);
    mate_tell(late, LEAVE);
    mate_await(late, LEFT, LIMIT_S);
    mate_tell(other, GO_ON);
    mate_join(other, LIMIT_S);
    mate_tell(late, END);
    mate_join(late, LIMIT_S);
    stage_fini(&s);
}
END_TEST

START_TEST(a_client_stopped_outside_delays_no_collection)
{
    struct stage s;
    uint64_t ms;
    stage_init(&s, _i, "abandon", DEADLINE_MS);
    struct mate *late = crew_start(&s.crew, be_late, &s.c);
    mate_await(late, READY, LIMIT_S);
    mate_tell(late, LEAVE);
    mate_await(late, LEFT, LIMIT_S);
    ck_assert_int_eq(kill(late->pid, SIGSTOP), 0);
    for (unsigned i = 0; i < 10; i++) {
        ck_assert_uint_eq(collect_by_a_client(&s, &ms), MMGC_E_OK);
        ck_assert_uint_lt(ms, DEADLINE_MS);
    }
    ck_assert_int_eq(kill(late->pid, SIGCONT), 0);
    mate_tell(late, END);
    mate_join(late, LIMIT_S);
    stage_fini(&s);
}
END_TEST

START_TEST(a_client_stopped_inside_stalls_and_goes_on_unharmed_when_it_is_continued)
{
    struct stage s;
    uint64_t ms;
    stage_init(&s, _i, "abandon", DEADLINE_MS);
    struct mate *late = crew_start(&s.crew, be_late, &s.c);
    mate_await(late, READY, LIMIT_S);
    ck_assert_int_eq(kill(late->pid, SIGSTOP), 0);
    ck_assert_uint_eq(collect_by_a_client(&s, &ms), MMGC_E_STALLED);
    ck_assert_int_eq(kill(late->pid, SIGCONT), 0);
    mate_tell(late, LEAVE);
    mate_await(late, LEFT, LIMIT_S);
    ck_assert_uint_eq(collect_by_a_client(&s, &ms), MMGC_E_OK);
    mate_tell(late, END);
    mate_join(late, LIMIT_S);
    stage_fini(&s);
}
END_TEST

START_TEST(a_client_stopped_inside_and_killed_frees_the_others)
{
    struct stage s;
    uint64_t ms;
    stage_init(&s, _i, "abandon", DEADLINE_MS);
    struct mate *late = crew_start(&s.crew, be_late, &s.c);
    mate_await(late, READY, LIMIT_S);
    ck_assert_int_eq(kill(late->pid, SIGSTOP), 0);
    inspect_collect_begin(&s.ask, HEAP);
    ck_assert(mate_kill(late)); /* while the daemon waits for it */
    ck_assert_uint_eq(collect_by_a_client(&s, &ms), MMGC_E_OK);
    ck_assert_uint_lt(ms, DEADLINE_MS);
    ck_assert_uint_eq(inspect_heap(&s.ask, HEAP).abandoned_stops, 0);
    stage_fini(&s);
}
END_TEST

/* Each call of mmgc_gc() is answered, however close it comes to the end of a stop that is given up. */
static void collect_many_times(struct mate *mate, void *arg)
{
    struct entry e;
    open_entry(&e, arg, "collecting");
    for (mate_say(mate, READY); at_load_acquire(&mate->told) < END;) {
        int r = mmgc_gc(e.t);
        EXPECT(r == MMGC_OK || r == MMGC_E_STALLED, "collecting: %s", mmgc_strerror(r));
        at_add_relaxed(&mate->numbers[0], 1);
    }
    entry_close(&e);
}

static void be_late_now_and_then(struct mate *mate, void *arg)
{
    struct entry e;
    open_entry(&e, arg, "late");
    for (mate_say(mate, READY); at_load_acquire(&mate->told) < END;) {
        EXPECT_OK(mmgc_enter(e.t));
        crew_sleep_us(SHORT_DEADLINE_MS * 3000);
        mmgc_leave(e.t);
        crew_sleep_us(SHORT_DEADLINE_MS * 1000);
    }
    entry_close(&e);
}

START_TEST(every_call_for_a_collection_is_answered_though_many_are_given_up)
{
    struct stage s;
    uint64_t before[CALLERS] = { 0 };
    struct mate *callers[CALLERS];
    stage_init(&s, _i, "abandon", SHORT_DEADLINE_MS);
    struct mate *late = crew_start(&s.crew, be_late_now_and_then, &s.c);
    mate_await(late, READY, LIMIT_S);
    for (uint32_t i = 0; i < CALLERS; i++)
        callers[i] = crew_start(&s.crew, collect_many_times, &s.c);
    for (uint64_t end = mm_now_ns() + (uint64_t)(stress_seconds(1) * 1e9); mm_now_ns() < end;)
        crew_sleep_us(10000);
    for (uint32_t i = 0; i < CALLERS; i++) { /* who hangs now does not move any more */
        before[i] = callers[i]->numbers[0];
        for (uint64_t tick = 0; callers[i]->numbers[0] == before[i]; tick++, crew_sleep_us(1000)) {
            mate_check(callers[i]);
            ck_assert_msg(tick < 3000, "caller %u waits for ever, after %lu calls", i,
                          (unsigned long)before[i]);
        }
    }
    for (uint32_t i = 0; i < CALLERS; i++)
        mate_tell(callers[i], END);
    mate_tell(late, END);
    for (uint32_t i = 0; i < CALLERS; i++)
        mate_join(callers[i], LIMIT_S);
    mate_join(late, LIMIT_S);
    fprintf(stderr, "%lu and more calls, %lu stops given up\n", (unsigned long)before[0],
            (unsigned long)inspect_heap(&s.ask, HEAP).abandoned_stops);
    stage_fini(&s);
}
END_TEST

static void wait_outside(struct mate *mate, void *arg)
{
    struct entry e;
    open_entry(&e, arg, "waiting");
    EXPECT_OK(mmgc_enter(e.t));
    mmgc_handle top = make_chain(&e);
    mmgc_leave(e.t);
    mate_say(mate, READY);
    mate_listen(mate, END);
    EXPECT_OK(mmgc_enter(e.t));
    check_chain(&e, top);
    mmgc_leave(e.t);
    entry_close(&e);
}

static void poll_inside(struct mate *mate, void *arg)
{
    struct entry e;
    open_entry(&e, arg, "polling");
    EXPECT_OK(mmgc_enter(e.t));
    mmgc_handle top = make_chain(&e);
    for (mate_say(mate, READY); at_load_acquire(&mate->told) < END;)
        EXPECT_OK(mmgc_poll(e.t));
    check_chain(&e, top);
    mmgc_leave(e.t);
    entry_close(&e);
}

START_TEST(with_the_policy_to_kill_exactly_the_late_client_is_killed)
{
    struct stage s;
    uint64_t ms;
    stage_init(&s, _i, "kill", DEADLINE_MS);
    struct mate *outside = crew_start(&s.crew, wait_outside, &s.c);
    struct mate *inside = crew_start(&s.crew, poll_inside, &s.c);
    struct mate *late = crew_start(&s.crew, be_late, &s.c);
    mate_await(outside, READY, LIMIT_S);
    mate_await(inside, READY, LIMIT_S);
    mate_await(late, READY, LIMIT_S);
    uint64_t said = collect_by_a_client(&s, &ms);
    ck_assert_msg(said == MMGC_E_OK || said == MMGC_E_STALLED, "collecting: %s",
                  mmgc_error_sentence((enum mmgc_error)said));
    int status = mate_wait_status(late, LIMIT_S);
    ck_assert_msg(WIFSIGNALED(status) && WTERMSIG(status) == SIGKILL,
                  "the late client ended with status %x", status);
    ck_assert_uint_eq(collect_by_a_client(&s, &ms), MMGC_E_OK);
    ck_assert_uint_lt(ms, DEADLINE_MS);
    mate_tell(outside, END);
    mate_tell(inside, END);
    mate_join(outside, LIMIT_S);
    mate_join(inside, LIMIT_S);
    stage_fini(&s);
}
END_TEST

/* ---- who comes ----------------------------------------------------------------------------------------------------- */

static void collect_without_pause(struct mate *mate, void *arg)
{
    struct entry e;
    open_entry(&e, arg, "busy");
    EXPECT_OK(mmgc_enter(e.t));
    for (mate_say(mate, READY); at_load_acquire(&mate->told) < END; at_add_relaxed(&mate->numbers[0], 1))
        EXPECT(mmgc_new_array(e.t, e.types.of[SHADOW_BYTES], 50000) != NULL, "%s",
               mmgc_strerror(mmgc_thread_error(e.t)));
    mmgc_leave(e.t);
    entry_close(&e);
}

/* numbers[0]: the longest it took to get in, in microseconds. */
static void go_in_and_out(struct mate *mate, void *arg)
{
    struct entry e;
    open_entry(&e, arg, "coming");
    for (unsigned i = 0; i < VISITS; i++) {
        uint64_t began_ns = mm_now_ns();
        EXPECT_OK(mmgc_enter(e.t));
        uint64_t took_us = (mm_now_ns() - began_ns) / 1000;
        mmgc_leave(e.t);
        at_store_relaxed(&mate->numbers[0], MM_MAX(mate->numbers[0], took_us));
        crew_sleep_us(i * 50);
    }
    entry_close(&e);
}

START_TEST(who_comes_gets_in_though_another_collects_without_pause)
{
    struct stage s;
    stage_init(&s, _i, "abandon", 10000);
    s.c.options = "stress_factor=256K sanity=on";
    struct mate *busy = crew_start(&s.crew, collect_without_pause, &s.c);
    mate_await(busy, READY, LIMIT_S);
    struct mate *coming = crew_start(&s.crew, go_in_and_out, &s.c);
    mate_join(coming, LIMIT_S);
    fprintf(stderr, "plan %s: at most %lu us to get in, %lu collections\n", s.c.plan, (unsigned long)coming->numbers[0],
            (unsigned long)inspect_heap(&s.ask, HEAP).collections);
    mate_tell(busy, END);
    mate_join(busy, LIMIT_S);
    stage_fini(&s);
}
END_TEST

static Suite *stop_suite(void)
{
    stress_leave_out_pages();
    Suite *suite = suite_create("stress_stop");
    TCase *late = tcase_create("late"), *stopped = tcase_create("stopped"),
          *policy = tcase_create("policy"), *coming = tcase_create("coming");
    int cases = stress_plan_count();
    tcase_add_loop_test(
        late, a_thread_that_does_not_poll_is_named_and_stalls_nobody_beyond_the_deadline, 0, cases);
    tcase_add_loop_test(
        late, while_a_thread_does_not_poll_others_get_what_memory_there_is_and_then_an_error, 0, cases);
    tcase_add_loop_test(late, every_call_for_a_collection_is_answered_though_many_are_given_up, 0,
                        cases);
    tcase_add_loop_test(stopped, a_client_stopped_outside_delays_no_collection, 0, cases);
    tcase_add_loop_test(
        stopped, a_client_stopped_inside_stalls_and_goes_on_unharmed_when_it_is_continued, 0, cases);
    tcase_add_loop_test(stopped, a_client_stopped_inside_and_killed_frees_the_others, 0, cases);
    tcase_add_loop_test(policy, with_the_policy_to_kill_exactly_the_late_client_is_killed, 0, cases);
    tcase_add_loop_test(coming, who_comes_gets_in_though_another_collects_without_pause, 0, cases);
    TCase *all[] = { late, stopped, policy, coming };
    for (size_t i = 0; i < MM_ARRAY_LEN(all); i++) {
        stress_limit(all[i], 60);
        suite_add_tcase(suite, all[i]);
    }
    return suite;
}

int main(int argc, char **argv)
{
    return stress_main(argc, argv, stop_suite);
}
