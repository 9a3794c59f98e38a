/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/* Copy room: where one worker puts copies during one collection: two blocks that it bumps in, so that an object that does not fit
 * the one need not end it.
 *   Holes    in a young collection what goes to immix fills the holes between old objects first: in blocks that the worker has for
 *            itself, in address order
 *   Owner    the worker's tally of one collection      Threads  that worker; blocks are taken under the heap's block lock
 *   Races    a copy's block is nobody else's; forged references may lead others to it, who then only mark                 */
#include <stdbool.h>
#include <stdint.h>

#include "plans/heap/state.h"

struct copy_room {
    uint32_t cursor[2], end[2];              /* granules */
    bool dry;                                /* no free block was left: do not ask again */
    bool no_holes;                           /* nor an old block with holes; or none is wanted */
    uint32_t hole, hole_end;                 /* granules: a third bump, in holes of old blocks (young collections into immix) */
    uint32_t holed;                          /* 1 + the block that it is in; 0: none */
    uint64_t line;                           /* where that block's next hole is looked for */
};

/* Where the header of a copy of @granules goes, in a block of @kind; COPY_NONE: there is no room, the object stays where it is. */
#define COPY_NONE UINT32_MAX
uint32_t copy_take(struct heap *h, struct copy_room *room, enum block_kind kind, uint32_t granules);

/* The same for an object no longer than a line, where that takes no look further than the bump: else COPY_NONE, and copy_take() is asked. */
static inline uint32_t copy_take_small(struct copy_room *room, uint32_t granules)
{
    uint32_t *at = &room->hole, end = room->hole_end;

    if (end - *at < granules) {
        if (!room->no_holes)
            return COPY_NONE;
        at = &room->cursor[0];
        end = room->end[0];
    }
    if (end - *at < granules)
        return COPY_NONE;
    uint32_t taken = *at;
    *at += granules;
    return taken;
}
