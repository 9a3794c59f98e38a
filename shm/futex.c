/* SPDX-License-Identifier: Apache-2.0 */
/* futex.c - Futex: the two futex(2) operations we use, both on shared memory. */
#include "shm/futex.h"

#include <errno.h>
#include <limits.h>
#include <linux/futex.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

#define NS_PER_S UINT64_C(1000000000)

/* Every other error counts as woken too. EFAULT is not a broken program: a client may have punched the page of its own
 * word while there is no memory for a new one. The caller re-checks the word and its own deadline. */
enum futex_result futex_wait(const _Atomic(uint32_t) MM_NODEREF *word, uint32_t expected, uint64_t timeout_ns)
{
    struct timespec timeout = {
        .tv_sec = (time_t)(timeout_ns / NS_PER_S),
        .tv_nsec = (long)(timeout_ns % NS_PER_S),
    };
    long r = syscall(SYS_futex, word, FUTEX_WAIT, expected, &timeout, NULL, 0); /* on CLOCK_MONOTONIC */

    return r < 0 && errno == ETIMEDOUT ? FUTEX_TIMED_OUT : FUTEX_WOKEN;
}

void futex_wake_all(_Atomic(uint32_t) MM_NODEREF *word)
{
    (void)syscall(SYS_futex, word, FUTEX_WAKE, INT_MAX, NULL, NULL, 0);
}
