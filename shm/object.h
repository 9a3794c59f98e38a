/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/* Object: one 8-byte header word, then the payload. docs/heap-layout.md#object
 *   Header   bits 0..23 type id (0 never), bits 24..31 flags (0 but while a collection moves objects), bits 32..63 array length.
 *            ONE 8-byte store that alone fixes the size, before every other store to the object
 *            and before its publication (soundness S6 I6). A zero word means "step one granule" (I7).
 *   Address  the granule of an object is that of its payload; the header is the granule before it.
 *   Size     8 + align8(max(8, fixed + length * element)), all in bytes.                         */
#include <stdbool.h>
#include <stdint.h>

#include "shm/base.h"
#include "shm/units.h"

#define OBJECT_HEADER_BYTES 8u
#define OBJECT_TYPE_MAX 0xffffffu

static inline uint64_t object_header(uint32_t type, uint32_t length)
{
    return (uint64_t)length << 32 | type;
}
/* What stands in the header that a collection moved an object away from; no client sees it. Flag bit 31, then the new address. */
#define OBJECT_MOVED (UINT64_C(1) << 31)

static inline uint64_t object_header_moved(uint32_t to_granule)
{
    return (uint64_t)to_granule << 32 | OBJECT_MOVED;
}
static inline bool object_header_is_moved(uint64_t header)
{
    return (uint32_t)header == (uint32_t)OBJECT_MOVED;
}
static inline uint32_t object_header_type(uint64_t header)
{
    return (uint32_t)header & OBJECT_TYPE_MAX;
}
static inline uint32_t object_header_flags(uint64_t header)
{
    return (uint32_t)header >> 24;
}
static inline uint32_t object_header_length(uint64_t header)
{
    return (uint32_t)(header >> 32);
}
/* Header included. Cannot overflow: 2^32 * 2^32 is refused when the type is defined (element < 2^24). */
static inline uint64_t object_bytes(uint32_t fixed_bytes, uint32_t element_bytes, uint32_t length)
{
    uint64_t payload = fixed_bytes + (uint64_t)element_bytes * length;
    return OBJECT_HEADER_BYTES + mm_align_up(MM_MAX(payload, (uint64_t)MM_GRANULE_BYTES), MM_GRANULE_BYTES);
}
