/* SPDX-License-Identifier: Apache-2.0 */
/* Hold on mimalloc: each request has a heap of its own, which is destroyed at its end; survivors are copied out of it first, one by one.
 * Usage: hold_mimalloc heap|free REQUESTS      free: no such heap; each object that does not survive is freed at the end */
#include <mimalloc.h>
#include <stdbool.h>
#include <stdint.h>
#include <string.h>

struct hold_node {
    struct hold_node *next;
    int64_t number;
};
static mi_heap_t *request_heap;
static struct hold_node *slots[64];
static void *made[10000]; /* to be freed */
static uint32_t made_count;
static bool frees;

typedef int hold_ctx; /* nothing */
static void begin(void);
static void end(uint64_t slot, struct hold_node *first);
static inline void *new_bytes(uint32_t bytes)
{
    if (!frees)
        return mi_heap_malloc(request_heap, bytes);
    return made[made_count++] = mi_malloc(bytes);
}
#define hold_begin(c) ((void)(c), begin())
#define hold_end(c, slot, first) end(slot, first)
#define hold_new(c, bytes) new_bytes(bytes)
#define hold_new_node(c) (frees ? mi_malloc(24) : mi_heap_malloc(request_heap, 24))
#define hold_link(c, node, to) ((node)->next = (to))
#define hold_first(c, slot) slots[slot]
#define hold_next(c, node) (node)->next
#include "hold.h"

static void begin(void)
{
    if (!frees)
        request_heap = mi_heap_new();
    made_count = 0;
}

static struct hold_node *copy(const struct hold_node *first)
{
    struct hold_node *copies = NULL, **last = &copies;
    for (; first != NULL; first = first->next, last = &(*last)->next) {
        *last = bench_some(mi_malloc(24));
        **last = *first;
    }
    return copies;
}

static void end(uint64_t slot, struct hold_node *first)
{
    for (struct hold_node *node = slots[slot], *next; node != NULL; node = next) {
        next = node->next;
        mi_free(node);
    }
    slots[slot] = frees ? first : copy(first);
    for (uint32_t i = 0; i < made_count; i++)
        mi_free(made[i]);
    if (!frees)
        mi_heap_destroy(request_heap);
}

int main(int argc, char **argv)
{
    if (argc != 3)
        hold_die("usage: hold_mimalloc heap|free REQUESTS");
    frees = strcmp(argv[1], "free") == 0;
    sizes_draw();
    hold_measure(0, strtoull(argv[2], NULL, 10));
    return 0;
}
