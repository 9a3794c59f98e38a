/* SPDX-License-Identifier: Apache-2.0 */
/* The closure when packets are scarce: everything is marked all the same. */
#include <errno.h>

#include "tests/plans/objects.h"
#include "tests/support/runner.h"

#define MIB (UINT64_C(1) << 20)

static struct fake_world world;
static struct objects types;
static struct fake_mutator *m;

/* Packets that may be out at once, and workers. */
static const struct {
    unsigned packets, workers;
} scarce[] = { { 4, 1 }, { 5, 1 }, { 8, 1 }, { 16, 2 }, { 8, 4 }, { 4, 2 }, { 100, 2 } };

static void open_world(int i)
{
    fake_world_open(&world, "immix", 64 * MIB, scarce[i].workers);
    objects_define(&types, &world);
    m = fake_mutator_new(&world);
    engine_set_packet_limit(world.engine, scarce[i].packets * PACKET_BYTES);
}

/* A tree of reference arrays, @fan wide: a depth-first stack of it holds fan * depth. Returns how many objects. */
static uint32_t make_tree(unsigned depth, uint32_t fan, uint32_t *ret_root)
{
    uint32_t count = 1;

    *ret_root = fake_new(m, types.refs, depth > 0 ? fan : 1);
    HOLDS(*ret_root != 0);
    for (uint32_t i = 0; depth > 0 && i < fan; i++) {
        uint32_t child;
        count += make_tree(depth - 1, fan, &child);
        fake_set(&world, *ret_root, i, child);
    }
    return count;
}

START_TEST(wide_trees_are_marked_whole)
{
    uint32_t root, count;
    open_world(_i);
    count = make_tree(2, 300, &root);
    fake_root(&world, 0, root);
    for (int i = 0; i < 3; i++)
        ck_assert_uint_eq(fake_collect(&world).live_objects, count);
    fake_verify_clean(&world);
    fake_world_close(&world);
}
END_TEST

/* From one array, for which there are packets enough, to more than there are packets. */
START_TEST(sliced_arrays_are_marked_whole)
{
    for (uint32_t arrays = 1; arrays <= 20; arrays = arrays < 8 ? arrays + 1 : arrays * 2) {
        open_world(_i);
        uint32_t outer = fake_new(m, types.refs, arrays), length = arrays < 8 ? 1500 : 10000;
        for (uint32_t i = 0; i < arrays; i++) {
            uint32_t array = fake_new(m, i % 2 == 0 ? types.refs : types.pairs, length);
            fake_set(&world, outer, i, array);
            for (uint32_t k = 0; k < length; k++)
                fake_set(&world, array, i % 2 == 0 ? k : 2 * k + 3, fake_new(m, types.node, 0));
        }
        fake_root(&world, 0, outer);
        for (int i = 0; i < 3; i++)
            ck_assert_uint_eq(fake_collect(&world).live_objects, 1 + arrays + arrays * length);
        fake_verify_clean(&world);
        fake_world_close(&world);
    }
}
END_TEST

START_TEST(many_roots_are_marked_whole)
{
    open_world(_i);
    for (uint32_t i = 0; i < 4000; i++) {
        uint32_t node = fake_new(m, types.node, 0), below = fake_new(m, types.node, 0);
        node_set(&world, node, below, 0, i);
        fake_root(&world, i % 3, node);
    }
    for (int i = 0; i < 3; i++)
        ck_assert_uint_eq(fake_collect(&world).live_objects, 8000);
    fake_verify_clean(&world);
    fake_world_close(&world);
}
END_TEST

START_TEST(without_a_packet_nothing_happens)
{
    struct heap_collection c;
    open_world(0);
    uint32_t node = fake_new(m, types.node, 0);
    fake_root(&world, 0, node);
    fake_collect(&world);
    engine_set_packet_limit(world.engine, 0);
    struct heap_stop stop = fake_stop(&world);
    struct heap_verdict v;
    ck_assert_int_eq(heap_collect_stw(world.heap, world.engine, &stop, &c), -ENOMEM);
    ck_assert_int_eq(heap_verify_stw(world.heap, world.engine, &stop, &v), -ENOMEM);
    engine_set_packet_limit(world.engine, 1 << 20);
    fake_verify_clean(&world);
    ck_assert_uint_eq(fake_collect(&world).live_objects, 1);
    fake_world_close(&world);
}
END_TEST

static Suite *make_suite(void)
{
    Suite *s = suite_create("trace");
    TCase *tc = tcase_create("scarce packets");

    tcase_add_loop_test(tc, wide_trees_are_marked_whole, 0, MM_ARRAY_LEN(scarce));
    tcase_add_loop_test(tc, sliced_arrays_are_marked_whole, 0, MM_ARRAY_LEN(scarce));
    tcase_add_loop_test(tc, many_roots_are_marked_whole, 0, MM_ARRAY_LEN(scarce));
    tcase_add_test(tc, without_a_packet_nothing_happens);
    suite_add_tcase(s, tc);
    return s;
}

int main(int argc, char **argv)
{
    return runner_main(argc, argv, make_suite);
}
