/* SPDX-License-Identifier: Apache-2.0 */
#include "plans/heap/types.h"

#include <errno.h>
#include <string.h>

#include "plans/work/store.h"

#define BUCKETS (2 * SHM_TYPES_MAX) /* half empty at the most */
#define BITMAP_BYTES 256u           /* of payload that one bitmap describes */

int types_init(struct types *t, struct store *store)
{
    *t = (struct types){
        .store = store,
        .programs = store_alloc_zeroed(store, SHM_TYPES_MAX * sizeof(*t->programs)),
        .rows = store_alloc_zeroed(store, SHM_TYPES_MAX * sizeof(*t->rows)),
        .offsets = store_alloc_zeroed(store, SHM_TYPES_MAX * sizeof(*t->offsets)),
        .weak = store_alloc_zeroed(store, SHM_TYPES_MAX * sizeof(*t->weak)),
        .buckets = store_alloc_zeroed(store, BUCKETS * sizeof(*t->buckets)),
    };
    if (t->programs == NULL || t->rows == NULL || t->offsets == NULL || t->weak == NULL || t->buckets == NULL) {
        types_fini(t);
        return -ENOMEM;
    }
    return 0;
}

/* One piece of memory: the program, its slots, the offsets of the strong ones. */
static size_t weak_bytes(size_t refs)
{
    return sizeof(struct weak_program) + refs * (sizeof(struct weak_slot) + sizeof(uint32_t));
}

size_t types_store_bytes(unsigned count)
{
    const struct types *t = NULL;

    return store_piece_bytes(SHM_TYPES_MAX * sizeof(*t->programs)) + store_piece_bytes(SHM_TYPES_MAX * sizeof(*t->rows)) +
           store_piece_bytes(SHM_TYPES_MAX * sizeof(*t->offsets)) + store_piece_bytes(SHM_TYPES_MAX * sizeof(*t->weak)) +
           store_piece_bytes(BUCKETS * sizeof(*t->buckets)) +
           count * (store_piece_bytes((3 * SHM_TYPE_REFS_MAX + 1) * sizeof(**t->offsets)) + store_piece_bytes(weak_bytes(SHM_TYPE_REFS_MAX)));
}

void types_fini(struct types *t)
{
    for (uint32_t id = 1; t->offsets != NULL && id <= t->count; id++) {
        store_free(t->store, t->offsets[id]);
        store_free(t->store, t->weak[id]);
    }
    store_free(t->store, t->programs);
    store_free(t->store, t->rows);
    store_free(t->store, t->offsets);
    store_free(t->store, t->weak);
    store_free(t->store, t->buckets);
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

/* Offsets of references, in a row of their own. */
struct offsets {
    uint32_t *words;
    uint32_t count, element_count;
};

static enum scan_shape shape_of(const struct offsets *o)
{
    if (o->element_count != 0)
        return SCAN_ARRAY;
    if (o->count == 0)
        return SCAN_LEAF;
    return o->words[o->count - 1] < BITMAP_BYTES ? SCAN_BITMAP : SCAN_OFFSETS;
}

/* Where a header's other half is a length, it is to be looked at; and so is what has references that are not strong, however short. */
static uint16_t small_granules(const struct shm_type_layout *l, bool weak)
{
    uint64_t bytes = object_bytes(l->fixed_bytes, 0, 0);

    return bytes <= MM_LINE_BYTES && l->element_bytes == 0 && !weak ? (uint16_t)(bytes / MM_GRANULE_BYTES) : 0;
}

static void compile(struct scan_program *p, const struct shm_type_layout *l, const struct offsets *o, bool weak)
{
    *p = (struct scan_program){
        .fixed_bytes = l->fixed_bytes,
        .element_bytes = l->element_bytes,
        .shape = (uint8_t)shape_of(o),
        .weak = weak,
        .ref_count = (uint16_t)o->count,
        .element_ref_count = (uint16_t)o->element_count,
        .small_granules = small_granules(l, weak),
        .element_refs = o->words + o->count,
    };
    if (p->shape != SCAN_BITMAP)
        p->refs = o->words;
    else
        for (uint32_t i = 0; i < o->count; i++)
            p->bitmap |= UINT64_C(1) << (o->words[i] / 4);
}

static bool is_strong(enum shm_ref_kind kind)
{
    return kind == SHM_REF_STRONG || kind == SHM_REF_QUEUE || kind == SHM_REF_LINK;
}

/* Appends where the references of @refs lie, all or the strong ones; returns how many. */
static uint32_t put_offsets(uint32_t *to, const uint32_t *refs, uint32_t count, bool all)
{
    uint32_t put = 0;

    for (uint32_t i = 0; i < count; i++) {
        enum shm_ref_kind kind = shm_ref_kind(refs[i]);
        if (!all && !is_strong(kind))
            continue;
        to[put++] = shm_ref_offset(refs[i]);
        if (kind == SHM_REF_EPHEMERON)
            to[put++] = shm_ref_offset(refs[i]) + 4;
    }
    return put;
}

static struct offsets offsets_of(uint32_t *room, const struct shm_type_layout *l, bool all)
{
    struct offsets o = { .words = room };

    o.count = put_offsets(room, l->refs, l->ref_count, all);
    o.element_count = put_offsets(room + o.count, l->element_refs, l->element_ref_count, all);
    return o;
}

static uint32_t put_slots(struct weak_slot *to, const uint32_t *refs, uint32_t count)
{
    uint32_t put = 0;

    for (uint32_t i = 0; i < count; i++)
        if (!is_strong(shm_ref_kind(refs[i])))
            to[put++] = (struct weak_slot){ shm_ref_offset(refs[i]), shm_ref_kind(refs[i]) };
    return put;
}

static uint32_t offset_of_kind(const struct shm_type_layout *l, enum shm_ref_kind kind)
{
    for (uint32_t i = 0; i < l->ref_count; i++)
        if (shm_ref_kind(l->refs[i]) == kind)
            return shm_ref_offset(l->refs[i]);
    return WEAK_NO_QUEUE;
}

/* NULL: out of memory. */
static struct weak_program *new_weak(const struct types *t, const struct shm_type_layout *l)
{
    size_t refs = (size_t)l->ref_count + l->element_ref_count;
    struct weak_program *w = store_alloc(t->store, weak_bytes(refs));

    if (w == NULL)
        return NULL;
    struct weak_slot *slots = (struct weak_slot *)(w + 1);
    struct offsets strong = offsets_of((uint32_t *)(slots + refs), l, false);
    *w = (struct weak_program){ .queue = offset_of_kind(l, SHM_REF_QUEUE), .link = offset_of_kind(l, SHM_REF_LINK), .slots = slots };
    w->slot_count = put_slots(slots, l->refs, l->ref_count);
    w->element_slots = slots + w->slot_count;
    w->element_slot_count = put_slots(slots + w->slot_count, l->element_refs, l->element_ref_count);
    compile(&w->strong, l, &strong, false);
    return w;
}

static unsigned kinds_of(const struct shm_type_layout *l)
{
    unsigned kinds = 0;

    for (uint32_t i = 0; i < l->ref_count; i++)
        kinds |= 1u << shm_ref_kind(l->refs[i]);
    for (uint32_t i = 0; i < l->element_ref_count; i++)
        kinds |= 1u << shm_ref_kind(l->element_refs[i]);
    return kinds;
}

/* What is registered, then all references without their kinds: twice as many at the most. NULL: no memory. */
static uint32_t *new_offsets(const struct types *t, const struct shm_type_layout *l)
{
    size_t refs = (size_t)l->ref_count + l->element_ref_count;
    uint32_t *offsets = store_alloc(t->store, (3 * refs + 1) * sizeof(*offsets));

    if (offsets != NULL && l->ref_count != 0)
        memcpy(offsets, l->refs, l->ref_count * sizeof(*offsets));
    if (offsets != NULL && l->element_ref_count != 0)
        memcpy(offsets + l->ref_count, l->element_refs, l->element_ref_count * sizeof(*offsets));
    return offsets;
}

static int put_type(struct types *t, uint32_t id, const struct shm_type_layout *l)
{
    unsigned kinds = kinds_of(l), strong = 1u << SHM_REF_STRONG;
    struct weak_program *weak = (kinds & ~strong) == 0 ? NULL : new_weak(t, l);

    t->offsets[id] = new_offsets(t, l);
    t->weak[id] = weak;
    if (t->offsets[id] == NULL || (weak == NULL && (kinds & ~strong) != 0)) {
        store_free(t->store, t->offsets[id]);
        store_free(t->store, weak);
        return -ENOMEM;
    }
    struct offsets all = offsets_of(t->offsets[id] + l->ref_count + l->element_ref_count, l, true);
    t->kinds |= kinds;
    compile(&t->programs[id], l, &all, weak != NULL);
    return 0;
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
    id = t->count + 1;
    if (put_type(t, id, l) < 0)
        return -ENOMEM;
    t->count = id;
    t->rows[id] = (struct shm_type_row){ l->fixed_bytes, l->element_bytes, l->ref_count,
                                         l->element_ref_count, "" };
    memcpy(t->rows[id].name, l->name, strlen(l->name));
    *bucket = (uint16_t)id;
    *ret_id = id;
    return 0;
}
