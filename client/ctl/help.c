/* SPDX-License-Identifier: Apache-2.0 */
/* help.c - Help: the commands, or one of them. */
#include <stdio.h>

#include "client/ctl/ctl.h"
#include "client/ctl/options.h"

static enum mmgc_error help_ask(struct ctl *ctl, json_t *document)
{
    const char *name = ctl->options.operand; /* options.c knows that it is one */
    json_t *commands = document_array(document, "commands");
    for (const struct ctl_command *const *c = ctl_commands; *c != NULL; c++) {
        if (name != NULL && *c != ctl_command_find(name))
            continue;
        json_t *row = document_row(commands);
        document_text(row, "name", (*c)->name);
        document_text(row, "synopsis", (*c)->synopsis);
        document_text(row, "summary", (*c)->summary);
    }
    return MMGC_E_OK;
}

static void help_show(const struct ctl *ctl, const json_t *document)
{
    options_help(stdout, ctl->options.operand == NULL ? NULL : ctl_command_find(ctl->options.operand));
}

const struct ctl_command ctl_help = {
    .name = "help",
    .synopsis = "help [COMMAND]",
    .summary = "this, or more about one command",
    .takes = CTL_MAY_TAKE_COMMAND,
    .offline = true,
    .ask = help_ask,
    .show = help_show,
};
