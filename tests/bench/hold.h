/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/* Hold: requests. Each makes 10^4 objects of mixed sizes, of which one in a hundred is still there when it has ended.
 *   One text  every allocator runs these very lines; the includer says before it includes this:
 *       hold_ctx                       what the allocator needs with each call; by value
 *       struct hold_node               begins with a reference of its own kind, `next`, and has a number
 *       hold_begin(c), hold_end(c, slot, first)   around a request; its survivors, from @first on, take the place of those in @slot
 *       hold_new(c, bytes)             an object of @bytes in all, a multiple of 8, or NULL: it is gone with the request
 *       hold_new_node(c)               one that survives, or NULL
 *       hold_link(c, node, next)       node->next = next, of a new node
 *       hold_first(c, slot), hold_next(c, node)   what is in @slot
 *   Sizes     sizes.h, as the bench alloc
 *   Survivors a chain of 100 nodes of a request, which takes the place of that of 64 requests before */
#include "bench.h"
#include "sizes.h"

enum { HOLD_OBJECTS = 10000, HOLD_EVERY = 100, HOLD_SLOTS = 64 };

static __attribute__((noreturn)) void hold_die(const char *why)
{
    fprintf(stderr, "hold: %s\n", why);
    exit(2);
}

static void hold_request(hold_ctx c, uint64_t number)
{
    struct hold_node *first = NULL;
    hold_begin(c);
    for (uint32_t i = 0; i < HOLD_OBJECTS; i++) {
        uint32_t bytes = sizes[(number * 17 + i) % SIZES];
        if (i % HOLD_EVERY == 0) {
            struct hold_node *node = (struct hold_node *)bench_some(hold_new_node(c));
            hold_link(c, node, first);
            node->number = (int64_t)(number + i);
            first = node;
        } else {
            uint64_t *object = (uint64_t *)bench_some(hold_new(c, bytes));
            *object = i;
            __asm__ volatile("" : : "r"(object) : "memory");
        }
    }
    hold_end(c, number % HOLD_SLOTS, first);
}

/* What the last request left is what it was meant to. */
static void hold_check(hold_ctx c, uint64_t number)
{
    struct hold_node *node = (struct hold_node *)hold_first(c, number % HOLD_SLOTS);
    for (uint32_t i = HOLD_OBJECTS; i > 0; node = (struct hold_node *)hold_next(c, node)) {
        i -= HOLD_EVERY;
        if (node == NULL || node->number != (int64_t)(number + i))
            hold_die("a survivor is not what was written into it");
    }
}

static void hold_measure(hold_ctx c, uint64_t requests)
{
    for (uint64_t i = 0; i < requests / 10 + HOLD_SLOTS; i++)
        hold_request(c, i);
    bench_ready();
    uint64_t cpu_ns = bench_cpu_ns(), wall_ns = bench_now_ns();
    for (uint64_t i = 0; i < requests; i++)
        hold_request(c, i);
    wall_ns = bench_now_ns() - wall_ns;
    cpu_ns = bench_cpu_ns() - cpu_ns;
    hold_check(c, requests - 1);
    bench_result("us_per_request", (double)wall_ns / (double)requests / 1000);
    bench_result("cpu_us_per_request", (double)cpu_ns / (double)requests / 1000);
    bench_result("ns_per_object", (double)wall_ns / (double)requests / HOLD_OBJECTS);
}
