/* SPDX-License-Identifier: Apache-2.0 */
/* interrupt.c - The signals are blocked and come as a descriptor: none is missed between a look and a wait. */
#include "client/ctl/interrupt.h"

#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <stddef.h>
#include <sys/signalfd.h>

static int signals = -1; /* the program's, until it ends */

int interrupt_begin(void)
{
    sigset_t set;

    sigemptyset(&set);
    sigaddset(&set, SIGINT);
    sigaddset(&set, SIGTERM);
    if (sigprocmask(SIG_BLOCK, &set, NULL) < 0)
        return -errno;
    signals = signalfd(-1, &set, SFD_CLOEXEC);
    return signals < 0 ? -errno : 0;
}

int interrupt_wait(int sock, int timeout_ms)
{
    struct pollfd wait[] = { { .fd = signals, .events = POLLIN }, { .fd = sock, .events = POLLIN } };
    int r = poll(wait, 2, timeout_ms);

    if (r < 0)
        return errno == EINTR ? -ETIMEDOUT : -errno; /* stopped and continued: the caller's clock decides */
    if (wait[0].revents != 0)
        return -EINTR;
    return r == 0 ? -ETIMEDOUT : 0;
}
