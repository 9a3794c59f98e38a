/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/* Safepoint: the client's side of the stop protocol, soundness S4, step by step as it was model-checked.
 *   Threads  the attached thread itself                                                                  */
#include <stdbool.h>
#include <stdint.h>

struct thread;

/* [poll] The epoch is odd: publishes roots, waits until the stop is over, is IN again. MMGC_OK; MMGC_E_STACK: still IN; another:
 * the daemon or the heap is gone, and the thread is OUT. */
int safepoint_poll(struct thread *th);
/* IN -> PARKED with roots published, so that collections may run while we wait for something else. MMGC_E_STACK: still IN. */
int safepoint_park(struct thread *th);
/* PARKED -> IN. Anything but MMGC_OK: OUT, as for safepoint_poll(). */
int safepoint_resume(struct thread *th);
/* [safepoint] Sleeps outside the heap until a collection has gone by, or @deadline_ns (CLOCK_MONOTONIC): unless the session's go is no longer @go, which
 * the caller read before it looked whether it has to sleep. MMGC_E_TIMEOUT: the deadline has passed. Else as the two above. */
int safepoint_sleep(struct thread *th, uint32_t go, uint64_t deadline_ns);
/* PARKED, or IN, -> OUT with its pointers dead: what ends a wait that never will. Returns @code. */
int safepoint_give_up(struct thread *th, int code);

static inline bool safepoint_wanted(uint32_t epoch)
{
    return (epoch & 1u) != 0;
}
