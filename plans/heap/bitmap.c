/* SPDX-License-Identifier: Apache-2.0 */
#include "plans/heap/bitmap.h"

/* The bits of word @word that lie in [first, end). */
static uint64_t mask_of(uint64_t word, uint64_t first, uint64_t end)
{
    uint64_t mask = UINT64_MAX;
    if (word == first / 64)
        mask &= UINT64_MAX << (first % 64);
    if (word == end / 64)
        mask &= ~(UINT64_MAX << (end % 64));
    return mask;
}

void bitmap_set_range(_Atomic uint64_t *words, uint64_t first, uint64_t end)
{
    for (uint64_t i = first / 64; i * 64 < end; i++)
        at_store_relaxed(&words[i], at_load_relaxed(&words[i]) | mask_of(i, first, end));
}

void bitmap_clear_range(_Atomic uint64_t *words, uint64_t first, uint64_t end)
{
    for (uint64_t i = first / 64; i * 64 < end; i++)
        at_store_relaxed(&words[i], at_load_relaxed(&words[i]) & ~mask_of(i, first, end));
}

/* First bit that differs from the bits of @flip. */
static uint64_t find(const _Atomic uint64_t *words, uint64_t first, uint64_t end, uint64_t flip)
{
    for (uint64_t i = first / 64; i * 64 < end; i++) {
        uint64_t found = (at_load_relaxed(&words[i]) ^ flip) & mask_of(i, first, end);
        if (found != 0)
            return i * 64 + (uint64_t)__builtin_ctzll(found);
    }
    return end;
}

uint64_t bitmap_find_set(const _Atomic uint64_t *words, uint64_t first, uint64_t end)
{
    return find(words, first, end, 0);
}

uint64_t bitmap_find_clear(const _Atomic uint64_t *words, uint64_t first, uint64_t end)
{
    return find(words, first, end, UINT64_MAX);
}

uint64_t bitmap_find_below(const _Atomic uint64_t *words, uint64_t from, uint64_t floor)
{
    for (uint64_t i = from / 64 + 1; i-- > floor / 64;) {
        uint64_t found = at_load_relaxed(&words[i]) & mask_of(i, floor, from + 1);
        if (found != 0)
            return i * 64 + 63 - (uint64_t)__builtin_clzll(found);
    }
    return BITMAP_NONE;
}
