/* SPDX-License-Identifier: Apache-2.0 */
/* committer.c - Committer: the daemon's end: a queue of orders, the first few of them with the process.
 *   C1  orders are sent in order, and answered in any: those with the process are the first @sent of the queue
 *   C2  an answer never comes from within committer_ask(): what fails at once is answered from the loop's next turn
 *   C3  what is asked of the process never exceeds what the system can give (headroom), less a margin for everybody else;
 *       if the kernel kills it all the same, its orders are answered -ENOMEM and another one is started */
#include "daemon/committer.h"

#include <errno.h>
#include <spawn.h>
#include <stdlib.h>
#include <string.h>
#include <sys/queue.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include "daemon/log.h"
#include "daemon/spare.h"
#include "proto/packet.h"
#include "shm/base.h"

#define SENT_MAX 16u                         /* orders with the process: enough to keep it busy */
#define HEADROOM_MARGIN (UINT64_C(32) << 20) /* left to the rest of the system */
#define HEADROOM_AGE_NS UINT64_C(20000000)   /* asking anew costs 0.1 ms */
#define RESTART_PAUSE_MS 500u                /* before the next start, when one has just died */

struct order {
    TAILQ_ENTRY(order) link;
    struct committer_order message;
    int fd;
    committer_answer answer;
    void *context;
    bool sent;
};
TAILQ_HEAD(order_queue, order);

struct committer {
    uv_loop_t *loop;
    pid_t pid; /* 0: none running */
    int sock;  /* -1: none */
    uv_poll_t *poll;
    uv_signal_t on_child;
    uv_timer_t restart;
    uv_idle_t soon; /* fails the head from a fresh turn of the loop (C2) */
    unsigned handles;
    struct order_queue orders;
    unsigned sent;
    uint64_t sent_bytes, next_number;
    uint64_t headroom, headroom_ns, started_ns;
    bool closing;
};

static void send_orders(struct committer *c);

/* ---- the process ---- */

static int spawn(int sock, pid_t *ret_pid)
{
    extern char **environ;
    char *argv[] = { "mmgcd", COMMITTER_ARGUMENT, NULL };
    posix_spawn_file_actions_t actions;

    posix_spawn_file_actions_init(&actions);
    posix_spawn_file_actions_adddup2(&actions, sock, STDIN_FILENO); /* everything else of ours is O_CLOEXEC */
    int r = posix_spawn(ret_pid, "/proc/self/exe", &actions, NULL, argv, environ);
    posix_spawn_file_actions_destroy(&actions);
    return -r;
}

static void on_answer(uv_poll_t *poll, int status, int events);

static void free_poll(uv_handle_t *handle)
{
    spare_free(handle);
}

static int process_start(struct committer *c)
{
    int pair[2];

    if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, pair) < 0)
        return -errno;
    uv_poll_t *poll = spare_alloc(sizeof(*poll));
    int r = poll == NULL ? -ENOMEM : uv_poll_init(c->loop, poll, pair[0]); /* makes it non-blocking */
    bool watched = r == 0;
    if (r == 0)
        r = spawn(pair[1], &c->pid);
    close(pair[1]);
    if (r < 0) {
        if (watched)
            uv_close((uv_handle_t *)poll, free_poll);
        else
            spare_free(poll);
        close(pair[0]);
        return r;
    }
    c->poll = poll;
    c->sock = pair[0];
    c->poll->data = c;
    uv_poll_start(c->poll, UV_READABLE, on_answer);
    c->started_ns = mm_now_ns();
    log_debug("committer process %d started", (int)c->pid);
    return 0;
}

static void fail_head(struct committer *c, int error)
{
    struct order *o = TAILQ_FIRST(&c->orders);

    TAILQ_REMOVE(&c->orders, o, link);
    if (o->sent) {
        c->sent--;
        c->sent_bytes -= o->message.bytes;
    }
    o->answer(o->context, o->message.offset, error, SHM_PAGES_SMALL);
    spare_free(o);
}

static void on_restart(uv_timer_t *timer)
{
    struct committer *c = timer->data;
    int r = c->sock >= 0 ? 0 : process_start(c);

    if (r < 0) {
        log_error("the committer process does not start: %s", strerror(-r));
        uv_timer_start(&c->restart, on_restart, RESTART_PAUSE_MS, 0);
        while (!TAILQ_EMPTY(&c->orders))
            fail_head(c, -ENOMEM);
    }
    send_orders(c);
}

/* The socket is at its end: so is the process, or it soon will be. */
static void process_lost(struct committer *c)
{
    unsigned lost = c->sent;

    uv_close((uv_handle_t *)c->poll, free_poll);
    c->poll = NULL;
    close(c->sock);
    c->sock = -1;
    bool young = mm_now_ns() - c->started_ns < RESTART_PAUSE_MS * UINT64_C(1000000);
    log_warning("the committer process is gone, killed for want of memory perhaps: %u commits failed",
                lost);
    uv_timer_start(&c->restart, on_restart, young ? RESTART_PAUSE_MS : 0, 0);
    while (lost-- > 0 && !c->closing) /* an answer may have closed us */
        fail_head(c, -ENOMEM);
}

/* Of any age: the end of its socket may be seen before the signal, and then another one has been started. We have no other children. */
static void on_child(uv_signal_t *signal, int number)
{
    struct committer *c = signal->data;
    pid_t gone;

    (void)number;
    while ((gone = waitpid(-1, NULL, WNOHANG)) > 0)
        if (gone == c->pid)
            c->pid = 0;
}

/* ---- orders ---- */

static bool headroom_allows(struct committer *c, uint64_t bytes)
{
    uint64_t now = mm_now_ns();

    if ((c->headroom_ns == 0 || now - c->headroom_ns > HEADROOM_AGE_NS) && shm_commit_headroom(&c->headroom) == 0) {
        c->headroom_ns = now;
        if (c->headroom != UINT64_MAX)
            c->headroom -= MM_MIN(c->headroom, c->sent_bytes);
    } /* else what is left of the last one; of none, none */
    if (c->headroom == UINT64_MAX)
        return true;
    if (c->headroom < bytes + HEADROOM_MARGIN)
        return false;
    c->headroom -= bytes;
    return true;
}

/* True: with the process. False: it must wait, or *ret_error is set and it has failed. */
static bool send_order(struct committer *c, struct order *o, int *ret_error)
{
    struct packet_fds fds = { .fd = { o->fd }, .count = 1 };

    if (!headroom_allows(c, o->message.bytes)) {
        *ret_error = -ENOMEM;
        return false;
    }
    o->message.number = ++c->next_number;
    int r = packet_send(c->sock, &o->message, sizeof(o->message), &fds);
    if (r < 0) {
        *ret_error = r == -EAGAIN || r == -EPIPE ? 0 : r; /* -EPIPE: the end of file is on its way */
        return false;
    }
    o->sent = true;
    c->sent++;
    c->sent_bytes += o->message.bytes;
    return true;
}

static struct order *first_unsent(struct committer *c)
{
    struct order *o = TAILQ_FIRST(&c->orders);

    while (o != NULL && o->sent)
        o = TAILQ_NEXT(o, link);
    return o;
}

static void on_soon(uv_idle_t *idle)
{
    struct committer *c = idle->data;

    uv_idle_stop(idle);
    send_orders(c);
}

/* Sends what may be sent. What fails is answered once nothing older is out (C1). */
static void send_orders(struct committer *c)
{
    int error = 0;

    while (c->sock >= 0 && c->sent < SENT_MAX) {
        struct order *o = first_unsent(c);
        if (o == NULL || (!send_order(c, o, &error) && error == 0))
            return;
        if (error == 0)
            continue;
        if (c->sent > 0) /* asked again when the older ones are answered */
            return;
        fail_head(c, error);
        error = 0;
    }
}

static struct order *find_sent(struct committer *c, uint64_t number)
{
    struct order *o = TAILQ_FIRST(&c->orders);

    while (o != NULL && o->sent && o->message.number != number)
        o = TAILQ_NEXT(o, link);
    return o != NULL && o->sent ? o : NULL;
}

static bool take_answer(struct committer *c)
{
    struct committer_result result;
    struct packet_fds none;
    ssize_t got = packet_recv(c->sock, &result, sizeof(result), &none);

    packet_fds_close(&none);
    if (got == -EAGAIN)
        return false;
    struct order *o = got == (ssize_t)sizeof(result) ? find_sent(c, result.number) : NULL;
    if (o == NULL) {
        process_lost(c);
        return false;
    }
    TAILQ_REMOVE(&c->orders, o, link);
    c->sent--;
    c->sent_bytes -= o->message.bytes;
    o->answer(o->context, o->message.offset, result.result, (enum shm_pages)result.pages);
    spare_free(o);
    return true;
}

static void on_answer(uv_poll_t *poll, int status, int events)
{
    struct committer *c = poll->data;

    (void)events;
    if (status < 0)
        process_lost(c);
    else
        while (c->sock >= 0 && take_answer(c))
            continue;
    send_orders(c);
}

int committer_ask(struct committer *c, int fd, uint64_t offset, uint64_t bytes, enum shm_huge huge,
                  committer_answer answer, void *context)
{
    struct order *o = c->closing ? NULL : spare_alloc(sizeof(*o));

    if (o == NULL)
        return -ENOMEM;
    *o = (struct order){
        .message = { .offset = offset, .bytes = bytes, .huge = huge },
        .fd = fd,
        .answer = answer,
        .context = context,
    };
    TAILQ_INSERT_TAIL(&c->orders, o, link);
    uv_idle_start(&c->soon, on_soon);
    return 0;
}

/* ---- life ---- */

int committer_new(struct committer **ret_committer, uv_loop_t *loop)
{
    struct committer *c = calloc(1, sizeof(*c));

    if (c == NULL)
        return -ENOMEM;
    c->loop = loop;
    c->sock = -1;
    TAILQ_INIT(&c->orders);
    int r = process_start(c);
    if (r < 0) {
        free(c);
        return r;
    }
    r = uv_signal_init(loop, &c->on_child);
    if (r < 0) /* the process that starts ends: what has begun ends with it */
        return r;
    MM_ASSERT(uv_timer_init(loop, &c->restart) == 0 && uv_idle_init(loop, &c->soon) == 0);
    c->handles = 3;
    c->on_child.data = c->restart.data = c->soon.data = c;
    uv_signal_start(&c->on_child, on_child, SIGCHLD);
    *ret_committer = c;
    return 0;
}

static void on_closed(uv_handle_t *handle)
{
    struct committer *c = handle->data;

    if (--c->handles == 0)
        free(c);
}

void committer_close(struct committer *c)
{
    if (c == NULL)
        return;
    c->closing = true;
    while (!TAILQ_EMPTY(&c->orders))
        fail_head(c, -ENOMEM);
    if (c->poll != NULL)
        uv_close((uv_handle_t *)c->poll, free_poll);
    if (c->sock >= 0)
        close(c->sock); /* its end of file */
    c->sock = -1;       /* we may be inside an answer, and its caller looks at this */
    if (c->pid > 0) {
        kill(c->pid, SIGKILL); /* it may be in the middle of a commit; nothing of its is worth waiting for */
        (void)waitpid(c->pid, NULL, 0);
    }
    uv_close((uv_handle_t *)&c->on_child, on_closed);
    uv_close((uv_handle_t *)&c->restart, on_closed);
    uv_close((uv_handle_t *)&c->soon, on_closed);
}
