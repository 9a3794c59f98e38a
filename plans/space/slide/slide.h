/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/* Slide: how live objects of SLIDE blocks are pushed together towards the lower end, in address order.
 *   Groups   the arena is cut into groups of adjacent blocks, which workers take whole. Every group's objects
 *            go to blocks that are no other group's destination
 *   Stages   layout  how many destinations each group needs; slide_layout_end_stw() adds them up
 *            map     where each unit of 64 granules goes (forward.h); the destinations become SLIDE blocks
 *            slide   objects move and their references are updated, in one pass (move.c); so are all others (update.c)
 *   Owner    the schedule of one collection
 *   Threads  calls with a worker: many at once, a group on one; _stw: one thread between stages */
#include <stdbool.h>
#include <stdint.h>

#include "plans/plan.h"
#include "plans/trace/trace.h"
#include "plans/work/engine.h"

struct slide_policy {                        /* a plan's; constant */
    uint32_t group_blocks;                   /* divides a commit unit */
    bool whole_heap;                         /* into the lowest blocks of the heap, free ones too; else into its own */
};

struct slide_group {
    uint32_t first;                          /* [layout] candidates (layout.c L1) below this group; in it, till all are laid out */
    uint32_t base, blocks;                   /* [layout] its destinations: candidates [base, base + blocks) */
    _Atomic uint32_t waits;                  /* for how many groups, and for its own turn */
    uint32_t next;                           /* on a worker's list of ready groups */
};

struct slide {
    struct heap *heap;
    const struct slide_policy *policy;
    struct slide_group *groups;              /* count + 1: the last one has only first */
    uint32_t count;
    struct heap_moves *moves;                /* NULL: nobody wants to know */
    const struct packet_kind *ready, *elements;      /* rows of the schedule's table that run the calls below */
};

/* For the heap's plan; one that does not slide has no groups. 0, or -ENOMEM. */
int slide_init(struct slide *s, struct heap *h);
void slide_fini(struct slide *s);

/* Packets: ranges of groups (args 0 and 1). */
void slide_layout(struct slide *s, uint32_t group);
void slide_layout_end_stw(struct slide *s);
void slide_map(struct slide *s, uint32_t group);
/* It is @group's turn: slides it, or leaves that to the last of the groups that it waits for. */
void slide_take_turn(struct slide *s, struct trace_tally *tally, struct worker *w, uint32_t group);
/* The same for a group that waits for nobody. */
void slide_run_ready(struct slide *s, struct trace_tally *tally, struct worker *w, uint32_t group);

/* References of objects that do not move, of one block. */
void slide_update_block(struct slide *s, struct worker *w, uint32_t block);
/* Elements [args[0], args[1]) of the array at granule args[2], of the program args[3]. */
void slide_update_elements(struct slide *s, struct worker *w, struct packet *p);
