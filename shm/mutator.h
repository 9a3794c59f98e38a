/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/* Mutator: one attached thread's own segment: its bump, its state word, its grants, its roots. Only that client and
 * the daemon map it; to the daemon every [C] word is hostile: read once, clamp, use the copy. docs/heap-layout.md#mutator
 *   Addresses  the bump fields are addresses in the client; the daemon subtracts @base, read with them.
 *   Zeroing    bytes in [span start, limit) were zero before the first header store there; the daemon never parses
 *              past limit (S7). A span the client has left behind is zeroed to its end first.
 *   Grants     rings per class. The daemon fills entries, then raises published (release); the client uses entry
 *              taken % capacity and raises taken when it is done with that span or large run: entries before taken are
 *              finished, entry taken is the current one if the bump lies in it, the others are untouched.
 *              A request carries a serial; the daemon answers it by setting error, then answered = serial, then a wake.
 *   Holds      entries of class HOLD are whole blocks that the thread uses in any order, and again, without a word to anybody. What
 *              matters of entry i stands in hold_rows[i % capacity]: how many lines of the block, from its first, are objects and zeroes,
 *              and for which outermost hold: where that is not `held`, the block holds nothing that counts. A row is stored after the
 *              zeroing of its lines, and lies behind whatever the thread has made there, at any time: as limit does (S7). When the
 *              thread parks, or goes outside, it ends with the line that its bump is in, and the bump goes on behind.
 *              SHM_HOLD_RETIRED: the thread is done with it, and what lies behind those lines is nothing. A row is lowered, or a
 *              block used again, only if no stop has seen the row as it was. taken is raised past rows that are retired; such an
 *              entry is used again for another block after the next collection: then the daemon has stored 0 to its row
 *   Held       while `held` is not 0, lines is the bump of a hold and nothing to the daemon: that of LINES is parked in bumps[LINES].
 *              Beginning copies it there, then raises held; the end copies it back, then lowers held: whichever instruction is the
 *              thread's last, what the daemon looks at is whole */
#include <assert.h>
#include <stdalign.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "shm/base.h"
#include "shm/cells.h"
#include "shm/write_barrier.h"

#define SHM_MUTATOR_MAGIC UINT64_C(0x7474756d63676d6d)
#define SHM_MUTATOR_VERSION 5u

enum shm_state { SHM_OUT = 0, SHM_IN = 1, SHM_PARKED = 2 };

struct shm_bump {
    char *cursor;                            /* [C] next header goes here */
    char *limit;                             /* [C] zeroed up to here; stored after the zeroing */
    char *end;                               /* [C] end of the current span */
};

enum shm_grant_class {
    SHM_GRANT_LINES,                         /* spans of free lines for small objects */
    SHM_GRANT_BLOCKS,                        /* whole blocks, for small objects that did not fit a hole (Immix overflow) */
    SHM_GRANT_LARGE,                         /* one page run a request, for one large object */
    SHM_GRANT_NONMOVING,                     /* spans for small objects that keep their address */
    SHM_GRANT_IMMORTAL,                      /* spans for small objects that are never freed */
    SHM_GRANT_HOLD,                          /* whole blocks, for what a thread makes in its holds: used in any order, see below */
    SHM_GRANT_CELLS,                         /* adjacent cells of one size: SHM_GRANT_CELLS + its class (shm/cells.h) */
    SHM_GRANT_CLASSES = SHM_GRANT_CELLS + SHM_CELL_CLASSES
};
#define SHM_LINES_CAPACITY 4096u
#define SHM_BLOCKS_CAPACITY 1024u
#define SHM_LARGE_CAPACITY 4u
#define SHM_OTHERS_CAPACITY 512u             /* of each class from NONMOVING on, but HOLD */
#define SHM_HOLD_CAPACITY 4096u
#define SHM_RING_ROWS \
    (SHM_LINES_CAPACITY + SHM_BLOCKS_CAPACITY + SHM_LARGE_CAPACITY + SHM_HOLD_CAPACITY + \
     SHM_OTHERS_CAPACITY * (SHM_GRANT_CLASSES - SHM_GRANT_NONMOVING - 1u))

#define SHM_HOLD_LINES UINT64_C(0xff)        /* in a row of hold_rows: the lines; above, from SHM_HOLD_SERIAL_LOG on, the hold's serial */
#define SHM_HOLD_RETIRED (UINT64_C(1) << 8)
#define SHM_HOLD_SERIAL_LOG 9u
#define SHM_GRANT_ZEROED 1u                  /* flag: the bytes are known to be zero */

struct shm_grant {                           /* [D] */
    uint32_t start;                          /* granule */
    uint32_t granules;
    uint32_t flags;
    uint32_t reserved;                       /* zero */
};

struct shm_mailbox {
    _Atomic uint32_t published;              /* [D] entries ever put into the ring */
    _Atomic uint32_t taken;                  /* [C] entries ever finished */
    _Atomic uint32_t answered;               /* [D] serial of the last request answered; the client futex-waits on it */
    _Atomic uint32_t error;                  /* [D] 0 or the mmgc_error of that answer */
};

#define SHM_LOCALS_MAX (1u << 16)
#define SHM_ROOTS_OVERFLOW UINT32_MAX        /* in root_count: the roots are incomplete; free and move nothing */

struct shm_mutator {
    /* The client's fast path: one line. libmmgc-client's struct mmgc_thread begins with exactly these. */
    struct shm_bump lines;                   /* [C] */
    const _Atomic uint32_t *epoch;           /* [C] where this process sees control.epoch */
    char *base;                              /* [C] where this process sees the arena */
    void *client;                            /* [C] the library's private record */
    uint64_t log_lines;                      /* [C] the byte of the line at address @a is at log_lines + a / 256 in this process
                                                (write_barrier.h); while nothing is logged, a table of zeroes is there instead */

    alignas(MM_CACHE_LINE) _Atomic uint32_t state;   /* [C] enum shm_state; the daemon futex-waits on it (S4) */
    _Atomic uint32_t root_count;             /* [C] words in roots; complete whenever state is PARKED */
    _Atomic uint32_t local_count;            /* [C] slots in locals; changed only while IN */
    _Atomic uint64_t held;                   /* [C] the serial of the outermost hold that is open, and then the bump of LINES is in bumps[LINES];
                                                0: none is */

    alignas(MM_CACHE_LINE) _Atomic uint64_t magic;   /* [D] release-stored last */
    uint32_t version, features;              /* [D] constant */
    uint32_t id;                             /* [D] constant: the thread's number in its session */
    uint32_t root_capacity;                  /* [D] constant: words in roots */

    alignas(MM_CACHE_LINE) struct shm_mailbox mail[SHM_GRANT_CLASSES];
    alignas(MM_CACHE_LINE) struct shm_bump bumps[SHM_GRANT_CLASSES]; /* [C] of every class but LARGE and HOLD; LINES: while held */

    alignas(MM_CACHE_LINE) struct shm_log log;       /* [C][D] stores to references: write_barrier.h */

    alignas(4096) struct shm_grant rings[SHM_RING_ROWS];     /* [D] class after class: shm_mutator_ring() */
    alignas(4096) _Atomic uint64_t hold_rows[SHM_HOLD_CAPACITY];     /* [C], and [D] before it publishes another entry there */
    alignas(4096) _Atomic uint32_t locals[SHM_LOCALS_MAX];   /* [C][D] exact roots: granules, or 0 */
    alignas(4096) struct shm_log_entry log_ring[SHM_LOG_CAPACITY];   /* [C] entry i at i % capacity */
    alignas(4096) uint32_t roots[];          /* [C] ambiguous roots: granules (rounded down) of words that point into the arena */
};
static_assert(offsetof(struct shm_mutator, epoch) == 24, "docs/heap-layout.md#mutator");
static_assert(offsetof(struct shm_mutator, base) == 32, "docs/heap-layout.md#mutator");
static_assert(offsetof(struct shm_mutator, state) == 64, "docs/heap-layout.md#mutator");
static_assert(offsetof(struct shm_mutator, magic) == 128, "docs/heap-layout.md#mutator");
static_assert(offsetof(struct shm_mutator, mail) == 192, "docs/heap-layout.md#mutator");
static_assert(offsetof(struct shm_mutator, bumps) == 832, "docs/heap-layout.md#mutator");
static_assert(offsetof(struct shm_mutator, log) == 1792, "docs/heap-layout.md#mutator");
static_assert(offsetof(struct shm_mutator, rings) == 4096, "docs/heap-layout.md#mutator");
static_assert(offsetof(struct shm_mutator, held) == 80, "docs/heap-layout.md#mutator");
static_assert(offsetof(struct shm_mutator, hold_rows) == 4096 + 438272, "docs/heap-layout.md#mutator");
static_assert(offsetof(struct shm_mutator, locals) == 4096 + 438272 + 32768, "docs/heap-layout.md#mutator");
static_assert(offsetof(struct shm_mutator, log_ring) == 4096 + 438272 + 32768 + 262144, "docs/heap-layout.md#mutator");
static_assert(offsetof(struct shm_mutator, roots) == 4096 + 438272 + 32768 + 262144 + 1048576, "docs/heap-layout.md#mutator");

static inline size_t shm_mutator_bytes(uint32_t root_capacity)
{
    return mm_align_up(offsetof(struct shm_mutator, roots) + 4 * (size_t)root_capacity, 4096);
}
static inline uint32_t shm_ring_capacity(enum shm_grant_class class)
{
    return class == SHM_GRANT_LINES    ? SHM_LINES_CAPACITY
           : class == SHM_GRANT_BLOCKS ? SHM_BLOCKS_CAPACITY
           : class == SHM_GRANT_LARGE  ? SHM_LARGE_CAPACITY
           : class == SHM_GRANT_HOLD   ? SHM_HOLD_CAPACITY
                                       : SHM_OTHERS_CAPACITY;
}
/* Rows of the classes before @class. */
static inline uint32_t shm_ring_offset(enum shm_grant_class class)
{
    uint32_t fixed = SHM_LINES_CAPACITY + SHM_BLOCKS_CAPACITY + SHM_LARGE_CAPACITY;

    if (class > SHM_GRANT_HOLD)
        return fixed + SHM_HOLD_CAPACITY + SHM_OTHERS_CAPACITY * (class - SHM_GRANT_NONMOVING - 1u);
    return class == SHM_GRANT_LINES    ? 0
           : class == SHM_GRANT_BLOCKS ? SHM_LINES_CAPACITY
           : class == SHM_GRANT_LARGE  ? SHM_LINES_CAPACITY + SHM_BLOCKS_CAPACITY
                                       : fixed + SHM_OTHERS_CAPACITY * (class - SHM_GRANT_NONMOVING);
}
static inline struct shm_grant MM_NODEREF *shm_mutator_ring(struct shm_mutator MM_NODEREF *m, enum shm_grant_class class)
{
    return m->rings + shm_ring_offset(class);
}
static inline struct shm_bump MM_NODEREF *shm_mutator_bump(struct shm_mutator MM_NODEREF *m, enum shm_grant_class class)
{
    return class == SHM_GRANT_LINES ? &m->lines : &m->bumps[class];
}
/* The entries of LARGE are objects, not spans, and those of HOLD are used in any order. */
static inline bool shm_class_bumps(enum shm_grant_class class)
{
    return class != SHM_GRANT_LARGE && class != SHM_GRANT_HOLD;
}
