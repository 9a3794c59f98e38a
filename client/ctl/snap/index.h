/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/* Index: the objects of a snapshot as numbers 0, 1, 2 ... by address, without their edges: for what writes them down one after the other.
 *   Hostile  an object that begins within another is none, as in the graph (graph.h): both give the same numbers
 *   Memory   12 bytes for 64 granules of each copied block: a fortieth of the copies
 *   Threads  any, at once                                                                                  */
#include "client/ctl/snap/snap.h"

#define SNAP_INDEX_NONE UINT32_MAX            /* no object */

struct snap_index;
struct snap_index *snap_index_new(const struct snap *s);       /* NULL: not enough memory. @s is borrowed */
struct snap_index *snap_index_free(struct snap_index *x);      /* NULL in, NULL out */
MM_DEFINE_AUTO(snap_index, snap_index_free)
uint32_t snap_index_count(const struct snap_index *x);
uint32_t snap_index_find(const struct snap_index *x, uint32_t ref);      /* the number of the object at @ref */
uint32_t snap_index_top(const struct snap_index *x);           /* the last object's place; 0: there are none */

/* The next object of a walk over all, each once, by number; *at begins with 0. False: no more. */
static inline bool snap_index_step(const struct snap *s, uint64_t *at, struct snap_object *ret)
{
    if (!snap_object_next(s, *at, ret))
        return false;
    *at = ret->ref + ret->bytes / MM_GRANULE_BYTES;            /* the next one's header is at its end at the earliest */
    return true;
}
