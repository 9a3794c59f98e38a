/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/* Grants: the list G (soundness S6 I2): what was granted and is not yet covered by a complete trace that began after.
 *   Kept as two line bitmaps, "granted" and "a span starts here", so that nothing is sorted or walked in the pause however
 *   much was granted. Only spans that the bitmaps cannot tell, the ones a mutator is bumping in, are a list of a few.
 *   G1  outside a collection every line of G is granted in the current bitmap, and no object bit lies in G
 *   G2  inside one (opened) current has exactly the spans finished by their mutator, which parse from first line to end;
 *       next has what stays in G: spans not begun and the rest of those begun, whose bytes are nobody's business
 *   G4  in a concurrent collection G stays open between its pauses: spans granted meanwhile go into next; current stays as it was
 *   G3  a span begun is irregular: parsed up to its zeroed limit, kept from its cursor
 *   G5  what a thread's row says of a block of its holds is whole lines: those behind the last stop's are finished now, the rest stays in
 *       G; of a retired one nothing stays. Until it is retired the block is BLOCK_HELD: none of its lines is a hole, so that nobody
 *       is granted what lies between the objects of a hold. An entry is the thread's to the next collection after it was retired
 *   Threads  the heap's one caller; a collection's workers read current, next and the list                          */
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "plans/heap.h"

struct span {                                /* granules, [start, end), inside one block */
    uint32_t start, end;
};

struct irregular {
    struct span span;
    uint32_t parse_end;                      /* [start, parse_end) holds objects or zeroes */
    uint32_t keep;                           /* [keep, end) stays in G */
};

struct hold_seen {                           /* what this stop has found in a hold's block */
    uint32_t rest_line : 31;                 /* objects and zeroes end before it */
    uint32_t retired : 1;
};

struct grant_ring {                          /* of one class of one mutator: our copy of what the client was told */
    uint32_t published, taken;               /* as in shm_mailbox; taken as last seen, clamped */
    uint32_t capacity;                       /* constant, a power of two */
    struct span *entries;
    bool has_rest;                           /* a collection left only ... */
    uint32_t rest_index;                     /* ... of this entry ... */
    struct span rest;                        /* ... this part in G */
    uint32_t next_taken;                     /* HOLD, between grants_open and its end: what taken becomes */
    bool open;                               /* between grants_open and its end: the entry `taken` is bumped in ... */
    uint32_t cursor;                         /* ... and what lies from here to its end is kept */
};

struct heap_mutator {
    struct heap *heap;                       /* constant */
    uint64_t classes;                        /* bit @class: its ring was ever granted to; the others are blank */
    uint32_t term;                           /* of grants, in which it was last granted to */
    struct grant_ring rings[SHM_GRANT_CLASSES];
    struct span entries[SHM_RING_ROWS];
    struct hold_seen holds[SHM_HOLD_CAPACITY]; /* of the entries of HOLD, between grants_open and its end */
};

struct grants {
    uint32_t mutators;                       /* live ones */
    uint32_t term, busy, busy_before;        /* pauses so far; how many were granted to since the last one, and between that and the one before */
    struct irregular *list;                  /* filled by grants_open; a concurrent collection keeps it, while the array that is ... */
    struct irregular *next_list;             /* ... for the next one grows with the mutators; else NULL */
    uint32_t count;
    struct irregular *sealed;                /* what dead mutators were bumping in, until the next collection */
    uint32_t sealed_count;
    uint32_t capacity;                       /* of list and of sealed; enough whatever happens next */
};

void grants_fini(struct heap *h);
size_t grants_store_bytes(unsigned mutators);                        /* what so many take of a store, and G with them */
/* How many more entries @m has room for. */
uint32_t grants_room(const struct heap_mutator *m, enum shm_grant_class class);
/* Puts [start, start + granules) into G as @m's next entry of @class and tells it in *ret. */
void grants_add(struct heap *h, struct heap_mutator *m, enum shm_grant_class class, struct shm_grant *ret,
                uint32_t start, uint32_t granules, uint32_t flags);

/* How many mutators allocate: since the last pause, or before it. At least 1. */
uint32_t grants_busy(const struct grants *g);
void grants_next_term_stw(struct grants *g);
/* Opens G for the world at this stop; then either ends it so, or G is as it was, and no memory reserved. */
void grants_open_stw(struct heap *h, const struct heap_stop *stop);
void grants_end_collected_stw(struct heap *h, const struct heap_stop *stop);
void grants_end_unchanged_stw(struct heap *h, const struct heap_stop *stop);
/* Memory for what follows: 0, -ENOMEM. Then the world may go on with G open (G4). Then, when all is swept, with the heap for oneself: G is
 * what was granted since. */
int grants_reserve_open(struct heap *h);
void grants_stay_open_stw(struct heap *h, const struct heap_stop *stop);
void grants_close(struct heap *h);
/* Clears the bits of @marks, and the line marks, in the part of @block that stays in G: only forged references lead there. */
void grants_clear_kept(const struct heap *h, uint32_t block, _Atomic uint64_t *marks);
bool grants_keeps(const struct heap *h, uint32_t granule);            /* G opened: does @granule stay in it? */
