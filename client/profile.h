/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/* Profile: sampling what is allocated, and what the rest of the library has to tell it.
 *   Bytes that an attached thread allocates are a line on which points are drawn, the distances between them exponentially distributed; an
 *   object is sampled if a point falls into it. Such points have no memory: those of two bumps may be drawn apart, and whoever
 *   does not know how far it has come since the last may draw the next anew. So each bump that the fast paths use has a point of its own.
 *   X1  the fast paths stop at limit, and limit is never beyond the next point (profile_after()): who gets an object from them was not
 *       to be sampled, and nothing was counted. While no profile is taken limit is where it always was
 *   X2  limit is only lowered for that, not below the cursor: "zeroed up to here" stays true (shm/mutator.h), for less
 *   X3  bytes that the cursor passes and that are no object (ends of lines, what is stowed) may have points: those are drawn anew, and
 *       sample nothing
 * After tcmalloc's and Go's heap profiles, with HotSpot's way to keep the fast path as it is (JEP 331).
 *   Threads  profile_before() and profile_after(): the attached thread itself; the others: any                              */
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "client/thread.h"

#define PROFILE_INTERVAL_DEFAULT (UINT64_C(512) << 10)       /* as Go and tcmalloc */

struct profile_point;
extern _Atomic uint32_t profile_run;         /* the number of the profile that is being taken; 0: none is */

static inline bool profile_is_on(void)
{
    return MM_UNLIKELY(at_load_relaxed(&profile_run) != 0);
}

/* An allocation that is under way. */
struct profile_one {
    struct profile_point *point;             /* NULL: nothing is sampled */
    uint32_t which;
    uint64_t bytes, passed_bytes;            /* of the object; of its place */
    bool due;
};
/* While a profile is on, around each allocation that is no fast path's: an object of @bytes. */
void profile_before(struct thread *th, uint64_t bytes, struct profile_one *ret_one);
/* @object is there (NULL: it could not be had), in the call that returns to @caller. Gives it back. */
void *profile_after(struct thread *th, void *object, const struct profile_one *one, const void *caller);
/* Around what moves the bumps and is no allocation. */
void profile_pause(struct thread *th);
void profile_resume(struct thread *th);

/* What profile_sample.c asks of profile.c: how the profile that is being taken is taken. False: none is. */
struct profile_config {
    uint32_t run;
    uint64_t interval, seed;                 /* the seed: this thread's */
};
bool profile_config(struct profile_config *ret_config);

/* The lock of the table and of all that is global here: short. Before heap.lock; after the registry's (fork.h), which is held when a
 * child is made, with this one. */
void profile_lock(void);
void profile_unlock(void);
void profile_in_child(void);                 /* with the lock held, which it gives back */

void profile_client_comes(void);             /* the first connects: MMGC_PROFILE may start one */
void profile_clients_gone(void);             /* the last has disconnected: what MMGC_PROFILE started is written */
void profile_heap_closes(struct mmgc_heap *heap);            /* no thread is attached to it any more */
