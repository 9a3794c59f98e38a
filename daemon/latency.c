/* SPDX-License-Identifier: Apache-2.0 */
#include "daemon/latency.h"

#include <assert.h>

#include "shm/base.h"

#define PRECISION_BITS 6u
static_assert(LATENCY_PRECISION == 1u << PRECISION_BITS, "a row's index is taken from a value's top bits");
static_assert(LATENCY_ROWS == (LATENCY_TOP_BIT - PRECISION_BITS) * LATENCY_PRECISION + 2 * LATENCY_PRECISION,
              "the last row ends with the values whose top bit is LATENCY_TOP_BIT");

/* A value's seven top bits, of which the first is always set, say where in its power of two it is; the bits after them, by their
 * number, in which. */
static unsigned row_of(uint64_t ns)
{
    unsigned top_bit = 63 - (unsigned)__builtin_clzll(ns | LATENCY_PRECISION);
    unsigned shift = top_bit - PRECISION_BITS;

    return MM_MIN(shift * LATENCY_PRECISION + (unsigned)(ns >> shift), LATENCY_ROWS - 1);
}

/* The largest value that row_of() puts there. */
static uint64_t row_last(unsigned row)
{
    unsigned shift = row < 2 * LATENCY_PRECISION ? 0 : row / LATENCY_PRECISION - 1;
    uint64_t top_bits = row - shift * LATENCY_PRECISION;

    return ((top_bits + 1) << shift) - 1;
}

static void note(struct latency *l, uint64_t count, uint64_t total_ns, uint64_t min_ns, uint64_t max_ns)
{
    l->min_ns = l->count == 0 ? min_ns : MM_MIN(l->min_ns, min_ns);
    l->max_ns = MM_MAX(l->max_ns, max_ns);
    l->total_ns += total_ns;
    l->count += count;
}

void latency_add(struct latency *l, uint64_t ns)
{
    note(l, 1, ns, ns, ns);
    l->rows[row_of(ns)]++;
}

void latency_merge(struct latency *l, const struct latency *other)
{
    if (other->count == 0)
        return;
    note(l, other->count, other->total_ns, other->min_ns, other->max_ns);
    for (size_t i = 0; i < LATENCY_ROWS; i++)
        l->rows[i] += other->rows[i];
}

/* Which of them, from 1, in order: the nearest rank. */
static uint64_t rank_of(uint64_t count, unsigned share)
{
    uint64_t whole = count / LATENCY_ALL * share, part = count % LATENCY_ALL * share;

    return MM_MAX(whole + (part + LATENCY_ALL - 1) / LATENCY_ALL, 1u);
}

uint64_t latency_at(const struct latency *l, unsigned share)
{
    uint64_t rank = rank_of(l->count, share), seen = 0;

    for (unsigned row = 0; row + 1 < LATENCY_ROWS; row++) {
        seen += l->rows[row];
        if (seen >= rank)
            return MM_MIN(row_last(row), l->max_ns);
    }
    return l->max_ns;
}
