/* SPDX-License-Identifier: Apache-2.0 */
/* Debuggee: a client for gdb to look at: `debuggee SOCKET`. It makes a node and an array, says so in a line on stdout, collects once for each line
 * that it reads, and ends with its input. */
#include <mmgc/mmgc.h>
#include <stdio.h>
#include <stdlib.h>

struct node {
    mmgc_ref left, right;
    int64_t value;
};

void stop_here(struct node *node, mmgc_ref ref);
__attribute__((noinline, noclone)) void stop_here(struct node *node, mmgc_ref ref)
{
    printf("ready %u\n", (unsigned)ref.granule);
    fflush(stdout);
    mmgc_keep(node);
}

static void check(int r)
{
    if (r == MMGC_OK)
        return;
    fprintf(stderr, "%s: %s\n", mmgc_strerror(r), mmgc_error_detail());
    exit(1);
}

int main(int argc, char **argv)
{
    struct mmgc_heap_options options = { .create = true };
    struct mmgc_thread_options thread = { .exact = true, .name = "debuggee-thread" };
    struct mmgc_client *client;
    struct mmgc_heap *heap;
    struct mmgc_thread *t;
    mmgc_type type, bytes;

    check(argc == 2 ? MMGC_OK : MMGC_E_INVALID);
    check(mmgc_connect(argv[1], "debuggee", &client));
    check(mmgc_heap_open(client, "trees", &options, &heap));
    check(MMGC_DEFINE_TYPE(heap, node, &type, left, right));
    check(mmgc_type_bytes(heap, &bytes));
    check(mmgc_attach(heap, &thread, &t));
    check(mmgc_enter(t));
    struct node *node = mmgc_new(t, type);
    void *array = node != NULL ? mmgc_new_in(t, bytes, 5, MMGC_SPACE_IMMORTAL) : NULL;
    check(array != NULL ? MMGC_OK : mmgc_thread_error(t));
    node->value = 0x2a;
    mmgc_set(t, node, left, array);
    check(mmgc_name_set(t, "node", node));
    stop_here(node, mmgc_ref_of(t, node));
    for (int c = getchar(); c != EOF; c = getchar())
        check(mmgc_gc(t));
    mmgc_heap_close(heap);
    mmgc_disconnect(client);
    return 0;
}
