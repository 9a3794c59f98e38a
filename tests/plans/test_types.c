/* SPDX-License-Identifier: Apache-2.0 */
#include "plans/heap/types.h"

#include <errno.h>
#include <stdio.h>

#include "plans/work/store.h"
#include "tests/support/runner.h"

static struct types types;
static struct store *store;
static const uint32_t zero[] = { 0 }, pair[] = { 0, 4 }, far[] = { 8, 256 }, edge[] = { 252 };

static void setup(void)
{
    ck_assert_int_eq(store_new(&store, (size_t)1 << 30), 0);
    ck_assert_int_eq(types_init(&types, store), 0);
}
static void teardown(void)
{
    types_fini(&types);
    store_unref(store);
}

static uint32_t define(struct shm_type_layout layout)
{
    uint32_t id = 0;
    ck_assert_int_eq(types_define(&types, &layout, &id), 0);
    return id;
}

START_TEST(the_same_layout_is_the_same_type)
{
    uint32_t node = define((struct shm_type_layout){ "node", 16, 0, 2, 0, pair, NULL }), id = 0;
    uint32_t other = define((struct shm_type_layout){ "other", 16, 0, 2, 0, pair, NULL });
    ck_assert_uint_eq(node, 1);
    ck_assert_uint_eq(other, 2);
    ck_assert_uint_eq(
        define((struct shm_type_layout){ "node", 16, 0, 2, 0, (const uint32_t[]){ 0, 4 }, NULL }), node);
    const struct shm_type_layout others[] = {
        { "node", 24, 0, 2, 0, pair, NULL },
        { "node", 16, 0, 2, 0, (const uint32_t[]){ 0, 8 }, NULL },
        { "node", 16, 0, 1, 0, zero, NULL },
        { "node", 16, 4, 2, 0, pair, NULL },
        { "node", 16, 4, 2, 1, pair, zero },
    };
    for (size_t i = 0; i < MM_ARRAY_LEN(others); i++) {
        ck_assert_int_eq(types_define(&types, &others[i], &id), -EEXIST);
        ck_assert_uint_eq(id, node);
    }
    ck_assert_uint_eq(types.count, 2);
}
END_TEST

START_TEST(each_layout_gets_the_cheapest_program)
{
    const struct {
        struct shm_type_layout layout;
        enum scan_shape shape;
    } rows[] = {
        { { "leaf", 100, 0, 0, 0, NULL, NULL }, SCAN_LEAF },
        { { "bytes", 0, 1, 0, 0, NULL, NULL }, SCAN_LEAF },
        { { "pair", 8, 0, 2, 0, pair, NULL }, SCAN_BITMAP },
        { { "edge", 256, 0, 1, 0, edge, NULL }, SCAN_BITMAP },
        { { "edge and elements", 256, 8, 1, 0, edge, NULL }, SCAN_BITMAP },
        { { "far", 300, 0, 2, 0, far, NULL }, SCAN_OFFSETS },
        { { "refs", 0, 4, 0, 1, NULL, zero }, SCAN_ARRAY },
        { { "both", 8, 8, 2, 2, pair, pair }, SCAN_ARRAY },
    };
    for (size_t i = 0; i < MM_ARRAY_LEN(rows); i++)
        ck_assert_uint_eq(types_program(&types, define(rows[i].layout))->shape, rows[i].shape);
    ck_assert_uint_eq(types_program(&types, 3)->bitmap, 3);
    ck_assert_uint_eq(types_program(&types, 4)->bitmap, UINT64_C(1) << 63);
    ck_assert_uint_eq(types_program(&types, 8)->element_refs[1], 4);
    ck_assert_uint_eq(types_program(&types, 0)->shape, SCAN_NONE);
    ck_assert_uint_eq(types_program(&types, 9)->shape, SCAN_NONE);
    ck_assert_uint_eq(types_program(&types, UINT32_MAX)->shape, SCAN_NONE);
}
END_TEST

START_TEST(a_full_table_says_so_and_still_finds)
{
    char name[32];
    uint32_t id;
    for (uint32_t i = 1; i < SHM_TYPES_MAX; i++) {
        snprintf(name, sizeof(name), "type %u", i);
        if (types_define(&types, &(struct shm_type_layout){ name, i, 0, 0, 0, NULL, NULL }, &id) != 0 ||
            id != i)
            ck_abort_msg("type %u", i);
    }
    ck_assert_int_eq(
        types_define(&types, &(struct shm_type_layout){ "more", 8, 0, 0, 0, NULL, NULL }, &id), -ENOSPC);
    ck_assert_uint_eq(define((struct shm_type_layout){ "type 12345", 12345, 0, 0, 0, NULL, NULL }),
                      12345);
}
END_TEST

static Suite *make_suite(void)
{
    Suite *s = suite_create("types");
    TCase *tc = tcase_create("types");

    tcase_add_checked_fixture(tc, setup, teardown);
    tcase_add_test(tc, the_same_layout_is_the_same_type);
    tcase_add_test(tc, each_layout_gets_the_cheapest_program);
    tcase_add_test(tc, a_full_table_says_so_and_still_finds);
    suite_add_tcase(s, tc);
    return s;
}

int main(int argc, char **argv)
{
    return runner_main(argc, argv, make_suite);
}
