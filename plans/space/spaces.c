/* SPDX-License-Identifier: Apache-2.0 */
#include "plans/space/spaces.h"

#include "plans/heap/state.h"
#include "plans/space/immix_space.h"
#include "plans/space/large_space.h"

enum heap_fault spaces_check_block_stw(const struct heap *h, uint32_t block)
{
    enum heap_fault fault = immix_space_check_block_stw(h, block);
    return fault != HEAP_FAULT_NONE ? fault : large_space_check_block_stw(h, block);
}

size_t spaces_describe(const struct heap *h, struct heap_space_info *ret, size_t capacity)
{
    uint64_t immix = h->blocks.counts[BLOCK_IMMIX], large = h->blocks.counts[BLOCK_LARGE];
    const struct heap_space_info all[] = {
        { "immix", immix * MM_BLOCK_BYTES, immix },
        { "large", large * MM_BLOCK_BYTES - h->large_free_pages * MM_PAGE_BYTES, large },
    };
    size_t count = MM_MIN(capacity, MM_ARRAY_LEN(all));

    for (size_t i = 0; i < count; i++)
        ret[i] = all[i];
    return count;
}
