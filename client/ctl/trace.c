/* SPDX-License-Identifier: Apache-2.0 */
/* trace.c - Trace: records what the collections of a heap do, for so long, for so many of them, or until interrupted. */
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "client/ctl/ctl.h"
#include "client/ctl/interrupt.h"
#include "client/ctl/table.h"
#include "client/ctl/trace_file.h"
#include "client/ctl/units.h"
#include "shm/base.h"

#define LOOK_EVERY_MS 20 /* a worker's events of so long have room in the daemon many times over */

struct recording {
    wire_reply *begun;
    struct trace_file file;
    uint64_t end_ns, end_collections; /* UINT64_MAX: no end of that kind */
    uint64_t collections; /* done, while it went on */
    bool over; /* so is the heap */
};

static enum mmgc_error begin(struct ctl *ctl, wire_reply **ret_begun)
{
    wire_trace_begin body = wire_trace_begin_init();
    wire_request request = wire_request_init();

    body.heap = (char *)ctl->options.operand;
    request.body_case = WIRE_REQUEST(TRACE_BEGIN);
    request.trace_begin = &body;
    return ctl_call(ctl, &request, WIRE_REPLY(TRACE_BEGUN), ret_begun);
}

static enum mmgc_error read_page(struct ctl *ctl, struct recording *r, bool *ret_more)
{
    wire_trace_read body = wire_trace_read_init();
    wire_request request = wire_request_init();
    wire_reply *reply;

    request.body_case = WIRE_REQUEST(TRACE_READ);
    request.trace_read = &body;
    enum mmgc_error e = ctl_call(ctl, &request, WIRE_REPLY(TRACE_ROWS), &reply);
    if (e != MMGC_E_OK)
        return e;
    const wire_trace_rows *rows = reply->trace_rows;
    for (size_t i = 0; i < rows->n_rows; i++)
        trace_file_add(&r->file, rows->rows[i]);
    r->file.lost = rows->lost;
    r->collections = rows->collections - r->begun->trace_begun->collections;
    r->over = rows->over;
    *ret_more = rows->more;
    wire_reply_free(reply);
    return MMGC_E_OK;
}

static bool has_enough(const struct recording *r)
{
    return r->over || r->collections >= r->end_collections || mm_now_ns() >= r->end_ns;
}

static int wait_ms(const struct recording *r)
{
    uint64_t now_ns = mm_now_ns(), left_ns = r->end_ns - MM_MIN(r->end_ns, now_ns);

    return (int)MM_MIN(left_ns / UNITS_NS_PER_MS + 1, (uint64_t)LOOK_EVERY_MS);
}

static enum mmgc_error record(struct ctl *ctl, struct recording *r)
{
    bool enough = false, more;

    for (;;) {
        enum mmgc_error e = read_page(ctl, r, &more);
        if (e != MMGC_E_OK)
            return e;
        if (more)
            continue;
        if (enough || has_enough(r))
            return MMGC_E_OK;
        int waited = interrupt_wait(ctl->connection.sock, wait_ms(r));
        enough = waited == -EINTR; /* what there is by now is taken */
        if (waited < 0 && waited != -EINTR && waited != -ETIMEDOUT)
            return ctl_failed(ctl, MMGC_E_SYSTEM, "waiting: %s", strerror(-waited));
    }
}

static FILE *open_output(const struct ctl_options *options)
{
    return options->output == NULL ? stdout : fopen(options->output, "we");
}

/* A full disk is no success. */
static enum mmgc_error close_output(struct ctl *ctl, FILE *out, enum mmgc_error e)
{
    bool failed = ferror(out) != 0;

    if (out != stdout)
        failed = fclose(out) != 0 || failed;
    if (failed && e == MMGC_E_OK)
        return ctl_failed(ctl, MMGC_E_SYSTEM, "%s cannot be written", ctl->options.output == NULL ? "the trace" : ctl->options.output);
    return e;
}

static void fill(const struct ctl *ctl, const struct recording *r, json_t *document)
{
    document_text(document, "heap", r->begun->trace_begun->heap);
    document_text(document, "file", ctl->options.output == NULL ? "" : ctl->options.output);
    document_count(document, "collections", r->collections);
    document_count(document, "events", r->file.events);
    document_count(document, "lost_events", r->file.lost);
}

static enum mmgc_error run(struct ctl *ctl, struct recording *r, json_t *document)
{
    const struct ctl_options *options = &ctl->options;
    FILE *out = open_output(options);

    if (out == NULL)
        return ctl_failed(ctl, MMGC_E_SYSTEM, "%s: %s", options->output, strerror(errno));
    r->end_ns = options->for_ns == 0 || options->for_ns > UINT64_MAX - mm_now_ns() ? UINT64_MAX : mm_now_ns() + options->for_ns;
    r->end_collections = options->collections == 0 ? UINT64_MAX : options->collections;
    trace_file_begin(&r->file, out, r->begun->trace_begun);
    enum mmgc_error e = record(ctl, r);
    trace_file_end(&r->file, r->begun->trace_begun); /* whatever has happened: it can be read */
    e = close_output(ctl, out, e);
    if (e == MMGC_E_OK)
        fill(ctl, r, document);
    return e;
}

static enum mmgc_error trace_ask(struct ctl *ctl, json_t *document)
{
    static struct recording r;

    if (ctl->options.json && ctl->options.output == NULL)
        return ctl_failed(ctl, MMGC_E_INVALID, "the trace is JSON itself; with --json say where it goes: -o FILE");
    int interrupt = interrupt_begin();
    if (interrupt < 0)
        return ctl_failed(ctl, MMGC_E_SYSTEM, "signals: %s", strerror(-interrupt));
    enum mmgc_error e = begin(ctl, &r.begun);
    if (e != MMGC_E_OK)
        return e;
    e = run(ctl, &r, document);
    wire_reply_free(r.begun);
    return e;
}

/* Where the trace is on stdout, this is for stderr. */
static void trace_show(const struct ctl *ctl, const json_t *document)
{
    FILE *out = ctl->options.output == NULL ? stderr : stdout;

    fprintf(out, "%" PRIu64 " collections, %" PRIu64 " events", document_get_count(document, "collections"),
            document_get_count(document, "events"));
    if (document_get_count(document, "lost_events") > 0)
        fprintf(out, ", %" PRIu64 " more were lost: there was no room for them", document_get_count(document, "lost_events"));
    fputs(ctl->options.output == NULL ? "\n" : "; open it at https://ui.perfetto.dev\n", out);
}

const struct ctl_command ctl_trace = {
    .name = "trace",
    .synopsis = "trace [--for=TIME] [--collections=N] [-o FILE] HEAP",
    .summary = "record what collections do, for Perfetto or chrome://tracing, until interrupted",
    .takes = CTL_TAKES_HEAP,
    .options = CTL_OPTION_TRACE | CTL_OPTION_OUTPUT,
    .ask = trace_ask,
    .show = trace_show,
};
