/* SPDX-License-Identifier: Apache-2.0 */
/* handle.c - Handle: roots for any thread of this process: rows of the session's table (row.c). */
#include <mmgc/mmgc.h>

#include "client/error.h"
#include "client/fork.h"
#include "client/hold.h"
#include "client/row.h"
#include "client/thread.h"

#define HANDLE_KINDS (1u << SHM_ROW_STRONG)

static struct row row_of(mmgc_handle handle)
{
    return (struct row){ handle.slot, handle.serial };
}

int mmgc_handle_new(struct mmgc_thread *t, const void *object, mmgc_handle *ret_handle)
{
    int r = thread_check_in(t);

    if (r != MMGC_OK)
        return r;
    if (ret_handle == NULL)
        return error_set(MMGC_E_INVALID, "ret_handle is NULL");
    if (hold_owns(thread_of(t), object))
        return hold_refuse(thread_of(t), object);
    struct row row;
    r = row_begin(thread_of(t), SHM_ROW_STRONG, object, NULL, &row);
    if (r == MMGC_OK)
        *ret_handle = (mmgc_handle){ row.slot, row.serial };
    return r;
}

/* Why there is nothing to be had. */
static __attribute__((noinline)) void *explain_get(struct mmgc_thread *t, mmgc_handle handle)
{
    uint32_t tag;
    int r = thread_check_in(t);

    if (r == MMGC_OK)
        r = row_check(thread_of(t)->heap, row_of(handle), HANDLE_KINDS, &tag);
    return t != NULL ? thread_fail(thread_of(t), r) : NULL;
}

void *mmgc_handle_get(struct mmgc_thread *t, mmgc_handle handle)
{
    bool in = t != NULL && thread_of(t)->generation == fork_generation && thread_is_in(thread_of(t));

    if (MM_UNLIKELY(!in || !row_is(thread_of(t)->heap, row_of(handle), SHM_ROW_STRONG)))
        return explain_get(t, handle);
    mmgc_ref ref = { at_load_acquire(&thread_of(t)->heap->session->row_words[handle.slot]) };
    return mmgc_deref(t, ref);
}

int mmgc_handle_set(struct mmgc_thread *t, mmgc_handle handle, const void *object)
{
    uint32_t tag;
    int r = thread_check_in(t);

    if (r == MMGC_OK)
        r = row_check(thread_of(t)->heap, row_of(handle), HANDLE_KINDS, &tag);
    if (r == MMGC_OK && hold_owns(thread_of(t), object))
        r = hold_refuse(thread_of(t), object);
    if (r == MMGC_OK)
        at_store_release(&thread_of(t)->heap->session->row_words[handle.slot], mmgc_ref_of(t, object).granule);
    return r;
}

int mmgc_handle_drop(struct mmgc_heap *heap, mmgc_handle handle)
{
    int r = heap == NULL ? error_set(MMGC_E_INVALID, "the heap is NULL") : fork_check(heap->generation);

    return r == MMGC_OK ? row_end(heap, row_of(handle), HANDLE_KINDS) : r;
}
