/* SPDX-License-Identifier: Apache-2.0 */
/* handle.c - Handle: roots, and what is none, for any thread of this process: rows of the session's table (row.c). */
#include <mmgc/handle.h>

#include "client/hold.h"
#include "client/misuse.h"
#include "client/row.h"

#define HANDLE_KINDS (1u << SHM_ROW_STRONG)
#define WEAK_KINDS (1u << SHM_ROW_WEAK | 1u << SHM_ROW_SOFT)

static struct row row_of(mmgc_handle handle)
{
    return (struct row){ handle.slot, handle.serial };
}

static struct row row_of_weak(mmgc_weak weak)
{
    return (struct row){ weak.slot, weak.serial };
}

static int check_heap(const struct mmgc_heap *heap)
{
    return heap == NULL ? error_set(MMGC_E_INVALID, "the heap is NULL") : fork_check(heap->generation);
}

/* A row of @kind for @object, whose number goes to *@ret_slot and *@ret_serial. */
static int begin(struct mmgc_thread *t, enum shm_row_kind kind, const void *object, uint32_t *ret_slot, uint32_t *ret_serial)
{
    struct row row;
    int r = row_begin(thread_of(t), kind, object, NULL, &row);

    if (r != MMGC_OK)
        return r;
    *ret_slot = row.slot;
    *ret_serial = row.serial;
    return MMGC_OK;
}

/* ---- strong ------------------------------------------------------------------------------------------------------- */

static __attribute__((noinline)) int handle_new(struct mmgc_thread *t, const void *object, mmgc_handle *ret_handle)
{
    int r = thread_check_in(t);

    if (r != MMGC_OK)
        return r;
    if (ret_handle == NULL)
        return error_set(MMGC_E_INVALID, "ret_handle is NULL");
    return begin(t, SHM_ROW_STRONG, object, &ret_handle->slot, &ret_handle->serial);
}

int mmgc_handle_new(struct mmgc_thread *t, const void *object, mmgc_handle *ret_handle)
{
    struct row row;

    if (MM_UNLIKELY(!thread_may_go_on(t) || object == NULL || ret_handle == NULL ||
                    !row_begin_at_once(thread_of(t), SHM_ROW_STRONG, object, row_granule(thread_of(t), object), NULL, false, &row)))
        return MISUSE(handle_new(t, object, ret_handle));
    ret_handle->slot = row.slot;
    ret_handle->serial = row.serial;
    return MMGC_OK;
}

static void *failed(struct mmgc_thread *t, int code)
{
    return t == NULL ? NULL : thread_fail(thread_of(t), code);
}

/* What a strong row has; NULL is a value, too. */
static int handle_load(struct mmgc_thread *t, mmgc_handle handle, void **ret_object)
{
    uint32_t tag = 0;
    int r = thread_check_in(t);

    if (r == MMGC_OK)
        r = row_check(thread_of(t)->heap, row_of(handle), HANDLE_KINDS, &tag);
    if (r != MMGC_OK)
        return r;
    mmgc_ref ref = { at_load_acquire(&thread_of(t)->heap->session->row_words[handle.slot]) };
    *ret_object = mmgc_deref(t, ref);
    return MMGC_OK;
}

/* Why there is nothing to be had. */
static __attribute__((noinline)) void *explain_get(struct mmgc_thread *t, mmgc_handle handle)
{
    void *object = NULL;
    int r = handle_load(t, handle, &object);

    misuse_check("mmgc_handle_get", r);
    return failed(t, r);
}

void *mmgc_handle_get(struct mmgc_thread *t, mmgc_handle handle)
{
    if (MM_UNLIKELY(!thread_may_go_on(t) || !row_is(thread_of(t)->heap, row_of(handle), SHM_ROW_STRONG)))
        return explain_get(t, handle);
    mmgc_ref ref = { at_load_acquire(&thread_of(t)->heap->session->row_words[handle.slot]) };
    return mmgc_deref(t, ref);
}

static int handle_set(struct mmgc_thread *t, mmgc_handle handle, const void *object)
{
    uint32_t tag = 0;
    int r = thread_check_in(t);

    if (r == MMGC_OK)
        r = row_check(thread_of(t)->heap, row_of(handle), HANDLE_KINDS, &tag);
    if (r == MMGC_OK && hold_owns(thread_of(t), object))
        r = hold_refuse(thread_of(t), object);
    if (r == MMGC_OK && object != NULL)
        r = row_check_object(thread_of(t), object);
    if (r == MMGC_OK)
        at_store_release(&thread_of(t)->heap->session->row_words[handle.slot], mmgc_ref_of(t, object).granule);
    return r;
}

int mmgc_handle_set(struct mmgc_thread *t, mmgc_handle handle, const void *object)
{
    return MISUSE(handle_set(t, handle, object));
}

int mmgc_handle_dup(struct mmgc_thread *t, mmgc_handle handle, mmgc_handle *ret_handle)
{
    void *object = NULL;
    int r = handle_load(t, handle, &object);

    return MISUSE(r == MMGC_OK ? handle_new(t, object, ret_handle) : r);
}

static __attribute__((noinline)) int end(struct mmgc_heap *heap, struct row row, unsigned kinds)
{
    int r = check_heap(heap);

    return r == MMGC_OK ? row_end(heap, row, kinds) : r;
}

static inline bool heap_may_be_used(const struct mmgc_heap *heap)
{
    return heap != NULL && heap->generation == fork_generation;
}

int mmgc_handle_drop(struct mmgc_heap *heap, mmgc_handle handle)
{
    if (MM_LIKELY(heap_may_be_used(heap) && row_end_at_once(heap, row_of(handle), SHM_ROW_STRONG)))
        return MMGC_OK;
    return MISUSE(end(heap, row_of(handle), HANDLE_KINDS));
}

/* ---- weak and soft ------------------------------------------------------------------------------------------------ */

static int weak_new(struct mmgc_thread *t, enum shm_row_kind kind, const void *object, mmgc_weak *ret_weak)
{
    int r = thread_check_in(t);

    if (r != MMGC_OK)
        return r;
    if (object == NULL || ret_weak == NULL)
        return error_set(MMGC_E_INVALID, "object or ret_weak is NULL");
    return begin(t, kind, object, &ret_weak->slot, &ret_weak->serial);
}

int mmgc_weak_new(struct mmgc_thread *t, const void *object, mmgc_weak *ret_weak)
{
    return MISUSE(weak_new(t, SHM_ROW_WEAK, object, ret_weak));
}

int mmgc_soft_new(struct mmgc_thread *t, const void *object, mmgc_weak *ret_weak)
{
    return MISUSE(weak_new(t, SHM_ROW_SOFT, object, ret_weak));
}

/* Rows are cleared while the world is stopped, and we are IN: what is there now stays until the next safepoint. */
static int weak_load(struct mmgc_thread *t, mmgc_weak weak, uint32_t *ret_tag, void **ret_object)
{
    int r = thread_check_in(t);

    if (r == MMGC_OK)
        r = row_check(thread_of(t)->heap, row_of_weak(weak), WEAK_KINDS, ret_tag);
    if (MM_UNLIKELY(r != MMGC_OK))
        return r;
    mmgc_ref ref = { at_load_acquire(&thread_of(t)->heap->session->row_words[weak.slot]) };
    if ((*ret_tag & SHM_ROW_CLEARED) != 0 || ref.granule == 0)
        return error_set(MMGC_E_CLEARED, NULL);
    r = row_keep(thread_of(t), ref.granule);
    if (MM_UNLIKELY(r != MMGC_OK))
        return r;
    if (MM_UNLIKELY(shm_row_kind(*ret_tag) == SHM_ROW_SOFT))
        at_store_relaxed(&thread_of(t)->heap->session->row_notes[weak.slot].since_ns, mm_now_coarse_ns()); /* it was used */
    *ret_object = mmgc_deref(t, ref);
    return MMGC_OK;
}

static __attribute__((noinline)) void *get_slowly(struct mmgc_thread *t, mmgc_weak weak)
{
    uint32_t tag = 0;
    void *object = NULL;
    int r = weak_load(t, weak, &tag, &object);

    misuse_check("mmgc_weak_get", r);
    return r == MMGC_OK ? object : failed(t, r);
}

/* A row that is just WEAK is neither soft nor cleared. */
void *mmgc_weak_get(struct mmgc_thread *t, mmgc_weak weak)
{
    if (MM_UNLIKELY(!thread_may_go_on(t) || !row_is(thread_of(t)->heap, row_of_weak(weak), SHM_ROW_WEAK)))
        return get_slowly(t, weak);
    mmgc_ref ref = { at_load_acquire(&thread_of(t)->heap->session->row_words[weak.slot]) };
    if (MM_UNLIKELY(ref.granule == 0 || at_load_relaxed(&thread_of(t)->heap->control->keeps) != 0))
        return get_slowly(t, weak);
    return mmgc_deref(t, ref);
}

int mmgc_weak_upgrade(struct mmgc_thread *t, mmgc_weak weak, mmgc_handle *ret_handle)
{
    uint32_t tag = 0;
    void *object = NULL;
    int r = weak_load(t, weak, &tag, &object);

    return MISUSE(r == MMGC_OK ? handle_new(t, object, ret_handle) : r);
}

int mmgc_weak_dup(struct mmgc_thread *t, mmgc_weak weak, mmgc_weak *ret_weak)
{
    uint32_t tag = 0;
    void *object = NULL;
    int r = weak_load(t, weak, &tag, &object);

    return MISUSE(r == MMGC_OK ? weak_new(t, shm_row_kind(tag), object, ret_weak) : r);
}

int mmgc_handle_weaken(struct mmgc_thread *t, mmgc_handle handle, mmgc_weak *ret_weak)
{
    void *object = NULL;
    int r = handle_load(t, handle, &object);

    return MISUSE(r == MMGC_OK ? weak_new(t, SHM_ROW_WEAK, object, ret_weak) : r);
}

int mmgc_weak_drop(struct mmgc_heap *heap, mmgc_weak weak)
{
    return MISUSE(end(heap, row_of_weak(weak), WEAK_KINDS));
}

/* ---- for people --------------------------------------------------------------------------------------------------- */

static int handle_name(struct mmgc_heap *heap, mmgc_handle handle, const char *name)
{
    uint32_t tag = 0;
    int r = check_heap(heap);

    if (r == MMGC_OK)
        r = row_check(heap, row_of(handle), HANDLE_KINDS, &tag);
    if (r == MMGC_OK)
        row_name(heap, handle.slot, name, mm_now_coarse_ns());
    return r;
}

int mmgc_handle_name(struct mmgc_heap *heap, mmgc_handle handle, const char *name)
{
    return MISUSE(handle_name(heap, handle, name));
}
