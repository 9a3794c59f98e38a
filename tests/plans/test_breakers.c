/* SPDX-License-Identifier: Apache-2.0 */
/* Graphs that break tracers: very long, very wide, very deep, round, all pinned, all dead, exactly full, of each
 * size. Under every plan, with one worker, with two, and with hardly any packets: after each collection the graph
 * is the one that was made, wherever its objects are now, and both verify and the independent trace
 * (plans/heap/sanity.h) agree. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "plans/plan.h"
#include "shm/cells.h"
#include "tests/plans/objects.h"
#include "tests/support/runner.h"

#define MIB (UINT64_C(1) << 20)
#define SCARCE_PACKETS 24u

/* How a world runs: the loop index is a plan, then one of these. */
static const struct {
    unsigned workers, packets; /* packets: 0: as many as it likes */
} ways[] = { { 1, 0 }, { 2, 0 }, { 2, SCARCE_PACKETS } };
enum { WAYS = MM_ARRAY_LEN(ways) };

/* Objects carry their number in the first word; references begin in the third. */
enum kind { ARRAY, FIXED_256, SPREAD_256, ELEMENTS_256, KINDS };
static const uint32_t stride_words[KINDS] = { 1, 1, 15, 1 };

static struct model { /* numbers begin at 1; 0 is null */
    uint32_t count, edges;
    uint8_t *kind;
    uint32_t *first; /* of an object's edges in to[]; one more than objects */
    uint32_t *to;    /* numbers */
    uint32_t *at;    /* granules, as of the last look */
} model;

static struct fake_world world;
static struct fake_mutator *m;
static uint32_t type_of[KINDS], type_bytes;

/* the world */

static const struct plan *plan_of(int i)
{
    return plans[i % PLAN_COUNT];
}

static void define_types(void)
{
    static const uint32_t zero[] = { 0 };
    uint32_t dense[256], spread[256], elements[256];

    for (uint32_t i = 0; i < 256; i++) {
        dense[i] = 8 + 4 * i;
        spread[i] = 8 + 60 * i;
        elements[i] = 4 * i;
    }
    type_of[ARRAY] = fake_type(&world, &(struct shm_type_layout){ "array", 8, 4, 0, 1, NULL, zero });
    type_of[FIXED_256] = fake_type(&world, &(struct shm_type_layout){ "fixed", 1032, 0, 256, 0, dense, NULL });
    type_of[SPREAD_256] = fake_type(&world, &(struct shm_type_layout){ "spread", 15312, 0, 256, 0, spread, NULL });
    type_of[ELEMENTS_256] = fake_type(&world, &(struct shm_type_layout){ "elements", 8, 1024, 0, 256, NULL, elements });
    type_bytes = fake_type(&world, &(struct shm_type_layout){ "bytes", 0, 1, 0, 0, NULL, NULL });
}

/* Room for @live_bytes, and for copies of them where that is how the plan collects. */
static void open_world(int i, uint64_t live_bytes)
{
    unsigned way = (unsigned)i / PLAN_COUNT;

    fake_world_open(&world, plan_of(i)->name, 3 * live_bytes + 24 * MIB, ways[way].workers);
    if (ways[way].packets != 0)
        engine_set_packet_limit(world.engine, ways[way].packets * PACKET_BYTES);
    define_types();
    m = fake_mutator_new(&world);
}

/* Where each small object takes a page there is less of everything. */
static uint32_t scaled(int i, uint32_t count)
{
    return has_pages(plan_of(i)) ? count / 100 : count;
}

static uint64_t room_for(int i, uint32_t count, uint32_t bytes)
{
    return (uint64_t)count * (has_pages(plan_of(i)) ? MM_MAX(bytes, MM_PAGE_BYTES) : bytes);
}

/* the model */

static void model_open(uint32_t objects, uint32_t edges)
{
    model = (struct model){ 0 };
    model.kind = calloc(objects + 2, sizeof(*model.kind));
    model.first = calloc(objects + 3, sizeof(*model.first));
    model.at = calloc(objects + 2, sizeof(*model.at));
    model.to = calloc(edges + 1, sizeof(*model.to));
    HOLDS(model.kind != NULL && model.first != NULL && model.at != NULL && model.to != NULL);
}

static void model_close(void)
{
    free(model.kind);
    free(model.first);
    free(model.at);
    free(model.to);
    fake_world_close(&world);
}

static uint32_t references_of(uint32_t number)
{
    return model.first[number + 1] - model.first[number];
}

static uint32_t add(enum kind kind, uint32_t references)
{
    uint32_t number = ++model.count;

    model.kind[number] = (uint8_t)kind;
    model.first[number] = model.edges;
    model.edges += references;
    model.first[number + 1] = model.edges;
    return number;
}

static void join(uint32_t from, uint32_t i, uint32_t to)
{
    model.to[model.first[from] + i] = to;
}

static uint32_t length_of(uint32_t number)
{
    uint32_t references = references_of(number);

    return model.kind[number] == ARRAY ? references : model.kind[number] == ELEMENTS_256 ? references / 256 : 0;
}

static uint32_t word_of(uint32_t number, uint32_t i)
{
    return 2 + i * stride_words[model.kind[number]];
}

/* Makes the objects of the model in the order of their numbers, with something dead behind every third, and joins
 * them. */
static void make_all(void)
{
    for (uint32_t number = 1; number <= model.count; number++) {
        model.at[number] = fake_new(m, type_of[model.kind[number]], length_of(number));
        HOLDS(model.at[number] != 0);
        fake_set(&world, model.at[number], 0, number);
        if (number % 3 == 0)
            HOLDS(fake_new(m, type_bytes, number % 50) != 0);
    }
    for (uint32_t number = 1; number <= model.count; number++)
        for (uint32_t i = 0; i < references_of(number); i++)
            fake_set(&world, model.at[number], word_of(number, i), model.at[model.to[model.first[number] + i]]);
}

/* Follows the heap from object @root, known to be at at[root], beside the model. Returns how many objects it met. */
static uint32_t compare_from(uint32_t root)
{
    uint32_t *stack = malloc((model.count + 1) * sizeof(*stack)), depth = 0, met = 0;
    uint8_t *seen = calloc(model.count + 1, 1);

    HOLDS(stack != NULL && seen != NULL);
    stack[depth++] = root;
    seen[root] = 1;
    for (; depth > 0; met++) {
        uint32_t number = stack[--depth], at = model.at[number];
        HOLDS(*(uint64_t *)fake_at(&world, at - 1) == object_header(type_of[model.kind[number]], length_of(number)));
        HOLDS(fake_ref(&world, at, 0) == number);
        for (uint32_t i = 0; i < references_of(number); i++) {
            uint32_t to = model.to[model.first[number] + i], now = fake_ref(&world, at, word_of(number, i));
            HOLDS(to != 0 || now == 0);
            HOLDS(!seen[to] || now == model.at[to]);
            if (to == 0 || seen[to])
                continue;
            seen[to] = 1;
            model.at[to] = now;
            stack[depth++] = to;
        }
    }
    free(stack);
    free(seen);
    return met;
}

/* The whole model hangs on object @root: collects @times over, and each time looks at all of it. */
static void collect_and_compare(int i, uint32_t root, unsigned times)
{
    fake_roots_clear(&world);
    fake_root(&world, 0, model.at[root]);
    for (; times > 0; times--) {
        if (plan_of(i)->constraints.trace != PLAN_TRACE_NONE) {
            struct heap_collection c = fake_collect(&world); /* and sanity has nothing to say */
            ck_assert(c.sanity_ran);
            ck_assert_uint_eq(c.live_objects, model.count);
            ck_assert_uint_eq(c.forged_refs, 0);
        }
        model.at[root] = fake_root_word(&world, 0, 0);
        ck_assert_uint_eq(compare_from(root), model.count);
    }
    fake_verify_clean(&world);
}

/* shapes */

static void list_of(int i, uint32_t count)
{
    open_world(i, room_for(i, count, 24));
    model_open(count, count);
    for (uint32_t number = 1; number <= count; number++)
        join(add(ARRAY, 1), 0, number + 1 <= count ? number + 1 : 0);
    make_all();
    collect_and_compare(i, 1, 1);
    model_close();
}

START_TEST(a_list_of_a_million)
{
    list_of(_i, scaled(_i, 1000 * 1000));
}
END_TEST

/* Where marking is depth first, where copying is, and with two workers. */
START_TEST(a_list_of_ten_million)
{
    const struct plan *chosen[] = { &plan_immix, &plan_semispace };
    int i = PLAN_COUNT;

    while (plan_of(i) != chosen[_i])
        i++;
    list_of(i, 10 * 1000 * 1000);
}
END_TEST

static uint64_t available_mib(void)
{
    FILE *f = fopen("/proc/meminfo", "r");
    unsigned long kib = 0;
    char line[128];

    while (f != NULL && fgets(line, sizeof(line), f) != NULL)
        if (sscanf(line, "MemAvailable: %lu", &kib) == 1)
            break;
    if (f != NULL)
        fclose(f);
    return kib / 1024;
}

START_TEST(an_array_of_a_hundred_million)
{
    const uint32_t length = 100 * 1000 * 1000, nodes = 1000;
    uint32_t node[1000];

    if (available_mib() < 2000) {
        fprintf(stderr, "not run: 2 GB of memory are wanted, %u MiB are available\n", (unsigned)available_mib());
        return;
    }
    fake_world_open(&world, "immix", 480 * MIB, 2);
    define_types();
    m = fake_mutator_new(&world);
    uint32_t array = fake_new(m, type_of[ARRAY], length);
    HOLDS(array != 0);
    for (uint32_t k = 0; k < nodes; k++)
        node[k] = fake_new(m, type_of[ARRAY], 0);
    for (uint32_t k = 0; k < length; k++)
        fake_set(&world, array, 2 + k, node[k % nodes]);
    fake_root(&world, 0, array);
    struct heap_collection c = fake_collect(&world);
    ck_assert(c.sanity_ran);
    ck_assert_uint_eq(c.live_objects, 1 + nodes);
    ck_assert_uint_eq(c.live_bytes, 16 + 400000000 + nodes * 16);
    uint32_t moved = 0;
    for (uint32_t k = 0; k < length; k++)
        moved += fake_ref(&world, array, 2 + k) != fake_ref(&world, array, 2 + k % nodes);
    ck_assert_uint_eq(moved, 0);
    fake_world_close(&world);
}
END_TEST

/* Children of n are 2 n and 2 n + 1, made by breadth: depth first jumps all over the heap. */
START_TEST(a_deep_tree)
{
    uint32_t count = scaled(_i, 200 * 1000);

    open_world(_i, room_for(_i, count, 24));
    model_open(count, 2 * count);
    for (uint32_t number = 1; number <= count; number++) {
        (void)add(ARRAY, 2);
        for (uint32_t k = 0; k < 2; k++)
            join(number, k, 2 * number + k <= count ? 2 * number + k : 0);
    }
    make_all();
    collect_and_compare(_i, 1, 2);
    model_close();
}
END_TEST

/* Each node of a spine has a short branch on the other side: the stack grows with the spine if branches are left
 * for later. */
START_TEST(spines_to_the_left_and_to_the_right)
{
    uint32_t spine = scaled(_i, 50 * 1000);

    for (uint32_t side = 0; side < 2; side++) {
        open_world(_i, room_for(_i, 2 * spine, 24));
        model_open(2 * spine, 4 * spine);
        for (uint32_t number = 1; number <= 2 * spine; number += 2) {
            (void)add(ARRAY, 2);
            join(number, side, number + 2 <= 2 * spine ? number + 2 : 0);
            join(number, 1 - side, add(ARRAY, 2));
        }
        make_all();
        collect_and_compare(_i, 1, 2);
        model_close();
    }
}
END_TEST

START_TEST(a_wide_tree)
{
    uint32_t fan = scaled(_i, 400) == 400 ? 400 : 40;

    open_world(_i, room_for(_i, 1 + fan + fan * fan, 24) + (uint64_t)fan * fan * 4);
    model_open(1 + fan + fan * fan, 3 * (fan + fan * fan));
    uint32_t root = add(ARRAY, fan);
    for (uint32_t k = 0; k < fan; k++) {
        uint32_t branch = add(ARRAY, fan);
        join(root, k, branch);
        for (uint32_t j = 0; j < fan; j++)
            join(branch, j, add(ARRAY, 1));
    }
    make_all();
    collect_and_compare(_i, root, 2);
    model_close();
}
END_TEST

/* A ring in both directions, whose every object refers to itself, too. */
START_TEST(rings_and_references_to_oneself)
{
    uint32_t count = scaled(_i, 100 * 1000);

    open_world(_i, room_for(_i, count, 32));
    model_open(count, 3 * count);
    for (uint32_t number = 1; number <= count; number++) {
        (void)add(ARRAY, 3);
        join(number, 0, number);
        join(number, 1, number % count + 1);
        join(number, 2, number > 1 ? number - 1 : count);
    }
    make_all();
    collect_and_compare(_i, count / 2, 2);
    model_close();
}
END_TEST

/* All references of each object, however long, are to itself, but for one to the next. */
START_TEST(objects_that_refer_to_nothing_but_themselves)
{
    static const uint32_t lengths[] = { 2, 30, 500, 4000, 5000, 60000 };
    uint32_t edges = 0;

    for (size_t k = 0; k < MM_ARRAY_LEN(lengths); k++)
        edges += lengths[k];
    open_world(_i, 4 * (uint64_t)edges + MIB);
    model_open(MM_ARRAY_LEN(lengths), edges);
    for (size_t k = 0; k < MM_ARRAY_LEN(lengths); k++) {
        uint32_t number = add(ARRAY, lengths[k]);
        for (uint32_t j = 0; j < lengths[k]; j++)
            join(number, j, number);
        join(number, lengths[k] / 2, k + 1 < MM_ARRAY_LEN(lengths) ? number + 1 : 0);
    }
    make_all();
    collect_and_compare(_i, 1, 3);
    model_close();
}
END_TEST

/* Each refers to the next, so that all are reached, and to others all over the heap. */
START_TEST(types_with_as_many_references_as_there_may_be)
{
    const uint32_t count = 400;

    open_world(_i, (uint64_t)count * 16 * 1024);
    model_open(count, 512 * count);
    for (uint32_t number = 1; number <= count; number++) {
        enum kind kind = (enum kind)(number % KINDS);
        (void)add(kind, kind == ARRAY ? 300 : kind == ELEMENTS_256 ? 512 : 256);
    }
    for (uint32_t number = 1; number <= count; number++)
        for (uint32_t k = 0; k < references_of(number); k++)
            join(number, k, k == 0 ? number % count + 1 : (number * 7919 + k * 104729) % (count + 1));
    make_all();
    collect_and_compare(_i, 1, 3);
    model_close();
}
END_TEST

/* roots */

/* A collection with an ambiguous word into each of the model's objects, at its start, in it, or one past its end. */
static struct heap_collection collect_pinned(void)
{
    _Atomic uint32_t *words = calloc(model.count, sizeof(*words));
    struct heap_roots row = { .kind = HEAP_ROOTS_AMBIGUOUS, .words = words, .count = model.count };
    struct heap_stop stop = fake_stop(&world);
    struct heap_collection c;

    HOLDS(words != NULL);
    for (uint32_t i = 0; i < model.count; i++)
        at_store_relaxed(&words[i], model.at[i + 1] + i % 3); /* two granules long: the last is its end */
    stop.roots = &row;
    stop.root_count = 1;
    ck_assert_int_eq(heap_collect_stw(world.heap, world.engine, &stop, &c), 0);
    ck_assert(c.sanity_ran);
    ck_assert_uint_eq(c.sanity_faults, 0);
    free((void *)words);
    return c;
}

START_TEST(everything_is_pinned)
{
    uint32_t count = scaled(_i, 60 * 1000);

    if (plan_of(_i)->constraints.trace == PLAN_TRACE_NONE)
        return;
    open_world(_i, room_for(_i, count, 24));
    model_open(count, 2 * count);
    for (uint32_t number = 1; number <= count; number++) {
        (void)add(ARRAY, 2);
        join(number, 0, number % count + 1);
        join(number, 1, 1 + number * 7919 % count);
    }
    make_all();
    for (int k = 0; k < 2; k++) {
        struct heap_collection c = collect_pinned();
        ck_assert_uint_eq(c.live_objects, count);
        ck_assert_uint_eq(c.moved_objects, 0);
        ck_assert_uint_eq(compare_from(1), count);
        for (uint32_t number = 1; number <= count; number++)
            HOLDS(fake_ref(&world, model.at[number], 0) == number); /* where it was before */
    }
    collect_and_compare(_i, 1, 2); /* and now they may move */
    model_close();
}
END_TEST

/* fullness */

/* Makes objects until there is no room, each referring to the one before; the newest. */
static uint32_t fill(uint32_t newest, uint32_t *ret_count)
{
    for (uint32_t at; (at = fake_new(m, type_of[ARRAY], 1 + *ret_count % 40)) != 0; ++*ret_count) {
        fake_set(&world, at, 0, *ret_count);
        fake_set(&world, at, 2, newest);
        newest = at;
    }
    return newest;
}

static void list_is_whole(uint32_t newest, uint32_t count)
{
    for (; newest != 0; newest = fake_ref(&world, newest, 2)) {
        HOLDS(fake_ref(&world, newest, 0) == --count);
        HOLDS(*(uint64_t *)fake_at(&world, newest - 1) == object_header(type_of[ARRAY], 1 + count % 40));
    }
    HOLDS(count == 0);
}

static void open_small_world(int i)
{
    unsigned way = (unsigned)i / PLAN_COUNT;

    fake_world_open(&world, plan_of(i)->name, 4 * MIB, ways[way].workers);
    if (ways[way].packets != 0)
        engine_set_packet_limit(world.engine, ways[way].packets * PACKET_BYTES);
    define_types();
    m = fake_mutator_new(&world);
}

START_TEST(everything_is_garbage)
{
    uint32_t first = 0;

    if (plan_of(_i)->constraints.trace == PLAN_TRACE_NONE)
        return;
    open_small_world(_i);
    for (int k = 0; k < 4; k++) {
        uint32_t count = 0;
        (void)fill(0, &count);
        first = k == 0 ? count : first;
        ck_assert_uint_ge(count, first / 10 * 9); /* nothing that dies takes room from what comes */
        struct heap_collection c = fake_collect(&world);
        ck_assert_uint_eq(c.live_objects, 0);
        fake_verify_clean(&world);
        end_of_term(&world, plan_of(_i));
    }
    fake_mutator_kill(m);
    fake_collect(&world);
    end_of_term(&world, plan_of(_i));
    ck_assert_uint_eq(heap_used_bytes(world.heap), 0);
    fake_world_close(&world);
}
END_TEST

START_TEST(a_full_heap_and_one_more)
{
    uint32_t newest = 0, count = 0;

    if (plan_of(_i)->constraints.trace == PLAN_TRACE_NONE)
        return;
    open_small_world(_i);
    for (uint32_t before = UINT32_MAX; before != count;) { /* each collection may press a little more out of it */
        before = count;
        newest = fill(newest, &count);
        fake_roots_clear(&world);
        fake_root(&world, 0, newest);
        ck_assert_uint_eq(fake_collect(&world).live_objects, count);
        newest = fake_root_word(&world, 0, 0);
        list_is_whole(newest, count);
        fake_verify_clean(&world);
    }
    if (!plan_of(_i)->constraints.moves || ways[(unsigned)_i / PLAN_COUNT].workers == 1) /* others pack anew each time, as it happens */
        ck_assert_uint_eq(fake_new(m, type_of[ARRAY], 1 + count % 40), 0); /* one more */
    fake_roots_clear(&world);
    ck_assert_uint_eq(fake_collect(&world).live_objects, 0);
    end_of_term(&world, plan_of(_i));
    ck_assert_uint_ne(fake_new(m, type_of[ARRAY], 1), 0);
    fake_world_close(&world);
}
END_TEST

/* sizes */

static uint32_t sizes[1000], size_count;

static void size_around(uint32_t bytes)
{
    for (uint32_t size = bytes - 16; size <= bytes + 16; size += 8)
        if (size >= MM_OBJECT_MIN_BYTES)
            sizes[size_count++] = size;
}

static void choose_sizes(void)
{
    size_count = 0;
    for (uint32_t size = MM_OBJECT_MIN_BYTES; size <= 3 * MM_LINE_BYTES; size += 8)
        sizes[size_count++] = size;
    for (uint32_t class = 0; class < SHM_CELL_CLASSES; class++)
        size_around(shm_cell_bytes(class) / 8 * 8);
    for (uint32_t lines = 4; lines < 64; lines += 7)
        size_around(lines * MM_LINE_BYTES);
    for (uint32_t pages = 1; pages <= 17; pages++)
        size_around(pages * MM_PAGE_BYTES);
    HOLDS(size_count < MM_ARRAY_LEN(sizes));
}

static uint8_t pattern(uint32_t object, uint32_t byte)
{
    return (uint8_t)(object * 31 + byte * 7 + byte / 256);
}

static void write_pattern(uint32_t at, uint32_t object)
{
    uint8_t *bytes = fake_at(&world, at);

    for (uint32_t k = 0; k < sizes[object] - 8; k++)
        bytes[k] = pattern(object, k);
}

static void pattern_is_whole(uint32_t at, uint32_t object)
{
    const uint8_t *bytes = fake_at(&world, at);

    HOLDS(*(uint64_t *)fake_at(&world, at - 1) == object_header(type_bytes, sizes[object] - 8));
    for (uint32_t k = 0; k < sizes[object] - 8; k++)
        HOLDS(bytes[k] == pattern(object, k));
}

/* An array holds all of them, or every other one; the holes are filled again. */
START_TEST(objects_of_each_size)
{
    choose_sizes();
    open_world(_i, 32 * MIB);
    uint32_t array = fake_new(m, type_of[ARRAY], size_count);
    fake_root(&world, 0, array);
    for (uint32_t round = 0; round < 4; round++) {
        for (uint32_t k = round % 2; k < size_count; k += round == 0 ? 1 : 2) {
            uint32_t at = fake_new(m, type_bytes, sizes[k] - 8);
            HOLDS(at != 0);
            write_pattern(at, k);
            fake_set(&world, array, 2 + k, at);
        }
        for (uint32_t look = 0; look < 2; look++) {
            if (plan_of(_i)->constraints.trace != PLAN_TRACE_NONE)
                ck_assert_uint_eq(fake_collect(&world).live_objects, 1 + size_count);
            array = fake_root_word(&world, 0, 0);
            for (uint32_t k = 0; k < size_count; k++)
                pattern_is_whole(fake_ref(&world, array, 2 + k), k);
        }
        fake_verify_clean(&world);
    }
    fake_world_close(&world);
}
END_TEST

static Suite *make_suite(void)
{
    Suite *s = suite_create("breakers");
    TCase *huge = tcase_create("huge"), *tc = tcase_create("every plan");

    tcase_set_timeout(huge, 100);
    tcase_add_loop_test(huge, a_list_of_a_million, 0, WAYS * PLAN_COUNT);
    tcase_add_loop_test(huge, a_list_of_ten_million, 0, 2);
    tcase_add_test(huge, an_array_of_a_hundred_million);
    suite_add_tcase(s, huge);
    tcase_set_timeout(tc, 60);
    tcase_add_loop_test(tc, a_deep_tree, 0, WAYS * PLAN_COUNT);
    tcase_add_loop_test(tc, spines_to_the_left_and_to_the_right, 0, WAYS * PLAN_COUNT);
    tcase_add_loop_test(tc, a_wide_tree, 0, WAYS * PLAN_COUNT);
    tcase_add_loop_test(tc, rings_and_references_to_oneself, 0, WAYS * PLAN_COUNT);
    tcase_add_loop_test(tc, objects_that_refer_to_nothing_but_themselves, 0, WAYS * PLAN_COUNT);
    tcase_add_loop_test(tc, types_with_as_many_references_as_there_may_be, 0, WAYS * PLAN_COUNT);
    tcase_add_loop_test(tc, everything_is_pinned, 0, WAYS * PLAN_COUNT);
    tcase_add_loop_test(tc, everything_is_garbage, 0, WAYS * PLAN_COUNT);
    tcase_add_loop_test(tc, a_full_heap_and_one_more, 0, WAYS * PLAN_COUNT);
    tcase_add_loop_test(tc, objects_of_each_size, 0, WAYS * PLAN_COUNT);
    suite_add_tcase(s, tc);
    return s;
}

int main(int argc, char **argv)
{
    return runner_main(argc, argv, make_suite);
}
