/* SPDX-License-Identifier: Apache-2.0 */
/* users.c - Users: what each has of the daemon, and what it may have. */
#include <inttypes.h>
#include <stdio.h>

#include "client/ctl/ctl.h"
#include "client/ctl/table.h"
#include "shm/base.h"

/* clang-format off */
static const struct column have_columns[] = {
    { "USER",    "uid",       CELL_USER },
    { "HEAPS",   "heaps",     CELL_COUNT },
    { "BYTES",   "bytes",     CELL_BYTES },
    { "CLIENTS", "sessions",  CELL_COUNT },
    { "THREADS", "threads",   CELL_COUNT },
    { "HANDLES", "handles",   CELL_COUNT },
    { "LEASES",  "leases",    CELL_COUNT },
    { "TYPES",   "types",     CELL_COUNT },
    { "FILES",   "files",     CELL_COUNT },
};
static const struct column most_columns[] = {
    { "MAY HAVE", "uid",          CELL_USER },
    { "HEAPS",    "max_heaps",    CELL_COUNT },
    { "BYTES",    "max_bytes",    CELL_BYTES },
    { "CLIENTS",  "max_sessions", CELL_COUNT },
    { "THREADS",  "max_threads",  CELL_COUNT },
    { "HANDLES",  "max_handles",  CELL_COUNT },
    { "LEASES",   "max_leases",   CELL_COUNT },
    { "TYPES",    "max_types",    CELL_COUNT },
};
static const struct column rate_columns[] = {
    { "MAY DO",     "uid",                    CELL_USER },
    { "REQUESTS/S", "requests_per_second",    CELL_COUNT },
    { "CONNECTS/S", "connections_per_second", CELL_COUNT },
    { "REFUSED",    "refused",                CELL_COUNT },
    { "HELD BACK",  "held_back",              CELL_COUNT },
    { "SECTION",    "section",                CELL_TEXT },
};
/* clang-format on */

/* What may be had; null: as much as one likes. */
static void limit(json_t *row, const char *key, uint64_t most)
{
    if (most == UINT64_MAX)
        need(json_object_set_new(row, key, json_null()) < 0 ? NULL : row);
    else
        document_count(row, key, most);
}

static void add_user(json_t *users, const wire_user_row *user)
{
    json_t *row = document_row(users);

    document_count(row, "uid", user->uid);
    document_text(row, "section", user->section);
    document_count(row, "heaps", user->heaps);
    limit(row, "max_heaps", user->max_heaps);
    document_count(row, "bytes", user->bytes);
    limit(row, "max_bytes", user->max_bytes);
    document_count(row, "sessions", user->sessions);
    limit(row, "max_sessions", user->max_sessions);
    document_count(row, "threads", user->threads);
    limit(row, "max_threads", user->max_threads);
    document_count(row, "handles", user->handles);
    limit(row, "max_handles", user->max_handles);
    document_count(row, "leases", user->leases);
    limit(row, "max_leases", user->max_leases);
    document_count(row, "types", user->types);
    limit(row, "max_types", user->max_types);
    document_count(row, "files", user->files);
    limit(row, "requests_per_second", user->requests_per_second);
    limit(row, "connections_per_second", user->connections_per_second);
    document_count(row, "refused", user->refused);
    document_count(row, "held_back", user->held_back);
    document_flag(row, "trusted", user->trusted);
}

/* One page into @users; uids ascend, or the daemon would keep us for ever. */
static enum mmgc_error ask_page(struct ctl *ctl, json_t *document, json_t *users, uint64_t *from,
                                bool *ret_more)
{
    wire_users body = wire_users_init();
    wire_request request = wire_request_init();
    wire_reply *reply;

    body.from_uid = *from;
    request.body_case = WIRE_REQUEST(USERS);
    request.users = &body;
    enum mmgc_error e = ctl_call(ctl, &request, WIRE_REPLY(USER_ROWS), &reply);
    if (e != MMGC_E_OK)
        return e;
    const wire_user_rows *page = reply->user_rows;
    for (size_t i = 0; i < page->n_rows; i++)
        add_user(users, page->rows[i]);
    uint64_t next = page->n_rows > 0 ? (uint64_t)page->rows[page->n_rows - 1]->uid + 1 : 0;
    *ret_more = page->more;
    if (page->more && next <= *from)
        e = ctl_failed(ctl, MMGC_E_PROTOCOL, "pages of users that do not go on");
    *from = next;
    document_count(document, "files", page->files);
    document_count(document, "max_files", page->max_files);
    wire_reply_free(reply);
    return e;
}

static enum mmgc_error users_ask(struct ctl *ctl, json_t *document)
{
    json_t *users = document_array(document, "users");
    enum mmgc_error e;
    uint64_t from = 0;
    bool more = false;

    do
        e = ask_page(ctl, document, users, &from, &more);
    while (e == MMGC_E_OK && more);
    document_count(document, "omitted", document_cut(users, ctl->options.limit));
    return e;
}

static void users_show(const struct ctl *ctl, const json_t *document)
{
    const json_t *users = json_object_get(document, "users");

    table_show(users, have_columns, MM_ARRAY_LEN(have_columns), 0, ctl->options.bytes);
    ctl_show_omitted(document);
    putchar('\n');
    table_show(users, most_columns, MM_ARRAY_LEN(most_columns), 0, ctl->options.bytes);
    putchar('\n');
    table_show(users, rate_columns, MM_ARRAY_LEN(rate_columns), 0, ctl->options.bytes);
    printf("\n%" PRIu64 " of %" PRIu64 " file descriptors are in use\n",
           document_get_count(document, "files"), document_get_count(document, "max_files"));
}

const struct ctl_command ctl_users = {
    .name = "users",
    .synopsis = "users",
    .summary = "what each user has of the daemon, and what it may have",
    .takes = CTL_TAKES_NOTHING,
    .options = CTL_OPTION_LIMIT | CTL_OPTION_BYTES,
    .timeout_ns = CTL_TIMEOUT_NS,
    .ask = users_ask,
    .show = users_show,
};
