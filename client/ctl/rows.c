/* SPDX-License-Identifier: Apache-2.0 */
#include "client/ctl/rows.h"

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
