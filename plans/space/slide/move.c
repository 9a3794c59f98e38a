/* SPDX-License-Identifier: Apache-2.0 */
/* move.c - Move: the objects of one group to their new places; references are updated while they are in the cache.
 *   V1  in address order: what is written over has been moved already (layout.c L3, groups.c G1)
 *   V2  each piece is moved once and its references are updated once: pieces do not overlap (pieces.h P1)
 *   V3  new places get their VO bits and line marks; the destinations are this group's alone, so no locked
 *       instruction
 *   V4  the header is read once more, for the type alone; what does not fit its piece by that header is a leaf */
#include "plans/heap/bitmap.h"
#include "plans/heap/moves.h"
#include "plans/space/slide/groups.h"
#include "plans/space/slide/pieces.h"

/* The new place of the piece with header @header. */
static void record(const struct heap *h, uint32_t header, uint32_t granules)
{
    uint32_t first = header / MM_LINE_GRANULES, last = (header + granules - 1) / MM_LINE_GRANULES;

    if (granules < MM_OBJECT_MIN_BYTES / MM_GRANULE_BYTES)
        return; /* cut short by one that is marked within it: no object */
    bitmap_set(heap_vo(h), (uint64_t)header + 1);
    for (uint32_t line = first; line <= last; line++)
        at_store_relaxed(&h->meta.lines[line], 1);
}

static void update_references(struct heap *h, uint32_t header, uint64_t word, uint32_t granules)
{
    struct object o;

    if (!object_judge(&h->types, word, granules, &o) || o.program->shape == SCAN_LEAF)
        return;
    object_each_fixed(h->arena, header + 1, o.program, slide_update, h);
    if (o.program->shape == SCAN_ARRAY)
        object_each_element(h->arena, header + 1, o.program, 0, o.length, slide_update, h);
}

static void move_piece(struct heap *h, struct trace_tally *tally, uint32_t from, uint32_t to, uint32_t granules)
{
    size_t at = (size_t)to * MM_GRANULE_BYTES, bytes = (size_t)granules * MM_GRANULE_BYTES;
    uint64_t word = foreign_load64(h->arena, (size_t)from * MM_GRANULE_BYTES);

    if (from != to) {
        foreign_store64(h->arena, at, word);
        foreign_copy(h->arena, at + MM_GRANULE_BYTES, ((size_t)from + 1) * MM_GRANULE_BYTES,
                     bytes - MM_GRANULE_BYTES);
        tally->moved_objects++;
        tally->moved_bytes += bytes;
    }
    record(h, to, granules);
    update_references(h, to, word, granules);
}

struct mover {                               /* one block's */
    struct heap *heap;
    struct heap_moves *moves;
    struct trace_tally *tally;
    struct shm_move rows[256];               /* to be told, together */
    uint32_t count;
};
typedef void (*piece_visit)(struct mover *m, uint32_t from, uint32_t to, uint32_t granules);

static void move(struct mover *m, uint32_t from, uint32_t to, uint32_t granules)
{
    move_piece(m->heap, m->tally, from, to, granules);
}

static void note(struct mover *m, uint32_t from, uint32_t to, uint32_t granules)
{
    if (from == to || granules < MM_OBJECT_MIN_BYTES / MM_GRANULE_BYTES)
        return;
    m->rows[m->count++] = (struct shm_move){ from + 1, to + 1, granules };
    if (m->count < MM_ARRAY_LEN(m->rows))
        return;
    moves_add(m->moves, m->rows, m->count);
    m->count = 0;
}

static inline __attribute__((always_inline)) void each_piece(struct mover *m, uint32_t block, const struct pieces *p, piece_visit visit)
{
    const _Atomic uint32_t *offsets = m->heap->meta.offsets + (size_t)block * SLIDE_BLOCK_UNITS;

    for (uint32_t unit = 0; unit < SLIDE_BLOCK_UNITS; unit++) {
        uint32_t to = p->starts[unit] == 0 ? 0 : at_load_relaxed(&offsets[unit]) + pieces_lead(p, unit);
        for (uint64_t rest = p->starts[unit]; rest != 0; rest &= rest - 1) {
            uint32_t at = unit * SLIDE_UNIT_GRANULES + (uint32_t)__builtin_ctzll(rest);
            uint32_t granules = pieces_granules(p, at);
            visit(m, block * MM_BLOCK_GRANULES + at, to, granules);
            to += granules;
        }
    }
}

static void move_block(struct slide *s, struct trace_tally *tally, uint32_t block)
{
    struct mover m;
    struct pieces p;

    m.heap = s->heap;
    m.moves = s->moves;
    m.tally = tally;
    m.count = 0;
    pieces_load(s->heap, block, &p);
    if (MM_UNLIKELY(s->moves != NULL)) {
        each_piece(&m, block, &p, note);
        moves_add(s->moves, m.rows, m.count);
    }
    each_piece(&m, block, &p, move);
}

void slide_move_group(struct slide *s, struct trace_tally *tally, uint32_t group)
{
    for (uint32_t block = group * s->policy->group_blocks; block < slide_group_end(s, group); block++)
        if (slide_is_source(s->heap, block))
            move_block(s, tally, block);
}
