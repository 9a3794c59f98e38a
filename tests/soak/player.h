/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/* Player: a client process of the soak: it joins a heap, lives there in one way until it is told to leave, and leaves in good order, if it is not
 * killed before. Whatever it finds that should not be ends it with EXPECT().
 *   Ways     ways.c: what one turn is, and what is checked in it     Told  LEAVE            numbers[0]: turns so far            */
#include "tests/support/crew.h"
#include "tests/support/entry.h"
#include "tests/support/shadow.h"
#include "tests/support/stress.h"

#define PLAYER_BUDGET_BYTES (UINT64_C(192) << 10)
#define LEAVE 1u

struct player_options {
    const char *socket, *heap, *plan, *options;
    uint64_t max_bytes, limit_bytes, seed;
    uint32_t seat; /* nobody else who lives has this number */
    bool full;     /* the heap is there to be filled */
};
struct player {
    struct entry e; /* inside between two turns */
    struct rng rng;
    const struct player_options *options;
    void *state; /* of its way */
};
struct way {
    const char *name;
    void (*begin)(struct player *p); /* NULL: nothing to do; so for end */
    void (*turn)(struct player *p);
    void (*end)(struct player *p);
    bool has_locals; /* from one turn to the next */
};
extern const struct way ways[], way_full;
extern const uint32_t way_count;

void player_live(struct mate *mate, void *options); /* for crew_start() */
