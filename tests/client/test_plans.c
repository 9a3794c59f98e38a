/* SPDX-License-Identifier: Apache-2.0 */
/* What a client may rely on under every plan, with exact and with ambiguous roots: the library and the real daemon. */
#include "plans/plan.h"

#include <mmgc/mmgc.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>

#include "shm/base.h"
#include "shm/units.h"
#include "tests/support/daemon.h"
#include "tests/support/runner.h"

#define HEAP_BYTES (UINT64_C(16) << 20)
#define LIST_LENGTH 16000 /* at most: many() */
#define KEPT_EVERY 16 /* whole lines of garbage between those that stay */
#define BOTH (2 * PLAN_COUNT) /* loops: a plan, and exact or not */
#define ck_assert_ok(call) ck_assert_int_eq((call), MMGC_OK)

struct node {
    mmgc_ref left, right;
    int64_t value;
};
struct access { /* one thread's way into the heap */
    struct mmgc_client *client;
    struct mmgc_heap *heap;
    struct mmgc_thread *t;
    mmgc_type node, bytes, refs;
    bool exact;
};

static struct daemon *mmgcd;
static struct access a;
static const struct plan *plan;

static void attach(struct access *to, bool exact)
{
    struct mmgc_thread_options options = { .exact = exact };

    to->exact = exact;
    ck_assert_ok(mmgc_attach(to->heap, &options, &to->t));
    ck_assert_ok(mmgc_enter(to->t));
}

static void open_heap(const struct plan *of, bool exact)
{
    struct mmgc_heap_options options = { .create = true, .max_bytes = HEAP_BYTES, .plan = of->name, .options = "immix_always_defrag=on" };

    plan = of;
    ck_assert_ok(mmgc_heap_open(a.client, "heap", &options, &a.heap));
    ck_assert_ok(MMGC_DEFINE_TYPE(a.heap, node, &a.node, left, right));
    ck_assert_ok(mmgc_type_bytes(a.heap, &a.bytes));
    ck_assert_ok(mmgc_type_refs(a.heap, &a.refs));
    attach(&a, exact);
}

/* The heap of a test in a loop of BOTH. */
static void open_both(int i)
{
    open_heap(plans[i / 2], i % 2 == 1);
}

static void setup(void)
{
    mmgcd = daemon_start(NULL);
    ck_assert_ok(mmgc_connect(daemon_socket(mmgcd), "test", &a.client));
}

static void teardown(void)
{
    mmgc_detach(a.t);
    mmgc_heap_close(a.heap);
    mmgc_disconnect(a.client);
    daemon_stop(mmgcd);
}

static bool collects(void)
{
    return plan->constraints.trace != PLAN_TRACE_NONE;
}

/* [safepoint] A full collection, where there is such a thing. */
static void collect(const struct access *in)
{
    ck_assert_int_eq(mmgc_gc(in->t), collects() ? MMGC_OK : MMGC_E_UNSUPPORTED);
}

static uint64_t live_objects(void)
{
    struct mmgc_heap_info info;

    ck_assert_ok(mmgc_heap_info(a.heap, &info));
    return info.live_objects;
}

/* What a node costs, and how many are many, but fit twice. */
static int64_t node_bytes(void)
{
    return plan->constraints.allocator == SHM_ALLOCATOR_PAGES ? MM_PAGE_BYTES : 32;
}

static int64_t many(void)
{
    return MM_MIN(LIST_LENGTH, (int64_t)HEAP_BYTES / 4 / node_bytes());
}

/* ---- a list in a local root --------------------------------------------------------------------------------------- */

/* [safepoint] False: no memory; the list is as it was. */
static bool list_push(const struct access *in, mmgc_local list, int64_t value)
{
    struct node *n = mmgc_new(in->t, in->node);

    if (n == NULL)
        return false;
    n->value = value;
    mmgc_set(in->t, n, left, (struct node *)mmgc_local_get(in->t, list));
    mmgc_local_set(in->t, list, n);
    return true;
}

/* A frame of its own: what it leaves in registers is no root of the caller's. */
__attribute__((noinline)) static mmgc_local list_new(const struct access *in, int64_t length)
{
    mmgc_local list = mmgc_local_new(in->t, NULL);

    for (int64_t value = 0; value < length; value++)
        ck_assert(list_push(in, list, value));
    return list;
}

/* How many nodes it has, if they count down by @step to 0, else -1. */
__attribute__((noinline)) static int64_t list_length(const struct access *in, mmgc_local list, int64_t step)
{
    struct node *n = mmgc_local_get(in->t, list);
    int64_t next = n == NULL ? 0 : n->value, length = 0;

    for (; n != NULL; n = mmgc_get(in->t, n, left), length++, next -= step)
        if (n->value != next || strcmp(mmgc_type_name(in->t, n), "node") != 0)
            return -1;
    return length == 0 || next + step == 0 ? length : -1;
}

/* Takes all but every KEPT_EVERYth node out, and them apart: a word that a stack still shows holds one, not the rest. */
__attribute__((noinline)) static void list_thin_out(const struct access *in, mmgc_local list)
{
    struct node *next, *kept = NULL;

    for (struct node *n = mmgc_local_get(in->t, list); n != NULL; n = next) {
        next = mmgc_get(in->t, n, left);
        mmgc_set(in->t, n, left, (struct node *)NULL);
        if (n->value % KEPT_EVERY != 0)
            continue;
        if (kept == NULL)
            mmgc_local_set(in->t, list, n);
        else
            mmgc_set(in->t, kept, left, n);
        kept = n;
    }
}

/* Notes where each node is, by value; @moved counts those that were noted elsewhere. */
__attribute__((noinline)) static uint64_t list_note(const struct access *in, mmgc_local list, uint32_t *places)
{
    uint64_t moved = 0;

    for (struct node *n = mmgc_local_get(in->t, list); n != NULL; n = mmgc_get(in->t, n, left)) {
        uint32_t place = mmgc_ref_of(in->t, n).granule;
        moved += places[n->value] != place;
        places[n->value] = place;
    }
    return moved;
}

START_TEST(a_graph_is_whole_wherever_it_went)
{
    uint32_t *places = calloc(LIST_LENGTH, sizeof(*places));
    uint64_t moved = 0;

    open_both(_i);
    mmgc_local list = list_new(&a, many());
    list_thin_out(&a, list);
    (void)list_note(&a, list, places);
    for (int round = 0; round < 8; round++) {
        collect(&a);
        moved += list_note(&a, list, places);
        ck_assert_int_eq(list_length(&a, list, KEPT_EVERY), many() / KEPT_EVERY);
        mmgc_scope scope = mmgc_scope_open(a.t);
        (void)list_new(&a, many() / 10); /* over what is free */
        mmgc_scope_close(a.t, scope);
    }
    if (plan->constraints.moves)
        ck_assert_uint_gt(moved, 0);
    else
        ck_assert_uint_eq(moved, 0);
    free(places);
}
END_TEST

/* ---- what holds, and what follows --------------------------------------------------------------------------------- */

START_TEST(what_a_stack_points_at_stays)
{
    open_heap(plans[_i], false);
    mmgc_local list = list_new(&a, many());
    list_thin_out(&a, list);
    struct node *first = mmgc_local_get(a.t, list), *volatile held = mmgc_get(a.t, first, left);
    char *text = mmgc_new_array(a.t, a.bytes, 3000), *volatile inside = text + 1234;
    memset(text, 7, 3000);
    uint32_t held_at = mmgc_ref_of(a.t, held).granule, text_at = mmgc_ref_of(a.t, text).granule;
    text = NULL;
    for (int round = 0; round < 4; round++) {
        collect(&a);
        ck_assert_int_eq(list_length(&a, list, KEPT_EVERY), many() / KEPT_EVERY);
        ck_assert_ptr_eq(held, mmgc_get(a.t, (struct node *)mmgc_local_get(a.t, list), left));
        ck_assert_uint_eq(mmgc_ref_of(a.t, held).granule, held_at);
        ck_assert_int_eq(held->value, many() - 2 * KEPT_EVERY);
        text = inside - 1234;
        ck_assert_uint_eq(mmgc_ref_of(a.t, text).granule, text_at);
        ck_assert_uint_eq(mmgc_length(text), 3000);
        ck_assert(text[0] == 7 && memcmp(text, text + 1, 2999) == 0);
    }
}
END_TEST

__attribute__((noinline)) static void hold_everywhere(mmgc_local *local, mmgc_handle *handle)
{
    struct node *n = mmgc_new(a.t, a.node);

    ck_assert_ptr_nonnull(n);
    n->value = 42;
    *local = mmgc_local_new(a.t, n);
    ck_assert_ok(mmgc_handle_new(a.t, n, handle));
    ck_assert_ok(mmgc_name_set(a.t, "name", n));
}

__attribute__((noinline)) static bool held_everywhere(mmgc_local local, mmgc_handle handle, mmgc_local holder)
{
    struct node *n = mmgc_local_get(a.t, local);

    return n->value == 42 && n == mmgc_handle_get(a.t, handle) && n == mmgc_name_get(a.t, "name") &&
           n == mmgc_load(a.t, mmgc_local_get(a.t, holder));
}

START_TEST(locals_handles_names_and_references_stay_together)
{
    mmgc_local local, large;
    mmgc_handle handle;

    open_both(_i);
    large = mmgc_local_new(a.t, mmgc_new_array(a.t, a.refs, 10000)); /* which does not move, but what it refers to */
    (void)list_new(&a, many());
    hold_everywhere(&local, &handle);
    mmgc_ref *elements = mmgc_local_get(a.t, large);
    mmgc_store(a.t, elements, &elements[0], mmgc_local_get(a.t, local));
    elements = NULL;
    for (int round = 0; round < 4; round++) {
        collect(&a);
        ck_assert(held_everywhere(local, handle, large));
    }
    mmgc_handle_drop(a.heap, handle);
}
END_TEST

/* ---- memory that was promised, and memory that is not there --------------------------------------------------------- */

START_TEST(what_is_reserved_is_there)
{
    static const uint32_t lengths[] = { 8192, 24, 16376, 100, 1000, 3000 };
    struct mmgc_heap_info before, after;
    uint64_t left = 1u << 20;

    open_both(_i);
    mmgc_local list = list_new(&a, many());
    list_thin_out(&a, list);
    collect(&a);
    ck_assert_ok(mmgc_reserve(a.t, left));
    ck_assert_ok(mmgc_heap_info(a.heap, &before));
    for (int i = 0; mmgc_size(a.bytes, lengths[i % 6]) <= left; i++) {
        char *bytes = mmgc_new_array(a.t, a.bytes, lengths[i % 6]);
        ck_assert_ptr_nonnull(bytes);
        memset(bytes, 0xff, lengths[i % 6]);
        left -= mmgc_size(a.bytes, lengths[i % 6]);
    }
    ck_assert_ok(mmgc_heap_info(a.heap, &after));
    ck_assert_uint_eq(after.collections, before.collections);
    collect(&a);
    ck_assert_int_eq(list_length(&a, list, KEPT_EVERY), many() / KEPT_EVERY);
}
END_TEST

/* In a frame of its own. */
__attribute__((noinline)) static int64_t fill(mmgc_local list)
{
    int64_t value = 0;

    while (list_push(&a, list, value))
        value++;
    ck_assert_int_eq(mmgc_thread_error(a.t), MMGC_E_NOMEM);
    return value;
}

/* Refused three times in a row. Each try collects, and where objects move, copies may lie a little closer than before. */
static int64_t try_again(mmgc_local list, int64_t filled)
{
    int64_t value = filled;

    for (int refused = 0; refused < 3;) {
        bool pushed = list_push(&a, list, value);
        value += pushed;
        refused = pushed ? 0 : refused + 1;
    }
    ck_assert_int_lt(value - filled, 3 * 32768 / 24);
    return value;
}

START_TEST(a_full_heap_stays_whole_and_is_empty_again)
{
    open_both(_i);
    mmgc_local list = mmgc_local_new(a.t, NULL);
    int64_t filled = fill(list);
    ck_assert_int_gt(filled, (int64_t)HEAP_BYTES / 4 / node_bytes());
    filled = try_again(list, filled);
    ck_assert_int_eq(list_length(&a, list, 1), filled);
    if (!collects())
        return;
    collect(&a);
    ck_assert_int_eq(list_length(&a, list, 1), filled);
    mmgc_local_set(a.t, list, NULL);
    collect(&a);
    ck_assert_uint_lt(live_objects(), 100);
    mmgc_local other = list_new(&a, filled / 2);
    ck_assert_int_eq(list_length(&a, other, 1), filled / 2);
}
END_TEST

/* ---- spaces that every heap has ------------------------------------------------------------------------------------- */

static const enum mmgc_space fixed_spaces[] = { MMGC_SPACE_NONMOVING, MMGC_SPACE_IMMORTAL, MMGC_SPACE_LARGE };

START_TEST(objects_of_fixed_spaces_keep_their_address)
{
    mmgc_local locals[100 * MM_ARRAY_LEN(fixed_spaces)];
    uint32_t places[MM_ARRAY_LEN(locals)];

    open_both(_i);
    for (size_t i = 0; i < MM_ARRAY_LEN(locals); i++) {
        uint32_t length = (uint32_t)(i * 7919 % 5000);
        locals[i] = mmgc_local_new(a.t, mmgc_new_in(a.t, a.bytes, length, fixed_spaces[i % 3]));
        char *bytes = mmgc_local_get(a.t, locals[i]);
        ck_assert_ptr_nonnull(bytes);
        ck_assert_uint_eq(mmgc_length(bytes), length);
        ck_assert(length == 0 || (bytes[0] == 0 && memcmp(bytes, bytes + 1, length - 1) == 0));
        memset(bytes, (int)i + 1, length);
        places[i] = mmgc_ref_of(a.t, bytes).granule;
        if (fixed_spaces[i % 3] == MMGC_SPACE_LARGE)
            ck_assert_uint_eq(places[i] % MM_PAGE_GRANULES, 1);
        mmgc_scope scope = mmgc_scope_open(a.t);
        (void)list_new(&a, many() / 80);
        mmgc_scope_close(a.t, scope);
    }
    for (int round = 0; round < 3; round++) {
        collect(&a);
        for (size_t i = 0; i < MM_ARRAY_LEN(locals); i++) {
            const char *bytes = mmgc_local_get(a.t, locals[i]);
            uint32_t length = mmgc_length(bytes);
            ck_assert_uint_eq(mmgc_ref_of(a.t, bytes).granule, places[i]);
            ck_assert(length == 0 || (bytes[0] == (char)(i + 1) && memcmp(bytes, bytes + 1, length - 1) == 0));
        }
    }
}
END_TEST

/* Nobody holds what is made here: [0] immortal, and a child that moves; the others die. Where [0] is, in granules. */
__attribute__((noinline)) static uint32_t make_and_forget(void)
{
    mmgc_scope scope = mmgc_scope_open(a.t);
    mmgc_local child = mmgc_local_new(a.t, NULL);

    ck_assert(list_push(&a, child, 43));
    struct node *n = mmgc_new_in(a.t, a.node, 0, MMGC_SPACE_IMMORTAL);
    n->value = 42;
    mmgc_set(a.t, n, right, (struct node *)mmgc_local_get(a.t, child));
    uint32_t place = mmgc_ref_of(a.t, n).granule;
    for (int i = 0; i < 50; i++) {
        ck_assert_ptr_nonnull(mmgc_new_in(a.t, a.node, 0, MMGC_SPACE_NONMOVING));
        ck_assert_ptr_nonnull(mmgc_new_in(a.t, a.node, 0, MMGC_SPACE_LARGE));
    }
    mmgc_scope_close(a.t, scope);
    return place;
}

__attribute__((noinline)) static bool immortal_is_whole(uint32_t place)
{
    struct node *n = mmgc_deref(a.t, (mmgc_ref){ place }), *child = mmgc_get(a.t, n, right);

    return n->value == 42 && strcmp(mmgc_type_name(a.t, n), "node") == 0 && child->value == 43 &&
           strcmp(mmgc_type_name(a.t, child), "node") == 0;
}

START_TEST(what_is_immortal_lives_unreached_with_all_it_refers_to)
{
    open_both(_i);
    uint32_t place = make_and_forget();
    for (int round = 0; round < 4; round++) {
        collect(&a);
        ck_assert(immortal_is_whole(place));
        mmgc_scope scope = mmgc_scope_open(a.t);
        (void)list_new(&a, many()); /* over what is free */
        mmgc_scope_close(a.t, scope);
    }
    collect(&a);
    ck_assert(immortal_is_whole(place));
    if (collects())
        ck_assert_uint_lt(live_objects(), 20); /* the fifty and fifty are gone: only [0], its child and what stacks still show */
}
END_TEST

START_TEST(spaces_have_limits_and_say_so)
{
    open_both(_i);
    ck_assert_ptr_null(mmgc_new_in(a.t, a.bytes, 20000, MMGC_SPACE_IMMORTAL));
    ck_assert_int_eq(mmgc_thread_error(a.t), MMGC_E_TOO_LARGE);
    ck_assert_str_ne(mmgc_error_detail(), "");
    ck_assert_ptr_null(mmgc_new_in(a.t, a.bytes, 8, (enum mmgc_space)7));
    ck_assert_int_eq(mmgc_thread_error(a.t), MMGC_E_INVALID);
    ck_assert_ptr_nonnull(mmgc_new_in(a.t, a.bytes, 20000, MMGC_SPACE_NONMOVING));
    ck_assert_ptr_nonnull(mmgc_new_in(a.t, a.bytes, 20000, MMGC_SPACE_DEFAULT));
    while (mmgc_new_in(a.t, a.bytes, 5000, MMGC_SPACE_IMMORTAL) != NULL)
        ;
    ck_assert_int_eq(mmgc_thread_error(a.t), MMGC_E_NOMEM);
    mmgc_leave(a.t);
    ck_assert_ptr_null(mmgc_new_in(a.t, a.node, 0, MMGC_SPACE_NONMOVING));
    ck_assert_int_eq(mmgc_thread_error(a.t), MMGC_E_NOT_IN);
}
END_TEST

/* ---- several threads ------------------------------------------------------------------------------------------------- */

struct worker {
    pthread_t thread;
    bool exact;
};

static const char *grow_lists(struct access *in)
{
    int64_t length = many() / 4;

    for (int round = 0; round < 10; round++) {
        mmgc_scope scope = mmgc_scope_open(in->t);
        mmgc_local list = mmgc_local_new(in->t, NULL);
        for (int64_t value = 0; value < length; value++) {
            if (!list_push(in, list, value))
                return mmgc_strerror(mmgc_thread_error(in->t));
            if (value % (length / 4) == 0 && list_length(in, list, 1) != value + 1)
                return "a list broke";
        }
        mmgc_scope_close(in->t, scope);
    }
    return NULL;
}

static void *work(void *arg)
{
    const struct worker *worker = arg;
    struct mmgc_thread_options options = { .exact = worker->exact };
    struct access in = a;

    if (mmgc_attach(in.heap, &options, &in.t) != MMGC_OK || mmgc_enter(in.t) != MMGC_OK)
        return "attach";
    const char *wrong = grow_lists(&in);
    mmgc_detach(in.t);
    return (void *)(uintptr_t)wrong;
}

START_TEST(exact_and_ambiguous_threads_share_a_heap)
{
    struct worker workers[] = { { .exact = true }, { .exact = false }, { .exact = true } };
    void *wrong;

    open_heap(plans[_i], false);
    mmgc_local list = list_new(&a, many() / 4);
    for (size_t i = 0; i < MM_ARRAY_LEN(workers); i++)
        ck_assert_int_eq(pthread_create(&workers[i].thread, NULL, work, &workers[i]), 0);
    for (int round = 0; round < 10; round++) {
        collect(&a);
        ck_assert_int_eq(list_length(&a, list, 1), many() / 4);
    }
    mmgc_leave(a.t);
    for (size_t i = 0; i < MM_ARRAY_LEN(workers); i++) {
        ck_assert_int_eq(pthread_join(workers[i].thread, &wrong), 0);
        ck_assert_msg(wrong == NULL, "%s", (const char *)wrong);
    }
}
END_TEST

static Suite *plans_suite(void)
{
    Suite *suite = suite_create("plans");
    TCase *tc = tcase_create("plans");

    tcase_set_timeout(tc, 60);
    tcase_add_checked_fixture(tc, setup, teardown);
    tcase_add_loop_test(tc, a_graph_is_whole_wherever_it_went, 0, BOTH);
    tcase_add_loop_test(tc, what_a_stack_points_at_stays, 0, PLAN_COUNT);
    tcase_add_loop_test(tc, locals_handles_names_and_references_stay_together, 0, BOTH);
    tcase_add_loop_test(tc, what_is_reserved_is_there, 0, BOTH);
    tcase_add_loop_test(tc, a_full_heap_stays_whole_and_is_empty_again, 0, BOTH);
    tcase_add_loop_test(tc, objects_of_fixed_spaces_keep_their_address, 0, BOTH);
    tcase_add_loop_test(tc, what_is_immortal_lives_unreached_with_all_it_refers_to, 0, BOTH);
    tcase_add_loop_test(tc, spaces_have_limits_and_say_so, 0, BOTH);
    tcase_add_loop_test(tc, exact_and_ambiguous_threads_share_a_heap, 0, PLAN_COUNT);
    suite_add_tcase(suite, tc);
    return suite;
}

int main(int argc, char **argv)
{
    return runner_main(argc, argv, plans_suite);
}
