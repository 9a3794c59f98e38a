/* SPDX-License-Identifier: Apache-2.0 */
/* GCBench on mimalloc: no collector, every tree is freed by hand as soon as the program is done with it.
 * Usage: gcbench_mimalloc HEAP_MIB STRETCH LONG_LIVED MAX_DEPTH      (HEAP_MIB is ignored: malloc takes what it needs) */
#include <mimalloc.h>
#include <stdint.h>

struct gcb_node {
    struct gcb_node *left, *right;
    int32_t i, j;
};
typedef struct {
    char none;
} gcb_ctx;

/* Four stores after a plain malloc are cheaper than asking for zeroed memory of this size. */
static inline struct gcb_node *mi_node(void)
{
    struct gcb_node *n = mi_malloc(sizeof *n);
    if (n)
        *n = (struct gcb_node){ 0 };
    return n;
}

static void mi_tree_free(struct gcb_node *n)
{
    if (n->left)
        mi_tree_free(n->left);
    if (n->right)
        mi_tree_free(n->right);
    mi_free(n);
}
#define gcb_new(c) mi_node()
#define gcb_get(c, n, field) ((n)->field)
#define gcb_set(c, n, field, child) ((n)->field = (child))
#define gcb_init gcb_set
#define gcb_array(c, count) ((double *)mi_calloc((count), sizeof(double)))
#define gcb_drop(c, tree) mi_tree_free(tree)
#define gcb_poll(c) ((void)(c))
#define gcb_begin(c) ((void)(c))
#define gcb_end(c) ((void)(c))
#include "gcbench.h"

int main(int argc, char **argv)
{
    if (argc != 5)
        gcb_die("usage: gcbench_mimalloc HEAP_MIB STRETCH LONG_LIVED MAX_DEPTH");
    struct gcb_params p = gcb_params(argv + 2);
    gcb_run((gcb_ctx){ 0 }, &p);
    return 0;
}
