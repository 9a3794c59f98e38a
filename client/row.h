/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/* Row: the heap's table in the session segment (shm/session.h): which rows are free, and how one begins and ends.
 *   Owner    the heap; which rows are free is known here alone, in private memory
 *   Threads  any; the heap's lock is held for the free list alone                                          */
#include <stdbool.h>
#include <stdint.h>

#include "client/heap.h"

struct thread;

struct row {
    uint32_t slot, serial;                   /* slot 0: none */
};

/* Begins a row of @kind for @object (of this heap, or NULL). The thread is IN. @name may be NULL; it is cut to SHM_ROW_NAME_MAX bytes.
 * MMGC_E_LIMIT, MMGC_E_SYSTEM. */
int row_begin(struct thread *th, enum shm_row_kind kind, const void *object, const char *name, struct row *ret_row);
/* The same without a name; @mark is what its note says in the place of a time. */
int row_begin_marked(struct thread *th, enum shm_row_kind kind, const void *object, uint64_t mark, struct row *ret_row);
/* The same in @table, which may be another session of the thread's heap (table.h). */
int row_begin_in(struct mmgc_heap *table, enum shm_row_kind kind, uint32_t granule, const char *name, struct row *ret_row);
/* Ends it, from anywhere. MMGC_OK once; MMGC_E_DROPPED: it has ended; MMGC_E_INVALID: there never was such a row, or it is of none of
 * @kinds (bit 1 << kind). */
int row_end(struct mmgc_heap *heap, struct row row, unsigned kinds);
/* Is it a row of just this kind, as nearly always? If not, row_check() says why. */
static inline bool row_is(const struct mmgc_heap *heap, struct row row, enum shm_row_kind kind)
{
    return row.slot < SHM_ROWS_MAX && at_load_acquire(&heap->session->row_tags[row.slot]) == shm_row_tag(kind, row.serial);
}
/* The same codes, of a row that goes on; *ret_tag is what stands there. */
int row_check(const struct mmgc_heap *heap, struct row row, unsigned kinds, uint32_t *ret_tag);
void row_free_all(struct mmgc_heap *heap);
