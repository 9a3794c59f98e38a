/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/* Grants: memory into a thread's mailbox, and what happens until there is some: commit, else collect, else an error.
 *   Threads  loop; with the heap's lock where "locked"                                                       */
#include "daemon/mutator.h"

struct shared_heap;

/* Takes note of a checked request. The pump serves it, at once if it can. */
void grants_ask(struct shared_heap *h, struct mutator *m, const wire_grant *grant);
/* Answers in the mailbox without granting anything. */
void grants_refuse(struct mutator *m, enum shm_grant_class class, uint32_t serial, enum mmgc_error why);
/* Serves who can be served, fails who has had a collection in vain, asks for commits and collections for the rest. */
void grants_pump_locked(struct shared_heap *h);
/* Everybody who waits hears @why. */
void grants_fail_locked(struct shared_heap *h, enum mmgc_error why);
/* So much was granted since the last collection, or pause that counts, as a nursery has; or, if there is no pause goal, twice that:
 * what was to be done before the next one can no longer be waited for. */
bool grants_nursery_is_over(const struct shared_heap *h);
void grants_forget(struct shared_heap *h, struct mutator *m);          /* it is gone: what it waits for is moot */

/* commits.c: pages for the heap, asked of the committer */
void commits_settle_locked(struct shared_heap *h);            /* tells the heap what has been answered meanwhile */
/* Sees to @wanted bytes of free committed memory, beside the plan's reserve and some more, ahead of the clients: all that the limit
 * allows. False: no more can come. */
bool commits_ask_locked(struct shared_heap *h, uint64_t wanted);
uint64_t commits_ahead_locked(const struct shared_heap *h);   /* bytes */
/* What may be granted before the next collection of what is young; UINT64_MAX: the plan has none. */
uint64_t grants_nursery_left_locked(const struct shared_heap *h);
void commits_note_granted(struct shared_heap *h, uint64_t bytes);      /* the rate that "ahead" follows */
