/* SPDX-License-Identifier: Apache-2.0 */
/* row.c - Row: handles, leases, guards and watches of one heap, in the session segment.
 *   R1  a word is stored only by a thread that is IN, so not while the daemon updates it; ending a row, which may come from
 *       anywhere, is a compare-and-swap of its tag, and the daemon's are, too (soundness S8)
 *   R2  row_high is raised before a new row is used; the daemon looks at no row from there on
 *   R3  a row that has begun stores its note, its word and then its tag (release): who sees the tag sees the word
 *   R4  the serial in a tag is one more each time that the row begins: who holds the number of an earlier one finds out
 *   Row 0 is never used: {0} is no handle. */
#include "client/row.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "client/thread.h"

#define FIRST_CAPACITY 64u
#define SERIAL_MASK (UINT32_MAX >> SHM_ROW_SERIAL_SHIFT)

static int rows_grow_locked(struct mmgc_heap *heap)
{
    uint32_t limit = MM_MIN(heap->session->row_limit, SHM_ROWS_MAX);
    uint32_t capacity = MM_MIN(heap->row_capacity == 0 ? FIRST_CAPACITY : heap->row_capacity * 2, limit);

    if (heap->row_capacity >= limit)
        return error_set(MMGC_E_LIMIT, "%u handles, leases, guards and watches together", limit - 1);
    uint32_t *next = reallocarray(heap->row_next, capacity, sizeof(*next));
    if (next == NULL)
        return error_system("malloc", -ENOMEM);
    heap->row_next = next;
    heap->row_capacity = capacity;
    return MMGC_OK;
}

static int slot_take_locked(struct mmgc_heap *heap, uint32_t *ret_slot)
{
    uint32_t slot = heap->row_free;

    if (slot != 0) {
        heap->row_free = heap->row_next[slot];
        *ret_slot = slot;
        return MMGC_OK;
    }
    slot = MM_MAX(heap->row_high, 1u);
    if (slot >= heap->row_capacity) {
        int r = rows_grow_locked(heap);
        if (r != MMGC_OK)
            return r;
    }
    heap->row_high = slot + 1;
    at_store_release(&heap->session->row_high, slot + 1); /* R2 */
    *ret_slot = slot;
    return MMGC_OK;
}

static void note(struct shm_row_note *note, const char *name)
{
    size_t length = name == NULL ? 0 : strnlen(name, SHM_ROW_NAME_MAX);

    if (length == 0 && note->name[0] == '\0')
        return; /* most have none, and their page is not touched for writing */
    memcpy(note->name, name, length);
    note->name[length] = '\0';
}

static int slot_take(struct mmgc_heap *heap, uint32_t *ret_slot)
{
    (void)pthread_mutex_lock(&heap->lock);
    int r = slot_take_locked(heap, ret_slot);
    (void)pthread_mutex_unlock(&heap->lock);
    return r;
}

/* Its note is written. */
static struct row begin(struct mmgc_heap *heap, uint32_t slot, enum shm_row_kind kind, uint32_t granule)
{
    uint32_t serial = (shm_row_serial(at_load_relaxed(&heap->session->row_tags[slot])) + 1) & SERIAL_MASK; /* R4 */

    at_store_release(&heap->session->row_words[slot], granule); /* R1 */
    at_store_release(&heap->session->row_tags[slot], shm_row_tag(kind, serial)); /* R3 */
    return (struct row){ slot, serial };
}

int row_begin(struct thread *th, enum shm_row_kind kind, const void *object, const char *name, struct row *ret_row)
{
    return row_begin_in(th->heap, kind, mmgc_ref_of(thread_public(th), object).granule, name, ret_row);
}

int row_begin_in(struct mmgc_heap *heap, enum shm_row_kind kind, uint32_t granule, const char *name, struct row *ret_row)
{
    uint32_t slot;
    int r = slot_take(heap, &slot);

    if (r != MMGC_OK)
        return r;
    note(&heap->session->row_notes[slot], name);
    *ret_row = begin(heap, slot, kind, granule);
    return MMGC_OK;
}

int row_begin_marked(struct thread *th, enum shm_row_kind kind, const void *object, uint64_t mark, struct row *ret_row)
{
    uint32_t slot;
    int r = slot_take(th->heap, &slot);

    if (r != MMGC_OK)
        return r;
    note(&th->heap->session->row_notes[slot], NULL);
    at_store_relaxed(&th->heap->session->row_notes[slot].since_ns, mark);
    *ret_row = begin(th->heap, slot, kind, mmgc_ref_of(thread_public(th), object).granule);
    return MMGC_OK;
}

int row_check(const struct mmgc_heap *heap, struct row row, unsigned kinds, uint32_t *ret_tag)
{
    if (row.slot == 0 || row.slot >= at_load_acquire(&heap->session->row_high))
        return error_set(MMGC_E_INVALID, "there was never one with this number");
    uint32_t tag = at_load_acquire(&heap->session->row_tags[row.slot]);
    enum shm_row_kind kind = shm_row_kind(tag);
    *ret_tag = tag;
    if (kind == SHM_ROW_FREE || shm_row_serial(tag) != row.serial)
        return error_set(MMGC_E_DROPPED, NULL);
    return (kinds & 1u << kind) != 0 ? MMGC_OK : error_set(MMGC_E_INVALID, "it is of another kind");
}

static void slot_give_back(struct mmgc_heap *heap, uint32_t slot)
{
    (void)pthread_mutex_lock(&heap->lock);
    heap->row_next[slot] = heap->row_free;
    heap->row_free = slot;
    (void)pthread_mutex_unlock(&heap->lock);
}

int row_end(struct mmgc_heap *heap, struct row row, unsigned kinds)
{
    uint32_t tag;
    int r;

    do {
        r = row_check(heap, row, kinds, &tag);
        if (r != MMGC_OK)
            return r;
    } while (!at_cas_acq_rel(&heap->session->row_tags[row.slot], &tag, shm_row_tag(SHM_ROW_FREE, row.serial)));
    (void)at_exchange_acq_rel(&heap->session->row_words[row.slot], 0);
    slot_give_back(heap, row.slot);
    return MMGC_OK;
}

void row_free_all(struct mmgc_heap *heap)
{
    free(heap->row_next);
}
