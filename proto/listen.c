/* SPDX-License-Identifier: Apache-2.0 */
/* listen.c - Listening: one live daemon a path, whatever a dead one left there.
 *   Two daemons that start at once take turns by a lock on `path.lock`, which stays: who removes a lock file takes it away
 *   from somebody who holds it. The file is 0600, for whoever may open it may hold it, and so keep a daemon from starting.
 *   Nobody connects before listen(), so the mode is what it should be by then; until it is, it is no wider. */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include "proto/address.h"
#include "proto/packet.h"

/* Clears the way: 0 when nothing is at @path any more, -EADDRINUSE when somebody listens, -EEXIST when it is no socket. */
static int remove_stale(const char *path)
{
    struct stat st;

    if (lstat(path, &st) < 0)
        return errno == ENOENT ? 0 : -errno;
    if (!S_ISSOCK(st.st_mode))
        return -EEXIST;
    int peer = packet_connect_with(path, SOCK_NONBLOCK);
    if (peer >= 0)
        (void)close(peer);
    if (peer >= 0 || peer == -EAGAIN || peer == -EPROTOTYPE) /* answers, is busy, speaks another way: it lives */
        return -EADDRINUSE;
    if (peer != -ECONNREFUSED && peer != -ENOENT)
        return peer;
    return unlink(path) < 0 && errno != ENOENT ? -errno : 0;
}

#define BACKLOG \
    256 /* as of mmgcd.socket: who comes when it is full waits in connect(2), with a turn of its own; in a flood others wait behind all of it */

static int bind_and_listen(int sock, const char *path, const struct sockaddr_un *address,
                           socklen_t bytes, unsigned mode)
{
    int r = 0;

    if (fchmod(sock, mode) < 0) /* bind() makes the path's inode of this mode, less the umask */
        return -errno;
    if (bind(sock, (const struct sockaddr *)address, bytes) < 0)
        return -errno;
    if (path[0] != '@' && chmod(path, mode) < 0) /* and this gives back what the umask took */
        r = -errno;
    else if (listen(sock, BACKLOG) < 0)
        r = -errno;
    if (r < 0 && path[0] != '@')
        (void)unlink(path);
    return r;
}

/* The fd that holds the lock beside @path until it is closed, or -errno. */
static int lock_path(const char *path)
{
    char *name;
    int r = 0;

    if (asprintf(&name, "%s.lock", path) < 0)
        return -ENOMEM;
    int fd = open(name, O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0600);
    if (fd < 0)
        r = -errno;
    free(name);
    if (fd < 0)
        return r;
    do
        r = flock(fd, LOCK_EX) < 0 ? -errno : 0;
    while (r == -EINTR);
    if (r == 0)
        return fd;
    (void)close(fd);
    return r;
}

int packet_listen(const char *path, unsigned mode)
{
    struct sockaddr_un address;
    socklen_t bytes;
    int lock = -1;
    int r = packet_address(path, &address, &bytes);

    if (r < 0)
        return r;
    int sock = socket(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    if (sock < 0)
        return -errno;
    if (path[0] != '@') { /* an abstract name ends with its socket: nothing to clear */
        lock = r = lock_path(path);
        if (r >= 0)
            r = remove_stale(path);
    }
    if (r >= 0)
        r = bind_and_listen(sock, path, &address, bytes, mode);
    if (lock >= 0)
        (void)close(lock);
    if (r >= 0)
        return sock;
    (void)close(sock);
    return r;
}
