/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/* Lease quota: max_leases of a user. Leases begin and end without the daemon, so it counts them now and then, and tells the user's sessions
 * whether more may begin (may_lease of shm/session.h). For a moment there can be more than there may be: a quarter of a second's worth.
 *   Cost     nobody is looked at who could not have so many: each is a row, and rows are counted when they are given (QUOTA_HANDLES)
 *   Hostile  who goes on all the same has rows that hold objects, which rows of other kinds do, too; it is named in the log
 *   Threads  loop                                                                                           */
#include <uv.h>

struct account;
struct server;
struct session;

void lease_quota_init(struct server *server);
void lease_quota_close(struct server *server);
void lease_quota_enter(struct session *s);    /* it has entered a heap, and may lease */
void lease_quota_rows_given(struct session *s);       /* its user may be one to look at now */
uint64_t lease_quota_count(const struct server *server, const struct account *a);    /* its leases now: walks its sessions' tables */
