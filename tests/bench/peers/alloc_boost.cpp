/* SPDX-License-Identifier: Apache-2.0 */
/* Alloc in a managed_shared_memory of Boost.Interprocess: its default algorithm (best fit in a red-black tree) behind its default mutex,
 * which processes share. Each object is freed when a newer one takes its place in the ring.
 * Usage: alloc_boost HEAP_MIB KIND WARM OBJECTS */
#include <unistd.h>

#include <boost/interprocess/managed_shared_memory.hpp>
#include <string>

namespace bip = boost::interprocess;
static bip::managed_shared_memory *segment;

static inline void *peer_new(size_t bytes, int)
{
    return segment->allocate(bytes, std::nothrow);
}
static inline void peer_free(void *object)
{
    if (object)
        segment->deallocate(object);
}
#include "alloc_malloc.h"

int main(int argc, char **argv)
{
    if (argc != 5)
        alloc_die("usage: alloc_boost HEAP_MIB KIND WARM OBJECTS");
    std::string name = "mmgc-bench-alloc-" + std::to_string(getpid());
    struct alloc_run run = alloc_run(argv + 2);
    bip::managed_shared_memory memory(bip::create_only, name.c_str(), (size_t)atoi(argv[1]) << 20);
    bip::shared_memory_object::remove(name.c_str()); /* it lives as long as it is mapped, whatever ends us */
    segment = &memory;
    alloc_measure(alloc_ring, &run);
    return 0;
}
