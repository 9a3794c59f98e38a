/* SPDX-License-Identifier: Apache-2.0 */
/* histogram.c - Histogram: how many objects of each type stand in the heap, dead ones since the last collection included. */
#include "plans/heap/census.h"
#include "plans/heap/state.h"
#include "plans/heap/walk.h"

static void find_objects(struct census *c, void *local, uint32_t block)
{
    struct heap_histogram_row *rows = local;
    struct parse_faults faults = { 0 };

    census_find_objects(c->heap, block, &faults);
    rows[0].objects += faults.spans;
}

static void count_objects(struct census *c, void *local, uint32_t block)
{
    struct heap_histogram_row *rows = local;
    enum block_kind kind = blocks_kind(&c->heap->blocks, block);
    uint64_t at = (uint64_t)block * MM_BLOCK_GRANULES;
    uint32_t granule;
    struct object o;

    while (census_next(c->heap, block, &at, &granule)) {
        bool good = object_load(c->heap, granule, kind, &o);
        rows[good ? o.type : 0].objects++;
        rows[good ? o.type : 0].bytes += good ? (uint64_t)o.granules * MM_GRANULE_BYTES : 0;
    }
}

static void fold(struct census *c, const void *local)
{
    struct heap_histogram_row *to = c->context;
    const struct heap_histogram_row *from = local;

    for (uint32_t id = 0; id <= c->heap->types.count; id++) {
        to[id].objects += from[id].objects;
        to[id].bytes += from[id].bytes;
    }
}

int heap_histogram_stw(struct heap *h, struct engine *engine, const struct heap_stop *stop,
                       struct heap_histogram_row *rows)
{
    struct census c = {
        h, rows, (h->types.count + 1) * sizeof(*rows), { find_objects, count_objects }, fold
    };

    for (uint32_t id = 0; id <= h->types.count; id++)
        rows[id] = (struct heap_histogram_row){ 0 };
    grants_open_stw(h, stop);
    int r = census_run_stw(&c, engine);
    grants_end_unchanged_stw(h, stop);
    return r;
}
