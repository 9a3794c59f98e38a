/* SPDX-License-Identifier: Apache-2.0 */
/* example_world.c - a client whose heap has something to say to each command of mmgcctl: example_world HEAP CLIENT [OPTIONS [broken]].
 *   list      a named root: a thousand nodes, each with a session
 *   current   a strong handle on the last session, which is also leased
 *   rest      sessions that nobody holds any more: garbage
 * It says "ready" when that is there, and stays outside until its input ends; OPTIONS are those of a heap that it makes. */
#include <mmgc/lease.h>
#include <mmgc/mmgc.h>
#include <stdio.h>
#include <stdlib.h>

#define SESSIONS 1000u
#define SECOND_NS UINT64_C(1000000000)

struct session {
    uint64_t made;
    uint32_t user, visits;                    /* user at 8: the examples look for 42 */
};
struct node {
    mmgc_ref next, session;
};

static void must(const char *what, int code)
{
    if (code == MMGC_OK)
        return;
    fprintf(stderr, "example_world: %s: %s %s\n", what, mmgc_strerror(code), mmgc_error_detail());
    exit(1);
}

static void *made(struct mmgc_thread *t, void *object)
{
    if (object == NULL)
        must("making an object", mmgc_thread_error(t));
    return object;
}

/* The list's first node. Before each session that stays, one is made that does not. */
static struct node *fill(struct mmgc_heap *heap, struct mmgc_thread *t)
{
    mmgc_type node_type, session_type;
    struct node *first = NULL;

    must("type", MMGC_DEFINE_TYPE(heap, node, &node_type, next, session));
    must("type", MMGC_DEFINE_LEAF(heap, session, &session_type));
    for (uint32_t i = 0; i < SESSIONS; i++) {
        struct node *node = made(t, mmgc_new(t, node_type));
        mmgc_set(t, node, next, first);
        first = node;
        (void)made(t, mmgc_new(t, session_type));
        struct session *session = made(t, mmgc_new(t, session_type));
        session->user = i;
        mmgc_set(t, node, session, session);
    }
    return first;
}

int main(int argc, char **argv)
{
    struct mmgc_heap_options options = { .create = true, .max_bytes = UINT64_C(1) << 30, .options = argc > 3 ? argv[3] : NULL };
    struct mmgc_thread_options named = { .name = "worker" };
    struct mmgc_client *client;
    struct mmgc_heap *heap;
    struct mmgc_thread *t;
    mmgc_handle handle;
    mmgc_lease lease;

    if (argc < 3)
        return 2;
    must("connect", mmgc_connect(NULL, argv[2], &client));
    must("open", mmgc_heap_open(client, argv[1], &options, &heap));
    must("attach", mmgc_attach(heap, &named, &t));
    must("enter", mmgc_enter(t));
    struct node *list = fill(heap, t);
    must("name", mmgc_name_set(t, "list", list));
    must("handle", mmgc_handle_new(t, mmgc_get(t, list, session), &handle));
    must("name of a handle", mmgc_handle_name(heap, handle, "current"));
    must("lease", mmgc_lease_take(t, mmgc_get(t, list, session), MMGC_LEASE_SHARED, "reading", 10 * SECOND_NS, &lease));
    if (argc > 4)
        list->session.granule = mmgc_ref_of(t, list).granule + 1; /* no object begins there: who verifies the heap finds a fault */
    mmgc_leave(t);
    puts("ready");
    fflush(stdout);
    while (getchar() != EOF)
        ;
    mmgc_detach(t);
    mmgc_heap_close(heap);
    mmgc_disconnect(client);
    return 0;
}
