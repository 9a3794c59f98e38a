/* SPDX-License-Identifier: Apache-2.0 */
/* spaces.c - Spaces: which space a block is of, and what is asked of all of them at once.
 *   F1  a free or closed block has no marked and no granted line, no object bit and no flag (blocks.h B2)
 *   F2  a free block has no closed page, a closed one no other (closed.h D3) */
#include "plans/heap/bitmap.h"
#include "plans/heap/closed.h"
#include "plans/heap/state.h"
#include "plans/space/space.h"

static const struct space *const by_kind[BLOCK_KINDS] = {
    [BLOCK_IMMIX] = &immix_space,         [BLOCK_COPY] = &copy_space,         [BLOCK_SLIDE] = &slide_space,
    [BLOCK_NURSERY] = &nursery_space,
    [BLOCK_NONMOVING] = &nonmoving_space, [BLOCK_IMMORTAL] = &immortal_space, [BLOCK_CELLS] = &cell_space,
    [BLOCK_LARGE] = &large_space,
};

const struct space *space_of(enum block_kind kind)
{
    return (unsigned)kind < BLOCK_KINDS ? by_kind[kind] : NULL;
}

void space_free_block(struct heap *h, uint32_t block, bool close, struct sweep_tally *tally)
{
    enum block_kind kind = blocks_kind(&h->blocks, block);

    if (close) {
        closed_add(h, block, CLOSED_WHOLE);
        tally->closed_blocks[kind]++;
    } else {
        tally->freed_blocks[kind]++;
    }
    at_store_relaxed(&h->meta.kinds[block], close                                 ? BLOCK_CLOSED
                                            : heap_cycle(h) == HEAP_CYCLE_SWEEPING ? BLOCK_SWEPT
                                                                                    : BLOCK_FREE_DIRTY);
}

void space_count_freed_stw(struct heap *h, enum block_kind kind, const struct sweep_tally *total)
{
    blocks_swept(&h->blocks, kind, BLOCK_FREE_DIRTY, total->freed_blocks[kind]);
    blocks_swept(&h->blocks, kind, BLOCK_CLOSED, total->closed_blocks[kind]);
}

static bool has_any(const _Atomic uint64_t *words, uint32_t block, uint32_t bits)
{
    uint64_t first = (uint64_t)block * bits;
    return bitmap_find_set(words, first, first + bits) < first + bits;
}

static enum heap_fault check_free(const struct heap *h, uint32_t block, enum block_kind kind)
{
    if (closed_pages(h, block) != (kind == BLOCK_CLOSED ? CLOSED_WHOLE : 0))
        return HEAP_FAULT_BLOCK;
    for (uint32_t i = 0; i < MM_BLOCK_LINES; i++)
        if (at_load_relaxed(&h->meta.lines[(size_t)block * MM_BLOCK_LINES + i]) != 0)
            return HEAP_FAULT_LINE_MARK;
    for (unsigned i = 0; i < 2; i++)
        if (has_any(h->meta.granted[i], block, MM_BLOCK_LINES) ||
            has_any(h->meta.firsts[i], block, MM_BLOCK_LINES) ||
            has_any(h->meta.objects[i], block, MM_BLOCK_GRANULES))
            return HEAP_FAULT_BLOCK;
    return HEAP_FAULT_NONE;
}

static bool plan_has(const struct plan *plan, const struct space *space)
{
    for (size_t i = 0; i < PLAN_SPACES_MAX && plan->spaces[i] != NULL; i++)
        if (plan->spaces[i] == space)
            return true;
    return false;
}

enum heap_fault spaces_check_block_stw(const struct heap *h, uint32_t block)
{
    enum block_kind kind = blocks_kind(&h->blocks, block);
    const struct space *space = space_of(kind);

    if (space != NULL)
        return plan_has(h->plan, space) ? space->check_block_stw(h, block) : HEAP_FAULT_BLOCK;
    return block_kind_free(kind) || kind == BLOCK_CLOSED ? check_free(h, block, kind) : HEAP_FAULT_NONE;
}

void spaces_assert(const struct heap *h)
{
    for (uint32_t block = 0; h->check && block < blocks_high(&h->blocks); block++)
        MM_ASSERT(spaces_check_block_stw(h, block) == HEAP_FAULT_NONE);
}

size_t spaces_describe(const struct heap *h, struct heap_space_info *ret, size_t capacity)
{
    size_t count = 0;

    for (; count < capacity && count < PLAN_SPACES_MAX && h->plan->spaces[count] != NULL; count++) {
        const struct space *space = h->plan->spaces[count];
        ret[count] = (struct heap_space_info){ space->name, space->used_bytes(h),
                                               h->blocks.counts[space->kind],
                                               h->live_kind_bytes[space->kind] };
    }
    return count;
}
