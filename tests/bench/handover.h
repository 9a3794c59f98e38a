/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/* handover.h: the graph that one process builds and another one uses, and the order in which the two go about it. C and C++.
 *   Graph   a balanced search tree of N nodes: two references, a key of 8 bytes, a value of 8 bytes. Node I is the I-th by key.
 *           All make it top down, each node before its left side, that one before its right side
 *   A       the parent: builds the graph and publishes it, then serves for as long as B asks
 *   B       forked before A opens anything: joins, asks for the graph, walks it, asks again and again, and reports to A
 *   Asked   is from nothing but a name in hand to the key of the root's left child: B has followed a first reference
 *   Check   the key of that child each time, and the sum over all nodes of each walk: status 2 if one of them is wrong       */
#include <sys/wait.h>
#include <unistd.h>

#include "bench.h"

/* How one contender does it. What fails ends the program with status 2. */
struct handover_way {
    void (*open)(void);            /* A: all that comes before the first node; not counted */
    void (*build)(uint32_t nodes); /* A: the graph, and what else must be done before B may ask */
    void (*serve)(void);           /* A: until B has what it wants; NULL: it takes nothing of A */
    void (*join)(void);            /* B: from nothing to where it may ask */
    void *(*ask)(void);            /* B: the root, ready to use */
    uint64_t (*peek)(void *root);  /* B: the key of the root's left child */
    uint64_t (*walk)(void *root);  /* B: the sum over all nodes of key ^ value */
    void (*drop)(void *root);      /* B: ends its use of this graph; not counted; may be NULL */
};

enum {
    HANDOVER_ASKS_MIN = 3,
    HANDOVER_ASKS_MAX = 2000,
    HANDOVER_ASKS_MS = 250, /* no further ask is begun after, but for the minimum */
};

struct handover_times {
    uint64_t join_ns, first_ns, again_ns, walk_first_ns, walk_again_ns;
};

static inline void handover_die(const char *why)
{
    fprintf(stderr, "handover: %s\n", why);
    exit(2);
}

/* ---- the graph ---- */

static inline uint64_t handover_value(uint32_t i)
{
    uint64_t x = (i + UINT64_C(1)) * UINT64_C(0x9e3779b97f4a7c15);
    return x ^ x >> 29;
}

static inline uint64_t handover_key(uint32_t i)
{
    return (uint64_t)i << 20 | (handover_value(i) & 0xfffff);
}

/* The node at the top of a tree of the nodes from @low to below @high, of which there is one at least. */
static inline uint32_t handover_middle(uint32_t low, uint32_t high)
{
    return low + (high - low) / 2;
}

static inline uint64_t handover_sum(uint32_t nodes)
{
    uint64_t sum = 0;
    for (uint32_t i = 0; i < nodes; i++)
        sum += handover_key(i) ^ handover_value(i);
    return sum;
}

/* ---- B ---- */

static inline int handover_by_size(const void *a, const void *b)
{
    uint64_t x = *(const uint64_t *)a, y = *(const uint64_t *)b;
    return (x > y) - (x < y);
}

static inline void *handover_ask(const struct handover_way *way, uint32_t nodes, uint64_t *ret_ns)
{
    uint64_t begin_ns = bench_now_ns();
    void *root = way->ask();
    uint64_t key = way->peek(root);
    *ret_ns = bench_now_ns() - begin_ns;
    if (key != handover_key(handover_middle(0, handover_middle(0, nodes))))
        handover_die("the root's left child is another one");
    return root;
}

static inline uint64_t handover_walk(const struct handover_way *way, void *root, uint64_t expected)
{
    uint64_t begin_ns = bench_now_ns();
    uint64_t sum = way->walk(root);
    uint64_t took_ns = bench_now_ns() - begin_ns;
    if (sum != expected)
        handover_die("the sum is wrong: the graph is not what was built");
    return took_ns;
}

static inline void handover_drop(const struct handover_way *way, void *root)
{
    if (way->drop)
        way->drop(root);
}

/* The median of many. */
static inline uint64_t handover_ask_again(const struct handover_way *way, uint32_t nodes)
{
    static uint64_t ns[HANDOVER_ASKS_MAX];
    uint64_t end_ns = bench_now_ns() + HANDOVER_ASKS_MS * UINT64_C(1000000);
    int count = 0;
    while (count < HANDOVER_ASKS_MIN || (count < HANDOVER_ASKS_MAX && bench_now_ns() < end_ns))
        handover_drop(way, handover_ask(way, nodes, &ns[count++]));
    qsort(ns, (size_t)count, sizeof ns[0], handover_by_size);
    return ns[count / 2];
}

static inline struct handover_times handover_use(const struct handover_way *way, uint32_t nodes,
                                                 uint64_t expected)
{
    struct handover_times t;
    uint64_t begin_ns = bench_now_ns();
    way->join();
    t.join_ns = bench_now_ns() - begin_ns;
    void *root = handover_ask(way, nodes, &t.first_ns);
    t.walk_first_ns = handover_walk(way, root, expected);
    t.walk_again_ns = handover_walk(way, root, expected);
    handover_drop(way, root);
    t.again_ns = handover_ask_again(way, nodes);
    return t;
}

/* ---- both ---- */

static inline void handover_results(const struct handover_times *t, uint64_t build_ns, uint32_t nodes)
{
    bench_result("build_ns", (double)build_ns);
    bench_result("join_ns", (double)t->join_ns);
    bench_result("first_ns", (double)t->first_ns);
    bench_result("again_ns", (double)t->again_ns);
    bench_result("walk_first_ns", (double)t->walk_first_ns);
    bench_result("walk_again_ns", (double)t->walk_again_ns);
    bench_result("nodes", (double)nodes);
}

/* B's life. @begin says one byte when the graph is there, and its end if there will be none. */
static inline void handover_be_b(const struct handover_way *way, uint32_t nodes, int begin, int report)
{
    char byte;
    uint64_t expected = handover_sum(nodes);
    if (read(begin, &byte, 1) != 1)
        _exit(2);
    struct handover_times times = handover_use(way, nodes, expected);
    _exit(write(report, &times, sizeof times) == (ssize_t)sizeof times ? 0 : 2);
}

/* A's life. Whoever called has opened nothing that B must not have. */
static inline int handover_run(const struct handover_way *way, uint32_t nodes)
{
    int begin[2], report[2], status = 0;
    struct handover_times times;
    if (nodes < 2)
        handover_die("there must be two nodes at least");
    if (pipe(begin) < 0 || pipe(report) < 0)
        handover_die("no pipe");
    pid_t b = fork();
    if (b < 0)
        handover_die("no second process");
    if (b == 0) {
        close(begin[1]);
        handover_be_b(way, nodes, begin[0], report[1]);
    }
    close(report[1]);
    way->open();
    bench_ready();
    uint64_t begin_ns = bench_now_ns();
    way->build(nodes);
    uint64_t build_ns = bench_now_ns() - begin_ns;
    if (write(begin[1], "", 1) != 1)
        handover_die("the second process has gone");
    if (way->serve)
        way->serve();
    ssize_t got = read(report[0], &times, sizeof times);
    waitpid(b, &status, 0);
    if (got != (ssize_t)sizeof times || status != 0)
        handover_die("the second process failed");
    handover_results(&times, build_ns, nodes);
    return 0;
}
