/* SPDX-License-Identifier: Apache-2.0 */
/* Handover on boost::interprocess: nodes with offset_ptr in one managed_shared_memory, the root found by name, nothing copied.
 * Usage: handover_boost NODES
 *   Segment   made of the size that the nodes take, and half as much again: it cannot grow while others have it
 *   Nodes     from a private_node_allocator, boost's quickest for many of one size: 32 bytes each, without a header, not locked.
 *             Each can be given back by itself, by hand, by A alone                                                           */
#include <boost/interprocess/allocators/private_node_allocator.hpp>
#include <boost/interprocess/managed_shared_memory.hpp>
#include <boost/interprocess/offset_ptr.hpp>
#include <cstdlib>
#include <memory>
#include <new>
#include <string>

#include "handover.h"

namespace ipc = boost::interprocess;

namespace {

struct node {
    ipc::offset_ptr<node> left, right;
    uint64_t key, value;
};

using allocator = ipc::private_node_allocator<node, ipc::managed_shared_memory::segment_manager, 4096>;

std::unique_ptr<ipc::managed_shared_memory> segment; /* of this process */
std::unique_ptr<allocator> nodes_of;                 /* of A */
std::string name;
std::size_t bytes;

void remove_segment()
{
    ipc::shared_memory_object::remove(name.c_str());
}

void a_open()
{
    atexit(remove_segment); /* A's alone: B has been forked */
    segment.reset(new ipc::managed_shared_memory(ipc::create_only, name.c_str(), bytes));
    nodes_of.reset(new allocator(segment->get_segment_manager()));
}

node *build(uint32_t low, uint32_t high)
{
    if (low == high)
        return nullptr;
    uint32_t middle = handover_middle(low, high);
    node *n = new (ipc::ipcdetail::to_raw_pointer(nodes_of->allocate_one())) node;
    n->key = handover_key(middle);
    n->value = handover_value(middle);
    n->left = build(low, middle);
    n->right = build(middle + 1, high);
    return n;
}

void a_build(uint32_t nodes)
{
    segment->construct<ipc::offset_ptr<node>>("graph")(build(0, nodes));
}

void b_join()
{
    segment.reset(new ipc::managed_shared_memory(ipc::open_only, name.c_str()));
}

void *b_ask()
{
    auto *found = segment->find<ipc::offset_ptr<node>>("graph").first;
    if (!found)
        handover_die("nothing has the name");
    return found->get();
}

uint64_t b_peek(void *root)
{
    return static_cast<node *>(root)->left->key;
}

uint64_t walk(const node *n)
{
    uint64_t sum = 0;
    for (; n; n = n->right.get()) {
        sum += n->key ^ n->value;
        sum += walk(n->left.get());
    }
    return sum;
}

uint64_t b_walk(void *root)
{
    return walk(static_cast<node *>(root));
}

} // namespace

int main(int argc, char **argv)
{
    if (argc != 2)
        handover_die("usage: handover_boost NODES");
    uint32_t nodes = static_cast<uint32_t>(atoi(argv[1]));
    name = "mmgc-bench-handover-" + std::to_string(getpid());
    bytes = (std::size_t(1) << 20) + std::size_t(nodes) * sizeof(node) * 3 / 2;
    handover_way way = {};
    way.open = a_open;
    way.build = a_build;
    way.join = b_join;
    way.ask = b_ask;
    way.peek = b_peek;
    way.walk = b_walk;
    try {
        return handover_run(&way, nodes);
    } catch (const std::exception &why) {
        handover_die(why.what());
    }
}
