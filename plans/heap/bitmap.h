/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/* Bitmap: one bit a granule or a line, in 64-bit words of the private segment.
 *   Threads  _shared may race with itself on the same word; all others need the word for themselves
 *   Ranges   [first, end)                                                                         */
#include <stdbool.h>
#include <stdint.h>

#include "shm/base.h"

#define BITMAP_NONE UINT64_MAX

static inline bool bitmap_test(const _Atomic uint64_t *words, uint64_t bit)
{
    return at_load_relaxed(&words[bit / 64]) >> (bit % 64) & 1;
}
static inline void bitmap_set(_Atomic uint64_t *words, uint64_t bit)
{
    _Atomic uint64_t *word = &words[bit / 64];
    at_store_relaxed(word, at_load_relaxed(word) | UINT64_C(1) << (bit % 64));
}
static inline void bitmap_clear(_Atomic uint64_t *words, uint64_t bit)
{
    _Atomic uint64_t *word = &words[bit / 64];
    at_store_relaxed(word, at_load_relaxed(word) & ~(UINT64_C(1) << (bit % 64)));
}
/* True for the one caller that found it clear. */
static inline bool bitmap_set_shared(_Atomic uint64_t *words, uint64_t bit)
{
    uint64_t mask = UINT64_C(1) << (bit % 64);
    return (at_load_relaxed(&words[bit / 64]) & mask) == 0 && (at_or_relaxed(&words[bit / 64], mask) & mask) == 0;
}
void bitmap_set_range(_Atomic uint64_t *words, uint64_t first, uint64_t end);
void bitmap_clear_range(_Atomic uint64_t *words, uint64_t first, uint64_t end);

uint64_t bitmap_find_set(const _Atomic uint64_t *words, uint64_t first, uint64_t end);      /* @end: none */
uint64_t bitmap_find_clear(const _Atomic uint64_t *words, uint64_t first, uint64_t end);    /* @end: none */
/* The nearest set bit in [@floor, @from], or BITMAP_NONE. */
uint64_t bitmap_find_below(const _Atomic uint64_t *words, uint64_t from, uint64_t floor);
