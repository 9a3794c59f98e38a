/* SPDX-License-Identifier: Apache-2.0 */
/* heap.c - Heap: puts arena, metadata, types, blocks and grants together under one plan. */
#include "plans/heap.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "plans/generational.h"
#include "plans/heap/sanity.h"
#include "plans/heap/state.h"
#include "plans/refcount.h"
#include "plans/room.h"
#include "plans/schedule.h"
#include "plans/space/large_space.h"
#include "plans/work/store.h"

static uint64_t arena_bytes(uint64_t max_bytes)
{
    return mm_align_up(max_bytes, MM_CHUNK_BYTES);
}

static bool plan_slides(const struct plan *plan)
{
    return plan->constraints.trace == PLAN_TRACE_SLIDE;
}

size_t heap_private_bytes(const char *name, uint64_t max_bytes)
{
    const struct plan *plan = plan_find(name);
    struct metadata meta;

    return plan == NULL ? 0 : layout_place(&meta, NULL, arena_bytes(max_bytes), plan_slides(plan),
                                           plan->constraints.counts);
}

size_t heap_page_map_bytes(const char *name, uint64_t max_bytes)
{
    const struct plan *plan = plan_find(name);

    return plan != NULL && plan->constraints.closes_pages ? arena_bytes(max_bytes) / MM_BLOCK_BYTES : 0;
}

size_t heap_log_bytes(const char *name, uint64_t max_bytes)
{
    const struct plan *plan = plan_find(name);
    bool logs = plan != NULL && plan->constraints.barrier != SHM_BARRIER_NONE;

    return logs ? shm_log_bytes(arena_bytes(max_bytes)) : 0;
}

/* Checking all blocks after each collection costs a serial pass: for tests and for builds without optimisation. */
static bool wants_checks(void)
{
    const char *env = getenv("MM_HEAP_CHECK");
#ifdef __OPTIMIZE__
    bool unasked = false;
#else
    bool unasked = true;
#endif
    return env == NULL ? unasked : strcmp(env, "0") != 0;
}

static int place_page_map(struct heap *h, void *page_map, uint64_t bytes)
{
    if (!h->plan->constraints.closes_pages)
        return 0;
    if (page_map == NULL)
        page_map = h->own_page_map = store_alloc_zeroed(h->store, heap_page_map_bytes(h->plan->name, bytes));
    h->closed = page_map;
    return page_map == NULL ? -ENOMEM : 0;
}

static void write_header(struct heap *h, uint64_t max_bytes)
{
    struct heap_header *header = h->meta.header;

    header->version = HEAP_VERSION;
    header->max_bytes = max_bytes;
    strncpy(header->plan, h->plan->name, sizeof(header->plan) - 1);
    at_store_release(&header->magic, HEAP_MAGIC);
}

#define NURSERY_MIN_BYTES (UINT64_C(2) << 20)
#define NURSERY_MAX_BYTES (UINT64_C(32) << 20)
#define FIRST_NURSERY_PART 4u /* of the most, as long as nobody knows what a pause takes */

/* An administrator's zeroes. */
static void settle_nursery(struct heap *h)
{
    struct heap_nursery *n = &h->options.nursery;

    n->max_bytes = MM_MAX(n->max_bytes == 0 ? NURSERY_MAX_BYTES : n->max_bytes, n->min_bytes);
    n->min_bytes = n->min_bytes == 0 ? MM_MIN(NURSERY_MIN_BYTES, n->max_bytes) : n->min_bytes;
    h->nursery_bytes = h->options.pause_goal_ns == 0 ? n->max_bytes : MM_MAX(n->max_bytes / FIRST_NURSERY_PART, n->min_bytes);
    h->left_bytes = UINT64_MAX;
}

/* Of address space, when nobody has said how much is needed: more than any heap of that size will take. */
static size_t own_store_bytes(const char *plan, uint64_t bytes)
{
    static const struct heap_store_use use = { .mutators = 1u << 14, .types = SHM_TYPES_MAX, .root_rows = 1u << 20, .root_words = 1u << 26, .sanity = true };

    return 2 * heap_store_bytes(plan, bytes, &use) + bytes;
}

/* The record alone, in a store of its own if there is no other. */
static int heap_blank(struct heap **ret, const struct plan *plan, struct store *store, uint64_t bytes)
{
    struct store *own = NULL;
    int r = store != NULL ? 0 : store_new(&own, own_store_bytes(plan->name, bytes));

    if (r < 0)
        return r;
    store = own != NULL ? own : store;
    struct heap *h = store_alloc_zeroed(store, sizeof(*h));
    if (h == NULL) {
        store_unref(own);
        return -ENOMEM;
    }
    h->plan = plan;
    h->store = store;
    h->own_store = own;
    *ret = h;
    return 0;
}

static void heap_free(struct heap *h)
{
    struct store *store = h->store, *own = h->own_store;

    store_free(store, h->own_page_map);
    store_free(store, h);
    store_unref(own);
}

int heap_new(struct heap **ret_heap, const struct heap_config *config, struct shm_segment *arena,
             struct shm_segment *private)
{
    const struct plan *plan = plan_find(config->plan);
    uint64_t bytes = arena_bytes(config->max_bytes);

    if (plan == NULL || config->max_bytes == 0 || config->max_bytes > MM_ARENA_MAX_BYTES ||
        shm_segment_bytes(arena) < bytes || shm_segment_bytes(private) < heap_private_bytes(config->plan, bytes))
        return -EINVAL;
    struct heap *h;
    int r = heap_blank(&h, plan, config->store, bytes);
    if (r < 0)
        return r;
    r = place_page_map(h, config->page_map, bytes);
    if (r == 0)
        r = log_init(&h->log, h->store, plan->constraints.barrier, config->log, bytes);
    if (r == 0)
        r = types_init(&h->types, h->store);
    if (r < 0) {
        log_fini(&h->log);
        heap_free(h);
        return r;
    }
    h->arena = foreign_from(shm_segment_address(arena));
    h->granules = bytes / MM_GRANULE_BYTES;
    h->check = wants_checks();
    h->options = config->options;
    settle_nursery(h);
    h->log.active |= plan->constraints.counts || plan->constraints.generational; /* of others with cycles it rests until one begins */
    refcount_init(&h->count, h->store);
    pthread_mutex_init(&h->block_lock, NULL);
    layout_place(&h->meta, shm_segment_address(private), bytes, plan_slides(plan), plan->constraints.counts);
    blocks_init(&h->blocks, &h->meta, bytes, config->limit_bytes == 0 ? bytes : config->limit_bytes);
    write_header(h, bytes);
    *ret_heap = h;
    return 0;
}

struct heap *heap_unref(struct heap *h)
{
    if (h == NULL)
        return NULL;
    grants_fini(h);
    types_fini(&h->types);
    log_fini(&h->log);
    cycle_fini(&h->cycle, h->store);
    refcount_fini(&h->count, h->store);
    pthread_mutex_destroy(&h->block_lock);
    heap_free(h);
    return NULL;
}

const char *heap_plan_name(const struct heap *h)
{
    return h->plan->name;
}

void heap_record(struct heap *h, struct timeline *timeline)
{
    h->timeline = timeline;
}

bool heap_plan_collects(const struct heap *h)
{
    return h->plan->constraints.trace != PLAN_TRACE_NONE;
}

bool heap_plan_stows(const struct heap *heap)
{
    return heap->plan->constraints.trace == PLAN_TRACE_EVACUATE;
}

uint32_t heap_plan_allocator(const struct heap *h)
{
    return h->plan->constraints.allocator;
}

uint32_t heap_plan_barrier(const struct heap *h)
{
    return h->plan->constraints.barrier;
}

bool heap_barrier_active(const struct heap *h)
{
    return h->log.active;
}

bool heap_keeps_found(const struct heap *h)
{
    return heap_cycle(h) == HEAP_CYCLE_MARKING && !h->plan->constraints.counts;
}

/* types */

int heap_type_define(struct heap *h, const struct shm_type_layout *layout, uint32_t *ret_id)
{
    return types_define(&h->types, layout, ret_id);
}

uint32_t heap_type_count(const struct heap *h)
{
    return h->types.count;
}

const struct shm_type_row *heap_type_row(const struct heap *h, uint32_t id)
{
    return id >= 1 && id <= h->types.count ? &h->types.rows[id] : NULL;
}

/* memory */

bool heap_commit_next(struct heap *h, uint64_t *ret_offset)
{
    return blocks_commit_next(&h->blocks, ret_offset);
}

void heap_commit_done(struct heap *h, uint64_t offset, bool success)
{
    blocks_commit_done(&h->blocks, offset, success);
}

void heap_set_limit(struct heap *h, uint64_t bytes)
{
    blocks_set_limit(&h->blocks, MM_MAX(bytes, 1u));
}

uint64_t heap_excess_bytes(const struct heap *h)
{
    return blocks_excess_bytes(&h->blocks);
}

uint64_t heap_release_next(struct heap *h, uint64_t min_bytes, uint64_t max_bytes, uint64_t *offset)
{
    uint32_t unit = (uint32_t)MM_MIN(*offset / MM_COMMIT_BYTES, h->blocks.total / MM_COMMIT_BLOCKS);
    uint32_t count = blocks_release_next(&h->blocks, (uint32_t)(min_bytes / MM_COMMIT_BYTES),
                                         (uint32_t)(max_bytes / MM_COMMIT_BYTES), &unit);

    *offset = (uint64_t)unit * MM_COMMIT_BYTES;
    return (uint64_t)count * MM_COMMIT_BYTES;
}

void heap_release_done(struct heap *h, uint64_t offset, uint64_t bytes, bool success)
{
    blocks_release_done(&h->blocks, (uint32_t)(offset / MM_COMMIT_BYTES), (uint32_t)(bytes / MM_COMMIT_BYTES), success);
}

uint64_t heap_committed_bytes(const struct heap *h, uint64_t *ret_asked)
{
    return blocks_committed_bytes(&h->blocks, ret_asked);
}

uint64_t heap_uncommitted_row(const struct heap *h, uint64_t max_bytes, uint64_t *offset)
{
    uint32_t unit = (uint32_t)MM_MIN(*offset / MM_COMMIT_BYTES, h->blocks.total / MM_COMMIT_BLOCKS);
    uint32_t count = blocks_uncommitted_row(&h->blocks, (uint32_t)MM_MIN(max_bytes / MM_COMMIT_BYTES, UINT32_MAX), &unit);

    *offset = (uint64_t)unit * MM_COMMIT_BYTES;
    return (uint64_t)count * MM_COMMIT_BYTES;
}

void heap_foreign_begin(struct heap *h, uint64_t offset, uint64_t bytes)
{
    blocks_foreign_begin(&h->blocks, (uint32_t)(offset / MM_COMMIT_BYTES), (uint32_t)(bytes / MM_COMMIT_BYTES));
}

void heap_foreign_done(struct heap *h, uint64_t offset, uint64_t bytes)
{
    blocks_foreign_done(&h->blocks, (uint32_t)(offset / MM_COMMIT_BYTES), (uint32_t)(bytes / MM_COMMIT_BYTES));
}

uint64_t heap_free_bytes(const struct heap *h)
{
    uint64_t blocks = h->blocks.counts[BLOCK_FREE_CLEAN] + h->blocks.counts[BLOCK_FREE_DIRTY];
    uint64_t bytes = blocks * MM_BLOCK_BYTES, excess = blocks_excess_bytes(&h->blocks);

    return bytes - MM_MIN(bytes, excess);
}

uint64_t heap_hole_bytes(const struct heap *h)
{
    uint64_t lines = 0;

    for (unsigned kind = 0; kind < BLOCK_KINDS; kind++)
        lines += h->holes[kind].lines;
    return lines * MM_LINE_BYTES;
}

uint64_t heap_uncommitted_bytes(const struct heap *h)
{
    return blocks_uncommitted_bytes(&h->blocks);
}

uint64_t heap_used_bytes(const struct heap *h)
{
    uint64_t blocks = 0;

    for (unsigned kind = BLOCK_CLOSED; kind < BLOCK_KINDS; kind++)
        blocks += h->blocks.counts[kind];
    return blocks * MM_BLOCK_BYTES;
}

uint64_t heap_reserve_bytes(const struct heap *h)
{
    return h->plan->reserve_bytes == NULL ? 0 : h->plan->reserve_bytes(h);
}

uint64_t heap_grantable_bytes(const struct heap *h)
{
    return heap_hole_bytes(h) + room_above(h, ROOM_KEPT_FROM_LINES);
}

uint64_t heap_metadata_bytes(const struct heap *h)
{
    return h->meta.bytes;
}

size_t heap_spaces(const struct heap *h, struct heap_space_info *ret, size_t capacity)
{
    return spaces_describe(h, ret, capacity);
}

/* Holes, then whole blocks, for the spaces that every plan has. What needs a longer piece than a line gets it first. */
static size_t grant_common(struct heap *h, struct heap_mutator *m, enum block_kind kind,
                           const struct grant_request *request, struct shm_grant *ret, size_t capacity)
{
    size_t count = request->min_bytes > MM_LINE_BYTES
                       ? line_blocks_grant_one_hole(h, m, kind, request->class, request->min_bytes, ret)
                       : line_blocks_grant_holes(h, m, kind, request->class, request->bytes, ret, capacity);

    return count > 0 ? count
                     : line_blocks_grant_free(h, m, kind, request->class,
                                              MM_MIN(request->bytes, room_above(h, ROOM_KEPT_FOR_LARGE)), ret,
                                              capacity);
}

/* Whole blocks, of the space where nothing moves. */
static size_t grant_held(struct heap *h, struct heap_mutator *m, uint64_t bytes, struct shm_grant *ret, size_t capacity)
{
    size_t count = line_blocks_grant_free(h, m, BLOCK_NONMOVING, SHM_GRANT_HOLD, MM_MIN(bytes, room_above(h, ROOM_KEPT_FOR_LARGE)),
                                          ret, capacity);

    for (size_t i = 0; i < count; i++)
        at_or_relaxed(&h->meta.flags[ret[i].start / MM_BLOCK_GRANULES], (uint8_t)BLOCK_HELD);
    return count;
}

/* A client may ask for any class. Cells are what some plans are made of, of the sizes that are theirs. */
static bool class_is_served(const struct plan *plan, enum shm_grant_class class)
{
    uint32_t bytes = class < SHM_GRANT_CELLS ? 0 : shm_cell_bytes(class - SHM_GRANT_CELLS);

    switch ((enum shm_allocator)plan->constraints.allocator) {
    case SHM_ALLOCATOR_BUMP: return bytes == 0;
    case SHM_ALLOCATOR_PAGES: return bytes % MM_PAGE_BYTES == 0;
    case SHM_ALLOCATOR_CELLS: break;
    }
    return true;
}

size_t heap_grant(struct heap *h, struct heap_mutator *m, enum shm_grant_class class,
                  uint64_t bytes, uint32_t min_bytes, struct shm_grant *ret_grants, size_t capacity)
{
    struct grant_request request = { class, bytes, min_bytes };
    size_t room = MM_MIN(capacity, (size_t)grants_room(m, class));

    if (room == 0 || !class_is_served(h->plan, class))
        return 0;
    switch (class) {
    case SHM_GRANT_LARGE: return large_space_grant(h, m, bytes, ret_grants);
    case SHM_GRANT_NONMOVING: return grant_common(h, m, BLOCK_NONMOVING, &request, ret_grants, room);
    case SHM_GRANT_IMMORTAL: return grant_common(h, m, BLOCK_IMMORTAL, &request, ret_grants, room);
    case SHM_GRANT_HOLD: return grant_held(h, m, bytes, ret_grants, room);
    default: return h->plan->grant(h, m, &request, ret_grants, room);
    }
}

/* the stopped world */

const char *heap_pause_name(enum heap_pause kind)
{
    static const char *const names[HEAP_PAUSES] = {
        [HEAP_PAUSE_FULL] = "full",
        [HEAP_PAUSE_YOUNG] = "young",
        [HEAP_PAUSE_INITIAL_MARK] = "initial-mark",
        [HEAP_PAUSE_FINAL_MARK] = "final-mark",
        [HEAP_PAUSE_REFCOUNT] = "refcount",
    };
    return kind < HEAP_PAUSES ? names[kind] : "unknown";
}

/* A cycle has made marks ready: it begins, unless more is wanted than it can do. */
static bool begins_cycle(const struct heap *h, const struct heap_stop *stop)
{
    return heap_cycle(h) == HEAP_CYCLE_CLEARED && !h->plan->constraints.counts && !stop->whole && !stop->full_heap && !stop->emergency && stop->stow_count == 0;
}

static int collect(struct heap *h, struct engine *engine, const struct heap_stop *stop, struct heap_collection *ret)
{
    MM_ASSERT(heap_cycle(h) != HEAP_CYCLE_SWEEPING);
    if (h->plan->constraints.counts)
        return refcount_collect_stw(h, engine, stop, ret);
    if (heap_cycle(h) == HEAP_CYCLE_MARKING)
        return cycle_final_stw(h, engine, stop, ret);
    if (begins_cycle(h, stop))
        return cycle_initial_stw(h, engine, stop, ret);
    if (heap_cycle(h) == HEAP_CYCLE_CLEARED)
        heap_cancel_cycle(h);
    return schedule_collect_stw(h, engine, stop, ret);
}

/* Whatever is unmarked may be alive: what was known stays known. What the last stop left to be counted needs no roots; a cycle that was about to
 * begin does, and does not: somebody who waits for the end of this collection must see one. */
static int collect_nothing(struct heap *h, struct engine *engine, struct heap_collection *ret)
{
    int r = heap_cycle(h) == HEAP_CYCLE_COUNTING ? refcount_finish_stw(h, engine) : 0;

    if (r < 0)
        return r;
    if (heap_cycle(h) == HEAP_CYCLE_CLEARED)
        heap_cancel_cycle(h);
    if (h->plan->constraints.counts && heap_cycle(h) == HEAP_CYCLE_MARKING)
        refcount_give_up_trace(h);
    ret->live_objects = h->live_objects;
    ret->live_bytes = h->live_bytes;
    return 0;
}

int heap_collect_stw(struct heap *h, struct engine *engine, const struct heap_stop *stop,
                     struct heap_collection *ret)
{
    *ret = (struct heap_collection){ 0 };
    if (!heap_plan_collects(h))
        return -ENOTSUP;
    bool in_cycle = heap_cycle(h) == HEAP_CYCLE_MARKING && !h->plan->constraints.counts; /* the roots that count are those of its first stop */
    if (stop->roots_overflowed && !in_cycle)
        return collect_nothing(h, engine, ret);
    uint64_t begun = mm_now_ns();
    int r = h->plan->constraints.counts ? refcount_settle_stw(h, engine, stop) : 0;
    if (r < 0)
        return r;
    uint64_t settled = mm_now_ns() - begun;
    bool walks = h->options.sanity && !in_cycle && !begins_cycle(h, stop); /* which takes the place of a cycle's marks */
    struct sanity *sanity = walks ? sanity_begin_stw(h, stop) : NULL;
    uint64_t start = mm_now_ns() - settled;
    r = collect(h, engine, stop, ret);
    ret->duration_ns = mm_now_ns() - start;
    if (r == 0)
        generational_note_pause(h, ret, start);
    sanity_end_stw(sanity, stop, r == 0 ? ret : NULL);
    if (r == 0 && in_cycle && h->options.sanity && !stop->roots_overflowed)
        sanity_check_reach_stw(h, stop, ret);
    return r;
}
