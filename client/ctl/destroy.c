/* SPDX-License-Identifier: Apache-2.0 */
/* destroy.c - Destroy: the end of a heap. */
#include <stdio.h>

#include "client/ctl/ctl.h"
#include "client/ctl/table.h"

static enum mmgc_error destroy_ask(struct ctl *ctl, json_t *document)
{
    wire_heap_destroy body = wire_heap_destroy_init();
    wire_request request = wire_request_init();
    wire_reply *reply;

    body.name = (char *)ctl->options.operand;
    body.force = ctl->options.force;
    request.body_case = WIRE_REQUEST(HEAP_DESTROY);
    request.heap_destroy = &body;
    enum mmgc_error e = ctl_call(ctl, &request, WIRE_REPLY(DONE), &reply);
    if (e != MMGC_E_OK)
        return e;
    document_text(document, "heap", ctl->options.operand);
    document_flag(document, "destroyed", true);
    wire_reply_free(reply);
    return MMGC_E_OK;
}

static void destroy_show(const struct ctl *ctl, const json_t *document)
{
    text_show(document_get_text(document, "heap"));
    puts(": destroyed");
}

const struct ctl_command ctl_destroy = {
    .name = "destroy",
    .synopsis = "destroy [--force] HEAP",
    .summary = "end a heap; with --force even one that has clients",
    .takes = CTL_TAKES_HEAP,
    .options = CTL_OPTION_FORCE,
    .timeout_ns = CTL_TIMEOUT_NS,
    .ask = destroy_ask,
    .show = destroy_show,
};
