/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/* Hash map: the same, keyed by the objects' identity hashes. Nothing has to be followed: a hash stays with its object. But two objects may
 * have one, so each entry holds on to its object by a handle, which keeps it alive until the entry is removed.
 *   Threads  one; it is inside                                                                                    */
#include <mmgc/mmgc.h>

struct hash_entry {
    struct hash_entry *next;                 /* in its bucket */
    uint32_t hash;
    mmgc_handle object;
    uint64_t value;
};
struct hash_map {
    struct hash_entry **buckets;             /* a power of two of them */
    size_t bucket_count, count;
};

int hash_map_open(struct hash_map *m, size_t buckets);       /* This and the others: MMGC_OK, or an MMGC_E_ code */
void hash_map_close(struct hash_map *m, struct mmgc_heap *heap);
int hash_map_put(struct hash_map *m, struct mmgc_thread *t, const void *object, uint64_t value);
int hash_map_get(struct hash_map *m, struct mmgc_thread *t, const void *object, bool *ret_found, uint64_t *ret_value);
int hash_map_remove(struct hash_map *m, struct mmgc_thread *t, struct mmgc_heap *heap, const void *object);
