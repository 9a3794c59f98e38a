/* SPDX-License-Identifier: Apache-2.0 */
/* Profiled: a client of whom it is known who allocates what: `profiled SOCKET ROUNDS`. Of each round a quarter of the bytes is quarter()'s, the
 * rest three_quarters()'s; the last object of each is kept. */
#include <mmgc/mmgc.h>
#include <stdio.h>
#include <stdlib.h>

static __attribute__((noinline)) void *quarter(struct mmgc_thread *t, mmgc_type bytes)
{
    void *object = mmgc_new_array(t, bytes, 24); /* 32 bytes */

    mmgc_keep(object);
    return object;
}

static __attribute__((noinline)) void *three_quarters(struct mmgc_thread *t, mmgc_type bytes)
{
    void *object = mmgc_new_array(t, bytes, 88); /* 96 bytes */

    mmgc_keep(object);
    return object;
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
    struct mmgc_thread_options exact = { .exact = true };
    struct mmgc_client *client;
    struct mmgc_heap *heap;
    struct mmgc_thread *t;
    mmgc_type bytes;

    check(argc == 3 ? MMGC_OK : MMGC_E_INVALID);
    check(mmgc_connect(argv[1], "profiled", &client));
    check(mmgc_heap_open(client, "profiled", &options, &heap));
    check(mmgc_type_bytes(heap, &bytes));
    check(mmgc_attach(heap, &exact, &t));
    check(mmgc_enter(t));
    mmgc_local kept[] = { mmgc_local_new(t, NULL), mmgc_local_new(t, NULL) };
    for (int i = atoi(argv[2]); i > 0; i--) {
        mmgc_local_set(t, kept[0], quarter(t, bytes));
        mmgc_local_set(t, kept[1], three_quarters(t, bytes));
    }
    check(mmgc_gc(t));
    check(mmgc_name_set(t, "quarter", mmgc_local_get(t, kept[0])));
    check(mmgc_name_set(t, "rest", mmgc_local_get(t, kept[1])));
    mmgc_heap_close(heap);
    mmgc_disconnect(client);
    return 0;
}
