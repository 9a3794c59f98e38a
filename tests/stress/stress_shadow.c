/* SPDX-License-Identifier: Apache-2.0 */
/* stress_shadow: several processes of several threads grow, change and drop random graphs on one heap, each with a private
 * model of its own graph, and compare after each collection. Between rounds everybody leaves, and only names are left.
 *   Replay  MMGC_SEED=... as printed      Longer  --long, --times N                                        */
#include <inttypes.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "shm/base.h"
#include "tests/support/crew.h"
#include "tests/support/daemon.h"
#include "tests/support/entry.h"
#include "tests/support/inspect.h"
#include "tests/support/shadow.h"
#include "tests/support/stress.h"

#define CLIENTS 3u
#define THREADS 2u
#define ROUNDS 3u
#define WORKERS_MAX 3
#define SECONDS_ALL 21.0 /* of all cases together */
#define HEAP_BYTES (UINT64_C(64) << 20)
#define BUDGET_BYTES \
    ((UINT64_C(3) << 20) / STRESS_SLOWER) /* a thread's; six of them fill a third of the heap */
#define STEPS 400u
#define MARKET_SLOTS 8u

enum root_mode { AMBIGUOUS, EXACT, MIXED, ROOT_MODES };

/* Handles that threads of one process hand to each other: the one who takes it finds what the giver said. */
struct market {
    pthread_mutex_t lock;
    struct {
        bool full;          /* [lock] */
        mmgc_handle handle; /* [lock] of a chain of pairs */
        uint64_t value;     /* [lock] of its first; each is one more */
        uint32_t length;    /* [lock] */
    } slots[MARKET_SLOTS];
};

struct client {
    struct mate *mate;
    struct mmgc_client *connection;
    struct mmgc_heap *heap;
    struct market market;
    pthread_barrier_t attached;
    const struct shadow_case *c;
    unsigned round;
    uint64_t end_ns; /* of this round */
};
struct worker {
    struct client *client;
    uint32_t number;
    struct shadow *shadow;
    struct rng rng;
};
struct shadow_case {
    const char *socket, *plan, *options;
    enum root_mode mode;
    uint64_t seed;
    double seconds;
};

/* ---- the market ---------------------------------------------------------------------------------------------------- */

/* Newest first, so that one local root is enough for an exact thread. */
static void market_give(struct market *market, uint32_t i, struct entry *e, struct rng *rng)
{
    uint32_t length = 1 + rng_below(rng, 40);
    uint64_t value = rng_next(rng);
    mmgc_scope scope = mmgc_scope_open(e->t);
    struct held held = { 0 };
    for (uint32_t n = length; n > 0; n--) {
        struct shadow_pair *pair = mmgc_new(e->t, e->types.of[SHADOW_PAIR]);
        EXPECT(pair != NULL, "no memory for a pair: %s", mmgc_strerror(mmgc_thread_error(e->t)));
        pair->value = value + n - 1;
        mmgc_set(e->t, pair, left, entry_held(e, &held));
        held = entry_hold(e, pair);
    }
    EXPECT_OK(mmgc_handle_new(e->t, entry_held(e, &held), &market->slots[i].handle));
    mmgc_scope_close(e->t, scope);
    market->slots[i].value = value;
    market->slots[i].length = length;
    market->slots[i].full = true;
}

static void market_take(struct market *market, uint32_t i, struct entry *e)
{
    uint64_t value = market->slots[i].value;
    uint32_t n = 0;
    for (struct shadow_pair *pair = mmgc_handle_get(e->t, market->slots[i].handle); pair != NULL;
         pair = mmgc_get(e->t, pair, left))
        EXPECT(pair->value == value + n++, "a handle of another thread leads to %" PRIx64, pair->value);
    EXPECT(n == market->slots[i].length, "a chain of %" PRIu32 " pairs has %" PRIu32,
           market->slots[i].length, n);
    market->slots[i].full = false;
}

/* The lock is taken outside: a thread that waits for it must not hold up a collection. */
static void trade(struct worker *w, struct entry *e)
{
    struct market *market = &w->client->market;
    uint32_t i = rng_below(&w->rng, MARKET_SLOTS);
    pthread_mutex_lock(&market->lock);
    bool full = market->slots[i].full;
    EXPECT_OK(mmgc_enter(e->t));
    if (full)
        market_take(market, i, e);
    else
        market_give(market, i, e, &w->rng);
    mmgc_leave(e->t);
    if (full)
        mmgc_handle_drop(e->heap, market->slots[i].handle);
    pthread_mutex_unlock(&market->lock);
}

/* ---- clients ------------------------------------------------------------------------------------------------------- */

static void *work(void *arg)
{
    struct worker *w = arg;
    struct client *client = w->client;
    bool exact = client->c->mode == EXACT || (client->c->mode == MIXED && w->number % 2 == 1);
    struct entry e = { .heap = client->heap, .exact = exact };
    EXPECT_OK(mmgc_attach(e.heap, &(struct mmgc_thread_options){ .exact = exact, .name = "shadow" },
                          &e.t));
    shadow_types_define(e.heap, &e.types);
    shadow_attach(w->shadow, e.heap, e.t, exact, false);
    pthread_barrier_wait(&client->attached);
    do {
        shadow_run(w->shadow, STEPS);
        trade(w, &e);
        if (rng_one_in(&w->rng, 50)) { /* handles stay, locals do not */
            mmgc_detach(e.t);
            EXPECT_OK(mmgc_attach(e.heap, &(struct mmgc_thread_options){ .exact = exact }, &e.t));
            shadow_attach(w->shadow, e.heap, e.t, exact, true);
        }
    } while (mm_now_ns() < client->end_ns);
    shadow_compare(w->shadow);
    if (client->round == ROUNDS - 1)
        shadow_drop(w->shadow);
    if (rng_one_in(&w->rng, 2))
        mmgc_detach(e.t); /* or with the thread's end */
    return NULL;
}

static void one_round(struct client *client, struct worker *workers)
{
    pthread_t threads[THREADS];
    struct mmgc_heap_options options = { .create = true,
                                         .max_bytes = stress_heap_bytes(client->c->plan, HEAP_BYTES),
                                         .plan = client->c->plan,
                                         .options = client->c->options };
    EXPECT_OK(mmgc_connect(client->c->socket, "shadow", &client->connection));
    EXPECT_OK(mmgc_heap_open(client->connection, "shadow", &options, &client->heap));
    memset(client->market.slots, 0, sizeof(client->market.slots));
    pthread_barrier_init(&client->attached, NULL, THREADS);
    client->end_ns = mm_now_ns() + (uint64_t)(client->c->seconds / ROUNDS * 1e9);
    for (uint32_t i = 0; i < THREADS; i++)
        EXPECT(pthread_create(&threads[i], NULL, work, &workers[i]) == 0, "no thread");
    for (uint32_t i = 0; i < THREADS; i++)
        pthread_join(threads[i], NULL);
    mmgc_heap_close(client->heap);
    mmgc_disconnect(client->connection);
}

static void be_client(struct mate *mate, void *arg)
{
    struct client client = { .mate = mate, .c = arg };
    struct worker workers[THREADS];
    pthread_mutex_init(&client.market.lock, NULL);
    for (uint32_t i = 0; i < THREADS; i++) {
        char label[32];
        uint64_t seed = client.c->seed * CREW_MAX + mate->number * THREADS + i;
        snprintf(label, sizeof(label), "p%" PRIu32 ".t%" PRIu32, mate->number, i);
        struct shadow_config config = {
            .label = label, .seed = seed, .budget_bytes = BUDGET_BYTES, .sleeps = true, .collects = true
        };
        workers[i] = (struct worker){
            .client = &client, .number = i, .shadow = shadow_new(&config), .rng = rng_from(seed + 1)
        };
    }
    for (client.round = 0; client.round < ROUNDS; client.round++)
        one_round(&client, workers);
    for (uint32_t i = 0; i < THREADS; i++) {
        const struct shadow_tally *tally = shadow_tally(workers[i].shadow);
        at_add_relaxed(&mate->numbers[0], tally->steps);
        at_add_relaxed(&mate->numbers[1], tally->compared);
        at_add_relaxed(&mate->numbers[2], tally->compared_objects);
        shadow_free(workers[i].shadow);
    }
}

/* ---- the case ------------------------------------------------------------------------------------------------------ */

static void expect_nothing_left(struct inspect *ask)
{
    inspect_await_sessions(ask, "shadow", 0);
    inspect_verify(ask, "shadow");
    ck_assert_int_eq(inspect_collect(ask, "shadow"), MMGC_E_OK);
    inspect_verify(ask, "shadow");
    struct inspect_heap heap = inspect_heap(ask, "shadow");
    ck_assert_uint_eq(heap.names, 0);
    ck_assert_uint_eq(heap.live_bytes, 0);
    ck_assert_uint_eq(heap.abandoned_stops, 0);
}

START_TEST(every_graph_equals_its_model_after_every_collection)
{
    char config[64];
    snprintf(config, sizeof(config), "[daemon]\nthreads = %d\n", 1 + (_i + _i / ROOT_MODES) % WORKERS_MAX);
    struct daemon *daemon = daemon_start(config);
    struct shadow_case c = { .socket = daemon_socket(daemon),
                             .plan = stress_plan(_i / ROOT_MODES),
                             .options = stress_options(stress_plan(_i / ROOT_MODES), (uint64_t)_i),
                             .mode = (enum root_mode)(_i % ROOT_MODES),
                             .seed = stress_seed((uint64_t)_i),
                             .seconds = stress_seconds_each(SECONDS_ALL, stress_plan_count() * ROOT_MODES) };
    struct crew crew;
    struct inspect ask;
    uint64_t steps = 0, compared = 0, objects = 0;
    crew_init(&crew);
    for (uint32_t i = 0; i < CLIENTS; i++)
        crew_start(&crew, be_client, &c);
    for (uint32_t i = 0; i < CLIENTS; i++) {
        mate_join(&crew.mates[i], c.seconds + 60);
        steps += crew.mates[i].numbers[0];
        compared += crew.mates[i].numbers[1];
        objects += crew.mates[i].numbers[2];
    }
    inspect_open(&ask, c.socket);
    uint64_t collections = inspect_heap(&ask, "shadow").collections;
    expect_nothing_left(&ask);
    inspect_close(&ask);
    crew_fini(&crew);
    daemon_stop(daemon);
    fprintf(stderr,
            "plan %s (%s), root mode %d: %" PRIu64 " steps, %" PRIu64 " collections, %" PRIu64
            " comparisons of %" PRIu64 " objects\n",
            c.plan, c.options, (int)c.mode, steps, collections, compared, objects);
    ck_assert_uint_gt(collections, 0);
}
END_TEST

static Suite *shadow_suite(void)
{
    Suite *suite = suite_create("stress_shadow");
    TCase *graphs = tcase_create("graphs");
    stress_limit(graphs, SECONDS_ALL + 90);
    tcase_add_loop_test(graphs, every_graph_equals_its_model_after_every_collection, 0,
                        stress_plan_count() * ROOT_MODES);
    suite_add_tcase(suite, graphs);
    return suite;
}

int main(int argc, char **argv)
{
    return stress_main(argc, argv, shadow_suite);
}
