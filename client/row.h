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

#define ROW_SERIAL_MASK (UINT32_MAX >> SHM_ROW_SERIAL_SHIFT)

struct row {
    uint32_t slot, serial;                   /* slot 0: none */
};

/* Why row_check_object() says no; the detail is set. */
int row_explain_object(const struct thread *th, const void *object);
/* Whether @object (not NULL) may be one of this heap: in the arena, aligned, with a header of a known type. The thread is IN.
 * MMGC_E_NO_OBJECT. */
static inline bool row_may_be_object(const struct thread *th, const void *object)
{
    const struct shm_control *control = th->heap->control;
    uint64_t at = (uint64_t)((const char *)object - th->heap->base);

    if (MM_UNLIKELY(at - MM_GRANULE_BYTES >= control->arena_bytes - MM_GRANULE_BYTES || at % MM_GRANULE_BYTES != 0))
        return false;
    uint32_t type = object_header_type(at_load_relaxed((const _Atomic uint64_t *)object - 1));
    return MM_LIKELY(type - 1 < at_load_relaxed(&control->type_count) - 1);
}
static inline int row_check_object(const struct thread *th, const void *object)
{
    if (MM_LIKELY(row_may_be_object(th, object)))
        return MMGC_OK;
    return row_explain_object(th, object);
}
/* The thread that this system thread last began a row with: where a row that ends here may go. Never looked at for a heap that it was
 * not found in: heaps have numbers. */
struct row_keeper {
    const struct mmgc_heap *heap;
    uint64_t number;
    struct thread *th;
};
extern _Thread_local struct row_keeper row_keeper __attribute__((tls_model("initial-exec")));

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
/* A slot whose row has ended is free, and that of a thread again if this system thread has one. */
void row_slot_give_back(struct mmgc_heap *heap, uint32_t slot);
/* The same as row_end() in two steps, for leases: who makes the first is alone with the row, which still pins its object, until the second. *ret_tag
 * is what stood there, for both. A row that was revoked is not used again (shm/lease.h). */
int row_end_begin(struct mmgc_heap *heap, struct row row, unsigned kinds, uint32_t *ret_tag);
static inline void row_end_finish(struct mmgc_heap *heap, struct row row, uint32_t tag);
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
    if (MM_LIKELY(shm_row_serial(tag) == row.serial && (kinds >> (tag & SHM_ROW_KIND_MASK) & 1u) != 0))
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

/* ---- the same as above, as nearly always: without a call ---------------------------------------------------------- */

/* The row in @slot, whose note is written, begins for what is at @granule. */
static inline uint32_t row_start(struct shm_session *session, uint32_t slot, enum shm_row_kind kind, uint32_t granule)
{
    uint32_t serial = (shm_row_serial(at_load_relaxed(&session->row_tags[slot])) + 1) & ROW_SERIAL_MASK; /* R4 */

    at_store_release(&session->row_words[slot], granule); /* R1 */
    at_store_release(&session->row_tags[slot], shm_row_tag(kind, serial)); /* R3 */
    return serial;
}
/* row_begin() where that is possible without further ado: the thread has a free row, no hold is open. @object is not NULL, and is at @granule if
 * it is one. @timed: the caller stores the note's time himself. False: nothing was done. */
static inline __attribute__((always_inline)) bool row_begin_at_once(struct thread *th, enum shm_row_kind kind, const void *object,
                                                                    uint32_t granule, const char *name, bool timed, struct row *ret_row)
{
    struct mmgc_heap *heap = th->heap;
    struct shm_session *session = heap->session;

    if (MM_UNLIKELY(th->row_count == 0 || th->hold_depth != 0 || !row_may_be_object(th, object)))
        return false;
    uint32_t slot = th->rows[--th->row_count];
    struct shm_row_note *note = &session->row_notes[slot];
    row_keeper = (struct row_keeper){ heap, heap->number, th };
    if (MM_UNLIKELY(name != NULL || note->name[0] != '\0'))
        row_name(heap, slot, name, 0);
    else if (!timed && MM_UNLIKELY(at_load_relaxed(&note->since_ns) != 0)) /* most rows have neither, and their page is not touched for writing */
        at_store_relaxed(&note->since_ns, 0);
    *ret_row = (struct row){ slot, row_start(session, slot, kind, granule) };
    return true;
}
static inline uint32_t row_granule(const struct thread *th, const void *object)
{
    return (uint32_t)((uint64_t)((const char *)object - th->m->base) >> MM_GRANULE_LOG);
}
static inline __attribute__((always_inline)) void row_slot_keep(struct mmgc_heap *heap, uint32_t slot)
{
    bool ours = row_keeper.heap == heap && row_keeper.number == heap->number;

    if (MM_LIKELY(ours && row_keeper.th->row_count < THREAD_ROWS))
        row_keeper.th->rows[row_keeper.th->row_count++] = slot;
    else
        row_slot_give_back(heap, slot);
}
/* row_end() of a row of just this kind. False: it is none, and nothing was done. */
static inline bool row_end_at_once(struct mmgc_heap *heap, struct row row, enum shm_row_kind kind)
{
    uint32_t tag = shm_row_tag(kind, row.serial);
    bool known = row.slot < SHM_ROWS_MAX && row.serial <= ROW_SERIAL_MASK;

    if (MM_UNLIKELY(!known || !at_cas_acq_rel(&heap->session->row_tags[row.slot], &tag, shm_row_tag(SHM_ROW_FREE, row.serial))))
        return false;
    at_store_release(&heap->session->row_words[row.slot], 0);
    row_slot_keep(heap, row.slot);
    return true;
}
/* row_end_begin() of a lease, where nobody else ends it, or changes it. 0: nothing was done; else what stood there. */
static inline uint32_t row_end_begin_at_once(struct shm_session *session, struct row row)
{
    if (MM_UNLIKELY(row.slot >= SHM_ROWS_MAX || row.serial > ROW_SERIAL_MASK))
        return 0;
    _Atomic uint32_t *word = &session->row_tags[row.slot];
    uint32_t tag = at_load_acquire(word), rest = tag - shm_row_tag(SHM_ROW_SHARED, row.serial); /* of the kind and no flag, or much */
    return MM_LIKELY(rest <= SHM_ROW_REVOKED - SHM_ROW_SHARED && at_cas_seq_cst(word, &tag, tag | SHM_ROW_ENDING)) ? tag : 0;
}
static_assert(SHM_ROW_EXCLUSIVE == SHM_ROW_SHARED + 1 && SHM_ROW_REVOKED == SHM_ROW_SHARED + 2, "row_end_begin_at_once()");
static inline void row_end_finish(struct mmgc_heap *heap, struct row row, uint32_t tag)
{
    struct shm_session *session = heap->session;

    at_store_release(&session->row_tags[row.slot], shm_row_tag(SHM_ROW_FREE, row.serial)); /* ours alone while it is ENDING */
    at_store_release(&session->row_words[row.slot], 0);
    if (MM_LIKELY((tag & SHM_ROW_KIND_MASK) != SHM_ROW_REVOKED))
        row_slot_keep(heap, row.slot);
}
