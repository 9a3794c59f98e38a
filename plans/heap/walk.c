/* SPDX-License-Identifier: Apache-2.0 */
#include "plans/heap/walk.h"

#include "plans/heap/bitmap.h"

#define BLOCK_WORDS (MM_BLOCK_GRANULES / 64u)

void parse_fault(struct parse_faults *f, uint32_t granule)
{
    f->first = f->spans == 0 ? granule : MM_MIN(f->first, granule);
    f->spans++;
}

/* Sets the bits of the objects that stand in [at, end), granules of one block, in that block's own @bits. A zero word is
 * a step of one granule. Ends at a header that is bad or reaches beyond @end: what follows is unknown. */
static void parse_span(const struct heap *h, uint32_t at, uint32_t end, uint64_t *bits,
                       struct parse_faults *faults)
{
    struct object o;

    while (at < end) {
        uint64_t header = foreign_load64(h->arena, (size_t)at * MM_GRANULE_BYTES);
        if (header == 0) {
            at++;
            continue;
        }
        if (!object_judge(&h->types, header, end - at, &o)) {
            parse_fault(faults, at + 1);
            return;
        }
        uint32_t bit = (at + 1) % MM_BLOCK_GRANULES;
        bits[bit / 64] |= UINT64_C(1) << bit % 64;
        at += o.granules;
    }
}

/* The spans that their mutators have finished: from a line where one starts to the next such line, or one not granted. */
static void parse_regular(const struct heap *h, uint32_t block, uint64_t *bits,
                          struct parse_faults *faults)
{
    const _Atomic uint64_t *granted = heap_granted(h), *firsts = h->meta.firsts[heap_current_index(h)];
    uint64_t line = (uint64_t)block * MM_BLOCK_LINES, end = line + MM_BLOCK_LINES;

    while ((line = bitmap_find_set(firsts, line, end)) < end) {
        uint64_t after = bitmap_find_set(firsts, line + 1, end);
        after = bitmap_find_clear(granted, line, after);
        parse_span(h, (uint32_t)(line * MM_LINE_GRANULES), (uint32_t)(after * MM_LINE_GRANULES),
                   bits, faults);
        line = after > line ? after : line + 1;
    }
}

static void parse_irregular(const struct heap *h, uint32_t block, uint64_t *bits,
                            struct parse_faults *faults)
{
    for (uint32_t i = 0; i < h->grants.count; i++) {
        const struct irregular *it = &h->grants.list[i];
        if (it->span.start / MM_BLOCK_GRANULES == block)
            parse_span(h, it->span.start, it->parse_end, bits, faults);
    }
}

bool walk_block_in_g(const struct heap *h, uint32_t block)
{
    const _Atomic uint64_t *granted = heap_granted(h) + (size_t)block * (MM_BLOCK_LINES / 64);

    return (at_load_relaxed(&granted[0]) | at_load_relaxed(&granted[1])) != 0 ||
           (at_load_relaxed(&h->meta.flags[block]) & BLOCK_IRREGULAR) != 0;
}

void walk_parse_block(const struct heap *h, uint32_t block, _Atomic uint64_t *objects,
                      struct parse_faults *faults)
{
    uint64_t bits[BLOCK_WORDS] = { 0 };

    parse_regular(h, block, bits, faults);
    if ((at_load_relaxed(&h->meta.flags[block]) & BLOCK_IRREGULAR) != 0)
        parse_irregular(h, block, bits, faults);
    for (uint32_t i = 0; i < BLOCK_WORDS; i++)
        if (bits[i] != 0)
            at_or_relaxed(&objects[(size_t)block * BLOCK_WORDS + i], bits[i]);
}
