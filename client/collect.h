/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/* Collect: waiting for a collection that the daemon has given a number to. */
#include <stdint.h>

struct thread;

/* [safepoint] Sleeps until it is over; from inside or outside. @abandoned: control's count of stops given up, read before it was asked for.
 * MMGC_E_STALLED: its stop was given up, too. */
int collect_wait(struct thread *th, uint64_t number, uint64_t abandoned);
