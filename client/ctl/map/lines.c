/* SPDX-License-Identifier: Apache-2.0 */
#include "client/ctl/map/lines.h"

#include <stdlib.h>
#include <string.h>

#include "client/ctl/snap/index.h"

#define SPACES 256u

static bool has_line(const uint64_t lines[2], uint32_t line)
{
    return (lines[line / 64] >> line % 64 & 1) != 0;
}

/* Of an object's lines its header's is the first. @row is where the walk is: objects come by address. */
static void add_object(struct map_lines *l, const struct snap *s, uint32_t *row, const struct snap_object *o)
{
    uint64_t first = (o->ref - UINT64_C(1)) * MM_GRANULE_BYTES, last = first + o->bytes - 1;

    while (*row < snap_block_count(s) && snap_block(s, *row)->block < first / MM_BLOCK_BYTES)
        ++*row;
    uint64_t at = (uint64_t)*row * MM_BLOCK_LINES + first % MM_BLOCK_BYTES / MM_LINE_BYTES;
    for (uint64_t line = first / MM_LINE_BYTES; line <= last / MM_LINE_BYTES && at < l->count; line++, at++)
        l->types[at] = (uint16_t)o->type;
}

/* Of what a thread is just allocating in, the block alone says so. @says: lines of its space do; @collected: the heap has been, once. */
static enum map_state state_of(const struct shm_snapshot_block *b, uint32_t line, uint16_t type, bool says, bool collected)
{
    if (b->shape == SHM_SNAPSHOT_FREE || b->shape == SHM_SNAPSHOT_CLOSED)
        return MAP_FREE;
    if (has_line(b->live_lines, line))
        return MAP_OLD;
    if (type == 0)
        return MAP_HOLE;
    if (has_line(b->granted_lines, line) || (b->flags & SHM_SNAPSHOT_YOUNG) != 0 || !collected)
        return MAP_YOUNG;
    return says ? MAP_DEAD : MAP_OLD;
}

/* Where no line of a space is said to be alive, its plan does not keep that. */
static void find_states(struct map_lines *l, const struct snap *s)
{
    bool says[SPACES] = { false }, collected = snap_header(s)->collections > 0;

    for (uint32_t row = 0; row < snap_block_count(s); row++)
        says[snap_block(s, row)->space] |= (snap_block(s, row)->live_lines[0] | snap_block(s, row)->live_lines[1]) != 0;
    for (uint64_t i = 0; i < l->count; i++) {
        const struct shm_snapshot_block *b = snap_block(s, (uint32_t)(i / MM_BLOCK_LINES));
        l->states[i] = (uint8_t)state_of(b, i % MM_BLOCK_LINES, l->types[i], says[b->space], collected);
    }
}

bool map_lines_init(struct map_lines *l, const struct snap *s)
{
    struct snap_object o;
    uint64_t at = 0;
    uint32_t row = 0;

    *l = (struct map_lines){ .count = (uint64_t)snap_block_count(s) * MM_BLOCK_LINES };
    l->states = calloc(l->count + 1, sizeof(l->states[0]));
    l->types = calloc(l->count + 1, sizeof(l->types[0]));
    if (l->states == NULL || l->types == NULL) {
        map_lines_fini(l);
        return false;
    }
    while (snap_index_step(s, &at, &o))
        add_object(l, s, &row, &o);
    find_states(l, s);
    return true;
}

void map_lines_fini(struct map_lines *l)
{
    free(l->states);
    free(l->types);
    *l = (struct map_lines){ 0 };
}
