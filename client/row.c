/* SPDX-License-Identifier: Apache-2.0 */
/* row.c - Row: handles, leases, guards and watches of one heap, in the session segment.
 *   R1  a word is stored only by a thread that is IN, so not while the daemon updates it; ending a row, which may come from
 *       anywhere, is a compare-and-swap of its tag, and the daemon's are, too (soundness S8). What it then stores to the word is 0, whatever
 *       the daemon has made of it
 *   R2  row_high is raised before a new row is used; the daemon looks at no row from there on
 *   R3  a row that has begun stores its note, its word and then its tag (release): who sees the tag sees the word
 *   R4  the serial in a tag is one more each time that the row begins: who holds the number of an earlier one finds out
 *   R5  row_next is a link while a row is free and no lease's; of a lease, where its entry stands (lease_table.c). Its memory never moves
 *   Row 0 is never used: {0} is no handle. */
#include "client/row.h"

#include <errno.h>
#include <string.h>
#include <sys/mman.h>

#include "client/hold.h"

#define REFILL (THREAD_ROWS / 2)
#define NEXT_BYTES (SHM_ROWS_MAX * sizeof(uint32_t))

_Thread_local struct row_keeper row_keeper __attribute__((tls_model("initial-exec")));

/* ---- which rows are free ---------------------------------------------------------------------------------------- */

static int links_make_locked(struct mmgc_heap *heap)
{
    void *memory = mmap(NULL, NEXT_BYTES, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);

    if (memory == MAP_FAILED)
        return error_system("mmap", -errno);
    heap->row_next = memory;
    return MMGC_OK;
}

static uint32_t rows_allowed(const struct mmgc_heap *heap)
{
    uint32_t limit = at_load_acquire(&heap->session->row_limit); /* pairs with give_rows() of daemon/session.c */

    return MM_MIN(limit, SHM_ROWS_MAX);
}

/* All that we may use are used: the daemon has more for us, as long as our user may have more. */
static int ask_for_rows(struct mmgc_heap *heap, uint32_t slot)
{
    wire_more_rows more = wire_more_rows_init();
    wire_request request = wire_request_init();

    request.body_case = WIRE_REQUEST(MORE_ROWS);
    request.more_rows = &more;
    int r = connection_call(&heap->connection, &request, NULL, WIRE_REPLY(DONE), NULL, NULL);
    if (r == MMGC_E_UNSUPPORTED || (r == MMGC_OK && slot >= rows_allowed(heap)))
        return error_set(MMGC_E_LIMIT, "%u handles, leases, guards and watches together (max_handles)", slot - 1);
    return r;
}

static int slot_take_locked(struct mmgc_heap *heap, uint32_t *ret_slot)
{
    uint32_t slot = heap->row_free;
    int r = heap->row_next == NULL ? links_make_locked(heap) : MMGC_OK;

    if (r != MMGC_OK)
        return r;
    if (slot != 0) {
        heap->row_free = heap->row_next[slot];
        *ret_slot = slot;
        return MMGC_OK;
    }
    slot = MM_MAX(heap->row_high, 1u);
    if (slot >= rows_allowed(heap) && (r = ask_for_rows(heap, slot)) != MMGC_OK)
        return r;
    heap->row_high = slot + 1;
    at_store_release(&heap->session->row_high, slot + 1); /* R2 */
    *ret_slot = slot;
    return MMGC_OK;
}

static void slot_give_back_locked(struct mmgc_heap *heap, uint32_t slot)
{
    heap->row_next[slot] = heap->row_free;
    heap->row_free = slot;
}

/* Fills half of what a thread may keep. Not MMGC_OK: there was not even one. */
static int refill(struct thread *th)
{
    struct mmgc_heap *heap = th->heap;
    uint32_t got[REFILL], count = 0;
    int r = MMGC_OK;

    (void)pthread_mutex_lock(&heap->lock);
    while (count < REFILL && (r = slot_take_locked(heap, &got[count])) == MMGC_OK)
        count++;
    (void)pthread_mutex_unlock(&heap->lock);
    for (th->row_count = 0; th->row_count < count; th->row_count++) /* the first taken is the first used */
        th->rows[th->row_count] = got[count - 1 - th->row_count];
    return count > 0 ? MMGC_OK : r;
}

static void give_back_down_to(struct thread *th, uint32_t count)
{
    (void)pthread_mutex_lock(&th->heap->lock);
    while (th->row_count > count)
        slot_give_back_locked(th->heap, th->rows[--th->row_count]);
    (void)pthread_mutex_unlock(&th->heap->lock);
}

void row_slot_give_back(struct mmgc_heap *heap, uint32_t slot)
{
    if (row_keeper.heap == heap && row_keeper.number == heap->number) {
        if (row_keeper.th->row_count == THREAD_ROWS)
            give_back_down_to(row_keeper.th, THREAD_ROWS - REFILL);
        row_keeper.th->rows[row_keeper.th->row_count++] = slot;
        return;
    }
    (void)pthread_mutex_lock(&heap->lock);
    slot_give_back_locked(heap, slot);
    (void)pthread_mutex_unlock(&heap->lock);
}

void row_thread_ends(struct thread *th)
{
    if (row_keeper.th == th)
        row_keeper.heap = NULL;
    if (th->row_count > 0)
        give_back_down_to(th, 0);
}

void row_free_all(struct mmgc_heap *heap)
{
    if (heap->row_next != NULL)
        (void)munmap(heap->row_next, NEXT_BYTES);
}

/* ---- rows ------------------------------------------------------------------------------------------------------- */

void row_name(struct mmgc_heap *heap, uint32_t slot, const char *name, uint64_t since_ns)
{
    struct shm_row_note *note = &heap->session->row_notes[slot];
    size_t length = MM_LIKELY(name == NULL) ? 0 : strnlen(name, SHM_ROW_NAME_MAX);

    if (length > 0 || note->name[0] != '\0') {
        memcpy(note->name, name == NULL ? "" : name, length);
        note->name[length] = '\0';
    }
    if (at_load_relaxed(&note->since_ns) != since_ns) /* most rows have neither, and their page is not touched for writing */
        at_store_relaxed(&note->since_ns, since_ns);
}

int row_explain_object(const struct thread *th, const void *object)
{
    uint64_t at = (uint64_t)((const char *)object - th->heap->base);

    if (at < MM_GRANULE_BYTES || at >= th->heap->control->arena_bytes || at % MM_GRANULE_BYTES != 0)
        return error_set(MMGC_E_NO_OBJECT, "%p is no place of an object in this heap", object);
    return error_set(MMGC_E_NO_OBJECT, "before %p stands no object's header", object);
}

/* One of those that the thread keeps, for @object. */
static int slot_take(struct thread *th, const void *object, uint32_t *ret_slot)
{
    int r = object == NULL ? MMGC_OK : row_check_object(th, object);

    if (r == MMGC_OK && hold_owns(th, object)) /* it may not outlive its hold by a row */
        r = hold_refuse(th, object);
    if (r == MMGC_OK && MM_UNLIKELY(th->row_count == 0))
        r = refill(th);
    if (r != MMGC_OK)
        return r;
    row_keeper = (struct row_keeper){ th->heap, th->heap->number, th };
    *ret_slot = th->rows[--th->row_count];
    return MMGC_OK;
}

int row_begin(struct thread *th, enum shm_row_kind kind, const void *object, const char *name, struct row *ret_row)
{
    uint32_t slot;
    int r = slot_take(th, object, &slot);

    if (r != MMGC_OK)
        return r;
    row_name(th->heap, slot, name, 0);
    *ret_row = (struct row){ slot, row_start(th->heap->session, slot, kind, mmgc_ref_of(thread_public(th), object).granule) };
    return MMGC_OK;
}

int row_begin_in(struct mmgc_heap *table, enum shm_row_kind kind, uint32_t granule, const char *name, struct row *ret_row)
{
    uint32_t slot = 0;

    (void)pthread_mutex_lock(&table->lock);
    int r = slot_take_locked(table, &slot);
    (void)pthread_mutex_unlock(&table->lock);
    if (r != MMGC_OK)
        return r;
    row_name(table, slot, name, 0);
    *ret_row = (struct row){ slot, row_start(table->session, slot, kind, granule) };
    return MMGC_OK;
}

int row_begin_marked(struct thread *th, enum shm_row_kind kind, const void *object, uint64_t mark, struct row *ret_row)
{
    uint32_t slot;
    int r = slot_take(th, object, &slot);

    if (r != MMGC_OK)
        return r;
    row_name(th->heap, slot, NULL, mark);
    *ret_row = (struct row){ slot, row_start(th->heap->session, slot, kind, mmgc_ref_of(thread_public(th), object).granule) };
    return MMGC_OK;
}

int row_explain(const struct mmgc_heap *heap, struct row row, unsigned kinds)
{
    if (row.slot == 0 || row.slot >= at_load_acquire(&heap->session->row_high) || row.slot >= SHM_ROWS_MAX)
        return error_set(MMGC_E_INVALID, "there was never one with this number");
    uint32_t tag = at_load_acquire(&heap->session->row_tags[row.slot]);
    enum shm_row_kind kind = shm_row_kind(tag);
    if (kind == SHM_ROW_FREE || shm_row_serial(tag) != row.serial || (tag & SHM_ROW_ENDING) != 0)
        return error_set(MMGC_E_DROPPED, NULL);
    return (kinds & 1u << kind) == 0 ? error_set(MMGC_E_INVALID, "it is of another kind") : error_set(MMGC_E_DROPPED, NULL);
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
    at_store_release(&heap->session->row_words[row.slot], 0);
    row_slot_keep(heap, row.slot);
    return MMGC_OK;
}

int row_end_begin(struct mmgc_heap *heap, struct row row, unsigned kinds, uint32_t *ret_tag)
{
    do {
        int r = row_check(heap, row, kinds, ret_tag);
        if (r == MMGC_OK && MM_UNLIKELY((*ret_tag & SHM_ROW_ENDING) != 0))
            r = error_set(MMGC_E_DROPPED, NULL);
        if (r != MMGC_OK)
            return r;
    } while (!at_cas_seq_cst(&heap->session->row_tags[row.slot], ret_tag, *ret_tag | SHM_ROW_ENDING));
    return MMGC_OK;
}
