/* SPDX-License-Identifier: Apache-2.0 */
/* local.c - Local: a thread's stack of exact roots, in its mutator segment.
 *   All of it changes only while the thread is IN, so the daemon, which updates slots in a stopped world, never meets us.
 *   Slot 0 is never used: {0} is no local. A slot is stored before local_count claims it. */
#include <mmgc/mmgc.h>

#include "client/thread.h"

mmgc_scope mmgc_scope_open(struct mmgc_thread *t)
{
    mmgc_scope scope = { 0 };

    if (thread_check_in(t) == MMGC_OK)
        scope.top = thread_of(t)->local_top;
    return scope;
}

void mmgc_scope_close(struct mmgc_thread *t, mmgc_scope scope)
{
    if (thread_check_in(t) != MMGC_OK)
        return;
    struct thread *th = thread_of(t);
    if (scope.top == 0 || scope.top > th->local_top)
        return; /* of no scope, or of one that was closed by an outer one */
    th->local_top = scope.top;
    at_store_release(&th->m->local_count, scope.top);
}

mmgc_local mmgc_local_new(struct mmgc_thread *t, const void *object)
{
    mmgc_local local = { 0 };
    int r = thread_check_in(t);

    if (r != MMGC_OK) {
        if (t != NULL)
            (void)thread_fail(thread_of(t), r);
        return local;
    }
    struct thread *th = thread_of(t);
    if (th->local_top == SHM_LOCALS_MAX) {
        (void)thread_fail(th, error_set(MMGC_E_LIMIT, "%u locals", SHM_LOCALS_MAX - 1));
        return local;
    }
    local.slot = th->local_top++;
    at_store_relaxed(&th->m->locals[local.slot], mmgc_ref_of(t, object).granule);
    at_store_release(&th->m->local_count, th->local_top);
    return local;
}

void *mmgc_local_get(struct mmgc_thread *t, mmgc_local local)
{
    if (thread_check_in(t) != MMGC_OK)
        return t != NULL ? thread_fail(thread_of(t), MMGC_E_NOT_IN) : NULL;
    struct thread *th = thread_of(t);
    if (local.slot == 0 || local.slot >= th->local_top)
        return NULL;
    mmgc_ref ref = { at_load_acquire(&th->m->locals[local.slot]) };
    return mmgc_deref(t, ref);
}

void mmgc_local_set(struct mmgc_thread *t, mmgc_local local, const void *object)
{
    if (thread_check_in(t) != MMGC_OK || local.slot == 0 || local.slot >= thread_of(t)->local_top)
        return;
    at_store_release(&thread_of(t)->m->locals[local.slot], mmgc_ref_of(t, object).granule);
}
