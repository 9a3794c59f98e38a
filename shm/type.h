/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/* Type: what the collector must know of an object's payload. docs/heap-layout.md#type
 *   A type has a fixed part of @fixed_bytes with references at @refs, then, if @element_bytes is not 0,
 *   as many elements as the header's length says, each with references at @element_refs.
 *   Reference array: element_bytes 4, one element ref at 0. Byte array: element_bytes 1, none.
 *   Every reference lies inside its part at a multiple of 4; so where elements hold references, both the
 *   fixed part and the element are multiples of 4 long.
 *   A reference is told by one word: its offset, and in the highest byte its kind. SOFT is 8 bytes: the reference, then a stamp of its
 *   last use (control.clock). EPHEMERON is two references, key and value, told by the key's offset. QUEUE and LINK are strong ones, one
 *   of each or neither, in the fixed part. Names are 1..63 bytes of UTF-8 without control
 *   characters. shm_type_check() is the one place that says so.                                     */
#include <stddef.h>
#include <stdint.h>

#define SHM_TYPE_NAME_MAX 63u
#define SHM_TYPE_REFS_MAX 256u                       /* fixed and element references together */
#define SHM_TYPE_FIXED_MAX (1u << 24)
#define SHM_TYPE_ELEMENT_MAX (1u << 20)
#define SHM_TYPES_MAX 16384u                         /* a heap; ids 1..SHM_TYPES_MAX - 1 */

enum shm_ref_kind {
    SHM_REF_STRONG,
    SHM_REF_WEAK,                                    /* cleared when its object is not strongly reachable */
    SHM_REF_SOFT,                                    /* the same, but late: by age and need */
    SHM_REF_PHANTOM,                                 /* cleared when its object is not even to be finalized any more */
    SHM_REF_EPHEMERON,                               /* its value is strong while its key is reachable otherwise; else both are cleared */
    SHM_REF_QUEUE,                                   /* where its object is announced when one of its references was cleared */
    SHM_REF_LINK,                                    /* how announced objects hang together */
    SHM_REF_KINDS
};
#define SHM_REF_KIND_SHIFT 24u

static inline uint32_t shm_ref_offset(uint32_t ref)
{
    return ref & ((UINT32_C(1) << SHM_REF_KIND_SHIFT) - 1);
}
static inline enum shm_ref_kind shm_ref_kind(uint32_t ref)
{
    return (enum shm_ref_kind)(ref >> SHM_REF_KIND_SHIFT);
}
static inline uint32_t shm_ref_bytes(enum shm_ref_kind kind)
{
    return kind == SHM_REF_EPHEMERON || kind == SHM_REF_SOFT ? 8 : 4;
}

struct shm_type_layout {                             /* borrowed arrays; plain memory, never shared */
    const char *name;
    uint32_t fixed_bytes, element_bytes;
    uint32_t ref_count, element_ref_count;
    const uint32_t *refs, *element_refs;             /* kinds and byte offsets, these strictly ascending */
};

/* The published row, in control, read-only for clients; ref offsets are the daemon's own business. */
struct shm_type_row {
    uint32_t fixed_bytes, element_bytes;             /* [D] written before control.type_count is raised */
    uint32_t ref_count, element_ref_count;
    char name[SHM_TYPE_NAME_MAX + 1];
};

/* 0, or -EINVAL with *ret_why a constant sentence that says what is wrong. */
int shm_type_check(const struct shm_type_layout *layout, const char **ret_why);
