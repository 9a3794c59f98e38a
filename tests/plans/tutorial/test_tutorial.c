/* SPDX-License-Identifier: Apache-2.0 */
/* The plans of docs/writing-a-plan.md do what the page says. Collections are checked by sanity (fake_mutator.h). */
#include <errno.h>
#include <string.h>

#include "plans/plan.h"
#include "tests/plans/objects.h"
#include "tests/support/runner.h"

#define MIB (UINT64_C(1) << 20)
#define STEPS 3

extern const struct plan plan_mygc1, plan_mygc2, plan_mygc3;
static const struct plan *const steps[STEPS] = { &plan_mygc1, &plan_mygc2, &plan_mygc3 };

/* In this program these are the plans that there are: it is linked with a table of its own in place of plans/plan.c. */
const struct plan *plan_find(const char *name)
{
    for (int i = 0; i < STEPS; i++)
        if (strcmp(steps[i]->name, name) == 0)
            return steps[i];
    return NULL;
}

static struct fake_world world;
static struct objects types;
static struct fake_mutator *m;

static void open_world(int step, uint64_t bytes)
{
    fake_world_open(&world, steps[step]->name, bytes, 2);
    objects_define(&types, &world);
    m = fake_mutator_new(&world);
}

static bool collects(void)
{
    return heap_plan_collects(world.heap);
}

/* Nodes that refer to each other, newest first, until there are @count or the heap is full; the newest. */
static uint32_t make_list(uint32_t count, uint32_t *ret_made)
{
    uint32_t head = 0, node;

    for (*ret_made = 0; *ret_made < count && (node = fake_new(m, types.node, 0)) != 0; ++*ret_made) {
        node_set(&world, node, head, 0, *ret_made);
        head = node;
    }
    return head;
}

static void list_is(uint32_t head, uint32_t count)
{
    for (uint32_t i = count; i-- > 0; head = fake_ref(&world, head, 0))
        HOLDS(head != 0 && node_value(&world, head) == i);
    ck_assert_uint_eq(head, 0);
}

/* A list of @count under exact root 0, eighty nodes that are garbage behind each: two kilobytes. */
static void make_swiss_cheese(uint32_t count)
{
    uint32_t head = 0;

    for (uint32_t i = 0; i < count; i++) {
        uint32_t node = fake_new(m, types.node, 0);
        node_set(&world, node, head, 0, i);
        head = node;
        for (int k = 0; k < 80; k++)
            fake_new(m, types.node, 0);
    }
    fake_root(&world, 0, head);
}

START_TEST(survivors_keep_their_fields)
{
    uint32_t made;
    open_world(_i, 16 * MIB);
    make_swiss_cheese(1000);
    for (int round = 0; collects() && round < 3; round++) {
        ck_assert_uint_eq(fake_collect(&world).live_objects, 1000);
        make_list(1000, &made);
        list_is(fake_root_word(&world, 0, 0), 1000);
    }
    list_is(fake_root_word(&world, 0, 0), 1000);
    fake_verify_clean(&world);
    fake_world_close(&world);
}
END_TEST

START_TEST(collecting_is_refused_or_frees)
{
    uint32_t made;
    struct heap_collection c;
    open_world(_i, 4 * MIB);
    make_list(UINT32_MAX, &made);
    struct heap_stop stop = fake_stop(&world);
    ck_assert_int_eq(heap_collect_stw(world.heap, world.engine, &stop, &c), collects() ? 0 : -ENOTSUP);
    if (collects())
        ck_assert_uint_ge(c.freed_bytes, (uint64_t)made * NODE_BYTES * 9 / 10);
    fake_world_close(&world);
}
END_TEST

START_TEST(garbage_is_granted_again)
{
    uint32_t made;
    open_world(_i, 4 * MIB);
    for (int round = 0; round < (collects() ? 10 : 1); round++) {
        make_list(UINT32_MAX, &made);
        ck_assert_uint_ge((uint64_t)made * NODE_BYTES, 34 * MIB / 10);
        if (collects())
            ck_assert_uint_eq(fake_collect(&world).live_objects, 0);
    }
    fake_verify_clean(&world);
    fake_world_close(&world);
}
END_TEST

START_TEST(a_full_heap_says_so_and_is_intact)
{
    uint32_t made, head;
    open_world(_i, 4 * MIB);
    head = make_list(UINT32_MAX, &made);
    fake_root(&world, 0, head);
    if (collects())
        ck_assert_uint_eq(fake_collect(&world).live_objects, made);
    ck_assert_uint_eq(fake_new(m, types.bytes, 2 * MIB), 0);
    list_is(fake_root_word(&world, 0, 0), made);
    fake_verify_clean(&world);
    fake_world_close(&world);
}
END_TEST

START_TEST(the_second_grants_the_lines_between)
{
    uint32_t made;
    open_world(1, 4 * MIB);
    make_swiss_cheese(1700);
    ck_assert_uint_eq(fake_collect(&world).live_objects, 1700);
    ck_assert_uint_lt(heap_free_bytes(world.heap), 1 * MIB);
    make_list(UINT32_MAX, &made);
    ck_assert_uint_gt((uint64_t)made * NODE_BYTES, 2 * MIB);
    list_is(fake_root_word(&world, 0, 0), 1700);
    fake_verify_clean(&world);
    fake_world_close(&world);
}
END_TEST

START_TEST(the_second_moves_nothing)
{
    open_world(1, 16 * MIB);
    make_swiss_cheese(1000);
    uint32_t head = fake_root_word(&world, 0, 0);
    for (int round = 0; round < 3; round++)
        ck_assert_uint_eq(fake_collect(&world).moved_objects, 0);
    ck_assert_uint_eq(fake_root_word(&world, 0, 0), head);
    fake_world_close(&world);
}
END_TEST

static uint64_t used_bytes(void)
{
    return heap_used_bytes(world.heap);
}

START_TEST(the_third_packs_what_lives)
{
    uint64_t used[STEPS] = { 0 };
    for (int step = 1; step < STEPS; step++) {
        open_world(step, 16 * MIB);
        make_swiss_cheese(1000);
        fake_collect(&world);
        struct heap_collection c = fake_collect(&world);
        used[step] = used_bytes();
        ck_assert_uint_eq(c.moved_objects, step == 2 ? 1000 : 0);
        fake_world_close(&world);
    }
    ck_assert_uint_lt(used[2] * 3, used[1]);
}
END_TEST

START_TEST(what_a_stack_refers_to_stays)
{
    open_world(2, 16 * MIB);
    make_swiss_cheese(1000);
    uint32_t pinned = fake_root_word(&world, 0, 0);
    fake_root(&world, 1, pinned + 1);        /* into it, from a row of ambiguous words */
    for (int round = 0; round < 3; round++)
        ck_assert_uint_eq(fake_collect(&world).live_objects, 1000);
    ck_assert_uint_eq(fake_root_word(&world, 0, 0), pinned);
    list_is(pinned, 1000);
    fake_verify_clean(&world);
    fake_world_close(&world);
}
END_TEST

START_TEST(the_third_keeps_room_for_what_lived)
{
    uint32_t made;
    open_world(2, 16 * MIB);
    ck_assert_uint_eq(heap_reserve_bytes(world.heap), 0);
    make_swiss_cheese(1000);
    uint64_t live = fake_collect(&world).live_bytes;
    ck_assert_uint_eq(live, 1000 * NODE_BYTES);
    ck_assert_uint_ge(heap_reserve_bytes(world.heap), live);
    make_list(UINT32_MAX, &made);
    ck_assert_uint_ge(heap_free_bytes(world.heap), heap_reserve_bytes(world.heap));
    fake_collect(&world);
    fake_root(&world, 0, make_list(UINT32_MAX, &made));
    fake_collect(&world);
    ck_assert_uint_le(heap_reserve_bytes(world.heap), 16 * MIB / 4);
    fake_world_close(&world);
}
END_TEST

static Suite *make_suite(void)
{
    Suite *suite = suite_create("tutorial");
    TCase *all = tcase_create("all"), *some = tcase_create("some");

    tcase_add_loop_test(all, survivors_keep_their_fields, 0, STEPS);
    tcase_add_loop_test(all, collecting_is_refused_or_frees, 0, STEPS);
    tcase_add_loop_test(all, garbage_is_granted_again, 0, STEPS);
    tcase_add_loop_test(all, a_full_heap_says_so_and_is_intact, 0, STEPS);
    suite_add_tcase(suite, all);
    tcase_add_test(some, the_second_grants_the_lines_between);
    tcase_add_test(some, the_second_moves_nothing);
    tcase_add_test(some, the_third_packs_what_lives);
    tcase_add_test(some, what_a_stack_refers_to_stays);
    tcase_add_test(some, the_third_keeps_room_for_what_lived);
    suite_add_tcase(suite, some);
    return suite;
}

int main(int argc, char **argv)
{
    return runner_main(argc, argv, make_suite);
}
