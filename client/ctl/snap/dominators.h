/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/* Dominators: of each node the nearest one that all ways from the root lead over; so what would go with it, if it went.
 *   Tree     the root of all is its root; an object under it directly is held in more than one way, by more than one owner
 *   Method   semidominators by path compression, then the nearest ancestor in the tree of the depth-first walk: SEMI-NCA (Georgiadis, Tarjan and
 *            Werneck, Finding Dominators in Practice, JGAA 2006); its semidominators are Lengauer and Tarjan's (TOPLAS 1979)  */
#include "client/ctl/snap/graph.h"

struct snap_dominators {
    uint32_t reached;                         /* nodes that the root reaches, itself included */
    uint32_t *order;                          /* [reached] them, each after its dominator; the root first */
    uint32_t *up;                             /* [nodes] its dominator; of the root itself; SNAP_NONE: not reached */
    uint64_t *bytes;                          /* [nodes] of all that it dominates and its own: what it retains */
    uint32_t *objects;                        /* [nodes] how many those are */
};
struct snap_dominators *snap_dominators_new(const struct snap_graph *g);     /* NULL: not enough memory */
struct snap_dominators *snap_dominators_free(struct snap_dominators *d);     /* NULL in, NULL out */
MM_DEFINE_AUTO(snap_dominators, snap_dominators_free)

struct snap_retained { uint64_t objects, bytes, own_bytes; };        /* objects and own_bytes: of the type's own; bytes: that they retain */
/* By type id, [snap_type_count() + 1], of objects that are reached; what lies under an object of the same type is not counted twice. calloc()ed.
 * NULL: not enough memory. */
struct snap_retained *snap_retained_by_type(const struct snap_graph *g, const struct snap_dominators *d);
