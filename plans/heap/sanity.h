/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/* Sanity: a second opinion on every collection, for debugging: what the roots reach is walked before and after by
 * code that shares nothing with the trace (one thread, its own bitmap and stack, the types as they were
 * registered), and must be the same.
 *   Owner    one collection, or one verification; memory of the heap's store, 1/64 of the arena a bitmap, touched where
 *            objects are
 *   Threads  the heap's one caller, the world stopped
 *   Why      docs/architecture.md#sanity */
#include <stdint.h>

#include "plans/heap.h"

struct sanity;

/* Before anything is marked, G closed: which objects the roots reach, and which of them must stay where they are.
 * Uses the mark bitmap as scratch. NULL: not enough memory. */
struct sanity *sanity_begin_stw(struct heap *h, const struct heap_stop *stop);
/* After the collection @c, VO and G those of the next cycle: sets the sanity_ fields of @c. NULL @c: there was no
 * collection after all. Frees @s, which may be NULL. */
void sanity_end_stw(struct sanity *s, const struct heap_stop *stop, struct heap_collection *c);

/* After a collection that had no walk before it: is all that the roots reach still there? Sets the sanity_ fields of @c. */
void sanity_check_reach_stw(struct heap *h, const struct heap_stop *stop, struct heap_collection *c);

struct sanity_reach {                        /* what the roots reach */
    uint64_t objects, bytes;
    uint64_t faults;                         /* references to no known object, bad headers; the first of them: */
    enum heap_fault first_fault;
    uint32_t first_object, first_ref;        /* granules; object 0: an exact root */
};
/* The same walk on its own: G opened, the mark bitmap the set of all objects (census.h). 0, or -ENOMEM. */
int sanity_reach_stw(struct heap *h, const struct heap_stop *stop, struct sanity_reach *ret);
