/* SPDX-License-Identifier: Apache-2.0 */
/* verify.c - Verify: whether a heap keeps its invariants; faults are an exit status of their own. */
#include <inttypes.h>
#include <stdio.h>

#include "client/ctl/ctl.h"
#include "client/ctl/table.h"
#include "client/ctl/units.h"

#define REF_BYTES 8 /* a granule */

static enum mmgc_error verify_ask(struct ctl *ctl, json_t *document)
{
    wire_verify body = wire_verify_init();
    wire_request request = wire_request_init();
    wire_reply *reply;

    body.heap = (char *)ctl->options.operand;
    request.body_case = WIRE_REQUEST(VERIFY);
    request.verify = &body;
    enum mmgc_error e = ctl_call(ctl, &request, WIRE_REPLY(VERDICT), &reply);
    if (e != MMGC_E_OK)
        return e;
    const wire_verdict *verdict = reply->verdict;
    document_text(document, "heap", ctl->options.operand);
    document_flag(document, "clean", verdict->clean);
    document_count(document, "objects", verdict->objects);
    document_count(document, "references", verdict->references);
    document_count(document, "reachable_objects", verdict->reachable_objects);
    document_count(document, "reachable_bytes", verdict->reachable_bytes);
    document_count(document, "faults", verdict->faults);
    document_text(document, "first_fault", verdict->first_fault);
    document_count(document, "object", verdict->object);
    document_count(document, "ref", verdict->ref);
    if (!verdict->clean)
        ctl->exit = CTL_FAULTS;
    wire_reply_free(reply);
    return MMGC_E_OK;
}

static void verify_show(const struct ctl *ctl, const json_t *document)
{
    uint64_t faults = document_get_count(document, "faults");
    bool clean = document_get_flag(document, "clean");
    char bytes[UNITS_TEXT_MAX];

    text_show(document_get_text(document, "heap"));
    if (clean)
        printf(": clean, ");
    else
        printf(": %" PRIu64 " fault%s in ", faults, faults == 1 ? "" : "s");
    printf("%" PRIu64 " objects, %" PRIu64 " references; reachable: %" PRIu64 " objects, %s\n",
           document_get_count(document, "objects"), document_get_count(document, "references"),
           document_get_count(document, "reachable_objects"),
           units_bytes(bytes, document_get_count(document, "reachable_bytes")));
    if (clean)
        return;
    printf("first fault: ");
    text_show(document_get_text(document, "first_fault"));
    printf(" (object at 0x%" PRIx64 ", reference to 0x%" PRIx64 ")\n",
           document_get_count(document, "object") * REF_BYTES,
           document_get_count(document, "ref") * REF_BYTES);
    puts("A client wrote what it should not, or mmgcd has a bug: save what you need, then `mmgcctl destroy` the heap.");
}

const struct ctl_command ctl_verify = {
    .name = "verify",
    .synopsis = "verify HEAP",
    .summary = "check every object and reference; exit status 4 if there are faults",
    .takes = CTL_TAKES_HEAP,
    .timeout_ns = CTL_LONG_TIMEOUT_NS,
    .ask = verify_ask,
    .show = verify_show,
};
