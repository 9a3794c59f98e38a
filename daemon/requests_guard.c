/* SPDX-License-Identifier: Apache-2.0 */
/* Requests about what is guarded: who is to have it when this session has ended, and what others have left to it. */
#include <stdlib.h>
#include <string.h>

#include "daemon/request.h"
#include "daemon/session.h"
#include "daemon/shared_heap.h"

static bool set_name(char **name, const char *value)
{
    char *copy = value[0] == '\0' ? NULL : strdup(value);

    if (copy == NULL && value[0] != '\0')
        return false;
    free(*name);
    *name = copy;
    return true;
}

enum handled request_bequeath(struct request *r)
{
    if (!set_name(&r->session->heir, r->message->bequeath->heir))
        return answer_error(r, MMGC_E_SYSTEM_NOMEM, "remembering the heir");
    return answer_done(r);
}

static bool is_taken(const struct session *asker, const char *name)
{
    const struct session *s;

    TAILQ_FOREACH(s, &asker->heap->sessions, in_heap)
    if (s != asker && s->guardian != NULL && strcmp(s->guardian, name) == 0)
        return true;
    return false;
}

enum handled request_guardian(struct request *r)
{
    const char *name = r->message->guardian->name;

    if (name[0] != '\0' && is_taken(r->session, name))
        return answer_error(r, MMGC_E_BUSY, "another client is the guardian '%s'", name);
    if (!set_name(&r->session->guardian, name))
        return answer_error(r, MMGC_E_SYSTEM_NOMEM, "remembering the guardian's name");
    return answer_done(r);
}

enum handled request_inherit(struct request *r)
{
    struct shared_heap *h = r->session->heap;
    wire_inherited inherited = wire_inherited_init();
    wire_reply reply = wire_reply_init();
    uint64_t mark = 0;

    if (r->session->guardian == NULL)
        return answer_error(r, MMGC_E_ORDER, "Inherit before Guardian");
    if (!shared_heap_try_lock(h))
        return answer_later(r, h);
    inherited.ref = estate_take(&h->estate, r->session->guardian, &mark);
    inherited.mark = inherited.ref != 0 ? mark : 0;
    shared_heap_unlock(h);
    reply.body_case = WIRE_REPLY(INHERITED);
    reply.inherited = &inherited;
    return answer(r, &reply, NULL);
}
