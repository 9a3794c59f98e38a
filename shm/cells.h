/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/* Cells: the sizes into which a mark-sweep block is cut; one block, one size. docs/heap-layout.md#grant-classes
 *   A block has MM_BLOCK_BYTES / size cells from its first byte on; what is left over at its end is nobody's.
 *   Up to 64 bytes each granule has a size of its own; above, four sizes a doubling (mimalloc's and jemalloc's spacing: at most
 *   a quarter of a cell is lost), and from 2 KiB on the sizes that fill a block best.               */
#include <stdint.h>

#include "shm/base.h"
#include "shm/units.h"

#define SHM_CELL_CLASSES 33u

/* Bytes of a cell of class 0 .. SHM_CELL_CLASSES - 1, ascending, multiples of a granule. */
static inline uint32_t shm_cell_bytes(uint32_t cell_class)
{
    static const uint16_t bytes[SHM_CELL_CLASSES] = {
        16,  24,  32,  40,   48,   56,   64,   80,   96,   112,  128,  160,  192,  224,  256,   320,  384,
        448, 512, 640, 768,  1024, 1280, 1536, 2048, 2728, 3272, 4096, 5456, 6552, 8192, 10920, 16384,
    };
    return bytes[cell_class < SHM_CELL_CLASSES ? cell_class : SHM_CELL_CLASSES - 1];
}

/* The smallest class whose cells hold @bytes, at most MM_SMALL_MAX_BYTES. */
static inline uint32_t shm_cell_class(uint32_t bytes)
{
    uint32_t low = 0, high = SHM_CELL_CLASSES - 1;

    while (low < high) {
        uint32_t middle = low + (high - low) / 2;
        if (shm_cell_bytes(middle) < bytes)
            low = middle + 1;
        else
            high = middle;
    }
    return low;
}

/* The same for cells that are whole pages: 4, 8 or 16 KiB. */
static inline uint32_t shm_page_cell_class(uint32_t bytes)
{
    uint32_t pages = MM_PAGE_BYTES;

    while (pages < bytes && pages < MM_SMALL_MAX_BYTES)
        pages *= 2;
    return shm_cell_class(pages);
}
