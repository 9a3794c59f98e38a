/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/* Immix defragmentation: whether a collection moves objects, and out of which blocks. */
#include "plans/plan.h"

#define IMMIX_HEADROOM_DEFAULT 2u            /* percent */

uint64_t immix_defrag_headroom_bytes(const struct heap *h);
void immix_defrag_begin_stw(struct heap *h, const struct heap_stop *stop);
void immix_defrag_measure_block(struct heap *h, uint32_t block, struct plan_spill *spill);
void immix_defrag_choose_stw(struct heap *h, const struct plan_spill *total);
/* After the sweep: would the next collection do well to move? */
void immix_defrag_judge_stw(struct heap *h);
/* Is @block, which was measured, to be emptied? */
bool immix_defrag_chosen(const struct heap *h, uint32_t block);
