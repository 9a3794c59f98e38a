/* SPDX-License-Identifier: Apache-2.0 */
/* The machine's own noise floor: a program that does nothing but read the clock, and how long it was kept from it.
 * Usage: clock_alone MILLISECONDS
 * What it sees, every program sees: interrupts, other programs, a virtual machine's host. It maps no heap. */
#include "stalls.h"

int main(int argc, char **argv)
{
    static struct stalls stalls;
    if (argc != 2) {
        fputs("usage: clock_alone MILLISECONDS\n", stderr);
        return 2;
    }
    bench_ready();
    stalls_begin(&stalls);
    uint64_t end_ns = stalls.last_ns + (uint64_t)atoi(argv[1]) * 1000000u;
    while (stalls_count(&stalls) < end_ns)
        ;
    stalls_result(&stalls);
    return 0;
}
