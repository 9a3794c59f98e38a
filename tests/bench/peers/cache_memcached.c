/* SPDX-License-Identifier: Apache-2.0 */
/* cache_mmgc's work on memcached: its meta commands "mg" and "ms" over a Unix socket, one connection a process. Usage: the top of
 * cache.h; WHERE is the socket. Keys are sent as 16 hexadecimal digits, since commands are text. A value comes in one read as a rule. */
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#define CACHE_PIPELINES
#include "cache_phases.h"

enum { LINE = 64, BUFFER = 1 << 18 };        /* room for CACHE_AT_ONCE values and their lines */

struct cache {
    int fd;
    size_t to_send, begin, end;              /* of what came and was not taken */
    char out[BUFFER], in[BUFFER];
};

static void append(struct cache *c, const char *bytes, size_t count)
{
    memcpy(c->out + c->to_send, bytes, count);
    c->to_send += count;
}

static void append_key(struct cache *c, const char *command, uint64_t key)
{
    char text[20] = { command[0], command[1], ' ' };
    for (int i = 0; i < 16; i++)
        text[3 + i] = "0123456789abcdef"[key >> (60 - 4 * i) & 15];
    append(c, text, 19);
}

static void send_all(struct cache *c)
{
    for (size_t sent = 0; sent < c->to_send;) {
        ssize_t n = write(c->fd, c->out + sent, c->to_send - sent);
        if (n <= 0)
            cache_fail("memcached does not listen");
        sent += (size_t)n;
    }
    c->to_send = 0;
}

/* Until @count bytes are there. */
static void need(struct cache *c, size_t count)
{
    if (c->begin + count > BUFFER) {
        memmove(c->in, c->in + c->begin, c->end - c->begin);
        c->end -= c->begin;
        c->begin = 0;
    }
    while (c->end - c->begin < count) {
        ssize_t n = read(c->fd, c->in + c->end, BUFFER - c->end);
        if (n <= 0)
            cache_fail("memcached has gone");
        c->end += (size_t)n;
    }
}

/* One line of the answer, without its end; what was asked is sent before. Good until more is read. */
static const char *take_line(struct cache *c)
{
    if (c->to_send > 0)
        send_all(c);
    if (c->begin == c->end)
        c->begin = c->end = 0;
    for (size_t length = 2; length < LINE; length++) {
        need(c, length);
        char *end = c->in + c->begin + length - 2;
        if (end[0] != '\r' || end[1] != '\n')
            continue;
        *end = 0;
        c->begin += length;
        return end - (length - 2);
    }
    cache_fail("memcached says what nobody understands");
    return NULL;
}

static void cache_ask_get(struct cache *c, uint64_t key)
{
    append_key(c, "mg", key);
    append(c, " v\r\n", 4);
}

static uint32_t cache_take_get(struct cache *c, char *into)
{
    unsigned bytes;
    if (sscanf(take_line(c), "VA %u", &bytes) != 1 || bytes > CACHE_MAX_BYTES)
        return 0;
    need(c, bytes + 2);
    memcpy(into, c->in + c->begin, bytes);
    c->begin += bytes + 2;
    return bytes;
}

static void cache_ask_put(struct cache *c, uint64_t key, const char *value, uint32_t bytes)
{
    char size[16];
    append_key(c, "ms", key);
    append(c, size, (size_t)snprintf(size, sizeof size, " %u\r\n", bytes));
    append(c, value, bytes);
    append(c, "\r\n", 2);
}

static void cache_take_put(struct cache *c)
{
    if (strncmp(take_line(c), "HD", 2) != 0)
        cache_fail("memcached does not store");
}

static int connected(const char *path)
{
    struct sockaddr_un address = { .sun_family = AF_UNIX };
    int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
    snprintf(address.sun_path, sizeof address.sun_path, "%s", path);
    if (fd < 0 || connect(fd, (struct sockaddr *)&address, sizeof address) != 0)
        cache_fail("cannot connect to memcached");
    return fd;
}

int main(int argc, char **argv)
{
    static struct cache c;
    struct cache_run run = cache_run_of(argc, argv);
    c.fd = connected(run.where);
    cache_main(&run, &c);
    return 0;
}
