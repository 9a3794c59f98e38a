/* SPDX-License-Identifier: Apache-2.0 */
/* watch.c - Watch: from something that happened to a packet for each who wants to know.
 *   W1  telling calls nothing that could end a session, take a lock, or wait: it is done from wherever the thing happens
 *   W2  nobody watches: one test */
#include "daemon/watch.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "daemon/collector.h"
#include "daemon/request.h"
#include "daemon/server.h"
#include "daemon/session.h"
#include "daemon/shared_heap.h"

#define ALL_EVENTS ((1u << WATCH_KINDS) - 1)
#define WHY_MAX 600

/* ---- telling ---- */

static uint64_t real_time_ms(void)
{
    struct timespec now;

    (void)clock_gettime(CLOCK_REALTIME, &now);
    return (uint64_t)now.tv_sec * 1000 + (uint64_t)now.tv_nsec / 1000000;
}

static bool wants(const struct watcher *w, const struct shared_heap *h, uint32_t kind)
{
    return (w->events >> kind & 1) != 0 && (w->heap[0] == '\0' || strcmp(w->heap, h->name) == 0) && shared_heap_may_destroy(h, w->session);
}

static void send_to(struct watcher *w, wire_watch_event *event)
{
    wire_reply reply = wire_reply_init();

    event->lost = w->lost;
    reply.body_case = WIRE_REPLY(WATCH_EVENT);
    reply.watch_event = event;
    if (session_tell(w->session, &reply) == 0)
        w->lost = 0;
    else
        w->lost += event->kind != WATCH_LOST;
}

static void tell(const struct shared_heap *h, enum watch_kind kind, wire_watch_event *event)
{
    struct watcher *w;

    event->kind = kind;
    event->time_ms = real_time_ms();
    event->heap = (char *)h->name;
    TAILQ_FOREACH(w, &h->server->watchers, link)
    if (wants(w, h, kind))
        send_to(w, event);
}

static bool nobody_watches(const struct shared_heap *h) /* W2 */
{
    return TAILQ_EMPTY(&h->server->watchers);
}

void watch_has_room(struct session *s)
{
    wire_watch_event event = wire_watch_event_init();

    if (s->watcher == NULL || s->watcher->lost == 0)
        return;
    event.kind = WATCH_LOST;
    event.time_ms = real_time_ms();
    send_to(s->watcher, &event);
}

/* ---- what happened ---- */

static void say_client(wire_watch_event *event, const struct session *s)
{
    event->session = s->id;
    event->client = (char *)s->name;
    event->pid = (uint32_t)s->peer.pid;
    event->uid = (uint32_t)s->peer.uid;
}

static void say_thread(wire_watch_event *event, const struct mutator *m)
{
    say_client(event, m->session);
    event->thread = m->id;
    event->thread_name = (char *)m->name;
}

void watch_collection(const struct shared_heap *h, wire_watch_event *event)
{
    if (!nobody_watches(h))
        tell(h, WATCH_COLLECTION, event);
}

void watch_late(const struct shared_heap *h, const struct collector_task *task)
{
    for (size_t i = 0; i < task->late_count && !nobody_watches(h); i++) {
        wire_watch_event event = wire_watch_event_init();
        say_thread(&event, task->mutators[task->late[i].mutator]);
        event.why = (char *)(task->late[i].killed ? "its process was killed" : "the stop was given up");
        tell(h, WATCH_STOP_LATE, &event);
    }
}

void watch_client(const struct shared_heap *h, const struct session *s, enum watch_kind kind)
{
    wire_watch_event event = wire_watch_event_init();

    if (nobody_watches(h))
        return;
    say_client(&event, s);
    event.why = (char *)(s->read_only ? "read-only" : "");
    tell(h, kind, &event);
}

void watch_heap(const struct shared_heap *h, enum watch_kind kind, const char *why)
{
    wire_watch_event event = wire_watch_event_init();
    char said[WHY_MAX];

    if (nobody_watches(h))
        return;
    snprintf(said, sizeof(said), "%s", why);
    event.why = said;
    event.uid = (uint32_t)h->owner;
    event.after_bytes = h->max_bytes;
    tell(h, kind, &event);
}

void watch_limit(const struct shared_heap *h, uint64_t before_bytes)
{
    wire_watch_event event = wire_watch_event_init();

    if (nobody_watches(h) || before_bytes == h->limit_bytes)
        return;
    event.before_bytes = before_bytes;
    event.after_bytes = h->limit_bytes;
    tell(h, WATCH_LIMIT, &event);
}

void watch_no_memory(const struct shared_heap *h, const struct mutator *m, uint64_t wanted_bytes)
{
    wire_watch_event event = wire_watch_event_init();

    if (nobody_watches(h))
        return;
    say_thread(&event, m);
    event.before_bytes = wanted_bytes;
    event.after_bytes = h->limit_bytes;
    tell(h, WATCH_OUT_OF_MEMORY, &event);
}

/* ---- watchers ---- */

void watch_session_ends(struct session *s)
{
    if (s->watcher == NULL)
        return;
    TAILQ_REMOVE(&s->server->watchers, s->watcher, link);
    free(s->watcher);
    s->watcher = NULL;
}

/* True: it may watch. False: it was refused. */
static bool admit(struct request *r)
{
    const struct session *s = r->session;
    const struct watcher *w;
    unsigned own = 0, all = 0;

    TAILQ_FOREACH(w, &s->server->watchers, link)
    {
        own += w->session->charges.account == s->charges.account;
        all++;
    }
    if (all >= WATCHERS_MAX)
        answer_error(r, MMGC_E_LIMIT, "%u connections watch, the most that may", all);
    else if (!s->charges.account->trusted && own >= WATCHERS_OF_USER)
        answer_error(r, MMGC_E_LIMIT, "%s watches with %u connections, the most that one user may", s->charges.account->who, own);
    else
        return true;
    return false;
}

/* One that is not there can be waited for, by who says that. */
static bool may_watch(struct request *r, const wire_watch *watch)
{
    const struct shared_heap *h = registry_find(&r->session->server->heaps, watch->heap);
    bool awaited = watch->events != 0 && (watch->events >> WATCH_HEAP_MADE & 1) != 0;

    if (watch->heap[0] == '\0' || (h == NULL && awaited))
        return true;
    if (h == NULL)
        answer_error(r, MMGC_E_NO_HEAP, "'%s'; to wait for it ask for heap-made", watch->heap);
    else if (!shared_heap_may_destroy(h, r->session))
        answer_error(r, MMGC_E_DENIED, "heap '%s' is user %u's", h->name, (unsigned)h->owner);
    else
        return true;
    return false;
}

static struct watcher *watcher_new(struct session *s)
{
    struct watcher *w = calloc(1, sizeof(*w));

    if (w == NULL)
        return NULL;
    w->session = s;
    TAILQ_INSERT_TAIL(&s->server->watchers, w, link);
    return s->watcher = w;
}

/* Once more: something else from now on. */
enum handled request_watch(struct request *r)
{
    const wire_watch *watch = r->message->watch;
    struct session *s = r->session;

    if (watch->events > ALL_EVENTS)
        return answer_error(r, MMGC_E_INVALID, "there are events 1 to %u, as bits", WATCH_KINDS - 1);
    if (!may_watch(r, watch) || (s->watcher == NULL && !admit(r)))
        return HANDLED;
    if (s->watcher == NULL && watcher_new(s) == NULL)
        return answer_error(r, MMGC_E_SYSTEM_NOMEM, "the daemon is out of memory");
    snprintf(s->watcher->heap, sizeof(s->watcher->heap), "%s", watch->heap);
    s->watcher->events = watch->events == 0 ? ALL_EVENTS : watch->events;
    return answer_done(r);
}
