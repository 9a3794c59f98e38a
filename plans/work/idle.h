/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/* Idle: which workers look for work, which sleep, and whom to wake: as many as there is work for, or one by name.
 *   Owner    embedded in the engine
 *   Threads  any. A worker is busy (not counted), searching (counted), or asleep (counted):
 *                busy -> idle_search -> searching -> idle_sleep_begin -> asleep -> idle_sleep_end or _cancel -> searching
 *                searching -> idle_found -> busy
 *   Workers  numbered below 64, each number used by one thread
 *   Proof    idle.c: no wake is lost                                                                                */
#include <stdalign.h>
#include <stdbool.h>
#include <stdint.h>

#include "shm/base.h"

struct idle {
    /* calls:24 | tickets:8 | searching:16 | asleep:16; every change is a seq_cst read-modify-write. Its upper half is the
     * futex. tickets: sleepers told to get up, whoever they are, that have not yet done so. calls: how often somebody
     * was called by name, modulo 2^24. */
    alignas(MM_CACHE_LINE) _Atomic uint64_t state;
    _Atomic uint64_t called; /* a bit a worker; the caller sets it, that worker clears it */
};

#define IDLE_ALL 0x10000u /* for idle_wake: everybody who sleeps */

/* After publishing @want packets: wakes sleepers until @want workers are searching, or nobody sleeps. */
void idle_wake(struct idle *idle, unsigned want);
/* After publishing something that only the workers of @mask may take: those of them that sleep get up. */
void idle_call(struct idle *idle, uint64_t mask);
bool idle_anyone_racy(const struct idle *idle); /* somebody is searching or asleep */

void idle_search(struct idle *idle);
/* Has taken work. True: it was the last to search while others sleep, so it must look whether there is more, and wake one. */
bool idle_found(struct idle *idle);
/* After _begin the caller looks once more for work, then calls one of the two; it is searching again when they return. */
void idle_sleep_begin(struct idle *idle, unsigned worker);
void idle_sleep_cancel(struct idle *idle);
void idle_sleep_end(struct idle *idle, unsigned worker); /* sleeps until an idle_wake, or an idle_call for it */

/* A private futex: waits while *@word == @expected, may return early; wakes at most @count waiters. */
void futex_private_wait(_Atomic uint32_t *word, uint32_t expected);
void futex_private_wake(_Atomic uint32_t *word, unsigned count);
