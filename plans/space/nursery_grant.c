/* SPDX-License-Identifier: Apache-2.0 */
#include "plans/space/nursery_grant.h"

#include "plans/heap/state.h"
#include "plans/room.h"

#define SURVIVORS 8u /* one in so many has room kept for it */

uint64_t nursery_reserve_bytes(const struct heap *h)
{
    return (uint64_t)(h->blocks.counts[BLOCK_NURSERY] / SURVIVORS) * MM_BLOCK_BYTES;
}

size_t nursery_grant(struct heap *h, struct heap_mutator *m, const struct grant_request *request, struct shm_grant *ret,
                     size_t capacity)
{
    uint64_t bytes = MM_MIN(request->bytes, room_above(h, ROOM_KEPT_FOR_LARGE));

    return line_blocks_grant_free(h, m, BLOCK_NURSERY, request->class, bytes, ret, capacity);
}
