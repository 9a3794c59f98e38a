/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/* Resolve: which object does an ambiguous word belong to?  payload <= w <= payload + size (soundness S3, S6 I5). */
#include <stdint.h>

#include "plans/heap.h"

/* The granule of @word's object, or 0. Needs G opened and VO of the last collection; sets the scratch bits of blocks it has
 * to parse (heap_scratch_bits()). From any worker at once. A word on an object that the last collection found dead is nobody's. */
uint32_t resolve_ambiguous_stw(struct heap *h, uint32_t word);
/* The same between collections, for who changes nothing: @objects, not NULL, has the objects of all blocks with lines (census.h). */
uint32_t resolve_among_stw(struct heap *h, const _Atomic uint64_t *objects, uint32_t word);
/* Gives @block's spans in G their scratch bits, once; two workers may both do it, and set the same bits. */
void resolve_parse_block(struct heap *h, uint32_t block);
