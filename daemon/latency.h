/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/* Latency: how long something took, over all the times it happened, in fixed memory: a log-linear histogram.
 *   Rows     64 of equal width to each power of two: below 128 ns a row is one nanosecond, from there on 1/64 to 1/128 of the
 *            least value in it
 *   Error    latency_at() is the largest value of a row, or the largest ever: for a true quantile v it says v <= said < v + v/64,
 *            never too little. A row [low, low + width) has width 1, then said = v; or low >= 64 * width, then
 *            said - v <= width - 1 < low / 64 <= v / 64
 *   Range    to 127 << 37 ns, nearly five hours; a quantile beyond that is said to be the largest ever. Count, total, least and
 *            largest are exact                                     Memory  20 KiB, no allocation; adding is a few instructions
 *   Threads  the owner's own; all zeroes is an empty one                                                    */
#include <stdint.h>

#define LATENCY_PRECISION 64u                 /* rows a power of two, and the error's denominator */
#define LATENCY_TOP_BIT 43u                   /* of the largest value that has a row of its own */
#define LATENCY_ROWS ((LATENCY_TOP_BIT - 4u) * LATENCY_PRECISION)

struct latency {
    uint64_t count, total_ns, min_ns, max_ns; /* min_ns: 0 while there are none */
    uint64_t rows[LATENCY_ROWS];
};

void latency_add(struct latency *latency, uint64_t ns);
void latency_merge(struct latency *latency, const struct latency *other);    /* as if all of @other had been added here, too */
/* The least value that @share of LATENCY_ALL of those added do not exceed, with the error above; 0: there are none. */
#define LATENCY_ALL 10000u                    /* 9999: p99.99 */
uint64_t latency_at(const struct latency *latency, unsigned share);
