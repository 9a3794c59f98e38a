/* SPDX-License-Identifier: Apache-2.0 */
/* slice.c - Slice: sched_setattr(2), for which the C library has no call before 2.41. */
#include "shm/slice.h"

#include <linux/sched.h> /* not <sched.h>: the C library and the kernel each define struct sched_param */
#include <linux/sched/types.h>
#include <sys/syscall.h>
#include <unistd.h>

void shm_slice_set(uint64_t ns)
{
    struct sched_attr attr;

    if (syscall(SYS_sched_getattr, 0, &attr, sizeof(attr), 0) < 0 || attr.sched_policy != SCHED_NORMAL)
        return; /* somebody has chosen for us */
    attr.sched_runtime = ns;
    (void)syscall(SYS_sched_setattr, 0, &attr, 0);
}
