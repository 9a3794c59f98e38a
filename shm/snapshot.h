/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/* Snapshot: one consistent copy of a heap, in a file: its blocks as they were in one stop, and who held what. docs/heap-layout.md#snapshot
 *   Writer   the daemon, once, into memory of who asked, which it never reads back; from then on it is whoever's file it is, and hostile to its reader
 *   Layout   the header, then sections in any order at multiples of 8; of BYTES at a multiple of pages. Native endian, little
 *   Numbers  of kinds and shapes are the format's own: they do not change when the daemon's do
 *   Places   granules, as everywhere; of blocks that were not in use nothing is here                         */
#include <assert.h>
#include <stddef.h>
#include <stdint.h>

#include "shm/base.h"
#include "shm/type.h"
#include "shm/units.h"

#define SHM_SNAPSHOT_MAGIC UINT64_C(0x70616e7363676d6d)      /* "mmgcsnap" in memory order */
#define SHM_SNAPSHOT_VERSION 1u

enum shm_snapshot_section {
    SHM_SNAPSHOT_BLOCKS,                     /* struct shm_snapshot_block, by block, of those that were committed */
    SHM_SNAPSHOT_SPACES,                     /* struct shm_snapshot_space */
    SHM_SNAPSHOT_TYPES,                      /* struct shm_snapshot_type: row i is type i + 1 */
    SHM_SNAPSHOT_REFS,                       /* uint32_t: references of types as they were defined (shm/type.h) */
    SHM_SNAPSHOT_OWNERS,                     /* struct shm_snapshot_owner */
    SHM_SNAPSHOT_ROOTS,                      /* struct shm_snapshot_root, in no order */
    SHM_SNAPSHOT_STRINGS,                    /* bytes: each ends in a zero byte; at 0 is the empty one */
    SHM_SNAPSHOT_OBJECTS,                    /* SHM_SNAPSHOT_BITS a copied block: a bit for each granule, set: an object is there */
    SHM_SNAPSHOT_BYTES,                      /* copied blocks, as they were */
    SHM_SNAPSHOT_SECTIONS
};
struct shm_snapshot_range {
    uint64_t offset, count;                  /* bytes from the file's start; rows, or bytes of STRINGS */
};

#define SHM_SNAPSHOT_QUARANTINED 1u          /* of `flags`: nobody vouches for what is in it */
struct shm_snapshot {
    uint64_t magic;                          /* written last */
    uint32_t version, flags;
    uint64_t arena_bytes, limit_bytes;
    uint64_t incarnation;                    /* of the daemon */
    uint64_t taken_ns;                       /* CLOCK_REALTIME */
    uint64_t collections;                    /* that the heap had had */
    uint64_t live_bytes, live_objects;       /* found by the last of them */
    uint32_t granule_bytes, line_bytes, page_bytes, block_bytes;
    char plan[24];
    char heap[256];                          /* its name */
    struct shm_snapshot_range sections[SHM_SNAPSHOT_SECTIONS];
};

enum shm_snapshot_shape {                    /* where objects can lie in a block */
    SHM_SNAPSHOT_FREE = 0,                   /* committed, nothing in it: not copied */
    SHM_SNAPSHOT_CLOSED = 1,                 /* the same, not to be granted before the next collection */
    SHM_SNAPSHOT_LINES = 2,                  /* at any granule */
    SHM_SNAPSHOT_IMMORTAL = 3,               /* the same, and each is a root */
    SHM_SNAPSHOT_CELLS = 4,                  /* one a cell */
    SHM_SNAPSHOT_LARGE = 5,                  /* one a run of pages, which may go on in the next blocks */
};
#define SHM_SNAPSHOT_YOUNG 1u                /* of a block's flags: something in it was granted since the last collection */
#define SHM_SNAPSHOT_HELD 2u                 /* a thread has it for its holds */

struct shm_snapshot_block {
    uint32_t block;                          /* its number in the arena */
    uint32_t slot;                           /* 1 + its place among the copied ones; 0: it is not among them */
    uint8_t shape;                           /* enum shm_snapshot_shape */
    uint8_t space;                           /* row of SPACES; 255: none */
    uint8_t flags;
    uint8_t free_pages;                      /* LARGE: bit a page */
    uint16_t cell_granules;                  /* CELLS */
    uint16_t reserved;
    uint64_t live_lines[2];                  /* bit a line: something that the last collection found alive is in it */
    uint64_t granted_lines[2];               /* granted since */
};
struct shm_snapshot_space {
    char name[24];
    uint64_t used_bytes, live_bytes;         /* live_bytes: if the heap counts them so */
    uint64_t blocks;
};
struct shm_snapshot_type {
    struct shm_type_row row;
    uint32_t refs;                           /* row of REFS where its own begin: those of the fixed part, then of the element */
    uint32_t reserved;
};

enum shm_snapshot_owner_kind { SHM_SNAPSHOT_NAMES = 0, SHM_SNAPSHOT_ESTATE = 1, SHM_SNAPSHOT_SESSION = 2, SHM_SNAPSHOT_THREAD = 3 };
struct shm_snapshot_owner {
    uint32_t kind;                           /* enum shm_snapshot_owner_kind */
    uint32_t thread;                         /* THREAD: its number in the session */
    uint64_t session;                        /* SESSION, THREAD */
    uint32_t pid, uid;                       /* of the session's process */
    uint32_t tid;                            /* THREAD: as the client said */
    uint32_t name;                           /* of STRINGS */
};

enum shm_snapshot_root_kind {                /* 1 to 9: rows of a session's table, or of the estate's */
    SHM_SNAPSHOT_STRONG = 1, SHM_SNAPSHOT_WEAK = 2, SHM_SNAPSHOT_SOFT = 3, SHM_SNAPSHOT_SHARED = 4, SHM_SNAPSHOT_EXCLUSIVE = 5,
    SHM_SNAPSHOT_REVOKED = 6, SHM_SNAPSHOT_GUARDED = 7, SHM_SNAPSHOT_READY = 8, SHM_SNAPSHOT_WATCHED = 9,
    SHM_SNAPSHOT_NAMED = 16,                 /* a named root */
    SHM_SNAPSHOT_LOCAL = 17,                 /* exact, of a thread */
    SHM_SNAPSHOT_STACK = 18,                 /* ambiguous: a word of a stack or register */
    SHM_SNAPSHOT_IMMORTAL_OBJECT = 19,       /* not in the file: its reader makes one for each object in an IMMORTAL block */
};
struct shm_snapshot_root {
    uint32_t owner;                          /* row of OWNERS */
    uint32_t kind;
    uint32_t row;                            /* its number in its table */
    uint32_t word;                           /* granule, as it stood there */
    uint32_t object;                         /* the object that it stands for; 0: none */
    uint32_t name;                           /* of STRINGS: of a named root its name, of a handle what its program calls it, of the estate's the heir */
};

#define SHM_SNAPSHOT_BITS (MM_BLOCK_GRANULES / 8u)           /* bytes of OBJECTS a copied block */
static_assert(offsetof(struct shm_snapshot, granule_bytes) == 72, "docs/heap-layout.md#snapshot");
static_assert(offsetof(struct shm_snapshot, plan) == 88, "docs/heap-layout.md#snapshot");
static_assert(offsetof(struct shm_snapshot, heap) == 112, "docs/heap-layout.md#snapshot");
static_assert(offsetof(struct shm_snapshot, sections) == 368, "docs/heap-layout.md#snapshot");
static_assert(sizeof(struct shm_snapshot) == 512, "docs/heap-layout.md#snapshot");
static_assert(sizeof(struct shm_snapshot_block) == 48, "docs/heap-layout.md#snapshot");
static_assert(sizeof(struct shm_snapshot_space) == 48, "docs/heap-layout.md#snapshot");
static_assert(sizeof(struct shm_snapshot_type) == 88, "docs/heap-layout.md#snapshot");
static_assert(sizeof(struct shm_snapshot_owner) == 32, "docs/heap-layout.md#snapshot");
static_assert(sizeof(struct shm_snapshot_root) == 24, "docs/heap-layout.md#snapshot");
