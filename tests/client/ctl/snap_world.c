/* SPDX-License-Identifier: Apache-2.0 */
#include "tests/client/ctl/snap_world.h"

#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

#include "client/ctl/snap/dominators.h"
#include "client/ctl/snap/paths.h"
#include "shm/object.h"

#define SLOTS 5u
#define ROOTS_MAX 512u
#define CELL_GRANULES 4u

static const struct shm_snapshot_block blocks[] = {
    { .block = 1, .slot = 1, .shape = SHM_SNAPSHOT_LINES, .live_lines = { 1, 0 } },
    { .block = 2, .slot = 2, .shape = SHM_SNAPSHOT_CELLS, .cell_granules = CELL_GRANULES },
    { .block = 3, .shape = SHM_SNAPSHOT_FREE, .space = 255 },
    { .block = 4, .slot = 3, .shape = SHM_SNAPSHOT_LARGE },
    { .block = 5, .slot = 4, .shape = SHM_SNAPSHOT_LARGE },
    { .block = 6, .slot = 5, .shape = SHM_SNAPSHOT_IMMORTAL },
};
static const uint32_t refs[] = { 0, 4, 0, 0 | SHM_REF_WEAK << SHM_REF_KIND_SHIFT, 4 | SHM_REF_EPHEMERON << SHM_REF_KIND_SHIFT };
static const struct shm_snapshot_type types[SNAP_WORLD_TYPES] = {
    { .row = { 8, 0, 2, 0, "node" }, .refs = 0 },
    { .row = { 0, 4, 0, 1, "row" }, .refs = 2 },
    { .row = { 0, 1, 0, 0, "bytes" }, .refs = 3 },
    { .row = { 12, 0, 2, 0, "weak" }, .refs = 3 },
};
static const char strings[] = "\0first\0second\0worker";
static const struct shm_snapshot_owner owners[SNAP_WORLD_OWNERS] = {
    { .kind = SHM_SNAPSHOT_NAMES }, { .kind = SHM_SNAPSHOT_ESTATE },
    { .kind = SHM_SNAPSHOT_SESSION, .session = 7, .pid = 70, .name = 1 },
    { .kind = SHM_SNAPSHOT_SESSION, .session = 8, .pid = 80, .name = 7 },
    { .kind = SHM_SNAPSHOT_THREAD, .session = 7, .thread = 1, .pid = 70, .name = 14 },
};
static const struct shm_snapshot_space spaces[] = { { .name = "immix", .used_bytes = 32768, .blocks = 5 } };

struct snap_world {
    unsigned char copies[SLOTS * MM_BLOCK_BYTES];
    uint64_t bits[SLOTS * SHM_SNAPSHOT_BITS / 8];
    uint32_t next[16];                        /* granule of the next header in a block */
    struct shm_snapshot_root roots[ROOTS_MAX];
    uint32_t root_count;
};

static uint32_t slot_of(uint32_t block)
{
    for (size_t i = 0; i < MM_ARRAY_LEN(blocks); i++)
        if (blocks[i].block == block)
            return blocks[i].slot;
    abort();
}

struct snap_world *snap_world_new(void)
{
    struct snap_world *w = calloc(1, sizeof(*w));

    if (w == NULL)
        abort();
    return w;
}

struct snap_world *snap_world_free(struct snap_world *w)
{
    free(w);
    return NULL;
}

uint32_t snap_world_add(struct snap_world *w, uint32_t block, uint32_t type, uint32_t length)
{
    const struct shm_type_row *row = &types[type - 1].row;
    uint64_t granules = object_bytes(row->fixed_bytes, row->element_bytes, length) / MM_GRANULE_BYTES;
    uint32_t header = w->next[block], room = (block == SNAP_WORLD_LARGE ? 2 : 1) * MM_BLOCK_GRANULES;

    if (block == SNAP_WORLD_CELLS)
        granules = granules > CELL_GRANULES ? room + 1 : CELL_GRANULES;
    if (header + granules > room)
        return 0;
    size_t base = (size_t)(slot_of(block) - 1);
    uint64_t word = object_header(type, row->element_bytes != 0 ? length : 0);
    memcpy(&w->copies[base * MM_BLOCK_BYTES + header * (size_t)MM_GRANULE_BYTES], &word, sizeof(word));
    w->bits[base * (SHM_SNAPSHOT_BITS / 8) + (header + 1) / 64] |= UINT64_C(1) << (header + 1) % 64;
    w->next[block] = header + (uint32_t)granules;
    return block * MM_BLOCK_GRANULES + header + 1;
}

void snap_world_set(struct snap_world *w, uint32_t ref, uint32_t word, uint32_t to)
{
    size_t at = (size_t)(slot_of(ref / MM_BLOCK_GRANULES) - 1) * MM_BLOCK_BYTES + ref % MM_BLOCK_GRANULES * (size_t)MM_GRANULE_BYTES;

    memcpy(&w->copies[at + word * sizeof(to)], &to, sizeof(to));
}

void snap_world_root(struct snap_world *w, uint32_t owner, uint32_t kind, uint32_t object)
{
    w->roots[w->root_count] = (struct shm_snapshot_root){ owner, kind, w->root_count, object, object, 1 };
    w->root_count++;
}

struct part {
    const void *rows;
    size_t row_bytes, count;
};

unsigned char *snap_world_bytes(const struct snap_world *w, size_t *ret_count)
{
    const struct part parts[SHM_SNAPSHOT_SECTIONS] = {
        [SHM_SNAPSHOT_BLOCKS] = { blocks, sizeof(blocks[0]), MM_ARRAY_LEN(blocks) },
        [SHM_SNAPSHOT_SPACES] = { spaces, sizeof(spaces[0]), MM_ARRAY_LEN(spaces) },
        [SHM_SNAPSHOT_TYPES] = { types, sizeof(types[0]), MM_ARRAY_LEN(types) },
        [SHM_SNAPSHOT_REFS] = { refs, sizeof(refs[0]), MM_ARRAY_LEN(refs) },
        [SHM_SNAPSHOT_OWNERS] = { owners, sizeof(owners[0]), MM_ARRAY_LEN(owners) },
        [SHM_SNAPSHOT_ROOTS] = { w->roots, sizeof(w->roots[0]), w->root_count },
        [SHM_SNAPSHOT_STRINGS] = { strings, 1, sizeof(strings) },
        [SHM_SNAPSHOT_OBJECTS] = { w->bits, SHM_SNAPSHOT_BITS, SLOTS },
        [SHM_SNAPSHOT_BYTES] = { w->copies, MM_BLOCK_BYTES, SLOTS },
    };
    struct shm_snapshot header = {
        .magic = SHM_SNAPSHOT_MAGIC, .version = SHM_SNAPSHOT_VERSION, .arena_bytes = 16 * MM_BLOCK_BYTES,
        .granule_bytes = MM_GRANULE_BYTES, .line_bytes = MM_LINE_BYTES, .page_bytes = MM_PAGE_BYTES, .block_bytes = MM_BLOCK_BYTES,
        .plan = "immix", .heap = "world",
    };
    size_t at = sizeof(header);

    for (unsigned i = 0; i < SHM_SNAPSHOT_SECTIONS; i++) {
        at = mm_align_up(at, i == SHM_SNAPSHOT_BYTES ? MM_PAGE_BYTES : 8);
        header.sections[i] = (struct shm_snapshot_range){ at, parts[i].count };
        at += parts[i].row_bytes * parts[i].count;
    }
    unsigned char *bytes = calloc(1, at);
    if (bytes == NULL)
        abort();
    memcpy(bytes, &header, sizeof(header));
    for (unsigned i = 0; i < SHM_SNAPSHOT_SECTIONS; i++)
        memcpy(bytes + header.sections[i].offset, parts[i].rows, parts[i].row_bytes * parts[i].count);
    *ret_count = at;
    return bytes;
}

unsigned char *snap_world_sample(size_t *ret_count)
{
    static const uint32_t small[] = { SNAP_WORLD_LINES, SNAP_WORLD_CELLS, SNAP_WORLD_IMMORTAL };
    struct snap_world *w = snap_world_new();
    uint32_t last = 0, large = snap_world_add(w, SNAP_WORLD_LARGE, SNAP_WORLD_ROW, 10000);

    for (uint32_t i = 0; i < 60; i++) {
        uint32_t node = snap_world_add(w, small[i % 3], i % 10 == 9 ? SNAP_WORLD_WEAK : SNAP_WORLD_NODE, 0);
        snap_world_set(w, node, 0, last);
        snap_world_set(w, node, 1, i % 7 == 0 ? large : last);
        snap_world_set(w, large, i * 100, node);
        last = node;
    }
    snap_world_add(w, SNAP_WORLD_LINES, SNAP_WORLD_BYTES, 20);
    for (uint32_t owner = 0; owner < SNAP_WORLD_OWNERS; owner++)
        snap_world_root(w, owner, owner == 0 ? SHM_SNAPSHOT_NAMED : SHM_SNAPSHOT_STRONG + owner, last);
    unsigned char *bytes = snap_world_bytes(w, ret_count);
    snap_world_free(w);
    return bytes;
}

const char *snap_world_open(const unsigned char *bytes, size_t count, struct snap **ret_snap)
{
    size_t mapped = count == 0 ? 1 : count;
    void *memory = mmap(NULL, mapped, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

    if (memory == MAP_FAILED)
        abort();
    memcpy(memory, bytes, count);
    return snap_open(ret_snap, memory, mapped);
}

/* ---- everything ---- */

static bool add(void *context, const struct snap_ref *ref)
{
    *(uint64_t *)context += ref->at + ref->to;
    return true;
}

static uint64_t read_objects(const struct snap *s)
{
    struct snap_object o, around;
    struct snap_ref some[8];
    uint64_t sum = 0;

    for (uint64_t at = 0; snap_object_next(s, at, &o); at = o.ref + 1) {
        for (uint64_t i = 0; i < o.payload_bytes; i += 509)
            sum += o.payload[i];
        if (o.bytes < 4096) /* of long ones only the first: there may be many, one in the other */
            snap_each_ref(s, &o, add, &sum);
        sum += snap_refs(s, &o, 3, some, MM_ARRAY_LEN(some)) + snap_object_around(s, o.ref + 1, &around);
    }
    return sum;
}

static uint64_t read_tables(const struct snap *s)
{
    uint64_t sum = 0;

    for (uint32_t i = 0; i < snap_root_count(s); i++) {
        struct shm_snapshot_root root = snap_root(s, i);
        struct shm_snapshot_owner owner = snap_owner(s, root.owner);
        sum += strlen(snap_string(s, root.name)) + strlen(snap_string(s, owner.name)) + strlen(snap_root_kind_name(root.kind));
    }
    for (uint32_t i = 0; i < snap_block_count(s); i++) {
        const struct shm_snapshot_space *space = snap_space(s, snap_block(s, i)->space);
        sum += space == NULL ? 0 : strlen(space->name);
    }
    for (uint32_t id = 0; id <= snap_type_count(s) + 1; id++)
        sum += snap_type(s, id) == NULL ? 0 : strlen(snap_type(s, id)->name);
    return sum;
}

void snap_world_read_all(const struct snap *s)
{
    volatile uint64_t sum = read_objects(s) + read_tables(s);
    struct snap_graph *g;
    struct snap_paths ways;

    (void)sum;
    if (snap_graph_new(&g, s) != NULL)
        return;
    uint32_t target = g->objects > 0 ? g->objects - 1 : snap_graph_root(g);
    struct snap_dominators *d = snap_dominators_new(g);
    if (d == NULL || !snap_paths_find(&ways, g, &target, 1))
        abort();
    free(snap_retained_by_type(g, d));
    snap_paths_fini(&ways);
    snap_dominators_free(d);
    snap_graph_free(g);
}
