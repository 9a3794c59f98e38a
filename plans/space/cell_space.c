/* SPDX-License-Identifier: Apache-2.0 */
/* cell_space.c - Cell space: mark-sweep: blocks cut into cells of one size.
 *   M1  a cell is free <=> neither its object's bit nor its bit of G is set in VO; adjacent free cells are granted as one span
 *   M2  the two bits of a cell are of its first and second granule, so no other cell's; all other bits of the block are clear
 *   M3  a block with no bit at all is free; the sweep in the pause looks for those only, a word of the bitmap at a time
 *   M4  lazy sweep: which cells of a block are free is found when they are granted: the bitmap is the free list
 *   M5  free_cells(block) is the number of free cells that are not closed: closed.h, of plans whose cells are whole pages. Only
 *       those are granted, and a closed cell is free
 *   Races  markers set bits by atomic OR; a sweep has its block for itself
 *   Checked by check_block_stw(): after each collection of a debug build and by verify.  docs/plans.md#marksweep */
#include "plans/space/cell_space.h"

#include <string.h>

#include "plans/heap/bitmap.h"
#include "plans/heap/closed.h"
#include "plans/room.h"

#define BLOCK_WORDS (MM_BLOCK_GRANULES / 64u)

static uint32_t block_cells(const struct heap *h, uint32_t block)
{
    return MM_BLOCK_GRANULES / cell_granules(h, block);
}

/* Of a CELLS block the word of the longer objects' charge counts its free cells. */
static uint32_t free_cells(const struct heap *h, uint32_t block)
{
    return at_load_relaxed(&h->meta.charged[block]);
}

static void set_free_cells(struct heap *h, uint32_t block, uint32_t cells)
{
    at_store_relaxed(&h->meta.charged[block], (uint16_t)cells);
}

/* @header: a cell's first granule. */
static bool cell_is_free(const _Atomic uint64_t *objects, uint64_t header)
{
    return !bitmap_test(objects, header) && !bitmap_test(objects, header + 1);
}

/* Of plans that close pages: those of the @cell-th cell of @block. */
static uint8_t cell_pages(const struct heap *h, uint32_t block, uint32_t cell)
{
    uint32_t pages = cell_granules(h, block) / MM_PAGE_GRANULES;

    return (uint8_t)(((1u << pages) - 1) << cell * pages);
}

static uint32_t closed_cells(const struct heap *h, uint32_t block, uint8_t pages)
{
    return pages == 0 ? 0 : (uint32_t)__builtin_popcount(pages) / (cell_granules(h, block) / MM_PAGE_GRANULES);
}

static bool cell_is_closed(const struct heap *h, uint32_t header)
{
    uint32_t page = header % MM_BLOCK_GRANULES / MM_PAGE_GRANULES;

    return (closed_pages(h, header / MM_BLOCK_GRANULES) >> page & 1) != 0;
}

void cell_space_opened(struct heap *h, uint32_t block, uint8_t pages)
{
    uint32_t *cursor = &h->cell_cursor[at_load_relaxed(&h->meta.cell_class[block])];

    set_free_cells(h, block, free_cells(h, block) + closed_cells(h, block, pages));
    *cursor = MM_MIN(*cursor, block);
}

/* G */

void cell_space_mark_granted(struct heap *h, _Atomic uint64_t *objects, struct span span, bool granted)
{
    uint32_t size = cell_granules(h, span.start / MM_BLOCK_GRANULES);

    for (uint32_t at = span.start; at < span.end; at += size) {
        if (granted)
            bitmap_set(objects, at);
        else
            bitmap_clear(objects, at);
    }
}

uint32_t cell_space_round_up(const struct heap *h, struct span span, uint32_t granule)
{
    uint32_t size = cell_granules(h, span.start / MM_BLOCK_GRANULES);

    return span.start + (granule - span.start + size - 1) / size * size;
}

bool cell_space_finished(const struct heap *h, uint32_t granule)
{
    return bitmap_test(heap_vo(h), granule - 1) &&
           foreign_load64(h->arena, (size_t)(granule - 1) * MM_GRANULE_BYTES) != 0;
}

void cell_space_return(struct heap *h, struct span span)
{
    uint32_t block = span.start / MM_BLOCK_GRANULES, size = cell_granules(h, block);
    uint32_t *cursor = &h->cell_cursor[at_load_relaxed(&h->meta.cell_class[block])];

    set_free_cells(h, block, free_cells(h, block) + (span.end - span.start) / size);
    *cursor = MM_MIN(*cursor, block);
    if (free_cells(h, block) < block_cells(h, block))
        return;
    memset((void *)(heap_marks(h) + (size_t)block * BLOCK_WORDS), 0, BLOCK_WORDS * 8);
    blocks_release(&h->blocks, block);
}

/* granting */

static bool may_grant(const struct heap *h, uint32_t header)
{
    return cell_is_free(heap_vo(h), header) && !cell_is_closed(h, header);
}

/* The first run of cells to be granted in @block at or after *at, which moves to its end; at most @cells of them. Empty: no more. */
static struct span next_run(const struct heap *h, uint32_t block, uint32_t *at, uint64_t cells)
{
    uint32_t size = cell_granules(h, block), end = block * MM_BLOCK_GRANULES + block_cells(h, block) * size;
    struct span run;

    while (*at < end && !may_grant(h, *at))
        *at += size;
    run.start = *at;
    for (; *at < end && cells > 0 && may_grant(h, *at); cells--)
        *at += size;
    run.end = *at;
    return run;
}

static void grant_run(struct heap *h, struct heap_mutator *m, enum shm_grant_class class, struct span run,
                      bool clean, struct shm_grant *ret)
{
    uint32_t block = run.start / MM_BLOCK_GRANULES;

    set_free_cells(h, block, free_cells(h, block) - (run.end - run.start) / cell_granules(h, block));
    grants_add(h, m, class, ret, run.start, run.end - run.start, clean ? SHM_GRANT_ZEROED : 0);
}

static bool has_free(const struct heap *h, uint32_t block, uint32_t class)
{
    return blocks_kind(&h->blocks, block) == BLOCK_CELLS &&
           at_load_relaxed(&h->meta.cell_class[block]) == class && free_cells(h, block) > 0;
}

static size_t grant_swept(struct heap *h, struct heap_mutator *m, const struct grant_request *request,
                          struct shm_grant *ret, size_t capacity)
{
    uint32_t class = request->class - SHM_GRANT_CELLS, *cursor = &h->cell_cursor[class];
    uint64_t left = MM_MAX(request->bytes / shm_cell_bytes(class), 1u);
    size_t count = 0;

    for (; *cursor < blocks_high(&h->blocks); ++*cursor) {
        uint32_t at = *cursor * MM_BLOCK_GRANULES;
        if (!has_free(h, *cursor, class))
            continue;
        while (count < capacity && left > 0) {
            struct span run = next_run(h, *cursor, &at, left);
            if (run.start == run.end)
                break;
            left -= (run.end - run.start) / cell_granules(h, *cursor);
            grant_run(h, m, request->class, run, false, &ret[count++]);
        }
        if (count == capacity || left == 0)
            break; /* this block may have more */
    }
    return count;
}

static size_t grant_fresh(struct heap *h, struct heap_mutator *m, const struct grant_request *request,
                          struct shm_grant *ret, size_t capacity)
{
    uint64_t bytes = MM_MIN(request->bytes, room_above(h, ROOM_KEPT_FOR_LARGE));
    size_t count = 0;

    for (bool clean = false; count < capacity && bytes > 0; count++) {
        uint32_t block = blocks_acquire(&h->blocks, BLOCK_CELLS, &clean);
        if (block == BLOCK_NONE)
            break;
        at_store_relaxed(&h->meta.flags[block], 0);
        at_store_relaxed(&h->meta.cell_class[block], (uint8_t)(request->class - SHM_GRANT_CELLS));
        set_free_cells(h, block, block_cells(h, block));
        uint32_t at = block * MM_BLOCK_GRANULES;
        grant_run(h, m, request->class, next_run(h, block, &at, UINT64_MAX), clean, &ret[count]);
        bytes -= MM_MIN(bytes, (uint64_t)MM_BLOCK_BYTES);
    }
    return count;
}

size_t cell_space_grant(struct heap *h, struct heap_mutator *m, const struct grant_request *request,
                        struct shm_grant *ret, size_t capacity)
{
    size_t count = grant_swept(h, m, request, ret, capacity);

    return count > 0 ? count : grant_fresh(h, m, request, ret, capacity);
}

/* a collection */

static void prepare_block(struct heap *h, uint32_t block)
{
    memset((void *)(heap_marks(h) + (size_t)block * BLOCK_WORDS), 0, BLOCK_WORDS * 8);
}

/* Cells in use, and those that stay in G: each has one bit, or two if a forged reference led to what is nobody's yet. */
static uint32_t count_used(const struct heap *h, uint32_t block, const _Atomic uint64_t *objects)
{
    uint32_t size = cell_granules(h, block), used = 0;
    uint64_t first = (uint64_t)block * MM_BLOCK_GRANULES, end = first + MM_BLOCK_GRANULES;

    for (uint64_t at = bitmap_find_set(objects, first, end); at < end;) {
        uint64_t cell = (at - first) / size;
        used++;
        at = bitmap_find_set(objects, first + (cell + 1) * size, end);
    }
    return used;
}

/* Marks of what stays in G: only forged references lead there. */
static void drop_forged(const struct heap *h, uint32_t block, _Atomic uint64_t *marks)
{
    uint32_t size = cell_granules(h, block);
    uint64_t first = (uint64_t)block * MM_BLOCK_GRANULES;

    for (uint32_t cell = 0; cell < block_cells(h, block); cell++)
        if (bitmap_test(marks, first + (uint64_t)cell * size))
            bitmap_clear(marks, first + (uint64_t)cell * size + 1);
}

/* Closes the cells that this collection frees; how many. */
static uint32_t close_freed(struct heap *h, uint32_t block)
{
    uint32_t size = cell_granules(h, block), count = 0;

    for (uint32_t cell = 0; closed_wanted(h) && cell < block_cells(h, block); cell++) {
        uint64_t header = (uint64_t)block * MM_BLOCK_GRANULES + (uint64_t)cell * size;
        if (cell_is_free(heap_vo(h), header) || !cell_is_free(heap_marks(h), header))
            continue;
        closed_add(h, block, cell_pages(h, block, cell));
        count++;
    }
    return count;
}

static void sweep_block(struct heap *h, uint32_t block, struct sweep_tally *tally)
{
    _Atomic uint64_t *marks = heap_marks(h);
    uint32_t before = free_cells(h, block);

    drop_forged(h, block, marks);
    uint32_t used = count_used(h, block, marks), closed = close_freed(h, block);
    uint32_t after = block_cells(h, block) - used;
    set_free_cells(h, block, after - closed);
    tally->freed_bytes += ((int64_t)after - before) * cell_granules(h, block) * MM_GRANULE_BYTES;
    if (used > 0)
        return;
    memset((void *)(heap_vo(h) + (size_t)block * BLOCK_WORDS), 0, BLOCK_WORDS * 8);
    space_free_block(h, block, closed > 0, tally);
}

static void after_sweep_stw(struct heap *h, const struct sweep_tally *total)
{
    space_count_freed_stw(h, BLOCK_CELLS, total);
    memset(h->cell_cursor, 0, sizeof(h->cell_cursor));
}

/* checks */

/* A closed cell has no bits. */
static bool closed_agree(const struct heap *h, uint32_t block)
{
    uint64_t header = (uint64_t)block * MM_BLOCK_GRANULES;

    for (uint32_t cell = 0; closed_pages(h, block) != 0 && cell < block_cells(h, block); cell++, header += cell_granules(h, block))
        if (cell_is_closed(h, (uint32_t)header) && !cell_is_free(heap_vo(h), header))
            return false;
    return true;
}

/* M2 and M5. */
static enum heap_fault check_block_stw(const struct heap *h, uint32_t block)
{
    uint32_t size = cell_granules(h, block), cells = block_cells(h, block);
    uint64_t first = (uint64_t)block * MM_BLOCK_GRANULES, end = first + MM_BLOCK_GRANULES;
    const _Atomic uint64_t *vo = heap_vo(h);

    for (uint64_t at = bitmap_find_set(vo, first, end); at < end; at = bitmap_find_set(vo, at + 1, end))
        if ((at - first) / size >= cells || (at - first) % size > 1)
            return HEAP_FAULT_BLOCK;
    uint32_t closed = closed_cells(h, block, closed_pages(h, block));
    bool agrees = free_cells(h, block) == cells - closed - count_used(h, block, vo) && closed_agree(h, block);
    return agrees ? HEAP_FAULT_NONE : HEAP_FAULT_BLOCK;
}

static uint64_t used_bytes(const struct heap *h)
{
    return (uint64_t)h->blocks.counts[BLOCK_CELLS] * MM_BLOCK_BYTES;
}

const struct space cell_space = {
    .name = "marksweep",
    .kind = BLOCK_CELLS,
    .prepare_block = prepare_block,
    .sweep_block = sweep_block,
    .after_sweep_stw = after_sweep_stw,
    .check_block_stw = check_block_stw,
    .used_bytes = used_bytes,
};
