/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/* Layout: where the references of an object are, by the number of its type, of types that this process has defined: so of all objects that
 * it has made.
 *   Owner    the heap, until it is closed
 *   Threads  any                                                                                        */
#include <stdint.h>

#include "client/heap.h"
#include "shm/object.h"
#include "shm/type.h"

struct layout {                              /* constant */
    uint32_t fixed_bytes, element_bytes;
    uint32_t bytes;                          /* of an object without elements, its header included */
    uint32_t ref_count, element_ref_count;
    bool weak;                               /* some of them keep nothing alive */
    const uint32_t *element_refs;            /* byte offsets in an element, of every kind of reference, an ephemeron's value too */
    uint32_t refs[];                         /* the same in the fixed part; behind them, element_refs */
};

/* Remembers that of type @id: MMGC_OK, or there is no memory for it. */
int layout_keep(struct mmgc_heap *heap, uint32_t id, const struct shm_type_layout *layout);
void layout_free_all(struct mmgc_heap *heap);

/* The one that an object with this header has; NULL: no object of ours has it. */
static inline const struct layout *layout_of(const struct mmgc_heap *heap, uint64_t header)
{
    uint32_t id = object_header_type(header);
    _Atomic(struct layout *) *table = at_load_acquire(&heap->layouts);

    return table == NULL || id >= SHM_TYPES_MAX ? NULL : at_load_acquire(&table[id]);
}
static inline uint64_t layout_bytes(const struct layout *l, uint64_t header)
{
    return MM_LIKELY(l->element_bytes == 0) ? l->bytes : object_bytes(l->fixed_bytes, l->element_bytes, object_header_length(header));
}
