/* SPDX-License-Identifier: Apache-2.0 */
#include "client/profile_draw.h"

uint64_t profile_random(uint64_t *state)
{
    uint64_t z = (*state += UINT64_C(0x9e3779b97f4a7c15));

    z = (z ^ z >> 30) * UINT64_C(0xbf58476d1ce4e5b9);
    z = (z ^ z >> 27) * UINT64_C(0x94d049bb133111eb);
    return z ^ z >> 31;
}

/* Von Neumann's way to an exponential variate by comparing alone (1951): of a row of uniform ones the first run that falls is looked at; it
 * has an odd length with probability e^-x if its first is x, and each that has not adds one. */
uint64_t profile_draw(uint64_t *state, uint64_t interval)
{
    if (interval <= 1)
        return 0;
    for (uint64_t whole = 0;; whole++) {
        uint64_t first = profile_random(state), last = first, next;
        unsigned length = 1;
        for (; (next = profile_random(state)) < last; last = next)
            length++;
        if (length % 2 == 1) /* in parts of 2^64 */
            return whole * interval + (uint64_t)((unsigned __int128)first * interval >> 64);
    }
}

/* Terms of 1 - e^-x = x - x^2/2! + x^3/3! - ... where x is small; 1 - e^-2x = s(2 - s) leads there and back. */
double profile_weight(uint64_t bytes, uint64_t interval)
{
    double x = (double)bytes / (double)interval;
    unsigned halved = 0;

    if (interval <= 1 || x > 40)
        return 1;
    for (; x > 0.0625; x /= 2)
        halved++;
    double chance = x * (1 - x / 2 * (1 - x / 3 * (1 - x / 4 * (1 - x / 5 * (1 - x / 6 * (1 - x / 7))))));
    for (; halved > 0; halved--)
        chance *= 2 - chance;
    return 1 / chance;
}
