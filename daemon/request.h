/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/* Request: one message on its way to its answer. A handler answers it, or has it wait for the end of a collection that owns
 * what it needs; then it is simply run again.
 *   Threads  loop                                                                                           */
#include <stdbool.h>
#include <sys/queue.h>

#include "proto/packet.h"
#include "proto/wire.h"

struct session;
struct shared_heap;
struct snapshot;

struct request {
    TAILQ_ENTRY(request) link;
    struct session *session;                  /* a reference */
    wire_request *message;
    struct packet_fds fds;                    /* what a handler keeps, it sets to -1 */
    struct shared_heap *awaited;              /* set by a handler that says LATER */
    int work;                                 /* and whether for its lock, or for an inspection: enum collector_work */
    bool counted;                             /* among its session's deferred ones */
    struct snapshot *snapshot;                /* the memory that came with it (snapshots.h); NULL: none, or not yet */
};
TAILQ_HEAD(request_queue, request);

enum handled { HANDLED, HANDLED_LATER, HANDLED_ELSEWHERE };   /* ELSEWHERE: request_continue() will be called */
#define NOT_INSPECTED (-1)

/* Runs a received message; takes both. */
void request_run(struct session *s, wire_request *message, struct packet_fds *fds);
/* Runs every request that waits for @heap once more. */
void request_run_deferred(struct shared_heap *heap);
void request_continue(struct request *r);    /* one that was handled ELSEWHERE: runs it once more */
void request_free(struct request *r);
void request_close_fds(struct session *s, struct packet_fds *fds);   /* never blocks: a close of a stranger's fd may */

/* Answers: one of them ends every handler. */
enum handled answer(struct request *r, wire_reply *reply, const struct packet_fds *fds);     /* sets the serial */
enum handled answer_done(struct request *r);
__attribute__((format(printf, 3, 4))) enum handled answer_error(struct request *r, enum mmgc_error code, const char *format, ...);
enum handled answer_errno(struct request *r, int error, const char *what);  /* SYSTEM_NOMEM, LIMIT or SYSTEM; logged */
enum handled answer_later(struct request *r, struct shared_heap *heap);

/* It waits for its turn with the collector, which then does @work for it. The heap's name may be empty: the session's own. */
enum handled request_inspect(struct request *r, const char *heap, int work);
/* The heap a request names; with an empty name the session's own. NULL: it was refused. */
struct shared_heap *request_heap_meant(struct request *r, const char *name);

/* Handlers, by file. requests.c checks before: Hello came, a heap is open where one is needed. */
enum handled request_heap_open(struct request *r);            /* requests_heap.c */
enum handled request_heap_destroy(struct request *r);
enum handled request_type_define(struct request *r);
enum handled request_name_set(struct request *r);
enum handled request_name_get(struct request *r);
enum handled request_collect(struct request *r);
enum handled request_verify(struct request *r);
enum handled request_histogram(struct request *r);
enum handled request_heap_resize(struct request *r);          /* requests_memory.c */
enum handled request_delegate(struct request *r);
enum handled request_decide(struct request *r);
enum handled request_attach(struct request *r);               /* requests_thread.c */
enum handled request_detach(struct request *r);
enum handled request_grant(struct request *r);
enum handled request_drain(struct request *r);
enum handled request_bequeath(struct request *r);             /* requests_guard.c */
enum handled request_guardian(struct request *r);
enum handled request_inherit(struct request *r);
enum handled request_stow(struct request *r);                 /* stows.c */
enum handled request_stowed(struct request *r);
enum handled request_notices_open(struct request *r);         /* subscription.c */
enum handled request_notices_taken(struct request *r);
enum handled request_lease_wait(struct request *r);           /* requests_lease.c */
enum handled request_lease_released(struct request *r);
enum handled request_lease_revoke(struct request *r);
enum handled request_handles(struct request *r);              /* facts_rows.c */
enum handled request_more_rows(struct request *r);            /* requests_lease.c */
enum handled request_users(struct request *r);                /* facts_users.c */
enum handled request_evict(struct request *r);                /* requests_evict.c */
enum handled request_snapshot(struct request *r);             /* requests_snapshot.c */
enum handled request_watch(struct request *r);                /* watch.c */
enum handled request_trace_begin(struct request *r);          /* trace.c */
enum handled request_trace_read(struct request *r);
enum handled request_stats(struct request *r);                /* stats.c */
enum handled request_blocks(struct request *r);               /* block_map.c */
enum handled request_heap_list(struct request *r);            /* facts.c */
enum handled request_heap_info(struct request *r);
enum handled request_clients(struct request *r);
enum handled request_roots(struct request *r);
