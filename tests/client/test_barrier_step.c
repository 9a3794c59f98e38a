/* SPDX-License-Identifier: Apache-2.0 */
/* The write barrier, an instruction at a time: a client is stopped after each, and what it has left in shared memory at that
 * moment, which is all that a SIGKILL would leave, must tell the daemon of every store (soundness S1). Then the same with
 * another thread's store to the same field in between, at each instruction. */
#include <stdio.h>

#include "tests/client/barrier_world.h"
#include "tests/support/runner.h"
#include "tests/support/stepper.h"

#define FIELD 70u /* in the second line of the row */
#define STEPS_MAX 4000000u

struct step_case {
    const char *name;
    void (*run)(void *world);                /* by thread 0 */
    uint32_t first, count;                   /* fields it stores to */
    enum shm_barrier_kind kind;
    bool full;                               /* its ring has no room */
};

static const void *object_at(struct world *w, uint32_t granule)
{
    return mmgc_deref(w->t[0], (mmgc_ref){ granule });
}

static void run_store(void *context)
{
    struct world *w = context;
    mmgc_store(w->t[0], w->row, &w->row[FIELD], object_at(w, 7));
}

static void run_swap(void *context)
{
    struct world *w = context;
    (void)mmgc_compare_and_swap(w->t[0], w->row, &w->row[FIELD], object_at(w, w->before[FIELD].granule), object_at(w, 7));
}

static void run_exchange(void *context)
{
    struct world *w = context;
    mmgc_keep(mmgc_exchange(w->t[0], w->row, &w->row[FIELD], object_at(w, 7)));
}

static void run_copy_down(void *context)
{
    struct world *w = context;
    mmgc_copy_refs(w->t[0], w->row, &w->row[31], &w->row[40], 60);
}

static void run_copy_up(void *context)
{
    struct world *w = context;
    mmgc_copy_refs(w->t[0], w->row, &w->row[63], &w->row[62], 2);
}

static void run_copy_across(void *context) /* from the first line to the second */
{
    struct world *w = context;
    mmgc_copy_refs(w->t[0], w->row, &w->row[53], &w->row[52], 2);
}

static void run_fill(void *context)
{
    struct world *w = context;
    mmgc_fill_refs(w->t[0], w->row, &w->row[3], object_at(w, 7), 11);
}

#define LINES SHM_BARRIER_LINES
#define FIELDS SHM_BARRIER_FIELDS
static const struct step_case cases[] = {
    { "a store, lines", run_store, FIELD, 1, LINES, false },
    { "a store, fields", run_store, FIELD, 1, FIELDS, false },
    { "a store without room", run_store, FIELD, 1, FIELDS, true },
    { "a store without room, lines", run_store, FIELD, 1, LINES, true },
    { "a compare-and-swap", run_swap, FIELD, 1, FIELDS, false },
    { "an exchange", run_exchange, FIELD, 1, FIELDS, false },
    { "an exchange, lines", run_exchange, FIELD, 1, LINES, false },
    { "a copy upwards", run_copy_up, 63, 2, FIELDS, false },
    { "a copy upwards, lines", run_copy_across, 53, 2, LINES, false },
    { "filling", run_fill, 3, 11, FIELDS, false },
    { "filling without room", run_fill, 3, 11, FIELDS, true },
    { "a copy downwards", run_copy_down, 31, 60, FIELDS, false },
};
#define CASES ((int)(sizeof(cases) / sizeof(cases[0])))
#if defined(__SANITIZE_THREAD__) || defined(__SANITIZE_ADDRESS__) /* a hundred times as many instructions, few of them ours */
#define CASES_ALONE 9
#define CASES_BETWEEN 0
#else
#define CASES_ALONE CASES
#define CASES_BETWEEN 9 /* the others are as long as these together, many times over */
#endif

static void prepare(void *context)
{
    (void)context;
}

static void check(const struct world *w, const struct step_case *c, uint64_t steps, const char *fault)
{
    (void)w;
    if (fault != NULL) /* no ck_assert() for each step, see stepper.c */
        ck_abort_msg("%s, killed after %lu instructions: %s", c->name, (unsigned long)steps, fault);
}

/* Lets thread 0 go on to its end, looking after each instruction. Returns how many. */
static uint64_t step_to_the_end(struct stepper *s, struct world *w, const struct step_case *c)
{
    uint64_t steps = 0;

    while (!s->returned && steps < STEPS_MAX) {
        steps += stepper_step(s, 1);
        check(w, c, steps, world_fault(w));
        check(w, c, steps, world_rewrite_fault(w));
    }
    ck_assert_uint_lt(steps, STEPS_MAX);
    check(w, c, steps, world_end_fault(w, c->first, c->count));
    return steps;
}

START_TEST(a_client_killed_after_any_instruction_has_told_of_its_store)
{
    const struct step_case *c = &cases[_i];
    struct world *w = world_new();
    struct stepper s;

    world_arm(w, c->kind, c->full);
    stepper_start(&s, prepare, c->run, w);
    uint64_t steps = step_to_the_end(&s, w, c);
    stepper_kill(&s);
    ck_assert_uint_ne(w->row[c->first].granule, w->before[c->first].granule); /* it did store */
    fprintf(stderr, "%s: stopped after each of %lu instructions\n", c->name, (unsigned long)steps);
}
END_TEST

/* Thread 1, in the parent: all of its barrier and its store between two instructions of thread 0. */
static void store_between(struct world *w, const struct step_case *c)
{
    mmgc_store(w->t[1], w->row, &w->row[c->first], mmgc_deref(w->t[1], (mmgc_ref){ 9 }));
}

/* False: thread 0 had come to its end before. */
static bool store_after(struct world *w, const struct step_case *c, uint64_t count)
{
    struct stepper s;

    world_arm(w, c->kind, c->full);
    stepper_start(&s, prepare, c->run, w);
    bool between = stepper_step(&s, count) == count && !s.returned;
    store_between(w, c);
    check(w, c, count, world_fault(w));
    (void)step_to_the_end(&s, w, c);
    stepper_kill(&s);
    return between;
}

START_TEST(a_store_of_another_thread_at_any_instruction_is_logged_between_them)
{
    const struct step_case *c = &cases[_i];
    struct world *w = world_new();
    uint64_t count = 0;

    while (store_after(w, c, count))
        count++;
    ck_assert_uint_gt(count, 20);
}
END_TEST

/* The daemon, in the parent: between two instructions of thread 0 marking has ended, and the sweep has come by. */
static bool rest_after(struct world *w, const struct step_case *c, uint64_t count)
{
    struct stepper s;

    world_arm(w, c->kind, c->full);
    stepper_start(&s, prepare, c->run, w);
    bool between = stepper_step(&s, count) == count && !s.returned;
    world_rest(w);
    for (uint64_t steps = count; !s.returned && steps < STEPS_MAX; steps += stepper_step(&s, 1))
        check(w, c, steps, world_rest_fault(w));
    check(w, c, STEPS_MAX, world_rest_fault(w));
    stepper_kill(&s);
    ck_assert_uint_ne(w->row[c->first].granule, w->before[c->first].granule); /* it did store */
    return between;
}

START_TEST(who_hears_late_that_the_barrier_rests_leaves_no_bit_clear_that_is_in_no_log)
{
    const struct step_case *c = &cases[_i];
    struct world *w = world_new();
    uint64_t count = 0;

    while (c->kind == FIELDS && rest_after(w, c, count))
        count++;
    ck_assert(c->kind != FIELDS || count > 20);
}
END_TEST

static Suite *make(void)
{
    Suite *suite = suite_create("barrier_step");
    TCase *tc = tcase_create("steps");

    tcase_set_timeout(tc, 100);
    tcase_add_loop_test(tc, a_client_killed_after_any_instruction_has_told_of_its_store, 0, CASES_ALONE);
    tcase_add_loop_test(tc, who_hears_late_that_the_barrier_rests_leaves_no_bit_clear_that_is_in_no_log, 0, CASES_BETWEEN);
    tcase_add_loop_test(tc, a_store_of_another_thread_at_any_instruction_is_logged_between_them, 0, CASES_BETWEEN);
    suite_add_tcase(suite, tc);
    return suite;
}

int main(int argc, char **argv)
{
    if (!stepper_permitted()) {
        puts("1..0 # SKIP this system does not let a process trace its child");
        return 0;
    }
    return runner_main(argc, argv, make);
}
