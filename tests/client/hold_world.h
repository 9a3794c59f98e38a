/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/* Hold world: a daemon, a heap and a thread, under a plan and with exact or ambiguous roots, for tests of holds and of stowing. */
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
static inline int64_t some(int64_t count)
{
    return plan->constraints.allocator == SHM_ALLOCATOR_PAGES ? MM_MAX(count / 50, 1) : count;
}

/* An exact thread's store does not wait for memory, and where each size has its own little is at hand. */
static inline bool stores_may_fail(void)
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

static __attribute__((unused)) mmgc_hold begin(void)
{
    return begin_with(MMGC_HOLD_STOW, 0);
}

static inline void end(mmgc_hold hold)
{
    ck_assert_ok(mmgc_hold_end(t, hold, NULL, 0));
}

static __attribute__((unused)) struct node *end_keeping(mmgc_hold hold, void *object)
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

static __attribute__((unused)) struct node *pair_new(int64_t value, struct node *left, struct node *right)
{
    struct node *n = node_new(value); /* in a hold, where nothing moves */

    mmgc_init(t, n, left, left);
    mmgc_init(t, n, right, right);
    return n;
}

/* A list of @length nodes that counts down to 0, in the hold. A local root has it meanwhile. */
static __attribute__((unused)) struct node *list_new(int64_t length)
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

static __attribute__((unused)) int64_t list_length(struct node *n)
{
    int64_t length = 0, next = n == NULL ? 0 : n->value;

    for (; n != NULL; n = mmgc_get(t, n, left), length++, next--)
        if (n->value != next)
            return -1;
    return length;
}

static __attribute__((unused)) bool is_held(const void *object)
{
    return hold_owns(thread_of(t), object);
}

/* Of the last collection; all that the holds had was garbage when it began, or is still in one. */
static inline void expect_live(uint64_t objects)
{
    struct mmgc_heap_info info;

    collect();
    collect();
    ck_assert_ok(mmgc_heap_info(heap, &info));
    if (plan->constraints.trace != PLAN_TRACE_NONE)
        ck_assert_uint_eq(info.live_objects, objects);
}
