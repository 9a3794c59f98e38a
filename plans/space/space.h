/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/* Space: a policy for the blocks of one kind: how they are granted, made ready for a collection, swept and checked.
 *   A space is a constant table; what it knows of a heap stands in struct heap and in the metadata of its blocks. A plan names
 *   the spaces it is made of; any free block can serve any space.
 *   Threads  grants and _stw: the heap's one caller; prepare and sweep: many workers at once, a block on one               */
#include <stddef.h>
#include <stdint.h>

#include "plans/heap.h"
#include "plans/heap/blocks.h"

struct grant_request {
    enum shm_grant_class class;
    uint64_t bytes;
    uint32_t min_bytes;
};

struct sweep_tally {                         /* one worker's share, folded when the stage is over */
    int64_t freed_bytes;                     /* less what copies took */
    uint32_t freed_blocks[BLOCK_KINDS];      /* by the kind that they were of */
    uint32_t closed_blocks[BLOCK_KINDS];     /* the same of those that are closed until the next collection */
    int64_t free_lines[BLOCK_KINDS];         /* in holes of blocks that did not become free; of a young collection, how many more */
    uint32_t promoted_blocks;                /* of the nursery, which belong to the old space now */
    int64_t freed_pages;                     /* of LARGE blocks, less those of blocks that went back whole */
};

struct space {
    const char *name;
    enum block_kind kind;
    void (*prepare_block)(struct heap *h, uint32_t block);
    void (*sweep_block)(struct heap *h, uint32_t block, struct sweep_tally *tally);
    void (*after_sweep_stw)(struct heap *h, const struct sweep_tally *total);
    /* Every invariant of its blocks; the first that is broken. Reads metadata only: no client can make it fail. */
    enum heap_fault (*check_block_stw)(const struct heap *h, uint32_t block);
    uint64_t (*used_bytes)(const struct heap *h);        /* of its blocks, what is not free to be granted again */
};

extern const struct space immix_space, copy_space, nursery_space, slide_space, nonmoving_space, immortal_space, cell_space, large_space;
const struct space *space_of(enum block_kind kind);      /* NULL for blocks that are not in use */

/* For sweeps: @block is free as a whole (B2 is done); @close: after a term as BLOCK_CLOSED. */
void space_free_block(struct heap *h, uint32_t block, bool close, struct sweep_tally *tally);
/* When they are through: the blocks of @kind that were freed. */
void space_count_freed_stw(struct heap *h, enum block_kind kind, const struct sweep_tally *total);

enum heap_fault spaces_check_block_stw(const struct heap *h, uint32_t block);
/* With h->check: that no block has a fault. The heap's one caller, between collections or when one has ended. */
void spaces_assert(const struct heap *h);
/* The spaces of its plan, as struct heap_space_info. */
size_t spaces_describe(const struct heap *h, struct heap_space_info *ret, size_t capacity);
