/* SPDX-License-Identifier: Apache-2.0 */
#include "plans/heap/moves.h"

#include <string.h>

#include "plans/heap/bitmap.h"
#include "plans/heap/walk.h"

#define ROWS 256u /* written at once */

void moves_begin(struct heap_moves *moves, uint64_t most)
{
    if (most == 0)
        return;
    moves->rows = moves->room(moves->context, most);
    moves->capacity = moves->rows == NULL ? 0 : most;
}

void moves_add(struct heap_moves *moves, const struct shm_move *rows, uint32_t count)
{
    if (count == 0)
        return;
    uint64_t at = at_add_relaxed(&moves->count, count); /* the end of the stage orders the rows for who reads them */
    if (at < moves->capacity)
        memcpy(moves->rows + at, rows, MM_MIN((uint64_t)count, moves->capacity - at) * sizeof(*rows));
}

uint32_t heap_object_granules(const struct heap *h, uint32_t granule)
{
    enum block_kind kind = object_place(h, granule);
    struct object o;

    return kind == BLOCK_UNCOMMITTED || !object_load(h, granule, kind, &o) ? 0 : o.granules;
}

/* What has left @from, now at @to: the copy's header says how long it is. False: nothing could be there. */
static bool read_copy(const struct heap *h, uint32_t from, uint32_t to, struct shm_move *ret)
{
    *ret = (struct shm_move){ from, to, heap_object_granules(h, to) };
    return ret->granules != 0;
}

void moves_note_evacuated(struct heap_moves *moves, const struct heap *h, uint32_t block)
{
    uint64_t at = (uint64_t)block * MM_BLOCK_GRANULES, end = at + MM_BLOCK_GRANULES;
    const _Atomic uint64_t *settled = heap_scratch_bits(h);
    struct shm_move rows[ROWS];
    uint32_t count = 0;

    for (at = bitmap_find_set(settled, at + 1, end); at < end; at = bitmap_find_set(settled, at + 1, end)) {
        uint64_t header = foreign_load64(h->arena, (at - 1) * MM_GRANULE_BYTES);
        if (!object_header_is_moved(header) || !read_copy(h, (uint32_t)at, object_header_length(header), &rows[count]))
            continue;
        if (++count == ROWS) {
            moves_add(moves, rows, count);
            count = 0;
        }
    }
    moves_add(moves, rows, count);
}
