/* SPDX-License-Identifier: Apache-2.0 */
/* listener.c - Listener: where clients come in.
 *   W1  the accepted sockets are non-blocking: the loop never waits for one
 *   W2  out of file descriptors, the reserve is given up to accept, tell and turn away one client after another, instead of
 *       leaving them to wait on a socket that poll calls readable for ever */
#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "daemon/log.h"
#include "daemon/notify.h"
#include "daemon/server.h"
#include "daemon/session.h"
#include "proto/wire.h"

#define ACCEPTS_A_TURN 64

static int reserve_open(void)
{
    return open("/dev/null", O_RDONLY | O_CLOEXEC);
}

void listener_refuse(int sock, enum mmgc_error code, const char *why)
{
    wire_error error = wire_error_init();
    wire_reply reply = wire_reply_init();
    char scrap[64];

    error.code = code;
    error.detail = (char *)why;
    reply.body_case = WIRE_REPLY(ERROR);
    reply.error = &error;
    (void)wire_send_reply(sock, &reply, NULL);
    (void)shutdown(sock, SHUT_RDWR);
    while (recv(sock, scrap, sizeof(scrap), MSG_DONTWAIT) > 0) /* what is left unread would overtake our word as a reset */
        continue;
    close(sock);
}

static void turn_away(struct server *server)
{
    if (server->reserve_fd >= 0)
        close(server->reserve_fd);
    int sock = accept4(server->listen_fd, NULL, NULL, SOCK_CLOEXEC | SOCK_NONBLOCK);
    if (sock >= 0)
        listener_refuse(sock, MMGC_E_LIMIT, "the daemon has no more file descriptors");
    server->reserve_fd = reserve_open();
}

static void on_client(uv_poll_t *poll, int status, int events)
{
    struct server *server = poll->data;

    (void)status;
    (void)events;
    for (int i = 0; i < ACCEPTS_A_TURN && server->listen_fd >= 0; i++) {
        int sock = accept4(server->listen_fd, NULL, NULL, SOCK_CLOEXEC | SOCK_NONBLOCK);
        if (sock >= 0) {
            session_accept(server, sock);
        } else if (errno == EMFILE || errno == ENFILE) {
            turn_away(server);
            return;
        } else if (errno != EINTR && errno != ECONNABORTED) {
            return;
        }
    }
}

static int own_socket(struct server *server)
{
    int fd = packet_listen(server->config.socket, server->config.socket_mode);

    if (fd < 0)
        log_error("%s: %s", server->config.socket, strerror(-fd));
    server->socket_is_ours = fd >= 0;
    return fd;
}

int listener_open(struct server *server)
{
    int fd = notify_listen_fd();

    if (fd == -ENOENT)
        fd = own_socket(server);
    else if (fd < 0)
        log_error("what systemd passed is not one listening SOCK_SEQPACKET socket");
    if (fd < 0)
        return fd;
    server->listen_fd = fd;
    (void)fcntl(fd, F_SETFL, fcntl(fd, F_GETFL) | O_NONBLOCK);
    server->reserve_fd = reserve_open();
    int r = uv_poll_init(&server->loop, &server->listen_poll, fd);
    if (r < 0) {
        log_error("the listening socket cannot be watched: %s", strerror(-r));
        return r;
    }
    server->listen_poll.data = server;
    uv_poll_start(&server->listen_poll, UV_READABLE, on_client);
    return 0;
}

void listener_close(struct server *server)
{
    if (server->listen_fd < 0)
        return;
    uv_close((uv_handle_t *)&server->listen_poll, NULL);
    if (server->socket_is_ours && server->config.socket[0] != '@')
        (void)unlink(server->config.socket);
    close(server->listen_fd);
    if (server->reserve_fd >= 0)
        close(server->reserve_fd);
    server->listen_fd = server->reserve_fd = -1;
}
