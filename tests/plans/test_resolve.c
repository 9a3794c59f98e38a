/* SPDX-License-Identifier: Apache-2.0 */
/* Ambiguous words: which of them keep which object. */
#include <string.h>

#include "plans/plan.h"
#include "tests/plans/objects.h"
#include "tests/support/runner.h"

#define MIB (UINT64_C(1) << 20)

static struct fake_world world;
static struct objects types;
static struct fake_mutator *m;

static void open_world(void)
{
    fake_world_open(&world, "immix", 16 * MIB, 2);
    objects_define(&types, &world);
    m = fake_mutator_new(&world);
}

/* What a collection finds alive when @word is the only root. */
static uint64_t kept_by(uint32_t word)
{
    fake_roots_clear(&world);
    fake_root(&world, 1, word);
    return fake_collect(&world).live_objects;
}

/* Of the granules around [payload, end], exactly those within keep it; tried on a fresh object and on an old one. */
static void range_keeps(uint32_t (*make)(void), uint32_t payload_granules, unsigned age)
{
    for (int64_t at = -3; at <= (int64_t)payload_granules + 3; at++) {
        if (at == 4 && payload_granules > 100)
            at = payload_granules - 3;
        uint32_t object = make();
        fake_roots_clear(&world);
        fake_root(&world, 0, object);
        for (unsigned i = 0; i < age; i++)
            fake_collect(&world);
        bool within = at >= 0 && at <= payload_granules;
        ck_assert_msg(kept_by((uint32_t)(object + at)) == within, "granule %d of %u, age %u",
                      (int)at, payload_granules, age);
    }
}

static uint32_t make_node(void)
{
    return fake_new(m, types.node, 0);
}
static uint32_t make_tiny(void)
{
    return fake_new(m, types.bytes, 1);
}
static uint32_t make_small_array(void)
{
    return fake_new(m, types.refs, 3000);
}
static uint32_t make_large_array(void)
{
    return fake_new(m, types.refs, 50000);
}
static uint32_t make_pages(void) /* fills its run to the last granule */
{
    return fake_new(m, types.bytes, 10 * MM_PAGE_BYTES - OBJECT_HEADER_BYTES);
}

START_TEST(interior_words_and_one_past_the_end_keep_the_object)
{
    open_world();
    for (unsigned age = 0; age < 3; age++) {
        range_keeps(make_node, 2, age);
        range_keeps(make_tiny, 1, age);
        range_keeps(make_small_array, 1500, age);
        range_keeps(make_large_array, 25000, age);
        range_keeps(make_pages, 10 * MM_PAGE_GRANULES - 1, age);
    }
    fake_world_close(&world);
}
END_TEST

START_TEST(the_end_of_a_block_is_the_last_objects)
{
    open_world();
    uint32_t last = 0;
    do
        last = fake_new(m, types.bytes, MM_LINE_BYTES - OBJECT_HEADER_BYTES);
    while ((last + MM_LINE_GRANULES - 1) % MM_BLOCK_GRANULES != 0);
    uint32_t next = fake_new(m, types.node, 0), word = last + MM_LINE_GRANULES - 1;
    ck_assert_uint_eq(next, word + 1); /* the next block, too, is in use */
    for (int i = 0; i < 3; i++) {
        ck_assert_uint_eq(kept_by(word), 1);
        fake_verify_clean(&world);
    }
    ck_assert_uint_eq(kept_by(next), 0); /* it died when only the other was rooted */
    fake_world_close(&world);
}
END_TEST

START_TEST(the_end_of_a_run_is_not_the_next_runs)
{
    open_world();
    uint32_t first = make_pages(), second = make_pages();
    ck_assert_uint_eq(second / MM_BLOCK_GRANULES + 2, first / MM_BLOCK_GRANULES);       /* from the top */
    uint32_t third =
        fake_new(m, types.bytes, 6 * MM_PAGE_BYTES - OBJECT_HEADER_BYTES); /* fits behind the second */
    ck_assert_uint_eq(third, second + 10 * MM_PAGE_GRANULES);
    ck_assert_uint_eq(kept_by(second + 10 * MM_PAGE_GRANULES - 1), 1); /* third - 1: where its header is */
    struct heap_stop stop = fake_stop(&world);
    struct heap_histogram_row rows[8];
    ck_assert_int_eq(heap_histogram_stw(world.heap, world.engine, &stop, rows), 0);
    ck_assert_uint_eq(rows[types.bytes].bytes, 10 * MM_PAGE_BYTES);
    fake_world_close(&world);
}
END_TEST

START_TEST(a_word_on_a_dead_object_is_nobodys)
{
    open_world();
    uint32_t dead[100], kept = 0;
    for (int i = 0; i < 100; i++) {
        dead[i] = fake_new(m, types.node, 0);
        kept = fake_new(m, types.node, 0);
        node_set(&world, kept, dead[i], dead[i], 1);
    }
    node_set(&world, kept, 0, 0, 1);
    ck_assert_uint_eq(kept_by(kept), 1);
    for (int i = 0; i < 100; i++)
        fake_root(&world, 1, dead[i] + 1);
    ck_assert_uint_eq(fake_collect(&world).live_objects, 1);
    fake_world_close(&world);
}
END_TEST

START_TEST(an_untouched_span_is_never_parsed)
{
    open_world();
    /* Every free byte holds what was once a node with wild references. */
    uint32_t node;
    while ((node = fake_new(m, types.node, 0)) != 0)
        node_set(&world, node, 12345, 777777, 1);
    fake_mutator_kill(m);
    fake_collect(&world);
    m = fake_mutator_new(&world);
    ck_assert(fake_refill(m, SHM_GRANT_LINES, 4 * MIB));
    ck_assert(fake_refill(m, SHM_GRANT_BLOCKS, MIB));
    ck_assert(fake_refill(m, SHM_GRANT_LARGE, MIB));
    uint32_t first = fake_new(m, types.node, 0); /* of the first span the first kilobyte is zeroed */
    for (int i = 0; i < 3; i++) {
        fake_verify_clean(&world);
        fake_roots_clear(&world);
        fake_root(&world, 0, first);
        for (uint32_t word = 1; word < 4000; word++)
            fake_root(&world, 1, word * 500 + 1);
        ck_assert_uint_eq(fake_collect(&world).live_objects, 1);
    }
    /* The spans are still good: nothing was granted twice. */
    uint64_t used = heap_used_bytes(world.heap);
    for (uint32_t k = 0; k < 4 * MIB / NODE_BYTES - 3000; k++)
        HOLDS(fake_new(m, types.node, 0) != 0);
    ck_assert_uint_eq(heap_used_bytes(world.heap), used);
    fake_verify_clean(&world);
    fake_world_close(&world);
}
END_TEST

START_TEST(the_rest_of_a_span_survives_collections)
{
    open_world();
    uint32_t head = 0;
    for (uint32_t i = 0; i < 3000;
         i++) { /* a collection after each, so that the bump stands everywhere in a line */
        uint32_t node = fake_new(m, types.node, 0);
        ck_assert_uint_ne(node, 0);
        node_set(&world, node, head, 0, i);
        head = node;
        fake_new(m, types.bytes, i % 64); /* garbage between */
        if (i % 3 != 0)
            continue;
        fake_roots_clear(&world);
        fake_root(&world, i % 2, head);
        ck_assert_uint_eq(fake_collect(&world).live_objects, i + 1);
    }
    fake_verify_clean(&world);
    for (uint32_t i = 3000; i-- > 0; head = fake_ref(&world, head, 0))
        HOLDS(node_value(&world, head) == i);
    fake_world_close(&world);
}
END_TEST

START_TEST(killed_between_bump_and_header)
{
    open_world();
    uint32_t list = fake_new(m, types.node, 0);
    ck_assert_ptr_nonnull(fake_reserve(m, 400)); /* bumped, no header */
    uint32_t after = fake_new(m, types.node, 0);
    node_set(&world, after, list, 0, 2);
    ck_assert_ptr_nonnull(fake_reserve(m, 4000));
    fake_mutator_kill(m);
    m = fake_mutator_new(&world);
    fake_verify_clean(&world);
    ck_assert_uint_eq(kept_by(after + 1), 2);
    fake_verify_clean(&world);
    fake_world_close(&world);
}
END_TEST

START_TEST(killed_between_header_and_fields_or_bump)
{
    open_world();
    uint32_t list = fake_new(m, types.node, 0);
    uint32_t bare = fake_new(m, types.wide, 0); /* header, all fields null */
    char *cursor = m->bumps[0].cursor;
    uint32_t early = fake_new(m, types.node, 0);
    m->bumps[0].cursor = cursor; /* its header is there, its bump is not */
    node_set(&world, early, list, bare, 3);
    fake_mutator_kill(m);
    m = fake_mutator_new(&world);
    fake_verify_clean(&world);
    ck_assert_uint_eq(kept_by(early), 3);
    fake_verify_clean(&world);
    fake_world_close(&world);
}
END_TEST

START_TEST(a_large_run_is_an_object_once_it_is_taken)
{
    open_world();
    char *at = fake_reserve(m, 100000);
    uint32_t object = fake_granule(&world, at) + 1;
    *(uint64_t *)(void *)at = object_header(types.bytes, 99000);
    ck_assert_uint_eq(kept_by(object + 5), 0); /* not taken: survives, but is nobody's */
    uint64_t used = heap_used_bytes(world.heap);
    m->rings[SHM_GRANT_LARGE].taken++;
    ck_assert_uint_eq(kept_by(object + 5), 1);
    ck_assert_uint_eq(heap_used_bytes(world.heap), used);
    fake_verify_clean(&world);
    ck_assert_uint_eq(kept_by(0), 0);
    ck_assert_uint_eq(heap_used_bytes(world.heap), 0);
    fake_world_close(&world);
}
END_TEST

static Suite *make_suite(void)
{
    Suite *s = suite_create("resolve");
    TCase *tc = tcase_create("resolve");

    tcase_add_test(tc, interior_words_and_one_past_the_end_keep_the_object);
    tcase_add_test(tc, the_end_of_a_block_is_the_last_objects);
    tcase_add_test(tc, the_end_of_a_run_is_not_the_next_runs);
    tcase_add_test(tc, a_word_on_a_dead_object_is_nobodys);
    tcase_add_test(tc, an_untouched_span_is_never_parsed);
    tcase_add_test(tc, the_rest_of_a_span_survives_collections);
    tcase_add_test(tc, killed_between_bump_and_header);
    tcase_add_test(tc, killed_between_header_and_fields_or_bump);
    tcase_add_test(tc, a_large_run_is_an_object_once_it_is_taken);
    suite_add_tcase(s, tc);
    return s;
}

int main(int argc, char **argv)
{
    return runner_main(argc, argv, make_suite);
}
