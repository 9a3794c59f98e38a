/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/* Futex: waiting on a word that another process changes. Never shared by two clients (soundness S9): every word
 * waited on lies in the segment of the one client that waits, or that is waited for. Every wait has a timeout.
 *   Threads  any. Not private futexes: the words are in shared memory.                                  */
#include <stdint.h>

#include "shm/base.h"

enum futex_result { FUTEX_WOKEN, FUTEX_TIMED_OUT };           /* woken may be spurious: re-check the word */

/* Sleeps while *@word == @expected, at most @timeout_ns (relative). EINTR and EAGAIN count as woken. */
enum futex_result futex_wait(const _Atomic(uint32_t) MM_NODEREF *word, uint32_t expected, uint64_t timeout_ns);
void futex_wake_all(_Atomic(uint32_t) MM_NODEREF *word);                  /* a system call; harmless if nobody waits */
