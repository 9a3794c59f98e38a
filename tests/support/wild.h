/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/* Wild: what a hostile client might store where a word of 8 bytes is read: references, headers, forwarding words, numbers at their
 * limits, anything.
 *   State    of a xorshift64*, never 0: so a seed replays */
#include <stdint.h>

#include "shm/object.h"

#define WILD_TYPES 8u                        /* ids of headers: some that are, some that are not */

static inline uint64_t wild_random(uint64_t *state)
{
    *state ^= *state << 13;
    *state ^= *state >> 7;
    *state ^= *state << 17;
    return *state * UINT64_C(0x2545f4914f6cdd1d);
}
static inline uint32_t wild_below(uint64_t *state, uint64_t n)
{
    return (uint32_t)((wild_random(state) >> 32) * n >> 32);
}
/* In an arena of @granules, a little beyond it, or anywhere. */
static inline uint32_t wild_granule(uint64_t *state, uint32_t granules)
{
    return wild_below(state, 8) == 0 ? (uint32_t)wild_random(state) : wild_below(state, granules + UINT64_C(10));
}
static inline uint64_t wild_edge(uint64_t *state)
{
    static const uint64_t edges[] = { 0, 1, 7, 0xff, 0x100, UINT32_MAX, UINT64_C(1) << 31, UINT64_C(1) << 32, UINT64_MAX };

    return edges[wild_below(state, sizeof(edges) / sizeof(edges[0]))];
}
static inline uint64_t wild_word(uint64_t *state, uint32_t granules)
{
    switch (wild_below(state, 8)) {
    case 0: return wild_random(state);
    case 1: return object_header(wild_below(state, WILD_TYPES), wild_below(state, 100));
    case 2: return object_header(wild_below(state, WILD_TYPES), (uint32_t)wild_random(state));
    case 3: return object_header_moved(wild_granule(state, granules));
    case 4: return wild_edge(state);
    case 5: return wild_below(state, 5000);
    default: return wild_granule(state, granules) | (uint64_t)wild_granule(state, granules) << 32;
    }
}
