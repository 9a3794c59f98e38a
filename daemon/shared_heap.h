/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/* Shared heap: the plans' heap with everything that makes it a service: segments, a name, sessions, threads, named roots,
 * who waits for memory, what is asked of its collector.
 *   Owner    references: the registry, sessions, commits in flight, its collector thread
 *   Threads  [loop], or [lock]: the collector thread holds the lock while the world is stopped, the loop only tries it
 *   Life     open; ending (out of the registry, sessions told); ended (thread joined), freed with the last reference   */
#include <pthread.h>
#include <stdbool.h>
#include <stdint.h>
#include <sys/queue.h>
#include <sys/types.h>

#include "daemon/collector.h"
#include "daemon/cycle.h"
#include "daemon/counters.h"
#include "daemon/estate.h"
#include "daemon/foreign_pages.h"
#include "daemon/heap_options.h"
#include "daemon/leases.h"
#include "daemon/mutator.h"
#include "daemon/names.h"
#include "daemon/notices.h"
#include "daemon/patience.h"
#include "daemon/quarantine.h"
#include "daemon/quota.h"
#include "daemon/release.h"
#include "daemon/report.h"
#include "daemon/request.h"
#include "daemon/stows.h"
#include "daemon/trace.h"
#include "daemon/trigger.h"
#include "plans/heap.h"
#include "proto/wire.h"
#include "shm/commit.h"
#include "shm/control.h"
#include "shm/segment.h"

struct server;
struct session;

#define SPACES_MAX 8u
#define COMMITS_MAX 32u                       /* units of 2 MiB in flight at once, of one heap */

struct commit_result {
    uint64_t offset;
    bool success;
};
struct heap_gauges {                          /* the plans' numbers when the lock was last to be had: facts need not wait */
    uint64_t free_bytes, used_bytes, uncommitted_bytes, excess_bytes, metadata_bytes;
    uint32_t types;
    uint64_t names;
    struct heap_log_totals log;
    uint64_t nursery_bytes, nursery_rests;
    struct heap_space_info spaces[SPACES_MAX];
    size_t space_count;
};
TAILQ_HEAD(shared_heap_sessions, session);
TAILQ_HEAD(shared_heap_mutators, mutator);

struct definer {                              /* a user who has defined types here */
    TAILQ_ENTRY(definer) link;
    struct charges charges;
};
TAILQ_HEAD(definers, definer);

struct shared_heap {
    unsigned refs;
    struct server *server;
    char name[WIRE_NAME_MAX + 1];             /* [const] */
    uid_t owner;                              /* [const] with group and mode: who may open it, like a file's */
    gid_t group;
    unsigned mode;
    struct charges charges;                   /* of its creator's: itself, its maximum size, its file descriptors */
    struct definers definers;                 /* types stay as long as the heap */
    struct heap_settings settings;            /* [const] what it was made of; trigger within size_bytes */
    bool ending, end_posted;
    bool collects;                            /* [const] its plan ever does */
    bool corrupt;                             /* quarantined; control says it to clients */
    struct quarantine quarantine;
    uint64_t max_bytes;                       /* [const] */
    uint64_t limit_bytes;                     /* what may be in use */

    struct shm_segment *arena, *private, *control_segment;
    struct shm_segment *log_segment;          /* NULL: its plan has no write barrier */
    struct shm_control *control;
    pthread_mutex_t lock;
    struct heap *heap;                        /* [lock] */
    struct names names;                       /* [lock] */
    struct estate estate;                     /* [lock] */
    struct leases leases;

    struct shared_heap_sessions sessions;
    unsigned session_count;
    struct shared_heap_mutators mutators;     /* attached, of all sessions */
    unsigned mutator_count;
    struct shared_heap_sessions testators;    /* dead, what they had guarded still to be inherited; references */
    struct shared_heap_sessions settled;      /* and done; references about to be dropped */
    struct shared_heap_mutators seals;        /* gone, their memory still to be sealed; references */
    struct shared_heap_mutators sealed;       /* and done; references about to be dropped */

    struct collector collector;
    struct notices notices;
    struct stows stows;
    struct pace pace;
    struct patience patience;
    uint64_t completed, promised;             /* collections: done, and asked for by number */
    uint64_t promised_late;                   /* the same, after the task under way was given up, before the loop heard of it */
    _Atomic uint64_t emergency_until, wished_until;      /* [loop stores] collections up to this number are of that kind (collector.c C4) */
    uint64_t granted_at_collection;           /* [lock] control's granted_bytes at the last one: what stress_factor and nurseries count from */
    uint64_t emergencies;                     /* collections done because the one before had not made room */
    uint64_t given_up_seen;                   /* control's abandoned_stops when the loop last heard of a task's end */
    struct grant_queue waiting;               /* for memory */
    struct request_queue deferred;            /* for the lock */
    struct request_queue inspections;         /* a verify or histogram that waits for its turn */
    struct request *inspecting;               /* whose task the collector has; NULL: its own doubt's */
    bool collected_last;                      /* the last task was a collection */

    unsigned commits_in_flight;
    struct commit_result commit_results[COMMITS_MAX];        /* answered while the world was stopped */
    unsigned commit_result_count;
    bool pages_known;
    enum shm_pages pages;                     /* what the last commit got */
    uint64_t commit_again_ns;                 /* a commit failed: none before this time */
    uint64_t rate_window_ns, rate_bytes, rate_last_bytes;    /* granted in this window of 10 ms and in the one before */
    struct release release;
    struct foreign_pages foreign;                   /* pages that nobody was granted */
    struct trigger trigger;
    struct report report;
    struct trace *trace;                      /* somebody records what it does; NULL: nobody. Its session's */

    uint64_t commits, released_bytes, out_of_memory;         /* so far: units that came, given back; threads told that there is none */
    uint64_t abandoned_stops;
    struct heap_collection last;              /* the newest collection that was done */
    struct counters counters;
    struct heap_gauges gauges;
};

/* Makes a heap, in the registry, with its first commits under way. *ret_heap is borrowed from the registry.
 * 0; -E2BIG: larger than max_size; -ENOENT: no such plan; -ENOSPC: max_heaps; -EDQUOT: its creator may not have it, as @ret_why says;
 * -errno. */
int shared_heap_new(struct shared_heap **ret_heap, struct server *server, const char *name,
                    const struct heap_settings *settings, const struct session *creator, char ret_why[QUOTA_WHY_MAX]);
/* What @account is charged with for types of @h. NULL: no memory. Borrowed. */
struct charges *shared_heap_definer(struct shared_heap *h, struct account *account);
struct shared_heap *shared_heap_ref(struct shared_heap *h);
struct shared_heap *shared_heap_unref(struct shared_heap *h);
/* True: h->heap and h->names are the caller's until shared_heap_unlock. False: the world is stopped; come back later. */
bool shared_heap_try_lock(struct shared_heap *h);
void shared_heap_unlock(struct shared_heap *h);

/* Whatever can go on, goes on: seals, commits, waiting grants, the next task. Called after every change. */
void shared_heap_pump(struct shared_heap *h);
/* Within max_bytes; rounded up to commit units. The caller sees to the pump. */
void shared_heap_set_limit_locked(struct shared_heap *h, uint64_t bytes);
/* A collection of the whole heap that begins after now: its number, done when control's collections has reached it, a moment before completed does. */
uint64_t shared_heap_ask_collection(struct shared_heap *h);
uint64_t shared_heap_next_collection_locked(const struct shared_heap *h);    /* the same, and nobody is promised it */
uint64_t shared_heap_promise_collection_locked(struct shared_heap *h, enum collection_cause cause);      /* its number; the caller sees to the pump */
uint64_t shared_heap_promise_unbegun_locked(struct shared_heap *h, enum collection_cause cause);          /* the same of one that has not stopped the world yet */
/* The collector handed @task back. */
void shared_heap_task_done(struct shared_heap *h, const struct collector_task *task);     /* outcome.c */
/* A collection has come to its end: it counts. outcome.c */
void shared_heap_collection_ended(struct shared_heap *h, const struct collector_task *task);
/* Takes the heap out of the registry and ends it: its world is stopped for good, the arena given back, sessions told. */
void shared_heap_end(struct shared_heap *h);
bool shared_heap_may_open(const struct shared_heap *h, const struct session *s, bool read_only);
bool shared_heap_may_destroy(const struct shared_heap *h, const struct session *s);
void shared_heap_read_gauges(struct shared_heap *h);          /* if the lock is to be had; else they stay */
void shared_heap_drain_locked(struct shared_heap *h);         /* what its threads, which run, have logged by now */
void shared_heap_show_barrier(struct shared_heap *h);         /* what clients are to log. To log more: world stopped */
