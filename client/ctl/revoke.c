/* SPDX-License-Identifier: Apache-2.0 */
/* revoke.c - Revoke: a lease ends for others, whatever its holder does. */
#include <inttypes.h>
#include <stdio.h>

#include "client/ctl/ctl.h"
#include "client/ctl/table.h"

static enum mmgc_error revoke_ask(struct ctl *ctl, json_t *document)
{
    wire_lease_revoke body = wire_lease_revoke_init();
    wire_request request = wire_request_init();
    wire_reply *reply;

    body.heap = (char *)ctl->options.operand;
    body.session = ctl->options.client;
    body.slot = (uint32_t)ctl->options.slot;
    request.body_case = WIRE_REQUEST(LEASE_REVOKE);
    request.lease_revoke = &body;
    enum mmgc_error e = ctl_call(ctl, &request, WIRE_REPLY(DONE), &reply);
    if (e != MMGC_E_OK)
        return e;
    document_text(document, "heap", ctl->options.operand);
    document_count(document, "session", ctl->options.client);
    document_count(document, "slot", ctl->options.slot);
    document_flag(document, "revoked", true);
    wire_reply_free(reply);
    return MMGC_E_OK;
}

static void revoke_show(const struct ctl *ctl, const json_t *document)
{
    text_show(document_get_text(document, "heap"));
    printf(": lease %" PRIu64 " of client %" PRIu64 " is revoked\n", document_get_count(document, "slot"),
           document_get_count(document, "session"));
}

const struct ctl_command ctl_revoke = {
    .name = "revoke",
    .synopsis = "revoke HEAP SESSION SLOT",
    .summary = "end a lease for others; its holder learns of it, and keeps the address until it gives it back",
    .takes = CTL_TAKES_LEASE,
    .timeout_ns = CTL_TIMEOUT_NS,
    .ask = revoke_ask,
    .show = revoke_show,
};
