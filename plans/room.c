/* SPDX-License-Identifier: Apache-2.0 */
#include "plans/room.h"

uint64_t room_share(const struct heap *h, unsigned part)
{
    return (uint64_t)h->blocks.units_limit * MM_COMMIT_BYTES / part;
}

uint64_t room_free(const struct heap *h)
{
    uint64_t bytes = heap_free_bytes(h) + heap_uncommitted_bytes(h), reserve = heap_reserve_bytes(h);

    return bytes > reserve ? bytes - reserve : 0;
}

uint64_t room_above(const struct heap *h, unsigned part)
{
    uint64_t bytes = room_free(h), kept = h->full ? 0 : room_share(h, part);

    return bytes > kept ? bytes - kept : 0;
}

void room_judge_stw(struct heap *h)
{
    h->full = false;
    h->full = heap_hole_bytes(h) + room_above(h, ROOM_KEPT_FROM_LINES) < room_share(h, ROOM_KEPT_FROM_BLOCKS);
}
