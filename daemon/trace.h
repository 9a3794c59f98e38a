/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/* Trace: what one heap's collections do while somebody records it: begun by TraceBegin, read a page at a time by TraceRead, over when that
 * connection ends. docs/tracing.md
 *   Owner    references: its session's, and a task's of the collector while that may write. A heap has one at most, a session too
 *   Tracks   of its timeline, by who writes: the loop, the heap's collector thread, workers, workers beside the clients
 *   Rights   who may open the heap to read, as for Verify. The daemon has TRACES_MAX at most, a user TRACES_OF_USER of them; what one holds is
 *            timeline_bytes(), and it grows no further
 *   Threads  loop, but for trace_waited() and trace_task(): the collector's                                          */
#include <stdint.h>
#include <sys/queue.h>

#include "plans/work/timeline.h"

struct collector_task;
struct mutator;
struct server;
struct session;
struct shared_heap;

#define TRACES_MAX 8u
#define TRACES_OF_USER 2u
enum trace_track { TRACE_LOOP, TRACE_COLLECTOR, TRACE_WORKERS };     /* and from there on the workers, then those beside */

struct trace {
    TAILQ_ENTRY(trace) in_server;             /* while its session goes on */
    unsigned refs;
    struct session *session;                  /* NULL: it has ended */
    struct shared_heap *heap;                 /* NULL: the heap has ended, or the session has */
    uint64_t collections;                     /* of the heap, when it was last to be seen */
    struct timeline *timeline;
};
TAILQ_HEAD(traces, trace);

struct trace *trace_ref(struct trace *trace); /* NULL in, NULL out; so below */
struct trace *trace_unref(struct trace *trace);
void trace_session_ends(struct session *s);
void trace_heap_ends(struct shared_heap *h);
/* Something that took no time, on the loop. */
void trace_note(const struct shared_heap *h, enum timeline_kind kind, const char *name, uint64_t number);

/* The stop that @task asked for has waited for @m. */
void trace_waited(const struct collector_task *task, const struct mutator *m, uint64_t took_ns);
/* @task is done; clients run. */
void trace_task(const struct shared_heap *h, const struct collector_task *task);
