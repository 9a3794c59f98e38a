/* SPDX-License-Identifier: Apache-2.0 */
/* bucket.c - Bucket: time for tokens. At a time t it lacks (full_ns - t) / drip_ns tokens of its depth.
 *   The generic cell rate algorithm (ITU-T I.371), as a leaky bucket that is kept as one time stamp. */
#include "daemon/bucket.h"

#include "shm/base.h"

#define NS_PER_S UINT64_C(1000000000)

static uint64_t drip_ns(const struct bucket_rate *rate)
{
    return MM_MAX(NS_PER_S / rate->per_second, UINT64_C(1));
}

/* How long until it is full. */
static uint64_t lack_ns(const struct bucket *b, uint64_t now_ns)
{
    return b->full_ns > now_ns ? b->full_ns - now_ns : 0;
}

uint64_t bucket_tokens(const struct bucket *b, const struct bucket_rate *rate, uint64_t now_ns)
{
    if (rate->per_second == BUCKET_UNBOUNDED)
        return UINT64_MAX;
    uint64_t lack = lack_ns(b, now_ns), depth_ns = rate->depth * drip_ns(rate);
    return lack >= depth_ns ? 0 : (depth_ns - lack) / drip_ns(rate);
}

void bucket_take(struct bucket *b, const struct bucket_rate *rate, uint64_t tokens, uint64_t now_ns)
{
    if (rate->per_second == BUCKET_UNBOUNDED)
        return;
    uint64_t most_ns = rate->depth * drip_ns(rate) + NS_PER_S;
    uint64_t taken_ns = tokens >= most_ns / drip_ns(rate) ? most_ns : tokens * drip_ns(rate);
    b->full_ns = now_ns + MM_MIN(lack_ns(b, now_ns) + taken_ns, most_ns);
}

uint64_t bucket_ready_ns(const struct bucket *b, const struct bucket_rate *rate, uint64_t now_ns)
{
    if (bucket_tokens(b, rate, now_ns) > 0)
        return now_ns;
    return b->full_ns - (rate->depth - 1) * drip_ns(rate);
}

bool bucket_is_full(const struct bucket *b, uint64_t now_ns)
{
    return b->full_ns <= now_ns;
}
