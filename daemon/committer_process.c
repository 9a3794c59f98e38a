/* SPDX-License-Identifier: Apache-2.0 */
/* committer_process.c - Committer process: takes orders from a socket, maps, commits, unmaps, answers. A few threads do, each its
 * own order: memory that the host of a virtual machine must find first comes twice as fast to two (docs/bench.md#commit).
 *   P1  it volunteers for the OOM killer (oom_score_adj 1000), so that the daemon and the clients live
 *   P2  an order is trusted: it comes from our daemon over a socket that nobody else has
 *   P3  it ends when the daemon does: end of file on the socket */
#include "daemon/committer.h"

#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <unistd.h>

#include "proto/packet.h"
#include "shm/units.h"

#define ORDERS_FD STDIN_FILENO
#define THREADS_MAX 4

static void volunteer_for_oom(void)
{
    int fd = open("/proc/self/oom_score_adj", O_WRONLY | O_CLOEXEC);

    if (fd < 0)
        return;
    (void)!write(fd, "1000", 4);
    close(fd);
}

/* An aligned place for the mapping: reserved with room to spare, mapped over, and given back whole. */
static int commit_order(int fd, const struct committer_order *order, enum shm_pages *ret_pages)
{
    size_t reserved = order->bytes + MM_COMMIT_BYTES;
    char *start = mmap(NULL, reserved, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);

    if (start == MAP_FAILED)
        return -errno;
    char *aligned = start + (mm_align_up((uintptr_t)start, MM_COMMIT_BYTES) - (uintptr_t)start);
    void *mapped = mmap(aligned, order->bytes, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_FIXED, fd,
                        (off_t)order->offset);
    int r = mapped == MAP_FAILED
                ? -errno
                : shm_commit(aligned, order->bytes, (enum shm_huge)order->huge, ret_pages);
    munmap(start, reserved);
    return r;
}

static pthread_mutex_t receiving = PTHREAD_MUTEX_INITIALIZER;

/* One order, whole, by one thread. False: that was the last, and *ret_status is the process's. */
static bool next_order(struct committer_order *ret_order, struct packet_fds *ret_fds, int *ret_status)
{
    pthread_mutex_lock(&receiving);
    ssize_t got = packet_recv(ORDERS_FD, ret_order, sizeof(*ret_order), ret_fds);
    pthread_mutex_unlock(&receiving);
    *ret_status = got == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
    return got == (ssize_t)sizeof(*ret_order) && ret_fds->count == 1;
}

static int serve(void)
{
    struct packet_fds fds;
    struct committer_order order;
    int status;

    while (next_order(&order, &fds, &status)) {
        enum shm_pages pages = SHM_PAGES_SMALL;
        struct committer_result result = { .number = order.number };
        result.result = commit_order(fds.fd[0], &order, &pages);
        result.pages = pages;
        packet_fds_close(&fds);
        if (packet_send(ORDERS_FD, &result, sizeof(result), NULL) < 0)
            return EXIT_FAILURE;
    }
    return status;
}

static void *serve_thread(void *unused)
{
    _exit(serve()); /* P3: whoever reads the end of file ends all */
    return unused;
}

/* Fewer than wanted is no harm. */
static void start_helpers(void)
{
    long processors = sysconf(_SC_NPROCESSORS_ONLN);
    pthread_t thread;

    for (long i = 1; i < MM_MIN(processors, THREADS_MAX); i++)
        if (pthread_create(&thread, NULL, serve_thread, NULL) == 0)
            pthread_detach(thread);
}

int committer_main(void)
{
    volunteer_for_oom();
    /* As the daemon: what it maps is every client's data. Not before the above, which it may not write then. */
    (void)prctl(PR_SET_DUMPABLE, 0);
    (void)prctl(PR_SET_NAME, "mmgcd-commit");
    (void)signal(SIGINT, SIG_IGN); /* Ctrl-C in a terminal is for the daemon, which then ends us */
    (void)signal(SIGTERM, SIG_IGN);
    (void)close_range(STDERR_FILENO + 1, ~0u, 0);
    (void)shm_commit_probe(); /* once, before there are threads */
    start_helpers();
    return serve();
}
