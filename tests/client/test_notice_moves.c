/* SPDX-License-Identifier: Apache-2.0 */
/* Relocation notices under every plan that moves: what they say is where the objects are. The library and the real daemon. */
#include <mmgc/notice.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>

#include "plans/plan.h"
#include "shm/base.h"
#include "tests/support/daemon.h"
#include "tests/support/runner.h"

#define HEAP_BYTES (UINT64_C(32) << 20)
#define GRANULES (HEAP_BYTES / 8)
#define COUNT 4000u
#define ROUNDS 6u
#define ck_assert_ok(call) ck_assert_int_eq((call), MMGC_OK)

struct node {
    mmgc_ref next, thing;
    int64_t value;
};

static struct daemon *mmgcd;
static struct mmgc_client *client;
static struct mmgc_heap *heap;
static struct mmgc_thread *t;
static struct mmgc_notices *notices;
static mmgc_type node_type, bytes_type;
static mmgc_local list;
static const struct plan *plan;

/* A table of all things, by address, as a program has it. */
static uint32_t *index_at;      /* by granule: number + 1; 0: none */
static uint32_t at[COUNT];      /* by number; 0: it died */
static uint32_t sizes[COUNT];
static uint64_t moved, died;

static void setup(void)
{
    mmgcd = daemon_start("[daemon]\nthreads = 2\n[heap]\nsanity = on\n");
    ck_assert_ok(mmgc_connect(daemon_socket(mmgcd), "test", &client));
    index_at = calloc(GRANULES, sizeof(*index_at));
    memset(at, 0, sizeof(at));
    moved = died = 0;
}

static void teardown(void)
{
    mmgc_notices_close(notices);
    mmgc_detach(t);
    mmgc_heap_close(heap);
    mmgc_disconnect(client);
    free(index_at);
    daemon_stop(mmgcd);
}

static void open_heap(const struct plan *of, bool all)
{
    struct mmgc_heap_options options = { .create = true, .max_bytes = HEAP_BYTES, .plan = of->name,
                                         .options = "immix_always_defrag=on immix_defrag_every_block=on nursery=fixed:2M" };
    struct mmgc_thread_options exact = { .exact = true };

    plan = of;
    ck_assert_ok(mmgc_heap_open(client, "heap", &options, &heap));
    ck_assert_ok(MMGC_DEFINE_TYPE(heap, node, &node_type, next, thing));
    ck_assert_ok(mmgc_type_bytes(heap, &bytes_type));
    ck_assert_ok(mmgc_notices_subscribe(heap, &(struct mmgc_notices_options){ .all = all }, &notices));
    ck_assert_ok(mmgc_attach(heap, &exact, &t));
    ck_assert_ok(mmgc_enter(t));
    list = mmgc_local_new(t, NULL);
}

/* ---- the table ---- */

static void table_add(uint32_t number, const void *object)
{
    at[number] = mmgc_ref_of(t, object).granule;
    ck_assert_uint_eq(index_at[at[number]], 0);
    index_at[at[number]] = number + 1;
}

static struct {
    uint32_t numbers[COUNT], to[COUNT], count;
} taken_out;

static void take_out(const struct mmgc_move *moves, size_t count)
{
    for (size_t i = 0; i < count; i++) {
        uint32_t number = index_at[moves[i].from.granule];
        if (number == 0)
            continue;
        ck_assert(moves[i].to.granule == 0 || moves[i].granules == sizes[number - 1]);
        index_at[moves[i].from.granule] = 0;
        taken_out.numbers[taken_out.count] = number - 1;
        taken_out.to[taken_out.count++] = moves[i].to.granule;
    }
}

static void put_in(void)
{
    for (uint32_t i = 0; i < taken_out.count; i++) {
        uint32_t to = at[taken_out.numbers[i]] = taken_out.to[i];
        moved += to != 0;
        died += to == 0;
        ck_assert(to == 0 || index_at[to] == 0);
        if (to != 0)
            index_at[to] = taken_out.numbers[i] + 1;
    }
    taken_out.count = 0;
}

static void on_notice(void *context, const struct mmgc_notice *notice, const struct mmgc_move *moves, size_t count)
{
    (void)context;
    ck_assert(notice->last && !notice->incomplete && notice->number != 0 && count > 0);
    take_out(moves, count);
    put_in();
}

/* The same by hand, a few rows at a time. */
static void follow_slowly(void)
{
    struct mmgc_notice notice;
    struct mmgc_move moves[7];
    size_t count;
    uint64_t number = 0;

    do {
        ck_assert_ok(mmgc_notices_next(notices, t, 0, moves, MM_ARRAY_LEN(moves), &count, &notice));
        ck_assert(notice.number == 0 || !notice.incomplete);
        ck_assert(number == 0 || notice.number == number); /* all of one come before the next */
        number = notice.last ? 0 : notice.number;
        take_out(moves, count);
        if (notice.last)
            put_in();
    } while (notice.number != 0);
}

static void follow(void)
{
    ck_assert_ok(mmgc_notices_apply(notices, t, on_notice, NULL));
    ck_assert(!mmgc_notices_due(notices));
}

/* ---- the heap ---- */

/* [safepoint] */
static void *make_thing(uint32_t number)
{
    uint32_t length = number * 7 % 300;
    void *thing = number % 2 == 0 ? mmgc_new(t, node_type) : mmgc_new_array(t, bytes_type, length);

    ck_assert_ptr_nonnull(thing);
    sizes[number] = (uint32_t)(mmgc_size(number % 2 == 0 ? node_type : bytes_type, number % 2 == 0 ? 0 : length) / 8);
    return thing;
}

/* [safepoint] A node for each thing, garbage between them. What is new goes into the table when that knows of all that moved. */
static void make_list(bool with_table)
{
    for (uint32_t i = 0; i < COUNT; i++) {
        mmgc_scope scope = mmgc_scope_open(t);
        mmgc_local thing = mmgc_local_new(t, make_thing(i));
        ck_assert_ptr_nonnull(mmgc_new_array(t, bytes_type, 1000));
        struct node *n = mmgc_new(t, node_type);
        ck_assert_ptr_nonnull(n);
        n->value = i;
        mmgc_set(t, n, thing, mmgc_local_get(t, thing));
        mmgc_set(t, n, next, (struct node *)mmgc_local_get(t, list));
        mmgc_local_set(t, list, n);
        mmgc_scope_close(t, scope);
        follow();
        if (with_table)
            table_add(i, mmgc_load(t, &n->thing));
    }
}

/* All that is in the list is where the table has it. */
static uint32_t compare(void)
{
    uint32_t count = 0;

    for (struct node *n = mmgc_local_get(t, list); n != NULL; n = mmgc_get(t, n, next), count++) {
        ck_assert_uint_ne(n->thing.granule, 0);
        if (at[n->value] != n->thing.granule || index_at[n->thing.granule] != n->value + 1)
            ck_abort_msg("%s: thing %d is at %u, the table says %u", plan->name, (int)n->value, n->thing.granule, at[n->value]);
    }
    return count;
}

static void collect(void)
{
    ck_assert_int_eq(mmgc_gc(t), plan->constraints.trace != PLAN_TRACE_NONE ? MMGC_OK : MMGC_E_UNSUPPORTED);
}

/* [safepoint] */
static void make_garbage(void)
{
    for (int i = 0; i < 4000; i++)
        ck_assert_ptr_nonnull(mmgc_new_array(t, bytes_type, 1000));
}

START_TEST(every_address_is_what_the_notices_say)
{
    open_heap(plans[_i], true);
    make_list(true);
    for (uint32_t round = 0; round < ROUNDS; round++) {
        collect();
        if (round % 2 == 0)
            follow_slowly();
        else
            follow();
        ck_assert_uint_eq(compare(), COUNT);
        if (plan->constraints.trace != PLAN_TRACE_NONE)
            make_garbage();
        follow();
        ck_assert_uint_eq(compare(), COUNT);
    }
    ck_assert(plan->constraints.moves == (moved > 0));
    ck_assert_uint_eq(died, 0);
    mmgc_leave(t);
}
END_TEST

/* ---- watching ---- */

static void watch_all(mmgc_watched *watched)
{
    for (struct node *n = mmgc_local_get(t, list); n != NULL; n = mmgc_get(t, n, next)) {
        table_add((uint32_t)n->value, mmgc_load(t, &n->thing));
        ck_assert_ok(mmgc_watch(notices, t, mmgc_load(t, &n->thing), &watched[n->value]));
    }
}

/* Every fourth thing is let go. */
static void let_go(void)
{
    for (struct node *n = mmgc_local_get(t, list), *next; n != NULL; n = mmgc_get(t, n, next)) {
        while ((next = mmgc_get(t, n, next)) != NULL && next->value % 4 == 0)
            mmgc_set(t, n, next, mmgc_get(t, next, next));
    }
}

START_TEST(what_is_watched_is_told_of_till_it_dies)
{
    static mmgc_watched watched[COUNT];
    uint32_t gone = 0;

    open_heap(plans[_i], false);
    make_list(false);
    ck_assert(!mmgc_notices_due(notices)); /* nothing is watched */
    watch_all(watched);
    for (uint32_t i = 1; i < COUNT; i += 8) {
        ck_assert_ok(mmgc_unwatch(notices, watched[i]));
        index_at[at[i]] = 0;
    }
    ck_assert_int_eq(mmgc_unwatch(notices, watched[1]), MMGC_E_DROPPED);
    let_go();
    for (uint32_t round = 0; round < 4; round++) {
        collect();
        follow();
        for (struct node *n = mmgc_local_get(t, list); n != NULL; n = mmgc_get(t, n, next))
            ck_assert(n->value % 8 == 1 || at[n->value] == n->thing.granule);
    }
    for (uint32_t i = 0; i < COUNT; i += 4)
        gone += at[i] == 0;
    ck_assert_uint_eq(died, gone);
    if (plan->constraints.trace != PLAN_TRACE_NONE)
        ck_assert_uint_ge(gone, COUNT / 4 - 1); /* the first of the list was not let go */
    ck_assert(plan->constraints.moves == (moved > 0));
    mmgc_leave(t);
}
END_TEST

/* ---- when ---- */

START_TEST(who_enters_after_a_stop_knows_that_there_is_something)
{
    struct pollfd poll_for;
    struct mmgc_notice notice;
    struct mmgc_move move;
    size_t count;

    open_heap(&plan_semispace, true);
    make_list(true);
    poll_for = (struct pollfd){ .fd = mmgc_notices_fd(notices), .events = POLLIN };
    ck_assert_int_eq(poll(&poll_for, 1, 0), 0);
    mmgc_leave(t);
    ck_assert_ok(mmgc_notices_next(notices, NULL, 1000000, &move, 1, &count, &notice));
    ck_assert(count == 0 && notice.number == 0);
    ck_assert_ok(mmgc_gc(t));
    ck_assert(mmgc_notices_due(notices)); /* whether it has come or not */
    ck_assert_int_eq(poll(&poll_for, 1, 10000), 1);
    struct mmgc_heap_info info;
    ck_assert_ok(mmgc_heap_info(heap, &info));
    ck_assert_ok(mmgc_notices_next(notices, NULL, 0, &move, 1, &count, &notice));
    ck_assert(count == 1 && notice.number != 0 && !notice.last && notice.collection == info.collections);
    ck_assert(mmgc_notices_due(notices));
    ck_assert_ok(mmgc_enter(t));
    follow_slowly();
    ck_assert(!mmgc_notices_due(notices));
    mmgc_leave(t);
}
END_TEST

START_TEST(mistakes_are_named)
{
    struct mmgc_notices *other;
    struct mmgc_notice notice;
    struct mmgc_move move;
    mmgc_watched watched;
    size_t count;

    open_heap(&plan_semispace, true);
    ck_assert_int_eq(mmgc_notices_subscribe(heap, NULL, &other), MMGC_E_IS_IN);
    ck_assert_int_eq(mmgc_notices_subscribe(NULL, NULL, &other), MMGC_E_INVALID);
    ck_assert_int_eq(mmgc_notices_next(NULL, t, 0, &move, 1, &count, &notice), MMGC_E_INVALID);
    ck_assert_int_eq(mmgc_notices_next(notices, t, 0, &move, 0, &count, &notice), MMGC_E_INVALID);
    ck_assert_int_eq(mmgc_notices_apply(notices, t, NULL, NULL), MMGC_E_INVALID);
    ck_assert_int_eq(mmgc_watch(notices, t, mmgc_new(t, node_type), &watched), MMGC_E_INVALID); /* it is for all */
    mmgc_leave(t);
    ck_assert_int_eq(mmgc_notices_next(notices, t, 0, &move, 1, &count, &notice), MMGC_E_NOT_IN);
    ck_assert_ok(mmgc_notices_subscribe(heap, NULL, &other));
    ck_assert_int_eq(mmgc_watch(other, t, NULL, &watched), MMGC_E_NOT_IN);
    ck_assert_ok(mmgc_enter(t));
    ck_assert_int_eq(mmgc_watch(other, t, NULL, &watched), MMGC_E_INVALID);
    ck_assert_int_eq(mmgc_unwatch(other, (mmgc_watched){ 0 }), MMGC_E_INVALID);
    mmgc_leave(t);
    mmgc_notices_close(other);
    mmgc_notices_close(NULL);
}
END_TEST

static void on_notice_of_no_matter(void *context, const struct mmgc_notice *notice, const struct mmgc_move *moves, size_t count)
{
    (void)context;
    (void)moves;
    ck_assert(notice->last && !notice->incomplete && count > 0);
}

START_TEST(who_is_late_is_dropped_and_told_so)
{
    struct mmgc_notices *late;

    open_heap(&plan_semispace, true);
    make_list(true);
    mmgc_leave(t);
    ck_assert_ok(mmgc_notices_subscribe(heap, &(struct mmgc_notices_options){ .all = true, .deadline_ns = 20000000 }, &late));
    ck_assert_ok(mmgc_gc(t));
    ck_assert(mmgc_notices_due(late));
    ck_assert_ok(mmgc_notices_apply(late, NULL, on_notice_of_no_matter, NULL)); /* in time */
    ck_assert_ok(mmgc_gc(t));
    struct pollfd poll_for = { .fd = mmgc_notices_fd(late), .events = POLLRDHUP };
    ck_assert_int_eq(poll(&poll_for, 1, 10000), 1);
    ck_assert(mmgc_notices_due(late));
    ck_assert_int_eq(mmgc_notices_apply(late, NULL, on_notice_of_no_matter, NULL), MMGC_E_NO_NOTICES);
    ck_assert_int_eq(mmgc_notices_apply(late, NULL, on_notice_of_no_matter, NULL), MMGC_E_NO_NOTICES);
    ck_assert(mmgc_notices_due(late));
    mmgc_notices_close(late);
    ck_assert_ok(mmgc_enter(t)); /* nobody else minds */
    follow_slowly();
    mmgc_leave(t);
}
END_TEST

START_TEST(a_destroyed_heap_is_said)
{
    struct mmgc_notice notice;
    struct mmgc_move move;
    size_t count;

    open_heap(&plan_semispace, true);
    mmgc_leave(t);
    ck_assert_ok(mmgc_heap_destroy(client, "heap", true));
    ck_assert_int_eq(mmgc_notices_next(notices, NULL, UINT64_C(10000000000), &move, 1, &count, &notice), MMGC_E_HEAP_GONE);
    ck_assert(mmgc_notices_due(notices));
}
END_TEST

static Suite *make(void)
{
    Suite *suite = suite_create("notice_moves");
    TCase *tc = tcase_create("notice_moves");

    tcase_add_checked_fixture(tc, setup, teardown);
    tcase_set_timeout(tc, 120);
    tcase_add_loop_test(tc, every_address_is_what_the_notices_say, 0, (int)PLAN_COUNT);
    tcase_add_loop_test(tc, what_is_watched_is_told_of_till_it_dies, 0, (int)PLAN_COUNT);
    tcase_add_test(tc, who_enters_after_a_stop_knows_that_there_is_something);
    tcase_add_test(tc, mistakes_are_named);
    tcase_add_test(tc, who_is_late_is_dropped_and_told_so);
    tcase_add_test(tc, a_destroyed_heap_is_said);
    suite_add_tcase(suite, tc);
    return suite;
}

int main(int argc, char **argv)
{
    return runner_main(argc, argv, make);
}
