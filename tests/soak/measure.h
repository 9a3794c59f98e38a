/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/* Measure: what a daemon has of the system: the four numbers that must not grow while clients come and go.
 *   Units  KiB and counts      Needs  to be root or the daemon's tracer for fds and segments: 0 where it may not look              */
#include <sys/types.h>

struct measure {
    unsigned fds, threads;
    unsigned long resident_kib, segments_kib; /* segments: what its memory files occupy, mapped or not */
};
struct measure measure_take(pid_t pid);
