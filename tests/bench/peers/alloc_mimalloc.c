/* SPDX-License-Identifier: Apache-2.0 */
/* Alloc on mimalloc, called by its own names: each object is freed when a newer one takes its place in the ring. */
#include <mimalloc.h>
#define peer_new(bytes, has_refs) mi_malloc(bytes)
#define peer_free(object) mi_free(object)
#include "alloc_malloc.h"

int main(int argc, char **argv)
{
    if (argc != 4)
        alloc_die("usage: alloc_mimalloc KIND WARM OBJECTS");
    struct alloc_run run = alloc_run(argv + 1);
    alloc_measure(alloc_ring, &run);
    return 0;
}
