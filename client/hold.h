/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/* Hold: the scoped regions of one attached thread, and what others of the library must ask of them.
 *   Owner    the thread's record, from its first hold until it is detached
 *   Threads  the attached thread itself, while IN; docs/leases-and-holds.md#holds                                   */
#include <mmgc/hold.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "client/hold_blocks.h"
#include "client/thread.h"
#include "shm/units.h"

#define HOLD_DEPTH_BITS 0x1fu                /* of an owner byte: the hold that a block belongs to, 1 the outermost; 0: none */
#define HOLD_GUESTS 0x80u                    /* a guest may be in this block; never together with a depth */

/* An object that was made in a hold and is the heap's: large, or of mmgc_new_in(). A handle keeps it alive, for it is looked at in the end. */
struct hold_guest {
    mmgc_handle handle;
    uint32_t granule;
    bool stowed;                             /* what it refers to is being stowed (stow.c) */
};

struct hold {
    struct shm_bump bump;                    /* while an inner one is open: then this is no longer in m->lines */
    struct hold_chain chain;                 /* its blocks; the bump lies in the last */
    char *counted;                           /* used_bytes knows of all below, in the current block */
    uint64_t used_bytes;                     /* without what was bumped since */
    uint64_t budget_bytes;                   /* UINT64_MAX: none */
    uint32_t epoch;                          /* when it began: even */
    uint32_t serial;
    enum mmgc_hold_policy policy;
    const char *name;                        /* borrowed; "" if it has none */
    struct hold_guest *guests;               /* the newest last */
    uint32_t guest_count, guest_capacity;
};

struct holds {
    struct hold stack[MMGC_HOLD_DEPTH_MAX];  /* [depth - 1] is the innermost */
    uint32_t serial;
    uint64_t outermost;                      /* the serial of the outermost hold, as the daemon knows it; never the same again */
    uint64_t reserve_left;                   /* promised in the innermost, ... */
    uint64_t reserve_used;                   /* ... when this had been used of it */
    uint64_t stowed_bytes;                   /* into the heap at once, of late (stow.c) */
    struct hold_pool pool;
};

static inline bool hold_is_open(const struct thread *th)
{
    return MM_UNLIKELY(th->hold_depth != 0);
}
static inline struct hold *hold_innermost(const struct thread *th)
{
    return &th->holds->stack[th->hold_depth - 1];
}
static inline struct shm_bump *hold_bump(const struct thread *th, struct hold *hold)
{
    return hold == hold_innermost(th) ? &th->m->lines : &hold->bump;
}
/* The same by depth, and with guests: how deep the hold is that @object belongs to; 0: none. Not for addresses outside the arena. */
uint32_t hold_depth_slow(const struct thread *th, const void *object);
static inline uint32_t hold_depth_of(const struct thread *th, const void *object)
{
    uint8_t owner = th->holds->pool.owners[(uint64_t)((const char *)object - th->m->base) >> MM_BLOCK_LOG];

    return MM_LIKELY((owner & HOLD_GUESTS) == 0) ? owner : hold_depth_slow(th, object);
}
/* Whether @object (NULL is fine) may not be referred to by what outlives the holds of @th: handles, names, leases. Two loads as a rule. */
static inline bool hold_owns(const struct thread *th, const void *object)
{
    return hold_is_open(th) && object != NULL && hold_depth_of(th, object) != 0;
}
/* MMGC_E_HELD, saying so of @object. */
int hold_refuse(const struct thread *th, const void *object);

/* [safepoint] What the inline call could not do, with a hold open: an object of at most MMGC_SMALL_MAX, or another. */
void *hold_new(struct mmgc_thread *t, mmgc_type type, uint32_t length);
/* MMGC_OK, or MMGC_E_BUDGET: so much more may not be made in the innermost hold. */
int hold_afford(struct thread *th, uint64_t bytes);
/* @object, of @bytes, has just been made, elsewhere: from now on it is a guest. NULL in, NULL out; NULL: thread_fail() was called. */
void *hold_welcome(struct mmgc_thread *t, void *object, uint64_t bytes);
/* The innermost hold's guest that @object is, or that of an outer one; NULL: it is none. *ret_depth is the hold's. */
struct hold_guest *hold_guest_find(const struct thread *th, const void *object, uint32_t *ret_depth);
/* Guests that are marked stowed, of holds deeper than @to: the hold @to's from now on, or nobody's. All: those of the innermost whatever. */
int hold_guests_room(struct thread *th, uint32_t to, uint32_t count);
void hold_guests_leave(struct thread *th, uint32_t to, bool all);

/* Its block has objects, then zeroes to the end of the line that its bump is in, and its row says so. The bump is there, void. */
void hold_line_up(struct thread *th, struct hold *hold);
/* Where its bump ends: with its block, or its budget. To be called after the budget, or what was used of it, has changed. */
void hold_cap(const struct thread *th, struct hold *hold);
uint64_t hold_used(const struct thread *th, struct hold *hold);
/* Bumps @bytes in @hold, without a header and without waiting; NULL: neither its block nor the pool has room. */
char *hold_take(struct thread *th, struct hold *hold, uint64_t bytes);
/* [safepoint] Sees to @blocks whole blocks in the pool. */
int hold_pool_fill(struct thread *th, uint32_t blocks);
int hold_reserve(struct thread *th, uint64_t bytes);         /* mmgc_reserve() with a hold open */

/* The thread is about to stop running, and perhaps to be looked at: its rows say what its holds have. */
void hold_publish_all(struct thread *th);
static inline void hold_publish(struct thread *th)
{
    if (hold_is_open(th))
        hold_publish_all(th);
}
/* The session is over, or the thread: no hold is open any more. */
void hold_forget(struct thread *th);
void hold_free(struct thread *th);
