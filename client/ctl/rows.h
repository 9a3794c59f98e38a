/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/* Rows: what handles and leases have in common: rows of clients' tables, which come in pages that may be empty and yet go on. */
#include "client/ctl/ctl.h"
#include "client/ctl/table.h"

/* All pages, as the array @key of @document: of leases or of all else. MMGC_E_PROTOCOL: pages that do not go on, and would keep us for ever. */
enum mmgc_error rows_ask(struct ctl *ctl, json_t *document, const char *key, bool leases);
/* The table of that, or "no @key". */
void rows_show(const struct ctl *ctl, const json_t *document, const char *key, const struct column *columns, size_t count);
