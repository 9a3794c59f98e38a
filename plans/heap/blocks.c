/* SPDX-License-Identifier: Apache-2.0 */
#include "plans/heap/blocks.h"

#include <string.h>

void blocks_init(struct blocks *b, struct metadata *meta, uint64_t max_bytes, uint64_t limit_bytes)
{
    *b = (struct blocks){ .meta = meta, .total = (uint32_t)(max_bytes / MM_BLOCK_BYTES) };
    b->counts[BLOCK_UNCOMMITTED] = b->total;
    blocks_set_limit(b, limit_bytes);
}

void blocks_set_limit(struct blocks *b, uint64_t limit_bytes)
{
    uint64_t units = limit_bytes / MM_COMMIT_BYTES + (limit_bytes % MM_COMMIT_BYTES != 0);

    b->units_limit = (uint32_t)MM_MIN(units, b->total / MM_COMMIT_BLOCKS);
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

/* The first block of @kind at or after @from, eight at a time. Workers may make blocks in use SWEPT meanwhile (cycle.c): those are
 * of neither kind that is looked for. */
static uint32_t find_kind(const struct blocks *b, uint32_t from, enum block_kind kind)
{
    const uint64_t ones = UINT64_C(0x0101010101010101), wanted = ones * kind;
    const _Atomic uint64_t *words = (const _Atomic uint64_t *)(const void *)b->meta->kinds;

    for (; from % 8 != 0 && from < blocks_high(b); from++)
        if (blocks_kind(b, from) == kind)
            return from;
    for (; from < blocks_high(b); from += 8) {
        uint64_t differ = at_load_relaxed(&words[from / 8]) ^ wanted; /* the lowest byte of 0 is exact */
        uint64_t equal = (differ - ones) & ~differ & ones << 7;
        if (equal != 0)
            return from + (uint32_t)__builtin_ctzll(equal) / 8;
    }
    return BLOCK_NONE;
}

/* Lowest block of @kind, which is one of the free ones. */
static uint32_t find_free(struct blocks *b, enum block_kind kind)
{
    if (b->counts[kind] == 0)
        return BLOCK_NONE;
    uint32_t found = find_kind(b, b->hints[kind], kind);
    MM_ASSERT(found < blocks_high(b)); /* which is whole units */
    b->hints[kind] = found;
    return found;
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
    bool goes_on = count >= b->run_count && b->run_end <= blocks_high(b);
    uint32_t first = find_run_below(b, count, goes_on ? b->run_end : blocks_high(b));

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

void blocks_swept(struct blocks *b, enum block_kind kind, enum block_kind to, uint32_t count)
{
    b->counts[kind] -= count;
    b->counts[to] += count;
    b->hints[BLOCK_FREE_DIRTY] = 0;
    forget_run(b);
}

void blocks_release_swept(struct blocks *b, uint32_t first, uint32_t end)
{
    uint8_t *kinds = (uint8_t *)b->meta->kinds, *at = kinds + first;

    while (at < kinds + end && (at = memchr(at, BLOCK_SWEPT, (size_t)(kinds + end - at))) != NULL)
        at_store_relaxed((_Atomic uint8_t *)at, BLOCK_FREE_DIRTY);
}

/* committing */

static uint32_t units_taken(const struct blocks *b)
{
    return (b->total - b->counts[BLOCK_UNCOMMITTED]) / MM_COMMIT_BLOCKS - b->foreign_units;
}

static bool is_reserved(const struct blocks *b, uint32_t block)
{
    return block + 1 == b->total; /* B3 */
}

static void change_units(struct blocks *b, uint32_t unit, uint32_t count, enum block_kind to)
{
    for (uint32_t i = unit * MM_COMMIT_BLOCKS; i < (unit + count) * MM_COMMIT_BLOCKS; i++)
        change(b, i, block_kind_free(to) && is_reserved(b, i) ? BLOCK_RESERVED : to);
}

bool blocks_commit_next(struct blocks *b, uint64_t *ret_offset)
{
    if (units_taken(b) >= b->units_limit)
        return false;
    uint32_t unit = b->unit_hint;
    while (blocks_kind(b, unit * MM_COMMIT_BLOCKS) != BLOCK_UNCOMMITTED)
        unit++;
    change_units(b, unit, 1, BLOCK_ASKED);
    b->unit_hint = unit + 1;
    *ret_offset = (uint64_t)unit * MM_COMMIT_BYTES;
    return true;
}

void blocks_commit_done(struct blocks *b, uint64_t offset, bool success)
{
    uint32_t first = (uint32_t)(offset / MM_BLOCK_BYTES), end = first + MM_COMMIT_BLOCKS;

    MM_ASSERT(offset % MM_COMMIT_BYTES == 0 && end <= b->total && blocks_kind(b, first) == BLOCK_ASKED);
    at_store_relaxed(&b->high, MM_MAX(blocks_high(b), success ? end : 0));
    b->unit_hint = success ? b->unit_hint : MM_MIN(b->unit_hint, first / MM_COMMIT_BLOCKS);
    change_units(b, first / MM_COMMIT_BLOCKS, 1, success ? BLOCK_FREE_CLEAN : BLOCK_UNCOMMITTED);
}

uint64_t blocks_uncommitted_bytes(const struct blocks *b)
{
    return (uint64_t)(b->units_limit - MM_MIN(units_taken(b), b->units_limit)) * MM_COMMIT_BYTES;
}

uint64_t blocks_excess_bytes(const struct blocks *b)
{
    return (uint64_t)(units_taken(b) - MM_MIN(units_taken(b), b->units_limit)) * MM_COMMIT_BYTES;
}

/* giving back */

static bool unit_is_free(const struct blocks *b, uint32_t unit)
{
    for (uint32_t i = unit * MM_COMMIT_BLOCKS; i < (unit + 1) * MM_COMMIT_BLOCKS; i++) {
        enum block_kind kind = blocks_kind(b, i);
        if (!block_kind_free(kind) && kind != BLOCK_RESERVED)
            return false;
    }
    return true;
}

/* How many free units, @max at most, end at @end. */
static uint32_t free_units_below(const struct blocks *b, uint32_t end, uint32_t max)
{
    uint32_t count = 0;

    while (count < MM_MIN(max, end) && unit_is_free(b, end - count - 1))
        count++;
    return count;
}

/* The highest committed unit's end. What is ASKED raises it again when it comes back. */
static void lower_high(struct blocks *b)
{
    while (blocks_high(b) > 0 && blocks_kind(b, blocks_high(b) - 1) <= BLOCK_ASKED)
        at_store_relaxed(&b->high, blocks_high(b) - MM_COMMIT_BLOCKS);
}

uint32_t blocks_release_next(struct blocks *b, uint32_t min, uint32_t max, uint32_t *unit)
{
    uint32_t end = MM_MIN(*unit, blocks_high(b) / MM_COMMIT_BLOCKS);

    while (end > 0) {
        uint32_t count = free_units_below(b, end, max);
        if (count >= min) {
            *unit = end - count;
            change_units(b, *unit, count, BLOCK_ASKED);
            lower_high(b);
            return count;
        }
        end -= MM_MIN(end, count + 1);
    }
    return 0;
}

void blocks_release_done(struct blocks *b, uint32_t unit, uint32_t count, bool success)
{
    MM_ASSERT(blocks_kind(b, unit * MM_COMMIT_BLOCKS) == BLOCK_ASKED);
    change_units(b, unit, count, success ? BLOCK_UNCOMMITTED : BLOCK_FREE_DIRTY);
    if (success)
        b->unit_hint = MM_MIN(b->unit_hint, unit);
    else
        at_store_relaxed(&b->high, MM_MAX(blocks_high(b), (unit + count) * MM_COMMIT_BLOCKS));
}

/* what others have committed (S12) */

uint64_t blocks_committed_bytes(const struct blocks *b, uint64_t *ret_asked)
{
    uint32_t asked = b->counts[BLOCK_ASKED], had = b->total - b->counts[BLOCK_UNCOMMITTED] - asked;

    *ret_asked = (uint64_t)asked * MM_BLOCK_BYTES;
    return (uint64_t)had * MM_BLOCK_BYTES;
}

static bool unit_is_uncommitted(const struct blocks *b, uint32_t unit)
{
    return blocks_kind(b, unit * MM_COMMIT_BLOCKS) == BLOCK_UNCOMMITTED; /* B4: then all of it is */
}

uint32_t blocks_uncommitted_row(const struct blocks *b, uint32_t max, uint32_t *unit)
{
    uint32_t end = b->total / MM_COMMIT_BLOCKS, count = 0;

    while (*unit < end && !unit_is_uncommitted(b, *unit))
        (*unit)++;
    while (count < max && *unit + count < end && unit_is_uncommitted(b, *unit + count))
        count++;
    return count;
}

void blocks_foreign_begin(struct blocks *b, uint32_t unit, uint32_t count)
{
    change_units(b, unit, count, BLOCK_ASKED);
    b->foreign_units += count;
}

void blocks_foreign_done(struct blocks *b, uint32_t unit, uint32_t count)
{
    MM_ASSERT(blocks_kind(b, unit * MM_COMMIT_BLOCKS) == BLOCK_ASKED && b->foreign_units >= count);
    change_units(b, unit, count, BLOCK_UNCOMMITTED);
    b->foreign_units -= count;
    b->unit_hint = MM_MIN(b->unit_hint, unit);
}
