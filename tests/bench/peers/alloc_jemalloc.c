/* SPDX-License-Identifier: Apache-2.0 */
/* Alloc on jemalloc, which is linked in place of the C library's malloc: each object is freed when a newer one takes its place in the ring. */
#include <jemalloc/jemalloc.h>
#define peer_new(bytes, has_refs) malloc(bytes)
#define peer_free(object) free(object)
#include "alloc_malloc.h"

int main(int argc, char **argv)
{
    if (argc != 4)
        alloc_die("usage: alloc_jemalloc KIND WARM OBJECTS");
    struct alloc_run run = alloc_run(argv + 1);
    alloc_measure(alloc_ring, &run);
    return 0;
}
