/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/* Row: the heap's table in the session segment (shm/session.h): which rows are free, and how one begins and ends.
 *   Owner    the heap; which rows are free is known here alone, in private memory
 *   Threads  any; an attached thread keeps a few free rows for itself, so that the heap's lock is seldom taken  */
#include <stdbool.h>
#include <stdint.h>

#include "client/heap.h"
#include "client/thread.h"
#include "client/write_barrier.h"
#include "shm/object.h"
#include "shm/units.h"

struct row {
    uint32_t slot, serial;                   /* slot 0: none */
};

/* Why row_check_object() says no; the detail is set. */
int row_explain_object(const struct thread *th, const void *object);
/* Whether @object (not NULL) may be one of this heap: in the arena, aligned, with a header of a known type. The thread is IN.
 * MMGC_E_NO_OBJECT. */
static inline int row_check_object(const struct thread *th, const void *object)
{
    const struct shm_control *control = th->heap->control;
    uint64_t at = (uint64_t)((const char *)object - th->heap->base);

    if (MM_LIKELY(at - MM_GRANULE_BYTES < control->arena_bytes - MM_GRANULE_BYTES && at % MM_GRANULE_BYTES == 0)) {
        uint32_t type = object_header_type(at_load_relaxed((const _Atomic uint64_t *)object - 1));
        if (MM_LIKELY(type - 1 < at_load_relaxed(&control->type_count) - 1))
            return MMGC_OK;
    }
    return row_explain_object(th, object);
}
/* Begins a row of @kind for @object (of this heap, or NULL). The thread is IN. @name may be NULL; it is cut to SHM_ROW_NAME_MAX bytes.
 * MMGC_E_NO_OBJECT, MMGC_E_LIMIT, MMGC_E_SYSTEM. */
int row_begin(struct thread *th, enum shm_row_kind kind, const void *object, const char *name, struct row *ret_row);
/* The same without a name; @mark is what its note says in the place of a time. */
int row_begin_marked(struct thread *th, enum shm_row_kind kind, const void *object, uint64_t mark, struct row *ret_row);
/* The same in @table, which may be another session of the thread's heap (table.h). */
int row_begin_in(struct mmgc_heap *table, enum shm_row_kind kind, uint32_t granule, const char *name, struct row *ret_row);
/* Ends it, from anywhere. MMGC_OK once; MMGC_E_DROPPED: it has ended; MMGC_E_INVALID: there never was such a row, or it is of none of
 * @kinds (bit 1 << kind). */
int row_end(struct mmgc_heap *heap, struct row row, unsigned kinds);
/* The same in two steps, for leases: who makes the first is alone with the row, which still pins its object, until the second. *ret_tag is what
 * stood there, for both. A row that was revoked is not used again (shm/lease.h). */
int row_end_begin(struct mmgc_heap *heap, struct row row, unsigned kinds, uint32_t *ret_tag);
void row_end_finish(struct mmgc_heap *heap, struct row row, uint32_t tag);
/* Why a row is not one of @kinds with this serial; the detail is set. */
int row_explain(const struct mmgc_heap *heap, struct row row, unsigned kinds);
void row_name(struct mmgc_heap *heap, uint32_t slot, const char *name, uint64_t since_ns);

/* @th is being detached, by itself unless the heap is being closed: the rows that it keeps go back. */
void row_thread_ends(struct thread *th);
void row_free_all(struct mmgc_heap *heap);

/* Is it a row of just this kind, as nearly always? If not, row_check() says why. */
static inline bool row_is(const struct mmgc_heap *heap, struct row row, enum shm_row_kind kind)
{
    return row.slot < SHM_ROWS_MAX && at_load_acquire(&heap->session->row_tags[row.slot]) == shm_row_tag(kind, row.serial);
}
/* The same codes as row_end(), of a row that goes on; *ret_tag is what stands there. */
static inline int row_check(const struct mmgc_heap *heap, struct row row, unsigned kinds, uint32_t *ret_tag)
{
    if (MM_UNLIKELY(row.slot == 0 || row.slot >= SHM_ROWS_MAX))
        return row_explain(heap, row, kinds);
    uint32_t tag = *ret_tag = at_load_acquire(&heap->session->row_tags[row.slot]);
    if (MM_LIKELY(shm_row_serial(tag) == row.serial && (kinds >> (tag & 0xfu) & 1u) != 0))
        return MMGC_OK;
    return row_explain(heap, row, kinds);
}
/* What a weak row gave is about to become a pointer of a thread's: while a cycle marks beside the clients, it must hear of that. MMGC_E_STALLED: it
 * cannot (reference.c F1). */
static inline int row_keep(struct thread *th, uint32_t granule)
{
    if (MM_LIKELY(at_load_relaxed(&th->heap->control->keeps) == 0 || write_barrier_keep(th, granule)))
        return MMGC_OK;
    return error_set(MMGC_E_STALLED, "too many weak references were loaded while a collection marks");
}
