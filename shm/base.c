/* SPDX-License-Identifier: Apache-2.0 */
/* base.c - Base: where a broken program stops, and what time it is. */
#include "shm/base.h"

#include <stdio.h>
#include <stdlib.h>
#include <time.h>

void mm_assert_failed(const char *what, const char *file, int line)
{
    fprintf(stderr, "%s:%d: assertion failed: %s\n", file, line, what);
    abort();
}

MM_NO_CANARY static uint64_t now_of(clockid_t clock)
{
    struct timespec now;

    (void)clock_gettime(clock, &now); /* cannot fail: the clock exists, the pointer is good */
    return (uint64_t)now.tv_sec * UINT64_C(1000000000) + (uint64_t)now.tv_nsec;
}

MM_NO_CANARY uint64_t mm_now_ns(void)
{
    return now_of(CLOCK_MONOTONIC);
}

MM_NO_CANARY uint64_t mm_now_coarse_ns(void)
{
    return now_of(CLOCK_MONOTONIC_COARSE);
}
