/* SPDX-License-Identifier: Apache-2.0 */
/* Graphs to be traced, on mmgcd: built once, held by one handle, then collected again and again from outside.
 * Usage: trace_mmgc SOCKET HEAP HEAP_MIB tree|table|list|array SIZE COLLECTIONS
 * The same graphs, object by object and byte by byte, are in peers/Trace.java; keep the two alike. */
#include <mmgc/mmgc.h>

#include "bench.h"

struct node { /* 24 bytes with its header, like all here but a link */
    mmgc_ref left, right;
    int64_t value;
};
struct entry {
    mmgc_ref next, value;
    int32_t hash;
};
struct pair {
    int64_t key, value;
};
struct link { /* 16 bytes */
    mmgc_ref next;
    int32_t value;
};
struct world {
    struct mmgc_client *client;
    struct mmgc_heap *heap;
    struct mmgc_thread *t;
    mmgc_type node, entry, pair, link, refs;
};
struct graph {
    const char *name;
    void *(*build)(struct world *w, uint32_t size); /* returns the root */
    uint64_t (*objects)(uint64_t size);
    uint64_t (*visits)(uint64_t size); /* what a trace is counted in */
    int64_t (*walk)(struct world *w, void *root); /* NULL: it is not walked by the program */
};

static void check(const char *what, int code)
{
    if (code == MMGC_OK)
        return;
    fprintf(stderr, "%s: %s %s\n", what, mmgc_strerror(code), mmgc_error_detail());
    exit(2);
}

static void *checked(struct world *w, void *object)
{
    if (!object)
        check("new", mmgc_thread_error(w->t));
    return object;
}

#define NEW(w, type) ((struct type *)checked((w), mmgc_new((w)->t, (w)->type)))
#define NEW_REFS(w, length) ((mmgc_ref *)checked((w), mmgc_new_array((w)->t, (w)->refs, (length))))

/* ---- the graphs ---- */

static struct node *new_tree(struct world *w, unsigned depth) /* depth-first: parent, left, right */
{
    struct node *n = NEW(w, node);
    if (depth > 1) {
        mmgc_set(w->t, n, left, new_tree(w, depth - 1));
        mmgc_set(w->t, n, right, new_tree(w, depth - 1));
    }
    return n;
}

static void *build_tree(struct world *w, uint32_t depth)
{
    return new_tree(w, depth);
}

static int64_t walk_tree(struct world *w, void *root) /* in the order of its making */
{
    struct node *n = root;
    return n == NULL ? 0
                     : n->value + walk_tree(w, mmgc_get(w->t, n, left)) + walk_tree(w, mmgc_get(w->t, n, right));
}

static uint64_t tree_objects(uint64_t depth)
{
    return (UINT64_C(1) << depth) - 1;
}

static uint32_t random_below(uint64_t *state, uint32_t bound) /* xorshift64 */
{
    *state ^= *state << 13;
    *state ^= *state >> 7;
    *state ^= *state << 17;
    return (uint32_t)((*state >> 33) % bound);
}

static void swap(mmgc_ref *a, mmgc_ref *b)
{
    mmgc_ref kept = *a;
    *a = *b;
    *b = kept;
}

/* Slot, entry and value once lay in one order; two shuffles of the references leave each where chance has it. */
static void *build_table(struct world *w, uint32_t size)
{
    uint64_t seed = 88172645463325252u;
    mmgc_ref *slots = NEW_REFS(w, size);
    for (uint32_t i = 0; i < size; i++) {
        struct entry *e = NEW(w, entry);
        e->hash = (int32_t)i;
        mmgc_store(w->t, slots, &slots[i], e);
        mmgc_set(w->t, e, value, NEW(w, pair));
    }
    for (uint32_t i = size - 1; i > 0; i--)
        swap(&slots[i], &slots[random_below(&seed, i + 1)]);
    for (uint32_t i = size - 1; i > 0; i--) {
        struct entry *a = mmgc_load(w->t, &slots[i]);
        struct entry *b = mmgc_load(w->t, &slots[random_below(&seed, i + 1)]);
        swap(&a->value, &b->value);
    }
    return slots;
}

static uint64_t table_objects(uint64_t size)
{
    return 2 * size + 1;
}

static void *build_list(struct world *w, uint32_t size)
{
    struct link *head = NEW(w, link), *last = head;
    for (uint32_t i = 1; i < size; i++) {
        struct link *next = NEW(w, link);
        next->value = (int32_t)i;
        mmgc_set(w->t, last, next, next);
        last = next;
    }
    return head;
}

static uint64_t one_each(uint64_t size)
{
    return size;
}

enum { ARRAY_STEP = 64, ARRAY_TARGETS = 1000 };

/* Null but for every 64th, which takes one of 1000 objects in turn; the first thousand of those hold all objects. */
static void *build_array(struct world *w, uint32_t size)
{
    mmgc_ref *refs = NEW_REFS(w, size);
    for (uint32_t i = 0; i < size; i += ARRAY_STEP) {
        uint32_t k = i / ARRAY_STEP;
        if (k < ARRAY_TARGETS)
            mmgc_store(w->t, refs, &refs[i], NEW(w, pair));
        else
            refs[i] = refs[(size_t)(k % ARRAY_TARGETS) * ARRAY_STEP];
    }
    return refs;
}

static uint64_t array_objects(uint64_t size)
{
    uint64_t targets = (size + ARRAY_STEP - 1) / ARRAY_STEP;
    return 1 + (targets < ARRAY_TARGETS ? targets : ARRAY_TARGETS);
}

static const struct graph graphs[] = {
    { "tree", build_tree, tree_objects, tree_objects, walk_tree },
    { "table", build_table, table_objects, table_objects, NULL },
    { "list", build_list, one_each, one_each, NULL },
    { "array", build_array, array_objects, one_each, NULL },
};

/* ---- the measurement ---- */

static const struct graph *find_graph(const char *name)
{
    for (size_t i = 0; i < sizeof graphs / sizeof *graphs; i++)
        if (strcmp(graphs[i].name, name) == 0)
            return &graphs[i];
    fprintf(stderr, "no graph is called %s\n", name);
    exit(2);
}

static void world_open(struct world *w, const char *sock, const char *heap, uint64_t bytes)
{
    struct mmgc_heap_options options = { .create = true, .max_bytes = bytes };
    check("connect", mmgc_connect(sock, "trace", &w->client));
    check("open", mmgc_heap_open(w->client, heap, &options, &w->heap));
    check("attach", mmgc_attach(w->heap, NULL, &w->t));
    check("type", MMGC_DEFINE_TYPE(w->heap, node, &w->node, left, right));
    check("type", MMGC_DEFINE_TYPE(w->heap, entry, &w->entry, next, value));
    check("type", MMGC_DEFINE_LEAF(w->heap, pair, &w->pair));
    check("type", MMGC_DEFINE_TYPE(w->heap, link, &w->link, next));
    check("type", mmgc_type_refs(w->heap, &w->refs));
}

/* Collects and says how long the world stood still, and whether all that lives was found and nothing else. */
static void collect(struct world *w, int number, uint64_t objects)
{
    struct mmgc_heap_info info;
    char name[32];
    check("gc", mmgc_gc(w->t));
    check("info", mmgc_heap_info(w->heap, &info));
    if (info.live_objects != objects) {
        fprintf(stderr, "%llu objects live, the collection found %llu\n",
                (unsigned long long)objects, (unsigned long long)info.live_objects);
        exit(2);
    }
    snprintf(name, sizeof name, "pause_%d", number);
    bench_result(name, (double)info.last_pause_ns);
}

/* Nanoseconds an object that a walk by the program takes, the best of some. */
static void walk(struct world *w, const struct graph *graph, mmgc_handle root, const char *name, uint64_t objects)
{
    double best_ns = 0;

    for (int i = 0; graph->walk != NULL && i < 5; i++) {
        check("enter", mmgc_enter(w->t));
        uint64_t start_ns = bench_now_ns();
        volatile int64_t sum = graph->walk(w, mmgc_handle_get(w->t, root));
        double ns = (double)(bench_now_ns() - start_ns) / (double)objects;
        (void)sum;
        mmgc_leave(w->t);
        best_ns = i == 0 || ns < best_ns ? ns : best_ns;
    }
    if (graph->walk != NULL)
        bench_result(name, best_ns);
}

int main(int argc, char **argv)
{
    if (argc != 7) {
        fputs("usage: trace_mmgc SOCKET HEAP HEAP_MIB tree|table|list|array SIZE COLLECTIONS\n", stderr);
        return 2;
    }
    const struct graph *graph = find_graph(argv[4]);
    uint32_t size = (uint32_t)atoi(argv[5]);
    int collections = atoi(argv[6]);
    struct world w;
    mmgc_handle root;
    world_open(&w, argv[1], argv[2], (uint64_t)atoi(argv[3]) << 20);
    check("enter", mmgc_enter(w.t));
    check("handle", mmgc_handle_new(w.t, graph->build(&w, size), &root));
    mmgc_leave(w.t);
    bench_ready();

    bench_result("visits", (double)graph->visits(size));
    walk(&w, graph, root, "walk_fresh", graph->objects(size));
    for (int i = 0; i < collections; i++)
        collect(&w, i, graph->objects(size));
    walk(&w, graph, root, "walk_collected", graph->objects(size));
    mmgc_detach(w.t);
    mmgc_heap_close(w.heap);
    mmgc_disconnect(w.client);
    return 0;
}
