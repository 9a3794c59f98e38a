/* SPDX-License-Identifier: Apache-2.0 */
/* leases.c - Leases: who has what leased, for how long, and how many wait for it. */
#include "client/ctl/rows.h"
#include "shm/base.h"

/* clang-format off */
static const struct column columns[] = {
    { "SESSION", "session", CELL_COUNT },
    { "CLIENT",  "client",  CELL_TEXT },
    { "PID",     "pid",     CELL_COUNT },
    { "SLOT",    "slot",    CELL_COUNT },
    { "KIND",    "kind",    CELL_TEXT },
    { "HELD",    "held",    CELL_FLAG },
    { "AGE",     "age_ms",  CELL_AGE_MS },
    { "WAITERS", "waiters", CELL_COUNT },
    { "NAME",    "name",    CELL_TEXT },
    { "TYPE",    "type",    CELL_TEXT },
    { "BYTES",   "bytes",   CELL_BYTES },
    { "OFFSET",  "ref",     CELL_REF },
};
/* clang-format on */

static enum mmgc_error leases_ask(struct ctl *ctl, json_t *document)
{
    return rows_ask(ctl, document, "leases", true);
}

static void leases_show(const struct ctl *ctl, const json_t *document)
{
    rows_show(ctl, document, "leases", columns, MM_ARRAY_LEN(columns));
}

const struct ctl_command ctl_leases = {
    .name = "leases",
    .synopsis = "leases [--client SESSION] [HEAP]",
    .summary = "who has which objects leased or waits for them, and for how long",
    .takes = CTL_MAY_TAKE_HEAP,
    .options = CTL_OPTION_LIMIT | CTL_OPTION_BYTES | CTL_OPTION_CLIENT,
    .timeout_ns = CTL_TIMEOUT_NS,
    .ask = leases_ask,
    .show = leases_show,
};
