/* SPDX-License-Identifier: Apache-2.0 */
/* layout.c - Layout: where everything goes.
 *   L1  candidates for destinations are the blocks that slide and, under a plan that slides over the whole
 *       heap, the free ones: in address order each has an index. Blocks with a pinned object or with lines that
 *       stay in G do not slide
 *   L2  the units of a group are packed in address order into as many candidates as that takes, of no other
 *       group; a unit that does not fit into the rest of one begins the next: less than a unit and the end of
 *       one object is lost
 *   L3  an object never goes up. A group's first destination has no higher index than its first source: groups
 *       below use no more destinations than they have sources. And by induction over units, greedy packing is
 *       never behind another packing in order, which how they lie now is: if a unit fits behind its predecessor
 *       now, it fits there earlier; if it begins a block now, packing has come to that block at the latest
 *   L4  free blocks are taken under the heap's block lock; that they become SLIDE makes them no less of a
 *       candidate */
#include <string.h>

#include "plans/space/slide/groups.h"
#include "plans/space/slide/pieces.h"

static bool is_candidate(const struct slide *s, uint32_t block)
{
    return slide_is_source(s->heap, block) ||
           (s->policy->whole_heap && block_kind_free(blocks_kind(&s->heap->blocks, block)));
}

struct packing {                             /* into destinations of which the last is filled up to `used` granules */
    uint32_t blocks, used;
};

/* Where in its block the next unit, of @granules, begins. */
static uint32_t pack(struct packing *k, uint32_t granules)
{
    if (k->blocks == 0 || k->used + granules > MM_BLOCK_GRANULES) {
        k->blocks++;
        k->used = 0;
    }
    k->used += granules;
    return k->used - granules;
}

/* layout */

static void settle_flags(struct heap *h, uint32_t block)
{
    const _Atomic uint64_t *next = heap_granted_next(h) + (size_t)block * (MM_BLOCK_LINES / 64);
    enum block_kind kind = blocks_kind(&h->blocks, block);

    if (block_kind_free(kind))
        at_store_relaxed(&h->meta.flags[block], 0); /* so that it is a source, of nothing, when it is taken */
    else if (kind == BLOCK_SLIDE && (at_load_relaxed(&next[0]) | at_load_relaxed(&next[1])) != 0)
        at_or_relaxed(&h->meta.flags[block], BLOCK_STAYS);
}

static void count_block(const struct heap *h, uint32_t block, struct packing *k)
{
    struct pieces p;

    pieces_load(h, block, &p);
    for (uint32_t unit = 0; unit < SLIDE_BLOCK_UNITS; unit++)
        if (p.starts[unit] != 0)
            (void)pack(k, pieces_unit_granules(&p, unit));
}

void slide_layout(struct slide *s, uint32_t group)
{
    struct packing k = { 0 };
    uint32_t candidates = 0;

    for (uint32_t block = group * s->policy->group_blocks; block < slide_group_end(s, group); block++) {
        settle_flags(s->heap, block);
        candidates += is_candidate(s, block);
        if (slide_is_source(s->heap, block))
            count_block(s->heap, block, &k);
    }
    s->groups[group].first = candidates;
    s->groups[group].blocks = k.blocks;
}

/* map */

static uint32_t next_candidate(const struct slide *s, uint32_t block)
{
    while (!is_candidate(s, block))
        block++;
    return block;
}

/* The block of candidate @index, which there is. */
static uint32_t candidate(const struct slide *s, uint32_t index)
{
    uint32_t group = slide_group_with(s, index);
    uint32_t block = next_candidate(s, group * s->policy->group_blocks);

    for (uint32_t i = s->groups[group].first; i < index; i++)
        block = next_candidate(s, block + 1);
    return block;
}

static void take(struct heap *h, uint32_t block)
{
    if (!block_kind_free(blocks_kind(&h->blocks, block)))
        return;
    pthread_mutex_lock(&h->block_lock);
    (void)blocks_take(&h->blocks, block, BLOCK_SLIDE);
    pthread_mutex_unlock(&h->block_lock);
    at_store_relaxed(&h->meta.free_lines[block], MM_BLOCK_LINES); /* as before the collection: the sweep counts anew */
}

struct mapping {                             /* of a group */
    struct slide *s;
    struct packing packing;
    uint32_t block;                          /* the destination that is being filled */
};

static void map_unit(struct mapping *m, uint32_t block, const struct pieces *p, uint32_t unit)
{
    uint32_t before = m->packing.blocks, lead = pieces_lead(p, unit), index = block * SLIDE_BLOCK_UNITS + unit;
    uint32_t at = pack(&m->packing, pieces_unit_granules(p, unit));

    if (m->packing.blocks != before) {
        m->block = next_candidate(m->s, before == 0 ? m->block : m->block + 1);
        take(m->s->heap, m->block);
    }
    at += m->block * MM_BLOCK_GRANULES;
    MM_ASSERT(at <= index * SLIDE_UNIT_GRANULES + (uint32_t)__builtin_ctzll(p->starts[unit])); /* L3 */
    at_store_relaxed(&m->s->heap->meta.offsets[index], at - lead);
}

/* The objects' new places will be in VO, of which nobody needs the old bits any more. */
static void map_block(struct mapping *m, uint32_t block)
{
    struct heap *h = m->s->heap;
    struct pieces p;

    pieces_load(h, block, &p);
    memset((void *)(heap_vo(h) + (size_t)block * SLIDE_BLOCK_UNITS), 0, SLIDE_BLOCK_UNITS * 8);
    for (uint32_t unit = 0; unit < SLIDE_BLOCK_UNITS; unit++)
        if (p.starts[unit] != 0)
            map_unit(m, block, &p, unit);
}

/* groups.c G3. */
static uint32_t count_waits(const struct slide *s, uint32_t group)
{
    const struct slide_group *g = &s->groups[group];
    uint32_t waits = 1;

    if (g->blocks == 0)
        return waits;
    for (uint32_t i = slide_group_with(s, g->base); i < group && s->groups[i].first < g->base + g->blocks; i++)
        waits += s->groups[i].first < s->groups[i + 1].first;
    return waits;
}

void slide_map(struct slide *s, uint32_t group)
{
    struct slide_group *g = &s->groups[group];
    struct mapping m = { .s = s };

    at_store_relaxed(&g->waits, count_waits(s, group));
    if (g->blocks > 0)
        m.block = candidate(s, g->base);
    for (uint32_t block = group * s->policy->group_blocks; block < slide_group_end(s, group); block++)
        if (slide_is_source(s->heap, block))
            map_block(&m, block);
    MM_ASSERT(m.packing.blocks == g->blocks);
}
