/* SPDX-License-Identifier: Apache-2.0 */
/* A bare round trip between two processes: a message over a socket of the kind that ours use, and an answer of the same size.
 * Usage: socket_alone ROUNDS BYTES
 * Both sides block in read(); neither has anything else to do. What a daemon's answer takes is to be set beside this. */
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include "bench.h"

enum { BYTES_MAX = 4096, WARM = 100 };

static _Noreturn void die(const char *why)
{
    perror(why);
    exit(2);
}

static _Noreturn void answer(int fd, size_t bytes)
{
    char message[BYTES_MAX];
    while (read(fd, message, bytes) == (ssize_t)bytes)
        if (write(fd, message, bytes) != (ssize_t)bytes)
            break;
    _exit(0);
}

static uint32_t trip_ns(int fd, size_t bytes)
{
    static char message[BYTES_MAX];
    uint64_t begin_ns = bench_now_ns();
    if (write(fd, message, bytes) != (ssize_t)bytes || read(fd, message, bytes) != (ssize_t)bytes)
        die("the other side");
    return (uint32_t)(bench_now_ns() - begin_ns);
}

static int by_value(const void *a, const void *b)
{
    uint32_t x = *(const uint32_t *)a, y = *(const uint32_t *)b;
    return (x > y) - (x < y);
}

int main(int argc, char **argv)
{
    int pair[2];
    if (argc != 3 || atoi(argv[1]) < 1 || atoi(argv[2]) < 1 || atoi(argv[2]) > BYTES_MAX) {
        fputs("usage: socket_alone ROUNDS BYTES\n", stderr);
        return 2;
    }
    size_t rounds = (size_t)atoi(argv[1]), bytes = (size_t)atoi(argv[2]);
    uint32_t *took_ns = calloc(rounds, sizeof *took_ns);
    if (took_ns == NULL || socketpair(AF_UNIX, SOCK_SEQPACKET, 0, pair) != 0)
        die("socketpair");
    pid_t other = fork();
    if (other < 0)
        die("fork");
    if (other == 0) {
        close(pair[0]);
        answer(pair[1], bytes);
    }
    close(pair[1]);
    for (int i = 0; i < WARM; i++)
        (void)trip_ns(pair[0], bytes);
    bench_ready();

    for (size_t i = 0; i < rounds; i++)
        took_ns[i] = trip_ns(pair[0], bytes);
    qsort(took_ns, rounds, sizeof *took_ns, by_value);
    bench_result("trip_p50", took_ns[rounds / 2]);
    bench_result("trip_p99", took_ns[rounds * 99 / 100]);
    close(pair[0]);
    waitpid(other, NULL, 0);
    return 0;
}
