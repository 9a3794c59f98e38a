/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/* Cycle world: a heap under concurrentimmix or concurrentstickyimmix, one mutator, and short words for what tests of the cycle do with them. */
#include "plans/heap/state.h"
#include "plans/plan.h"
#include "plans/space/large_space.h"
#include "tests/plans/objects.h"
#include "tests/support/runner.h"

#define MIB (UINT64_C(1) << 20)
#define HEAP_BYTES (16 * MIB)
#define MANY 2000u

static const char *plan_name = "concurrentimmix";
static struct fake_world world;
static struct objects types;
static struct fake_mutator *mutator;

static inline void open_world(int loop)
{
    static const unsigned workers[] = { 1, 2, 4 };
    struct heap_config config = { .plan = plan_name, .max_bytes = HEAP_BYTES, .options.sanity = loop % 2 == 0 };

    fake_world_open_with(&world, &config, workers[loop / 2 % 3]);
    world.stops = loop == 1;
    objects_define(&types, &world);
    mutator = fake_mutator_new(&world);
}

static inline void close_world(void)
{
    ck_assert_int_eq(heap_cycle(world.heap), HEAP_CYCLE_NONE);
    fake_verify_clean(&world);
    fake_world_close(&world);
}

static inline uint32_t node(uint32_t left, uint32_t right, uint64_t value)
{
    uint32_t n = fake_new(mutator, types.node, 0);

    ck_assert_uint_ne(n, 0);
    node_set(&world, n, left, right, value);
    return n;
}

static inline uint32_t array(uint32_t length)
{
    uint32_t a = fake_new(mutator, types.refs, length);

    ck_assert_uint_ne(a, 0);
    return a;
}

/* A list of nodes that carry 0, 1, ... from the last on; its first. */
static inline uint32_t list(uint32_t length)
{
    uint32_t first = 0;

    for (uint32_t i = 0; i < length; i++)
        first = node(first, 0, i);
    return first;
}

static inline void list_is_whole(uint32_t first, uint32_t length)
{
    for (uint32_t i = length; i-- > 0; first = fake_ref(&world, first, 0)) {
        HOLDS(first != 0);
        HOLDS(node_value(&world, first) == i);
    }
    ck_assert_uint_eq(first, 0);
}

static inline uint64_t live_now(void)
{
    return fake_verify(&world).reachable_objects;
}

/* Of the whole heap, which leaves exactly what the roots reach. */
static inline void exactly(uint64_t objects)
{
    ck_assert_uint_eq(fake_collect(&world).live_objects, objects);
    ck_assert_uint_eq(live_now(), objects);
}

static inline void clear(void)
{
    heap_begin_cycle(world.heap);
    ck_assert_int_eq(heap_clear(world.heap, world.engine), 0);
}

static inline void finish(void)
{
    (void)fake_cycle_finish(&world);
    fake_verify_clean(&world);
}

static inline void roots(uint32_t exact, uint32_t ambiguous)
{
    fake_roots_clear(&world);
    if (exact != 0)
        fake_root(&world, 0, exact);
    if (ambiguous != 0)
        fake_root(&world, 1, ambiguous);
}
