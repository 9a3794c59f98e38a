/* SPDX-License-Identifier: Apache-2.0 */
/* listener.c - Listener: where clients come in.
 *   W1  the accepted sockets are non-blocking: the loop never waits for one
 *   W2  out of file descriptors, the reserve is given up to accept, tell and turn away one client after another, instead of
 *       leaving them to wait on a socket that poll calls readable for ever
 *   W3  one is accepted in a turn, so that a flood of them does not keep sessions waiting; and when it came more often than it may, the
 *       listener rests for a moment. Those behind it wait in the socket's queue, which is short enough for that (proto/listen.c)
 *   W4  who may write to the socket's directory can put another socket in its place, and clients trust it: others may not */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

#include "daemon/admission.h"
#include "daemon/log.h"
#include "daemon/notify.h"
#include "daemon/server.h"
#include "daemon/session.h"
#include "proto/packet.h"

#define REST_MS 1u
#define DIRECTORY_MODE 0755u

static int reserve_open(void)
{
    return open("/dev/null", O_RDONLY | O_CLOEXEC);
}

static void turn_away(struct server *server)
{
    if (server->reserve_fd >= 0)
        close(server->reserve_fd);
    int sock = accept4(server->listen_fd, NULL, NULL, SOCK_CLOEXEC | SOCK_NONBLOCK);
    if (sock >= 0)
        admission_turn_away(sock, MMGC_E_LIMIT, "the daemon has no more file descriptors");
    server->reserve_fd = reserve_open();
}

static void on_client(uv_poll_t *poll, int status, int events);

static void on_rested(uv_timer_t *timer)
{
    struct server *server = timer->data;

    uv_poll_start(&server->listen_poll, UV_READABLE, on_client);
}

static void rest(struct server *server) /* W3 */
{
    uv_poll_stop(&server->listen_poll);
    uv_timer_start(&server->listen_timer, on_rested, REST_MS, 0);
}

static void on_client(uv_poll_t *poll, int status, int events)
{
    struct server *server = poll->data;

    (void)status;
    (void)events;
    int sock = accept4(server->listen_fd, NULL, NULL, SOCK_CLOEXEC | SOCK_NONBLOCK);
    if (sock >= 0 && !session_accept(server, sock))
        rest(server);
    else if (sock < 0 && (errno == EMFILE || errno == ENFILE))
        turn_away(server);
}

/* ---- the socket's directory ---- */

/* W4. Sticky is good enough: there others cannot take away what is ours. */
static int check_directory(const char *directory)
{
    struct stat st;

    if (stat(directory, &st) < 0)
        return -errno;
    bool sticky = (st.st_mode & S_ISVTX) != 0;
    if ((st.st_mode & S_IWOTH) != 0 && !sticky) {
        log_error("everybody may write to %s, and could put another socket in the daemon's place: chmod o-w %s, or set socket to a safer one",
                  directory, directory);
        return -EPERM;
    }
    if ((st.st_mode & S_IWGRP) != 0 && !sticky)
        log_warning("group %u may write to %s, and so put another socket in the daemon's place", (unsigned)st.st_gid, directory);
    if (st.st_uid != 0 && st.st_uid != geteuid() && !sticky)
        log_warning("%s is user %u's, who can put another socket in the daemon's place", directory, (unsigned)st.st_uid);
    return 0;
}

/* Made if it is not there, so that everybody may come to the socket and nobody but us may change what is in it. */
static int prepare_directory(const char *path)
{
    char directory[CONFIG_PATH_MAX];
    const char *slash = strrchr(path, '/');

    if (path[0] == '@' || slash == NULL || slash == path)
        return 0;
    snprintf(directory, sizeof(directory), "%.*s", (int)(slash - path), path);
    if (mkdir(directory, 0700) == 0) {
        log_info("%s was not there and is made", directory);
        if (chmod(directory, DIRECTORY_MODE) < 0) /* whatever the umask */
            return -errno;
    } else if (errno != EEXIST) {
        return -errno;
    }
    return check_directory(directory);
}

static int own_socket(struct server *server)
{
    int fd = prepare_directory(server->config.socket);

    if (fd == 0)
        fd = packet_listen(server->config.socket, server->config.socket_mode);
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
    MM_ASSERT(uv_timer_init(&server->loop, &server->listen_timer) == 0);
    server->listen_poll.data = server->listen_timer.data = server;
    uv_poll_start(&server->listen_poll, UV_READABLE, on_client);
    return 0;
}

void listener_close(struct server *server)
{
    if (server->listen_fd < 0)
        return;
    uv_close((uv_handle_t *)&server->listen_poll, NULL);
    uv_close((uv_handle_t *)&server->listen_timer, NULL);
    if (server->socket_is_ours && server->config.socket[0] != '@')
        (void)unlink(server->config.socket);
    close(server->listen_fd);
    if (server->reserve_fd >= 0)
        close(server->reserve_fd);
    server->listen_fd = server->reserve_fd = -1;
}
