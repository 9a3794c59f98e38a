/* SPDX-License-Identifier: Apache-2.0 */
/* Sanity has nothing to say of collections that went well, whatever clients had written before, and finds each
 * thing that goes wrong between a collection and its second look. */
#include <string.h>

#include "plans/heap/bitmap.h"
#include "plans/heap/sanity.h"
#include "plans/heap/state.h"
#include "plans/schedule.h"
#include "tests/plans/objects.h"
#include "tests/support/runner.h"

#define MIB (UINT64_C(1) << 20)
#define HEAP_BYTES (64 * MIB) /* where each object takes a page, too */
#define OBJECTS (chain + (chain + 2) / 3 + 4)    /* that live; as many more as the chain is long do not */

static struct fake_world world;
static struct objects types;
static struct fake_mutator *m;
static uint32_t chain;                           /* nodes: fewer where each small object takes a page */
static uint32_t pinned;                          /* an object that only an ambiguous word keeps */
enum { ROOT_CHAIN, ROOT_LARGE, ROOT_IMMORTAL };  /* words of row 0 */

/* A chain of nodes, every third with a wide object beside it; garbage in between; an object of each other space. */
static void fill(void)
{
    uint32_t newest = 0;

    for (uint32_t i = 0; i < chain; i++) {
        uint32_t node = fake_new(m, types.node, 0), side = i % 3 == 0 ? fake_new(m, types.wide, 0) : 0;
        node_set(&world, node, newest, side, i);
        if (side != 0)
            fake_set(&world, side, 99, node);
        newest = node;
        HOLDS(fake_new(m, types.bytes, i % 100) != 0);
    }
    pinned = fake_new(m, types.node, 0);
    uint32_t large = fake_new(m, types.refs, 20000), immortal = fake_new_in(m, SHM_GRANT_IMMORTAL, types.node, 0),
             nonmoving = fake_new_in(m, SHM_GRANT_NONMOVING, types.pairs, 10);
    fake_set(&world, large, 19999, newest);
    node_set(&world, immortal, nonmoving, 0, 0);
    node_set(&world, pinned, large, 0, 0);
    fake_roots_clear(&world);
    fake_root(&world, 0, newest);
    fake_root(&world, 0, large);
    fake_root(&world, 0, immortal);
    fake_root(&world, 1, pinned + 1);
}

static void open_world(const struct plan *plan, unsigned workers)
{
    chain = plan->constraints.allocator == SHM_ALLOCATOR_PAGES ? 300 : 2000;
    fake_world_open(&world, plan->name, HEAP_BYTES, workers);
    objects_define(&types, &world);
    m = fake_mutator_new(&world);
    fill();
}

static const struct plan *plan_of(int i)
{
    return plans[i % PLAN_COUNT];
}

static bool collects(int i)
{
    return plan_of(i)->constraints.trace != PLAN_TRACE_NONE;
}

/* The @n-th node of the chain from its root, where it is now. */
static uint32_t nth(uint32_t n)
{
    uint32_t at = fake_root_word(&world, 0, ROOT_CHAIN);

    while (n-- > 0)
        at = fake_ref(&world, at, 0);
    return at;
}

/* A collection whose second look comes after @meanwhile. */
static struct heap_collection collect_around(void (*meanwhile)(struct heap_collection *c))
{
    struct heap_stop stop = fake_stop(&world);
    struct heap_collection c = { 0 };
    struct sanity *s = sanity_begin_stw(world.heap, &stop);

    stop.whole = true;
    HOLDS(s != NULL);
    HOLDS(schedule_collect_stw(world.heap, world.engine, &stop, &c) == 0);
    meanwhile(&c);
    sanity_end_stw(s, &stop, &c);
    HOLDS(c.sanity_ran);
    return c;
}

static void nothing(struct heap_collection *c)
{
    (void)c;
}

START_TEST(collections_that_go_well_are_sane)
{
    if (!collects(_i))
        return;
    open_world(plan_of(_i), 1 + (unsigned)_i / PLAN_COUNT);
    for (int i = 0; i < 4; i++) {
        struct heap_collection c = fake_collect(&world); /* asserts that there is no fault */
        ck_assert(c.sanity_ran);
        ck_assert_uint_eq(c.live_objects, OBJECTS + 4 * i); /* what was immortal stays, with what it refers to */
        fill();
        c = collect_around(nothing);
        ck_assert_uint_eq(c.sanity_faults, 0);
        fill();
    }
    fake_world_close(&world);
}
END_TEST

START_TEST(who_does_not_ask_is_not_looked_at)
{
    struct heap_config config = { .plan = "immix", .max_bytes = HEAP_BYTES };

    fake_world_open_with(&world, &config, 1);
    ck_assert(!fake_collect(&world).sanity_ran);
    fake_world_close(&world);
}
END_TEST

/* What may go wrong, and how it is called. */

static void an_object_is_forgotten(struct heap_collection *c)
{
    (void)c;
    bitmap_clear(heap_vo(world.heap), nth(4));
}
static void a_pinned_object_is_forgotten(struct heap_collection *c)
{
    (void)c;
    bitmap_clear(heap_vo(world.heap), pinned);
}
static void a_reference_is_lost(struct heap_collection *c)
{
    (void)c;
    fake_set(&world, nth(chain - 2), 0, 0);
}
static void a_reference_leads_elsewhere(struct heap_collection *c)
{
    (void)c;
    fake_set(&world, nth(chain - 1), 0, nth(10));
}
static void two_references_are_swapped(struct heap_collection *c)
{
    uint32_t node = nth(2);
    (void)c;
    node_set(&world, node, fake_ref(&world, node, 1), fake_ref(&world, node, 0), 0);
}
static void a_reference_leads_nowhere(struct heap_collection *c)
{
    (void)c;
    fake_set(&world, nth(3), 1, HEAP_BYTES / MM_GRANULE_BYTES - 1);
}
static void a_header_is_lost(struct heap_collection *c)
{
    (void)c;
    *(uint64_t *)fake_at(&world, nth(5) - 1) = object_header(OBJECT_TYPE_MAX, 0);
}
static void a_header_is_still_that_of_a_moved_object(struct heap_collection *c)
{
    (void)c;
    *(uint64_t *)fake_at(&world, nth(5) - 1) = object_header_moved(nth(6));
}
static void a_type_changes(struct heap_collection *c)
{
    (void)c;
    *(uint64_t *)fake_at(&world, nth(5) - 1) = object_header(types.refs, 2);
}
static void the_count_is_wrong(struct heap_collection *c)
{
    c->live_objects--;
}
static void the_bytes_are_wrong(struct heap_collection *c)
{
    c->live_bytes += 8;
}
static void a_pages_record_is_wrong(struct heap_collection *c)
{
    (void)c;
    world.heap->meta.free_pages[fake_root_word(&world, 0, ROOT_LARGE) / MM_BLOCK_GRANULES] |= 4;
}

static const struct {
    void (*what)(struct heap_collection *c);
    enum heap_fault fault;
} wrongs[] = {
    { an_object_is_forgotten, HEAP_FAULT_DANGLING_REF },
    { a_pinned_object_is_forgotten, HEAP_FAULT_DANGLING_REF },
    { a_reference_is_lost, HEAP_FAULT_UNREACHED },
    { a_reference_leads_elsewhere, HEAP_FAULT_GRAPH },
    { two_references_are_swapped, HEAP_FAULT_GRAPH },
    { a_reference_leads_nowhere, HEAP_FAULT_DANGLING_REF },
    { a_header_is_lost, HEAP_FAULT_BAD_HEADER },
    { a_header_is_still_that_of_a_moved_object, HEAP_FAULT_BAD_HEADER },
    { a_type_changes, HEAP_FAULT_COUNT },
    { the_count_is_wrong, HEAP_FAULT_COUNT },
    { the_bytes_are_wrong, HEAP_FAULT_COUNT },
    { a_pages_record_is_wrong, HEAP_FAULT_BLOCK },
};

START_TEST(what_goes_wrong_is_found_and_named)
{
    const unsigned wrong = (unsigned)_i / PLAN_COUNT;

    if (!collects(_i))
        return;
    open_world(plan_of(_i), 2);
    ck_assert_uint_eq(collect_around(nothing).sanity_faults, 0);
    struct heap_collection c = collect_around(wrongs[wrong].what);
    ck_assert_uint_ge(c.sanity_faults, 1);
    if (c.sanity_first != HEAP_FAULT_BLOCK) /* a block that counts its objects sees it first */
        ck_assert_str_eq(heap_fault_sentence(c.sanity_first), heap_fault_sentence(wrongs[wrong].fault));
    fake_world_close(&world);
}
END_TEST

START_TEST(a_survivor_nobody_refers_to_is_found)
{
    if (!collects(_i))
        return;
    open_world(plan_of(_i), 2);
    struct heap_stop stop = fake_stop(&world);
    struct heap_collection c = { 0 };
    uint32_t lost = fake_new(m, types.node, 0);
    struct sanity *s = sanity_begin_stw(world.heap, &stop); /* sees no root to it */
    fake_root(&world, 2, lost);
    stop = fake_stop(&world);
    stop.whole = true;
    ck_assert_int_eq(schedule_collect_stw(world.heap, world.engine, &stop, &c), 0);
    sanity_end_stw(s, &stop, &c);
    ck_assert_uint_ge(c.sanity_faults, 1);
    ck_assert_str_eq(heap_fault_sentence(c.sanity_first), heap_fault_sentence(HEAP_FAULT_UNREACHED));
    ck_assert_uint_eq(c.sanity_object, lost);
    fake_world_close(&world);
}
END_TEST

static void a_handle_is_dropped(struct heap_collection *c)
{
    (void)c;
    at_store_relaxed(&world.rows[0][ROOT_CHAIN], 0);
}

START_TEST(a_handle_may_be_dropped_meanwhile)
{
    if (!collects(_i))
        return;
    open_world(plan_of(_i), 2);
    ck_assert_uint_eq(collect_around(a_handle_is_dropped).sanity_faults, 0);
    fake_world_close(&world);
}
END_TEST

/* Lies, told before the collection. */

static void forged_references(void)
{
    const uint32_t forged[] = { UINT32_MAX, HEAP_BYTES / 8, HEAP_BYTES / 8 - 1, 9 * MIB / 8, 3 };

    for (uint32_t i = 0; i < MM_ARRAY_LEN(forged); i++)
        fake_set(&world, nth(30 + i), 1, forged[i]);
    fake_root(&world, 0, 12 * MIB / 8);
}
static void bad_headers(void)
{
    *(uint64_t *)fake_at(&world, nth(9) - 1) = object_header(types.bytes, MM_BLOCK_BYTES);
    *(uint64_t *)fake_at(&world, nth(6) - 1) = 0;
}
static void references_into_objects(void)
{
    fake_set(&world, nth(9), 1, nth(40) - 1);
    fake_set(&world, nth(7), 1, nth(60) + 1);
}
static void references_beyond_a_cursor(void)
{
    for (uint32_t class = 0; class < SHM_GRANT_CLASSES; class++)
        if (class != SHM_GRANT_LARGE && m->bumps[class].cursor != NULL)
            for (uint32_t ahead = 1; ahead < 200; ahead += 3)
                fake_root(&world, 0, fake_granule(&world, m->bumps[class].cursor) + ahead);
}
static void overlapping_arrays(void)
{
    uint32_t refs = fake_new(m, types.refs, 5000), array = fake_new(m, types.refs, 4000);

    for (uint32_t k = 0; k < 1900; k++) {
        ((uint64_t *)fake_at(&world, array))[k] = object_header(types.refs, 3900);
        fake_set(&world, refs, k, array + 1 + k);
    }
    fake_root(&world, 0, refs);
}

static void (*const lies[])(void) = { forged_references, bad_headers, references_into_objects,
                                      references_beyond_a_cursor, overlapping_arrays };

START_TEST(lies_alone_are_no_faults)
{
    if (!collects(_i))
        return;
    open_world(plan_of(_i), 2);
    for (int i = 0; i < 2; i++) {
        fill();
        lies[_i / PLAN_COUNT]();
        for (int k = 0; k < 3; k++)
            ck_assert_uint_eq(collect_around(nothing).sanity_faults, 0);
    }
    fake_world_close(&world);
}
END_TEST

START_TEST(lies_hide_nothing_where_nothing_moves)
{
    if (!collects(_i) || plan_of(_i)->constraints.moves)
        return;
    open_world(plan_of(_i), 2);
    lies[_i / PLAN_COUNT]();
    struct heap_collection c = collect_around(an_object_is_forgotten);
    ck_assert_uint_ge(c.sanity_faults, 1);
    ck_assert_uint_gt(c.forged_refs, 0);
    fake_world_close(&world);
}
END_TEST

START_TEST(verify_tells_what_is_reachable)
{
    if (!collects(_i))
        return; /* then everything is immortal */
    open_world(plan_of(_i), 2);
    struct heap_verdict v = fake_verify(&world);
    ck_assert_uint_eq(v.faults, 0);
    ck_assert_uint_eq(v.reachable_objects, OBJECTS);
    ck_assert_uint_eq(v.objects, v.reachable_objects + chain);
    ck_assert_uint_eq(v.reachable_bytes,
                      (chain + 2) * NODE_BYTES + (chain + 2) / 3 * 408 + 8 + 80000 + 8 + 8 + 80);
    fake_roots_clear(&world);
    ck_assert_uint_eq(fake_verify(&world).reachable_objects, 2);
    fake_world_close(&world);
}
END_TEST

static Suite *make_suite(void)
{
    Suite *s = suite_create("sanity");
    TCase *tc = tcase_create("sanity");

    tcase_add_loop_test(tc, collections_that_go_well_are_sane, 0, 2 * PLAN_COUNT);
    tcase_add_test(tc, who_does_not_ask_is_not_looked_at);
    tcase_add_loop_test(tc, what_goes_wrong_is_found_and_named, 0, (int)MM_ARRAY_LEN(wrongs) * PLAN_COUNT);
    tcase_add_loop_test(tc, a_survivor_nobody_refers_to_is_found, 0, PLAN_COUNT);
    tcase_add_loop_test(tc, a_handle_may_be_dropped_meanwhile, 0, PLAN_COUNT);
    tcase_add_loop_test(tc, lies_alone_are_no_faults, 0, (int)MM_ARRAY_LEN(lies) * PLAN_COUNT);
    tcase_add_loop_test(tc, lies_hide_nothing_where_nothing_moves, 0, 2 * PLAN_COUNT);
    tcase_add_loop_test(tc, verify_tells_what_is_reachable, 0, PLAN_COUNT);
    suite_add_tcase(s, tc);
    return s;
}

int main(int argc, char **argv)
{
    return runner_main(argc, argv, make_suite);
}
