/* SPDX-License-Identifier: Apache-2.0 */
/* What dies is closed until the next collection has begun, and open before anybody is granted it. */
#include <string.h>

#include "plans/heap/closed.h"
#include "tests/plans/objects.h"
#include "tests/support/runner.h"

#define HEAP_BYTES (UINT64_C(8) << 20)
#define PAGES (HEAP_BYTES / MM_PAGE_BYTES)

static struct fake_world world;
static struct objects types;
static struct fake_mutator *m;
static uint64_t map[PAGES / 64]; /* what clients would see */

static void setup(void)
{
    struct heap_config config = { .plan = "pageprotect", .max_bytes = HEAP_BYTES, .options.sanity = true, .page_map = map };

    memset(map, 0, sizeof(map));
    ck_assert_uint_eq(heap_page_map_bytes("pageprotect", HEAP_BYTES), sizeof(map));
    fake_world_open_with(&world, &config, 2);
    objects_define(&types, &world);
    m = fake_mutator_new(&world);
}

static void teardown(void)
{
    fake_world_close(&world);
}

static bool page_closed(uint32_t page)
{
    return (map[page / 64] >> page % 64 & 1) != 0;
}

static uint32_t page_of(uint32_t granule)
{
    return granule / MM_PAGE_GRANULES;
}

static uint32_t count_closed(void)
{
    uint32_t count = 0;

    for (uint32_t page = 0; page < PAGES; page++)
        count += page_closed(page);
    return count;
}

START_TEST(an_objects_pages_close_when_it_dies_and_open_one_collection_later)
{
    static const uint32_t lengths[] = { 8, 4088, 4089, 8192, 16376, 16377, 64 * 4096 - 8, 300000 };
    uint32_t length = lengths[_i], pages = (length + 8 + MM_PAGE_BYTES - 1) / MM_PAGE_BYTES;
    uint32_t kept = fake_new(m, types.bytes, length), dead = fake_new(m, types.bytes, length);
    uint32_t cell_pages = pages == 3 ? 4 : pages; /* cells are of 1, 2 and 4 pages */

    fake_root(&world, 0, kept);
    (void)fake_collect(&world);
    ck_assert_uint_ge(count_closed(), cell_pages);
    ck_assert_uint_lt(count_closed(), cell_pages + (length > 16376 ? 2 * MM_BLOCK_PAGES : 1)); /* free ones beside a long one, too */
    for (uint32_t i = 0; i < pages; i++) {
        ck_assert(page_closed(page_of(dead) + i));
        ck_assert(!page_closed(page_of(kept) + i));
    }
    fake_verify_clean(&world);
    (void)fake_collect(&world);
    ck_assert_uint_eq(count_closed(), 0);
    fake_verify_clean(&world);
}
END_TEST

START_TEST(what_is_granted_is_open)
{
    uint32_t kept = 0;

    for (int round = 0; round < 30; round++) {
        for (int i = 0; i < 400; i++) {
            uint32_t length = (uint32_t)(i * 7919 + round * 104729) % (i % 10 == 0 ? 30000 : 6000);
            uint32_t at = fake_new(m, types.bytes, length);
            if (at == 0)
                break;
            for (uint32_t page = page_of(at - 1); page <= page_of(at - 1 + length / MM_GRANULE_BYTES); page++)
                HOLDS(!page_closed(page));
            kept = i % 3 == round % 3 ? at : kept;
            if (i % 50 == 0)
                fake_root(&world, 0, kept);
        }
        (void)fake_collect(&world); /* and the checks of a debug build find closed pages free */
        if (round % 7 == 6) {
            fake_mutator_kill(m);
            m = fake_mutator_new(&world);
        }
        if (round % 3 == 2)
            fake_roots_clear(&world);
    }
}
END_TEST

START_TEST(a_heap_full_of_garbage_is_free_two_collections_later)
{
    static const uint32_t lengths[] = { 16, 8000, 16000, 50000 };
    uint64_t first = 0;

    for (int round = 0; round < 4; round++) {
        uint64_t count = 0;
        while (fake_new(m, types.bytes, lengths[_i]) != 0)
            count++;
        first = round == 0 ? count : first;
        ck_assert_uint_ge(count, first - first / 10);
        uint64_t before = heap_free_bytes(world.heap);
        struct heap_collection c = fake_collect(&world);
        ck_assert_uint_ge(c.freed_bytes, count * lengths[_i]);
        ck_assert_uint_le(heap_free_bytes(world.heap), before + MM_BLOCK_BYTES); /* closed is not free */
        c = fake_collect(&world);
        ck_assert_uint_eq(c.freed_bytes, 0); /* and is freed once */
        ck_assert_uint_ge(heap_free_bytes(world.heap), HEAP_BYTES - HEAP_BYTES / 8);
    }
}
END_TEST

START_TEST(what_a_dead_thread_never_began_is_open)
{
    fake_root(&world, 0, fake_new(m, types.node, 0));
    ck_assert(fake_refill(m, SHM_GRANT_LARGE, 20000));
    ck_assert(fake_refill(m, SHM_GRANT_BLOCKS, 3 * MM_BLOCK_BYTES));
    fake_mutator_kill(m);
    ck_assert_uint_eq(count_closed(), 0);
    m = fake_mutator_new(&world);
    (void)fake_collect(&world);
    ck_assert_uint_eq(count_closed(), 0);
    fake_verify_clean(&world);
}
END_TEST

/* A run beside a closed one in the same block comes back while that is closed. */
START_TEST(a_block_with_closed_pages_waits_for_them)
{
    uint32_t dead = fake_new(m, types.bytes, 5 * MM_PAGE_BYTES - 100); /* leaves three pages of the block */

    ck_assert_uint_ne(dead, 0);
    (void)fake_collect(&world);
    uint32_t block = dead / MM_BLOCK_GRANULES;
    ck_assert_int_eq(blocks_kind(&world.heap->blocks, block), BLOCK_CLOSED);
    (void)fake_collect(&world);
    ck_assert(block_kind_free(blocks_kind(&world.heap->blocks, block)));

    uint32_t first = fake_new(m, types.bytes, 5 * MM_PAGE_BYTES - 100), second = fake_new(m, types.bytes, 6 * MM_PAGE_BYTES - 100);
    fake_root(&world, 0, second);
    (void)fake_collect(&world);
    ck_assert(page_closed(page_of(first)));
    ck_assert(fake_refill(m, SHM_GRANT_LARGE, MM_PAGE_BYTES * 2));
    fake_mutator_kill(m);
    m = fake_mutator_new(&world);
    ck_assert(page_closed(page_of(first)));
    fake_verify_clean(&world);
    fake_roots_clear(&world);
    for (int i = 0; i < 2; i++)
        (void)fake_collect(&world);
    ck_assert_uint_eq(heap_used_bytes(world.heap), 0);
    ck_assert_uint_eq(count_closed(), 0);
}
END_TEST

START_TEST(nonmoving_objects_close_with_their_block)
{
    uint32_t at = fake_new_in(m, SHM_GRANT_NONMOVING, types.node, 0);

    fake_mutator_kill(m); /* nobody bumps in its block any more */
    m = fake_mutator_new(&world);
    (void)fake_collect(&world);
    for (uint32_t page = 0; page < MM_BLOCK_PAGES; page++)
        ck_assert(page_closed(at / MM_BLOCK_GRANULES * MM_BLOCK_PAGES + page));
    (void)fake_collect(&world);
    ck_assert_uint_eq(count_closed(), 0);
    ck_assert_uint_eq(heap_used_bytes(world.heap), 0);
}
END_TEST

/* A client that keeps a stale reference in the heap itself: counted or kept, nobody is hurt. */
START_TEST(references_to_closed_pages_do_no_harm)
{
    uint32_t kept = fake_new(m, types.node, 0), dead = fake_new(m, types.node, 0), large = fake_new(m, types.bytes, 40000);

    fake_root(&world, 0, kept);
    (void)fake_collect(&world);
    node_set(&world, kept, dead, large, 0);
    fake_root(&world, 1, dead);
    fake_root(&world, 1, large + 1000);
    for (int i = 0; i < 3; i++) {
        struct heap_stop stop = fake_stop(&world);
        struct heap_collection c;
        ck_assert_int_eq(heap_collect_stw(world.heap, world.engine, &stop, &c), 0);
        ck_assert_uint_ge(c.live_objects, 1);
    }
    ck_assert_uint_ne(fake_new(m, types.node, 0), 0);
}
END_TEST

static Suite *make_suite(void)
{
    Suite *s = suite_create("pageprotect");
    TCase *tc = tcase_create("pageprotect");

    tcase_add_checked_fixture(tc, setup, teardown);
    tcase_add_loop_test(tc, an_objects_pages_close_when_it_dies_and_open_one_collection_later, 0, 8);
    tcase_add_test(tc, what_is_granted_is_open);
    tcase_add_loop_test(tc, a_heap_full_of_garbage_is_free_two_collections_later, 0, 4);
    tcase_add_test(tc, what_a_dead_thread_never_began_is_open);
    tcase_add_test(tc, a_block_with_closed_pages_waits_for_them);
    tcase_add_test(tc, nonmoving_objects_close_with_their_block);
    tcase_add_test(tc, references_to_closed_pages_do_no_harm);
    suite_add_tcase(s, tc);
    return s;
}

int main(int argc, char **argv)
{
    return runner_main(argc, argv, make_suite);
}
