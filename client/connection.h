/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/* Connection: one socket to the daemon: round trips, requests without a reply, and events nobody asked for.
 *   Threads  any, after open and before close. The lock is held for one immediate round trip, so that even a thread that
 *            is IN may wait for it: the daemon's loop answers at once, also while a stop is pending.
 *   Errors   MMGC_OK or an MMGC_E_ code, its case kept by error_set()                                   */
#include <pthread.h>
#include <stdbool.h>
#include <stdint.h>

#include "proto/packet.h"
#include "proto/wire.h"
#include "shm/base.h"

#define REFUSED_KEPT 64u

struct connection {
    int sock;                                /* [const] */
    unsigned generation;                     /* [const] fork_generation when it was opened */
    _Atomic uint32_t serial;                 /* of the last request */
    _Atomic int broken;                      /* 0, or the code that every later call gets; the first reason stays */
    _Atomic bool told;                       /* release-stored once last_word is written */
    char last_word[192];                     /* what the daemon said of it, in words; the lock's holder writes it, once */
    _Atomic uint64_t refused[REFUSED_KEPT];  /* serial << 32 | code: errors for requests that await no reply, by serial: one who waits
                                              * finds its own, though others were refused since */
    pthread_mutex_t lock;                    /* one round trip: who holds it receives */
};

/* Connects and says Hello. @name is shown to administrators, cut to 63 bytes. */
int connection_open(struct connection *c, const char *path, const char *name);
void connection_close(struct connection *c);

/* One round trip. MMGC_OK: the reply is of kind @expected (WIRE_REPLY) and the caller's to free, received fds are its to
 * close; otherwise there is neither. @fds, @ret_reply and @ret_fds may be NULL. */
int connection_call(struct connection *c, wire_request *request, const struct packet_fds *fds, unsigned expected,
                    wire_reply **ret_reply, struct packet_fds *ret_fds);
/* Sends a request that is not answered on the socket (a grant). *ret_serial is what connection_refused() wants. */
int connection_post(struct connection *c, wire_request *request, uint32_t *ret_serial);
/* MMGC_OK, or why the daemon did answer that request on the socket, with an error. */
int connection_refused(struct connection *c, uint32_t serial);
/* The next event that is not the end of the connection, for a caller that has no round trips under way: *ret_reply is its to free, and the
 * fds its to close. MMGC_E_TIMEOUT (no detail): none came; else what every call gets now. */
int connection_event(struct connection *c, int timeout_ms, wire_reply **ret_reply, struct packet_fds *ret_fds);
/* It cannot be understood: every call is @code from now on, or what it was before. */
int connection_break(struct connection *c, int code);
/* Reads what events have come, without waiting: has the daemon died, the heap gone? MMGC_OK, or what every call gets now. */
int connection_look(struct connection *c);
