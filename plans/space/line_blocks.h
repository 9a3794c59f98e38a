/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/* Line blocks: what all spaces share whose objects lie among the 256-byte lines of 32 KiB blocks: holes, line marks, sweeping.
 *   Kinds  IMMIX, COPY, SLIDE, NONMOVING, IMMORTAL: block_kind_has_lines()                                        */
#include "plans/space/space.h"

struct line_holes {                          /* of one kind of block: where the next search for holes starts */
    uint32_t recycle_cursor;                 /* blocks below have no more holes to grant; 0 after each collection */
    uint64_t lines;                          /* that may be granted */
    uint32_t long_hole_cursor[MM_BLOCK_LINES + 1]; /* [n]: blocks from recycle_cursor up to it have no hole of n lines, nor of more */
};

/* Whole blocks' worth of holes in address order; stops at @bytes, or within a block when the rows are used up. */
size_t line_blocks_grant_holes(struct heap *h, struct heap_mutator *m, enum block_kind kind, enum shm_grant_class class,
                               uint64_t bytes, struct shm_grant *ret, size_t capacity);
size_t line_blocks_grant_free(struct heap *h, struct heap_mutator *m, enum block_kind kind, enum shm_grant_class class,
                              uint64_t bytes, struct shm_grant *ret, size_t capacity);
/* One hole of at least @min_bytes, out of turn: 0 or 1. */
size_t line_blocks_grant_one_hole(struct heap *h, struct heap_mutator *m, enum block_kind kind, enum shm_grant_class class,
                                  uint32_t min_bytes, struct shm_grant *ret);
/* The span at granule @start was granted and never begun, and is out of G again. */
void line_blocks_return(struct heap *h, uint32_t start);

/* For copies: the first hole of @block at or after line *@line, which moves to its end. Its length in lines, or 0. */
uint32_t line_blocks_next_hole(const struct heap *h, uint32_t block, uint64_t *line, uint64_t *ret_first);

void line_blocks_prepare_block(struct heap *h, uint32_t block);
void line_blocks_sweep_block(struct heap *h, uint32_t block, struct sweep_tally *tally);
/* Holes and blocks of @kind are those of @total. */
void line_blocks_after_sweep_stw(struct heap *h, enum block_kind kind, const struct sweep_tally *total);
/* Of a block that objects were dropped in (trace/drop.h): its lines are those of the others. By the heap's caller, when blocks
 * [@first, @end) are through: what was freed may be granted, but for whole blocks, which are still SWEPT. */
void line_blocks_sweep_dropped(struct heap *h, uint32_t block, struct sweep_tally *tally);
void line_blocks_take_dropped(struct heap *h, uint32_t first, uint32_t end, const struct sweep_tally *total);
enum heap_fault line_blocks_check_block_stw(const struct heap *h, uint32_t block);
uint64_t line_blocks_used_bytes(const struct heap *h, enum block_kind kind);
/* Maximal runs of free lines in @block, and how many lines are marked or granted. */
uint32_t line_blocks_count_holes(const struct heap *h, uint32_t block, uint32_t *ret_used_lines);
