/* SPDX-License-Identifier: Apache-2.0 */
#include "daemon/lease_quota.h"

#include <inttypes.h>

#include "daemon/log.h"
#include "daemon/quota.h"
#include "daemon/server.h"
#include "daemon/session.h"

#define LOOK_EVERY_MS 250u

/* Could it have more than it may? */
static bool is_to_be_watched(const struct account *a)
{
    return a->have[QUOTA_HANDLES] > a->limits.most[QUOTA_LEASES];
}

uint64_t lease_quota_count(const struct server *server, const struct account *a)
{
    const struct session *s;
    uint64_t count = 0;

    TAILQ_FOREACH (s, &server->sessions, in_server)
        if (s->charges.account == a && s->heap != NULL)
            count += session_leases_racy(s);
    return count;
}

static void tell(struct session *s, bool may)
{
    uint64_t most = s->charges.account->limits.most[QUOTA_LEASES];

    if (s->words == NULL || s->lease_holder == 0)
        return;
    at_store_relaxed(&s->words->lease_limit, (uint32_t)MM_MIN(most, (uint64_t)UINT32_MAX));
    at_store_relaxed(&s->words->may_lease, may);
}

static void tell_all(struct server *server, const struct account *a, bool may)
{
    struct session *s;

    TAILQ_FOREACH (s, &server->sessions, in_server)
        if (s->charges.account == a)
            tell(s, may);
}

static void look_at(struct server *server, struct account *a)
{
    uint64_t have = is_to_be_watched(a) ? lease_quota_count(server, a) : 0;
    bool full = have >= a->limits.most[QUOTA_LEASES] && a->limits.most[QUOTA_LEASES] != CONFIG_UNLIMITED;
    char why[QUOTA_WHY_MAX];

    if (full == a->leases_full)
        return;
    a->leases_full = full;
    tell_all(server, a, !full);
    a->have[QUOTA_LEASES] = have; /* for the sentence: nobody is charged with them */
    if (full)
        (void)account_explain(a, QUOTA_LEASES, 1, why);
    a->have[QUOTA_LEASES] = 0;
}

static void on_timer(uv_timer_t *timer)
{
    struct server *server = timer->data;
    bool any = false;

    for (size_t i = 0; i < server->quota.count; i++) {
        struct account *a = server->quota.accounts[i];
        if (is_to_be_watched(a) || a->leases_full)
            look_at(server, a);
        any = any || is_to_be_watched(a);
    }
    if (!any)
        uv_timer_stop(timer);
}

void lease_quota_init(struct server *server)
{
    MM_ASSERT(uv_timer_init(&server->loop, &server->lease_timer) == 0);
    server->lease_timer.data = server;
}

void lease_quota_close(struct server *server)
{
    uv_close((uv_handle_t *)&server->lease_timer, NULL);
}

void lease_quota_enter(struct session *s)
{
    tell(s, !s->charges.account->leases_full);
}

void lease_quota_rows_given(struct session *s)
{
    struct server *server = s->server;

    if (is_to_be_watched(s->charges.account) && !uv_is_active((uv_handle_t *)&server->lease_timer))
        uv_timer_start(&server->lease_timer, on_timer, LOOK_EVERY_MS, LOOK_EVERY_MS);
}
