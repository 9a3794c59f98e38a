/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/* Settle: claiming an object and settling its size: what both kinds of trace do when they meet one for the first time.
 *   Races  line marks: equal bytes, relaxed, harmless. Mark and live bits: relaxed OR; the stage's end orders all for the sweep.
 *   T4     objects longer than a line are charged to their block, and what no longer fits is a bad header: honest objects do not
 *          overlap, and forged ones cannot make a block cost more than 33 times its bytes                                   */
#include "plans/cycle_log.h"
#include "plans/heap/bitmap.h"
#include "plans/heap/walk.h"
#include "plans/trace/trace.h"

/* True for who marks it. In a young collection all objects are marked but those in blocks that are looked at: what leads elsewhere is
 * forged, or old. */
static inline bool settle_try_mark(const struct trace *t, uint32_t granule)
{
    if (t->young && !blocks_flag(&t->heap->blocks, granule / MM_BLOCK_GRANULES, BLOCK_YOUNG))
        return false;
    if (!t->plain && t->only_old && !bitmap_test(heap_vo(t->heap), granule))
        return false;
    if (!t->plain && t->only_snapshot && cycle_log_is_new(t->heap, granule))
        return false;
    if (!t->alone) {
        if (!bitmap_set_shared(t->marks, granule))
            return false;
    } else {
        if (bitmap_test(t->marks, granule))
            return false;
        bitmap_set(t->marks, granule);
    }
    if (!t->plain && t->also != NULL)
        (void)bitmap_set_shared(t->also, granule);
    return true;
}

/* Only one object crosses the beginning of a line, and whoever begins in it leaves alone what that one has stored. */
static inline void settle_cross_lines(_Atomic uint8_t *lines, uint32_t first, uint32_t last)
{
    uint8_t none = 0;

    if (at_load_relaxed(&lines[first]) == 0)
        (void)at_cas_acq_rel(&lines[first], &none, LINE_MARKED);
    for (uint32_t line = first + 1; line <= last; line++)
        at_store_relaxed(&lines[line], LINE_MARKED | LINE_CROSSED);
}

static inline void settle_mark_lines(const struct trace *t, uint32_t granule, uint32_t granules)
{
    uint32_t first = (granule - 1) / MM_LINE_GRANULES;
    uint32_t last = (uint32_t)(((uint64_t)granule + granules - 2) / MM_LINE_GRANULES);

    if (t->crosses) {
        settle_cross_lines(t->heap->meta.lines, first, last);
        return;
    }
    for (uint32_t line = first; line <= last; line++)
        at_store_relaxed(&t->heap->meta.lines[line], t->line_mark);
}

/* Every granule of an object in a SLIDE block, header first. */
static inline void settle_mark_live(const struct trace *t, uint32_t granule, uint32_t granules)
{
    _Atomic uint64_t *live = t->heap->meta.live;

    for (uint64_t at = granule - 1, end = at + granules; at < end;) {
        uint64_t next = MM_MIN(end, (at / 64 + 1) * 64);
        uint64_t mask = (next - at == 64 ? ~UINT64_C(0) : ((UINT64_C(1) << (next - at)) - 1)) << (at % 64);
        if (t->alone)
            at_store_relaxed(&live[at / 64], at_load_relaxed(&live[at / 64]) | mask);
        else
            at_or_relaxed(&live[at / 64], mask);
        at = next;
    }
}

/* Racing workers may lose a charge: each of them once a block and object at the most. */
static inline bool settle_charge(const struct trace *t, uint32_t granule, uint32_t granules)
{
    _Atomic uint16_t *charged = &t->charged[granule / MM_BLOCK_GRANULES];
    uint32_t sum = at_load_relaxed(charged) + granules;

    if (sum > MM_BLOCK_GRANULES)
        return false;
    at_store_relaxed(charged, (uint16_t)sum);
    return true;
}

/* Reads the header of an object just claimed, once, and settles its size: false for a bad one, which is a leaf of least size. */
static inline bool settle_size(const struct trace *t, struct trace_tally *tally, uint32_t granule, enum block_kind kind,
                               struct object *o)
{
    bool good = object_load(t->heap, granule, kind, o);

    if (good && o->granules > MM_LINE_GRANULES && block_kind_has_lines(kind))
        good = settle_charge(t, granule, o->granules);
    if (MM_UNLIKELY(!good)) {
        o->granules = MM_OBJECT_MIN_BYTES / MM_GRANULE_BYTES;
        tally->bad_headers++;
    }
    tally->objects++;
    tally->bytes += (uint64_t)o->granules * MM_GRANULE_BYTES;
    if (MM_UNLIKELY(t->by_kind))
        tally->kind_bytes[kind] += (uint64_t)o->granules * MM_GRANULE_BYTES;
    return good;
}

/* It stays where it is: what its block's space keeps of it besides the mark bit. */
static inline void settle_in_place(const struct trace *t, enum block_kind kind, const struct object *o)
{
    if (t->only_old)
        return;
    if (MM_LIKELY(block_kind_has_lines(kind) && kind != BLOCK_SLIDE))
        settle_mark_lines(t, o->granule, o->granules);
    else if (kind == BLOCK_SLIDE)
        settle_mark_live(t, o->granule, o->granules);
}

/* What of @o is followed, now that it is where it stays. If it has references that are not strong, its block is one to be looked at later. */
static inline const struct scan_program *settle_followed(const struct trace *t, const struct object *o)
{
    if (MM_LIKELY(!o->program->weak) || t->all)
        return o->program;
    at_store_relaxed(&t->heap->meta.weak[o->granule / MM_BLOCK_GRANULES], 1); /* equal bytes: harmless */
    return &types_weak(&t->heap->types, o->program)->strong;
}

static inline void settle_mark_small(const struct trace *t, uint32_t granule, uint32_t granules)
{
    _Atomic uint8_t *lines = t->heap->meta.lines + (granule - 1) / MM_BLOCK_GRANULES * MM_BLOCK_LINES;
    uint32_t at = (granule - 1) % MM_BLOCK_GRANULES;

    at_store_relaxed(&lines[at / MM_LINE_GRANULES], t->line_mark); /* two at the most */
    at_store_relaxed(&lines[(at + granules - 1) / MM_LINE_GRANULES], t->line_mark);
}

/* Of nearly every object: it is small, without elements, in a trace that keeps nothing else of it. NULL: it is for settle_size(), which
 * reads the header anew. */
static inline const struct scan_program *settle_small_program(const struct trace *t, uint32_t granule, enum block_kind kind, uint64_t *ret_header)
{
    uint64_t header = foreign_load64(t->arena, (size_t)(granule - 1) * MM_GRANULE_BYTES);

    *ret_header = header;
    if (!t->plain || (uint32_t)header > OBJECT_TYPE_MAX)
        return NULL;
    const struct scan_program *program = types_program(&t->heap->types, (uint32_t)header);
    uint32_t granules = program->small_granules;
    return granules == 0 || granules > object_room(t->heap, granule, kind) ? NULL : program;
}

static inline void settle_count_small(struct trace_tally *tally, uint32_t granules)
{
    tally->objects++;
    tally->bytes += granules * MM_GRANULE_BYTES;
}

/* What settle_size() and settle_in_place() come to for such an object where lines are marked, or in a cell. NULL: nothing is settled yet. */
static inline const struct scan_program *settle_small(const struct trace *t, struct trace_tally *tally, uint32_t granule, enum block_kind kind)
{
    uint64_t header;
    const struct scan_program *program = settle_small_program(t, granule, kind, &header);

    if (program == NULL)
        return NULL;
    if (MM_LIKELY(block_kind_has_lines(kind) && kind != BLOCK_SLIDE))
        settle_mark_small(t, granule, program->small_granules);
    else if (kind != BLOCK_CELLS)
        return NULL;
    settle_count_small(tally, program->small_granules);
    return program;
}
