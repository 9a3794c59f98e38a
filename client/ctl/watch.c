/* SPDX-License-Identifier: Apache-2.0 */
/* watch.c - Watch: what happens, as it happens, a line each: until interrupted, for so long, or for so many events. */
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <time.h>

#include "client/ctl/ctl.h"
#include "client/ctl/interrupt.h"
#include "client/ctl/table.h"
#include "client/ctl/units.h"
#include "shm/base.h"

enum kind { LOST, COLLECTION, STOP_LATE, CLIENT_JOIN, CLIENT_LEAVE, HEAP_MADE, HEAP_GONE, QUARANTINE, LIMIT, TRIGGER, OUT_OF_MEMORY, KINDS };   /* as in WatchEvent */

static const char *const names[KINDS] = {
    [LOST] = "lost",           [COLLECTION] = "collection", [STOP_LATE] = "stop-late",   [CLIENT_JOIN] = "client-join",
    [CLIENT_LEAVE] = "client-leave", [HEAP_MADE] = "heap-made", [HEAP_GONE] = "heap-gone", [QUARANTINE] = "quarantine",
    [LIMIT] = "limit",         [TRIGGER] = "trigger",       [OUT_OF_MEMORY] = "out-of-memory",
};

bool watch_event_parse(const char *name, uint32_t *ret_bit)
{
    for (uint32_t i = LOST + 1; i < KINDS; i++) {
        if (strcmp(name, names[i]) == 0) {
            *ret_bit = 1u << i;
            return true;
        }
    }
    return false;
}

/* ---- for people ---- */

static void show_bytes(const struct ctl *ctl, const char *before, uint64_t bytes, const char *after)
{
    printf("%s", before);
    bytes_show(bytes, ctl->options.bytes);
    printf("%s", after);
}

static void show_ns(const char *before, uint64_t ns, const char *after)
{
    char text[UNITS_TEXT_MAX];

    printf("%s%s%s", before, units_ns(text, ns), after);
}

/* "client web (pid 7, user 1000)" */
static void show_client(const wire_watch_event *e)
{
    printf("client ");
    text_show(e->client);
    printf(" (pid %" PRIu32 ", user %" PRIu32 ")", e->pid, e->uid);
}

/* "thread 2 main of client web (pid 7, user 1000)" */
static void show_thread(const wire_watch_event *e)
{
    printf("thread %" PRIu32 " ", e->thread);
    text_show(e->thread_name);
    printf(" of ");
    show_client(e);
}

static void show_collection(const struct ctl *ctl, const wire_watch_event *e)
{
    text_show(e->collection);
    printf(" collection %" PRIu64 " (", e->number);
    text_show(e->why);
    show_bytes(ctl, "): ", e->before_bytes, " -> ");
    bytes_show(e->after_bytes, ctl->options.bytes);
    show_bytes(ctl, ", ", e->live_bytes, " live");
    show_ns(", paused ", e->pause_ns, "");
    if (e->pauses > 1)
        printf(" in %" PRIu32 " stops", e->pauses);
    show_ns(", ", e->stop_ns, " to stop");
    if (e->session != 0) {
        printf(", last ");
        show_thread(e);
    }
    if (e->beside_ns > 0)
        show_ns(", ", e->beside_ns, " beside clients");
    if (e->moved_objects > 0)
        show_bytes(ctl, ", moved ", e->moved_bytes, "");
}

static void show_what(const struct ctl *ctl, const wire_watch_event *e)
{
    switch (e->kind) {
    case LOST: break;
    case COLLECTION: show_collection(ctl, e); break;
    case STOP_LATE: show_thread(e); printf(" did not stop in time: "); text_show(e->why); break;
    case CLIENT_JOIN: show_client(e); printf(" has opened it, session %" PRIu64 " ", e->session); text_show(e->why); break;
    case CLIENT_LEAVE: show_client(e); printf(" has left, session %" PRIu64, e->session); break;
    case HEAP_MADE: printf("made by user %" PRIu32 ": ", e->uid); text_show(e->why); show_bytes(ctl, ", ", e->after_bytes, ""); break;
    case HEAP_GONE: printf("gone"); break;
    case QUARANTINE: printf("quarantined: "); text_show(e->why); break;
    case LIMIT: show_bytes(ctl, "may hold ", e->after_bytes, ", and not "); bytes_show(e->before_bytes, ctl->options.bytes); break;
    case TRIGGER:
        if (e->session == 0) {
            text_show(e->why);
        } else {
            show_client(e);
            printf(" decides when it is full");
        }
        break;
    case OUT_OF_MEMORY: show_thread(e); show_bytes(ctl, " gets no memory: ", e->before_bytes, " wanted"); break;
    default: printf("event %" PRIu32, e->kind); break;       /* of a newer daemon */
    }
}

/* "2026-11-30 21:05:01.123 trees: ..." */
static void show_event(const struct ctl *ctl, const wire_watch_event *e)
{
    time_t seconds = (time_t)(e->time_ms / 1000);
    char when[32] = "";
    struct tm local;

    if (localtime_r(&seconds, &local) != NULL)
        (void)strftime(when, sizeof(when), "%F %T", &local);
    printf("%s.%03u ", when, (unsigned)(e->time_ms % 1000));
    if (e->lost > 0)
        printf("(%" PRIu64 " events were lost) ", e->lost);
    text_show(e->heap);
    printf(e->kind == LOST ? "" : ": ");
    show_what(ctl, e);
    putchar('\n');
}

/* ---- as JSON ---- */

static void fill_collection(json_t *row, const wire_watch_event *e)
{
    document_count(row, "number", e->number);
    document_text(row, "kind", e->collection);
    document_count(row, "live_bytes", e->live_bytes);
    document_count(row, "pauses", e->pauses);
    document_count(row, "pause_ns", e->pause_ns);
    document_count(row, "stop_ns", e->stop_ns);
    document_count(row, "beside_ns", e->beside_ns);
    document_count(row, "moved_objects", e->moved_objects);
    document_count(row, "moved_bytes", e->moved_bytes);
    document_count(row, "workers", e->workers);
}

static void fill_client(json_t *row, const wire_watch_event *e)
{
    document_count(row, "session", e->session);
    document_text(row, "client", e->client);
    document_count(row, "pid", e->pid);
    document_count(row, "uid", e->uid);
    if (e->thread == 0)
        return;
    document_count(row, "thread", e->thread);
    document_text(row, "thread_name", e->thread_name);
}

static void print_event(const wire_watch_event *e)
{
    json_auto_t *row = need(json_object());

    document_text(row, "event", e->kind < KINDS ? names[e->kind] : "");
    document_count(row, "time_ms", e->time_ms);
    document_text(row, "heap", e->heap);
    document_count(row, "lost_events", e->lost);
    document_text(row, "why", e->why);
    document_count(row, "before_bytes", e->before_bytes);
    document_count(row, "after_bytes", e->after_bytes);
    if (e->kind == COLLECTION)
        fill_collection(row, e);
    if (e->session != 0)
        fill_client(row, e);
    if (json_dumpf(row, stdout, JSON_COMPACT | JSON_PRESERVE_ORDER) == 0)
        putchar('\n');
}

/* ---- following ---- */

static enum mmgc_error begin(struct ctl *ctl)
{
    wire_watch body = wire_watch_init();
    wire_request request = wire_request_init();
    wire_reply *reply;

    body.heap = (char *)(ctl->options.operand == NULL ? "" : ctl->options.operand);
    body.events = ctl->options.events;
    request.body_case = WIRE_REQUEST(WATCH);
    request.watch = &body;
    enum mmgc_error e = ctl_call(ctl, &request, WIRE_REPLY(DONE), &reply);
    if (e == MMGC_E_OK)
        wire_reply_free(reply);
    return e;
}

static enum mmgc_error take(struct ctl *ctl, uint64_t *count)
{
    wire_reply *reply;
    enum mmgc_error e = ctl_event(ctl, &reply);

    if (e != MMGC_E_OK)
        return e;
    if (reply->body_case == WIRE_REPLY(WATCH_EVENT)) {
        (*count)++;
        if (ctl->options.json)
            print_event(reply->watch_event);
        else
            show_event(ctl, reply->watch_event);
    }
    wire_reply_free(reply);
    if (fflush(stdout) != 0 || ferror(stdout))
        return ctl_failed(ctl, MMGC_E_SYSTEM, "the events cannot be written: %s", strerror(errno));
    return MMGC_E_OK;
}

/* The time set by --timeout is no failure: so long it was to watch. */
static enum mmgc_error follow(struct ctl *ctl)
{
    uint64_t count = 0;

    while (count < ctl->options.limit) {
        int waited = interrupt_wait(ctl->connection.sock, ctl_left_ms(ctl));
        if (waited == -EINTR || (waited == -ETIMEDOUT && ctl_left_ms(ctl) == 0))
            return MMGC_E_OK;
        if (waited < 0 && waited != -ETIMEDOUT)
            return ctl_failed(ctl, MMGC_E_SYSTEM, "waiting: %s", strerror(-waited));
        enum mmgc_error e = waited < 0 ? MMGC_E_OK : take(ctl, &count);
        if (e != MMGC_E_OK)
            return e;
    }
    return MMGC_E_OK;
}

static enum mmgc_error watch_ask(struct ctl *ctl, json_t *document)
{
    int interrupt = interrupt_begin();
    enum mmgc_error e = interrupt < 0 ? ctl_failed(ctl, MMGC_E_SYSTEM, "signals: %s", strerror(-interrupt)) : begin(ctl);

    return e == MMGC_E_OK ? follow(ctl) : e;
}

const struct ctl_command ctl_watch = {
    .name = "watch",
    .synopsis = "watch [HEAP] [EVENT...]",
    .summary = "say what happens, as it happens: collections, clients, limits, errors",
    .takes = CTL_TAKES_EVENTS,
    .options = CTL_OPTION_LIMIT | CTL_OPTION_BYTES,
    .ask = watch_ask,
};
