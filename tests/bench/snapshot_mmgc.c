/* SPDX-License-Identifier: Apache-2.0 */
/* What can be known from a snapshot, and how fast: its graph, ways to an object, dominators. mmgcctl's own code, without its printing.
 * Usage: snapshot_mmgc FILE */
#include "client/ctl/snap/dominators.h"
#include "client/ctl/snap/paths.h"

#include "bench.h"

static uint64_t started_ns;

/* Objects a second since the last call. */
static void tell(const char *name, uint64_t objects)
{
    uint64_t now_ns = bench_now_ns();

    bench_result(name, (double)objects * 1000 / (double)(now_ns - started_ns)); /* M/s */
    started_ns = bench_now_ns();
}

int main(int argc, char **argv)
{
    struct snap *s;
    struct snap_graph *g;
    struct snap_paths ways;
    int error;
    uint32_t *targets, count = 0;

    if (argc != 2) {
        fputs("usage: snapshot_mmgc FILE\n", stderr);
        return 2;
    }
    bench_ready();
    const char *wrong = snap_open_file(&s, argv[1], &error);
    started_ns = bench_now_ns();
    if (wrong == NULL)
        wrong = snap_graph_new(&g, s);
    if (wrong != NULL) {
        fprintf(stderr, "%s: %s\n", argv[1], wrong);
        return 1;
    }
    tell("graph", g->objects);
    targets = bench_some(malloc((g->objects + 1) * sizeof(*targets)));
    for (uint32_t i = 0; i < g->objects; i++) /* from these the walk comes to all that there is */
        if (g->out.first[i] == g->out.first[i + 1])
            targets[count++] = i;
    started_ns = bench_now_ns();
    (void)bench_some(snap_paths_find(&ways, g, targets, count) ? g : NULL);
    tell("ways", g->objects);
    free(targets);
    snap_paths_fini(&ways);
    started_ns = bench_now_ns();
    struct snap_dominators *d = bench_some(snap_dominators_new(g));
    tell("dominators", g->objects);
    free(bench_some(snap_retained_by_type(g, d)));
    tell("by_type", g->objects);
    bench_result("objects", g->objects);
    snap_dominators_free(d);
    snap_graph_free(g);
    snap_free(s);
    return 0;
}
