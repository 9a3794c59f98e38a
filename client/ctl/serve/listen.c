/* SPDX-License-Identifier: Apache-2.0 */
#include "client/ctl/serve/listen.h"

#include <arpa/inet.h>
#include <errno.h>
#include <netdb.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include "client/ctl/document.h"
#include "client/ctl/units.h"

#define BACKLOG 64
#define UNIX_MODE 0660

/* ---- TCP ---- */

static bool is_loopback(const struct sockaddr *address)
{
    if (address->sa_family == AF_INET)
        return (ntohl(((const struct sockaddr_in *)address)->sin_addr.s_addr) >> 24) == 127;
    return address->sa_family == AF_INET6 && IN6_IS_ADDR_LOOPBACK(&((const struct sockaddr_in6 *)address)->sin6_addr);
}

/* Splits "ADDRESS:PORT" in place. False: it is none. */
static bool split(char *where, char **ret_address, char **ret_port)
{
    char *colon = strrchr(where, ':');

    if (colon == NULL || colon == where || colon[1] == '\0')
        return false;
    *colon = '\0';
    *ret_address = where;
    *ret_port = colon + 1;
    size_t length = strlen(where);
    if (where[0] == '[' && where[length - 1] == ']') {
        where[length - 1] = '\0';
        *ret_address = where + 1;
    }
    return true;
}

static char *shown_as(int sock)
{
    struct sockaddr_storage address = { 0 };
    socklen_t length = sizeof(address);
    char host[64] = "?", port[16] = "?", *text;

    if (getsockname(sock, (struct sockaddr *)&address, &length) == 0)
        (void)getnameinfo((struct sockaddr *)&address, length, host, sizeof(host), port, sizeof(port),
                          NI_NUMERICHOST | NI_NUMERICSERV);
    bool v6 = strchr(host, ':') != NULL;
    if (asprintf(&text, "http://%s%s%s:%s/", v6 ? "[" : "", host, v6 ? "]" : "", port) < 0)
        need(NULL);
    return text;
}

static int open_tcp(struct listening *l, const char *where)
{
    struct addrinfo hints = { .ai_flags = AI_NUMERICHOST | AI_NUMERICSERV | AI_PASSIVE, .ai_socktype = SOCK_STREAM }, *found;
    char *copy = need(strdup(where)), *address, *port;
    int one = 1, r = 0;
    uint64_t number; /* getaddrinfo() takes larger ones, modulo 65536 */

    if (!split(copy, &address, &port) || !units_parse_count(port, &number) || number > UINT16_MAX || getaddrinfo(address, port, &hints, &found) != 0) {
        free(copy);
        return -EINVAL;
    }
    free(copy);
    l->sock = socket(found->ai_family, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    if (l->sock < 0 || setsockopt(l->sock, SOL_SOCKET, SO_REUSEADDR, &one, sizeof(one)) < 0 ||
        bind(l->sock, found->ai_addr, found->ai_addrlen) < 0 || listen(l->sock, BACKLOG) < 0)
        r = -errno;
    l->loopback = is_loopback(found->ai_addr);
    freeaddrinfo(found);
    if (r == 0)
        l->shown = shown_as(l->sock);
    return r;
}

/* ---- UNIX ---- */

/* A socket that nobody listens on any more is in the way of the next one. */
static void remove_stale(const struct sockaddr_un *address)
{
    struct stat info;
    int sock = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);

    if (sock < 0)
        return;
    if (lstat(address->sun_path, &info) == 0 && S_ISSOCK(info.st_mode) &&
        connect(sock, (const struct sockaddr *)address, sizeof(*address)) < 0 && errno == ECONNREFUSED)
        (void)unlink(address->sun_path);
    close(sock);
}

static int open_unix(struct listening *l, const char *path)
{
    struct sockaddr_un address = { .sun_family = AF_UNIX };

    if (path[0] == '\0' || strlen(path) >= sizeof(address.sun_path))
        return -EINVAL;
    strcpy(address.sun_path, path);
    remove_stale(&address);
    l->sock = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    if (l->sock < 0 || bind(l->sock, (struct sockaddr *)&address, sizeof(address)) < 0)
        return -errno;
    l->path = need(strdup(path));
    l->shown = need(strdup(path));
    /* Nobody can connect before it is listened on. */
    return chmod(path, UNIX_MODE) < 0 || listen(l->sock, BACKLOG) < 0 ? -errno : 0;
}

int listen_open(struct listening *ret_listening, const char *where)
{
    struct listening l = { .sock = -1 };
    int r = strncmp(where, "unix:", 5) == 0 ? open_unix(&l, where + 5) : open_tcp(&l, where);

    if (r < 0)
        listen_close(&l);
    else
        *ret_listening = l;
    return r;
}

void listen_close(struct listening *l)
{
    if (l->sock >= 0)
        close(l->sock);
    if (l->path != NULL)
        (void)unlink(l->path);
    free(l->path);
    free(l->shown);
    *l = (struct listening){ .sock = -1 };
}
