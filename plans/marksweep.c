/* SPDX-License-Identifier: Apache-2.0 */
/* marksweep.c - MarkSweep: cells of a few sizes, marked in place, swept when they are wanted.
 *   Spaces  marksweep (cells for objects of up to 16 KiB), large, nonmoving, immortal
 *   Grants  free cells of the size asked for, then a fresh block cut into them. What is reserved beforehand has no size yet: it gets
 *           whole blocks of the nonmoving space
 *   From    McCarthy, CACM 1960; size classes and one bitmap for mark and free list after Boehm and mimalloc; docs/plans.md#marksweep */
#include "plans/heap/state.h"
#include "plans/plan.h"
#include "plans/room.h"
#include "plans/space/cell_space.h"

static size_t marksweep_grant(struct heap *h, struct heap_mutator *m, const struct grant_request *request,
                              struct shm_grant *ret, size_t capacity)
{
    if (request->class >= SHM_GRANT_CELLS)
        return cell_space_grant(h, m, request, ret, capacity);
    return line_blocks_grant_free(h, m, BLOCK_NONMOVING, request->class,
                                  MM_MIN(request->bytes, room_above(h, ROOM_KEPT_FOR_LARGE)), ret, capacity);
}

const struct plan plan_marksweep = {
    .name = "marksweep",
    .constraints = { .trace = PLAN_TRACE_MARK,
                     .restarts = true,
                     .allocator = SHM_ALLOCATOR_CELLS,
                     .small_max_bytes = MM_SMALL_MAX_BYTES },
    .spaces = { &cell_space, &large_space, &nonmoving_space, &immortal_space },
    .grant = marksweep_grant,
    .end_stw = room_judge_stw,
};
