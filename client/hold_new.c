/* SPDX-License-Identifier: Apache-2.0 */
/* hold_new.c - Hold, its allocation: what mmgc_new() does with a hold open when the bump does not fit.
 *   The bump ends where the block does, or the budget. With a reservation nothing here waits, asks or polls: what was promised lies in
 *   the pool, in blocks of which nobody but us knows anything; ceil(bytes / 16 KiB) of them serve any order of objects (reserve.c V1). */
#include <mmgc/mmgc.h>

#include <string.h>

#include "client/alloc.h"
#include "client/error.h"
#include "client/grant.h"
#include "client/hold.h"
#include "client/large.h"
#include "client/reserve.h"
#include "client/safepoint.h"
#include "client/span.h"

#define ATTEMPTS 64u

static uint64_t left_of(const struct thread *th, struct hold *hold)
{
    uint64_t used = hold_used(th, hold);

    return hold->budget_bytes - MM_MIN(hold->budget_bytes, used);
}

void hold_cap(const struct thread *th, struct hold *hold)
{
    struct shm_bump *bump = hold_bump(th, hold);
    uint64_t left = left_of(th, hold);

    if (hold->chain.last == 0)
        return;
    char *block_end = held_block(&th->holds->pool, hold->chain.last)->start + MM_BLOCK_BYTES;
    char *end = bump->cursor + MM_MIN((uint64_t)(block_end - bump->cursor), left);
    if (bump->limit > end)
        span_word_store(&bump->limit, end);
    span_word_store(&bump->end, end);
}

void hold_line_up(struct thread *th, struct hold *hold)
{
    struct shm_bump *bump = hold_bump(th, hold);
    char *top = (char *)mm_align_up((uintptr_t)bump->cursor, MM_LINE_BYTES);

    memset(bump->cursor, 0, (size_t)(top - bump->cursor));
    span_word_store(&bump->end, top);
    span_word_store(&bump->limit, top);
    span_word_store(&bump->cursor, top);
    hold_chain_cover(th, &hold->chain, top);
}

/* Its objects end at a line, after zeroes (K2). */
static void leave_block(struct thread *th, struct hold *hold, struct shm_bump *bump)
{
    hold->used_bytes += (uint64_t)(bump->cursor - hold->counted);
    hold->counted = bump->cursor;
    if (hold->chain.last == 0)
        return;
    hold_line_up(th, hold);
    held_block(&th->holds->pool, hold->chain.last)->top = bump->cursor;
}

/* Zeroes are there up to the bump's limit, and a little further: to the end of its line (K2). */
static char *covered(struct thread *th, struct hold *hold, char *p)
{
    struct shm_bump *bump = hold_bump(th, hold);
    char *top = (char *)mm_align_up((uintptr_t)bump->limit, MM_LINE_BYTES);

    if (p == NULL)
        return NULL;
    memset(bump->limit, 0, (size_t)(top - bump->limit));
    hold_chain_cover(th, &hold->chain, top);
    if (top <= bump->end)
        span_word_store(&bump->limit, top);
    return p;
}

static bool next_block(struct thread *th, struct hold *hold, struct shm_bump *bump)
{
    if (th->holds->pool.clean == 0)
        hold_pool_take_in(th); /* not before: those that were used are in the cache */
    if (th->holds->pool.clean == 0)
        return false;
    leave_block(th, hold, bump);
    struct held_block *b = hold_chain_extend(th, &hold->chain, (uint8_t)(hold - th->holds->stack + 1));
    hold->counted = b->start;
    span_word_store(&bump->limit, b->start);
    span_word_store(&bump->cursor, b->start);
    span_word_store(&bump->end, b->start);
    hold_cap(th, hold);
    return true;
}

char *hold_take(struct thread *th, struct hold *hold, uint64_t bytes)
{
    struct shm_bump *bump = hold_bump(th, hold);
    const char *limit = bump->limit;
    char *p = span_take(bump, bytes);

    if (MM_LIKELY(p != NULL))
        return bump->limit == limit ? p : covered(th, hold, p);
    return bytes <= left_of(th, hold) && next_block(th, hold, bump) ? covered(th, hold, span_take(bump, bytes)) : NULL;
}

static int over_budget(const struct thread *th, struct hold *hold, uint64_t bytes)
{
    return error_set(MMGC_E_BUDGET, "%llu bytes more than %llu of %llu%s%s", (unsigned long long)bytes,
                     (unsigned long long)hold_used(th, hold), (unsigned long long)hold->budget_bytes, hold->name[0] != '\0' ? ", " : "",
                     hold->name);
}

int hold_afford(struct thread *th, uint64_t bytes)
{
    struct hold *hold = hold_innermost(th);

    return bytes <= left_of(th, hold) ? MMGC_OK : over_budget(th, hold, bytes);
}

/* ---- the pool ---- */

static int wait_for_blocks(struct thread *th, uint64_t bytes, bool all)
{
    struct grant_ask ask = { .class = SHM_GRANT_HOLD, .bytes = bytes, .min_bytes = MM_BLOCK_BYTES, .reserve = all };
    int r = grant_wait(th, &ask);

    if (r == MMGC_OK)
        hold_pool_take_in(th);
    return r;
}

int hold_pool_fill(struct thread *th, uint32_t blocks)
{
    struct hold_pool *pool = &th->holds->pool;

    hold_pool_take_in(th);
    for (unsigned attempt = 0; attempt < ATTEMPTS && pool->clean_count < blocks; attempt++) {
        int r = wait_for_blocks(th, (uint64_t)(blocks - pool->clean_count) << MM_BLOCK_LOG, true);
        if (r != MMGC_OK)
            return r;
    }
    return pool->clean_count >= blocks ? MMGC_OK : error_set(MMGC_E_NOMEM, "no %u whole blocks", blocks);
}

int hold_reserve(struct thread *th, uint64_t bytes)
{
    struct holds *holds = th->holds;

    holds->reserve_left = 0;
    int r = hold_afford(th, bytes);
    if (r == MMGC_OK)
        r = hold_pool_fill(th, (uint32_t)((bytes + MMGC_SMALL_MAX - 1) / MMGC_SMALL_MAX));
    if (r != MMGC_OK)
        return r;
    holds->reserve_left = bytes;
    holds->reserve_used = hold_used(th, hold_innermost(th));
    return MMGC_OK;
}

/* @bytes more are promised. False: they are not, and the reservation is over. */
static bool is_reserved(struct thread *th, uint64_t bytes)
{
    struct holds *holds = th->holds;

    if (holds->reserve_left == 0)
        return false;
    uint64_t since = hold_used(th, hold_innermost(th)) - holds->reserve_used;
    bool promised = since <= holds->reserve_left && bytes <= holds->reserve_left - since;
    holds->reserve_left = promised ? holds->reserve_left : 0;
    return promised;
}

/* ---- objects ---- */

/* [safepoint] NULL: *ret_error. */
static char *take_waiting(struct thread *th, uint64_t bytes, int *ret_error)
{
    for (unsigned attempt = 0; attempt < ATTEMPTS; attempt++) {
        *ret_error = wait_for_blocks(th, 0, false);
        if (*ret_error != MMGC_OK)
            return NULL;
        char *p = hold_take(th, hold_innermost(th), bytes);
        if (p != NULL)
            return p;
    }
    *ret_error = error_set(MMGC_E_NOMEM, "no block was granted");
    return NULL;
}

static char *new_small(struct thread *th, uint64_t bytes, int *ret_error)
{
    bool reserved = is_reserved(th, bytes);

    *ret_error = reserved ? MMGC_OK : safepoint_poll(th);
    if (*ret_error == MMGC_OK)
        *ret_error = hold_afford(th, bytes);
    if (*ret_error != MMGC_OK)
        return NULL;
    char *p = hold_take(th, hold_innermost(th), bytes);
    if (p == NULL)
        return take_waiting(th, bytes, ret_error);
    if (!reserved && MM_UNLIKELY(th->holds->pool.clean_count == 0))
        grant_ahead(th, SHM_GRANT_HOLD, MM_BLOCK_BYTES);
    return p;
}

static void *new_large(struct mmgc_thread *t, uint64_t bytes, uint64_t header)
{
    struct thread *th = thread_of(t);
    int r = hold_afford(th, bytes);

    return r == MMGC_OK ? hold_welcome(t, large_new(th, bytes, header), bytes) : thread_fail(th, r);
}

MM_NO_CANARY void *hold_new(struct mmgc_thread *t, mmgc_type type, uint32_t length)
{
    struct thread *th = thread_of(t);
    uint64_t bytes = mmgc_size(type, length), header = type->header | (uint64_t)length << 32;
    int r = alloc_check(t, type, bytes);

    if (MM_UNLIKELY(r != MMGC_OK))
        return thread_fail(th, r);
    if (bytes > th->heap->control->small_max_bytes)
        return new_large(t, bytes, header);
    char *p = new_small(th, bytes, &r);
    return p != NULL ? alloc_finish(p, header) : thread_fail(th, r);
}
