/* SPDX-License-Identifier: Apache-2.0 */
#include "plans/space/slide/pieces.h"

/* A mark is at the payload, a granule above the header, which is in the same block. */
void pieces_load(const struct heap *h, uint32_t block, struct pieces *ret)
{
    const _Atomic uint64_t *marks = heap_marks(h) + (size_t)block * SLIDE_BLOCK_UNITS;
    const _Atomic uint64_t *live = h->meta.live + (size_t)block * SLIDE_BLOCK_UNITS;
    uint64_t above = 0;

    for (uint32_t unit = SLIDE_BLOCK_UNITS; unit-- > 0;) {
        uint64_t word = at_load_relaxed(&marks[unit]);
        ret->live[unit] = at_load_relaxed(&live[unit]);
        ret->starts[unit] = (word >> 1 | above << 63) & ret->live[unit];
        above = word;
    }
}

/* Live granules from the beginning of @unit that belong to what reaches into it. */
static uint32_t overhang(const struct pieces *p, uint32_t unit)
{
    uint32_t granules = 0;

    for (; unit < SLIDE_BLOCK_UNITS; unit++) {
        granules += pieces_lead(p, unit);
        if (p->starts[unit] != 0 || p->live[unit] != UINT64_MAX)
            break;
    }
    return granules;
}

uint32_t pieces_unit_granules(const struct pieces *p, uint32_t unit)
{
    uint32_t granules = slide_count(p->live[unit]) - pieces_lead(p, unit);

    return p->live[unit] >> 63 ? granules + overhang(p, unit + 1) : granules;
}

uint32_t pieces_granules(const struct pieces *p, uint32_t at)
{
    uint32_t unit = at / SLIDE_UNIT_GRANULES, bit = at % SLIDE_UNIT_GRANULES;
    uint64_t above = bit == 63 ? 0 : UINT64_MAX << (bit + 1);
    uint64_t ends = (~p->live[unit] | p->starts[unit]) & above;

    if (ends != 0)
        return (uint32_t)__builtin_ctzll(ends) - bit;
    return SLIDE_UNIT_GRANULES - bit + overhang(p, unit + 1);
}
