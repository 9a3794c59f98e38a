/* SPDX-License-Identifier: Apache-2.0 */
/* resize.c - Resize: another limit for a heap that is in use. */
#include <stdio.h>

#include "client/ctl/ctl.h"
#include "client/ctl/table.h"

static enum mmgc_error resize(struct ctl *ctl)
{
    wire_heap_resize body = wire_heap_resize_init();
    wire_request request = wire_request_init();
    wire_reply *reply;

    body.heap = (char *)ctl->options.operand;
    body.limit_bytes = ctl->options.size_bytes;
    request.body_case = WIRE_REQUEST(HEAP_RESIZE);
    request.heap_resize = &body;
    enum mmgc_error e = ctl_call(ctl, &request, WIRE_REPLY(DONE), &reply);
    if (e == MMGC_E_OK)
        wire_reply_free(reply);
    return e;
}

static enum mmgc_error resize_ask(struct ctl *ctl, json_t *document)
{
    wire_reply *reply;
    enum mmgc_error e = resize(ctl);

    if (e == MMGC_E_OK)
        e = ctl_heap_facts(ctl, &reply);
    if (e != MMGC_E_OK)
        return e;
    document_text(document, "heap", ctl->options.operand);
    document_count(document, "limit_bytes", reply->heap_facts->limit_bytes);
    document_count(document, "used_bytes", reply->heap_facts->row->used_bytes);
    document_count(document, "max_bytes", reply->heap_facts->row->max_bytes);
    wire_reply_free(reply);
    return MMGC_E_OK;
}

static void resize_show(const struct ctl *ctl, const json_t *document)
{
    text_show(document_get_text(document, "heap"));
    printf(": may hold ");
    bytes_show(document_get_count(document, "limit_bytes"), ctl->options.bytes);
    printf(", holds ");
    bytes_show(document_get_count(document, "used_bytes"), ctl->options.bytes);
    puts("");
}

const struct ctl_command ctl_resize = {
    .name = "resize",
    .synopsis = "resize HEAP SIZE",
    .summary = "set what a heap may hold, up to its maximum, while it is in use",
    .takes = CTL_TAKES_HEAP_AND_SIZE,
    .options = CTL_OPTION_BYTES,
    .timeout_ns = CTL_TIMEOUT_NS,
    .ask = resize_ask,
    .show = resize_show,
};
