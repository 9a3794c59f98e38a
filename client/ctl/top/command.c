/* SPDX-License-Identifier: Apache-2.0 */
/* command.c - Top as a command of mmgcctl: live where there is a terminal, else as text. */
#include <unistd.h>

#include "client/ctl/top/top.h"
#include "client/ctl/units.h"

static enum mmgc_error top_ask(struct ctl *ctl, json_t *document)
{
    struct ctl_options *options = &ctl->options;
    bool done = false;

    (void)document; /* printed as they come */
    if (options->delay_ns == 0)
        options->delay_ns = UNITS_NS_PER_S;
    if (options->sort < CTL_SORT_NAME) /* none was given */
        options->sort = CTL_SORT_USED;
    if (options->iterations == 0 && options->json && !options->batch)
        options->iterations = 1;
    if (!options->batch && !options->json && isatty(STDIN_FILENO) && isatty(STDOUT_FILENO)) {
        enum mmgc_error e = top_live(ctl, &done);
        if (done)
            return e;
    }
    return top_batch(ctl);
}

const struct ctl_command ctl_top = {
    .name = "top",
    .synopsis = "top [HEAP]",
    .summary = "heaps as they live: rates, pauses, clients; by the second",
    .takes = CTL_MAY_TAKE_HEAP,
    .options = CTL_OPTION_LIVE | CTL_OPTION_SORT | CTL_OPTION_LIMIT | CTL_OPTION_BYTES,
    .offline = true,
    .timeout_ns = CTL_TIMEOUT_NS,
    .ask = top_ask,
};
