/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/* Report: what one collection of a heap came to, from why it was wanted to what it left: gathered stop by stop, said once, when it has ended: in
 * the log (log_collections, mmgcd(8)), to who watches (watch.h), to a probe.
 *   Owner    a shared heap       Threads  loop; report_promised() also with the heap's lock                          */
#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

#include "proto/wire.h"

struct collector_task;
struct shared_heap;

enum collection_cause {                       /* why it was promised; of several the last in this list is said */
    CAUSE_AHEAD,                              /* a cycle begins while what it will take is still there */
    CAUSE_NURSERY,
    CAUSE_STRESS,                             /* stress_factor */
    CAUSE_FULL,
    CAUSE_ASKED,
    CAUSE_EMERGENCY,                          /* full, and the one before had not made room */
    CAUSES
};

struct report_thread {                        /* of a client, as it was then */
    uint64_t session;                         /* 0: none */
    uint32_t thread;
    pid_t pid;
    uid_t uid;
    char client[WIRE_LABEL_MAX + 1], name[WIRE_LABEL_MAX + 1];
};
struct report {
    unsigned causes[2];                       /* bits, of the collection under way and the next: by number modulo 2 */
    bool begun;                               /* a task of it was posted */
    uint64_t before_bytes;                    /* in use, when the loop last saw it before that */
    unsigned pauses;
    uint64_t pause_ns;                        /* of all of them */
    uint64_t stop_ns;                         /* of that, at most, to stop the threads; and for whom it had to wait last: */
    struct report_thread last_parked;
    uint64_t beside_ns;                       /* worked while clients ran */
    uint64_t moved_objects, moved_bytes;
};

void report_promised(struct shared_heap *h, uint64_t number, enum collection_cause cause);
void report_begin(struct shared_heap *h);     /* the first of its tasks is posted; harmless before the others */
void report_stop(struct shared_heap *h, const struct collector_task *task);
void report_beside(struct shared_heap *h, uint64_t ns);
void report_cancel(struct shared_heap *h);    /* it was given up */
/* It has ended: h->completed is its number. */
void report_ended(struct shared_heap *h, const struct collector_task *task);
