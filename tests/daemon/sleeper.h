/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/* Sleeper: a process that opens heap "h", attaches a thread and sleeps, inside or outside, for tests of who is late.
 *   Owner    the test, which may have no thread but its own when it starts one; it dies with the test                      */
#include <stdbool.h>
#include <sys/types.h>

#include "tests/daemon/raw.h"

#define SLEEPER_HEAP_BYTES (UINT64_C(16) << 20)

enum sleeper { OUTSIDE, INSIDE, READING, TWICE_INSIDE /* by two sessions */ };

struct sleeper_options {
    enum sleeper kind;
    uid_t uid;    /* 0: the test's own */
    int leave_fd; /* leaves, and ends well, when there is a byte to be read; 0: never */
};
/* Returns when it is asleep. */
pid_t sleeper_start(const struct daemon *d, const struct sleeper_options *options);
/* It has ended by SIGKILL; unless @killed_by_daemon that is done here. */
void sleeper_reap(pid_t pid, bool killed_by_daemon);
/* It has ended well. */
void sleeper_join(pid_t pid);
