/* SPDX-License-Identifier: Apache-2.0 */
/* admission.c - Admission: strangers, then the rate, then the numbers. */
#include "daemon/admission.h"

#include <errno.h>
#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "daemon/log.h"
#include "daemon/server.h"
#include "daemon/spare.h"

#define SESSION_FILES 2u /* its socket and its process's pidfd */

void admission_turn_away(int sock, enum mmgc_error why, const char *format, ...)
{
    wire_error error = wire_error_init();
    wire_reply reply = wire_reply_init();
    char detail[QUOTA_WHY_MAX], scrap[64];
    va_list args;

    va_start(args, format);
    vsnprintf(detail, sizeof(detail), format, args);
    va_end(args);
    error.code = why;
    error.detail = detail;
    reply.body_case = WIRE_REPLY(ERROR);
    reply.error = &error;
    (void)wire_send_reply(sock, &reply, NULL);
    (void)shutdown(sock, SHUT_RDWR); /* nothing more comes in */
    while (recv(sock, scrap, sizeof(scrap), MSG_DONTWAIT) > 0)
        continue;
    close(sock);
}

/* A line for the log, unless there were many of late. */
static bool may_log(struct server *server)
{
    static const struct bucket_rate lines = { .per_second = 1, .depth = 5 };
    uint64_t now_ns = mm_now_ns();

    if (bucket_tokens(&server->stranger_lines, &lines, now_ns) == 0)
        return false;
    bucket_take(&server->stranger_lines, &lines, 1, now_ns);
    return true;
}

/* S20: it could be anybody. */
static enum admission refuse_stranger(struct server *server, int sock, const struct peer *peer)
{
    if (may_log(server))
        log_warning("a process (pid %d) is refused, since its user is not known in the daemon's user namespace: it comes as %u. If the two "
                    "containers are to share heaps, map the same users in both",
                    (int)peer->pid, (unsigned)peer->uid);
    admission_turn_away(
        sock, MMGC_E_DENIED,
        "user %u is not of this user namespace: connect as a user that the daemon's namespace knows, and not as nobody",
        (unsigned)peer->uid);
    return TURNED_AWAY;
}

static enum admission refuse_invisible(struct server *server, int sock, const struct peer *peer)
{
    if (may_log(server))
        log_warning("a process of user %u is refused: it is of another pid namespace, and this kernel gives no pidfd of it (Linux 6.5 does)",
                    (unsigned)peer->uid);
    admission_turn_away(
        sock, MMGC_E_DENIED,
        "your process is of another pid namespace, where the daemon cannot see it: share one, or use Linux 6.5 or newer");
    return TURNED_AWAY;
}

/* Who comes too often. */
static bool is_too_fast(struct account *a, uint64_t now_ns)
{
    struct bucket_rate rate = account_connection_rate(a);

    if (bucket_tokens(&a->connections, &rate, now_ns) == 0)
        return true;
    bucket_take(&a->connections, &rate, 1, now_ns);
    return false;
}

static enum admission refuse_haste(struct account *a, int sock, uint64_t now_ns)
{
    char why[QUOTA_WHY_MAX];

    snprintf(why, sizeof(why),
             "%s connects more often than the %" PRIu64
             " times a second that connections_per_second of [%s] allows: keep a connection, or wait",
             a->who, a->limits.connections_per_second, a->section);
    a->refused++;
    a->quota->refused++;
    if (account_may_complain(a, now_ns))
        log_warning("%s", why);
    admission_turn_away(sock, MMGC_E_LIMIT, "%s", why);
    return TOO_FAST;
}

static bool is_crowded(const struct server *server, bool administrator)
{
    return server->session_count >=
           server->config.max_sessions + (administrator ? ADMISSION_KEPT_SESSIONS : 0);
}

/* Charges it, or turns it away. */
static bool charge(struct server *server, int sock, const struct peer *peer, struct account *a,
                   struct charges *c)
{
    char why[QUOTA_WHY_MAX];

    charges_init(c, a);
    if (is_crowded(server, peer->administrator))
        admission_turn_away(sock, MMGC_E_LIMIT,
                            "there are %u sessions, the most there may be (max_sessions of [daemon])",
                            server->session_count);
    else if (!peer->administrator && spare_used_bytes() > SPARE_BYTES / 2)
        admission_turn_away(sock, MMGC_E_SYSTEM_NOMEM, "the daemon is out of memory");
    else if (!charges_take(c, QUOTA_SESSIONS, 1))
        admission_turn_away(sock, MMGC_E_LIMIT, "%s", account_explain(a, QUOTA_SESSIONS, 1, why));
    else if (!charges_take_files(c, SESSION_FILES, peer->administrator))
        admission_turn_away(sock, MMGC_E_LIMIT, "%s",
                            account_explain(a, QUOTA_FILES, SESSION_FILES, why));
    else
        return true;
    charges_fini(c);
    return false;
}

/* The last thing that may fail: a file descriptor, of which the reserve has some. */
static enum admission find_process(struct server *server, int sock, const struct peer *peer,
                                   int *ret_pidfd)
{
    int pidfd = peer_pidfd(sock);

    *ret_pidfd = pidfd < 0 ? -1 : pidfd;
    if (pidfd == -EMFILE || pidfd == -ENFILE) {
        admission_turn_away(sock, MMGC_E_LIMIT, "the daemon has no more file descriptors");
        return TURNED_AWAY;
    }
    return pidfd < 0 && peer->pid == 0 ? refuse_invisible(server, sock, peer) : ADMITTED;
}

enum admission admission_judge(struct server *server, int sock, struct peer *ret_peer,
                               int *ret_pidfd, struct charges *ret_charges)
{
    uint64_t now_ns = mm_now_ns();

    peer_learn(ret_peer, sock, &server->strangers);
    if (ret_peer->uid == server->strangers.uid)
        return refuse_stranger(server, sock, ret_peer);
    struct account *a = quota_account(&server->quota, ret_peer->uid, now_ns);
    if (a == NULL) {
        admission_turn_away(sock, MMGC_E_SYSTEM_NOMEM, "the daemon is out of memory");
        return TURNED_AWAY;
    }
    if (is_too_fast(a, now_ns))
        return refuse_haste(a, sock, now_ns);
    if (peer_learn_groups(ret_peer, sock, &server->strangers, server->config.admin_group) < 0) {
        admission_turn_away(sock, MMGC_E_SYSTEM_NOMEM, "the daemon is out of memory");
        return TURNED_AWAY;
    }
    enum admission admission = TURNED_AWAY;
    if (charge(server, sock, ret_peer, a, ret_charges) &&
        (admission = find_process(server, sock, ret_peer, ret_pidfd)) != ADMITTED)
        charges_fini(ret_charges);
    if (admission != ADMITTED)
        peer_fini(ret_peer);
    return admission;
}
