/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/* Mutator: one attached thread of one session, as the daemon sees it.
 *   Owner    references: its session's list, a running collection's snapshot, the heap's list of seals to do
 *   Threads  [loop] unless said otherwise; what stands in its segment is hostile: read once, clamp, use the copy   */
#include <stdbool.h>
#include <stdint.h>
#include <sys/queue.h>
#include <uv.h>

#include "daemon/drain.h"
#include "daemon/quota.h"
#include "plans/heap.h"
#include "proto/wire.h"
#include "shm/mutator.h"
#include "shm/segment.h"

struct session;
struct shared_heap;
struct mutator;

/* A request for memory that could not be served at once. At most one a class, so a client cannot pile them up. */
struct grant_wait {
    TAILQ_ENTRY(grant_wait) link;
    struct mutator *mutator;
    enum shm_grant_class class;
    bool waiting;                             /* it is on the heap's list */
    bool all;                                 /* a reservation: everything or an error */
    bool commit_failed;                       /* memory was missing to the system, not (only) to the heap */
    uint64_t bytes;                           /* still wanted */
    uint32_t min_bytes, serial;
    uint64_t collection;                      /* collections that must have been completed before it fails, or is helped further */
    bool emergency;                           /* the last of those is an emergency collection */
    bool held;                                /* nothing is granted before the collection that stress_factor asks for */
};
TAILQ_HEAD(grant_queue, grant_wait);

struct mutator {
    unsigned refs;
    TAILQ_ENTRY(mutator) in_session, in_heap, in_seals;
    struct session *session;                  /* a reference */
    uint32_t id;                              /* [const] its number in the session, from 1 */
    bool exact;                               /* [const] */
    uint32_t tid;                             /* [const] as the client says, for people */
    char name[WIRE_LABEL_MAX + 1];            /* [const] */
    uint32_t root_capacity;                   /* [const] our own word for it, not the segment's */
    struct shm_segment *segment;
    struct shm_mutator MM_NODEREF *words;                /* hostile */
    struct heap_mutator *record;              /* [lock: heap] NULL until its first grant and after its seal */
    struct drain drain;                       /* [lock: heap] of its ring of logged stores */
    uint64_t since_task;                      /* [const] collector tasks begun when it attached: newer than a running one? */
    uint32_t published[SHM_GRANT_CLASSES];    /* our own count; the mailbox shows it */
    struct grant_wait wait[SHM_GRANT_CLASSES];
    uint64_t granted_bytes;
    _Atomic bool dead;                        /* [loop stores] detached or killed: its roots count no more */
    _Atomic uint64_t late_stops, max_stop_ns; /* [collector stores] */
    struct charges charges;                   /* of its session's user: itself, its file descriptors */
    int thread_fd;                            /* pidfd of the thread, -1: none */
    uv_poll_t thread_poll;
    bool watched;                             /* thread_poll is active; holds a reference */
};

#define MUTATOR_FILES 2u                      /* its segment, and a pidfd if there is one */
/* Attaches a thread of @stack_bytes of stack to @session. *ret_mutator is borrowed from the session's list. 0: *charges, of one thread
 * and its file descriptors, are its own from now on; -errno. */
int mutator_new(struct mutator **ret_mutator, struct session *session, const wire_attach *attach, struct charges *charges);
/* Watches a pidfd of the thread (taken on success), so that a thread that just vanishes is detached. 0, -errno. */
int mutator_watch(struct mutator *m, int thread_fd);
/* It is gone: roots at once, memory sealed as soon as nobody collects (S5). Once. */
void mutator_retire(struct mutator *m);
struct mutator *mutator_ref(struct mutator *m);
struct mutator *mutator_unref(struct mutator *m);

/* What its words say now, every one read once; clamped to an arena of @arena_bytes. Collector or loop, heap locked. */
void mutator_view(const struct mutator *m, uint64_t arena_bytes, struct heap_mutator_view *ret_view);
/* Its two rows of roots: ambiguous and local. False: the roots are incomplete (overflow). World stopped. */
bool mutator_roots(const struct mutator *m, struct heap_roots ret_rows[2]);
/* Takes what its write barrier has logged, and if it is dead the last of it. Nothing under plans without one. Heap locked. */
void mutator_drain_locked(struct mutator *m, struct shared_heap *heap);
void mutator_drain_running_locked(struct mutator *m, struct shared_heap *heap);      /* it runs: if need be also the entry it is about to confirm (drain.h) */
uint32_t mutator_locals_racy(const struct mutator *m);       /* clamped */
enum shm_state mutator_state(const struct mutator *m);       /* racy; OUT for what is no state */
