/* SPDX-License-Identifier: Apache-2.0 */
/* alloc.c - Alloc: what mmgc_new() does when the bump does not fit.
 *   By the heap's plan (control.allocator), and for objects of at most MMGC_SMALL_MAX:
 *   Bump    Objects up to a line come from spans of free lines, as they come. Larger ones that do not fit the current span go
 *           to a bump of whole blocks, so that holes are left to small objects (Immix's overflow allocation). The inline bump ends
 *           where the span is zeroed to: every few KiB we come here, as a rule for nothing else than to go on (take_on()).
 *   Cells   Each size has a bump of its own, of cells that lie side by side. The inline bump stays void, so that all come here:
 *           the first lines of mmgc_new_slow_() are this plan's fast path. Under a plan that bumps, these bumps are void.
 *   Pages   Cells of whole pages.
 *   Above that size: large.c. Elsewhere than the plan says: common.c. With a reservation (reserve.c) nothing here waits, asks or
 *   polls, and what lies ready in a cell is not counted against it.                                        */
#include "client/alloc.h"

#include <mmgc/mmgc.h>

#include "client/cells.h"
#include "client/grant.h"
#include "client/hold.h"
#include "client/large.h"
#include "client/profile.h"
#include "client/reserve.h"
#include "client/safepoint.h"
#include "client/span.h"
#include "client/thread.h"
#include "shm/units.h"

#define RUN_MIN_BYTES (MM_PAGE_BYTES / 2) /* smaller ones would waste the most of a run */
#define ATTEMPTS 64u /* grants that turn out not to fit; a daemon that means well needs two */

static char *take_spans(struct thread *th, enum shm_grant_class class, uint64_t bytes)
{
    struct shm_bump *bump = span_bump(th, class);
    char *p = span_take(bump, bytes);

    while (p == NULL && span_next(th, class))
        p = span_take(bump, bytes);
    return p;
}

/* The rest of the current span is for everybody, the next ones are for what fits a line. */
static char *take_lines(struct thread *th, uint64_t bytes)
{
    return bytes > MM_LINE_BYTES ? span_take(span_bump(th, SHM_GRANT_LINES), bytes)
                                 : take_spans(th, SHM_GRANT_LINES, bytes);
}

static char *take_reserved(struct thread *th, uint64_t bytes)
{
    char *p = take_lines(th, bytes);

    return p != NULL ? p : take_spans(th, SHM_GRANT_BLOCKS, bytes);
}

static char *take_now(struct thread *th, const struct alloc_source *from)
{
    enum shm_grant_class class = from->class;
    char *p = NULL;

    if (class == SHM_GRANT_BLOCKS && (p = span_take(span_bump(th, SHM_GRANT_LINES), from->bytes)) != NULL)
        class = SHM_GRANT_LINES;
    if (p == NULL)
        p = take_spans(th, class, from->bytes);
    if (p != NULL)
        grant_ahead(th, class, class == SHM_GRANT_LINES ? MM_LINE_BYTES : from->min_bytes);
    return p;
}

/* [safepoint] Waits for memory as long as there is hope. NULL: *ret_error says why not. Once a wait was in vain, the crumbs
 * of the other class are eaten up before the next one: each wait in a full heap is a collection, for one object otherwise. */
static char *take_waiting(struct thread *th, const struct alloc_source *from, int *ret_error)
{
    struct grant_ask ask = { .class = from->class, .min_bytes = from->min_bytes };
    struct slab *slab = &th->slabs[from->class];
    char *crumb = slab->dry && from->crumbs ? take_spans(th, SHM_GRANT_BLOCKS, from->bytes) : NULL;

    if (crumb != NULL)
        return crumb;
    for (unsigned attempt = 0; attempt < ATTEMPTS; attempt++) {
        int r = grant_wait(th, &ask);
        slab->dry = r != MMGC_OK;
        if (r != MMGC_OK) {
            *ret_error = r;
            return thread_is_in(th) && from->crumbs ? take_spans(th, SHM_GRANT_BLOCKS, from->bytes) : NULL;
        }
        char *p = take_now(th, from);
        if (p != NULL)
            return p;
    }
    *ret_error = error_set(MMGC_E_NOMEM, "nothing granted fits %zu bytes", (size_t)from->bytes);
    return NULL;
}

char *alloc_small(struct thread *th, const struct alloc_source *from, int *ret_error)
{
    if (MM_UNLIKELY(safepoint_wanted(at_load_relaxed(&th->heap->control->epoch)))) {
        *ret_error = safepoint_poll(th);
        if (*ret_error != MMGC_OK)
            return NULL;
    }
    char *p = take_now(th, from);
    return MM_LIKELY(p != NULL) ? p : take_waiting(th, from, ret_error);
}

static struct alloc_source source_bumped(uint64_t bytes)
{
    bool small = bytes <= MM_LINE_BYTES;

    return (struct alloc_source){ .class = small ? SHM_GRANT_LINES : SHM_GRANT_BLOCKS,
                                  .crumbs = true,
                                  .bytes = (uint32_t)bytes,
                                  .min_bytes = small ? MM_LINE_BYTES : (uint32_t)bytes };
}

static struct alloc_source source_cells(uint32_t cell_class)
{
    uint32_t bytes = shm_cell_bytes(cell_class);

    return (struct alloc_source){ .class = SHM_GRANT_CELLS + cell_class, .crumbs = true, .bytes = bytes, .min_bytes = bytes };
}

static struct alloc_source source_of(const struct thread *th, uint64_t bytes)
{
    switch ((enum shm_allocator)th->heap->control->allocator) {
    case SHM_ALLOCATOR_CELLS: return source_cells(shm_cell_class((uint32_t)bytes));
    case SHM_ALLOCATOR_PAGES: return source_cells(shm_page_cell_class((uint32_t)bytes));
    case SHM_ALLOCATOR_BUMP: break;
    }
    return source_bumped(bytes);
}

/* ---- for what must not be interrupted ---- */

char *alloc_at_hand(struct thread *th, uint64_t bytes, bool secured)
{
    struct alloc_source from = source_of(th, bytes);
    bool bumps = from.class < SHM_GRANT_CELLS;

    if (secured && bumps)
        return take_spans(th, SHM_GRANT_BLOCKS, bytes);
    char *p = take_now(th, &from);
    return p != NULL || !bumps ? p : take_spans(th, SHM_GRANT_BLOCKS, bytes);
}

bool alloc_lies_ready(struct thread *th, uint64_t bytes)
{
    const struct shm_bump *bump = span_bump(th, SHM_GRANT_LINES);

    return (uint64_t)(bump->end - bump->cursor) + span_ahead(th, SHM_GRANT_LINES) >= bytes;
}

void alloc_need_add(const struct thread *th, struct alloc_need *need, uint64_t bytes)
{
    struct alloc_source from = source_of(th, bytes);

    need->bytes[from.class < SHM_GRANT_CELLS ? SHM_GRANT_BLOCKS : from.class] += from.bytes;
}

/* Cells fit into each other's places: what is left of spans is not lost. */
static int secure_cells(struct thread *th, enum shm_grant_class class, uint64_t bytes)
{
    uint32_t cell_bytes = shm_cell_bytes(class - SHM_GRANT_CELLS);

    for (unsigned attempt = 0; attempt < ATTEMPTS; attempt++) {
        const struct shm_bump *bump = span_bump(th, class);
        uint64_t have = (uint64_t)(bump->end - bump->cursor) + span_ahead(th, class);
        if (have >= bytes)
            return MMGC_OK;
        struct grant_ask ask = { .class = class, .bytes = bytes - have, .min_bytes = cell_bytes };
        int r = grant_wait(th, &ask);
        if (r != MMGC_OK)
            return r;
    }
    return error_set(MMGC_E_NOMEM, "no %llu bytes in cells of %u", (unsigned long long)bytes, cell_bytes);
}

int alloc_secure(struct thread *th, const struct alloc_need *need)
{
    int r = MMGC_OK;

    for (unsigned class = SHM_GRANT_CELLS; r == MMGC_OK && class < SHM_GRANT_CLASSES; class ++)
        if (need->bytes[class] != 0)
            r = secure_cells(th, (enum shm_grant_class)class, need->bytes[class]);
    if (r == MMGC_OK && need->bytes[SHM_GRANT_BLOCKS] != 0)
        r = reserve_secure(th, need->bytes[SHM_GRANT_BLOCKS]);
    return r;
}

/* [safepoint] An object of at most MMGC_SMALL_MAX bytes, zeroed, without a header. */
static char *new_small(struct thread *th, uint64_t bytes, int *ret_error)
{
    if (th->reserve_left != 0 && reserve_charge(th, bytes)) {
        char *p = take_reserved(th, bytes);
        reserve_note(th);
        if (p != NULL)
            return p;
    }
    struct alloc_source from = source_of(th, bytes);
    return alloc_small(th, &from, ret_error);
}

int alloc_check(const struct mmgc_thread *t, mmgc_type type, uint64_t bytes)
{
    int r = thread_check_in(t);

    if (r != MMGC_OK)
        return r;
    if (thread_of(t)->heap->read_only)
        return error_set(MMGC_E_READ_ONLY, NULL);
    if (bytes > thread_of(t)->heap->control->arena_bytes)
        return error_set(MMGC_E_TOO_LARGE, "%llu bytes for an object of type %u",
                         (unsigned long long)bytes, type->id);
    return MMGC_OK;
}

/* [safepoint] What the fast paths could not do. Their callers have looked into @t and @type. */
static __attribute__((noinline)) void *new_slowly(struct mmgc_thread *t, mmgc_type type, uint32_t length)
{
    struct thread *th = thread_of(t);
    uint64_t bytes = mmgc_size(type, length), header = type->header | (uint64_t)length << 32;
    int r = alloc_check(t, type, bytes);

    if (MM_UNLIKELY(r != MMGC_OK))
        return thread_fail(th, r);
    if (bytes > th->heap->control->small_max_bytes)
        return large_new(th, bytes, header);
    char *p = new_small(th, bytes, &r);
    if (p == NULL && r == MMGC_E_NOMEM && bytes >= RUN_MIN_BYTES && thread_is_in(th))
        return large_new(th, bytes, header); /* no gap is long enough: pages may be left */
    return p != NULL ? alloc_finish(p, header) : thread_fail(th, r);
}

/* From the span in use, or NULL: it is at its end, or something is due that only new_slowly() does: a stop, the next slab, the count
 * of what is reserved. */
static inline char *take_on(struct thread *th, uint64_t bytes)
{
    struct shm_bump *bump = &th->m->lines;
    const struct slab *slab = &th->slabs[SHM_GRANT_LINES];
    uint64_t left = (uint64_t)(bump->end - bump->cursor);
    bool due = safepoint_wanted(at_load_relaxed(th->m->epoch)) || th->reserve_left != 0 ||
               left + slab->ahead_bytes < slab->bytes;

    return due || bytes > left || bytes > MMGC_SMALL_MAX ? NULL : span_take(bump, bytes);
}

static inline void *new_unsampled(struct mmgc_thread *t, mmgc_type type, uint32_t length)
{
    if (hold_is_open(thread_of(t)))
        return hold_new(t, type, length);
    char *p = take_on(thread_of(t), mmgc_size(type, length));
    return p != NULL ? alloc_finish(p, type->header | (uint64_t)length << 32) : new_slowly(t, type, length);
}

static __attribute__((noinline)) void *new_sampled(struct mmgc_thread *t, mmgc_type type, uint32_t length, const void *caller)
{
    struct profile_one one;

    profile_before(thread_of(t), mmgc_size(type, length), &one);
    return profile_after(thread_of(t), new_unsampled(t, type, length), &one, caller);
}

/* Of its own, so that cells, of which every one comes through mmgc_new_slow_(), keep no registers for it. */
static __attribute__((noinline)) void *new_on(struct mmgc_thread *t, mmgc_type type, uint32_t length, const void *caller)
{
    return profile_is_on() ? new_sampled(t, type, length, caller) : new_unsampled(t, type, length);
}

void *mmgc_new_slow_(struct mmgc_thread *t, mmgc_type type, uint32_t length)
{
    uint64_t payload = type->fixed_bytes + (uint64_t)type->element_bytes * length;

    if (MM_LIKELY(payload <= CELLS_PAYLOAD_MAX && t->end == NULL)) { /* else it bumps, or has a hold open */
        const struct cells_row *cell = cells_row(payload);
        struct shm_bump *bump = (struct shm_bump *)(void *)((char *)t + cell->bump_offset);
        char *p = bump->cursor;
        if (MM_LIKELY(cell->bytes <= (uint64_t)(bump->limit - p))) {
            span_word_store(&bump->cursor, p + cell->bytes);
            return alloc_finish(p, type->header | (uint64_t)length << 32);
        }
    }
    return new_on(t, type, length, __builtin_return_address(0));
}
