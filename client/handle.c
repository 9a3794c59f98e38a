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

static int handle_new(struct mmgc_thread *t, const void *object, mmgc_handle *ret_handle)
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
    return MISUSE(handle_new(t, object, ret_handle));
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
    bool in = t != NULL && thread_of(t)->generation == fork_generation && thread_is_in(thread_of(t));

    if (MM_UNLIKELY(!in || !row_is(thread_of(t)->heap, row_of(handle), SHM_ROW_STRONG)))
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

int mmgc_handle_drop(struct mmgc_heap *heap, mmgc_handle handle)
{
    int r = check_heap(heap);

    return MISUSE(r == MMGC_OK ? row_end(heap, row_of(handle), HANDLE_KINDS) : r);
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

void *mmgc_weak_get(struct mmgc_thread *t, mmgc_weak weak)
{
    uint32_t tag = 0;
    void *object = NULL;
    int r = MISUSE(weak_load(t, weak, &tag, &object));

    return MM_LIKELY(r == MMGC_OK) ? object : failed(t, r);
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
    int r = check_heap(heap);

    return MISUSE(r == MMGC_OK ? row_end(heap, row_of_weak(weak), WEAK_KINDS) : r);
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
