/* SPDX-License-Identifier: Apache-2.0 */
/* gc.c - Gc: asks for a collection and waits until it is done. */
#include <inttypes.h>
#include <stdio.h>
#include <time.h>

#include "client/ctl/ctl.h"
#include "client/ctl/table.h"
#include "client/ctl/units.h"
#include "shm/base.h"

#define SLEEP_MIN_NS UNITS_NS_PER_MS         /* a small heap is collected by then */
#define SLEEP_MAX_NS (100 * UNITS_NS_PER_MS) /* what a long one may take longer than need be */

struct progress { /* of the heap, as HeapInfo says */
    uint64_t collections, abandoned_stops, used_bytes, live_bytes, pause_ns, stop_ns;
};

static enum mmgc_error look(struct ctl *ctl, struct progress *ret_progress)
{
    wire_reply *reply;
    enum mmgc_error e = ctl_heap_facts(ctl, &reply);

    if (e != MMGC_E_OK)
        return e;
    const wire_heap_facts *facts = reply->heap_facts;
    *ret_progress = (struct progress){
        .collections = facts->row->collections,
        .abandoned_stops = facts->abandoned_stops,
        .used_bytes = facts->row->used_bytes,
        .live_bytes = facts->row->live_bytes,
        .pause_ns = facts->last_pause_ns,
        .stop_ns = facts->last_stop_ns,
    };
    wire_reply_free(reply);
    return MMGC_E_OK;
}

static enum mmgc_error start(struct ctl *ctl, uint64_t *ret_number, bool *ret_ignored)
{
    wire_collect body = wire_collect_init();
    wire_request request = wire_request_init();
    wire_reply *reply;

    body.heap = (char *)ctl->options.operand;
    request.body_case = WIRE_REQUEST(COLLECT);
    request.collect = &body;
    enum mmgc_error e = ctl_call(ctl, &request, WIRE_REPLY(COLLECT_STARTED), &reply);
    if (e != MMGC_E_OK)
        return e;
    *ret_number = reply->collect_started->number;
    *ret_ignored = reply->collect_started->ignored;
    wire_reply_free(reply);
    return MMGC_E_OK;
}

/* Until collection @number is done: sleeps twice as long each time, from 1 to 100 ms. */
static enum mmgc_error wait_for(struct ctl *ctl, uint64_t number, const struct progress *before,
                                struct progress *ret_after)
{
    for (uint64_t sleep_ns = SLEEP_MIN_NS;; sleep_ns = MM_MIN(2 * sleep_ns, SLEEP_MAX_NS)) {
        struct timespec sleep = { .tv_nsec = (long)sleep_ns };
        (void)nanosleep(&sleep, NULL);
        enum mmgc_error e = look(ctl, ret_after);
        if (e != MMGC_E_OK || ret_after->collections >= number)
            return e;
        if (ret_after->abandoned_stops > before->abandoned_stops)
            return ctl_failed(ctl, MMGC_E_STALLED, "collection %" PRIu64 " was given up", number);
        if (mm_now_ns() >= ctl->connection.deadline_ns)
            return ctl_failed(ctl, MMGC_E_TIMEOUT,
                              "collection %" PRIu64 " goes on; wait longer with --timeout", number);
    }
}

static enum mmgc_error gc_ask(struct ctl *ctl, json_t *document)
{
    struct progress before, after;
    uint64_t number = 0;
    bool ignored = false;
    enum mmgc_error e = look(ctl, &before);

    if (e == MMGC_E_OK)
        e = start(ctl, &number, &ignored);
    if (e == MMGC_E_OK)
        e = wait_for(ctl, number, &before, &after);
    if (e != MMGC_E_OK)
        return e;
    document_text(document, "heap", ctl->options.operand);
    document_flag(document, "ignored", ignored);
    document_count(document, "collection", number);
    document_count(document, "used_before_bytes", before.used_bytes);
    document_count(document, "used_bytes", after.used_bytes);
    document_count(document, "freed_bytes",
                   before.used_bytes - MM_MIN(before.used_bytes, after.used_bytes));
    document_count(document, "live_bytes", after.live_bytes);
    document_count(document, "pause_ns", after.pause_ns);
    document_count(document, "stop_ns", after.stop_ns);
    return MMGC_E_OK;
}

static void gc_show(const struct ctl *ctl, const json_t *document)
{
    char pause[UNITS_TEXT_MAX], stop[UNITS_TEXT_MAX];

    text_show(document_get_text(document, "heap"));
    if (document_get_flag(document, "ignored")) {
        puts(": not collected: ignore_system_gc is on");
        return;
    }
    printf(": collection %" PRIu64 " freed ", document_get_count(document, "collection"));
    bytes_show(document_get_count(document, "freed_bytes"), ctl->options.bytes);
    printf(" of ");
    bytes_show(document_get_count(document, "used_before_bytes"), ctl->options.bytes);
    printf(", ");
    bytes_show(document_get_count(document, "live_bytes"), ctl->options.bytes);
    printf(" live; paused %s, %s of it to stop the threads\n",
           units_ns(pause, document_get_count(document, "pause_ns")),
           units_ns(stop, document_get_count(document, "stop_ns")));
}

const struct ctl_command ctl_gc = {
    .name = "gc",
    .synopsis = "gc HEAP",
    .summary = "collect now, wait for the end, and say what it brought",
    .takes = CTL_TAKES_HEAP,
    .options = CTL_OPTION_BYTES,
    .timeout_ns = CTL_LONG_TIMEOUT_NS,
    .ask = gc_ask,
    .show = gc_show,
};
