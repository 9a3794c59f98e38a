/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/* Stows: graphs that clients have asked to have stowed (heap_stop.stows), from the asking until the result is fetched.
 *   Root     a strong row of the session's table, read when the world has stopped: it keeps the graph alive, and follows it
 *   Life     wanted; done by the first stop that is a whole collection; gone when its result was asked for, or with its session
 *   Threads  a lock of its own, for moments: the loop adds and fetches while a stop may be pending; the collector's thread takes what is
 *            wanted and puts the results in
 *   Bounded  so many of a heap at once: who asks for more is told LIMIT                                                          */
#include <pthread.h>
#include <stdbool.h>
#include <stdint.h>

#include "plans/heap.h"

struct collector_task;
struct session;
struct shared_heap;

#define STOWS_MAX 64u

struct stow_asked {
    uint64_t session;                         /* 0: none */
    uint32_t slot;
    bool done;
    struct heap_stow result;
};
struct stows {
    pthread_mutex_t lock;                     /* leaf; guards asked */
    struct stow_asked asked[STOWS_MAX];
    struct heap_stow rows[STOWS_MAX];         /* [stw] what the collection at hand is given, */
    struct stow_asked of[STOWS_MAX];          /* [stw] and for whom */
};

void stows_init(struct stows *s);
void stows_fini(struct stows *s);
/* The collector's, around a collection. Heap locked. */
void stows_begin_stw(struct shared_heap *h, const struct collector_task *task, struct heap_stop *stop);
void stows_end_stw(struct shared_heap *h, const struct heap_stop *stop);
void stows_leave(struct shared_heap *h, const struct session *s);    /* the session ends */
