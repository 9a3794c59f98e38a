/* SPDX-License-Identifier: Apache-2.0 */
/* What memory costs a thread beside bumping through it, and how long it waits where it has to.
 * Usage: slab_mmgc own HEAP_MIB BATCHES | refill SOCKET HEAP HEAP_MIB BATCHES | wait SOCKET HEAP ROUNDS
 *
 *   Batch     objects of 24 bytes, 4 KiB of them, that die at once; the clock is read between two. The usual batch, the median, bumps through
 *             memory that was granted before: the share of refilling is what all batches take beyond as many usual ones
 *   Long      a batch that is long is looked into, off the clock. If the world stood still in it, or the thread was kept from its
 *             processor without having waited for anything, it counts with what the processor did in it; if it waited, with all of it
 *   own       the same bump through memory of the program's own, as much of it, where nothing is refilled: what it shows is the machine's doing
 *   wait      the first object of a thread, which has no memory yet: it asks, waits, and asks for the slab after that. Attaching is not in
 *             it, nor are collections: there is one before the heap has filled so far that it asks for one itself               */
#include <mmgc/mmgc.h>
#include <sys/mman.h>
#include <sys/resource.h>

#include "batches.h"

struct cell {
    mmgc_ref left, right;
    int64_t number;
};
enum { LONG_NS = 5000, ZERO_AHEAD_BYTES = 2048, WARM_PART = 4, GC_EVERY = 100 };

struct bump {
    char *cursor, *limit, *end, *start;
};

static void check(const char *what, int code)
{
    if (code == MMGC_OK)
        return;
    fprintf(stderr, "%s: %s %s\n", what, mmgc_strerror(code), mmgc_error_detail());
    exit(code == MMGC_E_NOMEM ? BENCH_NO_ROOM : 2);
}

/* ---- looking into long batches ---- */

static uint64_t clock_ns(clockid_t clock)
{
    struct timespec ts;
    clock_gettime(clock, &ts);
    return (uint64_t)ts.tv_sec * UINT64_C(1000000000) + (uint64_t)ts.tv_nsec;
}

static struct reading read_all(struct mmgc_heap *heap)
{
    struct mmgc_heap_info info = { 0 };
    struct rusage usage;
    if (heap != NULL)
        check("info", mmgc_heap_info(heap, &info));
    getrusage(RUSAGE_THREAD, &usage);
    return (struct reading){ clock_ns(CLOCK_THREAD_CPUTIME_ID), info.total_pause_ns,
                             (uint64_t)usage.ru_nvcsw };
}

/* A batch has ended at @now_ns. Returns when the next one begins. */
static uint64_t batch_ended(struct batches *b, uint64_t i, uint64_t now_ns, struct mmgc_heap *heap)
{
    uint64_t took_ns = now_ns - b->begin_ns;

    if (took_ns < LONG_NS) {
        b->short_ns += took_ns;
        batch_took(b, i, took_ns);
        return now_ns;
    }
    struct reading now = read_all(heap);
    uint64_t cpu_ns = now.cpu_ns - b->last.cpu_ns;
    cpu_ns = cpu_ns > b->short_ns ? cpu_ns - b->short_ns
                                  : 0; /* short ones were on the processor all the time */
    if (now.pause_ns == b->last.pause_ns && now.switches != b->last.switches) {
        b->waits++;
        b->waited_ns += took_ns;
    } else if (cpu_ns < took_ns)
        took_ns = cpu_ns;
    batch_took(b, i, took_ns);
    b->last = read_all(heap);
    b->short_ns = 0;
    return bench_now_ns();
}

static void batches_begin(struct batches *b, struct mmgc_heap *heap)
{
    b->last = read_all(heap);
    b->begin_ns = bench_now_ns();
}

/* ---- refill ---- */

static void make_batch(struct mmgc_thread *t, mmgc_type type, uint64_t number)
{
    for (int i = 0; i < BATCH_CELLS; i++) {
        struct cell *cell = mmgc_new(t, type);
        if (cell == NULL)
            check("new", mmgc_thread_error(t));
        cell->number = (int64_t)number + i;
        mmgc_keep(cell);
    }
}

static void refill(struct mmgc_thread *t, struct mmgc_heap *heap, mmgc_type type, struct batches *b)
{
    batches_begin(b, heap);
    for (uint64_t i = 0; i < b->count; i++) {
        make_batch(t, type, i);
        b->begin_ns = batch_ended(b, i, bench_now_ns(), heap);
    }
}

static struct mmgc_heap *heap_open(const char *sock, const char *name, uint64_t bytes,
                                   struct mmgc_client **ret_client)
{
    struct mmgc_heap_options options = { .create = true, .max_bytes = bytes };
    struct mmgc_heap *heap;
    check("connect", mmgc_connect(sock, "slab", ret_client));
    check("open", mmgc_heap_open(*ret_client, name, &options, &heap));
    return heap;
}

static void run_refill(char **argv)
{
    struct mmgc_client *client;
    struct mmgc_heap *heap = heap_open(argv[0], argv[1], (uint64_t)atoi(argv[2]) << 20, &client);
    struct mmgc_thread *t;
    mmgc_type type;
    struct mmgc_heap_info info, before;
    struct batches b = batches_new(strtoull(argv[3], NULL, 10));
    check("attach", mmgc_attach(heap, NULL, &t));
    check("type", MMGC_DEFINE_TYPE(heap, cell, &type, left, right));
    check("enter", mmgc_enter(t));
    struct batches warm = { .took_ns = b.took_ns, .count = b.count / WARM_PART };
    refill(t, heap, type, &warm); /* memory is committed once, not at each slab */
    mmgc_leave(t);
    check("info", mmgc_heap_info(heap, &before));
    bench_ready();

    check("enter", mmgc_enter(t));
    refill(t, heap, type, &b);
    mmgc_leave(t);
    check("info", mmgc_heap_info(heap, &info));
    batches_result(&b);
    bench_result("collections", (double)(info.collections - before.collections));
    bench_result("pause_ns", (double)(info.total_pause_ns - before.total_pause_ns));
    bench_result("granted_mib", (double)((info.granted_bytes - before.granted_bytes) >> 20));
    mmgc_detach(t);
    mmgc_heap_close(heap);
    mmgc_disconnect(client);
}

/* ---- own: the client's bump, without the daemon ---- */

static __attribute__((noinline)) char *own_slow(struct bump *bump)
{
    if (bump->cursor + CELL_BYTES > bump->end)
        bump->cursor = bump->limit = bump->start;
    char *to = bump->cursor + CELL_BYTES + ZERO_AHEAD_BYTES;
    to = to < bump->end ? to : bump->end;
    memset(bump->limit, 0, (size_t)(to - bump->limit));
    bump->limit = to;
    bump->cursor += CELL_BYTES;
    return bump->cursor - CELL_BYTES;
}

static inline char *own_new(struct bump *bump)
{
    char *p = bump->cursor;
    if (CELL_BYTES > bump->limit - p)
        p = own_slow(bump);
    else
        bump->cursor = p + CELL_BYTES;
    return mmgc_launder_(p);
}

static void own(struct bump *bump, struct batches *b)
{
    batches_begin(b, NULL);
    for (uint64_t i = 0; i < b->count; i++) {
        for (uint64_t k = 0; k < BATCH_CELLS; k++) {
            uint64_t *cell = (uint64_t *)(void *)own_new(bump);
            cell[0] = 1;
            cell[2] = i + k;
            mmgc_keep(cell);
        }
        b->begin_ns = batch_ended(b, i, bench_now_ns(), NULL);
    }
}

static void run_own(char **argv)
{
    size_t bytes = (size_t)atoi(argv[0]) << 20;
    struct batches b = batches_new(strtoull(argv[1], NULL, 10));
    struct bump bump = { .start = mmap(NULL, bytes, PROT_READ | PROT_WRITE,
                                       MAP_PRIVATE | MAP_ANONYMOUS, -1, 0) };
    if (bump.start == MAP_FAILED)
        die("no memory");
    (void)madvise(bump.start, bytes, MADV_HUGEPAGE);
    memset(bump.start, 1, bytes);
    bump.cursor = bump.limit = bump.start;
    bump.end = bump.start + bytes;
    bench_ready();

    own(&bump, &b);
    batches_result(&b);
}

/* ---- wait ---- */

static uint64_t first_object_ns(struct mmgc_heap *heap, mmgc_type type)
{
    struct mmgc_thread *t;
    check("attach", mmgc_attach(heap, NULL, &t));
    check("enter", mmgc_enter(t));
    uint64_t begin_ns = bench_now_ns();
    struct cell *cell = mmgc_new(t, type);
    uint64_t took_ns = bench_now_ns() - begin_ns;
    if (cell == NULL)
        check("new", mmgc_thread_error(t));
    cell->number = 1;
    mmgc_leave(t);
    mmgc_detach(t);
    return took_ns;
}

static uint64_t ping_ns(struct mmgc_client *client)
{
    uint64_t begin_ns = bench_now_ns();
    check("ping", mmgc_ping(client));
    return bench_now_ns() - begin_ns;
}

static void collect(struct mmgc_heap *heap)
{
    struct mmgc_thread *t;
    check("attach", mmgc_attach(heap, NULL, &t));
    check("gc", mmgc_gc(t));
    mmgc_detach(t);
}

static void make_trips(struct mmgc_client *client, struct mmgc_heap *heap, mmgc_type type,
                       struct batches *grants, struct batches *pings)
{
    for (uint64_t i = 0; i < grants->count; i++) {
        if (i % GC_EVERY == 0)
            collect(heap);
        batch_took(grants, i, first_object_ns(heap, type));
        batch_took(pings, i, ping_ns(client));
    }
}

static void trips_result(struct batches *b, const char *p50, const char *p99)
{
    qsort(b->took_ns, b->count, sizeof(uint32_t), by_value);
    bench_result(p50, share_of(b->took_ns, b->count, 0.5));
    bench_result(p99, share_of(b->took_ns, b->count, 0.99));
}

static void run_wait(char **argv)
{
    struct mmgc_client *client;
    struct mmgc_heap *heap = heap_open(argv[0], argv[1], UINT64_C(256) << 20, &client);
    mmgc_type type;
    struct mmgc_heap_info info;
    uint64_t rounds = strtoull(argv[2], NULL, 10);
    struct batches grants = batches_new(rounds), pings = batches_new(rounds);
    check("type", MMGC_DEFINE_TYPE(heap, cell, &type, left, right));
    grants.count = 3 * GC_EVERY < rounds ? 3 * GC_EVERY : rounds;
    make_trips(client, heap, type, &grants, &pings); /* memory is committed */
    grants.count = rounds;
    bench_ready();

    make_trips(client, heap, type, &grants, &pings);
    trips_result(&grants, "trip_p50", "trip_p99");
    trips_result(&pings, "ping_p50", "ping_p99");
    check("info", mmgc_heap_info(heap, &info));
    bench_result("collections", (double)info.collections);
    mmgc_heap_close(heap);
    mmgc_disconnect(client);
}

int main(int argc, char **argv)
{
    static const struct {
        const char *name;
        int arguments;
        void (*run)(char **argv);
    } modes[] = { { "own", 2, run_own }, { "refill", 4, run_refill }, { "wait", 3, run_wait } };

    for (unsigned i = 0; i < sizeof modes / sizeof *modes; i++)
        if (argc == modes[i].arguments + 2 && strcmp(argv[1], modes[i].name) == 0) {
            modes[i].run(argv + 2);
            return 0;
        }
    die("usage: slab_mmgc own HEAP_MIB BATCHES | refill SOCKET HEAP HEAP_MIB BATCHES | wait SOCKET HEAP ROUNDS");
}
