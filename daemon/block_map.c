/* SPDX-License-Identifier: Apache-2.0 */
/* block_map.c - Block map: an arena's blocks as a picture, while clients run.
 *   Cost  two bytes a block are read, at most a million blocks: about a millisecond for 32 GiB, 10 us for 256 MiB */
#include "daemon/facts.h"
#include "daemon/request.h"
#include "daemon/shared_heap.h"
#include "plans/heap.h"
#include "shm/units.h"

#define CELLS_MAX 4096u

enum handled request_blocks(struct request *r)
{
    const wire_blocks *asked = r->message->blocks;
    struct shared_heap *h = request_heap_meant(r, asked->heap);
    uint8_t kinds[CELLS_MAX], used[CELLS_MAX];
    struct heap_map map = { .kinds = kinds, .used = used };
    wire_block_map body = wire_block_map_init();
    wire_reply reply = wire_reply_init();

    if (h == NULL)
        return HANDLED;
    map.cells = asked->max_cells == 0 ? CELLS_MAX : MM_MIN(asked->max_cells, CELLS_MAX);
    if (!shared_heap_try_lock(h))
        return answer_later(r, h);
    heap_map_read(h->heap, &map);
    shared_heap_unlock(h);
    body.block_bytes = MM_BLOCK_BYTES;
    body.blocks = (uint32_t)(h->max_bytes / MM_BLOCK_BYTES);
    body.blocks_a_cell = map.blocks_a_cell;
    body.kinds.data = kinds;
    body.used.data = used;
    body.kinds.len = body.used.len = map.cells;
    body.kind_names = (char **)heap_map_kind_names;
    body.n_kind_names = HEAP_MAP_KINDS;
    reply.body_case = WIRE_REPLY(BLOCK_MAP);
    reply.block_map = &body;
    return answer(r, &reply, NULL);
}
