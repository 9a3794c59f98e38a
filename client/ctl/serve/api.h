/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/* API: the JSON documents that the page reads: those that `mmgcctl COMMAND --json` prints, of commands that only look.
 *   Path     /api/COMMAND?heap=NAME, and of some &what=WORD; a row in api.c makes one more
 *   Stops    what stops a heap is asked for by a page of this server alone (HTTP_STOP_HEADER, which no other site's page can send
 *            unasked), one at a time, and not too often                                                                    */
#include <stdbool.h>
#include <stddef.h>

#include "client/ctl/ctl.h"

struct api_call {
    const char *name;                         /* "info" */
    const struct ctl_command *command;        /* NULL: stats_document(), which is no command's ask */
    bool needs_heap;
    bool needs_what;                          /* and the word that its command takes after that */
    bool stops;                               /* it stops the heap for a moment */
};
/* NULL: there is none. */
const struct api_call *api_find(const char *name);
/* Asks the daemon at @socket; @heap, @what: NULL for none. The document, or the error's; free() it. *ret_status: HTTP's. */
char *api_ask(const struct api_call *call, const char *socket, const char *heap, const char *what, unsigned *ret_status);
