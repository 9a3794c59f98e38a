/* SPDX-License-Identifier: Apache-2.0 */
/* Verify finds what is planted, says where, and changes nothing; the histogram counts exactly. */
#include <stdlib.h>
#include <string.h>

#include "plans/heap/state.h"
#include "tests/plans/objects.h"
#include "tests/support/runner.h"

#define MIB (UINT64_C(1) << 20)

static struct fake_world world;
static struct objects types;
static struct fake_mutator *m;
static uint32_t nodes[1000], large;

/* A list of nodes, of which the first 500 have survived a collection, and a large array. */
static void open_world(void)
{
    fake_world_open(&world, "immix", 16 * MIB, 2);
    objects_define(&types, &world);
    m = fake_mutator_new(&world);
    for (uint32_t i = 0; i < 1000; i++) {
        nodes[i] = fake_new(m, types.node, 0);
        node_set(&world, nodes[i], i == 0 ? 0 : nodes[i - 1], 0, i);
        if (i == 500) {
            fake_roots_clear(&world);
            fake_root(&world, 0, nodes[i]);
            fake_collect(&world);
        }
    }
    large = fake_new(m, types.refs, 20000);
    fake_roots_clear(&world);
    fake_root(&world, 0, nodes[999]);
    fake_root(&world, 0, large);
    fake_verify_clean(&world);
}

static void finds(enum heap_fault fault, uint32_t object, uint32_t ref)
{
    struct heap_verdict v = fake_verify(&world);
    ck_assert_uint_ge(v.faults, 1);
    ck_assert_str_eq(heap_fault_sentence(v.rows[0].fault), heap_fault_sentence(fault));
    ck_assert_uint_eq(v.rows[0].object, object);
    ck_assert_uint_eq(v.rows[0].ref, ref);
}

static uint64_t *header_of(uint32_t granule)
{
    return fake_at(&world, granule - 1);
}

static const uint32_t survivors_and_fresh[] = { 100, 900 };

START_TEST(of_many_faults_those_at_the_lowest_addresses_are_kept)
{
    open_world();
    for (uint32_t i = 500; i > 460; i--)
        node_set(&world, nodes[i], nodes[i] + 1, 0, i);
    struct heap_verdict v = fake_verify(&world);
    ck_assert_uint_eq(v.faults, 40);
    ck_assert_uint_eq(v.root_faults, 0);
    ck_assert_uint_eq(v.row_count, HEAP_FAULT_ROWS);
    for (uint32_t i = 0; i < v.row_count; i++) {
        ck_assert_uint_eq(v.rows[i].ref, v.rows[i].object + 1);
        ck_assert_uint_eq(v.rows[i].header, *header_of(v.rows[i].object));
        ck_assert(i == 0 || v.rows[i - 1].object < v.rows[i].object);
    }
    uint32_t below = 0;
    for (uint32_t i = 461; i <= 500; i++)
        below += nodes[i] <= v.rows[HEAP_FAULT_ROWS - 1].object;
    ck_assert_uint_eq(below, HEAP_FAULT_ROWS);
    fake_world_close(&world);
}
END_TEST

START_TEST(a_clean_heap_is_counted)
{
    open_world();
    struct heap_verdict v = fake_verify(&world);
    ck_assert_uint_eq(v.objects, 1001);
    ck_assert_uint_eq(v.references, 999);
    ck_assert_uint_eq(v.faults, 0);
    fake_world_close(&world);
}
END_TEST

START_TEST(a_bad_header_is_found)
{
    open_world();
    uint32_t victim = nodes[survivors_and_fresh[_i]];
    uint64_t good = *header_of(victim);
    const uint64_t bad[] = { 12345, OBJECT_TYPE_MAX, good | 1u << 24,
                             object_header(types.refs, UINT32_MAX), object_header(types.bytes, 40000) };
    for (size_t i = 0; i < MM_ARRAY_LEN(bad); i++) {
        *header_of(victim) = bad[i];
        finds(HEAP_FAULT_BAD_HEADER, victim, 0);
        *header_of(victim) = good;
        fake_verify_clean(&world);
    }
    *header_of(large) = object_header(types.refs, 1 << 20);
    finds(HEAP_FAULT_BAD_HEADER, large, 0);
    fake_world_close(&world);
}
END_TEST

START_TEST(a_dangling_reference_is_found)
{
    open_world();
    uint32_t victim = nodes[survivors_and_fresh[_i]];
    const uint32_t wild[] = { UINT32_MAX, 16 * MIB / 8 - 1, nodes[50] + 1,           nodes[950] - 1,
                              large + 1,  large - 1,        large + MM_PAGE_GRANULES };
    for (size_t i = 0; i < MM_ARRAY_LEN(wild); i++) {
        fake_set(&world, victim, 1, wild[i]);
        finds(HEAP_FAULT_DANGLING_REF, victim, wild[i]);
        fake_set(&world, victim, 1, 0);
        fake_set(&world, large, 19999, wild[i]);
        finds(HEAP_FAULT_DANGLING_REF, large, wild[i]);
        fake_set(&world, large, 19999, 0);
    }
    fake_verify_clean(&world);
    fake_world_close(&world);
}
END_TEST

START_TEST(an_overlap_is_found)
{
    open_world();
    *header_of(nodes[200]) = object_header(types.bytes, 30); /* a survivor that has grown into the next */
    finds(HEAP_FAULT_OVERLAP, nodes[200], nodes[201]);
    fake_world_close(&world);
}
END_TEST

START_TEST(a_lost_line_mark_is_found)
{
    open_world();
    uint32_t victim = nodes[100], line = victim / MM_LINE_GRANULES;
    world.heap->meta.lines[line] = 0;
    struct heap_verdict v = fake_verify(&world);
    ck_assert_uint_ge(v.faults, 2); /* the block's count disagrees, too */
    ck_assert(v.rows[0].fault == HEAP_FAULT_LINE_MARK);
    world.heap->meta.lines[line] = 1;
    fake_verify_clean(&world);
    fake_world_close(&world);
}
END_TEST

START_TEST(a_wrong_block_record_is_found)
{
    open_world();
    _Atomic uint8_t *const records[] = { &world.heap->meta.free_lines[nodes[0] / MM_BLOCK_GRANULES],
                                         &world.heap->meta.free_pages[large / MM_BLOCK_GRANULES],
                                         &world.heap->meta.run_starts[large / MM_BLOCK_GRANULES + 1] };
    for (size_t i = 0; i < MM_ARRAY_LEN(records); i++) {
        *records[i] ^= 4;
        struct heap_verdict v = fake_verify(&world);
        ck_assert_uint_ge(v.faults, 1);
        ck_assert_str_eq(heap_fault_sentence(v.rows[0].fault), heap_fault_sentence(HEAP_FAULT_BLOCK));
        *records[i] ^= 4;
        fake_verify_clean(&world);
    }
    fake_world_close(&world);
}
END_TEST

START_TEST(an_exact_root_to_nothing_is_found)
{
    open_world();
    fake_root(&world, 0, nodes[3] + 1);
    finds(HEAP_FAULT_ROOT, nodes[3] + 1, nodes[3] + 1);
    fake_world_close(&world);
}
END_TEST

START_TEST(looking_changes_nothing)
{
    open_world();
    struct heap_stop stop = fake_stop(&world);
    struct heap_histogram_row rows[16];
    size_t bytes = heap_metadata_bytes(world.heap), marks = 16 * MIB / 64;
    char *before = malloc(bytes), *now = shm_segment_address(world.private);
    memcpy(before, now, bytes);
    for (int i = 0; i < 3; i++) {
        fake_verify_clean(&world);
        ck_assert_int_eq(heap_histogram_stw(world.heap, world.engine, &stop, rows), 0);
        size_t scratch = (size_t)((char *)heap_marks(world.heap) - now);
        ck_assert_int_eq(memcmp(before, now, scratch), 0);
        ck_assert_int_eq(
            memcmp(before + scratch + marks, now + scratch + marks, bytes - scratch - marks), 0);
        memcpy(before, now, bytes);
    }
    free(before);
    fake_world_close(&world);
}
END_TEST

START_TEST(the_histogram_is_exact)
{
    open_world();
    for (uint32_t i = 0; i < 77; i++) {
        fake_new(m, types.wide, 0);
        fake_new(m, types.pairs, 5);
    }
    struct heap_stop stop = fake_stop(&world);
    struct heap_histogram_row rows[16];
    ck_assert_uint_eq(heap_type_count(world.heap), 5);
    ck_assert_int_eq(heap_histogram_stw(world.heap, world.engine, &stop, rows), 0);
    const struct heap_histogram_row expected[] = {
        { 0, 0 }, { 1000, 1000 * NODE_BYTES }, { 1, 80008 },
        { 0, 0 }, { 77, 77 * (8 + 8 + 40) },   { 77, 77 * 408 },
    };
    ck_assert_uint_eq(types.node, 1);
    for (uint32_t id = 0; id <= 5; id++) {
        ck_assert_uint_eq(rows[id].objects, expected[id].objects);
        ck_assert_uint_eq(rows[id].bytes, expected[id].bytes);
    }
    fake_collect(&world);
    ck_assert_int_eq(heap_histogram_stw(world.heap, world.engine, &stop, rows), 0);
    ck_assert_uint_eq(rows[types.wide].objects, 0);
    ck_assert_uint_eq(rows[types.node].objects, 1000);
    fake_world_close(&world);
}
END_TEST

static Suite *make_suite(void)
{
    Suite *s = suite_create("verify");
    TCase *tc = tcase_create("verify");

    tcase_add_test(tc, a_clean_heap_is_counted);
    tcase_add_test(tc, of_many_faults_those_at_the_lowest_addresses_are_kept);
    tcase_add_loop_test(tc, a_bad_header_is_found, 0, 2);
    tcase_add_loop_test(tc, a_dangling_reference_is_found, 0, 2);
    tcase_add_test(tc, an_overlap_is_found);
    tcase_add_test(tc, a_lost_line_mark_is_found);
    tcase_add_test(tc, a_wrong_block_record_is_found);
    tcase_add_test(tc, an_exact_root_to_nothing_is_found);
    tcase_add_test(tc, looking_changes_nothing);
    tcase_add_test(tc, the_histogram_is_exact);
    suite_add_tcase(s, tc);
    return s;
}

int main(int argc, char **argv)
{
    return runner_main(argc, argv, make_suite);
}
