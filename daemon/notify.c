/* SPDX-License-Identifier: Apache-2.0 */
/* notify.c - Notify: libsystemd's three calls, or their absence. */
#include "daemon/notify.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>

#if MM_HAVE_SYSTEMD
#include <sys/socket.h>
#include <systemd/sd-daemon.h>

int notify_listen_fd(void)
{
    int count = sd_listen_fds(1);

    if (count == 0)
        return -ENOENT;
    if (count != 1 || sd_is_socket_unix(SD_LISTEN_FDS_START, SOCK_SEQPACKET, 1, NULL, 0) <= 0)
        return -EINVAL;
    return SD_LISTEN_FDS_START;
}

static void tell(const char *state)
{
    (void)sd_notify(0, state); /* nobody there is fine */
}
#else
int notify_listen_fd(void)
{
    return -ENOENT;
}

static void tell(const char *state)
{
    (void)state;
}
#endif

void notify_ready(void)
{
    tell("READY=1");
}

void notify_stopping(void)
{
    tell("STOPPING=1");
}

void notify_status(const char *format, ...)
{
    char state[256] = "STATUS=";
    va_list args;

    va_start(args, format);
    vsnprintf(state + 7, sizeof(state) - 7, format, args);
    va_end(args);
    tell(state);
}
