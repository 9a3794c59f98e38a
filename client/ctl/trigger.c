/* SPDX-License-Identifier: Apache-2.0 */
/* trigger.c - Trigger: decides for a heap, until interrupted, what is done each time it is full: it grows as the options allow,
 * then it is collected. A line each time. */
#include <inttypes.h>
#include <stdio.h>

#include "client/ctl/ctl.h"
#include "client/ctl/table.h"
#include "shm/base.h"

enum { COLLECT = 0, LIMIT = 1 }; /* as in Decide */

struct tally {
    uint64_t pressures, collections, growths;
};

static enum mmgc_error call_done(struct ctl *ctl, wire_request *request)
{
    wire_reply *reply;
    enum mmgc_error e = ctl_call(ctl, request, WIRE_REPLY(DONE), &reply);

    if (e == MMGC_E_OK)
        wire_reply_free(reply);
    return e;
}

static enum mmgc_error become_delegate(struct ctl *ctl)
{
    wire_delegate body = wire_delegate_init();
    wire_request request = wire_request_init();

    body.heap = (char *)ctl->options.operand;
    request.body_case = WIRE_REQUEST(DELEGATE);
    request.delegate = &body;
    return call_done(ctl, &request);
}

/* The limit that the options allow now; 0: not more than there is. */
static uint64_t grown(const struct ctl_options *options, uint64_t limit)
{
    uint64_t most = options->up_to_bytes == 0 ? UINT64_MAX : options->up_to_bytes;

    if (options->grow_bytes == 0 || limit >= most)
        return 0;
    return limit + MM_MIN(options->grow_bytes, most - limit);
}

static void show_pressure(const struct ctl *ctl, const wire_pressure *pressure, uint64_t grown)
{
    printf("full: ");
    bytes_show(pressure->used_bytes, ctl->options.bytes);
    printf(" of ");
    bytes_show(pressure->limit_bytes, ctl->options.bytes);
    printf(" used, ");
    bytes_show(pressure->live_bytes, ctl->options.bytes);
    printf(" live, ");
    bytes_show(pressure->wanted_bytes, ctl->options.bytes);
    printf(" wanted: ");
    if (grown == 0) {
        puts("collect");
    } else {
        printf("may hold ");
        bytes_show(grown, ctl->options.bytes);
        puts("");
    }
    (void)fflush(stdout); /* whoever reads along waits for lines */
}

/* What cannot grow, at its maximum, is collected. */
static enum mmgc_error decide(struct ctl *ctl, const wire_pressure *pressure, struct tally *tally)
{
    wire_decide body = wire_decide_init();
    wire_request request = wire_request_init();

    body.heap = (char *)ctl->options.operand;
    body.limit_bytes = grown(&ctl->options, pressure->limit_bytes);
    body.decision = body.limit_bytes == 0 ? COLLECT : LIMIT;
    request.body_case = WIRE_REQUEST(DECIDE);
    request.decide = &body;
    if (!ctl->options.json)
        show_pressure(ctl, pressure, body.limit_bytes);
    enum mmgc_error e = call_done(ctl, &request);
    if (e == MMGC_E_INVALID && body.decision == LIMIT) {
        body.decision = COLLECT;
        e = call_done(ctl, &request);
    }
    tally->pressures++;
    tally->collections += body.decision == COLLECT;
    tally->growths += body.decision == LIMIT;
    return e;
}

/* The time set by --timeout is no failure: so long it was to decide. */
static enum mmgc_error trigger_ask(struct ctl *ctl, json_t *document)
{
    struct tally tally = { 0 };
    wire_reply *reply;
    enum mmgc_error e = become_delegate(ctl);

    while (e == MMGC_E_OK && (e = ctl_event(ctl, &reply)) == MMGC_E_OK) {
        if (reply->body_case == WIRE_REPLY(PRESSURE))
            e = decide(ctl, reply->pressure, &tally);
        wire_reply_free(reply);
    }
    if (e != MMGC_E_TIMEOUT || mm_now_ns() < ctl->connection.deadline_ns)
        return e;
    document_text(document, "heap", ctl->options.operand);
    document_count(document, "pressures", tally.pressures);
    document_count(document, "collections", tally.collections);
    document_count(document, "growths", tally.growths);
    return MMGC_E_OK;
}

static void trigger_show(const struct ctl *ctl, const json_t *document)
{
    text_show(document_get_text(document, "heap"));
    printf(": full %" PRIu64 " times, grown %" PRIu64 " times\n", document_get_count(document, "pressures"),
           document_get_count(document, "growths"));
}

const struct ctl_command ctl_trigger = {
    .name = "trigger",
    .synopsis = "trigger [--grow=SIZE] [--up-to=SIZE] HEAP",
    .summary = "decide what is done when a delegated heap is full, and say each time",
    .takes = CTL_TAKES_HEAP,
    .options = CTL_OPTION_BYTES | CTL_OPTION_GROW,
    .ask = trigger_ask,
    .show = trigger_show,
};
