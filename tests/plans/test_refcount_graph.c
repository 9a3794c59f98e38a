/* SPDX-License-Identifier: Apache-2.0 */
/* A random graph under a plan that counts, beside a model of it: whatever comes after what, counts are exact, what the model reaches is
 * there, and when everything has been done what it does not reach is gone, but for rings.
 *   Objects  carry their number in the model, since they move; MMGC_SEED=N replays a run */
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "tests/plans/counts.h"

#define MODEL_MAX 12000u
#define ROOTS 48u
#define ROUNDS 60u
#define STEPS 2500u
#define HEAP_BYTES (UINT64_C(12) << 20)

struct node_model {
    uint32_t granule, type, length, refs;
    uint32_t *to;                            /* numbers; 0: null */
    bool used, live, immortal;
};

static struct fake_world world;
static struct objects types;
static struct node_model model[MODEL_MAX];   /* [0] is null */
static uint32_t top, free_list[MODEL_MAX], free_count;
static uint32_t roots[ROOTS];                /* even ones exact, odd ones ambiguous */
static uint64_t rng;

static uint32_t below(uint32_t n)
{
    rng ^= rng << 13;
    rng ^= rng >> 7;
    rng ^= rng << 17;
    return (uint32_t)((rng * UINT64_C(0x2545f4914f6cdd1d) >> 32) * n >> 32);
}

static uint32_t ref_word(const struct node_model *o, uint32_t i)
{
    return o->type == types.wide ? i * 99 : o->type == types.node || i == 0 ? i : 2 + (i - 1) * 2 + 1;
}

/* Where the number is: a node's at 8, a pair's at 4, a wide one's at 8. */
static uint32_t number_word(uint32_t type)
{
    return type == types.pairs ? 1 : 2;
}

static uint32_t number_of(uint32_t granule)
{
    uint32_t type = object_header_type(*(uint64_t *)fake_at(&world, granule - 1));

    return fake_ref(&world, granule, number_word(type));
}

static uint32_t random_reachable(void)
{
    uint32_t at = roots[below(ROOTS)];

    for (uint32_t steps = below(12); at != 0 && steps > 0; steps--) {
        uint32_t next = model[at].to[below(model[at].refs)];
        if (next == 0)
            break;
        at = next;
    }
    return at;
}

static void set(uint32_t from, uint32_t i, uint32_t to)
{
    model[from].to[i] = to;
    fake_set(&world, model[from].granule, ref_word(&model[from], i), to == 0 ? 0 : model[to].granule);
}

static uint32_t random_length(void)
{
    uint32_t one = below(300);

    return one == 0 ? 3000 + below(4000) : one < 4 ? below(800) : below(8);
}

static uint32_t take_number(void)
{
    if (free_count > 0)
        return free_list[--free_count];
    return top + 1 < MODEL_MAX ? ++top : 0;
}

static void make_one(void)
{
    const uint32_t kinds[] = { types.node, types.node, types.pairs, types.wide };
    uint32_t type = kinds[below(4)], length = type == types.pairs ? random_length() : 0, number = take_number();
    struct fake_mutator *m = world.mutators[below((uint32_t)world.mutator_count)];

    if (number == 0)
        return;
    bool immortal = type == types.node && below(1000) == 0;
    uint32_t granule = immortal         ? fake_new_in(m, SHM_GRANT_IMMORTAL, type, length)
                       : below(50) == 0 && length < 100 ? fake_new_in(m, SHM_GRANT_NONMOVING, type, length)
                                        : fake_new(m, type, length);
    if (granule == 0) {
        free_list[free_count++] = number;
        return;
    }
    struct node_model *o = &model[number];
    *o = (struct node_model){ granule, type, length, type == types.pairs ? 1 + length : 2, NULL, true, false, immortal };
    o->to = calloc(o->refs, sizeof(uint32_t));
    ((uint32_t *)fake_at(&world, granule))[number_word(type)] = number;
    for (uint32_t i = 0; i < o->refs && i < 20; i++)
        set(number, below(o->refs), random_reachable());
    if (!immortal || below(2) == 0)
        roots[below(ROOTS)] = number;
}

static void step(void)
{
    uint32_t at;

    switch (below(16)) {
    case 0: roots[below(ROOTS)] = random_reachable(); break;
    case 1: roots[below(ROOTS)] = below(6) == 0 ? 0 : roots[below(ROOTS)]; break;
    case 2:
    case 3:
    case 4:
    case 5:
        at = random_reachable();
        if (at != 0)
            set(at, below(model[at].refs), below(3) == 0 ? 0 : random_reachable());
        break;
    default: make_one();
    }
}

static void steps(uint32_t count)
{
    for (; count > 0; count--)
        step();
}

/* ---- the model's side ---- */

static uint32_t mark_from(uint32_t at, uint32_t *stack)
{
    uint32_t depth = 0, count = 0;

    for (model[at].live = true, stack[depth++] = at; depth > 0; count++) {
        const struct node_model *o = &model[stack[--depth]];
        for (uint32_t i = 0; i < o->refs; i++)
            if (o->to[i] != 0 && !model[o->to[i]].live) {
                model[o->to[i]].live = true;
                stack[depth++] = o->to[i];
            }
    }
    return count;
}

static uint32_t mark(void)
{
    static uint32_t stack[MODEL_MAX];
    uint32_t count = 0;

    for (uint32_t i = 1; i <= top; i++)
        model[i].live = false;
    for (uint32_t i = 0; i < ROOTS; i++)
        if (roots[i] != 0 && !model[roots[i]].live)
            count += mark_from(roots[i], stack);
    for (uint32_t i = 1; i <= top; i++)
        if (model[i].immortal && !model[i].live)
            count += mark_from(i, stack);
    return count;
}

static void forget_the_dead(void)
{
    for (uint32_t i = 1; i <= top; i++) {
        if (!model[i].used || model[i].live)
            continue;
        free(model[i].to);
        model[i] = (struct node_model){ 0 };
        free_list[free_count++] = i;
    }
}

static void publish_roots(void)
{
    fake_roots_clear(&world);
    for (uint32_t i = 0; i < ROOTS; i++)
        fake_root(&world, i % 2, roots[i] == 0 ? 0 : model[roots[i]].granule + (i % 2 == 1 ? below(2) : 0));
}

/* ---- the heap's ---- */

static void look_at(uint32_t number, uint32_t granule)
{
    struct node_model *o = &model[number];

    HOLDS(number != 0 && o->live && *(uint64_t *)fake_at(&world, granule - 1) == object_header(o->type, o->length));
    o->granule = granule;
    o->live = false; /* seen */
    for (uint32_t i = 0; i < o->refs; i++) {
        uint32_t to = fake_ref(&world, granule, ref_word(o, i));
        HOLDS((to == 0) == (o->to[i] == 0) && (to == 0 || number_of(to) == o->to[i]));
    }
}

static void compare_from(uint32_t number, uint32_t granule)
{
    static uint32_t stack[MODEL_MAX];
    uint32_t depth = 0;

    if (!model[number].live)
        return;
    look_at(number, granule);
    for (stack[depth++] = number; depth > 0;) {
        const struct node_model *o = &model[stack[--depth]];
        for (uint32_t k = 0; k < o->refs; k++)
            if (o->to[k] != 0 && model[o->to[k]].live) {
                look_at(o->to[k], fake_ref(&world, o->granule, ref_word(o, k)));
                stack[depth++] = o->to[k];
            }
    }
}

/* From the roots, which a collection has updated if they are exact: every object of the model is where the heap says. */
static void compare(void)
{
    (void)mark();
    for (uint32_t i = 0; i < ROOTS; i++)
        if (roots[i] != 0)
            compare_from(roots[i], i % 2 == 0 ? fake_root_word(&world, 0, i / 2) : model[roots[i]].granule);
    for (uint32_t i = 1; i <= top; i++)
        if (model[i].immortal)
            compare_from(i, model[i].granule);
    for (uint32_t i = 1; i <= top; i++)
        HOLDS(!model[i].live);
}

static void pause_and_compare(void)
{
    (void)mark();
    forget_the_dead();
    publish_roots();
    struct heap_collection c = fake_collect_young(&world);
    ck_assert_uint_eq(c.forged_refs, 0);
    ck_assert_uint_eq(c.sanity_faults, 0);
    counts_are_exact(world.heap, true);
    compare();
}

/* What the last pause left to be done; @busy: clients go on meanwhile. */
static void finish(bool busy)
{
    struct heap_collection c;

    if (heap_cycle(world.heap) != HEAP_CYCLE_COUNTING)
        return;
    for (uint32_t rounds = busy ? below(3) : 0; rounds > 0; rounds--) {
        heap_interrupt(world.heap, below(2) == 0);
        HOLDS(heap_count(world.heap, world.engine) == 0);
        heap_interrupt(world.heap, false);
        steps(below(300));
        if (below(5) == 0) /* and the next pause does the rest */
            return;
    }
    HOLDS(heap_count(world.heap, world.engine) == 0 && heap_counted(world.heap));
    steps(busy ? below(300) : 0);
    heap_end_count(world.heap);
    do {
        HOLDS(heap_sweep(world.heap, world.engine) == 0);
        steps(busy ? below(300) : 0);
    } while (heap_take_swept(world.heap));
    heap_end_cycle(world.heap, &c);
}

/* @busy: between its first stop and its last clients go on, with what they reach, and others come that count as ever. */
static void trace(bool busy)
{
    heap_begin_cycle(world.heap);
    HOLDS(heap_clear(world.heap, world.engine) == 0);
    steps(busy ? below(300) : 0);
    pause_and_compare();
    finish(busy && below(2) == 0);
    for (uint32_t rounds = busy ? below(6) : 0; rounds > 0 && heap_cycle(world.heap) == HEAP_CYCLE_MARKING; rounds--) {
        steps(below(STEPS / 2));
        counts_mark_some(&world, below(3) != 0);
        steps(below(STEPS / 2));
        if (below(2) == 0)
            pause_and_compare();
        if (below(2) == 0)
            finish(busy);
    }
    while (heap_cycle(world.heap) == HEAP_CYCLE_MARKING || heap_cycle(world.heap) == HEAP_CYCLE_COUNTING) {
        if (heap_cycle(world.heap) == HEAP_CYCLE_MARKING) {
            counts_mark(&world);
            pause_and_compare();
        }
        finish(busy);
    }
    fake_verify_clean(&world);
}

static void collect(uint32_t round)
{
    switch (below(8)) {
    case 0:
        (void)mark();
        forget_the_dead();
        publish_roots();
        (void)fake_collect(&world);
        counts_are_exact(world.heap, true);
        compare();
        break;
    case 1:
    case 2:
        if (heap_cycle(world.heap) == HEAP_CYCLE_COUNTING)
            (void)counts_finish(&world);
        trace(true);
        break;
    default:
        pause_and_compare();
        if (below(3) != 0)
            finish(below(2) == 0);
        if (round % 4 == 0 && heap_cycle(world.heap) == HEAP_CYCLE_NONE) /* else there may be what is dropped, and not swept */
            fake_verify_clean(&world);
    }
}

/* Rings are what a trace is for: after one the heap has what the model reaches, and nothing else. */
static void all_garbage_goes(void)
{
    if (heap_cycle(world.heap) == HEAP_CYCLE_COUNTING)
        (void)counts_finish(&world);
    for (uint32_t i = 0; i < ROOTS; i += 2)
        roots[i] = 0;
    trace(false);
    ck_assert_uint_eq(world.heap->live_objects, mark());
    memset(roots, 0, sizeof(roots));
    trace(false);
    ck_assert_uint_eq(world.heap->live_objects, mark());
    publish_roots();
    ck_assert_uint_eq(fake_collect(&world).live_objects, mark());
}

static void run(unsigned workers, uint32_t packets)
{
    const char *seed = getenv("MMGC_SEED");

    rng = seed != NULL ? strtoull(seed, NULL, 0) : mm_now_ns() % UINT64_C(1000000000000);
    fprintf(stderr, "MMGC_SEED=%" PRIu64 "\n", rng);
    rng = rng * UINT64_C(0x9e3779b97f4a7c15) | 1;
    struct heap_config config = { .plan = "lxr", .max_bytes = HEAP_BYTES, .options.sanity = below(2) == 0 };
    fake_world_open_with(&world, &config, workers);
    if (packets > 0)
        engine_set_packet_limit(world.engine, packets * PACKET_BYTES);
    objects_define(&types, &world);
    for (unsigned i = 0; i < 3; i++)
        fake_mutator_new(&world)->lines_bytes = 1 + below(300000);
    for (uint32_t round = 0; round < ROUNDS; round++) {
        steps(STEPS);
        collect(round);
        if (round % 5 == 4 && heap_cycle(world.heap) == HEAP_CYCLE_NONE) {
            fake_mutator_kill(world.mutators[below((uint32_t)world.mutator_count)]);
            fake_mutator_new(&world)->lines_bytes = 1 + below(300000);
        }
    }
    all_garbage_goes();
    fake_world_close(&world);
}

/* What finds no room is found again: what is young by a second look, the dead by another. */
START_TEST(few_packets_do_no_harm)
{
    run(1 + (unsigned)_i % 2, 12 + (uint32_t)_i);
}
END_TEST

START_TEST(counts_agree_with_a_model)
{
    static const unsigned workers[] = { 1, 2, 4 };

    run(workers[_i % 3], 0);
}
END_TEST

START_TEST(what_a_pause_left_is_done_by_one_without_roots)
{
    struct heap_config config = { .plan = "lxr", .max_bytes = HEAP_BYTES, .options.sanity = _i % 2 == 1 };

    fake_world_open_with(&world, &config, 1 + (unsigned)_i / 2);
    objects_define(&types, &world);
    fake_root(&world, 0, fake_new(fake_mutator_new(&world), types.node, 0));
    (void)fake_collect_young(&world);
    (void)counts_finish(&world);
    ck_assert_uint_eq(world.heap->live_objects, 1);
    fake_roots_clear(&world);
    (void)fake_collect_young(&world);
    ck_assert_int_eq(heap_cycle(world.heap), HEAP_CYCLE_COUNTING);
    struct heap_stop stop = fake_stop(&world);
    stop.roots_overflowed = true;
    ck_assert_uint_eq(fake_collect_as(&world, &stop).live_objects, 0);
    ck_assert_int_eq(heap_cycle(world.heap), HEAP_CYCLE_NONE);
    counts_are_exact(world.heap, true);
    fake_world_close(&world);
}
END_TEST

static Suite *make_suite(void)
{
    Suite *s = suite_create("refcount_graph");
    TCase *tc = tcase_create("model");

    tcase_set_timeout(tc, 100);
    tcase_add_loop_test(tc, counts_agree_with_a_model, 0, 9);
    tcase_add_loop_test(tc, few_packets_do_no_harm, 0, 6);
    tcase_add_loop_test(tc, what_a_pause_left_is_done_by_one_without_roots, 0, 4);
    suite_add_tcase(s, tc);
    return s;
}

int main(int argc, char **argv)
{
    return runner_main(argc, argv, make_suite);
}
