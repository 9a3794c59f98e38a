/* SPDX-License-Identifier: Apache-2.0 */
/* reserve.c - Reserve: whole blocks that lie in the ring.
 *   V1  a block is left behind only by an object that does not fit, so with objects of at most half a block more than half of
 *       it was used: ceil(bytes / 16 KiB) blocks serve any order of objects of @bytes together
 *   V2  the fast path does not count; what it bumped is seen at the next slow path. So the promise ends late, never early. */
#include "client/reserve.h"

#include <mmgc/mmgc.h>

#include "client/grant.h"
#include "client/hold.h"
#include "client/span.h"
#include "client/thread.h"
#include "shm/units.h"

#define RESERVE_MAX_BYTES (UINT64_C(4) << 20)
#define ATTEMPTS 8u /* the first may find a request made ahead, which is not enough */

bool reserve_charge(struct thread *th, uint64_t bytes)
{
    uint64_t bumped =
        (uint64_t)(th->m->lines.cursor - th->reserve_seen); /* one span: note follows each change */
    bool promised = th->reserve_left >= bumped && th->reserve_left - bumped >= bytes;

    th->reserve_left = promised ? th->reserve_left - bumped - bytes : 0;
    return promised;
}

void reserve_note(struct thread *th)
{
    th->reserve_seen = th->m->lines.cursor;
}

/* Whole blocks in the ring that are not begun. */
static uint64_t blocks_ahead(struct thread *th)
{
    const struct slab *slab = &th->slabs[SHM_GRANT_BLOCKS];
    const struct shm_grant *ring = shm_mutator_ring(th->m, SHM_GRANT_BLOCKS);
    uint64_t blocks = 0;

    (void)span_ahead(th, SHM_GRANT_BLOCKS);
    for (uint32_t i = slab->taken + (slab->current ? 1 : 0); i != slab->seen; i++)
        blocks += ring[i % SHM_BLOCKS_CAPACITY].granules == MM_BLOCK_GRANULES;
    return blocks;
}

/* So many blocks, V1. */
static uint64_t blocks_for(uint64_t bytes)
{
    return (bytes + MMGC_SMALL_MAX - 1) / MMGC_SMALL_MAX;
}

/* False: they lie in the ring. */
static bool lacks_blocks(struct thread *th, uint64_t needed, struct grant_ask *ret_ask)
{
    uint64_t ahead = blocks_ahead(th);

    *ret_ask = (struct grant_ask){
        .class = SHM_GRANT_BLOCKS,
        .bytes = (needed - MM_MIN(needed, ahead)) << MM_BLOCK_LOG,
        .min_bytes = MM_BLOCK_BYTES,
        .reserve = true,
    };
    return ahead < needed;
}

static int reserve_blocks(struct thread *th, uint64_t needed)
{
    for (unsigned attempt = 0; attempt < ATTEMPTS; attempt++) {
        struct grant_ask ask;
        if (!lacks_blocks(th, needed, &ask))
            return MMGC_OK;
        int r = grant_wait(th, &ask);
        if (r != MMGC_OK)
            return r;
    }
    return error_set(MMGC_E_NOMEM, "no %llu whole blocks", (unsigned long long)needed);
}

int reserve_secure(struct thread *th, uint64_t bytes)
{
    uint64_t blocks = blocks_for(bytes);

    th->reserve_left = 0;
    if (blocks > SHM_BLOCKS_CAPACITY)
        return error_set(MMGC_E_LIMIT, "%llu bytes at once, at most %llu", (unsigned long long)bytes,
                         (unsigned long long)SHM_BLOCKS_CAPACITY * MMGC_SMALL_MAX);
    return reserve_blocks(th, blocks);
}

void reserve_ahead(struct thread *th, uint64_t bytes)
{
    struct grant_ask ask;

    if (lacks_blocks(th, MM_MIN(blocks_for(bytes), (uint64_t)SHM_BLOCKS_CAPACITY), &ask))
        grant_ask_ahead(th, &ask);
}

int mmgc_reserve(struct mmgc_thread *t, uint64_t bytes)
{
    if (t == NULL)
        return error_set(MMGC_E_INVALID, "the thread is NULL");
    struct thread *th = thread_of(t);
    int r = heap_check(th->heap);
    if (r != MMGC_OK)
        return r;
    if (th->heap->read_only)
        return error_set(MMGC_E_READ_ONLY, NULL);
    if (bytes > RESERVE_MAX_BYTES)
        return error_set(MMGC_E_RESERVE, "%llu bytes", (unsigned long long)bytes);
    if (hold_is_open(th))
        return hold_reserve(th, bytes);
    th->reserve_left = 0; /* what was reserved lies in the ring and counts again */
    r = reserve_secure(th, bytes);
    if (r != MMGC_OK)
        return r;
    th->reserve_left = bytes;
    reserve_note(th);
    return MMGC_OK;
}
