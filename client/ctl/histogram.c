/* SPDX-License-Identifier: Apache-2.0 */
/* histogram.c - Histogram: how many objects of each type a heap holds, and their bytes. */
#include <inttypes.h>
#include <stdio.h>

#include "client/ctl/counts.h"
#include "client/ctl/table.h"
#include "shm/base.h"

/* clang-format off */
static const struct column columns[] = {
    { "OBJECTS", "objects", CELL_COUNT },
    { "BYTES",   "bytes",   CELL_BYTES },
    { "SHARE",   "share",   CELL_SHARE },
    { "TYPE",    "name",    CELL_TEXT },
};
/* clang-format on */

static void add_row(json_t *types, const wire_histogram_row *type)
{
    json_t *row = document_row(types);

    document_count(row, "type", type->type);
    document_text(row, "name", type->name);
    document_count(row, "objects", type->objects);
    document_count(row, "bytes", type->bytes);
}

/* One page into @types; ids ascend, or the daemon would keep us for ever. */
static enum mmgc_error ask_page(struct ctl *ctl, json_t *types, uint32_t *after, bool *ret_more)
{
    wire_histogram body = wire_histogram_init();
    wire_request request = wire_request_init();
    wire_reply *reply;

    body.heap = (char *)ctl->options.operand;
    body.after_type = *after;
    request.body_case = WIRE_REQUEST(HISTOGRAM);
    request.histogram = &body;
    enum mmgc_error e = ctl_call(ctl, &request, WIRE_REPLY(HISTOGRAM_ROWS), &reply);
    if (e != MMGC_E_OK)
        return e;
    const wire_histogram_rows *page = reply->histogram_rows;
    for (size_t i = 0; i < page->n_rows; i++)
        add_row(types, page->rows[i]);
    uint32_t last = page->n_rows > 0 ? page->rows[page->n_rows - 1]->type : 0;
    *ret_more = page->more;
    if (page->more && last <= *after)
        e = ctl_failed(ctl, MMGC_E_PROTOCOL, "pages of types that do not go on");
    *after = last;
    wire_reply_free(reply);
    return e;
}

static void add_totals(json_t *document, json_t *types)
{
    uint64_t objects = 0, bytes = 0;
    size_t i;
    json_t *row;

    json_array_foreach(types, i, row)
    {
        objects += document_get_count(row, "objects");
        bytes += document_get_count(row, "bytes");
    }
    json_array_foreach(types, i, row) document_real(
        row, "share", bytes == 0 ? 0 : (double)document_get_count(row, "bytes") / (double)bytes);
    document_count(document, "total_objects", objects);
    document_count(document, "total_bytes", bytes);
}

static enum mmgc_error ask_types(struct ctl *ctl, json_t *types)
{
    enum mmgc_error e;
    uint32_t after = 0;
    bool more = false;

    do
        e = ask_page(ctl, types, &after, &more);
    while (e == MMGC_E_OK && more);
    return e;
}

/* A mark is compared with before it is set anew. */
static enum mmgc_error compare_with_mark(struct ctl *ctl, json_t *document)
{
    json_auto_t *before = NULL, *now = json_incref(json_object_get(document, "types"));
    enum mmgc_error e = counts_load_mark(ctl, ctl->options.since, &before);

    if (e != MMGC_E_OK)
        return e;
    json_object_clear(document);
    document_text(document, "heap", ctl->options.operand);
    document_text(document, "since", ctl->options.since);
    counts_compare(ctl, document, before, now);
    return MMGC_E_OK;
}

static enum mmgc_error histogram_ask(struct ctl *ctl, json_t *document)
{
    static const char *const keys[] = { [CTL_SORT_BYTES] = "bytes", [CTL_SORT_OBJECTS] = "objects", [CTL_SORT_NAME] = NULL };

    document_text(document, "heap", ctl->options.operand);
    json_t *types = document_array(document, "types");
    enum mmgc_error e = ask_types(ctl, types);
    add_totals(document, types);
    counts_sort(types, keys[ctl->options.sort]);
    json_auto_t *whole = need(json_deep_copy(document));
    if (e == MMGC_E_OK && ctl->options.since != NULL)
        e = compare_with_mark(ctl, document);
    else
        document_count(document, "omitted", document_cut(types, ctl->options.limit));
    if (e == MMGC_E_OK && ctl->options.mark != NULL)
        e = counts_save_mark(ctl, ctl->options.mark, whole);
    return e;
}

static void histogram_show(const struct ctl *ctl, const json_t *document)
{
    if (ctl->options.since != NULL) {
        counts_show(ctl, document);
        return;
    }
    table_show(json_object_get(document, "types"), columns, MM_ARRAY_LEN(columns), 0,
               ctl->options.bytes);
    ctl_show_omitted(document);
    printf("%" PRIu64 " objects, ", document_get_count(document, "total_objects"));
    bytes_show(document_get_count(document, "total_bytes"), ctl->options.bytes);
    putchar('\n');
}

const struct ctl_command ctl_histogram = {
    .name = "histogram",
    .synopsis = "histogram HEAP",
    .summary = "objects and bytes of each type",
    .takes = CTL_TAKES_HEAP,
    .options = CTL_OPTION_LIMIT | CTL_OPTION_SORT | CTL_OPTION_BYTES | CTL_OPTION_MARK,
    .timeout_ns = CTL_LONG_TIMEOUT_NS,
    .ask = histogram_ask,
    .show = histogram_show,
};
