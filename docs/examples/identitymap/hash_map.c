/* SPDX-License-Identifier: Apache-2.0 */
#include "hash_map.h"

#include <stdlib.h>

int hash_map_open(struct hash_map *m, size_t buckets)
{
    *m = (struct hash_map){.buckets = calloc(buckets, sizeof(struct hash_entry *)), .bucket_count = buckets};
    return m->buckets != NULL ? MMGC_OK : MMGC_E_SYSTEM_NOMEM;
}

void hash_map_close(struct hash_map *m, struct mmgc_heap *heap)
{
    for (size_t i = 0; i < m->bucket_count; i++) {
        for (struct hash_entry *e = m->buckets[i], *next; e != NULL; e = next) {
            next = e->next;
            (void)mmgc_handle_drop(heap, e->object);
            free(e);
        }
    }
    free(m->buckets);
    *m = (struct hash_map){0};
}

/* The link to @object's entry, or to where it would go; NULL: it has no hash, as mmgc_thread_error() says. */
static struct hash_entry **find(struct hash_map *m, struct mmgc_thread *t, const void *object, uint32_t *ret_hash)
{
    uint32_t hash = *ret_hash = mmgc_identity_hash(t, object);
    struct hash_entry **link = hash != 0 ? &m->buckets[hash & (m->bucket_count - 1)] : NULL;

    while (link != NULL && *link != NULL && ((*link)->hash != hash || mmgc_handle_get(t, (*link)->object) != object))
        link = &(*link)->next;
    return link;
}

int hash_map_put(struct hash_map *m, struct mmgc_thread *t, const void *object, uint64_t value)
{
    uint32_t hash;
    struct hash_entry **link = find(m, t, object, &hash);

    if (link == NULL)
        return mmgc_thread_error(t);
    if (*link != NULL) {
        (*link)->value = value;
        return MMGC_OK;
    }
    struct hash_entry *e = calloc(1, sizeof(*e));
    if (e == NULL)
        return MMGC_E_SYSTEM_NOMEM;
    e->hash = hash;
    e->value = value;
    int r = mmgc_handle_new(t, object, &e->object);
    if (r != MMGC_OK) {
        free(e);
        return r;
    }
    *link = e;
    m->count++;
    return MMGC_OK;
}

int hash_map_get(struct hash_map *m, struct mmgc_thread *t, const void *object, bool *ret_found, uint64_t *ret_value)
{
    uint32_t hash;
    struct hash_entry **link = find(m, t, object, &hash);

    if (link == NULL)
        return mmgc_thread_error(t);
    *ret_found = *link != NULL;
    *ret_value = *link != NULL ? (*link)->value : 0;
    return MMGC_OK;
}

int hash_map_remove(struct hash_map *m, struct mmgc_thread *t, struct mmgc_heap *heap, const void *object)
{
    uint32_t hash;
    struct hash_entry **link = find(m, t, object, &hash);

    if (link == NULL)
        return mmgc_thread_error(t);
    struct hash_entry *e = *link;
    if (e == NULL)
        return MMGC_OK;
    *link = e->next;
    m->count--;
    int r = mmgc_handle_drop(heap, e->object);
    free(e);
    return r;
}
