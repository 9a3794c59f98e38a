/* SPDX-License-Identifier: Apache-2.0 */
/* cycle_promote.c - Cycle, promotion: what a cycle let be granted is old when it ends, if most of it lives.
 *   Left young it would be the next young collection's: which then looks at far more than a nursery, and at each field that was stored to
 *   while the cycle marked. In a program nearly all of whose new objects live that is a long pause for next to nothing. So in its second
 *   stop, when all is marked, a cycle may take all that is finished by then for alive: G is closed and opened again
 *   Q1  lines of the snapshot that were in G are in use until their sweep: those that nothing marked get an old mark. So the first half
 *       of G is free to be the next one
 *   Q2  then current has what is finished of what was granted since the first stop. The sweep parses it, block by block: each object found has
 *       its mark, and its lines theirs. Nobody has to trace it: it lives, and by cycle.c Y3 all it may refer to of the snapshot is marked
 *   Q3  nothing is young now that an object could refer to: the rows are dropped, and all that is in use is armed (cycle_log.c L1) but
 *       for what stays in G. What was granted from here on is young
 *   Q4  page runs that are taken are old and marked; those that are not stay RUN_NEW
 *   The price: what of it is dead stays until the next cycle                                                                  */
#include <string.h>

#include "plans/cycle.h"
#include "plans/heap/bitmap.h"
#include "plans/heap/state.h"
#include "plans/heap/walk.h"
#include "plans/space/large_space.h"

/* ---- the second stop ---- */

static void arm_lines(struct heap *h, uint32_t block)
{
    uint64_t first = (uint64_t)block * MM_BLOCK_LINES;

    memset((void *)&h->log.lines[first], 1, MM_BLOCK_LINES); /* clients are stopped */
    memset((void *)&h->log.bits[first], 0xff, MM_BLOCK_LINES * sizeof(h->log.bits[0]));
}

void cycle_promote_block(struct heap *h, uint32_t block)
{
    uint64_t first = (uint64_t)block * MM_BLOCK_LINES, end = first + MM_BLOCK_LINES;
    unsigned current = heap_current_index(h);

    if (!block_kind_has_lines(blocks_kind(&h->blocks, block)))
        return;
    arm_lines(h, block);
    for (uint64_t line = bitmap_find_set(heap_granted(h), first, end); line < end;
         line = bitmap_find_set(heap_granted(h), line + 1, end))
        if (at_load_relaxed(&h->meta.lines[line]) == 0)
            at_store_relaxed(&h->meta.lines[line], LINE_MARKED); /* Q1 */
    bitmap_clear_range(h->meta.granted[current], first, end);
    bitmap_clear_range(h->meta.firsts[current], first, end);
}

static void promote_run(struct heap *h, uint32_t page, struct cycle *cycle)
{
    struct object o;
    uint32_t granule = large_object_granule(page);

    large_space_arm_run(h, page);
    if ((at_and_relaxed(&h->meta.runs[page], ~RUN_NEW) & RUN_NEW) == 0 || bitmap_test(heap_marks(h), granule))
        return;
    bitmap_set(heap_marks(h), granule);
    uint64_t bytes = object_load(h, granule, BLOCK_LARGE, &o) ? (uint64_t)o.granules * MM_GRANULE_BYTES : MM_OBJECT_MIN_BYTES;
    cycle->sum.live_objects++;
    cycle->sum.live_bytes += bytes;
    cycle->kind_bytes[BLOCK_LARGE] += bytes;
}

static void promote_runs(struct heap *h)
{
    for (uint32_t block = 0; block < blocks_high(&h->blocks); block++)
        for (uint32_t bit = 0; blocks_kind(&h->blocks, block) == BLOCK_LARGE && bit < MM_BLOCK_PAGES; bit++) {
            uint32_t page = block * MM_BLOCK_PAGES + bit;
            if (large_run_starts(h, page) && !large_run_untaken(h, page))
                promote_run(h, page, &h->cycle);
        }
}

void cycle_promote_stw(struct heap *h, const struct heap_stop *stop, struct irregular *list)
{
    grants_close(h);
    h->grants.next_list = list;
    grants_open_stw(h, stop);
    promote_runs(h); /* opening has seen which are taken */
    grants_stay_open_stw(h, stop);
    log_clear(&h->log);
    h->cycle.promotes = true;
}

/* ---- the sweep ---- */

static void keep_object(struct heap *h, uint32_t granule, enum block_kind kind, struct cycle_found *found)
{
    struct object o;

    if (!object_load(h, granule, kind, &o))
        o.granules = MM_OBJECT_MIN_BYTES / MM_GRANULE_BYTES;
    found->objects++;
    found->kind_bytes[kind] += (uint64_t)o.granules * MM_GRANULE_BYTES;
    for (uint32_t line = (granule - 1) / MM_LINE_GRANULES; line <= (granule + o.granules - 2) / MM_LINE_GRANULES; line++)
        at_store_relaxed(&h->meta.lines[line], LINE_MARKED_NEXT);
}

/* Its old VO bits are of no use any more: so that bitmap has those that are found. */
void cycle_promote_swept(struct heap *h, uint32_t block, struct cycle_found *found)
{
    uint64_t first = (uint64_t)block * MM_BLOCK_GRANULES, end = first + MM_BLOCK_GRANULES;
    enum block_kind kind = blocks_kind(&h->blocks, block);

    if (!walk_block_in_g(h, block))
        return;
    bitmap_clear_range(heap_vo(h), first, end);
    walk_parse_block(h, block, heap_vo(h), &(struct parse_faults){ 0 });
    for (uint64_t at = bitmap_find_set(heap_vo(h), first, end); at < end; at = bitmap_find_set(heap_vo(h), at + 1, end)) {
        bitmap_set(heap_marks(h), at);
        if (!grants_keeps(h, (uint32_t)at))
            keep_object(h, (uint32_t)at, kind, found);
    }
}
