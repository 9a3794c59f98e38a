/* SPDX-License-Identifier: Apache-2.0 */
#include "plans/heap/types.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#define BUCKETS (2 * SHM_TYPES_MAX) /* half empty at the most */
#define BITMAP_BYTES 256u           /* of payload that one bitmap describes */

int types_init(struct types *t)
{
    *t = (struct types){
        .programs = calloc(SHM_TYPES_MAX, sizeof(*t->programs)),
        .rows = calloc(SHM_TYPES_MAX, sizeof(*t->rows)),
        .offsets = calloc(SHM_TYPES_MAX, sizeof(*t->offsets)),
        .buckets = calloc(BUCKETS, sizeof(*t->buckets)),
    };
    if (t->programs == NULL || t->rows == NULL || t->offsets == NULL || t->buckets == NULL) {
        types_fini(t);
        return -ENOMEM;
    }
    return 0;
}

void types_fini(struct types *t)
{
    for (uint32_t id = 1; t->offsets != NULL && id <= t->count; id++)
        free(t->offsets[id]);
    free(t->programs);
    free(t->rows);
    free(t->offsets);
    free(t->buckets);
    *t = (struct types){ 0 };
}

/* The bucket that holds @name, or the empty one where it would go. */
static uint16_t *find_bucket(const struct types *t, const char *name)
{
    uint32_t hash = 2166136261u; /* FNV-1a */

    for (const char *c = name; *c != '\0'; c++)
        hash = (hash ^ (uint8_t)*c) * 16777619u;
    for (uint32_t i = hash % BUCKETS;; i = (i + 1) % BUCKETS) {
        uint16_t id = t->buckets[i];
        if (id == 0 || strcmp(t->rows[id].name, name) == 0)
            return &t->buckets[i];
    }
}

static bool same_layout(const struct types *t, uint32_t id, const struct shm_type_layout *l)
{
    const struct shm_type_row *row = &t->rows[id];
    const uint32_t *refs = t->offsets[id];

    return row->fixed_bytes == l->fixed_bytes && row->element_bytes == l->element_bytes &&
           row->ref_count == l->ref_count && row->element_ref_count == l->element_ref_count &&
           (l->ref_count == 0 || memcmp(refs, l->refs, l->ref_count * sizeof(*refs)) == 0) &&
           (l->element_ref_count == 0 ||
            memcmp(refs + l->ref_count, l->element_refs, l->element_ref_count * sizeof(*refs)) == 0);
}

static enum scan_shape shape_of(const struct shm_type_layout *l)
{
    if (l->element_ref_count != 0)
        return SCAN_ARRAY;
    if (l->ref_count == 0)
        return SCAN_LEAF;
    return l->refs[l->ref_count - 1] < BITMAP_BYTES ? SCAN_BITMAP : SCAN_OFFSETS;
}

/* Types whose elements refer to something are looked at piece by piece, however short they are. */
static uint16_t small_granules(const struct shm_type_layout *l)
{
    uint64_t bytes = object_bytes(l->fixed_bytes, 0, 0);

    return bytes <= MM_LINE_BYTES && l->element_ref_count == 0 ? (uint16_t)(bytes / MM_GRANULE_BYTES) : 0;
}

static void compile(struct scan_program *p, const struct shm_type_layout *l, const uint32_t *offsets)
{
    *p = (struct scan_program){
        .fixed_bytes = l->fixed_bytes,
        .element_bytes = l->element_bytes,
        .shape = (uint16_t)shape_of(l),
        .ref_count = (uint16_t)l->ref_count,
        .element_ref_count = (uint16_t)l->element_ref_count,
        .small_granules = small_granules(l),
        .element_refs = offsets + l->ref_count,
    };
    if (p->shape != SCAN_BITMAP)
        p->refs = offsets;
    else
        for (uint32_t i = 0; i < l->ref_count; i++)
            p->bitmap |= UINT64_C(1) << (offsets[i] / 4);
}

int types_define(struct types *t, const struct shm_type_layout *l, uint32_t *ret_id)
{
    uint16_t *bucket = find_bucket(t, l->name);
    uint32_t id = *bucket;

    if (id != 0) {
        *ret_id = id;
        return same_layout(t, id, l) ? 0 : -EEXIST;
    }
    if (t->count + 1 == SHM_TYPES_MAX)
        return -ENOSPC;
    uint32_t *offsets = malloc((l->ref_count + l->element_ref_count + 1) * sizeof(*offsets));
    if (offsets == NULL)
        return -ENOMEM;
    if (l->ref_count != 0)
        memcpy(offsets, l->refs, l->ref_count * sizeof(*offsets));
    if (l->element_ref_count != 0)
        memcpy(offsets + l->ref_count, l->element_refs, l->element_ref_count * sizeof(*offsets));

    id = ++t->count;
    t->offsets[id] = offsets;
    t->rows[id] = (struct shm_type_row){ l->fixed_bytes, l->element_bytes, l->ref_count,
                                         l->element_ref_count, "" };
    memcpy(t->rows[id].name, l->name, strlen(l->name));
    compile(&t->programs[id], l, offsets);
    *bucket = (uint16_t)id;
    *ret_id = id;
    return 0;
}
