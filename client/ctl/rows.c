/* SPDX-License-Identifier: Apache-2.0 */
#include "client/ctl/rows.h"

#include <stdio.h>

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

enum mmgc_error rows_ask(struct ctl *ctl, json_t *document, const char *key, bool leases)
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

void rows_show(const struct ctl *ctl, const json_t *document, const char *key, const struct column *columns, size_t count)
{
    const json_t *rows = json_object_get(document, key);

    if (json_array_size(rows) == 0 && document_get_count(document, "omitted") == 0)
        printf("no %s\n", key);
    table_show(rows, columns, count, 0, ctl->options.bytes);
    ctl_show_omitted(document);
}
