/* SPDX-License-Identifier: Apache-2.0 */
/* connection.c - Connection: requests out, replies and events in.
 *   C1  whoever holds the lock receives; a reply that is not its own is a late one (its caller timed out) or an event
 *   C2  `broken` is set once, by the first reason to be learnt: an event that says why comes before the end of file
 *       What it says in words is kept, too: last_word is written before `told`, by whoever holds the lock, and never again
 *   C3  no wait is unbounded: a reply has CALL_DEADLINE_MS, everything else is looked at without waiting */
#include "client/connection.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "client/error.h"
#include "client/fork.h"

#define CALL_DEADLINE_MS 10000u
#define NS_PER_MS UINT64_C(1000000)

int connection_break(struct connection *c, int code)
{
    int none = 0;

    (void)at_cas_acq_rel(&c->broken, &none, code); /* C2 */
    return at_load_acquire(&c->broken);
}

/* What every call gets now. */
static int broken_error(struct connection *c)
{
    bool told = at_load_acquire(&c->told);

    return error_set(at_load_acquire(&c->broken), told ? "%s" : NULL, c->last_word);
}

/* A reply that no caller waits for. Serial 0: an event, and all there are today end the session. */
static void on_stray(struct connection *c, const wire_reply *reply)
{
    if (reply->body_case != WIRE_REPLY(ERROR) || reply->error->code == MMGC_E_OK)
        return;
    if (reply->serial == 0) {
        if (!at_load_relaxed(&c->told)) {
            snprintf(c->last_word, sizeof(c->last_word), "%s", reply->error->detail);
            at_store_release(&c->told, true); /* pairs with broken_error() */
        }
        (void)connection_break(c, (int)reply->error->code);
    } else {
        at_store_release(&c->refused[reply->serial % REFUSED_KEPT], (uint64_t)reply->serial << 32 | reply->error->code);
    }
}

/* One packet in. MMGC_OK with *ret_reply NULL: nothing of use came. MMGC_E_SYSTEM: no memory to read it into. */
static int receive_locked(struct connection *c, wire_reply **ret_reply, struct packet_fds *ret_fds)
{
    *ret_reply = NULL;
    switch (wire_recv_reply(c->sock, ret_reply, ret_fds)) {
    case WIRE_OK:
    case WIRE_AGAIN:
    case WIRE_UNKNOWN: /* of a newer daemon: nothing we asked for */ return MMGC_OK;
    case WIRE_NO_MEMORY: return MMGC_E_SYSTEM; /* ours: the connection is as it was */
    case WIRE_CLOSED: return connection_break(c, MMGC_E_DISCONNECTED);
    case WIRE_OVERSIZED:
    case WIRE_MALFORMED:
    case WIRE_INVALID: break;
    }
    return connection_break(c, MMGC_E_PROTOCOL);
}

static int send_request(struct connection *c, wire_request *request, const struct packet_fds *fds)
{
    do {
        request->serial = at_add_relaxed(&c->serial, 1) + 1;
    } while (request->serial == 0); /* 0 is for events */
    return wire_send_request(c->sock, request, fds);
}

/* Why a send answered @r. Without the lock: the daemon may have left a last word. */
static int send_error(struct connection *c, const wire_request *request, int r)
{
    if (r == -EMSGSIZE)
        return error_set(MMGC_E_TOO_BIG_MESSAGE, "%s", wire_request_name(request));
    if (r != -EPIPE && r != -ECONNRESET && r != -ENOTCONN)
        return error_system("sending to the daemon", r);
    (void)connection_look(c);
    (void)connection_break(c, MMGC_E_DISCONNECTED);
    return broken_error(c);
}

static int receive_error(struct connection *c, int code)
{
    return code == MMGC_E_SYSTEM ? error_system("a reply of the daemon", -ENOMEM) : broken_error(c);
}

/* Waits for the reply to @serial, taking note of everything that comes before it. */
static int await_reply_locked(struct connection *c, uint32_t serial, wire_reply **ret_reply,
                              struct packet_fds *ret_fds)
{
    uint64_t deadline_ns = mm_now_ns() + CALL_DEADLINE_MS * NS_PER_MS;

    for (;;) {
        uint64_t now_ns = mm_now_ns();
        int left_ms = now_ns < deadline_ns ? (int)((deadline_ns - now_ns) / NS_PER_MS) + 1 : 0;
        int r = packet_wait(c->sock, left_ms);
        if (r == -ETIMEDOUT)
            return error_set(MMGC_E_TIMEOUT, "no reply within %u s", CALL_DEADLINE_MS / 1000);
        if (r < 0)
            return error_system("waiting for the daemon", r);
        r = receive_locked(c, ret_reply, ret_fds);
        if (r != MMGC_OK)
            return receive_error(c, r);
        if (*ret_reply == NULL)
            continue;
        if ((*ret_reply)->serial == serial)
            return MMGC_OK;
        on_stray(c, *ret_reply);
        packet_fds_close(ret_fds);
        wire_reply_free(*ret_reply);
        *ret_reply = NULL;
    }
}

static int check_reply(struct connection *c, const wire_reply *reply, unsigned expected)
{
    if (reply->body_case == WIRE_REPLY(ERROR) && reply->error->code != MMGC_E_OK)
        return error_set((int)reply->error->code, "%s", reply->error->detail);
    if ((unsigned)reply->body_case == expected)
        return MMGC_OK;
    (void)connection_break(c, MMGC_E_PROTOCOL);
    return error_set(MMGC_E_PROTOCOL, "a reply of kind %d where %u was due", (int)reply->body_case,
                     expected);
}

int connection_call(struct connection *c, wire_request *request, const struct packet_fds *fds,
                    unsigned expected, wire_reply **ret_reply, struct packet_fds *ret_fds)
{
    struct packet_fds received = { .count = 0 };
    wire_reply *reply = NULL;
    int r = at_load_acquire(&c->broken);

    if (r != MMGC_OK)
        return broken_error(c);
    (void)pthread_mutex_lock(&c->lock);
    int sent = send_request(c, request, fds);
    if (sent == 0)
        r = await_reply_locked(c, request->serial, &reply, &received);
    (void)pthread_mutex_unlock(&c->lock);
    if (sent < 0)
        r = send_error(c, request, sent);
    if (r == MMGC_OK)
        r = check_reply(c, reply, expected);
    if (r == MMGC_OK && ret_fds != NULL)
        *ret_fds = received;
    else
        packet_fds_close(&received);
    if (r == MMGC_OK && ret_reply != NULL)
        *ret_reply = reply;
    else
        wire_reply_free(reply);
    return r;
}

int connection_post(struct connection *c, wire_request *request, uint32_t *ret_serial)
{
    int r = at_load_acquire(&c->broken);

    if (r != MMGC_OK)
        return broken_error(c);
    r = send_request(c, request, NULL); /* without the lock: a send is atomic */
    *ret_serial = request->serial;
    return r < 0 ? send_error(c, request, r) : MMGC_OK;
}

int connection_refused(struct connection *c, uint32_t serial)
{
    uint64_t refused = at_load_acquire(&c->refused[serial % REFUSED_KEPT]);

    return refused >> 32 == serial && refused != 0 ? (int)(uint32_t)refused : MMGC_OK;
}

int connection_event(struct connection *c, int timeout_ms, wire_reply **ret_reply, struct packet_fds *ret_fds)
{
    int r = at_load_acquire(&c->broken);

    *ret_reply = NULL;
    if (r != MMGC_OK)
        return broken_error(c);
    (void)pthread_mutex_lock(&c->lock);
    int waited = packet_wait(c->sock, timeout_ms);
    r = waited == 0 ? receive_locked(c, ret_reply, ret_fds) : MMGC_E_TIMEOUT;
    (void)pthread_mutex_unlock(&c->lock);
    if (r == MMGC_E_TIMEOUT)
        return waited == -ETIMEDOUT ? r : error_system("waiting for the daemon", waited);
    if (r != MMGC_OK)
        return receive_error(c, r);
    if (*ret_reply == NULL)
        return MMGC_E_TIMEOUT;
    on_stray(c, *ret_reply);
    r = at_load_acquire(&c->broken);
    return r == MMGC_OK ? MMGC_OK : error_set(r, "%s", (*ret_reply)->body_case == WIRE_REPLY(ERROR) ? (*ret_reply)->error->detail : "");
}

int connection_look(struct connection *c)
{
    if (pthread_mutex_trylock(&c->lock) == 0) { /* else its holder sees whatever comes */
        while (at_load_acquire(&c->broken) == 0 && packet_wait(c->sock, 0) == 0) {
            struct packet_fds fds = { .count = 0 };
            wire_reply *reply;
            int r = receive_locked(c, &reply, &fds);
            if (r == MMGC_OK && reply != NULL)
                on_stray(c, reply);
            packet_fds_close(&fds);
            wire_reply_free(reply);
            if (r == MMGC_E_SYSTEM)
                break; /* it is looked at again */
        }
        (void)pthread_mutex_unlock(&c->lock);
    }
    return at_load_acquire(&c->broken) == 0 ? MMGC_OK : broken_error(c);
}

static int say_hello(struct connection *c, const char *name)
{
    char label[WIRE_LABEL_MAX + 1];
    wire_hello hello = wire_hello_init();
    wire_request request = wire_request_init();
    wire_reply *reply;

    (void)strncpy(label, name, WIRE_LABEL_MAX);
    label[WIRE_LABEL_MAX] = '\0';
    hello.version_min = WIRE_VERSION_MIN;
    hello.version_max = WIRE_VERSION_MAX;
    hello.features = WIRE_FEATURES;
    hello.client_name = wire_name_valid(label, WIRE_LABEL_MAX) ? label : (char *)"";
    request.body_case = WIRE_REQUEST(HELLO);
    request.hello = &hello;
    int r = connection_call(c, &request, NULL, WIRE_REPLY(WELCOME), &reply, NULL);
    if (r != MMGC_OK)
        return r;
    uint32_t version = reply->welcome->version;
    wire_reply_free(reply);
    if (version < WIRE_VERSION_MIN || version > WIRE_VERSION_MAX)
        return error_set(MMGC_E_VERSION, "the daemon chose version %u", version);
    return MMGC_OK;
}

static int connect_error(const char *path, int r)
{
    switch (-r) {
    case ENOENT:
    case ECONNREFUSED: return error_set(MMGC_E_NO_DAEMON, "%s: %s", path, strerror(-r));
    case EACCES:
    case EPERM: return error_set(MMGC_E_DENIED, "%s: %s", path, strerror(-r));
    case ENAMETOOLONG: return error_set(MMGC_E_INVALID, "the socket's path is too long: %s", path);
    default: return error_system(path, r);
    }
}

int connection_open(struct connection *c, const char *path, const char *name)
{
    int sock = packet_connect(path);

    if (sock < 0)
        return connect_error(path, sock);
    *c = (struct connection){ .sock = sock, .generation = fork_generation };
    (void)pthread_mutex_init(&c->lock, NULL);
    int r = say_hello(c, name);
    if (r != MMGC_OK)
        connection_close(c);
    return r;
}

void connection_close(struct connection *c)
{
    (void)close(c->sock);
    c->sock = -1;
    (void)pthread_mutex_destroy(&c->lock);
}
