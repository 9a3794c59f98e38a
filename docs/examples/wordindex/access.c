/* SPDX-License-Identifier: Apache-2.0 */
#include "access.h"

#include "say.h"

int access_open(struct access *a, const struct place *place, const char *name)
{
    struct mmgc_heap_options options = {.create = true, .max_bytes = place->max_bytes};
    *a = (struct access){0};
    int r = mmgc_connect(place->socket, name, &a->client);
    if (r == MMGC_OK)
        r = mmgc_heap_open(a->client, place->heap, &options, &a->heap);
    if (r == MMGC_OK)
        r = mmgc_attach(a->heap, NULL, &a->t);
    if (r == MMGC_OK)
        return 0;
    fail_mmgc("opening the heap", r);
    access_close(a);
    return 1;
}

void access_close(struct access *a)
{
    mmgc_detach(a->t);
    mmgc_heap_close(a->heap);
    mmgc_disconnect(a->client);
}
