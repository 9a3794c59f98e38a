/* SPDX-License-Identifier: Apache-2.0 */
/* trace.c - Trace: a timeline for one heap, and its way to who asked for it.
 *   T1  a task writes to the trace that its heap had when it was posted, and holds a reference till it is the loop's again: nobody frees
 *       what a worker may write to
 *   T2  the loop is a track's writer and the one reader of all: both in this file */
#include "daemon/trace.h"

#include <stdlib.h>
#include <sys/mman.h>
#include <unistd.h>

#include "daemon/collector.h"
#include "daemon/request.h"
#include "daemon/server.h"
#include "daemon/session.h"
#include "daemon/shared_heap.h"
#include "plans/work/engine.h"

#define PAGE_ROWS 256u
#define VISITS_MAX 16384u /* of sessions and threads, for a page's names */

/* ---- life ---- */

struct trace *trace_ref(struct trace *trace)
{
    if (trace != NULL)
        trace->refs++;
    return trace;
}

struct trace *trace_unref(struct trace *trace)
{
    if (trace == NULL || --trace->refs > 0)
        return NULL;
    (void)munmap(trace->timeline, timeline_bytes(trace->timeline->count));
    free(trace);
    return NULL;
}

static unsigned track_count(const struct server *server)
{
    return TRACE_WORKERS + engine_workers(server->engine) + engine_workers(server->background);
}

/* NULL: no memory. */
static struct trace *trace_new(struct shared_heap *h, struct session *s)
{
    unsigned tracks = track_count(s->server);
    struct trace *trace = calloc(1, sizeof(*trace));
    void *zeroes = mmap(NULL, timeline_bytes(tracks), PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

    if (trace == NULL || zeroes == MAP_FAILED) {
        if (zeroes != MAP_FAILED)
            (void)munmap(zeroes, timeline_bytes(tracks));
        free(trace);
        return NULL;
    }
    *trace = (struct trace){ .refs = 1, .session = s, .heap = h, .timeline = timeline_init(zeroes, tracks) };
    TAILQ_INSERT_TAIL(&s->server->traces, trace, in_server);
    h->trace = s->trace = trace;
    return trace;
}

void trace_heap_ends(struct shared_heap *h)
{
    struct trace *trace = h->trace;

    h->trace = NULL;
    if (trace == NULL)
        return;
    trace->collections = h->completed;
    trace->heap = NULL;
}

void trace_session_ends(struct session *s)
{
    struct trace *trace = s->trace;

    s->trace = NULL;
    if (trace == NULL)
        return;
    if (trace->heap != NULL)
        trace_heap_ends(trace->heap);
    trace->session = NULL;
    TAILQ_REMOVE(&s->server->traces, trace, in_server);
    trace_unref(trace);
}

/* ---- what is written here ---- */

void trace_note(const struct shared_heap *h, enum timeline_kind kind, const char *name, uint64_t number)
{
    struct timeline_event event = { .kind = kind, .name = name, .begin_ns = mm_now_ns(), .number = number };

    if (h->trace != NULL)
        timeline_put(h->trace->timeline, TRACE_LOOP, &event);
}

void trace_waited(const struct collector_task *task, const struct mutator *m, uint64_t took_ns)
{
    struct timeline_event event = { .kind = TIMELINE_THREAD, .name = "to its safepoint", .begin_ns = task->asked_ns,
                                    .duration_ns = took_ns, .number = m->session->id, .thread = m->id };

    if (task->trace != NULL)
        timeline_put(task->trace->timeline, TRACE_COLLECTOR, &event);
}

static void put_stop(const struct collector_task *task)
{
    const struct mutator *last = collector_last_parked(task);
    struct timeline_event event = { .kind = TIMELINE_STOP, .name = "stop", .begin_ns = task->asked_ns, .duration_ns = task->stop_ns };

    if (last != NULL) {
        event.number = last->session->id;
        event.thread = last->id;
    }
    timeline_put(task->trace->timeline, TRACE_COLLECTOR, &event);
}

static const char *pause_name(const struct collector_task *task)
{
    switch (task->outcome) {
    case OUTCOME_DONE: return task->work == WORK_COLLECT ? heap_pause_name(task->collection.kind) : collector_work_name(task->work);
    case OUTCOME_ABANDONED: return "given up";
    case OUTCOME_FAILED: return "failed";
    case OUTCOME_PUT_OFF: return "put off";
    }
    return "";
}

void trace_task(const struct shared_heap *h, const struct collector_task *task)
{
    bool beside = collector_is_beside(task->work), stopped = task->outcome == OUTCOME_DONE || task->outcome == OUTCOME_FAILED;
    struct timeline_event event = { .kind = beside ? TIMELINE_BESIDE : TIMELINE_PAUSE };

    if (task->trace == NULL)
        return;
    if (!beside && stopped)
        put_stop(task);
    event.name = beside ? collector_work_name(task->work) : pause_name(task);
    event.begin_ns = beside ? task->began_ns : task->asked_ns;
    event.duration_ns = mm_now_ns() - event.begin_ns;
    event.number = at_load_relaxed(&h->control->collections) + !task->ended;
    timeline_put(task->trace->timeline, TRACE_COLLECTOR, &event);
}

/* ---- requests ---- */

static unsigned traces_of(const struct session *s, unsigned *ret_all)
{
    const struct trace *trace;
    unsigned own = 0;

    *ret_all = 0;
    TAILQ_FOREACH(trace, &s->server->traces, in_server)
    {
        own += trace->session->charges.account == s->charges.account;
        (*ret_all)++;
    }
    return own;
}

/* True: it may have one. False: it was refused. */
static bool admit(struct request *r, const struct shared_heap *h)
{
    const struct session *s = r->session;
    unsigned all, own = traces_of(s, &all);

    if (s->trace != NULL)
        answer_error(r, MMGC_E_ORDER, "this connection records already: one trace a connection");
    else if (h->trace != NULL)
        answer_error(r, MMGC_E_LIMIT, "heap '%s' is being recorded by session %llu: one trace a heap", h->name,
                     (unsigned long long)h->trace->session->id);
    else if (all >= TRACES_MAX)
        answer_error(r, MMGC_E_LIMIT, "%u heaps are being recorded, the most there may be", all);
    else if (!s->charges.account->trusted && own >= TRACES_OF_USER)
        answer_error(r, MMGC_E_LIMIT, "%s records %u heaps, the most that one user may", s->charges.account->who, own);
    else
        return true;
    return false;
}

enum handled request_trace_begin(struct request *r)
{
    struct shared_heap *h = request_heap_meant(r, r->message->trace_begin->heap);
    wire_trace_begun begun = wire_trace_begun_init();
    wire_reply reply = wire_reply_init();

    if (h == NULL || !admit(r, h))
        return HANDLED;
    if (trace_new(h, r->session) == NULL)
        return answer_error(r, MMGC_E_SYSTEM_NOMEM, "the daemon has no memory for a trace");
    begun.heap = h->name;
    begun.plan = h->control->plan;
    begun.pid = (uint32_t)getpid();
    begun.collections = h->completed;
    begun.now_ns = mm_now_ns();
    begun.workers = engine_workers(r->session->server->engine);
    begun.workers_beside = engine_workers(r->session->server->background);
    reply.body_case = WIRE_REPLY(TRACE_BEGUN);
    reply.trace_begun = &begun;
    return answer(r, &reply, NULL);
}

/* NULL: it is gone, or it would take too long to find. */
static const struct session *find_session(const struct shared_heap *h, uint64_t id, unsigned *visits)
{
    const struct session *s;

    TAILQ_FOREACH(s, &h->sessions, in_heap)
    if (s->id == id || (*visits)++ >= VISITS_MAX)
        return s->id == id ? s : NULL;
    return NULL;
}

/* Who a thread is, as long as it is there. */
static void name_thread(const struct shared_heap *h, const struct timeline_event *event, wire_trace_row *row, unsigned *visits)
{
    if (h == NULL || event->number == 0 || (event->kind != TIMELINE_THREAD && event->kind != TIMELINE_STOP))
        return;
    const struct session *s = find_session(h, event->number, visits);
    struct mutator *m = s == NULL || (*visits += s->mutator_count) >= VISITS_MAX ? NULL : session_mutator(s, event->thread);
    row->client = s == NULL ? (char *)"" : (char *)s->name;
    row->pid = s == NULL ? 0 : (uint32_t)s->peer.pid;
    row->thread_name = m == NULL ? (char *)"" : m->name;
}

static void fill_row(wire_trace_row *row, unsigned track, const struct timeline_event *event)
{
    *row = wire_trace_row_init();
    row->track = track;
    row->kind = event->kind;
    row->name = (char *)event->name;
    row->begin_ns = event->begin_ns;
    row->duration_ns = event->duration_ns;
    row->number = event->number;
    row->thread = event->thread;
}

/* Rows of all tracks, until the page is full. Returns how many. */
static size_t take_rows(struct trace *trace, wire_trace_row rows[PAGE_ROWS], wire_trace_row *pointers[PAGE_ROWS])
{
    struct timeline_event events[PAGE_ROWS];
    unsigned visits = 0;
    size_t count = 0;

    for (unsigned track = 0; track < trace->timeline->count && count < PAGE_ROWS; track++) {
        size_t taken = timeline_take(trace->timeline, track, events, PAGE_ROWS - count);
        for (size_t i = 0; i < taken; i++, count++) {
            pointers[count] = &rows[count];
            fill_row(&rows[count], track, &events[i]);
            name_thread(trace->heap, &events[i], &rows[count], &visits);
        }
    }
    return count;
}

enum handled request_trace_read(struct request *r)
{
    struct trace *trace = r->session->trace;
    wire_trace_row rows[PAGE_ROWS], *pointers[PAGE_ROWS];
    wire_trace_rows page = wire_trace_rows_init();
    wire_reply reply = wire_reply_init();

    if (trace == NULL)
        return answer_error(r, MMGC_E_ORDER, "this connection records nothing: TraceBegin comes first");
    page.collections = trace->heap == NULL ? trace->collections : trace->heap->completed; /* what these did has been written */
    page.over = trace->heap == NULL;
    page.rows = pointers;
    page.n_rows = take_rows(trace, rows, pointers);
    page.more = page.n_rows == PAGE_ROWS;
    page.lost = timeline_lost(trace->timeline);
    reply.body_case = WIRE_REPLY(TRACE_ROWS);
    reply.trace_rows = &page;
    return answer(r, &reply, NULL);
}
