/* SPDX-License-Identifier: Apache-2.0 */
/* requests_lease.c - Requests about sessions' tables: room for more rows; of leases who waits, what was given back, what an administrator ends. */
#include <errno.h>
#include <inttypes.h>

#include "daemon/log.h"
#include "daemon/request.h"
#include "daemon/server.h"
#include "daemon/session.h"
#include "daemon/shared_heap.h"

/* Answered in the session segment, and on the socket only if it cannot be: then the client looks by itself. */
enum handled request_lease_wait(struct request *r)
{
    const wire_lease_wait *wait = r->message->lease_wait;
    struct session *s = r->session;

    if (wait->over) {
        leases_wait_over(s->heap, s, wait->slot);
        return HANDLED;
    }
    switch (leases_wait(s->heap, s, wait->ref, wait->slot)) {
    case LEASE_WAITS: break;
    case LEASE_WAITS_TOO_MANY:
        return answer_error(r, MMGC_E_LIMIT, "%u threads of the session wait for leases, as many as it may have (max_threads)",
                            s->lease_waits);
    case LEASE_WAITS_NOMEM: return answer_errno(r, -ENOMEM, "waiting for a lease");
    }
    return HANDLED;
}

enum handled request_lease_released(struct request *r)
{
    leases_released(r->session->heap, r->message->lease_released->ref);
    return HANDLED;
}

enum handled request_more_rows(struct request *r)
{
    struct session *s = r->session;
    char why[QUOTA_WHY_MAX];
    uint32_t wanted;

    if (session_more_rows(s, &wanted))
        return answer_done(r);
    if (wanted == 0)
        return answer_error(r, MMGC_E_LIMIT, "%u handles, leases, guards and watches together (max_handles of [daemon])", s->row_limit - 1);
    return answer_error(r, MMGC_E_LIMIT, "%s", account_explain(s->charges.account, QUOTA_HANDLES, wanted, why));
}

static struct session *find_session(const struct shared_heap *h, uint64_t id)
{
    struct session *s;

    TAILQ_FOREACH(s, &h->sessions, in_heap)
    if (s->id == id)
        return s;
    return NULL;
}

enum handled request_lease_revoke(struct request *r)
{
    const wire_lease_revoke *revoke = r->message->lease_revoke;
    struct shared_heap *h = request_heap_meant(r, revoke->heap);

    if (h == NULL)
        return HANDLED;
    if (!shared_heap_may_destroy(h, r->session))
        return answer_error(r, MMGC_E_DENIED, "heap '%s' is user %u's", h->name, (unsigned)h->owner);
    struct session *s = find_session(h, revoke->session);
    if (s == NULL || revoke->slot == 0 || revoke->slot >= SHM_ROWS_MAX)
        return answer_error(r, MMGC_E_INVALID, "heap '%s' has no client %" PRIu64 " with a lease %u", h->name, revoke->session, revoke->slot);
    if (!leases_revoke(h, s, revoke->slot))
        return answer_error(r, MMGC_E_DROPPED, "row %u of client %" PRIu64 " is no lease", revoke->slot, revoke->session);
    log_info("heap '%s': lease %u of client '%s' (pid %d) is revoked by user %u", h->name, revoke->slot, s->name, (int)s->peer.pid,
             (unsigned)r->session->peer.uid);
    return answer_done(r);
}
