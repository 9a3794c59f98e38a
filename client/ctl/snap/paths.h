/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/* Paths: the shortest ways from who holds something to an object, or to the nearest of several.
 *   Time     one walk back over the edges, breadth first, whatever the number of ways    */
#include "client/ctl/snap/graph.h"

struct snap_paths {
    uint32_t *next;                           /* [nodes] the next node on a shortest way to a target; of a target itself; SNAP_NONE: there is no way */
    uint32_t *steps;                          /* [nodes] how many that are; 0 of a target, and where there is no way */
};
/* False: not enough memory. Ends with snap_paths_fini(). */
bool snap_paths_find(struct snap_paths *p, const struct snap_graph *g, const uint32_t *targets, size_t count);
void snap_paths_fini(struct snap_paths *p);   /* zeroes are legal */
