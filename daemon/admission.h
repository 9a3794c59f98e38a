/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/* Admission: whether a connection becomes a session, and what the one is told that does not.
 *   Cheap    who comes too often is turned away after two system calls: nothing is made for it
 *   Told     the reason is in the client's receive queue before we close, and nothing of the client's is left unread, which would
 *            overtake it as a reset
 *   Threads  loop                                                                                           */
#include "daemon/peer.h"
#include "daemon/quota.h"
#include "proto/wire.h"

struct server;

#define ADMISSION_KEPT_SESSIONS 32u           /* for administrators, on top of max_sessions */

enum admission {
    ADMITTED,
    TURNED_AWAY,                              /* told why and closed */
    TOO_FAST,                                 /* the same, since it comes more often than it may: no hurry with the next one */
};
/* Judges the accepted @sock. ADMITTED: *ret_peer, *ret_pidfd (-1: none) and *ret_charges (one session and its file descriptors) are the
 * caller's. */
enum admission admission_judge(struct server *server, int sock, struct peer *ret_peer, int *ret_pidfd, struct charges *ret_charges);
/* Says why, in an event, and closes. */
__attribute__((format(printf, 3, 4))) void admission_turn_away(int sock, enum mmgc_error why, const char *format, ...);
