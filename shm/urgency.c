/* SPDX-License-Identifier: Apache-2.0 */
/* urgency.c - Urgency: sched_setattr(2), for which the C library has no call before 2.41. */
#include "shm/urgency.h"

#include <linux/sched.h> /* not <sched.h>: the C library and the kernel each define struct sched_param */
#include <linux/sched/types.h>
#include <stdint.h>
#include <sys/syscall.h>
#include <unistd.h>

#define SHORTEST_NS UINT64_C(100000) /* of what Linux allows, and the longest */
#define LONGEST_NS UINT64_C(100000000)

void urgency_set(enum urgency urgency)
{
    struct sched_attr attr;

    if (syscall(SYS_sched_getattr, 0, &attr, sizeof(attr), 0) < 0 || attr.sched_policy != SCHED_NORMAL)
        return;
    attr.sched_policy = urgency == URGENCY_PATIENT ? SCHED_BATCH : SCHED_NORMAL;
    attr.sched_runtime = urgency == URGENCY_PATIENT ? LONGEST_NS : SHORTEST_NS;
    (void)syscall(SYS_sched_setattr, 0, &attr, 0);
}
