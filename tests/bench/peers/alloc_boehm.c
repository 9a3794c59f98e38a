/* SPDX-License-Identifier: Apache-2.0 */
/* Alloc on the Boehm collector, all of whose heap is there from the start; objects without references come from the kind of memory
 * that it neither scans nor zeroes. The ring is static, so a root.
 * Usage: alloc_boehm HEAP_MIB KIND WARM OBJECTS */
#include <gc.h>
#define peer_new(bytes, has_refs) ((has_refs) ? GC_MALLOC(bytes) : GC_MALLOC_ATOMIC(bytes))
#define peer_free(object) ((void)(object))
#include "alloc_malloc.h"

int main(int argc, char **argv)
{
    if (argc != 5)
        alloc_die("usage: alloc_boehm HEAP_MIB KIND WARM OBJECTS");
    GC_INIT();
    GC_set_max_heap_size((GC_word)atoi(argv[1]) << 20);
    GC_expand_hp((size_t)atoi(argv[1]) << 19);
    struct alloc_run run = alloc_run(argv + 2);
    alloc_measure(alloc_ring, &run);
    bench_result("collections", (double)GC_get_gc_no());
    bench_result("heap_mib", (double)(GC_get_heap_size() >> 20));
    return 0;
}
