/* SPDX-License-Identifier: Apache-2.0 */
/* facts_users.c - Facts: what each user has and may have. Administrators are told of all, others of themselves. */
#include "daemon/facts.h"
#include "daemon/lease_quota.h"
#include "daemon/request.h"
#include "daemon/server.h"
#include "daemon/session.h"

#define PAGE_ROWS 128u

static wire_user_row row_of(const struct server *server, const struct account *a)
{
    wire_user_row row = wire_user_row_init();
    const uint64_t *have = a->have, *most = a->limits.most;

    row.uid = a->uid;
    row.section = (char *)a->section;
    row.heaps = have[QUOTA_HEAPS];
    row.max_heaps = most[QUOTA_HEAPS];
    row.bytes = have[QUOTA_BYTES];
    row.max_bytes = most[QUOTA_BYTES];
    row.sessions = have[QUOTA_SESSIONS];
    row.max_sessions = most[QUOTA_SESSIONS];
    row.threads = have[QUOTA_THREADS];
    row.max_threads = most[QUOTA_THREADS];
    row.handles = have[QUOTA_HANDLES];
    row.max_handles = most[QUOTA_HANDLES];
    row.leases = lease_quota_count(server, a);
    row.max_leases = most[QUOTA_LEASES];
    row.types = have[QUOTA_TYPES];
    row.max_types = most[QUOTA_TYPES];
    row.files = have[QUOTA_FILES];
    row.requests_per_second = a->limits.requests_per_second;
    row.connections_per_second = a->limits.connections_per_second;
    row.refused = a->refused;
    row.held_back = a->held_back;
    row.trusted = a->trusted;
    return row;
}

static bool may_see(const struct session *asker, const struct account *a)
{
    return asker->peer.administrator || asker->peer.uid == a->uid;
}

/* Rows from @from_uid on, until the page is full. */
static void fill(wire_user_rows *page, wire_user_row rows[PAGE_ROWS], const struct session *asker,
                 uint64_t from_uid)
{
    const struct quota *q = &asker->server->quota;

    for (size_t i = quota_from(q, from_uid); i < q->count; i++) {
        if (!may_see(asker, q->accounts[i]))
            continue;
        if (page->n_rows == PAGE_ROWS) {
            page->more = true;
            return;
        }
        rows[page->n_rows] = row_of(asker->server, q->accounts[i]);
        page->rows[page->n_rows] = &rows[page->n_rows];
        page->n_rows++;
    }
}

enum handled request_users(struct request *r)
{
    wire_user_row rows[PAGE_ROWS], *row_pointers[PAGE_ROWS];
    wire_user_rows page = wire_user_rows_init();
    wire_reply reply = wire_reply_init();

    page.rows = row_pointers;
    fill(&page, rows, r->session, r->message->users->from_uid);
    page.files = r->session->server->quota.files;
    page.max_files = r->session->server->quota.files_max;
    reply.body_case = WIRE_REPLY(USER_ROWS);
    reply.user_rows = &page;
    return answer(r, &reply, NULL);
}
