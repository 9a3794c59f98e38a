/* SPDX-License-Identifier: Apache-2.0 */
/* requests_thread.c - Requests about a thread: attach, detach, grant, drain. */
#include <errno.h>
#include <inttypes.h>

#include "daemon/grants.h"
#include "daemon/log.h"
#include "daemon/procfs.h"
#include "daemon/request.h"
#include "daemon/server.h"
#include "daemon/session.h"
#include "daemon/shared_heap.h"
#include "daemon/trigger.h"

/* The arena is sparse, and every page of it that a client locks is committed, granted or not (S12). */
static void warn_of_locked_memory(const struct session *s)
{
    struct procfs_process process;

    if (s->mutator_count == 1 && procfs_process_read(s->peer.pid, &process) &&
        process.locked_bytes >= s->heap->max_bytes)
        log_warning("client '%s' (pid %d) locks its memory (mlockall?): that commits all %" PRIu64 " bytes of heap '%s'",
                    s->name, (int)s->peer.pid, s->heap->max_bytes, s->heap->name);
}

/* False: it was refused. */
static bool charge_thread(struct request *r, struct charges *ret_charges)
{
    struct session *s = r->session;
    struct account *a = s->charges.account;
    char why[QUOTA_WHY_MAX];

    charges_init(ret_charges, a);
    if (!charges_take(ret_charges, QUOTA_THREADS, 1))
        answer_error(r, MMGC_E_LIMIT, "%s", account_explain(a, QUOTA_THREADS, 1, why));
    else if (!charges_take_files(ret_charges, MUTATOR_FILES, s->peer.administrator))
        answer_error(r, MMGC_E_LIMIT, "%s", account_explain(a, QUOTA_FILES, MUTATOR_FILES, why));
    else
        return true;
    charges_fini(ret_charges);
    return false;
}

enum handled request_attach(struct request *r)
{
    const wire_attach *attach = r->message->attach;
    struct session *s = r->session;
    wire_attached attached = wire_attached_init();
    wire_reply reply = wire_reply_init();
    struct mutator *m;

    if (s->heap->corrupt)
        return answer_error(r, MMGC_E_CORRUPT, "heap '%s'", s->heap->name);
    if (s->mutator_count >= s->server->config.max_threads)
        return answer_error(r, MMGC_E_LIMIT,
                            "the session has %u threads, the most it may have (max_threads of [daemon])",
                            s->mutator_count);
    struct charges charges;
    if (!charge_thread(r, &charges))
        return HANDLED;
    int error = mutator_new(&m, s, attach, &charges);
    charges_fini(&charges); /* if they were not taken over */
    if (error == -EINVAL)
        return answer_error(r, MMGC_E_INVALID, "a stack of %" PRIu64 " bytes", attach->stack_bytes);
    if (error < 0)
        return answer_errno(r, error, "attaching a thread");
    if (r->fds.count > 0 && mutator_watch(m, r->fds.fd[0]) == 0)
        r->fds.fd[0] = -1;
    else
        charges_give_back(&m->charges, QUOTA_FILES, 1);
    warn_of_locked_memory(s);

    struct packet_fds fds = { .fd = { shm_segment_fd(m->segment) }, .count = 1 };
    attached.thread = m->id;
    attached.mutator_bytes = shm_segment_bytes(m->segment);
    reply.body_case = WIRE_REPLY(ATTACHED);
    reply.attached = &attached;
    return answer(r, &reply, &fds);
}

enum handled request_detach(struct request *r)
{
    struct session *s = r->session;
    struct mutator *m = session_mutator(s, r->message->detach->thread);

    if (m == NULL)
        return answer_error(r, MMGC_E_NO_THREAD, "the session has no thread %u",
                            r->message->detach->thread);
    mutator_retire(m);
    answer_done(r);
    shared_heap_pump(s->heap);
    return HANDLED;
}

/* What no heap of this size could ever grant is said at once. */
static enum mmgc_error impossible(const struct session *s, const wire_grant *grant)
{
    const struct shared_heap *h = s->heap;

    if (s->read_only)
        return MMGC_E_READ_ONLY;
    if (h->corrupt)
        return MMGC_E_CORRUPT;
    if (grant->bytes <= trigger_ceiling(h))
        return MMGC_E_OK;
    return grant->reserve                          ? MMGC_E_RESERVE
           : grant->grant_class == SHM_GRANT_LARGE ? MMGC_E_TOO_LARGE
                                                   : MMGC_E_OK;
}

enum handled request_grant(struct request *r)
{
    const wire_grant *grant = r->message->grant;
    struct session *s = r->session;
    struct mutator *m = session_mutator(s, grant->thread);

    if (m == NULL)
        return answer_error(r, MMGC_E_NO_THREAD, "the session has no thread %u", grant->thread);
    if (grant->grant_class >= SHM_GRANT_CLASSES)
        return answer_error(r, MMGC_E_INVALID, "there is no class %u of grants", grant->grant_class);
    if (grant->bytes == 0)
        return answer_error(r, MMGC_E_INVALID, "a grant of no bytes");
    enum mmgc_error why = impossible(s, grant);
    if (why != MMGC_E_OK) {
        grants_refuse(m, (enum shm_grant_class)grant->grant_class, grant->mail_serial, why);
        return HANDLED;
    }
    grants_ask(s->heap, m, grant);
    shared_heap_pump(s->heap);
    return HANDLED;
}

enum handled request_drain(struct request *r)
{
    struct shared_heap *h = r->session->heap;
    struct mutator *m = session_mutator(r->session, r->message->drain->thread);

    if (m == NULL)
        return answer_error(r, MMGC_E_NO_THREAD, "the session has no thread %u", r->message->drain->thread);
    if (h->log_segment == NULL)
        return answer_error(r, MMGC_E_UNSUPPORTED, "plan %s has no write barrier", h->control->plan);
    if (!shared_heap_try_lock(h))
        return answer_later(r, h);
    mutator_drain_locked(m, h);
    shared_heap_unlock(h);
    return HANDLED; /* the thread sees the ring's own word */
}
