/* SPDX-License-Identifier: Apache-2.0 */
#include "client/ctl/samples.h"

#include <stdlib.h>
#include <string.h>

#include "client/ctl/document.h"

static int compare(const void *a, const void *b)
{
    uint64_t x = *(const uint64_t *)a, y = *(const uint64_t *)b;

    return (x > y) - (x < y);
}

/* The least of @sorted that @percent of them do not exceed. */
static uint64_t nearest_rank(const uint64_t *sorted, size_t count, size_t percent)
{
    size_t rank = (count * percent + 99) / 100;

    return sorted[rank > 0 ? rank - 1 : 0];
}

struct samples samples_of(const uint64_t *values, size_t count)
{
    double sum = 0;

    if (count == 0)
        return (struct samples){ 0 };
    uint64_t *sorted = need(malloc(count * sizeof(*sorted)));
    memcpy(sorted, values, count * sizeof(*sorted));
    qsort(sorted, count, sizeof(*sorted), compare);
    for (size_t i = 0; i < count; i++)
        sum += (double)sorted[i];
    struct samples samples = {
        .mean = (uint64_t)(sum / (double)count + 0.5),
        .median = nearest_rank(sorted, count, 50),
        .p99 = nearest_rank(sorted, count, 99),
        .max = sorted[count - 1],
    };
    free(sorted);
    return samples;
}
