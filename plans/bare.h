/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/* Bare: one heap and the engine that collects it inside one region of memory, a static array say: no daemon, no system allocator, no thread.
 *   Region   whole pages: the arena, the heap's private metadata, its log and its page map if the plan has them, and a store
 *            (plans/work/store.h) for all records. What is in it before does not matter; what it holds is gone after bare_close()
 *   Calls    those of plans/heap.h, with .heap and .engine. All of the arena is committed. No call asks the system for memory, waits for
 *            anybody or makes a system call but to read the clock
 *   Owner    the caller, of region and struct; several may exist, each in a region of its own
 *   Threads  one at a time, as plans/heap.h says; it does the collector's work, too
 *   Errors   -ENOMEM where the store has no room: nothing is lost                     docs/architecture.md#bare-metal */
#include <stddef.h>

#include "plans/heap.h"
#include "plans/work/engine.h"
#include "plans/work/store.h"
#include "shm/segment.h"

struct bare_config {
    struct heap_config heap;                 /* but for page_map, log and store, which are the region's */
    struct heap_store_use use;               /* what is to be provided for */
    size_t packet_bytes;                     /* of the engine: 1 MiB does; with less, marking takes longer */
    size_t extra_bytes;                      /* of the store, for the caller's own use */
};

struct bare {                                /* [const] while it is open */
    struct heap *heap;
    struct engine *engine;
    struct store *store;
    char *arena;                             /* where references count from */
    void *log, *page_map;                    /* what clients write and read (plans/heap.h); NULL: the plan has none */
    struct shm_segment arena_segment, private_segment;
};

/* Enough for @config: 0: no such plan. A larger region has a larger store. */
size_t bare_region_bytes(const struct bare_config *config);
/* 0; -EINVAL: no such plan, bad sizes, or no whole pages; -ENOMEM: the region is too small, and *bare says nothing. */
int bare_open(struct bare *bare, const struct bare_config *config, void *region, size_t bytes);
/* Every mutator has been sealed, and the caller's own pieces have been freed: MM_ASSERT, as of anything that was forgotten. */
void bare_close(struct bare *bare);
