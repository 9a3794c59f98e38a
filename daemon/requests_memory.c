/* SPDX-License-Identifier: Apache-2.0 */
/* requests_memory.c - Requests about a heap's size: another limit, and who decides when it is full. Its owner's and administrators'. */
#include <inttypes.h>

#include "daemon/request.h"
#include "daemon/session.h"
#include "daemon/shared_heap.h"

/* The heap, if the asker may say how large it is. NULL: it was refused. */
static struct shared_heap *heap_ruled(struct request *r, const char *name)
{
    struct shared_heap *h = request_heap_meant(r, name);

    if (h == NULL || shared_heap_may_destroy(h, r->session))
        return h;
    answer_error(r, MMGC_E_DENIED, "heap '%s' is user %u's", h->name, (unsigned)h->owner);
    return NULL;
}

static bool fits(struct request *r, const struct shared_heap *h, uint64_t limit_bytes)
{
    if (limit_bytes > 0 && limit_bytes <= h->max_bytes)
        return true;
    answer_error(r, MMGC_E_INVALID, "a limit of %" PRIu64 " bytes: heap '%s' can have 1 to %" PRIu64, limit_bytes, h->name,
                 h->max_bytes);
    return false;
}

enum handled request_heap_resize(struct request *r)
{
    const wire_heap_resize *resize = r->message->heap_resize;
    struct shared_heap *h = heap_ruled(r, resize->heap);
    const struct trigger_config *trigger;

    if (h == NULL || !fits(r, h, resize->limit_bytes))
        return HANDLED;
    trigger = &h->settings.trigger;
    if (trigger->kind == TRIGGER_DYNAMIC)
        return answer_error(r, MMGC_E_UNSUPPORTED,
                            "heap '%s' sets its limit itself, between %" PRIu64 " and %" PRIu64 " bytes", h->name,
                            trigger->min_bytes, trigger->max_bytes);
    if (!shared_heap_try_lock(h))
        return answer_later(r, h);
    shared_heap_set_limit_locked(h, resize->limit_bytes);
    shared_heap_unlock(h);
    answer_done(r);
    shared_heap_pump(h);
    return HANDLED;
}

enum handled request_delegate(struct request *r)
{
    struct shared_heap *h = heap_ruled(r, r->message->delegate->heap);

    if (h == NULL)
        return HANDLED;
    if (h->settings.trigger.kind != TRIGGER_DELEGATED)
        return answer_error(r, MMGC_E_UNSUPPORTED, "heap '%s' was not made with gc_trigger = delegated", h->name);
    if (!trigger_delegate(h, r->session))
        return answer_error(r, MMGC_E_LIMIT, "heap '%s' has a delegate: session %" PRIu64, h->name,
                            h->trigger.delegate->id);
    return answer_done(r);
}

enum handled request_decide(struct request *r)
{
    const wire_decide *decide = r->message->decide;
    struct shared_heap *h = heap_ruled(r, decide->heap);

    if (h == NULL)
        return HANDLED;
    if (h->trigger.delegate != r->session)
        return answer_error(r, MMGC_E_ORDER, "this connection is not heap '%s''s delegate", h->name);
    if (decide->decision >= DECISIONS)
        return answer_error(r, MMGC_E_INVALID, "decision %u: 0 is collect, 1 limit, 2 refuse", decide->decision);
    if (decide->decision == DECIDE_LIMIT && !fits(r, h, decide->limit_bytes))
        return HANDLED;
    if (!trigger_decide(h, (enum trigger_decision)decide->decision, decide->limit_bytes))
        return answer_later(r, h);
    answer_done(r);
    shared_heap_pump(h);
    return HANDLED;
}
