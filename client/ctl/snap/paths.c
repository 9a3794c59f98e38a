/* SPDX-License-Identifier: Apache-2.0 */
#include "client/ctl/snap/paths.h"

#include <stdlib.h>
#include <string.h>

void snap_paths_fini(struct snap_paths *p)
{
    free(p->next);
    free(p->steps);
    *p = (struct snap_paths){ 0 };
}

/* From what is in @queue, [0, @tail), back to all that leads there. */
static void walk_back(struct snap_paths *p, const struct snap_graph *g, uint32_t *queue, uint32_t tail)
{
    for (uint32_t head = 0; head < tail; head++) {
        uint32_t node = queue[head];
        for (uint32_t i = g->in.first[node]; i < g->in.first[node + 1]; i++) {
            uint32_t from = g->in.to[i];
            if (p->next[from] != SNAP_NONE)
                continue;
            p->next[from] = node;
            p->steps[from] = p->steps[node] + 1;
            queue[tail++] = from;
        }
    }
}

bool snap_paths_find(struct snap_paths *p, const struct snap_graph *g, const uint32_t *targets, size_t count)
{
    uint32_t *queue = malloc((size_t)g->nodes * sizeof(queue[0])), tail = 0;

    p->next = malloc((size_t)g->nodes * sizeof(p->next[0]));
    p->steps = calloc(g->nodes, sizeof(p->steps[0]));
    bool good = queue != NULL && p->next != NULL && p->steps != NULL;
    if (good) {
        memset(p->next, 0xff, (size_t)g->nodes * sizeof(p->next[0]));
        for (size_t i = 0; i < count; i++) {
            if (p->next[targets[i]] == SNAP_NONE)
                queue[tail++] = targets[i];
            p->next[targets[i]] = targets[i];
        }
        walk_back(p, g, queue, tail);
    } else {
        snap_paths_fini(p);
    }
    free(queue);
    return good;
}
