/* SPDX-License-Identifier: Apache-2.0 */
/* packet.c - Packet: sendmsg and recvmsg, and nobody loses an fd.
 *   P1  what the kernel installed is closed or handed up at every return (soundness S20)
 *   P2  the control buffer holds as many fds as one packet can carry: when it comes back truncated, this process had no room
 *       for them, and a part of them is worth nothing */
#include "proto/packet.h"

#include <errno.h>
#include <poll.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <time.h>
#include <unistd.h>

#include "proto/address.h"

#define KERNEL_FDS_MAX 253u /* SCM_MAX_FD, which no header for programs has */
#ifndef SO_PASSRIGHTS
#define SO_PASSRIGHTS 83 /* Linux 6.16 */
#endif

void packet_fds_close(struct packet_fds *fds)
{
    for (size_t i = 0; i < fds->count; i++)
        if (fds->fd[i] >= 0)
            (void)close(fds->fd[i]);
    fds->count = 0;
}

/* ---- sending ---------------------------------------------------------------------------------- */

int packet_send(int sock, const void *bytes, size_t count, const struct packet_fds *fds)
{
    union {
        struct cmsghdr align;
        char bytes[CMSG_SPACE(PACKET_FDS_MAX * sizeof(int))];
    } control = { 0 };
    struct iovec part = { .iov_base = (void *)bytes, .iov_len = count };
    struct msghdr message = { .msg_iov = &part, .msg_iovlen = 1 };
    ssize_t r;

    if (count == 0 || (fds != NULL && fds->count > PACKET_FDS_MAX))
        return -EINVAL; /* an empty packet would read as the end */
    if (count > PACKET_BYTES_MAX)
        return -EMSGSIZE;
    if (fds != NULL && fds->count > 0) {
        message.msg_control = control.bytes;
        message.msg_controllen = CMSG_SPACE(fds->count * sizeof(int));
        struct cmsghdr *rights = CMSG_FIRSTHDR(&message);
        rights->cmsg_level = SOL_SOCKET;
        rights->cmsg_type = SCM_RIGHTS;
        rights->cmsg_len = CMSG_LEN(fds->count * sizeof(int));
        memcpy(CMSG_DATA(rights), fds->fd, fds->count * sizeof(int));
    }
    do
        r = sendmsg(sock, &message, MSG_NOSIGNAL);
    while (r < 0 && errno == EINTR);
    return r < 0 ? -errno : 0; /* all or nothing: SOCK_SEQPACKET */
}

/* ---- receiving -------------------------------------------------------------------------------- */

/* Moves what fits of the fds in @message to @fds and closes the others. */
static void take_fds(struct msghdr *message, struct packet_fds *fds)
{
    for (struct cmsghdr *c = CMSG_FIRSTHDR(message); c != NULL; c = CMSG_NXTHDR(message, c)) {
        if (c->cmsg_level != SOL_SOCKET || c->cmsg_type != SCM_RIGHTS)
            continue;
        size_t count = (c->cmsg_len - CMSG_LEN(0)) / sizeof(int);
        for (size_t i = 0; i < count; i++) {
            int fd;
            memcpy(&fd, CMSG_DATA(c) + i * sizeof(int), sizeof(int));
            if (fds->count < PACKET_FDS_MAX)
                fds->fd[fds->count++] = fd;
            else
                (void)close(fd);
        }
    }
}

ssize_t packet_recv(int sock, void *bytes, size_t capacity, struct packet_fds *ret_fds)
{
    union {
        struct cmsghdr align;
        char bytes[CMSG_SPACE(KERNEL_FDS_MAX * sizeof(int))];
    } control;
    struct iovec part = { .iov_base = bytes, .iov_len = capacity };
    struct msghdr message = { .msg_iov = &part, .msg_iovlen = 1 };
    struct packet_fds fds = { .count = 0 };
    ssize_t r;

    *ret_fds = (struct packet_fds){ .count = 0 };
    do {
        message.msg_control = control.bytes;
        message.msg_controllen = sizeof(control.bytes);
        r = recvmsg(sock, &message, MSG_CMSG_CLOEXEC);
    } while (r < 0 && errno == EINTR);
    if (r < 0)
        return errno == EWOULDBLOCK ? -EAGAIN : -errno;
    take_fds(&message, &fds);
    if ((message.msg_flags & MSG_TRUNC) != 0)
        r = -EMSGSIZE;
    else if ((message.msg_flags & MSG_CTRUNC) != 0)
        r = -EMFILE;
    if (r <= 0)
        packet_fds_close(&fds); /* an empty packet is an end, too, and its fds are nobody's */
    *ret_fds = fds;
    return r;
}

int packet_pass_fds(int sock, bool allowed)
{
    int value = allowed;

    return setsockopt(sock, SOL_SOCKET, SO_PASSRIGHTS, &value, sizeof(value)) < 0 ? -errno : 0;
}

static int64_t now_ms(void)
{
    struct timespec now;

    (void)clock_gettime(CLOCK_MONOTONIC, &now);
    return (int64_t)now.tv_sec * 1000 + now.tv_nsec / 1000000;
}

int packet_wait(int sock, int timeout_ms)
{
    struct pollfd wait = { .fd = sock, .events = POLLIN };
    int64_t deadline_ms = now_ms() + timeout_ms;

    for (;;) {
        int r = poll(&wait, 1, timeout_ms);
        if (r > 0)
            return (wait.revents & POLLNVAL) != 0 ? -EBADF : 0; /* a hang-up is read as the end */
        if (r == 0)
            return -ETIMEDOUT;
        if (errno != EINTR)
            return -errno;
        if (timeout_ms >= 0) {
            int64_t left_ms = deadline_ms - now_ms();
            timeout_ms = left_ms > 0 ? (int)left_ms : 0;
        }
    }
}

/* ---- connecting ------------------------------------------------------------------------------- */

int packet_address(const char *path, struct sockaddr_un *ret_address, socklen_t *ret_bytes)
{
    size_t length = strlen(path);
    bool abstract = path[0] == '@';

    if (length == 0)
        return -ENOENT;
    if (length >= sizeof(ret_address->sun_path))
        return -ENAMETOOLONG;
    *ret_address = (struct sockaddr_un){ .sun_family = AF_UNIX };
    memcpy(ret_address->sun_path, path, length);
    if (abstract)
        ret_address->sun_path[0] = '\0';
    *ret_bytes = (socklen_t)(offsetof(struct sockaddr_un, sun_path) + length + (abstract ? 0 : 1));
    return 0;
}

int packet_connect_with(const char *path, int flags)
{
    struct sockaddr_un address;
    socklen_t bytes;
    int r = packet_address(path, &address, &bytes);

    if (r < 0)
        return r;
    int sock = socket(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC | flags, 0);
    if (sock < 0)
        return -errno;
    do
        r = connect(sock, (const struct sockaddr *)&address, bytes) < 0 ? -errno : 0;
    while (r == -EINTR);
    if (r == 0)
        return sock;
    (void)close(sock);
    return r;
}

int packet_connect(const char *path)
{
    return packet_connect_with(path, 0);
}
