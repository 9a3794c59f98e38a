/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/* Notices: clients that have asked for it are told where a collection moved objects to.
 *   Stop     the collector decides, of each subscription, what it is told and under which number, and puts the number into that session's
 *            segment before the resume: who goes on afterwards can tell that there is something to wait for. Then the loop sends it
 *   Owner    a session its subscription; a heap what all of its subscriptions share
 *   Threads  [stw]: the collector's, world stopped, until it hands the task back; then the loop's, until the next is posted
 *   Bounded  a subscription that leaves too many untaken, or too many bytes, or one for too long, is dropped: its session is ended
 *            with NO_NOTICES. Nobody waits for it                                                            */
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "plans/heap.h"
#include "shm/move.h"
#include "shm/sheet.h"

struct collector_task;
struct session;
struct shared_heap;

#define NOTICE_INLINE_MAX 128u                /* rows in the message itself; more are in a sheet */
#define NOTICES_WAITING_MAX 64u               /* of one subscription, sent and not taken: far from filling its socket */

struct notice_map {                           /* what one notice says */
    uint64_t count;                           /* rows */
    bool incomplete;
    struct shm_move rows[NOTICE_INLINE_MAX];  /* if they fit; else */
    struct shm_sheet sheet;
};

struct notices {                              /* of a heap: for those who want to know of all */
    struct heap_moves moves;                  /* [stw] */
    struct notice_map map;                    /* [stw] */
};

struct watched {                              /* a row of a session's table before the collection */
    uint32_t slot, tag, word;
};
struct notice_waiting {
    uint64_t number, sent_ns, bytes;
};
struct subscription {
    bool all;                                 /* [const] else: of the objects that its table watches */
    uint64_t deadline_ns;                     /* [const] for each notice */
    uint64_t told;                            /* [stw] the newest number */
    bool due;                                 /* [stw] the task at hand has a notice for it */
    uint64_t collection;                      /* [stw] what that says */
    struct notice_map map;                    /* [stw] the same, if not all */
    struct watched *watched;                  /* [stw] NULL: none, or there was no memory: then lost */
    size_t watched_count;
    bool lost;
    struct notice_waiting waiting[NOTICES_WAITING_MAX];      /* [loop] a ring; the oldest is at first */
    unsigned first, count;                    /* [loop] */
    uint64_t waiting_bytes, sent;             /* [loop] their sum; the newest number */
};

void notices_init(struct notices *n);
void notices_fini(struct notices *n);
/* The collector's, around a collection. Heap locked. */
void notices_begin_stw(struct shared_heap *h, struct collector_task *task, struct heap_stop *stop);
void notices_end_stw(struct shared_heap *h, struct collector_task *task);
/* The loop's, as soon as the task is its again: before another can be posted. */
void notices_send(struct shared_heap *h, struct collector_task *task);

/* subscription.c: the notice with the number told, of @bytes, is on its way. */
void subscription_sent(struct session *s, struct subscription *sub, uint64_t bytes);
void subscription_drop(struct session *s);                    /* its session ends: its client can tell before anybody else; or it has none */
void subscription_free(struct subscription *sub);             /* NULL in, nothing */
