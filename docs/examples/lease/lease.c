/* SPDX-License-Identifier: Apache-2.0 */
/* lease: processes that add to one counter without losing any, and one that reads it where it is. Usage: lease [SOCKET [PROCESSES [ROUNDS]]]
 *   Each adds in two steps, with the object leased for itself; it is outside meanwhile, so collections go on, and its address stays. */
#include <mmgc/lease.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/wait.h>
#include <unistd.h>

#define SECOND UINT64_C(1000000000)

struct counter {
    uint64_t value;
};
struct access {
    struct mmgc_client *client;
    struct mmgc_heap *heap;
    struct mmgc_thread *t;
    mmgc_type type;
};

static void must(const char *what, int code)
{
    if (code == MMGC_OK)
        return;
    fprintf(stderr, "lease: %s: %s %s\n", what, mmgc_strerror(code), mmgc_error_detail());
    exit(1);
}

static void begin(struct access *a, const char *socket)
{
    struct mmgc_heap_options options = { .create = true, .max_bytes = UINT64_C(16) << 20 };

    must("connect", mmgc_connect(socket, "lease", &a->client));
    must("open", mmgc_heap_open(a->client, "lease", &options, &a->heap));
    must("attach", mmgc_attach(a->heap, NULL, &a->t));
    must("type", MMGC_DEFINE_LEAF(a->heap, counter, &a->type));
    must("enter", mmgc_enter(a->t));
}

static void end(struct access *a)
{
    mmgc_detach(a->t);
    mmgc_heap_close(a->heap);
    mmgc_disconnect(a->client);
}

/* The one counter, whoever was first to make it. */
static void *counter_find(struct access *a)
{
    void *found, *mine = mmgc_new(a->t, a->type);

    if (mine == NULL)
        must("new", mmgc_thread_error(a->t));
    must("claim", mmgc_name_claim(a->t, "counter", mine, &found));
    return found;
}

static void add(struct access *a, void *object)
{
    mmgc_lease lease;

    must("take", mmgc_lease_take(a->t, object, MMGC_LEASE_EXCLUSIVE, "adding", 60 * SECOND, &lease));
    struct counter *counter = mmgc_lease_object(a->heap, lease);
    mmgc_leave(a->t);
    uint64_t was = counter->value;
    if (was % 64 == 0)
        usleep(1000);                        /* as if it took long */
    counter->value = was + 1;
    must("release", mmgc_lease_release(a->heap, lease));
    must("enter", mmgc_enter(a->t));
}

static void work(const char *socket, int rounds)
{
    struct access a;

    begin(&a, socket);
    for (int i = 0; i < rounds; i++)
        add(&a, counter_find(&a));
    end(&a);
}

int main(int argc, char **argv)
{
    const char *socket = argc > 1 ? argv[1] : NULL;
    int processes = argc > 2 ? atoi(argv[2]) : 4, rounds = argc > 3 ? atoi(argv[3]) : 500, status, failed = 0;
    struct access a;
    mmgc_lease lease;

    for (int i = 0; i < processes; i++)
        if (fork() == 0) {                   /* before anything of mmgc's: that does not cross a fork */
            work(socket, rounds);
            return 0;
        }
    while (wait(&status) > 0)
        failed += status != 0;
    begin(&a, socket);
    must("take", mmgc_lease_take(a.t, counter_find(&a), MMGC_LEASE_SHARED, "reading", SECOND, &lease));
    printf("%llu\n", (unsigned long long)((struct counter *)mmgc_lease_object(a.heap, lease))->value);
    must("release", mmgc_lease_release(a.heap, lease));
    end(&a);
    return failed != 0;
}
