/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/* Pieces: the objects of one block that slides, as its mark and live bits tell: no header tells a size (soundness S13).
 *   P1  each live granule is of the object whose header is the nearest at or below it: pieces never overlap,
 *       even where forged references marked one object within another
 *   P2  no piece crosses a block: an object that would was marked as one of least size */
#include <stdint.h>

#include "plans/space/slide/forward.h"

struct pieces {                              /* copies, a word for 64 granules */
    uint64_t live[SLIDE_BLOCK_UNITS];
    uint64_t starts[SLIDE_BLOCK_UNITS];      /* headers */
};

/* After the closure. @block is a SLIDE block. */
void pieces_load(const struct heap *h, uint32_t block, struct pieces *ret);

/* Live granules of @unit before its first header: the end of an object of an earlier unit. */
static inline uint32_t pieces_lead(const struct pieces *p, uint32_t unit)
{
    uint64_t starts = p->starts[unit];

    return slide_count(starts == 0 ? p->live[unit] : p->live[unit] & ((starts & -starts) - 1));
}
/* Granules of all objects that start in @unit. */
uint32_t pieces_unit_granules(const struct pieces *p, uint32_t unit);
/* Granules of the object whose header is @at, a granule of the block. At least 1. */
uint32_t pieces_granules(const struct pieces *p, uint32_t at);
