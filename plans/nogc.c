/* SPDX-License-Identifier: Apache-2.0 */
/* nogc.c - NoGC: grants until the heap is full, and never collects. The smallest plan, and the template for the next.
 *   Spaces  immortal (whole blocks, for objects of up to 16 KiB), large, nonmoving
 *   For     finding out what a collector costs, and programs that end before they have filled their heap */
#include "plans/heap/state.h"
#include "plans/plan.h"
#include "plans/room.h"

static size_t nogc_grant(struct heap *h, struct heap_mutator *m, const struct grant_request *request,
                         struct shm_grant *ret, size_t capacity)
{
    uint64_t bytes = MM_MIN(request->bytes, room_free(h)); /* the limit may have been lowered */

    return line_blocks_grant_free(h, m, BLOCK_IMMORTAL, request->class, bytes, ret, capacity);
}

const struct plan plan_nogc = {
    .name = "nogc",
    .constraints = { .trace = PLAN_TRACE_NONE, .restarts = true, .small_max_bytes = MM_SMALL_MAX_BYTES },
    .spaces = { &immortal_space, &large_space, &nonmoving_space },
    .grant = nogc_grant,
};
