/* SPDX-License-Identifier: Apache-2.0 */
/* What every plan promises, whichever spaces it is made of. */
#include <errno.h>

#include "plans/plan.h"
#include "tests/plans/objects.h"
#include "tests/support/runner.h"

#define MIB (UINT64_C(1) << 20)

static struct fake_world world;
static struct objects types;
static struct fake_mutator *m;

static void open_world(int plan, uint64_t bytes, unsigned workers)
{
    fake_world_open(&world, plans[plan]->name, bytes, workers);
    objects_define(&types, &world);
    m = fake_mutator_new(&world);
}

/* Of memory, a node. */
static uint32_t object_takes(int plan)
{
    return has_pages(plans[plan]) ? MM_PAGE_BYTES : NODE_BYTES;
}

/* As many as a heap has room for that holds a million nodes. */
static uint32_t a_million(int plan)
{
    return has_pages(plans[plan]) ? 12000 : 1000000;
}

static bool collects(void)
{
    return heap_plan_collects(world.heap);
}

/* A list of @count nodes, newest first; 0 when the heap is full before that. */
static uint32_t make_list(uint32_t count)
{
    uint32_t head = 0;

    for (uint32_t i = 0; i < count; i++) {
        uint32_t node = fake_new(m, types.node, 0);
        if (node == 0)
            return 0;
        node_set(&world, node, head, 0, i);
        head = node;
    }
    return head;
}

static void list_is(uint32_t head, uint32_t count)
{
    for (uint32_t i = count; i-- > 0; head = fake_ref(&world, head, 0)) {
        HOLDS(head != 0 && node_value(&world, head) == i);
    }
    ck_assert_uint_eq(head, 0);
}

START_TEST(survivors_keep_their_fields)
{
    open_world(_i, 16 * MIB, 2);
    uint32_t kept = make_list(1000);
    make_list(1000);
    fake_root(&world, 0, kept);
    if (collects()) {
        struct heap_collection c = fake_collect(&world);
        ck_assert_uint_eq(c.live_objects, 1000);
        ck_assert_uint_eq(c.live_bytes, 1000 * NODE_BYTES);
    }
    list_is(fake_root_word(&world, 0, 0), 1000);
    fake_verify_clean(&world);
    fake_world_close(&world);
}
END_TEST

START_TEST(collecting_is_refused_or_frees)
{
    open_world(_i, 16 * MIB, 1);
    struct heap_stop stop = fake_stop(&world);
    struct heap_collection c;
    make_list(1000);
    ck_assert_int_eq(heap_collect_stw(world.heap, world.engine, &stop, &c), collects() ? 0 : -ENOTSUP);
    fake_world_close(&world);
}
END_TEST

START_TEST(garbage_is_granted_again)
{
    open_world(_i, 4 * MIB, 2);
    for (int round = 0; round < (collects() ? 20 : 1); round++) {
        uint64_t made = 0, reserve;
        while (fake_new(m, types.node, 0) != 0)
            made += object_takes(_i);
        reserve = heap_reserve_bytes(world.heap);        /* for copies */
        ck_assert_uint_ge(made + reserve, 34 * MIB / 10); /* an eighth is kept for what is long */
        if (collects()) {
            struct heap_collection c = fake_collect(&world);
            ck_assert_uint_eq(c.live_objects, 0);
            ck_assert_uint_ge(c.freed_bytes, made * 9 / 10);
            end_of_term(&world, plans[_i]);
        }
    }
    fake_world_close(&world);
}
END_TEST

/* Nodes before @head until the heap is full; *count is raised by their number. The new head. */
static uint32_t fill_with_list(uint32_t head, uint32_t *count)
{
    for (uint32_t node; (node = fake_new(m, types.node, 0)) != 0; ++*count) {
        node_set(&world, node, head, 0, *count);
        head = node;
    }
    return head;
}

START_TEST(a_full_heap_says_so_and_is_intact)
{
    open_world(_i, 4 * MIB, 2);
    uint32_t count = 0, head = fill_with_list(0, &count);
    if (collects()) {                        /* what was kept for long objects is for all once a collection found nothing */
        ck_assert_uint_gt(heap_free_bytes(world.heap), 0);
        fake_root(&world, 0, head);
        fake_collect(&world);
        head = fill_with_list(fake_root_word(&world, 0, 0), &count);
        fake_roots_clear(&world);
    }
    uint64_t reserve = heap_reserve_bytes(world.heap);   /* for copies; what is granted must be reserved, too */
    ck_assert_uint_le(heap_free_bytes(world.heap), reserve == 0 ? 0 : reserve + 3 * MM_BLOCK_BYTES);
    ck_assert_uint_eq(heap_used_bytes(world.heap) + heap_free_bytes(world.heap), 4 * MIB - MM_BLOCK_BYTES);
    fake_root(&world, 0, head);
    for (int i = 0; collects() && i < 2; i++) {
        uint32_t before = count;
        ck_assert_uint_eq(fake_collect(&world).live_objects, count);
        head = fill_with_list(fake_root_word(&world, 0, 0), &count);
        ck_assert_uint_le(count - before, 3 * MM_BLOCK_BYTES / object_takes(_i));  /* copies lie a little closer */
        ck_assert_uint_eq(fake_new(m, types.bytes, 100000), 0);
        fake_roots_clear(&world);
        fake_root(&world, 0, head);
    }
    list_is(fake_root_word(&world, 0, 0), count);
    fake_verify_clean(&world);
    fake_world_close(&world);
}
END_TEST

START_TEST(a_list_of_a_million_is_followed)
{
    open_world(_i, 64 * MIB, 2);
    uint32_t count = a_million(_i), head = make_list(count);
    fake_root(&world, 0, head);
    if (collects())
        ck_assert_uint_eq(fake_collect(&world).live_objects, count);
    list_is(fake_root_word(&world, 0, 0), count);
    fake_world_close(&world);
}
END_TEST

START_TEST(an_array_of_a_million_is_followed)
{
    open_world(_i, 64 * MIB, 2);
    uint32_t count = a_million(_i), array = fake_new(m, types.refs, count);
    for (uint32_t i = 0; i < count; i++) {
        uint32_t node = fake_new(m, types.node, 0);
        node_set(&world, node, 0, 0, i);
        fake_set(&world, array, i, node);
    }
    fake_root(&world, 0, array);
    if (collects())
        ck_assert_uint_eq(fake_collect(&world).live_objects, count + 1);
    for (uint32_t i = 0; i < count; i++)
        HOLDS(node_value(&world, fake_ref(&world, array, i)) == i);
    fake_verify_clean(&world);
    fake_world_close(&world);
}
END_TEST

START_TEST(cycles_die_together)
{
    open_world(_i, 16 * MIB, 2);
    uint32_t a = fake_new(m, types.node, 0), b = fake_new(m, types.node, 0),
             self = fake_new(m, types.node, 0);
    node_set(&world, a, b, a, 1);
    node_set(&world, b, a, b, 2);
    node_set(&world, self, self, self, 3);
    fake_root(&world, 0, a);
    if (collects()) {
        ck_assert_uint_eq(fake_collect(&world).live_objects, 2);
        fake_roots_clear(&world);
        ck_assert_uint_eq(fake_collect(&world).live_objects, 0);
    }
    fake_world_close(&world);
}
END_TEST

START_TEST(incomplete_roots_free_nothing)
{
    open_world(_i, 16 * MIB, 2);
    uint32_t list = make_list(1000);
    struct heap_stop stop = fake_stop(&world);
    struct heap_collection c;
    stop.roots_overflowed = true;
    ck_assert_int_eq(heap_collect_stw(world.heap, world.engine, &stop, &c), collects() ? 0 : -ENOTSUP);
    ck_assert_uint_eq(c.freed_bytes, 0);
    list_is(list, 1000);
    fake_root(&world, 1, list);
    if (collects())
        ck_assert_uint_eq(fake_collect(&world).live_objects, 1000);
    fake_world_close(&world);
}
END_TEST

START_TEST(a_dead_threads_objects_are_swept_like_others)
{
    open_world(_i, 16 * MIB, 2);
    uint32_t kept = make_list(3000);
    fake_refill(m, SHM_GRANT_BLOCKS, 10 * MM_BLOCK_BYTES);
    fake_refill(m, SHM_GRANT_LARGE, 100000);
    uint64_t used = heap_used_bytes(world.heap);
    fake_mutator_kill(m);
    /* What was never begun is back at once; what was, is not. */
    ck_assert_uint_le(heap_used_bytes(world.heap), used - 10 * MM_BLOCK_BYTES - 98304);
    ck_assert_uint_ge(heap_used_bytes(world.heap), 3000 * NODE_BYTES);
    m = fake_mutator_new(&world);
    fake_root(&world, 1, kept + 2); /* into a sealed span */
    fake_verify_clean(&world);
    for (int i = 0; collects() && i < 2; i++)
        ck_assert_uint_eq(fake_collect(&world).live_objects, 3000);
    list_is(kept, 3000);
    fake_roots_clear(&world);
    if (collects()) {
        ck_assert_uint_eq(fake_collect(&world).live_objects, 0);
        end_of_term(&world, plans[_i]);
        ck_assert_uint_eq(heap_used_bytes(world.heap), 0);
    }
    fake_world_close(&world);
}
END_TEST

START_TEST(committing_follows_the_limit)
{
    struct shm_segment *arena, *private;
    struct heap *heap;
    struct heap_config config = { .plan = plans[_i]->name, .max_bytes = 16 * MIB, .limit_bytes = 5 * MIB };
    uint64_t offset;
    ck_assert_int_eq(shm_segment_new(&arena, 16 * MIB, "arena"), 0);
    ck_assert_int_eq(shm_segment_new(&private, heap_private_bytes(config.plan, 16 * MIB), "private"), 0);
    ck_assert_int_eq(heap_new(&heap, &config, arena, private), 0);
    ck_assert_uint_eq(heap_uncommitted_bytes(heap), 6 * MIB);
    for (uint64_t i = 0; i < 3; i++) {
        ck_assert(heap_commit_next(heap, &offset));
        ck_assert_uint_eq(offset, i * 2 * MIB);
    }
    ck_assert(!heap_commit_next(heap, &offset));
    ck_assert_uint_eq(heap_free_bytes(heap), 0);
    heap_commit_done(heap, 2 * MIB, true);
    heap_commit_done(heap, 0, false);
    ck_assert_uint_eq(heap_free_bytes(heap), 2 * MIB);
    ck_assert(heap_commit_next(heap, &offset));
    ck_assert_uint_eq(offset, 0);
    heap_unref(heap);
    shm_segment_unref(private);
    shm_segment_unref(arena);
}
END_TEST

/* Asked for out of order, and more often than any ring holds. */
START_TEST(classes_of_other_plans_are_not_granted)
{
    open_world(_i, 64 * MIB, 1);
    uint32_t allocator = heap_plan_allocator(world.heap);
    fake_refill(m, SHM_GRANT_BLOCKS, 64 * MIB);
    for (uint32_t class = 0; class < SHM_CELL_CLASSES; class++) {
        uint32_t bytes = shm_cell_bytes(class);
        bool served = allocator == SHM_ALLOCATOR_CELLS || (allocator == SHM_ALLOCATOR_PAGES && bytes % MM_PAGE_BYTES == 0);
        for (int i = 0; i < 3 && !served; i++)
            ck_assert(!fake_refill(m, SHM_GRANT_CELLS + class, MIB));
    }
    fake_verify_clean(&world);
    fake_world_close(&world);
}
END_TEST

/* @count objects that stay, each behind one of @dead_bytes that does not. */
static void make_holes(uint32_t count, uint32_t dead_bytes)
{
    for (uint32_t i = 0; i < count; i++) {
        HOLDS(fake_new_in(m, SHM_GRANT_NONMOVING, types.bytes, dead_bytes) != 0);
        fake_root(&world, 0, fake_new_in(m, SHM_GRANT_NONMOVING, types.bytes, 300));
    }
}

static uint64_t granted_one(uint32_t min_bytes)
{
    struct shm_grant row = { 0 };
    ck_assert_uint_eq(heap_grant(world.heap, m->heap_mutator, SHM_GRANT_NONMOVING, MM_BLOCK_BYTES, min_bytes, &row, 1), 1);
    return (uint64_t)row.granules * MM_GRANULE_BYTES;
}

START_TEST(short_and_long_holes_are_found_in_turn)
{
    fake_world_open(&world, "immix", 16 * MIB, 2);
    objects_define(&types, &world);
    m = fake_mutator_new(&world);
    make_holes(400, 1000);
    make_holes(400, 6000);
    ck_assert_uint_eq(fake_collect(&world).live_objects, 800);
    uint64_t used = heap_used_bytes(world.heap), bytes;
    for (int i = 0; i < 8; i++) {
        ck_assert_uint_ge(granted_one(5000), 5000);
        bytes = granted_one(500);
        ck_assert(bytes >= 500 && bytes < 5000); /* the first there is, and those are the short ones */
    }
    ck_assert_uint_eq(heap_used_bytes(world.heap), used);
    fake_world_close(&world);
}
END_TEST

START_TEST(metadata_is_less_than_four_percent)
{
    for (uint64_t bytes = 4 * MIB; bytes <= MM_ARENA_MAX_BYTES; bytes *= 2)
        ck_assert_uint_lt(heap_private_bytes("immix", bytes) * 100, bytes * 4);
}
END_TEST

static Suite *make_suite(void)
{
    Suite *s = suite_create("plans");
    TCase *tc = tcase_create("every plan");

    tcase_add_loop_test(tc, survivors_keep_their_fields, 0, PLAN_COUNT);
    tcase_add_loop_test(tc, collecting_is_refused_or_frees, 0, PLAN_COUNT);
    tcase_add_loop_test(tc, garbage_is_granted_again, 0, PLAN_COUNT);
    tcase_add_loop_test(tc, a_full_heap_says_so_and_is_intact, 0, PLAN_COUNT);
    tcase_add_loop_test(tc, a_list_of_a_million_is_followed, 0, PLAN_COUNT);
    tcase_add_loop_test(tc, an_array_of_a_million_is_followed, 0, PLAN_COUNT);
    tcase_add_loop_test(tc, cycles_die_together, 0, PLAN_COUNT);
    tcase_add_loop_test(tc, incomplete_roots_free_nothing, 0, PLAN_COUNT);
    tcase_add_loop_test(tc, a_dead_threads_objects_are_swept_like_others, 0, PLAN_COUNT);
    tcase_add_loop_test(tc, committing_follows_the_limit, 0, PLAN_COUNT);
    tcase_add_loop_test(tc, classes_of_other_plans_are_not_granted, 0, PLAN_COUNT);
    tcase_add_test(tc, short_and_long_holes_are_found_in_turn);
    tcase_add_test(tc, metadata_is_less_than_four_percent);
    suite_add_tcase(s, tc);
    return s;
}

int main(int argc, char **argv)
{
    return runner_main(argc, argv, make_suite);
}
