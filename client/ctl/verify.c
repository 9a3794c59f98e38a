/* SPDX-License-Identifier: Apache-2.0 */
/* verify.c - Verify: whether a heap keeps its invariants; faults are an exit status of their own. */
#include <inttypes.h>
#include <stdio.h>

#include "client/ctl/ctl.h"
#include "client/ctl/table.h"
#include "client/ctl/units.h"
#include "shm/base.h"

/* clang-format off */
static const struct column columns[] = {
    { "OBJECT",    "object", CELL_REF },
    { "TYPE",      "type",   CELL_TEXT },
    { "HEADER",    "header", CELL_TEXT },
    { "REFERENCE", "ref",    CELL_REF },
    { "FAULT",     "fault",  CELL_TEXT },
};
/* clang-format on */

/* The header is text: JSON has no numbers of 64 bits. */
static void add_rows(json_t *object, const char *key, wire_fault_row *const *rows, size_t count)
{
    json_t *array = document_array(object, key);

    for (size_t i = 0; i < count; i++) {
        char header[UNITS_TEXT_MAX] = "";
        json_t *row = document_row(array);
        if (rows[i]->header != 0)
            snprintf(header, sizeof(header), "0x%016" PRIx64, rows[i]->header);
        document_text(row, "fault", rows[i]->fault);
        document_count(row, "object", rows[i]->object);
        document_count(row, "ref", rows[i]->ref);
        document_text(row, "header", header);
        document_text(row, "type", rows[i]->type);
    }
}

static void add_quarantine(json_t *document, const wire_quarantine *quarantine)
{
    document_flag(document, "quarantined", quarantine != NULL);
    if (quarantine == NULL)
        return;
    json_t *object = document_object(document, "quarantine");
    document_text(object, "why", quarantine->why);
    document_count(object, "age_ms", quarantine->age_ms);
    document_count(object, "collections", quarantine->collections);
    document_text(object, "writers", quarantine->writers);
    add_rows(object, "faults_then", quarantine->rows, quarantine->n_rows);
}

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
    document_count(document, "root_faults", verdict->root_faults);
    add_rows(document, "first_faults", verdict->rows, verdict->n_rows);
    add_quarantine(document, verdict->quarantine);
    if (!verdict->clean || verdict->quarantine != NULL)
        ctl->exit = CTL_FAULTS;
    wire_reply_free(reply);
    return MMGC_E_OK;
}

static void show_quarantine(const struct ctl *ctl, const json_t *quarantine)
{
    const json_t *then = json_object_get(quarantine, "faults_then");
    char age[UNITS_TEXT_MAX];

    printf("quarantined for %s, since its collection %" PRIu64 ": ", units_age(age, document_get_count(quarantine, "age_ms")),
           document_get_count(quarantine, "collections"));
    text_show(document_get_text(quarantine, "why"));
    printf("\nclients that could write then: ");
    text_show(document_get_text(quarantine, "writers"));
    puts(json_array_size(then) > 0 ? "\nfaults then:" : "");
    table_show(then, columns, MM_ARRAY_LEN(columns), 0, ctl->options.bytes);
    puts("A client wrote what it should not, or mmgcd has a bug: save what you need, then `mmgcctl destroy` the heap.");
}

static void verify_show(const struct ctl *ctl, const json_t *document)
{
    uint64_t faults = document_get_count(document, "faults"), root_faults = document_get_count(document, "root_faults");
    const json_t *rows = json_object_get(document, "first_faults");
    char bytes[UNITS_TEXT_MAX];

    text_show(document_get_text(document, "heap"));
    if (faults == 0)
        printf(": clean, ");
    else
        printf(": %" PRIu64 " fault%s in ", faults, faults == 1 ? "" : "s");
    printf("%" PRIu64 " objects, %" PRIu64 " references; reachable: %" PRIu64 " objects, %s\n",
           document_get_count(document, "objects"), document_get_count(document, "references"),
           document_get_count(document, "reachable_objects"),
           units_bytes(bytes, document_get_count(document, "reachable_bytes")));
    table_show(rows, columns, MM_ARRAY_LEN(columns), 0, ctl->options.bytes);
    if (json_array_size(rows) < faults)
        printf("and %" PRIu64 " more\n", faults - json_array_size(rows));
    if (faults > 0 && faults == root_faults)
        puts("Roots or handles that lead to no object are their clients' own: the heap itself is whole.");
    if (document_get_flag(document, "quarantined"))
        show_quarantine(ctl, json_object_get(document, "quarantine"));
}

const struct ctl_command ctl_verify = {
    .name = "verify",
    .synopsis = "verify HEAP",
    .summary = "check every object and reference; exit status 4 if there are faults",
    .takes = CTL_TAKES_HEAP,
    .options = CTL_OPTION_BYTES,
    .timeout_ns = CTL_LONG_TIMEOUT_NS,
    .ask = verify_ask,
    .show = verify_show,
};
