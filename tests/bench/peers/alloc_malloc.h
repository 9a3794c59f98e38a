/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/* Alloc with an allocator that has no header of its own: what a program keeps there is its first word. The includer says first
 *       peer_new(bytes, has_refs)      memory of @bytes, or NULL
 *       peer_free(object)              an object that may be NULL
 *   Ring      an array of the program's own, which is where C programs keep what they have                         */
#include <stdint.h>

struct alloc_24 {
    struct alloc_24 *left, *right;
    int64_t number;
};
struct alloc_64 {
    struct alloc_64 *left, *right;
    int64_t number, more[5];
};
typedef void **alloc_ctx; /* the ring */

#define alloc_new_24(c) peer_new(sizeof(struct alloc_24), 1)
#define alloc_new_64(c) peer_new(sizeof(struct alloc_64), 1)
#define alloc_new_bytes(c, bytes) peer_new((bytes), 0)
#define alloc_head(object, bytes) ((void)(bytes), *(uint64_t *)(void *)(object) = 0)
#define alloc_body(object) ((unsigned char *)(object) + sizeof(uint64_t))
#define alloc_kept(c, slot) ((c)[slot])
#define alloc_begin(c) ((void)(c))
#define alloc_end(c) ((void)(c))
#define alloc_others_ns(c) ((void)(c), UINT64_C(0))

static inline void alloc_keep(alloc_ctx c, uint64_t slot, void *object)
{
    peer_free(c[slot]);
    c[slot] = object;
}
#include "alloc.h"

static void *alloc_ring[ALLOC_RING];
