/* SPDX-License-Identifier: Apache-2.0 */
/* open.c - Snap: a file becomes one, or not: every table is checked here, so that nobody else has to. */
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include "client/ctl/snap/inside.h"
#include "client/ctl/snap/snap.h"

static const size_t row_bytes[SHM_SNAPSHOT_SECTIONS] = {
    [SHM_SNAPSHOT_BLOCKS] = sizeof(struct shm_snapshot_block), [SHM_SNAPSHOT_SPACES] = sizeof(struct shm_snapshot_space),
    [SHM_SNAPSHOT_TYPES] = sizeof(struct shm_snapshot_type),   [SHM_SNAPSHOT_REFS] = sizeof(uint32_t),
    [SHM_SNAPSHOT_OWNERS] = sizeof(struct shm_snapshot_owner), [SHM_SNAPSHOT_ROOTS] = sizeof(struct shm_snapshot_root),
    [SHM_SNAPSHOT_STRINGS] = 1,                                [SHM_SNAPSHOT_OBJECTS] = SHM_SNAPSHOT_BITS,
    [SHM_SNAPSHOT_BYTES] = MM_BLOCK_BYTES,
};

static const char *check_header(const struct snap *s)
{
    const struct shm_snapshot *h = s->header;

    if (s->bytes < sizeof(*h) || h->magic != SHM_SNAPSHOT_MAGIC)
        return "this is no snapshot of a heap, or it was not finished";
    if (h->version != SHM_SNAPSHOT_VERSION)
        return "the snapshot is of another release: its version is not known here";
    if (h->granule_bytes != MM_GRANULE_BYTES || h->line_bytes != MM_LINE_BYTES || h->page_bytes != MM_PAGE_BYTES || h->block_bytes != MM_BLOCK_BYTES)
        return "the snapshot is of a heap with other units";
    if (h->arena_bytes == 0 || h->arena_bytes > MM_ARENA_MAX_BYTES || h->arena_bytes % MM_BLOCK_BYTES != 0)
        return "the snapshot says a size that no heap has";
    if (h->plan[sizeof(h->plan) - 1] != '\0' || h->heap[sizeof(h->heap) - 1] != '\0')
        return "the snapshot's names do not end";
    for (unsigned i = 0; i < SHM_SNAPSHOT_SECTIONS; i++) {
        const struct shm_snapshot_range *r = &h->sections[i];
        if (r->offset > s->bytes || (i != SHM_SNAPSHOT_STRINGS && r->offset % 8 != 0 && r->count > 0) ||
            r->count > (s->bytes - r->offset) / row_bytes[i] || r->count >= UINT32_MAX)
            return "the snapshot is cut short: a section of it reaches beyond its end";
    }
    return NULL;
}

uint64_t snap_bytes(const struct snap *s)
{
    uint64_t end = sizeof(*s->header);

    for (unsigned i = 0; i < SHM_SNAPSHOT_SECTIONS; i++)
        end = MM_MAX(end, s->header->sections[i].offset + s->header->sections[i].count * row_bytes[i]);
    return end;
}

static void find_sections(struct snap *s)
{
    const struct shm_snapshot_range *r = s->header->sections;

    s->blocks = (const void *)(s->base + r[SHM_SNAPSHOT_BLOCKS].offset);
    s->spaces = (const void *)(s->base + r[SHM_SNAPSHOT_SPACES].offset);
    s->types = (const void *)(s->base + r[SHM_SNAPSHOT_TYPES].offset);
    s->refs = (const void *)(s->base + r[SHM_SNAPSHOT_REFS].offset);
    s->owners = (const void *)(s->base + r[SHM_SNAPSHOT_OWNERS].offset);
    s->roots = (const void *)(s->base + r[SHM_SNAPSHOT_ROOTS].offset);
    s->strings = s->base + r[SHM_SNAPSHOT_STRINGS].offset;
    s->objects = (const void *)(s->base + r[SHM_SNAPSHOT_OBJECTS].offset);
    s->copies = s->base + r[SHM_SNAPSHOT_BYTES].offset;
    s->block_count = (uint32_t)r[SHM_SNAPSHOT_BLOCKS].count;
    s->space_count = (uint32_t)r[SHM_SNAPSHOT_SPACES].count;
    s->type_count = (uint32_t)r[SHM_SNAPSHOT_TYPES].count;
    s->owner_count = (uint32_t)r[SHM_SNAPSHOT_OWNERS].count;
    s->root_count = (uint32_t)r[SHM_SNAPSHOT_ROOTS].count;
    s->slots = (uint32_t)r[SHM_SNAPSHOT_BYTES].count;
    s->arena_blocks = (uint32_t)(s->header->arena_bytes / MM_BLOCK_BYTES);
}

static bool block_is_good(const struct shm_snapshot_block *b)
{
    bool copied = b->shape >= SHM_SNAPSHOT_LINES;

    return b->shape <= SHM_SNAPSHOT_LARGE && copied == (b->slot != 0) &&
           (b->shape != SHM_SNAPSHOT_CELLS || (b->cell_granules >= 2 && b->cell_granules <= MM_BLOCK_GRANULES));
}

static const char *check_blocks(struct snap *s)
{
    uint32_t slot = 0;

    if (s->header->sections[SHM_SNAPSHOT_OBJECTS].count != s->slots)
        return "the snapshot has not as many bitmaps of objects as blocks";
    s->rows = calloc(s->arena_blocks, sizeof(s->rows[0]));
    if (s->rows == NULL)
        return "there is not enough memory";
    for (uint32_t i = 0; i < s->block_count; i++) {
        const struct shm_snapshot_block *b = &s->blocks[i];
        if (b->block >= s->arena_blocks || (i > 0 && b->block <= b[-1].block) || !block_is_good(b) || (b->slot != 0 && b->slot != ++slot))
            return "the snapshot's table of blocks contradicts itself";
        s->rows[b->block] = i + 1;
    }
    if (slot != s->slots)
        return "the snapshot has not as many copies of blocks as its table says";
    for (uint32_t i = 0; i < s->space_count; i++)
        if (s->spaces[i].name[sizeof(s->spaces[i].name) - 1] != '\0')
            return "the snapshot's names do not end";
    return NULL;
}

static const char *check_types(const struct snap *s)
{
    uint64_t refs = s->header->sections[SHM_SNAPSHOT_REFS].count;
    const char *why;

    if (s->type_count >= SHM_TYPES_MAX)
        return "the snapshot has more types than there can be";
    for (uint32_t i = 0; i < s->type_count; i++) {
        const struct shm_snapshot_type *t = &s->types[i];
        const struct shm_type_row *row = &t->row;
        if (row->ref_count > SHM_TYPE_REFS_MAX || row->element_ref_count > SHM_TYPE_REFS_MAX || t->refs > refs ||
            row->ref_count + row->element_ref_count > refs - t->refs || row->name[SHM_TYPE_NAME_MAX] != '\0')
            return "the snapshot's table of types contradicts itself";
        struct shm_type_layout layout = { row->name,      row->fixed_bytes,  row->element_bytes, row->ref_count, row->element_ref_count,
                                          &s->refs[t->refs], &s->refs[t->refs + row->ref_count] };
        if (shm_type_check(&layout, &why) < 0)
            return "the snapshot has a type that cannot be";
    }
    return NULL;
}

static const char *check_owners(const struct snap *s)
{
    uint64_t strings = s->header->sections[SHM_SNAPSHOT_STRINGS].count;

    if (strings > 0 && s->strings[strings - 1] != '\0')
        return "the snapshot's names do not end";
    for (uint32_t i = 0; i < s->owner_count; i++)
        if (s->owners[i].kind > SHM_SNAPSHOT_THREAD)
            return "the snapshot has an owner of no known kind";
    for (uint32_t i = 0; i < s->root_count; i++)
        if (s->roots[i].owner >= s->owner_count)
            return "the snapshot has a root of nobody";
    return NULL;
}

/* Objects in immortal blocks are roots. */
static const char *find_immortals(struct snap *s)
{
    uint32_t capacity = 0;

    for (uint32_t i = 0; i < s->block_count; i++) {
        const struct shm_snapshot_block *b = &s->blocks[i];
        for (uint32_t at = 0; b->shape == SHM_SNAPSHOT_IMMORTAL && at < MM_BLOCK_GRANULES; at++) {
            if ((snap_bits_of(s, b)[at / 64] >> at % 64 & 1) == 0)
                continue;
            if (s->immortal_count == capacity) {
                capacity = capacity == 0 ? 256 : 2 * capacity;
                uint32_t *grown = realloc(s->immortals, capacity * sizeof(grown[0]));
                if (grown == NULL)
                    return "there is not enough memory";
                s->immortals = grown;
            }
            s->immortals[s->immortal_count++] = b->block * MM_BLOCK_GRANULES + at;
        }
    }
    return s->immortal_count > UINT32_MAX - s->root_count ? "the snapshot has more roots than can be counted" : NULL;
}

struct snap *snap_free(struct snap *s)
{
    if (s == NULL)
        return NULL;
    (void)munmap(s->base, s->bytes);
    free(s->rows);
    free(s->immortals);
    free(s);
    return NULL;
}

const char *snap_open(struct snap **ret_snap, void *address, size_t bytes)
{
    struct snap *s = calloc(1, sizeof(*s));

    if (s == NULL) {
        (void)munmap(address, bytes);
        return "there is not enough memory";
    }
    s->base = address;
    s->bytes = bytes;
    s->header = address;
    const char *wrong = check_header(s);
    if (wrong == NULL) {
        find_sections(s);
        wrong = check_blocks(s);
    }
    if (wrong == NULL)
        wrong = check_types(s);
    if (wrong == NULL)
        wrong = check_owners(s);
    if (wrong == NULL)
        wrong = find_immortals(s);
    if (wrong != NULL)
        return (void)snap_free(s), wrong;
    *ret_snap = s;
    return NULL;
}

/* As many bytes as there are, up to @size. */
static int read_all(int fd, char *to, size_t size)
{
    size_t done = 0;

    while (done < size) {
        ssize_t got = read(fd, to + done, size - done);
        if (got < 0 && errno == EINTR)
            continue;
        if (got < 0)
            return errno;
        if (got == 0)
            break;
        done += (size_t)got;
    }
    return 0;
}

const char *snap_open_file(struct snap **ret_snap, const char *path, int *ret_error)
{
    struct stat stat;
    int fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK);

    *ret_error = fd < 0 || fstat(fd, &stat) < 0 ? errno : 0;
    if (*ret_error != 0) {
        if (fd >= 0)
            close(fd);
        return "the file cannot be opened";
    }
    if (!S_ISREG(stat.st_mode) || stat.st_size < (off_t)sizeof(struct shm_snapshot)) {
        close(fd);
        return "this is no snapshot of a heap, or it was not finished";
    }
    void *memory = mmap(NULL, (size_t)stat.st_size, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    *ret_error = memory == MAP_FAILED ? errno : read_all(fd, memory, (size_t)stat.st_size);
    close(fd);
    if (memory == MAP_FAILED)
        return "there is not enough memory for the file";
    if (*ret_error == 0)
        return snap_open(ret_snap, memory, (size_t)stat.st_size);
    (void)munmap(memory, (size_t)stat.st_size);
    return "the file cannot be read";
}
