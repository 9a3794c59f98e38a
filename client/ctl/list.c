/* SPDX-License-Identifier: Apache-2.0 */
/* list.c - List: the heaps, a line each. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "client/ctl/ctl.h"
#include "client/ctl/table.h"
#include "shm/base.h"

/* clang-format off */
static const struct column columns[] = {
    { "HEAP",    "name",        CELL_TEXT },
    { "PLAN",    "plan",        CELL_TEXT },
    { "USED",    "used_bytes",  CELL_BYTES },
    { "LIVE",    "live_bytes",  CELL_BYTES },
    { "MAXIMUM", "max_bytes",   CELL_BYTES },
    { "CLIENTS", "sessions",    CELL_COUNT },
    { "GCS",     "collections", CELL_COUNT },
    { "CORRUPT", "corrupt",     CELL_RARE | CELL_FLAG },
};
/* clang-format on */

/* One page into @heaps. Each name is greater than the one before, or the daemon would keep us for ever. */
static enum mmgc_error ask_page(struct ctl *ctl, json_t *heaps, char **after, bool *ret_more)
{
    wire_heap_list list = wire_heap_list_init();
    wire_request request = wire_request_init();
    wire_reply *reply;

    list.after = *after;
    request.body_case = WIRE_REQUEST(HEAP_LIST);
    request.heap_list = &list;
    enum mmgc_error e = ctl_call(ctl, &request, WIRE_REPLY(HEAP_ROWS), &reply);
    if (e != MMGC_E_OK)
        return e;
    const wire_heap_rows *page = reply->heap_rows;
    for (size_t i = 0; i < page->n_rows; i++)
        ctl_heap_row(document_row(heaps), page->rows[i]);
    const char *last = page->n_rows > 0 ? page->rows[page->n_rows - 1]->name : "";
    *ret_more = page->more;
    if (page->more && strcmp(last, *after) <= 0) {
        e = ctl_failed(ctl, MMGC_E_PROTOCOL, "pages of heaps that do not go on");
    } else {
        free(*after);
        *after = need(strdup(last));
    }
    wire_reply_free(reply);
    return e;
}

static enum mmgc_error list_ask(struct ctl *ctl, json_t *document)
{
    json_t *heaps = document_array(document, "heaps");
    char *after = need(strdup(""));
    enum mmgc_error e;
    bool more = false;

    do
        e = ask_page(ctl, heaps, &after, &more);
    while (e == MMGC_E_OK && more);
    free(after);
    document_count(document, "omitted", document_cut(heaps, ctl->options.limit));
    return e;
}

static void list_show(const struct ctl *ctl, const json_t *document)
{
    const json_t *heaps = json_object_get(document, "heaps");

    if (json_array_size(heaps) == 0 && document_get_count(document, "omitted") == 0)
        puts("no heaps");
    table_show(heaps, columns, MM_ARRAY_LEN(columns), 0, ctl->options.bytes);
    ctl_show_omitted(document);
}

const struct ctl_command ctl_list = {
    .name = "list",
    .synopsis = "list",
    .summary = "the heaps, a line each",
    .options = CTL_OPTION_LIMIT | CTL_OPTION_BYTES,
    .timeout_ns = CTL_TIMEOUT_NS,
    .ask = list_ask,
    .show = list_show,
};
