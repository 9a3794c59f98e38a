/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/* Collector: one thread a heap that stops its world, has the plan look at it, and lets it go on.
 *   Hand-over  the loop makes a task, with a snapshot of who takes part, and posts it; the thread fills it in and posts it
 *              back by uv_async. One task at a time; between the two the task is the thread's.
 *   Heap       the thread takes the heap's lock once the world has stopped. The loop only ever tries that lock: while a stop is
 *              pending it still serves grants, types and names, without which a thread inside might never come to its
 *              safepoint; once the world has stopped it has such requests wait.
 *   Newcomers  the loop makes the epoch odd before it takes the snapshot: who attaches later finds it odd and stays out
 *              until the resume, so a snapshot without them is complete (S4)                               */
#include <pthread.h>
#include <stdbool.h>
#include <stdint.h>
#include <uv.h>

#include "plans/heap.h"

struct mutator;
struct session;
struct shared_heap;
struct trace;

enum collector_work {
    WORK_COLLECT, WORK_VERIFY, WORK_HISTOGRAM, WORK_SNAPSHOT,
    WORK_CLEAR, WORK_MARK, WORK_COUNT, WORK_SWEEP,   /* of a concurrent collection: beside the clients, who are not stopped (cycle.h) */
    WORK_END,                                 /* stop for good, give the arena back, end the thread */
    WORK_QUIT,                                /* end the thread; clients go on reading what they have mapped */
};
enum collector_outcome { OUTCOME_DONE, OUTCOME_ABANDONED, OUTCOME_FAILED, OUTCOME_PUT_OFF };

#define COLLECTOR_LATE_MAX 8u                 /* of one stop, that somebody is told of */

struct collector_task {
    enum collector_work work;
    struct trace *trace;                      /* a reference: what it does is recorded there; NULL: nowhere */
    struct mutator **mutators;                /* references */
    size_t mutator_count;
    struct session **sessions;                /* references */
    size_t session_count;
    uint64_t asked_ns;                        /* when the epoch became odd */
    uint64_t patience_ns;                     /* a stop that takes longer is put off (patience.h); 0: stop_deadline holds */

    enum collector_outcome outcome;           /* [collector] from here on */
    size_t last_parked;                       /* of those that the stop had to wait for, the last: 1 + its index in mutators; 0: there were none */
    struct collector_late {
        size_t mutator;                       /* its index */
        bool killed;                          /* with its process; else the stop was given up */
    } late[COLLECTOR_LATE_MAX];               /* who was still inside at stop_deadline */
    size_t late_count;
    uint64_t began_ns;                        /* the thread took it up */
    bool emergency;                           /* a collection: the one before had not made room */
    bool ended;                               /* a stop: it was all of a collection, or the end of one */
    uint64_t beside_ns;                       /* a task beside the clients: how long it took */
    int error;                                /* -errno of a task that failed */
    uint64_t stop_ns, pause_ns;               /* asked to all stopped; asked to resume */
    struct heap_collection collection;
    struct heap_verdict verdict;
    struct heap_histogram_row *histogram;     /* [histogram_rows], by type */
    uint32_t histogram_rows;
    uint32_t *row_owners;                     /* of a snapshot: of each row of roots, who it is of: row of OWNERS (snapshots.h) */
};

struct collector {
    pthread_t thread;
    pthread_mutex_t mutex;                    /* guards posted and finished, for moments: the loop takes it, too */
    pthread_cond_t wake;
    bool posted, finished;
    bool busy;                                /* [loop] a task is the thread's */
    bool stops;                               /* [loop] that stops the world */
    bool ended;                               /* [loop] the thread was joined */
    uint64_t begun;                           /* [loop] tasks ever posted */
    struct collector_task task;
    uv_async_t done;                          /* wakes the loop */
    _Atomic bool give_up;                     /* [loop stores] abandon a pending stop now: the daemon is shutting down */
};

const char *collector_work_name(enum collector_work work);         /* "collect", "verify", "mark" */
bool collector_is_beside(enum collector_work work);                  /* the clients, which run */
const struct mutator *collector_last_parked(const struct collector_task *task);      /* NULL: nobody had to be waited for */
/* Starts the thread. 0, -errno; then nothing is left behind. */
int collector_start(struct shared_heap *heap);
/* Posts a task: epoch odd, snapshot, hand-over. The collector is not busy. 0, -ENOMEM (no snapshot, nothing happened). */
int collector_post(struct shared_heap *heap, enum collector_work work);
/* The collection in @task has come to its end: its figures are in control, and its number counts. Heap locked. */
void collector_publish_end(struct shared_heap *heap, struct collector_task *task);

/* safepoint.c, on the collector's thread. False: abandoned at the deadline, or put off; the world was resumed or was never stopped. */
bool safepoint_stop(struct shared_heap *heap, struct collector_task *task);
void safepoint_resume(struct shared_heap *heap, struct collector_task *task);
/* What the plans need to know of the stopped world. Arrays are freed by safepoint_world_fini. 0, -ENOMEM. Heap locked. */
int safepoint_world(struct shared_heap *heap, struct collector_task *task, struct heap_stop *ret_stop);
void safepoint_world_fini(struct heap_stop *stop);
