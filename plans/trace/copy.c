/* SPDX-License-Identifier: Apache-2.0 */
#include "plans/trace/copy.h"

#include "plans/space/line_blocks.h"

#define HOLES_WORTH_LINES 16u /* a block with fewer free lines is not worth a search through it */

/* Fresh blocks */

static uint32_t acquire(struct heap *h, enum block_kind kind)
{
    bool clean;

    pthread_mutex_lock(&h->block_lock);
    uint32_t block = blocks_acquire(&h->blocks, kind, &clean);
    if (block != BLOCK_NONE) {
        at_store_relaxed(&h->meta.flags[block], BLOCK_YOUNG | BLOCK_FRESH);
        at_store_relaxed(&h->meta.charged[block], 0);
        at_store_relaxed(&h->meta.free_lines[block], MM_BLOCK_LINES); /* as before the collection: the sweep counts anew */
    }
    pthread_mutex_unlock(&h->block_lock);
    return block;
}

/* Replaces the bump with less room left by a fresh block. Its index; -1: there is no block. */
static int refill(struct heap *h, struct copy_room *room, enum block_kind kind)
{
    int i = room->end[0] - room->cursor[0] <= room->end[1] - room->cursor[1] ? 0 : 1;
    uint32_t block = room->dry ? BLOCK_NONE : acquire(h, kind);

    room->dry = block == BLOCK_NONE;
    if (room->dry)
        return -1;
    room->cursor[i] = block * MM_BLOCK_GRANULES;
    room->end[i] = room->cursor[i] + MM_BLOCK_GRANULES;
    return i;
}

/* Holes: in a young collection the lines of what is old keep their marks, so that the gaps between them can be seen */

/* The next old block with holes, for this worker alone: no other has it, and nobody has spans in it. */
static uint32_t take_holed(struct heap *h, enum block_kind kind)
{
    uint32_t found = BLOCK_NONE;

    pthread_mutex_lock(&h->block_lock);
    for (; found == BLOCK_NONE && h->copy_cursor < blocks_high(&h->blocks); h->copy_cursor++)
        if (blocks_kind(&h->blocks, h->copy_cursor) == kind && !blocks_flag(&h->blocks, h->copy_cursor, BLOCK_YOUNG) &&
            at_load_relaxed(&h->meta.free_lines[h->copy_cursor]) >= HOLES_WORTH_LINES)
            found = h->copy_cursor;
    if (found != BLOCK_NONE)
        at_or_relaxed(&h->meta.flags[found], BLOCK_YOUNG);
    pthread_mutex_unlock(&h->block_lock);
    return found;
}

/* Moves the bump in holes to the next one; false: there are no more. */
static bool next_hole(struct heap *h, struct copy_room *room, enum block_kind kind)
{
    for (;;) {
        uint64_t first;
        uint32_t lines = room->holed == 0 ? 0 : line_blocks_next_hole(h, room->holed - 1, &room->line, &first);
        if (lines > 0) {
            room->hole = (uint32_t)(first * MM_LINE_GRANULES);
            room->hole_end = room->hole + lines * MM_LINE_GRANULES;
            return true;
        }
        uint32_t block = room->no_holes ? BLOCK_NONE : take_holed(h, kind);
        room->no_holes = block == BLOCK_NONE;
        room->holed = block + 1; /* BLOCK_NONE + 1 is 0 */
        if (room->no_holes)
            return false;
        room->line = (uint64_t)block * MM_BLOCK_LINES;
    }
}

/* Objects longer than a line would leave most holes unused behind them: they go to whole blocks, as in Immix. */
static bool take_from_hole(struct heap *h, struct copy_room *room, enum block_kind kind, uint32_t granules, uint32_t *ret_at)
{
    if (granules > MM_LINE_GRANULES)
        return false;
    while (room->hole_end - room->hole < granules)
        if (!next_hole(h, room, kind))
            return false;
    *ret_at = room->hole;
    room->hole += granules;
    return true;
}

uint32_t copy_take(struct heap *h, struct copy_room *room, enum block_kind kind, uint32_t granules)
{
    uint32_t at;
    int i = 0;

    room->no_holes = room->no_holes || !h->young || kind != BLOCK_IMMIX;
    if (take_from_hole(h, room, kind, granules, &at))
        return at;
    while (i < 2 && room->end[i] - room->cursor[i] < granules)
        i++;
    if (MM_UNLIKELY(i == 2))
        i = refill(h, room, kind);
    if (i < 0)
        return COPY_NONE;
    at = room->cursor[i];
    room->cursor[i] += granules;
    return at;
}
