/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/* Object: one 8-byte header word, then the payload. docs/heap-layout.md#object
 *   Header   bits 0..13 type id (0 never), bit 31 MOVED (only while a collection moves objects).
 *            Of a type with elements: bits 14..30 identity, bits 32..63 length. Without: bits 14..30 zero, bits 32..63 identity.
 *            ONE 8-byte store that alone fixes the size, before every other store to the object
 *            and before its publication (soundness S6 I6). A zero word means "step one granule" (I7).
 *   Identity 0 until somebody asks for the object's identity hash; then any other bits, for life: they say nothing to a collector. A client
 *            sets them by ONE compare-and-swap of the whole header (relaxed: the word is all there is to see), and only while IN.
 *            So: whoever loads a header beside it, as concurrent markers and counters do, once, gets the header before or after,
 *            and type, length and size are the same in both. Whoever writes a header (who moves an object: the copy's, MOVED in the old
 *            one) does so while the world is stopped, when no client swaps, and writes to the copy what it has loaded in that stop; nothing
 *            else stores a header of an object that has one. So no identity is lost, and none is ever replaced
 *   Address  the granule of an object is that of its payload; the header is the granule before it.
 *   Size     8 + align8(max(8, fixed + length * element)), all in bytes.                         */
#include <assert.h>
#include <stdbool.h>
#include <stdint.h>

#include "shm/base.h"
#include "shm/type.h"
#include "shm/units.h"

#define OBJECT_HEADER_BYTES 8u
#define OBJECT_TYPE_MAX 0x3fffu
#define OBJECT_IDENTITY_SHIFT 14u            /* of types with elements */
#define OBJECT_IDENTITY_MAX 0x1ffffu
static_assert(OBJECT_TYPE_MAX == SHM_TYPES_MAX - 1, "every type id fits, and every id that fits is a row");

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
/* Are its bits 14..31 as they can be, of a type that has elements or not? */
static inline bool object_header_is_sound(uint64_t header, bool elements)
{
    return (uint32_t)header <= (elements ? (uint32_t)OBJECT_MOVED - 1 : OBJECT_TYPE_MAX);
}
static inline uint32_t object_header_identity(uint64_t header, bool elements)
{
    return elements ? (uint32_t)header >> OBJECT_IDENTITY_SHIFT & OBJECT_IDENTITY_MAX : (uint32_t)(header >> 32);
}
/* @header, which has none, with @identity, which fits. */
static inline uint64_t object_header_identified(uint64_t header, bool elements, uint32_t identity)
{
    return header | (uint64_t)identity << (elements ? OBJECT_IDENTITY_SHIFT : 32u);
}
/* Of a type with elements; else it is no length. */
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
