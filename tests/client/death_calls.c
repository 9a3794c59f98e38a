/* SPDX-License-Identifier: Apache-2.0 */
#include "tests/client/death_calls.h"

#include <check.h>
#include <poll.h>
#include <pthread.h>
#include <stdio.h>
#include <string.h>

#include "shm/base.h"

#define HEAP_BYTES (UINT64_C(32) << 20)

_Thread_local struct world *world;
char socket_path[128];

/* ---- the world --------------------------------------------------------------------------------------------------- */

static void types_define(struct world *to)
{
    ck_assert_ok(mmgc_type_struct(to->heap, "node", sizeof(struct node), &to->node, 4u, MMGC_STRONG(node, next), MMGC_STRONG(node, text),
                                  MMGC_QUEUE(node, queue), MMGC_LINK(node, link)));
    ck_assert_ok(mmgc_type_struct(to->heap, "soft", sizeof(struct soft_node), &to->soft_node, 1u, MMGC_SOFT(soft_node, soft)));
    ck_assert_ok(mmgc_type_bytes(to->heap, &to->bytes));
    ck_assert_ok(mmgc_type_refs(to->heap, &to->refs));
}

static void objects_make(struct world *to)
{
    for (int64_t i = 0; i < NODES; i++) {
        struct node *n = mmgc_new(to->t, to->node);
        char *text = mmgc_new_array(to->t, to->bytes, 16);
        ck_assert(n != NULL && text != NULL);
        n->value = i;
        snprintf(text, 16, "%d", (int)i);
        mmgc_set(to->t, n, text, text);
        mmgc_set(to->t, n, next, to->list);
        to->list = n;
    }
    to->leased = mmgc_new(to->t, to->node);
    to->shared = mmgc_new(to->t, to->node);
    to->array = mmgc_new_array(to->t, to->refs, 64);
    to->queue = mmgc_queue_new(to->t);
    to->soft = mmgc_new(to->t, to->soft_node);
    ck_assert(to->soft != NULL);
    ck_assert(to->leased != NULL && to->shared != NULL && to->array != NULL && to->queue != NULL);
    mmgc_set(to->t, to->leased, queue, to->queue);
}

static void holders_make(struct world *to)
{
    ck_assert_ok(mmgc_handle_new(to->t, to->list, &to->handle));
    ck_assert_ok(mmgc_weak_new(to->t, to->list, &to->weak));
    ck_assert_ok(mmgc_lease_try(to->t, to->leased, MMGC_LEASE_EXCLUSIVE, NULL, &to->exclusive));
    ck_assert_ok(mmgc_lease_try(to->t, to->shared, MMGC_LEASE_SHARED, NULL, &to->lease));
    ck_assert_ok(mmgc_guard_new(to->t, to->shared, 1, &to->guard));
    to->local = mmgc_local_new(to->t, to->list);
    ck_assert_ok(mmgc_watch(to->notices, to->t, to->list, &to->watched));
}

void world_open(struct world *to, const char *heap)
{
    struct mmgc_heap_options options = { .create = true, .max_bytes = HEAP_BYTES };

    *to = (struct world){ 0 };
    ck_assert_ok(mmgc_connect(socket_path, "test", &to->client));
    ck_assert_ok(mmgc_heap_open(to->client, heap, &options, &to->heap));
    ck_assert_ok(mmgc_attach(to->heap, NULL, &to->t));
    ck_assert_ok(mmgc_notices_subscribe(to->heap, NULL, &to->notices));
    types_define(to);
    ck_assert_ok(mmgc_enter(to->t));
    objects_make(to);
    holders_make(to);
}

void world_close(struct world *of)
{
    mmgc_notices_close(of->notices);
    mmgc_detach(of->t);
    mmgc_heap_close(of->heap);
    mmgc_disconnect(of->client);
    *of = (struct world){ 0 };
}

/* ---- the calls --------------------------------------------------------------------------------------------------- */

static int of_pointer(const void *p)
{
    return p != NULL ? MMGC_OK : mmgc_thread_error(w.t);
}

int use_up(uint32_t *ret_count)
{
    *ret_count = 0;
    while (mmgc_new(w.t, w.node) != NULL)
        ++*ret_count;
    return mmgc_thread_error(w.t);
}

static int call_use_up(void)
{
    uint32_t count;

    return use_up(&count);
}

static int call_connect(void)
{
    struct mmgc_client *client;

    return mmgc_connect(socket_path, "another", &client);
}

static int call_heap_open(void)
{
    struct mmgc_heap *heap;

    return mmgc_heap_open(w.client, "heap", NULL, &heap);
}

static int call_heap_info(void)
{
    struct mmgc_heap_info info;

    return mmgc_heap_info(w.heap, &info);
}

static int call_type_struct(void)
{
    mmgc_type type;

    return mmgc_type_struct(w.heap, "another", 8, &type, 0u);
}

static int call_type_define(void)
{
    struct mmgc_type_layout layout = { .name = "yet another", .fixed_bytes = 24 };
    mmgc_type type;

    return mmgc_type_define(w.heap, &layout, &type);
}

static int call_type(int (*call)(struct mmgc_heap *heap, mmgc_type *ret_type))
{
    mmgc_type type;

    return call(w.heap, &type);
}

struct attaching {
    struct mmgc_heap *heap;
    int code;
};

static void *attach(void *arg)
{
    struct attaching *attaching = arg;
    struct mmgc_thread *t;

    attaching->code = mmgc_attach(attaching->heap, NULL, &t);
    return NULL;
}

/* Another thread: this one is. */
static int call_attach(void)
{
    struct attaching attaching = { w.heap, MMGC_E_SYSTEM };
    pthread_t thread;

    if (pthread_create(&thread, NULL, attach, &attaching) == 0)
        (void)pthread_join(thread, NULL);
    return attaching.code;
}

static int call_stack(void)
{
    static char stack[65536] __attribute__((aligned(4096)));
    int r = mmgc_stack_add(w.t, stack, sizeof(stack));

    return r == MMGC_OK ? mmgc_stack_remove(w.t, stack) : r;
}

static int call_enter(void)
{
    mmgc_leave(w.t);
    return mmgc_enter(w.t);
}

static int call_large(void)
{
    return of_pointer(mmgc_new_array(w.t, w.bytes, 1 << 20));
}

static int call_store_slow(void)
{
    mmgc_store_slow_(w.t, w.list, &w.list->queue, NULL);
    return mmgc_get(w.t, w.list, queue) == NULL ? MMGC_OK : MMGC_E_CORRUPT;
}

static int call_cas_slow(void)
{
    return mmgc_compare_and_swap_slow_(w.t, w.list, &w.list->queue, NULL, w.queue) ? MMGC_OK : MMGC_E_CORRUPT;
}

static int call_exchange_slow(void)
{
    return mmgc_exchange_slow_(w.t, w.list, &w.list->queue, w.queue) == NULL ? MMGC_OK : MMGC_E_CORRUPT;
}

static int call_copy_refs(void)
{
    mmgc_copy_refs(w.t, w.array, w.array + 32, w.array, 32);
    return MMGC_OK;
}

static int call_fill_refs(void)
{
    mmgc_fill_refs(w.t, w.array, w.array, w.list, 64);
    return mmgc_load(w.t, w.array) == w.list ? MMGC_OK : MMGC_E_CORRUPT;
}

static int call_locals(void)
{
    mmgc_scope scope = mmgc_scope_open(w.t);
    mmgc_local local = mmgc_local_new(w.t, w.list);

    mmgc_local_set(w.t, local, w.leased);
    int r = mmgc_local_get(w.t, local) == w.leased ? MMGC_OK : MMGC_E_CORRUPT;
    mmgc_scope_close(w.t, scope);
    return r;
}

static int call_name_claim(void)
{
    void *now;

    return mmgc_name_claim(w.t, "name", w.list, &now);
}

static int call_handle_new(void)
{
    mmgc_handle handle;

    return mmgc_handle_new(w.t, w.list, &handle);
}

static int call_handle_dup(void)
{
    mmgc_handle handle;

    return mmgc_handle_dup(w.t, w.handle, &handle);
}

static int call_weak(int (*call)(struct mmgc_thread *t, const void *object, mmgc_weak *ret_weak))
{
    mmgc_weak weak;

    return call(w.t, w.list, &weak);
}

static int call_weak_upgrade(void)
{
    mmgc_handle handle;

    return mmgc_weak_upgrade(w.t, w.weak, &handle);
}

static int call_weak_dup(void)
{
    mmgc_weak weak;

    return mmgc_weak_dup(w.t, w.weak, &weak);
}

static int call_weaken(void)
{
    mmgc_weak weak;

    return mmgc_handle_weaken(w.t, w.handle, &weak);
}

static int call_counts(void)
{
    struct mmgc_handle_counts counts;

    return mmgc_handle_counts(w.heap, &counts);
}

static void ignore_leak(void *context, const struct mmgc_leak *leak)
{
    (void)context;
    (void)leak;
}

static int call_lease_try(void)
{
    mmgc_lease lease;

    return mmgc_lease_try(w.t, w.list, MMGC_LEASE_SHARED, NULL, &lease);
}

/* It is ours already, and we do not give it back: this waits. */
static int call_lease_take(void)
{
    mmgc_lease lease;

    return mmgc_lease_take(w.t, w.leased, MMGC_LEASE_EXCLUSIVE, NULL, UINT64_MAX, &lease);
}

static int call_lease_upgrade_waits(void)
{
    mmgc_lease other;
    int r = mmgc_lease_try(w.t, w.shared, MMGC_LEASE_SHARED, NULL, &other);

    return r == MMGC_OK ? mmgc_lease_upgrade(w.t, w.lease, UINT64_MAX) : r;
}

static int call_hold(size_t count)
{
    void *kept[1] = { NULL };
    mmgc_hold hold;
    int r = mmgc_hold_begin(w.t, NULL, &hold);

    if (r != MMGC_OK)
        return r;
    kept[0] = mmgc_new(w.t, w.node);
    if (kept[0] == NULL)
        return mmgc_thread_error(w.t);
    if (mmgc_hold_bytes(w.t, hold) == 0)
        return MMGC_E_CORRUPT;
    return mmgc_hold_end(w.t, hold, kept, count);
}

static int call_hold_empty(void)
{
    return call_hold(0);
}

static int call_hold_kept(void)
{
    return call_hold(1);
}

static int call_hold_stow(void)
{
    void *kept[1];
    mmgc_hold hold;
    int r = mmgc_hold_begin(w.t, NULL, &hold);

    if (r != MMGC_OK)
        return r;
    kept[0] = mmgc_new(w.t, w.node);
    r = kept[0] == NULL ? mmgc_thread_error(w.t) : mmgc_hold_stow(w.t, kept, 1);
    return r == MMGC_OK ? mmgc_hold_end(w.t, hold, NULL, 0) : r;
}

/* Everything that a hold can be given, and more. */
static int call_hold_use_up(void)
{
    mmgc_hold hold;
    uint32_t count;
    int r = mmgc_hold_begin(w.t, NULL, &hold);

    return r == MMGC_OK ? use_up(&count) : r;
}

static int call_subscribe(void)
{
    struct mmgc_notices *notices;

    mmgc_leave(w.t);
    return mmgc_notices_subscribe(w.heap, NULL, &notices);
}

static int call_next(uint64_t timeout_ns)
{
    struct mmgc_move moves[1];
    struct mmgc_notice notice;
    size_t count;

    return mmgc_notices_next(w.notices, NULL, timeout_ns, moves, 1, &count, &notice);
}

/* As a program does that has the fd among others: readable means that there is something to be learnt. */
static int call_notices_fd(void)
{
    struct pollfd fd = { .fd = mmgc_notices_fd(w.notices), .events = POLLIN };

    (void)poll(&fd, 1, -1);
    return call_next(0);
}

static void ignore_notice(void *context, const struct mmgc_notice *notice, const struct mmgc_move *moves, size_t count)
{
    (void)context, (void)notice, (void)moves, (void)count;
}

static int call_watch(void)
{
    mmgc_watched watched;

    return mmgc_watch(w.notices, w.t, w.leased, &watched);
}

static int call_guard_new(void)
{
    mmgc_guard guard;

    return mmgc_guard_new(w.t, w.list, 2, &guard);
}

static int call_guard_take(void)
{
    return mmgc_guard_take(w.t, NULL) == NULL ? mmgc_thread_error(w.t) : MMGC_E_CORRUPT;
}

static int call_guard_wait(void)
{
    (void)mmgc_guard_take(w.t, NULL);
    return mmgc_guard_wait(w.t, UINT64_MAX);
}

#define DONE(call) ((call), MMGC_OK)
#define GONE MMGC_E_DISCONNECTED
#define WORKS MMGC_OK

/* What of, the name of the call that the row is about, the code at rest, amid and while the world is being stopped, the call. */
#define CALLS(X) \
    X(mmgc_strerror, WORKS, WORKS, WORKS, mmgc_strerror(MMGC_E_DISCONNECTED) != NULL ? MMGC_OK : MMGC_E_CORRUPT) \
    X(mmgc_error_detail, WORKS, WORKS, WORKS, DONE(mmgc_error_detail())) \
    X(mmgc_thread_error, WORKS, WORKS, WORKS, mmgc_thread_error(w.t)) \
    X(mmgc_connect, MMGC_E_NO_DAEMON, GONE, MMGC_E_NO_DAEMON, call_connect()) \
    X(mmgc_ping, GONE, GONE, GONE, mmgc_ping(w.client)) \
    X(mmgc_heap_open, MMGC_E_NO_DAEMON, GONE, MMGC_E_NO_DAEMON, call_heap_open()) \
    X(mmgc_heap_destroy, GONE, GONE, GONE, mmgc_heap_destroy(w.client, "heap", true)) \
    X(mmgc_heap_info, WORKS, WORKS, WORKS, call_heap_info()) \
    X(mmgc_type_struct, GONE, GONE, GONE, call_type_struct()) \
    X(mmgc_type_define, GONE, GONE, GONE, call_type_define()) \
    X(mmgc_type_refs, WORKS, WORKS, WORKS, call_type(mmgc_type_refs)) \
    X(mmgc_type_bytes, WORKS, WORKS, WORKS, call_type(mmgc_type_bytes)) \
    X(mmgc_type_weak_refs, GONE, GONE, GONE, call_type(mmgc_type_weak_refs)) \
    X(mmgc_type_ephemerons, GONE, GONE, GONE, call_type(mmgc_type_ephemerons)) \
    X(mmgc_type_name, WORKS, WORKS, WORKS, strcmp(mmgc_type_name(w.t, w.list), "node") == 0 ? MMGC_OK : MMGC_E_CORRUPT) \
    X(mmgc_attach, GONE, GONE, GONE, call_attach()) \
    X(mmgc_stack_add, WORKS, WORKS, WORKS, call_stack()) \
    X(mmgc_stack_remove, WORKS, WORKS, WORKS, call_stack()) \
    X(mmgc_enter, WORKS, WORKS, GONE, call_enter()) \
    X(mmgc_leave, WORKS, WORKS, WORKS, DONE(mmgc_leave(w.t))) \
    X(mmgc_detach, WORKS, WORKS, WORKS, DONE((mmgc_detach(w.t), w.t = NULL))) \
    X(mmgc_heap_close, WORKS, WORKS, WORKS, DONE((mmgc_heap_close(w.heap), w.t = NULL, w.heap = NULL))) \
    X(mmgc_disconnect, WORKS, WORKS, WORKS, DONE((mmgc_disconnect(w.client), w.client = NULL))) \
    X(mmgc_poll_slow_, WORKS, WORKS, GONE, mmgc_poll_slow_(w.t)) \
    X(mmgc_new_slow_, GONE, GONE, GONE, call_use_up()) \
    X(mmgc_new_slow_, GONE, GONE, GONE, call_large()) \
    X(mmgc_new_in, GONE, GONE, GONE, of_pointer(mmgc_new_in(w.t, w.node, 0, MMGC_SPACE_NONMOVING))) \
    X(mmgc_new_in, GONE, GONE, GONE, of_pointer(mmgc_new_in(w.t, w.node, 0, MMGC_SPACE_IMMORTAL))) \
    X(mmgc_new_in, GONE, GONE, GONE, of_pointer(mmgc_new_in(w.t, w.node, 0, MMGC_SPACE_LARGE))) \
    X(mmgc_identity_hash, WORKS, WORKS, WORKS, mmgc_identity_hash(w.t, w.list) != 0 ? MMGC_OK : MMGC_E_CORRUPT) \
    X(mmgc_reserve, GONE, GONE, GONE, mmgc_reserve(w.t, 4 << 20)) \
    X(mmgc_store_slow_, WORKS, WORKS, WORKS, call_store_slow()) \
    X(mmgc_compare_and_swap_slow_, WORKS, WORKS, WORKS, call_cas_slow()) \
    X(mmgc_exchange_slow_, WORKS, WORKS, WORKS, call_exchange_slow()) \
    X(mmgc_copy_refs, WORKS, WORKS, WORKS, call_copy_refs()) \
    X(mmgc_fill_refs, WORKS, WORKS, WORKS, call_fill_refs()) \
    X(mmgc_scope_open, WORKS, WORKS, WORKS, call_locals()) \
    X(mmgc_scope_close, WORKS, WORKS, WORKS, call_locals()) \
    X(mmgc_local_new, WORKS, WORKS, WORKS, call_locals()) \
    X(mmgc_local_get, WORKS, WORKS, WORKS, mmgc_local_get(w.t, w.local) == w.list ? MMGC_OK : MMGC_E_CORRUPT) \
    X(mmgc_local_set, WORKS, WORKS, WORKS, call_locals()) \
    X(mmgc_name_set, GONE, GONE, GONE, mmgc_name_set(w.t, "name", w.list)) \
    X(mmgc_name_get, GONE, GONE, GONE, of_pointer(mmgc_name_get(w.t, "name"))) \
    X(mmgc_name_claim, GONE, GONE, GONE, call_name_claim()) \
    X(mmgc_gc, GONE, GONE, GONE, mmgc_gc(w.t)) \
    X(mmgc_stow, GONE, GONE, GONE, mmgc_stow(w.t, w.list, NULL)) \
    X(mmgc_handle_new, WORKS, WORKS, WORKS, call_handle_new()) \
    X(mmgc_handle_get, WORKS, WORKS, WORKS, of_pointer(mmgc_handle_get(w.t, w.handle))) \
    X(mmgc_handle_set, WORKS, WORKS, WORKS, mmgc_handle_set(w.t, w.handle, w.leased)) \
    X(mmgc_handle_dup, WORKS, WORKS, WORKS, call_handle_dup()) \
    X(mmgc_handle_drop, WORKS, WORKS, WORKS, mmgc_handle_drop(w.heap, w.handle)) \
    X(mmgc_weak_new, WORKS, WORKS, WORKS, call_weak(mmgc_weak_new)) \
    X(mmgc_soft_new, WORKS, WORKS, WORKS, call_weak(mmgc_soft_new)) \
    X(mmgc_weak_get, WORKS, WORKS, WORKS, of_pointer(mmgc_weak_get(w.t, w.weak))) \
    X(mmgc_weak_upgrade, WORKS, WORKS, WORKS, call_weak_upgrade()) \
    X(mmgc_weak_dup, WORKS, WORKS, WORKS, call_weak_dup()) \
    X(mmgc_handle_weaken, WORKS, WORKS, WORKS, call_weaken()) \
    X(mmgc_weak_drop, WORKS, WORKS, WORKS, mmgc_weak_drop(w.heap, w.weak)) \
    X(mmgc_handle_name, WORKS, WORKS, WORKS, mmgc_handle_name(w.heap, w.handle, "name")) \
    X(mmgc_handle_counts, WORKS, WORKS, WORKS, call_counts()) \
    X(mmgc_heap_leaks, WORKS, WORKS, WORKS, mmgc_heap_leaks(w.heap, ignore_leak, NULL)) \
    X(mmgc_lease_try, WORKS, WORKS, WORKS, call_lease_try()) \
    X(mmgc_lease_take, GONE, GONE, GONE, call_lease_take()) \
    X(mmgc_lease_upgrade, WORKS, WORKS, WORKS, mmgc_lease_upgrade(w.t, w.lease, UINT64_MAX)) \
    X(mmgc_lease_upgrade, GONE, GONE, GONE, call_lease_upgrade_waits()) \
    X(mmgc_lease_downgrade, WORKS, WORKS, WORKS, mmgc_lease_downgrade(w.heap, w.exclusive)) \
    X(mmgc_lease_release, WORKS, WORKS, WORKS, mmgc_lease_release(w.heap, w.exclusive)) \
    X(mmgc_lease_object, WORKS, WORKS, WORKS, mmgc_lease_object(w.heap, w.lease) == w.shared ? MMGC_OK : MMGC_E_CORRUPT) \
    X(mmgc_lease_check, WORKS, WORKS, WORKS, mmgc_lease_check(w.heap, w.lease)) \
    X(mmgc_hold_begin, GONE, GONE, GONE, call_hold_use_up()) \
    X(mmgc_hold_end, GONE, GONE, GONE, call_hold_empty()) \
    X(mmgc_hold_end, GONE, GONE, GONE, call_hold_kept()) \
    X(mmgc_hold_stow, GONE, GONE, GONE, call_hold_stow()) \
    X(mmgc_hold_bytes, GONE, GONE, GONE, call_hold_empty()) \
    X(mmgc_notices_subscribe, MMGC_E_NO_DAEMON, GONE, MMGC_E_NO_DAEMON, call_subscribe()) \
    X(mmgc_notices_close, WORKS, WORKS, WORKS, DONE((mmgc_notices_close(w.notices), w.notices = NULL))) \
    X(mmgc_notices_fd, GONE, GONE, GONE, call_notices_fd()) \
    X(mmgc_notices_due, WORKS, WORKS, WORKS, mmgc_notices_due(w.notices) ? MMGC_E_CORRUPT : MMGC_OK) \
    X(mmgc_notices_next, GONE, GONE, GONE, call_next(UINT64_MAX)) \
    X(mmgc_notices_apply, GONE, WORKS, GONE, mmgc_notices_apply(w.notices, w.t, ignore_notice, NULL)) \
    X(mmgc_watch, WORKS, WORKS, WORKS, call_watch()) \
    X(mmgc_unwatch, WORKS, WORKS, WORKS, mmgc_unwatch(w.notices, w.watched)) \
    X(mmgc_guard_new, WORKS, WORKS, WORKS, call_guard_new()) \
    X(mmgc_guard_drop, WORKS, WORKS, WORKS, mmgc_guard_drop(w.heap, w.guard)) \
    X(mmgc_guard_take, WORKS, WORKS, WORKS, call_guard_take()) \
    X(mmgc_guard_wait, GONE, GONE, GONE, call_guard_wait()) \
    X(mmgc_guards_leave_to, GONE, GONE, GONE, mmgc_guards_leave_to(w.heap, "heir")) \
    X(mmgc_guardian_be, GONE, GONE, GONE, mmgc_guardian_be(w.heap, "heir")) \
    X(mmgc_keep_found_, WORKS, WORKS, WORKS, of_pointer(mmgc_keep_found_(w.t, w.list))) \
    X(mmgc_load_soft, WORKS, WORKS, WORKS, mmgc_load_soft(w.t, &w.soft->soft) == NULL ? MMGC_OK : MMGC_E_CORRUPT) \
    X(mmgc_queue_new, WORKS, WORKS, WORKS, of_pointer(mmgc_queue_new(w.t))) \
    X(mmgc_queue_take, WORKS, WORKS, WORKS, mmgc_queue_take(w.t, w.queue) == NULL ? MMGC_OK : MMGC_E_CORRUPT) \
    X(mmgc_queue_wait, GONE, GONE, GONE, mmgc_queue_wait(w.t, w.queue, UINT64_MAX))


const struct row death_rows[] = {
#define ROW(name, rest, amid, stopping, call) { #name, #call, { rest, amid, stopping } },
    CALLS(ROW)
#undef ROW
};

const int death_row_count = MM_ARRAY_LEN(death_rows);

int death_call(int row)
{
    int i = 0;

#define RUN(name, rest, amid, stopping, call) \
    if (i++ == row) \
        return (call);
    CALLS(RUN)
#undef RUN
    return MMGC_E_INVALID;
}
