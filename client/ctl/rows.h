/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/* Rows: what handles and leases have in common: rows of clients' tables, which come in pages that may be empty and yet go on. */
#include "client/ctl/ctl.h"
#include "client/ctl/table.h"

struct rows_page {                            /* what a reply says, and where the next page begins */
    wire_handle_row *const *rows;
    size_t count;
    bool more;
    uint64_t last_session;
    uint32_t last_slot;
};
/* Adds a page to @array; *session and *slot go on to where the next one begins, and must do so, or the daemon would keep us for ever. */
enum mmgc_error rows_add(struct ctl *ctl, json_t *array, const struct rows_page *page, uint64_t *session, uint32_t *slot);
/* Asks for one page, which is rows_add()ed; *ret_more: there are others. */
typedef enum mmgc_error (*rows_ask_page)(struct ctl *ctl, json_t *rows, uint64_t *session, uint32_t *slot, bool *ret_more);
/* All pages, as the array @key of @document; and the table of that, or "no @key". */
enum mmgc_error rows_ask(struct ctl *ctl, json_t *document, const char *key, rows_ask_page ask_page);
void rows_show(const struct ctl *ctl, const json_t *document, const char *key, const struct column *columns, size_t count);
