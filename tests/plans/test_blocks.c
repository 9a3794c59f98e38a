/* SPDX-License-Identifier: Apache-2.0 */
/* Commit units: asked for, committed, given back; and what a limit lets be used. */
#include <string.h>

#include "plans/heap/blocks.h"
#include "plans/plan.h"
#include "tests/plans/objects.h"
#include "tests/support/runner.h"

#define MIB (UINT64_C(1) << 20)
#define UNITS 8u
#define BYTES (UNITS * MM_COMMIT_BYTES)

static _Atomic uint8_t kinds[UNITS * MM_COMMIT_BLOCKS];
static struct metadata meta = { .kinds = kinds };
static struct blocks b;

static void commit_all(void)
{
    uint64_t offset;

    while (blocks_commit_next(&b, &offset))
        blocks_commit_done(&b, offset, true);
}

static void set_up(void)
{
    for (size_t i = 0; i < MM_ARRAY_LEN(kinds); i++)
        at_store_relaxed(&kinds[i], BLOCK_UNCOMMITTED);
    blocks_init(&b, &meta, BYTES, BYTES);
    commit_all();
}

static uint32_t free_blocks(void)
{
    return b.counts[BLOCK_FREE_CLEAN] + b.counts[BLOCK_FREE_DIRTY];
}

static void use(uint32_t block)
{
    (void)blocks_take(&b, block, BLOCK_IMMIX);
}

static void counts_are_true(void)
{
    uint32_t counts[BLOCK_KINDS] = { 0 }, high = 0;

    for (uint32_t i = 0; i < b.total; i++) {
        counts[blocks_kind(&b, i)]++;
        high = blocks_kind(&b, i) > BLOCK_ASKED ? i + 1 : high;
    }
    for (unsigned kind = 0; kind < BLOCK_KINDS; kind++)
        ck_assert_uint_eq(counts[kind], b.counts[kind]);
    ck_assert_uint_le(high, b.high);
}

START_TEST(a_free_heap_goes_back_whole)
{
    uint32_t unit = UINT32_MAX;

    ck_assert_uint_eq(blocks_release_next(&b, 1, UNITS, &unit), UNITS);
    ck_assert_uint_eq(unit, 0);
    ck_assert_uint_eq(b.counts[BLOCK_ASKED], b.total);
    ck_assert_uint_eq(b.high, 0);
    blocks_release_done(&b, 0, UNITS, true);
    ck_assert_uint_eq(b.counts[BLOCK_UNCOMMITTED], b.total);
    ck_assert_uint_eq(blocks_uncommitted_bytes(&b), BYTES);
    commit_all();
    ck_assert_uint_eq(b.counts[BLOCK_FREE_CLEAN], b.total - 1);
    ck_assert_int_eq(blocks_kind(&b, b.total - 1), BLOCK_RESERVED);
    counts_are_true();
}
END_TEST

START_TEST(a_unit_with_one_block_in_use_stays)
{
    uint32_t unit = UINT32_MAX;

    use(3 * MM_COMMIT_BLOCKS + 17);
    ck_assert_uint_eq(blocks_release_next(&b, 1, UNITS, &unit), 4);
    ck_assert_uint_eq(unit, 4);
    ck_assert_uint_eq(b.high, 4 * MM_COMMIT_BLOCKS);
    ck_assert_uint_eq(blocks_release_next(&b, 1, UNITS, &unit), 3);
    ck_assert_uint_eq(unit, 0);
    ck_assert_uint_eq(blocks_release_next(&b, 1, UNITS, &unit), 0);
    ck_assert_uint_eq(free_blocks(), MM_COMMIT_BLOCKS - 1);
    counts_are_true();
}
END_TEST

START_TEST(rows_keep_to_their_bounds)
{
    uint32_t unit = UINT32_MAX;

    use(6 * MM_COMMIT_BLOCKS);
    use(3 * MM_COMMIT_BLOCKS);
    ck_assert_uint_eq(blocks_release_next(&b, 2, 2, &unit), 2); /* not 7, which is alone */
    ck_assert_uint_eq(unit, 4);
    ck_assert_uint_eq(blocks_release_next(&b, 2, 2, &unit), 2);
    ck_assert_uint_eq(unit, 1);
    ck_assert_uint_eq(blocks_release_next(&b, 2, 2, &unit), 0); /* 0 is alone, too */
    unit = UINT32_MAX;
    ck_assert_uint_eq(blocks_release_next(&b, 1, 2, &unit), 1);
    ck_assert_uint_eq(unit, 7);
    ck_assert_uint_eq(blocks_release_next(&b, 1, 2, &unit), 1);
    ck_assert_uint_eq(unit, 0);
    counts_are_true();
}
END_TEST

START_TEST(what_is_under_way_is_neither_committed_nor_granted)
{
    uint32_t unit = UINT32_MAX;
    uint64_t offset;
    bool clean;

    ck_assert_uint_eq(blocks_release_next(&b, 1, UNITS, &unit), UNITS);
    ck_assert(!blocks_commit_next(&b, &offset));
    ck_assert_uint_eq(blocks_acquire(&b, BLOCK_IMMIX, &clean), BLOCK_NONE);
    blocks_release_done(&b, 2, 1, true);
    ck_assert(blocks_commit_next(&b, &offset));
    ck_assert_uint_eq(offset, 2 * MM_COMMIT_BYTES);
    ck_assert(!blocks_commit_next(&b, &offset));
    counts_are_true();
}
END_TEST

START_TEST(what_could_not_be_given_back_is_free_as_before)
{
    uint32_t unit = UINT32_MAX;
    bool clean = true;

    use(0);
    ck_assert_uint_eq(blocks_release_next(&b, 1, UNITS, &unit), UNITS - 1);
    ck_assert_uint_eq(b.high, MM_COMMIT_BLOCKS);
    blocks_release_done(&b, 1, UNITS - 1, false);
    ck_assert_uint_eq(b.high, b.total);
    ck_assert_uint_eq(free_blocks(), b.total - 2);
    ck_assert_int_eq(blocks_kind(&b, b.total - 1), BLOCK_RESERVED);
    ck_assert_uint_eq(blocks_find_run(&b, 5 * MM_COMMIT_BLOCKS), b.total - 1 - 5 * MM_COMMIT_BLOCKS);
    for (uint32_t i = 1; i < MM_COMMIT_BLOCKS; i++)
        ck_assert_uint_eq(blocks_acquire(&b, BLOCK_IMMIX, &clean), i);
    ck_assert(clean);
    ck_assert_uint_eq(blocks_acquire(&b, BLOCK_IMMIX, &clean), MM_COMMIT_BLOCKS);
    ck_assert(!clean); /* nobody knows what became of it */
    counts_are_true();
}
END_TEST

START_TEST(searches_go_on_below_a_lower_end)
{
    uint32_t unit = UINT32_MAX;

    ck_assert_uint_eq(blocks_find_run(&b, 4), b.total - 5);
    ck_assert_uint_eq(blocks_release_next(&b, 1, 6, &unit), 6);
    ck_assert_uint_eq(blocks_find_run(&b, 4), 2 * MM_COMMIT_BLOCKS - 4);
    blocks_release_done(&b, 2, 6, true);
    commit_all();
    ck_assert_uint_eq(b.high, b.total);
    ck_assert_uint_eq(blocks_find_run(&b, 4), b.total - 5);
    counts_are_true();
}
END_TEST

START_TEST(a_lower_limit_is_an_excess_until_it_is_given_back)
{
    uint32_t unit = UINT32_MAX;
    uint64_t offset;

    blocks_set_limit(&b, 5 * MM_COMMIT_BYTES - 1);
    ck_assert_uint_eq(blocks_excess_bytes(&b), 3 * MM_COMMIT_BYTES);
    ck_assert_uint_eq(blocks_uncommitted_bytes(&b), 0);
    ck_assert_uint_eq(blocks_release_next(&b, 1, 4, &unit), 4);
    ck_assert_uint_eq(blocks_excess_bytes(&b), 3 * MM_COMMIT_BYTES); /* it is not back yet */
    blocks_release_done(&b, unit, 4, true);
    ck_assert_uint_eq(blocks_excess_bytes(&b), 0);
    ck_assert(blocks_commit_next(&b, &offset));
    ck_assert(!blocks_commit_next(&b, &offset));
    blocks_set_limit(&b, UINT64_MAX);
    ck_assert_uint_eq(blocks_uncommitted_bytes(&b), 3 * MM_COMMIT_BYTES);
    counts_are_true();
}
END_TEST

/* ---- under every plan ---- */

static struct fake_world world;
static struct objects types;

/* Fills the heap; what it could take, in bytes of objects. */
static uint64_t fill(struct fake_mutator *m)
{
    uint64_t bytes = 0;

    while (fake_new(m, types.bytes, 3000) != 0)
        bytes += 3000;
    return bytes;
}

START_TEST(nothing_is_granted_above_a_lowered_limit)
{
    struct heap_config config = { .plan = plans[_i]->name, .max_bytes = 32 * MIB };

    fake_world_open_with(&world, &config, 1);
    objects_define(&types, &world);
    struct fake_mutator *m = fake_mutator_new(&world);
    heap_set_limit(world.heap, 8 * MIB);
    ck_assert_uint_eq(heap_excess_bytes(world.heap), 24 * MIB);
    fill(m);
    ck_assert_uint_gt(heap_used_bytes(world.heap), 0);
    ck_assert_uint_le(heap_used_bytes(world.heap), 8 * MIB);
    uint64_t used = heap_used_bytes(world.heap);
    heap_set_limit(world.heap, 4 * MIB);
    ck_assert_uint_eq(fill(m), 0);
    ck_assert_uint_eq(heap_used_bytes(world.heap), used);
    heap_set_limit(world.heap, 32 * MIB);
    ck_assert_uint_gt(fill(m), 0);
    fake_verify_clean(&world);
    fake_world_close(&world);
}
END_TEST

/* All that is free goes and comes back, again and again; what lives is none the worse. */
START_TEST(a_heap_lives_on_what_comes_and_goes)
{
    struct heap_config config = { .plan = plans[_i]->name, .max_bytes = 32 * MIB };

    fake_world_open_with(&world, &config, 2);
    objects_define(&types, &world);
    struct fake_mutator *m = fake_mutator_new(&world);
    uint32_t node = fake_new(m, types.node, 0);
    fake_root(&world, 0, node);
    for (int round = 0; round < 5; round++) {
        uint64_t at = UINT64_MAX, bytes, given = 0, offset;
        for (int i = 0; i < 1500; i++)
            fake_set(&world, fake_new(m, types.refs, 100), 0, fake_root_word(&world, 0, 0));
        if (heap_plan_collects(world.heap))
            fake_collect(&world);
        for (; (bytes = heap_release_next(world.heap, MM_COMMIT_BYTES, 4 * MIB, &at)) > 0; given += bytes) {
            memset(world.base + at, 0, bytes); /* as a hole reads */
            heap_release_done(world.heap, at, bytes, true);
        }
        ck_assert_uint_ge(given, 16 * MIB);
        ck_assert_uint_eq(heap_uncommitted_bytes(world.heap), given);
        fake_verify_clean(&world);
        while (heap_commit_next(world.heap, &offset))
            heap_commit_done(world.heap, offset, true);
    }
    fake_world_close(&world);
}
END_TEST

static Suite *blocks_suite(void)
{
    Suite *suite = suite_create("blocks");
    TCase *units = tcase_create("units"), *heaps = tcase_create("heaps");

    tcase_add_checked_fixture(units, set_up, NULL);
    tcase_add_test(units, a_free_heap_goes_back_whole);
    tcase_add_test(units, a_unit_with_one_block_in_use_stays);
    tcase_add_test(units, rows_keep_to_their_bounds);
    tcase_add_test(units, what_is_under_way_is_neither_committed_nor_granted);
    tcase_add_test(units, what_could_not_be_given_back_is_free_as_before);
    tcase_add_test(units, searches_go_on_below_a_lower_end);
    tcase_add_test(units, a_lower_limit_is_an_excess_until_it_is_given_back);
    suite_add_tcase(suite, units);
    tcase_add_loop_test(heaps, nothing_is_granted_above_a_lowered_limit, 0, PLAN_COUNT);
    tcase_add_loop_test(heaps, a_heap_lives_on_what_comes_and_goes, 0, PLAN_COUNT);
    suite_add_tcase(suite, heaps);
    return suite;
}

int main(int argc, char **argv)
{
    return runner_main(argc, argv, blocks_suite);
}
