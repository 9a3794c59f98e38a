/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/* Cache: values that were computed of objects, as long as those live and there is room. It keeps neither: an entry refers to its key weakly and to
 * its value softly. When one of the two is cleared the collector puts the entry into the cache's queue, and the cache takes it out of its table.
 *   Threads  the one that made it, inside and exact: what is given is good until the next call marked [safepoint] */
#include <mmgc/reference.h>

#define CACHE_BUCKETS 64u

struct cache {
    struct mmgc_thread *t;
    mmgc_type entry;
    mmgc_local table, queue;                 /* references to the first entry of each bucket */
    unsigned entries;
};

void cache_begin(struct cache *c, struct mmgc_heap *heap, struct mmgc_thread *t);      /* [safepoint] */
void *cache_find(struct cache *c, const void *key);          /* NULL: it has to be computed */
void cache_add(struct cache *c, mmgc_local key, mmgc_local value);   /* [safepoint] */
unsigned cache_tidy(struct cache *c);                        /* takes out what was announced: so many */

void must(const char *what, int code);
void *made(struct mmgc_thread *t, void *object);             /* or it says why not, and ends */
