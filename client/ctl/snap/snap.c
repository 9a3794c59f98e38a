/* SPDX-License-Identifier: Apache-2.0 */
/* snap.c - Snap: objects and their references, each bounds-checked where it is looked at.
 *   K1  the payload of a good object lies within its block, its cell, or blocks of a run that are next to each other in the copy: so within the file
 *   K2  a good object's references lie within its payload: its type was checked */
#include "client/ctl/snap/snap.h"

#include <string.h>

#include "client/ctl/snap/inside.h"

const struct shm_snapshot *snap_header(const struct snap *s)
{
    return s->header;
}

const char *snap_string(const struct snap *s, uint32_t at)
{
    return at < s->header->sections[SHM_SNAPSHOT_STRINGS].count ? s->strings + at : "";
}

uint32_t snap_type_count(const struct snap *s)
{
    return s->type_count;
}

const struct shm_type_row *snap_type(const struct snap *s, uint32_t id)
{
    return id == 0 || id > s->type_count ? NULL : &s->types[id - 1].row;
}

const uint32_t *snap_type_refs(const struct snap *s, uint32_t id)
{
    return &s->refs[s->types[id - 1].refs];
}

uint32_t snap_type_find(const struct snap *s, const char *name)
{
    for (uint32_t id = 1; id <= s->type_count; id++)
        if (strcmp(s->types[id - 1].row.name, name) == 0)
            return id;
    return 0;
}

uint32_t snap_owner_count(const struct snap *s)
{
    return s->owner_count + 1;
}

struct shm_snapshot_owner snap_owner(const struct snap *s, uint32_t owner)
{
    return owner < s->owner_count ? s->owners[owner] : (struct shm_snapshot_owner){ .kind = SNAP_IMMORTAL };
}

const char *snap_root_kind_name(uint32_t kind)
{
    static const char *const names[] = {
        [SHM_SNAPSHOT_STRONG] = "strong",       [SHM_SNAPSHOT_WEAK] = "weak",         [SHM_SNAPSHOT_SOFT] = "soft",
        [SHM_SNAPSHOT_SHARED] = "shared",       [SHM_SNAPSHOT_EXCLUSIVE] = "exclusive", [SHM_SNAPSHOT_REVOKED] = "revoked",
        [SHM_SNAPSHOT_GUARDED] = "guarded",     [SHM_SNAPSHOT_READY] = "ready",       [SHM_SNAPSHOT_WATCHED] = "watched",
        [SHM_SNAPSHOT_NAMED] = "named",         [SHM_SNAPSHOT_LOCAL] = "local",       [SHM_SNAPSHOT_STACK] = "stack",
        [SHM_SNAPSHOT_IMMORTAL_OBJECT] = "immortal",
    };

    return kind < MM_ARRAY_LEN(names) && names[kind] != NULL ? names[kind] : "unknown";
}

bool snap_root_holds(uint32_t kind)
{
    return kind != SHM_SNAPSHOT_WEAK && kind != SHM_SNAPSHOT_WATCHED;
}

uint32_t snap_root_count(const struct snap *s)
{
    return s->root_count + s->immortal_count;
}

struct shm_snapshot_root snap_root(const struct snap *s, uint32_t root)
{
    if (root < s->root_count)
        return s->roots[root];
    uint32_t object = s->immortals[root - s->root_count];
    return (struct shm_snapshot_root){ s->owner_count, SHM_SNAPSHOT_IMMORTAL_OBJECT, root - s->root_count, object, object, 0 };
}

uint32_t snap_block_count(const struct snap *s)
{
    return s->block_count;
}

const struct shm_snapshot_block *snap_block(const struct snap *s, uint32_t row)
{
    return &s->blocks[row];
}

const struct shm_snapshot_space *snap_space(const struct snap *s, uint32_t space)
{
    return space < s->space_count ? &s->spaces[space] : NULL;
}

/* ---- objects ---- */

/* Granules that the object at @ref, header included, may have at most @wanted of: K1. */
static uint64_t room(const struct snap *s, const struct shm_snapshot_block *row, uint32_t ref, uint64_t wanted)
{
    uint64_t in_block = MM_BLOCK_GRANULES - (ref - 1) % MM_BLOCK_GRANULES, have = in_block;

    if (row->shape == SHM_SNAPSHOT_CELLS)
        return (ref - 1) % MM_BLOCK_GRANULES % row->cell_granules == 0 ? MM_MIN((uint64_t)row->cell_granules, in_block) : 0;
    if (row->shape != SHM_SNAPSHOT_LARGE)
        return in_block;
    if (ref % MM_PAGE_GRANULES != 1)
        return 0;
    for (uint64_t block = row->block + 1u; have < wanted; block++, have += MM_BLOCK_GRANULES) {
        const struct shm_snapshot_block *next = snap_row_of(s, block * MM_BLOCK_GRANULES);
        if (next == NULL || next->shape != SHM_SNAPSHOT_LARGE) /* if it has a slot it is the next one */
            break;
    }
    return have;
}

bool snap_object(const struct snap *s, uint32_t ref, struct snap_object *ret)
{
    const struct shm_snapshot_block *row = snap_row_of(s, ref);
    uint32_t at = ref % MM_BLOCK_GRANULES;

    if (row == NULL || at == 0 || (snap_bits_of(s, row)[at / 64] >> at % 64 & 1) == 0)
        return false;
    const char *header = s->copies + (size_t)(row->slot - 1) * MM_BLOCK_BYTES + (at - 1) * (size_t)MM_GRANULE_BYTES;
    memcpy(&ret->header, header, sizeof(ret->header));
    uint32_t id = object_header_type(ret->header);
    const struct shm_type_row *type = snap_type(s, id);
    if (type == NULL || !object_header_is_sound(ret->header, type->element_bytes != 0))
        return false;
    ret->ref = ref;
    ret->type = id;
    ret->length = type->element_bytes != 0 ? object_header_length(ret->header) : 0;
    ret->bytes = object_bytes(type->fixed_bytes, type->element_bytes, ret->length);
    ret->payload = (const unsigned char *)header + OBJECT_HEADER_BYTES;
    ret->payload_bytes = ret->bytes - OBJECT_HEADER_BYTES;
    return ret->bytes / MM_GRANULE_BYTES <= room(s, row, ref, ret->bytes / MM_GRANULE_BYTES);
}

/* The first bit at or after @from; UINT64_MAX: none. */
static uint64_t next_bit(const struct snap *s, uint64_t from)
{
    for (uint64_t block = from / MM_BLOCK_GRANULES; block < s->arena_blocks; block++) {
        const struct shm_snapshot_block *row = snap_row_of(s, block * MM_BLOCK_GRANULES);
        uint32_t at = block == from / MM_BLOCK_GRANULES ? from % MM_BLOCK_GRANULES : 0;
        if (row == NULL)
            continue;
        uint64_t mask = ~UINT64_C(0) << at % 64;
        for (uint32_t word = at / 64; word < SNAP_WORDS; word++, mask = ~UINT64_C(0)) {
            uint64_t bits = snap_bits_of(s, row)[word] & mask;
            if (bits != 0)
                return block * MM_BLOCK_GRANULES + word * 64 + (uint32_t)__builtin_ctzll(bits);
        }
    }
    return UINT64_MAX;
}

bool snap_object_next(const struct snap *s, uint64_t from, struct snap_object *ret)
{
    for (uint64_t at = next_bit(s, from); at != UINT64_MAX; at = next_bit(s, at + 1))
        if (snap_object(s, (uint32_t)at, ret))
            return true;
    return false;
}

/* The last bit at or before @at of a block's; 0, where no object is: none. */
static uint32_t last_bit(const uint64_t *bits, uint32_t at)
{
    uint64_t mask = ~UINT64_C(0) >> (63 - at % 64);

    for (uint32_t word = at / 64 + 1; word-- > 0; mask = ~UINT64_C(0))
        if ((bits[word] & mask) != 0)
            return word * 64 + 63 - (uint32_t)__builtin_clzll(bits[word] & mask);
    return 0;
}

/* The nearest bit at or below @place: of its block, or if there is none and it may be in a run, of a block of the run before. */
bool snap_object_around(const struct snap *s, uint32_t place, struct snap_object *ret)
{
    const struct shm_snapshot_block *row = snap_row_of(s, place);
    uint64_t top = place;

    for (; row != NULL; row = top == 0 ? NULL : snap_row_of(s, top)) {
        uint64_t floor = (uint64_t)row->block * MM_BLOCK_GRANULES;
        uint32_t at = last_bit(snap_bits_of(s, row), (uint32_t)(top - floor));
        if (at != 0)
            return snap_object(s, (uint32_t)floor + at, ret) && place <= floor + at + ret->bytes / MM_GRANULE_BYTES - 2;
        if (row->shape != SHM_SNAPSHOT_LARGE || floor == 0)
            return false;
        top = floor - 1;
    }
    return false;
}

/* ---- references ---- */

void snap_each_ref(const struct snap *s, const struct snap_object *o, bool (*visit)(void *context, const struct snap_ref *ref), void *context)
{
    struct snap_ref ref;

#define TELL(o, place, kind_, keeps_)                                                             \
    do {                                                                                          \
        ref = (struct snap_ref){ (place), (kind_), (keeps_), snap_word((o), (place)) };           \
        if (!visit(context, &ref))                                                                \
            return;                                                                               \
    } while (0)
#define VISIT(o, place, kind)                                           \
    do {                                                                \
        TELL(o, place, kind, snap_kind_keeps(kind));                    \
        if ((kind) == SHM_REF_EPHEMERON)                                \
            TELL(o, (place) + 4, kind, true);                           \
    } while (0)
    SNAP_EACH_REF(s, o, VISIT);
#undef VISIT
#undef TELL
}

struct page { /* of an object's references */
    uint64_t skip;
    struct snap_ref *refs;
    size_t count, capacity;
};

static bool fill(void *context, const struct snap_ref *ref)
{
    struct page *p = context;

    if (p->skip > 0) {
        p->skip--;
        return true;
    }
    if (p->count == p->capacity)
        return false;
    p->refs[p->count++] = *ref;
    return true;
}

size_t snap_refs(const struct snap *s, const struct snap_object *o, uint64_t from, struct snap_ref *ret, size_t count)
{
    struct page p = { from, ret, 0, count };

    snap_each_ref(s, o, fill, &p);
    return p.count;
}
