/* SPDX-License-Identifier: Apache-2.0 */
/* stow.c - Stages find and stow: a graph that somebody asked for leaves before anything else, and comes to lie packed.
 *   W1  blocks that it touches are flagged before anything is pinned: forwarding is looked at in flagged blocks alone (evacuate.c), so the
 *       rest of what lives there leaves too, after the graph, or stays where there is no room
 *   W2  only immix blocks are: those of copy space and nursery are already, and what they lose by a pin stays lost (copy_space.c C2)
 *   W3  what finding marks and charges, it takes back: prepared blocks are as they were but for the flag
 *   W4  one packet each, and nothing beside it: the order is one worker's (evacuate.c E7). It keeps that worker to the end
 *   W5  then marks are made whole, many workers at once, before any other root is looked at
 *   Hostile  as the trace: each object once, long ones charged to their block (trace/settle.h T4): without that, forged ones that overlap
 *            would make the work quadratic                                                                               */
#include "plans/heap/bitmap.h"
#include "plans/heap/walk.h"
#include "plans/refcount.h"
#include "plans/stage/collection.h"

#define TOUCHED 0x8000u                      /* of a block's charge, while graphs are found */
static_assert(MM_BLOCK_GRANULES < TOUCHED, "a charge and a flag fit the word");

struct finder {
    struct heap *heap;
    struct worker *worker;
    const struct packet_kind *kind;          /* of the packets below: this stage's own, none of which is pushed */
    struct heap_stow *stow;
    struct packet *found;                    /* marked, to be looked at; the newest first */
};

/* ---- finding ---- */

static struct packet *room_for_one(struct finder *f)
{
    struct packet *p = f->found;

    if (p != NULL && p->count < PACKET_ITEMS)
        return p;
    struct packet *more = worker_packet_try_new(f->worker, f->kind);
    if (more == NULL)
        return NULL;
    more->next = p;
    f->found = more;
    return more;
}

static void find(void *context, uint64_t place, uint32_t granule)
{
    struct finder *f = context;

    (void)place;
    if (granule == 0 || object_place(f->heap, granule) == BLOCK_UNCOMMITTED || bitmap_test(heap_marks(f->heap), granule))
        return;
    struct packet *p = room_for_one(f);
    if (p == NULL) {
        f->stow->cut = true;
        return;
    }
    bitmap_set(heap_marks(f->heap), granule);
    p->items[p->count++] = granule;
}

/* The next, or 0. */
static uint32_t take(struct finder *f)
{
    struct packet *p = f->found;

    if (p == NULL)
        return 0;
    uint32_t granule = p->items[--p->count];
    if (p->count == 0) {
        f->found = p->next;
        p->next = NULL;
        worker_packet_free(f->worker, p);
    }
    return granule;
}

static bool charge(struct heap *h, uint32_t granule, uint32_t granules)
{
    _Atomic uint16_t *charged = &h->meta.charged[granule / MM_BLOCK_GRANULES];
    uint32_t sum = (at_load_relaxed(charged) & ~TOUCHED) + granules;

    if (sum > MM_BLOCK_GRANULES)
        return false;
    at_store_relaxed(charged, (uint16_t)(TOUCHED | sum));
    return true;
}

/* Its block is one that is left, and one to be put back in order. Where objects lie in cells the charge is something else; no plan that
 * evacuates has those. */
static void touch(struct heap *h, uint32_t granule, enum block_kind kind)
{
    uint32_t block = granule / MM_BLOCK_GRANULES;

    MM_ASSERT(kind != BLOCK_CELLS);
    at_store_relaxed(&h->meta.charged[block], (uint16_t)(at_load_relaxed(&h->meta.charged[block]) | TOUCHED));
    if (kind == BLOCK_IMMIX)
        at_or_relaxed(&h->meta.flags[block], BLOCK_EVACUATE);
}

static void look_at(struct finder *f, uint32_t granule)
{
    struct heap *h = f->heap;
    enum block_kind kind = blocks_kind(&h->blocks, granule / MM_BLOCK_GRANULES);
    struct object o;

    touch(h, granule, kind);
    if (!object_load(h, granule, kind, &o) ||
        (o.granules > MM_LINE_GRANULES && block_kind_has_lines(kind) && !charge(h, granule, o.granules)))
        return;
    f->stow->objects++;
    f->stow->bytes += (uint64_t)o.granules * MM_GRANULE_BYTES;
    const struct scan_program *strong = o.program->weak ? &types_weak(&h->types, o.program)->strong : o.program;
    object_each_fixed(h->arena, granule, strong, find, f);
    if (strong->shape == SCAN_ARRAY)
        object_each_element(h->arena, granule, strong, 0, o.length, find, f);
}

static void find_graph(struct heap *h, struct worker *w, const struct packet_kind *kind, struct heap_stow *stow)
{
    struct finder f = { h, w, kind, stow, NULL };
    uint32_t granule;

    find(&f, 0, stow->root);
    while ((granule = take(&f)) != 0)
        look_at(&f, granule);
}

/* W3 */
static void put_back(struct heap *h)
{
    for (uint32_t block = 0; block < blocks_high(&h->blocks); block++) {
        if ((at_load_relaxed(&h->meta.charged[block]) & TOUCHED) == 0)
            continue;
        at_store_relaxed(&h->meta.charged[block], 0);
        bitmap_clear_range(heap_marks(h), (uint64_t)block * MM_BLOCK_GRANULES, ((uint64_t)block + 1) * MM_BLOCK_GRANULES);
    }
}

void stage_find_stows(struct worker *w, struct packet *p)
{
    struct collection *c = collection_of(w);

    for (size_t i = 0; i < c->stop->stow_count; i++)
        find_graph(c->heap, w, p->kind, &c->stop->stows[i]);
    put_back(c->heap);
}

/* ---- stowing ---- */

static void stow(struct collection *c, struct tracer *r, struct heap_stow *stow)
{
    uint64_t objects = r->tally->moved_objects, bytes = r->tally->moved_bytes;

    stow->done = true;
    if (stow->root == 0 || object_place(c->heap, stow->root) == BLOCK_UNCOMMITTED)
        return;
    stow->now = evacuate_in_order(r, stow->root);
    refcount_hold(c->heap, stow->now);
    stow->moved_objects = r->tally->moved_objects - objects;
    stow->moved_bytes = r->tally->moved_bytes - bytes;
    stow->cut |= at_load_relaxed(&c->trace.overflowed) != 0;
}

/* W5. Blocks taken for copies have no pins (evacuate.c E7). */
static void mark_pins(struct collection *c, uint64_t first, uint64_t end)
{
    const struct blocks *blocks = &c->heap->blocks;

    for (uint32_t block = (uint32_t)first; block < end; block++)
        if (block_kind_in_use(blocks_kind(blocks, block)) && !blocks_flag(blocks, block, BLOCK_FRESH))
            evacuate_mark_pins(&c->trace, block);
}

void stage_stow(struct worker *w, struct packet *p)
{
    struct collection *c = collection_of(w);
    struct tracer r = { &c->trace, tally_of(w), w, p };

    p->count = 0;
    for (size_t i = 0; i < c->stop->stow_count; i++)
        stow(c, &r, &c->stop->stows[i]);
    struct packet *pins = worker_packet_try_new(w, c->mark_pins);
    if (pins == NULL) {
        mark_pins(c, 0, blocks_high(&c->heap->blocks));
        return;
    }
    pins->args[1] = blocks_high(&c->heap->blocks);
    worker_packet_push(w, pins);
}

void stage_mark_pins(struct worker *w, struct packet *p)
{
    stage_split(w, p);
    mark_pins(collection_of(w), p->args[0], p->args[1]);
}
