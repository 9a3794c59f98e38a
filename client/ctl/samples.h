/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/* Samples: what a row of measurements says in a few numbers. All are 0 for none. */
#include <stddef.h>
#include <stdint.h>

struct samples {
    uint64_t mean, median, p99, max;          /* nearest rank: each is one of the measurements, but the mean */
};
struct samples samples_of(const uint64_t *values, size_t count);
