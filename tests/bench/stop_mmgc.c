/* SPDX-License-Identifier: Apache-2.0 */
/* Clients to be stopped: N processes of one thread each, busy inside or asleep outside, while the parent collects.
 * Usage: stop_mmgc SOCKET HEAP CLIENTS busy|out COLLECTIONS
 * How long stops and pauses took is the daemon's to say: the driver asks it while the heap is still there. */
#include <mmgc/mmgc.h>
#include <signal.h>
#include <stdatomic.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include "bench.h"

struct stop_node {
    mmgc_ref next;
    int32_t value;
};
struct access { /* one process's way into the heap */
    struct mmgc_client *client;
    struct mmgc_heap *heap;
    struct mmgc_thread *t;
    mmgc_type node;
};
struct shared {              /* parent and children; nothing of mmgc crosses a fork */
    _Atomic bool over;       /* [parent] */
    _Atomic int ready;       /* [child] */
    _Atomic uint64_t rounds; /* [child] what the busy ones got done, added at their end */
};

static void check(const char *what, int code)
{
    if (code == MMGC_OK)
        return;
    fprintf(stderr, "%s: %s %s\n", what, mmgc_strerror(code), mmgc_error_detail());
    exit(2);
}

static void access_open(struct access *a, const char *sock, const char *heap)
{
    struct mmgc_heap_options options = { .create = true, .max_bytes = UINT64_C(64) << 20 };
    check("connect", mmgc_connect(sock, "stop", &a->client));
    check("open", mmgc_heap_open(a->client, heap, &options, &a->heap));
    check("attach", mmgc_attach(a->heap, NULL, &a->t));
    check("type", MMGC_DEFINE_TYPE(a->heap, stop_node, &a->node, next));
}

static void access_close(struct access *a)
{
    mmgc_detach(a->t);
    mmgc_heap_close(a->heap);
    mmgc_disconnect(a->client);
}

/* Enter, a few microseconds of reading and storing with a poll each time, leave; until it is over. */
static uint64_t work(struct access *a, struct shared *shared)
{
    uint64_t rounds = 0;
    while (!atomic_load_explicit(&shared->over, memory_order_relaxed)) {
        check("enter", mmgc_enter(a->t));
        struct stop_node *n = mmgc_new(a->t, a->node);
        struct stop_node *m = mmgc_new(a->t, a->node);
        if (!n || !m)
            check("new", mmgc_thread_error(a->t));
        for (int i = 0; i < 1000; i++) {
            mmgc_set(a->t, n, next, m);
            struct stop_node *again = mmgc_get(a->t, n, next);
            again->value++;
            mmgc_poll(a->t);
        }
        mmgc_leave(a->t);
        rounds++;
    }
    return rounds;
}

static _Noreturn void child(const char *sock, const char *heap, bool busy, struct shared *shared)
{
    struct access a;
    prctl(PR_SET_PDEATHSIG, SIGKILL); /* a parent that gave up must not leave us spinning */
    access_open(&a, sock, heap);
    atomic_fetch_add(&shared->ready, 1);
    if (busy)
        atomic_fetch_add(&shared->rounds, work(&a, shared));
    while (!atomic_load(&shared->over))
        usleep(100000); /* asleep outside: ten times a second is as good as never */
    access_close(&a);
    exit(0);
}

static void wait_for_children(struct shared *shared, int clients)
{
    while (atomic_load(&shared->ready) < clients) {
        if (waitpid(-1, NULL, WNOHANG) > 0) {
            fputs("a client ended before the start\n", stderr);
            exit(2);
        }
        usleep(1000);
    }
}

int main(int argc, char **argv)
{
    if (argc != 6) {
        fputs("usage: stop_mmgc SOCKET HEAP CLIENTS busy|out COLLECTIONS\n", stderr);
        return 2;
    }
    int clients = atoi(argv[3]), collections = atoi(argv[5]), stalled = 0, bad = 0, status;
    bool busy = strcmp(argv[4], "busy") == 0;
    struct shared *shared =
        mmap(NULL, sizeof *shared, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    if (shared == MAP_FAILED)
        return 2;
    for (int i = 0; i < clients; i++) {
        pid_t pid = fork();
        if (pid < 0)
            return 2;
        if (pid == 0)
            child(argv[1], argv[2], busy, shared);
    }
    struct access a;
    access_open(&a, argv[1], argv[2]);
    wait_for_children(shared, clients);
    bench_ready();

    uint64_t begin = bench_now_ns();
    for (int i = 0; i < collections; i++) {
        int r = mmgc_gc(a.t); /* from outside: this thread is never waited for */
        stalled += r == MMGC_E_STALLED;
        if (r != MMGC_E_STALLED)
            check("gc", r);
        usleep(1000); /* let the clients get back to work in between */
    }
    uint64_t wall_ns = bench_now_ns() - begin;

    atomic_store(&shared->over, true);
    while (wait(&status) > 0)
        bad += status != 0;
    access_close(&a);
    if (bad) {
        fprintf(stderr, "%d clients did not end well\n", bad);
        return 2;
    }
    bench_result("stalled", stalled);
    bench_result("wall_ns", (double)wall_ns);
    bench_result("rounds", (double)atomic_load(&shared->rounds));
    return 0;
}
