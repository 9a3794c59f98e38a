/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/* Plan: a garbage collection algorithm, composed of spaces: which ones, how small objects are granted, how the trace treats
 * what it meets. A plan is a constant table and a page of code; plans/nogc.c is the smallest and the template for the next
 * (docs/writing-a-plan.md). What all tracing plans share is schedule.c.                                                 */
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "plans/heap.h"
#include "plans/space/space.h"
#include "shm/control.h"
#include "shm/units.h"

enum plan_trace {
    PLAN_TRACE_NONE,                         /* never collects */
    PLAN_TRACE_MARK,                         /* objects stay where they are */
    PLAN_TRACE_EVACUATE,                     /* objects leave blocks flagged BLOCK_EVACUATE, if there is room; others are marked */
    PLAN_TRACE_SLIDE                         /* objects are marked, then slide together */
};

struct plan_constraints {                    /* what others may rely on; constant */
    enum plan_trace trace;
    bool moves;                              /* objects that are not pinned may change their address */
    bool concurrent;                         /* marks and sweeps while clients run: cycle.h */
    bool generational;                       /* most collections are of what was granted since the last one: generational.h */
    bool counts;                             /* and free by count what died since: refcount.h */
    bool closes_pages;                       /* what a collection frees, no client may touch until the next: heap/closed.h */
    bool restarts;                           /* a collection cut short by the daemon's death can be finished (soundness S19) */
    uint32_t barrier;                        /* enum shm_barrier_kind */
    uint32_t allocator;                      /* enum shm_allocator */
    uint32_t small_max_bytes;                /* larger objects are asked for one by one */
};

/* A spill histogram: lines in use in blocks of each rank; the higher, the more there is to be had from emptying them. */
#define PLAN_SPILL_RANKS (MM_BLOCK_LINES + 1u)
struct plan_spill {
    uint64_t lines[PLAN_SPILL_RANKS];
};

#define PLAN_SPACES_MAX 6u

struct slide_policy;                         /* space/slide/slide.h */

struct plan {
    const char *name;
    struct plan_constraints constraints;
    const struct space *spaces[PLAN_SPACES_MAX];         /* NULL ends them; what mmgcctl info shows */
    /* LINES, BLOCKS or CELLS: fills at most @capacity rows (and what @m's ring holds); returns their number. The other classes are
     * the same under every plan. */
    size_t (*grant)(struct heap *h, struct heap_mutator *m, const struct grant_request *request, struct shm_grant *ret,
                    size_t capacity);
    uint8_t copies_to[BLOCK_KINDS];                      /* of plans that evacuate: by the kind of block that an object leaves */
    const struct slide_policy *slide;                    /* of plans that slide, else NULL */
    /* Bytes of free blocks that a collection needs for copies: kept from every grant. NULL: none. */
    uint64_t (*reserve_bytes)(const struct heap *h);
    /* Optional, world stopped. Before anything is marked: the collection's own decisions. */
    void (*begin_stw)(struct heap *h, const struct heap_stop *stop);
    /* Optional, for collections that evacuate: looks at each block in use while the marks of the last collection still stand, many
     * workers at once; then chooses what to flag when blocks are prepared. */
    void (*measure_block)(struct heap *h, uint32_t block, struct plan_spill *spill);
    void (*choose_stw)(struct heap *h, const struct plan_spill *total);
    /* Optional, world stopped. When blocks are swept and counted. */
    void (*end_stw)(struct heap *h);
};

#define PLAN_COUNT 13
extern const struct plan *const plans[PLAN_COUNT];
const struct plan *plan_find(const char *name);      /* NULL: no such */

extern const struct plan plan_nogc, plan_immix, plan_semispace, plan_marksweep, plan_markcompact, plan_compressor, plan_pageprotect,
                         plan_stickyimmix, plan_genimmix, plan_gencopy, plan_concurrentimmix,
                         plan_concurrentstickyimmix, plan_lxr;
