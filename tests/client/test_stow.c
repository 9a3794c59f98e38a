/* SPDX-License-Identifier: Apache-2.0 */
/* What leaves a hold: at its end, by hand, by stores, with large objects, in a full heap; under every plan. */
#include "tests/client/hold_world.h"

/* ---- what is kept ---- */

START_TEST(what_is_kept_is_in_the_heap_with_all_that_it_reaches)
{
    open_both(_i);
    mmgc_hold hold = begin();

    list_new(1000);
    struct node *list = end_keeping(hold, list_new(1000));
    ck_assert(!is_held(list));
    mmgc_local local = mmgc_local_new(t, list);
    collect();
    ck_assert_int_eq(list_length(mmgc_local_get(t, local)), 1000);
}
END_TEST

START_TEST(sharing_and_cycles_are_kept)
{
    open_both(_i);
    mmgc_hold hold = begin();
    struct node *shared = node_new(3), *a = pair_new(1, shared, shared), *b = pair_new(2, a, shared);

    mmgc_set(t, shared, left, b);
    mmgc_local local = mmgc_local_new(t, end_keeping(hold, b));
    collect();
    b = mmgc_local_get(t, local);
    a = mmgc_get(t, b, left);
    shared = mmgc_get(t, b, right);
    ck_assert_int_eq(b->value, 2);
    ck_assert_int_eq(a->value, 1);
    ck_assert_int_eq(shared->value, 3);
    ck_assert_ptr_eq(mmgc_get(t, a, left), shared);
    ck_assert_ptr_eq(mmgc_get(t, a, right), shared);
    ck_assert_ptr_eq(mmgc_get(t, shared, left), b);
    ck_assert_ptr_null(mmgc_get(t, shared, right));
}
END_TEST

static struct node *tree_new(int depth, int64_t value)
{
    struct node *left = depth == 0 ? NULL : tree_new(depth - 1, 2 * value), *right = depth == 0 ? NULL : tree_new(depth - 1, 2 * value + 1);

    return pair_new(value, left, right);
}

/* A tree of nodes that lie side by side, in the order in which a walk by the fields meets them. */
static struct node *next_in_order(struct node *n, struct node *at)
{
    ck_assert_ptr_eq(n, at);
    at = (struct node *)(void *)((char *)at + mmgc_size(node_type, 0));
    if (mmgc_get(t, n, left) != NULL)
        at = next_in_order(mmgc_get(t, n, left), at);
    if (mmgc_get(t, n, right) != NULL)
        at = next_in_order(mmgc_get(t, n, right), at);
    return at;
}

START_TEST(copies_lie_side_by_side_in_the_order_of_the_fields)
{
    open_both(_i);
    mmgc_hold outer = begin(), inner = begin();

    struct node *tree = end_keeping(inner, tree_new(6, 1));
    (void)next_in_order(tree, tree);
    end(outer);
}
END_TEST

START_TEST(an_inner_hold_is_stowed_into_the_outer_one)
{
    open_both(_i);
    mmgc_hold outer = begin(), inner = begin();

    struct node *list = end_keeping(inner, list_new(some(5000)));
    ck_assert(is_held(list));
    ck_assert_uint_ge(mmgc_hold_bytes(t, outer), (uint64_t)some(5000) * mmgc_size(node_type, 0));
    struct node *top = pair_new(some(5000), list, NULL);
    list = end_keeping(outer, top);
    ck_assert(!is_held(list));
    ck_assert_int_eq(list_length(list), some(5000) + 1);
}
END_TEST

START_TEST(a_stow_keeps_the_budget_of_the_enclosing_hold)
{
    open_both(_i);
    mmgc_hold outer = begin_with(MMGC_HOLD_STOW, 100 * mmgc_size(node_type, 0)), inner = begin();
    void *kept[1] = { list_new(101) };

    ck_assert_int_eq(mmgc_hold_end(t, inner, kept, 1), MMGC_E_BUDGET);
    ck_assert_int_eq(list_length(kept[0]), 101);
    ck_assert_uint_eq(mmgc_hold_bytes(t, outer), 0);
    kept[0] = mmgc_get(t, (struct node *)kept[0], left);
    ck_assert_ok(mmgc_hold_end(t, inner, kept, 1));
    ck_assert_int_eq(list_length(kept[0]), 100);
    end(outer);
}
END_TEST

/* ---- stores ---- */

START_TEST(a_store_from_outside_stows_what_it_lets_out)
{
    open_both(_i);
    if (stores_may_fail())
        return;
    mmgc_local outside = mmgc_local_new(t, node_new(1));
    mmgc_hold hold = begin();
    struct node *list = list_new(some(100)), *user = pair_new(7, list, NULL);
    mmgc_local users = mmgc_local_new(t, user), local = mmgc_local_new(t, list);

    struct node *n = mmgc_local_get(t, outside);
    mmgc_set(t, n, left, list);
    struct node *stowed = mmgc_get(t, n, left);
    ck_assert_ptr_ne(stowed, list);
    ck_assert(!is_held(stowed));
    ck_assert_ptr_eq(mmgc_get(t, (struct node *)mmgc_local_get(t, users), left), stowed);
    ck_assert_ptr_eq(mmgc_local_get(t, local), stowed);
    end(hold);
    collect();
    ck_assert_int_eq(list_length(mmgc_get(t, (struct node *)mmgc_local_get(t, outside), left)), some(100));
    ck_assert_ptr_null(mmgc_local_get(t, users));
}
END_TEST

START_TEST(a_store_is_refused_where_the_hold_says_so)
{
    open_both(_i);
    struct node *n = node_new(1);
    mmgc_hold hold = begin_with(MMGC_HOLD_REFUSE, 0);
    struct node *inside = node_new(2);

    mmgc_set(t, n, left, inside);
    ck_assert_int_eq(mmgc_thread_error(t), MMGC_E_HELD);
    ck_assert_ptr_null(mmgc_get(t, n, left));
    ck_assert(!mmgc_cas(t, n, left, NULL, inside));
    ck_assert_ptr_null(mmgc_exchange(t, n, &n->left, inside));
    mmgc_fill_refs(t, n, &n->left, inside, 2);
    struct node *pair = pair_new(3, NULL, inside);
    mmgc_copy_refs(t, n, &n->left, &pair->left, 2);
    ck_assert_ptr_null(mmgc_get(t, n, left));
    ck_assert_ptr_null(mmgc_get(t, n, right));
    mmgc_set(t, inside, left, n); /* outwards is free */
    ck_assert_ptr_eq(mmgc_get(t, inside, left), n);
    end(hold);
}
END_TEST

/* Each way to store, from a fresh hold: what is stored is in the heap. */
START_TEST(every_kind_of_store_stows)
{
    open_both(_i);
    if (stores_may_fail())
        return;
    mmgc_local local = mmgc_local_new(t, node_new(1));
    for (int kind = 0; kind < 5; kind++) {
        mmgc_hold hold = begin();
        struct node *n = mmgc_local_get(t, local), *list = list_new(kind + 1), *pair = pair_new(9, list, list);
        switch (kind) {
        case 0: mmgc_set(t, n, left, list); break;
        case 1: ck_assert(mmgc_cas(t, n, left, (struct node *)mmgc_get(t, n, left), list)); break;
        case 2: ck_assert_int_eq(((struct node *)mmgc_exchange(t, n, &n->left, list))->value, 1); break;
        case 3: mmgc_fill_refs(t, n, &n->left, list, 2); break;
        case 4: mmgc_copy_refs(t, n, &n->left, &pair->left, 2); break;
        }
        ck_assert(!is_held(mmgc_get(t, n, left)));
        end(hold);
        ck_assert_int_eq(list_length(mmgc_get(t, (struct node *)mmgc_local_get(t, local), left)), kind + 1);
    }
    collect();
    struct node *n = mmgc_local_get(t, local);
    ck_assert_ptr_eq(mmgc_get(t, n, left), mmgc_get(t, n, right));
    ck_assert_int_eq(list_length(mmgc_get(t, n, left)), 5);
}
END_TEST

START_TEST(an_outer_holds_object_is_outside_too)
{
    open_both(_i);
    mmgc_hold outer = begin();
    struct node *n = node_new(1);
    mmgc_hold inner = begin();
    struct node *list = list_new(500);
    mmgc_set(t, list, right, n);
    mmgc_set(t, n, left, list);
    struct node *stowed = mmgc_get(t, n, left);
    ck_assert_uint_eq(hold_depth_of(thread_of(t), stowed), 1);
    ck_assert_ptr_eq(mmgc_get(t, stowed, right), n);
    end(inner);
    ck_assert_int_eq(list_length(mmgc_get(t, n, left)), 500);
    end(outer);
}
END_TEST

START_TEST(stowing_by_hand_updates_the_rest_of_the_hold)
{
    open_both(_i);
    mmgc_hold hold = begin();
    struct node *list = list_new(300), *a = pair_new(1, list, NULL), *b = pair_new(2, a, list);
    void *objects[3] = { list, NULL, a };

    ck_assert_ok(mmgc_hold_stow(t, objects, 3));
    ck_assert(!is_held(objects[0]));
    ck_assert_ptr_null(objects[1]);
    ck_assert_ptr_eq(mmgc_get(t, b, left), objects[2]);
    ck_assert_ptr_eq(mmgc_get(t, b, right), objects[0]);
    ck_assert_ptr_eq(mmgc_get(t, (struct node *)objects[2], left), objects[0]);
    ck_assert_ok(mmgc_hold_stow(t, objects, 3)); /* what is out is out */
    ck_assert_ptr_eq(mmgc_get(t, b, left), objects[2]);
    end(hold);
    ck_assert_int_eq(list_length(objects[0]), 300);
}
END_TEST

START_TEST(roots_of_others_are_refused)
{
    open_both(_i);
    mmgc_hold hold = begin();
    struct node *n = node_new(1);
    void *large = mmgc_new_array(t, refs_type, 10000), *claimed;
    mmgc_handle handle = { 0 }, empty;

    ck_assert_ok(mmgc_handle_new(t, NULL, &empty));
    ck_assert_int_eq(mmgc_handle_new(t, n, &handle), MMGC_E_HELD);
    ck_assert_int_eq(mmgc_handle_new(t, large, &handle), MMGC_E_HELD);
    ck_assert_int_eq(mmgc_handle_set(t, empty, n), MMGC_E_HELD);
    ck_assert_ptr_null(mmgc_handle_get(t, empty));
    ck_assert_int_eq(mmgc_name_set(t, "name", n), MMGC_E_HELD);
    ck_assert_int_eq(mmgc_name_claim(t, "name", n, &claimed), MMGC_E_HELD);
    end(hold);
    ck_assert_ok(mmgc_handle_new(t, large, &handle));
}
END_TEST

/* ---- large objects, and those of other spaces ---- */

static void fill_with_lists(mmgc_ref *refs, uint32_t count)
{
    for (uint32_t i = 0; i < count; i++)
        mmgc_init_store(t, &refs[i], NULL);
}

/* @length references, each to a list as long as its index says, or to nothing. */
static void expect_lists(const mmgc_ref *refs, uint32_t length)
{
    for (uint32_t i = 0; i < length; i++) {
        struct node *list = mmgc_load(t, &refs[i]);
        if (is_held(list) || list_length(list) != (i % 250 == 0 ? i / 250 : 0))
            ck_abort_msg("list %u", i);
    }
}

static void make_guest(mmgc_local local, uint32_t length, enum mmgc_space space)
{
    mmgc_local_set(t, local, mmgc_new_in(t, refs_type, length, space));
    fill_with_lists(mmgc_local_get(t, local), length);
    for (uint32_t i = 0; i < length; i += 250) {
        struct node *list = list_new(i / 250);
        mmgc_ref *refs = mmgc_local_get(t, local);
        mmgc_store(t, refs, &refs[i], list);
        ck_assert(list == NULL || is_held(list)); /* the guest's reference to it lets nothing out */
        ck_assert_ptr_eq(mmgc_load(t, &refs[i]), list);
    }
}

START_TEST(what_large_objects_refer_to_is_stowed_at_the_end)
{
    open_both(_i);
    mmgc_local large = mmgc_local_new(t, NULL), still = mmgc_local_new(t, NULL);
    mmgc_hold hold = begin();
    make_guest(large, 10000, MMGC_SPACE_DEFAULT);
    make_guest(still, 1000, MMGC_SPACE_NONMOVING);
    collect();
    end(hold);
    for (int i = 0; i < 2; i++) {
        expect_lists(mmgc_local_get(t, large), 10000);
        expect_lists(mmgc_local_get(t, still), 1000);
        collect();
    }
}
END_TEST

START_TEST(a_large_object_that_is_let_out_is_stowed_for)
{
    open_both(_i);
    if (stores_may_fail())
        return;
    mmgc_local outside = mmgc_local_new(t, node_new(1)), large = mmgc_local_new(t, NULL);
    mmgc_hold hold = begin();
    make_guest(large, 10000, MMGC_SPACE_DEFAULT);
    struct node *n = mmgc_local_get(t, outside);
    void *object = mmgc_local_get(t, large);
    mmgc_set(t, n, left, (struct node *)object);
    ck_assert_ptr_eq(mmgc_get(t, n, left), object);
    ck_assert(!is_held(object));
    expect_lists(object, 10000);
    end(hold);
    collect();
    expect_lists(mmgc_local_get(t, large), 10000);
}
END_TEST

START_TEST(a_large_object_of_an_inner_hold_becomes_the_outer_ones)
{
    open_both(_i);
    mmgc_local large = mmgc_local_new(t, NULL);
    mmgc_hold outer = begin(), inner = begin();
    make_guest(large, 10000, MMGC_SPACE_DEFAULT);
    end(inner);
    ck_assert(is_held(mmgc_local_get(t, large)));
    collect();
    end(outer);
    ck_assert(!is_held(mmgc_local_get(t, large)));
    collect();
    expect_lists(mmgc_local_get(t, large), 10000);
}
END_TEST

START_TEST(what_no_hold_refers_to_any_more_is_freed)
{
    open_both(_i);
    mmgc_hold hold = begin();
    mmgc_local large = mmgc_local_new(t, NULL);
    make_guest(large, 10000, MMGC_SPACE_DEFAULT);
    end(hold);
    mmgc_local_set(t, large, NULL);
    if (exact)
        expect_live(0);
}
END_TEST

/* ---- a full heap ---- */

__attribute__((noinline)) static void fill_a_hold(void)
{
    mmgc_hold hold = begin();
    mmgc_local local = mmgc_local_new(t, NULL);
    int64_t length = 0;

    for (struct node *n; (n = mmgc_new(t, node_type)) != NULL; length++) {
        n->value = length;
        mmgc_init(t, n, left, (struct node *)mmgc_local_get(t, local));
        mmgc_local_set(t, local, n);
    }
    ck_assert_int_eq(mmgc_thread_error(t), MMGC_E_NOMEM);
    void *kept[1] = { mmgc_local_get(t, local) };
    int r = mmgc_hold_end(t, hold, kept, 1); /* there is no room for as much again */
    ck_assert_msg(r == MMGC_E_NOMEM || r == MMGC_E_LIMIT || r == MMGC_E_RESERVE, "%d", r);
    ck_assert_ptr_eq(kept[0], mmgc_local_get(t, local));
    ck_assert(is_held(kept[0]));
    ck_assert_int_eq(list_length(kept[0]), length);
    end(hold);
}

START_TEST(a_hold_in_a_full_heap_fails_and_loses_nothing)
{
    open_both(_i);
    fill_a_hold();
    mmgc_leave(t); /* nothing is on the stack */
    ck_assert_ok(mmgc_enter(t));
    if (plan->constraints.trace != PLAN_TRACE_NONE)
        ck_assert_int_eq(list_length(list_new(100)), 100);
}
END_TEST

START_TEST(a_stow_waits_for_memory_if_it_must)
{
    open_both(_i);
    mmgc_hold hold = begin();
    int64_t length = plan->constraints.allocator == SHM_ALLOCATOR_PAGES ? 1000 : 100000;
    struct node *list = end_keeping(hold, list_new(length));
    ck_assert(!is_held(list));
    ck_assert_int_eq(list_length(list), length);
}
END_TEST

/* What the large ones took is seen to before the next one, of whatever size. */
START_TEST(large_and_small_stows_follow_each_other)
{
    open_both(_i);
    for (int i = 0; i < 6; i++) {
        mmgc_hold hold = begin();
        int64_t length = some(i % 2 == 0 ? 8000 : 10);
        struct node *list = end_keeping(hold, list_new(length));
        ck_assert(!is_held(list));
        ck_assert_int_eq(list_length(list), length);
    }
}
END_TEST

static uint32_t asked_for_blocks(void)
{
    return thread_of(t)->slabs[SHM_GRANT_BLOCKS].mail_serial;
}

/* More than lines that lie ready can be. */
START_TEST(what_large_stows_take_is_asked_for_when_a_hold_begins)
{
    open_both(_i);
    if (plan->constraints.allocator != SHM_ALLOCATOR_BUMP)
        return;
    int64_t length = 40000;
    mmgc_hold hold = begin();
    ck_assert_int_eq(list_length(end_keeping(hold, list_new(length))), length);
    uint32_t asked = asked_for_blocks();
    hold = begin();
    ck_assert_uint_eq(asked_for_blocks(), asked + 1);
    struct node *list = list_new(length);
    while (atomic_load(&thread_of(t)->m->mail[SHM_GRANT_BLOCKS].answered) != asked + 1)
        ck_assert_ok(mmgc_poll(t));
    list = end_keeping(hold, list);
    ck_assert_uint_eq(asked_for_blocks(), asked + 1);
    ck_assert_int_eq(list_length(list), length);
}
END_TEST

/* ---- failures ---- */

void *__real_malloc(size_t bytes);
void *__wrap_malloc(size_t bytes);
void *__real_reallocarray(void *old, size_t count, size_t bytes);
void *__wrap_reallocarray(void *old, size_t count, size_t bytes);

static unsigned fails_at; /* the how manyeth call from now on fails; 0: none */

static bool fails_now(void)
{
    return fails_at != 0 && --fails_at == 0;
}

void *__wrap_malloc(size_t bytes)
{
    return fails_now() ? NULL : __real_malloc(bytes);
}

void *__wrap_reallocarray(void *old, size_t count, size_t bytes)
{
    return fails_now() ? NULL : __real_reallocarray(old, count, bytes);
}

/* Whatever fails, the hold is as it was. @guest refers to some of it. */
static void expect_unchanged(mmgc_hold hold, const void *list, const mmgc_ref *guest, int64_t length, uint64_t used)
{
    ck_assert_uint_eq(mmgc_hold_bytes(t, hold), used);
    ck_assert(is_held(list));
    ck_assert_int_eq(list_length((struct node *)(uintptr_t)list), length);
    ck_assert_ptr_eq(mmgc_load(t, &guest[7]), list);
}

START_TEST(a_stow_without_memory_of_the_process_changes_nothing)
{
    open_both(_i);
    int64_t length = some(3000);
    mmgc_local local = mmgc_local_new(t, NULL);
    mmgc_hold outer = begin(), inner = begin();
    mmgc_local_set(t, local, mmgc_new_in(t, refs_type, 10, MMGC_SPACE_NONMOVING));
    void *kept[1] = { list_new(length) };
    mmgc_ref *guest = mmgc_local_get(t, local);
    mmgc_store(t, guest, &guest[7], kept[0]);
    uint64_t used = mmgc_hold_bytes(t, inner), outer_used = mmgc_hold_bytes(t, outer);
    unsigned failures = 0;
    for (int r = MMGC_E_SYSTEM; r != MMGC_OK; failures++) {
        void *list = kept[0];
        fails_at = failures + 1; /* further on each time */
        r = mmgc_hold_end(t, inner, kept, 1);
        bool failed = fails_at == 0;
        fails_at = 0;
        if (r == MMGC_OK)
            break;
        ck_assert(failed);
        ck_assert_int_eq(r, MMGC_E_SYSTEM);
        ck_assert_ptr_eq(kept[0], list);
        expect_unchanged(inner, list, guest, length, used);
        ck_assert_uint_eq(mmgc_hold_bytes(t, outer), outer_used);
    }
    ck_assert_uint_gt(failures, 0);
    ck_assert_int_eq(list_length(kept[0]), length);
    void *list = kept[0];
    fails_at = 1;
    ck_assert_int_eq(mmgc_hold_end(t, outer, kept, 1), MMGC_E_SYSTEM);
    expect_unchanged(outer, list, guest, length, mmgc_hold_bytes(t, outer));
    ck_assert_ok(mmgc_hold_end(t, outer, kept, 1));
    ck_assert_int_eq(list_length(kept[0]), length);
    ck_assert_ptr_eq(mmgc_load(t, &guest[7]), kept[0]);
}
END_TEST

/* The room that the enclosing hold has ends behind each object in turn. */
START_TEST(a_stow_that_ends_anywhere_changes_nothing)
{
    open_both(_i);
    uint64_t bytes = mmgc_size(node_type, 0);
    for (uint64_t room = 0; room < 40; room += 3) {
        mmgc_hold outer = begin_with(MMGC_HOLD_STOW, (room + 2) * bytes);
        struct node *before = pair_new(1, node_new(2), NULL);
        mmgc_hold inner = begin();
        void *kept[1] = { list_new(40) };
        ck_assert_int_eq(mmgc_hold_end(t, inner, kept, 1), MMGC_E_BUDGET);
        ck_assert_int_eq(list_length(kept[0]), 40);
        ck_assert_uint_eq(mmgc_hold_bytes(t, outer), 2 * bytes);
        end(inner);
        for (uint64_t i = 0; i < room; i++) { /* what was copied there is not to be seen */
            struct node *n = mmgc_new(t, node_type);
            if (n == NULL || n->value != 0 || n->left.granule != 0 || n->right.granule != 0)
                ck_abort_msg("object %llu of %llu is not new", (unsigned long long)i, (unsigned long long)room);
        }
        ck_assert_int_eq(((struct node *)mmgc_get(t, before, left))->value, 2);
        end(outer);
    }
}
END_TEST

static Suite *make(void)
{
    Suite *suite = suite_create("stow");
    TCase *tc = tcase_create("stow");

    tcase_add_checked_fixture(tc, setup, teardown);
    tcase_set_timeout(tc, 60);
    tcase_add_loop_test(tc, what_is_kept_is_in_the_heap_with_all_that_it_reaches, 0, BOTH);
    tcase_add_loop_test(tc, sharing_and_cycles_are_kept, 0, BOTH);
    tcase_add_loop_test(tc, copies_lie_side_by_side_in_the_order_of_the_fields, 0, BOTH);
    tcase_add_loop_test(tc, an_inner_hold_is_stowed_into_the_outer_one, 0, BOTH);
    tcase_add_loop_test(tc, a_stow_keeps_the_budget_of_the_enclosing_hold, 0, BOTH);
    tcase_add_loop_test(tc, a_store_from_outside_stows_what_it_lets_out, 0, BOTH);
    tcase_add_loop_test(tc, a_store_is_refused_where_the_hold_says_so, 0, BOTH);
    tcase_add_loop_test(tc, every_kind_of_store_stows, 0, BOTH);
    tcase_add_loop_test(tc, an_outer_holds_object_is_outside_too, 0, BOTH);
    tcase_add_loop_test(tc, stowing_by_hand_updates_the_rest_of_the_hold, 0, BOTH);
    tcase_add_loop_test(tc, roots_of_others_are_refused, 0, BOTH);
    tcase_add_loop_test(tc, what_large_objects_refer_to_is_stowed_at_the_end, 0, BOTH);
    tcase_add_loop_test(tc, a_large_object_that_is_let_out_is_stowed_for, 0, BOTH);
    tcase_add_loop_test(tc, a_large_object_of_an_inner_hold_becomes_the_outer_ones, 0, BOTH);
    tcase_add_loop_test(tc, what_no_hold_refers_to_any_more_is_freed, 0, BOTH);
    tcase_add_loop_test(tc, a_hold_in_a_full_heap_fails_and_loses_nothing, 0, BOTH);
    tcase_add_loop_test(tc, a_stow_waits_for_memory_if_it_must, 0, BOTH);
    tcase_add_loop_test(tc, large_and_small_stows_follow_each_other, 0, BOTH);
    tcase_add_loop_test(tc, what_large_stows_take_is_asked_for_when_a_hold_begins, 0, BOTH);
    suite_add_tcase(suite, tc);

    TCase *failures = tcase_create("failures");
    tcase_add_checked_fixture(failures, setup, teardown);
    tcase_set_timeout(failures, 60);
    tcase_add_loop_test(failures, a_stow_without_memory_of_the_process_changes_nothing, 0, BOTH);
    tcase_add_loop_test(failures, a_stow_that_ends_anywhere_changes_nothing, 0, BOTH);
    suite_add_tcase(suite, failures);
    return suite;
}

int main(int argc, char **argv)
{
    return runner_main(argc, argv, make);
}
