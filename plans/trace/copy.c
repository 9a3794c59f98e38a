/* SPDX-License-Identifier: Apache-2.0 */
#include "plans/trace/copy.h"

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

uint32_t copy_take(struct heap *h, struct copy_room *room, enum block_kind kind, uint32_t granules)
{
    int i = 0;

    while (i < 2 && room->end[i] - room->cursor[i] < granules)
        i++;
    if (MM_UNLIKELY(i == 2))
        i = refill(h, room, kind);
    if (i < 0)
        return COPY_NONE;
    uint32_t at = room->cursor[i];
    room->cursor[i] += granules;
    return at;
}
