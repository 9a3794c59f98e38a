/* SPDX-License-Identifier: Apache-2.0 */
#include "plans/heap/resolve.h"

#include "plans/heap/bitmap.h"
#include "plans/heap/state.h"
#include "plans/heap/walk.h"

/* Gives @block's spans in G their scratch bits, once; two workers may both do it, and set the same bits. */
void resolve_parse_block(struct heap *h, uint32_t block)
{
    _Atomic uint8_t *flags = &h->meta.flags[block];

    if ((at_load_acquire(flags) & BLOCK_PARSED) != 0 || !walk_block_in_g(h, block))
        return;
    walk_parse_block(h, block, heap_scratch_bits(h), &(struct parse_faults){ 0 });
    atomic_fetch_or_explicit(flags, BLOCK_PARSED, memory_order_release); /* pairs with the load above */
}

/* The nearest object at or below @place in its block, or 0: of @objects, if that is not NULL. In a young collection what is in G has bits of
 * its own; those of VO that others set meanwhile are of objects all the same. */
static uint32_t below_in_block(struct heap *h, const _Atomic uint64_t *objects, uint32_t place)
{
    uint32_t block = place / MM_BLOCK_GRANULES;
    uint64_t floor = (uint64_t)block * MM_BLOCK_GRANULES, found, young;

    if (objects != NULL) {
        found = bitmap_find_below(objects, place, floor);
        return found == BITMAP_NONE ? 0 : (uint32_t)found;
    }
    resolve_parse_block(h, block);
    found = bitmap_find_below(heap_vo(h), place, floor);
    young = h->young && blocks_flag(&h->blocks, block, BLOCK_YOUNG) ? bitmap_find_below(heap_marks(h), place, floor)
                                                                    : BITMAP_NONE;
    found = found == BITMAP_NONE || (young != BITMAP_NONE && young > found) ? young : found;
    return found == BITMAP_NONE ? 0 : (uint32_t)found;
}

/* The object in the cell around @place, if VO has it or, since the last collection, its mutator is done with the cell. */
static uint32_t around_in_cell(struct heap *h, uint32_t place)
{
    uint32_t block = place / MM_BLOCK_GRANULES, size = cell_granules(h, block);
    uint32_t granule = place - place % MM_BLOCK_GRANULES % size + 1;

    if (!cell_is_object(h, granule))
        return 0;
    return bitmap_test(heap_vo(h), granule) || cell_space_finished(h, granule) ? granule : 0;
}

/* The object of the run that covers @place, or 0. One granted since the last collection and taken counts by its header. */
static uint32_t below_in_run(struct heap *h, uint32_t place)
{
    uint32_t first = large_run_of(h, place / MM_PAGE_GRANULES);

    if (first == PAGE_NONE || large_run_untaken(h, first))
        return 0;
    return large_object_granule(first);
}

/* The object around @place, if @word is within it or just behind. */
static uint32_t resolve_at(struct heap *h, const _Atomic uint64_t *objects, uint32_t place, uint32_t word)
{
    enum block_kind kind = blocks_kind(&h->blocks, place / MM_BLOCK_GRANULES);
    uint32_t found = block_kind_has_lines(kind) ? below_in_block(h, objects, place)
                     : kind == BLOCK_CELLS      ? around_in_cell(h, place)
                     : kind == BLOCK_LARGE      ? below_in_run(h, place)
                                                : 0;
    struct object o;

    if (found == 0 || !object_load(h, found, kind, &o))
        return 0;
    return found <= word && word - found <= o.granules - 1 ? found : 0;
}

uint32_t resolve_among_stw(struct heap *h, const _Atomic uint64_t *objects, uint32_t word)
{
    if (word == 0 || word >= h->granules)
        return 0;
    uint32_t found = resolve_at(h, objects, word, word);
    bool cells = blocks_kind(&h->blocks, (word - 1) / MM_BLOCK_GRANULES) == BLOCK_CELLS;
    if (found == 0 && (word % MM_PAGE_GRANULES == 0 || cells)) /* one past the end of what fills the block, the run or the cell before */
        found = resolve_at(h, objects, word - 1, word);
    return found;
}

uint32_t resolve_ambiguous_stw(struct heap *h, uint32_t word)
{
    return resolve_among_stw(h, NULL, word);
}
