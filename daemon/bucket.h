/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/* Bucket: how much of something comes in a second. So many tokens drip into it, as long as it is not full; who does something takes some.
 *   Idea     one time stands for how full it is: when it would be full again if nobody took any more. So an idle one costs nothing, and
 *            a rate that changes holds from then on
 *   Debt     more may be taken than there is, since what a thing costs is known afterwards; a second's worth at most
 *   Threads  the owner's own; all zeroes is a full one                                                      */
#include <stdbool.h>
#include <stdint.h>

struct bucket {
    uint64_t full_ns;
};
struct bucket_rate {
    uint64_t per_second;                      /* BUCKET_UNBOUNDED: nothing is ever missing; not 0 */
    uint64_t depth;                           /* tokens in a full one; at least 1 */
};
#define BUCKET_UNBOUNDED UINT64_MAX

uint64_t bucket_tokens(const struct bucket *b, const struct bucket_rate *rate, uint64_t now_ns);   /* whole ones that are there */
void bucket_take(struct bucket *b, const struct bucket_rate *rate, uint64_t tokens, uint64_t now_ns);
/* When one will be there; @now_ns or earlier: it is. */
uint64_t bucket_ready_ns(const struct bucket *b, const struct bucket_rate *rate, uint64_t now_ns);
bool bucket_is_full(const struct bucket *b, uint64_t now_ns);
