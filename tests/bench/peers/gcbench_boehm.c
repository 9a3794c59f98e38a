/* SPDX-License-Identifier: Apache-2.0 */
/* GCBench on the Boehm collector: GC_MALLOC, stop the world (incremental mode off), heap limited as ours is.
 * Usage: gcbench_boehm HEAP_MIB STRETCH LONG_LIVED MAX_DEPTH */
#include <gc.h>
#include <stdint.h>

struct gcb_node {
    struct gcb_node *left, *right;
    int32_t i, j;
};
typedef struct {
    char none;
} gcb_ctx;
#define gcb_new(c) ((struct gcb_node *)GC_MALLOC(sizeof(struct gcb_node)))
#define gcb_get(c, n, field) ((n)->field)
#define gcb_set(c, n, field, child) ((n)->field = (child))
#define gcb_init gcb_set
#define gcb_array(c, count) boehm_array(count)
#define gcb_drop(c, tree) ((void)(tree))
#define gcb_poll(c) ((void)(c))
#define gcb_begin(c) ((void)(c))
#define gcb_end(c) ((void)(c))

/* The classic takes the array from the kind of memory that is never scanned; that kind comes unzeroed. */
static double *boehm_array(size_t count)
{
    double *a = GC_MALLOC_ATOMIC(count * sizeof *a);
    for (size_t i = 0; a && i < count; i++)
        a[i] = 0;
    return a;
}
#include "gcbench.h"

int main(int argc, char **argv)
{
    if (argc != 5)
        gcb_die("usage: gcbench_boehm HEAP_MIB STRETCH LONG_LIVED MAX_DEPTH");
    GC_INIT();
    GC_set_max_heap_size((GC_word)atoi(argv[1]) << 20);
    struct gcb_params p = gcb_params(argv + 2);
    gcb_run((gcb_ctx){ 0 }, &p);
    bench_result("collections", (double)GC_get_gc_no());
    bench_result("heap_mib", (double)(GC_get_heap_size() >> 20));
    return 0;
}
