/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/* Write barrier: the part of it that is not inlined (shm/write_barrier.h has the order and why).
 *   Threads  each its own ring; bytes and bits are shared by all clients of the heap                                  */
#include "client/thread.h"

/* Takes over what control wants logged now. The thread is IN, or not attached yet. */
void write_barrier_follow(struct thread *th);
/* From here on nothing is logged; for who knows that without control. */
void write_barrier_rest(struct thread *th);
bool write_barrier_logs(const struct thread *th);
/* Writes down that the object at @granule was found by a reference that keeps nothing alive; a cycle marks now, or a moment ago. False: there is no
 * room, and this thread may not say that something was lost: it only reads. */
bool write_barrier_keep(struct thread *th, uint32_t granule);
/* A hold was begun or ended: with one open every store is looked at here. */
void write_barrier_hold(struct thread *th);
/* Stores @granule, or 0, into @slot of @object as mmgc_store() does, but asks no hold. */
void write_barrier_store(struct thread *th, const void *object, mmgc_ref *slot, uint32_t granule);
