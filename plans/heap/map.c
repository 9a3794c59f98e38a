/* SPDX-License-Identifier: Apache-2.0 */
/* map.c - Map: which blocks are whose, and how full, for people; between collections, or beside one that runs beside clients.
 *   Blocks with lines are as full as their lines are marked or granted, those of pages as their pages are; others are in use or not. */
#include "plans/heap.h"
#include "plans/heap/state.h"
#include "shm/units.h"

#define FULL 255u

/* clang-format off */
const char *const heap_map_kind_names[HEAP_MAP_KINDS] = {
    "uncommitted", "free", "closed", "immix", "copy", "nursery", "slide", "nonmoving", "immortal", "cells", "large",
};
static const uint8_t shown_as[BLOCK_KINDS] = {
    [BLOCK_UNCOMMITTED] = 0, [BLOCK_ASKED] = 0, [BLOCK_RESERVED] = 0, [BLOCK_FREE_CLEAN] = 1, [BLOCK_FREE_DIRTY] = 1,
    [BLOCK_CLOSED] = 2, [BLOCK_SWEPT] = 2, [BLOCK_IMMIX] = 3, [BLOCK_COPY] = 4, [BLOCK_NURSERY] = 5, [BLOCK_SLIDE] = 6,
    [BLOCK_NONMOVING] = 7, [BLOCK_IMMORTAL] = 8, [BLOCK_CELLS] = 9, [BLOCK_LARGE] = 10,
};
/* clang-format on */

/* 0 to FULL. */
static uint32_t how_full(const struct heap *h, uint32_t block, enum block_kind kind)
{
    if (!block_kind_in_use(kind))
        return 0;
    if (block_kind_has_lines(kind))
        return FULL - FULL * MM_MIN((uint32_t)at_load_relaxed(&h->meta.free_lines[block]), MM_BLOCK_LINES) / MM_BLOCK_LINES;
    if (kind == BLOCK_LARGE)
        return FULL - FULL * (uint32_t)__builtin_popcount(at_load_relaxed(&h->meta.free_pages[block])) / MM_BLOCK_PAGES;
    return FULL;
}

static void read_cell(const struct heap *h, struct heap_map *map, uint32_t cell, uint32_t end)
{
    uint32_t counts[HEAP_MAP_KINDS] = { 0 }, first = cell * map->blocks_a_cell, sum = 0, most = 0;

    end = MM_MIN(end, first + map->blocks_a_cell);
    for (uint32_t block = first; block < end; block++) {
        enum block_kind kind = blocks_kind(&h->blocks, block);
        counts[shown_as[kind]]++;
        sum += how_full(h, block, kind);
    }
    for (uint32_t kind = 1; kind < HEAP_MAP_KINDS; kind++)
        if (counts[kind] > counts[most])
            most = kind;
    map->kinds[cell] = (uint8_t)most;
    map->used[cell] = (uint8_t)(sum / map->blocks_a_cell);
}

void heap_map_read(const struct heap *h, struct heap_map *map)
{
    uint32_t end = MM_MIN(blocks_high(&h->blocks), h->blocks.total);

    map->blocks_a_cell = MM_MAX((h->blocks.total + map->cells - 1) / map->cells, 1u);
    map->cells = (end + map->blocks_a_cell - 1) / map->blocks_a_cell;
    for (uint32_t cell = 0; cell < map->cells; cell++)
        read_cell(h, map, cell, end);
}
