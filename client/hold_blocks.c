/* SPDX-License-Identifier: Apache-2.0 */
/* hold_blocks.c - Hold blocks: a pool, chains out of it, and rows.
 *   K1  a block in the pool has a row that does not count: it is 0, or of an outermost hold that has ended. So the chain of an outermost hold
 *       that no stop has seen goes back as it is
 *   K2  a row covers all that was made in the block, and zeroes behind that to the end of a line, whenever the thread may be killed (S7): what
 *       refers to it, a copy on its way out or a guest, then refers to an object
 *   K3  a row that a stop may have seen is not lowered: the block is retired, and the daemon's. Who had objects found in it, or reads
 *       them beside us, is not disturbed
 *   K4  the owner bytes of blocks in the pool say nothing; a retired block's is 0 before the daemon can give it to anybody else  */
#include "client/hold_blocks.h"

#include <stdlib.h>
#include <string.h>

#include "client/hold.h"
#include "client/span.h"
#include "shm/units.h"

#define KEPT_BLOCKS 16u /* in the pool, whatever is needed */

static uint32_t place_of(const struct hold_pool *pool, const struct held_block *b)
{
    return (uint32_t)(b - pool->blocks) + 1;
}

static uint64_t number_of(const struct thread *th, const struct held_block *b)
{
    return (uint64_t)(b->start - th->m->base) >> MM_BLOCK_LOG;
}

static void store_row(struct thread *th, struct held_block *b, uint64_t row)
{
    b->row = row;
    at_store_release(&th->m->hold_rows[b - th->holds->pool.blocks], row); /* after what it covers */
}

void hold_pool_take_in(struct thread *th)
{
    struct hold_pool *pool = &th->holds->pool;
    struct slab *slab = &th->slabs[SHM_GRANT_HOLD];
    const struct shm_grant *ring = shm_mutator_ring(th->m, SHM_GRANT_HOLD);

    (void)span_ahead(th, SHM_GRANT_HOLD);
    for (; pool->known != slab->seen; pool->known++) {
        uint32_t at = pool->known % SHM_HOLD_CAPACITY;
        struct held_block *b = &pool->blocks[at];
        b->start = th->heap->base + ((uint64_t)ring[at].start << MM_GRANULE_LOG);
        b->row = 0; /* the daemon has stored that */
        pool->places[number_of(th, b)] = (uint16_t)(at + 1);
        b->next = pool->clean;
        pool->clean = at + 1;
        pool->clean_count++;
    }
}

struct held_block *hold_chain_extend(struct thread *th, struct hold_chain *chain, uint8_t depth)
{
    struct hold_pool *pool = &th->holds->pool;

    MM_ASSERT(pool->clean != 0);
    struct held_block *b = held_block(pool, pool->clean);
    pool->clean = b->next;
    pool->clean_count--;
    pool->in_use++;
    th->slabs[SHM_GRANT_HOLD].ahead_bytes -= MM_BLOCK_BYTES;
    b->next = 0;
    store_row(th, b, 0); /* before anything in it changes */
    uint32_t place = place_of(pool, b);
    if (chain->last != 0)
        held_block(pool, chain->last)->next = place;
    else
        chain->first = place;
    chain->last = place;
    chain->count++;
    pool->owners[number_of(th, b)] = depth;
    return b;
}

void hold_chain_cover(struct thread *th, const struct hold_chain *chain, const char *top)
{
    struct held_block *b = held_block(&th->holds->pool, chain->last);
    uint64_t lines = (uint64_t)(top - b->start) / MM_LINE_BYTES;

    store_row(th, b, th->holds->outermost << SHM_HOLD_SERIAL_LOG | lines); /* K2: after the zeroing */
}

/* @count blocks from place @first to @last, whose rows do not count, are the pool's again. */
static void give_back(struct thread *th, uint32_t first, uint32_t last, uint32_t count)
{
    struct hold_pool *pool = &th->holds->pool;

    held_block(pool, last)->next = pool->clean;
    pool->clean = first;
    pool->clean_count += count;
    pool->most = MM_MAX(pool->most, pool->in_use);
    pool->in_use -= count;
    th->slabs[SHM_GRANT_HOLD].ahead_bytes += (uint64_t)count << MM_BLOCK_LOG;
}

/* K3. The daemon has the block, and after the next collection its place in the ring. */
static void retire(struct thread *th, struct held_block *b)
{
    struct hold_pool *pool = &th->holds->pool;
    struct slab *slab = &th->slabs[SHM_GRANT_HOLD];

    pool->owners[number_of(th, b)] = 0; /* K4 */
    free(b->map);
    b->map = NULL;
    store_row(th, b, b->row | SHM_HOLD_RETIRED);
    while (slab->taken != pool->known && (pool->blocks[slab->taken % SHM_HOLD_CAPACITY].row & SHM_HOLD_RETIRED) != 0)
        pool->blocks[slab->taken++ % SHM_HOLD_CAPACITY].row = 0;
    at_store_release(&th->m->mail[SHM_GRANT_HOLD].taken, slab->taken);
}

static void retire_all(struct thread *th, const struct hold_chain *chain)
{
    struct hold_pool *pool = &th->holds->pool;

    for (uint32_t at = chain->first, next; at != 0; at = next) {
        next = held_block(pool, at)->next;
        retire(th, held_block(pool, at));
    }
    pool->most = MM_MAX(pool->most, pool->in_use);
    pool->in_use -= chain->count;
}

/* Of all of them before one is used again: they may refer to each other. */
static void forget_rows(struct thread *th, uint32_t first)
{
    struct hold_pool *pool = &th->holds->pool;

    for (uint32_t at = first; at != 0; at = held_block(pool, at)->next)
        store_row(th, held_block(pool, at), 0);
}

void hold_chain_drop(struct thread *th, struct hold_chain *chain, bool seen, bool ended)
{
    if (chain->first == 0)
        return;
    if (seen) {
        retire_all(th, chain);
    } else {
        if (!ended)
            forget_rows(th, chain->first);
        give_back(th, chain->first, chain->last, chain->count);
    }
    *chain = (struct hold_chain){ 0 };
}

void hold_chain_cut(struct thread *th, struct hold_chain *chain, uint32_t last, uint32_t count)
{
    struct hold_pool *pool = &th->holds->pool;
    uint32_t first = last == 0 ? chain->first : held_block(pool, last)->next;

    if (chain->last == last)
        return;
    forget_rows(th, first);
    give_back(th, first, chain->last, chain->count - count);
    if (last == 0)
        chain->first = 0;
    else
        held_block(pool, last)->next = 0;
    chain->last = last;
    chain->count = count;
}

/* At most once between two stops, so that a thread whose holds vary keeps what it needs now and then. */
void hold_pool_trim(struct thread *th)
{
    struct hold_pool *pool = &th->holds->pool;
    uint32_t epoch = at_load_relaxed(&th->heap->control->epoch), kept = MM_MAX(pool->most, KEPT_BLOCKS);

    if (MM_LIKELY(epoch == pool->trim_epoch))
        return;
    pool->trim_epoch = epoch;
    pool->most = 0;
    while (pool->clean_count > kept) {
        struct held_block *b = held_block(pool, pool->clean);
        pool->clean = b->next;
        pool->clean_count--;
        th->slabs[SHM_GRANT_HOLD].ahead_bytes -= MM_BLOCK_BYTES;
        store_row(th, b, 0); /* whatever it said */
        retire(th, b);
    }
}
