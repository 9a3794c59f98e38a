/* SPDX-License-Identifier: Apache-2.0 */
/* verify.c - Verify: every invariant of the spaces, and every reference of every object.
 *   The spaces' own invariants hold whatever clients write: a fault there is ours. The others are what clients promise. */
#include <string.h>

#include "plans/heap/bitmap.h"
#include "plans/heap/census.h"
#include "plans/heap/sanity.h"
#include "plans/heap/state.h"
#include "plans/heap/walk.h"

static const char *const sentences[] = {
    [HEAP_FAULT_NONE] = "no fault",
    [HEAP_FAULT_BAD_HEADER] =
        "an object's header has no known type, an unknown flag, or a size that does not fit",
    [HEAP_FAULT_OVERLAP] = "an object reaches into the next one",
    [HEAP_FAULT_DANGLING_REF] = "a reference is to a place where no object is",
    [HEAP_FAULT_LINE_MARK] = "an object lies in a line that counts as free",
    [HEAP_FAULT_BLOCK] = "a block's record disagrees with its lines, pages or grants",
    [HEAP_FAULT_ROOT] = "an exact root is to a place where no object is",
    [HEAP_FAULT_UNREACHED] = "an object that nothing refers to outlived a collection",
    [HEAP_FAULT_COUNT] = "a collection counted other objects or bytes than live",
    [HEAP_FAULT_GRAPH] = "what the roots reach is another graph than before the collection",
};

const char *heap_fault_sentence(enum heap_fault fault)
{
    return (size_t)fault < MM_ARRAY_LEN(sentences) ? sentences[fault] : "an unknown fault";
}

static bool is_before(const struct heap_fault_row *a, const struct heap_fault_row *b)
{
    if (a->object != b->object)
        return a->object < b->object;
    return a->fault != b->fault ? a->fault < b->fault : a->ref < b->ref;
}

/* Keeps those at the lowest addresses, so that verdicts do not depend on who was first. */
static void keep(struct heap_verdict *v, struct heap_fault_row row)
{
    uint32_t at = v->row_count;

    while (at > 0 && is_before(&row, &v->rows[at - 1]))
        at--;
    if (at == HEAP_FAULT_ROWS)
        return;
    v->row_count = MM_MIN(v->row_count + 1, HEAP_FAULT_ROWS);
    memmove(&v->rows[at + 1], &v->rows[at], (v->row_count - 1 - at) * sizeof(row));
    v->rows[at] = row;
}

static void note(struct heap_verdict *v, enum heap_fault fault, uint32_t object, uint32_t ref)
{
    keep(v, (struct heap_fault_row){ .fault = fault, .object = object, .ref = ref });
    v->faults++;
    v->root_faults += fault == HEAP_FAULT_ROOT;
}

static void fold(struct census *c, const void *local)
{
    struct heap_verdict *to = c->context;
    const struct heap_verdict *from = local;

    to->objects += from->objects;
    to->references += from->references;
    to->faults += from->faults;
    for (uint32_t i = 0; i < from->row_count; i++)
        keep(to, from->rows[i]);
}

static void check_block(struct census *c, void *local, uint32_t block)
{
    enum heap_fault fault = spaces_check_block_stw(c->heap, block);

    if (fault != HEAP_FAULT_NONE)
        note(local, fault, block * MM_BLOCK_GRANULES, 0);
}

static void find_objects(struct census *c, void *local, uint32_t block)
{
    struct heap_verdict *v = local;
    struct parse_faults faults = { 0 };

    census_find_objects(c->heap, block, &faults);
    if (faults.spans == 0)
        return;
    note(v, HEAP_FAULT_BAD_HEADER, faults.first, 0);
    v->faults += faults.spans - 1;
}

static bool is_object(const struct heap *h, uint32_t granule)
{
    return object_place(h, granule) != BLOCK_UNCOMMITTED && bitmap_test(heap_marks(h), granule);
}

struct check { /* of one object */
    const struct heap *heap;
    struct heap_verdict *verdict;
    uint32_t granule;
};

static void check_reference(void *context, uint64_t place, uint32_t reference)
{
    struct check *k = context;

    (void)place;

    if (reference == 0)
        return;
    k->verdict->references++;
    if (!is_object(k->heap, reference))
        note(k->verdict, HEAP_FAULT_DANGLING_REF, k->granule, reference);
}

/* A survivor of the last collection: all its lines are marked, and it is in no part of G. */
static void check_survivor(const struct heap *h, const struct object *o, struct heap_verdict *v)
{
    uint32_t first = (o->granule - 1) / MM_LINE_GRANULES;
    uint32_t last = (o->granule + o->granules - 2) / MM_LINE_GRANULES;

    if (grants_keeps(h, o->granule))
        note(v, HEAP_FAULT_BLOCK, o->granule, 0);
    for (uint32_t line = first; line <= last; line++) {
        if (at_load_relaxed(&h->meta.lines[line]) == 0)
            note(v, HEAP_FAULT_LINE_MARK, o->granule, 0);
        else if (bitmap_test(heap_granted(h), line))
            note(v, HEAP_FAULT_BLOCK, o->granule, 0);
    }
}

static void check_object(struct heap *h, uint32_t granule, enum block_kind kind, uint32_t next,
                         struct heap_verdict *v)
{
    struct check k = { h, v, granule };
    struct object o;

    v->objects++;
    if (!object_load(h, granule, kind, &o)) {
        note(v, HEAP_FAULT_BAD_HEADER, granule, 0);
        return;
    }
    if (next != 0 && next - granule < o.granules) {
        note(v, HEAP_FAULT_OVERLAP, granule, next);
        return; /* else overlapping arrays could be made to cost a day */
    }
    if (block_kind_has_lines(kind) && bitmap_test(heap_vo(h), granule))
        check_survivor(h, &o, v);
    object_each_fixed(h->arena, granule, o.program, check_reference, &k);
    if (o.program->shape == SCAN_ARRAY)
        object_each_element(h->arena, granule, o.program, 0, o.length, check_reference, &k);
}

static void check_objects(struct census *c, void *local, uint32_t block)
{
    struct heap *h = c->heap;
    enum block_kind kind = blocks_kind(&h->blocks, block);
    uint64_t at = (uint64_t)block * MM_BLOCK_GRANULES;
    uint32_t granule, next;

    for (bool more = census_next(h, block, &at, &granule); more; granule = next) {
        more = census_next(h, block, &at, &next);
        check_object(h, granule, kind, more ? next : 0, local);
    }
}

static void check_roots(const struct heap *h, const struct heap_stop *stop, struct heap_verdict *v)
{
    for (size_t i = 0; i < stop->root_count; i++) {
        const struct heap_roots *row = &stop->roots[i];
        for (uint32_t k = 0; k < row->count; k++) {
            enum heap_root_kind kind = heap_root_kind(row, k);
            bool leads = kind == HEAP_ROOTS_EXACT || heap_root_is_weak(kind);
            uint32_t word = leads ? at_load_relaxed(&row->words[k]) : 0;
            if (word != 0 && !is_object(h, word))
                note(v, HEAP_FAULT_ROOT, word, word);
        }
    }
}

/* The roots' side of it: what they reach must be objects that the blocks know, too. A fault that the blocks' side
 * has named is not named again. */
static int check_reach(struct heap *h, const struct heap_stop *stop, struct heap_verdict *v)
{
    struct sanity_reach reach;

    int r = sanity_reach_stw(h, stop, &reach);
    if (r < 0)
        return r;
    v->reachable_objects = reach.objects;
    v->reachable_bytes = reach.bytes;
    if (v->faults == 0 && reach.faults > 0) {
        note(v, reach.first_fault, reach.first_object, reach.first_ref);
        v->faults = reach.faults;
    }
    return 0;
}

/* What the blocks' side found has a header where it stands, but for a block's own record. */
static void read_headers(const struct heap *h, struct heap_verdict *v)
{
    for (uint32_t i = 0; i < v->row_count; i++) {
        struct heap_fault_row *row = &v->rows[i];
        bool stands = row->fault != HEAP_FAULT_BLOCK && row->fault != HEAP_FAULT_ROOT && row->object != 0 &&
                      object_place(h, row->object) != BLOCK_UNCOMMITTED;
        row->header = stands ? foreign_load64(h->arena, ((size_t)row->object - 1) * MM_GRANULE_BYTES) : 0;
    }
}

int heap_verify_stw(struct heap *h, struct engine *engine, const struct heap_stop *stop,
                    struct heap_verdict *ret)
{
    struct census spaces = { h, ret, sizeof(*ret), { check_block }, fold };
    struct census objects = { h, ret, sizeof(*ret), { find_objects, check_objects }, fold };

    *ret = (struct heap_verdict){ 0 };
    int r = census_run_stw(&spaces, engine);
    if (r < 0)
        return r;
    grants_open_stw(h, stop);
    r = census_run_stw(&objects, engine);
    if (r == 0)
        check_roots(h, stop, ret);
    if (r == 0)
        r = check_reach(h, stop, ret);
    read_headers(h, ret);
    grants_end_unchanged_stw(h, stop);
    return r;
}
