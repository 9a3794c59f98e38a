/* SPDX-License-Identifier: Apache-2.0 */
/* sanity.c - Sanity: is the heap after a collection the one before it, less the garbage?
 *   N1  what the roots reach is the same graph before and after (sanity_walk.h), each object of it has its VO bit,
 *       and no other object has
 *   N2  a lying client alone is no fault. What the collector passes over is passed over here by the same rules.
 *       What it decides by who comes first is not compared: objects that overlap, objects in memory that nobody has
 *       begun, and, where objects move, any lie
 *   N3  then only reachability is left out: the spaces' invariants, and that each VO bit is at a place for an
 *       object, hold all the same
 *   N4  a young collection keeps what was old: more may have VO bits, and be counted, than is reached
 *       So does one that announced something: a queue that was referred to by what it now lists alone is garbage of the next
 *   N5  a handle may be dropped while the world is stopped (soundness S8): then what it kept may be unreached, and
 *       no count is right */
#include "plans/heap/sanity.h"

#include <errno.h>

#include "plans/heap/bitmap.h"
#include "plans/heap/census.h"
#include "plans/heap/sanity_walk.h"
#include "plans/heap/walk.h"
#include "plans/space/space.h"
#include "plans/work/store.h"

/* before: the mark bitmap is the set of all objects that stand in the heap (census.h) */

/* The object of that set around @place, if @word is in it or just behind; or 0. */
static uint32_t object_around(const struct heap *h, uint32_t place, uint32_t word)
{
    uint32_t block = place / MM_BLOCK_GRANULES;
    enum block_kind kind = blocks_kind(&h->blocks, block);
    uint64_t floor = (uint64_t)block * MM_BLOCK_GRANULES;

    if (!block_kind_in_use(kind))
        return 0;
    if (kind == BLOCK_LARGE) { /* the run may begin blocks before */
        uint32_t page = large_run_of(h, place / MM_PAGE_GRANULES);
        if (page == PAGE_NONE || large_run_untaken(h, page))
            return 0;
        floor = large_object_granule(page);
    }
    uint64_t found = kind == BLOCK_LARGE ? floor : bitmap_find_below(heap_marks(h), place, floor);
    if (found == BITMAP_NONE || found > word || object_place(h, (uint32_t)found) == BLOCK_UNCOMMITTED)
        return 0;
    bool good;
    uint32_t granules = sanity_granules(h, (uint32_t)found, &good);
    return good && word - found < granules ? (uint32_t)found : 0;
}

static void pin(struct sanity *s, uint32_t word)
{
    const struct heap *h = s->heap;

    if (word == 0 || word >= h->granules)
        return;
    uint32_t found = object_around(h, word, word);
    bool cells = blocks_kind(&h->blocks, (word - 1) / MM_BLOCK_GRANULES) == BLOCK_CELLS;
    if (found == 0 && (word % MM_PAGE_GRANULES == 0 || cells))
        found = object_around(h, word - 1, word);
    if (found != 0)
        bitmap_set(s->stay, found);
}

static void find_staying(struct sanity *s, const struct heap_stop *stop)
{
    struct heap *h = s->heap;

    for (size_t k = 0; k < stop->root_count; k++)
        for (uint32_t i = 0; i < stop->roots[k].count; i++)
            if (heap_root_kind(&stop->roots[k], i) == HEAP_ROOTS_AMBIGUOUS)
                pin(s, at_load_relaxed(&stop->roots[k].words[i]));
    for (uint32_t block = 0; block < blocks_high(&h->blocks); block++) {
        uint64_t at = (uint64_t)block * MM_BLOCK_GRANULES;
        uint32_t granule;
        while (blocks_kind(&h->blocks, block) == BLOCK_IMMORTAL && census_next(h, block, &at, &granule))
            if (object_place(h, granule) != BLOCK_UNCOMMITTED)
                bitmap_set(s->stay, granule);
    }
}

/* G opened: does nobody say yet that @granule is an object's? */
static bool is_unbegun(const struct heap *h, uint32_t granule)
{
    switch (blocks_kind(&h->blocks, granule / MM_BLOCK_GRANULES)) {
    case BLOCK_LARGE: return large_run_untaken(h, granule / MM_PAGE_GRANULES);
    case BLOCK_CELLS: return bitmap_test(heap_marks(h), granule - 1);
    default: return grants_keeps(h, granule);
    }
}

/* Calls @look for each object bit of @set in address order; @end_before: where the object before it in its block
 * ends, or 0. */
static void each_object(struct sanity *s, const _Atomic uint64_t *set,
                        void (*look)(struct sanity *s, uint32_t granule, uint64_t end_before))
{
    const struct heap *h = s->heap;
    bool good;

    for (uint32_t block = 0; block < blocks_high(&h->blocks); block++) {
        uint64_t at = (uint64_t)block * MM_BLOCK_GRANULES, stop = at + MM_BLOCK_GRANULES, end = 0;
        enum block_kind kind = blocks_kind(&h->blocks, block);
        if (!block_kind_in_use(kind))
            continue;
        for (at = bitmap_find_set(set, at, stop); at < stop; at = bitmap_find_set(set, at + 1, stop)) {
            if (kind == BLOCK_CELLS && cell_is_object(h, (uint32_t)at + 1))
                continue; /* that its cell is in G (cell_space.h) */
            look(s, (uint32_t)at, end);
            if (object_place(h, (uint32_t)at) != BLOCK_UNCOMMITTED)
                end = at - 1 + sanity_granules(h, (uint32_t)at, &good);
        }
    }
}

static void count_undecided(struct sanity *s, uint32_t granule, uint64_t end_before)
{
    s->now.undecided += end_before > granule - 1 || is_unbegun(s->heap, granule);
}

/* Opening G adds to the bits of the next one, which are in the mark bitmap (cell_space.h): without what the last
 * cycle left there. */
static void forget_cells(struct heap *h)
{
    for (uint64_t block = 0; block < blocks_high(&h->blocks); block++)
        if (blocks_kind(&h->blocks, (uint32_t)block) == BLOCK_CELLS)
            bitmap_clear_range(heap_marks(h), block * MM_BLOCK_GRANULES, (block + 1) * MM_BLOCK_GRANULES);
}

static void walk_before(struct sanity *s, const struct heap_stop *stop)
{
    struct heap *h = s->heap;

    forget_cells(h);
    grants_open_stw(h, stop);
    for (uint32_t block = 0; block < blocks_high(&h->blocks); block++)
        census_find_objects(h, block, &(struct parse_faults){ 0 });
    find_staying(s, stop);
    sanity_walk(s, stop);
    each_object(s, s->seen, count_undecided);
    grants_end_unchanged_stw(h, stop);
    s->before = s->now;
}

/* after */

static void check_place(struct sanity *s, uint32_t granule, uint64_t end_before)
{
    (void)end_before;
    if (object_place(s->heap, granule) == BLOCK_UNCOMMITTED)
        sanity_note(s, HEAP_FAULT_BLOCK, granule, 0);
}

static void check_reached(struct sanity *s, uint32_t granule, uint64_t end_before)
{
    if (!s->keeps_old && !bitmap_test(s->seen, granule))
        sanity_note(s, HEAP_FAULT_UNREACHED, granule, 0);
    if (end_before > granule - 1)
        sanity_note(s, HEAP_FAULT_OVERLAP, granule, 0);
}

static void check_spaces(struct sanity *s)
{
    for (uint32_t block = 0; block < blocks_high(&s->heap->blocks); block++) {
        enum heap_fault fault = spaces_check_block_stw(s->heap, block);
        if (fault != HEAP_FAULT_NONE)
            sanity_note(s, fault, block * MM_BLOCK_GRANULES, 0);
    }
    each_object(s, heap_vo(s->heap), check_place);
}

static void check_graph(struct sanity *s, const struct heap_collection *c)
{
    const struct sanity_graph *before = &s->before, *now = &s->now;

    each_object(s, heap_vo(s->heap), check_reached);
    bool counted = c->live_objects == now->objects && c->live_bytes == now->bytes;
    bool same = c->cleared_refs > 0 || (now->objects == before->objects && now->bytes == before->bytes);
    if (!same || !(counted || s->keeps_old))
        sanity_note(s, HEAP_FAULT_COUNT, 0, 0);
    if (c->cleared_refs == 0 && now->digest != before->digest)
        sanity_note(s, HEAP_FAULT_GRAPH, 0, 0);
}

static bool is_decided(const struct sanity *s) /* N2 */
{
    bool lies = s->before.forged + s->before.bad > 0;

    return s->before.undecided == 0 && !(lies && s->heap->plan->constraints.moves);
}

static size_t count_words(const struct heap_stop *stop)
{
    size_t count = 0;

    for (size_t k = 0; k < stop->root_count; k++)
        count += stop->roots[k].count;
    return count;
}

static uint32_t pin_of(const struct heap_roots *row, uint32_t i)
{
    bool pins = row->kind == HEAP_ROOTS_TABLE && heap_root_kind(row, i) == HEAP_ROOTS_AMBIGUOUS;

    return pins ? at_load_relaxed(&row->words[i]) : 0;
}

/* Before what it pins is looked for: what is noted here and still there at the end was there when the collection looked. */
static void note_pins(struct sanity *s, const struct heap_stop *stop)
{
    size_t at = 0;

    for (size_t k = 0; k < stop->root_count; k++)
        for (uint32_t i = 0; i < stop->roots[k].count; i++)
            s->pins[at++] = pin_of(&stop->roots[k], i);
}

/* A lease that was given back from outside meanwhile may have been one or none to the collection: nothing can be compared (S8). */
static bool has_lost_pins(const struct sanity *s, const struct heap_stop *stop)
{
    size_t at = 0;

    for (size_t k = 0; k < stop->root_count; k++)
        for (uint32_t i = 0; i < stop->roots[k].count; i++, at++)
            if (s->pins[at] != 0 && s->pins[at] != pin_of(&stop->roots[k], i))
                return true;
    return false;
}

struct sanity *sanity_begin_stw(struct heap *h, const struct heap_stop *stop)
{
    struct sanity *s = sanity_new(h);

    if (s == NULL)
        return NULL;
    s->words = store_alloc_zeroed(h->store, (count_words(stop) + 1) * sizeof(s->words[0]));
    s->pins = store_alloc_zeroed(h->store, (count_words(stop) + 1) * sizeof(s->pins[0]));
    if (s->words == NULL || s->pins == NULL)
        return sanity_free(s);
    note_pins(s, stop);
    walk_before(s, stop);
    return s->short_of_memory ? sanity_free(s) : s;
}

/* False: not enough memory. */
static bool compare(struct sanity *s, const struct heap_stop *stop, const struct heap_collection *c)
{
    check_spaces(s);
    if (!is_decided(s) || has_lost_pins(s, stop))
        return true;
    if (!sanity_forget(s))
        return false;
    s->known = heap_vo(s->heap);
    sanity_walk(s, stop);
    if (!s->short_of_memory && !s->changed)
        check_graph(s, c);
    return !s->short_of_memory;
}

void sanity_end_stw(struct sanity *s, const struct heap_stop *stop, struct heap_collection *c)
{
    if (s != NULL && c != NULL) {
        s->keeps_old = c->kind == HEAP_PAUSE_YOUNG || c->counts || c->announced > 0;
        c->sanity_ran = compare(s, stop, c);
        c->sanity_faults = s->fault.count;
        c->sanity_first = s->fault.first;
        c->sanity_object = s->fault.object;
        c->sanity_ref = s->fault.ref;
    }
    sanity_free(s);
}

int sanity_reach_stw(struct heap *h, const struct heap_stop *stop, struct sanity_reach *ret)
{
    struct sanity *s = sanity_new(h);

    if (s == NULL)
        return -ENOMEM;
    s->known = heap_marks(h);
    find_staying(s, stop);
    sanity_walk(s, stop);
    *ret = (struct sanity_reach){ s->now.objects,  s->now.bytes,    s->fault.count,
                                  s->fault.first, s->fault.object, s->fault.ref };
    int r = s->short_of_memory ? -ENOMEM : 0;
    sanity_free(s);
    return r;
}

void sanity_check_reach_stw(struct heap *h, const struct heap_stop *stop, struct heap_collection *c)
{
    struct sanity_reach reach = { 0 };

    grants_open_stw(h, stop);
    for (uint32_t block = 0; block < blocks_high(&h->blocks); block++)
        census_find_objects(h, block, &(struct parse_faults){ 0 });
    c->sanity_ran = sanity_reach_stw(h, stop, &reach) == 0;
    grants_end_unchanged_stw(h, stop);
    c->sanity_faults = c->sanity_ran ? reach.faults : 0;
    c->sanity_first = reach.first_fault;
    c->sanity_object = reach.first_object;
    c->sanity_ref = reach.first_ref;
}
