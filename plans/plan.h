/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/* Plan: a garbage collection algorithm, composed of spaces: what it promises, how it grants, how its blocks are swept.
 *   A plan is a constant table and a page of code; plans/nogc.c is the smallest and the template for the next. */
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "plans/heap.h"

struct plan_constraints {
    bool collects;                           /* false: grants until the heap is full */
    bool moves;                              /* objects that are not pinned may change their address */
    uint32_t barrier;                        /* enum shm_barrier_kind */
    uint32_t small_max_bytes;                /* larger objects are asked for one by one */
};

struct grant_request {
    enum shm_grant_class class;
    uint64_t bytes;
    uint32_t min_bytes;
};

struct sweep_tally {                         /* one worker's share, folded when the stage is over */
    uint64_t freed_bytes;
    uint64_t hole_lines;                     /* in IMMIX blocks that did not become free */
    uint32_t freed_immix_blocks, freed_large_blocks;
    int64_t freed_pages;                     /* of LARGE blocks, less those of blocks that went back whole */
};

struct plan {
    const char *name;
    struct plan_constraints constraints;
    /* Fills at most @capacity rows (and what @m's ring holds); returns their number. */
    size_t (*grant)(struct heap *h, struct heap_mutator *m, const struct grant_request *request, struct shm_grant *ret,
                    size_t capacity);
    /* Block by block and in parallel; NULL if the plan never collects. Only blocks in use are shown. */
    void (*prepare_block)(struct heap *h, uint32_t block);
    void (*sweep_block)(struct heap *h, uint32_t block, struct sweep_tally *tally);
    void (*after_sweep_stw)(struct heap *h, const struct sweep_tally *total);
    /* Every invariant of its spaces; the first that is broken. Reads metadata only: no client can make it fail. */
    enum heap_fault (*check_block_stw)(const struct heap *h, uint32_t block);
    size_t (*spaces)(const struct heap *h, struct heap_space_info *ret, size_t capacity);
};

#define PLAN_COUNT 2
extern const struct plan *const plans[PLAN_COUNT];
const struct plan *plan_find(const char *name);      /* NULL: no such */

extern const struct plan plan_nogc, plan_immix;
