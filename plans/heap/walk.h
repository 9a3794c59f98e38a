/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/* Walk: what stands where in the arena: headers read once and judged, spans parsed, references visited.
 *   Hostile  every word here comes from the arena: one load, checked, then the copy (soundness S13)
 *   Threads  any, the world stopped; the block table says that the block is in use, or the caller does not ask    */
#include <stdbool.h>
#include <stdint.h>

#include "plans/heap/state.h"
#include "plans/space/cell_space.h"
#include "plans/space/large_space.h"
#include "shm/foreign.h"
#include "shm/object.h"

struct object {
    uint32_t granule;                        /* its address: the payload's */
    uint32_t granules;                       /* header included */
    uint32_t type, length;                   /* length 0: the type has no elements */
    uint64_t header;                         /* what a copy's is, too */
    const struct scan_program *program;
};

/* Granules from the header of the object at @granule to the end of what it may fill: its block, or its run of pages. */
static inline uint64_t object_room(const struct heap *h, uint32_t granule, enum block_kind kind)
{
    if (kind == BLOCK_LARGE)
        return (uint64_t)large_run_pages(h, granule / MM_PAGE_GRANULES) * MM_PAGE_GRANULES;
    if (kind == BLOCK_CELLS)
        return cell_granules(h, granule / MM_BLOCK_GRANULES);
    return MM_BLOCK_GRANULES - (granule - 1) % MM_BLOCK_GRANULES;
}

/* Judges @header as that of an object with @room granules. False: no such type, bits nobody knows, or too large. */
static inline bool object_judge(const struct types *types, uint64_t header, uint64_t room, struct object *ret)
{
    uint32_t type = object_header_type(header), length = 0;
    const struct scan_program *program = types_program(types, type);
    uint64_t granules = program->small_granules;
    bool elements = false;

    if (MM_UNLIKELY(granules == 0)) {
        elements = program->element_bytes != 0;
        length = elements ? object_header_length(header) : 0;
        granules = object_bytes(program->fixed_bytes, program->element_bytes, length) / MM_GRANULE_BYTES;
    }
    ret->granules = (uint32_t)granules;
    ret->type = type;
    ret->length = length;
    ret->header = header;
    ret->program = program;
    return program->shape != SCAN_NONE && object_header_is_sound(header, elements) && granules <= room;
}

/* Reads and judges the header of the object at @granule, which must be a place for objects: object_place(). */
static inline bool object_load(const struct heap *h, uint32_t granule, enum block_kind kind, struct object *ret)
{
    uint64_t header = foreign_load64(h->arena, (size_t)(granule - 1) * MM_GRANULE_BYTES);

    ret->granule = granule;
    return object_judge(&h->types, header, object_room(h, granule, kind), ret);
}

/* The kind of @granule's block if an object could be there; else BLOCK_UNCOMMITTED. */
static inline enum block_kind object_place(const struct heap *h, uint32_t granule)
{
    if (granule >= h->granules)
        return BLOCK_UNCOMMITTED;
    enum block_kind kind = blocks_kind(&h->blocks, granule / MM_BLOCK_GRANULES);
    if (MM_LIKELY(block_kind_has_lines(kind)))
        return granule % MM_BLOCK_GRANULES != 0 ? kind : BLOCK_UNCOMMITTED;
    if (kind == BLOCK_CELLS)
        return cell_is_object(h, granule) ? kind : BLOCK_UNCOMMITTED;
    return kind == BLOCK_LARGE && large_is_object(h, granule) ? kind : BLOCK_UNCOMMITTED;
}

/* Has a collection moved the object at @granule away, as its header says? */
static inline bool object_moved(const struct heap *h, uint32_t granule)
{
    return object_header_is_moved(foreign_load64(h->arena, (size_t)(granule - 1) * MM_GRANULE_BYTES));
}

/* @place: of the reference, in words of 4 bytes from the arena's start. */
typedef void (*reference_visit)(void *context, uint64_t place, uint32_t reference);

static inline __attribute__((always_inline)) void visit_at(foreign arena, size_t off, reference_visit visit, void *context)
{
    visit(context, off / 4, foreign_load32(arena, off));
}

/* The references in the fixed part of the object at @granule; nulls are visited, too. */
static inline __attribute__((always_inline)) void object_each_fixed(foreign arena, uint32_t granule,
                                                                    const struct scan_program *p,
                                                                    reference_visit visit, void *context)
{
    size_t payload = (size_t)granule * MM_GRANULE_BYTES;

    if (p->shape == SCAN_BITMAP) {
        for (uint64_t rest = p->bitmap; rest != 0; rest &= rest - 1)
            visit_at(arena, payload + 4 * (size_t)__builtin_ctzll(rest), visit, context);
        return;
    }
    for (uint32_t i = 0; i < p->ref_count; i++)
        visit_at(arena, payload + p->refs[i], visit, context);
}

/* The same, the last of them first. */
static inline __attribute__((always_inline)) void object_each_fixed_backwards(foreign arena, uint32_t granule,
                                                                              const struct scan_program *p,
                                                                              reference_visit visit, void *context)
{
    size_t payload = (size_t)granule * MM_GRANULE_BYTES;

    if (p->shape == SCAN_BITMAP) {
        for (uint64_t rest = p->bitmap, at; rest != 0; rest ^= UINT64_C(1) << at) {
            at = 63 - (uint64_t)__builtin_clzll(rest);
            visit_at(arena, payload + 4 * at, visit, context);
        }
        return;
    }
    for (uint32_t i = p->ref_count; i-- > 0;)
        visit_at(arena, payload + p->refs[i], visit, context);
}

/* @count references next to each other. Two at a time: arrays are often sparse, and nulls are left out. */
static inline __attribute__((always_inline)) void references_in_row(foreign arena, size_t off, uint32_t count,
                                                                    reference_visit visit, void *context)
{
    size_t end = off + 4 * (size_t)count;

    if (off % 8 != 0 && off < end) {
        visit_at(arena, off, visit, context);
        off += 4;
    }
    for (; off + 8 <= end; off += 8) {
        uint64_t two = foreign_load64(arena, off);
        if (two == 0)
            continue;
        visit(context, off / 4, (uint32_t)two); /* x86-64 and arm64 are little-endian */
        visit(context, off / 4 + 1, (uint32_t)(two >> 32));
    }
    if (off < end)
        visit_at(arena, off, visit, context);
}

/* The references in its elements [@first, @end), which the caller knows to be within the object. Nulls may be left out. */
static inline __attribute__((always_inline)) void object_each_element(foreign arena, uint32_t granule,
                                                                      const struct scan_program *p, uint32_t first,
                                                                      uint32_t end, reference_visit visit, void *context)
{
    size_t element = (size_t)granule * MM_GRANULE_BYTES + p->fixed_bytes + (size_t)first * p->element_bytes;

    if (p->element_bytes == 4 && p->element_ref_count == 1) {
        references_in_row(arena, element, end - first, visit, context);
        return;
    }
    for (uint32_t i = first; i < end; i++, element += p->element_bytes)
        for (uint32_t k = 0; k < p->element_ref_count; k++)
            visit_at(arena, element + p->element_refs[k], visit, context);
}

struct piece {                               /* of an object, in granules from its payload */
    uint32_t first, granules;
};

/* The references in @piece of @o, as far as that is within the object. */
static inline __attribute__((always_inline)) void object_each_in_piece(const struct heap *h, const struct object *o, struct piece piece,
                                                                       reference_visit visit, void *context)
{
    const struct scan_program *p = o->program;
    uint64_t from = (uint64_t)piece.first * MM_GRANULE_BYTES, end = from + (uint64_t)piece.granules * MM_GRANULE_BYTES;
    size_t payload = (size_t)o->granule * MM_GRANULE_BYTES;

    for (uint64_t rest = p->shape == SCAN_BITMAP ? p->bitmap : 0; rest != 0; rest &= rest - 1) {
        uint64_t at = 4 * (uint64_t)__builtin_ctzll(rest);
        if (at >= from && at < end)
            visit_at(h->arena, payload + at, visit, context);
    }
    for (uint32_t i = 0; p->shape != SCAN_BITMAP && i < p->ref_count; i++)
        if (p->refs[i] >= from && p->refs[i] < end)
            visit_at(h->arena, payload + p->refs[i], visit, context);
    if (p->shape != SCAN_ARRAY || end <= p->fixed_bytes)
        return;
    uint64_t first = from <= p->fixed_bytes ? 0 : (from - p->fixed_bytes) / p->element_bytes;
    uint64_t last = MM_MIN((end - p->fixed_bytes + p->element_bytes - 1) / p->element_bytes, (uint64_t)o->length);
    for (uint64_t i = first; i < last; i++)
        for (uint32_t k = 0; k < p->element_ref_count; k++) {
            uint64_t at = p->fixed_bytes + i * p->element_bytes + p->element_refs[k];
            if (at >= from && at < end)
                visit_at(h->arena, payload + at, visit, context);
        }
}

struct parse_faults {
    uint64_t spans;                          /* whose parse ended at a bad header */
    uint32_t first;                          /* granule of the object that the lowest such header is of; 0: none */
};
void parse_fault(struct parse_faults *f, uint32_t granule);

/* Adds to @objects a bit for each object of G in @block that its mutator has finished or is past (G opened; S6 I5, I7).
 * A bad header ends the parse of its span. Races with itself harmlessly. */
void walk_parse_block(const struct heap *h, uint32_t block, _Atomic uint64_t *objects, struct parse_faults *faults);
bool walk_block_in_g(const struct heap *h, uint32_t block);           /* would that find anything? */
