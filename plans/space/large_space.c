/* SPDX-License-Identifier: Apache-2.0 */
/* large_space.c - Large space: page runs, one object each, never moved.
 *   L1  each page of a LARGE block is free, or covered by exactly one run; a block whose pages are all free is given back, if
 *       none is closed. Free pages that are closed (closed.h) are not granted
 *   L2  a run's object is at its second granule, and no other granule of a LARGE block has an object bit
 *   L3  an untaken run has no object bit, is not read, and survives without a mark; a taken one is swept like any other
 *   L4  a block in which a run starts that was granted since the last collection, or is untaken, is flagged BLOCK_YOUNG
 *   Races  sweepers clear pages of a run that reaches into blocks of others: free_pages by atomic OR, and whoever
 *          makes it whole frees the block; run_starts belong to whoever sweeps their block
 *   Checked by check_block_stw(): after each collection of a debug build and by verify.  docs/architecture.md#large */
#include "plans/space/large_space.h"

#include "plans/heap/bitmap.h"
#include "plans/heap/closed.h"
#include "plans/room.h"

#define ALL_PAGES 0xffu
static_assert(MM_BLOCK_PAGES == 8, "a byte has a bit for each page of a block");

/* The pages of @block that lie in [first, end), as bits. */
static uint8_t pages_mask(uint32_t block, uint32_t first, uint32_t end)
{
    uint32_t base = block * MM_BLOCK_PAGES;
    uint32_t low = first > base ? first - base : 0, high = MM_MIN(end - base, MM_BLOCK_PAGES);
    return (uint8_t)((ALL_PAGES << low) & (ALL_PAGES >> (MM_BLOCK_PAGES - high)));
}

uint32_t large_run_of(const struct heap *h, uint32_t page)
{
    uint32_t block = page / MM_BLOCK_PAGES, bit = page % MM_BLOCK_PAGES;
    uint32_t starts =
        at_load_relaxed(&h->meta.run_starts[block]) & (ALL_PAGES >> (MM_BLOCK_PAGES - 1 - bit));

    if (at_load_relaxed(&h->meta.free_pages[block]) >> bit & 1)
        return PAGE_NONE;
    if (starts != 0)
        return block * MM_BLOCK_PAGES + 31 - (uint32_t)__builtin_clz(starts);
    return at_load_relaxed(&h->meta.runs[block * MM_BLOCK_PAGES]);
}

/* granting */

/* @count adjacent free pages in LARGE blocks [first, end). */
static uint32_t find_pages(const struct heap *h, uint32_t count, uint32_t first, uint32_t end)
{
    uint32_t length = 0;

    for (uint32_t block = first; block < end; block++) {
        uint32_t free = blocks_kind(&h->blocks, block) == BLOCK_LARGE
                            ? at_load_relaxed(&h->meta.free_pages[block]) & ~(uint32_t)closed_pages(h, block)
                            : 0;
        for (uint32_t bit = 0; bit < MM_BLOCK_PAGES; bit++) {
            length = free >> bit & 1 ? length + 1 : 0;
            if (length == count)
                return block * MM_BLOCK_PAGES + bit + 1 - count;
            if (free >> bit == 0 && length == 0)
                break;
        }
    }
    return PAGE_NONE;
}

/* Next fit among the pages that runs left over. Two neighbours have at most 7 free pages each (L1). */
static uint32_t find_leftover(struct heap *h, uint32_t count)
{
    if (count > h->large_free_pages || count > 2 * (MM_BLOCK_PAGES - 1))
        return PAGE_NONE;
    uint32_t page = find_pages(h, count, h->large_cursor, blocks_high(&h->blocks));
    if (page == PAGE_NONE)
        page = find_pages(h, count, 0, blocks_high(&h->blocks));
    if (page != PAGE_NONE)
        h->large_cursor = page / MM_BLOCK_PAGES;
    return page;
}

static uint32_t find_fresh(struct heap *h, uint32_t count)
{
    uint32_t blocks = (count + MM_BLOCK_PAGES - 1) / MM_BLOCK_PAGES;
    bool room = room_free(h) >= (uint64_t)blocks * MM_BLOCK_BYTES; /* beside what copies will need */
    uint32_t first = room ? blocks_find_run(&h->blocks, blocks) : BLOCK_NONE;

    if (first == BLOCK_NONE)
        return PAGE_NONE;
    for (uint32_t i = first; i < first + blocks; i++) {
        bool clean = blocks_take(&h->blocks, i, BLOCK_LARGE);
        at_store_relaxed(&h->meta.free_pages[i], ALL_PAGES);
        at_store_relaxed(&h->meta.clean_pages[i], clean ? ALL_PAGES : 0);
        at_store_relaxed(&h->meta.run_starts[i], 0);
        at_store_relaxed(&h->meta.flags[i], 0);
    }
    h->large_free_pages += (uint64_t)blocks * MM_BLOCK_PAGES;
    return first * MM_BLOCK_PAGES;
}

/* Makes [first, first + count) one run; true if every page of it is zero. */
static bool claim(struct heap *h, uint32_t first, uint32_t count)
{
    struct metadata *meta = &h->meta;
    uint32_t end = first + count;
    bool clean = true;

    for (uint32_t block = first / MM_BLOCK_PAGES; block * MM_BLOCK_PAGES < end; block++) {
        uint8_t mask = pages_mask(block, first, end);
        clean = clean && (at_load_relaxed(&meta->clean_pages[block]) & mask) == mask;
        at_and_relaxed(&meta->free_pages[block], (uint8_t)~mask);
        at_and_relaxed(&meta->clean_pages[block], (uint8_t)~mask);
        if (block * MM_BLOCK_PAGES > first)
            at_store_relaxed(&meta->runs[block * MM_BLOCK_PAGES], first);
    }
    bool new = heap_cycle(h) >= HEAP_CYCLE_MARKING && heap_g_stays_open(h);
    at_store_relaxed(&meta->runs[first], count | RUN_UNTAKEN | (new ? RUN_NEW : 0));
    at_or_relaxed(&meta->run_starts[first / MM_BLOCK_PAGES], (uint8_t)(1u << first % MM_BLOCK_PAGES));
    at_or_relaxed(&meta->flags[first / MM_BLOCK_PAGES], BLOCK_YOUNG);
    h->large_free_pages -= count;
    return clean;
}

size_t large_space_grant(struct heap *h, struct heap_mutator *m, uint64_t bytes, struct shm_grant *ret)
{
    uint64_t pages = (MM_MAX(bytes, 1) - 1) / MM_PAGE_BYTES + 1;

    if (pages > h->granules / MM_PAGE_GRANULES)
        return 0;
    uint32_t first = find_leftover(h, (uint32_t)pages);
    if (first == PAGE_NONE)
        first = find_fresh(h, (uint32_t)pages);
    if (first == PAGE_NONE)
        return 0;
    bool clean = claim(h, first, (uint32_t)pages);
    grants_add(h, m, SHM_GRANT_LARGE, ret, first * MM_PAGE_GRANULES,
               (uint32_t)pages * MM_PAGE_GRANULES, clean ? SHM_GRANT_ZEROED : 0);
    return 1;
}

void large_space_taken(struct heap *h, uint32_t start)
{
    at_and_relaxed(&h->meta.runs[start / MM_PAGE_GRANULES], ~RUN_UNTAKEN);
}

void large_space_keep(struct heap *h, uint32_t start)
{
    at_or_relaxed(&h->meta.runs[start / MM_PAGE_GRANULES], RUN_NEW);
}

/* freeing */

/* @pages of @block are free: with them all of it? Closed pages that others left keep it until they are opened. */
static void free_pages(struct heap *h, uint32_t block, uint8_t pages, bool close, struct sweep_tally *tally)
{
    if (close)
        closed_add(h, block, pages);
    uint8_t before = at_or_relaxed(&h->meta.free_pages[block], pages);
    tally->freed_pages += __builtin_popcount(pages);
    if ((before | pages) != ALL_PAGES || (!close && closed_pages(h, block) != 0))
        return;
    space_free_block(h, block, close, tally);
    tally->freed_pages -= MM_BLOCK_PAGES;
}

static void free_run(struct heap *h, uint32_t first, bool close, struct sweep_tally *tally)
{
    uint32_t pages = large_run_pages(h, first), end = first + pages;

    for (unsigned i = 0; i < 2; i++) /* B2; the word has the object bits of no other run */
        bitmap_clear(h->meta.objects[i], large_object_granule(first));
    at_and_relaxed(&h->meta.run_starts[first / MM_BLOCK_PAGES],
                   (uint8_t) ~(1u << first % MM_BLOCK_PAGES));
    for (uint32_t block = first / MM_BLOCK_PAGES; block * MM_BLOCK_PAGES < end; block++)
        free_pages(h, block, pages_mask(block, first, end), close, tally);
    tally->freed_bytes += (int64_t)pages * MM_PAGE_BYTES;
}

static void after_sweep_stw(struct heap *h, const struct sweep_tally *total)
{
    h->large_free_pages = (uint64_t)((int64_t)h->large_free_pages + total->freed_pages);
    space_count_freed_stw(h, BLOCK_LARGE, total);
}

void large_space_return(struct heap *h, uint32_t start)
{
    struct sweep_tally tally = { 0 };

    free_run(h, start / MM_PAGE_GRANULES, false, &tally);
    after_sweep_stw(h, &tally);
}

void large_space_opened(struct heap *h, uint32_t block)
{
    if (at_load_relaxed(&h->meta.free_pages[block]) != ALL_PAGES)
        return;
    h->large_free_pages -= MM_BLOCK_PAGES;
    blocks_release(&h->blocks, block);
}

static void prepare_block(struct heap *h, uint32_t block)
{
    for (uint32_t page = block * MM_BLOCK_PAGES; page < (block + 1) * MM_BLOCK_PAGES; page++)
        if (large_run_starts(h, page)) {
            bitmap_clear(heap_marks(h), large_object_granule(page));
            at_and_relaxed(&h->meta.runs[page], ~RUN_DEAD); /* not swept yet: a word that looks like it may keep it after all */
        }
}

/* Stores to it are to be logged, or not. Fields' bytes and bits are set even of what is free: grants.c. */
static void want_logged(const struct heap *h, uint32_t first, bool wanted)
{
    if (heap_shares_log(h) && heap_cycle(h) == HEAP_CYCLE_SWEEPING)
        return; /* cycle_log.c L5 */
    wanted = wanted || (h->plan->constraints.barrier == SHM_BARRIER_FIELDS && !heap_shares_log(h));
    if (h->plan->constraints.barrier != SHM_BARRIER_NONE && !h->plan->constraints.counts)
        log_set_lines(&h->log, (uint64_t)first * (MM_PAGE_BYTES / MM_LINE_BYTES),
                      (uint64_t)large_run_pages(h, first) * (MM_PAGE_BYTES / MM_LINE_BYTES), wanted);
}

void large_space_arm_run(struct heap *h, uint32_t first_page)
{
    want_logged(h, first_page, true);
}

void large_space_arm(struct heap *h, uint32_t block)
{
    for (uint32_t page = block * MM_BLOCK_PAGES; page < (block + 1) * MM_BLOCK_PAGES; page++)
        if (large_run_starts(h, page) && !large_run_untaken(h, page))
            want_logged(h, page, true);
}

/* True: it is to be looked at by the next young collection, too (L4). */
static bool sweep_run(struct heap *h, uint32_t page, struct sweep_tally *tally)
{
    _Atomic uint64_t *marks = heap_mark_bits(h);

    bool new = (at_and_relaxed(&h->meta.runs[page], ~RUN_NEW) & RUN_NEW) != 0;

    if (large_run_untaken(h, page)) {
        bitmap_clear(marks, large_object_granule(page)); /* only forged references lead there */
        if (new)
            want_logged(h, page, true); /* it will be old when the next cycle marks */
        return true;
    }
    if (new && heap_shares_log(h)) {
        bitmap_clear(marks, large_object_granule(page)); /* young still */
        return true;
    }
    bool lives = new || bitmap_test(marks, large_object_granule(page));
    want_logged(h, page, lives);
    if (!lives)
        free_run(h, page, closed_wanted(h), tally);
    return false;
}

static void sweep_block(struct heap *h, uint32_t block, struct sweep_tally *tally)
{
    uint8_t starts = at_load_relaxed(&h->meta.run_starts[block]);
    bool young = false;

    at_and_relaxed(&h->meta.flags[block], (uint8_t)~BLOCK_YOUNG); /* before its last run frees it */
    for (unsigned bit = 0; bit < MM_BLOCK_PAGES; bit++)
        if ((starts >> bit & 1) != 0)
            young = sweep_run(h, block * MM_BLOCK_PAGES + bit, tally) || young;
    if (young)
        at_or_relaxed(&h->meta.flags[block], BLOCK_YOUNG);
}

void large_space_sweep_dropped(struct heap *h, uint32_t block, struct sweep_tally *tally)
{
    uint8_t starts = at_load_relaxed(&h->meta.run_starts[block]);

    at_and_relaxed(&h->meta.flags[block], (uint8_t)~BLOCK_UNSWEPT);
    for (uint32_t bit = 0; bit < MM_BLOCK_PAGES; bit++) {
        uint32_t page = block * MM_BLOCK_PAGES + bit;
        if ((starts >> bit & 1) != 0 && (at_load_relaxed(&h->meta.runs[page]) & RUN_DEAD) != 0)
            free_run(h, page, false, tally);
    }
}

/* checks */

/* L1 and L2 for the run that starts at @first. */
static bool run_agrees(const struct heap *h, uint32_t first)
{
    uint32_t pages = large_run_pages(h, first), end = first + pages;

    if (pages == 0 || end < first || end > blocks_high(&h->blocks) * MM_BLOCK_PAGES)
        return false;
    if (large_run_untaken(h, first) && bitmap_test(heap_vo(h), large_object_granule(first)))
        return false;
    for (uint32_t block = first / MM_BLOCK_PAGES; block * MM_BLOCK_PAGES < end; block++) {
        uint8_t mask = pages_mask(block, first, end),
                starts = at_load_relaxed(&h->meta.run_starts[block]) & mask;
        bool begins = block == first / MM_BLOCK_PAGES;
        if (blocks_kind(&h->blocks, block) != BLOCK_LARGE ||
            (at_load_relaxed(&h->meta.free_pages[block]) & mask) != 0)
            return false;
        if (starts != (begins ? 1u << first % MM_BLOCK_PAGES : 0))
            return false;
    }
    return true;
}

static enum heap_fault check_block_stw(const struct heap *h, uint32_t block)
{
    uint32_t free = at_load_relaxed(&h->meta.free_pages[block]), base = block * MM_BLOCK_PAGES;
    uint32_t closed = closed_pages(h, block);

    if ((free == ALL_PAGES && closed == 0) || (closed & ~free) != 0)
        return HEAP_FAULT_BLOCK;
    if ((at_load_relaxed(&h->meta.clean_pages[block]) & ~free) != 0)
        return HEAP_FAULT_BLOCK;
    for (uint32_t page = base; page < base + MM_BLOCK_PAGES; page++) {
        uint32_t first = large_run_of(h, page);
        if (first == PAGE_NONE)
            continue;
        if (first > page || !large_run_starts(h, first) || page - first >= large_run_pages(h, first))
            return HEAP_FAULT_BLOCK;
        if (first == page && !run_agrees(h, page))
            return HEAP_FAULT_BLOCK;
    }
    return HEAP_FAULT_NONE;
}

static uint64_t used_bytes(const struct heap *h)
{
    return (uint64_t)h->blocks.counts[BLOCK_LARGE] * MM_BLOCK_BYTES - h->large_free_pages * MM_PAGE_BYTES;
}

const struct space large_space = {
    .name = "large",
    .kind = BLOCK_LARGE,
    .prepare_block = prepare_block,
    .sweep_block = sweep_block,
    .after_sweep_stw = after_sweep_stw,
    .check_block_stw = check_block_stw,
    .used_bytes = used_bytes,
};
