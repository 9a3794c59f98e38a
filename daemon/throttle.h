/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/* Throttle: requests_per_second. Who sends more is not refused but read later: its socket fills up, and its own sends wait.
 *   Why      a refusal would have to be sent, is an error that no program expects of a grant, and makes who floods try at once again
 *   Cost     a request takes a token, and one more for each eighth of the time between two tokens that the loop spent on it: so all that
 *            a user asks for takes an eighth of the loop at most, however dear it is
 *   Turns    connections of one user that wait are read again in the order in which they came to wait, one a token
 *   Threads  loop                                                                                           */
#include <stdbool.h>
#include <stdint.h>
#include <sys/queue.h>
#include <uv.h>

struct account;
struct server;
struct session;

struct throttle {
    TAILQ_HEAD(throttled_accounts, account) accounts;        /* that have connections waiting */
    int fd;                                   /* a timerfd */
    uv_poll_t poll;
};

int throttle_init(struct server *server);      /* 0, -errno; then nothing is left behind */
void throttle_close(struct server *server);   /* nobody waits any more */
/* Whether a request of @s may be read now. False: it waits, and session_listen() is called when it is its turn. */
bool throttle_lets(struct session *s);
/* One was read, and took the loop @spent_ns. */
void throttle_note(struct session *s, uint64_t spent_ns);
void throttle_forget(struct session *s);      /* it is not read any more, or by other rules */
