/* SPDX-License-Identifier: Apache-2.0 */
/* Plans that slide: what lives is pushed together in the order of its addresses, and around what is pinned. */
#include <stdlib.h>
#include <string.h>

#include "tests/plans/objects.h"
#include "tests/support/runner.h"

#define MIB (UINT64_C(1) << 20)
#define ITEMS_MAX 400000u
#define MODES 6 /* two plans, with 1, 2 and 4 workers */

static struct fake_world world;
static struct objects types;
static struct fake_mutator *m;
static uint32_t holder, count; /* a large array: it refers to all items that are to live, in the order of their birth */
static uint64_t rng;

static uint32_t below(uint32_t n)
{
    rng ^= rng << 13;
    rng ^= rng >> 7;
    rng ^= rng << 17;
    return (uint32_t)((rng >> 32) * n >> 32);
}

static bool whole_heap(int mode)
{
    return mode % 2 == 0;
}

static void open_world(int mode, uint64_t bytes)
{
    static const unsigned workers[] = { 1, 2, 4 };

    setenv("MM_HEAP_CHECK", "1", 1);
    rng = 88172645463325252u + (uint64_t)mode;
    fake_world_open(&world, whole_heap(mode) ? "markcompact" : "compressor", bytes, workers[mode / 2]);
    objects_define(&types, &world);
    m = fake_mutator_new(&world);
    holder = fake_new(m, types.refs, ITEMS_MAX);
    count = 0;
    fake_root(&world, 0, holder);
}

static uint32_t item(uint32_t i)
{
    return fake_ref(&world, holder, i);
}

static void drop(uint32_t i)
{
    fake_set(&world, holder, i, 0);
}

/* An array of @bytes that says who it is from end to end. False: the heap is full. */
static bool make(uint32_t bytes)
{
    uint32_t granule = fake_new(m, types.bytes, bytes);

    if (granule == 0)
        return false;
    HOLDS(count < ITEMS_MAX);
    memset(fake_at(&world, granule), (int)(count * 7 + bytes), bytes);
    fake_set(&world, holder, count++, granule);
    return true;
}

static uint32_t length_of(uint32_t granule)
{
    return object_header_length(*(const uint64_t *)fake_at(&world, granule - 1));
}

static void item_is_whole(uint32_t i)
{
    uint32_t granule = item(i), bytes = length_of(granule);
    const unsigned char *payload = fake_at(&world, granule);

    HOLDS(object_header_type(*(const uint64_t *)fake_at(&world, granule - 1)) == types.bytes);
    for (uint32_t k = 0; k < bytes; k++)
        HOLDS(payload[k] == (unsigned char)(i * 7 + bytes));
}

static void items_are_whole(void)
{
    for (uint32_t i = 0; i < count; i++)
        if (item(i) != 0)
            item_is_whole(i);
    fake_verify_clean(&world);
}

struct move {
    uint32_t from, to;
};
static struct move moves[ITEMS_MAX];

static int by_old_address(const void *a, const void *b)
{
    uint32_t x = ((const struct move *)a)->from, y = ((const struct move *)b)->from;

    return x < y ? -1 : x > y;
}

/* Collects. What moves goes down, and none past another; blocks that stay may be passed. */
static struct heap_collection collect_in_order(void)
{
    uint32_t moved = 0, last = 0;

    for (uint32_t i = 0; i < count; i++)
        moves[i].from = item(i);
    struct heap_collection c = fake_collect(&world);
    for (uint32_t i = 0; i < count; i++)
        if (item(i) != moves[i].from)
            moves[moved++] = (struct move){ moves[i].from, item(i) };
    qsort(moves, moved, sizeof(moves[0]), by_old_address);
    for (uint32_t i = 0; i < moved; last = moves[i++].to)
        HOLDS(moves[i].to > last && moves[i].to < moves[i].from);
    ck_assert_uint_eq(c.moved_objects, moved);
    return c;
}

static void fill(uint64_t bytes, uint32_t shortest, uint32_t longest)
{
    for (uint64_t made = 0; made < bytes;) {
        uint32_t length = shortest + below(longest - shortest + 1);
        HOLDS(make(length));
        made += length + OBJECT_HEADER_BYTES;
    }
}

/* All but one in @of. */
static void drop_most(uint32_t of)
{
    for (uint32_t i = 0; i < count; i++)
        if (below(of) != 0)
            drop(i);
}

static struct heap_space_info slide_info(void)
{
    struct heap_space_info info[8];
    size_t spaces = heap_spaces(world.heap, info, MM_ARRAY_LEN(info));

    for (size_t i = 0; i < spaces; i++)
        if (strcmp(info[i].name, "slide") == 0)
            return info[i];
    ck_abort_msg("no slide space");
    return info[0];
}

START_TEST(survivors_keep_their_order)
{
    open_world(_i, 24 * MIB);
    fill(16 * MIB, 8, 300);
    for (uint32_t of = 1; of < 5; of++) {
        drop_most(of);
        collect_in_order();
        items_are_whole();
    }
    fake_world_close(&world);
}
END_TEST

START_TEST(survivors_lie_densely)
{
    open_world(_i, 32 * MIB);
    fill(24 * MIB, 8, 1000);
    drop_most(3);
    struct heap_collection c = fake_collect(&world);
    uint64_t live = c.live_bytes - (uint64_t)ITEMS_MAX * 4;
    ck_assert_uint_gt(live, 7 * MIB);
    ck_assert_uint_gt(live * 10, slide_info().blocks * MM_BLOCK_BYTES * 9);
    ck_assert_uint_gt(c.moved_bytes * 10, live * 9);
    items_are_whole();
    fake_world_close(&world);
}
END_TEST

START_TEST(nothing_moves_where_nothing_died)
{
    open_world(_i, 8 * MIB);
    for (uint32_t i = 0; i < 100000; i++)
        HOLDS(make(24)); /* four granules: a block is full of them */
    ck_assert_uint_eq(fake_collect(&world).moved_objects, 0);
    items_are_whole();
    fake_world_close(&world);
}
END_TEST

START_TEST(everything_slides_to_the_low_end)
{
    open_world(_i, 16 * MIB);
    fill(4 * MIB, 8, 100);
    uint32_t dead = count;
    fill(4 * MIB, 8, 100);
    for (uint32_t i = 0; i < dead; i++)
        drop(i);
    uint32_t from = item(dead);
    collect_in_order();
    if (whole_heap(_i))
        ck_assert_uint_lt(item(dead), MM_COMMIT_BYTES / MM_GRANULE_BYTES); /* of the heap */
    else
        ck_assert_uint_ge(item(dead), from - from % (MM_COMMIT_BYTES / MM_GRANULE_BYTES)); /* of its unit */
    items_are_whole();
    fake_world_close(&world);
}
END_TEST

/* Of one length, around the edges of units, lines and blocks. */
START_TEST(objects_of_any_length_meet_the_edges)
{
    static const uint32_t granules[] = { 2, 3, 31, 32, 33, 63, 64, 65, 127, 128, 129, 1000, 2047, 2048 };

    for (size_t k = 0; k < MM_ARRAY_LEN(granules); k++) {
        open_world(_i, 10 * MIB);
        uint32_t bytes = (granules[k] - 1) * MM_GRANULE_BYTES;
        for (uint64_t made = 0; made < 4 * MIB && count < 50000; made += bytes)
            HOLDS(make(bytes));
        for (uint32_t i = 0; i < count; i++)
            if (i % 5 < 2)
                drop(i);
        collect_in_order();
        items_are_whole();
        fake_world_close(&world);
    }
}
END_TEST

START_TEST(mixed_lengths_slide_again_and_again)
{
    open_world(_i, 12 * MIB);
    for (int round = 0; round < 12; round++) {
        while (make(below(20) == 0 ? below(16000) : below(500)))
            if (count > ITEMS_MAX - 2)
                break;
        drop_most(2);
        fake_collect(&world);
        items_are_whole();
    }
    fake_world_close(&world);
}
END_TEST

START_TEST(what_is_pinned_stays_and_others_slide_around_it)
{
    enum { PINS = 40 };
    uint32_t pinned[PINS], before[PINS];
    open_world(_i, 16 * MIB);
    fill(10 * MIB, 8, 400);
    drop_most(3);
    for (uint32_t i = 0; i < PINS; i++) {
        do
            pinned[i] = below(count);
        while (item(pinned[i]) == 0);
        before[i] = item(pinned[i]);
        fake_root(&world, 1, before[i] + below(2)); /* at it, or into it */
    }
    struct heap_collection c = fake_collect(&world);
    for (uint32_t i = 0; i < PINS; i++)
        ck_assert_uint_eq(item(pinned[i]), before[i]);
    ck_assert_uint_gt(c.moved_objects, c.live_objects / 2);
    items_are_whole();
    fake_roots_clear(&world);
    fake_root(&world, 0, holder);
    fake_collect(&world);
    items_are_whole();
    fake_world_close(&world);
}
END_TEST

/* Blocks that become free below what is pinned are where it goes as soon as it is not. */
START_TEST(free_blocks_are_slid_into)
{
    open_world(_i, 16 * MIB);
    fill(1 * MIB, 8, 200);
    uint32_t dead = count;
    fill(1 * MIB, 8, 2000);
    for (uint32_t i = 0; i < dead; i++)
        drop(i);
    for (uint32_t i = dead; i < count; i++)
        fake_root(&world, 1, item(i));
    ck_assert_uint_eq(fake_collect(&world).moved_objects, 0);
    uint64_t blocks = slide_info().blocks;
    uint32_t before = item(dead);
    fake_roots_clear(&world);
    fake_root(&world, 0, holder);
    collect_in_order();
    ck_assert_uint_le(slide_info().blocks, blocks);
    ck_assert(whole_heap(_i) ? item(dead) + MM_BLOCK_GRANULES < before : item(dead) <= before);
    items_are_whole();
    fake_world_close(&world);
}
END_TEST

START_TEST(references_of_what_does_not_move_follow)
{
    enum { FIXED = 2000 };
    uint32_t fixed[FIXED];
    open_world(_i, 16 * MIB);
    fill(6 * MIB, 8, 200);
    for (uint32_t i = 0; i < FIXED; i++) {
        uint32_t to = below(count);
        fixed[i] = fake_new_in(m, i % 2 == 0 ? SHM_GRANT_NONMOVING : SHM_GRANT_IMMORTAL, types.wide, 0);
        fake_set(&world, fixed[i], 0, item(to));
        fake_set(&world, fixed[i], 99, i % 2 == 0 ? item(to) : 0);
        *(uint32_t *)((char *)fake_at(&world, fixed[i]) + 8) = to;
        fake_root(&world, 0, fixed[i]);
    }
    for (uint32_t i = 0; i < count; i++)
        if (i % 3 != 0)
            drop(i);
    fake_collect(&world);
    for (uint32_t i = 0; i < FIXED; i++) {
        uint32_t to = ((const uint32_t *)fake_at(&world, fixed[i]))[2];
        ck_assert_uint_eq(fake_root_word(&world, 0, 1 + i), fixed[i]);
        if (item(to) != 0)
            HOLDS(fake_ref(&world, fixed[i], 0) == item(to));
        if (i % 2 == 0)
            HOLDS(fake_ref(&world, fixed[i], 99) == fake_ref(&world, fixed[i], 0));
    }
    items_are_whole();
    fake_world_close(&world);
}
END_TEST

START_TEST(a_span_in_use_stays_where_it_is)
{
    open_world(_i, 8 * MIB);
    fill(1 * MIB, 8, 100);
    char *cursor = m->bumps[SHM_GRANT_LINES].cursor;
    drop_most(2);
    fake_collect(&world);
    ck_assert_ptr_eq(m->bumps[SHM_GRANT_LINES].cursor, cursor);
    HOLDS(make(8));
    ck_assert_uint_eq(item(count - 1), fake_granule(&world, cursor) + 1);
    fill(1 * MIB, 8, 100);
    fake_collect(&world);
    items_are_whole();
    fake_world_close(&world);
}
END_TEST

START_TEST(what_a_dead_thread_left_slides_with_the_rest)
{
    open_world(_i, 8 * MIB);
    struct fake_mutator *first = m;
    fill(1 * MIB, 8, 100);
    m = fake_mutator_new(&world);
    fill(1 * MIB, 8, 100);
    drop_most(2);
    fake_mutator_kill(first);
    struct heap_collection c = fake_collect(&world);
    ck_assert_uint_gt(c.moved_objects, c.live_objects / 2);
    items_are_whole();
    fill(1 * MIB, 8, 100);
    fake_collect(&world);
    items_are_whole();
    fake_world_close(&world);
}
END_TEST

/* Nothing is dead at the low end, so that each group writes into the one below it for long: a chain of waits. */
START_TEST(groups_wait_for_those_that_they_write_over)
{
    open_world(_i, 64 * MIB);
    fill(40 * MIB, 100, 400);
    for (uint32_t i = 0; i < count; i++)
        if (i % 20 == 19)
            drop(i);
    collect_in_order();
    items_are_whole();
    fake_world_close(&world);
}
END_TEST

START_TEST(without_packets_one_worker_does_it_all)
{
    open_world(_i, 24 * MIB);
    engine_set_packet_limit(world.engine, 9 * PACKET_BYTES);
    for (int round = 0; round < 3; round++) {
        fill(6 * MIB, 8, 300);
        drop_most(2);
        fake_collect(&world);
        items_are_whole();
    }
    fake_world_close(&world);
}
END_TEST

/* Everything within the items is marked as an object of its own by somebody who lies: all others are as they were. */
START_TEST(forged_references_cut_nobody_elses_objects)
{
    open_world(_i, 8 * MIB);
    fill(1 * MIB, 100, 400);
    uint32_t victims = count, liar = fake_new(m, types.refs, 3000);
    fake_root(&world, 0, liar);
    for (uint32_t i = 0; i < 3000; i++) {
        uint32_t granule = item(below(victims / 2) * 2); /* even ones */
        fake_set(&world, liar, i, granule + below(length_of(granule) / MM_GRANULE_BYTES));
    }
    for (uint32_t i = 0; i < victims; i++)
        if (i % 2 == 1 && below(2) == 0)
            drop(i);
    struct heap_stop stop = fake_stop(&world);
    struct heap_collection c;
    ck_assert_int_eq(heap_collect_stw(world.heap, world.engine, &stop, &c), 0);
    for (uint32_t i = 1; i < victims; i += 2)
        if (item(i) != 0)
            item_is_whole(i);
    fake_world_close(&world);
}
END_TEST

static Suite *make_suite(void)
{
    Suite *s = suite_create("slide");
    TCase *tc = tcase_create("every plan that slides");

    tcase_set_timeout(tc, 100);
    tcase_add_loop_test(tc, survivors_keep_their_order, 0, MODES);
    tcase_add_loop_test(tc, survivors_lie_densely, 0, MODES);
    tcase_add_loop_test(tc, nothing_moves_where_nothing_died, 0, MODES);
    tcase_add_loop_test(tc, everything_slides_to_the_low_end, 0, MODES);
    tcase_add_loop_test(tc, objects_of_any_length_meet_the_edges, 0, MODES);
    tcase_add_loop_test(tc, mixed_lengths_slide_again_and_again, 0, MODES);
    tcase_add_loop_test(tc, what_is_pinned_stays_and_others_slide_around_it, 0, MODES);
    tcase_add_loop_test(tc, free_blocks_are_slid_into, 0, MODES);
    tcase_add_loop_test(tc, references_of_what_does_not_move_follow, 0, MODES);
    tcase_add_loop_test(tc, a_span_in_use_stays_where_it_is, 0, MODES);
    tcase_add_loop_test(tc, what_a_dead_thread_left_slides_with_the_rest, 0, MODES);
    tcase_add_loop_test(tc, groups_wait_for_those_that_they_write_over, 0, MODES);
    tcase_add_loop_test(tc, without_packets_one_worker_does_it_all, 0, MODES);
    tcase_add_loop_test(tc, forged_references_cut_nobody_elses_objects, 0, MODES);
    suite_add_tcase(s, tc);
    return s;
}

int main(int argc, char **argv)
{
    return runner_main(argc, argv, make_suite);
}
