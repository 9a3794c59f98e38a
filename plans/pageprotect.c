/* SPDX-License-Identifier: Apache-2.0 */
/* pageprotect.c - PageProtect: each object has pages of its own, and those of the dead fault: a plan for finding bugs.
 *   Spaces  marksweep (cells of 4, 8 and 16 KiB), large, nonmoving, immortal
 *   Grants  as MarkSweep. What is reserved beforehand, and nonmoving and immortal objects, share blocks: they fault when the whole
 *           block has been freed
 *   Closed  what a collection frees is closed in every client until the next one begins, and granted after that: heap/closed.h
 *   From    MMTk's PageProtect, which never grants a page again; docs/plans.md#pageprotect */
#include "plans/heap/closed.h"
#include "plans/heap/state.h"
#include "plans/plan.h"
#include "plans/room.h"
#include "plans/space/cell_space.h"

static size_t pageprotect_grant(struct heap *h, struct heap_mutator *m, const struct grant_request *request,
                                struct shm_grant *ret, size_t capacity)
{
    if (request->class >= SHM_GRANT_CELLS)
        return cell_space_grant(h, m, request, ret, capacity);
    return line_blocks_grant_free(h, m, BLOCK_NONMOVING, request->class,
                                  MM_MIN(request->bytes, room_above(h, ROOM_KEPT_FOR_LARGE)), ret, capacity);
}

static void begin_stw(struct heap *h, const struct heap_stop *stop)
{
    (void)stop;
    closed_open_stw(h);
}

const struct plan plan_pageprotect = {
    .name = "pageprotect",
    .constraints = { .trace = PLAN_TRACE_MARK,
                     .restarts = true,
                     .closes_pages = true,
                     .allocator = SHM_ALLOCATOR_PAGES,
                     .small_max_bytes = MM_SMALL_MAX_BYTES },
    .spaces = { &cell_space, &large_space, &nonmoving_space, &immortal_space },
    .grant = pageprotect_grant,
    .begin_stw = begin_stw,
    .end_stw = room_judge_stw,
};
