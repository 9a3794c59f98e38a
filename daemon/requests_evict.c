/* SPDX-License-Identifier: Apache-2.0 */
/* requests_evict.c - Evict: an administrator, or its own user, ends a client.
 *   V1  its process is killed, and so all of its connections end: one that lived on would go on writing to a heap whose collector no longer
 *       waits for it. By its pidfd, so it is that process and no other that has its number now */
#include <errno.h>
#include <inttypes.h>
#include <string.h>

#include "daemon/log.h"
#include "daemon/request.h"
#include "daemon/server.h"
#include "daemon/session.h"

static struct session *find_session(const struct server *server, uint64_t id)
{
    struct session *s;

    TAILQ_FOREACH (s, &server->sessions, in_server)
        if (s->id == id && s->stage == SESSION_READY)
            return s;
    return NULL;
}

static uint32_t connections_of(const struct server *server, pid_t pid)
{
    const struct session *s;
    uint32_t count = 0;

    TAILQ_FOREACH (s, &server->sessions, in_server)
        count += s->peer.pid == pid;
    return count;
}

static enum handled answer_evicted(struct request *r, const struct session *s)
{
    wire_evicted evicted = wire_evicted_init();
    wire_reply reply = wire_reply_init();

    evicted.name = (char *)s->name;
    evicted.pid = (uint32_t)s->peer.pid;
    evicted.connections = connections_of(s->server, s->peer.pid);
    reply.body_case = WIRE_REPLY(EVICTED);
    reply.evicted = &evicted;
    return answer(r, &reply, NULL);
}

enum handled request_evict(struct request *r)
{
    uint64_t id = r->message->evict->session;
    struct session *s = find_session(r->session->server, id);
    const struct peer *asker = &r->session->peer;

    if (s == NULL || (s->peer.uid != asker->uid && !asker->administrator)) /* who may not see it is told no more */
        return answer_error(r, MMGC_E_INVALID, "there is no client %" PRIu64 " that this user may end: `mmgcctl clients` shows them", id);
    if (s->peer.pid == asker->pid)
        return answer_error(r, MMGC_E_INVALID, "client %" PRIu64 " is the process that asks", id);
    int error = s->pidfd < 0 ? -EOPNOTSUPP : peer_kill(s->pidfd);
    if (error < 0 && error != -ESRCH) /* that has ended by itself */
        return answer_error(r, MMGC_E_UNSUPPORTED, "process %d cannot be signalled: %s", (int)s->peer.pid, strerror(-error));
    log_info("client '%s' (pid %d, user %u) is evicted by user %u", s->name, (int)s->peer.pid, (unsigned)s->peer.uid, (unsigned)asker->uid);
    return answer_evicted(r, s);
}
