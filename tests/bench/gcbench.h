/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/* GCBench (Ellis, Kovac, Boehm): trees of many depths, most of them short-lived, some kept to the end.
 *   One text  every allocator runs these very lines; the includer only says how a node is had:
 *       struct gcb_node            two references, left and right, and int32_t i, j
 *       gcb_ctx                    what the allocator needs with each call; by value, may be empty
 *       gcb_new(c)                 a node of zeroes, or NULL
 *       gcb_get(c, n, left)        gcb_set(c, n, left, child)        macros: they take a field name
 *       gcb_init(c, n, left, child)    gcb_set(), of a node just made, as a constructor does
 *       gcb_array(c, count)        count doubles, zeroed, or NULL
 *       gcb_drop(c, tree)          nobody will look at this tree again
 *       gcb_poll(c)                between two trees
 *       gcb_begin(c), gcb_end(c)   around all work on nodes
 *   Roots     trees are held by C locals alone, as a program would hold them
 *   Units     gcb_run() counts nodes, so that ns per node is wall time over all nodes of the run */
#include "bench.h"

struct gcb_params {
    int stretch, long_lived, max_depth; /* classic: 18 16 16; ours: 20 20 18, which makes 71 M nodes */
};
enum { GCB_MIN_DEPTH = 4, GCB_ARRAY = 500000 };

static inline uint64_t gcb_tree_size(int depth)
{
    return (UINT64_C(1) << (depth + 1)) - 1;
}

static inline uint64_t gcb_iterations(const struct gcb_params *p, int depth)
{
    return 2 * gcb_tree_size(p->stretch) / gcb_tree_size(depth);
}

static _Noreturn void gcb_die(const char *why)
{
    fprintf(stderr, "gcbench: %s\n", why);
    exit(2);
}

static _Noreturn void gcb_no_room(void)
{
    fputs("gcbench: out of memory\n", stderr);
    exit(BENCH_NO_ROOM);
}

static struct gcb_node *gcb_node(gcb_ctx c)
{
    (void)c; /* an allocator without a context drops it in its macros */
    struct gcb_node *n = gcb_new(c);
    if (!n)
        gcb_no_room();
    return n;
}

/* Top down: a node is old by the time its children are stored into it. */
static void gcb_populate(gcb_ctx c, int depth, struct gcb_node *n)
{
    if (depth <= 0)
        return;
    gcb_set(c, n, left, gcb_node(c));
    gcb_set(c, n, right, gcb_node(c));
    gcb_populate(c, depth - 1, gcb_get(c, n, left));
    gcb_populate(c, depth - 1, gcb_get(c, n, right));
}

/* Bottom up: children wait in locals while their siblings are made. */
static struct gcb_node *gcb_make(gcb_ctx c, int depth)
{
    if (depth <= 0)
        return gcb_node(c);
    struct gcb_node *l = gcb_make(c, depth - 1);
    struct gcb_node *r = gcb_make(c, depth - 1);
    struct gcb_node *n = gcb_node(c);
    gcb_init(c, n, left, l);
    gcb_init(c, n, right, r);
    return n;
}

static uint64_t gcb_count(gcb_ctx c, struct gcb_node *n)
{
    return n ? 1 + gcb_count(c, gcb_get(c, n, left)) + gcb_count(c, gcb_get(c, n, right)) : 0;
}

static uint64_t gcb_build_depth(gcb_ctx c, const struct gcb_params *p, int depth)
{
    uint64_t n = gcb_iterations(p, depth);
    for (uint64_t k = 0; k < n; k++) {
        struct gcb_node *tree = gcb_node(c);
        gcb_populate(c, depth, tree);
        gcb_drop(c, tree);
        gcb_poll(c);
    }
    for (uint64_t k = 0; k < n; k++) {
        struct gcb_node *tree = gcb_make(c, depth);
        gcb_drop(c, tree);
        gcb_poll(c);
    }
    return 2 * n * gcb_tree_size(depth);
}

/* Runs once after the starting gun, checks that what was kept is whole, prints the figures. */
static void gcb_run(gcb_ctx c, const struct gcb_params *p)
{
    bench_ready();
    gcb_begin(c);
    uint64_t begin = bench_now_ns(), cpu_begin = bench_cpu_ns();
    uint64_t nodes = gcb_tree_size(p->stretch) + gcb_tree_size(p->long_lived);
    struct gcb_node *stretch = gcb_make(c, p->stretch);
    gcb_drop(c, stretch);
    stretch = NULL;
    struct gcb_node *kept = gcb_node(c);
    gcb_populate(c, p->long_lived, kept);
    double *array = gcb_array(c, GCB_ARRAY);
    if (!array)
        gcb_no_room();
    for (int i = 1; i < GCB_ARRAY / 2; i++)
        array[i] = 1.0 / i;
    for (int depth = GCB_MIN_DEPTH; depth <= p->max_depth; depth += 2)
        nodes += gcb_build_depth(c, p, depth);
    uint64_t end = bench_now_ns(), wall_ns = end - begin, cpu_ns = bench_cpu_ns() - cpu_begin;
    if (gcb_count(c, kept) != gcb_tree_size(p->long_lived) || array[1000] != 1.0 / 1000)
        gcb_die("a collection lost or damaged what the program still held");
    gcb_end(c);
    bench_ended(end);
    bench_result("wall_ns", (double)wall_ns);
    bench_result("nodes", (double)nodes);
    bench_result("ns_per_node", (double)wall_ns / (double)nodes);
    bench_result("cpu_ns_per_node", (double)cpu_ns / (double)nodes);
}

static struct gcb_params gcb_params(char **argv)
{
    struct gcb_params p = { atoi(argv[0]), atoi(argv[1]), atoi(argv[2]) };
    if (p.stretch < 1 || p.stretch > 26 || p.long_lived < 1 || p.long_lived > 26 ||
        p.max_depth > p.stretch)
        gcb_die("depths are STRETCH LONG_LIVED MAX, 1 to 26");
    return p;
}
