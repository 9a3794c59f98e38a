/* SPDX-License-Identifier: Apache-2.0 */
/* requests.c - Requests: the table of kinds, the checks common to all, and the ways to answer.
 *   R1  every request is answered exactly once, or its session ends
 *   R2  a request that waits keeps its session; it is run again from the start, and finds a dead session or a heap that ended */
#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include <uv.h>

#include "daemon/log.h"
#include "daemon/request.h"
#include "daemon/server.h"
#include "daemon/session.h"
#include "daemon/shared_heap.h"
#include "daemon/snapshots.h"
#include "daemon/spare.h"

static enum handled request_hello(struct request *r);
static enum handled request_ping(struct request *r);

enum needs { ANYTIME, GREETED, OPENED, WRITABLE }; /* each includes the ones before it */

static const struct {
    enum needs needs;
    enum handled (*run)(struct request *r);
} kinds[] = {
    [WIRE_REQUEST(HELLO)] = { ANYTIME, request_hello },
    [WIRE_REQUEST(PING)] = { GREETED, request_ping },
    [WIRE_REQUEST(HEAP_OPEN)] = { GREETED, request_heap_open },
    [WIRE_REQUEST(HEAP_DESTROY)] = { GREETED, request_heap_destroy },
    [WIRE_REQUEST(HEAP_LIST)] = { GREETED, request_heap_list },
    [WIRE_REQUEST(HEAP_INFO)] = { GREETED, request_heap_info },
    [WIRE_REQUEST(TYPE_DEFINE)] = { OPENED, request_type_define },
    [WIRE_REQUEST(ATTACH)] = { OPENED, request_attach },
    [WIRE_REQUEST(DETACH)] = { OPENED, request_detach },
    [WIRE_REQUEST(GRANT)] = { OPENED, request_grant },
    [WIRE_REQUEST(NAME_SET)] = { WRITABLE, request_name_set },
    [WIRE_REQUEST(NAME_GET)] = { OPENED, request_name_get },
    [WIRE_REQUEST(COLLECT)] = { GREETED, request_collect },
    [WIRE_REQUEST(VERIFY)] = { GREETED, request_verify },
    [WIRE_REQUEST(HISTOGRAM)] = { GREETED, request_histogram },
    [WIRE_REQUEST(CLIENTS)] = { GREETED, request_clients },
    [WIRE_REQUEST(ROOTS)] = { GREETED, request_roots },
    [WIRE_REQUEST(HEAP_RESIZE)] = { GREETED, request_heap_resize },
    [WIRE_REQUEST(DELEGATE)] = { GREETED, request_delegate },
    [WIRE_REQUEST(DECIDE)] = { GREETED, request_decide },
    [WIRE_REQUEST(DRAIN)] = { WRITABLE, request_drain },
    [WIRE_REQUEST(BEQUEATH)] = { OPENED, request_bequeath },
    [WIRE_REQUEST(GUARDIAN)] = { OPENED, request_guardian },
    [WIRE_REQUEST(INHERIT)] = { OPENED, request_inherit },
    [WIRE_REQUEST(STOW)] = { OPENED, request_stow },
    [WIRE_REQUEST(STOWED)] = { OPENED, request_stowed },
    [WIRE_REQUEST(NOTICES_OPEN)] = { OPENED, request_notices_open },
    [WIRE_REQUEST(NOTICES_TAKEN)] = { OPENED, request_notices_taken },
    [WIRE_REQUEST(HANDLES)] = { GREETED, request_handles },
    [WIRE_REQUEST(LEASE_WAIT)] = { WRITABLE, request_lease_wait },
    [WIRE_REQUEST(LEASE_RELEASED)] = { WRITABLE, request_lease_released },
    [WIRE_REQUEST(LEASE_REVOKE)] = { GREETED, request_lease_revoke },
    [WIRE_REQUEST(MORE_ROWS)] = { OPENED, request_more_rows },
    [WIRE_REQUEST(USERS)] = { GREETED, request_users },
    [WIRE_REQUEST(EVICT)] = { GREETED, request_evict },
    [WIRE_REQUEST(SNAPSHOT)] = { GREETED, request_snapshot },
    [WIRE_REQUEST(WATCH)] = { GREETED, request_watch },
    [WIRE_REQUEST(TRACE_BEGIN)] = { GREETED, request_trace_begin },
    [WIRE_REQUEST(TRACE_READ)] = { GREETED, request_trace_read },
    [WIRE_REQUEST(STATS)] = { GREETED, request_stats },
    [WIRE_REQUEST(BLOCKS)] = { GREETED, request_blocks },
};

/* ---- answering ---- */

enum handled answer(struct request *r, wire_reply *reply, const struct packet_fds *fds)
{
    reply->serial = r->message->serial;
    session_send(r->session, reply, fds);
    return HANDLED;
}

enum handled answer_done(struct request *r)
{
    wire_done done = wire_done_init();
    wire_reply reply = wire_reply_init();

    reply.body_case = WIRE_REPLY(DONE);
    reply.done = &done;
    return answer(r, &reply, NULL);
}

enum handled answer_error(struct request *r, enum mmgc_error code, const char *format, ...)
{
    char detail[1024];
    va_list args;

    va_start(args, format);
    vsnprintf(detail, sizeof(detail), format, args);
    va_end(args);
    log_debug("session %llu: %s: %s (%s)", (unsigned long long)r->session->id,
              wire_request_name(r->message), mmgc_error_name(code), detail);
    session_send_error(r->session, r->message->serial, code, detail);
    return HANDLED;
}

enum handled answer_errno(struct request *r, int error, const char *what)
{
    log_warning("session %llu: %s: %s", (unsigned long long)r->session->id, what, strerror(-error));
    switch (error) {
    case -ENOMEM: return answer_error(r, MMGC_E_SYSTEM_NOMEM, "%s", what);
    case -EMFILE:
    case -ENFILE:
        return answer_error(r, MMGC_E_LIMIT, "%s: the daemon has no more file descriptors", what);
    case -EFBIG: return answer_error(r, MMGC_E_LIMIT, "%s: larger than the daemon may make a file (RLIMIT_FSIZE)", what);
    case -EAGAIN:
        return answer_error(r, MMGC_E_LIMIT, "%s: the daemon may have no more threads (TasksMax, RLIMIT_NPROC) or locked memory (RLIMIT_MEMLOCK)",
                            what);
    default: return answer_error(r, MMGC_E_SYSTEM, "%s: %s", what, strerror(-error));
    }
}

enum handled answer_later(struct request *r, struct shared_heap *heap)
{
    r->awaited = heap;
    r->work = NOT_INSPECTED;
    return HANDLED_LATER;
}

/* ---- running ---- */

static void on_fd_closed(uv_fs_t *work)
{
    uv_fs_req_cleanup(work);
    spare_free(work);
}

/* A stranger's fd may sleep in close(2) (FUSE, SO_LINGER): libuv's pool does it. */
void request_close_fds(struct session *s, struct packet_fds *fds)
{
    for (size_t i = 0; i < fds->count; i++) {
        uv_fs_t *work = fds->fd[i] < 0 ? NULL : spare_alloc(sizeof(*work));
        if (work != NULL && uv_fs_close(&s->server->loop, work, fds->fd[i], on_fd_closed) == 0)
            continue;
        spare_free(work);
        if (fds->fd[i] >= 0)
            close(fds->fd[i]); /* one that sleeps is less than one that is lost */
    }
    fds->count = 0;
}

void request_free(struct request *r)
{
    struct session *s = r->session;

    request_close_fds(s, &r->fds);
    snapshot_free(s, r->snapshot);
    wire_request_free(r->message);
    if (r->counted) {
        s->deferred--;
        session_listen(s);
    }
    spare_free(r);
    session_unref(s);
}

/* It will wait: a session may have only so many that do. */
static void request_hold(struct request *r)
{
    r->session->deferred += !r->counted;
    r->counted = true;
}

/* True: it may run. False: it was refused. */
static bool in_order(struct request *r)
{
    struct session *s = r->session;
    enum needs needs = kinds[r->message->body_case].needs;
    const char *name = wire_request_name(r->message);

    if (needs > ANYTIME && s->stage == SESSION_NEW) {
        answer_error(r, MMGC_E_ORDER, "%s before Hello", name);
        session_end(s, MMGC_E_ORDER, "%s before Hello", name);
        return false;
    }
    if (needs >= OPENED && s->heap == NULL) {
        answer_error(r, MMGC_E_ORDER, "%s before HeapOpen", name);
        return false;
    }
    if (needs >= WRITABLE && s->read_only) {
        answer_error(r, MMGC_E_READ_ONLY, "%s in a session that opened '%s' read-only", name,
                     s->heap->name);
        return false;
    }
    if (needs >= OPENED && s->heap->ending) {
        answer_error(r, MMGC_E_HEAP_GONE, "heap '%s' was destroyed", s->heap->name);
        return false;
    }
    return true;
}

static void run(struct request *r)
{
    bool refused = r->session->stage >= SESSION_CLOSING || !in_order(r);
    enum handled handled = refused ? HANDLED : kinds[r->message->body_case].run(r);

    if (handled == HANDLED) {
        request_free(r);
        return;
    }
    request_hold(r);
    if (handled == HANDLED_ELSEWHERE)
        return;
    struct shared_heap *h = r->awaited;
    TAILQ_INSERT_TAIL(r->work == NOT_INSPECTED ? &h->deferred : &h->inspections, r, link);
    shared_heap_pump(h); /* r may be gone after this */
}

void request_run(struct session *s, wire_request *message, struct packet_fds *fds)
{
    struct request *r = spare_calloc(1, sizeof(*r));

    if (r == NULL) {
        session_send_error(s, message->serial, MMGC_E_SYSTEM_NOMEM, "the daemon is out of memory");
        request_close_fds(s, fds);
        wire_request_free(message);
        return;
    }
    *r = (struct request){ .session = session_ref(s), .message = message, .fds = *fds };
    s->server->requests++;
    *fds = (struct packet_fds){ .count = 0 };
    run(r);
}

void request_continue(struct request *r)
{
    run(r);
}

void request_run_deferred(struct shared_heap *heap)
{
    struct request_queue now = TAILQ_HEAD_INITIALIZER(now);
    struct request *r;

    TAILQ_CONCAT(&now, &heap->deferred, link); /* what has to wait again waits for the next time */
    while ((r = TAILQ_FIRST(&now)) != NULL) {
        TAILQ_REMOVE(&now, r, link);
        r->awaited = NULL;
        run(r);
    }
}

/* ---- the two that need nothing ---- */

static enum handled request_hello(struct request *r)
{
    const wire_hello *hello = r->message->hello;
    struct session *s = r->session;
    wire_welcome welcome = wire_welcome_init();
    wire_reply reply = wire_reply_init();

    if (s->stage != SESSION_NEW)
        return answer_error(r, MMGC_E_ORDER, "Hello was said before");
    if (hello->version_min > WIRE_VERSION_MAX || hello->version_max < WIRE_VERSION_MIN) {
        answer_error(r, MMGC_E_VERSION, "the client speaks versions %u to %u, the daemon %u to %u",
                     hello->version_min, hello->version_max, WIRE_VERSION_MIN, WIRE_VERSION_MAX);
        session_end(s, MMGC_E_VERSION, "no version in common");
        return HANDLED;
    }
    session_greeted(s);
    snprintf(s->name, sizeof(s->name), "%s", hello->client_name);
    welcome.version = MM_MIN(hello->version_max, WIRE_VERSION_MAX);
    welcome.features = hello->features & WIRE_FEATURES;
    welcome.daemon_version = MM_VERSION;
    welcome.session = s->id;
    welcome.incarnation = s->server->incarnation;
    reply.body_case = WIRE_REPLY(WELCOME);
    reply.welcome = &welcome;
    return answer(r, &reply, NULL);
}

static enum handled request_ping(struct request *r)
{
    return answer_done(r);
}
