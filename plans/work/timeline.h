/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/* Timeline: what happened when, while somebody records: a fixed ring for each thread that has something to say. docs/tracing.md
 *   Owner    who made it, in memory of his own; jobs and threads that write borrow it
 *   Threads  a track has one writer, and all tracks together one reader (timeline.c, the proof)
 *   Bounded  what does not fit is counted and lost, the newest first: nobody waits for a reader
 *   Cost     where nobody records: one test of a pointer for each packet. Else 8 ns for an event                */
#include <stdalign.h>
#include <stddef.h>
#include <stdint.h>

#include "shm/base.h"

#define TIMELINE_EVENTS 4096u                 /* of a track, unread; a power of two */

enum timeline_kind {
    TIMELINE_PACKET,                          /* name: the packet's kind */
    TIMELINE_STAGE,                           /* name: the stage's. From its opening to its end, by the worker who closed it */
    TIMELINE_STOP,                            /* asked until all had stopped; number, thread: session and thread of the last to park, or 0 */
    TIMELINE_THREAD,                          /* one thread of it, that had to be waited for; number, thread: the same of it */
    TIMELINE_PAUSE,                           /* asked to stop until resumed; name: of what kind; number: the collection's */
    TIMELINE_BESIDE,                          /* worked beside the clients; name: at what */
    TIMELINE_COMMIT,                          /* at once; number: bytes that have come */
    TIMELINE_RELEASE,                         /* at once; number: bytes that have gone back */
    TIMELINE_KINDS
};
struct timeline_event {
    enum timeline_kind kind;
    uint32_t thread;
    const char *name;                         /* constant, and there for good */
    uint64_t begin_ns, duration_ns;           /* mm_now_ns() */
    uint64_t number;
};

struct timeline_track {
    alignas(MM_CACHE_LINE) _Atomic uint64_t written;     /* [writer] events ever put in */
    _Atomic uint64_t lost;                               /* [writer] that found no room */
    alignas(MM_CACHE_LINE) _Atomic uint64_t read;        /* [reader] events ever taken out */
    struct timeline_event events[TIMELINE_EVENTS];       /* of written - read of them the writer's hand is off */
};
struct timeline {
    unsigned count;                           /* [const] */
    struct timeline_track tracks[];
};

/* What one of @tracks takes: zeroes, of which most cost nothing before they are written. */
size_t timeline_bytes(unsigned tracks);
struct timeline *timeline_init(void *zeroes, unsigned tracks);       /* aligned to MM_CACHE_LINE */

/* By @track's writer. */
void timeline_put(struct timeline *t, unsigned track, const struct timeline_event *event);
/* By the reader: up to @capacity of the oldest events of @track, and how many they were. */
size_t timeline_take(struct timeline *t, unsigned track, struct timeline_event *ret, size_t capacity);
uint64_t timeline_lost(const struct timeline *t);                    /* of all tracks; any thread */
