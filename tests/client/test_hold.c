/* SPDX-License-Identifier: Apache-2.0 */
/* Holds, as a program meets them, under every plan, with exact and with ambiguous roots: the library and the real daemon. */
#include "plans/plan.h"

#include <mmgc/hold.h>
#include <stdlib.h>
#include <string.h>

#include "client/hold.h"
#include "shm/base.h"
#include "shm/units.h"
#include "tests/support/daemon.h"
#include "tests/support/runner.h"

#define HEAP_BYTES (UINT64_C(24) << 20)
#define BOTH (2 * PLAN_COUNT) /* loops: a plan, and exact or not */
#define ck_assert_ok(call) ck_assert_int_eq((call), MMGC_OK)

struct node {
    mmgc_ref left, right;
    int64_t value;
};

static struct daemon *mmgcd;
static struct mmgc_client *client;
static struct mmgc_heap *heap;
static struct mmgc_thread *t;
static mmgc_type node_type, bytes_type, refs_type;
static const struct plan *plan;
static bool exact;

static void open_both(int i)
{
    struct mmgc_heap_options options = { .create = true, .max_bytes = HEAP_BYTES, .options = "sanity=on" };
    struct mmgc_thread_options thread_options = { .exact = i % 2 == 1 };

    plan = plans[i / 2];
    exact = i % 2 == 1;
    options.plan = plan->name;
    ck_assert_ok(mmgc_heap_open(client, "heap", &options, &heap));
    ck_assert_ok(MMGC_DEFINE_TYPE(heap, node, &node_type, left, right));
    ck_assert_ok(mmgc_type_bytes(heap, &bytes_type));
    ck_assert_ok(mmgc_type_refs(heap, &refs_type));
    ck_assert_ok(mmgc_attach(heap, &thread_options, &t));
    ck_assert_ok(mmgc_enter(t));
}

static void setup(void)
{
    mmgcd = daemon_start(NULL);
    ck_assert_ok(mmgc_connect(daemon_socket(mmgcd), "test", &client));
}

static void teardown(void)
{
    mmgc_detach(t);
    mmgc_heap_close(heap);
    mmgc_disconnect(client);
    daemon_stop(mmgcd);
}

/* Of nodes, that fit several times. Where each has a page, less is granted at once (docs/leases-and-holds.md). */
static int64_t some(int64_t count)
{
    return plan->constraints.allocator == SHM_ALLOCATOR_PAGES ? MM_MAX(count / 50, 1) : count;
}

/* An exact thread's store does not wait for memory, and where each size has its own little is at hand. */
static bool stores_may_fail(void)
{
    return exact && plan->constraints.allocator == SHM_ALLOCATOR_PAGES;
}

/* [safepoint] A full collection, where there is such a thing. */
static void collect(void)
{
    ck_assert_int_eq(mmgc_gc(t), plan->constraints.trace != PLAN_TRACE_NONE ? MMGC_OK : MMGC_E_UNSUPPORTED);
}

static mmgc_hold begin_with(enum mmgc_hold_policy policy, uint64_t budget_bytes)
{
    struct mmgc_hold_options options = { .policy = policy, .budget_bytes = budget_bytes, .name = "request" };
    mmgc_hold hold;

    ck_assert_ok(mmgc_hold_begin(t, &options, &hold));
    return hold;
}

static mmgc_hold begin(void)
{
    return begin_with(MMGC_HOLD_STOW, 0);
}

static void end(mmgc_hold hold)
{
    ck_assert_ok(mmgc_hold_end(t, hold, NULL, 0));
}

static struct node *end_keeping(mmgc_hold hold, void *object)
{
    void *kept[1] = { object };

    ck_assert_ok(mmgc_hold_end(t, hold, kept, 1));
    return kept[0];
}

static struct node *node_new(int64_t value)
{
    struct node *n = mmgc_new(t, node_type);

    if (n == NULL) /* an assertion that holds is a message, too: many of them take their time */
        ck_abort_msg("no memory: %d", mmgc_thread_error(t));
    n->value = value;
    return n;
}

static struct node *pair_new(int64_t value, struct node *left, struct node *right)
{
    struct node *n = node_new(value); /* in a hold, where nothing moves */

    mmgc_init(t, n, left, left);
    mmgc_init(t, n, right, right);
    return n;
}

/* A list of @length nodes that counts down to 0, in the hold. A local root has it meanwhile. */
static struct node *list_new(int64_t length)
{
    mmgc_scope scope = mmgc_scope_open(t);
    mmgc_local list = mmgc_local_new(t, NULL);

    for (int64_t value = 0; value < length; value++) {
        struct node *n = node_new(value);
        mmgc_init(t, n, left, (struct node *)mmgc_local_get(t, list));
        mmgc_local_set(t, list, n);
    }
    struct node *first = mmgc_local_get(t, list);
    mmgc_scope_close(t, scope);
    return first;
}

static int64_t list_length(struct node *n)
{
    int64_t length = 0, next = n == NULL ? 0 : n->value;

    for (; n != NULL; n = mmgc_get(t, n, left), length++, next--)
        if (n->value != next)
            return -1;
    return length;
}

static bool is_held(const void *object)
{
    return hold_owns(thread_of(t), object);
}

/* ---- beginning and ending ---- */

START_TEST(what_is_made_in_a_hold_is_its_own_and_gone_at_its_end)
{
    open_both(_i);
    mmgc_hold hold = begin();

    struct node *n = node_new(1);
    ck_assert(is_held(n));
    ck_assert_uint_eq(mmgc_hold_bytes(t, hold), mmgc_size(node_type, 0));
    end(hold);
    ck_assert(!is_held(node_new(2)));
    ck_assert_uint_eq(mmgc_hold_bytes(t, hold), 0);
}
END_TEST

START_TEST(a_hold_that_ends_gives_its_blocks_to_the_next_one)
{
    open_both(_i);
    mmgc_hold hold = begin();
    struct node *first = node_new(1);
    end(hold);

    for (int i = 0; i < 1000; i++) {
        hold = begin();
        struct node *n = node_new(i);
        ck_assert_ptr_eq(n, first);
        ck_assert_ptr_null(mmgc_get(t, n, left));
        end(hold);
    }
}
END_TEST

START_TEST(much_more_is_dropped_than_the_heap_could_hold)
{
    open_both(_i);
    for (int round = 0; round < 40; round++) {
        mmgc_hold hold = begin();
        ck_assert_int_eq(list_length(list_new(40000)), 40000);
        end(hold);
    }
}
END_TEST

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

START_TEST(holds_end_in_the_reverse_order)
{
    open_both(_i);
    mmgc_hold outer = begin(), inner = begin();

    ck_assert_int_eq(mmgc_hold_end(t, outer, NULL, 0), MMGC_E_UNBALANCED);
    end(inner);
    ck_assert_int_eq(mmgc_hold_end(t, inner, NULL, 0), MMGC_E_UNBALANCED);
    end(outer);
    ck_assert_int_eq(mmgc_hold_end(t, outer, NULL, 0), MMGC_E_UNBALANCED);
    ck_assert_int_eq(mmgc_hold_end(t, (mmgc_hold){ 0, 0 }, NULL, 0), MMGC_E_UNBALANCED);
}
END_TEST

START_TEST(holds_nest_to_a_depth_and_no_deeper)
{
    mmgc_hold holds[MMGC_HOLD_DEPTH_MAX], more;

    open_both(_i);
    for (unsigned i = 0; i < MMGC_HOLD_DEPTH_MAX; i++) {
        holds[i] = begin();
        (void)node_new(i);
    }
    ck_assert_int_eq(mmgc_hold_begin(t, NULL, &more), MMGC_E_LIMIT);
    for (unsigned i = MMGC_HOLD_DEPTH_MAX; i-- > 0;)
        end(holds[i]);
}
END_TEST

START_TEST(calls_that_are_not_possible_say_why)
{
    mmgc_hold hold;
    struct mmgc_hold_options strange = { .policy = (enum mmgc_hold_policy)7 };

    open_both(_i);
    ck_assert_int_eq(mmgc_hold_begin(NULL, NULL, &hold), MMGC_E_INVALID);
    ck_assert_int_eq(mmgc_hold_begin(t, NULL, NULL), MMGC_E_INVALID);
    ck_assert_int_eq(mmgc_hold_begin(t, &strange, &hold), MMGC_E_INVALID);
    ck_assert_int_eq(mmgc_hold_stow(t, NULL, 0), MMGC_E_UNBALANCED);
    mmgc_leave(t);
    ck_assert_int_eq(mmgc_hold_begin(t, NULL, &hold), MMGC_E_NOT_IN);
    ck_assert_ok(mmgc_enter(t));
}
END_TEST

/* ---- budgets ---- */

START_TEST(no_more_is_made_than_the_budget_says)
{
    open_both(_i);
    mmgc_hold hold = begin_with(MMGC_HOLD_STOW, 100 * mmgc_size(node_type, 0) + 8);

    for (int i = 0; i < 100; i++)
        (void)node_new(i);
    ck_assert_ptr_null(mmgc_new(t, node_type));
    ck_assert_int_eq(mmgc_thread_error(t), MMGC_E_BUDGET);
    ck_assert_uint_eq(mmgc_hold_bytes(t, hold), 100 * mmgc_size(node_type, 0));
    ck_assert_ptr_null(mmgc_new_array(t, bytes_type, 100000));
    ck_assert_int_eq(mmgc_thread_error(t), MMGC_E_BUDGET);
    end(hold);
    ck_assert_ptr_nonnull(mmgc_new(t, node_type));
}
END_TEST

START_TEST(large_objects_count_too)
{
    open_both(_i);
    mmgc_hold hold = begin_with(MMGC_HOLD_STOW, 120000);

    ck_assert_ptr_nonnull(mmgc_new_array(t, bytes_type, 100000));
    ck_assert_uint_eq(mmgc_hold_bytes(t, hold), mmgc_size(bytes_type, 100000));
    ck_assert_ptr_null(mmgc_new_array(t, bytes_type, 100000));
    ck_assert_int_eq(mmgc_thread_error(t), MMGC_E_BUDGET);
    (void)node_new(1);
    end(hold);
}
END_TEST

START_TEST(stopping_does_not_change_what_is_used)
{
    open_both(_i);
    mmgc_hold hold = begin_with(MMGC_HOLD_STOW, 100 * mmgc_size(node_type, 0));

    for (int i = 0; i < 100; i++) {
        (void)node_new(i);
        mmgc_leave(t);
        ck_assert_ok(mmgc_enter(t));
        ck_assert_uint_eq(mmgc_hold_bytes(t, hold), (uint64_t)(i + 1) * mmgc_size(node_type, 0));
    }
    ck_assert_ptr_null(mmgc_new(t, node_type));
    end(hold);
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

/* ---- collections meanwhile ---- */

START_TEST(what_a_hold_has_lives_through_collections)
{
    open_both(_i);
    mmgc_hold hold = begin();
    mmgc_local local = mmgc_local_new(t, list_new(3000));
    collect();
    struct node *old = mmgc_local_get(t, local);
    ck_assert_int_eq(list_length(old), 3000);
    mmgc_local_set(t, local, pair_new(3000, old, NULL));
    collect();
    collect();
    old = mmgc_local_get(t, local);
    ck_assert(is_held(old));
    ck_assert_int_eq(list_length(end_keeping(hold, old)), 3001);
    collect();
    ck_assert_int_eq(list_length(mmgc_local_get(t, local)), 3001);
}
END_TEST

START_TEST(nobody_is_granted_what_lies_between_the_objects_of_a_hold)
{
    open_both(_i);
    mmgc_hold hold = begin();
    (void)list_new(3000);
    mmgc_local local = mmgc_local_new(t, list_new(10));
    collect();
    for (int i = 0; i < 2000; i++) /* where nothing moves, as in holds */
        memset(mmgc_new_in(t, bytes_type, 100, MMGC_SPACE_NONMOVING), 0xff, 100);
    collect();
    void *objects[1] = { mmgc_local_get(t, local) };
    ck_assert_ok(mmgc_hold_stow(t, objects, 1)); /* which looks at all that the hold ever had */
    ck_assert_int_eq(list_length(objects[0]), 10);
    end(hold);
}
END_TEST

/* Of the last collection; all that the holds had was garbage when it began, or is still in one. */
static void expect_live(uint64_t objects)
{
    struct mmgc_heap_info info;

    collect();
    collect();
    ck_assert_ok(mmgc_heap_info(heap, &info));
    if (plan->constraints.trace != PLAN_TRACE_NONE)
        ck_assert_uint_eq(info.live_objects, objects);
}

__attribute__((noinline)) static void use_holds_across_collections(void)
{
    for (int i = 0; i < 20; i++) {
        mmgc_hold outer = begin(), inner = begin();
        ck_assert_int_eq(list_length(list_new(5000)), 5000);
        collect();
        end(inner);
        (void)list_new(100);
        inner = begin();
        (void)list_new(5000);
        end(inner);
        end(outer);
    }
}

START_TEST(blocks_that_a_stop_has_seen_are_the_heaps_again)
{
    open_both(_i);
    use_holds_across_collections();
    mmgc_leave(t); /* nothing is on the stack */
    ck_assert_ok(mmgc_enter(t));
    if (exact)
        expect_live(0);
    for (int i = 0; i < 4; i++) { /* and there is room */
        mmgc_hold hold = begin();
        ck_assert_int_eq(list_length(list_new(200000)), 200000);
        end(hold);
    }
}
END_TEST

START_TEST(a_thread_outside_keeps_what_its_roots_have_in_a_hold)
{
    open_both(_i);
    mmgc_hold hold = begin();
    mmgc_local local = mmgc_local_new(t, list_new(2000));
    mmgc_leave(t);
    ck_assert_int_eq(mmgc_gc(t), plan->constraints.trace != PLAN_TRACE_NONE ? MMGC_OK : MMGC_E_UNSUPPORTED);
    ck_assert_ok(mmgc_enter(t));
    ck_assert_int_eq(list_length(end_keeping(hold, mmgc_local_get(t, local))), 2000);
}
END_TEST

START_TEST(a_thread_that_goes_drops_its_holds)
{
    open_both(_i);
    struct mmgc_thread_options options = { .exact = exact };
    (void)begin();
    (void)list_new(3000);
    (void)begin();
    (void)list_new(3000);
    mmgc_detach(t);
    ck_assert_ok(mmgc_attach(heap, &options, &t));
    ck_assert_ok(mmgc_enter(t));
    expect_live(0);
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
    mmgc_handle_set(t, empty, n);
    ck_assert_int_eq(mmgc_thread_error(t), MMGC_E_HELD);
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

/* ---- reservations ---- */

START_TEST(what_is_reserved_in_a_hold_is_there_without_a_stop)
{
    open_both(_i);
    mmgc_hold hold = begin();
    ck_assert_ok(mmgc_reserve(t, 1 << 20));
    uint32_t epoch = at_load_relaxed(&thread_of(t)->heap->control->epoch);
    for (uint64_t bytes = 0, i = 0; bytes + mmgc_size(bytes_type, 16000) <= 1 << 20; i++) {
        uint32_t length = (uint32_t)(i * 7919 % 16000);
        if (mmgc_new_array(t, bytes_type, length) == NULL)
            ck_abort_msg("no %u bytes: %d", length, mmgc_thread_error(t));
        bytes += mmgc_size(bytes_type, length);
    }
    ck_assert_uint_eq(at_load_relaxed(&thread_of(t)->heap->control->epoch), epoch);
    ck_assert_int_eq(mmgc_reserve(t, UINT64_C(5) << 20), MMGC_E_RESERVE);
    end(hold);
    hold = begin_with(MMGC_HOLD_STOW, 1000);
    ck_assert_int_eq(mmgc_reserve(t, 1001), MMGC_E_BUDGET);
    ck_assert_ok(mmgc_reserve(t, 1000));
    end(hold);
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

static Suite *make(void)
{
    Suite *suite = suite_create("hold");
    TCase *tc = tcase_create("hold");

    tcase_add_checked_fixture(tc, setup, teardown);
    tcase_set_timeout(tc, 60);
    tcase_add_loop_test(tc, what_is_made_in_a_hold_is_its_own_and_gone_at_its_end, 0, BOTH);
    tcase_add_loop_test(tc, a_hold_that_ends_gives_its_blocks_to_the_next_one, 0, BOTH);
    tcase_add_loop_test(tc, much_more_is_dropped_than_the_heap_could_hold, 0, BOTH);
    tcase_add_loop_test(tc, what_is_kept_is_in_the_heap_with_all_that_it_reaches, 0, BOTH);
    tcase_add_loop_test(tc, sharing_and_cycles_are_kept, 0, BOTH);
    tcase_add_loop_test(tc, copies_lie_side_by_side_in_the_order_of_the_fields, 0, BOTH);
    tcase_add_loop_test(tc, an_inner_hold_is_stowed_into_the_outer_one, 0, BOTH);
    tcase_add_loop_test(tc, holds_end_in_the_reverse_order, 0, BOTH);
    tcase_add_loop_test(tc, holds_nest_to_a_depth_and_no_deeper, 0, BOTH);
    tcase_add_loop_test(tc, calls_that_are_not_possible_say_why, 0, BOTH);
    tcase_add_loop_test(tc, no_more_is_made_than_the_budget_says, 0, BOTH);
    tcase_add_loop_test(tc, large_objects_count_too, 0, BOTH);
    tcase_add_loop_test(tc, stopping_does_not_change_what_is_used, 0, BOTH);
    tcase_add_loop_test(tc, a_stow_keeps_the_budget_of_the_enclosing_hold, 0, BOTH);
    tcase_add_loop_test(tc, what_a_hold_has_lives_through_collections, 0, BOTH);
    tcase_add_loop_test(tc, nobody_is_granted_what_lies_between_the_objects_of_a_hold, 0, BOTH);
    tcase_add_loop_test(tc, blocks_that_a_stop_has_seen_are_the_heaps_again, 0, BOTH);
    tcase_add_loop_test(tc, a_thread_outside_keeps_what_its_roots_have_in_a_hold, 0, BOTH);
    tcase_add_loop_test(tc, a_thread_that_goes_drops_its_holds, 0, BOTH);
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
    tcase_add_loop_test(tc, what_is_reserved_in_a_hold_is_there_without_a_stop, 0, BOTH);
    tcase_add_loop_test(tc, a_hold_in_a_full_heap_fails_and_loses_nothing, 0, BOTH);
    tcase_add_loop_test(tc, a_stow_waits_for_memory_if_it_must, 0, BOTH);
    suite_add_tcase(suite, tc);
    return suite;
}

int main(int argc, char **argv)
{
    return runner_main(argc, argv, make);
}
