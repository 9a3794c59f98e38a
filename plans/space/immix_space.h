/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/* Immix space: small objects among the 256-byte lines of 32 KiB blocks; free lines are granted again. */
#include "plans/plan.h"

size_t immix_space_grant_holes(struct heap *h, struct heap_mutator *m, uint64_t bytes, struct shm_grant *ret, size_t capacity);
size_t immix_space_grant_blocks(struct heap *h, struct heap_mutator *m, enum shm_grant_class class, uint64_t bytes,
                                struct shm_grant *ret, size_t capacity);
/* One hole of at least @min_bytes, out of turn: 0 or 1. */
size_t immix_space_grant_one_hole(struct heap *h, struct heap_mutator *m, uint32_t min_bytes, struct shm_grant *ret);
/* The span at granule @start was granted and never begun, and is out of G again. */
void immix_space_return(struct heap *h, uint32_t start);

void immix_space_prepare_block(struct heap *h, uint32_t block);
void immix_space_sweep_block(struct heap *h, uint32_t block, struct sweep_tally *tally);
void immix_space_after_sweep_stw(struct heap *h, const struct sweep_tally *total);
enum heap_fault immix_space_check_block_stw(const struct heap *h, uint32_t block);
enum heap_fault immix_space_check_stw(const struct heap *h);          /* all its blocks */
