/* SPDX-License-Identifier: Apache-2.0 */
/* nogc.c - NoGC: grants until the heap is full, and never collects. The smallest plan, and the template for the next.
 *   Spaces  immix (whole blocks, for objects of up to 16 KiB), large
 *   For     finding out what a collector costs, and programs that end before they have filled their heap */
#include "plans/heap/state.h"
#include "plans/plan.h"
#include "plans/space/immix_space.h"
#include "plans/space/large_space.h"
#include "plans/space/spaces.h"

static size_t nogc_grant(struct heap *h, struct heap_mutator *m,
                         const struct grant_request *request, struct shm_grant *ret, size_t capacity)
{
    if (request->class == SHM_GRANT_LARGE)
        return large_space_grant(h, m, request->bytes, ret);
    return immix_space_grant_blocks(h, m, request->class, request->bytes, ret, capacity);
}

const struct plan plan_nogc = {
    .name = "nogc",
    .constraints = { .collects = false, .small_max_bytes = MM_SMALL_MAX_BYTES },
    .grant = nogc_grant,
    .check_block_stw = spaces_check_block_stw,
    .spaces = spaces_describe,
};
