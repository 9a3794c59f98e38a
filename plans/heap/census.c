/* SPDX-License-Identifier: Apache-2.0 */
#include "plans/heap/census.h"

#include <errno.h>
#include <string.h>

#include "plans/heap/bitmap.h"
#include "plans/trace/trace.h"

#define BLOCKS_A_PACKET 64u
#define BLOCK_WORDS (MM_BLOCK_GRANULES / 64u)

static const char *const stage_names[] = { "first look", "second look" };

static void run_visit(struct worker *w, struct packet *p)
{
    struct census *c = job_context(worker_job(w));

    trace_split_range(w, p, BLOCKS_A_PACKET);
    for (uint32_t block = (uint32_t)p->args[0]; block < p->args[1]; block++)
        c->visits[p->kind->stage](c, worker_local(w), block);
}

static const struct packet_kind kinds[] = { { "FIRST_LOOK", 0, run_visit, 0 },
                                            { "SECOND_LOOK", 1, run_visit, 0 } };

int census_run_stw(struct census *c, struct engine *engine)
{
    struct job_config config = { .name = "census",
                                 .stage_names = stage_names,
                                 .stages = MM_ARRAY_LEN(kinds),
                                 .context = c,
                                 .worker_local_bytes = c->local_bytes,
                                 .timeline = c->heap->timeline };
    MM_AUTO(job) job = NULL;

    int r = job_new(&job, engine, &config);
    if (r < 0)
        return r;
    for (size_t i = 0; i < MM_ARRAY_LEN(kinds); i++) {
        if (c->visits[i] == NULL || blocks_high(&c->heap->blocks) == 0)
            continue;
        struct packet *p = job_packet_add(job, &kinds[i]);
        if (p == NULL)
            return -ENOMEM;
        p->args[1] = blocks_high(&c->heap->blocks);
    }
    engine_run(engine, job);
    for (unsigned i = 0; i < engine_workers(engine); i++)
        c->fold(c, job_worker_local(job, i));
    return 0;
}

static void find_in_lines(struct heap *h, uint32_t block, struct parse_faults *faults)
{
    size_t first = (size_t)block * BLOCK_WORDS;

    memcpy((void *)(heap_marks(h) + first), (const void *)(heap_vo(h) + first), BLOCK_WORDS * 8);
    if (walk_block_in_g(h, block))
        walk_parse_block(h, block, heap_marks(h), faults);
}

/* The bits of G are in the bitmap too (cell_space.h), and stay: a collection clears them when it begins. */
static void find_in_cells(struct heap *h, uint32_t block, struct parse_faults *faults)
{
    uint32_t size = cell_granules(h, block), end = (block + 1) * MM_BLOCK_GRANULES;

    for (uint32_t granule = block * MM_BLOCK_GRANULES + 1; granule < end; granule += size) {
        struct object o;
        if (!cell_is_object(h, granule))
            continue;
        bool old = bitmap_test(heap_vo(h), granule), finished = !old && cell_space_finished(h, granule);
        bool good = finished && object_load(h, granule, BLOCK_CELLS, &o);
        bitmap_clear(heap_marks(h), granule);
        if (old || good)
            bitmap_set(heap_marks(h), granule);
        else if (finished)
            parse_fault(faults, granule);
    }
}

static void find_in_large(struct heap *h, uint32_t block, struct parse_faults *faults)
{
    for (uint32_t page = block * MM_BLOCK_PAGES; page < (block + 1) * MM_BLOCK_PAGES; page++) {
        if (!large_run_starts(h, page))
            continue;
        uint32_t granule = large_object_granule(page);
        struct object o;
        bool taken = !large_run_untaken(h, page),
             good = taken && object_load(h, granule, BLOCK_LARGE, &o);
        bitmap_clear(heap_marks(h), granule);
        if (good || bitmap_test(heap_vo(h), granule))
            bitmap_set(heap_marks(h), granule);
        else if (taken)
            parse_fault(faults, granule);
    }
}

void census_find_objects(struct heap *h, uint32_t block, struct parse_faults *faults)
{
    enum block_kind kind = blocks_kind(&h->blocks, block);

    if (block_kind_has_lines(kind))
        find_in_lines(h, block, faults);
    else if (kind == BLOCK_CELLS)
        find_in_cells(h, block, faults);
    else if (kind == BLOCK_LARGE)
        find_in_large(h, block, faults);
}

/* Of a LARGE block only the places where runs start are looked at: the rest of its bits is nobody's. */
static bool next_large(const struct heap *h, uint32_t block, uint64_t *granule, uint32_t *ret_object)
{
    uint64_t end = ((uint64_t)block + 1) * MM_BLOCK_PAGES;

    for (uint64_t page = *granule / MM_PAGE_GRANULES; page < end; page++) {
        uint32_t object = large_object_granule((uint32_t)page);
        if (object < *granule || !large_run_starts(h, (uint32_t)page) ||
            !bitmap_test(heap_marks(h), object))
            continue;
        *granule = (uint64_t)object + 1;
        *ret_object = object;
        return true;
    }
    return false;
}

bool census_next(const struct heap *h, uint32_t block, uint64_t *granule, uint32_t *ret_object)
{
    uint64_t end = ((uint64_t)block + 1) * MM_BLOCK_GRANULES;
    enum block_kind kind = blocks_kind(&h->blocks, block);

    if (!block_kind_has_lines(kind) && kind != BLOCK_CELLS)
        return kind == BLOCK_LARGE && next_large(h, block, granule, ret_object);
    uint64_t found = bitmap_find_set(heap_marks(h), *granule, end);
    while (kind == BLOCK_CELLS && found < end && !cell_is_object(h, (uint32_t)found))
        found = bitmap_find_set(heap_marks(h), found + 1, end);
    *granule = found + 1;
    *ret_object = (uint32_t)found;
    return found < end;
}
