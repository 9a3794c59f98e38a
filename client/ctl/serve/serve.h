/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/* Serve: what `mmgcctl serve` does; without libmicrohttpd it only says so. */
#include "client/ctl/ctl.h"

/* Serves until SIGTERM, SIGINT or SIGHUP. */
enum mmgc_error serve_ask(struct ctl *ctl, json_t *document);
