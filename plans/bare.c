/* SPDX-License-Identifier: Apache-2.0 */
/* bare.c - Bare: the region from its begin: arena, private metadata, log, page map, each whole pages; the store has the rest. */
#include "plans/bare.h"

#include <errno.h>
#include <string.h>

#include "shm/units.h"

struct parts {                               /* bytes */
    size_t arena, private, log, page_map;
};

static size_t whole_pages(size_t bytes)
{
    return mm_align_up(bytes, MM_PAGE_BYTES);
}

static struct parts parts_of(const struct heap_config *config)
{
    uint64_t arena = mm_align_up(config->max_bytes, MM_CHUNK_BYTES);

    return (struct parts){ .arena = arena,
                           .private = whole_pages(heap_private_bytes(config->plan, arena)),
                           .log = whole_pages(heap_log_bytes(config->plan, arena)),
                           .page_map = whole_pages(heap_page_map_bytes(config->plan, arena)) };
}

static size_t before_store(const struct parts *p)
{
    return p->arena + p->private + p->log + p->page_map;
}

static bool sizes_are_good(const struct heap_config *config)
{
    return config->max_bytes > 0 && config->max_bytes <= MM_ARENA_MAX_BYTES && heap_private_bytes(config->plan, config->max_bytes) > 0;
}

size_t bare_region_bytes(const struct bare_config *config)
{
    if (!sizes_are_good(&config->heap))
        return 0;
    struct parts p = parts_of(&config->heap);
    size_t store = heap_store_bytes(config->heap.plan, p.arena, &config->use) + engine_store_bytes(1, config->packet_bytes);
    return before_store(&p) + whole_pages(store + (config->extra_bytes > 0 ? store_piece_bytes(config->extra_bytes) : 0));
}

/* Clears what the heap wants to find zero, and says where it is. */
static void place(struct bare *b, char *region, const struct parts *p)
{
    char *private = region + p->arena, *log = private + p->private, *page_map = log + p->log;

    memset(region, 0, before_store(p));
    (void)shm_segment_init_memory(&b->arena_segment, region, p->arena); /* whole pages: they cannot fail */
    (void)shm_segment_init_memory(&b->private_segment, private, p->private);
    b->arena = region;
    b->log = p->log > 0 ? log : NULL;
    b->page_map = p->page_map > 0 ? page_map : NULL;
}

static int make(struct bare *b, const struct bare_config *config)
{
    struct engine_config engine = { .workers = 1, .threadless = true, .store = b->store };
    struct heap_config heap = config->heap;
    int r = engine_new_with(&b->engine, &engine);

    if (r < 0)
        return r;
    engine_set_packet_limit(b->engine, config->packet_bytes);
    heap.log = b->log;
    heap.page_map = b->page_map;
    heap.store = b->store;
    return heap_new(&b->heap, &heap, &b->arena_segment, &b->private_segment);
}

int bare_open(struct bare *ret, const struct bare_config *config, void *region, size_t bytes)
{
    struct bare b = { 0 };
    uint64_t offset;

    if (!sizes_are_good(&config->heap) || (uintptr_t)region % MM_PAGE_BYTES != 0 || bytes % MM_PAGE_BYTES != 0)
        return -EINVAL;
    struct parts p = parts_of(&config->heap);
    if (bytes < before_store(&p) + STORE_BYTES_MIN)
        return -ENOMEM;
    place(&b, region, &p);
    int r = store_new_in(&b.store, (char *)region + before_store(&p), bytes - before_store(&p));
    if (r == 0)
        r = make(&b, config);
    if (r < 0) {
        bare_close(&b);
        return r;
    }
    while (heap_commit_next(b.heap, &offset))
        heap_commit_done(b.heap, offset, true);
    *ret = b;
    return 0;
}

void bare_close(struct bare *b)
{
    heap_unref(b->heap);
    engine_unref(b->engine);
    store_unref(b->store);
    *b = (struct bare){ 0 };
}
