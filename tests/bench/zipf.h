/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/* zipf.h: which item is asked for next where few are popular: rank r as often as 1 / (r + 1)^s. Drawn before the measurement,
 * so that no drawing is in it, and from one seed, so that all contenders ask for the same.
 *   Owner    who calls frees the draws      Threads  any, no state */
#include <math.h>
#include <stdint.h>
#include <stdlib.h>

/* A bijection that leaves no trace of its argument (splitmix64's last step): ranks become keys, counters random numbers. */
static inline uint64_t zipf_mix(uint64_t x)
{
    x += UINT64_C(0x9e3779b97f4a7c15);
    x = (x ^ (x >> 30)) * UINT64_C(0xbf58476d1ce4e5b9);
    x = (x ^ (x >> 27)) * UINT64_C(0x94d049bb133111eb);
    return x ^ (x >> 31);
}

/* up_to[r]: what the ranks 0 to r weigh together. */
static inline double *zipf_weights(uint32_t ranks, double s)
{
    double *up_to = (double *)malloc(ranks * sizeof *up_to), sum = 0;
    for (uint32_t r = 0; up_to && r < ranks; r++)
        up_to[r] = sum += pow(r + 1.0, -s);
    return up_to;
}

enum { ZIPF_GUIDES = 1 << 16 };              /* so many equal shares, of each the first rank in it: most draws are then found at once */

static inline uint32_t *zipf_guides(const double *up_to, uint32_t ranks)
{
    uint32_t *guides = (uint32_t *)malloc((ZIPF_GUIDES + 1) * sizeof *guides), rank = 0;
    for (uint32_t g = 0; guides && g <= ZIPF_GUIDES; g++) {
        while (rank < ranks - 1 && up_to[rank] <= up_to[ranks - 1] * g / ZIPF_GUIDES)
            rank++;
        guides[g] = rank;
    }
    return guides;
}

/* The first rank whose sum is above @share, 0 to 1 without 1, of all. */
static inline uint32_t zipf_rank(const double *up_to, const uint32_t *guides, uint32_t ranks, double share)
{
    uint32_t guide = (uint32_t)(share * ZIPF_GUIDES), low = guides[guide], high = guides[guide + 1];
    while (low < high) {
        uint32_t middle = low + (high - low) / 2;
        if (up_to[middle] > share * up_to[ranks - 1])
            high = middle;
        else
            low = middle + 1;
    }
    return low;
}

/* @count ranks below @ranks, another row for each @seed. NULL: no memory. */
static inline uint32_t *zipf_draws(uint32_t ranks, double s, uint32_t count, uint64_t seed)
{
    double *up_to = zipf_weights(ranks, s);
    uint32_t *guides = up_to ? zipf_guides(up_to, ranks) : NULL;
    uint32_t *draws = guides ? (uint32_t *)malloc(count * sizeof *draws) : NULL;
    for (uint32_t i = 0; draws && i < count; i++)
        draws[i] = zipf_rank(up_to, guides, ranks, (double)(zipf_mix(seed + i) >> 11) * 0x1p-53);
    free(guides);
    free(up_to);
    return draws;
}
