/* SPDX-License-Identifier: Apache-2.0 */
/* ctl.c - Ctl: what several commands need. */
#include "client/ctl/ctl.h"

#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

const struct ctl_command *const ctl_commands[] = {
    &ctl_list, &ctl_info,   &ctl_clients, &ctl_users,   &ctl_histogram, &ctl_roots, &ctl_handles, &ctl_leases, &ctl_revoke,
    &ctl_snapshot, &ctl_why, &ctl_dump, &ctl_diff, &ctl_map,
    &ctl_gc,   &ctl_verify, &ctl_resize,  &ctl_trigger, &ctl_destroy,   &ctl_ping,  &ctl_help,    NULL,
};

const struct ctl_command *ctl_command_find(const char *name)
{
    for (const struct ctl_command *const *c = ctl_commands; *c != NULL; c++)
        if (strcmp((*c)->name, name) == 0)
            return *c;
    return NULL;
}

enum mmgc_error ctl_failed(struct ctl *ctl, enum mmgc_error code, const char *format, ...)
{
    va_list args;

    free(ctl->detail);
    va_start(args, format);
    if (vasprintf(&ctl->detail, format, args) < 0)
        ctl->detail = NULL;
    va_end(args);
    return code;
}

enum mmgc_error ctl_heap_facts(struct ctl *ctl, wire_reply **ret_reply)
{
    wire_heap_info info = wire_heap_info_init();
    wire_request request = wire_request_init();

    info.name = (char *)ctl->options.operand;
    request.body_case = WIRE_REQUEST(HEAP_INFO);
    request.heap_info = &info;
    enum mmgc_error e = ctl_call(ctl, &request, WIRE_REPLY(HEAP_FACTS), ret_reply);
    if (e == MMGC_E_OK && (*ret_reply)->heap_facts->row == NULL) {
        wire_reply_free(*ret_reply);
        return ctl_failed(ctl, MMGC_E_PROTOCOL, "facts of a heap without a row");
    }
    return e;
}

void ctl_heap_row(json_t *row, const wire_heap_row *heap)
{
    document_text(row, "name", heap->name);
    document_text(row, "plan", heap->plan);
    document_count(row, "used_bytes", heap->used_bytes);
    document_count(row, "live_bytes", heap->live_bytes);
    document_count(row, "max_bytes", heap->max_bytes);
    document_count(row, "sessions", heap->sessions);
    document_count(row, "threads", heap->threads);
    document_count(row, "collections", heap->collections);
    document_flag(row, "corrupt", heap->corrupt);
}

void ctl_show_omitted(const json_t *document)
{
    uint64_t omitted = document_get_count(document, "omitted");

    if (omitted > 0)
        printf("... and %" PRIu64 " more\n", omitted);
}
