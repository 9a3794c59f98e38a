/* SPDX-License-Identifier: Apache-2.0 */
/* stow: a search tree of numbers that came in no order, so that its nodes lie in none, is walked before and after mmgc_stow().
 *
 *     stow /run/mmgcd/mmgcd.sock 1000000
 *
 * It prints what both walks add up to, and, to standard error, how long they took. */
#include <inttypes.h>
#include <mmgc/mmgc.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

#define DEEP 128u /* of a tree that random numbers make, far more than it has */

struct node {
    mmgc_ref left, right;
    uint64_t number;
};
static struct mmgc_thread *t;
static mmgc_type node_type;

static void must(int code, const char *what)
{
    if (code == MMGC_OK)
        return;
    fprintf(stderr, "stow: %s: %s %s\n", what, mmgc_strerror(code), mmgc_error_detail());
    exit(1);
}

static void insert(mmgc_local tree, uint64_t number)
{
    struct node *node = mmgc_new(t, node_type), *at = mmgc_local_get(t, tree);

    if (node == NULL)
        must(mmgc_thread_error(t), "making a node");
    node->number = number;
    if (at == NULL) {
        mmgc_local_set(t, tree, node);
        return;
    }
    for (;;) {
        struct node *next = number < at->number ? mmgc_get(t, at, left) : mmgc_get(t, at, right);
        if (next == NULL)
            break;
        at = next;
    }
    if (number < at->number)
        mmgc_set(t, at, left, node);
    else
        mmgc_set(t, at, right, node);
}

/* Depth first, left first, as mmgc_stow() lays it out: left is the first field. */
static uint64_t walk(mmgc_local tree)
{
    struct node *stack[DEEP];
    uint64_t sum = 0;
    unsigned depth = 0;

    for (struct node *at = mmgc_local_get(t, tree); at != NULL;) {
        struct node *left = mmgc_get(t, at, left), *right = mmgc_get(t, at, right);
        sum += at->number;
        if (left != NULL && right != NULL && depth < DEEP)
            stack[depth++] = right;
        at = left != NULL ? left : right != NULL ? right : depth > 0 ? stack[--depth] : NULL;
    }
    return sum;
}

static uint64_t walk_and_time(mmgc_local tree, const char *when)
{
    struct timespec from, to;

    (void)clock_gettime(CLOCK_MONOTONIC, &from);
    uint64_t sum = walk(tree);
    (void)clock_gettime(CLOCK_MONOTONIC, &to);
    fprintf(stderr, "%s: %.3f ms\n", when, (double)(to.tv_sec - from.tv_sec) * 1e3 + (double)(to.tv_nsec - from.tv_nsec) / 1e6);
    return sum;
}

int main(int argc, char **argv)
{
    uint64_t count = argc > 2 ? strtoull(argv[2], NULL, 10) : 100000, state = 1;
    struct mmgc_stow_result result;
    struct mmgc_client *client;
    struct mmgc_heap *heap;

    must(mmgc_connect(argc > 1 ? argv[1] : NULL, "stow", &client), "connecting");
    must(mmgc_heap_open(client, "stow", &(struct mmgc_heap_options){ .create = true }, &heap), "opening the heap");
    must(MMGC_DEFINE_TYPE(heap, node, &node_type, left, right), "defining a type");
    must(mmgc_attach(heap, &(struct mmgc_thread_options){ .exact = true }, &t), "attaching");
    must(mmgc_enter(t), "entering");
    mmgc_local tree = mmgc_local_new(t, NULL);
    for (uint64_t i = 0; i < count; i++) {
        state = state * UINT64_C(6364136223846793005) + UINT64_C(1442695040888963407);
        insert(tree, state >> 33);
    }
    uint64_t before = walk_and_time(tree, "before");
    must(mmgc_stow(t, mmgc_local_get(t, tree), &result), "stowing");
    uint64_t after = walk_and_time(tree, "after");
    printf("%" PRIu64 " nodes, %s: %s\n", result.objects, result.complete ? "all side by side" : "not all moved",
           before == after ? "the same sum" : "ANOTHER SUM");
    mmgc_detach(t);
    mmgc_heap_close(heap);
    mmgc_disconnect(client);
    return before != after;
}
