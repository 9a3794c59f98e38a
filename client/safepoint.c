/* SPDX-License-Identifier: Apache-2.0 */
/* safepoint.c - Safepoint: enter, poll, leave and wait, in the order of soundness S4. tests/model/stop_model.py has them, too.
 *   The daemon raises the epoch to odd, issues a membarrier for all clients and then reads our state; we store the state
 *   and then read the epoch. The membarrier stands for the fence that we do not pay: a compiler fence is left. Where
 *   this process could not register for it, fence() is a real one.
 *   What fails, and is therefore not done here: leaving without the second look at the epoch; backing out of enter without
 *   the wake; publishing roots again on re-parking (a stop that began meanwhile would read them torn). */
#include "client/safepoint.h"

#include <mmgc/mmgc.h>

#include "client/hold.h"
#include "client/roots.h"
#include "client/thread.h"
#include "client/tsan.h"
#include "client/write_barrier.h"
#include "shm/futex.h"

#define LOOK_EVERY_NS UINT64_C(1000000000)

#if !defined(__clang__)
#pragma GCC diagnostic push
#pragma GCC diagnostic ignored "-Wpragmas"
#pragma GCC diagnostic ignored \
    "-Wtsan" /* ThreadSanitizer does not model it; it sees the atomics beside it */
#endif
static inline void fence(const struct thread *th)
{
    if (MM_UNLIKELY(th->fence))
        atomic_thread_fence(memory_order_seq_cst);
    else
        at_compiler_fence();
}
#if !defined(__clang__)
#pragma GCC diagnostic pop
#endif

static inline void state_store_wake(struct thread *th, enum shm_state state)
{
    tsan_release(th->heap);
    at_store_release(&th->m->state, state); /* pairs with the daemon's acquire of state */
    futex_wake_all(&th->m->state);
}

/* Until the epoch is no longer @epoch. Anything but MMGC_OK: it never will be. */
static int wait_epoch(struct thread *th, uint32_t epoch)
{
    struct mmgc_heap *heap = th->heap;

    for (;;) {
        uint32_t go = at_load_acquire(&heap->session->go);
        if (at_load_acquire(&heap->control->epoch) != epoch)
            return MMGC_OK;
        if (futex_wait(&heap->session->go, go, LOOK_EVERY_NS) == FUTEX_WOKEN)
            continue;
        int r = connection_look(&heap->connection);
        if (r != MMGC_OK)
            return r;
    }
}

/* IN, as of @epoch, which is even: what to log from here on, and what has been closed or opened since this process last looked. */
static int catch_up(struct thread *th, uint32_t epoch)
{
    write_barrier_follow(th);
    int r = pages_follow(th->heap->pages, epoch);

    return MM_LIKELY(r == 0) ? MMGC_OK : error_system("mprotect", r);
}

int safepoint_give_up(struct thread *th, int code)
{
    thread_lose_bump(th);
    at_store_relaxed(&th->m->root_count, 0);
    state_store_wake(th, SHM_OUT);
    return code;
}

int mmgc_enter(struct mmgc_thread *t)
{
    if (t == NULL)
        return error_set(MMGC_E_INVALID, "the thread is NULL");
    struct thread *th = thread_of(t);
    int r = heap_check(th->heap);
    if (r != MMGC_OK)
        return r;
    if (at_load_relaxed(&th->m->state) != SHM_OUT)
        return error_set(MMGC_E_IS_IN, NULL);
    for (;;) {
        at_store_relaxed(&th->m->state, SHM_IN);
        fence(th);
        uint32_t epoch = at_load_acquire(&th->heap->control->epoch);
        if (MM_LIKELY(!safepoint_wanted(epoch))) {
            tsan_acquire(th->heap);
            r = catch_up(th, epoch);
            if (MM_UNLIKELY(r != MMGC_OK))
                state_store_wake(th, SHM_OUT);
            return r;
        }
        state_store_wake(th, SHM_OUT);
        r = wait_epoch(th, epoch);
        if (r != MMGC_OK)
            return r;
    }
}

void mmgc_leave(struct mmgc_thread *t)
{
    if (t == NULL || thread_of(t)->generation != fork_generation)
        return;
    struct thread *th = thread_of(t);
    hold_publish(th);
    tsan_release(th->heap);
    at_store_relaxed(&th->m->root_count, 0); /* the bump stays: its span is still ours */
    at_store_release(&th->m->state, SHM_OUT);
    fence(th);
    if (MM_UNLIKELY(safepoint_wanted(at_load_relaxed(&th->heap->control->epoch))))
        futex_wake_all(&th->m->state);
}

int safepoint_park(struct thread *th)
{
    int r = roots_publish(th);

    if (r != MMGC_OK)
        return r;
    hold_publish(th);
    tsan_release(th->heap);
    at_store_release(&th->m->state, SHM_PARKED);
    fence(th);
    if (safepoint_wanted(at_load_relaxed(&th->heap->control->epoch)))
        futex_wake_all(&th->m->state);
    return MMGC_OK;
}

int safepoint_resume(struct thread *th)
{
    int broken = at_load_relaxed(&th->heap->connection.broken);

    if (MM_UNLIKELY(broken != MMGC_OK)) /* its roots may be forgotten already: the pointers are no good */
        return safepoint_give_up(th, broken);
    for (;;) {
        at_store_relaxed(&th->m->state, SHM_IN);
        fence(th);
        uint32_t epoch = at_load_acquire(&th->heap->control->epoch);
        if (MM_LIKELY(!safepoint_wanted(epoch))) {
            tsan_acquire(th->heap);
            int r = catch_up(th, epoch);
            return MM_LIKELY(r == MMGC_OK) ? MMGC_OK : safepoint_give_up(th, r);
        }
        state_store_wake(th, SHM_PARKED); /* with the roots that stand there: not touched */
        int r = wait_epoch(th, epoch);
        if (r != MMGC_OK)
            return safepoint_give_up(th, r);
    }
}

int safepoint_sleep(struct thread *th, uint32_t go, uint64_t deadline_ns)
{
    uint64_t now_ns = mm_now_ns();

    if (now_ns >= deadline_ns)
        return error_set(MMGC_E_TIMEOUT, NULL);
    int r = safepoint_park(th);
    if (r != MMGC_OK)
        return r;
    if (futex_wait(&th->heap->session->go, go, MM_MIN(deadline_ns - now_ns, LOOK_EVERY_NS)) != FUTEX_WOKEN)
        (void)connection_look(&th->heap->connection); /* what it finds, safepoint_resume() says */
    return safepoint_resume(th);
}

int safepoint_poll(struct thread *th)
{
    uint32_t epoch = at_load_relaxed(&th->heap->control->epoch);

    if (!safepoint_wanted(epoch))
        return MMGC_OK;
    int r = roots_publish(th);
    if (r != MMGC_OK)
        return r;
    hold_publish(th);
    state_store_wake(th, SHM_PARKED);
    r = wait_epoch(th, epoch);
    return r == MMGC_OK ? safepoint_resume(th) : safepoint_give_up(th, r);
}

int mmgc_poll_slow_(struct mmgc_thread *t)
{
    int r = thread_check_in(t);

    return r == MMGC_OK ? safepoint_poll(thread_of(t)) : r;
}
