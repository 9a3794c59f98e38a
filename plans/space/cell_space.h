/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/* Cell space: mark-sweep: blocks cut into cells of one size (shm/cells.h), swept when cells are wanted.
 *   A cell's header is its first granule, its object's address the second; so the bit of the first granule in an object bitmap is
 *   no object's, and says that the cell is in G: in VO for the current G, in the mark bitmap for the next one.          */
#include "plans/heap/grants.h"
#include "plans/heap/state.h"
#include "shm/cells.h"

static inline uint32_t cell_granules(const struct heap *h, uint32_t block)
{
    return shm_cell_bytes(at_load_relaxed(&h->meta.cell_class[block])) / MM_GRANULE_BYTES;
}
/* Could @granule, in a CELLS block, be an object? */
static inline bool cell_is_object(const struct heap *h, uint32_t granule)
{
    uint32_t block = granule / MM_BLOCK_GRANULES, size = cell_granules(h, block);
    uint32_t header = granule % MM_BLOCK_GRANULES - 1;       /* of granule 0: wraps, and is out of bounds */

    return header < MM_BLOCK_GRANULES / size * size && header % size == 0;
}
size_t cell_space_grant(struct heap *h, struct heap_mutator *m, const struct grant_request *request, struct shm_grant *ret,
                        size_t capacity);
/* G opened: is @granule's cell one that its mutator has finished since the last collection, and does a header stand in it? */
bool cell_space_finished(const struct heap *h, uint32_t granule);
/* Sets or clears the bits of @span's cells in @objects. */
void cell_space_mark_granted(struct heap *h, _Atomic uint64_t *objects, struct span span, bool granted);
/* @granule, in @span or at its end, up to where a cell of it begins. */
uint32_t cell_space_round_up(const struct heap *h, struct span span, uint32_t granule);
void cell_space_return(struct heap *h, struct span span);    /* granted, never begun, and out of G again */
/* @pages of @block, all those that were closed, are not any more: their cells may be granted. Of plans whose cells are whole pages. */
void cell_space_opened(struct heap *h, uint32_t block, uint8_t pages);
