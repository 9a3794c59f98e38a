/* SPDX-License-Identifier: Apache-2.0 */
/* guardian.c - Guardian: rows that are GUARDED until a collection makes them READY, and who is given them.
 *   G1  the daemon makes a row READY while the world is stopped, and its object a root with it. Who turns it FREE by a compare-and-swap has the
 *       object, whose word it has read before, IN: so nothing has moved in between, and from there on its own pointer is the root
 *   G2  no row becomes READY without a resume, which raises the session's go: who found none when go had this value need not look again
 *       until it has another. Two threads may look at once: each row is one's */
#include <mmgc/guardian.h>
#include <string.h>

#include "client/error.h"
#include "client/fork.h"
#include "client/row.h"
#include "client/safepoint.h"
#include "client/thread.h"

#define GUARD_KINDS (1u << SHM_ROW_GUARDED)
#define NEVER_LOOKED UINT64_MAX

int mmgc_guard_new(struct mmgc_thread *t, const void *object, uint64_t mark, mmgc_guard *ret_guard)
{
    struct row row;
    int r = thread_check_in(t);

    if (r == MMGC_OK && (object == NULL || ret_guard == NULL))
        r = error_set(MMGC_E_INVALID, "the object or ret_guard is NULL");
    if (r == MMGC_OK)
        r = row_begin_marked(thread_of(t), SHM_ROW_GUARDED, object, mark, &row);
    if (r == MMGC_OK)
        *ret_guard = (mmgc_guard){ row.slot, row.serial };
    return r;
}

int mmgc_guard_drop(struct mmgc_heap *heap, mmgc_guard guard)
{
    int r = heap == NULL ? error_set(MMGC_E_INVALID, "the heap is NULL") : fork_check(heap->generation);

    return r == MMGC_OK ? row_end(heap, (struct row){ guard.slot, guard.serial }, GUARD_KINDS | 1u << SHM_ROW_READY) : r;
}

/* ---- taking ---- */

/* G1. NULL: it is not ready, or another thread has it. */
static void *take_row(struct thread *th, uint32_t slot, uint64_t *ret_mark)
{
    struct shm_session *session = th->heap->session;
    uint32_t tag = at_load_acquire(&session->row_tags[slot]);

    if (shm_row_kind(tag) != SHM_ROW_READY)
        return NULL;
    mmgc_ref ref = { at_load_acquire(&session->row_words[slot]) };
    uint64_t mark = at_load_relaxed(&session->row_notes[slot].since_ns);
    if (row_end(th->heap, (struct row){ slot, shm_row_serial(tag) }, 1u << SHM_ROW_READY) != MMGC_OK)
        return NULL;
    *ret_mark = mark;
    return mmgc_deref(thread_public(th), ref);
}

static void *take_own(struct thread *th, uint64_t *ret_mark)
{
    uint32_t high = at_load_acquire(&th->heap->session->row_high);

    for (uint32_t slot = 1; slot < high; slot++) {
        void *object = take_row(th, slot, ret_mark);
        if (object != NULL)
            return object;
    }
    return NULL;
}

static void *take_inherited(struct thread *th, uint64_t *ret_mark)
{
    wire_inherit inherit = wire_inherit_init();
    wire_request request = wire_request_init();
    wire_reply *reply;

    request.body_case = WIRE_REQUEST(INHERIT);
    request.inherit = &inherit;
    int r = connection_call(&th->heap->connection, &request, NULL, WIRE_REPLY(INHERITED), &reply, NULL);
    if (r != MMGC_OK)
        return thread_fail(th, r);
    mmgc_ref ref = { reply->inherited->ref };
    *ret_mark = reply->inherited->mark;
    wire_reply_free(reply);
    return mmgc_deref(thread_public(th), ref);
}

void *mmgc_guard_take(struct mmgc_thread *t, uint64_t *ret_mark)
{
    uint64_t unwanted, *mark = ret_mark != NULL ? ret_mark : &unwanted;
    int r = thread_check_in(t);

    if (r != MMGC_OK)
        return t != NULL ? thread_fail(thread_of(t), r) : NULL;
    struct thread *th = thread_of(t);
    uint32_t go = at_load_acquire(&th->heap->session->go);
    th->error = MMGC_OK;
    if (at_load_relaxed(&th->heap->guards_none) == go) /* G2 */
        return NULL;
    void *object = take_own(th, mark);
    if (object == NULL && at_load_relaxed(&th->heap->is_guardian))
        object = take_inherited(th, mark);
    if (object == NULL && th->error == MMGC_OK)
        at_store_relaxed(&th->heap->guards_none, go);
    return object;
}

int mmgc_guard_wait(struct mmgc_thread *t, uint64_t timeout_ns)
{
    int r = thread_check_in(t);

    if (r != MMGC_OK)
        return r;
    struct thread *th = thread_of(t);
    uint64_t now_ns = mm_now_ns(), deadline_ns = timeout_ns > UINT64_MAX - now_ns ? UINT64_MAX : now_ns + timeout_ns;
    while (r == MMGC_OK && at_load_relaxed(&th->heap->guards_none) == at_load_acquire(&th->heap->session->go))
        r = safepoint_sleep(th, (uint32_t)at_load_relaxed(&th->heap->guards_none), deadline_ns);
    return r;
}

/* ---- heirs ---- */

static int check_name(struct mmgc_heap *heap, const char *name)
{
    int r = heap_check(heap);

    if (r == MMGC_OK && name != NULL && !wire_name_valid(name, WIRE_NAME_MAX))
        r = error_set(MMGC_E_NAME_TOO_LONG, NULL);
    return r;
}

int mmgc_guards_leave_to(struct mmgc_heap *heap, const char *heir)
{
    wire_bequeath bequeath = wire_bequeath_init();
    wire_request request = wire_request_init();
    int r = check_name(heap, heir);

    if (r != MMGC_OK)
        return r;
    bequeath.heir = (char *)(heir != NULL ? heir : "");
    request.body_case = WIRE_REQUEST(BEQUEATH);
    request.bequeath = &bequeath;
    return connection_call(&heap->connection, &request, NULL, WIRE_REPLY(DONE), NULL, NULL);
}

int mmgc_guardian_be(struct mmgc_heap *heap, const char *name)
{
    wire_guardian guardian = wire_guardian_init();
    wire_request request = wire_request_init();
    int r = check_name(heap, name);

    if (r != MMGC_OK)
        return r;
    guardian.name = (char *)(name != NULL ? name : "");
    request.body_case = WIRE_REQUEST(GUARDIAN);
    request.guardian = &guardian;
    r = connection_call(&heap->connection, &request, NULL, WIRE_REPLY(DONE), NULL, NULL);
    if (r == MMGC_OK) {
        at_store_relaxed(&heap->is_guardian, name != NULL);
        at_store_relaxed(&heap->guards_none, NEVER_LOOKED); /* there may be some already */
    }
    return r;
}
