/* SPDX-License-Identifier: Apache-2.0 */
/* bench_trace - a full collection of a random graph: nanoseconds a live object.
 *   usage  bench_trace [OBJECTS [WORKERS [small]]]      "small": 4 KiB pages
 *   Graph  nodes of 24 bytes, in random order of a tree of references plus one random edge each: every visit is a cache miss */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "shm/commit.h"
#include "tests/plans/objects.h"

static uint64_t state = 88172645463325252u;

static uint32_t below(uint32_t n)
{
    state ^= state << 13;
    state ^= state >> 7;
    state ^= state << 17;
    return (uint32_t)((state >> 32) * n >> 32);
}

static void commit_all(struct fake_world *w, bool small)
{
    enum shm_pages pages = SHM_PAGES_SMALL;
    size_t bytes = shm_segment_bytes(w->arena) & ~(size_t)(MM_COMMIT_BYTES - 1);
    uint64_t start = mm_now_ns();
    int r = shm_commit(w->base, bytes, small ? SHM_HUGE_NEVER : SHM_HUGE_AUTO, &pages);

    printf("commit: %d, %s, %.0f ms\n", r, shm_pages_name(pages), (double)(mm_now_ns() - start) / 1e6);
}

static void make_graph(struct fake_world *w, struct fake_mutator *m, const struct objects *types,
                       uint32_t count)
{
    uint32_t *nodes = malloc(count * sizeof(*nodes));

    for (uint32_t i = 0; i < count; i++)
        nodes[i] = fake_new(m, types->node, 0);
    for (uint32_t i = count; i-- > 1;) {
        uint32_t k = below(i + 1), swap = nodes[i];
        nodes[i] = nodes[k];
        nodes[k] = swap;
    }
    for (uint32_t i = 0; i < count; i++) { /* a binary tree over a random order; its leaves point anywhere */
        uint64_t left = 2 * (uint64_t)i + 1;
        node_set(w, nodes[i], nodes[left < count ? left : below(count)],
                 nodes[left + 1 < count ? left + 1 : below(count)], i);
    }
    fake_root(w, 0, nodes[0]);
    free(nodes);
}

int main(int argc, char **argv)
{
    uint32_t count = argc > 1 ? (uint32_t)atoi(argv[1]) : 4000000;
    unsigned workers = argc > 2 ? (unsigned)atoi(argv[2]) : 1;
    static struct fake_world w;
    struct objects types;

    setenv("MM_HEAP_CHECK", "0", 0);
    const char *plan = argc > 4 ? argv[4] : "immix";
    struct heap_config config = { .plan = plan, .max_bytes = (uint64_t)count * NODE_BYTES * 3 + (8 << 20) };
    config.options.immix_always_defrag = argc > 5; /* any fifth argument */
    fake_world_open_with(&w, &config, workers);
    commit_all(&w, argc > 3 && strcmp(argv[3], "small") == 0);
    objects_define(&types, &w);
    make_graph(&w, fake_mutator_new(&w), &types, count);
    for (int i = 0; i < 5; i++) {
        struct heap_collection c = fake_collect(&w);
        printf("%u workers: %" PRIu64 " objects, %.1f ms, %.1f ns an object\n", workers, c.live_objects,
               (double)c.duration_ns / 1e6, (double)c.duration_ns / (double)c.live_objects);
    }
    fake_world_close(&w);
    return 0;
}
