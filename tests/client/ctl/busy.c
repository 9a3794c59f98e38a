/* SPDX-License-Identifier: Apache-2.0 */
/* busy.c - Busy: a client of as many heaps as are asked for, so that there is something to look at.
 *   Usage     busy HEAPS MIB_A_SECOND: of the first heap; the others are there, with a thread each, and allocate once. PLAN in the
 *             environment is theirs, and NAME the first one's name. It says "ready" when all is there, and ends when its stdin does
 *   Heaps     busy-000, busy-001 ...; the first keeps a list of up to 4 MiB, the rest is garbage */
#include <poll.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>
#include <unistd.h>

#include <mmgc/mmgc.h>
#include <mmgc/reference.h>

#define HEAP_BYTES (UINT64_C(32) << 20)
#define BATCH_BYTES (UINT64_C(64) << 10)
#define KEPT_NODES ((UINT64_C(4) << 20) / sizeof(struct node))
#define TICK_MS 10

struct node {
    mmgc_ref next;
    uint32_t value;
    char text[48];
};

static void must(const char *what, int code)
{
    if (code == MMGC_OK)
        return;
    fprintf(stderr, "busy: %s: %s %s\n", what, mmgc_strerror(code), mmgc_error_detail());
    exit(1);
}

static struct mmgc_thread *open_heap(struct mmgc_client *client, unsigned i, struct mmgc_heap **ret_heap, mmgc_type *ret_type)
{
    struct mmgc_heap_options options = { .create = true, .max_bytes = HEAP_BYTES, .plan = getenv("PLAN") };
    struct mmgc_thread_options named = { .name = "worker" };
    struct mmgc_thread *t;
    char name[32];

    if (i == 0 && getenv("NAME") != NULL)
        snprintf(name, sizeof(name), "%s", getenv("NAME"));
    else
        snprintf(name, sizeof(name), "busy-%03u", i);
    must("heap", mmgc_heap_open(client, name, &options, ret_heap));
    must("type", mmgc_type_struct(*ret_heap, "node", sizeof(struct node), ret_type, 1u, MMGC_STRONG(node, next)));
    must("attach", mmgc_attach(*ret_heap, &named, &t));
    return t;
}

/* @bytes of nodes; those that @list keeps are forgotten as a whole when they are many. */
static void allocate(struct mmgc_thread *t, mmgc_type type, mmgc_local list, uint64_t bytes, uint64_t *kept)
{
    must("enter", mmgc_enter(t));
    for (uint64_t done = 0; done < bytes; done += sizeof(struct node) + 8) {
        struct node *node = mmgc_new(t, type);
        if (node == NULL)
            must("new", mmgc_thread_error(t));
        if (++*kept % 8 != 0)
            continue;
        if (*kept / 8 % KEPT_NODES == 0)
            mmgc_local_set(t, list, NULL);
        mmgc_set(t, node, next, mmgc_local_get(t, list));
        mmgc_local_set(t, list, node);
    }
    mmgc_leave(t);
}

/* Until nobody holds our stdin's other end. */
static bool goes_on(void)
{
    struct pollfd in = { .fd = STDIN_FILENO, .events = POLLIN };

    return poll(&in, 1, TICK_MS) == 0;
}

int main(int argc, char **argv)
{
    unsigned heaps = argc > 1 ? (unsigned)atoi(argv[1]) : 1;
    uint64_t a_tick = (argc > 2 ? (uint64_t)atoi(argv[2]) << 20 : 0) * TICK_MS / 1000, kept = 0;
    struct mmgc_heap **heap = calloc(heaps, sizeof(*heap));
    struct mmgc_client *client;
    struct mmgc_thread *first = NULL;
    mmgc_type first_type = NULL, type;
    mmgc_local list = { 0 };

    must("connect", mmgc_connect(NULL, "busy", &client));
    for (unsigned i = 0; i < heaps; i++) {
        struct mmgc_thread *t = open_heap(client, i, &heap[i], &type);
        must("enter", mmgc_enter(t));
        mmgc_local here = mmgc_local_new(t, NULL);
        mmgc_leave(t);
        if (i == 0) {
            first = t;
            first_type = type;
            list = here;
        }
        allocate(t, type, here, BATCH_BYTES, &kept);
    }
    puts("ready");
    fflush(stdout);
    while (goes_on())
        if (a_tick > 0)
            allocate(first, first_type, list, a_tick, &kept);
    for (unsigned i = 0; i < heaps; i++)
        mmgc_heap_close(heap[i]);
    mmgc_disconnect(client);
    free(heap);
    return 0;
}
