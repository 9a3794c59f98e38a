/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/* Census: looks at every block, and at every object that stands in it, without changing what a collection goes by.
 *   Scratch  the mark bitmap, which nobody reads between collections, becomes the set of all objects
 *   Threads  visits run on all workers at once, a block on one                                    */
#include <stddef.h>
#include <stdint.h>

#include "plans/heap/state.h"
#include "plans/heap/walk.h"

struct census {
    struct heap *heap;
    void *context;
    size_t local_bytes;                      /* of a worker's own zeroed memory */
    /* Stage by stage, for each block below the highest; the last one may be NULL. */
    void (*visits[2])(struct census *c, void *local, uint32_t block);
    void (*fold)(struct census *c, const void *local);       /* once a worker, at the end */
};
int census_run_stw(struct census *c, struct engine *engine);          /* 0, or -ENOMEM: nothing was visited */

/* Makes the mark bitmap of @block the set of its objects: VO, and what stands in G, which must be opened. */
void census_find_objects(struct heap *h, uint32_t block, struct parse_faults *faults);
/* The first object of @block at or after *granule; false: no more. Moves *granule behind it. */
bool census_next(const struct heap *h, uint32_t block, uint64_t *granule, uint32_t *ret_object);
