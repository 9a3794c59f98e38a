/* SPDX-License-Identifier: Apache-2.0 */
/* A random graph beside a model of it: after each collection the heap holds exactly what the model reaches.
 *   MMGC_SEED=N replays a run */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "plans/plan.h"
#include "tests/plans/objects.h"
#include "tests/support/runner.h"

#define MODEL_MAX 20000u
#define ROOTS 64u
#define ROUNDS 30u
#define STEPS 4000u
#define HEAP_BYTES (UINT64_C(12) << 20)
#define MUTATORS 3u

struct shadow {
    uint32_t granule, type, length, refs; /* refs: how many the object has */
    uint32_t *to;                         /* indices; 0: null */
    bool live;
};

static struct fake_world world;
static struct objects types;
static struct shadow shadows[MODEL_MAX]; /* [0] is null */
static uint32_t shadow_count;
static uint32_t free_list[MODEL_MAX], free_count;
static uint32_t roots[ROOTS]; /* even ones exact, odd ones ambiguous */
static uint64_t rng;

static uint32_t below(uint32_t n)
{
    rng ^= rng << 13;
    rng ^= rng >> 7;
    rng ^= rng << 17;
    return (uint32_t)((rng * UINT64_C(0x2545f4914f6cdd1d) >> 32) * n >> 32);
}

static uint32_t refs_of(uint32_t type, uint32_t length)
{
    return type == types.node || type == types.wide ? 2
           : type == types.refs                     ? length
           : type == types.pairs                    ? 1 + length
                                                    : 0;
}

/* Index, in words of the payload, of reference @i. */
static uint32_t ref_word(const struct shadow *s, uint32_t i)
{
    if (s->type == types.wide)
        return i * 99;
    return s->type != types.pairs || i == 0 ? i : 2 + (i - 1) * 2 + 1;
}

static uint32_t random_length(void)
{
    switch (below(200)) {
    case 0: return 4000 + below(30000); /* a large object, and many slices */
    case 1:
    case 2:
    case 3: return below(3000);
    default: return below(20);
    }
}

static uint32_t random_type(void)
{
    const uint32_t all[] = { types.node,  types.node,  types.refs,
                             types.bytes, types.pairs, types.wide };
    return all[below(MM_ARRAY_LEN(all))];
}

/* A shadow that is reachable for sure: some steps from a root. */
static uint32_t random_reachable(void)
{
    uint32_t at = roots[below(ROOTS)];

    for (uint32_t steps = below(10); at != 0 && steps > 0; steps--) {
        const struct shadow *s = &shadows[at];
        uint32_t next = s->refs == 0 ? 0 : s->to[below(s->refs)];
        if (next == 0)
            break;
        at = next;
    }
    return at;
}

static void set(uint32_t from, uint32_t i, uint32_t to)
{
    struct shadow *s = &shadows[from];

    s->to[i] = to;
    fake_set(&world, s->granule, ref_word(s, i), to == 0 ? 0 : shadows[to].granule);
}

static void make_one(void)
{
    uint32_t type = random_type(),
             length = type == types.node || type == types.wide ? 0 : random_length();
    struct fake_mutator *m = world.mutators[below((uint32_t)world.mutator_count)];
    uint32_t index = free_count > 0 ? free_list[--free_count] : ++shadow_count;

    HOLDS(index < MODEL_MAX);
    uint32_t granule = fake_new(m, type, length);
    if (granule == 0) {
        free_list[free_count++] = index;
        return;
    }
    shadows[index] = (struct shadow){ granule, type, length, refs_of(type, length), NULL, false };
    shadows[index].to = calloc(shadows[index].refs + 1, sizeof(uint32_t));
    for (uint32_t i = 0; i < shadows[index].refs && i < 40; i++)
        set(index, below(shadows[index].refs), random_reachable());
    roots[below(ROOTS)] = index;
}

static void step(void)
{
    uint32_t at;

    switch (below(20)) {
    case 0: roots[below(ROOTS)] = random_reachable(); break;
    case 1:
        if (below(20) == 0)
            roots[below(ROOTS)] = 0;
        break;
    case 2:
    case 3:
    case 4:
        at = random_reachable();
        if (at != 0 && shadows[at].refs > 0)
            set(at, below(shadows[at].refs), random_reachable());
        break;
    default:
        if (shadow_count - free_count < MODEL_MAX - 2)
            make_one();
    }
}

static uint32_t mark(void)
{
    static uint32_t stack[MODEL_MAX];
    uint32_t depth = 0, count = 0;

    for (uint32_t i = 1; i <= shadow_count; i++)
        shadows[i].live = false;
    for (uint32_t i = 0; i < ROOTS + 1; i++) {
        uint32_t at = i < ROOTS ? roots[i] : 0;
        if (at != 0 && !shadows[at].live) {
            shadows[at].live = true;
            stack[depth++] = at;
        }
        while (depth > 0) {
            const struct shadow *s = &shadows[stack[--depth]];
            count++;
            for (uint32_t k = 0; k < s->refs; k++)
                if (s->to[k] != 0 && !shadows[s->to[k]].live) {
                    shadows[s->to[k]].live = true;
                    stack[depth++] = s->to[k];
                }
        }
    }
    return count;
}

static void forget_the_dead(void)
{
    free_count = 0;
    for (uint32_t i = 1; i <= shadow_count; i++) {
        if (shadows[i].live)
            continue;
        free(shadows[i].to);
        shadows[i] = (struct shadow){ 0 };
        free_list[free_count++] = i;
    }
}

static uint32_t payload_granules(const struct shadow *s)
{
    const struct shm_type_row *row = heap_type_row(world.heap, s->type);
    return (uint32_t)(object_bytes(row->fixed_bytes, row->element_bytes, s->length) / MM_GRANULE_BYTES -
                      1);
}

static void publish_roots(void)
{
    fake_roots_clear(&world);
    for (uint32_t i = 0; i < ROOTS; i++) {
        const struct shadow *s = &shadows[roots[i]];
        if (roots[i] == 0)
            fake_root(&world, i % 2,
                      i % 2 == 0 ? 0 : (uint32_t)(HEAP_BYTES / MM_GRANULE_BYTES) - 1); /* never an object */
        else if (i % 2 == 0)
            fake_root(&world, 0, s->granule);
        else
            fake_root(&world, 1 + i % 3, s->granule + below(payload_granules(s) + 1)); /* one past the end, too */
    }
}

/* Where the objects are now: exact roots were updated, those under ambiguous ones stayed, the others are where fields say. */
static void follow_moves(void)
{
    static uint32_t stack[MODEL_MAX];
    static bool seen[MODEL_MAX];
    uint32_t depth = 0;

    memset(seen, 0, sizeof(seen));
    for (uint32_t i = 0; i < ROOTS; i++) {
        uint32_t at = roots[i];
        if (at == 0)
            continue;
        if (i % 2 == 0)
            shadows[at].granule = fake_root_word(&world, 0, i / 2);
        if (!seen[at])
            stack[depth++] = at;
        seen[at] = true;
    }
    while (depth > 0) {
        const struct shadow *s = &shadows[stack[--depth]];
        for (uint32_t k = 0; k < s->refs; k++) {
            if (s->to[k] == 0 || seen[s->to[k]])
                continue;
            seen[s->to[k]] = true;
            shadows[s->to[k]].granule = fake_ref(&world, s->granule, ref_word(s, k));
            stack[depth++] = s->to[k];
        }
    }
}

/* An object under an ambiguous root, and its granule before the collection. */
static void pinned_stayed(const uint32_t *granules)
{
    for (uint32_t i = 1; i < ROOTS; i += 2)
        HOLDS(roots[i] == 0 || shadows[roots[i]].granule == granules[i]);
}

static void compare(const struct shadow *s)
{
    HOLDS(*(uint64_t *)fake_at(&world, s->granule - 1) == object_header(s->type, s->length));
    for (uint32_t i = 0; i < s->refs; i++)
        HOLDS(fake_ref(&world, s->granule, ref_word(s, i)) ==
              (s->to[i] == 0 ? 0 : shadows[s->to[i]].granule));
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
        bool young = c.kind == HEAP_PAUSE_YOUNG;
        ck_assert(c.live_objects == live || (young && c.live_objects > live));
        ck_assert_uint_eq(c.forged_refs, 0);
        follow_moves();
        pinned_stayed(granules);
        count_types(live, young);
    }
    for (uint32_t i = 1; i <= shadow_count; i++)
        if (shadows[i].live)
            compare(&shadows[i]);
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

    rng = seed != NULL ? strtoull(seed, NULL, 0) : mm_now_ns() % UINT64_C(1000000000000);
    fprintf(stderr, "MMGC_SEED=%" PRIu64 "\n", rng);
    rng = rng * UINT64_C(0x9e3779b97f4a7c15) | 1;
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
