/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/* Sanity walk: what the roots reach, found by one thread that reads headers and types as they were registered: no
 * scan program, no packet, no mark bit. What sanity.c compares before and after a collection.
 *   Order    the graph alone decides it: exact roots row by row, then what must stay, by address; so the digest of
 *            headers and references is that of the graph, wherever its objects are
 *   Weak     references and rows that are not strong are walked like the others: what lives is whole, and refers to nothing that does not
 *   Hostile  no place for an object: passed over. A bad header: a leaf of least size. One visit an object; those
 *            longer than a line are leaves when they do not fit their block together */
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "plans/heap/state.h"

struct sanity_graph {                        /* what one walk saw */
    uint64_t objects, bytes, digest;
    uint64_t forged, bad;                    /* references to no place for an object, headers */
    uint64_t undecided;                      /* that overlap others, or lie where nobody has begun: sanity.c N2 */
};
struct sanity_fault {                        /* faults, and the first of them */
    uint64_t count;
    enum heap_fault first;
    uint32_t object, ref;
};

struct sanity {
    struct heap *heap;
    _Atomic uint64_t *seen;                  /* bit a granule: reached */
    _Atomic uint64_t *stay;                  /* bit a granule: pinned, or immortal: roots like the exact ones */
    const _Atomic uint64_t *known;           /* objects that may be reached; NULL: any */
    uint16_t *charged;                       /* a block: granules of its longer objects that were walked */
    uint32_t *words;                         /* the exact roots, row by row, before; NULL: they are not compared */
    uint32_t *pins;                          /* the same of what clients' tables pin; else 0 */
    bool changed;                            /* some of them are others now, and not because objects moved */
    bool short_of_memory;                    /* the walk was cut short */
    uint32_t *stack;
    size_t depth, capacity;
    struct sanity_graph before, now;
    bool keeps_old;                          /* the collection was a young one */
    struct sanity_fault fault;
};

struct sanity *sanity_new(struct heap *h);   /* NULL: not enough memory */
struct sanity *sanity_free(struct sanity *s);                /* NULL in, NULL out */
bool sanity_forget(struct sanity *s);        /* for a second walk; false: not enough memory */
void sanity_note(struct sanity *s, enum heap_fault fault, uint32_t object, uint32_t ref);

/* From all roots, into @now; notes references to unknown objects and, if there were none before, bad headers and
 * forged references. */
void sanity_walk(struct sanity *s, const struct heap_stop *stop);
/* The size of the object at @granule, a place for objects: that of a leaf if its header is bad, when *ret_good is
 * false. */
uint32_t sanity_granules(const struct heap *h, uint32_t granule, bool *ret_good);
