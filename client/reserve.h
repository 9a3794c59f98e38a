/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/* Reserve: memory set aside so that the next allocations neither fail nor wait nor collect.
 *   Threads  the attached thread itself                                                                  */
#include <stdbool.h>
#include <stdint.h>

struct thread;

/* Counts what was allocated since the last time and @bytes more. False: they were not promised, and the reservation is over. */
bool reserve_charge(struct thread *th, uint64_t bytes);
/* [safepoint] Sees to whole blocks in which objects of @bytes together fit, of any sizes, in any order. */
int reserve_secure(struct thread *th, uint64_t bytes);
/* Asks for what reserve_secure() would wait for, as far as it may be had; does not wait. */
void reserve_ahead(struct thread *th, uint64_t bytes);
/* After an allocation under a reservation: what the bump gives from here on is to be counted. */
void reserve_note(struct thread *th);
