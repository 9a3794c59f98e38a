/* SPDX-License-Identifier: Apache-2.0 */
/* reference.c - Reference: loading what keeps nothing alive, and queues.
 *   F1  while a cycle marks, what was found by a weak reference is in the ring before it is anybody's pointer: so it is marked before the cycle
 *       clears anything, which happens at a stop, when this thread is not inside. Control's word is raised and read as the barrier's is
 *       (write_barrier.c); that it was lowered we may miss, and write down too much
 *   F2  a queue grows only while the world is stopped; who waits has read the session's go before it looks, and each resume raises that */
#include <mmgc/reference.h>

#include "client/error.h"
#include "client/row.h"
#include "client/safepoint.h"
#include "client/thread.h"
#include "client/write_barrier.h"
#include "shm/control.h"

#define STAMP_SHIFT 27u /* units of 134 ms: plans/stage/references.h */

static_assert(offsetof(struct shm_control, keeps) == offsetof(struct shm_control, epoch) + 2 * sizeof(uint32_t), "mmgc/reference.h");

void *mmgc_keep_found_(struct mmgc_thread *t, void *object)
{
    struct thread *th = thread_of(t);

    if (object == NULL || at_load_relaxed(&th->heap->control->keeps) == 0 || write_barrier_keep(th, mmgc_ref_of(t, object).granule))
        return object;
    return thread_fail(th, error_set(MMGC_E_STALLED, "too many weak references were loaded while a collection marks"));
}

void *mmgc_load_soft(struct mmgc_thread *t, struct mmgc_soft *slot)
{
    void *object = mmgc_load_weak(t, &slot->ref);
    uint32_t now = (uint32_t)(mm_now_coarse_ns() >> STAMP_SHIFT);

    if (object != NULL && !thread_of(t)->heap->read_only && __atomic_load_n(&slot->used, __ATOMIC_RELAXED) != now)
        __atomic_store_n(&slot->used, now, __ATOMIC_RELAXED);
    return object;
}

/* ---- types ---- */

static int type_of_elements(struct mmgc_heap *heap, const char *name, uint32_t bytes, size_t ref, mmgc_type *ret_type)
{
    uint32_t refs[] = { (uint32_t)ref };
    struct mmgc_type_layout layout = { .name = name, .element_bytes = bytes, .element_refs = refs, .element_ref_count = 1 };

    return mmgc_type_define(heap, &layout, ret_type);
}

struct weak {
    mmgc_ref ref;
};
struct ephemeron {
    struct mmgc_ephemeron pair;
};
struct queue { /* stage/references.c knows that its first word is the reference */
    mmgc_ref first;
};

int mmgc_type_weak_refs(struct mmgc_heap *heap, mmgc_type *ret_type)
{
    return type_of_elements(heap, "weak[]", sizeof(struct weak), MMGC_WEAK(weak, ref), ret_type);
}

int mmgc_type_ephemerons(struct mmgc_heap *heap, mmgc_type *ret_type)
{
    return type_of_elements(heap, "ephemeron[]", sizeof(struct ephemeron), MMGC_EPHEMERON(ephemeron, pair), ret_type);
}

/* ---- queues ---- */

void *mmgc_queue_new(struct mmgc_thread *t)
{
    mmgc_type type;
    int r = thread_check_in(t);

    if (r == MMGC_OK)
        r = mmgc_type_struct(thread_of(t)->heap, "queue", sizeof(struct queue), &type, 1u, offsetof(struct queue, first));
    if (r != MMGC_OK)
        return t != NULL ? thread_fail(thread_of(t), r) : NULL;
    return mmgc_new(t, type);
}

void *mmgc_queue_take(struct mmgc_thread *t, void *queue)
{
    return mmgc_exchange(t, queue, &((struct queue *)queue)->first, NULL);
}

/* [safepoint] *queue is where the row says that it is, after each sleep. */
static int wait_for_queue(struct thread *th, struct row row, uint64_t deadline_ns)
{
    for (;;) {
        uint32_t go = at_load_acquire(&th->heap->session->go); /* F2 */
        mmgc_ref ref = { at_load_acquire(&th->heap->session->row_words[row.slot]) };
        const struct queue *queue = mmgc_deref(thread_public(th), ref);
        if (!mmgc_is_cleared(&queue->first))
            return MMGC_OK;
        int r = safepoint_sleep(th, go, deadline_ns);
        if (r != MMGC_OK)
            return r;
    }
}

int mmgc_queue_wait(struct mmgc_thread *t, const void *queue, uint64_t timeout_ns)
{
    struct row row;
    int r = thread_check_in(t);

    if (r == MMGC_OK && queue == NULL)
        r = error_set(MMGC_E_INVALID, "the queue is NULL");
    if (r == MMGC_OK)
        r = row_begin(thread_of(t), SHM_ROW_STRONG, queue, "mmgc_queue_wait", &row);
    if (r != MMGC_OK)
        return r;
    uint64_t now_ns = mm_now_ns();
    struct mmgc_heap *heap = thread_of(t)->heap;
    r = wait_for_queue(thread_of(t), row, timeout_ns > UINT64_MAX - now_ns ? UINT64_MAX : now_ns + timeout_ns);
    (void)row_end(heap, row, 1u << SHM_ROW_STRONG);
    return r;
}
