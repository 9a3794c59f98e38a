/* SPDX-License-Identifier: Apache-2.0 */
/* handle.c - Handle: roots in the session segment, for any thread of this process.
 *   H1  a slot is stored only by a thread that is IN, so not while the daemon updates it; dropping, which may come from
 *       anywhere, is an exchange, and the daemon's is a compare-and-swap (soundness S8)
 *   H2  handle_high is raised before a new slot is used; the daemon looks at no slot from there on
 *   Slot 0 is never used: {0} is no handle. Which slots are free is known here alone, in private memory. */
#include <errno.h>
#include <mmgc/mmgc.h>
#include <stdlib.h>

#include "client/error.h"
#include "client/heap.h"
#include "client/thread.h"

#define HANDLE_USED UINT32_MAX /* in handle_next: not in the free list */
#define FIRST_CAPACITY 64u

static int handles_grow_locked(struct mmgc_heap *heap)
{
    uint32_t capacity = heap->handle_capacity == 0 ? FIRST_CAPACITY : heap->handle_capacity * 2;

    if (heap->handle_capacity == SHM_HANDLES_MAX)
        return error_set(MMGC_E_LIMIT, "%u handles", SHM_HANDLES_MAX - 1);
    uint32_t *next = reallocarray(heap->handle_next, capacity, sizeof(*next));
    if (next == NULL)
        return error_system("malloc", -ENOMEM);
    heap->handle_next = next;
    heap->handle_capacity = capacity;
    return MMGC_OK;
}

static int slot_take_locked(struct mmgc_heap *heap, uint32_t *ret_slot)
{
    uint32_t slot = heap->handle_free;

    if (slot != 0) {
        heap->handle_free = heap->handle_next[slot];
    } else {
        slot = heap->handle_high == 0 ? 1 : heap->handle_high;
        if (slot >= heap->handle_capacity) {
            int r = handles_grow_locked(heap);
            if (r != MMGC_OK)
                return r;
        }
        heap->handle_high = slot + 1;
        at_store_release(&heap->session->handle_high, slot + 1); /* H2 */
    }
    heap->handle_next[slot] = HANDLE_USED;
    *ret_slot = slot;
    return MMGC_OK;
}

int mmgc_handle_new(struct mmgc_thread *t, const void *object, mmgc_handle *ret_handle)
{
    int r = thread_check_in(t);

    if (r != MMGC_OK)
        return r;
    if (ret_handle == NULL)
        return error_set(MMGC_E_INVALID, "ret_handle is NULL");
    struct mmgc_heap *heap = thread_of(t)->heap;
    mmgc_handle handle = { 0 };
    (void)pthread_mutex_lock(&heap->lock);
    r = slot_take_locked(heap, &handle.slot);
    (void)pthread_mutex_unlock(&heap->lock);
    if (r != MMGC_OK)
        return r;
    at_store_release(&heap->session->handles[handle.slot], mmgc_ref_of(t, object).granule); /* H1 */
    *ret_handle = handle;
    return MMGC_OK;
}

void *mmgc_handle_get(struct mmgc_thread *t, mmgc_handle handle)
{
    int r = thread_check_in(t);

    if (r != MMGC_OK)
        return t != NULL ? thread_fail(thread_of(t), r) : NULL;
    if (handle.slot >= SHM_HANDLES_MAX)
        return thread_fail(thread_of(t), error_set(MMGC_E_INVALID, "not a handle"));
    mmgc_ref ref = { at_load_acquire(&thread_of(t)->heap->session->handles[handle.slot]) };
    return mmgc_deref(t, ref);
}

void mmgc_handle_set(struct mmgc_thread *t, mmgc_handle handle, const void *object)
{
    if (handle.slot == 0 || handle.slot >= SHM_HANDLES_MAX || thread_check_in(t) != MMGC_OK)
        return;
    at_store_release(&thread_of(t)->heap->session->handles[handle.slot], mmgc_ref_of(t, object).granule);
}

void mmgc_handle_drop(struct mmgc_heap *heap, mmgc_handle handle)
{
    if (heap == NULL || heap->generation != fork_generation || handle.slot == 0)
        return;
    (void)pthread_mutex_lock(&heap->lock);
    if (handle.slot < heap->handle_high && heap->handle_next[handle.slot] == HANDLE_USED) {
        (void)at_exchange_acq_rel(&heap->session->handles[handle.slot], 0); /* H1 */
        heap->handle_next[handle.slot] = heap->handle_free;
        heap->handle_free = handle.slot;
    } /* else it was dropped before */
    (void)pthread_mutex_unlock(&heap->lock);
}
