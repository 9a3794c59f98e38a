/* SPDX-License-Identifier: Apache-2.0 */
/* What there is in memory: clients, threads, heaps or a tree, in steps, so that the driver can look between them.
 * Usage: footprint_mmgc SOCKET clients|threads|heaps|tree COUNT      a tree: COUNT levels
 *   Step 0   everything that the figure is not about is there: processes, threads, a heap
 *   Step 1   what it is about is there, too: attached, or made
 *   Step 2   clients and threads: each has made an object, so it has a slab
 * After each step it says "ready" and waits for a line. */
#include <mmgc/mmgc.h>
#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include "bench.h"

struct node { /* 16 bytes, as in GCBench and trace */
    mmgc_ref left, right;
    int64_t number;
};
struct access { /* a way into the heap */
    struct mmgc_client *client;
    struct mmgc_heap *heap;
    struct mmgc_thread *t;
    mmgc_type node;
};
struct steps {          /* parent and children, whether processes or threads */
    _Atomic int asked;  /* [parent] the step to be done */
    _Atomic int done;   /* [child] how many have done it */
};
enum { LAST_STEP = 2, OVER = 3, HEAP_MIB = 64 };
static struct steps *steps;
static const char *sock;

static void check(const char *what, int code)
{
    if (code == MMGC_OK)
        return;
    fprintf(stderr, "%s: %s %s\n", what, mmgc_strerror(code), mmgc_error_detail());
    exit(2);
}

static void access_open(struct access *a, const char *heap)
{
    struct mmgc_heap_options options = { .create = true, .max_bytes = (uint64_t)HEAP_MIB << 20 };
    check("connect", mmgc_connect(sock, "footprint", &a->client));
    check("open", mmgc_heap_open(a->client, heap, &options, &a->heap));
    check("type", MMGC_DEFINE_TYPE(a->heap, node, &a->node, left, right));
}

static void attach(struct access *a)
{
    check("attach", mmgc_attach(a->heap, NULL, &a->t));
}

static void access_close(struct access *a)
{
    mmgc_detach(a->t);
    mmgc_heap_close(a->heap);
    mmgc_disconnect(a->client);
}

static struct node *new_node(struct access *a)
{
    struct node *n = mmgc_new(a->t, a->node);
    if (!n)
        check("new", mmgc_thread_error(a->t));
    return n;
}

static void make_an_object(struct access *a)
{
    check("enter", mmgc_enter(a->t));
    new_node(a)->number = 1;
    mmgc_leave(a->t);
}

/* ---- steps of many ---- */

static void wait_for_step(int step)
{
    while (atomic_load(&steps->asked) < step)
        usleep(20000);
}

static void do_step(int step, int count)
{
    atomic_store(&steps->done, 0);
    atomic_store(&steps->asked, step);
    while (atomic_load(&steps->done) < count) {
        if (waitpid(-1, NULL, WNOHANG) > 0) {
            fputs("a client ended too early\n", stderr);
            exit(2);
        }
        usleep(1000);
    }
    bench_ready();
}

static void take_steps(struct access *a, bool process)
{
    for (int step = 0; step <= LAST_STEP; step++) {
        wait_for_step(step);
        if (step == 1 && process)
            access_open(a, "all");
        if (step == 1)
            attach(a);
        if (step == 2)
            make_an_object(a);
        atomic_fetch_add(&steps->done, 1);
    }
    wait_for_step(OVER);
}

static _Noreturn void child(void)
{
    struct access a;
    prctl(PR_SET_PDEATHSIG, SIGKILL); /* a parent that gave up must not leave us waiting */
    take_steps(&a, true);
    access_close(&a);
    exit(0);
}

static int wait_for_children(int count)
{
    int bad = 0, status;
    for (; count > 0 && wait(&status) > 0; count--)
        bad += status != 0;
    return bad;
}

static int clients(int count)
{
    struct access a;
    for (int i = 0; i < count; i++) {
        pid_t pid = fork();
        if (pid < 0)
            check("fork", MMGC_E_SYSTEM);
        if (pid == 0)
            child();
    }
    access_open(&a, "all"); /* after the forks: nothing of mmgc crosses one */
    attach(&a);
    make_an_object(&a);
    for (int step = 0; step <= LAST_STEP; step++)
        do_step(step, count);
    atomic_store(&steps->asked, OVER);
    int bad = wait_for_children(count);
    access_close(&a);
    return bad;
}

static struct access shared; /* of all threads; each has its own .t */

static void *thread(void *unused)
{
    struct access a = shared;
    take_steps(&a, false);
    mmgc_detach(a.t);
    return unused;
}

static int threads(int count)
{
    pthread_t *ids = calloc((size_t)count, sizeof *ids);
    access_open(&shared, "all");
    attach(&shared);
    make_an_object(&shared);
    for (int i = 0; i < count; i++)
        if (!ids || pthread_create(&ids[i], NULL, thread, NULL) != 0)
            check("thread", MMGC_E_SYSTEM);
    for (int step = 0; step <= LAST_STEP; step++)
        do_step(step, count);
    atomic_store(&steps->asked, OVER);
    for (int i = 0; i < count; i++)
        pthread_join(ids[i], NULL);
    free(ids);
    access_close(&shared);
    return 0;
}

/* ---- heaps, a tree ---- */

static int heaps(int count)
{
    struct mmgc_heap_options options = { .create = true, .max_bytes = (uint64_t)HEAP_MIB << 20 };
    struct mmgc_client *client;
    check("connect", mmgc_connect(sock, "footprint", &client));
    bench_ready();
    for (int i = 0; i < count; i++) {
        struct mmgc_heap *heap;
        char name[32];
        snprintf(name, sizeof name, "heap-%d", i);
        check("open", mmgc_heap_open(client, name, &options, &heap));
        mmgc_heap_close(heap); /* the heap itself stays */
    }
    bench_ready();
    mmgc_disconnect(client);
    return 0;
}

static struct node *make_tree(struct access *a, int levels)
{
    struct node *left = levels > 1 ? make_tree(a, levels - 1) : NULL;
    struct node *right = levels > 1 ? make_tree(a, levels - 1) : NULL;
    struct node *n = new_node(a);
    n->number = levels;
    mmgc_init(a->t, n, left, left);
    mmgc_init(a->t, n, right, right);
    return n;
}

static int64_t count_tree(struct access *a, struct node *n)
{
    return n ? 1 + count_tree(a, mmgc_get(a->t, n, left)) + count_tree(a, mmgc_get(a->t, n, right)) : 0;
}

static int tree(int levels)
{
    int64_t nodes = (INT64_C(1) << levels) - 1;
    struct mmgc_heap_info info;
    struct access a;
    mmgc_handle kept;

    access_open(&a, "tree");
    attach(&a);
    bench_ready();
    check("enter", mmgc_enter(a.t));
    check("handle", mmgc_handle_new(a.t, make_tree(&a, levels), &kept));
    mmgc_leave(a.t);
    check("gc", mmgc_gc(a.t));
    bench_ready();
    check("enter", mmgc_enter(a.t));
    if (count_tree(&a, mmgc_handle_get(a.t, kept)) != nodes) {
        fputs("footprint: a collection lost what a handle holds\n", stderr);
        return 2;
    }
    mmgc_leave(a.t);
    check("info", mmgc_heap_info(a.heap, &info));
    bench_result("objects", (double)nodes);
    bench_result("used_bytes", (double)info.live_bytes);
    access_close(&a);
    return 0;
}

int main(int argc, char **argv)
{
    static const struct {
        const char *name;
        int (*run)(int count);
    } kinds[] = { { "clients", clients }, { "threads", threads }, { "heaps", heaps }, { "tree", tree } };
    int count = argc == 4 ? atoi(argv[3]) : 0;

    steps = mmap(NULL, sizeof *steps, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    if (steps == MAP_FAILED)
        return 2;
    atomic_store(&steps->asked, -1);
    sock = argv[1];
    for (unsigned i = 0; count > 0 && i < sizeof kinds / sizeof *kinds; i++)
        if (strcmp(argv[2], kinds[i].name) == 0)
            return kinds[i].run(count);
    fputs("usage: footprint_mmgc SOCKET clients|threads|heaps|tree COUNT\n", stderr);
    return 2;
}
