/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/* Quota: what each user has of the daemon, and may have.
 *   Account  one a uid, made when it first connects; it stays while anything is charged to it or one of its buckets is not full, so that
 *            nobody gets a new one by going and coming
 *   Charges  what one owner (a session, a thread, a heap, a heap's types) was charged with, and of whom. It is a field of the owner, and
 *            charges_fini() stands where the owner's memory is freed: nothing can be forgotten, and what ends earlier is given back earlier
 *   Threads  loop                                                                                           */
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/queue.h>
#include <sys/types.h>

#include "daemon/bucket.h"
#include "daemon/user_options.h"

struct config;
struct session;

#define QUOTA_WHY_MAX 400u

TAILQ_HEAD(held_sessions, session);

struct account {
    uid_t uid;                                /* [const] */
    struct quota *quota;                      /* [const] */
    struct user_limits limits;
    char section[40];                         /* "user" or "user NAME": where the limits stand */
    char who[56];                             /* "user 1000" or "user NAME (1000)" */
    bool trusted;                             /* [const] root, or the daemon's own user */
    uint64_t have[QUOTA_KINDS];
    unsigned debtors;                         /* charges that name it */
    struct bucket requests, connections, complaints;
    bool leases_full;                         /* lease_quota.h: its sessions are told that no lease may begin */
    uint64_t refused;                         /* times that one of the limits was in the way */
    uint64_t held_back;                       /* times that a connection had to wait for requests_per_second */
    struct held_sessions held;                /* throttle.h */
    TAILQ_ENTRY(account) in_throttle;
};
struct quota {
    struct account **accounts;                /* by rising uid */
    size_t count, capacity;
    const struct config *config;
    uint64_t files, files_max;                /* file descriptors: in use, as far as we know; there may be */
    uint64_t refused, held_back;              /* as of accounts, and of those that are gone */
};

/* What is kept of file descriptors: for the daemon's own short needs (notices, /proc, packets with fds), and for administrators. */
uint64_t quota_files_kept(const struct quota *q, bool administrator);
void quota_init(struct quota *q, const struct config *config);    /* counts what is open by now */
void quota_fini(struct quota *q);             /* nothing is charged any more */
/* The one of @uid, made if there is none. NULL: no memory. Borrowed: charge something before the next call. */
struct account *quota_account(struct quota *q, uid_t uid, uint64_t now_ns);
void quota_configure(struct quota *q);        /* config's limits have changed: they hold for what comes, and take nothing away */
size_t quota_from(const struct quota *q, uint64_t uid);           /* index of the first account with this uid or a greater one */

struct bucket_rate account_request_rate(const struct account *a);
struct bucket_rate account_connection_rate(const struct account *a);

struct charges {
    struct account *account;                  /* NULL: none yet */
    uint64_t of[QUOTA_KINDS];
};
void charges_init(struct charges *c, struct account *account);
/* False: that would be more than its user may have, and nothing was charged. @administrator: file descriptors come from their reserve, too. */
bool charges_take(struct charges *c, enum quota_kind kind, uint64_t count);
bool charges_take_files(struct charges *c, uint64_t count, bool administrator);
void charges_give_back(struct charges *c, enum quota_kind kind, uint64_t count);
void charges_fini(struct charges *c);         /* all of it; {0}, and a second time, are fine */

/* Why @count more of @kind were refused to @a: "user 1000 has 64 heaps, as many as max_heaps of [user] allows". Counts and, now and then, logs it. */
const char *account_explain(struct account *a, enum quota_kind kind, uint64_t count, char ret_why[QUOTA_WHY_MAX]);
/* Whether a line about @a may be logged now: a flood of its requests makes no flood of lines. */
bool account_may_complain(struct account *a, uint64_t now_ns);
