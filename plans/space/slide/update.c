/* SPDX-License-Identifier: Apache-2.0 */
/* update.c - Update: references of objects that do not move: of blocks that stay, NONMOVING, IMMORTAL and LARGE ones.
 *   R1  each marked object's references are updated once: what an object may fill ends where the next marked
 *       one begins, and elements of arrays are handed out in ranges
 *   R2  headers are read once more; one that has grown since it was marked does not fit, or costs its block at
 *       the most */
#include "plans/heap/bitmap.h"
#include "plans/space/slide/groups.h"
#include "plans/space/slide/pieces.h"

#define ELEMENT_REFERENCES 4096u             /* that one packet updates */

static bool load(const struct heap *h, uint32_t granule, uint64_t room, struct object *ret)
{
    uint64_t header = foreign_load64(h->arena, (size_t)(granule - 1) * MM_GRANULE_BYTES);

    ret->granule = granule;
    return object_judge(&h->types, header, room, ret) && ret->program->shape != SCAN_LEAF;
}

static void update_lines_block(struct heap *h, uint32_t block)
{
    uint64_t first = (uint64_t)block * MM_BLOCK_GRANULES, end = first + MM_BLOCK_GRANULES, next;
    const _Atomic uint64_t *marks = heap_marks(h);
    struct object o;

    for (uint64_t at = bitmap_find_set(marks, first + 1, end); at < end; at = next) {
        next = bitmap_find_set(marks, at + 1, end);
        if (!load(h, (uint32_t)at, next < end ? next - at : end - at + 1, &o))
            continue;
        object_each_fixed(h->arena, o.granule, o.program, slide_update, h);
        if (o.program->shape == SCAN_ARRAY)
            object_each_element(h->arena, o.granule, o.program, 0, o.length, slide_update, h);
    }
}

void slide_update_elements(struct slide *s, struct worker *w, struct packet *p)
{
    const struct scan_program *program = (const void *)(uintptr_t)p->args[3];

    trace_split_range(w, p, MM_MAX(ELEMENT_REFERENCES / program->element_ref_count, 1u));
    object_each_element(s->heap->arena, (uint32_t)p->args[2], program, (uint32_t)p->args[0], (uint32_t)p->args[1],
                        slide_update, s->heap);
}

static void update_array(struct slide *s, struct worker *w, const struct object *o)
{
    struct packet *p = o->length > ELEMENT_REFERENCES ? worker_packet_try_new(w, s->elements) : NULL;

    if (p == NULL) {
        object_each_element(s->heap->arena, o->granule, o->program, 0, o->length, slide_update, s->heap);
        return;
    }
    p->args[0] = 0;
    p->args[1] = o->length;
    p->args[2] = o->granule;
    p->args[3] = (uintptr_t)o->program;
    worker_packet_push(w, p);
}

static void update_large_block(struct slide *s, struct worker *w, uint32_t block)
{
    struct heap *h = s->heap;
    struct object o;

    for (uint32_t page = block * MM_BLOCK_PAGES; page < (block + 1) * MM_BLOCK_PAGES; page++) {
        uint32_t granule = large_object_granule(page);
        if (!large_run_starts(h, page) || !bitmap_test(heap_marks(h), granule) ||
            !load(h, granule, object_room(h, granule, BLOCK_LARGE), &o))
            continue;
        object_each_fixed(h->arena, granule, o.program, slide_update, h);
        if (o.program->shape == SCAN_ARRAY)
            update_array(s, w, &o);
    }
}

void slide_update_block(struct slide *s, struct worker *w, uint32_t block)
{
    enum block_kind kind = blocks_kind(&s->heap->blocks, block);

    if (kind == BLOCK_LARGE)
        update_large_block(s, w, block);
    else if (block_kind_has_lines(kind) && !slide_is_source(s->heap, block))
        update_lines_block(s->heap, block);
}
