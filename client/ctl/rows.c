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

enum mmgc_error rows_add(struct ctl *ctl, json_t *array, const struct rows_page *page, uint64_t *session, uint32_t *slot)
{
    bool goes_on = page->last_session > *session || (page->last_session == *session && page->last_slot > *slot);

    for (size_t i = 0; i < page->count; i++)
        add_row(array, page->rows[i]);
    if (page->more && !goes_on)
        return ctl_failed(ctl, MMGC_E_PROTOCOL, "pages of rows that do not go on");
    *session = page->last_session;
    *slot = page->last_slot;
    return MMGC_E_OK;
}

enum mmgc_error rows_ask(struct ctl *ctl, json_t *document, const char *key, rows_ask_page ask_page)
{
    json_t *rows = document_array(document, key);
    enum mmgc_error e;
    uint64_t session = 0;
    uint32_t slot = 0;
    bool more = false;

    do
        e = ask_page(ctl, rows, &session, &slot, &more);
    while (e == MMGC_E_OK && more);
    document_count(document, "omitted", document_cut(rows, ctl->options.limit));
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
