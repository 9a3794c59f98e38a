/* SPDX-License-Identifier: Apache-2.0 */
/* profile_sample.c - Profile sample: the points of one thread's bumps, and what happens at one (profile.h X1 to X3). */
#include "client/profile.h"

#include <stdlib.h>

#include "client/cells.h"
#include "client/hold.h"
#include "client/profile_draw.h"
#include "client/profile_stack.h"
#include "client/profile_table.h"
#include "client/row.h"
#include "client/span.h"
#include "shm/units.h"

enum {
    POINT_LINES,                             /* the bump, and all that comes from elsewhere than a bump of cells */
    POINT_HOLD,                              /* the innermost hold's bump, and all that is made with one open */
    POINT_CELLS,                             /* and so on: those of cells, by their class */
    POINTS = POINT_CELLS + SHM_CELL_CLASSES
};
struct profile_point {
    const char *seen;                        /* where the cursor was, ... */
    uint64_t left_bytes;                     /* ... and how far behind it the point lies */
};
struct profiler {                            /* a thread's */
    uint32_t run, hold_serial;               /* of the hold that POINT_HOLD was drawn for */
    uint64_t interval, random;
    struct profile_point points[POINTS];
};

/* POINT_HOLD: with a hold open. */
static struct shm_bump *bump_of(const struct thread *th, uint32_t which)
{
    if (which >= POINT_CELLS)
        return shm_mutator_bump(th->m, SHM_GRANT_CELLS + which - POINT_CELLS);
    return which == POINT_HOLD ? &th->m->lines : span_bump(th, SHM_GRANT_LINES);
}

static uint64_t draw(struct profiler *p)
{
    return profile_draw(&p->random, p->interval);
}

/* What the fast path has allocated since. */
static void settle(struct profiler *p, struct profile_point *point, const struct shm_bump *bump)
{
    uint64_t passed = (uint64_t)(bump->cursor - point->seen);

    point->seen = bump->cursor;
    if (passed <= point->left_bytes)
        point->left_bytes -= passed;
    else
        point->left_bytes = draw(p); /* X3; or the bump has gone elsewhere */
}

static void cap(struct profile_point *point, struct shm_bump *bump)
{
    uint64_t whole = mm_align_down(point->left_bytes, MM_GRANULE_BYTES);

    point->seen = bump->cursor;
    if ((uint64_t)(bump->limit - bump->cursor) > whole)
        span_word_store(&bump->limit, bump->cursor + whole); /* X1, X2 */
}

/* All but a hold's, which is nobody else's to move. */
static void cap_all(struct thread *th, struct profiler *p)
{
    for (uint32_t i = 0; i < POINTS; i++)
        if (i != POINT_HOLD)
            cap(&p->points[i], bump_of(th, i));
}

/* Of the profile that is being taken; NULL: there is none any more, or no memory. */
static struct profiler *profiler_of(struct thread *th)
{
    struct profiler *p = th->profiler;
    struct profile_config config;

    if (MM_LIKELY(p != NULL && p->run == at_load_relaxed(&profile_run)))
        return p;
    if (p == NULL)
        p = th->profiler = calloc(1, sizeof(*p));
    if (p == NULL || !profile_config(&config))
        return NULL;
    *p = (struct profiler){ .run = config.run, .interval = config.interval, .random = config.seed };
    for (uint32_t i = 0; i < POINTS; i++)
        p->points[i].left_bytes = draw(p);
    cap_all(th, p);
    return p;
}

/* Whose point an object of @bytes is held against: that of the bump in which a fast path looks first, whether it comes from there or not. */
static uint32_t which_of(const struct thread *th, uint64_t bytes)
{
    if (hold_is_open(th))
        return POINT_HOLD;
    bool cells = th->heap->control->allocator == SHM_ALLOCATOR_CELLS && bytes <= CELLS_PAYLOAD_MAX + OBJECT_HEADER_BYTES;
    return cells ? POINT_CELLS + shm_cell_class((uint32_t)bytes) : POINT_LINES;
}

void profile_before(struct thread *th, uint64_t bytes, struct profile_one *ret_one)
{
    struct profiler *p = profiler_of(th);

    *ret_one = (struct profile_one){ .bytes = bytes, .passed_bytes = bytes };
    if (p == NULL)
        return;
    uint32_t which = ret_one->which = which_of(th, bytes);
    struct profile_point *point = ret_one->point = &p->points[which];
    if (which >= POINT_CELLS)
        ret_one->passed_bytes = shm_cell_bytes(which - POINT_CELLS);
    if (which == POINT_HOLD && p->hold_serial != hold_innermost(th)->serial) { /* nobody knows how far the bump had come in the other one */
        p->hold_serial = hold_innermost(th)->serial;
        point->left_bytes = draw(p);
    } else {
        settle(p, point, bump_of(th, which));
    }
    ret_one->due = ret_one->passed_bytes > point->left_bytes;
    point->left_bytes = ret_one->due ? draw(p) : point->left_bytes - ret_one->passed_bytes;
}

static __attribute__((noinline)) void take(struct thread *th, const void *object, const struct profile_one *one, const void *caller)
{
    uintptr_t stack[PROFILE_DEPTH];
    struct profile_sample sample = { .stack = stack, .bytes = one->bytes, .heap = th->heap };
    bool watched = false;

    sample.depth = profile_stack_take(caller, stack);
    sample.weight = profile_weight(one->passed_bytes, th->profiler->interval);
    bool watch = !hold_owns(th, object) && profile_table_watches();
    if (watch && row_begin(th, SHM_ROW_WEAK, object, "profile", &sample.row) != MMGC_OK)
        sample.row = (struct row){ 0, 0 };
    profile_lock();
    if (watch && sample.row.slot == 0)
        profile_table_lacks_rows();
    if (th->profiler->run == at_load_relaxed(&profile_run)) /* else it came too late */
        (void)profile_table_add(&sample, &watched);
    profile_unlock();
    if (!watched && sample.row.slot != 0)
        (void)row_end(th->heap, sample.row, 1u << SHM_ROW_WEAK);
}

void *profile_after(struct thread *th, void *object, const struct profile_one *one, const void *caller)
{
    if (object == NULL || one->point == NULL)
        return object;
    if (MM_UNLIKELY(one->due))
        take(th, object, one, caller);
    cap(one->point, bump_of(th, one->which));
    return object;
}

static struct profiler *profiler_now(const struct thread *th)
{
    return th->profiler != NULL && th->profiler->run == at_load_relaxed(&profile_run) ? th->profiler : NULL;
}

void profile_pause(struct thread *th)
{
    struct profiler *p = profiler_now(th);

    for (uint32_t i = 0; p != NULL && i < POINTS; i++)
        if (i != POINT_HOLD)
            settle(p, &p->points[i], bump_of(th, i));
}

void profile_resume(struct thread *th)
{
    struct profiler *p = profiler_now(th);

    if (p != NULL)
        cap_all(th, p);
}
