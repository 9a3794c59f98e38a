/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/* Store: who is logged in, as objects in the heap under the name "store".
 *   Threads   The one that opened it, inside */
#include <mmgc/mmgc.h>

#define LAST_SHOWN 10                        /* logins, in a report */

struct store {                               /* an object */
    mmgc_ref buckets, last;                  /* of sessions by user; the last login */
    uint32_t logged_in, logins;
};
struct session {                             /* an object */
    mmgc_ref next, before, basket;           /* in its bucket; the login before this one; bytes */
    uint32_t user;
};
struct store_access {
    struct mmgc_thread *t;
    mmgc_type session, bytes;
    mmgc_local store;
};

/* The heap, made by whoever comes first. */
struct mmgc_heap *store_heap(struct mmgc_client *client);
void store_open(struct store_access *ret_access, struct mmgc_heap *heap, struct mmgc_thread *t);
void store_log_in(struct store_access *a, uint32_t user);    /* [safepoint] */
void store_log_out(struct store_access *a, uint32_t user);
