/* SPDX-License-Identifier: Apache-2.0 */
#include "tests/support/inspect.h"

#include <check.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "shm/base.h"
#include "tests/support/request.h"

#define ANSWER_MS 30000
#define TICK_US 500
#define SESSIONS_SETTLE_S 10

void inspect_open(struct inspect *ask, const char *socket)
{
    *ask = (struct inspect){ .sock = packet_connect(socket) };
    ck_assert_msg(ask->sock >= 0, "cannot connect to %s: %s", socket, strerror(-ask->sock));
    RAW(request, HELLO, hello);
    request_body.version_min = WIRE_VERSION_MIN;
    request_body.version_max = WIRE_VERSION_MAX;
    request_body.client_name = (char *)"inspect";
    wire_reply *reply = inspect_ask(ask, &request);
    ck_assert_int_eq(reply->body_case, WIRE_REPLY(WELCOME));
    wire_reply_free(reply);
}

void inspect_close(struct inspect *ask)
{
    if (ask->sock >= 0)
        close(ask->sock);
    ask->sock = -1;
}

wire_reply *inspect_ask(struct inspect *ask, wire_request *request)
{
    wire_reply *reply = NULL;
    request->serial = ++ask->serial;
    int r = wire_send_request(ask->sock, request, NULL);
    ck_assert_msg(r == 0, "sending %s: %s", wire_request_name(request), strerror(-r));
    for (;;) {
        r = packet_wait(ask->sock, ANSWER_MS);
        ck_assert_msg(r == 0, "no answer to %s: %s", wire_request_name(request), strerror(-r));
        enum wire_result result = wire_recv_reply(ask->sock, &reply, NULL);
        ck_assert_msg(result == WIRE_OK, "the daemon is gone, or its reply to %s is none: %d",
                      wire_request_name(request), (int)result);
        if (reply->serial == ask->serial)
            return reply;
        wire_reply_free(reply); /* an event */
    }
}

/* Fails the test unless @reply has the body it should. */
static void expect(const wire_reply *reply, unsigned body, const char *what)
{
    if (reply->body_case == WIRE_REPLY(ERROR))
        ck_abort_msg("%s: %s (%s)", what, mmgc_error_sentence(reply->error->code), reply->error->detail);
    ck_assert_msg((unsigned)reply->body_case == body, "%s: body %u", what, (unsigned)reply->body_case);
}

static uint64_t verify_heap(struct inspect *ask, const char *heap, char *report, size_t bytes)
{
    RAW(request, VERIFY, verify);
    request_body.heap = (char *)heap;
    wire_reply *reply = inspect_ask(ask, &request);
    const wire_verdict *v = reply->verdict;
    uint64_t objects = 0;
    report[0] = '\0';
    if (reply->body_case == WIRE_REPLY(ERROR)) {
        snprintf(report, bytes, "heap %s: %s (%s)", heap, mmgc_error_sentence(reply->error->code), reply->error->detail);
    } else {
        expect(reply, WIRE_REPLY(VERDICT), "verify");
        objects = v->objects;
        if (!v->clean || v->faults > 0)
            snprintf(report, bytes, "heap %s is not clean: %" PRIu64 " faults, first: %s, object %x, reference %x",
                     heap, v->faults, v->n_rows > 0 ? v->rows[0]->fault : "none", v->n_rows > 0 ? v->rows[0]->object : 0,
                     v->n_rows > 0 ? v->rows[0]->ref : 0);
    }
    wire_reply_free(reply);
    return objects;
}

void inspect_try_verify(struct inspect *ask, const char *heap, char *report, size_t bytes)
{
    (void)verify_heap(ask, heap, report, bytes);
}

uint64_t inspect_verify(struct inspect *ask, const char *heap)
{
    char report[512];
    uint64_t objects = verify_heap(ask, heap, report, sizeof(report));
    ck_assert_msg(report[0] == '\0', "%s", report);
    return objects;
}

/* The number the collection will have; 0 and *ret_error: there will be none. */
static uint64_t ask_to_collect(struct inspect *ask, const char *heap, enum mmgc_error *ret_error)
{
    uint64_t number = 0;
    RAW(request, COLLECT, collect);
    request_body.heap = (char *)heap;
    wire_reply *reply = inspect_ask(ask, &request);
    if (reply->body_case == WIRE_REPLY(ERROR)) {
        *ret_error = (enum mmgc_error)reply->error->code;
    } else {
        expect(reply, WIRE_REPLY(COLLECT_STARTED), "collect");
        number = reply->collect_started->number;
    }
    wire_reply_free(reply);
    return number;
}

void inspect_collect_begin(struct inspect *ask, const char *heap)
{
    enum mmgc_error error = MMGC_E_OK;
    ask_to_collect(ask, heap, &error);
    ck_assert_msg(error == MMGC_E_OK, "collecting: %s", mmgc_error_sentence(error));
}

enum mmgc_error inspect_collect(struct inspect *ask, const char *heap)
{
    enum mmgc_error error = MMGC_E_OK;
    uint64_t abandoned = inspect_heap(ask, heap).abandoned_stops;
    uint64_t number = ask_to_collect(ask, heap, &error);
    while (error == MMGC_E_OK) {
        struct inspect_heap now = inspect_heap(ask, heap);
        if (now.collections >= number)
            break;
        if (now.abandoned_stops > abandoned)
            error = MMGC_E_STALLED;
        usleep(TICK_US);
    }
    return error;
}

static wire_reply *ask_info(struct inspect *ask, const char *heap)
{
    RAW(request, HEAP_INFO, heap_info);
    request_body.name = (char *)heap;
    return inspect_ask(ask, &request);
}

bool inspect_has_heap(struct inspect *ask, const char *heap)
{
    wire_reply *reply = ask_info(ask, heap);
    bool has = reply->body_case == WIRE_REPLY(HEAP_FACTS);
    wire_reply_free(reply);
    return has;
}

struct inspect_heap inspect_heap(struct inspect *ask, const char *heap)
{
    wire_reply *reply = ask_info(ask, heap);
    expect(reply, WIRE_REPLY(HEAP_FACTS), "info");
    const wire_heap_facts *facts = reply->heap_facts;
    ck_assert_ptr_nonnull(facts->row);
    struct inspect_heap ret = { .used_bytes = facts->row->used_bytes,
                                .live_bytes = facts->row->live_bytes,
                                .collections = facts->row->collections,
                                .abandoned_stops = facts->abandoned_stops,
                                .granted_bytes = facts->granted_bytes,
                                .handles = facts->handles,
                                .names = facts->names,
                                .sessions = facts->row->sessions,
                                .threads = facts->row->threads,
                                .corrupt = facts->row->corrupt };
    wire_reply_free(reply);
    return ret;
}

uint64_t inspect_pauses(struct inspect *ask, const char *heap, const char *kind)
{
    wire_reply *reply = ask_info(ask, heap);
    expect(reply, WIRE_REPLY(HEAP_FACTS), "info");
    uint64_t count = 0;
    for (size_t i = 0; i < reply->heap_facts->n_pauses; i++)
        if (strcmp(reply->heap_facts->pauses[i]->kind, kind) == 0)
            count = reply->heap_facts->pauses[i]->count;
    wire_reply_free(reply);
    return count;
}

void inspect_await_sessions(struct inspect *ask, const char *heap, uint32_t sessions)
{
    uint64_t end = mm_now_ns() + SESSIONS_SETTLE_S * UINT64_C(1000000000);
    for (struct inspect_heap now; (now = inspect_heap(ask, heap)).sessions != sessions; usleep(TICK_US))
        ck_assert_msg(mm_now_ns() < end, "heap %s has %u sessions, not %u", heap, now.sessions,
                      sessions);
}

bool inspect_thread(struct inspect *ask, const char *heap, uint32_t pid, const char *name,
                    struct inspect_thread *ret)
{
    bool found = false, more = true;
    uint64_t after = 0;
    while (more && !found) {
        RAW(request, CLIENTS, clients);
        request_body.heap = (char *)heap;
        request_body.after_session = after;
        wire_reply *reply = inspect_ask(ask, &request);
        expect(reply, WIRE_REPLY(CLIENT_ROWS), "clients");
        const wire_client_rows *page = reply->client_rows;
        for (size_t i = 0; i < page->n_rows; i++) {
            const wire_client_row *row = page->rows[i];
            after = row->session;
            for (size_t j = 0; row->pid == pid && j < row->n_threads && !found; j++)
                if ((found = strcmp(row->threads[j]->name, name) == 0)) {
                    snprintf(ret->state, sizeof(ret->state), "%s", row->threads[j]->state);
                    ret->late_stops = row->threads[j]->late_stops;
                }
        }
        more = page->more && page->n_rows > 0;
        wire_reply_free(reply);
    }
    return found;
}

static uint32_t count_sessions(struct inspect *ask, uint32_t pid)
{
    uint32_t count = 0;
    uint64_t after = 0;
    for (bool more = true; more;) {
        RAW(request, CLIENTS, clients);
        request_body.heap = (char *)"";
        request_body.after_session = after;
        wire_reply *reply = inspect_ask(ask, &request);
        expect(reply, WIRE_REPLY(CLIENT_ROWS), "clients");
        const wire_client_rows *page = reply->client_rows;
        for (size_t i = 0; i < page->n_rows; after = page->rows[i++]->session)
            count += page->rows[i]->pid == pid;
        more = page->more && page->n_rows > 0;
        wire_reply_free(reply);
    }
    return count;
}

static uint32_t count_rows(struct inspect *ask, uint32_t pid, bool leases, uint32_t *waiters)
{
    uint32_t count = 0;
    RAW(request, HANDLES, handles);
    request_body.heap = (char *)"";
    request_body.leases = leases;
    for (bool more = true; more;) {
        wire_reply *reply = inspect_ask(ask, &request);
        expect(reply, WIRE_REPLY(HANDLE_ROWS), "handles");
        const wire_handle_rows *page = reply->handle_rows;
        for (size_t i = 0; i < page->n_rows; i++) {
            count += page->rows[i]->pid == pid;
            *waiters += page->rows[i]->waiters;
        }
        request_body.after_session = page->last_session;
        request_body.after_slot = page->last_slot;
        more = page->more;
        wire_reply_free(reply);
    }
    return count;
}

struct inspect_rest inspect_rest(struct inspect *ask, uint32_t pid)
{
    struct inspect_rest rest = { .sessions = count_sessions(ask, pid) };
    uint32_t none = 0;
    rest.handles = count_rows(ask, pid, false, &none);
    rest.leases = count_rows(ask, pid, true, &rest.waiters);
    return rest;
}

void inspect_destroy(struct inspect *ask, const char *heap)
{
    RAW(request, HEAP_DESTROY, heap_destroy);
    request_body.name = (char *)heap;
    request_body.force = true;
    wire_reply *reply = inspect_ask(ask, &request);
    expect(reply, WIRE_REPLY(DONE), "destroy");
    wire_reply_free(reply);
}

enum mmgc_error inspect_delegate(struct inspect *ask, const char *heap)
{
    RAW(request, DELEGATE, delegate);
    request_body.heap = (char *)heap;
    wire_reply *reply = inspect_ask(ask, &request);
    enum mmgc_error error = reply->body_case == WIRE_REPLY(ERROR) ? (enum mmgc_error)reply->error->code : MMGC_E_OK;
    wire_reply_free(reply);
    return error;
}
