/* SPDX-License-Identifier: Apache-2.0 */
#include "daemon/stows.h"

#include "daemon/request.h"
#include "daemon/session.h"
#include "daemon/shared_heap.h"

void stows_init(struct stows *s)
{
    pthread_mutex_init(&s->lock, NULL);
}

void stows_fini(struct stows *s)
{
    pthread_mutex_destroy(&s->lock);
}

static struct stow_asked *find_locked(struct stows *s, uint64_t session, uint32_t slot)
{
    for (size_t i = 0; i < STOWS_MAX; i++)
        if (s->asked[i].session == session && (session == 0 || s->asked[i].slot == slot))
            return &s->asked[i];
    return NULL;
}

/* ---- the stop ---- */

static const struct session *find_session(const struct collector_task *task, uint64_t id)
{
    for (size_t i = 0; i < task->session_count; i++)
        if (task->sessions[i]->id == id && !at_load_acquire(&task->sessions[i]->dead))
            return task->sessions[i];
    return NULL;
}

/* What a strong row refers to; else 0. The table is the client's: each word is read once, and what is read the plans check. */
static uint32_t root_of(const struct session *s, uint32_t slot)
{
    struct heap_roots table;

    session_roots(s, &table);
    return slot < table.count && heap_root_kind(&table, slot) == HEAP_ROOTS_EXACT ? at_load_relaxed(&table.words[slot]) : 0;
}

void stows_begin_stw(struct shared_heap *h, const struct collector_task *task, struct heap_stop *stop)
{
    struct stows *s = &h->stows;
    size_t count = 0;

    if (task->work != WORK_COLLECT)
        return;
    pthread_mutex_lock(&s->lock);
    for (size_t i = 0; i < STOWS_MAX; i++) {
        const struct session *session = s->asked[i].session == 0 || s->asked[i].done ? NULL : find_session(task, s->asked[i].session);
        if (session == NULL)
            continue;
        s->of[count] = s->asked[i];
        s->rows[count++] = (struct heap_stow){ .root = root_of(session, s->asked[i].slot) };
    }
    pthread_mutex_unlock(&s->lock);
    stop->stows = s->rows;
    stop->stow_count = count;
}

void stows_end_stw(struct shared_heap *h, const struct heap_stop *stop)
{
    struct stows *s = &h->stows;

    pthread_mutex_lock(&s->lock);
    for (size_t i = 0; i < stop->stow_count; i++) {
        struct stow_asked *asked = find_locked(s, s->of[i].session, s->of[i].slot); /* NULL: the session has ended meanwhile */
        if (asked == NULL || !s->rows[i].done)
            continue;
        asked->done = true;
        asked->result = s->rows[i];
    }
    pthread_mutex_unlock(&s->lock);
}

/* ---- the loop ---- */

void stows_leave(struct shared_heap *h, const struct session *s)
{
    pthread_mutex_lock(&h->stows.lock);
    for (size_t i = 0; i < STOWS_MAX; i++)
        if (h->stows.asked[i].session == s->id)
            h->stows.asked[i] = (struct stow_asked){ 0 };
    pthread_mutex_unlock(&h->stows.lock);
}

enum add { ADDED, ADD_TWICE, ADD_FULL };
static enum add add(struct stows *s, uint64_t session, uint32_t slot)
{
    enum add result = ADD_TWICE;

    pthread_mutex_lock(&s->lock);
    if (find_locked(s, session, slot) == NULL) {
        struct stow_asked *free = find_locked(s, 0, 0);
        result = free == NULL ? ADD_FULL : ADDED;
        if (free != NULL)
            *free = (struct stow_asked){ .session = session, .slot = slot };
    }
    pthread_mutex_unlock(&s->lock);
    return result;
}

enum handled request_stow(struct request *r)
{
    uint32_t slot = r->message->stow->slot;
    struct shared_heap *h = r->session->heap;
    wire_collect_started started = wire_collect_started_init();
    wire_reply reply = wire_reply_init();

    if (h->ending)
        return answer_error(r, MMGC_E_HEAP_GONE, "heap '%s' was destroyed", h->name);
    if (h->corrupt)
        return answer_error(r, MMGC_E_CORRUPT, "heap '%s'", h->name);
    if (!heap_plan_stows(h->heap))
        return answer_error(r, MMGC_E_UNSUPPORTED, "plan %s does not move single objects", h->control->plan);
    if (h->settings.ignore_system_gc)
        return answer_error(r, MMGC_E_UNSUPPORTED, "heap '%s' has no collection that is wished for (ignore_system_gc)", h->name);
    if (slot == 0 || slot >= SHM_ROWS_MAX)
        return answer_error(r, MMGC_E_INVALID, "there is no row %u", slot);
    switch (add(&h->stows, r->session->id, slot)) {
    case ADDED: break;
    case ADD_TWICE: return answer_error(r, MMGC_E_INVALID, "row %u is being stowed", slot);
    case ADD_FULL: return answer_error(r, MMGC_E_LIMIT, "%u graphs are being stowed in heap '%s'", STOWS_MAX, h->name);
    }
    started.number = shared_heap_ask_collection(h);
    reply.body_case = WIRE_REPLY(COLLECT_STARTED);
    reply.collect_started = &started;
    answer(r, &reply, NULL);
    shared_heap_pump(h);
    return HANDLED;
}

enum handled request_stowed(struct request *r)
{
    uint32_t slot = r->message->stowed->slot;
    struct stows *s = &r->session->heap->stows;
    wire_stow_result result = wire_stow_result_init();
    wire_reply reply = wire_reply_init();

    pthread_mutex_lock(&s->lock);
    struct stow_asked *asked = find_locked(s, r->session->id, slot);
    struct stow_asked was = asked == NULL ? (struct stow_asked){ 0 } : *asked;
    if (asked != NULL)
        *asked = (struct stow_asked){ 0 };
    pthread_mutex_unlock(&s->lock);
    if (was.session == 0)
        return answer_error(r, MMGC_E_INVALID, "nobody has asked to have row %u stowed", slot);
    result.done = was.done;
    result.cut = was.result.cut;
    result.objects = was.result.objects;
    result.bytes = was.result.bytes;
    result.moved_objects = was.result.moved_objects;
    result.moved_bytes = was.result.moved_bytes;
    reply.body_case = WIRE_REPLY(STOW_RESULT);
    reply.stow_result = &result;
    return answer(r, &reply, NULL);
}
