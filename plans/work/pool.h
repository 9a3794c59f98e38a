/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/* Pool: packet memory, taken from a store in chunks, handed out up to a limit.
 *   Owner    embedded in the engine; one cache embedded in each worker
 *   Threads  any, with its own cache or none (NULL)
 *   Limit    counts packets that left the pool, those lying in caches too. Caches hold an eighth of the limit at most, and
 *            nothing when the limit is tiny: then every decline is exact.                                        */
#include <pthread.h>
#include <stddef.h>

#include "plans/work/engine.h"

struct pool_chunk;
struct store;

struct pool {
    struct store *store;       /* [const] */
    pthread_mutex_t lock;      /* nothing is locked inside but the store's */
    unsigned caches;           /* [const] how many there are */
    struct packet *free;       /* [lock] */
    struct pool_chunk *chunks; /* [lock] newest first */
    unsigned fresh; /* [lock] packets at the end of the newest chunk not yet handed out */
    size_t mapped, out, limit; /* [lock] packets: in all chunks; not on the free list; allowed out */
    _Atomic unsigned batch; /* [lock] stores; packets per cache refill, a cache holds up to twice that */
};

struct pool_cache { /* [worker] */
    struct packet *free;
    unsigned count;
};

#define POOL_CHUNK_BYTES (256u * 1024u + 64u)
#define POOL_LIMIT_DEFAULT (256u * 1024u * 1024u)

void pool_init(struct pool *pool, struct store *store, unsigned caches);
void pool_fini(struct pool *pool); /* every packet is back */
void pool_set_limit(struct pool *pool, size_t bytes);
size_t pool_out_racy(struct pool *pool); /* for tests: packets that are not in the pool itself */

struct packet *pool_try_take(struct pool *pool,
                             struct pool_cache *cache); /* contents undefined; NULL: limit, no memory */
void pool_give(struct pool *pool, struct pool_cache *cache, struct packet *p);
/* The owner of @cache goes to sleep: the cache goes back, and memory beyond POOL_KEEP too if the pool is whole. */
void pool_rest(struct pool *pool, struct pool_cache *cache);
