/* SPDX-License-Identifier: Apache-2.0 */
/* line_blocks.c - Line blocks: bump allocation into free lines; a line is free when nothing that lives touches it.
 *   I1  a line is marked <=> an object marked by the last collection touches it; marks are exact, and stand till the next
 *   I2  a hole, which may be granted, is a maximal run of lines of one block that are neither marked nor in G
 *   I3  an object bit is in a marked line, and never in G: so holes and spans begin with no object bits
 *   I4  free_lines is the number of lines in holes; a block without marks and without G is free
 *   I5  but a block that is BLOCK_HELD has no holes, and is not free, whatever its marks say
 *   Races  markers store the same line byte: equal values, relaxed, harmless; a sweep has its block for itself
 *   Checked by line_blocks_check_block_stw(): after each collection of a debug build and by verify.  docs/plans.md#lines */
#include "plans/space/line_blocks.h"

#include <string.h>

#include "plans/heap/bitmap.h"
#include "plans/heap/closed.h"
#include "plans/heap/state.h"
#include "plans/heap/walk.h"

#define BLOCK_WORDS (MM_BLOCK_GRANULES / 64u)   /* of an object bitmap */
#define BLOCK_LINE_WORDS (MM_BLOCK_LINES / 64u) /* of a line bitmap */

static uint8_t *line_bytes(const struct heap *h, uint32_t block)
{
    return (uint8_t *)h->meta.lines + (size_t)block * MM_BLOCK_LINES;
}

static void clear_objects(_Atomic uint64_t *objects, uint32_t block)
{
    memset((void *)(objects + (size_t)block * BLOCK_WORDS), 0, BLOCK_WORDS * 8);
}

/* holes */

static bool is_held(const struct heap *h, uint32_t block)
{
    return blocks_flag(&h->blocks, block, BLOCK_HELD);
}

static bool line_in_hole(const struct heap *h, uint64_t line)
{
    return at_load_relaxed(&h->meta.lines[line]) == 0 && !bitmap_test(heap_granted(h), line) &&
           !bitmap_test(heap_granted_next(h), line); /* empty, but while clients run with G open */
}

static uint32_t count_holes(const struct heap *h, uint32_t block)
{
    uint64_t first = (uint64_t)block * MM_BLOCK_LINES;
    uint32_t count = 0;

    if (is_held(h, block))
        return 0;
    for (uint64_t line = first; line < first + MM_BLOCK_LINES; line++)
        count += line_in_hole(h, line);
    return count;
}

/* The first hole of @block at or after *line, which moves to its end. Its length in lines, or 0. */
uint32_t line_blocks_next_hole(const struct heap *h, uint32_t block, uint64_t *line, uint64_t *ret_first)
{
    uint64_t end = ((uint64_t)block + 1) * MM_BLOCK_LINES;

    while (*line < end && !line_in_hole(h, *line))
        ++*line;
    *ret_first = *line;
    while (*line < end && line_in_hole(h, *line))
        ++*line;
    return (uint32_t)(*line - *ret_first);
}

static void set_free_lines(struct heap *h, uint32_t block, uint32_t lines)
{
    uint32_t before = at_load_relaxed(&h->meta.free_lines[block]);

    at_store_relaxed(&h->meta.free_lines[block], (uint8_t)lines);
    h->holes[blocks_kind(&h->blocks, block)].lines += (uint64_t)lines - before;
}

static void grant_hole(struct heap *h, struct heap_mutator *m, enum shm_grant_class class,
                       uint64_t first, uint32_t lines, struct shm_grant *ret)
{
    uint32_t block = (uint32_t)(first / MM_BLOCK_LINES);

    set_free_lines(h, block, at_load_relaxed(&h->meta.free_lines[block]) - lines);
    grants_add(h, m, class, ret, (uint32_t)(first * MM_LINE_GRANULES), lines * MM_LINE_GRANULES, 0);
}

static bool block_has_holes(const struct heap *h, uint32_t block, enum block_kind kind, uint32_t min_lines)
{
    return blocks_kind(&h->blocks, block) == kind && at_load_relaxed(&h->meta.free_lines[block]) >= min_lines &&
           !(heap_cycle(h) == HEAP_CYCLE_SWEEPING && blocks_flag(&h->blocks, block, BLOCK_UNSWEPT));
}

/* No holes from there on: of what is being swept workers are about to say where they are (cycle_sweep.c W1). Of plans that count that is
 * known of each block by itself. */
static uint32_t holes_end(const struct heap *h)
{
    bool by_parts = heap_cycle(h) == HEAP_CYCLE_SWEEPING && !h->plan->constraints.counts;

    return by_parts ? h->cycle.swept_end : blocks_high(&h->blocks);
}

size_t line_blocks_grant_holes(struct heap *h, struct heap_mutator *m, enum block_kind kind,
                               enum shm_grant_class class, uint64_t bytes, struct shm_grant *ret,
                               size_t capacity)
{
    uint32_t *cursor = &h->holes[kind].recycle_cursor;
    size_t count = 0;

    for (; *cursor < holes_end(h) && bytes > 0; ++*cursor) {
        uint32_t block = *cursor, lines;
        uint64_t first, at = (uint64_t)block * MM_BLOCK_LINES;
        if (!block_has_holes(h, block, kind, 1))
            continue;
        while (count < capacity && (lines = line_blocks_next_hole(h, block, &at, &first)) != 0) {
            grant_hole(h, m, class, first, lines, &ret[count++]);
            bytes -= MM_MIN(bytes, (uint64_t)lines * MM_LINE_BYTES);
        }
        if (count == capacity)
            break; /* this block may have more */
    }
    return count;
}

__extension__ typedef unsigned __int128 line_mask; /* bit a line of a block */
static_assert(MM_BLOCK_LINES == 128, "a mask of a block's lines");

/* Bit i: byte i of the eight at @lines is 0. */
static uint32_t zero_bytes(const _Atomic uint8_t *lines)
{
    uint64_t bytes = at_load_relaxed((const _Atomic uint64_t *)(const void *)lines); /* others may mark, as in line_in_hole() */
    uint64_t low = bytes & UINT64_C(0x7f7f7f7f7f7f7f7f);
    uint64_t zero = ~((low + UINT64_C(0x7f7f7f7f7f7f7f7f)) | bytes) & UINT64_C(0x8080808080808080);
    return (uint32_t)(((zero >> 7) * UINT64_C(0x0102040810204080)) >> 56);
}

/* The same lines as line_in_hole(), all of @block at once. */
static line_mask lines_in_holes(const struct heap *h, uint32_t block)
{
    const _Atomic uint8_t *lines = h->meta.lines + (size_t)block * MM_BLOCK_LINES;
    const _Atomic uint64_t *granted = heap_granted(h) + (size_t)block * BLOCK_LINE_WORDS;
    const _Atomic uint64_t *next = heap_granted_next(h) + (size_t)block * BLOCK_LINE_WORDS;
    line_mask mask = 0;

    for (uint32_t word = BLOCK_LINE_WORDS; word-- > 0;) {
        uint64_t free = 0;
        for (uint32_t i = 0; i < 64; i += 8)
            free |= (uint64_t)zero_bytes(lines + word * 64 + i) << i;
        mask = mask << 64 | (free & ~at_load_relaxed(&granted[word]) & ~at_load_relaxed(&next[word]));
    }
    return mask;
}

static uint32_t lowest_bit(line_mask mask) /* that is set; @mask is not 0 */
{
    uint64_t low = (uint64_t)mask;

    return low != 0 ? (uint32_t)__builtin_ctzll(low) : 64u + (uint32_t)__builtin_ctzll((uint64_t)(mask >> 64));
}

/* The first hole of @min_lines in @block, granted: true. */
static bool grant_long_hole(struct heap *h, struct heap_mutator *m, enum shm_grant_class class,
                            uint32_t block, uint32_t min_lines, struct shm_grant *ret)
{
    line_mask free = lines_in_holes(h, block), starts = free; /* of holes of at least @lines */

    for (uint32_t lines = 1, more; lines < min_lines && starts != 0; lines += more) {
        more = MM_MIN(lines, min_lines - lines);
        starts &= starts >> more;
    }
    if (starts == 0)
        return false;
    uint32_t first = lowest_bit(starts);
    line_mask used = ~(free >> first); /* of what is behind, zeros: so there is an end, but where the whole block is free */
    grant_hole(h, m, class, (uint64_t)block * MM_BLOCK_LINES + first, used != 0 ? lowest_bit(used) : MM_BLOCK_LINES, ret);
    return true;
}

/* Where blocks begin that may have a hole of @min_lines: behind all that a search for as many or fewer has gone through. Each block is so
 * looked into once for each length, however lengths alternate. */
static uint32_t long_hole_begin(const struct line_holes *holes, uint32_t min_lines)
{
    uint32_t begin = holes->recycle_cursor;

    for (uint32_t lines = 1; lines <= min_lines; lines++)
        begin = MM_MAX(begin, holes->long_hole_cursor[lines]);
    return begin;
}

static void long_holes_rewind(struct line_holes *holes, uint32_t block)
{
    for (uint32_t lines = 1; lines <= MM_BLOCK_LINES; lines++)
        holes->long_hole_cursor[lines] = MM_MIN(holes->long_hole_cursor[lines], block);
}

size_t line_blocks_grant_one_hole(struct heap *h, struct heap_mutator *m, enum block_kind kind,
                                  enum shm_grant_class class, uint32_t min_bytes, struct shm_grant *ret)
{
    uint32_t min_lines = MM_MAX(min_bytes / MM_LINE_BYTES + (min_bytes % MM_LINE_BYTES != 0), 1u);
    uint32_t *cursor = &h->holes[kind].long_hole_cursor[MM_MIN(min_lines, MM_BLOCK_LINES)];

    if (min_lines > MM_BLOCK_LINES)
        return 0;
    for (*cursor = long_hole_begin(&h->holes[kind], min_lines); *cursor < holes_end(h); ++*cursor)
        if (block_has_holes(h, *cursor, kind, min_lines) &&
            grant_long_hole(h, m, class, *cursor, min_lines, ret))
            return 1;
    return 0;
}

size_t line_blocks_grant_free(struct heap *h, struct heap_mutator *m, enum block_kind kind,
                              enum shm_grant_class class, uint64_t bytes, struct shm_grant *ret,
                              size_t capacity)
{
    size_t count = 0;

    for (bool clean = false; count < capacity && bytes > 0; count++) {
        uint32_t block = blocks_acquire(&h->blocks, kind, &clean);
        if (block == BLOCK_NONE)
            break;
        at_store_relaxed(&h->meta.free_lines[block], 0);
        at_store_relaxed(&h->meta.flags[block], 0);
        at_store_relaxed(&h->meta.charged[block], 0); /* a cycle may have been made ready without it */
        grants_add(h, m, class, &ret[count], block * MM_BLOCK_GRANULES, MM_BLOCK_GRANULES,
                   clean ? SHM_GRANT_ZEROED : 0);
        bytes -= MM_MIN(bytes, (uint64_t)MM_BLOCK_BYTES);
    }
    return count;
}

/* Counted anew, not added up: what a hostile cursor left behind need not begin at a line. */
void line_blocks_return(struct heap *h, uint32_t start)
{
    uint32_t block = start / MM_BLOCK_GRANULES, lines = count_holes(h, block);
    struct line_holes *holes = &h->holes[blocks_kind(&h->blocks, block)];

    set_free_lines(h, block, lines);
    holes->recycle_cursor = MM_MIN(holes->recycle_cursor, block);
    long_holes_rewind(holes, block);
    if (lines == MM_BLOCK_LINES) {
        holes->lines -= MM_BLOCK_LINES;
        clear_objects(heap_marks(h), block); /* VO is clear there (I3); old VO need not be */
        blocks_release(&h->blocks, block);
    }
}

uint32_t line_blocks_count_holes(const struct heap *h, uint32_t block, uint32_t *ret_used_lines)
{
    uint64_t first, at = (uint64_t)block * MM_BLOCK_LINES;
    uint32_t holes = 0, free = 0;

    for (uint32_t lines; (lines = line_blocks_next_hole(h, block, &at, &first)) != 0; holes++)
        free += lines;
    *ret_used_lines = MM_BLOCK_LINES - free;
    return holes;
}

uint64_t line_blocks_used_bytes(const struct heap *h, enum block_kind kind)
{
    return (uint64_t)h->blocks.counts[kind] * MM_BLOCK_BYTES - h->holes[kind].lines * MM_LINE_BYTES;
}

/* a collection */

void line_blocks_prepare_block(struct heap *h, uint32_t block)
{
    clear_objects(heap_marks(h), block);
    if (heap_cycle(h) == HEAP_CYCLE_NONE) /* else the lines' old marks say what may be granted meanwhile */
        memset(line_bytes(h, block), 0, MM_BLOCK_LINES);
    at_store_relaxed(&h->meta.charged[block], 0);
}

/* Lines neither marked nor to stay in G. */
static uint32_t count_free_lines(const struct heap *h, uint32_t block)
{
    const _Atomic uint64_t *next = heap_granted_next(h) + (size_t)block * BLOCK_LINE_WORDS;
    const uint8_t *lines = line_bytes(h, block);
    uint32_t count = 0;

    if (is_held(h, block))
        return 0;
    if ((at_load_relaxed(&next[0]) | at_load_relaxed(&next[1])) == 0) {
        for (uint32_t i = 0; i < MM_BLOCK_LINES; i++)
            count += lines[i] == 0;
        return count;
    }
    for (uint32_t i = 0; i < MM_BLOCK_LINES; i++)
        count += lines[i] == 0 && !bitmap_test(next, i);
    return count;
}

static void free_block(struct heap *h, uint32_t block, struct sweep_tally *tally)
{
    clear_objects(heap_scratch_bits(h), block);
    space_free_block(h, block, closed_wanted(h), tally);
}

/* An object that was moved out left its mark bit (trace/evacuate.c E2); what stays in spite of the flag has lines. */
static void drop_moved(struct heap *h, uint32_t block, uint32_t free_lines)
{
    _Atomic uint64_t *marks = heap_mark_bits(h);
    uint64_t at = (uint64_t)block * MM_BLOCK_GRANULES, end = at + MM_BLOCK_GRANULES;

    at_and_relaxed(&h->meta.flags[block], (uint8_t)~BLOCK_EVACUATE);
    if (free_lines == MM_BLOCK_LINES) { /* nothing stays, as in nearly every block */
        clear_objects(marks, block);
        return;
    }
    for (at = bitmap_find_set(marks, at, end); at < end; at = bitmap_find_set(marks, at + 1, end))
        if (at_load_relaxed(&h->meta.lines[at / MM_LINE_GRANULES]) == 0 || object_moved(h, (uint32_t)at))
            bitmap_clear(marks, at);
}

/* Run by run: of most blocks all lines are alike. */
static void want_used_lines_logged(const struct heap *h, uint64_t first)
{
    uint64_t end = first + MM_BLOCK_LINES;

    for (uint64_t line = first, after; line < end; line = after) {
        bool used = at_load_relaxed(&h->meta.lines[line]) != 0;
        for (after = line + 1; after < end && (at_load_relaxed(&h->meta.lines[after]) != 0) == used;)
            after++;
        log_set_lines(&h->log, line, after - line, used);
    }
}

/* Stores to what survived are of interest to the next collection, those to what is new are not. */
static void want_logged(const struct heap *h, uint32_t block)
{
    uint64_t first = (uint64_t)block * MM_BLOCK_LINES;

    if (heap_shares_log(h)) {
        if (heap_cycle(h) != HEAP_CYCLE_SWEEPING) /* cycle_log.c L5 */
            want_used_lines_logged(h, first);
        return;
    }
    if (h->plan->constraints.barrier == SHM_BARRIER_FIELDS) {
        log_set_lines(&h->log, first, MM_BLOCK_LINES, true); /* nobody looks at them now; grants.c says when they are not wanted */
        return;
    }
    memcpy((void *)(h->log.lines + first), line_bytes(h, block), MM_BLOCK_LINES); /* clients are stopped */
}

/* What this collection has marked counts, and what only the one before had marked no longer does. */
static void settle_lines(struct heap *h, uint32_t block)
{
    uint8_t *lines = line_bytes(h, block);

    for (uint32_t i = 0; i < MM_BLOCK_LINES; i++)
        lines[i] = lines[i] == LINE_MARKED_NEXT;
}

void line_blocks_sweep_block(struct heap *h, uint32_t block, struct sweep_tally *tally)
{
    enum block_kind kind = blocks_kind(&h->blocks, block);
    unsigned current = heap_current_index(h);

    if (heap_cycle(h) == HEAP_CYCLE_SWEEPING)
        settle_lines(h, block);
    uint32_t before = at_load_relaxed(&h->meta.free_lines[block]), after = count_free_lines(h, block);
    bool counted = h->young && !blocks_flag(&h->blocks, block, BLOCK_FRESH); /* its holes are in the heap's sum */

    for (uint32_t i = 0; i < BLOCK_LINE_WORDS; i++) {
        at_store_relaxed(&h->meta.granted[current][(size_t)block * BLOCK_LINE_WORDS + i], 0);
        at_store_relaxed(&h->meta.firsts[current][(size_t)block * BLOCK_LINE_WORDS + i], 0);
    }
    if (blocks_flag(&h->blocks, block, BLOCK_EVACUATE))
        drop_moved(h, block, after);
    grants_clear_kept(h, block, heap_mark_bits(h));
    if (h->plan->constraints.barrier != SHM_BARRIER_NONE && !h->plan->constraints.counts)
        want_logged(h, block);
    at_and_relaxed(&h->meta.flags[block], (uint8_t)BLOCK_HELD);
    at_store_relaxed(&h->meta.free_lines[block], (uint8_t)after);
    tally->freed_bytes += ((int64_t)after - before) * MM_LINE_BYTES;
    tally->free_lines[kind] -= counted ? before : 0;
    if (after == MM_BLOCK_LINES)
        free_block(h, block, tally);
    else
        tally->free_lines[kind] += after;
}

void line_blocks_after_sweep_stw(struct heap *h, enum block_kind kind, const struct sweep_tally *total)
{
    bool adds = h->young || heap_cycle(h) == HEAP_CYCLE_SWEEPING; /* to what is known of other blocks */
    uint64_t known = adds ? h->holes[kind].lines : 0;

    space_count_freed_stw(h, kind, total);
    h->holes[kind] = (struct line_holes){ .lines = known + (uint64_t)total->free_lines[kind] };
}

/* what was dropped */

/* A line is in use that an object's header is in, or that one from before reaches into; and, whatever a forged size has done to that,
 * where its bit is (I3). */
static void find_used_lines(const struct heap *h, uint32_t block)
{
    const _Atomic uint64_t *vo = heap_vo(h) + (size_t)block * BLOCK_WORDS;
    uint8_t *lines = line_bytes(h, block);

    for (uint32_t i = 0; i < BLOCK_WORDS; i++) { /* two lines each; a header is one granule before its object's bit */
        uint64_t next = i + 1 < BLOCK_WORDS ? at_load_relaxed(&vo[i + 1]) : 0;
        uint64_t used = at_load_relaxed(&vo[i]) | at_load_relaxed(&vo[i]) >> 1 | next << 63;
        for (uint32_t half = 0; half < 2; half++, used >>= MM_LINE_GRANULES) {
            uint8_t crossed = lines[2 * i + half] & LINE_CROSSED;
            lines[2 * i + half] = crossed | ((uint32_t)used != 0 || crossed != 0 ? LINE_MARKED : 0);
        }
    }
}

/* The flag stays until line_blocks_take_dropped(): whoever grants sees no block that is half done. */
void line_blocks_sweep_dropped(struct heap *h, uint32_t block, struct sweep_tally *tally)
{
    enum block_kind kind = blocks_kind(&h->blocks, block);
    uint32_t before = at_load_relaxed(&h->meta.free_lines[block]);

    find_used_lines(h, block);
    uint32_t after = count_holes(h, block);
    at_store_relaxed(&h->meta.free_lines[block], (uint8_t)after);
    tally->freed_bytes += ((int64_t)after - before) * MM_LINE_BYTES;
    tally->free_lines[kind] += (int64_t)(after == MM_BLOCK_LINES ? 0 : after) - before;
    if (after == MM_BLOCK_LINES) {
        clear_objects(heap_marks(h), block); /* VO is clear (I3) */
        space_free_block(h, block, false, tally);
    }
}

static void take_dropped(struct heap *h, enum block_kind kind, uint32_t first, const struct sweep_tally *total)
{
    struct line_holes *holes = &h->holes[kind];

    space_count_freed_stw(h, kind, total);
    holes->lines = (uint64_t)((int64_t)holes->lines + total->free_lines[kind]);
    holes->recycle_cursor = MM_MIN(holes->recycle_cursor, first);
    long_holes_rewind(holes, first);
}

void line_blocks_take_dropped(struct heap *h, uint32_t first, uint32_t end, const struct sweep_tally *total)
{
    for (uint32_t block = first; block < end; block++) {
        enum block_kind kind = blocks_kind(&h->blocks, block);
        if (blocks_flag(&h->blocks, block, BLOCK_UNSWEPT) && (block_kind_has_lines(kind) || kind == BLOCK_SWEPT))
            at_and_relaxed(&h->meta.flags[block], (uint8_t)~BLOCK_UNSWEPT);
    }
    for (unsigned kind = 0; kind < BLOCK_KINDS; kind++)
        if (block_kind_has_lines(kind))
            take_dropped(h, kind, first, total);
}

/* checks */

/* I3: the object bits of one line, given as the granules' mask. */
static bool line_agrees(const struct heap *h, uint64_t line, uint32_t objects)
{
    return objects == 0 || at_load_relaxed(&h->meta.lines[line]) != 0;
}

static enum heap_fault check_used(const struct heap *h, uint32_t block)
{
    const _Atomic uint64_t *vo = heap_vo(h);
    uint64_t first = (uint64_t)block * MM_BLOCK_LINES;

    for (uint64_t line = first; line < first + MM_BLOCK_LINES; line++) {
        uint32_t objects = (uint32_t)(at_load_relaxed(&vo[line / 2]) >> (line % 2 * MM_LINE_GRANULES));
        if (!line_agrees(h, line, objects))
            return HEAP_FAULT_LINE_MARK;
    }
    return count_holes(h, block) == at_load_relaxed(&h->meta.free_lines[block]) ? HEAP_FAULT_NONE
                                                                                : HEAP_FAULT_BLOCK;
}

enum heap_fault line_blocks_check_block_stw(const struct heap *h, uint32_t block)
{
    return blocks_flag(&h->blocks, block, BLOCK_EVACUATE) ? HEAP_FAULT_BLOCK : check_used(h, block);
}
