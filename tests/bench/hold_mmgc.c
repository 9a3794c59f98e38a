/* SPDX-License-Identifier: Apache-2.0 */
/* Hold on mmgcd: the requests of hold.h, each in a hold, or without; what an end costs; and how fast a graph is stowed.
 * Usage: hold_mmgc MODE SOCKET HEAP HEAP_MIB COUNT
 *
 *   hold      each request in a hold, that keeps the first survivor        plain    without holds: collections find what is gone
 *   empty     COUNT holds, without an object, and with one of 24 bytes, of which nothing is kept
 *   stow      COUNT times a tree of 32-byte nodes, 2 MiB, is stowed into the heap, and as many bytes are copied by memcpy() into
 *             memory that was used before, of the program's own */
#include <mmgc/hold.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

struct hold_node {
    mmgc_ref next;
    uint32_t unused;
    int64_t number;
};
typedef struct {
    struct mmgc_thread *t;
    mmgc_type node, bytes;
    mmgc_handle slots; /* a row of references, to survivors */
    mmgc_hold *hold;   /* NULL: none */
} hold_ctx;

static void check(const char *what, int code)
{
    if (code == MMGC_OK)
        return;
    fprintf(stderr, "%s: %s %s\n", what, mmgc_strerror(code), mmgc_error_detail());
    exit(code == MMGC_E_NOMEM ? 4 : 2);
}

static void begin(hold_ctx c)
{
    if (c.hold != NULL)
        check("begin", mmgc_hold_begin(c.t, NULL, c.hold));
}

static void end(hold_ctx c, uint64_t slot, void *first)
{
    void *kept[1] = { first };
    if (c.hold != NULL)
        check("end", mmgc_hold_end(c.t, *c.hold, kept, 1));
    mmgc_ref *slots = mmgc_handle_get(c.t, c.slots);
    mmgc_store(c.t, slots, &slots[slot], kept[0]);
}

static void *first_of(hold_ctx c, uint64_t slot)
{
    mmgc_ref *slots = mmgc_handle_get(c.t, c.slots);
    return mmgc_load(c.t, &slots[slot]);
}

#define hold_begin(c) begin(c)
#define hold_end(c, slot, first) end(c, slot, first)
#define hold_new(c, bytes_in_all) mmgc_new_array((c).t, (c).bytes, (bytes_in_all)-8)
#define hold_new_node(c) mmgc_new((c).t, (c).node)
#define hold_link(c, node, to) mmgc_init((c).t, node, next, to)
#define hold_first(c, slot) first_of(c, slot)
#define hold_next(c, node) mmgc_get((c).t, node, next)
#include "hold.h"

/* ---- ends ---- */

static double empty_ns(hold_ctx c, uint64_t count, int objects)
{
    mmgc_hold hold;
    uint64_t start = bench_now_ns();
    for (uint64_t i = 0; i < count; i++) {
        check("begin", mmgc_hold_begin(c.t, NULL, &hold));
        for (int k = 0; k < objects; k++)
            mmgc_keep(mmgc_new(c.t, c.node));
        check("end", mmgc_hold_end(c.t, hold, NULL, 0));
    }
    return (double)(bench_now_ns() - start) / (double)count;
}

static void measure_empty(hold_ctx c, uint64_t count)
{
    (void)empty_ns(c, count / 10, 1);
    bench_ready();
    bench_result("empty", empty_ns(c, count, 0));
    bench_result("of_one", empty_ns(c, count, 1));
}

/* ---- stowing ---- */

enum { TREE_NODES = 65536 };

struct tree {
    mmgc_ref left, right;
    int64_t number, more;
};

static struct tree *tree_new(struct mmgc_thread *t, mmgc_type type, uint32_t nodes)
{
    if (nodes == 0)
        return NULL;
    struct tree *tree = bench_some(mmgc_new(t, type));
    tree->number = nodes;
    struct tree *left = tree_new(t, type, (nodes - 1) / 2), *right = tree_new(t, type, nodes - 1 - (nodes - 1) / 2);
    mmgc_init(t, tree, left, left);
    mmgc_init(t, tree, right, right);
    return tree;
}

static double copied_mb_s(uint64_t count)
{
    size_t bytes = TREE_NODES * 32;
    char *from = malloc(bytes), *to = malloc(8 * bytes);
    if (from == NULL || to == NULL)
        hold_die("no memory");
    memset(from, 1, bytes);
    memset(to, 2, 8 * bytes);
    uint64_t start = bench_now_ns();
    for (uint64_t i = 0; i < count; i++) { /* each time elsewhere, as a heap's memory is */
        memcpy(to + i % 8 * bytes, from, bytes);
        __asm__ volatile("" : : "r"(to) : "memory");
    }
    double mb_s = (double)count * (double)bytes * 1e3 / (double)(bench_now_ns() - start);
    free(from);
    free(to);
    return mb_s;
}

static void measure_stow(hold_ctx c, struct mmgc_heap *heap, uint64_t count)
{
    mmgc_type type;
    mmgc_hold hold;
    uint64_t ns = 0;
    check("type", MMGC_DEFINE_TYPE(heap, tree, &type, left, right));
    bench_ready();
    for (uint64_t i = 0; i < count + 3; i++) {
        check("begin", mmgc_hold_begin(c.t, NULL, &hold));
        void *kept[1] = { tree_new(c.t, type, TREE_NODES) };
        uint64_t start = bench_now_ns();
        check("end", mmgc_hold_end(c.t, hold, kept, 1));
        ns += i < 3 ? 0 : bench_now_ns() - start;
    }
    double stowed = (double)count * TREE_NODES * 32 * 1e3 / (double)ns, copied = copied_mb_s(10 * count);
    bench_result("stow_mb_s", stowed);
    bench_result("memcpy_mb_s", copied);
    bench_result("share", 100 * stowed / copied);
}

int main(int argc, char **argv)
{
    if (argc != 6)
        hold_die("usage: hold_mmgc MODE SOCKET HEAP HEAP_MIB COUNT");
    struct mmgc_client *client;
    struct mmgc_heap *heap;
    struct mmgc_heap_info before, after;
    mmgc_type refs;
    mmgc_hold hold;
    hold_ctx c = { .hold = strcmp(argv[1], "hold") == 0 ? &hold : NULL };
    uint64_t count = strtoull(argv[5], NULL, 10);
    sizes_draw();
    check("connect", mmgc_connect(argv[2], "hold", &client));
    struct mmgc_heap_options options = { .create = true, .max_bytes = (uint64_t)atoi(argv[4]) << 20 };
    check("open", mmgc_heap_open(client, argv[3], &options, &heap));
    check("attach", mmgc_attach(heap, NULL, &c.t));
    check("type", mmgc_type_bytes(heap, &c.bytes));
    check("type", mmgc_type_refs(heap, &refs));
    check("type", MMGC_DEFINE_TYPE(heap, hold_node, &c.node, next));
    check("enter", mmgc_enter(c.t));
    check("handle", mmgc_handle_new(c.t, bench_some(mmgc_new_array(c.t, refs, HOLD_SLOTS)), &c.slots));
    check("info", mmgc_heap_info(heap, &before));
    if (strcmp(argv[1], "empty") == 0)
        measure_empty(c, count);
    else if (strcmp(argv[1], "stow") == 0)
        measure_stow(c, heap, count);
    else
        hold_measure(c, count);
    check("info", mmgc_heap_info(heap, &after));
    bench_result("collections", (double)(after.collections - before.collections));
    mmgc_detach(c.t);
    mmgc_heap_close(heap);
    mmgc_disconnect(client);
    return 0;
}
