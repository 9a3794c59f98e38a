/* SPDX-License-Identifier: Apache-2.0 */
/* Page runs: found, spanning what they need to, freed, and used again. */
#include <string.h>

#include "tests/plans/objects.h"
#include "tests/support/runner.h"

#define MIB (UINT64_C(1) << 20)

static struct fake_world world;
static struct objects types;
static struct fake_mutator *m;

static void open_world(uint64_t bytes)
{
    fake_world_open(&world, "immix", bytes, 2);
    objects_define(&types, &world);
    m = fake_mutator_new(&world);
}

START_TEST(a_run_crosses_chunks)
{
    open_world(32 * MIB);
    uint32_t small = fake_new(m, types.node, 0);
    uint32_t array = fake_new(m, types.refs, 10 * MIB / 4);
    ck_assert_uint_ne(array, 0);
    ck_assert_uint_ne(array / (MM_CHUNK_BYTES / 8), (array + 10 * MIB / 8) / (MM_CHUNK_BYTES / 8));
    fake_set(&world, array, 10 * MIB / 4 - 1, small);
    fake_root(&world, 1, array + (uint32_t)(9 * MIB / 8));
    ck_assert_uint_eq(fake_collect(&world).live_objects, 2);
    fake_verify_clean(&world);
    fake_roots_clear(&world);
    struct heap_collection c = fake_collect(&world);
    ck_assert_uint_eq(c.live_objects, 0);
    ck_assert_uint_ge(c.freed_bytes, 10 * MIB);
    fake_world_close(&world);
}
END_TEST

START_TEST(pages_left_over_are_used_first)
{
    open_world(16 * MIB);
    uint32_t nine = fake_new(m, types.bytes, 9 * MM_PAGE_BYTES - 100);
    uint64_t used = heap_used_bytes(world.heap);
    uint32_t seven = fake_new(m, types.bytes, 7 * MM_PAGE_BYTES - 100);
    ck_assert_uint_eq(heap_used_bytes(world.heap), used);
    ck_assert_uint_eq(seven, nine + 9 * MM_PAGE_GRANULES);
    fake_root(&world, 0, seven);
    fake_collect(&world);
    /* The first block is whole again, the second is shared no more. */
    ck_assert_uint_eq(heap_used_bytes(world.heap), used - MM_BLOCK_BYTES);
    fake_verify_clean(&world);
    fake_roots_clear(&world);
    fake_collect(&world);
    ck_assert_uint_eq(heap_used_bytes(world.heap), 0);
    fake_world_close(&world);
}
END_TEST

START_TEST(only_pages_nobody_wrote_are_called_zero)
{
    open_world(16 * MIB);
    for (int round = 0; round < 6; round++) {
        uint32_t object;
        while ((object = fake_new(m, types.bytes, (uint32_t)(5 * MM_PAGE_BYTES))) != 0) {
            const char *at = fake_at(&world, object);
            for (uint32_t i = 0; i < 5 * MM_PAGE_BYTES; i++)
                HOLDS(at[i] == 0);
            memset(fake_at(&world, object), 0x55, 5 * MM_PAGE_BYTES);
        }
        fake_collect(&world);
        while (round % 2 == 0 && (object = fake_new(m, types.node, 0)) != 0) {
            HOLDS(node_value(&world, object) == 0);
            node_set(&world, object, 0, 0, UINT64_MAX);
        }
        fake_collect(&world);
    }
    fake_world_close(&world);
}
END_TEST

START_TEST(random_runs_come_and_go)
{
    enum { KEPT = 60 };
    uint32_t kept[KEPT] = { 0 }, seeds[KEPT] = { 0 };
    uint64_t rng = 12345;
    open_world(32 * MIB);
    for (uint32_t round = 0; round < 4000; round++) {
        rng = rng * UINT64_C(6364136223846793005) + 1442695040888963407u;
        uint32_t at = (uint32_t)(rng >> 33) % KEPT,
                 length = 17000 + (uint32_t)(rng >> 40) % (round % 50 == 0 ? 3000000 : 100000);
        uint32_t object = fake_new(m, types.bytes, length);
        if (object != 0) {
            kept[at] = object;
            seeds[at] = length;
            memset(fake_at(&world, object), (int)(length & 0xff), length);
        }
        if (object != 0 && round % 64 != 0)
            continue;
        fake_roots_clear(&world);
        for (uint32_t i = 0; i < KEPT; i++)
            fake_root(&world, 1, kept[i] == 0 ? 0 : kept[i] + seeds[i] / 8);
        fake_collect(&world);
        for (uint32_t i = 0; i < KEPT; i++)
            for (uint32_t k = 0; kept[i] != 0 && k < seeds[i]; k += 1000)
                HOLDS(((unsigned char *)fake_at(&world, kept[i]))[k] == (seeds[i] & 0xff));
        if (round % 512 == 0)
            fake_verify_clean(&world);
    }
    fake_world_close(&world);
}
END_TEST

START_TEST(impossible_requests_get_nothing)
{
    struct shm_grant row;
    open_world(8 * MIB);
    const uint64_t sizes[] = { 8 * MIB, 9 * MIB, UINT64_C(1) << 32, UINT64_C(1) << 44, UINT64_MAX };
    for (size_t i = 0; i < MM_ARRAY_LEN(sizes); i++)
        ck_assert_uint_eq(
            heap_grant(world.heap, m->heap_mutator, SHM_GRANT_LARGE, sizes[i], 0, &row, 1), 0);
    ck_assert_uint_eq(heap_grant(world.heap, m->heap_mutator, SHM_GRANT_LARGE, 0, 0, &row, 1), 1);
    ck_assert_uint_eq(row.granules, MM_PAGE_GRANULES);
    for (int i = 0; i < 3; i++)
        ck_assert_uint_eq(heap_grant(world.heap, m->heap_mutator, SHM_GRANT_LARGE, 5000, 0, &row, 1), 1);
    ck_assert_uint_eq(heap_grant(world.heap, m->heap_mutator, SHM_GRANT_LARGE, 5000, 0, &row, 1),
                      0); /* ring full */
    ck_assert_uint_eq(heap_mutator_outstanding(m->heap_mutator, SHM_GRANT_LARGE, 5), 4); /* not believed */
    ck_assert_uint_eq(heap_mutator_outstanding(m->heap_mutator, SHM_GRANT_LARGE, 2), 2);
    ck_assert_uint_eq(heap_mutator_outstanding(m->heap_mutator, SHM_GRANT_LARGE, 1), 2); /* nor that */
    m->rings[SHM_GRANT_LARGE].published = 4;
    fake_world_close(&world);
}
END_TEST

static Suite *make_suite(void)
{
    Suite *s = suite_create("large");
    TCase *tc = tcase_create("large");

    tcase_add_test(tc, a_run_crosses_chunks);
    tcase_add_test(tc, pages_left_over_are_used_first);
    tcase_add_test(tc, only_pages_nobody_wrote_are_called_zero);
    tcase_add_test(tc, random_runs_come_and_go);
    tcase_add_test(tc, impossible_requests_get_nothing);
    suite_add_tcase(s, tc);
    return s;
}

int main(int argc, char **argv)
{
    return runner_main(argc, argv, make_suite);
}
