/* SPDX-License-Identifier: Apache-2.0 */
/* Churn on mmgcd: a cache that is full and goes on replacing what it holds, and how long each replacement took.
 * Usage: churn_mmgc SOCKET HEAP HEAP_MIB ENTRIES ACTIVE [KEY=VALUE...]      keys: struct run
 * The same work, object by object and byte by byte, is in peers/Churn.java; keep the two alike.
 *
 *   Table      one array of ENTRIES references, each to an entry of its own
 *   Entry      a reference to its value, a number of 8 bytes: 24 bytes with the header
 *   Value      4 + 8 k bytes, k of 0 to 14, each as likely: 16 to 128 bytes with the header, 72 in the mean
 *   Live       100 bytes an entry with its slot; 2^21 entries are 200 MiB
 *   Operation  two objects are replaced, each of a random entry below ACTIVE: one entry by a new one that takes over number and
 *              value, and the value of another one. So one store goes to the table, one to an entry that is most likely old,
 *              and one to an object just made; 96 bytes become garbage, in the mean
 *   Check      each entry knows its place, and so does its value: at the end all are looked at                             */
#include <mmgc/mmgc.h>

#include "stalls.h"
#include "store.h"

struct entry {
    mmgc_ref value;
    int64_t number;
};
struct world {
    struct mmgc_client *client;
    struct mmgc_heap *heap;
    struct mmgc_thread *t;
    mmgc_type entry, refs, bytes;
    mmgc_ref *table; /* while inside: main()'s stack, where this struct lies, holds it */
    uint32_t entries, active;
    uint64_t random;
};
struct run {           /* it ends when all minima are reached, or the maximum of time is */
    uint64_t warm_ms;  /* of operations that are not counted, before */
    uint64_t warm_ops; /* at least so many of them */
    uint64_t gc_first; /* 1: then everything is collected, so that all of the table is old */
    uint64_t min_ms, max_ms, min_ops, collections;
};
enum { BATCH = 512, VALUE_KINDS = 15 };

static void check(const char *what, int code)
{
    if (code == MMGC_OK)
        return;
    fprintf(stderr, "%s: %s %s\n", what, mmgc_strerror(code), mmgc_error_detail());
    exit(code == MMGC_E_NOMEM ? BENCH_NO_ROOM : 2);
}

static void *checked(struct world *w, void *object)
{
    if (!object)
        check("new", mmgc_thread_error(w->t));
    return object;
}

static uint64_t next_random(struct world *w) /* xorshift64 */
{
    w->random ^= w->random << 13;
    w->random ^= w->random >> 7;
    w->random ^= w->random << 17;
    return w->random;
}

static uint32_t slot_of(uint64_t random, uint32_t bound)
{
    return (uint32_t)(((random >> 32) * bound) >> 32);
}

/* ---- the work ---- */

static void *new_value(struct world *w, uint32_t slot, uint64_t random)
{
    uint32_t length = 4 + 8 * (uint32_t)(((random & 255) * VALUE_KINDS) >> 8);
    unsigned char *value = checked(w, mmgc_new_array(w->t, w->bytes, length));
    value[0] = (unsigned char)slot;
    return value;
}

static void replace_entry(struct world *w, uint32_t slot)
{
    struct entry *fresh = checked(w, mmgc_new(w->t, w->entry));
    struct entry *old = mmgc_load(w->t, &w->table[slot]);
    fresh->number = old->number;
    mmgc_init(w->t, fresh, value, mmgc_get(w->t, old, value));
    bench_store(w->t, w->table, &w->table[slot], fresh);
}

static void replace_value(struct world *w, uint32_t slot, uint64_t random)
{
    void *value = new_value(w, slot, random);
    struct entry *entry = mmgc_load(w->t, &w->table[slot]);
    bench_set(w->t, entry, value, value);
}

static void operate(struct world *w)
{
    uint64_t second;
    replace_entry(w, slot_of(next_random(w), w->active));
    second = next_random(w);
    replace_value(w, slot_of(second, w->active), second);
    mmgc_poll(w->t);
}

static void build(struct world *w)
{
    w->table = checked(w, mmgc_new_array(w->t, w->refs, w->entries));
    for (uint32_t slot = 0; slot < w->entries; slot++) {
        struct entry *entry = checked(w, mmgc_new(w->t, w->entry));
        entry->number = slot;
        bench_store(w->t, w->table, &w->table[slot], entry);
        bench_set(w->t, entry, value, new_value(w, slot, next_random(w)));
    }
}

static void check_table(struct world *w)
{
    for (uint32_t slot = 0; slot < w->entries; slot++) {
        struct entry *entry = mmgc_load(w->t, &w->table[slot]);
        unsigned char *value = entry ? mmgc_get(w->t, entry, value) : NULL;
        if (value && entry->number == slot && value[0] == (unsigned char)slot)
            continue;
        fputs("churn: a collection lost or damaged what the table still held\n", stderr);
        exit(2);
    }
}

/* ---- the run ---- */

static struct mmgc_heap_info heap_info(struct world *w)
{
    struct mmgc_heap_info info;
    check("info", mmgc_heap_info(w->heap, &info));
    return info;
}

static void warm_up(struct world *w, const struct run *run)
{
    uint64_t end_ns = bench_now_ns() + run->warm_ms * 1000000u;
    for (uint64_t ops = 0; ops < run->warm_ops || bench_now_ns() < end_ns; ops += BATCH)
        for (int i = 0; i < BATCH; i++)
            operate(w);
    if (run->gc_first)
        check("gc", mmgc_gc(w->t));
}

static bool over(struct world *w, const struct run *run, const struct stalls *stalls,
                 uint64_t begin_ns, uint64_t collections)
{
    uint64_t took_ns = stalls->last_ns - begin_ns;
    if (run->max_ms > 0 && took_ns >= run->max_ms * 1000000u)
        return true;
    return took_ns >= run->min_ms * 1000000u && stalls->count >= run->min_ops &&
           (run->collections == 0 || heap_info(w).collections - collections >= run->collections);
}

static void measure(struct world *w, const struct run *run)
{
    static struct stalls stalls;
    uint64_t collections = heap_info(w).collections;
    uint64_t cpu_ns = bench_cpu_ns();

    stalls_begin(&stalls);
    uint64_t begin_ns = stalls.last_ns;
    while (!over(w, run, &stalls, begin_ns, collections))
        for (int i = 0; i < BATCH; i++) {
            operate(w);
            stalls_count(&stalls);
        }
    bench_result("ops_per_s", (double)stalls.count * 1e9 / (double)(stalls.last_ns - begin_ns));
    bench_result("ns_per_op", (double)(stalls.last_ns - begin_ns) / (double)stalls.count);
    bench_result("cpu_ns_per_op", (double)(bench_cpu_ns() - cpu_ns) / (double)stalls.count);
    bench_result("collections_before", (double)collections);
    bench_result("collections", (double)(heap_info(w).collections - collections));
    stalls_result(&stalls);
}

static const struct {
    const char *name;
    size_t offset;
} run_keys[] = {
    { "warm_ms", offsetof(struct run, warm_ms) },
    { "warm_ops", offsetof(struct run, warm_ops) },
    { "gc_first", offsetof(struct run, gc_first) },
    { "min_ms", offsetof(struct run, min_ms) },
    { "max_ms", offsetof(struct run, max_ms) },
    { "min_ops", offsetof(struct run, min_ops) },
    { "collections", offsetof(struct run, collections) },
};

static bool set_key(struct run *run, const char *argument)
{
    for (unsigned i = 0; i < sizeof run_keys / sizeof *run_keys; i++) {
        size_t length = strlen(run_keys[i].name);
        if (strncmp(argument, run_keys[i].name, length) != 0 || argument[length] != '=')
            continue;
        *(uint64_t *)(void *)((char *)run + run_keys[i].offset) =
            strtoull(argument + length + 1, NULL, 10);
        return true;
    }
    return false;
}

static struct run parse_run(char **argv)
{
    struct run run = { 0 };
    for (; *argv != NULL; argv++)
        if (!set_key(&run, *argv)) {
            fprintf(stderr, "churn: what is %s?\n", *argv);
            exit(2);
        }
    return run;
}

static void world_open(struct world *w, const char *sock, const char *heap, uint64_t bytes)
{
    struct mmgc_heap_options options = { .create = true, .max_bytes = bytes };
    check("connect", mmgc_connect(sock, "churn", &w->client));
    check("open", mmgc_heap_open(w->client, heap, &options, &w->heap));
    check("attach", mmgc_attach(w->heap, NULL, &w->t));
    check("type", MMGC_DEFINE_TYPE(w->heap, entry, &w->entry, value));
    check("type", mmgc_type_refs(w->heap, &w->refs));
    check("type", mmgc_type_bytes(w->heap, &w->bytes));
}

int main(int argc, char **argv)
{
    struct world w = { .random = UINT64_C(88172645463325252) };
    mmgc_handle kept;
    if (argc < 6) {
        fputs("usage: churn_mmgc SOCKET HEAP HEAP_MIB ENTRIES ACTIVE [KEY=VALUE...]\n", stderr);
        return 2;
    }
    w.entries = (uint32_t)atoi(argv[4]);
    w.active = (uint32_t)atoi(argv[5]);
    struct run run = parse_run(argv + 6);
    if (w.active < 1 || w.active > w.entries || run.min_ms + run.min_ops + run.max_ms == 0) {
        fputs("churn: ACTIVE is 1 to ENTRIES, and the run has an end\n", stderr);
        return 2;
    }
    world_open(&w, argv[1], argv[2], (uint64_t)atoi(argv[3]) << 20);
    check("enter", mmgc_enter(w.t));
    build(&w);
    check("handle", mmgc_handle_new(w.t, w.table, &kept));
    mmgc_leave(w.t);
    bench_ready();

    check("enter", mmgc_enter(w.t));
    w.table = mmgc_handle_get(w.t, kept);
    warm_up(&w, &run);
    measure(&w, &run);
    check_table(&w);
    mmgc_leave(w.t);
    mmgc_detach(w.t);
    mmgc_heap_close(w.heap);
    mmgc_disconnect(w.client);
    return 0;
}
