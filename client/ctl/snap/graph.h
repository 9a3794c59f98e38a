/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/* Graph: the objects of a snapshot and who holds them as nodes 0, 1, 2 ..., and what keeps what alive as edges between them.
 *   Nodes    objects by address; then snap_owner_count() owners; then the root of all. The root's edges are to owners, a session's to its threads
 *            and to what its rows hold, a thread's to what its words hold
 *   Edges    references that keep (struct snap_ref), null and broken ones left out; roots that hold. There may be several between the same two
 *   Hostile  an object that begins within another is none: so the edges are fewer than the words of the file
 *   Memory   about 20 bytes an object and 8 an edge
 *   Threads  any, at once                                                                                  */
#include "client/ctl/snap/snap.h"

#define SNAP_NONE UINT32_MAX                  /* no node */

struct snap_edges {                           /* of node i: to[first[i]] to to[first[i + 1] - 1] */
    uint32_t *first, *to;
};
struct snap_graph {
    const struct snap *snap;                  /* borrowed */
    uint32_t objects, nodes;                  /* nodes: those, the owners, the root */
    uint32_t *refs;                           /* [objects] ascending */
    uint32_t *granules;                       /* [objects] their size, header included */
    uint16_t *types;                          /* [objects] */
    struct snap_edges out, in;
    uint64_t broken;                          /* references and roots that lead to no object */
    struct snap_rank *ranks;                  /* inside: from places to nodes */
};

/* NULL and *ret_graph, or what is wrong: there is not enough memory, or there is too much of something. */
const char *snap_graph_new(struct snap_graph **ret_graph, const struct snap *s);
struct snap_graph *snap_graph_free(struct snap_graph *g);     /* NULL in, NULL out */
MM_DEFINE_AUTO(snap_graph, snap_graph_free)
uint32_t snap_graph_node(const struct snap_graph *g, uint32_t ref);  /* of the object at @ref; SNAP_NONE: there is none */
static inline uint32_t snap_graph_owner(const struct snap_graph *g, uint32_t owner)
{
    return g->objects + owner;
}
static inline uint32_t snap_graph_root(const struct snap_graph *g)
{
    return g->nodes - 1;
}
static inline uint64_t snap_graph_bytes(const struct snap_graph *g, uint32_t node)       /* 0 of owners */
{
    return node < g->objects ? (uint64_t)g->granules[node] * MM_GRANULE_BYTES : 0;
}
