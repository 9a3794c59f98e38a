/* SPDX-License-Identifier: Apache-2.0 */
/* common.c - Common: objects of the spaces that every heap has, whatever its plan. After MMTk's allocation semantics.
 *   Nonmoving and immortal objects have a bump each, of spans like those of the plan's own objects; what does not fit the
 *   current span takes the next, and leaves the rest to the collector. Large ones have page runs, which never move. */
#include <mmgc/mmgc.h>

#include "client/alloc.h"
#include "client/hold.h"
#include "client/large.h"
#include "client/profile.h"
#include "client/thread.h"
#include "shm/units.h"

static void *new_in_spans(struct thread *th, enum shm_grant_class class, uint64_t bytes, uint64_t header)
{
    struct alloc_source from = {
        .class = class,
        .bytes = (uint32_t)bytes,
        .min_bytes = (uint32_t)MM_MAX(bytes, MM_LINE_BYTES),
    };
    int error;
    char *p = alloc_small(th, &from, &error);

    return p != NULL ? alloc_finish(p, header) : thread_fail(th, error);
}

static void *refuse(struct thread *th, uint64_t bytes, mmgc_type type)
{
    return thread_fail(th, error_set(MMGC_E_TOO_LARGE,
                                     "an immortal object of %llu bytes of type %u: at most %u, or keep a large one by a name",
                                     (unsigned long long)bytes, type->id, th->heap->control->small_max_bytes));
}

static void *new_in(struct thread *th, mmgc_type type, uint64_t bytes, uint64_t header, enum mmgc_space space)
{
    bool small = bytes <= th->heap->control->small_max_bytes;

    switch (space) {
    case MMGC_SPACE_NONMOVING:
        return small ? new_in_spans(th, SHM_GRANT_NONMOVING, bytes, header) : large_new(th, bytes, header);
    case MMGC_SPACE_IMMORTAL:
        return small ? new_in_spans(th, SHM_GRANT_IMMORTAL, bytes, header) : refuse(th, bytes, type);
    case MMGC_SPACE_LARGE: return large_new(th, bytes, header);
    case MMGC_SPACE_DEFAULT: break;
    }
    return thread_fail(th, error_set(MMGC_E_INVALID, "there is no space %d", (int)space));
}

static void *new_elsewhere(struct mmgc_thread *t, mmgc_type type, uint32_t length, enum mmgc_space space)
{
    struct thread *th = thread_of(t);
    uint64_t bytes = mmgc_size(type, length), header = type->header | (uint64_t)length << 32;
    int r = alloc_check(t, type, bytes);

    if (r != MMGC_OK)
        return thread_fail(th, r);
    if (!hold_is_open(th))
        return new_in(th, type, bytes, header, space);
    r = hold_afford(th, bytes);
    return r == MMGC_OK ? hold_welcome(t, new_in(th, type, bytes, header, space), bytes) : thread_fail(th, r);
}

void *mmgc_new_in(struct mmgc_thread *t, mmgc_type type, uint32_t length, enum mmgc_space space)
{
    struct profile_one one;

    if (t == NULL || type == NULL)
        return NULL;
    if (space == MMGC_SPACE_DEFAULT)
        return mmgc_new_array(t, type, length);
    if (!profile_is_on())
        return new_elsewhere(t, type, length, space);
    profile_before(thread_of(t), mmgc_size(type, length), &one);
    return profile_after(thread_of(t), new_elsewhere(t, type, length, space), &one, __builtin_return_address(0));
}
