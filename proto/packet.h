/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/* Packet: one SOCK_SEQPACKET message and the file descriptors beside it (SCM_RIGHTS).
 *   Threads  a send is atomic, any thread may; receives on one socket by one thread at a time
 *   Fds      received ones are O_CLOEXEC and owned by the caller; surplus ones are closed at once (soundness S20)   */
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#define PACKET_BYTES_MAX 65536u
#define PACKET_FDS_MAX 5u

struct packet_fds {
    int fd[PACKET_FDS_MAX];
    size_t count;
};
void packet_fds_close(struct packet_fds *fds);       /* closes and empties; what was taken must be set to -1 */

/* 0, or -errno: -EAGAIN (non-blocking and full), -EPIPE (peer gone; no SIGPIPE), -EMSGSIZE, -EINVAL (empty), -EPERM (the peer
 * takes no fds, packet_pass_fds()). @fds may be NULL; stay the caller's. */
int packet_send(int sock, const void *bytes, size_t count, const struct packet_fds *fds);

/* Bytes of the packet, 0 when the peer closed, or -errno: -EAGAIN; -EMSGSIZE: it was larger than @capacity (dropped, but
 * @bytes is its beginning); -EMFILE: its fds did not arrive whole (dropped, but @bytes is what it said). @ret_fds is always set. */
ssize_t packet_recv(int sock, void *bytes, size_t capacity, struct packet_fds *ret_fds);
/* Whether peers may send fds on @sock; if not, their packet_send() with fds is -EPERM. 0, or -ENOPROTOOPT before Linux 6.16,
 * where surplus fds are closed as they come. */
int packet_pass_fds(int sock, bool allowed);

/* Waits until @sock can be read (the end can): 0, -ETIMEDOUT, -errno. @timeout_ms < 0: for ever. */
int packet_wait(int sock, int timeout_ms);

/* A connected client socket, blocking, O_CLOEXEC; -errno (-ENAMETOOLONG, -ENOENT, -ECONNREFUSED). A leading '@' is the abstract namespace. */
int packet_connect(const char *path);
/* A listening socket at @path, non-blocking, O_CLOEXEC. A stale one, that nobody answers on, is replaced; a live one is
 * -EADDRINUSE; what is no socket is -EEXIST. It never has a wider @mode than given. Leaves `@path.lock` beside it. */
int packet_listen(const char *path, unsigned mode);
