/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/* Barrier: the asymmetric fence of the stop protocol (soundness S4). Clients register once and then pay no fence;
 * the daemon pays one membarrier for all of them.
 *   Threads  any                                                                                        */
#include <stdbool.h>

/* Client side, once a process. True: the daemon's membarrier reaches our threads. False: enter must fence itself. */
bool shm_barrier_register(void);

/* Daemon side: a full barrier on every running thread of every registered process, about 3 us. 0, or -errno when the
 * kernel has none (then no client could register either, and all fence themselves: going on is sound). -ENOMEM: not now, and going on
 * is not; -EPERM, -EACCES: this process may not, and clients may have been allowed to register. */
int shm_barrier_all(void);
