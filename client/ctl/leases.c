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

static enum mmgc_error ask_page(struct ctl *ctl, json_t *rows, uint64_t *session, uint32_t *slot, bool *ret_more)
{
    wire_leases body = wire_leases_init();
    wire_request request = wire_request_init();
    wire_reply *reply;

    if (ctl->options.operand != NULL)
        body.heap = (char *)ctl->options.operand;
    body.after_session = *session;
    body.after_slot = *slot;
    request.body_case = WIRE_REQUEST(LEASES);
    request.leases = &body;
    enum mmgc_error e = ctl_call(ctl, &request, WIRE_REPLY(LEASE_ROWS), &reply);
    if (e != MMGC_E_OK)
        return e;
    const wire_lease_rows *got = reply->lease_rows;
    struct rows_page page = { got->rows, got->n_rows, got->more, got->last_session, got->last_slot };
    e = rows_add(ctl, rows, &page, session, slot);
    *ret_more = got->more;
    wire_reply_free(reply);
    return e;
}

static enum mmgc_error leases_ask(struct ctl *ctl, json_t *document)
{
    return rows_ask(ctl, document, "leases", ask_page);
}

static void leases_show(const struct ctl *ctl, const json_t *document)
{
    rows_show(ctl, document, "leases", columns, MM_ARRAY_LEN(columns));
}

const struct ctl_command ctl_leases = {
    .name = "leases",
    .synopsis = "leases [HEAP]",
    .summary = "who has which objects leased or waits for them, and for how long",
    .takes = CTL_MAY_TAKE_HEAP,
    .options = CTL_OPTION_LIMIT | CTL_OPTION_BYTES,
    .timeout_ns = CTL_TIMEOUT_NS,
    .ask = leases_ask,
    .show = leases_show,
};
