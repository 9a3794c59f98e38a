/* SPDX-License-Identifier: Apache-2.0 */
/* clients.c - Clients: who is connected, their threads, and which of those kept a collection waiting. */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>

#include "client/ctl/ctl.h"
#include "client/ctl/table.h"
#include "client/ctl/units.h"
#include "shm/base.h"

/* clang-format off */
static const struct column client_columns[] = {
    { "SESSION",   "session",      CELL_COUNT },
    { "CLIENT",    "name",         CELL_TEXT },
    { "PID",       "pid",          CELL_COUNT },
    { "USER",      "uid",          CELL_USER },
    { "HEAP",      "heap",         CELL_TEXT },
    { "READ-ONLY", "read_only",    CELL_RARE | CELL_FLAG },
    { "CONNECTED", "connected_ms", CELL_AGE_MS },
    { "HANDLES",   "handles",      CELL_COUNT },
    { "LEASES",    "leases",       CELL_RARE | CELL_COUNT },
    { "NOTICES",   "notices",      CELL_RARE | CELL_TEXT },
    { "DUE",       "notices_due",  CELL_RARE | CELL_COUNT },
};
static const struct column thread_columns[] = {
    { "SESSION", "session",       CELL_COUNT },
    { "CLIENT",  "client",        CELL_TEXT },
    { "THREAD",  "thread",        CELL_COUNT },
    { "NAME",    "name",          CELL_TEXT },
    { "TID",     "tid",           CELL_COUNT },
    { "STATE",   "state",         CELL_TEXT },
    { "EXACT",   "exact",         CELL_RARE | CELL_FLAG },
    { "GRANTED", "granted_bytes", CELL_BYTES },
    { "LATE",    "late_stops",    CELL_RARE | CELL_COUNT },
    { "SLOWEST", "max_stop_ns",   CELL_NS },
};
/* clang-format on */

static void add_thread(json_t *threads, const wire_thread_row *thread, const wire_client_row *client)
{
    json_t *row = document_row(threads);

    document_count(row, "session", client->session);
    document_text(row, "client", client->name);
    document_count(row, "pid", client->pid);
    document_text(row, "heap", client->heap);
    document_count(row, "thread", thread->thread);
    document_text(row, "name", thread->name);
    document_count(row, "tid", thread->tid);
    document_text(row, "state", thread->state);
    document_flag(row, "exact", thread->exact);
    document_count(row, "granted_bytes", thread->granted_bytes);
    document_count(row, "late_stops", thread->late_stops);
    document_count(row, "max_stop_ns", thread->max_stop_ns);
}

static void add_client(json_t *clients, const wire_client_row *client)
{
    json_t *row = document_row(clients);

    document_count(row, "session", client->session);
    document_text(row, "name", client->name);
    document_count(row, "pid", client->pid);
    document_count(row, "uid", client->uid);
    document_text(row, "heap", client->heap);
    document_flag(row, "read_only", client->read_only);
    document_count(row, "connected_ms", client->connected_ms);
    document_count(row, "handles", client->handles);
    document_count(row, "leases", client->leases);
    document_text(row, "notices", client->notices);
    document_count(row, "notices_due", client->notices_due);
    json_t *threads = document_array(row, "threads");
    for (size_t i = 0; i < client->n_threads; i++)
        add_thread(threads, client->threads[i], client);
}

/* One page into @clients; session numbers ascend, or the daemon would keep us for ever. */
static enum mmgc_error ask_page(struct ctl *ctl, json_t *clients, uint64_t *after, bool *ret_more)
{
    wire_clients body = wire_clients_init();
    wire_request request = wire_request_init();
    wire_reply *reply;

    if (ctl->options.operand != NULL)
        body.heap = (char *)ctl->options.operand;
    body.after_session = *after;
    request.body_case = WIRE_REQUEST(CLIENTS);
    request.clients = &body;
    enum mmgc_error e = ctl_call(ctl, &request, WIRE_REPLY(CLIENT_ROWS), &reply);
    if (e != MMGC_E_OK)
        return e;
    const wire_client_rows *page = reply->client_rows;
    for (size_t i = 0; i < page->n_rows; i++)
        if (page->rows[i]->session != ctl->connection.welcome->welcome->session) /* our own says nothing */
            add_client(clients, page->rows[i]);
    uint64_t last = page->n_rows > 0 ? page->rows[page->n_rows - 1]->session : 0;
    *ret_more = page->more;
    if (page->more && last <= *after)
        e = ctl_failed(ctl, MMGC_E_PROTOCOL, "pages of clients that do not go on");
    *after = last;
    wire_reply_free(reply);
    return e;
}

/* All pages into @clients. */
static enum mmgc_error ask_clients(struct ctl *ctl, json_t *clients)
{
    enum mmgc_error e;
    uint64_t after = 0;
    bool more = false;

    do
        e = ask_page(ctl, clients, &after, &more);
    while (e == MMGC_E_OK && more);
    return e;
}

/* The threads of @clients, in their order. */
static json_t *threads_of(const json_t *clients)
{
    json_t *threads = need(json_array()), *client;
    size_t i;

    json_array_foreach(clients, i, client)
        if (json_array_extend(threads, json_object_get(client, "threads")) < 0)
            need(NULL);
    return threads;
}

/* What an administrator looks for after MMGC_E_STALLED, as sentences. */
static void show_late(const json_t *thread)
{
    char time[UNITS_TEXT_MAX];
    uint64_t stops = document_get_count(thread, "late_stops");

    if (stops == 0)
        return;
    printf("late: thread %" PRIu64 " '", document_get_count(thread, "thread"));
    text_show(document_get_text(thread, "name"));
    printf("' (tid %" PRIu64 ") of '", document_get_count(thread, "tid"));
    text_show(document_get_text(thread, "client"));
    printf("' (pid %" PRIu64 ") kept %" PRIu64
           " collection%s waiting past the deadline; its slowest stop took %s\n",
           document_get_count(thread, "pid"), stops, stops == 1 ? "" : "s",
           units_ns(time, document_get_count(thread, "max_stop_ns")));
}

static void show_threads(const json_t *threads, bool exact)
{
    const json_t *thread;
    size_t i;

    table_show(threads, thread_columns, MM_ARRAY_LEN(thread_columns), 0, exact);
    json_array_foreach(threads, i, thread)
        show_late(thread);
}

/* ---- clients ---- */

static enum mmgc_error clients_ask(struct ctl *ctl, json_t *document)
{
    json_t *clients = document_array(document, "clients");
    enum mmgc_error e = ask_clients(ctl, clients);

    document_count(document, "omitted", document_cut(clients, ctl->options.limit));
    return e;
}

static void clients_show(const struct ctl *ctl, const json_t *document)
{
    const json_t *clients = json_object_get(document, "clients");
    json_auto_t *threads = threads_of(clients);

    if (json_array_size(clients) == 0 && document_get_count(document, "omitted") == 0)
        puts("no clients");
    table_show(clients, client_columns, MM_ARRAY_LEN(client_columns), 0, ctl->options.bytes);
    ctl_show_omitted(document);
    if (json_array_size(threads) > 0)
        putchar('\n');
    show_threads(threads, ctl->options.bytes);
}

const struct ctl_command ctl_clients = {
    .name = "clients",
    .synopsis = "clients [HEAP]",
    .summary = "who is connected, their threads, and who is late",
    .takes = CTL_MAY_TAKE_HEAP,
    .options = CTL_OPTION_LIMIT | CTL_OPTION_BYTES,
    .timeout_ns = CTL_TIMEOUT_NS,
    .ask = clients_ask,
    .show = clients_show,
};

/* ---- threads ---- */

static enum mmgc_error threads_ask(struct ctl *ctl, json_t *document)
{
    json_auto_t *clients = need(json_array());
    enum mmgc_error e = ask_clients(ctl, clients);
    json_t *threads = threads_of(clients);

    document_set(document, "threads", threads);
    document_count(document, "omitted", document_cut(threads, ctl->options.limit));
    return e;
}

static void threads_show(const struct ctl *ctl, const json_t *document)
{
    const json_t *threads = json_object_get(document, "threads");

    if (json_array_size(threads) == 0 && document_get_count(document, "omitted") == 0)
        puts("no threads");
    show_threads(threads, ctl->options.bytes);
    ctl_show_omitted(document);
}

const struct ctl_command ctl_threads = {
    .name = "threads",
    .synopsis = "threads [HEAP]",
    .summary = "the clients' threads: where each is, what it was granted, how slowly it stopped",
    .takes = CTL_MAY_TAKE_HEAP,
    .options = CTL_OPTION_LIMIT | CTL_OPTION_BYTES,
    .timeout_ns = CTL_TIMEOUT_NS,
    .ask = threads_ask,
    .show = threads_show,
};
