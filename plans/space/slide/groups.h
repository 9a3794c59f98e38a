/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/* Groups, from inside: which blocks slide, and the group that each is of. */
#include "plans/heap/state.h"
#include "plans/space/slide/slide.h"

/* Do its objects leave? Told by flags that stand from the layout stage on. */
static inline bool slide_is_source(const struct heap *h, uint32_t block)
{
    return blocks_kind(&h->blocks, block) == BLOCK_SLIDE && !blocks_flag(&h->blocks, block, BLOCK_STAYS);
}
static inline uint32_t slide_group_end(const struct slide *s, uint32_t group)
{
    return MM_MIN((group + 1) * s->policy->group_blocks, blocks_high(&s->heap->blocks));
}
/* The first group with a candidate, or a destination, above candidate @index. */
uint32_t slide_group_with(const struct slide *s, uint32_t index);
uint32_t slide_group_into(const struct slide *s, uint32_t index);

/* move.c: all objects of @group. */
void slide_move_group(struct slide *s, struct trace_tally *tally, uint32_t group);
