/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/* Trace file: rows of a trace as a file for Perfetto or chrome://tracing: the JSON object form of the Trace Event Format, an event a line.
 *   Processes  the daemon, whose threads are pauses, stages, memory, and the workers; and the clients that a stop had to wait for
 *   Times      microseconds since the recording began                                       docs/tracing.md
 *   Memory     none that grows with the trace, but for a row for each thread that was waited for                     */
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>

#include "proto/wire.h"

#define TRACE_FILE_WAITED_MAX 1024u             /* threads that one stop waited for, of which is said who was the last */

struct trace_file_thread {                      /* of a client */
    uint64_t session;
    uint32_t thread, pid;
    uint32_t tid;                             /* in the trace */
};
struct trace_file_waited {                      /* held back till it is known who was the last */
    struct trace_file_thread who;
    uint64_t begin_ns, duration_ns;
};
struct trace_file {
    FILE *out;
    uint32_t pid, workers;
    uint64_t begin_ns;
    bool comma;                               /* not the first event */
    struct trace_file_thread *threads;          /* those that have a name in the trace */
    size_t thread_count, thread_capacity;
    struct trace_file_waited waited[TRACE_FILE_WAITED_MAX];
    size_t waited_count;
    uint64_t events, lost;
};

/* Begins the file. */
void trace_file_begin(struct trace_file *t, FILE *out, const wire_trace_begun *begun);
void trace_file_add(struct trace_file *t, const wire_trace_row *row);
/* Ends it, and says how many events are missing. */
void trace_file_end(struct trace_file *t, const wire_trace_begun *begun);
