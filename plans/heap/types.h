/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/* Types: the heap's type table, and of each type the program by which a collector finds its references.
 *   Memory   of a store, never shared with clients; a row is written once, before its id is known to anybody
 *   Threads  types_define: the heap's one caller; everything else also from workers                  */
#include <assert.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "shm/base.h"
#include "shm/object.h"
#include "shm/type.h"

enum scan_shape {
    SCAN_NONE,                               /* no such type: a header that says so is bad */
    SCAN_LEAF,
    SCAN_BITMAP,                             /* references only in the first 256 bytes */
    SCAN_OFFSETS,                            /* references anywhere in the fixed part */
    SCAN_ARRAY                               /* in the elements, too */
};

struct scan_program {                        /* two to a cache line */
    uint32_t fixed_bytes, element_bytes;
    uint8_t shape;                           /* enum scan_shape */
    uint8_t weak;                            /* not all of its references are strong: types_weak() */
    uint16_t ref_count, element_ref_count;
    uint16_t small_granules;                 /* of a type without elements: its objects', header included, if they are no longer than a line; else 0: ask object_bytes() */
    union {
        uint64_t bitmap;                     /* SCAN_BITMAP: bit i is the word at byte 4 i. Here and below all references, of whatever kind */
        const uint32_t *refs;                /* else byte offsets, in the fixed part */
    };
    const uint32_t *element_refs;            /* byte offsets in an element */
};
static_assert(sizeof(struct scan_program) == 32, "a cache line holds two");

struct store;

/* Of types with references that are not strong, both parts. */
struct weak_slot {
    uint32_t offset;                         /* in its part */
    enum shm_ref_kind kind;                  /* none that is strong */
};
#define WEAK_NO_QUEUE UINT32_MAX
struct weak_program {
    struct scan_program strong;              /* of its strong references alone */
    uint32_t queue, link;                    /* offsets; or WEAK_NO_QUEUE */
    uint32_t slot_count, element_slot_count;
    const struct weak_slot *slots, *element_slots;
};

struct types {
    struct store *store;                     /* [const] where all of this comes from */
    uint32_t count;
    struct scan_program *programs;           /* SHM_TYPES_MAX, by id; row 0 and rows above count are SCAN_NONE */
    struct shm_type_row *rows;               /* by id */
    uint32_t **offsets;                      /* by id: refs, then element refs, as they were registered; then the same without kinds */
    struct weak_program **weak;              /* by id; NULL: all its references are strong */
    unsigned kinds;                          /* bit @kind: some type has such a reference */
    uint16_t *buckets;                       /* hash of the name -> id, open addressing */
};

int types_init(struct types *t, struct store *store);             /* 0, -ENOMEM */
size_t types_store_bytes(unsigned count);    /* what a table takes of a store, with so many types of as many references as one may have */
void types_fini(struct types *t);
/* See heap_type_define(). */
int types_define(struct types *t, const struct shm_type_layout *layout, uint32_t *ret_id);

static inline const struct scan_program *types_program(const struct types *t, uint32_t id)
{
    return &t->programs[id < SHM_TYPES_MAX ? id : 0]; /* of object_header_type() every one is */
}
/* Of a program whose weak is set. */
static inline const struct weak_program *types_weak(const struct types *t, const struct scan_program *program)
{
    return t->weak[program - t->programs];
}
static inline bool types_have_weak(const struct types *t)
{
    return (t->kinds & ~(1u << SHM_REF_STRONG | 1u << SHM_REF_QUEUE | 1u << SHM_REF_LINK)) != 0;
}
