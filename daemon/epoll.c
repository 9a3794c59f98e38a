/* SPDX-License-Identifier: Apache-2.0 */
/* epoll.c - Epoll: epoll_ctl(2) for libuv, which ends the process when the kernel has no memory to watch one more descriptor.
 *   The program's symbol goes before the C library's, so that libuv's calls come here. One that is refused for want of memory (ENOMEM; ENOSPC:
 *   fs.epoll.max_user_watches) is made again until it is not: the loop waits, nothing is lost, and who waits for the loop waits for
 *   memory. Where libuv only looks whether a descriptor can be watched it takes an error: uv_poll_init() then says so, and that its
 *   callers can answer. It marks those by a descriptor of -1 (seen with 1.44); if another version does not, they wait, too. */
#include <dlfcn.h>
#include <errno.h>
#include <stdbool.h>
#include <string.h>
#include <sys/epoll.h>
#include <time.h>

#include "daemon/log.h"

#define PAUSE_NS 1000000
#define SAY_EVERY 1000u

typedef int (*epoll_control)(int epoll, int operation, int fd, struct epoll_event *event);

static epoll_control system_control(void)
{
    static epoll_control control; /* [loop] */

    if (control == NULL)
        control = (epoll_control)dlsym(RTLD_NEXT, "epoll_ctl");
    return control;
}

__attribute__((visibility("default"))) int epoll_ctl(int epoll, int operation, int fd,
                                                     struct epoll_event *event)
{
    for (unsigned tries = 0;; tries++) {
        int r = system_control()(epoll, operation, fd, event);
        bool may_wait = operation == EPOLL_CTL_ADD && event->data.fd != -1;
        if (r == 0 || !may_wait || (errno != ENOMEM && errno != ENOSPC))
            return r;
        if (tries % SAY_EVERY == 0)
            log_error("one more descriptor cannot be watched: %s: the daemon waits", strerror(errno));
        (void)nanosleep(&(struct timespec){ .tv_nsec = PAUSE_NS }, NULL);
    }
}
