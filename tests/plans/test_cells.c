/* SPDX-License-Identifier: Apache-2.0 */
#include "plans/space/cell_space.h"

#include <stdlib.h>

#include "tests/plans/objects.h"
#include "tests/support/runner.h"

#define HEAP_BYTES (UINT64_C(8) << 20)

static struct fake_world world;
static struct objects types;

static void setup(void)
{
    ck_assert_int_eq(setenv("MM_HEAP_CHECK", "1", 1), 0);
    fake_world_open(&world, "marksweep", HEAP_BYTES, 1);
    objects_define(&types, &world);
}

static void teardown(void)
{
    fake_world_close(&world);
}

/* A bump that stands at the first byte of a block of its size, with a block of another size before it. */
START_TEST(a_span_begun_and_not_used_stays_granted)
{
    struct fake_mutator *m = fake_mutator_new(&world), *other = fake_mutator_new(&world);
    struct fake_bump *bump = &m->bumps[SHM_GRANT_CELLS + shm_cell_class(40)];

    uint32_t neighbour = fake_new(m, types.bytes, 8), object = fake_new(m, types.bytes, 30);
    ck_assert_uint_eq(neighbour / MM_BLOCK_GRANULES + 1, object / MM_BLOCK_GRANULES);
    ck_assert_uint_eq(object % MM_BLOCK_GRANULES, 1);
    *(uint64_t *)fake_at(&world, object - 1) = 0;
    bump->cursor = fake_at(&world, object - 1);
    for (int i = 0; i < 3; i++)
        (void)fake_collect(&world);
    fake_verify_clean(&world);
    uint32_t stranger = fake_new(other, types.bytes, 30);
    ck_assert_uint_ne(stranger / MM_BLOCK_GRANULES, object / MM_BLOCK_GRANULES);
    ck_assert_uint_eq(fake_new(m, types.bytes, 30), object);
    fake_verify_clean(&world);
    bump->cursor = fake_at(&world, object - 1);
    fake_mutator_kill(m);
    fake_verify_clean(&world);
    (void)fake_collect(&world);
    fake_verify_clean(&world);
}
END_TEST

static Suite *make_suite(void)
{
    Suite *s = suite_create("cells");
    TCase *tc = tcase_create("cells");

    tcase_add_checked_fixture(tc, setup, teardown);
    tcase_add_test(tc, a_span_begun_and_not_used_stays_granted);
    suite_add_tcase(s, tc);
    return s;
}

int main(int argc, char **argv)
{
    return runner_main(argc, argv, make_suite);
}
