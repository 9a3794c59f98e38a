/* SPDX-License-Identifier: Apache-2.0 */
/* cycle_log.c - Cycle log: one log, of fields, for young collections and for cycles.
 *   Old is what has its VO bit, and from a first stop on all that is finished then: the snapshot. Young is what is in G, and from a first
 *   stop on what is granted after it: in next, or RUN_NEW. A first stop collects nothing: it would have to mark what is young, and make the
 *   cycle's marks ready again after that. Cycles begin right after a young collection as a rule (daemon/cycle.c P6), so there is little
 *   L1  between cycles, and while one is swept, each field of something old has its byte and its bit set, or is in a row. Whoever sets them
 *       has looked at the rows, or drops them all
 *   L2  first stop: the field of each row is armed again, and so are the lines of what is finished in G. By L1 that is every field of the
 *       snapshot: from here on the first store to each is logged with what stood there, which is what cycle.c Y3 needs
 *   L3  the rows are of no use after that, and are dropped: nothing of the snapshot refers to what is granted later, and nothing else will
 *       be young
 *   L4  second stop: an old object refers to something young only where it was stored to since the first stop, and such a field is in
 *       a row. So the cycle's rows stay for the next young collection, and L1 holds with them
 *   L5  the sweep leaves bytes and bits alone: clients store while it runs, and a row may be waiting. Those of a line that it frees are
 *       cleared when the line is granted (grants.c); a row that still names it costs the next young collection a glance
 *   L6  a young collection arms the field of each row, and looks at it if it was the first to (log_claim_granule()). Then it sweeps the
 *       blocks with young objects: lines that are marked are armed as a whole, all others are not
 *   L7  what is new is neither marked nor counted by the trace: who is met there lives anyway, and will be counted when it has survived
 *   L8  when the log is incomplete the next collection is no young one, but a cycle: its first stop does not know which fields are armed, and arms all
 *       that there are, which is L2 without its rows. A cycle that marks keeps everything, and a whole collection comes, which arms the
 *       lines of all that it keeps. Until then the log says that it is incomplete
 *   L9  a first stop is where the nursery begins to rest, and where it ends to (generational.h). To rest: by L2 all of the snapshot is
 *       armed, the rows are dropped, and cycle.c needs nothing else; when all is marked the barrier rests, and the sweep arms every line, also
 *       those that L5 would have left. To end: by cycle.c Y7 every field is armed, or in a row, whose field is armed now. So L3 and L4 hold
 *       from here on, whatever was young before is of the snapshot, and the barrier does not rest again
 *   Fields at all times, not lines between cycles: of a line every reference would have to be looked at, so that random stores to a
 *   heap of small objects cost young pauses twice the time; docs/plans.md#concurrentstickyimmix
 *   Young collections wait for a cycle's end: they use for scratch the bitmap that is the cycle's marks (state.h), and a trace that is
 *   under way cannot be put aside for a stop. What a cycle lets clients allocate is the next young collection's nursery, or old:
 *   cycle_promote.c */
#include "plans/cycle_log.h"

#include <string.h>

#include "plans/heap/bitmap.h"
#include "plans/heap/state.h"
#include "plans/space/large_space.h"
#include "plans/work/store.h"

/* ---- the first stop ---- */

static void arm_granted(struct heap *h, uint32_t block)
{
    uint64_t line = (uint64_t)block * MM_BLOCK_LINES, end = line + MM_BLOCK_LINES;

    while ((line = bitmap_find_set(heap_granted(h), line, end)) < end) {
        uint64_t after = bitmap_find_clear(heap_granted(h), line, end);
        log_set_lines(&h->log, line, after - line, true);
        line = after;
    }
}

void cycle_log_arm_block(struct heap *h, uint32_t block)
{
    enum block_kind kind = blocks_kind(&h->blocks, block);

    if (h->log.lost) /* L8 */
        log_set_lines(&h->log, (uint64_t)block * MM_BLOCK_LINES, MM_BLOCK_LINES, true);
    else if (block_kind_has_lines(kind))
        arm_granted(h, block);
    else if (kind == BLOCK_LARGE && blocks_flag(&h->blocks, block, BLOCK_YOUNG))
        large_space_arm(h, block);
}

void cycle_log_arm_row(struct heap *h, uint64_t row)
{
    const struct logged *l = &h->log.rows[row];
    uint64_t granule = (uint64_t)l->object + l->offset;

    if (granule < h->granules)
        (void)log_claim_granule(&h->log, granule);
}

void cycle_log_begin_stw(struct heap *h)
{
    log_clear(&h->log);
    h->cycle.taken = 0;
    h->log.active = true;
}

/* ---- between the stops ---- */

void cycle_log_take(struct heap *h)
{
    struct cycle *cycle = &h->cycle;
    size_t count = h->log.count - cycle->taken;

    if (count > cycle->row_capacity) {
        store_free(h->store, cycle->rows);
        cycle->rows = store_alloc(h->store, count * sizeof(*cycle->rows));
        cycle->row_capacity = cycle->rows == NULL ? 0 : count;
    }
    if (count > cycle->row_capacity) {
        heap_log_lost(h);
        return;
    }
    if (count > 0)
        memcpy(cycle->rows, h->log.rows + cycle->taken, count * sizeof(*cycle->rows));
    cycle->row_count = count;
    cycle->taken += count;
}

bool cycle_log_is_new(const struct heap *h, uint32_t granule)
{
    if (blocks_kind(&h->blocks, granule / MM_BLOCK_GRANULES) == BLOCK_LARGE)
        return (at_load_relaxed(&h->meta.runs[granule / MM_PAGE_GRANULES]) & RUN_NEW) != 0;
    return grants_keeps(h, granule);
}

/* ---- the end of marking ---- */

void cycle_log_end(struct heap *h)
{
    h->cycle.taken = 0;
    if (heap_shares_log(h))
        return; /* L4 */
    log_clear(&h->log);
    h->log.active = false;
}
