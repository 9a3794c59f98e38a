/* SPDX-License-Identifier: Apache-2.0 */
/* Handover on mmgcd: A gives its root a name, B asks for it; nothing is copied, both have the same nodes of 32 bytes.
 * Usage: handover_mmgc SOCKET HEAP HEAP_MIB NODES */
#include <mmgc/mmgc.h>

#include "handover.h"

#define ROOT_NAME "graph"

struct node {
    mmgc_ref left, right;
    uint64_t key, value;
};
static struct { /* of this process: A and B have one each */
    const char *sock, *heap_name;
    uint64_t heap_bytes;
    struct mmgc_client *client;
    struct mmgc_heap *heap;
    struct mmgc_thread *t;
    mmgc_type node;
} w;

static void check(const char *what, int code)
{
    if (code == MMGC_OK)
        return;
    fprintf(stderr, "handover: %s: %s %s\n", what, mmgc_strerror(code), mmgc_error_detail());
    exit(code == MMGC_E_NOMEM ? BENCH_NO_ROOM : 2);
}

static void join(const char *name, const struct mmgc_heap_options *options)
{
    check("connect", mmgc_connect(w.sock, name, &w.client));
    check("open", mmgc_heap_open(w.client, w.heap_name, options, &w.heap));
    check("attach", mmgc_attach(w.heap, NULL, &w.t));
}

/* ---- A ---- */

static void a_open(void)
{
    struct mmgc_heap_options options = { .create = true, .max_bytes = w.heap_bytes };
    join("handover A", &options);
    check("type", MMGC_DEFINE_TYPE(w.heap, node, &w.node, left, right));
}

static struct node *build(uint32_t low, uint32_t high)
{
    if (low == high)
        return NULL;
    uint32_t middle = handover_middle(low, high);
    struct node *n = mmgc_new(w.t, w.node);
    if (!n)
        check("new", mmgc_thread_error(w.t));
    n->key = handover_key(middle);
    n->value = handover_value(middle);
    mmgc_set(w.t, n, left, build(low, middle));
    mmgc_set(w.t, n, right, build(middle + 1, high));
    return n;
}

static void a_build(uint32_t nodes)
{
    check("enter", mmgc_enter(w.t));
    check("name", mmgc_name_set(w.t, ROOT_NAME, build(0, nodes)));
    mmgc_leave(w.t);
}

/* ---- B ---- */

static void b_join(void)
{
    join("handover B", NULL);
    check("enter", mmgc_enter(w.t));
}

static void *b_ask(void)
{
    void *root = mmgc_name_get(w.t, ROOT_NAME);
    if (!root)
        check("name", mmgc_thread_error(w.t));
    return root;
}

static uint64_t b_peek(void *root)
{
    struct node *n = root;
    return ((struct node *)mmgc_get(w.t, n, left))->key;
}

static uint64_t walk(struct node *n)
{
    uint64_t sum = 0;
    for (mmgc_poll(w.t); n; n = mmgc_get(w.t, n, right)) {
        sum += n->key ^ n->value;
        sum += walk(mmgc_get(w.t, n, left));
    }
    return sum;
}

static uint64_t b_walk(void *root)
{
    return walk(root);
}

int main(int argc, char **argv)
{
    static const struct handover_way way = {
        .open = a_open, .build = a_build, .join = b_join, .ask = b_ask, .peek = b_peek, .walk = b_walk
    };
    if (argc != 5) {
        fputs("usage: handover_mmgc SOCKET HEAP HEAP_MIB NODES\n", stderr);
        return 2;
    }
    w.sock = argv[1];
    w.heap_name = argv[2];
    w.heap_bytes = (uint64_t)atoi(argv[3]) << 20;
    return handover_run(&way, (uint32_t)atoi(argv[4]));
}
