/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/* Thread: the library's record of one attached thread. What the inline calls touch, struct mmgc_thread, is the start of its
 * mutator segment (shm/mutator.h); this record is in private memory and is found through `library` there.
 *   Owner    the thread that attached; fields without a mark are its alone
 *   Threads  lists under the registry's lock (client/fork.h)                                              */
#include <mmgc/mmgc.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "client/error.h"
#include "client/fork.h"
#include "client/heap.h"
#include "shm/mutator.h"
#include "shm/segment.h"

static_assert(offsetof(struct mmgc_thread, cursor) == offsetof(struct shm_mutator, lines.cursor),
              "mmgc.h");
static_assert(offsetof(struct mmgc_thread, limit) == offsetof(struct shm_mutator, lines.limit),
              "mmgc.h");
static_assert(offsetof(struct mmgc_thread, end) == offsetof(struct shm_mutator, lines.end), "mmgc.h");
static_assert(offsetof(struct mmgc_thread, epoch) == offsetof(struct shm_mutator, epoch), "mmgc.h");
static_assert(offsetof(struct mmgc_thread, base) == offsetof(struct shm_mutator, base), "mmgc.h");
static_assert(offsetof(struct mmgc_thread, library) == offsetof(struct shm_mutator, client), "mmgc.h");
static_assert(offsetof(struct mmgc_thread, log_lines) == offsetof(struct shm_mutator, log_lines), "mmgc.h");
static_assert(sizeof(struct mmgc_thread) <= offsetof(struct shm_mutator, state), "mmgc.h");

struct stack {                               /* a region that may hold our pointers */
    char *low, *top;
    bool grows;                              /* the main thread's: mapped only as far down as it ever reached */
};

struct slab {                                /* one grant class's supply (grant.c, span.c) */
    uint64_t bytes;                          /* asked for at a time: follows this thread's rate */
    uint64_t ahead_bytes;                    /* in ring entries that are published and not begun */
    uint64_t came_bytes;                     /* seen in the ring since the last request */
    uint64_t asked_ns;                       /* when we last asked */
    uint32_t seen;                           /* ring entries counted into ahead_bytes so far */
    uint32_t taken;                          /* our own copy of mail.taken */
    uint32_t mail_serial;                    /* of the last request */
    uint32_t wire_serial;                    /* the same request's on the socket */
    bool current;                            /* the bump lies in ring entry `taken` */
    bool refused;                            /* the last answer was an error: do not ask ahead */
    bool dry;                                /* the last that was waited for was one: crumbs first (alloc.c) */
};

#define THREAD_ROWS 16u

struct thread {
    struct shm_mutator *m;                   /* [const] its segment; struct mmgc_thread is at its start */
    struct mmgc_heap *heap;                  /* [const] */
    struct shm_segment *segment;             /* [const] */
    unsigned generation;                     /* [const] fork_generation when it attached */
    uint32_t id;                             /* [const] the daemon's number for it */
    bool exact, fence;                       /* [const] */
    const _Atomic uint64_t *log_bits;        /* the heap's if its plan has fields logged, else NULL */
    const _Atomic uint64_t *field_bits;      /* the same, but with a hold open NULL */
    uint64_t log_lines;                      /* m->log_lines, but with a hold open */
    struct holds *holds;                     /* NULL before the first (hold.h) */
    uint32_t hold_depth;                     /* that are open */
    struct profiler *profiler;               /* NULL: never sampled (profile_sample.c) */
    int error;                               /* mmgc_thread_error() */
    uint32_t local_top;                      /* slots of locals in use; slot 0 never is */
    uint64_t reserve_left;                   /* bytes still promised (reserve.c) */
    char *reserve_seen;                      /* where the bump stood when they were last counted */
    uint64_t identity_seed;                  /* identity.c; 0: nothing was drawn yet */
    uint32_t rows[THREAD_ROWS], row_count;   /* free rows of the session's table that it keeps (row.c) */
    uint32_t drain_asked;                    /* entries of its log when it last asked for room (write_barrier.c) */
    struct slab slabs[SHM_GRANT_CLASSES];
    struct stack *stacks;                    /* [0] is the thread's own */
    uint32_t stack_count;

    struct thread *next;                     /* [lock: fork] in heap->threads */
    struct thread_owner *owner;              /* [lock: fork] NULL once somebody is detaching it */
    struct thread *owner_next;               /* [lock: fork] in owner->threads */
};

/* The record of @t; never NULL. In a forked child, that of the parent's thread. */
static inline struct thread *thread_of(const struct mmgc_thread *t)
{
    return t->library;
}
static inline struct mmgc_thread *thread_public(struct thread *th)
{
    return (struct mmgc_thread *)(void *)th->m;
}
static inline bool thread_is_in(const struct thread *th)
{
    return at_load_relaxed(&th->m->state) == SHM_IN;
}
/* Why thread_check_in() says no; the detail is set. */
int thread_explain_not_in(const struct mmgc_thread *t);
/* MMGC_OK, or why @t cannot do what needs it inside: NULL, forked, not in. The first only says whether. */
static inline bool thread_may_go_on(const struct mmgc_thread *t)
{
    return t != NULL && thread_of(t)->generation == fork_generation && thread_is_in(thread_of(t));
}
static inline int thread_check_in(const struct mmgc_thread *t)
{
    if (MM_LIKELY(t != NULL && thread_of(t)->generation == fork_generation && thread_is_in(thread_of(t))))
        return MMGC_OK;
    return thread_explain_not_in(t);
}
/* Remembers @code for mmgc_thread_error() and returns NULL. The detail was set by whoever found it. */
void *thread_fail(struct thread *th, int code);
/* Its bump is void from here on: the daemon has given it up, and memory behind it may be another's. */
void thread_lose_bump(struct thread *th);

/* Is the calling system thread inside of @heap? */
bool thread_of_caller_is_in(const struct mmgc_heap *heap);
void thread_detach_all(struct mmgc_heap *heap);
