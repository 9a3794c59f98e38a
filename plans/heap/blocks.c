/* SPDX-License-Identifier: Apache-2.0 */
#include "plans/heap/blocks.h"

#include <string.h>

void blocks_init(struct blocks *b, struct metadata *meta, uint64_t max_bytes, uint64_t limit_bytes)
{
    uint64_t units = mm_align_up(MM_MIN(limit_bytes, max_bytes), MM_COMMIT_BYTES) / MM_COMMIT_BYTES;

    *b = (struct blocks){ .meta = meta,
                          .total = (uint32_t)(max_bytes / MM_BLOCK_BYTES),
                          .units_limit = (uint32_t)units };
    b->counts[BLOCK_UNCOMMITTED] = b->total;
}

static void forget_run(struct blocks *b)
{
    b->run_count = UINT32_MAX;
    b->run_end = UINT32_MAX;
}

static void change(struct blocks *b, uint32_t block, enum block_kind to)
{
    b->counts[blocks_kind(b, block)]--;
    b->counts[to]++;
    at_store_relaxed(&b->meta->kinds[block], (uint8_t)to);
    if (!block_kind_free(to))
        return;
    b->hints[to] = MM_MIN(b->hints[to], block);
    forget_run(b);
}

/* Lowest block of @kind, which is one of the free ones. */
static uint32_t find_free(struct blocks *b, enum block_kind kind)
{
    uint32_t from = b->hints[kind];

    if (b->counts[kind] == 0)
        return BLOCK_NONE;
    const uint8_t *kinds = (const uint8_t *)b->meta->kinds;
    const uint8_t *found = memchr(kinds + from, (int)kind, b->high - from);
    MM_ASSERT(found != NULL);
    b->hints[kind] = (uint32_t)(found - kinds);
    return b->hints[kind];
}

uint32_t blocks_acquire(struct blocks *b, enum block_kind kind, bool *ret_clean)
{
    uint32_t block = MM_MIN(find_free(b, BLOCK_FREE_CLEAN), find_free(b, BLOCK_FREE_DIRTY));

    if (block != BLOCK_NONE)
        *ret_clean = blocks_take(b, block, kind);
    return block;
}

/* First of the highest @count adjacent free blocks that end at or below @end, or BLOCK_NONE. */
static uint32_t find_run_below(const struct blocks *b, uint32_t count, uint32_t end)
{
    uint32_t length = 0;

    for (uint32_t i = end; i-- > 0;) {
        length = block_kind_free(blocks_kind(b, i)) ? length + 1 : 0;
        if (length == count)
            return i;
    }
    return BLOCK_NONE;
}

/* From the top, where single blocks are taken last. A search goes on below where one for no more blocks came to, as long as
 * nothing was freed since. */
uint32_t blocks_find_run(struct blocks *b, uint32_t count)
{
    if (count > b->counts[BLOCK_FREE_CLEAN] + b->counts[BLOCK_FREE_DIRTY])
        return BLOCK_NONE;
    bool goes_on = count >= b->run_count && b->run_end <= b->high;
    uint32_t first = find_run_below(b, count, goes_on ? b->run_end : b->high);

    b->run_count = count;
    b->run_end = first == BLOCK_NONE ? 0 : first + count;
    return first;
}

bool blocks_take(struct blocks *b, uint32_t block, enum block_kind kind)
{
    bool clean = blocks_kind(b, block) == BLOCK_FREE_CLEAN;

    MM_ASSERT(block_kind_free(blocks_kind(b, block)));
    change(b, block, kind);
    return clean;
}

void blocks_release(struct blocks *b, uint32_t block)
{
    change(b, block, BLOCK_FREE_DIRTY);
}

void blocks_swept(struct blocks *b, enum block_kind kind, uint32_t count)
{
    b->counts[kind] -= count;
    b->counts[BLOCK_FREE_DIRTY] += count;
    b->hints[BLOCK_FREE_DIRTY] = 0;
    forget_run(b);
}

static uint32_t units_taken(const struct blocks *b)
{
    return (b->total - b->counts[BLOCK_UNCOMMITTED]) / MM_COMMIT_BLOCKS;
}

bool blocks_commit_next(struct blocks *b, uint64_t *ret_offset)
{
    if (units_taken(b) >= b->units_limit)
        return false;
    uint32_t unit = b->unit_hint;
    while (blocks_kind(b, unit * MM_COMMIT_BLOCKS) != BLOCK_UNCOMMITTED)
        unit++;
    for (uint32_t i = 0; i < MM_COMMIT_BLOCKS; i++)
        change(b, unit * MM_COMMIT_BLOCKS + i, BLOCK_ASKED);
    b->unit_hint = unit + 1;
    *ret_offset = (uint64_t)unit * MM_COMMIT_BYTES;
    return true;
}

void blocks_commit_done(struct blocks *b, uint64_t offset, bool success)
{
    uint32_t first = (uint32_t)(offset / MM_BLOCK_BYTES), end = first + MM_COMMIT_BLOCKS;

    MM_ASSERT(offset % MM_COMMIT_BYTES == 0 && end <= b->total && blocks_kind(b, first) == BLOCK_ASKED);
    b->high = MM_MAX(b->high, success ? end : 0);
    b->unit_hint = success ? b->unit_hint : MM_MIN(b->unit_hint, first / MM_COMMIT_BLOCKS);
    for (uint32_t i = first; i < end; i++)
        change(b, i,
               !success            ? BLOCK_UNCOMMITTED
               : i + 1 == b->total ? BLOCK_RESERVED
                                   : BLOCK_FREE_CLEAN);
}

uint64_t blocks_uncommitted_bytes(const struct blocks *b)
{
    return (uint64_t)(b->units_limit - MM_MIN(units_taken(b), b->units_limit)) * MM_COMMIT_BYTES;
}
