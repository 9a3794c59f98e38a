/* SPDX-License-Identifier: Apache-2.0 */
/* histogram.c - Histogram: how many objects of each type a heap holds, and their bytes. */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "client/ctl/ctl.h"
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

/* Descending by @key, then ascending by name, so that the order is the same every time. */
static int compare_rows(const json_t *a, const json_t *b, const char *key)
{
    uint64_t x = key == NULL ? 0 : document_get_count(a, key),
             y = key == NULL ? 0 : document_get_count(b, key);

    if (x != y)
        return x > y ? -1 : 1;
    return strcmp(document_get_text(a, "name"), document_get_text(b, "name"));
}

static int compare(const void *a, const void *b, void *key)
{
    return compare_rows(*(json_t *const *)a, *(json_t *const *)b, key);
}

static void sort_rows(json_t *types, enum ctl_sort sort)
{
    static char *const keys[] = {
        [CTL_SORT_BYTES] = "bytes", [CTL_SORT_OBJECTS] = "objects", [CTL_SORT_NAME] = NULL
    };
    size_t count = json_array_size(types);
    json_t **rows = need(calloc(MM_MAX(count, 1u), sizeof(json_t *)));

    for (size_t i = 0; i < count; i++)
        rows[i] = json_incref(json_array_get(types, i));
    qsort_r(rows, count, sizeof(json_t *), compare, keys[sort]);
    for (size_t i = 0; i < count; i++)
        json_array_set_new(types, i, rows[i]);
    free(rows);
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

static enum mmgc_error histogram_ask(struct ctl *ctl, json_t *document)
{
    enum mmgc_error e;
    uint32_t after = 0;
    bool more = false;

    document_text(document, "heap", ctl->options.operand);
    json_t *types = document_array(document, "types");
    do
        e = ask_page(ctl, types, &after, &more);
    while (e == MMGC_E_OK && more);
    add_totals(document, types);
    sort_rows(types, ctl->options.sort);
    document_count(document, "omitted", document_cut(types, ctl->options.limit));
    return e;
}

static void histogram_show(const struct ctl *ctl, const json_t *document)
{
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
    .options = CTL_OPTION_LIMIT | CTL_OPTION_SORT | CTL_OPTION_BYTES,
    .timeout_ns = CTL_LONG_TIMEOUT_NS,
    .ask = histogram_ask,
    .show = histogram_show,
};
