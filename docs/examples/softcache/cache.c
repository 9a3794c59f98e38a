/* SPDX-License-Identifier: Apache-2.0 */
#include "cache.h"

#include <stdio.h>
#include <stdlib.h>

struct entry {
    mmgc_ref key;                            /* weak */
    struct mmgc_soft value;
    mmgc_ref chain;                          /* the next one in its bucket */
    mmgc_ref queue, announced;
    uint32_t bucket;                         /* when it has lost its key nobody can tell by that */
};

void must(const char *what, int code)
{
    if (code == MMGC_OK)
        return;
    fprintf(stderr, "softcache: %s: %s %s\n", what, mmgc_strerror(code), mmgc_error_detail());
    exit(1);
}

void *made(struct mmgc_thread *t, void *object)
{
    if (object == NULL)
        must("making an object", mmgc_thread_error(t));
    return object;
}

void cache_begin(struct cache *c, struct mmgc_heap *heap, struct mmgc_thread *t)
{
    mmgc_type refs;

    *c = (struct cache){ .t = t };
    must("type", mmgc_type_refs(heap, &refs));
    must("type", mmgc_type_struct(heap, "cache entry", sizeof(struct entry), &c->entry, 5u, MMGC_WEAK(entry, key), MMGC_SOFT(entry, value),
                                  MMGC_STRONG(entry, chain), MMGC_QUEUE(entry, queue), MMGC_LINK(entry, announced)));
    c->table = mmgc_local_new(t, made(t, mmgc_new_array(t, refs, CACHE_BUCKETS)));
    c->queue = mmgc_local_new(t, made(t, mmgc_queue_new(t)));
}

/* Addresses change; this does not. */
static uint32_t bucket_of(struct cache *c, const void *key)
{
    return mmgc_identity_hash(c->t, key) % CACHE_BUCKETS;
}

static mmgc_ref *bucket_at(struct cache *c, uint32_t bucket)
{
    return (mmgc_ref *)mmgc_local_get(c->t, c->table) + bucket;
}

void *cache_find(struct cache *c, const void *key)
{
    struct entry *e = mmgc_load(c->t, bucket_at(c, bucket_of(c, key)));

    for (; e != NULL; e = mmgc_get(c->t, e, chain))
        if (mmgc_load_weak(c->t, &e->key) == key && !mmgc_is_cleared(&e->value.ref)) /* one that has lost its value is announced, and goes */
            return mmgc_load_soft(c->t, &e->value);
    return NULL;
}

void cache_add(struct cache *c, mmgc_local key, mmgc_local value)
{
    struct entry *e = made(c->t, mmgc_new(c->t, c->entry));
    void *table = mmgc_local_get(c->t, c->table);

    e->bucket = bucket_of(c, mmgc_local_get(c->t, key));
    mmgc_set(c->t, e, key, mmgc_local_get(c->t, key));
    mmgc_set(c->t, e, value.ref, mmgc_local_get(c->t, value));
    (void)mmgc_load_soft(c->t, &e->value);   /* used just now */
    mmgc_set(c->t, e, queue, mmgc_local_get(c->t, c->queue));
    mmgc_set(c->t, e, chain, mmgc_load(c->t, bucket_at(c, e->bucket)));
    mmgc_store(c->t, table, bucket_at(c, e->bucket), e);
    c->entries++;
}

static void take_out(struct cache *c, struct entry *gone)
{
    void *holder = mmgc_local_get(c->t, c->table);
    mmgc_ref *slot = bucket_at(c, gone->bucket);
    struct entry *e;

    for (; (e = mmgc_load(c->t, slot)) != gone; holder = e, slot = &e->chain)
        if (e == NULL)
            return;
    mmgc_store(c->t, holder, slot, mmgc_get(c->t, gone, chain));
    c->entries--;
}

unsigned cache_tidy(struct cache *c)
{
    struct entry *e = mmgc_queue_take(c->t, mmgc_local_get(c->t, c->queue));
    unsigned count = 0;

    for (; e != NULL; e = mmgc_get(c->t, e, announced), count++)
        take_out(c, e);
    return count;
}
