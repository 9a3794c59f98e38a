/* SPDX-License-Identifier: Apache-2.0 */
/* Hold on the pools of APR: each request has one, which is cleared at its end; survivors are copied into a pool of their slot first.
 * Usage: hold_apr REQUESTS */
#include <apr_pools.h>
#include <stdint.h>
#include <string.h>

struct hold_node {
    struct hold_node *next;
    int64_t number;
};
static apr_pool_t *request_pool, *slot_pools[64];
static struct hold_node *slots[64];

typedef int hold_ctx; /* nothing */
static void end(uint64_t slot, const struct hold_node *first);
#define hold_begin(c) ((void)(c))
#define hold_end(c, slot, first) end(slot, first)
#define hold_new(c, bytes) apr_palloc(request_pool, bytes)
#define hold_new_node(c) apr_palloc(request_pool, 24)
#define hold_link(c, node, to) ((node)->next = (to))
#define hold_first(c, slot) slots[slot]
#define hold_next(c, node) (node)->next
#include "hold.h"

static void end(uint64_t slot, const struct hold_node *first)
{
    struct hold_node **last = &slots[slot];
    apr_pool_clear(slot_pools[slot]);
    for (; first != NULL; first = first->next, last = &(*last)->next) {
        *last = bench_some(apr_palloc(slot_pools[slot], 24));
        **last = *first;
    }
    *last = NULL;
    apr_pool_clear(request_pool);
}

int main(int argc, char **argv)
{
    if (argc != 2)
        hold_die("usage: hold_apr REQUESTS");
    sizes_draw();
    apr_initialize();
    apr_pool_create(&request_pool, NULL);
    for (int i = 0; i < HOLD_SLOTS; i++)
        apr_pool_create(&slot_pools[i], NULL);
    hold_measure(0, strtoull(argv[1], NULL, 10));
    return 0;
}
