/* SPDX-License-Identifier: Apache-2.0 */
/* command.c - Serve as a command of mmgcctl. */
#include "client/ctl/serve/serve.h"

const struct ctl_command ctl_serve = {
    .name = "serve",
    .synopsis = "serve [--listen=WHERE]",
    .summary = "serve a page, /metrics and JSON by HTTP, to this machine alone unless told otherwise",
    .takes = CTL_TAKES_NOTHING,
    .options = CTL_OPTION_LISTEN,
    .offline = true,
    .ask = serve_ask,
};
