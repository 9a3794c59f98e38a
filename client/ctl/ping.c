/* SPDX-License-Identifier: Apache-2.0 */
/* ping.c - Ping: is a daemon there, which, and how far away. */
#include <inttypes.h>
#include <stdio.h>

#include "client/ctl/ctl.h"
#include "client/ctl/table.h"
#include "client/ctl/units.h"
#include "shm/base.h"

static enum mmgc_error ping_ask(struct ctl *ctl, json_t *document)
{
    wire_ping body = wire_ping_init();
    wire_request request = wire_request_init();
    const wire_welcome *welcome = ctl->connection.welcome->welcome;
    char incarnation[17]; /* 64 random bits do not fit a JSON number */
    wire_reply *reply;

    snprintf(incarnation, sizeof(incarnation), "%016" PRIx64, welcome->incarnation);
    request.body_case = WIRE_REQUEST(PING);
    request.ping = &body;
    uint64_t begin_ns = mm_now_ns();
    enum mmgc_error e = ctl_call(ctl, &request, WIRE_REPLY(DONE), &reply);
    if (e != MMGC_E_OK)
        return e;
    document_count(document, "round_trip_ns", mm_now_ns() - begin_ns);
    document_text(document, "socket", ctl->options.socket);
    document_text(document, "daemon_version", welcome->daemon_version);
    document_count(document, "protocol_version", welcome->version);
    document_count(document, "features", welcome->features);
    document_text(document, "incarnation", incarnation);
    wire_reply_free(reply);
    return MMGC_E_OK;
}

static void ping_show(const struct ctl *ctl, const json_t *document)
{
    char time[UNITS_TEXT_MAX];

    printf("mmgcd ");
    text_show(document_get_text(document, "daemon_version"));
    printf(" (protocol %" PRIu64 ") answers on ", document_get_count(document, "protocol_version"));
    text_show(document_get_text(document, "socket"));
    printf(" in %s\n", units_ns(time, document_get_count(document, "round_trip_ns")));
}

const struct ctl_command ctl_ping = {
    .name = "ping",
    .synopsis = "ping",
    .summary = "whether a daemon answers, which, and how fast",
    .timeout_ns = CTL_TIMEOUT_NS,
    .ask = ping_ask,
    .show = ping_show,
};
