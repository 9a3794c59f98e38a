/* SPDX-License-Identifier: Apache-2.0 */
/* hold.c - Hold: begin, end, and what is between.
 *   D1  the innermost hold's bump is m->lines; the others' are in their records, and that of LINES is in bumps[LINES], where everybody
 *       finds it by span_bump() (shm/mutator.h, Held)
 *   D2  a chain is dropped as never seen only if no stop came between its hold's beginning and its end. Its objects are then known
 *       to nobody, nor is one of them referred to by an object that a marker may look at beside us: what an outer object refers to is
 *       not in the hold, and no guest is older than the hold
 *   D3  guests may refer to objects of their hold, so nothing outside may refer to guests: they count as the hold's where a reference
 *       to them is stored, and what they refer to is stowed at the end, whether they live or not. Handles keep them until then, so that
 *       they are there to be looked at
 *   D4  nothing between a stow's first copy and its last changed reference is a safepoint (stow.c)           */
#include "client/hold.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "client/error.h"
#include "client/hold_lines.h"
#include "client/profile.h"
#include "client/span.h"
#include "client/stow.h"
#include "client/write_barrier.h"

static const struct mmgc_hold_options defaults;

/* ---- beginning ---- */

static int make_holds(struct thread *th)
{
    if (th->holds != NULL)
        return MMGC_OK;
    struct holds *holds = calloc(1, sizeof(*holds));
    uint64_t blocks = th->heap->control->arena_bytes >> MM_BLOCK_LOG;
    uint8_t *owners = calloc(blocks, sizeof(*owners));
    uint16_t *places = calloc(blocks, sizeof(*places));
    int r = holds != NULL && owners != NULL && places != NULL ? hold_lines_map(th->heap) : error_system("malloc", -ENOMEM);
    if (r != MMGC_OK) {
        free(holds);
        free(owners);
        free(places);
        return r;
    }
    holds->pool.owners = owners;
    holds->pool.places = places;
    holds->pool.known = th->slabs[SHM_GRANT_HOLD].taken;
    th->holds = holds;
    return MMGC_OK;
}

/* D1. Empty, and not the void that plans of cells take for a thread without a hold (alloc.c). */
static void bump_begin(struct thread *th)
{
    char *base = th->heap->base;

    if (th->hold_depth == 0) {
        th->m->bumps[SHM_GRANT_LINES] = th->m->lines;
        at_store_release(&th->m->held, ++th->holds->outermost); /* after the copy */
    } else {
        hold_innermost(th)->bump = th->m->lines;
    }
    span_word_store(&th->m->lines.limit, base);
    span_word_store(&th->m->lines.cursor, base);
    span_word_store(&th->m->lines.end, base);
}

static void bump_end(struct thread *th)
{
    if (th->hold_depth == 0) {
        th->m->lines = th->m->bumps[SHM_GRANT_LINES];
        at_store_release(&th->m->held, 0); /* after the copy */
    } else {
        th->m->lines = hold_innermost(th)->bump;
        if (profile_is_on()) /* its point was drawn anew for the inner one, and is again: profile_before() has to be asked */
            span_word_store(&th->m->lines.limit, th->m->lines.cursor);
    }
}

static int begin_check(struct mmgc_thread *t, const struct mmgc_hold_options *options, const mmgc_hold *ret_hold)
{
    int r = thread_check_in(t);

    if (r != MMGC_OK)
        return r;
    if (ret_hold == NULL)
        return error_set(MMGC_E_INVALID, "ret_hold is NULL");
    if (options->policy != MMGC_HOLD_STOW && options->policy != MMGC_HOLD_REFUSE)
        return error_set(MMGC_E_INVALID, "there is no policy %d", (int)options->policy);
    if (thread_of(t)->heap->read_only)
        return error_set(MMGC_E_READ_ONLY, NULL);
    if (thread_of(t)->hold_depth == MMGC_HOLD_DEPTH_MAX)
        return error_set(MMGC_E_LIMIT, "%u holds", MMGC_HOLD_DEPTH_MAX);
    return make_holds(thread_of(t));
}

int mmgc_hold_begin(struct mmgc_thread *t, const struct mmgc_hold_options *options, mmgc_hold *ret_hold)
{
    options = options != NULL ? options : &defaults;
    int r = begin_check(t, options, ret_hold);

    if (r != MMGC_OK)
        return r;
    struct thread *th = thread_of(t);
    struct holds *holds = th->holds;
    th->reserve_left = holds->reserve_left = 0;
    bump_begin(th);
    struct hold *hold = &holds->stack[th->hold_depth++];
    hold->chain = (struct hold_chain){ 0 };
    hold->counted = th->m->lines.cursor;
    hold->used_bytes = 0;
    hold->budget_bytes = options->budget_bytes != 0 ? options->budget_bytes : UINT64_MAX;
    hold->epoch = at_load_relaxed(&th->heap->control->epoch);
    hold->serial = ++holds->serial;
    hold->policy = options->policy;
    hold->name = options->name != NULL ? options->name : "";
    hold->guest_count = 0;
    write_barrier_hold(th);
    if (MM_UNLIKELY(holds->stowed_bytes >= STOW_FORESEEN_MIN_BYTES) && th->hold_depth == 1)
        stow_foresee(th);
    *ret_hold = (mmgc_hold){ th->hold_depth, hold->serial };
    return MMGC_OK;
}

/* ---- ending ---- */

static int end_check(struct mmgc_thread *t, mmgc_hold hold, void *const *kept, size_t count)
{
    int r = thread_check_in(t);

    if (r != MMGC_OK)
        return r;
    if (kept == NULL && count > 0)
        return error_set(MMGC_E_INVALID, "kept is NULL");
    struct thread *th = thread_of(t);
    if (th->hold_depth == 0 || hold.depth != th->hold_depth || hold_innermost(th)->serial != hold.serial)
        return error_set(MMGC_E_UNBALANCED, "hold %u at depth %u, with %u open", hold.serial, hold.depth, th->hold_depth);
    return MMGC_OK;
}

/* Those of the thread's local roots that are in the hold and were not stowed are null from now on. */
static void clear_locals(struct thread *th)
{
    for (uint32_t slot = 1; slot < th->local_top; slot++) {
        uint32_t granule = at_load_relaxed(&th->m->locals[slot]);
        if (granule != 0 && (th->holds->pool.owners[granule / MM_BLOCK_GRANULES] & HOLD_DEPTH_BITS) == th->hold_depth)
            at_store_release(&th->m->locals[slot], 0);
    }
}

static void drop(struct thread *th)
{
    struct hold *hold = hold_innermost(th);
    bool seen = at_load_relaxed(&th->heap->control->epoch) != hold->epoch; /* D2 */

    th->holds->reserve_left = 0;
    if (th->hold_depth > 1)
        hold_chain_drop(th, &hold->chain, seen, false);
    th->hold_depth--;
    bump_end(th);
    if (th->hold_depth == 0) {
        hold_chain_drop(th, &hold->chain, seen, true); /* after held was lowered */
        write_barrier_hold(th);
        hold_pool_trim(th);
    }
}

int mmgc_hold_end(struct mmgc_thread *t, mmgc_hold hold, void **kept, size_t count)
{
    int r = end_check(t, hold, kept, count);

    if (r != MMGC_OK)
        return r;
    struct thread *th = thread_of(t);
    if (count > 0 || hold_innermost(th)->guest_count > 0) {
        r = stow_at_end(th, kept, count);
        if (r != MMGC_OK)
            return r;
        hold_guests_leave(th, th->hold_depth - 1, true);
    }
    if (MM_UNLIKELY(th->local_top > 1))
        clear_locals(th);
    drop(th);
    return MMGC_OK;
}

int mmgc_hold_stow(struct mmgc_thread *t, void **objects, size_t count)
{
    int r = thread_check_in(t);

    if (r != MMGC_OK)
        return r;
    struct thread *th = thread_of(t);
    if (th->hold_depth == 0)
        return error_set(MMGC_E_UNBALANCED, "no hold is open");
    if (objects == NULL && count > 0)
        return error_set(MMGC_E_INVALID, "objects is NULL");
    return stow_out(th, th->hold_depth - 1, objects, count, true);
}

uint64_t hold_used(const struct thread *th, struct hold *hold)
{
    return hold->used_bytes + (uint64_t)(hold_bump(th, hold)->cursor - hold->counted);
}

uint64_t mmgc_hold_bytes(const struct mmgc_thread *t, mmgc_hold hold)
{
    if (thread_check_in(t) != MMGC_OK)
        return 0;
    const struct thread *th = thread_of(t);
    bool open = hold.depth != 0 && hold.depth <= th->hold_depth && th->holds->stack[hold.depth - 1].serial == hold.serial;
    return open ? hold_used(th, &th->holds->stack[hold.depth - 1]) : 0;
}

/* ---- whose it is ---- */

struct hold_guest *hold_guest_find(const struct thread *th, const void *object, uint32_t *ret_depth)
{
    uint32_t granule = mmgc_ref_of((const struct mmgc_thread *)(const void *)th->m, object).granule;

    for (uint32_t depth = th->hold_depth; depth > 0; depth--) {
        struct hold *hold = &th->holds->stack[depth - 1];
        for (uint32_t i = hold->guest_count; i-- > 0;)
            if (hold->guests[i].granule == granule) {
                *ret_depth = depth;
                return &hold->guests[i];
            }
    }
    return NULL;
}

uint32_t hold_depth_slow(const struct thread *th, const void *object)
{
    uint32_t depth = 0;

    (void)hold_guest_find(th, object, &depth);
    return depth;
}

int hold_refuse(const struct thread *th, const void *object)
{
    uint32_t depth = hold_depth_of(th, object);
    const char *name = depth != 0 ? th->holds->stack[depth - 1].name : "";

    return error_set(MMGC_E_HELD, "hold %u of %u%s%s", depth, th->hold_depth, name[0] != '\0' ? ", " : "", name);
}

/* ---- guests ---- */

static int guests_grow(struct hold *hold, uint32_t count)
{
    if (hold->guest_count + count <= hold->guest_capacity)
        return MMGC_OK;
    uint32_t capacity = MM_MAX(hold->guest_count + count, 2 * hold->guest_capacity);
    struct hold_guest *guests = reallocarray(hold->guests, capacity, sizeof(*guests));
    if (guests == NULL)
        return error_system("malloc", -ENOMEM);
    hold->guests = guests;
    hold->guest_capacity = capacity;
    return MMGC_OK;
}

int hold_guests_room(struct thread *th, uint32_t to, uint32_t count)
{
    return to == 0 ? MMGC_OK : guests_grow(&th->holds->stack[to - 1], count);
}

static int welcome(struct mmgc_thread *t, void *object, uint64_t bytes)
{
    struct thread *th = thread_of(t);
    struct hold *hold = hold_innermost(th);
    mmgc_handle handle;
    int r = guests_grow(hold, 1);

    if (r == MMGC_OK)
        r = mmgc_handle_new(t, object, &handle);
    if (r != MMGC_OK)
        return r;
    hold->guests[hold->guest_count++] = (struct hold_guest){ handle, mmgc_ref_of(t, object).granule, false };
    hold->used_bytes += bytes;
    hold_cap(th, hold);
    th->holds->pool.owners[(uint64_t)((const char *)object - th->m->base) >> MM_BLOCK_LOG] = HOLD_GUESTS;
    return MMGC_OK;
}

void *hold_welcome(struct mmgc_thread *t, void *object, uint64_t bytes)
{
    if (object == NULL)
        return NULL;
    int r = welcome(t, object, bytes);
    return r == MMGC_OK ? object : thread_fail(thread_of(t), r);
}

void hold_guests_leave(struct thread *th, uint32_t to, bool all)
{
    for (uint32_t depth = th->hold_depth; depth > to; depth--) {
        struct hold *hold = &th->holds->stack[depth - 1];
        uint32_t left = 0;
        for (uint32_t i = 0; i < hold->guest_count; i++) {
            struct hold_guest guest = hold->guests[i];
            if (!guest.stowed && !(all && depth == th->hold_depth)) {
                hold->guests[left++] = guest;
                continue;
            }
            guest.stowed = false;
            if (to == 0)
                mmgc_handle_drop(th->heap, guest.handle);
            else
                th->holds->stack[to - 1].guests[th->holds->stack[to - 1].guest_count++] = guest; /* there is room */
        }
        hold->guest_count = left;
    }
}

/* ---- when the thread stops running ---- */

/* The bump goes on behind the line that it has begun (shm/mutator.h). Nothing that was zeroed ahead of that counts any more. */
static void publish(struct thread *th, struct hold *hold)
{
    struct shm_bump *bump = hold_bump(th, hold);

    if (hold->chain.last == 0)
        return;
    hold->used_bytes += (uint64_t)(bump->cursor - hold->counted);
    hold_line_up(th, hold);
    hold->counted = bump->cursor;
    hold_cap(th, hold);
}

void hold_publish_all(struct thread *th)
{
    for (uint32_t depth = th->hold_depth; depth > 0; depth--)
        publish(th, &th->holds->stack[depth - 1]);
}

/* ---- the end of the thread ---- */

void hold_forget(struct thread *th)
{
    for (; th->hold_depth > 0; th->hold_depth--)
        hold_innermost(th)->guest_count = 0; /* their handles have gone with the session */
}

void hold_free(struct thread *th)
{
    if (th->holds == NULL)
        return;
    for (uint32_t i = 0; i < MMGC_HOLD_DEPTH_MAX; i++)
        free(th->holds->stack[i].guests);
    for (uint32_t i = 0; i < SHM_HOLD_CAPACITY; i++)
        free(th->holds->pool.blocks[i].map);
    free(th->holds->pool.owners);
    free(th->holds->pool.places);
    free(th->holds);
}
