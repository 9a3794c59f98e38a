/* SPDX-License-Identifier: Apache-2.0 */
/* slide_space.c - Slide space: live objects are pushed together, in the order of their addresses.
 *   D1  the trace sets in meta.live a bit for each granule of an object; outside a collection all live bits are
 *       clear
 *   D2  flagged BLOCK_STAYS is, from the layout stage to the sweep, each block with a pinned object or with
 *       lines that stay in G: what lives in it keeps its address, and its free lines are granted like any hole
 *   D3  any other block's VO bits and line marks are, after the slide stage, those of the objects that have
 *       come to lie in it. Since VO and mark bits swap roles at the end, the sweep copies them over
 *   D4  what line_blocks.c says of lines, holes and object bits, between collections
 *   Not crash-safe (soundness S19): objects are written over objects; a daemon that dies meanwhile loses the heap
 *   Checked by check_block_stw(): after each collection of a debug build and by verify.  docs/plans.md#markcompact */
#include "plans/space/slide/slide_space.h"

#include <string.h>

#include "plans/heap/state.h"
#include "plans/room.h"
#include "plans/space/line_blocks.h"
#include "plans/space/slide/pieces.h"

#define BLOCK_OBJECT_BYTES (MM_BLOCK_GRANULES / 8u) /* of an object bitmap */

size_t slide_space_grant(struct heap *h, struct heap_mutator *m, const struct grant_request *request,
                         struct shm_grant *ret, size_t capacity)
{
    size_t count = request->min_bytes > MM_LINE_BYTES
                       ? line_blocks_grant_one_hole(h, m, BLOCK_SLIDE, request->class, request->min_bytes, ret)
                       : line_blocks_grant_holes(h, m, BLOCK_SLIDE, request->class, request->bytes, ret, capacity);

    return count > 0 ? count
                     : line_blocks_grant_free(h, m, BLOCK_SLIDE, request->class,
                                              MM_MIN(request->bytes, room_above(h, ROOM_KEPT_FOR_LARGE)), ret,
                                              capacity);
}

static uint64_t *live_words(const struct heap *h, uint32_t block)
{
    return (uint64_t *)h->meta.live + (size_t)block * SLIDE_BLOCK_UNITS;
}

/* D2: a word of live bits is two lines. */
static void mark_lines(struct heap *h, uint32_t block)
{
    _Atomic uint8_t *lines = h->meta.lines + (size_t)block * MM_BLOCK_LINES;
    const uint64_t *live = live_words(h, block);

    for (uint32_t unit = 0; unit < SLIDE_BLOCK_UNITS; unit++) {
        at_store_relaxed(&lines[2 * unit], (uint32_t)live[unit] != 0);
        at_store_relaxed(&lines[2 * unit + 1], live[unit] >> 32 != 0);
    }
}

static void sweep_block(struct heap *h, uint32_t block, struct sweep_tally *tally)
{
    size_t first = (size_t)block * SLIDE_BLOCK_UNITS;

    if (blocks_flag(&h->blocks, block, BLOCK_STAYS))
        mark_lines(h, block);
    else
        memcpy((void *)(heap_marks(h) + first), (const void *)(heap_vo(h) + first), BLOCK_OBJECT_BYTES); /* D3 */
    memset(live_words(h, block), 0, BLOCK_OBJECT_BYTES);
    at_and_relaxed(&h->meta.flags[block], (uint8_t)~BLOCK_STAYS);
    line_blocks_sweep_block(h, block, tally);
}

static void after_sweep_stw(struct heap *h, const struct sweep_tally *total)
{
    line_blocks_after_sweep_stw(h, BLOCK_SLIDE, total);
}

static enum heap_fault check_block_stw(const struct heap *h, uint32_t block)
{
    const uint64_t *live = live_words(h, block);

    for (uint32_t unit = 0; unit < SLIDE_BLOCK_UNITS; unit++)
        if (live[unit] != 0)
            return HEAP_FAULT_BLOCK;
    if (blocks_flag(&h->blocks, block, BLOCK_STAYS))
        return HEAP_FAULT_BLOCK;
    return line_blocks_check_block_stw(h, block);
}

static uint64_t used_bytes(const struct heap *h)
{
    return line_blocks_used_bytes(h, BLOCK_SLIDE);
}

const struct space slide_space = {
    .name = "slide",
    .kind = BLOCK_SLIDE,
    .prepare_block = line_blocks_prepare_block,
    .sweep_block = sweep_block,
    .after_sweep_stw = after_sweep_stw,
    .check_block_stw = check_block_stw,
    .used_bytes = used_bytes,
};
