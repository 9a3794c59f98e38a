/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/* Blocks: who owns each 32 KiB of the arena, and which are free.
 *   B1  a block has exactly one kind; no arena byte is read unless its kind says "in use" (IMMIX and above)
 *   B2  a free or closed block has no bit in either object bitmap, no marked and no granted line
 *   B3  the arena's last block is RESERVED, so that one past the end of any object is a granule of the arena
 *   B4  a commit unit that is being committed or given back is ASKED as a whole: nothing else happens to it until that is done,
 *       so the two never overtake each other
 *   Threads  the heap's one caller; a collection's workers store kinds of blocks they sweep, and tell by blocks_swept() */
#include <stdbool.h>
#include <stdint.h>

#include "plans/heap/layout.h"
#include "shm/base.h"
#include "shm/units.h"

enum block_kind {
    BLOCK_UNCOMMITTED,                       /* zero: how a fresh segment begins */
    BLOCK_ASKED,                             /* being committed, or given back */
    BLOCK_RESERVED,                          /* never granted */
    BLOCK_FREE_CLEAN,                        /* zero bytes */
    BLOCK_FREE_DIRTY,
    BLOCK_CLOSED,                            /* freed as a whole, and not to be granted before the next collection: closed.h */
    BLOCK_SWEPT,                             /* freed while clients run, and not to be granted before the sweep is over: cycle_sweep.c */
    BLOCK_IMMIX,                             /* from here on: in use, by the space of that name */
    BLOCK_COPY,
    BLOCK_NURSERY,
    BLOCK_SLIDE,
    BLOCK_NONMOVING,
    BLOCK_IMMORTAL,
    BLOCK_CELLS,
    BLOCK_LARGE,
    BLOCK_KINDS
};

#define BLOCK_PARSED 1u                      /* its spans in G have their VO bits for this collection */
#define BLOCK_IRREGULAR 2u                   /* one of the stop's irregular spans lies in it */
#define BLOCK_EVACUATE 4u                    /* what lives in it is to be moved out by this collection: trace/evacuate.c */
#define BLOCK_STAYS 8u                       /* pinned, or granted in part: this collection slides nothing in or out of it */
#define BLOCK_YOUNG 16u                      /* a young collection looks at it: something in it was granted since the last one, or copied to */
#define BLOCK_FRESH 32u                      /* it was free when this collection began, and was taken for copies */
#define BLOCK_UNSWEPT 64u                    /* it was in use when a concurrent collection had marked all: cycle_sweep.c */
#define BLOCK_HELD 128u                      /* a thread has it for its holds: none of its lines is a hole (heap/grants.h G5) */

#define BLOCK_NONE UINT32_MAX

struct blocks {
    struct metadata *meta;                   /* borrowed */
    uint32_t total;                          /* of the arena; constant */
    _Atomic uint32_t high;                   /* no block at or above it is committed; cycles read it beside the heap's caller, who stores it */
    uint32_t units_limit;                    /* commit units that may be committed or asked; more are, after it was lowered */
    uint32_t unit_hint;                      /* no unit below it is uncommitted */
    uint32_t foreign_units;                  /* ASKED, but never committed: what others put there is being taken out */
    uint32_t counts[BLOCK_KINDS];
    uint32_t hints[BLOCK_KINDS];             /* no free block of that kind below it */
    uint32_t run_count, run_end;             /* no run of that many free blocks reaches above run_end; no claim if they are UINT32_MAX */
};

void blocks_init(struct blocks *b, struct metadata *meta, uint64_t max_bytes, uint64_t limit_bytes);

static inline enum block_kind blocks_kind(const struct blocks *b, uint32_t block)
{
    return (enum block_kind)at_load_relaxed(&b->meta->kinds[block]);
}
static inline uint32_t blocks_high(const struct blocks *b)           /* what lies above it when it is read late is new, and of no interest */
{
    return at_load_relaxed(&b->high);
}
static inline bool block_kind_in_use(enum block_kind kind)
{
    return kind >= BLOCK_IMMIX;
}
/* Objects lie at any granule, their lines are marked, free lines are granted: line_blocks.h. */
static inline bool block_kind_has_lines(enum block_kind kind)
{
    return kind >= BLOCK_IMMIX && kind <= BLOCK_IMMORTAL;
}
static inline bool blocks_flag(const struct blocks *b, uint32_t block, unsigned flag)
{
    return (at_load_relaxed(&b->meta->flags[block]) & flag) != 0;
}
static inline bool block_kind_free(enum block_kind kind)
{
    return kind == BLOCK_FREE_CLEAN || kind == BLOCK_FREE_DIRTY;
}

/* The lowest free block, made @kind: BLOCK_NONE if there is none. *ret_clean says if it is zero. Page runs come from the top, so
 * that the last free blocks are next to each other. */
uint32_t blocks_acquire(struct blocks *b, enum block_kind kind, bool *ret_clean);
/* First of @count adjacent free blocks, BLOCK_NONE if there are none; the caller takes each of them. */
uint32_t blocks_find_run(struct blocks *b, uint32_t count);
bool blocks_take(struct blocks *b, uint32_t block, enum block_kind kind);     /* a free one; true: it is zero */
void blocks_release(struct blocks *b, uint32_t block);                /* in use or CLOSED; to FREE_DIRTY; B2 is the caller's duty */
/* After a sweep in which workers stored @to, FREE_DIRTY or CLOSED, over @count blocks of @kind. */
void blocks_swept(struct blocks *b, enum block_kind kind, enum block_kind to, uint32_t count);

/* Blocks from @first to @end that workers made SWEPT are free; they count as such already. */
void blocks_release_swept(struct blocks *b, uint32_t first, uint32_t end);

bool blocks_commit_next(struct blocks *b, uint64_t *ret_offset);
void blocks_commit_done(struct blocks *b, uint64_t offset, bool success);
uint64_t blocks_uncommitted_bytes(const struct blocks *b);
void blocks_set_limit(struct blocks *b, uint64_t limit_bytes);        /* rounded up to commit units */
uint64_t blocks_excess_bytes(const struct blocks *b);                 /* committed beyond the limit */

/* The highest row of at least @min and at most @max adjacent commit units below *@unit that are free throughout, made ASKED:
 * how many, and the first in *@unit; 0: there is none. */
uint32_t blocks_release_next(struct blocks *b, uint32_t min, uint32_t max, uint32_t *unit);
/* What is committed, in bytes; *ret_asked: and what may be or not. */
uint64_t blocks_committed_bytes(const struct blocks *b, uint64_t *ret_asked);
/* The first row of at most @max uncommitted units at or after *@unit, as long as it is: how many, and the first in *@unit. */
uint32_t blocks_uncommitted_row(const struct blocks *b, uint32_t max, uint32_t *unit);
/* They become ASKED, and are uncommitted again when done, whatever became of the pages that somebody had touched there. */
void blocks_foreign_begin(struct blocks *b, uint32_t unit, uint32_t count);
void blocks_foreign_done(struct blocks *b, uint32_t unit, uint32_t count);
/* @success: they are the system's. Otherwise they are free again, as if nothing had been. */
void blocks_release_done(struct blocks *b, uint32_t unit, uint32_t count, bool success);
