/* SPDX-License-Identifier: Apache-2.0 */
/* alloc.c - Alloc: what mmgc_new() does when the bump does not fit.
 *   Objects up to a line come from spans of free lines, as they come. Larger ones up to MMGC_SMALL_MAX that do not fit the
 *   current span go to a bump of whole blocks, so that holes are left to small objects (Immix's overflow allocation).
 *   Above that: large.c. With a reservation (reserve.c) nothing here waits, asks or polls.                 */
#include <mmgc/mmgc.h>

#include "client/grant.h"
#include "client/large.h"
#include "client/reserve.h"
#include "client/safepoint.h"
#include "client/span.h"
#include "client/thread.h"
#include "shm/units.h"

#define RUN_MIN_BYTES (MM_PAGE_BYTES / 2) /* smaller ones would waste the most of a run */
#define ATTEMPTS 64u /* grants that turn out not to fit; a daemon that means well needs two */

static char *take_lines(struct thread *th, uint64_t bytes)
{
    char *p = span_take(&th->m->lines, bytes);

    if (p != NULL || bytes > MM_LINE_BYTES)
        return p;
    while (p == NULL && span_next(th, SHM_GRANT_LINES))
        p = span_take(&th->m->lines, bytes);
    return p;
}

static char *take_blocks(struct thread *th, uint64_t bytes)
{
    struct shm_bump *bump = span_bump(th, SHM_GRANT_BLOCKS);
    char *p = span_take(bump, bytes);

    while (p == NULL && span_next(th, SHM_GRANT_BLOCKS))
        p = span_take(bump, bytes);
    return p;
}

static char *take_reserved(struct thread *th, uint64_t bytes)
{
    char *p = take_lines(th, bytes);

    return p != NULL ? p : take_blocks(th, bytes);
}

static char *take_now(struct thread *th, uint64_t bytes)
{
    char *p = take_lines(th, bytes);
    enum shm_grant_class class = SHM_GRANT_LINES;

    if (p == NULL && bytes > MM_LINE_BYTES) {
        p = take_blocks(th, bytes);
        class = SHM_GRANT_BLOCKS;
    }
    if (p != NULL)
        grant_ahead(th, class, class == SHM_GRANT_LINES ? MM_LINE_BYTES : (uint32_t)bytes);
    return p;
}

/* [safepoint] Waits for memory as long as there is hope. NULL: *ret_error says why not. Once a wait was in vain, the crumbs
 * of the other class are eaten up before the next one: each wait in a full heap is a collection, for one object otherwise. */
static char *take_waiting(struct thread *th, uint64_t bytes, int *ret_error)
{
    struct grant_ask ask = {
        .class = bytes > MM_LINE_BYTES ? SHM_GRANT_BLOCKS : SHM_GRANT_LINES,
        .min_bytes = bytes > MM_LINE_BYTES ? (uint32_t)bytes : MM_LINE_BYTES,
    };
    struct slab *slab = &th->slabs[ask.class];
    char *crumb = slab->dry ? take_blocks(th, bytes) : NULL;

    if (crumb != NULL)
        return crumb;
    for (unsigned attempt = 0; attempt < ATTEMPTS; attempt++) {
        int r = grant_wait(th, &ask);
        slab->dry = r != MMGC_OK;
        if (r != MMGC_OK) {
            *ret_error = r;
            return thread_is_in(th) ? take_blocks(th, bytes) : NULL;
        }
        char *p = take_now(th, bytes);
        if (p != NULL)
            return p;
    }
    *ret_error = error_set(MMGC_E_NOMEM, "nothing granted fits %zu bytes", (size_t)bytes);
    return NULL;
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
    if (MM_UNLIKELY(safepoint_wanted(at_load_relaxed(&th->heap->control->epoch)))) {
        *ret_error = safepoint_poll(th);
        if (*ret_error != MMGC_OK)
            return NULL;
    }
    char *p = take_now(th, bytes);
    return MM_LIKELY(p != NULL) ? p : take_waiting(th, bytes, ret_error);
}

static int new_check(const struct mmgc_thread *t, mmgc_type type, uint64_t bytes)
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

void *mmgc_new_slow_(struct mmgc_thread *t, mmgc_type type, uint32_t length)
{
    if (t == NULL || type == NULL)
        return NULL;
    struct thread *th = thread_of(t);
    uint64_t bytes = mmgc_size(type, length);
    uint64_t header = type->header | (uint64_t)length << 32;
    int r = new_check(t, type, bytes);
    if (MM_UNLIKELY(r != MMGC_OK))
        return thread_fail(th, r);
    if (bytes > th->heap->control->small_max_bytes)
        return large_new(th, bytes, header);
    char *p = new_small(th, bytes, &r);
    if (p == NULL && r == MMGC_E_NOMEM && bytes >= RUN_MIN_BYTES && thread_is_in(th))
        return large_new(th, bytes, header); /* no gap is long enough: pages may be left */
    if (p == NULL)
        return thread_fail(th, r);
    __atomic_store_n((uint64_t *)(void *)p, header, __ATOMIC_RELAXED); /* fixes the size (S6 I6) */
    return mmgc_launder_(p + sizeof(uint64_t));
}
