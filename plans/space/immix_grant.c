/* SPDX-License-Identifier: Apache-2.0 */
#include "plans/space/immix_grant.h"

#include "plans/heap/state.h"
#include "plans/room.h"

#define SHORT_HOLES_AT_ONCE 16u /* of objects of 100 B to 10 KiB (the bench cache): 4 take more requests, 64 lose more lines */

/* While a collection goes on beside the clients, which is to free what lines need, they may have what is kept for longer objects: who
 * waits for it stalls. */
static unsigned kept_from_lines(const struct heap *h)
{
    return heap_cycle(h) >= HEAP_CYCLE_MARKING ? ROOM_KEPT_FOR_LARGE : ROOM_KEPT_FROM_LINES;
}

static size_t grant_lines(struct heap *h, struct heap_mutator *m, uint64_t bytes, struct shm_grant *ret,
                          size_t capacity)
{
    size_t count = line_blocks_grant_holes(h, m, BLOCK_IMMIX, SHM_GRANT_LINES, bytes, ret, capacity);
    uint64_t granted = 0;

    for (size_t i = 0; i < count; i++)
        granted += (uint64_t)ret[i].granules * MM_GRANULE_BYTES;
    if (granted >= bytes)
        return count;
    bytes = MM_MIN(bytes - granted, room_above(h, kept_from_lines(h)));
    return count + line_blocks_grant_free(h, m, BLOCK_IMMIX, SHM_GRANT_LINES, bytes, ret + count,
                                          capacity - count);
}

/* The client passes over holes that are too short for its next object, and what it passes over is lost until the next collection. So the
 * longest go first, and of those that do not fit all a client may ask for only a few at once. */
static size_t grant_long_holes(struct heap *h, struct heap_mutator *m, const struct grant_request *request,
                               struct shm_grant *ret, size_t capacity)
{
    uint64_t granted = 0;
    size_t count = 0;

    for (uint32_t min_bytes = MM_SMALL_MAX_BYTES; count == 0; min_bytes /= 2) {
        min_bytes = MM_MAX(min_bytes, request->min_bytes);
        size_t most = min_bytes == MM_SMALL_MAX_BYTES ? capacity : MM_MIN(capacity, SHORT_HOLES_AT_ONCE);
        while (granted < request->bytes && count < most &&
               line_blocks_grant_one_hole(h, m, BLOCK_IMMIX, SHM_GRANT_BLOCKS, min_bytes, &ret[count]) != 0)
            granted += (uint64_t)ret[count++].granules * MM_GRANULE_BYTES;
        if (min_bytes == request->min_bytes)
            break;
    }
    return count;
}

static size_t grant_overflow(struct heap *h, struct heap_mutator *m, const struct grant_request *request,
                             struct shm_grant *ret, size_t capacity)
{
    uint64_t bytes = MM_MIN(request->bytes, room_above(h, ROOM_KEPT_FROM_BLOCKS));
    size_t count = line_blocks_grant_free(h, m, BLOCK_IMMIX, SHM_GRANT_BLOCKS, bytes, ret, capacity);

    if (count == 0)
        count = grant_long_holes(h, m, request, ret, capacity);
    if (count == 0) {
        bytes = MM_MIN(request->min_bytes, room_above(h, ROOM_KEPT_FOR_LARGE));
        count = line_blocks_grant_free(h, m, BLOCK_IMMIX, SHM_GRANT_BLOCKS, bytes, ret, capacity);
    }
    return count;
}

size_t immix_grant(struct heap *h, struct heap_mutator *m, const struct grant_request *request, struct shm_grant *ret,
                   size_t capacity)
{
    return request->class == SHM_GRANT_LINES ? grant_lines(h, m, request->bytes, ret, capacity)
                                             : grant_overflow(h, m, request, ret, capacity);
}
