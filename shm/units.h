/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/* Units: how an arena is divided. docs/heap-layout.md#units
 *   arena (up to 32 GiB) > chunk 4 MiB > commit unit 2 MiB > block 32 KiB > page 4 KiB > line 256 B > granule 8 B
 *   A number of granules from the arena's start names any place in it in 32 bits; 0 is null.       */
#include <stdint.h>

#define MM_GRANULE_LOG 3u
#define MM_LINE_LOG 8u
#define MM_PAGE_LOG 12u
#define MM_BLOCK_LOG 15u
#define MM_COMMIT_LOG 21u                            /* one huge page */
#define MM_CHUNK_LOG 22u
#define MM_ARENA_MAX_LOG 35u

#define MM_GRANULE_BYTES (1u << MM_GRANULE_LOG)
#define MM_LINE_BYTES (1u << MM_LINE_LOG)
#define MM_PAGE_BYTES (1u << MM_PAGE_LOG)
#define MM_BLOCK_BYTES (1u << MM_BLOCK_LOG)
#define MM_COMMIT_BYTES (1u << MM_COMMIT_LOG)
#define MM_CHUNK_BYTES (1u << MM_CHUNK_LOG)
#define MM_ARENA_MAX_BYTES (UINT64_C(1) << MM_ARENA_MAX_LOG)

#define MM_LINE_GRANULES (MM_LINE_BYTES / MM_GRANULE_BYTES)          /* 32 */
#define MM_PAGE_GRANULES (MM_PAGE_BYTES / MM_GRANULE_BYTES)          /* 512 */
#define MM_BLOCK_GRANULES (MM_BLOCK_BYTES / MM_GRANULE_BYTES)        /* 4096 */
#define MM_BLOCK_LINES (MM_BLOCK_BYTES / MM_LINE_BYTES)              /* 128 */
#define MM_BLOCK_PAGES (MM_BLOCK_BYTES / MM_PAGE_BYTES)              /* 8 */
#define MM_COMMIT_BLOCKS (MM_COMMIT_BYTES / MM_BLOCK_BYTES)          /* 64 */
#define MM_CHUNK_BLOCKS (MM_CHUNK_BYTES / MM_BLOCK_BYTES)            /* 128 */

/* The largest object, header included, that lives among lines; above it a page run of its own. */
#define MM_SMALL_MAX_BYTES (MM_BLOCK_BYTES / 2)
/* Header included. Payloads are at least one granule, so that no payload starts in the next block. */
#define MM_OBJECT_MIN_BYTES 16u
