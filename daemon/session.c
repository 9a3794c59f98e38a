/* SPDX-License-Identifier: Apache-2.0 */
/* session.c - Session: a connection from accept to the last reference.
 *   S1  it is in the server's list while its stage is not CLOSED; libuv's handles and the list hold one reference together
 *   S2  we read its next request only when its socket has room for the reply, so a reply is lost only to a peer that reads
 *       nothing at all, and such a peer is ended
 *   S3  the pidfd stays open until the last reference is gone: a collector may be about to kill through it */
#include "daemon/session.h"

#include <errno.h>
#include <limits.h>
#include <linux/sockios.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <time.h>
#include <unistd.h>

#include "daemon/admission.h"
#include "daemon/lease_quota.h"
#include "daemon/log.h"
#include "daemon/notices.h"
#include "daemon/request.h"
#include "daemon/server.h"
#include "daemon/shared_heap.h"
#include "daemon/trigger.h"
#include "daemon/watch.h"
#include "shm/futex.h"

#define SEND_BUFFER_BYTES (1 << 20)
#define DEFERRED_MAX 32u
#define REQUESTS_A_TURN 16 /* or so long, then the other sessions have theirs */
#define TURN_NS UINT64_C(50000)
#define CLOSING_MS 1000u
#define SEND_TRIES 200 /* a millisecond each */
#define ROWS_FIRST 1024u
#define NS_PER_MS UINT64_C(1000000)
#define OVERSLEPT_NS (100 * NS_PER_MS)

static void on_sock(uv_poll_t *poll, int status, int events);

/* ---- references ---- */

struct session *session_ref(struct session *s)
{
    s->refs++;
    return s;
}

struct session *session_unref(struct session *s)
{
    if (s == NULL || --s->refs > 0)
        return NULL;
    if (s->pidfd >= 0)
        close(s->pidfd);
    shm_segment_unref(s->segment);
    subscription_free(at_load_relaxed(&s->subscription));
    shared_heap_unref(s->heap);
    free(s->heir);
    free(s->guardian);
    peer_fini(&s->peer);
    charges_fini(&s->charges);
    free(s);
    return NULL;
}

static void on_handle_closed(uv_handle_t *handle)
{
    struct session *s = handle->data;

    if (--s->handles > 0)
        return;
    close(s->sock);
    session_unref(s);
}

static void session_closed(struct session *s)
{
    struct server *server = s->server;

    if (s->stage == SESSION_CLOSED)
        return;
    s->stage = SESSION_CLOSED;
    TAILQ_REMOVE(&server->sessions, s, in_server);
    server->session_count--;
    charges_give_back(&s->charges, QUOTA_SESSIONS, 1);
    throttle_forget(s);
    uv_close((uv_handle_t *)&s->sock_poll, on_handle_closed);
    uv_close((uv_handle_t *)&s->timer, on_handle_closed);
    if (s->process_watched)
        uv_close((uv_handle_t *)&s->pidfd_poll, on_handle_closed);
    server_session_ended(server);
}

/* ---- ending ---- */

static void leave_heap(struct session *s)
{
    struct shared_heap *h = s->heap;

    at_store_release(&s->dead, h == NULL || s->heir == NULL); /* else until its heir has inherited */
    if (h == NULL)
        return;
    watch_client(h, s, WATCH_CLIENT_LEAVE);
    if (s->heir != NULL) {
        session_ref(s);
        TAILQ_INSERT_TAIL(&h->testators, s, in_testators);
    }
    while (!TAILQ_EMPTY(&s->mutators))
        mutator_retire(TAILQ_FIRST(&s->mutators));
    leases_leave(h, s);
    stows_leave(h, s);
    TAILQ_REMOVE(&h->sessions, s, in_heap);
    h->session_count--;
    shared_heap_pump(h); /* s->heap stays for whoever still holds a reference to us */
}

static void on_closing_over(uv_timer_t *timer)
{
    session_closed(timer->data);
}

void session_end(struct session *s, enum mmgc_error why, const char *format, ...)
{
    char detail[200] = "";
    va_list args;

    if (s->stage >= SESSION_CLOSING)
        return;
    va_start(args, format);
    if (format != NULL)
        vsnprintf(detail, sizeof(detail), format, args);
    va_end(args);
    log_debug("session %llu ends: %s %s", (unsigned long long)s->id, mmgc_error_name(why), detail);
    s->stage = SESSION_CLOSING;
    throttle_forget(s);
    subscription_drop(s);
    trace_session_ends(s);
    watch_session_ends(s);
    session_ref(s);
    if (why != MMGC_E_OK)
        session_send_error(s, 0, why, detail);
    (void)shutdown(s->sock, SHUT_WR);
    trigger_session_gone(s->server, s);
    leave_heap(s);
    if (why == MMGC_E_OK)
        session_closed(s); /* the peer is gone, or wants nothing more */
    else
        session_time(s, on_closing_over, CLOSING_MS * NS_PER_MS);
    session_listen(s);
    session_unref(s);
}

void session_abort(struct session *s)
{
    session_ref(s);
    session_end(s, MMGC_E_OK, NULL);
    session_closed(s);
    session_unref(s);
}

static void on_pidfd(uv_poll_t *poll, int status, int events)
{
    struct session *s = poll->data;

    (void)status;
    (void)events;
    uv_poll_stop(poll);
    if (s->stage == SESSION_CLOSING)
        session_closed(s);
    else
        session_end(s, MMGC_E_OK, "its process has ended");
}

/* ---- its timer ---- */

void session_time(struct session *s, uv_timer_cb late, uint64_t after_ns)
{
    s->timer_due_ns = mm_now_ns() + after_ns;
    uv_update_time(s->timer.loop); /* if we slept in this turn of the loop it counts from before, and would be over at once */
    (void)uv_timer_start(&s->timer, late, after_ns / NS_PER_MS + 1, 0);
}

bool session_overslept(const struct session *s)
{
    return mm_now_ns() > s->timer_due_ns + OVERSLEPT_NS;
}

static void on_hello_late(uv_timer_t *timer)
{
    struct session *s = timer->data;
    uint64_t limit_ns = s->server->config.hello_timeout_ns;

    session_ref(s);
    session_hear(s);
    if (s->stage == SESSION_NEW && session_overslept(s))
        session_time(s, on_hello_late, limit_ns);
    else if (s->stage == SESSION_NEW)
        session_end(s, MMGC_E_TIMEOUT, "no Hello within %llu ms",
                    (unsigned long long)(limit_ns / NS_PER_MS));
    session_unref(s);
}

/* ---- beginning ---- */

/* To start a poll again that goes on as it is would be two system calls a turn: libuv takes the socket out and puts it back. */
static void watch_for(struct session *s, int events)
{
    int r = 0;

    if (s->events != events)
        r = events == 0 ? uv_poll_stop(&s->sock_poll) : uv_poll_start(&s->sock_poll, events, on_sock);
    if (r == 0)
        s->events = events;
}

static int watch(struct session *s)
{
    uv_loop_t *loop = &s->server->loop;
    int r = uv_poll_init(loop, &s->sock_poll, s->sock);

    if (r < 0)
        return r;
    MM_ASSERT(uv_timer_init(loop, &s->timer) == 0);
    s->handles = 2;
    s->sock_poll.data = s->timer.data = s;
    watch_for(s, UV_READABLE);
    session_time(s, on_hello_late, s->server->config.hello_timeout_ns);
    return 0;
}

/* Where that fails, or the kernel gave no pidfd, the end of the socket is all that tells of the end of the process. */
static void watch_process(struct session *s)
{
    s->process_watched = s->pidfd >= 0 && uv_poll_init(&s->server->loop, &s->pidfd_poll, s->pidfd) == 0;
    if (!s->process_watched)
        return;
    s->handles++;
    s->pidfd_poll.data = s;
    uv_poll_start(&s->pidfd_poll, UV_READABLE, on_pidfd);
}

static void widen_send_buffer(struct session *s)
{
    socklen_t size = sizeof(s->send_buffer_bytes);
    int buffer = SEND_BUFFER_BYTES;

    (void)setsockopt(s->sock, SOL_SOCKET, SO_SNDBUF, &buffer, sizeof(buffer));
    (void)getsockopt(s->sock, SOL_SOCKET, SO_SNDBUF, &s->send_buffer_bytes, &size); /* what the system's limit made of it */
}

void session_greeted(struct session *s)
{
    s->stage = SESSION_READY;
    uv_timer_stop(&s->timer);
    watch_process(s);
    widen_send_buffer(s);
}

/* Who was admitted. NULL: no memory, and it was turned away. */
static struct session *session_new(struct server *server, int sock, struct peer *peer, int pidfd, struct charges *charges)
{
    struct session *s = calloc(1, sizeof(*s));

    if (s == NULL) {
        admission_turn_away(sock, MMGC_E_SYSTEM_NOMEM, "the daemon is out of memory");
        if (pidfd >= 0)
            close(pidfd);
        peer_fini(peer);
        charges_fini(charges);
        return NULL;
    }
    s->refs = 1;
    s->server = server;
    s->sock = sock;
    s->pidfd = pidfd;
    s->peer = *peer;
    s->charges = *charges;
    s->connected_ns = mm_now_ns();
    s->send_buffer_bytes = INT_MAX; /* before Hello who does not read what little we send is not worth waiting for */
    TAILQ_INIT(&s->mutators);
    (void)packet_pass_fds(s->sock, false); /* until a heap is open; an older kernel lets them come, and they are closed */
    return s;
}

bool session_accept(struct server *server, int sock)
{
    struct charges charges;
    struct peer peer;
    int pidfd;
    enum admission admission = admission_judge(server, sock, &peer, &pidfd, &charges);

    if (admission != ADMITTED)
        return admission != TOO_FAST;
    struct session *s = session_new(server, sock, &peer, pidfd, &charges);
    if (s == NULL)
        return true;
    int r = watch(s);
    if (r < 0) {
        log_warning("a connection cannot be watched: %s", strerror(-r));
        admission_turn_away(sock, MMGC_E_SYSTEM_NOMEM, "the system has no memory to watch one more connection");
        session_unref(s);
        return true;
    }
    s->id = ++server->next_session;
    TAILQ_INSERT_TAIL(&server->sessions, s, in_server);
    server->session_count++;
    return true;
}

/* The rows that it may begin with. All at once where they are not counted. */
static uint32_t first_rows(struct session *s)
{
    const struct account *a = s->charges.account;
    uint64_t most = a->limits.most[QUOTA_HANDLES], have = a->have[QUOTA_HANDLES];
    uint64_t rows = most == CONFIG_UNLIMITED ? s->server->config.max_handles : MM_MIN(most - MM_MIN(have, most), (uint64_t)ROWS_FIRST);

    return (uint32_t)MM_MIN(rows, (uint64_t)s->server->config.max_handles);
}

static void give_rows(struct session *s, uint32_t rows)
{
    if (!charges_take(&s->charges, QUOTA_HANDLES, rows))
        return;
    s->row_limit += rows;
    at_store_release(&s->words->row_limit, s->row_limit); /* pairs with rows_allowed() of client/row.c */
    lease_quota_rows_given(s);
}

bool session_more_rows(struct session *s, uint32_t *ret_wanted)
{
    uint32_t most = s->server->config.max_handles;
    uint64_t limit = s->charges.account->limits.most[QUOTA_HANDLES], have = s->charges.account->have[QUOTA_HANDLES];
    uint32_t before = s->row_limit;

    *ret_wanted = MM_MIN(MM_MAX(s->row_limit, ROWS_FIRST), most - s->row_limit);
    give_rows(s, (uint32_t)MM_MIN((uint64_t)*ret_wanted, limit - MM_MIN(have, limit)));
    return s->row_limit > before;
}

int session_enter_heap(struct session *s, struct shared_heap *heap, bool read_only)
{
    char label[64];

    snprintf(label, sizeof(label), "mmgc-session-%llu", (unsigned long long)s->id);
    int r = shm_segment_new(&s->segment, sizeof(struct shm_session), label);
    if (r < 0)
        return r;
    struct shm_session *fresh = shm_segment_address(s->segment); /* nobody else has it yet */
    fresh->version = SHM_SESSION_VERSION;
    s->words = fresh;
    give_rows(s, first_rows(s));
    s->heap = shared_heap_ref(heap);
    s->read_only = read_only;
    leases_enter(heap, s);
    lease_quota_enter(s);
    at_store_release(&s->words->magic, SHM_SESSION_MAGIC); /* pairs with the client's acquire */
    (void)packet_pass_fds(s->sock, true);                  /* pidfds of threads */
    s->since_task = heap->collector.begun;
    TAILQ_INSERT_TAIL(&heap->sessions, s, in_heap);
    heap->session_count++;
    foreign_pages_wake(s->server);
    watch_client(heap, s, WATCH_CLIENT_JOIN);
    return 0;
}

/* ---- talking ---- */

/* S2. What the kernel has no memory for is tried again for a moment: it must be very short of it, and the session would end. */
static int send_patiently(struct session *s, const wire_reply *reply, const struct packet_fds *fds)
{
    for (unsigned tries = 0;; tries++) {
        int r = wire_send_reply(s->sock, reply, fds);
        if ((r != -ENOMEM && r != -ENOBUFS) || tries == SEND_TRIES)
            return r;
        (void)nanosleep(&(struct timespec){ .tv_nsec = 1000000 }, NULL);
    }
}

/* More descriptors are on their way to clients that do not read than this user may have open. */
static int send_without_fds(struct session *s, const wire_reply *refused)
{
    wire_error error = wire_error_init();
    wire_reply reply = wire_reply_init();

    error.code = MMGC_E_LIMIT;
    error.detail = (char *)"too many of the daemon's file descriptors are on their way to clients that do not read";
    reply.serial = refused->serial;
    reply.body_case = WIRE_REPLY(ERROR);
    reply.error = &error;
    return send_patiently(s, &reply, NULL);
}

void session_send(struct session *s, const wire_reply *reply, const struct packet_fds *fds)
{
    if (s->stage == SESSION_CLOSED)
        return;
    int r = send_patiently(s, reply, fds);
    if (r == -ETOOMANYREFS)
        r = send_without_fds(s, reply);
    s->sent = true;
    if (r == 0 || s->stage == SESSION_CLOSING)
        return;
    if (r == -ENOMEM) {
        session_send_error(s, reply->serial, MMGC_E_SYSTEM_NOMEM, "the daemon has no memory for the answer"); /* which needs none */
        return;
    }
    if (r == -EMSGSIZE || r == -EINVAL)
        log_error("a reply of %zu bytes is over its limit", wire_reply_bytes(reply));
    session_end(s, MMGC_E_OK, "its reply cannot be sent: %s", strerror(-r));
}

void session_send_error(struct session *s, uint32_t serial, enum mmgc_error code, const char *detail)
{
    wire_error error = wire_error_init();
    wire_reply reply = wire_reply_init();

    error.code = code;
    error.detail = (char *)detail;
    reply.serial = serial;
    reply.body_case = WIRE_REPLY(ERROR);
    reply.error = &error;
    session_send(s, &reply, NULL);
}

/* S2. Exactly when poll would not call it writable: a quarter of the buffer is full of what the peer has not read. Only what we send
 * fills it, so the system is asked after that alone. */
static bool congested(struct session *s)
{
    int unread = 0;

    if (s->sent)
        s->sent = ioctl(s->sock, SIOCOUTQ, &unread) == 0 && unread > s->send_buffer_bytes / 4;
    return s->sent;
}

int session_tell(struct session *s, const wire_reply *reply)
{
    if (s->stage != SESSION_READY)
        return -ENOTCONN;
    int r = congested(s) ? -EAGAIN : wire_send_reply(s->sock, reply, NULL);
    s->sent = true;
    if (r < 0)
        session_listen(s); /* for when there is room */
    return r;
}

void session_listen(struct session *s)
{
    int events = UV_READABLE;

    if (s->stage == SESSION_CLOSED)
        return;
    if (s->stage < SESSION_CLOSING && (s->held || s->deferred >= DEFERRED_MAX))
        events = 0; /* its end is told by the pidfd, or read when its turn has come: an end that is only watched would wake us on and on */
    else if (s->stage < SESSION_CLOSING && congested(s))
        events = UV_WRITABLE | UV_DISCONNECT;
    watch_for(s, events);
}

static const char *result_sentence(enum wire_result result)
{
    switch (result) {
    case WIRE_OVERSIZED: return "the message is over its limit";
    case WIRE_UNKNOWN: return "this daemon does not know such a message";
    case WIRE_NO_MEMORY: return "the daemon is out of memory";
    default: return "a field is not valid";
    }
}

/* Reads and runs one request. False: nothing more to read now. */
static bool take_request(struct session *s)
{
    wire_request *message = NULL;
    struct packet_fds fds = { .count = 0 };
    uint32_t serial = 0;
    enum mmgc_error error = MMGC_E_INVALID;
    uint64_t since_ns = mm_now_ns();
    enum wire_result result = wire_recv_request(s->sock, &message, &fds, &serial, &error);

    if (result == WIRE_OK)
        request_run(s, message, &fds);
    if (result != WIRE_AGAIN)
        throttle_note(s, mm_now_ns() - since_ns);
    switch (result) {
    case WIRE_OK: return true;
    case WIRE_AGAIN: return false;
    case WIRE_CLOSED: session_end(s, MMGC_E_OK, "the peer has closed"); return false;
    case WIRE_MALFORMED: session_end(s, MMGC_E_PROTOCOL, "what came is no message"); break;
    case WIRE_OVERSIZED: error = MMGC_E_TOO_BIG_MESSAGE; break;
    case WIRE_UNKNOWN: error = MMGC_E_UNSUPPORTED; break;
    case WIRE_NO_MEMORY: error = MMGC_E_SYSTEM_NOMEM; break;
    case WIRE_INVALID: break;
    }
    request_close_fds(s, &fds);
    if (s->stage < SESSION_CLOSING)
        session_send_error(s, serial, error, result_sentence(result));
    return s->stage < SESSION_CLOSING;
}

/* CLOSING: what still comes is dropped, until the peer has read our last word and closes. */
static void drain(struct session *s)
{
    char scrap[64];

    for (int i = 0; i < REQUESTS_A_TURN; i++) {
        ssize_t got = recv(s->sock, scrap, sizeof(scrap), MSG_DONTWAIT);
        if (got < 0 && errno == EAGAIN)
            return;
        if (got <= 0) {
            session_closed(s);
            return;
        }
    }
}

/* What came, for a turn. */
static void take_requests(struct session *s)
{
    uint64_t since_ns = mm_now_ns();

    for (int i = 0; i < REQUESTS_A_TURN && s->stage < SESSION_CLOSING; i++)
        if (s->deferred >= DEFERRED_MAX || congested(s) || !throttle_lets(s) || !take_request(s) ||
            mm_now_ns() - since_ns > TURN_NS)
            return;
}

void session_hear(struct session *s)
{
    session_ref(s);
    if (s->stage == SESSION_CLOSING)
        drain(s);
    else
        take_requests(s);
    watch_has_room(s);
    session_listen(s);
    session_unref(s);
}

static void on_sock(uv_poll_t *poll, int status, int events)
{
    struct session *s = poll->data;

    (void)events;
    if (status < 0)
        s->events = 0; /* libuv has stopped it; the error is what the read says it is */
    session_hear(s);
}

/* ---- what others ask of it ---- */

struct mutator *session_mutator(const struct session *s, uint32_t thread)
{
    struct mutator *m;

    TAILQ_FOREACH(m, &s->mutators, in_session)
    if (m->id == thread)
        return m;
    return NULL;
}

uint32_t session_rows_racy(const struct session *s)
{
    uint32_t high = s->words == NULL ? 0 : at_load_acquire(&s->words->row_high);

    return MM_MIN(high, s->row_limit);
}

struct session_counts session_count_racy(const struct session *s, uint32_t *rows_left)
{
    struct session_counts counts = { 0 };
    uint32_t rows = session_rows_racy(s), end = MM_MIN(rows, *rows_left);

    *rows_left -= end;
    for (uint32_t i = 1; i < end; i++)
        counts.of[shm_row_kind(at_load_relaxed(&s->words->row_tags[i]))]++;
    return counts;
}

uint32_t session_counts_leases(const struct session_counts *counts)
{
    return counts->of[SHM_ROW_SHARED] + counts->of[SHM_ROW_EXCLUSIVE] + counts->of[SHM_ROW_REVOKED];
}

uint32_t session_leases_racy(const struct session *s)
{
    uint32_t rows_left = SHM_ROWS_MAX;
    struct session_counts counts = session_count_racy(s, &rows_left);

    return session_counts_leases(&counts);
}

void session_roots(const struct session *s, struct heap_roots *ret_row)
{
    *ret_row = (struct heap_roots){
        .kind = HEAP_ROOTS_TABLE,
        .words = s->words->row_words,
        .count = session_rows_racy(s),
        .tags = s->words->row_tags,
        .notes = s->words->row_notes,
    };
}

void session_wake(struct session *s)
{
    (void)atomic_fetch_add_explicit(&s->words->go, 1, memory_order_release); /* pairs with wait() of S4 */
    futex_wake_all(&s->words->go);
}
