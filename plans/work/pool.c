/* SPDX-License-Identifier: Apache-2.0 */
/* pool.c - Packets come from chunks of the store and return to one free list.
 *   P1  mapped == free list + fresh + out;  out <= limit at every take (lowering the limit takes nothing back)
 *   P2  a packet in a cache belongs to that worker, counts as out, and is on no other list
 *   P3  a fresh packet was never written: its page fault (1.4 us) falls to whoever takes it, outside the lock
 *   Cost  the lock is taken once per `batch` packets of a worker, or per fresh packet                              */
#include "plans/work/pool.h"

#include "plans/work/store.h"

#define CHUNK_PACKETS (POOL_CHUNK_BYTES / PACKET_BYTES)
#define CHUNK_HEAD_BYTES (POOL_CHUNK_BYTES % PACKET_BYTES) /* the chunk's own */
#define POOL_KEEP (16u * 1024u * 1024u / PACKET_BYTES) /* packets kept mapped by an idle engine */
#define BATCH_MAX 16u

struct pool_chunk {
    struct pool_chunk *next;
};

static struct packet *chunk_packet(struct pool_chunk *chunk, unsigned i)
{
    return (struct packet *)((char *)chunk + CHUNK_HEAD_BYTES + (size_t)i * PACKET_BYTES);
}

static void chunk_add_locked(struct pool *pool, struct pool_chunk *chunk)
{
    chunk->next = pool->chunks;
    pool->chunks = chunk;
    pool->mapped += CHUNK_PACKETS;
}

static void chunk_free_all_locked(struct pool *pool, struct pool_chunk *chunk)
{
    for (unsigned i = CHUNK_PACKETS; i-- > 0;) { /* lowest address first out */
        struct packet *p = chunk_packet(chunk, i);
        p->next = pool->free;
        pool->free = p;
    }
}

static bool pool_grow_locked(struct pool *pool)
{
    void *at = store_alloc(pool->store, POOL_CHUNK_BYTES); /* its lock is below ours */
    if (at == NULL)
        return false;
    chunk_add_locked(pool, at);
    pool->fresh = CHUNK_PACKETS;
    return true;
}

static void chunks_free(struct store *store, struct pool_chunk *chunk)
{
    while (chunk != NULL) {
        struct pool_chunk *next = chunk->next;
        store_free(store, chunk);
        chunk = next;
    }
}

void pool_init(struct pool *pool, struct store *store, unsigned caches)
{
    *pool = (struct pool){ .store = store, .caches = caches };
    pthread_mutex_init(&pool->lock, NULL);
    pool_set_limit(pool, POOL_LIMIT_DEFAULT);
}

void pool_fini(struct pool *pool)
{
    MM_ASSERT(pool->out == 0);
    chunks_free(pool->store, pool->chunks);
    pthread_mutex_destroy(&pool->lock);
}

void pool_set_limit(struct pool *pool, size_t bytes)
{
    pthread_mutex_lock(&pool->lock);
    pool->limit = bytes / PACKET_BYTES;
    size_t share = pool->limit / (16 * pool->caches); /* a cache holds two batches */
    at_store_relaxed(&pool->batch, (unsigned)MM_MIN(share, BATCH_MAX));
    pthread_mutex_unlock(&pool->lock);
}

size_t pool_out_racy(struct pool *pool)
{
    pthread_mutex_lock(&pool->lock);
    size_t out = pool->out;
    pthread_mutex_unlock(&pool->lock);
    return out;
}

static struct packet *pool_take_locked(struct pool *pool)
{
    struct packet *p = pool->free;
    if (pool->out >= pool->limit)
        return NULL;
    if (p != NULL)
        pool->free = p->next;
    else if (pool->fresh != 0 || pool_grow_locked(pool))
        p = chunk_packet(pool->chunks, CHUNK_PACKETS - pool->fresh--);
    else
        return NULL;
    pool->out++;
    return p;
}

static void pool_give_locked(struct pool *pool, struct packet *p)
{
    MM_ASSERT(pool->out != 0);
    p->next = pool->free;
    pool->free = p;
    pool->out--;
}

static struct packet *cache_pop(struct pool_cache *cache)
{
    struct packet *p = cache->free;
    cache->free = p->next;
    cache->count--;
    return p;
}

static void cache_push(struct pool_cache *cache, struct packet *p)
{
    p->next = cache->free;
    cache->free = p;
    cache->count++;
}

struct packet *pool_try_take(struct pool *pool, struct pool_cache *cache)
{
    if (cache != NULL && cache->count != 0)
        return cache_pop(cache);

    pthread_mutex_lock(&pool->lock);
    struct packet *p = pool_take_locked(pool), *more;
    if (p != NULL && cache != NULL)
        for (unsigned i = 1; i < at_load_relaxed(&pool->batch); i++) {
            if (pool->free == NULL || (more = pool_take_locked(pool)) == NULL)
                break;
            cache_push(cache, more);
        }
    pthread_mutex_unlock(&pool->lock);
    return p;
}

static void cache_drain_locked(struct pool *pool, struct pool_cache *cache, unsigned leave)
{
    while (cache->count > leave)
        pool_give_locked(pool, cache_pop(cache));
}

void pool_give(struct pool *pool, struct pool_cache *cache, struct packet *p)
{
    struct pool_cache one = { 0 };
    if (cache == NULL)
        cache = &one;
    unsigned batch = cache == &one ? 0 : at_load_relaxed(&pool->batch);
    cache_push(cache, p);
    if (cache->count <= 2 * batch)
        return;
    pthread_mutex_lock(&pool->lock);
    cache_drain_locked(pool, cache, batch);
    pthread_mutex_unlock(&pool->lock);
}

/* Nothing is out, so every packet lies in the chunks and the free list can be made anew from those that stay. */
static struct pool_chunk *pool_trim_locked(struct pool *pool)
{
    struct pool_chunk *keep = pool->chunks, *next;
    if (pool->out != 0 || pool->mapped <= POOL_KEEP)
        return NULL;
    pool->free = NULL;
    pool->chunks = NULL;
    pool->mapped = pool->fresh = 0;
    for (; keep != NULL && pool->mapped < POOL_KEEP; keep = next) {
        next = keep->next;
        chunk_add_locked(pool, keep);
        chunk_free_all_locked(pool, keep);
    }
    return keep;
}

void pool_rest(struct pool *pool, struct pool_cache *cache)
{
    pthread_mutex_lock(&pool->lock);
    cache_drain_locked(pool, cache, 0);
    struct pool_chunk *unneeded = pool_trim_locked(pool);
    pthread_mutex_unlock(&pool->lock);
    chunks_free(pool->store, unneeded); /* 17 ms for 256 MiB: not under the lock */
}
