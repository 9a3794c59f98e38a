/* SPDX-License-Identifier: Apache-2.0 */
/* GCBench on mmgcd: 24 bytes a node with its header, trees held by C locals, collections by the daemon.
 * Usage: gcbench_mmgc SOCKET HEAP HEAP_MIB STRETCH LONG_LIVED MAX_DEPTH
 * Several of these on one HEAP share its memory, as several programs of one machine would. */
#include <mmgc/mmgc.h>

#include "store.h"

struct gcb_node {
    mmgc_ref left, right;
    int32_t i, j;
};
typedef struct { /* two words: they travel in registers */
    struct mmgc_thread *t;
    mmgc_type node;
} gcb_ctx;
static mmgc_type doubles;

#define gcb_new(c) ((struct gcb_node *)mmgc_new((c).t, (c).node))
#define gcb_get(c, n, field) ((struct gcb_node *)mmgc_get((c).t, n, field))
#define gcb_set(c, n, field, child) bench_set((c).t, n, field, child)
#define gcb_init(c, n, field, child) mmgc_init((c).t, n, field, child)
#define gcb_array(c, count) ((double *)mmgc_new_array((c).t, doubles, (count)))
#define gcb_drop(c, tree) ((void)(tree))
#define gcb_poll(c) mmgc_poll((c).t)
#define gcb_begin(c) check("enter", mmgc_enter((c).t))
#define gcb_end(c) mmgc_leave((c).t)

static void check(const char *what, int code);
#include "gcbench.h"

static void check(const char *what, int code)
{
    if (code == MMGC_OK)
        return;
    fprintf(stderr, "%s: %s %s\n", what, mmgc_strerror(code), mmgc_error_detail());
    exit(2);
}

int main(int argc, char **argv)
{
    if (argc != 7)
        gcb_die("usage: gcbench_mmgc SOCKET HEAP HEAP_MIB STRETCH LONG_LIVED MAX_DEPTH");
    struct gcb_params p = gcb_params(argv + 4);
    struct mmgc_client *client;
    struct mmgc_heap *heap;
    gcb_ctx c;
    check("connect", mmgc_connect(argv[1], "gcbench", &client));
    struct mmgc_heap_options options = { .create = true, .max_bytes = (uint64_t)atoi(argv[3]) << 20 };
    check("open", mmgc_heap_open(client, argv[2], &options, &heap));
    check("attach", mmgc_attach(heap, NULL, &c.t));
    check("type", MMGC_DEFINE_TYPE(heap, gcb_node, &c.node, left, right));
    struct mmgc_type_layout layout = { .name = "double[]", .element_bytes = sizeof(double) };
    check("type", mmgc_type_define(heap, &layout, &doubles));

    gcb_run(c, &p);

    struct mmgc_heap_info info;
    check("info", mmgc_heap_info(heap, &info));
    bench_result("collections", (double)info.collections);
    bench_result("total_pause_ns", (double)info.total_pause_ns);
    bench_result("granted_mib", (double)(info.granted_bytes >> 20));
    mmgc_detach(c.t);
    mmgc_heap_close(heap);
    mmgc_disconnect(client);
    return 0;
}
