/* SPDX-License-Identifier: Apache-2.0 */
/* A snapshot is the heap as it is: each object, each byte, each root; and taking it changes nothing. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "plans/heap/resolve.h"
#include "plans/heap/snapshot.h"
#include "plans/heap/state.h"
#include "plans/plan.h"
#include "tests/plans/objects.h"
#include "tests/support/runner.h"

#define MIB (UINT64_C(1) << 20)
#define NODES 1000u

static struct fake_world world;
static struct objects types;
static uint32_t nodes[NODES], large, told;
static struct heap_snapshot copy;

static void on_root(void *context, size_t row, uint32_t index, uint32_t word, uint32_t object)
{
    (void)context;
    (void)index;
    ck_assert_uint_eq(object, row == 0 ? word : word - 1); /* the ambiguous ones are a granule off */
    told++;
}

/* Half of it has survived a collection, if the plan has some; a large object; roots of both kinds. */
static void open_world(int plan)
{
    fake_world_open(&world, plans[plan]->name, 16 * MIB, 2);
    objects_define(&types, &world);
    struct fake_mutator *m = fake_mutator_new(&world);
    large = fake_new(m, types.refs, 20000);
    for (uint32_t i = 0; i < NODES; i++)
        nodes[i] = fake_new(m, types.node, 0);
    for (uint32_t i = 0; i < NODES; i++)
        node_set(&world, nodes[i], i == 0 ? 0 : nodes[i - 1], 0, i);
    fake_roots_clear(&world);
    fake_root(&world, 0, nodes[NODES - 1]);
    fake_root(&world, 0, large);
    fake_root(&world, 1, nodes[7] + 1);
}

static int take(uint64_t capacity)
{
    struct heap_stop stop = fake_stop(&world);

    told = 0;
    free(copy.base);
    copy = (struct heap_snapshot){ .capacity = capacity, .begin = MM_PAGE_BYTES, .root = on_root };
    copy.base = aligned_alloc(MM_PAGE_BYTES, mm_align_up(MM_MAX(capacity, (uint64_t)MM_PAGE_BYTES), MM_PAGE_BYTES));
    ck_assert_ptr_nonnull(copy.base);
    memset(copy.base, 0x55, capacity);
    return heap_snapshot_stw(world.heap, world.engine, &stop, &copy);
}

static void close_world(void)
{
    free(copy.base);
    copy.base = NULL;
    fake_world_close(&world);
}

static const void *rows_of(enum shm_snapshot_section section)
{
    return copy.base + copy.sections[section].offset;
}

static uint64_t objects_copied(void)
{
    const uint64_t *bits = rows_of(SHM_SNAPSHOT_OBJECTS);
    uint64_t count = 0;

    for (uint64_t i = 0; i < copy.sections[SHM_SNAPSHOT_OBJECTS].count * (SHM_SNAPSHOT_BITS / 8); i++)
        count += (uint64_t)__builtin_popcountll(bits[i]);
    return count;
}

START_TEST(each_object_byte_and_root_is_in_it)
{
    open_world(_i);
    ck_assert_int_eq(take(heap_snapshot_bytes(world.heap) + MM_PAGE_BYTES), 0);
    ck_assert_uint_le(copy.needed, copy.capacity);
    ck_assert_uint_eq(objects_copied(), NODES + 1);
    ck_assert_uint_eq(told, 3);
    const struct shm_snapshot_block *blocks = rows_of(SHM_SNAPSHOT_BLOCKS);
    const char *bytes = rows_of(SHM_SNAPSHOT_BYTES);
    uint32_t slot = 0;
    for (uint64_t i = 0; i < copy.sections[SHM_SNAPSHOT_BLOCKS].count; i++) {
        ck_assert(i == 0 || blocks[i].block > blocks[i - 1].block);
        if (blocks[i].slot == 0)
            continue;
        ck_assert_uint_eq(blocks[i].slot, ++slot);
        ck_assert_int_eq(memcmp(bytes + (size_t)(slot - 1) * MM_BLOCK_BYTES, world.base + (size_t)blocks[i].block * MM_BLOCK_BYTES, MM_BLOCK_BYTES), 0);
    }
    ck_assert_uint_eq(slot, copy.sections[SHM_SNAPSHOT_BYTES].count);
    const struct shm_snapshot_type *rows = rows_of(SHM_SNAPSHOT_TYPES);
    ck_assert_uint_eq(copy.sections[SHM_SNAPSHOT_TYPES].count, heap_type_count(world.heap));
    ck_assert_str_eq(rows[types.node - 1].row.name, heap_type_row(world.heap, types.node)->name);
    close_world();
}
END_TEST

START_TEST(it_changes_nothing_and_a_collection_after_it_finds_all)
{
    open_world(_i);
    fake_verify_clean(&world); /* opens G, which writes down how far the mutator is */
    size_t bytes = heap_metadata_bytes(world.heap), marks = 16 * MIB / 64;
    char *before = malloc(bytes), *now = shm_segment_address(world.private);
    size_t scratch = (size_t)((char *)heap_marks(world.heap) - now);
    memcpy(before, now, bytes);
    ck_assert_int_eq(take(heap_snapshot_bytes(world.heap) + MM_PAGE_BYTES), 0);
    ck_assert_int_eq(memcmp(before, now, scratch), 0);
    ck_assert_int_eq(memcmp(before + scratch + marks, now + scratch + marks, bytes - scratch - marks), 0);
    free(before);
    if (plans[_i]->constraints.trace != PLAN_TRACE_NONE) {
        fake_roots_clear(&world);
        fake_root(&world, 0, nodes[NODES - 1]);
        fake_collect(&world);
        ck_assert_uint_ge(world.heap->live_objects, NODES);
        ck_assert_int_eq(take(heap_snapshot_bytes(world.heap) + MM_PAGE_BYTES), 0);
        ck_assert_uint_ge(objects_copied(), NODES);
    }
    fake_verify_clean(&world);
    close_world();
}
END_TEST

START_TEST(what_does_not_fit_is_said_and_not_begun)
{
    open_world(_i);
    uint64_t needed = heap_snapshot_bytes(world.heap) + MM_PAGE_BYTES;
    for (uint64_t capacity = MM_PAGE_BYTES; capacity < needed; capacity += needed / 7) {
        ck_assert_int_eq(take(capacity), -ENOSPC);
        ck_assert_uint_gt(copy.needed, capacity);
        ck_assert_int_eq(memcmp(copy.base, copy.base + 1, capacity - 1), 0); /* all of it as it was */
        ck_assert_int_eq(copy.base[0], 0x55);
        ck_assert_uint_eq(told, 0);
    }
    close_world();
}
END_TEST

static Suite *snapshot_suite(void)
{
    Suite *suite = suite_create("snapshot");
    TCase *tc = tcase_create("snapshot");

    tcase_set_timeout(tc, 30);
    tcase_add_loop_test(tc, each_object_byte_and_root_is_in_it, 0, PLAN_COUNT);
    tcase_add_loop_test(tc, it_changes_nothing_and_a_collection_after_it_finds_all, 0, PLAN_COUNT);
    tcase_add_loop_test(tc, what_does_not_fit_is_said_and_not_begun, 0, PLAN_COUNT);
    suite_add_tcase(suite, tc);
    return suite;
}

int main(int argc, char **argv)
{
    return runner_main(argc, argv, snapshot_suite);
}
