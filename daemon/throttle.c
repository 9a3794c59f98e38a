/* SPDX-License-Identifier: Apache-2.0 */
/* throttle.c - Throttle: who waits, and the timer that ends it.
 *   T1  a session is in its account's list <=> held; an account is in the throttle's list <=> its own is not empty
 *   T2  while anybody is held the timer is set, for when the first of them may go on, and for TICK_NS at least: below that, it would
 *       be the loop that is kept busy; above, others would wait for more of the held ones' requests at once */
#include "daemon/throttle.h"

#include <errno.h>
#include <sys/timerfd.h>
#include <unistd.h>

#include "daemon/quota.h"
#include "daemon/server.h"
#include "daemon/session.h"

#define LOOP_SHARE 8u /* a user's requests take an eighth of the loop at most */
#define NS_PER_S UINT64_C(1000000000)
#define WAKES_A_TURN 64u
#define TICK_NS UINT64_C(250000)

static void set_timer(struct server *server, uint64_t now_ns) /* T2 */
{
    struct throttle *t = &server->throttle;
    uint64_t first_ns = UINT64_MAX;
    struct account *a;

    TAILQ_FOREACH (a, &t->accounts, in_throttle) {
        struct bucket_rate rate = account_request_rate(a);
        first_ns = MM_MIN(first_ns, bucket_ready_ns(&a->requests, &rate, now_ns));
    }
    if (first_ns == UINT64_MAX)
        return;
    uint64_t after_ns = MM_MAX(first_ns - MM_MIN(first_ns, now_ns), TICK_NS);
    struct itimerspec once = { .it_value = { .tv_sec = (time_t)(after_ns / NS_PER_S), .tv_nsec = (long)(after_ns % NS_PER_S) } };
    (void)timerfd_settime(t->fd, 0, &once, NULL);
}

static void release(struct session *s) /* T1 */
{
    struct account *a = s->charges.account;

    TAILQ_REMOVE(&a->held, s, in_held);
    s->held = false;
    if (TAILQ_EMPTY(&a->held))
        TAILQ_REMOVE(&s->server->throttle.accounts, a, in_throttle);
}

static void let_go_on(struct account *a, uint64_t now_ns)
{
    struct bucket_rate rate = account_request_rate(a);
    uint64_t tokens = MM_MIN(bucket_tokens(&a->requests, &rate, now_ns), (uint64_t)WAKES_A_TURN);
    struct session *s;

    for (; tokens > 0 && (s = TAILQ_FIRST(&a->held)) != NULL; tokens--) {
        release(s);
        session_listen(s);
    }
}

static void on_timer(uv_poll_t *poll, int status, int events)
{
    struct server *server = poll->data;
    uint64_t now_ns = mm_now_ns(), fired;
    struct account *a, *next;

    (void)status;
    (void)events;
    (void)!read(server->throttle.fd, &fired, sizeof(fired));
    for (a = TAILQ_FIRST(&server->throttle.accounts); a != NULL; a = next) {
        next = TAILQ_NEXT(a, in_throttle);
        let_go_on(a, now_ns);
    }
    set_timer(server, now_ns);
}

int throttle_init(struct server *server)
{
    struct throttle *t = &server->throttle;

    TAILQ_INIT(&t->accounts);
    t->fd = timerfd_create(CLOCK_MONOTONIC, TFD_CLOEXEC | TFD_NONBLOCK); /* a timer of libuv's counts milliseconds */
    if (t->fd < 0)
        return -errno;
    int r = uv_poll_init(&server->loop, &t->poll, t->fd);
    if (r < 0) {
        close(t->fd);
        return r;
    }
    t->poll.data = server;
    uv_poll_start(&t->poll, UV_READABLE, on_timer);
    return 0;
}

static void on_closed(uv_handle_t *handle)
{
    struct server *server = handle->data;

    close(server->throttle.fd);
}

void throttle_close(struct server *server)
{
    uv_close((uv_handle_t *)&server->throttle.poll, on_closed);
}

bool throttle_lets(struct session *s)
{
    struct account *a = s->charges.account;
    struct bucket_rate rate = account_request_rate(a);
    uint64_t now_ns;

    if (rate.per_second == BUCKET_UNBOUNDED ||
        bucket_tokens(&a->requests, &rate, now_ns = mm_now_ns()) > 0)
        return true;
    bool first = TAILQ_EMPTY(&a->held);
    TAILQ_INSERT_TAIL(&a->held, s, in_held);
    s->held = true;
    a->held_back++;
    a->quota->held_back++;
    if (first) {
        TAILQ_INSERT_TAIL(&s->server->throttle.accounts, a, in_throttle);
        set_timer(s->server, now_ns); /* it may go on before those that wait already */
    }
    return false;
}

void throttle_note(struct session *s, uint64_t spent_ns)
{
    struct account *a = s->charges.account;
    struct bucket_rate rate = account_request_rate(a);

    if (rate.per_second == BUCKET_UNBOUNDED)
        return;
    uint64_t worth_ns = MM_MAX(NS_PER_S / LOOP_SHARE / rate.per_second, UINT64_C(1));
    bucket_take(&a->requests, &rate, 1 + spent_ns / worth_ns, mm_now_ns());
}

void throttle_forget(struct session *s)
{
    if (s->held)
        release(s);
}
