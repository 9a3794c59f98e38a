/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/* Idle: which workers look for work, which sleep, and how many to wake: as many as there is work for.
 *   Owner    embedded in the engine
 *   Threads  any. A worker is busy (not counted), searching (counted), or asleep (counted):
 *                busy -> idle_search -> searching -> idle_sleep_begin -> asleep -> idle_sleep_end or _cancel -> searching
 *                searching -> idle_found -> busy
 *   Proof    idle.c: no wake is lost                                                                                */
#include <stdbool.h>
#include <stdint.h>

#include "shm/base.h"

struct idle {
    _Atomic uint32_t state; /* searching:16 | asleep:16; every change is a seq_cst read-modify-write */
    _Atomic uint32_t tickets; /* futex: sleepers told to get up that have not yet done so */
};

#define IDLE_ALL 0x10000u /* for idle_wake: everybody who sleeps */

/* After publishing @want packets: wakes sleepers until @want workers are searching, or nobody sleeps. */
void idle_wake(struct idle *idle, unsigned want);
bool idle_anyone_racy(const struct idle *idle); /* somebody is searching or asleep */

void idle_search(struct idle *idle);
/* Has taken work. True: it was the last to search while others sleep, so it must look whether there is more, and wake one. */
bool idle_found(struct idle *idle);
/* After _begin the caller looks once more for work, then calls one of the two; it is searching again when they return. */
void idle_sleep_begin(struct idle *idle);
void idle_sleep_cancel(struct idle *idle);
void idle_sleep_end(struct idle *idle); /* sleeps until an idle_wake */

/* A private futex: waits while *@word == @expected, may return early; wakes at most @count waiters. */
void futex_private_wait(_Atomic uint32_t *word, uint32_t expected);
void futex_private_wake(_Atomic uint32_t *word, unsigned count);
