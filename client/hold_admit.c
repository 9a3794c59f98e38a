/* SPDX-License-Identifier: Apache-2.0 */
#include "client/hold_admit.h"

#include "client/error.h"
#include "client/hold.h"
#include "client/stow.h"

/* A thread with exact roots does not expect that its pointers die in a store. */
static bool waits(const struct thread *th)
{
    return !th->exact;
}

static int admit(struct thread *th, const void *object, void **value)
{
    uint32_t inside = hold_depth_of(th, *value), outside;

    if (MM_LIKELY(inside == 0 || inside <= (outside = hold_depth_of(th, object))))
        return MMGC_OK;
    if (th->holds->stack[inside - 1].policy == MMGC_HOLD_REFUSE)
        return hold_refuse(th, *value);
    return stow_out(th, outside, value, 1, waits(th));
}

MM_NO_CANARY bool hold_admit(struct thread *th, const void *object, const void **value)
{
    void *now = (void *)(uintptr_t)*value;

    if (now == NULL)
        return true;
    int r = admit(th, object, &now);
    if (r != MMGC_OK)
        (void)thread_fail(th, r);
    mmgc_keep(object); /* whatever a compiler makes of it: it stays where it is */
    *value = now;
    return r == MMGC_OK;
}

/* One after the other: what the first one reaches is then in the heap, and those that follow mostly are, too. If one fails, those before it
 * have been stowed, and nothing has been stored. */
bool hold_admit_refs(struct thread *th, const void *object, const mmgc_ref *refs, size_t count)
{
    struct mmgc_thread *t = thread_public(th);

    for (size_t i = 0; i < count; i++) {
        const void *value = mmgc_load(t, &refs[i]);
        if (!hold_admit(th, object, &value))
            return false;
    }
    mmgc_keep(refs);
    return true;
}
