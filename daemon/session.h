/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/* Session: one connection: who it is, the heap it opened, the threads it attached.
 *   Owner    references: the server's list while it is connected, its mutators, snapshots of collections, deferred requests
 *   Threads  loop, but for what the collector's snapshot may read: dead, pidfd, words, the constants
 *   Life     NEW until Hello, READY, then CLOSING: told why, our sending side shut, drained until the peer closes
 *            or a second has passed, so that an error we sent is never overtaken by a reset               */
#include <stdbool.h>
#include <stdint.h>
#include <sys/queue.h>
#include <uv.h>

#include "daemon/mutator.h"
#include "daemon/peer.h"
#include "daemon/quota.h"
#include "plans/heap.h"
#include "proto/wire.h"
#include "shm/segment.h"
#include "shm/session.h"

struct server;
struct shared_heap;
struct subscription;
struct trace;
struct watcher;

enum session_stage { SESSION_NEW, SESSION_READY, SESSION_CLOSING, SESSION_CLOSED };

TAILQ_HEAD(session_mutators, mutator);

struct session {
    unsigned refs;
    TAILQ_ENTRY(session) in_server, in_heap;
    struct server *server;
    uint64_t id;                              /* [const] */
    enum session_stage stage;
    int sock, pidfd;                          /* pidfd: -1 where the kernel gives none; open until the last reference */
    uv_poll_t sock_poll, pidfd_poll;
    bool process_watched;                     /* pidfd_poll is there */
    int events;                               /* what sock_poll watches for; 0: nothing */
    uv_timer_t timer;                         /* for Hello, then for notices (subscription.c), then for the end of CLOSING */
    uint64_t timer_due_ns;                    /* session_time() */
    unsigned handles;                         /* of libuv that must close before the memory may go */
    struct peer peer;                         /* [const] */
    struct charges charges;                   /* of its user: itself, its file descriptors, its rows */
    TAILQ_ENTRY(session) in_held;             /* of its account: it is not read now (throttle.h) */
    bool held;
    char name[WIRE_LABEL_MAX + 1];
    uint64_t connected_ns;
    int send_buffer_bytes;
    bool sent;                                /* since its socket was last seen to have room */
    unsigned deferred;                        /* requests of ours that wait for a collection's end */
    bool has_snapshot;                        /* one of those is for a snapshot */

    struct shared_heap *heap;                 /* NULL: none open; a reference */
    bool read_only;
    struct shm_segment *segment;
    struct shm_session MM_NODEREF *words;                /* hostile */
    uint32_t row_limit;                       /* rows that it may use, as its words say, too: at most SHM_ROWS_MAX; only grows */
    uint64_t since_task;                      /* as a mutator's */
    struct session_mutators mutators;
    unsigned mutator_count;
    uint32_t next_thread;
    _Atomic bool dead;                        /* [loop stores] its rows count no more */
    char *heir;                               /* the guardian that its guarded objects are left to; NULL: none */
    char *guardian;                           /* whom it is; NULL: nobody */
    TAILQ_ENTRY(session) in_testators;        /* of its heap, with a reference: dead, and its heir has not inherited yet */
    struct subscription *_Atomic subscription;       /* [loop stores, once] to relocation notices (notices.h); NULL: none */
    struct watcher *watcher;                  /* NULL: it watches nothing */
    struct trace *trace;                      /* that it records; NULL: none; a reference */
    uint32_t lease_holder;                    /* who it is in the heap's table of leases; 0: it leases nothing */
    unsigned lease_waits;                     /* threads that wait for one */
};

/* Takes over the accepted @sock, or turns it away. False: it came more often than it may. */
bool session_accept(struct server *server, int sock);
/* It has said Hello. Until then as little is made for it as can be, since who floods us with connections says nothing. */
void session_greeted(struct session *s);
/* Says why (OK: nothing to say) and closes: roots and threads go at once. Safe to call twice. */
__attribute__((format(printf, 3, 4))) void session_end(struct session *s, enum mmgc_error why, const char *format, ...);
void session_abort(struct session *s);       /* at once, whether it has read our last word or not */
struct session *session_ref(struct session *s);
struct session *session_unref(struct session *s);

/* Sends; a peer that does not read its replies is ended. */
void session_send(struct session *s, const wire_reply *reply, const struct packet_fds *fds);
/* Sends what may be lost, if there is room for it now: never waits, never ends the session. 0, -errno: it was not sent. */
int session_tell(struct session *s, const wire_reply *reply);
/* Its timer, anew. What it fires for is done only if !session_overslept(). */
void session_time(struct session *s, uv_timer_cb late, uint64_t after_ns);
/* It has fired so late that this process did not run, and maybe the peer neither: it is to be started again (S15). */
bool session_overslept(const struct session *s);
void session_hear(struct session *s);        /* what lies in its socket, before it is judged by what it has not said; may end it */
void session_listen(struct session *s);      /* watches for what it may do next: after deferred has changed */
void session_send_error(struct session *s, uint32_t serial, enum mmgc_error code, const char *detail);

struct mutator *session_mutator(const struct session *s, uint32_t thread);     /* borrowed, or NULL */
/* Opens @heap for it: a segment of its own, a place among its sessions. 0, -errno. */
int session_enter_heap(struct session *s, struct shared_heap *heap, bool read_only);
/* Twice as many rows for its table, or as many more as it may have. False: none. *ret_wanted: how many would have been right; 0: it has all
 * that a connection can have (max_handles of [daemon]). */
bool session_more_rows(struct session *s, uint32_t *ret_wanted);
/* Its table as a row of roots; world stopped. */
void session_roots(const struct session *s, struct heap_roots *ret_row);
uint32_t session_rows_racy(const struct session *s);          /* rows from here on were never used, or are none (max_handles) */
/* Rows of its table, by kind, of the first *rows_left, which it lowers by those it has looked at. For who asks, not for collections. */
struct session_counts {
    uint32_t of[SHM_ROW_KINDS];
};
struct session_counts session_count_racy(const struct session *s, uint32_t *rows_left);
uint32_t session_counts_leases(const struct session_counts *counts);         /* of those, the ones that are leases */
uint32_t session_leases_racy(const struct session *s);        /* the same of all of its table */
void session_wake(struct session *s);                         /* go + 1 and a wake: after each resume (S4) */
