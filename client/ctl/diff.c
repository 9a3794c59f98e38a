/* SPDX-License-Identifier: Apache-2.0 */
/* diff.c - Diff: what has grown from one snapshot or histogram to another, by type. */
#include "client/ctl/counts.h"

static enum mmgc_error diff_ask(struct ctl *ctl, json_t *document)
{
    json_auto_t *before = NULL, *now = NULL;
    enum mmgc_error e = counts_load(ctl, ctl->options.before, &before);

    if (e == MMGC_E_OK)
        e = counts_load(ctl, ctl->options.target, &now);
    if (e != MMGC_E_OK)
        return e;
    document_text(document, "before", ctl->options.before);
    document_text(document, "now", ctl->options.target);
    counts_compare(ctl, document, before, now);
    return MMGC_E_OK;
}

const struct ctl_command ctl_diff = {
    .name = "diff",
    .synopsis = "diff FILE FILE",
    .summary = "what has grown between two snapshots or histograms, by type",
    .takes = CTL_TAKES_TWO_FILES,
    .options = CTL_OPTION_LIMIT | CTL_OPTION_SORT | CTL_OPTION_BYTES,
    .offline = true,
    .ask = diff_ask,
    .show = counts_show,
};
