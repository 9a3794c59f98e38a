/* SPDX-License-Identifier: Apache-2.0 */
// The same with C++'s counted pointers: a copy of a strong one, and a weak one that is locked, each dropped again.
#include <memory>
#include <thread>

#include "bench.h"

int main(int argc, char **argv)
{
    int count = argc == 2 ? atoi(argv[1]) : 0;
    if (count < 1)
        return 2;
    std::thread([] {}).join(); // or libstdc++ counts without atomic operations
    auto strong = std::make_shared<int>(1);
    std::weak_ptr<int> weak = strong;
    bench_ready();
    uint64_t begin_ns = bench_now_ns();
    for (int i = 0; i < count; i++) {
        auto copy = strong;
        __asm__ volatile("" : : "r"(copy.get()) : "memory");
    }
    uint64_t middle_ns = bench_now_ns();
    for (int i = 0; i < count; i++) {
        auto copy = weak.lock();
        __asm__ volatile("" : : "r"(copy.get()) : "memory");
    }
    uint64_t end_ns = bench_now_ns();
    bench_result("strong_ns", double(middle_ns - begin_ns) / count);
    bench_result("weak_ns", double(end_ns - middle_ns) / count);
    bench_ended(end_ns);
    return 0;
}
