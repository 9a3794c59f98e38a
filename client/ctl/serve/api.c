/* SPDX-License-Identifier: Apache-2.0 */
#include "client/ctl/serve/api.h"

#include <stdlib.h>
#include <string.h>

#include "client/ctl/stats.h"
#include "client/ctl/text.h"
#include "shm/base.h"

/* clang-format off */
static const struct api_call calls[] = {
    /* name         command         needs a heap, a word  stops it */
    { "top",        NULL,           false,        false,  false },
    { "info",       &ctl_info,      true,         false,  false },
    { "blocks",     &ctl_blocks,    true,         false,  false },
    { "clients",    &ctl_clients,   false,        false,  false },
    { "roots",      &ctl_roots,     true,         false,  false },
    { "handles",    &ctl_handles,   false,        false,  false },
    { "leases",     &ctl_leases,    false,        false,  false },
    { "users",      &ctl_users,     false,        false,  false },
    { "histogram",  &ctl_histogram, true,         false,  true },
    { "why",        &ctl_why,       true,         true,   true },
    { "retained",   &ctl_retained,  true,         false,  true },
};
/* clang-format on */

const struct api_call *api_find(const char *name)
{
    for (size_t i = 0; i < MM_ARRAY_LEN(calls); i++)
        if (strcmp(calls[i].name, name) == 0)
            return &calls[i];
    return NULL;
}

static unsigned status_of(enum mmgc_error e)
{
    switch (e) {
    case MMGC_E_OK: return 200;
    case MMGC_E_NO_HEAP: return 404;
    case MMGC_E_DENIED: return 403;
    case MMGC_E_INVALID:
    case MMGC_E_NAME_TOO_LONG: return 400;
    case MMGC_E_NO_DAEMON:
    case MMGC_E_DISCONNECTED:
    case MMGC_E_SHUTDOWN:
    case MMGC_E_LIMIT: return 503;
    case MMGC_E_TIMEOUT:
    case MMGC_E_STALLED: return 504;
    default: return 502;
    }
}

#define ROWS_MAX 100u /* on a page */

/* MMGC_E_INVALID without a word to the daemon: a heap or a word is needed, or the heap's name cannot be one. */
static enum mmgc_error check_words(struct ctl *ctl, const struct api_call *call)
{
    const char *heap = ctl->options.operand;

    if (heap == NULL && call->needs_heap)
        return ctl_failed(ctl, MMGC_E_INVALID, "/api/%s needs ?heap=NAME", call->name);
    if (heap != NULL && !wire_name_valid(heap, WIRE_NAME_MAX))
        return ctl_failed(ctl, MMGC_E_INVALID, "no heap can have this name");
    if (ctl->options.target == NULL && call->needs_what)
        return ctl_failed(ctl, MMGC_E_INVALID, "/api/%s needs &what=OBJECT or &what=TYPE", call->name);
    return MMGC_E_OK;
}

char *api_ask(const struct api_call *call, const char *socket, const char *heap, const char *what, unsigned *ret_status)
{
    struct ctl ctl = { .connection.sock = -1 };
    json_t *document = need(json_object());

    ctl.options = (struct ctl_options){
        .socket = socket,
        .operand = heap,
        .target = what,
        .limit = call->needs_what ? ROWS_MAX : UINT64_MAX,
        .timeout_ns = call->command == NULL ? CTL_TIMEOUT_NS : call->command->timeout_ns,
    };
    enum mmgc_error e = check_words(&ctl, call);
    if (e == MMGC_E_OK)
        e = ctl_connect(&ctl);
    if (e == MMGC_E_OK)
        e = call->command == NULL ? stats_document(&ctl, document) : call->command->ask(&ctl, document);
    ctl_disconnect(&ctl);
    if (e != MMGC_E_OK) {
        json_decref(document);
        document = ctl_error_document(&ctl, e);
    }
    char *text = need(json_dumps(document, JSON_COMPACT | JSON_PRESERVE_ORDER | JSON_REAL_PRECISION(6)));
    *ret_status = status_of(e);
    free(ctl.detail);
    json_decref(document);
    return text;
}
