/* SPDX-License-Identifier: Apache-2.0 */
#include "plans/heap/sanity_walk.h"

#include <string.h>

#include "plans/heap/bitmap.h"
#include "plans/heap/walk.h"
#include "plans/work/store.h"

/* memory */

static _Atomic uint64_t *new_bitmap(const struct heap *h)
{
    return store_alloc_zeroed(h->store, (h->granules / 64 + 1) * sizeof(uint64_t));
}

struct sanity *sanity_free(struct sanity *s)
{
    if (s == NULL)
        return NULL;
    struct store *store = s->heap->store;
    store_free(store, (void *)s->seen);
    store_free(store, (void *)s->stay);
    store_free(store, s->charged);
    store_free(store, s->words);
    store_free(store, s->pins);
    store_free(store, s->stack);
    store_free(store, s);
    return NULL;
}

struct sanity *sanity_new(struct heap *h)
{
    struct sanity *s = store_alloc_zeroed(h->store, sizeof(*s));

    if (s == NULL)
        return NULL;
    s->heap = h;
    s->seen = new_bitmap(h);
    s->stay = new_bitmap(h);
    s->charged = store_alloc_zeroed(h->store, (blocks_high(&h->blocks) + 1) * sizeof(s->charged[0]));
    return s->seen == NULL || s->stay == NULL || s->charged == NULL ? sanity_free(s) : s;
}

/* For a second walk. A new bitmap costs less than clearing one that is as large as the arena allows. */
bool sanity_forget(struct sanity *s)
{
    store_free(s->heap->store, (void *)s->seen);
    s->seen = new_bitmap(s->heap);
    memset(s->charged, 0, blocks_high(&s->heap->blocks) * sizeof(s->charged[0]));
    s->now = (struct sanity_graph){ 0 };
    return s->seen != NULL;
}

void sanity_note(struct sanity *s, enum heap_fault fault, uint32_t object, uint32_t ref)
{
    if (s->fault.count++ == 0)
        s->fault = (struct sanity_fault){ 1, fault, object, ref };
}

/* objects */

struct seen_object {
    const struct shm_type_row *row; /* NULL: a bad header */
    const uint32_t *refs, *element_refs;
    uint64_t header;
    uint32_t length, granules;
};

static struct seen_object read_object(const struct heap *h, uint32_t granule)
{
    enum block_kind kind = blocks_kind(&h->blocks, granule / MM_BLOCK_GRANULES);
    uint64_t header = foreign_load64(h->arena, (size_t)(granule - 1) * MM_GRANULE_BYTES);
    uint32_t type = object_header_type(header);
    struct seen_object o = { .header = header, .granules = MM_OBJECT_MIN_BYTES / MM_GRANULE_BYTES };

    if (type == 0 || type > h->types.count)
        return o;
    const struct shm_type_row *row = &h->types.rows[type];
    uint32_t length = row->element_bytes == 0 ? 0 : object_header_length(header);
    uint64_t bytes = object_bytes(row->fixed_bytes, row->element_bytes, length);
    if (!object_header_is_sound(header, row->element_bytes != 0))
        return o;
    if (bytes > object_room(h, granule, kind) * MM_GRANULE_BYTES)
        return o;
    o.row = row;
    o.refs = h->types.offsets[type];
    o.element_refs = o.refs + row->ref_count;
    o.length = length;
    o.granules = (uint32_t)(bytes / MM_GRANULE_BYTES);
    return o;
}

uint32_t sanity_granules(const struct heap *h, uint32_t granule, bool *ret_good)
{
    struct seen_object o = read_object(h, granule);

    *ret_good = o.row != NULL;
    return o.granules;
}

/* the walk */

static void digest(struct sanity *s, uint64_t what)
{
    s->now.digest = (s->now.digest + what) * UINT64_C(0x9e3779b97f4a7c15);
    s->now.digest ^= s->now.digest >> 29;
}

static void push(struct sanity *s, uint32_t granule)
{
    if (s->depth == s->capacity) {
        size_t capacity = MM_MAX(2 * s->capacity, (size_t)1 << 16);
        uint32_t *stack = store_resize(s->heap->store, s->stack, capacity * sizeof(*stack));
        if (stack == NULL) {
            s->short_of_memory = true;
            return;
        }
        s->stack = stack;
        s->capacity = capacity;
    }
    s->stack[s->depth++] = granule;
}

/* A reference in the object @from (0: a root), and which of five things it is. */
static void meet(struct sanity *s, uint32_t from, uint32_t to)
{
    enum { NOTHING, FORGED, SEEN, UNKNOWN, NEW } what;

    if (to == 0) {
        what = NOTHING;
    } else if (object_place(s->heap, to) == BLOCK_UNCOMMITTED) {
        what = FORGED;
        s->now.forged++;
        if (s->known != NULL && s->before.forged == 0)
            sanity_note(s, HEAP_FAULT_DANGLING_REF, from, to);
    } else if (bitmap_test(s->seen, to)) {
        what = SEEN;
    } else if (s->known != NULL && !bitmap_test(s->known, to)) {
        what = UNKNOWN;
        sanity_note(s, HEAP_FAULT_DANGLING_REF, from, to);
    } else {
        what = NEW;
        bitmap_set(s->seen, to);
        push(s, to);
    }
    digest(s, what);
}

static void scan_part(struct sanity *s, uint32_t granule, size_t at, const uint32_t *refs, uint32_t count)
{
    for (uint32_t i = 0; i < count; i++) {
        meet(s, granule, foreign_load32(s->heap->arena, at + shm_ref_offset(refs[i])));
        if (shm_ref_kind(refs[i]) == SHM_REF_EPHEMERON)
            meet(s, granule, foreign_load32(s->heap->arena, at + shm_ref_offset(refs[i]) + 4));
    }
}

static void scan(struct sanity *s, uint32_t granule, const struct seen_object *o)
{
    size_t at = (size_t)granule * MM_GRANULE_BYTES;

    scan_part(s, granule, at, o->refs, o->row->ref_count);
    at += o->row->fixed_bytes;
    for (uint32_t i = 0; o->row->element_ref_count > 0 && i < o->length; i++, at += o->row->element_bytes)
        scan_part(s, granule, at, o->element_refs, o->row->element_ref_count);
}

/* Honest objects of a block fit it together. */
static bool fits_block(struct sanity *s, uint32_t granule, uint32_t granules)
{
    uint32_t block = granule / MM_BLOCK_GRANULES;

    if (granules <= MM_LINE_GRANULES || !block_kind_has_lines(blocks_kind(&s->heap->blocks, block)))
        return true;
    if (s->charged[block] + granules > MM_BLOCK_GRANULES)
        return false;
    s->charged[block] = (uint16_t)(s->charged[block] + granules);
    return true;
}

static void visit(struct sanity *s, uint32_t granule)
{
    struct seen_object o = read_object(s->heap, granule);
    bool fits = fits_block(s, granule, o.granules);

    s->now.objects++;
    s->now.bytes += (uint64_t)o.granules * MM_GRANULE_BYTES;
    s->now.bad += o.row == NULL;
    s->now.undecided += !fits;
    digest(s, o.row == NULL ? 0 : o.header);
    if (o.row == NULL && s->known != NULL && s->before.bad == 0)
        sanity_note(s, HEAP_FAULT_BAD_HEADER, granule, 0);
    if (o.row != NULL && fits)
        scan(s, granule, &o);
}

/* No root is nothing to the digest: an empty row that its client ends between two walks is gone from the second. */
static void walk_from(struct sanity *s, uint32_t root)
{
    if (root != 0)
        meet(s, 0, root);
    while (s->depth > 0 && !s->short_of_memory)
        visit(s, s->stack[--s->depth]);
}

/* Weak ones are, too: until they are cleared what they lead to is whole. */
static bool is_looked_at(enum heap_root_kind kind)
{
    return kind == HEAP_ROOTS_EXACT || heap_root_is_weak(kind);
}

/* An exact root as the walk takes it. Before, each is remembered; after, a word that somebody changed is nobody's
 * root (S8). */
static uint32_t exact_root(struct sanity *s, const struct heap_roots *row, uint32_t i, size_t at)
{
    uint32_t now = at_load_relaxed(&row->words[i]);

    if (s->words == NULL)
        return now;
    if (s->known == NULL)
        s->words[at] = now;
    bool moved = s->heap->plan->constraints.moves && s->words[at] != 0 && now != 0;
    bool cleared = now == 0 && heap_root_is_weak(heap_root_kind(row, i));
    if (now == s->words[at] || moved || cleared)
        return now;
    s->changed = true;
    return 0;
}

static void walk_exact(struct sanity *s, const struct heap_stop *stop)
{
    size_t at = 0;

    for (size_t k = 0; k < stop->root_count; k++) {
        const struct heap_roots *row = &stop->roots[k];
        for (uint32_t i = 0; i < row->count; i++, at++)
            if (is_looked_at(heap_root_kind(row, i)))
                walk_from(s, exact_root(s, row, i, at));
            else
                s->changed |= s->words != NULL && s->known != NULL && s->words[at] != 0; /* its client has ended it meanwhile */
    }
}

static void walk_staying(struct sanity *s)
{
    uint64_t end = (uint64_t)blocks_high(&s->heap->blocks) * MM_BLOCK_GRANULES;

    for (uint64_t at = bitmap_find_set(s->stay, 0, end); at < end; at = bitmap_find_set(s->stay, at + 1, end))
        walk_from(s, (uint32_t)at);
}

void sanity_walk(struct sanity *s, const struct heap_stop *stop)
{
    walk_exact(s, stop);
    walk_staying(s);
}

