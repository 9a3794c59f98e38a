/* SPDX-License-Identifier: Apache-2.0 */
/* trace_file.c - Trace rows to trace events: who is a process, who a thread, and what lies within what.
 *   T1  on one thread complete events lie within each other or apart: a pause and the stop at its begin are on one, stages on one of their own
 *       as the packets of a stage are on several */
#include "client/ctl/trace_file.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include <jansson.h>

#include "client/ctl/document.h"
#include "client/ctl/text.h"
#include "shm/base.h"

enum row_kind { PACKET, STAGE, STOP, THREAD, PAUSE, BESIDE, COMMIT, RELEASE };   /* as in TraceRow */
enum thread { PAUSES = 1, STAGES, MEMORY, WORKERS };      /* of the daemon, in the trace; workers from the last one on */
#define WORKER_TRACK 2u                       /* the first, in TraceRow */
#define GONE_PID 1000000000u                  /* and its session: a client that has gone before anybody asked who it is */
#define NS_PER_US 1000.0

/* ---- events ---- */

/* Takes @event. */
static void put(struct trace_file *t, json_t *event)
{
    need(event);
    fputs(t->comma ? ",\n" : "\n", t->out);
    if (json_dumpf(event, t->out, JSON_COMPACT | JSON_PRESERVE_ORDER | JSON_REAL_PRECISION(15)) < 0)
        (void)fputs("{}", t->out); /* the stream has failed, and will say so */
    t->comma = true;
    t->events++;
    json_decref(event);
}

static json_t *text(const char *s)
{
    char *utf8 = text_to_utf8(s);
    json_t *json = need(json_string(utf8));

    free(utf8);
    return json;
}

static double us(uint64_t ns)
{
    return (double)ns / NS_PER_US;
}

static double since(const struct trace_file *t, uint64_t ns)
{
    return us(ns - MM_MIN(ns, t->begin_ns));
}

static void put_name(struct trace_file *t, const char *what, uint32_t pid, uint32_t tid, const char *name)
{
    put(t, json_pack("{s:s, s:s, s:I, s:I, s:{s:o}}", "name", what, "ph", "M", "pid", (json_int_t)pid, "tid", (json_int_t)tid, "args", "name",
                     text(name)));
}

static void put_order(struct trace_file *t, uint32_t pid, uint32_t tid)
{
    put(t, json_pack("{s:s, s:s, s:I, s:I, s:{s:I}}", "name", "thread_sort_index", "ph", "M", "pid", (json_int_t)pid, "tid", (json_int_t)tid,
                     "args", "sort_index", (json_int_t)tid));
}

/* Takes @args. */
static void put_complete(struct trace_file *t, const char *category, uint32_t pid, uint32_t tid, const char *name, uint64_t begin_ns,
                         uint64_t duration_ns, json_t *args)
{
    put(t, json_pack("{s:o, s:s, s:s, s:I, s:I, s:f, s:f, s:o}", "name", text(name), "cat", category, "ph", "X", "pid", (json_int_t)pid, "tid",
                     (json_int_t)tid, "ts", since(t, begin_ns), "dur", us(duration_ns), "args", need(args)));
}

static void put_instant(struct trace_file *t, const char *category, const char *name, uint64_t at_ns, const char *key, uint64_t value)
{
    put(t, json_pack("{s:o, s:s, s:s, s:s, s:I, s:I, s:f, s:{s:I}}", "name", text(name), "cat", category, "ph", "i", "s", "t", "pid",
                     (json_int_t)t->pid, "tid", (json_int_t)MEMORY, "ts", since(t, at_ns), "args", key, (json_int_t)value));
}

/* ---- clients ---- */

static struct trace_file_thread *find_thread(const struct trace_file *t, uint64_t session, uint32_t thread)
{
    for (size_t i = 0; i < t->thread_count; i++)
        if (t->threads[i].session == session && t->threads[i].thread == thread)
            return &t->threads[i];
    return NULL;
}

static void name_thread(struct trace_file *t, const struct trace_file_thread *who, const wire_trace_row *row)
{
    char name[256];

    snprintf(name, sizeof(name), "client %s (pid %" PRIu32 ")", row->client, who->pid);
    put_name(t, "process_name", who->pid, who->tid, row->client[0] == '\0' ? "a client that has gone" : name);
    snprintf(name, sizeof(name), "thread %" PRIu32 " %s", who->thread, row->thread_name);
    put_name(t, "thread_name", who->pid, who->tid, name);
}

/* Numbers of threads are their sessions' own, and a process may have several sessions: in the trace they are counted through. */
static struct trace_file_thread thread_of(struct trace_file *t, const wire_trace_row *row)
{
    const struct trace_file_thread *known = find_thread(t, row->number, row->thread);

    if (known != NULL)
        return *known;
    if (t->thread_count == t->thread_capacity) {
        t->thread_capacity = MM_MAX(2 * t->thread_capacity, (size_t)64);
        t->threads = need(reallocarray(t->threads, t->thread_capacity, sizeof(t->threads[0])));
    }
    struct trace_file_thread *who = &t->threads[t->thread_count++];
    *who = (struct trace_file_thread){ .session = row->number, .thread = row->thread, .tid = (uint32_t)t->thread_count,
                                     .pid = row->pid != 0 ? row->pid : GONE_PID + (uint32_t)(row->number % GONE_PID) };
    name_thread(t, who, row);
    return *who;
}

/* Who was waited for, now that the last of them is known; NULL: it is not. */
static void put_waited(struct trace_file *t, const wire_trace_row *stop)
{
    for (size_t i = 0; i < t->waited_count; i++) {
        const struct trace_file_waited *w = &t->waited[i];
        bool last = stop != NULL && stop->number == w->who.session && stop->thread == w->who.thread;
        put_complete(t, "stop", w->who.pid, w->who.tid, last ? "to its safepoint, the last" : "to its safepoint", w->begin_ns, w->duration_ns,
                     json_pack("{s:I, s:b}", "session", (json_int_t)w->who.session, "last", last));
    }
    t->waited_count = 0;
}

static void hold_back(struct trace_file *t, const wire_trace_row *row)
{
    if (t->waited_count == TRACE_FILE_WAITED_MAX)
        put_waited(t, NULL);
    t->waited[t->waited_count++] = (struct trace_file_waited){ thread_of(t, row), row->begin_ns, row->duration_ns };
}

static json_t *last_parked(const wire_trace_row *row)
{
    char name[256];

    if (row->number == 0)
        return json_pack("{}");
    snprintf(name, sizeof(name), "%s (pid %" PRIu32 "), session %" PRIu64 ", thread %" PRIu32 " %s", row->client, row->pid, row->number,
             row->thread, row->thread_name);
    return json_pack("{s:o}", "last_parked", text(name));
}

/* ---- rows ---- */

static uint32_t worker_of(const wire_trace_row *row)
{
    return WORKERS + row->track - MM_MIN(row->track, WORKER_TRACK);
}

void trace_file_add(struct trace_file *t, const wire_trace_row *row)
{
    json_int_t number = (json_int_t)row->number;

    switch (row->kind) {
    case PACKET: put_complete(t, "packet", t->pid, worker_of(row), row->name, row->begin_ns, row->duration_ns, json_pack("{}")); return;
    case STAGE:
        put_complete(t, "stage", t->pid, STAGES, row->name, row->begin_ns, row->duration_ns,
                     json_pack("{s:I}", "closed_by", (json_int_t)worker_of(row)));
        return;
    case STOP:
        put_waited(t, row);
        put_complete(t, "stop", t->pid, PAUSES, row->name, row->begin_ns, row->duration_ns, last_parked(row));
        return;
    case THREAD: hold_back(t, row); return;
    case PAUSE:
        put_waited(t, NULL); /* of a stop that came to nothing */
        put_complete(t, "pause", t->pid, PAUSES, row->name, row->begin_ns, row->duration_ns, json_pack("{s:I}", "collection", number));
        return;
    case BESIDE:
        put_complete(t, "beside", t->pid, PAUSES, row->name, row->begin_ns, row->duration_ns, json_pack("{s:I}", "collection", number));
        return;
    case COMMIT:
    case RELEASE: put_instant(t, "memory", row->name, row->begin_ns, "bytes", row->number); return;
    default: return; /* of a newer daemon */
    }
}

/* ---- the file ---- */

static void name_worker(struct trace_file *t, uint32_t worker, const char *format, uint32_t number)
{
    char name[48];

    snprintf(name, sizeof(name), format, number);
    put_name(t, "thread_name", t->pid, WORKERS + worker, name);
    put_order(t, t->pid, WORKERS + worker);
}

void trace_file_begin(struct trace_file *t, FILE *out, const wire_trace_begun *begun)
{
    static const char *const names[] = { [PAUSES] = "pauses, and work beside", [STAGES] = "stages", [MEMORY] = "memory" };
    char name[400];

    *t = (struct trace_file){ .out = out, .pid = begun->pid, .workers = begun->workers, .begin_ns = begun->now_ns };
    fputs("{\"displayTimeUnit\":\"ns\",\"traceEvents\":[", out);
    snprintf(name, sizeof(name), "mmgcd: heap %s (%s)", begun->heap, begun->plan);
    put_name(t, "process_name", t->pid, PAUSES, name);
    for (uint32_t i = PAUSES; i < WORKERS; i++) {
        put_name(t, "thread_name", t->pid, i, names[i]);
        put_order(t, t->pid, i);
    }
    for (uint32_t i = 0; i < begun->workers; i++)
        name_worker(t, i, "worker %" PRIu32, i);
    for (uint32_t i = 0; i < begun->workers_beside; i++)
        name_worker(t, begun->workers + i, "worker %" PRIu32 " beside clients", i);
}

void trace_file_end(struct trace_file *t, const wire_trace_begun *begun)
{
    json_auto_t *said = json_pack("{s:o, s:o, s:I}", "heap", text(begun->heap), "plan", text(begun->plan), "lost_events", (json_int_t)t->lost);

    put_waited(t, NULL);
    fputs("\n],\"otherData\":", t->out);
    (void)json_dumpf(need(said), t->out, JSON_COMPACT);
    fputs("}\n", t->out);
    free(t->threads);
}
