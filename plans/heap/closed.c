/* SPDX-License-Identifier: Apache-2.0 */
#include "plans/heap/closed.h"

#include <string.h>

#include "plans/space/cell_space.h"
#include "plans/space/large_space.h"

static void open_block(struct heap *h, uint32_t block, uint8_t pages)
{
    switch (blocks_kind(&h->blocks, block)) {
    case BLOCK_CLOSED: blocks_release(&h->blocks, block); return;
    case BLOCK_CELLS: cell_space_opened(h, block, pages); return;
    case BLOCK_LARGE: large_space_opened(h, block); return;
    default: MM_ASSERT(!"only these close pages");
    }
}

void closed_open_stw(struct heap *h)
{
    for (uint32_t block = 0; block < blocks_high(&h->blocks); block++) {
        uint8_t pages = closed_pages(h, block);
        if (pages == 0)
            continue;
        at_store_relaxed(&h->closed[block], 0);
        open_block(h, block, pages);
    }
}
