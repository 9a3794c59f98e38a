/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/* Rows: what handles and leases have in common: rows of clients' tables, which come in pages that may be empty and yet go on. */
#include "client/ctl/ctl.h"

struct rows_page {                            /* what a reply says, and where the next page begins */
    wire_handle_row *const *rows;
    size_t count;
    bool more;
    uint64_t last_session;
    uint32_t last_slot;
};
/* Adds a page to @array; *session and *slot go on to where the next one begins, and must do so, or the daemon would keep us for ever. */
enum mmgc_error rows_add(struct ctl *ctl, json_t *array, const struct rows_page *page, uint64_t *session, uint32_t *slot);
