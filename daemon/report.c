/* SPDX-License-Identifier: Apache-2.0 */
/* report.c - Report: gathering, and the three ways of saying it.
 *   L1  the log takes LINES at most, of all heaps: a line more often would be read by nobody, and writing it would keep the loop. How many
 *       were left out is said with the next */
#include "daemon/report.h"

#include <stdio.h>
#include <string.h>

#include "daemon/bucket.h"
#include "daemon/log.h"
#include "daemon/server.h"
#include "daemon/session.h"
#include "daemon/shared_heap.h"
#include "daemon/watch.h"
#include "plans/work/engine.h"
#include "plans/work/probe.h"

#define LINES ((struct bucket_rate){ .per_second = 10, .depth = 100 }) /* L1 */

void report_promised(struct shared_heap *h, uint64_t number, enum collection_cause cause)
{
    h->report.causes[number % 2] |= 1u << cause;
}

static const char *take_cause(struct report *r, uint64_t number)
{
    static const char *const names[CAUSES] = { "ahead", "nursery", "stress", "full", "asked", "emergency" };
    unsigned bits = r->causes[number % 2];

    r->causes[number % 2] = 0;
    return bits == 0 ? "plan" : names[31 - __builtin_clz(bits)];
}

static void clear(struct report *r)
{
    *r = (struct report){ .causes = { r->causes[0], r->causes[1] } };
}

void report_begin(struct shared_heap *h)
{
    struct report *r = &h->report;

    if (r->begun)
        return;
    r->begun = true;
    r->before_bytes = h->gauges.used_bytes;
    MM_PROBE(collection__begin, h->name, h->completed + 1, r->before_bytes);
}

static void name_thread(struct report_thread *to, const struct mutator *m)
{
    const struct session *s = m->session;

    *to = (struct report_thread){ .session = s->id, .thread = m->id, .pid = s->peer.pid, .uid = s->peer.uid };
    snprintf(to->client, sizeof(to->client), "%s", s->name);
    snprintf(to->name, sizeof(to->name), "%s", m->name);
}

void report_stop(struct shared_heap *h, const struct collector_task *task)
{
    const struct mutator *last = collector_last_parked(task);
    struct report *r = &h->report;

    r->pauses++;
    r->pause_ns += task->pause_ns;
    r->moved_objects += task->collection.moved_objects;
    r->moved_bytes += task->collection.moved_bytes;
    if (task->collection.moved_objects > 0)
        MM_PROBE(moved, h->name, task->collection.moved_objects, task->collection.moved_bytes);
    if (task->stop_ns < r->stop_ns)
        return;
    r->stop_ns = task->stop_ns;
    r->last_parked = (struct report_thread){ 0 };
    if (last != NULL)
        name_thread(&r->last_parked, last);
}

void report_beside(struct shared_heap *h, uint64_t ns)
{
    h->report.beside_ns += ns;
}

void report_cancel(struct shared_heap *h)
{
    clear(&h->report);
}

/* ---- saying it ---- */

static const char *kind_of(const struct shared_heap *h, const struct collector_task *task)
{
    if (task->work != WORK_SWEEP)
        return heap_pause_name(task->collection.kind);
    return heap_plan_counts(h->heap) ? heap_pause_name(HEAP_PAUSE_REFCOUNT) : "cycle";
}

/* What is in use now; what lives, where that cannot be seen. */
static uint64_t after_bytes(struct shared_heap *h, const struct collector_task *task)
{
    uint64_t bytes = task->collection.live_bytes;

    if (!shared_heap_try_lock(h))
        return bytes;
    bytes = heap_used_bytes(h->heap);
    shared_heap_unlock(h);
    return bytes;
}

static void fill(wire_watch_event *event, struct shared_heap *h, const struct collector_task *task)
{
    struct report *r = &h->report;

    event->number = h->completed;
    event->collection = (char *)kind_of(h, task);
    event->why = (char *)take_cause(r, h->completed);
    event->before_bytes = r->before_bytes;
    event->after_bytes = after_bytes(h, task);
    event->live_bytes = task->collection.live_bytes;
    event->pauses = r->pauses;
    event->pause_ns = r->pause_ns;
    event->stop_ns = r->stop_ns;
    event->beside_ns = r->beside_ns;
    event->moved_objects = r->moved_objects;
    event->moved_bytes = r->moved_bytes;
    event->workers = engine_workers(h->server->engine);
    event->session = r->last_parked.session;
    event->client = r->last_parked.client;
    event->pid = (uint32_t)r->last_parked.pid;
    event->uid = (uint32_t)r->last_parked.uid;
    event->thread = r->last_parked.thread;
    event->thread_name = r->last_parked.name;
}

/* L1 */
static bool may_log(struct server *server)
{
    uint64_t now_ns = mm_now_ns();

    if (!server->config.log_collections || !log_enabled(LOG_LEVEL_INFO))
        return false;
    if (bucket_tokens(&server->collection_lines, &LINES, now_ns) == 0) {
        server->collections_unsaid++;
        return false;
    }
    bucket_take(&server->collection_lines, &LINES, 1, now_ns);
    return true;
}

static void log_it(const struct shared_heap *h, const wire_watch_event *e)
{
    const struct log_field fields[] = {
        { "heap", h->name, 0 },
        { "plan", h->control->plan, 0 },
        { "number", NULL, e->number },
        { "kind", e->collection, 0 },
        { "why", e->why, 0 },
        { "before_bytes", NULL, e->before_bytes },
        { "after_bytes", NULL, e->after_bytes },
        { "live_bytes", NULL, e->live_bytes },
        { "pauses", NULL, e->pauses },
        { "pause_ns", NULL, e->pause_ns },
        { "stop_ns", NULL, e->stop_ns },
        { "beside_ns", NULL, e->beside_ns },
        { "last_client", e->client, 0 },
        { "last_pid", NULL, e->pid },
        { "last_thread", NULL, e->thread },
        { "moved_objects", NULL, e->moved_objects },
        { "moved_bytes", NULL, e->moved_bytes },
        { "workers", NULL, e->workers },
        { "unsaid", NULL, h->server->collections_unsaid },
    };

    log_fields(LOG_LEVEL_INFO, "collection", fields, MM_ARRAY_LEN(fields));
    h->server->collections_unsaid = 0;
}

void report_ended(struct shared_heap *h, const struct collector_task *task)
{
    wire_watch_event event = wire_watch_event_init();

    fill(&event, h, task);
    MM_PROBE(collection__end, h->name, event.number, event.collection, event.pause_ns, event.live_bytes);
    if (may_log(h->server))
        log_it(h, &event);
    watch_collection(h, &event);
    clear(&h->report);
}
