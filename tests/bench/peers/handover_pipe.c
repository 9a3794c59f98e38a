/* SPDX-License-Identifier: Apache-2.0 */
/* Handover through a pipe: B asks, A writes the whole graph, B has a copy.
 * Usage: handover_pipe rebuilt|in-place NODES */
#define _GNU_SOURCE /* F_SETPIPE_SZ */
#include <fcntl.h>

#include "handover_copy.h"

#define PIPE_BYTES (1 << 20) /* the most that anybody may have without a privilege */

static int asks[2], answers[2]; /* from B to A, and from A to B */
static uint32_t count;
static struct own_node *own; /* A's, rebuilt */
static struct flat_node *flat;

static void a_open(void)
{
    close(asks[1]);
    close(answers[0]);
}

static void own_a_build(uint32_t nodes)
{
    own = own_build(0, nodes);
}

static void flat_a_build(uint32_t nodes)
{
    uint32_t made = 0;
    flat = flat_new(nodes);
    flat_build(flat, &made, 0, nodes);
}

/* Flattened for each ask, as it must be when the graph may have changed. */
static void a_serve(void)
{
    char byte;
    while (read(asks[0], &byte, 1) == 1) {
        uint32_t made = 0;
        if (own) {
            flat = flat_new(count);
            own_flatten(own, flat, &made);
        }
        write_all(answers[1], flat, count * sizeof *flat);
        if (own)
            free(flat);
    }
}

static void b_join(void)
{
    close(asks[0]);
    close(answers[1]);
}

static void *flat_b_ask(void)
{
    struct flat_node *got = flat_new(count);
    write_all(asks[1], "", 1);
    read_all(answers[0], got, count * sizeof *got);
    return got;
}

static void *own_b_ask(void)
{
    struct flat_node *got = flat_b_ask();
    struct own_node *root = own_rebuild(got, count);
    free(got);
    return root;
}

int main(int argc, char **argv)
{
    static const struct handover_way rebuilt = { .open = a_open,
                                                 .build = own_a_build,
                                                 .serve = a_serve,
                                                 .join = b_join,
                                                 .ask = own_b_ask,
                                                 .peek = own_peek,
                                                 .walk = own_walk,
                                                 .drop = own_drop };
    static const struct handover_way in_place = { .open = a_open,
                                                  .build = flat_a_build,
                                                  .serve = a_serve,
                                                  .join = b_join,
                                                  .ask = flat_b_ask,
                                                  .peek = flat_peek,
                                                  .walk = flat_walk,
                                                  .drop = free };
    if (argc != 3)
        handover_die("usage: handover_pipe rebuilt|in-place NODES");
    count = (uint32_t)atoi(argv[2]);
    if (pipe(asks) < 0 || pipe(answers) < 0)
        handover_die("no pipe");
    (void)fcntl(answers[1], F_SETPIPE_SZ, PIPE_BYTES);
    return handover_run(strcmp(argv[1], "rebuilt") == 0 ? &rebuilt : &in_place, count);
}
