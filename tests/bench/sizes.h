/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/* sizes.h: mixed sizes of objects, 16 to 512 bytes, 80 in the mean, half up to 56.
 *   Table    drawn once before anything is timed, so that a size costs the same everywhere      Threads  one draws, any read */
#include <stdint.h>

enum { SIZES = 16384 };
static uint16_t sizes[SIZES]; /* bytes, multiples of 8 */

/* A granule of 8 bytes more eight times of nine; xorshift64. */
static void sizes_draw(void)
{
    uint64_t random = UINT64_C(88172645463325252);
    for (int i = 0; i < SIZES; i++) {
        int granules = 1;
        do {
            granules++;
            random ^= random << 13;
            random ^= random >> 7;
            random ^= random << 17;
        } while ((random >> 32) % 9 != 0 && granules < 64);
        sizes[i] = (uint16_t)(granules * 8);
    }
}
