/* SPDX-License-Identifier: Apache-2.0 */
/* Alloc on mmgcd: the work of alloc.h, out of the bump.
 * Usage: alloc_mmgc SOCKET HEAP HEAP_MIB KIND WARM OBJECTS
 *
 *   Ring      an array of references in the heap, stored to with the write barrier, as a JVM has to; or, compiled with ALLOC_RING_ON_STACK,
 *             an array of pointers on the stack, where programs in C may have it: then nothing but allocation is left
 *   Time      the processor's, of this program and of the daemon, which commits memory and collects for it */
#include <mmgc/mmgc.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

struct alloc_24 {
    mmgc_ref left, right;
    int64_t number;
};
struct alloc_64 {
    mmgc_ref left, right;
    int64_t number, more[5];
};
enum { HEADER_BYTES = 8 };
_Static_assert(HEADER_BYTES + sizeof(struct alloc_24) == 24 &&
                   HEADER_BYTES + sizeof(struct alloc_64) == 64,
               "as they are called");
typedef struct { /* by value: no store can change it */
    struct mmgc_thread *t;
    mmgc_type fixed, bytes;
    mmgc_handle held;
#ifdef ALLOC_RING_ON_STACK
    void **ring;
#else
    mmgc_ref *ring; /* while inside */
#endif
    clockid_t daemon_ns; /* its processor time */
} alloc_ctx;

#define alloc_new_24(c) mmgc_new((c).t, (c).fixed)
#define alloc_new_64(c) mmgc_new((c).t, (c).fixed)
#define alloc_new_bytes(c, bytes_in_all) \
    mmgc_new_array((c).t, (c).bytes, (bytes_in_all)-HEADER_BYTES)
#define alloc_head(object, bytes) ((void)(bytes))
#define alloc_body(object) ((unsigned char *)(object))
#ifdef ALLOC_RING_ON_STACK
#define alloc_keep(c, slot, object) ((c).ring[slot] = (object))
#define alloc_kept(c, slot) ((c).ring[slot])
#define alloc_begin(c) check("enter", mmgc_enter((c).t))
#else
#define alloc_keep(c, slot, object) mmgc_store((c).t, (c).ring, &(c).ring[slot], (object))
#define alloc_kept(c, slot) mmgc_load((c).t, &(c).ring[slot])
#define alloc_begin(c) \
    (check("enter", mmgc_enter((c).t)), (c).ring = mmgc_handle_get((c).t, (c).held))
#endif
#define alloc_end(c) mmgc_leave((c).t)
#define alloc_others_ns(c) clock_ns((c).daemon_ns)

static void check(const char *what, int code);
static uint64_t clock_ns(clockid_t clock);
#include "alloc.h"

static void check(const char *what, int code)
{
    if (code == MMGC_OK)
        return;
    fprintf(stderr, "%s: %s %s\n", what, mmgc_strerror(code), mmgc_error_detail());
    exit(2);
}

/* The processor's clock of whoever listens at @path. */
static clockid_t daemon_clock(const char *path)
{
    struct sockaddr_un address = { .sun_family = AF_UNIX };
    struct ucred peer;
    socklen_t length = sizeof peer;
    clockid_t clock;
    int fd = socket(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0);

    snprintf(address.sun_path, sizeof address.sun_path, "%s", path);
    if (fd < 0 || connect(fd, (struct sockaddr *)&address, sizeof address) != 0 ||
        getsockopt(fd, SOL_SOCKET, SO_PEERCRED, &peer, &length) != 0 ||
        clock_getcpuclockid(peer.pid, &clock) != 0)
        alloc_die("who listens at this socket?");
    close(fd);
    return clock;
}

static uint64_t clock_ns(clockid_t clock)
{
    struct timespec ts;
    if (clock_gettime(clock, &ts) != 0)
        alloc_die("the daemon is gone");
    return (uint64_t)ts.tv_sec * UINT64_C(1000000000) + (uint64_t)ts.tv_nsec;
}

#ifdef ALLOC_RING_ON_STACK
static void measure(alloc_ctx c, struct mmgc_heap *heap, const struct alloc_run *run)
{
    void *ring[ALLOC_RING] = { NULL };
    (void)heap;
    c.ring = ring;
    alloc_measure(c, run);
    mmgc_keep(ring);
}
#else
static void measure(alloc_ctx c, struct mmgc_heap *heap, const struct alloc_run *run)
{
    mmgc_type refs;
    check("type", mmgc_type_refs(heap, &refs));
    check("enter", mmgc_enter(c.t));
    void *ring = bench_some(mmgc_new_array(c.t, refs, ALLOC_RING));
    check("handle", mmgc_handle_new(c.t, ring, &c.held));
    mmgc_leave(c.t);
    alloc_measure(c, run);
}
#endif

int main(int argc, char **argv)
{
    if (argc != 7)
        alloc_die("usage: alloc_mmgc SOCKET HEAP HEAP_MIB KIND WARM OBJECTS");
    struct alloc_run run = alloc_run(argv + 4);
    struct mmgc_client *client;
    struct mmgc_heap *heap;
    struct mmgc_heap_info before, after;
    alloc_ctx c = { .daemon_ns = daemon_clock(argv[1]) };
    check("connect", mmgc_connect(argv[1], "alloc", &client));
    struct mmgc_heap_options options = { .create = true, .max_bytes = (uint64_t)atoi(argv[3]) << 20 };
    check("open", mmgc_heap_open(client, argv[2], &options, &heap));
    check("attach", mmgc_attach(heap, NULL, &c.t));
    check("type", mmgc_type_bytes(heap, &c.bytes));
    check("type", run.kind == ALLOC_64 ? MMGC_DEFINE_TYPE(heap, alloc_64, &c.fixed, left, right)
                                       : MMGC_DEFINE_TYPE(heap, alloc_24, &c.fixed, left, right));
    check("info", mmgc_heap_info(heap, &before));

    measure(c, heap, &run);

    check("info", mmgc_heap_info(heap, &after));
    bench_result("collections", (double)(after.collections - before.collections));
    bench_result("pause_ns_per_object",
                 (double)(after.total_pause_ns - before.total_pause_ns) / (double)run.objects);
    mmgc_detach(c.t);
    mmgc_heap_close(heap);
    mmgc_disconnect(client);
    return 0;
}
