/* SPDX-License-Identifier: Apache-2.0 */
/* roots.c - Stages pin, settle and roots: what the trace begins with.
 *   Ambiguous words are resolved, and what they lie in is pinned, before any exact root may move something (schedule.c S1). */
#include <errno.h>

#include "plans/heap/bitmap.h"
#include "plans/heap/resolve.h"
#include "plans/heap/walk.h"
#include "plans/refcount.h"
#include "plans/space/large_space.h"
#include "plans/stage/collection.h"
#include "plans/work/store.h"

int stage_count_words(struct collection *c)
{
    uint64_t words = 0;

    c->row_ends = store_alloc(c->heap->store, (c->stop->root_count + 1) * sizeof(*c->row_ends));
    if (c->row_ends == NULL)
        return -ENOMEM;
    for (size_t i = 0; i < c->stop->root_count; i++) {
        words += c->stop->roots[i].count;
        c->row_ends[i] = words;
    }
    c->row_words = words;
    return 0;
}

void stage_forget_words(struct collection *c)
{
    store_free(c->heap->store, c->row_ends);
    c->row_ends = NULL;
}

/* The row that word @at of all rows is in. */
static size_t row_of(const struct collection *c, uint64_t at)
{
    size_t low = 0, high = c->stop->root_count;

    while (low < high) {
        size_t middle = low + (high - low) / 2;
        if (c->row_ends[middle] <= at)
            low = middle + 1;
        else
            high = middle;
    }
    return low;
}

void stage_each_row(struct collection *c, uint64_t at, uint64_t stop, struct tracer *r,
                    void (*visit)(struct collection *c, struct tracer *r, const struct heap_roots *row, uint32_t i))
{
    size_t row = row_of(c, at);

    for (uint64_t end; at < stop; at = end, row++) {
        const struct heap_roots *roots = &c->stop->roots[row];
        uint64_t first = c->row_ends[row] - roots->count;
        end = MM_MIN(stop, c->row_ends[row]);
        for (uint64_t i = at - first; roots->kind == HEAP_ROOTS_TABLE && i < end - first; i++)
            if (heap_root_is_weak(heap_root_kind(roots, (uint32_t)i)))
                visit(c, r, roots, (uint32_t)i);
    }
}

/* What word @i of @row is to this collection. */
static enum heap_root_kind kind_here(struct collection *c, const struct heap_roots *row, uint32_t i)
{
    enum heap_root_kind kind = heap_root_kind(row, i);

    if (MM_LIKELY(!heap_root_is_weak(kind)))
        return kind;
    at_store_relaxed(&c->references.met_rows, 1);
    return c->trace.all ? HEAP_ROOTS_EXACT : kind;
}

void stage_each_word(struct collection *c, uint64_t at, uint64_t stop, enum heap_root_kind kind, struct tracer *r,
                     void (*visit)(struct collection *c, struct tracer *r, _Atomic uint32_t *word))
{
    size_t row = row_of(c, at);

    for (uint64_t end; at < stop; at = end, row++) {
        const struct heap_roots *roots = &c->stop->roots[row];
        uint64_t first = c->row_ends[row] - roots->count;
        end = MM_MIN(stop, c->row_ends[row]);
        bool may = roots->kind == kind || roots->kind == HEAP_ROOTS_TABLE;
        for (uint64_t i = at - first; may && i < end - first; i++)
            if (kind_here(c, roots, (uint32_t)i) == kind && visit != NULL)
                visit(c, r, &roots->words[i]);
    }
}

/* Finds the object around an ambiguous word, which then stays where it is. */
static void pin_word(struct collection *c, struct tracer *r, _Atomic uint32_t *word)
{
    struct heap *h = c->heap;
    uint32_t granule = resolve_ambiguous_stw(h, at_load_relaxed(word));

    if (granule == 0)
        return;
    if (c->heap->evacuates) {
        evacuate_pin(r, granule);
        refcount_hold(h, granule);
        return;
    }
    at_or_relaxed(&h->meta.flags[granule / MM_BLOCK_GRANULES], BLOCK_STAYS);
    mark_root(r, granule);
    refcount_hold(h, granule);
}

void stage_ambiguous(struct worker *w, struct packet *p)
{
    struct tracer r = { &collection_of(w)->trace, tally_of(w), w, NULL };

    stage_split(w, p);
    stage_each_word(collection_of(w), p->args[0], p->args[1], HEAP_ROOTS_AMBIGUOUS, &r, pin_word);
    trace_roots_end(&r);
}

void stage_settle(struct worker *w, struct packet *p)
{
    const struct trace *t = &collection_of(w)->trace;
    bool stows = collection_of(w)->stows;

    stage_split(w, p);
    for (uint32_t block = (uint32_t)p->args[0]; block < p->args[1]; block++) {
        bool all = stows && block_kind_in_use(blocks_kind(&t->heap->blocks, block));
        if (all || blocks_flag(&t->heap->blocks, block, BLOCK_EVACUATE))
            evacuate_settle_pins(t, block);
        if (all)
            evacuate_unmark_pins(t, block);
    }
}

/* A handle's owner may change it while we move what it refers to (S8): then its new value is its own business. */
static void trace_word(struct collection *c, struct tracer *r, _Atomic uint32_t *word)
{
    uint32_t was = at_load_relaxed(word), now;

    if (was == 0)
        return;
    if (object_place(c->heap, was) == BLOCK_UNCOMMITTED) {
        r->tally->forged_refs++;
        return;
    }
    if (!c->heap->evacuates) {
        mark_root(r, was);
        refcount_hold(c->heap, was);
        return;
    }
    now = evacuate_root(r, was);
    refcount_hold(c->heap, now);
    if (now != was)
        (void)at_cas_acq_rel(word, &was, now);
}

void stage_exact(struct worker *w, struct packet *p)
{
    struct tracer r = { &collection_of(w)->trace, tally_of(w), w, NULL };

    stage_split(w, p);
    stage_each_word(collection_of(w), p->args[0], p->args[1], HEAP_ROOTS_EXACT, &r, trace_word);
    trace_roots_end(&r);
}

/* Every object of the immortal space is a root (immortal_space.c T1). */
static void scan_immortal_block(struct collection *c, struct tracer *r, uint32_t block)
{
    uint64_t at = (uint64_t)block * MM_BLOCK_GRANULES, end = at + MM_BLOCK_GRANULES;
    const _Atomic uint64_t *objects = heap_scratch_bits(c->heap); /* of a young collection, the new ones */

    resolve_parse_block(c->heap, block);
    for (at = bitmap_find_set(objects, at, end); at < end; at = bitmap_find_set(objects, at + 1, end)) {
        if (object_place(c->heap, (uint32_t)at) == BLOCK_UNCOMMITTED)
            continue;
        refcount_stick(c->heap, (uint32_t)at);
        if (c->heap->evacuates)
            evacuate_pin(r, (uint32_t)at);
        else
            mark_root(r, (uint32_t)at);
    }
}

void stage_immortal(struct worker *w, struct packet *p)
{
    struct collection *c = collection_of(w);
    struct tracer r = { &c->trace, tally_of(w), w, NULL };

    stage_split(w, p);
    for (uint32_t block = (uint32_t)p->args[0]; block < p->args[1]; block++)
        if (blocks_kind(&c->heap->blocks, block) == BLOCK_IMMORTAL &&
            (!c->heap->young || blocks_flag(&c->heap->blocks, block, BLOCK_YOUNG)))
            scan_immortal_block(c, &r, block);
    trace_roots_end(&r);
}

/* What is old may refer to what is young only where a client has logged a store since. A row is a client's word, and of one of
 * lines nothing counts but the line: whatever old object reaches into that has its references there looked at. Nobody writes now. */

static void scan_piece(struct collection *c, struct tracer *r, const struct object *o, uint64_t from, uint64_t end)
{
    uint64_t first = MM_MAX(from, (uint64_t)o->granule);
    struct piece piece = { (uint32_t)(first - o->granule), (uint32_t)(end - first) };

    if (c->heap->evacuates)
        evacuate_piece(r, o, piece);
    else
        mark_piece(r, o, piece);
}

/* If the object at @granule reaches into granules [@from, @end): true. */
static bool scan_reaching(struct collection *c, struct tracer *r, uint32_t granule, uint64_t from, uint64_t end)
{
    enum block_kind kind = object_place(c->heap, granule);
    struct object o;

    if (kind == BLOCK_UNCOMMITTED || !object_load(c->heap, granule, kind, &o) || granule + (uint64_t)o.granules - 1 <= from)
        return false;
    scan_piece(c, r, &o, from, end);
    return true;
}

/* In a block with lines: the nearest object that begins before the line, and those that begin in it. True: there was one. */
static bool scan_line(struct collection *c, struct tracer *r, uint64_t from)
{
    const _Atomic uint64_t *old = heap_vo(c->heap);
    uint64_t end = from + MM_LINE_GRANULES;
    uint64_t at = bitmap_find_below(old, from, from - from % MM_BLOCK_GRANULES);
    bool found = at != BITMAP_NONE && scan_reaching(c, r, (uint32_t)at, from, end);

    for (at = bitmap_find_set(old, from + 1, end); at < end; at = bitmap_find_set(old, at + 1, end))
        found = scan_reaching(c, r, (uint32_t)at, from, end) || found;
    return found;
}

static bool scan_line_of_run(struct collection *c, struct tracer *r, uint64_t from)
{
    uint32_t first = large_run_of(c->heap, (uint32_t)(from / MM_PAGE_GRANULES));

    return first != PAGE_NONE && bitmap_test(heap_vo(c->heap), large_object_granule(first)) &&
           scan_reaching(c, r, large_object_granule(first), from, from + MM_LINE_GRANULES);
}

/* A row of fields counts if an old object is where it says: what that refers to in the one granule. */
static void scan_logged_field(struct collection *c, struct tracer *r, const struct logged *row)
{
    struct heap *h = c->heap;
    enum block_kind kind = object_place(h, row->object);
    struct object o;

    if (!log_claim_granule(&h->log, (uint64_t)row->object + row->offset))
        return; /* somebody else has it */
    if (kind != BLOCK_UNCOMMITTED && bitmap_test(heap_vo(h), row->object) && object_load(h, row->object, kind, &o) &&
        row->offset < o.granules - 1)
        scan_piece(c, r, &o, (uint64_t)row->object + row->offset, (uint64_t)row->object + row->offset + 1);
}

static void scan_logged(struct collection *c, struct tracer *r, const struct logged *row)
{
    struct heap *h = c->heap;
    uint64_t granule = (uint64_t)row->object + row->offset, from = granule - granule % MM_LINE_GRANULES;

    if (granule >= h->granules || blocks_flag(&h->blocks, (uint32_t)(granule / MM_BLOCK_GRANULES), BLOCK_EVACUATE))
        return; /* there is nothing old in a block that is left */
    enum block_kind kind = blocks_kind(&h->blocks, (uint32_t)(granule / MM_BLOCK_GRANULES));
    if (h->log.bits != NULL) {
        scan_logged_field(c, r, row);
        return;
    }
    bool found = block_kind_has_lines(kind) ? scan_line(c, r, from) : kind == BLOCK_LARGE && scan_line_of_run(c, r, from);
    if (found)
        log_want_line(&h->log, from / MM_LINE_GRANULES); /* armed again */
}

void stage_logged(struct worker *w, struct packet *p)
{
    struct collection *c = collection_of(w);
    struct tracer r = { &c->trace, tally_of(w), w, NULL };

    stage_split(w, p);
    for (uint64_t i = p->args[0]; i < p->args[1]; i++) {
        if (i + STAGE_ROWS_AHEAD < p->args[1])
            stage_fetch_row(c->heap, &c->heap->log.rows[i + STAGE_ROWS_AHEAD]);
        scan_logged(c, &r, &c->heap->log.rows[i]);
    }
    trace_roots_end(&r);
}
