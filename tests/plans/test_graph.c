/* SPDX-License-Identifier: Apache-2.0 */
/* A random graph beside a model of it: after each collection the heap holds exactly what the model reaches.
 *   MMGC_SEED=N replays a run */
#include "tests/plans/graph.h"
#include "tests/support/runner.h"

#define ROUNDS 30u
#define STEPS 4000u
#define HEAP_BYTES (UINT64_C(12) << 20)
#define MUTATORS 3u

/* An object under an ambiguous root, and its granule before the collection. */
static void pinned_stayed(const uint32_t *granules)
{
    for (uint32_t i = 1; i < ROOTS; i += 2)
        AGREES(roots[i] == 0 || shadows[roots[i]].granule == granules[i]);
}

/* @floats: a young collection, which takes for alive what was old. */
static void count_types(uint32_t live, bool floats)
{
    struct heap_stop stop = fake_stop(&world);
    struct heap_histogram_row rows[16];
    uint64_t objects = 0;

    ck_assert_int_eq(heap_histogram_stw(world.heap, world.engine, &stop, rows), 0);
    for (uint32_t id = 1; id <= heap_type_count(world.heap); id++)
        objects += rows[id].objects;
    ck_assert_uint_eq(rows[0].objects, 0);
    ck_assert(objects == live || (floats && objects > live));
}

static void collect_and_compare(uint32_t round)
{
    uint32_t live = mark();

    forget_the_dead();
    publish_roots();
    if (round % 4 == 0)
        fake_verify_clean(&world); /* and changes nothing that the collection goes by */
    if (heap_plan_collects(world.heap)) {
        uint32_t granules[ROOTS];
        for (uint32_t i = 0; i < ROOTS; i++)
            granules[i] = shadows[roots[i]].granule;
        struct heap_collection c = below(3) == 0 ? fake_collect(&world) : fake_collect_young(&world);
        bool young = c.kind == HEAP_PAUSE_YOUNG || c.kind == HEAP_PAUSE_REFCOUNT;
        ck_assert(c.live_objects == live || (young && c.live_objects > live));
        ck_assert_uint_eq(c.forged_refs, 0);
        follow_moves();
        pinned_stayed(granules);
        count_types(live, young);
    }
    compare_all();
    if (round % 4 == 1)
        fake_verify_clean(&world);
    if (round % 5 == 4) {
        fake_mutator_kill(world.mutators[below((uint32_t)world.mutator_count)]);
        fake_mutator_new(&world)->lines_bytes = 1 + below(300000);
    }
}

/* Workers by loop index; so that a race shows, the same seed runs with all of them. */
static void run(const char *plan, unsigned workers)
{
    const char *seed = getenv("MMGC_SEED");

    uint64_t number = seed != NULL ? strtoull(seed, NULL, 0) : mm_now_ns() % UINT64_C(1000000000000);

    fprintf(stderr, "MMGC_SEED=%" PRIu64 "\n", number);
    graph_begin(number, HEAP_BYTES);
    struct heap_config config = { .plan = plan, .max_bytes = HEAP_BYTES, .options.sanity = below(2) == 0 };
    fake_world_open_with(&world, &config, workers);
    objects_define(&types, &world);
    for (unsigned i = 0; i < MUTATORS; i++)
        fake_mutator_new(&world)->lines_bytes = 1 + below(300000);
    for (uint32_t round = 0; round < ROUNDS; round++) {
        for (uint32_t i = 0; i < STEPS; i++)
            step();
        collect_and_compare(round);
    }
    memset(roots, 0, sizeof(roots));
    collect_and_compare(1);
    if (heap_plan_collects(world.heap)) {
        publish_roots();
        fake_collect(&world);
        ck_assert_uint_le(heap_used_bytes(world.heap), 8 * MUTATORS * 4096 * MM_LINE_BYTES);
    }
    fake_world_close(&world);
    graph_end();
}

START_TEST(a_random_graph_agrees_with_its_model)
{
    static const unsigned workers[] = { 1, 2, 4 };
    run(plans[_i / 3]->name, workers[_i % 3]);
}
END_TEST

static Suite *make_suite(void)
{
    Suite *s = suite_create("graph");
    TCase *tc = tcase_create("model");

    tcase_set_timeout(tc, 100);
    tcase_add_loop_test(tc, a_random_graph_agrees_with_its_model, 0, 3 * PLAN_COUNT);
    suite_add_tcase(s, tc);
    return s;
}

int main(int argc, char **argv)
{
    return runner_main(argc, argv, make_suite);
}
