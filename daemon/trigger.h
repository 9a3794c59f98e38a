/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/* Trigger: what follows when a heap has nothing left to grant within its limit.
 *   fixed      a collection, then an error
 *   dynamic    a collection, after which the limit is set anew from what lives, how fast the clients allocate and how fast the
 *              collector traces; and a larger limit, up to its maximum, before anybody hears an error. All of that is known after a
 *              collection of the whole heap only: a young one leaves the limit as it is
 *   delegated  a client, the delegate, is told and decides: collect, another limit, or refuse. While it thinks, who waits waits;
 *              at the deadline, or without a delegate, the heap is as a fixed one
 *   Threads    loop; with the heap's lock where "locked"                                Why  docs/architecture.md#memory  */
#include <stdbool.h>
#include <stdint.h>
#include <uv.h>

#include "daemon/heap_options.h"

struct collector_task;
struct server;
struct session;
struct shared_heap;

enum trigger_move { TRIGGER_COLLECTS, TRIGGER_GROWS, TRIGGER_WAITS, TRIGGER_REFUSES };
enum trigger_decision { DECIDE_COLLECT, DECIDE_LIMIT, DECIDE_REFUSE, DECISIONS };    /* as in Decide */

struct trigger {
    uint64_t alloc_rate, trace_rate;          /* dynamic: bytes a second, smoothed; 0: not known yet */
    uint64_t since_ns, since_granted;         /* dynamic: when the last collection of the whole heap ended, what was granted by then, */
    uint64_t paused_ns;                       /* and how long clients were stopped since, for young collections */
    struct session *delegate;                 /* a reference; NULL: none */
    enum {
        TRIGGER_CALM,
        TRIGGER_PRESSED,                      /* the delegate is to be asked, once the lock is dropped */
        TRIGGER_ASKED,
        TRIGGER_TO_COLLECT, TRIGGER_TO_REFUSE /* decided; holds for those who wait now */
    } state;
    uint64_t wanted_bytes;                    /* by the first of those who wait */
    uv_timer_t *deadline;
};

/* The limit that a heap begins with. @said_bytes: by whom made it; 0: nothing. */
uint64_t trigger_first_limit(const struct trigger_config *config, uint64_t said_bytes);
/* Beside @live_bytes, how much a dynamic heap is worth: MemBalancer's square root, and never less than half as much again. */
uint64_t trigger_spare_bytes(uint64_t live_bytes, uint64_t alloc_rate, uint64_t trace_rate);

uint64_t trigger_ceiling(const struct shared_heap *h);        /* the highest limit that anybody waiting could live to see */
int trigger_start(struct shared_heap *h);                     /* 0, -ENOMEM */
void trigger_end(struct shared_heap *h);                      /* the delegate's connection ends, too */

/* Somebody waits for @bytes and nothing more can be committed; @in_vain: it had its collection, of the whole heap. Asked once for each, then settled. */
enum trigger_move trigger_full_locked(struct shared_heap *h, uint64_t bytes, bool in_vain);
void trigger_settled_locked(struct shared_heap *h);           /* a decision has been followed */
void trigger_pump(struct shared_heap *h);                     /* lock dropped: tells the delegate; may end its session */
void trigger_collected(struct shared_heap *h, const struct collector_task *task);

/* False: there is another. */
bool trigger_delegate(struct shared_heap *h, struct session *s);
/* The delegate has decided. False: the lock is not to be had, come back; only DECIDE_LIMIT needs it. */
bool trigger_decide(struct shared_heap *h, enum trigger_decision decision, uint64_t limit_bytes);
void trigger_session_gone(struct server *server, struct session *s);
