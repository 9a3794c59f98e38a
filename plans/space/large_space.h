/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/* Large space: one object a run of pages; runs may cross blocks and chunks.
 *   runs[page]  at a run's first page: its length in pages, and RUN_UNTAKEN while its mutator has not finished it;
 *               at a block's first page, if no run starts in the block at or before it: the run's first page */
#include "plans/heap/state.h"
#include "plans/plan.h"

#define RUN_UNTAKEN (1u << 31)
#define RUN_NEW (1u << 30)                   /* granted, or untaken, since a concurrent collection began: it outlives that */
#define RUN_DEAD (1u << 29)                  /* dropped (trace/drop.h): free when its block is swept */
#define PAGE_NONE UINT32_MAX

size_t large_space_grant(struct heap *h, struct heap_mutator *m, uint64_t bytes, struct shm_grant *ret);
void large_space_taken(struct heap *h, uint32_t start);               /* its mutator has finished with the run at this granule */
void large_space_arm(struct heap *h, uint32_t block);                 /* stores to the runs that start in @block, and are taken, are logged */
void large_space_arm_run(struct heap *h, uint32_t first_page);
void large_space_keep(struct heap *h, uint32_t start);                /* RUN_NEW */
void large_space_return(struct heap *h, uint32_t start);              /* its mutator died and never began it */
void large_space_opened(struct heap *h, uint32_t block);              /* pages of it were closed, none is any more */

static inline bool large_run_starts(const struct heap *h, uint32_t page)
{
    return at_load_relaxed(&h->meta.run_starts[page / MM_BLOCK_PAGES]) >> (page % MM_BLOCK_PAGES) & 1;
}
static inline uint32_t large_run_pages(const struct heap *h, uint32_t first_page)
{
    return at_load_relaxed(&h->meta.runs[first_page]) & ~(RUN_UNTAKEN | RUN_NEW | RUN_DEAD);
}
static inline bool large_run_untaken(const struct heap *h, uint32_t first_page)
{
    return (at_load_relaxed(&h->meta.runs[first_page]) & RUN_UNTAKEN) != 0;
}
static inline uint32_t large_object_granule(uint32_t first_page)      /* where the object of a run is */
{
    return first_page * MM_PAGE_GRANULES + 1;
}
/* Could @granule, in a LARGE block, be an object? */
static inline bool large_is_object(const struct heap *h, uint32_t granule)
{
    return granule % MM_PAGE_GRANULES == 1 && large_run_starts(h, granule / MM_PAGE_GRANULES);
}
void large_space_sweep_dropped(struct heap *h, uint32_t block, struct sweep_tally *tally);
uint32_t large_run_of(const struct heap *h, uint32_t page);           /* first page of the run that covers @page, or PAGE_NONE */
