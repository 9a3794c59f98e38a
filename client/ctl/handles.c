/* SPDX-License-Identifier: Apache-2.0 */
/* handles.c - Handles and leases: rows of clients' tables, which come in pages that may be empty and yet go on. Handles are what clients keep
 * of heaps outside of them, guards and watches included; leases say who has what, for how long, and how many wait for it. */
#include <stdio.h>

#include "client/ctl/ctl.h"
#include "client/ctl/table.h"
#include "shm/base.h"

/* clang-format off */
static const struct column handle_columns[] = {
    { "SESSION", "session", CELL_COUNT },
    { "CLIENT",  "client",  CELL_TEXT },
    { "SLOT",    "slot",    CELL_COUNT },
    { "KIND",    "kind",    CELL_TEXT },
    { "NAME",    "name",    CELL_RARE | CELL_TEXT },
    { "TYPE",    "type",    CELL_TEXT },
    { "BYTES",   "bytes",   CELL_BYTES },
    { "OFFSET",  "ref",     CELL_REF },
};
static const struct column lease_columns[] = {
    { "SESSION", "session", CELL_COUNT },
    { "CLIENT",  "client",  CELL_TEXT },
    { "SLOT",    "slot",    CELL_COUNT },
    { "KIND",    "kind",    CELL_TEXT },
    { "HELD",    "held",    CELL_FLAG },
    { "AGE",     "age_ms",  CELL_AGE_MS },
    { "WAITERS", "waiters", CELL_RARE | CELL_COUNT },
    { "NAME",    "name",    CELL_RARE | CELL_TEXT },
    { "TYPE",    "type",    CELL_TEXT },
    { "OFFSET",  "ref",     CELL_REF },
};
/* clang-format on */

/* ---- rows ---- */

static void add_row(json_t *array, const wire_handle_row *handle)
{
    json_t *row = document_row(array);

    document_count(row, "session", handle->session);
    document_text(row, "client", handle->client);
    document_count(row, "pid", handle->pid);
    document_text(row, "heap", handle->heap);
    document_count(row, "slot", handle->slot);
    document_text(row, "kind", handle->kind);
    document_text(row, "name", handle->name);
    document_count(row, "ref", handle->ref);
    document_text(row, "type", handle->type);
    document_count(row, "bytes", handle->bytes);
    document_count(row, "age_ms", handle->age_ms);
    document_flag(row, "held", handle->held);
    document_count(row, "waiters", handle->waiters);
}

static enum mmgc_error add_page(struct ctl *ctl, json_t *array, const wire_handle_rows *page, wire_handles *next)
{
    bool goes_on = page->last_session > next->after_session ||
                   (page->last_session == next->after_session && page->last_slot > next->after_slot);

    for (size_t i = 0; i < page->n_rows; i++)
        add_row(array, page->rows[i]);
    next->after_session = page->last_session;
    next->after_slot = page->last_slot;
    return page->more && !goes_on ? ctl_failed(ctl, MMGC_E_PROTOCOL, "pages of rows that do not go on") : MMGC_E_OK;
}

static enum mmgc_error ask_page(struct ctl *ctl, json_t *array, wire_handles *next, bool *ret_more)
{
    wire_request request = wire_request_init();
    wire_reply *reply;

    request.body_case = WIRE_REQUEST(HANDLES);
    request.handles = next;
    enum mmgc_error e = ctl_call(ctl, &request, WIRE_REPLY(HANDLE_ROWS), &reply);
    if (e != MMGC_E_OK)
        return e;
    e = add_page(ctl, array, reply->handle_rows, next);
    *ret_more = reply->handle_rows->more;
    wire_reply_free(reply);
    return e;
}

/* All pages, as the array @key of @document. Pages that do not go on would keep us for ever: MMGC_E_PROTOCOL. */
static enum mmgc_error rows_ask(struct ctl *ctl, json_t *document, const char *key, bool leases)
{
    json_t *array = document_array(document, key);
    wire_handles next = wire_handles_init();
    enum mmgc_error e;
    bool more = false;

    if (ctl->options.operand != NULL)
        next.heap = (char *)ctl->options.operand;
    next.session = ctl->options.client;
    next.leases = leases;
    do
        e = ask_page(ctl, array, &next, &more);
    while (e == MMGC_E_OK && more);
    document_count(document, "omitted", document_cut(array, ctl->options.limit));
    return e;
}

/* The table of that, or "no @key". */
static void rows_show(const struct ctl *ctl, const json_t *document, const char *key, const struct column *columns, size_t count)
{
    const json_t *rows = json_object_get(document, key);

    if (json_array_size(rows) == 0 && document_get_count(document, "omitted") == 0)
        printf("no %s\n", key);
    table_show(rows, columns, count, 0, ctl->options.bytes);
    ctl_show_omitted(document);
}

/* ---- the two commands ---- */

static enum mmgc_error handles_ask(struct ctl *ctl, json_t *document)
{
    return rows_ask(ctl, document, "handles", false);
}

static void handles_show(const struct ctl *ctl, const json_t *document)
{
    rows_show(ctl, document, "handles", handle_columns, MM_ARRAY_LEN(handle_columns));
}

const struct ctl_command ctl_handles = {
    .name = "handles",
    .synopsis = "handles [--client SESSION] [HEAP]",
    .summary = "the handles that clients have, of all kinds but leases",
    .takes = CTL_MAY_TAKE_HEAP,
    .options = CTL_OPTION_LIMIT | CTL_OPTION_BYTES | CTL_OPTION_CLIENT,
    .timeout_ns = CTL_TIMEOUT_NS,
    .ask = handles_ask,
    .show = handles_show,
};

static enum mmgc_error leases_ask(struct ctl *ctl, json_t *document)
{
    return rows_ask(ctl, document, "leases", true);
}

static void leases_show(const struct ctl *ctl, const json_t *document)
{
    rows_show(ctl, document, "leases", lease_columns, MM_ARRAY_LEN(lease_columns));
}

const struct ctl_command ctl_leases = {
    .name = "leases",
    .synopsis = "leases [--client SESSION] [HEAP]",
    .summary = "who has which objects leased or waits for them, and for how long",
    .takes = CTL_MAY_TAKE_HEAP,
    .options = CTL_OPTION_LIMIT | CTL_OPTION_BYTES | CTL_OPTION_CLIENT,
    .timeout_ns = CTL_TIMEOUT_NS,
    .ask = leases_ask,
    .show = leases_show,
};
