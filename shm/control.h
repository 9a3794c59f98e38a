/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/* Control: what the daemon publishes to all clients of one heap. Daemon writes; clients map it read-only, and
 * F_SEAL_FUTURE_WRITE keeps it so. One per heap and daemon incarnation. docs/heap-layout.md#control
 *   Version  readers refuse another SHM_CONTROL_VERSION or a feature bit they do not know
 *   Writer   [D] the daemon's loop thread or, while the world is stopped, the heap's collector thread        */
#include <assert.h>
#include <stdalign.h>
#include <stddef.h>
#include <stdint.h>

#include "shm/base.h"
#include "shm/type.h"
#include "shm/write_barrier.h"

#define SHM_CONTROL_MAGIC UINT64_C(0x6c72746363676d6d)      /* "mmgcctrl" in memory order */
#define SHM_CONTROL_VERSION 4u
#define SHM_CONTROL_FEATURES 0u                              /* all bits this version knows */

/* Where a client's small objects come from. */
enum shm_allocator {
    SHM_ALLOCATOR_BUMP = 0,                  /* LINES, and BLOCKS for what does not fit */
    SHM_ALLOCATOR_CELLS = 1,                 /* CELLS, by size */
    SHM_ALLOCATOR_PAGES = 2                  /* CELLS of whole pages: each object in pages of its own */
};

struct shm_control {
    _Atomic uint64_t magic;                  /* [D] release-stored last: whoever acquires it sees the constants below */
    uint32_t version, features;              /* [D] constant */
    uint64_t incarnation;                    /* [D] constant: random, one a daemon start */
    uint64_t arena_bytes;                    /* [D] constant: the heap's maximum, and the arena's mapped length */
    uint32_t barrier;                        /* [D] constant: enum shm_barrier_kind */
    uint32_t small_max_bytes;                /* [D] constant: larger objects are asked for one by one */
    char plan[24];                           /* [D] constant: the plan's name */

    alignas(MM_CACHE_LINE) _Atomic uint32_t epoch;   /* [D] odd while the world is asked to stop; every thread polls it (S4) */
    _Atomic uint32_t barrier_active;         /* [D] not 0: stores are logged now (write_barrier.h); raised only while the world is stopped */
    _Atomic uint32_t keeps;                  /* [D] not 0: a cycle marks; what a weak reference leads to is logged (SHM_LOG_KEEP) before it is
                                                used. Raised only while the world is stopped */

    alignas(MM_CACHE_LINE) _Atomic uint64_t collections;     /* [D] completed; raised before the resume */
    _Atomic uint64_t abandoned_stops;        /* [D] given up at the deadline */
    _Atomic uint64_t live_bytes;             /* [D] found by the last collection */
    _Atomic uint64_t granted_bytes;          /* [D] since the heap was made */
    _Atomic uint64_t last_pause_ns;          /* [D] stop request to resume */
    _Atomic uint64_t total_pause_ns;         /* [D] */
    _Atomic uint64_t limit_bytes;            /* [D] what the heap may use now, at most arena_bytes */
    _Atomic uint32_t type_count;             /* [D] rows below that are valid; release: pairs with a reader's acquire */
    _Atomic uint32_t corrupt;                /* [D] not 0: the heap is quarantined */
    _Atomic uint64_t live_objects;           /* [D] found by the last collection */
    uint32_t allocator;                      /* [D] constant: enum shm_allocator */
    uint32_t page_map_offset;                /* [D] constant: bytes from here to a bit for each page of the arena, set: closed to
                                                clients (pageprotect); changed only while the world is stopped. 0: there is none */

    alignas(4096) struct shm_type_row types[SHM_TYPES_MAX];  /* [D] row id; written once */
};
static_assert(offsetof(struct shm_control, version) == 8, "docs/heap-layout.md#control");
static_assert(offsetof(struct shm_control, arena_bytes) == 24, "docs/heap-layout.md#control");
static_assert(offsetof(struct shm_control, plan) == 40, "docs/heap-layout.md#control");
static_assert(offsetof(struct shm_control, epoch) == 64, "docs/heap-layout.md#control");
static_assert(offsetof(struct shm_control, barrier_active) == 68, "docs/heap-layout.md#control");
static_assert(offsetof(struct shm_control, keeps) == 72, "docs/heap-layout.md#control");
static_assert(offsetof(struct shm_control, collections) == 128, "docs/heap-layout.md#control");
static_assert(offsetof(struct shm_control, type_count) == 184, "docs/heap-layout.md#control");
static_assert(offsetof(struct shm_control, types) == 4096, "docs/heap-layout.md#control");
static_assert(sizeof(struct shm_type_row) == 80, "docs/heap-layout.md#type");
