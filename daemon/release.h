/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/* Release: gives back to the system what a heap will not need soon, by punching holes into its arena.
 *   Kept     the plan's reserve, what is committed ahead, and as much as the clients would take within a second at the rate of
 *            the last moments; and a margin, so that what has just been committed is not given back at once. Who waits for
 *            memory waits for none of it: then only what lies above a lowered limit goes
 *   When     every tenth of a second while there is something to give back, the world running
 *   Where    holes are punched in libuv's pool: neither the loop nor a pause waits for them
 *   Threads  loop; with the heap's lock where "locked"                                  Why  docs/architecture.md#memory  */
#include <stdbool.h>
#include <stdint.h>
#include <uv.h>

struct release_batch;
struct shared_heap;

struct release {
    uv_timer_t *timer;                        /* runs while there is something to give back */
    struct release_batch *batch;              /* under way, or done and the heap not told yet; NULL: none */
    uint64_t window_ns, window_bytes;         /* granted since the window began */
    uint64_t rate_bytes;                      /* granted a second, quartered by each quiet window */
};

/* 0, -ENOMEM. */
int release_start(struct shared_heap *h);
void release_end(struct shared_heap *h);                      /* no more after this; a batch under way comes to its end */
void release_note_granted(struct shared_heap *h, uint64_t bytes);
void release_note_pause(struct shared_heap *h, uint64_t pause_ns);    /* time in which nobody could ask for memory */
/* Is there memory that the heap neither has nor may commit? Whoever waits for memory waits for that as well. */
bool release_under_way(const struct shared_heap *h);
void release_settle_locked(struct shared_heap *h);            /* tells the heap what has been given back */
/* Begins to look whether there is something to give back. */
void release_pump_locked(struct shared_heap *h);
