/* SPDX-License-Identifier: Apache-2.0 */
/* handles.c - Handles: what clients keep of heaps outside of them, guards and watches included. */
#include "client/ctl/rows.h"
#include "shm/base.h"

/* clang-format off */
static const struct column columns[] = {
    { "SESSION", "session", CELL_COUNT },
    { "CLIENT",  "client",  CELL_TEXT },
    { "PID",     "pid",     CELL_COUNT },
    { "SLOT",    "slot",    CELL_COUNT },
    { "KIND",    "kind",    CELL_TEXT },
    { "NAME",    "name",    CELL_TEXT },
    { "TYPE",    "type",    CELL_TEXT },
    { "BYTES",   "bytes",   CELL_BYTES },
    { "OFFSET",  "ref",     CELL_REF },
};
/* clang-format on */

static enum mmgc_error handles_ask(struct ctl *ctl, json_t *document)
{
    return rows_ask(ctl, document, "handles", false);
}

static void handles_show(const struct ctl *ctl, const json_t *document)
{
    rows_show(ctl, document, "handles", columns, MM_ARRAY_LEN(columns));
}

const struct ctl_command ctl_handles = {
    .name = "handles",
    .synopsis = "handles [--client SESSION] [HEAP]",
    .summary = "the handles that clients have, of all kinds but leases",
    .takes = CTL_MAY_TAKE_HEAP,
    .options = CTL_OPTION_LIMIT | CTL_OPTION_BYTES | CTL_OPTION_CLIENT,
    .timeout_ns = CTL_TIMEOUT_NS,
    .ask = handles_ask,
    .show = handles_show,
};
