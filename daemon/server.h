/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/* Server: the daemon as a whole: its loop, its listening socket, its sessions and heaps.
 *   Threads  the loop thread owns every field; collector threads see the engine and nothing else of it
 *   Law      the loop never blocks: what may take long is done by a collector thread, the committer or libuv's pool */
#include <stdbool.h>
#include <stdint.h>
#include <sys/queue.h>
#include <sys/types.h>
#include <uv.h>

#include "daemon/config.h"
#include "daemon/peer.h"
#include "daemon/quota.h"
#include "daemon/registry.h"
#include "daemon/throttle.h"
#include "daemon/trace.h"
#include "daemon/watch.h"

struct committer;
struct engine;
struct session;

TAILQ_HEAD(session_list, session);

struct server {
    uv_loop_t loop;
    struct config config;
    struct engine *engine;                    /* workers shared by all heaps, for work that stops clients */
    struct engine *background;                /* others, for work beside them */
    struct committer *committer;
    struct registry heaps;
    struct session_list sessions;             /* by rising id, for paging */
    unsigned session_count;
    struct quota quota;
    struct throttle throttle;
    uint64_t started_ns;
    uint64_t requests;                        /* run so far */
    struct bucket stranger_lines;             /* of the log */
    unsigned snapshots;                       /* whose memory the daemon has mapped (snapshots.h) */
    struct traces traces;
    struct watchers watchers;
    struct bucket collection_lines;           /* of the log; and how many were left out since the last */
    uint64_t collections_unsaid;
    uint64_t next_session;
    unsigned live_heaps;                      /* not freed yet, in the registry or not */
    uint64_t incarnation;                     /* [const] random, one a daemon start */
    struct peer_strangers strangers;          /* [const] */

    int listen_fd;                            /* -1: not listening (any more) */
    int reserve_fd;                           /* given up for a moment to turn a client away when fds run out */
    bool socket_is_ours;                      /* made by us, so unlinked by us */
    bool stopping;
    uv_poll_t listen_poll;
    uv_timer_t listen_timer;                  /* it rests: somebody connects too often */
    uv_signal_t on_terminate, on_interrupt, on_hangup;
    uv_timer_t foreign_timer;                 /* foreign.c */
    uv_timer_t lease_timer;                   /* lease_quota.h */
    uv_timer_t stop_timer;                    /* sessions that do not close by themselves at the end */
};

/* Runs the daemon to its end. The exit status. Takes @config over. @ready_fd gets one byte once clients can connect; -1: nobody waits. */
int server_run(const struct config *config, int ready_fd);

/* Somebody is gone: called by sessions and heaps when they end, so that a stopping server can tell when it is done. */
void server_session_ended(struct server *server);
void server_heap_ended(struct server *server);
void server_report(const struct server *server);     /* how many heaps there are, to systemctl status */

/* listener.c */
int listener_open(struct server *server);     /* own path or the one socket systemd passed. 0, -errno (logged) */
void listener_close(struct server *server);
