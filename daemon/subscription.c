/* SPDX-License-Identifier: Apache-2.0 */
/* subscription.c - Subscription: one session that is told what moves: how it begins, what it has not taken, when it is dropped.
 *   U1  the timer of its session, which nothing else needs between Hello and the end, runs while something is not taken: for the oldest
 *   U2  numbers are taken in order: one is all before it */
#include <errno.h>
#include <stdlib.h>

#include "daemon/notices.h"
#include "daemon/request.h"
#include "daemon/server.h"
#include "daemon/session.h"
#include "daemon/shared_heap.h"

#define NS_PER_MS UINT64_C(1000000)

static struct notice_waiting *waiting_at(struct subscription *sub, unsigned i)
{
    return &sub->waiting[(sub->first + i) % NOTICES_WAITING_MAX];
}

/* What was sent before this process slept counts from now. */
static void begin_again(struct subscription *sub)
{
    for (unsigned i = 0; i < sub->count; i++)
        waiting_at(sub, i)->sent_ns = mm_now_ns();
}

static void on_late(uv_timer_t *timer)
{
    struct session *s = timer->data;
    struct subscription *sub = at_load_relaxed(&s->subscription);
    uint64_t number = waiting_at(sub, 0)->number;
    bool overslept = session_overslept(s);

    session_ref(s);
    if (overslept)
        begin_again(sub);
    session_hear(s);
    if (s->stage < SESSION_CLOSING && sub->count > 0 && waiting_at(sub, 0)->number == number) {
        if (overslept)
            session_time(s, on_late, sub->deadline_ns);
        else
            session_end(s, MMGC_E_NO_NOTICES, "notice %llu was not taken within %llu ms", (unsigned long long)number,
                        (unsigned long long)(sub->deadline_ns / NS_PER_MS));
    }
    session_unref(s);
}

/* U1 */
static void watch_oldest(struct session *s, struct subscription *sub)
{
    if (sub->count == 0) {
        (void)uv_timer_stop(&s->timer);
        return;
    }
    uint64_t waited_ns = mm_now_ns() - waiting_at(sub, 0)->sent_ns;
    session_time(s, on_late, sub->deadline_ns - MM_MIN(waited_ns, sub->deadline_ns));
}

void subscription_sent(struct session *s, struct subscription *sub, uint64_t bytes)
{
    *waiting_at(sub, sub->count) = (struct notice_waiting){ sub->told, mm_now_ns(), bytes };
    sub->count++;
    sub->waiting_bytes += bytes;
    sub->sent = sub->told;
    if (sub->count == 1)
        watch_oldest(s, sub);
}

static void take(struct session *s, struct subscription *sub, uint64_t number)
{
    if (sub->count > 0 && session_overslept(s)) /* U1: its timer is overdue, but after a sleep the socket may come before it */
        begin_again(sub);
    while (sub->count > 0 && waiting_at(sub, 0)->number <= number) {
        sub->waiting_bytes -= waiting_at(sub, 0)->bytes;
        sub->first = (sub->first + 1) % NOTICES_WAITING_MAX;
        sub->count--;
    }
    watch_oldest(s, sub);
}

void subscription_drop(struct session *s)
{
    if (at_load_relaxed(&s->subscription) != NULL)
        (void)atomic_fetch_or_explicit(&s->words->notices, SHM_NOTICES_DROPPED, memory_order_release); /* notices.c N4 */
}

void subscription_free(struct subscription *sub)
{
    if (sub == NULL)
        return;
    free(sub->watched);
    shm_sheet_close(&sub->map.sheet);
    free(sub);
}

/* ---- what it asks ---- */

/* A stop is under way whose snapshot it came too late for (notices.c N1). */
static bool is_newcomer(const struct session *s)
{
    const struct collector *c = &s->heap->collector;

    return c->busy && c->stops && s->since_task == c->begun;
}

enum handled request_notices_open(struct request *r)
{
    const wire_notices_open *open = r->message->notices_open;
    struct session *s = r->session;
    uint64_t most_ns = s->server->config.notice_deadline_ns;

    if (at_load_relaxed(&s->subscription) != NULL)
        return answer_error(r, MMGC_E_ORDER, "this connection has opened notices before");
    if (is_newcomer(s))
        return answer_later(r, s->heap);
    struct subscription *sub = calloc(1, sizeof(*sub));
    if (sub == NULL)
        return answer_errno(r, -ENOMEM, "a subscription to notices");
    sub->all = open->all;
    sub->deadline_ns = open->deadline_ns == 0 ? most_ns : MM_MIN(open->deadline_ns, most_ns);
    sub->map.sheet = (struct shm_sheet)SHM_SHEET_NONE;
    at_store_release(&s->subscription, sub); /* pairs with the collector's acquire */
    return answer_done(r);
}

enum handled request_notices_taken(struct request *r)
{
    uint64_t number = r->message->notices_taken->number;
    struct session *s = r->session;
    struct subscription *sub = at_load_relaxed(&s->subscription);

    if (sub == NULL)
        return answer_error(r, MMGC_E_ORDER, "NoticesTaken before NoticesOpen");
    if (number > sub->sent)
        return answer_error(r, MMGC_E_INVALID, "notice %llu has not been sent", (unsigned long long)number);
    take(s, sub, number);
    return HANDLED;
}
