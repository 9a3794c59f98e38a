/* SPDX-License-Identifier: Apache-2.0 */
/* cache_mmgc's work on Boost.Interprocess: unordered_maps in a managed_shared_memory. Usage: the top of cache.h; WHERE is NAME,SEGMENT_MIB.
 *
 *   Shards   16, each with a map, a queue and a lock that readers share: who puts keeps a sixteenth of the others from it
 *   Value    bytes of their own in the segment; a put of a key that is there overwrites them, since its size is the same
 *   Room     the capacity's share of each shard, in bytes of entries as cache_mmgc counts them. The oldest goes that was not asked
 *            for since it was last looked at; a get marks with a plain store, so that it need not exclude others          */
#include <boost/interprocess/allocators/allocator.hpp>
#include <boost/interprocess/containers/list.hpp>
#include <boost/interprocess/managed_shared_memory.hpp>
#include <boost/interprocess/sync/interprocess_sharable_mutex.hpp>
#include <boost/interprocess/sync/scoped_lock.hpp>
#include <boost/interprocess/sync/sharable_lock.hpp>
#include <boost/unordered_map.hpp>

#include "cache_phases.h"

namespace ip = boost::interprocess;
using segment_t = ip::managed_shared_memory;
using manager_t = segment_t::segment_manager;

static constexpr unsigned SHARDS = 16, ENTRY_BYTES = 16; /* beside the value: what cache_mmgc's header and key take */

struct item {
    ip::offset_ptr<char> value;
    uint32_t bytes;
    uint32_t asked;
};
using map_t = boost::unordered_map<uint64_t, item, boost::hash<uint64_t>, std::equal_to<uint64_t>,
                                   ip::allocator<std::pair<const uint64_t, item>, manager_t>>;
using queue_t = ip::list<uint64_t, ip::allocator<uint64_t, manager_t>>;

struct shard {
    ip::interprocess_sharable_mutex mutex;
    map_t map;
    queue_t queue;                           /* keys of the map, oldest first */
    uint64_t held_bytes = 0;
    explicit shard(manager_t *m) : map(0, boost::hash<uint64_t>(), std::equal_to<uint64_t>(), m), queue(m) {}
};
struct cache {
    segment_t segment;
    shard *shards;
    uint64_t shard_bytes;
};

static shard &shard_of(cache *c, uint64_t key)
{
    return c->shards[key >> 60];
}

static uint32_t cache_get(cache *c, uint64_t key, char *into)
{
    shard &s = shard_of(c, key);
    ip::sharable_lock<ip::interprocess_sharable_mutex> lock(s.mutex);
    auto found = s.map.find(key);
    if (found == s.map.end())
        return 0;
    item &i = found->second;
    memcpy(into, i.value.get(), i.bytes);
    if (__atomic_load_n(&i.asked, __ATOMIC_RELAXED) == 0)
        __atomic_store_n(&i.asked, 1, __ATOMIC_RELAXED);
    return i.bytes;
}

static void evict(cache *c, shard &s)
{
    for (;;) {
        auto oldest = s.map.find(s.queue.front());
        item &i = oldest->second;
        if (i.asked) {
            i.asked = 0;
            s.queue.splice(s.queue.end(), s.queue, s.queue.begin());
            continue;
        }
        s.held_bytes -= i.bytes + ENTRY_BYTES;
        c->segment.deallocate(i.value.get());
        s.map.erase(oldest);
        s.queue.pop_front();
        return;
    }
}

static void insert(cache *c, shard &s, uint64_t key, const char *value, uint32_t bytes)
{
    char *copy;
    while (!s.queue.empty() && s.held_bytes + bytes + ENTRY_BYTES > c->shard_bytes)
        evict(c, s);
    while (!(copy = static_cast<char *>(c->segment.allocate(bytes, std::nothrow))) && !s.queue.empty())
        evict(c, s);                         /* the segment is in pieces that are too small */
    if (!copy)
        throw ip::bad_alloc();
    memcpy(copy, value, bytes);
    s.map.emplace(key, item{ copy, bytes, 0 });
    s.queue.push_back(key);
    s.held_bytes += bytes + ENTRY_BYTES;
}

static void cache_put(cache *c, uint64_t key, const char *value, uint32_t bytes)
{
    shard &s = shard_of(c, key);
    ip::scoped_lock<ip::interprocess_sharable_mutex> lock(s.mutex);
    auto found = s.map.find(key);
    if (found == s.map.end())
        return insert(c, s, key, value, bytes);
    memcpy(found->second.value.get(), value, bytes);
    found->second.asked = 1;
}

int main(int argc, char **argv)
try {
    cache_run run = cache_run_of(argc, argv);
    char name[256];
    unsigned long mib;
    if (sscanf(run.where, "%255[^,],%lu", name, &mib) != 2)
        cache_fail("WHERE is NAME,SEGMENT_MIB");
    cache c{ segment_t(ip::open_or_create, name, mib << 20), nullptr, run.capacity_bytes / SHARDS };
    c.shards = c.segment.find_or_construct<shard>("shards")[SHARDS](c.segment.get_segment_manager());
    cache_main(&run, &c);
} catch (const std::exception &e) {
    cache_fail(e.what());
}
