/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/* Forward: where an object is after this collection: a function of private bits, so objects carry no forwarding word.
 *   offsets[u], for the unit u of 64 granules (a word of `live`): an object whose header is granule h of it goes to
 *   offsets[u] + the live granules of u before h, in modular arithmetic. Objects that start in one unit stay together;
 *   live granules at its beginning that belong to an object of an earlier unit count, and offsets[u] is less by them.
 *   Once     the function is not idempotent: each place passes through it exactly once (move.c, update.c)
 *   Threads  any, in the slide stage: nothing that is read here changes then
 *   From     Kermany and Petrank, The Compressor, PLDI 2006                   docs/plans.md#compressor */
#include <stdint.h>

#include "plans/heap/state.h"
#include "plans/heap/walk.h"

#define SLIDE_UNIT_GRANULES 64u
#define SLIDE_BLOCK_UNITS (MM_BLOCK_GRANULES / SLIDE_UNIT_GRANULES)

/* Of one word. Spelt out: the instruction is not in every x86-64, and gcc's own substitute is a call. */
static inline uint32_t slide_count(uint64_t bits)
{
#ifdef __POPCNT__
    return (uint32_t)__builtin_popcountll(bits);
#else
    bits -= bits >> 1 & UINT64_C(0x5555555555555555);
    bits = (bits & UINT64_C(0x3333333333333333)) + (bits >> 2 & UINT64_C(0x3333333333333333));
    bits = (bits + (bits >> 4)) & UINT64_C(0x0f0f0f0f0f0f0f0f);
    return (uint32_t)(bits * UINT64_C(0x0101010101010101) >> 56);
#endif
}

/* The address, from now on, of the object at @granule, not 0. What is no live object of a block that slides keeps its
 * address: objects that stay, and what forged references lead to. */
static inline uint32_t slide_forward(const struct heap *h, uint32_t granule)
{
    uint32_t header = granule - 1, unit = header / SLIDE_UNIT_GRANULES;

    if (MM_UNLIKELY(granule >= h->granules))
        return granule;
    uint64_t live = at_load_relaxed(&h->meta.live[unit]), bit = UINT64_C(1) << header % SLIDE_UNIT_GRANULES;
    if ((live & bit) == 0 || blocks_flag(&h->blocks, header / MM_BLOCK_GRANULES, BLOCK_STAYS))
        return granule;
    return at_load_relaxed(&h->meta.offsets[unit]) + slide_count(live & (bit - 1)) + 1;
}

/* References of one object that stands where it is to stay; @context: the heap. */
static inline void slide_update(void *context, uint64_t place, uint32_t reference)
{
    const struct heap *h = context;

    if (reference == 0)
        return;
    uint32_t now = slide_forward(h, reference);
    if (now != reference)
        foreign_store32(h->arena, place * 4, now);
}
