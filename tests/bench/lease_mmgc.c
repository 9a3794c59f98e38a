/* SPDX-License-Identifier: Apache-2.0 */
/* What holding costs: a lease taken and given back that nobody else wants, an object found by a strong and by a weak handle.
 * Usage: lease_mmgc SOCKET COUNT */
#include <mmgc/lease.h>

#include "bench.h"

struct node {
    mmgc_ref left, right;
};
static struct mmgc_heap *heap;
static struct mmgc_thread *t;

static void check(const char *what, int code)
{
    if (code == MMGC_OK)
        return;
    fprintf(stderr, "%s: %s %s\n", what, mmgc_strerror(code), mmgc_error_detail());
    exit(2);
}

static void leases(const char *what, struct node *n, enum mmgc_lease_mode mode, int count)
{
    mmgc_lease lease;
    uint64_t begin_ns = bench_now_ns();
    for (int i = 0; i < count; i++) {
        check("lease", mmgc_lease_try(t, n, mode, NULL, &lease));
        check("release", mmgc_lease_release(heap, lease));
    }
    bench_result(what, (double)(bench_now_ns() - begin_ns) / count);
}

static void gets(struct node *n, int count)
{
    mmgc_handle handle;
    mmgc_weak weak;
    check("handle", mmgc_handle_new(t, n, &handle));
    check("weak", mmgc_weak_new(t, n, &weak));
    uint64_t begin_ns = bench_now_ns();
    for (int i = 0; i < count; i++)
        mmgc_keep(mmgc_handle_get(t, handle));
    uint64_t middle_ns = bench_now_ns();
    for (int i = 0; i < count; i++)
        mmgc_keep(mmgc_weak_get(t, weak));
    bench_result("weak_ns", (double)(bench_now_ns() - middle_ns) / count);
    bench_result("strong_ns", (double)(middle_ns - begin_ns) / count);
}

int main(int argc, char **argv)
{
    int count = argc == 3 ? atoi(argv[2]) : 0;
    struct mmgc_heap_options options = { .create = true, .max_bytes = UINT64_C(64) << 20 };
    struct mmgc_client *client;
    mmgc_type type;
    if (count < 1) {
        fputs("usage: lease_mmgc SOCKET COUNT\n", stderr);
        return 2;
    }
    check("connect", mmgc_connect(argv[1], "lease", &client));
    check("open", mmgc_heap_open(client, "lease", &options, &heap));
    check("attach", mmgc_attach(heap, NULL, &t));
    check("type", MMGC_DEFINE_TYPE(heap, node, &type, left, right));
    check("enter", mmgc_enter(t));
    struct node *n = mmgc_new(t, type);
    bench_ready();
    leases("exclusive_ns", n, MMGC_LEASE_EXCLUSIVE, count);
    leases("shared_ns", n, MMGC_LEASE_SHARED, count);
    gets(n, count);
    bench_ended(bench_now_ns());
    mmgc_keep(n);
    mmgc_detach(t);
    mmgc_heap_close(heap);
    mmgc_disconnect(client);
    return 0;
}
