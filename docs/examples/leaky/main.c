/* SPDX-License-Identifier: Apache-2.0 */
/* leaky: a store of sessions, with a mistake in each of its two processes; docs/finding-leaks.md finds them.
 *
 *   leaky serve PATH          keeps the store, listens at the socket PATH, and starts the reporter
 *   leaky visit PATH N        N users log in and out there, no more than 50 at once; then a report is written                                 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include "reporter.h"
#include "say.h"
#include "store.h"

#define AT_ONCE 50u

static int socket_at(const char *path, int (*what)(int, const struct sockaddr *, socklen_t))
{
    struct sockaddr_un address = { .sun_family = AF_UNIX };
    int fd = must_system("socket", socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0));

    if (strlen(path) >= sizeof(address.sun_path)) {
        fprintf(stderr, "leaky: %s is too long for a socket\n", path);
        exit(1);
    }
    strcpy(address.sun_path, path);
    must_system(path, what(fd, (const struct sockaddr *)&address, sizeof(address)));
    return fd;
}

/* Users have numbers that nobody had before. */
static void visits(struct store_access *a, uint32_t count)
{
    struct store *store = mmgc_local_get(a->t, a->store);
    uint32_t first = store->logins + 1, end = first + count, left = first;

    for (uint32_t user = first; user != end; user++) {
        store_log_in(a, user);
        if (user - left >= AT_ONCE - 1)
            store_log_out(a, left++);
    }
    for (; left != end; left++)
        store_log_out(a, left);
}

static void have_report_written(int reporter)
{
    char byte = 0;

    must_system("write", (int)write(reporter, &byte, 1));
    if (must_system("read", (int)read(reporter, &byte, 1)) == 0)
        exit(1);                             /* it has said why */
}

static void answer(struct store_access *a, int reporter, int fd)
{
    char text[16] = "";
    uint32_t count = read(fd, text, sizeof(text) - 1) > 0 ? (uint32_t)strtoul(text, NULL, 10) : 0;

    must("enter", mmgc_enter(a->t));
    visits(a, count);
    uint32_t logged_in = ((struct store *)mmgc_local_get(a->t, a->store))->logged_in;
    mmgc_leave(a->t);                        /* a thread that waits must not keep a collection waiting */
    have_report_written(reporter);
    dprintf(fd, "%u visits, %u users logged in\n", count, logged_in);
}

static void serve(const char *path, int reporter)
{
    struct mmgc_client *client;
    struct mmgc_heap *heap;
    struct mmgc_thread *t;
    struct store_access a;

    must("connect", mmgc_connect(NULL, "store", &client));
    heap = store_heap(client);
    must("attach", mmgc_attach(heap, &(struct mmgc_thread_options){ .exact = true }, &t));
    must("enter", mmgc_enter(t));
    store_open(&a, heap, t);
    mmgc_leave(t);
    have_report_written(reporter);           /* of nothing yet */
    int listening = socket_at(path, bind);
    must_system("listen", listen(listening, 8));
    for (;;) {
        int fd = must_system("accept", accept(listening, NULL, NULL));
        answer(&a, reporter, fd);
        close(fd);
    }
}

static int visit(const char *path, const char *count)
{
    char said[64];
    int fd = socket_at(path, connect);
    ssize_t length;

    must_system("write", (int)write(fd, count, strlen(count)));
    while ((length = read(fd, said, sizeof(said))) > 0)
        fwrite(said, 1, (size_t)length, stdout);
    return length < 0;
}

int main(int argc, char **argv)
{
    int ends[2];

    if (argc == 4 && strcmp(argv[1], "visit") == 0)
        return visit(argv[2], argv[3]);
    if (argc != 3 || strcmp(argv[1], "serve") != 0) {
        fputs("usage: leaky serve PATH | visit PATH N\n", stderr);
        return 2;
    }
    must_system("socketpair", socketpair(AF_UNIX, SOCK_STREAM, 0, ends));
    pid_t child = must_system("fork", fork());       /* before anything of mmgc's: that does not cross a fork */
    close(ends[child != 0]);
    if (child == 0)
        reporter_run(ends[1]);
    else
        serve(argv[2], ends[0]);
    return 0;
}
