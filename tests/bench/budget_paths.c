/* SPDX-License-Identifier: Apache-2.0 */
/* budget_paths.c - What budget.py counts: each path of the client library in a loop, between two words to callgrind.
 * Usage: budget_paths SOCKET PLAN [NAME...]     all of them, unless some are named */
#include <mmgc/hold.h>
#include <mmgc/lease.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <valgrind/callgrind.h>

#define LINE_REFS 64u /* references in 256 bytes: what is logged at once */
#define LINES 4096u
#define TIMES 5 /* in one of which nobody has to wait for memory, however busy the machine is */

struct node {
    mmgc_ref left, right;
    int64_t value;
};
struct world {
    struct mmgc_heap *heap;
    struct mmgc_thread *t;
    mmgc_type node, refs, bytes;
    mmgc_ref *table; /* LINES * LINE_REFS */
    struct node *n;
    mmgc_handle handle;
    mmgc_weak weak;
    mmgc_lease lease;
    void *volatile sink;
};
struct path {
    const char *name;
    void (*run)(struct world *w, uint32_t count);
    uint32_t count;
};

static void check(const char *what, int code)
{
    if (code == MMGC_OK)
        return;
    fprintf(stderr, "%s: %s %s\n", what, mmgc_strerror(code), mmgc_error_detail());
    exit(1);
}

/* Nothing of one round is known to the next. */
static inline void forget(void)
{
    __asm__ volatile("" : : : "memory");
}
#define ROUNDS(count) for (uint32_t i = 0; i < (count); i++, forget())

static void nothing(struct world *w, uint32_t count)
{
    (void)w;
    ROUNDS(count) {}
}

static void new_24(struct world *w, uint32_t count)
{
    struct mmgc_thread *t = w->t;
    mmgc_type node = w->node;

    ROUNDS(count)
        mmgc_keep(mmgc_new(t, node));
}

static void new_array_100(struct world *w, uint32_t count)
{
    struct mmgc_thread *t = w->t;
    mmgc_type bytes = w->bytes;

    ROUNDS(count)
        mmgc_keep(mmgc_new_array(t, bytes, 100));
}

static void load(struct world *w, uint32_t count)
{
    struct mmgc_thread *t = w->t;
    struct node *n = w->n;

    ROUNDS(count)
        mmgc_keep(mmgc_get(t, n, left));
}

static void store(struct world *w, uint32_t count)
{
    struct mmgc_thread *t = w->t;
    struct node *n = w->n;

    ROUNDS(count)
        mmgc_set(t, n, left, n);
}

static void init(struct world *w, uint32_t count)
{
    struct mmgc_thread *t = w->t;
    struct node *n = w->n;

    ROUNDS(count)
        mmgc_init(t, n, left, n);
}

/* Each to another line of an old object. */
static void store_logged(struct world *w, uint32_t count)
{
    check("gc", mmgc_gc(w->t));
    CALLGRIND_ZERO_STATS;
    ROUNDS(count)
        mmgc_store(w->t, w->table, &w->table[i * LINE_REFS], w->n);
}

/* To one field of an old object that was stored to before: under plans that log fields, which go on looking. */
static void store_again(struct world *w, uint32_t count)
{
    struct mmgc_thread *t = w->t;
    struct node *n = w->n;

    check("gc", mmgc_gc(t));
    mmgc_set(t, n, left, n);
    CALLGRIND_ZERO_STATS;
    ROUNDS(count)
        mmgc_set(t, n, left, n);
}

static void exchange(struct world *w, uint32_t count)
{
    struct mmgc_thread *t = w->t;
    struct node *n = w->n;

    ROUNDS(count)
        mmgc_keep(mmgc_exchange(t, n, &n->left, n));
}

static void compare_and_swap(struct world *w, uint32_t count)
{
    struct mmgc_thread *t = w->t;
    struct node *n = w->n;

    ROUNDS(count)
        (void)mmgc_cas(t, n, left, n, n);
}

static void copy_64_refs(struct world *w, uint32_t count)
{
    ROUNDS(count)
        mmgc_copy_refs(w->t, w->table, w->table, w->table + LINE_REFS, LINE_REFS);
}

static void poll(struct world *w, uint32_t count)
{
    struct mmgc_thread *t = w->t;

    ROUNDS(count)
        (void)mmgc_poll(t);
}

static void leave_and_enter(struct world *w, uint32_t count)
{
    ROUNDS(count)
    {
        mmgc_leave(w->t);
        (void)mmgc_enter(w->t);
    }
}

static void handle_get(struct world *w, uint32_t count)
{
    ROUNDS(count)
        mmgc_keep(mmgc_handle_get(w->t, w->handle));
}

static void weak_get(struct world *w, uint32_t count)
{
    ROUNDS(count)
        mmgc_keep(mmgc_weak_get(w->t, w->weak));
}

static void handle_new_and_drop(struct world *w, uint32_t count)
{
    mmgc_handle handle;

    ROUNDS(count)
    {
        (void)mmgc_handle_new(w->t, w->n, &handle);
        (void)mmgc_handle_drop(w->heap, handle);
    }
}

static void lease_and_release(struct world *w, uint32_t count)
{
    mmgc_lease lease;

    ROUNDS(count)
    {
        (void)mmgc_lease_try(w->t, w->n, MMGC_LEASE_EXCLUSIVE, NULL, &lease);
        (void)mmgc_lease_release(w->heap, lease);
    }
}

static void lease_object(struct world *w, uint32_t count)
{
    ROUNDS(count)
        mmgc_keep(mmgc_lease_object(w->heap, w->lease));
}

static void scope_of_one_local(struct world *w, uint32_t count)
{
    ROUNDS(count)
    {
        mmgc_scope scope = mmgc_scope_open(w->t);
        (void)mmgc_local_new(w->t, w->n);
        mmgc_scope_close(w->t, scope);
    }
}

#define RESERVED_BYTES (UINT64_C(4) << 20)
#define NODE_BYTES 24u

/* Hold after hold, in each as many as were reserved. */
static void new_24_reserved(struct world *w, uint32_t count)
{
    struct mmgc_thread *t = w->t;
    mmgc_type node = w->node;
    mmgc_hold hold;

    for (uint32_t left = count; left > 0;) {
        check("begin", mmgc_hold_begin(t, NULL, &hold));
        check("reserve", mmgc_reserve(t, RESERVED_BYTES));
        uint32_t fit = RESERVED_BYTES / NODE_BYTES, now = left < fit ? left : fit;
        ROUNDS(now)
            mmgc_keep(mmgc_new(t, node));
        check("end", mmgc_hold_end(t, hold, NULL, 0));
        left -= now;
    }
}

/* A request: a hold that makes ten objects and keeps none. */
static void hold_of_ten(struct world *w, uint32_t count)
{
    struct mmgc_thread *t = w->t;
    mmgc_type node = w->node;
    mmgc_hold hold;

    ROUNDS(count)
    {
        (void)mmgc_hold_begin(t, NULL, &hold);
        for (int k = 0; k < 10; k++)
            mmgc_keep(mmgc_new(t, node));
        (void)mmgc_hold_end(t, hold, NULL, 0);
    }
}

static const struct path PATHS[] = {
    { "nothing", nothing, 100000 },
    { "new_24", new_24, 100000 },
    { "new_array_100", new_array_100, 20000 },
    { "load", load, 100000 },
    { "store", store, 100000 },
    { "init", init, 100000 },
    { "store_logged", store_logged, LINES },
    { "store_again", store_again, 100000 },
    { "exchange", exchange, 100000 },
    { "compare_and_swap", compare_and_swap, 100000 },
    { "copy_64_refs", copy_64_refs, 10000 },
    { "poll", poll, 100000 },
    { "leave_and_enter", leave_and_enter, 10000 },
    { "handle_get", handle_get, 10000 },
    { "weak_get", weak_get, 10000 },
    { "handle_new_and_drop", handle_new_and_drop, 10000 },
    { "lease_and_release", lease_and_release, 10000 },
    { "lease_object", lease_object, 10000 },
    { "scope_of_one_local", scope_of_one_local, 10000 },
    { "new_24_reserved", new_24_reserved, 1000000 },
    { "hold_of_ten", hold_of_ten, 10000 },
};

static bool wanted(const char *name, int argc, char **argv)
{
    bool found = argc == 3;

    for (int i = 3; i < argc; i++)
        found = found || strcmp(argv[i], name) == 0;
    return found;
}

static void make_world(struct world *w, const char *socket, const char *plan)
{
    struct mmgc_heap_options options = { .create = true, .max_bytes = UINT64_C(64) << 20, .plan = plan };
    struct mmgc_client *client;

    check("connect", mmgc_connect(socket, "budget", &client));
    check("open", mmgc_heap_open(client, plan, &options, &w->heap));
    check("attach", mmgc_attach(w->heap, NULL, &w->t));
    check("type", MMGC_DEFINE_TYPE(w->heap, node, &w->node, left, right));
    check("type", mmgc_type_refs(w->heap, &w->refs));
    check("type", mmgc_type_bytes(w->heap, &w->bytes));
    check("enter", mmgc_enter(w->t));
    w->table = mmgc_new_array(w->t, w->refs, LINES * LINE_REFS);
    check("name", mmgc_name_set(w->t, "table", w->table));
    w->n = mmgc_new_in(w->t, w->node, 0, MMGC_SPACE_NONMOVING);
    check("name", mmgc_name_set(w->t, "node", w->n));
    check("handle", mmgc_handle_new(w->t, w->n, &w->handle));
    check("weak", mmgc_weak_new(w->t, w->n, &w->weak));
    check("lease", mmgc_lease_try(w->t, w->table, MMGC_LEASE_SHARED, NULL, &w->lease));
    mmgc_set(w->t, w->n, left, w->n);
}

int main(int argc, char **argv)
{
    struct world w;

    if (argc < 3)
        return 2;
    make_world(&w, argv[1], argv[2]);
    for (size_t i = 0; i < sizeof(PATHS) / sizeof(PATHS[0]); i++) {
        if (!wanted(PATHS[i].name, argc, argv))
            continue;
        PATHS[i].run(&w, 10); /* what is done once is done */
        for (int times = 0; times < TIMES; times++) {
            CALLGRIND_ZERO_STATS;
            PATHS[i].run(&w, PATHS[i].count);
            CALLGRIND_DUMP_STATS_AT(PATHS[i].name);
        }
        printf("%s %u\n", PATHS[i].name, PATHS[i].count);
    }
    return 0;
}
