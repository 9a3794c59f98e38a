/* SPDX-License-Identifier: Apache-2.0 */
#include "plans/heap/layout.h"

/* Hands out the next @bytes of the segment, on a cache line of their own. */
static void *place(char *base, size_t *at, uint64_t bytes)
{
    size_t start = *at;
    *at = mm_align_up(start + bytes, MM_CACHE_LINE);
    return base == NULL ? NULL : base + start;
}

size_t layout_place(struct metadata *ret, void *base, uint64_t max_bytes, bool slides, bool counts)
{
    uint64_t granules = max_bytes / MM_GRANULE_BYTES, lines = max_bytes / MM_LINE_BYTES;
    uint64_t pages = max_bytes / MM_PAGE_BYTES, blocks = max_bytes / MM_BLOCK_BYTES;
    size_t at = 0;

    ret->header = place(base, &at, sizeof(*ret->header));
    for (int i = 0; i < 2; i++)
        ret->objects[i] = place(base, &at, granules / 8);
    ret->lines = place(base, &at, lines);
    for (int i = 0; i < 2; i++) {
        ret->granted[i] = place(base, &at, lines / 8);
        ret->firsts[i] = place(base, &at, lines / 8);
    }
    ret->kinds = place(base, &at, blocks);
    ret->flags = place(base, &at, blocks);
    ret->free_lines = place(base, &at, blocks);
    ret->cell_class = place(base, &at, blocks);
    ret->free_pages = place(base, &at, blocks);
    ret->clean_pages = place(base, &at, blocks);
    ret->run_starts = place(base, &at, blocks);
    ret->weak = place(base, &at, blocks);
    ret->charged = place(base, &at, blocks * sizeof(uint16_t));
    ret->runs = place(base, &at, pages * sizeof(uint32_t));
    ret->live = slides ? place(base, &at, granules / 8) : NULL;
    ret->offsets = slides ? place(base, &at, granules / 64 * sizeof(uint32_t)) : NULL;
    ret->counts = counts ? place(base, &at, granules / 2) : NULL;
    ret->traced = counts ? place(base, &at, granules / 8) : NULL;
    ret->traced_charge = counts ? place(base, &at, blocks * sizeof(uint16_t)) : NULL;
    ret->bytes = mm_align_up(at, MM_PAGE_BYTES);
    return ret->bytes;
}
