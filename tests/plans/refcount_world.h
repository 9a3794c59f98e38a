/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/* Refcount world: a heap under lxr, one mutator, and short words for what tests of counting do with them. */
#include "tests/plans/counts.h"

#define MIB (UINT64_C(1) << 20)

static struct fake_world world;
static struct fake_mutator *m;
static struct objects types;

/* By loop index: with the second trace after each pause, or not; one worker, or two. */
static inline void open_world(int i)
{
    struct heap_config config = { .plan = "lxr", .max_bytes = 32 * MIB, .options.sanity = i % 2 == 1 };

    fake_world_open_with(&world, &config, 1 + (unsigned)i / 2);
    objects_define(&types, &world);
    m = fake_mutator_new(&world);
}
#define WAYS 4

static inline struct heap_collection pause_only(void)
{
    struct heap_collection c = fake_collect_young(&world);

    ck_assert_int_eq(c.kind, HEAP_PAUSE_REFCOUNT);
    counts_are_exact(world.heap, true);
    return c;
}

/* A pause and all that follows from it: how many old objects there are then. */
static inline uint64_t settle(void)
{
    (void)pause_only();
    (void)counts_finish(&world);
    counts_are_exact(world.heap, true);
    return world.heap->live_objects;
}

static inline uint64_t trace(void)
{
    counts_begin_trace(&world);
    counts_mark(&world);
    counts_end_trace(&world);
    counts_are_exact(world.heap, true);
    return world.heap->live_objects;
}

static inline uint32_t root(unsigned i)
{
    return fake_root_word(&world, 0, i);
}

static inline uint32_t count_of(uint32_t granule)
{
    return at_load_relaxed(refcount_of(world.heap, granule)) & REFCOUNT_STUCK;
}

static inline uint32_t make_list(uint32_t count)
{
    uint32_t head = 0;

    for (uint32_t i = 0; i < count; i++) {
        uint32_t node = fake_new(m, types.node, 0);
        ck_assert_uint_ne(node, 0);
        node_set(&world, node, head, 0, i);
        head = node;
    }
    return head;
}

static inline uint32_t list_length(uint32_t head)
{
    uint32_t length = 0;

    for (; head != 0; head = fake_ref(&world, head, 0))
        length++;
    return length;
}

/* An array of @length that is old, and rooted. */
static inline uint32_t old_array(uint32_t length)
{
    fake_root(&world, 0, fake_new(m, types.refs, length));
    (void)settle();
    return root(0);
}
