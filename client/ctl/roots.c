/* SPDX-License-Identifier: Apache-2.0 */
/* roots.c - Roots: what keeps a heap's objects alive: names, and how many handles and local roots. */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "client/ctl/ctl.h"
#include "client/ctl/table.h"
#include "shm/base.h"

/* clang-format off */
static const struct column columns[] = {
    { "NAME",   "name",  CELL_TEXT },
    { "TYPE",   "type",  CELL_TEXT },
    { "BYTES",  "bytes", CELL_BYTES },
    { "OFFSET", "ref",   CELL_REF },
};
/* clang-format on */

static void add_row(json_t *roots, const wire_root_row *root)
{
    json_t *row = document_row(roots);

    document_text(row, "name", root->name);
    document_count(row, "ref", root->ref);
    document_text(row, "type", root->type);
    document_count(row, "bytes", root->bytes);
}

/* One page into @document; names ascend, or the daemon would keep us for ever. */
static enum mmgc_error ask_page(struct ctl *ctl, json_t *document, char **after, bool *ret_more)
{
    wire_roots body = wire_roots_init();
    wire_request request = wire_request_init();
    wire_reply *reply;

    body.heap = (char *)ctl->options.operand;
    body.after_name = *after;
    request.body_case = WIRE_REQUEST(ROOTS);
    request.roots = &body;
    enum mmgc_error e = ctl_call(ctl, &request, WIRE_REPLY(ROOT_ROWS), &reply);
    if (e != MMGC_E_OK)
        return e;
    const wire_root_rows *page = reply->root_rows;
    for (size_t i = 0; i < page->n_rows; i++)
        add_row(json_object_get(document, "roots"), page->rows[i]);
    document_count(document, "handles", page->handles);
    document_count(document, "local_slots", page->local_slots);
    const char *last = page->n_rows > 0 ? page->rows[page->n_rows - 1]->name : "";
    *ret_more = page->more;
    if (page->more && strcmp(last, *after) <= 0) {
        e = ctl_failed(ctl, MMGC_E_PROTOCOL, "pages of roots that do not go on");
    } else {
        free(*after);
        *after = need(strdup(last));
    }
    wire_reply_free(reply);
    return e;
}

static enum mmgc_error roots_ask(struct ctl *ctl, json_t *document)
{
    char *after = need(strdup(""));
    enum mmgc_error e;
    bool more = false;

    document_text(document, "heap", ctl->options.operand);
    json_t *roots = document_array(document, "roots");
    do
        e = ask_page(ctl, document, &after, &more);
    while (e == MMGC_E_OK && more);
    free(after);
    document_count(document, "omitted", document_cut(roots, ctl->options.limit));
    return e;
}

static void roots_show(const struct ctl *ctl, const json_t *document)
{
    const json_t *roots = json_object_get(document, "roots");

    if (json_array_size(roots) == 0 && document_get_count(document, "omitted") == 0)
        puts("no named roots");
    table_show(roots, columns, MM_ARRAY_LEN(columns), 0, ctl->options.bytes);
    ctl_show_omitted(document);
    printf("and %" PRIu64 " handles, %" PRIu64 " local roots\n",
           document_get_count(document, "handles"), document_get_count(document, "local_slots"));
}

const struct ctl_command ctl_roots = {
    .name = "roots",
    .synopsis = "roots HEAP",
    .summary = "the named roots, and how many handles and local roots there are",
    .takes = CTL_TAKES_HEAP,
    .options = CTL_OPTION_LIMIT | CTL_OPTION_BYTES,
    .timeout_ns = CTL_TIMEOUT_NS,
    .ask = roots_ask,
    .show = roots_show,
};
