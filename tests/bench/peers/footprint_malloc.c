/* SPDX-License-Identifier: Apache-2.0 */
/* A tree of LEVELS levels, as tests/bench/footprint_mmgc.c makes it, by the C library's malloc(); footprint_mimalloc.c includes it.
 * Usage: footprint_malloc LEVELS
 * References are pointers of 8 bytes, so a node has 24 bytes, not 16: that is what a C program has. */
#include <malloc.h>
#include <stdint.h>

#include "bench.h"

#ifndef FOOTPRINT_USED /* what @nodes nodes, of which @n is one, take by the allocator's own word */
#define FOOTPRINT_USED(n, nodes) ((double)mallinfo2().uordblks)
#endif

struct node {
    struct node *left, *right;
    int64_t number;
};

static struct node *make_tree(int levels)
{
    struct node *left = levels > 1 ? make_tree(levels - 1) : NULL;
    struct node *right = levels > 1 ? make_tree(levels - 1) : NULL;
    struct node *n = malloc(sizeof *n);
    if (!n)
        exit(BENCH_NO_ROOM);
    *n = (struct node){ left, right, levels };
    return n;
}

static int64_t count_tree(const struct node *n)
{
    return n ? 1 + count_tree(n->left) + count_tree(n->right) : 0;
}

int main(int argc, char **argv)
{
    int levels = argc == 2 ? atoi(argv[1]) : 0;
    int64_t nodes = (INT64_C(1) << levels) - 1;
    if (levels < 1)
        return 2;
    bench_ready();
    struct node *kept = make_tree(levels);
    double used = FOOTPRINT_USED(kept, nodes);
    bench_ready();
    if (count_tree(kept) != nodes)
        return 2;
    bench_result("objects", (double)nodes);
    bench_result("used_bytes", used);
    return 0;
}
