/* SPDX-License-Identifier: Apache-2.0 */
/* mmgc_stow() with the library and the real daemon, under every plan: one client stows what another one reads, and notices tell the moves. */
#include <mmgc/handle.h>
#include <mmgc/lease.h>
#include <mmgc/notice.h>
#include <stdlib.h>
#include <string.h>

#include "plans/plan.h"
#include "shm/units.h"
#include "tests/support/daemon.h"
#include "tests/support/runner.h"

#define HEAP_BYTES (UINT64_C(64) << 20)
#define COUNT 5000u
#define NODE_GRANULES 3u
#define BREAKS_MAX (COUNT * NODE_GRANULES * MM_GRANULE_BYTES / MM_BLOCK_BYTES + 1) /* ends of blocks */
#define ck_assert_ok(call) ck_assert_int_eq((call), MMGC_OK)

struct node {
    mmgc_ref next, other;
    uint64_t number;
};
struct peer {
    struct mmgc_client *client;
    struct mmgc_heap *heap;
    struct mmgc_thread *t;
};
static struct daemon *mmgcd;
static struct peer stower, reader;
static mmgc_type node_type;
static const struct plan *plan;
static struct mmgc_move moves[1 << 20];
static size_t move_count;

static bool stows(void)
{
    return plan->constraints.trace == PLAN_TRACE_EVACUATE;
}

static void open_peer(struct peer *p, const char *name)
{
    struct mmgc_heap_options options = { .create = true, .max_bytes = HEAP_BYTES, .plan = plan->name };

    ck_assert_ok(mmgc_connect(daemon_socket(mmgcd), name, &p->client));
    ck_assert_ok(mmgc_heap_open(p->client, "heap", &options, &p->heap));
    ck_assert_ok(MMGC_DEFINE_TYPE(p->heap, node, &node_type, next, other));
    ck_assert_ok(mmgc_attach(p->heap, &(struct mmgc_thread_options){ .exact = true }, &p->t));
}

static void close_peer(struct peer *p)
{
    mmgc_detach(p->t);
    mmgc_heap_close(p->heap);
    mmgc_disconnect(p->client);
}

static void open_both(int index)
{
    plan = plans[index];
    mmgcd = daemon_start("[daemon]\nthreads = 2\n[heap]\nsanity = on\n");
    open_peer(&stower, "stower");
    open_peer(&reader, "reader");
    move_count = 0;
}

static void close_both(void)
{
    close_peer(&reader);
    close_peer(&stower);
    daemon_stop(mmgcd);
}

/* A list whose order has nothing to do with that of its objects: node i is followed by the one that was made as the (i * 1009)-th. */
static void make_list(void)
{
    struct mmgc_thread *t = stower.t;

    ck_assert_ok(mmgc_enter(t));
    mmgc_scope scope = mmgc_scope_open(t);
    mmgc_local locals[COUNT];
    for (uint32_t i = 0; i < COUNT; i++) {
        locals[i] = mmgc_local_new(t, mmgc_new(t, node_type));
        (void)mmgc_new(t, node_type); /* garbage between them */
    }
    for (uint32_t i = 0; i < COUNT; i++) {
        struct node *n = mmgc_local_get(t, locals[i * UINT64_C(1009) % COUNT]);
        n->number = i;
        if (i + 1 < COUNT)
            mmgc_set(t, n, next, (struct node *)mmgc_local_get(t, locals[(i + 1) * UINT64_C(1009) % COUNT]));
    }
    ck_assert_ok(mmgc_name_set(t, "list", mmgc_local_get(t, locals[0])));
    mmgc_scope_close(t, scope);
    mmgc_leave(t);
}

/* Where they are, in order; how often one is not right behind the one before. */
static uint32_t look(struct peer *p, uint32_t *ret_granules)
{
    uint32_t count = 0, breaks = 0;

    ck_assert_ok(mmgc_enter(p->t));
    for (struct node *n = mmgc_name_get(p->t, "list"); n != NULL; n = mmgc_get(p->t, n, next), count++) {
        ck_assert_uint_lt(count, COUNT);
        ck_assert_uint_eq(n->number, count);
        ret_granules[count] = mmgc_ref_of(p->t, n).granule;
        breaks += count > 0 && ret_granules[count] != ret_granules[count - 1] + NODE_GRANULES;
    }
    mmgc_leave(p->t);
    ck_assert_uint_eq(count, COUNT);
    return breaks;
}

static int stow(struct mmgc_stow_result *result)
{
    ck_assert_ok(mmgc_enter(stower.t));
    int r = mmgc_stow(stower.t, mmgc_name_get(stower.t, "list"), result);
    mmgc_leave(stower.t);
    return r;
}

START_TEST(what_one_stows_another_finds_packed)
{
    static uint32_t before[COUNT], after[COUNT];
    struct mmgc_stow_result result;

    open_both(_i);
    make_list();
    (void)look(&reader, before);
    int r = stow(&result);
    uint32_t breaks = look(&reader, after);
    if (stows()) {
        ck_assert_ok(r);
        ck_assert(result.complete);
        ck_assert_uint_eq(result.objects, COUNT);
        ck_assert_uint_eq(result.bytes, (uint64_t)COUNT * NODE_GRANULES * MM_GRANULE_BYTES);
        ck_assert_uint_eq(result.moved_objects, COUNT);
        ck_assert_uint_gt(result.collection, 0);
        ck_assert_uint_lt(breaks, BREAKS_MAX);
    } else {
        ck_assert_int_eq(r, MMGC_E_UNSUPPORTED);
        ck_assert_int_eq(memcmp(before, after, sizeof(before)), 0);
    }
    close_both();
}
END_TEST

static void on_notice(void *context, const struct mmgc_notice *notice, const struct mmgc_move *rows, size_t count)
{
    (void)context;
    ck_assert(!notice->incomplete && move_count + count <= MM_ARRAY_LEN(moves));
    memcpy(&moves[move_count], rows, count * sizeof(rows[0]));
    move_count += count;
}

START_TEST(notices_tell_where_they_went)
{
    static uint32_t before[COUNT], after[COUNT];
    struct mmgc_notices *notices;
    struct mmgc_stow_result result;
    size_t told = 0;

    open_both(_i);
    if (stows()) {
        make_list();
        ck_assert_ok(mmgc_notices_subscribe(reader.heap, &(struct mmgc_notices_options){ .all = true }, &notices));
        (void)look(&reader, before);
        ck_assert_ok(stow(&result));
        ck_assert_ok(mmgc_notices_apply(notices, NULL, on_notice, NULL));
        (void)look(&reader, after);
        for (uint32_t i = 0; i < COUNT; i++)
            for (size_t k = 0; k < move_count; k++)
                told += moves[k].from.granule == before[i] && moves[k].to.granule == after[i] && moves[k].granules == NODE_GRANULES;
        ck_assert_uint_eq(told, COUNT);
        mmgc_notices_close(notices);
    }
    close_both();
}
END_TEST

/* Under the stower's hands, and what it walks through. */
START_TEST(what_is_leased_stays_and_the_rest_moves)
{
    static uint32_t before[COUNT], after[COUNT];
    struct mmgc_stow_result result;
    mmgc_lease lease;

    open_both(_i);
    if (stows()) {
        make_list();
        (void)look(&reader, before);
        ck_assert_ok(mmgc_enter(reader.t));
        struct node *n = mmgc_name_get(reader.t, "list");
        ck_assert_ok(mmgc_lease_try(reader.t, n, MMGC_LEASE_SHARED, NULL, &lease));
        mmgc_leave(reader.t);
        ck_assert_ok(stow(&result));
        (void)look(&reader, after);
        ck_assert(!result.complete);
        ck_assert_uint_eq(after[0], before[0]);
        ck_assert_uint_eq(result.objects, COUNT);
        ck_assert_uint_gt(result.moved_objects, COUNT - MM_BLOCK_BYTES / (NODE_GRANULES * MM_GRANULE_BYTES) - 1);
        ck_assert_uint_lt(result.moved_objects, COUNT);
        ck_assert_ok(mmgc_lease_release(reader.heap, lease));
    }
    close_both();
}
END_TEST

START_TEST(mistakes_have_names_and_no_row_is_left)
{
    struct mmgc_stow_result result = { .objects = 77 };
    struct mmgc_handle_counts counts;

    open_both(_i);
    ck_assert_int_eq(mmgc_stow(NULL, &result, &result), MMGC_E_INVALID);
    ck_assert_int_eq(mmgc_stow(stower.t, &result, &result), MMGC_E_NOT_IN);
    ck_assert_ok(mmgc_enter(stower.t));
    ck_assert_int_eq(mmgc_stow(stower.t, NULL, &result), MMGC_E_INVALID);
    ck_assert_int_eq(mmgc_stow(stower.t, &result, &result), MMGC_E_NO_OBJECT);
    ck_assert_uint_eq(result.objects, 77);
    for (unsigned i = 0; i < 100; i++) /* more than there is room for at once */
        ck_assert_int_eq(mmgc_stow(stower.t, mmgc_new(stower.t, node_type), NULL), stows() ? MMGC_OK : MMGC_E_UNSUPPORTED);
    ck_assert_ok(mmgc_handle_counts(stower.heap, &counts));
    ck_assert_uint_eq(counts.strong, 0);
    mmgc_leave(stower.t);
    close_both();
}
END_TEST

static Suite *make_suite(void)
{
    Suite *s = suite_create("stow_graph");
    TCase *tc = tcase_create("stow_graph");

    tcase_set_timeout(tc, 100);
    tcase_add_loop_test(tc, what_one_stows_another_finds_packed, 0, PLAN_COUNT);
    tcase_add_loop_test(tc, notices_tell_where_they_went, 0, PLAN_COUNT);
    tcase_add_loop_test(tc, what_is_leased_stays_and_the_rest_moves, 0, PLAN_COUNT);
    tcase_add_loop_test(tc, mistakes_have_names_and_no_row_is_left, 0, PLAN_COUNT);
    suite_add_tcase(s, tc);
    return s;
}

int main(int argc, char **argv)
{
    return runner_main(argc, argv, make_suite);
}
