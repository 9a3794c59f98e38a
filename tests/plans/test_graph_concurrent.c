/* SPDX-License-Identifier: Apache-2.0 */
/* The hunt for lost objects: a random graph is changed between the calls of concurrent cycles, or while another thread makes them; under
 * plans that have young collections, too, those come between cycles.
 * After each cycle the heap has all that the model reaches, after each whole collection nothing else.
 *   MMGC_SEED=N replays a run (of those beside a thread, only what the caller does); MMGC_ROUNDS=N makes N, else it is a matter of time
 *   Built with TSan: any race between the heap's caller and the packets shows here */
#include <pthread.h>

#include "plans/heap/state.h"
#include "tests/plans/graph.h"
#include "tests/support/runner.h"

#define HEAP_BYTES (UINT64_C(8) << 20)
#define CYCLES 8u
#define STEPS_MAX 150u         /* in a row */
#define RUN_NS UINT64_C(600000000) /* of one row of runs, if MMGC_ROUNDS is not said */

/* ---- what the caller does ---- */

/* Takes a reference out of the heap, and keeps it where no second stop looks. */
static void hide(void)
{
    uint32_t at = random_reachable(), i = at == 0 || shadows[at].refs == 0 ? 0 : below(shadows[at].refs);

    if (at == 0 || shadows[at].refs == 0 || shadows[at].to[i] == 0)
        return;
    roots[below(ROOTS)] = shadows[at].to[i];
    set(at, i, 0);
}

/* What is new is known to an object that was there before, and to nobody else. */
static void adopt(void)
{
    uint32_t at = random_reachable(), before[ROOTS], new = 0;

    if (at == 0 || shadows[at].refs == 0 || shadow_count - free_count >= MODEL_MAX - 2)
        return;
    memcpy(before, roots, sizeof(before));
    make_one();
    for (uint32_t i = 0; i < ROOTS; i++)
        new = roots[i] != before[i] ? roots[i] : new;
    if (new != 0)
        set(at, below(shadows[at].refs), new);
    memcpy(roots, before, sizeof(before));
}

/* Memory is given back, and committed again. */
static void breathe(void)
{
    uint64_t offset = HEAP_BYTES, bytes = heap_release_next(world.heap, 2u << 20, 4u << 20, &offset);

    if (bytes > 0) {
        memset(world.base + offset, 0, bytes);
        heap_release_done(world.heap, offset, bytes, below(4) != 0);
    }
    while (heap_commit_next(world.heap, &offset))
        heap_commit_done(world.heap, offset, true);
}

static void act(void)
{
    switch (below(40)) {
    case 0:
    case 1:
    case 2: hide(); break;
    case 5:
    case 6: adopt(); break;
    case 3:
        if (below(10) == 0)
            breathe();
        break;
    case 4:
        if (below(50) == 0 && world.mutator_count < FAKE_MUTATORS_MAX)
            fake_mutator_new(&world)->lines_bytes = 1 + below(300000);
        break;
    default: step();
    }
}

static void act_often(void)
{
    for (uint32_t i = below(STEPS_MAX); i > 0; i--)
        act();
}

/* ---- a cycle ---- */

typedef int (*cycle_call)(struct heap *h, struct engine *engine);
struct other { /* the collector's thread, for one call */
    cycle_call call;
    _Atomic bool done;
};

static void *run_call(void *of)
{
    struct other *other = of;

    MM_ASSERT(other->call(world.heap, world.engine) == 0);
    at_store_relaxed(&other->done, true);
    return NULL;
}

static void make(cycle_call call, bool beside)
{
    struct other other = { .call = call };
    pthread_t thread;

    if (!beside) {
        AGREES(call(world.heap, world.engine) == 0);
        act_often();
        return;
    }
    MM_ASSERT(pthread_create(&thread, NULL, run_call, &other) == 0);
    for (uint32_t i = 0; i < 10 || (i < 20 * STEPS_MAX && !at_load_relaxed(&other.done)); i++)
        act();
    pthread_join(thread, NULL);
}

/* A collection in a stop, as the plan likes it. One of the whole heap may move things. */
static void stop_for(bool lost)
{
    publish_roots();
    if (lost)
        heap_log_lost(world.heap);
    struct heap_collection c = fake_collect_young(&world);
    AGREES(c.fell_back == lost);
    AGREES(c.forged_refs == 0);
    if (c.kind == HEAP_PAUSE_FULL) {
        AGREES(c.live_objects == mark());
        follow_moves();
    }
}

/* Without a stop. Some stores are logged though nobody asks for it any more. */
static void end_beside(bool beside)
{
    for (uint32_t runs = 0; !heap_end_mark(world.heap); runs++) {
        AGREES(runs < 100);
        act_often();
        heap_take_log(world.heap);
        make(heap_mark, beside);
    }
    world.late = below(3) == 0 ? below(20) : 0;
}

/* The nursery may rest from this cycle on, or no longer. */
static void turn(void)
{
    struct nursery_rest *rest = &world.heap->rest;

    if (rest->on && below(2) == 0)
        rest->cycles = rest->period - 1;
    if (!rest->on && below(3) == 0) {
        rest->streak = 100;
        rest->old_dies = true;
    }
}

static void cycle(bool beside)
{
    struct heap_collection c;

    turn();
    heap_begin_cycle(world.heap);
    make(heap_clear, beside);
    if (below(3) == 0) { /* nobody knows what was logged: its first stop arms all there is */
        world.heap->log.count = below(2) == 0 ? 0 : world.heap->log.count;
        heap_log_lost(world.heap);
    }
    stop_for(false);
    AGREES(heap_cycle(world.heap) == HEAP_CYCLE_MARKING);
    for (uint32_t i = below(4); i > 0; i--) {
        act_often();
        heap_take_log(world.heap);
        make(heap_mark, beside);
    }
    world.heap->mostly_survives = below(2) == 0;
    if (heap_may_end_beside(world.heap) && below(3) != 0)
        end_beside(beside);
    else
        stop_for(below(12) == 0);
    act_often();
    if (heap_cycle(world.heap) == HEAP_CYCLE_NONE)
        return;
    do
        make(heap_sweep, beside);
    while (heap_take_swept(world.heap));
    heap_end_cycle(world.heap, &c);
    AGREES(c.forged_refs == 0);
}

static void all_is_there(void);

/* What a cycle leaves, and what comes after it, is collected while it is young. */
static void be_young(void)
{
    for (uint32_t i = below(4); i > 0; i--) {
        act_often();
        stop_for(false);
        all_is_there();
    }
}

static void all_is_there(void)
{
    uint32_t live = mark();

    forget_the_dead();
    compare_all();
    publish_roots();
    if (below(3) == 0) {
        fake_verify_clean(&world);
        AGREES(fake_verify(&world).reachable_objects == live);
    }
    if (below(4) != 0)
        return;
    AGREES(fake_collect(&world).live_objects == live);
    follow_moves();
    compare_all();
}

static void come_and_go(void)
{
    if (below(4) != 0)
        return;
    fake_mutator_kill(world.mutators[below((uint32_t)world.mutator_count)]);
    if (world.mutator_count < 2)
        fake_mutator_new(&world)->lines_bytes = 1 + below(300000);
}

static const char *const plans_of[] = { "concurrentimmix", "concurrentstickyimmix" };

static void run(uint64_t seed, unsigned plan, unsigned workers, bool beside)
{
    graph_begin(seed, HEAP_BYTES);
    struct heap_config config = { .plan = plans_of[plan],
                                  .max_bytes = HEAP_BYTES,
                                  .options = { .nursery.kind = HEAP_NURSERY_ADAPTIVE, .sanity = below(4) == 0, .immix_always_defrag = below(3) == 0 } };
    fake_world_open_with(&world, &config, workers);
    objects_define(&types, &world);
    fake_mutator_new(&world)->lines_bytes = 1 + below(300000);
    fake_mutator_new(&world)->lines_bytes = 1 + below(3000);
    if (below(8) == 0)
        engine_set_packet_limit(world.engine, (20 + below(40)) * PACKET_BYTES);
    for (uint32_t i = 0; i < 10 * STEPS_MAX; i++)
        act();
    for (uint32_t i = 0; i < CYCLES; i++) {
        cycle(beside);
        all_is_there();
        if (plan == 1)
            be_young();
        come_and_go();
        act_often();
    }
    fake_world_close(&world);
    graph_end();
}

static void hunt(unsigned plan, unsigned workers, bool beside)
{
    const char *seed = getenv("MMGC_SEED"), *rounds = getenv("MMGC_ROUNDS");
    uint64_t first = seed != NULL ? strtoull(seed, NULL, 0) : mm_now_ns() % UINT64_C(1000000000000);
    uint64_t count = rounds != NULL ? strtoull(rounds, NULL, 0) : seed != NULL ? 1 : UINT64_MAX;
    uint64_t end_ns = mm_now_ns() + RUN_NS, i = 0;

    fprintf(stderr, "MMGC_SEED=%" PRIu64 ", and on\n", first);
    for (; i < count && (count != UINT64_MAX || mm_now_ns() < end_ns); i++)
        run(first + i, plan, workers, beside);
    fprintf(stderr, "%" PRIu64 " runs\n", i);
}

static const unsigned workers_of[] = { 1, 2, 4 };
#define HUNTS (int)(MM_ARRAY_LEN(plans_of) * MM_ARRAY_LEN(workers_of))

START_TEST(no_object_is_lost_between_the_calls_of_a_cycle)
{
    hunt((unsigned)_i % 2, workers_of[_i / 2], false);
}
END_TEST

START_TEST(no_object_is_lost_beside_the_calls_of_a_cycle)
{
    hunt((unsigned)_i % 2, workers_of[_i / 2], true);
}
END_TEST

static Suite *make_suite(void)
{
    Suite *s = suite_create("graph_concurrent");
    TCase *tc = tcase_create("model");

    tcase_set_timeout(tc, getenv("MMGC_ROUNDS") != NULL ? 0 : 100);
    tcase_add_loop_test(tc, no_object_is_lost_between_the_calls_of_a_cycle, 0, HUNTS);
    tcase_add_loop_test(tc, no_object_is_lost_beside_the_calls_of_a_cycle, 0, HUNTS);
    suite_add_tcase(s, tc);
    return s;
}

int main(int argc, char **argv)
{
    return runner_main(argc, argv, make_suite);
}
