/* SPDX-License-Identifier: Apache-2.0 */
#include "client/ctl/connect.h"

#include <errno.h>
#include <limits.h>
#include <string.h>
#include <unistd.h>

#include "client/ctl/ctl.h"
#include "client/ctl/units.h"
#include "proto/packet.h"
#include "shm/base.h"

/* For packet_wait(): rounded up, so that it is not over before the deadline is. */
int ctl_left_ms(const struct ctl *ctl)
{
    const struct connection *c = &ctl->connection;
    uint64_t now = mm_now_ns();

    if (c->deadline_ns == UINT64_MAX)
        return -1;
    if (now >= c->deadline_ns)
        return 0;
    return (int)MM_MIN((c->deadline_ns - now) / UNITS_NS_PER_MS + 1, (uint64_t)INT_MAX);
}

static enum mmgc_error lost(struct ctl *ctl, int r)
{
    char time[UNITS_TEXT_MAX];

    if (r == -ETIMEDOUT)
        return ctl_failed(ctl, MMGC_E_TIMEOUT, "waited %s; --timeout sets how long",
                          units_ns(time, ctl->options.timeout_ns));
    if (r == 0 || r == -EPIPE || r == -ECONNRESET)
        return ctl_failed(ctl, MMGC_E_DISCONNECTED, "%s", ctl->options.socket);
    return ctl_failed(ctl, MMGC_E_SYSTEM, "%s: %s", ctl->options.socket, strerror(-r));
}

/* The next message, whatever it is. */
static enum mmgc_error receive(struct ctl *ctl, wire_reply **ret_reply)
{
    int r = packet_wait(ctl->connection.sock, ctl_left_ms(ctl));

    if (r < 0)
        return lost(ctl, r);
    switch (wire_recv_reply(ctl->connection.sock, ret_reply, NULL)) {
    case WIRE_OK: return MMGC_E_OK;
    case WIRE_AGAIN:
    case WIRE_CLOSED: return lost(ctl, 0);
    default:
        return ctl_failed(ctl, MMGC_E_PROTOCOL, "the daemon's answer; is it of another release?");
    }
}

/* MMGC_E_OK: @reply is no error. */
static enum mmgc_error error_in(struct ctl *ctl, const wire_reply *reply)
{
    if (reply->body_case != WIRE_REPLY(ERROR) || reply->error->code == MMGC_E_OK)
        return MMGC_E_OK;
    return ctl_failed(ctl, (enum mmgc_error)reply->error->code, "%s", reply->error->detail);
}

enum mmgc_error ctl_event(struct ctl *ctl, wire_reply **ret_reply)
{
    for (;;) {
        wire_reply *reply;
        enum mmgc_error e = receive(ctl, &reply);
        if (e != MMGC_E_OK)
            return e;
        e = reply->serial == 0 ? error_in(ctl, reply) : MMGC_E_OK;
        if (e == MMGC_E_OK && reply->serial == 0) {
            *ret_reply = reply;
            return MMGC_E_OK;
        }
        wire_reply_free(reply);
        if (e != MMGC_E_OK)
            return e;
    }
}

/* The reply to the last request. An event that is an error is the daemon's last word; others, and late answers, are passed
 * over. */
static enum mmgc_error receive_answer(struct ctl *ctl, wire_reply **ret_reply)
{
    for (;;) {
        wire_reply *reply;
        enum mmgc_error e = receive(ctl, &reply);
        if (e != MMGC_E_OK)
            return e;
        if (reply->serial == ctl->connection.serial) {
            *ret_reply = reply;
            return MMGC_E_OK;
        }
        if (reply->serial == 0)
            e = error_in(ctl, reply);
        wire_reply_free(reply);
        if (e != MMGC_E_OK)
            return e;
    }
}

enum mmgc_error ctl_call_with(struct ctl *ctl, wire_request *request, const struct packet_fds *fds, unsigned kind, wire_reply **ret_reply)
{
    wire_reply *reply;

    request->serial = ++ctl->connection.serial;
    int r = wire_send_request(ctl->connection.sock, request, fds);
    if (r < 0)
        return lost(ctl, r);
    enum mmgc_error e = receive_answer(ctl, &reply);
    if (e != MMGC_E_OK)
        return e;
    if (reply->body_case == kind) {
        *ret_reply = reply;
        return MMGC_E_OK;
    }
    e = error_in(ctl, reply);
    if (e == MMGC_E_OK)
        e = ctl_failed(ctl, MMGC_E_PROTOCOL, "the daemon's answer was to another question");
    wire_reply_free(reply);
    return e;
}

enum mmgc_error ctl_call(struct ctl *ctl, wire_request *request, unsigned kind, wire_reply **ret_reply)
{
    return ctl_call_with(ctl, request, NULL, kind, ret_reply);
}

static enum mmgc_error say_hello(struct ctl *ctl)
{
    wire_hello hello = wire_hello_init();
    wire_request request = wire_request_init();

    hello.version_min = WIRE_VERSION_MIN;
    hello.version_max = WIRE_VERSION_MAX;
    hello.features = WIRE_FEATURES;
    hello.client_name = (char[]){ "mmgcctl" };
    request.body_case = WIRE_REQUEST(HELLO);
    request.hello = &hello;
    return ctl_call(ctl, &request, WIRE_REPLY(WELCOME), &ctl->connection.welcome);
}

void ctl_start_clock(struct ctl *ctl)
{
    uint64_t timeout_ns = ctl->options.timeout_ns;

    if (timeout_ns == 0 || __builtin_add_overflow(mm_now_ns(), timeout_ns, &ctl->connection.deadline_ns))
        ctl->connection.deadline_ns = UINT64_MAX;
}

enum mmgc_error ctl_connect(struct ctl *ctl)
{
    struct connection *c = &ctl->connection;

    ctl_start_clock(ctl);
    c->sock = packet_connect(ctl->options.socket);
    if (c->sock < 0) {
        ctl->exit = CTL_UNREACHABLE;
        return ctl_failed(ctl, MMGC_E_NO_DAEMON, "%s: %s", ctl->options.socket, strerror(-c->sock));
    }
    enum mmgc_error e = say_hello(ctl);
    if (e == MMGC_E_TIMEOUT || e == MMGC_E_DISCONNECTED ||
        e == MMGC_E_SHUTDOWN) /* it listens, and is not up to answering */
        ctl->exit = CTL_UNREACHABLE;
    return e;
}

void ctl_disconnect(struct ctl *ctl)
{
    wire_reply_free(ctl->connection.welcome);
    ctl->connection.welcome = NULL;
    if (ctl->connection.sock >= 0)
        (void)close(ctl->connection.sock);
    ctl->connection.sock = -1;
}
