/* SPDX-License-Identifier: Apache-2.0 */
/* evict.c - Evict: a client's process is killed, since it hangs, or holds what others need. */
#include <inttypes.h>
#include <stdio.h>

#include "client/ctl/ctl.h"
#include "client/ctl/table.h"

static enum mmgc_error evict_ask(struct ctl *ctl, json_t *document)
{
    wire_evict body = wire_evict_init();
    wire_request request = wire_request_init();
    wire_reply *reply;

    body.session = ctl->options.client;
    request.body_case = WIRE_REQUEST(EVICT);
    request.evict = &body;
    enum mmgc_error e = ctl_call(ctl, &request, WIRE_REPLY(EVICTED), &reply);
    if (e != MMGC_E_OK)
        return e;
    document_count(document, "session", ctl->options.client);
    document_text(document, "name", reply->evicted->name);
    document_count(document, "pid", reply->evicted->pid);
    document_count(document, "connections", reply->evicted->connections);
    wire_reply_free(reply);
    return MMGC_E_OK;
}

static void evict_show(const struct ctl *ctl, const json_t *document)
{
    uint64_t connections = document_get_count(document, "connections");

    (void)ctl;
    printf("client %" PRIu64 " '", document_get_count(document, "session"));
    text_show(document_get_text(document, "name"));
    printf("' is evicted: process %" PRIu64 " is killed, which had %" PRIu64 " connection%s\n", document_get_count(document, "pid"), connections,
           connections == 1 ? "" : "s");
}

const struct ctl_command ctl_evict = {
    .name = "evict",
    .synopsis = "evict SESSION",
    .summary = "kill a client's process: what it held is free, and nobody waits for it any more",
    .takes = CTL_TAKES_CLIENT,
    .timeout_ns = CTL_TIMEOUT_NS,
    .ask = evict_ask,
    .show = evict_show,
};
