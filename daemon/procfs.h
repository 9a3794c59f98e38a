/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/* Procfs: what /proc says of a client and of the system, for warnings only: nothing here decides about a right.
 *   Threads  any; a small read from the kernel, some 30 us                                                */
#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

struct procfs_process {
    pid_t tracer;                             /* 0: nobody traces it */
    uint64_t locked_bytes;                    /* by mlock(2), mlockall(2) */
};
/* False: there is no such process, or it is not ours to look at. */
bool procfs_process_read(pid_t pid, struct procfs_process *ret_process);
/* Makes this process the last that the kernel kills for want of memory, unless somebody has said otherwise. False: it may not. */
bool procfs_kill_us_last(void);
uint64_t procfs_resident_bytes(void);         /* of this process, shared memory included; 0: not known */
bool procfs_swaps(void);                      /* the system has somewhere to swap to */
