/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/* Deque: the packets one worker has in one job, newest first for it, oldest half for a thief.
 *   Owner    embedded in the job's record of that worker; packets in it belong to the deque
 *   Threads  push and pop by the owner worker; steal and looks by anyone at any time
 *   Bounded  DEQUE_CAPACITY packets; a push beyond it declines and the owner spills the oldest half (deque_steal of its own)
 *   Proof    deque.c                                                                                              */
#include <stdalign.h>
#include <stdbool.h>
#include <stdint.h>

#include "plans/work/engine.h"
#include "shm/base.h"

#define DEQUE_CAPACITY 128u /* 512 KiB of packets; a power of two, at most 128 (deque.c#state) */
#define DEQUE_STEAL_MAX (DEQUE_CAPACITY / 2)

struct deque {
    alignas(MM_CACHE_LINE) _Atomic uint64_t state; /* pushes:48 | oldest:8 | count:8; every change is a CAS */
    alignas(MM_CACHE_LINE) _Atomic(struct packet *) slots[DEQUE_CAPACITY]; /* [owner] stores, anyone loads */
};

void deque_init(struct deque *d);
/* Adds @count packets, the last one becoming the newest; all or none. False: no room. Owner only. */
bool deque_try_push(struct deque *d, struct packet *const *packets, unsigned count);
struct packet *deque_pop(struct deque *d); /* the newest, or NULL. Owner only */
/* Takes the oldest half, rounded up, oldest first into @ret: their number, 0 if the deque was empty at some instant of the call. */
unsigned deque_steal(struct deque *d, struct packet *ret[static DEQUE_STEAL_MAX]);
bool deque_is_empty(const struct deque *d); /* seq_cst: takes part in the proof of idle.c */
