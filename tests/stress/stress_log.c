/* SPDX-License-Identifier: Apache-2.0 */
/* stress_log: a hunt for lost objects in the write barrier. A few writers store into the same few objects, one drains their
 * logs and marks from a snapshot meanwhile; writers are killed inside the barrier. At the end of each round whoever knows
 * all of memory as it was compares: what changed, what was written down, what was marked. Or marking ends while the writers
 * run, and bits are set again meanwhile: then it compares at once, and at the next stop looks for bits that nobody sets any more.
 *   Fibres   one thread; who does the next instruction is drawn. Thousands of schedules, each replayed exactly by its seed
 *   Threads  real ones, at whatever order the machine makes; with TSan                                                   */
#include <inttypes.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "tests/stress/log_hunt.h"

/* ---- who is next --------------------------------------------------------------------------------------------------- */

static void switch_away(struct agent *a)
{
    struct hunt *h = a->h;
    struct agent *next;
    do {
        next = &h->agents[rng_below(&h->rng, AGENTS)];
    } while (next->dead || (next == h->agents && rng_below(&h->rng, h->slow) != 0));
    if (next != a)
        swapcontext(&a->context, &next->context);
}

void others_run(struct agent *a)
{
    if (!a->h->threads)
        switch_away(a);
    else if (rng_one_in(&a->rng, 4))
        sched_yield();
}

static void die(struct agent *a)
{
    at_store_release(&a->dead, true);        /* pairs with stop_world() */
    if (a->h->threads)
        pthread_exit(NULL);
    switch_away(a);
}

static void step(struct writer *w)
{
    struct agent *a = (struct agent *)(void *)w;
    if (rng_one_in(&a->rng, a->h->deadly))
        die(a);
    others_run(a);
}

/* ---- writers ------------------------------------------------------------------------------------------------------- */

static uint32_t any_object(struct rng *r)
{
    return SIZE * (1 + rng_below(r, OBJECTS));
}

static uint32_t any_reference(const struct hunt *h, struct rng *r)
{
    return rng_below(r, h->sparse) != 0 ? 0 : any_object(r);
}

static void store_something(struct agent *a)
{
    uint32_t object = rng_one_in(&a->rng, 4) ? any_object(&a->rng) : SIZE * (1 + rng_below(&a->rng, a->h->hot));
    uint32_t slot = rng_below(&a->rng, MM_MIN(SLOTS, 2 * a->h->hot));
    barrier_store(&a->w, object, slot, any_reference(a->h, &a->rng));
}

/* Parked is said before the look at stopping, and taken back before the next: with stop_world(), both in one total order. */
static void write_on(struct agent *a)
{
    while (!atomic_load(&a->h->over)) {
        if (atomic_load(&a->h->stopping)) {
            atomic_store(&a->parked, true);
            while (atomic_load(&a->h->stopping))
                others_run(a);
            atomic_store(&a->parked, false);
            continue;
        }
        store_something(a);
        others_run(a);
    }
}

/* ---- the collector ------------------------------------------------------------------------------------------------- */

static void mark(struct hunt *h, uint32_t ref)
{
    if (ref != 0 && ref % SIZE == 0 && ref / SIZE <= OBJECTS && !is_fresh(ref))
        h->marked[ref / SIZE] = true;
}

void mark_both(struct hunt *h, uint64_t word)
{
    mark(h, (uint32_t)word);
    mark(h, (uint32_t)(word >> 32));
}

bool mark_fields(struct hunt *h, struct agent *yield)
{
    for (uint32_t o = 1; o <= OBJECTS; o++) {
        if (!h->marked[o] || h->done[o])
            continue;
        h->done[o] = true;
        for (uint32_t g = SIZE * o + 1; g < SIZE * (o + 1); g++) {
            if (yield != NULL)
                others_run(yield);
            mark_both(h, at_load_acquire(&h->memory[g]));
        }
        return true;
    }
    return false;
}

static uint32_t unit_of(const struct hunt *h, uint32_t granule)  /* what is logged at once: a granule, or a line by its first one */
{
    return h->kind == SHM_BARRIER_FIELDS ? granule : granule - granule % BARRIER_LINE_GRANULES;
}

static void count_entry(struct hunt *h, const struct shm_log_entry *e)
{
    uint32_t object = at_load_relaxed(&e->object), granule = object + at_load_relaxed(&e->offset);
    if (object == 0)                         /* a filler */
        return;
    if (granule >= GRANULES || is_fresh(object)) {
        h->wrong = "an entry names what nobody needs to hear of";
        return;
    }
    h->entries[unit_of(h, granule)]++;
    if (h->kind == SHM_BARRIER_FIELDS && at_load_relaxed(&e->old) != h->then[granule])
        h->wrong = "an entry has another old value than stood there";
    if (h->kind == SHM_BARRIER_FIELDS)
        mark_both(h, at_load_relaxed(&e->old));
}

bool drain_one(struct hunt *h, struct agent *yield, struct shm_mutator *m)
{
    uint32_t at = at_load_relaxed(&m->log.drained);
    if (at == at_load_acquire(&m->log.pushed))          /* pairs with push() */
        return false;
    count_entry(h, &m->log_ring[at % SHM_LOG_CAPACITY]);
    if (yield != NULL)
        others_run(yield);
    at_store_release(&m->log.drained, at + 1);          /* pairs with has_room() */
    return true;
}

static void count_tentative(struct hunt *h, const struct agent *a)
{
    const struct shm_log *log = &a->w.m->log;
    const struct shm_log_entry *e = &a->w.m->log_ring[at_load_relaxed(&log->pushed) % SHM_LOG_CAPACITY];
    uint32_t unit = at_load_relaxed(&e->object) + at_load_relaxed(&e->offset);
    bool tentative = at_load_relaxed(&log->tentative) == at_load_relaxed(&log->pushed) + 1;
    if (h->kind == SHM_BARRIER_LINES)
        return;
    if (tentative && !at_load_relaxed(&a->dead))
        h->wrong = "a writer that lives has stopped inside its barrier";
    if (tentative && unit < GRANULES && !is_set(h, unit) && h->entries[unit] == 0)
        count_entry(h, e);
}

static void stop_world(struct agent *a)
{
    atomic_store(&a->h->stopping, true);
    for (uint32_t i = 0; i < WRITERS; i++)
        while (!atomic_load(&a->h->agents[i].parked) && !at_load_acquire(&a->h->agents[i].dead))
            others_run(a);
}

/* ---- a round ------------------------------------------------------------------------------------------------------- */

static void bury_the_young(struct hunt *h)   /* fresh objects are gone, with whatever referred to them */
{
    for (uint32_t g = 0; g < GRANULES; g++) {
        uint64_t word = at_load_relaxed(&h->memory[g]);
        uint32_t low = (uint32_t)word, high = (uint32_t)(word >> 32);
        word = (is_fresh(low) ? 0 : low) | (uint64_t)(is_fresh(high) ? 0 : high) << 32;
        at_store_relaxed(&h->memory[g], is_fresh(g) || g % SIZE == 0 ? 0 : word);
    }
}

static void arm(struct hunt *h)              /* lines with fresh objects have no others */
{
    memset((void *)h->bits, 0, sizeof h->bits);
    for (uint32_t g = SIZE; g < GRANULES; g++) {
        at_store_relaxed(&h->lines[g / BARRIER_LINE_GRANULES], !is_fresh(g));
        if (!is_fresh(g))
            at_store_relaxed(&h->bits[g / 64], at_load_relaxed(&h->bits[g / 64]) | UINT64_C(1) << (g % 64));
    }
}

static void fill_ring(struct shm_mutator *m, uint32_t room)
{
    uint32_t pushed = at_load_relaxed(&m->log.pushed);
    for (uint32_t i = room; i < SHM_LOG_CAPACITY; i++, pushed++)
        at_store_relaxed(&m->log_ring[pushed % SHM_LOG_CAPACITY].object, 0);
    at_store_relaxed(&m->log.pushed, pushed);
    at_store_relaxed(&m->log.tentative, pushed);
}

static void begin_round(struct hunt *h, struct rng *r)
{
    bury_the_young(h);
    arm(h);
    for (uint32_t g = 0; g < GRANULES; g++)
        h->then[g] = at_load_relaxed(&h->memory[g]);
    memset(h->entries, 0, sizeof h->entries);
    memset(h->marked, 0, sizeof h->marked);
    memset(h->done, 0, sizeof h->done);
    h->marked[1] = true;
    for (uint32_t i = 0; i < WRITERS; i++) {
        struct shm_mutator *m = h->agents[i].w.m;
        at_store_relaxed(&m->log.lost, 0);
        if (rng_one_in(r, 200))
            fill_ring(m, rng_below(r, 2));
    }
}

static void compare(struct hunt *h)
{
    compare_marked(h);
    for (uint32_t g = SIZE; g < GRANULES; g++) {
        uint32_t unit = unit_of(h, g);
        if (is_fresh(g))
            continue;
        if (at_load_relaxed(&h->memory[g]) != h->then[g] && h->entries[unit] == 0)
            h->wrong = "what was stored to is not in a log";
        if (h->kind == SHM_BARRIER_LINES)
            continue;
        if (h->entries[unit] > 1)
            h->wrong = "what was stored to is in the logs twice";
        if (h->entries[unit] != 0 && is_set(h, unit))
            h->wrong = "what is in a log has its bit set";
    }
}

static void end_round(struct hunt *h)
{
    if (atomic_load(&h->rests)) {
        end_rest(h);
        return;
    }
    for (uint32_t i = 0; i < WRITERS; i++)
        while (drain_one(h, NULL, h->agents[i].w.m))
            ;
    for (uint32_t i = 0; i < WRITERS; i++)
        count_tentative(h, &h->agents[i]);
    while (mark_fields(h, NULL))
        ;
    if (lost_so_far(h) == 0)
        compare(h);
}

static void start(struct agent *a);

static void revive(struct hunt *h)           /* another client in the place of each that died */
{
    for (uint32_t i = 0; i < WRITERS; i++) {
        struct agent *a = &h->agents[i];
        if (!at_load_relaxed(&a->dead))
            continue;
        at_store_relaxed(&a->w.m->log.tentative, at_load_relaxed(&a->w.m->log.pushed));
        if (h->threads)
            pthread_join(a->thread, NULL);
        atomic_store(&a->parked, false);
        at_store_release(&a->dead, false);
        start(a);
    }
}

static void collect(struct agent *a)
{
    struct hunt *h = a->h;
    for (uint32_t n = 0; n < ROUNDS && h->wrong == NULL; n++) {
        stop_world(a);
        if (n != 0)
            end_round(h);
        begin_round(h, &a->rng);
        revive(h);
        atomic_store(&h->stopping, false);
        uint32_t most = h->look != LOOK_NEVER && rng_one_in(&a->rng, 2) ? 3 : 60;
        for (uint32_t work = rng_below(&a->rng, most); work != 0; work--) {
            others_run(a);
            if (rng_one_in(&a->rng, 2) || !mark_fields(h, a))
                drain_one(h, a, h->agents[rng_below(&a->rng, WRITERS)].w.m);
        }
        if (h->look != LOOK_NEVER)
            end_beside(a);
    }
    stop_world(a);
    end_round(h);
    atomic_store(&h->over, true);
    atomic_store(&h->stopping, false);
}

/* ---- a hunt -------------------------------------------------------------------------------------------------------- */

static struct agent *starting;               /* of fibres: makecontext() passes ints alone */

static void fibre(void)
{
    struct agent *a = starting;
    swapcontext(&a->context, &a->h->outside);
    if (a == &a->h->agents[WRITERS])
        collect(a);
    else
        write_on(a);
    setcontext(&a->h->outside);              /* the collector alone comes here: the others are left where they are */
}

static void *thread(void *arg)
{
    write_on(arg);
    return NULL;
}

static void start(struct agent *a)
{
    struct hunt *h = a->h;
    if (h->threads) {
        ck_assert_int_eq(pthread_create(&a->thread, NULL, thread, a), 0);
        return;
    }
    ucontext_t back = h->outside;
    getcontext(&a->context);
    a->context.uc_stack.ss_sp = a->stack;
    a->context.uc_stack.ss_size = STACK_BYTES;
    makecontext(&a->context, fibre, 0);
    starting = a;
    swapcontext(&h->outside, &a->context);   /* until it has taken starting */
    h->outside = back;
}

static void finish(struct hunt *h)
{
    for (uint32_t i = 0; i < WRITERS && h->threads; i++)
        pthread_join(h->agents[i].thread, NULL);
}

static struct shm_mutator *mutators[WRITERS];
static char stacks[AGENTS][STACK_BYTES];

static void agent_init(struct hunt *h, uint32_t i, enum barrier_order order)
{
    struct agent *a = &h->agents[i];
    *a = (struct agent){ .h = h, .rng = rng_from(rng_next(&h->rng)), .stack = stacks[i] };
    if (i == WRITERS)
        return;
    struct shm_mutator *m = mutators[i];
    m->log = (struct shm_log){ 0 };
    m->base = (char *)h->memory;
    a->w = (struct writer){ .m = m, .kind = h->kind, .lines = h->lines, .bits = h->bits, .step = step, .order = order,
                            .rests = &h->rests };
}

/* One run of a few rounds. NULL, or what was found. */
static const char *hunt(enum shm_barrier_kind kind, enum barrier_order order, enum look look, bool threads, uint64_t seed)
{
    struct hunt h = { .kind = kind, .look = look, .threads = threads, .rng = rng_from(seed), .stopping = true };
    h.hot = 1 + rng_below(&h.rng, OBJECTS);
    h.sparse = 1 + rng_below(&h.rng, 6);
    h.slow = 1u << (3 * rng_below(&h.rng, 3));
    h.deadly = 10u << rng_below(&h.rng, 5);
    for (uint32_t i = 0; i < AGENTS; i++)
        agent_init(&h, i, order);
    for (uint32_t g = SIZE; g < GRANULES; g++)
        h.memory[g] = any_reference(&h, &h.rng) | (uint64_t)any_reference(&h, &h.rng) << 32;
    for (uint32_t i = 0; i < AGENTS - threads; i++)
        start(&h.agents[i]);
    if (threads)
        collect(&h.agents[WRITERS]);
    else
        swapcontext(&h.outside, &h.agents[WRITERS].context);
    finish(&h);
    return h.wrong;
}

static const struct case_of {
    enum shm_barrier_kind kind;
    enum look look;
} cases[] = { { SHM_BARRIER_LINES, LOOK_NEVER }, { SHM_BARRIER_FIELDS, LOOK_NEVER }, { SHM_BARRIER_FIELDS, LOOK_RIGHT } };

static void hunt_many(const struct case_of *c, bool threads, uint64_t count)
{
    for (uint64_t n = 0; n < count; n++) {
        const char *wrong = hunt(c->kind, BARRIER_RIGHT, c->look, threads, stress_seed(n));
        ck_assert_msg(wrong == NULL, "schedule %" PRIu64 ": %s", n, wrong);
    }
}

START_TEST(no_schedule_loses_an_object)
{
    hunt_many(&cases[_i], false, stress_count(20000));
}
END_TEST

START_TEST(no_race_loses_an_object)
{
    hunt_many(&cases[_i], true, stress_count(1000 / STRESS_SLOWER));
}
END_TEST

static void find_wrong(enum shm_barrier_kind kind, int order, int look, uint64_t most)
{
    uint64_t n = 0;
    const char *wrong = NULL;
    for (; wrong == NULL && n < most; n++)
        wrong = hunt(kind, (enum barrier_order)order, (enum look)look, false, stress_seed(n));
    ck_assert_msg(wrong != NULL, "order %d, look %d was not found", order, look);
    fprintf(stderr, "order %d, look %d: found in schedule %" PRIu64 ": %s\n", order, look, n - 1, wrong);
}

START_TEST(each_wrong_order_is_found)
{
    find_wrong(SHM_BARRIER_FIELDS, _i, LOOK_NEVER, 20000);
}
END_TEST

START_TEST(each_wrong_order_of_lines_is_found)
{
    find_wrong(SHM_BARRIER_LINES, _i, LOOK_NEVER, 20000);
}
END_TEST

START_TEST(each_wrong_look_is_found)
{
    find_wrong(SHM_BARRIER_FIELDS, BARRIER_RIGHT, _i, 200000); /* rarer: one of 10000 has it */
}
END_TEST

static Suite *suite(void)
{
    Suite *s = suite_create("log");
    TCase *tc = tcase_create("threads");
    for (uint32_t i = 0; i < WRITERS; i++) {
        mutators[i] = aligned_alloc(4096, mm_align_up(sizeof **mutators, 4096));
        memset((void *)mutators[i], 0, sizeof **mutators);
    }
    stress_limit(tc, 60);
    tcase_add_loop_test(tc, no_race_loses_an_object, 0, MM_ARRAY_LEN(cases));
    suite_add_tcase(s, tc);
#if !defined(__SANITIZE_THREAD__)            /* it does not know that a fibre is not the thread it runs on */
    tc = tcase_create("fibres");
    stress_limit(tc, 60);
    tcase_add_loop_test(tc, no_schedule_loses_an_object, 0, MM_ARRAY_LEN(cases));
    /* Without the last: it takes two deaths at the right instructions, and is found in one of 40000 schedules. The model has it. */
    tcase_add_loop_test(tc, each_wrong_order_is_found, BARRIER_RIGHT + 1, BARRIER_LOOKS_ONCE);
    tcase_add_loop_test(tc, each_wrong_look_is_found, LOOK_RIGHT + 1, LOOK_PUSHED_FIRST); /* without this, for the same reason */
    tcase_add_loop_test(tc, each_wrong_order_of_lines_is_found, BARRIER_CLEARS_FIRST, BARRIER_STORES_FIRST + 1);
    suite_add_tcase(s, tc);
#endif
    return s;
}

int main(int argc, char **argv)
{
    return stress_main(argc, argv, suite);
}
