/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/* Slice: how long the calling thread may run before another one of its core has its turn. Among threads of the same priority all get the
 * same share of time; who asks for shorter slices runs sooner after it was woken, and who asks for longer ones gives way to who wakes.
 *   From     EEVDF, Stoica and Abdel-Wahab 1995, as Linux schedules since 6.12; older ones take no notice
 *   Threads  any, for itself. Threads that it starts afterwards begin with its slice                                            */
#include <stdint.h>

/* A wish: no error says that it was not granted. @ns: 100 us to 100 ms. Policy and nice value stay. */
void shm_slice_set(uint64_t ns);
