/* SPDX-License-Identifier: Apache-2.0 */
/* The library and the real daemon, as programs use them. */
#include <mmgc/lease.h>
#include <mmgc/mmgc.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "shm/base.h"
#include "tests/support/daemon.h"
#include "tests/support/runner.h"

#define HEAP_BYTES (UINT64_C(32) << 20)
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
};

static struct daemon *mmgcd;
static struct access a;

static int access_open(struct access *to, bool exact, bool read_only)
{
    struct mmgc_heap_options options = { .create = true, .read_only = read_only, .max_bytes = HEAP_BYTES };
    struct mmgc_thread_options thread = { .exact = exact };
    int r = mmgc_connect(daemon_socket(mmgcd), "test", &to->client);

    if (r == MMGC_OK)
        r = mmgc_heap_open(to->client, "heap", &options, &to->heap);
    if (r == MMGC_OK)
        r = mmgc_attach(to->heap, &thread, &to->t);
    if (r == MMGC_OK)
        r = MMGC_DEFINE_TYPE(to->heap, node, &to->node, left, right);
    if (r == MMGC_OK)
        r = mmgc_type_bytes(to->heap, &to->bytes);
    return r == MMGC_OK ? mmgc_type_refs(to->heap, &to->refs) : r;
}

static void access_close(struct access *of)
{
    mmgc_detach(of->t);
    mmgc_heap_close(of->heap);
    mmgc_disconnect(of->client);
}

static void setup_daemon(void)
{
    mmgcd = daemon_start(NULL);
}

static void setup(void)
{
    setup_daemon();
    ck_assert_ok(access_open(&a, false, false));
}

static void teardown(void)
{
    access_close(&a);
    daemon_stop(mmgcd);
}

static uint64_t collections(const struct access *of)
{
    struct mmgc_heap_info info;

    ck_assert_ok(mmgc_heap_info(of->heap, &info));
    return info.collections;
}

/* A tree of 2^@depth - 1 nodes, held by C locals while it grows. NULL: no memory. */
static struct node *tree_new(const struct access *in, int depth)
{
    if (depth == 0)
        return NULL;
    struct node *left = tree_new(in, depth - 1);
    struct node *right = tree_new(in, depth - 1);
    struct node *n = mmgc_new(in->t, in->node);
    if (n == NULL || (depth > 1 && (left == NULL || right == NULL)))
        return NULL;
    n->value = depth;
    mmgc_set(in->t, n, left, left);
    mmgc_set(in->t, n, right, right);
    return n;
}

static int64_t tree_nodes(const struct access *in, struct node *n, int depth)
{
    if (n == NULL)
        return 0;
    if (n->value != depth)
        return INT64_MIN / 2;
    return 1 + tree_nodes(in, mmgc_get(in->t, n, left), depth - 1) +
           tree_nodes(in, mmgc_get(in->t, n, right), depth - 1);
}

static bool tree_whole(const struct access *in, struct node *n, int depth)
{
    return tree_nodes(in, n, depth) == (INT64_C(1) << depth) - 1;
}

/* Until this many collections have been done. False: no memory. */
static bool churn(const struct access *in, uint64_t more)
{
    uint64_t until = collections(in) + more;

    while (collections(in) < until)
        for (int i = 0; i < 1000; i++)
            if (mmgc_new(in->t, in->node) == NULL)
                return false;
    return true;
}

START_TEST(what_locals_hold_survives_collections)
{
    ck_assert_ok(mmgc_enter(a.t));
    struct node *tree = tree_new(&a, 14);
    ck_assert(tree_whole(&a, tree, 14));
    for (int round = 0; round < 5; round++) {
        ck_assert(churn(&a, 2));
        struct node *other = tree_new(&a, 12);
        ck_assert(tree_whole(&a, tree, 14));
        ck_assert(tree_whole(&a, other, 12));
    }
    mmgc_leave(a.t);
}
END_TEST

START_TEST(gc_collects_from_inside_and_from_outside)
{
    struct mmgc_heap_info info;

    ck_assert_ok(mmgc_enter(a.t));
    struct node *tree = tree_new(&a, 12);
    for (int i = 0; i < 20; i++) {
        uint64_t before = collections(&a);
        ck_assert_ok(mmgc_gc(a.t));
        ck_assert_uint_gt(collections(&a), before);
        ck_assert(tree_whole(&a, tree, 12));
    }
    ck_assert_ok(mmgc_heap_info(a.heap, &info));
    ck_assert_uint_ge(info.live_bytes, 4095 * 24);
    tree = NULL;
    mmgc_leave(a.t);
    ck_assert_ok(mmgc_gc(a.t));
    ck_assert_ok(mmgc_heap_info(a.heap, &info));
    ck_assert_uint_lt(info.live_bytes, 4095 * 24);
}
END_TEST

START_TEST(exact_threads_are_held_by_locals_handles_and_names)
{
    struct access x;
    mmgc_handle handle;

    ck_assert_ok(access_open(&x, true, false));
    ck_assert_ok(mmgc_enter(x.t));
    mmgc_scope scope = mmgc_scope_open(x.t);
    mmgc_local local = mmgc_local_new(x.t, mmgc_new(x.t, x.node));
    ((struct node *)mmgc_local_get(x.t, local))->value = 1;
    ck_assert_ok(mmgc_handle_new(x.t, mmgc_new(x.t, x.node), &handle));
    ((struct node *)mmgc_handle_get(x.t, handle))->value = 2;
    ck_assert_ok(mmgc_name_set(x.t, "three", mmgc_new(x.t, x.node)));
    ((struct node *)mmgc_name_get(x.t, "three"))->value = 3;
    ck_assert(churn(&x, 4));
    ck_assert_int_eq(((struct node *)mmgc_local_get(x.t, local))->value, 1);
    ck_assert_int_eq(((struct node *)mmgc_handle_get(x.t, handle))->value, 2);
    ck_assert_int_eq(((struct node *)mmgc_name_get(x.t, "three"))->value, 3);
    mmgc_scope_close(x.t, scope);
    mmgc_leave(x.t);
    mmgc_handle_drop(x.heap, handle);
    access_close(&x);
}
END_TEST

static bool all_are(const char *bytes, char value, size_t count)
{
    return count == 0 || (bytes[0] == value && memcmp(bytes, bytes + 1, count - 1) == 0);
}

START_TEST(arrays_of_all_sizes_come_and_go)
{
    static const uint32_t lengths[] = { 0, 1, 100, 300, 4000, 16376, 16377, 40000, 200000, 1000000 };

    ck_assert_ok(mmgc_enter(a.t));
    mmgc_ref *kept = mmgc_new_array(a.t, a.refs, MM_ARRAY_LEN(lengths));
    for (int round = 0; round < 200; round++) {
        size_t i = (size_t)round % MM_ARRAY_LEN(lengths);
        char *bytes = mmgc_new_array(a.t, a.bytes, lengths[i]);
        ck_assert_ptr_nonnull(bytes);
        ck_assert(all_are(bytes, 0, lengths[i]));
        memset(bytes, (int)i + 1, lengths[i]);
        mmgc_store(a.t, kept, &kept[i], bytes);
    }
    for (size_t i = 0; i < MM_ARRAY_LEN(lengths); i++) {
        char *bytes = mmgc_load(a.t, &kept[i]);
        ck_assert_uint_eq(mmgc_length(bytes), lengths[i]);
        ck_assert(all_are(bytes, (char)(i + 1), lengths[i]));
    }
    mmgc_leave(a.t);
}
END_TEST

/* A frame of its own, so that nothing of the list is left in registers afterwards. */
__attribute__((noinline)) static void fill_with_a_list(void)
{
    struct node *list = NULL;
    int64_t length = 0;

    for (struct node *n; (n = mmgc_new(a.t, a.node)) != NULL; list = n)
        mmgc_set(a.t, n, left, list);
    ck_assert_int_eq(mmgc_thread_error(a.t), MMGC_E_NOMEM);
    for (struct node *n = list; n != NULL; n = mmgc_get(a.t, n, left))
        length++;
    ck_assert_int_gt(length, (int64_t)(HEAP_BYTES / sizeof(struct node) / 2)); /* most of it was to be had */
    ck_assert_ptr_null(mmgc_new_array(a.t, a.bytes, 1 << 20));
    ck_assert_int_eq(mmgc_thread_error(a.t), MMGC_E_NOMEM);
    ck_assert_int_ne(mmgc_reserve(a.t, 4u << 20), MMGC_OK);
    mmgc_keep(list); /* up to here */
}

START_TEST(a_full_heap_is_an_error_and_dropping_helps)
{
    ck_assert_ok(mmgc_enter(a.t));
    fill_with_a_list();
    ck_assert_ok(mmgc_gc(a.t));
    ck_assert(tree_whole(&a, tree_new(&a, 16), 16));
    mmgc_leave(a.t);
}
END_TEST

START_TEST(what_is_reserved_is_there)
{
    ck_assert_ok(mmgc_enter(a.t));
    ck_assert_ok(mmgc_reserve(a.t, 1u << 20));
    uint64_t before = collections(&a);
    for (uint64_t bytes = 0; bytes + 8200 <= 1u << 20; bytes += 8200)
        ck_assert_ptr_nonnull(mmgc_new_array(a.t, a.bytes, 8192));
    ck_assert_uint_eq(collections(&a), before);
    mmgc_leave(a.t);
}
END_TEST

/* ---- several processes ------------------------------------------------------------------------------------------- */

static int in_child(int (*run)(void))
{
    int status;
    pid_t pid = fork();

    if (pid == 0)
        _exit(run());
    ck_assert_int_gt(pid, 0);
    ck_assert_int_eq(waitpid(pid, &status, 0), pid);
    return status;
}

static int find_and_extend(void)
{
    struct access x;

    if (access_open(&x, false, false) != MMGC_OK || mmgc_enter(x.t) != MMGC_OK)
        return 1;
    struct node *tree = mmgc_name_get(x.t, "tree");
    if (tree == NULL || !tree_whole(&x, tree, 10))
        return 2;
    struct node *mine = tree_new(&x, 10), *top = mmgc_new(x.t, x.node);
    top->value = 11;
    mmgc_set(x.t, top, left, tree);
    mmgc_set(x.t, top, right, mine);
    if (mmgc_name_set(x.t, "tree", top) != MMGC_OK || mmgc_gc(x.t) != MMGC_OK)
        return 3;
    mmgc_leave(x.t);
    access_close(&x);
    return 0;
}

START_TEST(another_process_finds_it_by_name_and_adds_to_it)
{
    ck_assert_ok(mmgc_enter(a.t));
    ck_assert_ok(mmgc_name_set(a.t, "tree", tree_new(&a, 10)));
    mmgc_leave(a.t);
    ck_assert_int_eq(in_child(find_and_extend), 0);
    ck_assert_ok(mmgc_enter(a.t));
    ck_assert(churn(&a, 2));
    ck_assert(tree_whole(&a, mmgc_name_get(a.t, "tree"), 11));
    mmgc_leave(a.t);
}
END_TEST

static int allocate_until_killed(void)
{
    struct access x;

    if (access_open(&x, false, false) != MMGC_OK || mmgc_enter(x.t) != MMGC_OK)
        return 1;
    (void)alarm(10);
    for (uint32_t i = 0;; i++) {
        struct node *n = mmgc_new(x.t, x.node);
        char *bytes = mmgc_new_array(x.t, x.bytes, i * 7919 % 5000);
        if (n == NULL || bytes == NULL)
            return 2;
        memset(bytes, 0xff, mmgc_length(bytes));
        if (i == 1000 && mmgc_name_set(x.t, "started", n) != MMGC_OK)
            return 3;
    }
}

START_TEST(a_client_killed_in_mid_allocation_disturbs_nobody)
{
    ck_assert_ok(mmgc_enter(a.t));
    struct node *tree = tree_new(&a, 12);
    for (int round = 0; round < 10; round++) {
        int removed = mmgc_name_set(a.t, "started", NULL);
        ck_assert_int_eq(removed, round == 0 ? MMGC_E_NO_NAME : MMGC_OK);
        mmgc_leave(a.t);
        pid_t pid = fork();
        if (pid == 0)
            _exit(allocate_until_killed());
        ck_assert_ok(mmgc_enter(a.t));
        while (mmgc_name_get(a.t, "started") == NULL) {
            ck_assert_ok(mmgc_poll(a.t));
            (void)usleep(200);
        }
        ck_assert_int_eq(kill(pid, SIGKILL), 0);
        int status;
        ck_assert_int_eq(waitpid(pid, &status, 0), pid);
        ck_assert(WIFSIGNALED(status));
        ck_assert_ok(mmgc_gc(a.t));
        ck_assert(churn(&a, 1));
        ck_assert(tree_whole(&a, tree, 12));
    }
    mmgc_leave(a.t);
}
END_TEST

START_TEST(another_layout_of_a_name_clashes)
{
    struct mmgc_type_layout layout = { .name = "node", .fixed_bytes = 24 };
    mmgc_type type;

    ck_assert_int_eq(mmgc_type_define(a.heap, &layout, &type), MMGC_E_TYPE_CLASH);
    ck_assert_str_ne(mmgc_error_detail(), "");
}
END_TEST

START_TEST(a_reader_reads_and_allocates_nothing)
{
    struct access reader;

    ck_assert_ok(mmgc_enter(a.t));
    ck_assert_ok(mmgc_name_set(a.t, "tree", tree_new(&a, 8)));
    mmgc_leave(a.t);
    ck_assert_ok(access_open(&reader, false, true));
    ck_assert_ok(mmgc_enter(reader.t));
    ck_assert(tree_whole(&reader, mmgc_name_get(reader.t, "tree"), 8));
    ck_assert_ptr_null(mmgc_new(reader.t, reader.node));
    ck_assert_int_eq(mmgc_thread_error(reader.t), MMGC_E_READ_ONLY);
    mmgc_leave(reader.t);
    access_close(&reader);
}
END_TEST

/* ---- several threads --------------------------------------------------------------------------------------------- */

static void *grow_trees(void *arg)
{
    struct access x = a;

    (void)arg;
    if (mmgc_attach(x.heap, NULL, &x.t) != MMGC_OK || mmgc_enter(x.t) != MMGC_OK)
        return "attach";
    struct node *kept = tree_new(&x, 10);
    for (int i = 0; i < 300; i++) {
        struct node *other = tree_new(&x, 9);
        if (!tree_whole(&x, kept, 10) || !tree_whole(&x, other, 9))
            return "a tree broke";
        if (i % 50 == 0) {
            mmgc_leave(x.t);
            if (mmgc_enter(x.t) != MMGC_OK)
                return "enter";
            kept = tree_new(&x, 10);
        }
    }
    return NULL; /* inside: its end detaches it */
}

START_TEST(threads_grow_trees_while_others_collect)
{
    pthread_t threads[4];
    void *wrong;

    for (size_t i = 0; i < MM_ARRAY_LEN(threads); i++)
        ck_assert_int_eq(pthread_create(&threads[i], NULL, grow_trees, NULL), 0);
    for (int i = 0; i < 20; i++)
        ck_assert_ok(mmgc_gc(a.t));
    for (size_t i = 0; i < MM_ARRAY_LEN(threads); i++) {
        ck_assert_int_eq(pthread_join(threads[i], &wrong), 0);
        ck_assert_msg(wrong == NULL, "%s", (const char *)wrong);
    }
}
END_TEST

/* ---- ends -------------------------------------------------------------------------------------------------------- */

START_TEST(a_heap_destroyed_by_force_is_gone_for_those_inside)
{
    struct mmgc_client *other;

    ck_assert_ok(mmgc_connect(daemon_socket(mmgcd), NULL, &other));
    ck_assert_int_eq(mmgc_heap_destroy(other, "heap", false), MMGC_E_HEAP_BUSY);
    ck_assert_ok(mmgc_enter(a.t));
    ck_assert_ok(mmgc_heap_destroy(other, "heap", true));
    while (mmgc_new(a.t, a.node) != NULL)
        ;
    ck_assert_int_eq(mmgc_thread_error(a.t), MMGC_E_HEAP_GONE);
    mmgc_leave(a.t);
    ck_assert_int_eq(mmgc_enter(a.t), MMGC_E_HEAP_GONE);
    mmgc_disconnect(other);
}
END_TEST

START_TEST(a_heap_is_made_once_and_found_after_everyone_left)
{
    struct mmgc_heap_options only = { .create = true, .exclusive = true };
    struct mmgc_heap *heap;

    ck_assert_int_eq(mmgc_heap_open(a.client, "heap", &only, &heap), MMGC_E_HEAP_EXISTS);
    ck_assert_int_eq(mmgc_heap_open(a.client, "none", NULL, &heap), MMGC_E_NO_HEAP);
    only.plan = "no such plan";
    ck_assert_int_eq(mmgc_heap_open(a.client, "new", &only, &heap), MMGC_E_NO_PLAN);
    ck_assert_ok(mmgc_enter(a.t));
    ck_assert_ok(mmgc_name_set(a.t, "tree", tree_new(&a, 5)));
    access_close(&a);
    ck_assert_ok(access_open(&a, false, false));
    ck_assert_ok(mmgc_enter(a.t));
    ck_assert(tree_whole(&a, mmgc_name_get(a.t, "tree"), 5));
    mmgc_leave(a.t);
}
END_TEST

START_TEST(a_creator_says_the_options_of_its_heap)
{
    struct mmgc_heap_options wrong = { .create = true, .options = "sanity=on ignore_system_gc=perhaps" };
    struct mmgc_heap_options right = { .create = true,
                                       .max_bytes = HEAP_BYTES,
                                       .plan = "marksweep",
                                       .options = "plan=immix, ignore_system_gc=on" };
    struct mmgc_heap_info info;
    struct mmgc_thread *t;
    struct mmgc_heap *heap;

    ck_assert_int_eq(mmgc_heap_open(a.client, "chosen", &wrong, &heap), MMGC_E_INVALID);
    ck_assert_ptr_nonnull(strstr(mmgc_error_detail(), "ignore_system_gc=perhaps: it can be on or off"));
    ck_assert_ok(mmgc_heap_open(a.client, "chosen", &right, &heap));
    ck_assert_ok(mmgc_attach(heap, NULL, &t));
    ck_assert_ok(mmgc_gc(t));
    ck_assert_ok(mmgc_heap_info(heap, &info));
    ck_assert_uint_eq(info.collections, 0);
    ck_assert_str_eq(info.plan, "marksweep");
    mmgc_heap_close(heap);
}
END_TEST

/* One live object where a few thousand died; whether collections that are asked for move it. */
static bool survivor_moves(const char *name, const char *options)
{
    struct mmgc_heap_options heap = { .create = true, .max_bytes = HEAP_BYTES, .plan = "immix", .options = options };
    struct mmgc_thread_options thread = { .exact = true };
    struct access x = { .client = a.client };
    bool moves = false;

    ck_assert_ok(mmgc_heap_open(x.client, name, &heap, &x.heap));
    ck_assert_ok(mmgc_attach(x.heap, &thread, &x.t));
    ck_assert_ok(MMGC_DEFINE_TYPE(x.heap, node, &x.node, left, right));
    ck_assert_ok(mmgc_enter(x.t));
    ck_assert_ok(mmgc_name_set(x.t, "survivor", mmgc_new(x.t, x.node)));
    for (int i = 0; i < 100000; i++)
        ck_assert_ptr_nonnull(mmgc_new(x.t, x.node));
    for (int i = 0; i < 3; i++) {
        const void *before = mmgc_name_get(x.t, "survivor");
        ck_assert_ok(mmgc_gc(x.t));
        moves = moves || mmgc_name_get(x.t, "survivor") != before;
    }
    mmgc_leave(x.t);
    mmgc_heap_close(x.heap);
    return moves;
}

START_TEST(a_wished_for_collection_is_as_thorough_as_the_heap_says)
{
    ck_assert(!survivor_moves("quick", ""));
    ck_assert(survivor_moves("thorough", "full_heap_system_gc=on"));
    ck_assert(survivor_moves("always", "immix_always_defrag=on immix_defrag_every_block=on"));
}
END_TEST

START_TEST(a_daemon_that_ends_is_an_error_not_a_hang)
{
    ck_assert_ok(access_open(&a, false, false));
    ck_assert_ok(mmgc_enter(a.t));
    ck_assert_ptr_nonnull(mmgc_new(a.t, a.node));
    daemon_stop(mmgcd);
    while (mmgc_new(a.t, a.node) != NULL)
        ;
    int code = mmgc_thread_error(a.t);
    ck_assert(code == MMGC_E_DISCONNECTED || code == MMGC_E_SHUTDOWN || code == MMGC_E_HEAP_GONE);
    mmgc_leave(a.t);
    ck_assert_int_ne(mmgc_enter(a.t), MMGC_OK);
    ck_assert_int_ne(mmgc_ping(a.client), MMGC_OK);
    access_close(&a);
}
END_TEST

START_TEST(everything_the_daemon_held_for_us_is_given_back)
{
    struct access first;

    ck_assert_ok(access_open(&first, false, false)); /* so that the heap stays */
    int before = daemon_fd_count(mmgcd);
    for (int i = 0; i < 30; i++) {
        struct access x;
        ck_assert_ok(access_open(&x, i % 2 == 0, false));
        ck_assert_ok(mmgc_enter(x.t));
        ck_assert_ptr_nonnull(mmgc_new(x.t, x.node));
        access_close(&x);
    }
    ck_assert(daemon_await_fds(mmgcd, before));
    access_close(&first);
    daemon_stop(mmgcd);
}
END_TEST

/* ---- quotas: what the daemon says reaches the program ---- */

static void setup_limited(void)
{
    char config[256];

    snprintf(config, sizeof(config), "[daemon]\nthreads = 2\n[user %u]\nmax_handles = 3000\nmax_leases = 20\nmax_sessions = 2\n", (unsigned)geteuid());
    mmgcd = daemon_start(config);
    ck_assert(daemon_log_has(mmgcd, "session 1 ends")); /* the connection that waited for the start */
    ck_assert_ok(access_open(&a, false, false));
}

START_TEST(handles_come_in_portions_until_the_user_has_as_many_as_it_may)
{
    mmgc_handle handles[3000];
    int made = 0;

    ck_assert_ok(mmgc_enter(a.t));
    while (made < 3000 && mmgc_handle_new(a.t, NULL, &handles[made]) == MMGC_OK)
        made++;
    ck_assert_int_eq(made, 2999);
    ck_assert_int_eq(mmgc_handle_new(a.t, NULL, &handles[2999]), MMGC_E_LIMIT);
    ck_assert_ptr_nonnull(strstr(mmgc_error_detail(), "3000 places for handles, as many as max_handles of [user"));
    ck_assert_ok(mmgc_handle_drop(a.heap, handles[7]));
    ck_assert_ok(mmgc_handle_new(a.t, NULL, &handles[7]));
    mmgc_leave(a.t);
}
END_TEST

START_TEST(leases_end_where_the_user_has_as_many_as_it_may)
{
    mmgc_lease leases[30];
    int made = 0, r = MMGC_OK;

    ck_assert_ok(mmgc_enter(a.t));
    struct node *n = mmgc_new(a.t, a.node);
    for (int tick = 0; r == MMGC_OK && tick < 30; tick++) { /* the daemon counts four times a second */
        if (made < 20)
            ck_assert_ok(mmgc_lease_try(a.t, n, MMGC_LEASE_SHARED, NULL, &leases[made++]));
        else {
            usleep(200000);
            r = mmgc_lease_try(a.t, n, MMGC_LEASE_SHARED, NULL, &leases[made]);
            if (r == MMGC_OK)
                (void)mmgc_lease_release(a.heap, leases[made]);
        }
    }
    ck_assert_int_eq(r, MMGC_E_LIMIT);
    ck_assert_ptr_nonnull(strstr(mmgc_error_detail(), "20 leases, as many as max_leases"));
    mmgc_leave(a.t);
}
END_TEST

START_TEST(who_is_turned_away_learns_why)
{
    struct mmgc_client *third;

    ck_assert_int_eq(mmgc_connect(daemon_socket(mmgcd), "third", &third), MMGC_E_LIMIT);
    ck_assert_ptr_nonnull(strstr(mmgc_error_detail(), "has 2 connections, as many as max_sessions of [user"));
}
END_TEST

static Suite *mmgcd_suite(void)
{
    Suite *suite = suite_create("mmgcd");
    TCase *heap = tcase_create("heap"), *limited = tcase_create("limited"), *ends = tcase_create("ends");

    tcase_add_checked_fixture(heap, setup, teardown);
    tcase_set_timeout(heap, 60);
    tcase_add_test(heap, what_locals_hold_survives_collections);
    tcase_add_test(heap, gc_collects_from_inside_and_from_outside);
    tcase_add_test(heap, exact_threads_are_held_by_locals_handles_and_names);
    tcase_add_test(heap, arrays_of_all_sizes_come_and_go);
    tcase_add_test(heap, a_full_heap_is_an_error_and_dropping_helps);
    tcase_add_test(heap, what_is_reserved_is_there);
    tcase_add_test(heap, another_process_finds_it_by_name_and_adds_to_it);
    tcase_add_test(heap, a_client_killed_in_mid_allocation_disturbs_nobody);
    tcase_add_test(heap, another_layout_of_a_name_clashes);
    tcase_add_test(heap, a_reader_reads_and_allocates_nothing);
    tcase_add_test(heap, threads_grow_trees_while_others_collect);
    tcase_add_test(heap, a_heap_destroyed_by_force_is_gone_for_those_inside);
    tcase_add_test(heap, a_heap_is_made_once_and_found_after_everyone_left);
    tcase_add_test(heap, a_creator_says_the_options_of_its_heap);
    tcase_add_test(heap, a_wished_for_collection_is_as_thorough_as_the_heap_says);
    suite_add_tcase(suite, heap);
    tcase_add_checked_fixture(limited, setup_limited, teardown);
    tcase_add_test(limited, handles_come_in_portions_until_the_user_has_as_many_as_it_may);
    tcase_add_test(limited, leases_end_where_the_user_has_as_many_as_it_may);
    tcase_add_test(limited, who_is_turned_away_learns_why);
    suite_add_tcase(suite, limited);
    tcase_add_checked_fixture(ends, setup_daemon, NULL);
    tcase_set_timeout(ends, 60);
    tcase_add_test(ends, a_daemon_that_ends_is_an_error_not_a_hang);
    tcase_add_test(ends, everything_the_daemon_held_for_us_is_given_back);
    suite_add_tcase(suite, ends);
    return suite;
}

int main(int argc, char **argv)
{
    return runner_main(argc, argv, mmgcd_suite);
}
