/* SPDX-License-Identifier: Apache-2.0 */
/* stress_pair: one process works on two heaps of one daemon at once, under different plans. Both collect all the time, on the same
 * workers; each graph equals its model, and while one heap's threads finish a fixed amount of work the other's are not kept from
 * theirs. One thread is attached to both and is inside both at once.                                                  */
#include <inttypes.h>
#include <pthread.h>
#include <stdio.h>
#include <string.h>

#include "shm/base.h"
#include "tests/support/crew.h"
#include "tests/support/daemon.h"
#include "tests/support/entry.h"
#include "tests/support/inspect.h"
#include "tests/support/shadow.h"
#include "tests/support/stress.h"

#define HEAPS 2u
#define HEAP_BYTES (UINT64_C(24) << 20)
#define BUDGET_BYTES ((UINT64_C(1) << 20) / STRESS_SLOWER)
#define ROUNDS_ALL 280u /* a heap's, of all cases together */
#define STEPS 200u
#define STARVED 10u     /* is who has done so many times less than the other, and still has when that has done ... */
#define PATIENCE 4u     /* ... so many times its rounds: who begins later, or has its most expensive round first, catches up */
#define CHAIN_MAX 300u
#define LIMIT_S 120.0

struct pair_case {
    const char *socket;
    const char *plans[HEAPS];
    bool exact;
    uint64_t seed, rounds;
};
struct side { /* one heap of the process */
    struct mmgc_heap *heap;
    const struct pair_case *c;
    unsigned number;
    bool exact;
    struct shadow *shadow;
    _Atomic uint64_t done;     /* rounds, by its shadow's thread */
    _Atomic uint64_t *finished; /* how many sides are; the process's */
    uint64_t all, other_done;  /* rounds when this one had finished, if it was the first; else UINT64_MAX */
    const struct side *other;
};

static const char *const heap_names[HEAPS] = { "left", "right" };

/* ---- threads ------------------------------------------------------------------------------------------------------- */

/* Its rounds, and more while it is ahead of the other by as much as nobody should be. */
static bool has_finished(const struct side *side)
{
    uint64_t done = at_load_relaxed(&side->done);
    bool ahead = at_load_relaxed(side->finished) == 0 && at_load_relaxed(&side->other->done) < done / STARVED;
    return done >= side->c->rounds * (ahead ? PATIENCE : 1);
}

static void note_finished(struct side *side)
{
    bool first = atomic_fetch_add(side->finished, 1) == 0;
    side->all = first ? at_load_relaxed(&side->done) : UINT64_MAX;
    side->other_done = first ? at_load_relaxed(&side->other->done) : UINT64_MAX;
}

static void *work(void *arg)
{
    struct side *side = arg;
    struct mmgc_thread *t;
    EXPECT_OK(mmgc_attach(side->heap, &(struct mmgc_thread_options){ .exact = side->exact }, &t));
    shadow_attach(side->shadow, side->heap, t, side->exact, false);
    while (!has_finished(side)) {
        shadow_run(side->shadow, STEPS);
        at_add_relaxed(&side->done, 1);
    }
    note_finished(side);
    shadow_compare(side->shadow);
    shadow_drop(side->shadow);
    mmgc_detach(t);
    return NULL;
}

/* From outside, until both have finished: the collections of the two heaps compete for the workers. */
static void *collect(void *arg)
{
    struct side *side = arg;
    struct mmgc_thread *t;
    EXPECT_OK(mmgc_attach(side->heap, &(struct mmgc_thread_options){ .exact = true }, &t));
    while (at_load_relaxed(side->finished) < HEAPS)
        EXPECT_OK(mmgc_gc(t));
    mmgc_detach(t);
    return NULL;
}

struct chain { /* what the thread inside both has in one heap: values one less from link to link */
    struct entry e;
    mmgc_handle top;
    uint64_t length;
};

static void chain_grow(struct chain *chain)
{
    struct mmgc_thread *t = chain->e.t;
    struct shadow_pair *pair = mmgc_new(t, chain->e.types.of[SHADOW_PAIR]);
    EXPECT(pair != NULL, "no memory: %s", mmgc_strerror(mmgc_thread_error(t)));
    pair->value = ++chain->length;
    mmgc_set(t, pair, left, mmgc_handle_get(t, chain->top));
    mmgc_handle_set(t, chain->top, pair);
}

static void chain_check_and_drop(struct chain *chain)
{
    struct mmgc_thread *t = chain->e.t;
    for (struct shadow_pair *pair = mmgc_handle_get(t, chain->top); pair != NULL;
         pair = mmgc_get(t, pair, left), chain->length--)
        EXPECT(pair->value == chain->length, "link %" PRIu64 " of the chain is %" PRIu64, chain->length,
               pair->value);
    EXPECT(chain->length == 0, "%" PRIu64 " links of the chain are gone", chain->length);
    mmgc_handle_set(t, chain->top, NULL);
}

/* Inside both: while it waits in the one heap the other waits for it, and nobody in the other has to be waited for by the first. */
static void *be_in_both(void *arg)
{
    struct side *sides = arg;
    struct chain chains[HEAPS];
    struct rng rng = rng_from(sides[0].c->seed + 77);
    for (unsigned i = 0; i < HEAPS; i++) {
        chains[i] = (struct chain){ .e = { .heap = sides[i].heap, .exact = sides[i].exact } };
        EXPECT_OK(mmgc_attach(sides[i].heap, &(struct mmgc_thread_options){ .exact = sides[i].exact },
                              &chains[i].e.t));
        shadow_types_define(sides[i].heap, &chains[i].e.types);
    }
    while (at_load_relaxed(sides[0].finished) < HEAPS) {
        for (unsigned i = 0; i < HEAPS; i++)
            EXPECT_OK(mmgc_enter(chains[i].e.t));
        for (unsigned i = 0; i < HEAPS; i++)
            if (chains[i].top.slot == 0)
                EXPECT_OK(mmgc_handle_new(chains[i].e.t, NULL, &chains[i].top));
        for (uint32_t n = rng_below(&rng, CHAIN_MAX); n > 0; n--)
            chain_grow(&chains[rng_below(&rng, HEAPS)]);
        for (unsigned i = 0; i < HEAPS; i++)
            if (chains[i].length > CHAIN_MAX)
                chain_check_and_drop(&chains[i]);
        for (unsigned i = 0; i < HEAPS; i++)
            mmgc_leave(chains[i].e.t);
        crew_sleep_us(rng_below(&rng, 200));
    }
    for (unsigned i = 0; i < HEAPS; i++) {
        mmgc_handle_drop(sides[i].heap, chains[i].top);
        mmgc_detach(chains[i].e.t);
    }
    return NULL;
}

/* ---- the process --------------------------------------------------------------------------------------------------- */

static void start(pthread_t *ret, void *(*run)(void *), void *arg)
{
    EXPECT(pthread_create(ret, NULL, run, arg) == 0, "no thread");
}

static void open_side(struct side *side, struct mmgc_client *client, const struct pair_case *c, unsigned i)
{
    struct mmgc_heap_options options = { .create = true, .max_bytes = stress_heap_bytes(c->plans[i], HEAP_BYTES), .plan = c->plans[i], .options = "sanity=on" };
    struct shadow_config config = { .label = heap_names[i], .seed = c->seed + i, .budget_bytes = BUDGET_BYTES };
    EXPECT_OK(mmgc_heap_open(client, heap_names[i], &options, &side->heap));
    side->c = c;
    side->number = i;
    side->exact = c->exact != (i == 1);
    side->shadow = shadow_new(&config);
}

/* When the first side had finished: numbers[0] rounds of the other, numbers[1] of its own. */
static void be_client(struct mate *mate, void *arg)
{
    const struct pair_case *c = arg;
    struct side sides[HEAPS] = { 0 };
    pthread_t workers[HEAPS], collectors[HEAPS], both;
    struct mmgc_client *client;
    _Atomic uint64_t finished = 0;
    EXPECT_OK(mmgc_connect(c->socket, "pair", &client));
    for (unsigned i = 0; i < HEAPS; i++) {
        open_side(&sides[i], client, c, i);
        sides[i].other = &sides[1 - i];
        sides[i].finished = &finished;
    }
    start(&both, be_in_both, sides);
    for (unsigned i = 0; i < HEAPS; i++) {
        start(&workers[i], work, &sides[i]);
        start(&collectors[i], collect, &sides[i]);
    }
    for (unsigned i = 0; i < HEAPS; i++) {
        pthread_join(workers[i], NULL);
        pthread_join(collectors[i], NULL);
    }
    pthread_join(both, NULL);
    at_store_relaxed(&mate->numbers[0], MM_MIN(sides[0].other_done, sides[1].other_done));
    at_store_relaxed(&mate->numbers[1], MM_MIN(sides[0].all, sides[1].all));
    for (unsigned i = 0; i < HEAPS; i++) {
        shadow_free(sides[i].shadow);
        mmgc_heap_close(sides[i].heap);
    }
    mmgc_disconnect(client);
}

/* ---- the case ------------------------------------------------------------------------------------------------------ */

/* By default each plan with the next two; with --long all pairs, and in both orders. */
static int partners(void)
{
    int others = stress_plan_count() - 1;
    return stress_long() || others < 2 ? MM_MAX(others, 1) : 2;
}

static uint64_t check_heap(struct inspect *ask, unsigned i)
{
    inspect_await_sessions(ask, heap_names[i], 0);
    inspect_verify(ask, heap_names[i]);
    uint64_t collections = inspect_heap(ask, heap_names[i]).collections;
    ck_assert_uint_gt(collections, 0);
    ck_assert_int_eq(inspect_collect(ask, heap_names[i]), MMGC_E_OK);
    inspect_verify(ask, heap_names[i]);
    ck_assert_uint_eq(inspect_heap(ask, heap_names[i]).live_bytes, 0);
    ck_assert_uint_eq(inspect_heap(ask, heap_names[i]).abandoned_stops, 0);
    return collections;
}

START_TEST(two_heaps_of_one_process_collect_at_once_and_neither_starves)
{
    int plan = _i / partners(), other = (plan + 1 + _i % partners()) % stress_plan_count();
    struct daemon *daemon = daemon_start(NULL);
    struct pair_case c = { .socket = daemon_socket(daemon),
                           .plans = { stress_plan(plan), stress_plan(other) },
                           .exact = _i % 2 == 1,
                           .seed = stress_seed(1300 + (uint64_t)_i),
                           .rounds = stress_count_each(ROUNDS_ALL, stress_plan_count() * partners()) };
    struct inspect ask;
    struct crew crew;
    uint64_t collections[HEAPS];
    crew_init(&crew);
    struct mate *mate = crew_start(&crew, be_client, &c);
    mate_join(mate, LIMIT_S + stress_seconds(1));
    uint64_t other_done = mate->numbers[0], done = mate->numbers[1];
    inspect_open(&ask, c.socket);
    for (unsigned i = 0; i < HEAPS; i++)
        collections[i] = check_heap(&ask, i);
    inspect_close(&ask);
    crew_fini(&crew);
    daemon_stop(daemon);
    fprintf(stderr,
            "%s beside %s: %" PRIu64 " rounds, %" PRIu64 " of the other by then, %" PRIu64 " and %" PRIu64
            " collections\n",
            c.plans[0], c.plans[1], done, other_done, collections[0], collections[1]);
    ck_assert_uint_ge(other_done, done / STARVED);
}
END_TEST

static Suite *pair_suite(void)
{
    Suite *suite = suite_create("stress_pair");
    TCase *pairs = tcase_create("pairs");
    stress_limit(pairs, LIMIT_S + 30);
    tcase_add_loop_test(pairs, two_heaps_of_one_process_collect_at_once_and_neither_starves, 0,
                        stress_plan_count() * partners());
    suite_add_tcase(suite, pairs);
    return suite;
}

int main(int argc, char **argv)
{
    return stress_main(argc, argv, pair_suite);
}
