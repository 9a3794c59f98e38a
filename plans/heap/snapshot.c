/* SPDX-License-Identifier: Apache-2.0 */
/* snapshot.c - Snapshot: copies the blocks in use into somebody's memory, and says which object each root stands for.
 *   N1  the memory is only written: whoever else can write it spoils his own copy
 *   N2  all sizes are known, and fit, before the first byte is copied
 *   N3  what is set in the census' bitmap is an object's place, and is what roots are resolved by: the same set that VO and a parse of G give a
 *       collection
 *   N4  a block is copied by one worker; slots rise with addresses, so runs of pages stay in one piece          */
#include "plans/heap/snapshot.h"

#include <errno.h>
#include <string.h>

#include "plans/heap/bitmap.h"
#include "plans/heap/census.h"
#include "plans/heap/resolve.h"
#include "plans/heap/state.h"
#include "plans/heap/walk.h"
#include "plans/space/space.h"
#include "plans/work/store.h"
#include "shm/snapshot.h"

#define BITS_WORDS (SHM_SNAPSHOT_BITS / 8u)
#define NO_SPACE 255u

struct place { /* of a block in the copy */
    uint32_t row, slot; /* 1 + */
};
struct copying {
    struct heap_snapshot *s;
    struct place *places; /* [high] */
    uint32_t high, rows, slots;
};

static bool is_committed(enum block_kind kind)
{
    return kind > BLOCK_RESERVED;
}

/* How much of its own a heap with @rows committed blocks and @slots of them in use has in a snapshot. */
static uint64_t sizes(const struct heap *h, uint64_t rows, uint64_t slots, struct shm_snapshot_range sections[SHM_SNAPSHOT_SECTIONS])
{
    struct heap_space_info spaces[PLAN_SPACES_MAX];
    uint64_t refs = 0, at;

    for (uint32_t id = 1; id <= h->types.count; id++)
        refs += h->types.rows[id].ref_count + h->types.rows[id].element_ref_count;
    sections[SHM_SNAPSHOT_BLOCKS] = (struct shm_snapshot_range){ 0, rows };
    at = rows * sizeof(struct shm_snapshot_block);
    sections[SHM_SNAPSHOT_SPACES] = (struct shm_snapshot_range){ at, spaces_describe(h, spaces, PLAN_SPACES_MAX) };
    at += sections[SHM_SNAPSHOT_SPACES].count * sizeof(struct shm_snapshot_space);
    sections[SHM_SNAPSHOT_TYPES] = (struct shm_snapshot_range){ at, h->types.count };
    at += h->types.count * sizeof(struct shm_snapshot_type);
    sections[SHM_SNAPSHOT_REFS] = (struct shm_snapshot_range){ at, refs };
    at = mm_align_up(at + refs * sizeof(uint32_t), 8);
    sections[SHM_SNAPSHOT_OBJECTS] = (struct shm_snapshot_range){ at, slots };
    at += slots * SHM_SNAPSHOT_BITS;
    sections[SHM_SNAPSHOT_BYTES] = (struct shm_snapshot_range){ at, slots };
    return at + slots * MM_BLOCK_BYTES + MM_PAGE_BYTES; /* BYTES begins at a page */
}

uint64_t heap_snapshot_bytes(const struct heap *h)
{
    struct shm_snapshot_range sections[SHM_SNAPSHOT_SECTIONS] = { 0 };
    uint64_t rows = 0, slots = 0;

    for (unsigned kind = BLOCK_FREE_CLEAN; kind < BLOCK_KINDS; kind++) {
        rows += h->blocks.counts[kind];
        slots += block_kind_in_use((enum block_kind)kind) ? h->blocks.counts[kind] : 0;
    }
    return sizes(h, rows, slots, sections);
}

/* ---- what goes where ---- */

static int choose_places(struct heap *h, struct copying *c)
{
    c->high = blocks_high(&h->blocks);
    c->places = store_alloc_zeroed(h->store, (c->high + 1) * sizeof(c->places[0]));
    if (c->places == NULL)
        return -ENOMEM;
    for (uint32_t block = 0; block < c->high; block++) {
        enum block_kind kind = blocks_kind(&h->blocks, block);
        if (is_committed(kind))
            c->places[block].row = ++c->rows;
        if (block_kind_in_use(kind))
            c->places[block].slot = ++c->slots;
    }
    return 0;
}

static int choose_sections(struct heap *h, struct copying *c)
{
    struct heap_snapshot *s = c->s;
    struct shm_snapshot_range own[SHM_SNAPSHOT_SECTIONS] = { 0 };

    s->needed = s->begin + sizes(h, c->rows, c->slots, own);
    if (s->needed > s->capacity) /* N2 */
        return -ENOSPC;
    for (unsigned i = 0; i < SHM_SNAPSHOT_SECTIONS; i++) {
        bool ours = i != SHM_SNAPSHOT_OWNERS && i != SHM_SNAPSHOT_ROOTS && i != SHM_SNAPSHOT_STRINGS;
        if (ours)
            s->sections[i] = (struct shm_snapshot_range){ s->begin + own[i].offset, own[i].count };
    }
    s->sections[SHM_SNAPSHOT_BYTES].offset = mm_align_up(s->sections[SHM_SNAPSHOT_BYTES].offset, MM_PAGE_BYTES);
    return 0;
}

static void *section(const struct copying *c, enum shm_snapshot_section which)
{
    return c->s->base + c->s->sections[which].offset;
}

static void write_spaces(struct heap *h, struct copying *c)
{
    struct heap_space_info spaces[PLAN_SPACES_MAX];
    struct shm_snapshot_space *rows = section(c, SHM_SNAPSHOT_SPACES);
    size_t count = spaces_describe(h, spaces, PLAN_SPACES_MAX);

    for (size_t i = 0; i < count; i++) {
        struct shm_snapshot_space row = { .used_bytes = spaces[i].used_bytes, .live_bytes = spaces[i].live_bytes, .blocks = spaces[i].blocks };
        strncpy(row.name, spaces[i].name, sizeof(row.name) - 1);
        rows[i] = row;
    }
}

static void write_types(struct heap *h, struct copying *c)
{
    struct shm_snapshot_type *rows = section(c, SHM_SNAPSHOT_TYPES);
    uint32_t *refs = section(c, SHM_SNAPSHOT_REFS), at = 0;

    for (uint32_t id = 1; id <= h->types.count; id++) {
        const struct shm_type_row *row = &h->types.rows[id];
        uint32_t count = row->ref_count + row->element_ref_count;
        rows[id - 1] = (struct shm_snapshot_type){ .row = *row, .refs = at };
        if (count > 0)
            memcpy(&refs[at], h->types.offsets[id], count * sizeof(refs[0]));
        at += count;
    }
}

/* ---- blocks ---- */

static uint8_t shape_of(enum block_kind kind)
{
    if (!block_kind_in_use(kind))
        return kind == BLOCK_CLOSED ? SHM_SNAPSHOT_CLOSED : SHM_SNAPSHOT_FREE;
    return kind == BLOCK_IMMORTAL ? SHM_SNAPSHOT_IMMORTAL
           : kind == BLOCK_CELLS  ? SHM_SNAPSHOT_CELLS
           : kind == BLOCK_LARGE  ? SHM_SNAPSHOT_LARGE
                                  : SHM_SNAPSHOT_LINES;
}

static uint8_t space_row(const struct heap *h, enum block_kind kind)
{
    for (uint8_t i = 0; i < PLAN_SPACES_MAX && h->plan->spaces[i] != NULL; i++)
        if (h->plan->spaces[i]->kind == kind)
            return i;
    return NO_SPACE;
}

static void read_lines(const struct heap *h, uint32_t block, struct shm_snapshot_block *row)
{
    const _Atomic uint64_t *granted = heap_granted(h) + (size_t)block * (MM_BLOCK_LINES / 64);

    for (uint32_t i = 0; i < MM_BLOCK_LINES; i++)
        row->live_lines[i / 64] |= (uint64_t)(at_load_relaxed(&h->meta.lines[(size_t)block * MM_BLOCK_LINES + i]) != 0) << i % 64;
    for (unsigned i = 0; i < 2; i++)
        row->granted_lines[i] = at_load_relaxed(&granted[i]);
}

static struct shm_snapshot_block describe(const struct heap *h, uint32_t block, uint32_t slot)
{
    enum block_kind kind = blocks_kind(&h->blocks, block);
    struct shm_snapshot_block row = { .block = block, .slot = slot, .shape = shape_of(kind), .space = space_row(h, kind) };

    if (block_kind_has_lines(kind))
        read_lines(h, block, &row);
    row.flags |= block_kind_has_lines(kind) && walk_block_in_g(h, block) ? SHM_SNAPSHOT_YOUNG : 0;
    row.flags |= blocks_flag(&h->blocks, block, BLOCK_HELD) ? SHM_SNAPSHOT_HELD : 0;
    row.cell_granules = kind == BLOCK_CELLS ? (uint16_t)cell_granules(h, block) : 0;
    row.free_pages = kind == BLOCK_LARGE ? at_load_relaxed(&h->meta.free_pages[block]) : 0;
    return row;
}

static void copy_objects(const struct heap *h, uint32_t block, uint64_t *to)
{
    enum block_kind kind = blocks_kind(&h->blocks, block);
    uint64_t words[BITS_WORDS] = { 0 }, at = (uint64_t)block * MM_BLOCK_GRANULES;
    uint32_t granule;

    if (block_kind_has_lines(kind))
        memcpy(words, (const void *)&heap_marks(h)[(size_t)block * BITS_WORDS], sizeof(words));
    else /* the other bits are nobody's, or say something else */
        while (census_next(h, block, &at, &granule))
            words[granule % MM_BLOCK_GRANULES / 64] |= UINT64_C(1) << granule % 64;
    memcpy(to, words, sizeof(words));
}

static void copy_bytes(const struct heap *h, uint32_t block, uint64_t *to)
{
    size_t from = (size_t)block * MM_BLOCK_BYTES;

    for (size_t i = 0; i < MM_BLOCK_BYTES / 8; i++)
        to[i] = foreign_load64(h->arena, from + i * 8);
}

static void find_objects(struct census *census, void *local, uint32_t block)
{
    struct parse_faults faults = { 0 };

    (void)local;
    census_find_objects(census->heap, block, &faults);
}

static void copy_block(struct census *census, void *local, uint32_t block)
{
    struct copying *c = census->context;
    struct place at = c->places[block];

    (void)local;
    if (at.row == 0)
        return;
    struct shm_snapshot_block *rows = section(c, SHM_SNAPSHOT_BLOCKS);
    rows[at.row - 1] = describe(census->heap, block, at.slot);
    if (at.slot == 0)
        return;
    uint64_t *objects = section(c, SHM_SNAPSHOT_OBJECTS), *bytes = section(c, SHM_SNAPSHOT_BYTES);
    copy_objects(census->heap, block, objects + (size_t)(at.slot - 1) * BITS_WORDS);
    copy_bytes(census->heap, block, bytes + (size_t)(at.slot - 1) * (MM_BLOCK_BYTES / 8));
}

static void fold(struct census *census, const void *local)
{
    (void)census;
    (void)local;
}

/* ---- roots ---- */

static uint32_t object_at(struct heap *h, enum heap_root_kind kind, uint32_t word)
{
    if (kind == HEAP_ROOTS_AMBIGUOUS)
        return resolve_among_stw(h, heap_marks(h), word);
    return object_place(h, word) != BLOCK_UNCOMMITTED && bitmap_test(heap_marks(h), word) ? word : 0;
}

static void tell_roots(struct heap *h, const struct heap_stop *stop, struct heap_snapshot *s)
{
    for (size_t row = 0; row < stop->root_count; row++) {
        const struct heap_roots *roots = &stop->roots[row];
        for (uint32_t i = 0; i < roots->count; i++) {
            uint32_t word = at_load_relaxed(&roots->words[i]);
            enum heap_root_kind kind = word == 0 ? HEAP_ROOTS_NONE : heap_root_kind(roots, i);
            if (kind != HEAP_ROOTS_NONE)
                s->root(s->context, row, i, word, object_at(h, kind, word));
        }
    }
}

int heap_snapshot_stw(struct heap *h, struct engine *engine, const struct heap_stop *stop, struct heap_snapshot *s)
{
    struct copying c = { .s = s };
    struct census census = { h, &c, sizeof(uint64_t), { find_objects, copy_block }, fold };

    int r = choose_places(h, &c);
    if (r == 0)
        r = choose_sections(h, &c);
    if (r == 0) {
        grants_open_stw(h, stop);
        r = census_run_stw(&census, engine);
        if (r == 0)
            tell_roots(h, stop, s);
        grants_end_unchanged_stw(h, stop);
    }
    if (r == 0) {
        write_spaces(h, &c);
        write_types(h, &c);
    }
    store_free(h->store, c.places);
    return r;
}
