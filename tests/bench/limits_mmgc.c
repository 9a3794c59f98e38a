/* SPDX-License-Identifier: Apache-2.0 */
/* What one daemon bears: many clients or heaps at once, or as many requests a second as it answers.
 * Usage: limits_mmgc SOCKET clients|heaps|ping|name|grant COUNT
 *   clients  one, and COUNT more of them in this one process, each with its own connections and a thread; then ROUNDS collections
 *   heaps    COUNT, each made, used and left
 *   others   COUNT requests, one after the other: an empty one; a named root looked up; a page run for an object of 20 KiB
 * "ready" comes before the COUNT, and of clients and heaps again when they are all there, so that the driver can look. */
#include <mmgc/mmgc.h>
#include <pthread.h>
#include <sys/resource.h>

#include "bench.h"

struct access {
    struct mmgc_client *client;
    struct mmgc_heap *heap;
    struct mmgc_thread *t;
};
enum { ROUNDS = 50, LARGE_BYTES = 20480 };
static const char *sock;

static void check(const char *what, int code)
{
    if (code == MMGC_OK)
        return;
    fprintf(stderr, "%s: %s %s\n", what, mmgc_strerror(code), mmgc_error_detail());
    exit(2);
}

static struct access access_open(const char *heap, uint64_t mib)
{
    struct mmgc_heap_options options = { .create = true, .max_bytes = mib << 20 };
    struct access a;
    check("connect", mmgc_connect(sock, "limits", &a.client));
    check("open", mmgc_heap_open(a.client, heap, &options, &a.heap));
    check("attach", mmgc_attach(a.heap, NULL, &a.t));
    return a;
}

static void access_close(struct access a)
{
    mmgc_detach(a.t);
    mmgc_heap_close(a.heap);
    mmgc_disconnect(a.client);
}

static void each_us(const char *what, uint64_t begin_ns, int count)
{
    bench_result(what, (double)(bench_now_ns() - begin_ns) / 1e3 / count);
}

/* A thread of its own: to learn the first one's stack the C library reads through all mappings of the process. */
static void *clients(void *count_at)
{
    int count = *(int *)count_at;
    struct access *all = calloc((size_t)count, sizeof *all);
    if (!all)
        exit(2);
    struct access first = access_open("limits", 64);
    bench_ready();
    uint64_t begin_ns = bench_now_ns();
    for (int i = 0; i < count; i++)
        all[i] = access_open("limits", 64);
    uint64_t took_ns = bench_now_ns() - begin_ns;
    for (int i = 0; i < ROUNDS; i++)
        check("gc", mmgc_gc(first.t));
    bench_ready();
    begin_ns = bench_now_ns();
    for (int i = 0; i < count; i++)
        access_close(all[i]);
    each_us("end_us", begin_ns, count);
    bench_result("begin_us", (double)took_ns / 1e3 / count);
    access_close(first);
    free(all);
    return NULL;
}

static void heaps(int count)
{
    bench_ready();
    uint64_t begin_ns = bench_now_ns();
    for (int i = 0; i < count; i++) {
        char name[32];
        mmgc_type bytes;
        snprintf(name, sizeof name, "heap-%d", i);
        struct access a = access_open(name, 4);
        check("type", mmgc_type_bytes(a.heap, &bytes));
        check("enter", mmgc_enter(a.t));
        if (!mmgc_new_array(a.t, bytes, 100))
            check("new", mmgc_thread_error(a.t));
        access_close(a);
    }
    uint64_t took_ns = bench_now_ns() - begin_ns;
    bench_ready();
    bench_result("begin_us", (double)took_ns / 1e3 / count);
}

/* ---- requests ---- */

static void ping(struct access *a, mmgc_type bytes)
{
    (void)bytes;
    check("ping", mmgc_ping(a->client));
}

static void look_up(struct access *a, mmgc_type bytes)
{
    (void)bytes;
    if (!mmgc_name_get(a->t, "root"))
        check("name", mmgc_thread_error(a->t));
}

static void take_pages(struct access *a, mmgc_type bytes)
{
    if (!mmgc_new_array(a->t, bytes, LARGE_BYTES))
        check("new", mmgc_thread_error(a->t));
}

static void requests(void (*request)(struct access *a, mmgc_type bytes), int count)
{
    struct access a = access_open("limits", 1024);
    mmgc_type bytes;
    check("type", mmgc_type_bytes(a.heap, &bytes));
    check("enter", mmgc_enter(a.t));
    check("name", mmgc_name_set(a.t, "root", mmgc_new_array(a.t, bytes, 8)));
    mmgc_leave(a.t);
    bench_ready();
    uint64_t begin_ns = bench_now_ns();
    check("enter", mmgc_enter(a.t));
    for (int i = 0; i < count; i++)
        request(&a, bytes);
    mmgc_leave(a.t);
    uint64_t end_ns = bench_now_ns();
    bench_ended(end_ns);
    bench_result("each_us", (double)(end_ns - begin_ns) / 1e3 / count);
    access_close(a);
}

int main(int argc, char **argv)
{
    int count = argc == 4 ? atoi(argv[3]) : 0;
    if (count < 1) {
        fputs("usage: limits_mmgc SOCKET clients|heaps|ping|name|grant COUNT\n", stderr);
        return 2;
    }
    sock = argv[1];
    struct rlimit files;
    if (getrlimit(RLIMIT_NOFILE, &files) == 0) {
        files.rlim_cur = files.rlim_max; /* a client has four */
        (void)setrlimit(RLIMIT_NOFILE, &files);
    }
    if (strcmp(argv[2], "clients") == 0) {
        pthread_t id;
        if (pthread_create(&id, NULL, clients, &count) != 0 || pthread_join(id, NULL) != 0)
            return 2;
    } else if (strcmp(argv[2], "heaps") == 0)
        heaps(count);
    else if (strcmp(argv[2], "ping") == 0)
        requests(ping, count);
    else if (strcmp(argv[2], "name") == 0)
        requests(look_up, count);
    else
        requests(take_pages, count);
    return 0;
}
