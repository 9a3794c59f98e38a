/* SPDX-License-Identifier: Apache-2.0 */
/* stress_step: a client is run one instruction at a time through each kind of slow path and killed after the k-th; then the
 * heap verifies, and two survivors find their graphs and the board as they should be. By default k is drawn from the whole
 * range of each kind, every other one from next to the steps that changed a word the daemon reads; --long takes all of them.
 * Attaching and opening, which are long, are run to the beginning or end of a system call and then some instructions on. */
#include <inttypes.h>
#include <mmgc/hold.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "shm/base.h"
#include "shm/mutator.h"
#include "tests/stress/survivors.h"
#include "tests/support/daemon.h"
#include "tests/support/stepper.h"

#define HEAP_BYTES (UINT64_C(8) << 20)
#define BUDGET_BYTES ((UINT64_C(1) << 20) / 4)
#define POINTS 120u /* of all plans together; holds are long to step through */
#define COMPARE_EVERY 10u
#define STEPS_MAX UINT64_C(2000000) /* of one kind; more is a loop that does not end */
#define STEPS_AFTER_CALL 300u
#define CHANGES_MAX 512u
#define STEPS_SLACK 64u /* runs of one kind differ by a little */
#define LARGE_BYTES (40u << 10)

/* ---- kinds of work ------------------------------------------------------------------------------------------------- */

struct work { /* one stepped client's context */
    const struct survive_case *c;
    const struct kind *kind;
    struct entry e;
    struct rng rng;
};
struct kind {
    const char *name;
    void (*prepare)(struct work *w); /* at full speed, inside */
    void (*run)(struct work *w);     /* stepped, inside */
    bool collect; /* a collection is asked for first, so that it waits at its next poll */
    bool by_call; /* too long to be stepped from its beginning */
};

static void *new_pair(struct work *w)
{
    return mmgc_new(w->e.t, w->e.types.of[SHADOW_PAIR]);
}

/* Leaves less than one pair before the end of the span, so that the next needs another one. */
static void use_up_span(struct work *w)
{
    while ((size_t)(w->e.t->end - w->e.t->cursor) >= sizeof(struct shadow_pair) + 8)
        (void)new_pair(w);
}

/* Leaves nothing zeroed ahead. */
static void use_up_zeroed(struct work *w)
{
    while ((size_t)(w->e.t->limit - w->e.t->cursor) >= sizeof(struct shadow_pair) + 8)
        (void)new_pair(w);
}

static void run_put(struct work *w)
{
    board_put(&w->e, &w->rng, false);
}

/* References, one of which leads to a pair. An exact thread has nothing but a local root to hold it by meanwhile. */
static void new_refs(struct work *w, uint32_t length, uint32_t at)
{
    mmgc_scope scope = mmgc_scope_open(w->e.t);
    mmgc_ref *refs = mmgc_new_array(w->e.t, w->e.types.of[SHADOW_REFS], length);

    if (refs != NULL) {
        struct held held = entry_hold(&w->e, refs);
        void *pair = new_pair(w);
        refs = entry_held(&w->e, &held);
        mmgc_store(w->e.t, refs, &refs[at], pair);
    }
    mmgc_scope_close(w->e.t, scope);
}

static void run_medium(struct work *w)
{
    new_refs(w, 1500, 7);
}

static void run_large(struct work *w)
{
    new_refs(w, LARGE_BYTES / 4, LARGE_BYTES / 4 - 1);
}

static void run_shuffle(struct work *w)
{
    board_shuffle(&w->e, &w->rng);
    board_shuffle(&w->e, &w->rng);
}

static void run_handles(struct work *w)
{
    mmgc_handle handle;
    if (mmgc_handle_new(w->e.t, new_pair(w), &handle) != MMGC_OK)
        return;
    mmgc_handle_set(w->e.t, handle, mmgc_handle_get(w->e.t, handle));
    mmgc_handle_drop(w->e.heap, handle);
}

static void run_names(struct work *w)
{
    void *has;
    (void)mmgc_name_set(w->e.t, "stepped", new_pair(w));
    (void)mmgc_name_claim(w->e.t, "stepped too", new_pair(w), &has);
    (void)mmgc_name_set(w->e.t, "stepped", NULL);
}

static void run_locals(struct work *w)
{
    mmgc_scope scope = mmgc_scope_open(w->e.t);
    mmgc_local local = mmgc_local_new(w->e.t, new_pair(w));
    mmgc_local_set(w->e.t, local, new_pair(w));
    mmgc_scope_close(w->e.t, scope);
}

static void run_reserve(struct work *w)
{
    (void)mmgc_reserve(w->e.t, 64u << 10);
    for (unsigned i = 0; i < 4; i++)
        (void)mmgc_new_array(w->e.t, w->e.types.of[SHADOW_BYTES], 5000);
    (void)mmgc_reserve(w->e.t, 0);
}

static void run_leave(struct work *w)
{
    mmgc_leave(w->e.t);
    (void)mmgc_enter(w->e.t);
}

static void run_poll(struct work *w)
{
    void *pair = new_pair(w);
    (void)mmgc_poll(w->e.t);
    mmgc_keep(pair);
    run_put(w);
}

static void run_gc(struct work *w)
{
    (void)mmgc_gc(w->e.t);
    run_put(w);
}

/* What is hung on the board is stowed on the way, the pair at the end; the rest is dropped. */
static void run_hold(struct work *w)
{
    mmgc_hold hold;
    if (mmgc_hold_begin(w->e.t, NULL, &hold) != MMGC_OK)
        return;
    mmgc_scope scope = mmgc_scope_open(w->e.t);
    mmgc_local local = mmgc_local_new(w->e.t, new_pair(w));
    run_put(w);
    void *kept[1] = { mmgc_local_get(w->e.t, local) };
    (void)mmgc_hold_end(w->e.t, hold, kept, 1);
    mmgc_scope_close(w->e.t, scope);
    run_put(w);
}

static void run_nested(struct work *w)
{
    mmgc_hold hold;
    if (mmgc_hold_begin(w->e.t, NULL, &hold) != MMGC_OK)
        return;
    run_hold(w);
    mmgc_ref *guest = mmgc_new_in(w->e.t, w->e.types.of[SHADOW_REFS], 20, MMGC_SPACE_NONMOVING);
    if (guest != NULL)
        mmgc_init_store(w->e.t, &guest[7], NULL);
    (void)mmgc_poll(w->e.t);
    run_put(w);
    (void)mmgc_hold_end(w->e.t, hold, NULL, 0);
}

/* The next one has blocks at hand. */
static void use_holds(struct work *w)
{
    run_hold(w);
}

static void run_attach(struct work *w)
{
    mmgc_detach(w->e.t);
    if (mmgc_attach(w->e.heap, &(struct mmgc_thread_options){ .exact = w->e.exact }, &w->e.t) == MMGC_OK &&
        mmgc_enter(w->e.t) == MMGC_OK)
        run_put(w);
}

static void run_reopen(struct work *w)
{
    mmgc_leave(w->e.t);
    entry_close(&w->e);
    survivors_join(&w->e, w->c, false);
}

static const struct kind kinds[] = {
    { .name = "the bump", .run = run_put },
    { .name = "zeroing ahead", .prepare = use_up_zeroed, .run = run_put },
    { .name = "a span change", .prepare = use_up_span, .run = run_put },
    { .name = "an object of 6 KB", .run = run_medium },
    { .name = "a large object", .run = run_large },
    { .name = "stores", .run = run_shuffle },
    { .name = "handles", .run = run_handles },
    { .name = "names", .run = run_names },
    { .name = "locals", .run = run_locals },
    { .name = "a reservation", .run = run_reserve },
    { .name = "leaving and entering", .run = run_leave },
    { .name = "leaving and entering in a stop", .run = run_leave, .collect = true },
    { .name = "parking", .run = run_poll, .collect = true },
    { .name = "parking for memory in a stop", .prepare = use_up_span, .run = run_large, .collect = true },
    { .name = "collecting", .run = run_gc },
    { .name = "a hold", .run = run_hold },
    { .name = "another hold", .prepare = use_holds, .run = run_hold },
    { .name = "a hold in a hold", .prepare = use_holds, .run = run_nested },
    { .name = "a hold in a stop", .prepare = use_holds, .run = run_nested, .collect = true },
    { .name = "attaching", .run = run_attach, .by_call = true },
    { .name = "opening", .run = run_reopen, .by_call = true },
};
#define KINDS ((uint32_t)MM_ARRAY_LEN(kinds))

static void prepare(void *context)
{
    struct work *w = context;
    survivors_join(&w->e, w->c, rng_one_in(&w->rng, 2));
    if (mmgc_enter(w->e.t) != MMGC_OK)
        _exit(1);
    for (unsigned i = rng_below(&w->rng, 40); i > 0; i--)
        board_put(&w->e, &w->rng, true);
    board_shuffle(&w->e, &w->rng); /* knows the board from now on */
    if (w->kind->prepare != NULL)
        w->kind->prepare(w);
}

static void run(void *context)
{
    struct work *w = context;
    w->kind->run(w);
}

/* ---- points -------------------------------------------------------------------------------------------------------- */

#define SHARED_BYTES offsetof(struct shm_mutator, rings)

struct length { /* of one kind, found by running it once */
    uint64_t steps;
    uint64_t changes[CHANGES_MAX]; /* steps that changed a shared word of the thread's: bumps, state, mailboxes */
    uint32_t change_count;
};
struct stepping {
    struct survivors survivors;
    struct survive_case c;
    struct rng rng;
    struct length lengths[KINDS];
    uint32_t kinds[KINDS]; /* those that are tried, a third by default: other plans try the others */
    uint32_t kind_count;
    struct work work; /* of the client under way: at the same address there, from before the fork */
    struct stepper stepper;
    uint64_t killed;
};

/* Under ThreadSanitizer every kind is too long. */
static bool by_call(uint32_t kind)
{
    return kinds[kind].by_call || STRESS_SLOWER > 3;
}

static void begin(struct stepping *g, uint32_t kind)
{
    g->work = (struct work){ .c = &g->c, .kind = &kinds[kind], .rng = rng_from(rng_next(&g->rng)) };
    stepper_start(&g->stepper, prepare, run, &g->work);
    if (kinds[kind].collect)
        inspect_collect_begin(&g->survivors.ask, SURVIVE_HEAP);
}

static void end(struct stepping *g)
{
    stepper_kill(&g->stepper);
    survivors_check(&g->survivors, g->killed++ % COMPARE_EVERY == 0);
}

/* What the daemon sees of the stepped thread. All zero once it is detached. */
static void read_shared(struct stepping *g, unsigned char *ret)
{
    struct mmgc_thread *t = NULL;
    if (!stepper_read(&g->stepper, (uint64_t)&g->work.e.t, &t, sizeof(t)) ||
        !stepper_read(&g->stepper, (uint64_t)t, ret, SHARED_BYTES))
        memset(ret, 0, SHARED_BYTES);
}

static void measure(struct stepping *g, uint32_t kind)
{
    unsigned char before[SHARED_BYTES], after[SHARED_BYTES];
    struct length *length = &g->lengths[kind];
    begin(g, kind);
    if (by_call(kind))
        length->steps = stepper_calls(&g->stepper, STEPS_MAX);
    read_shared(g, before);
    while (!g->stepper.returned && length->steps < STEPS_MAX) {
        length->steps += stepper_step(&g->stepper, 1);
        read_shared(g, after);
        if (memcmp(before, after, SHARED_BYTES) != 0 && length->change_count < CHANGES_MAX)
            length->changes[length->change_count++] = length->steps;
        memcpy(before, after, SHARED_BYTES);
    }
    ck_assert_uint_lt(length->steps, STEPS_MAX);
    end(g);
    fprintf(stderr, "%s: %" PRIu64 " %s, %" PRIu32 " of which changed what the daemon reads\n",
            kinds[kind].name, length->steps, by_call(kind) ? "ends of calls" : "instructions",
            length->change_count);
}

/* Steps one client @count instructions, or ends of calls and some instructions, into its work and kills it there. */
static void step_and_kill(struct stepping *g, uint32_t kind, uint64_t count)
{
    begin(g, kind);
    if (!by_call(kind))
        stepper_step(&g->stepper, count);
    else if (stepper_calls(&g->stepper, count) == count)
        stepper_step(&g->stepper, rng_below(&g->rng, STEPS_AFTER_CALL));
    end(g);
}

static uint64_t draw(struct stepping *g, const struct length *length)
{
    if (length->change_count == 0 || rng_one_in(&g->rng, 2))
        return rng_next(&g->rng) % (length->steps + STEPS_SLACK);
    uint64_t near = length->changes[rng_below(&g->rng, length->change_count)] + rng_below(&g->rng, 5);
    return near > 2 ? near - 2 : 0;
}

/* As many of each kind, wherever in it: a long kind is long by its loops. */
static void some_points(struct stepping *g, uint64_t points)
{
    for (uint64_t i = 0; i < points; i++) {
        uint32_t kind = g->kinds[i % g->kind_count];
        step_and_kill(g, kind, draw(g, &g->lengths[kind]));
    }
}

static void all_points(struct stepping *g)
{
    for (uint32_t i = 0; i < g->kind_count; i++)
        for (uint64_t k = 0; k < g->lengths[g->kinds[i]].steps + STEPS_SLACK; k++)
            step_and_kill(g, g->kinds[i], k);
}

START_TEST(a_client_killed_after_any_instruction_leaves_the_heap_whole)
{
    static struct stepping g;
    struct daemon *daemon = daemon_start(NULL);
    struct crew crew;
    g.c = (struct survive_case){ .socket = daemon_socket(daemon),
                                 .plan = stress_plan(_i),
                                 .heap_bytes = HEAP_BYTES,
                                 .budget_bytes = BUDGET_BYTES,
                                 .options = stress_options(stress_plan(_i), 600 + (uint64_t)_i),
                                 .seed = stress_seed(600 + (uint64_t)_i) };
    g.rng = rng_from(g.c.seed);
    crew_init(&crew);
    survivors_start(&g.survivors, &crew, &g.c);
    for (uint32_t kind = 0; kind < KINDS; kind++)
        if (stress_long() || stress_plan_count() < 3 || (kind + (uint32_t)_i) % 3 == 0)
            measure(&g, g.kinds[g.kind_count++] = kind);
    if (stress_long())
        all_points(&g);
    else
        some_points(&g, stress_count_each(POINTS, stress_plan_count()));
    survivors_end(&g.survivors);
    crew_fini(&crew);
    daemon_stop(daemon);
    fprintf(stderr, "plan %s: killed at %" PRIu64 " points\n", g.c.plan, g.killed);
}
END_TEST

static Suite *step_suite(void)
{
    stress_leave_out_pages(); /* its instructions are in protecting pages, which nobody else sees, and take minutes */
    Suite *suite = suite_create("stress_step");
    TCase *steps = tcase_create("steps");
    stress_limit(steps, 200);
    tcase_add_loop_test(steps, a_client_killed_after_any_instruction_leaves_the_heap_whole, 0,
                        stress_plan_count());
    suite_add_tcase(suite, steps);
    return suite;
}

int main(int argc, char **argv)
{
    if (!stepper_permitted()) {
        puts("1..0 # SKIP this system does not let a process trace its child");
        return 0;
    }
    return stress_main(argc, argv, step_suite);
}
