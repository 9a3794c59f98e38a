/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/* Reference player: a client that makes structures of all kinds of references, changes them and guards them, beside a model of its own of what
 * strong references reach; and what all players count together.
 *   Owner    one thread, exact, inside but for its sleeps     Tally  shared by the test and its mates, over fork                 */
#include <mmgc/guardian.h>
#include <mmgc/reference.h>

#include "tests/support/crew.h"
#include "tests/support/entry.h"
#include "tests/support/stress.h"

#define PLAYER_SLOTS 16u
#define TALLY_MARKS (1u << 20)
#define PLAYER_HEIR "heir"

enum guard_state { GUARD_NONE, GUARD_BEGINS, GUARD_STANDS, GUARD_IS_DROPPED, GUARD_DROPPED };

struct tally {                               /* of all processes: who is killed has said what he did, but for the one thing he was at */
    _Atomic uint32_t marks, posts;           /* given out so far */
    _Atomic uint8_t guards[TALLY_MARKS];     /* enum guard_state, by mark */
    _Atomic uint8_t taken[TALLY_MARKS];      /* how often it was given back, by mark */
    _Atomic uint8_t announced[TALLY_MARKS];  /* by number of post */
};

struct thing {                               /* the same type for what is private and what is shared */
    mmgc_ref first, second, weak, phantom;
    struct mmgc_soft soft;
    struct mmgc_ephemeron pair;
    mmgc_ref queue, next;
    uint32_t id, mark, child;                /* child: the id of its first, when it was guarded or posted */
};

enum edge { FIRST, SECOND, WEAK, PHANTOM, SOFT, KEY, VALUE, EDGES };

struct model {                               /* a thing */
    struct model *next, *edges[EDGES];
    uint32_t id, mark;
    bool has_queue, is_guarded, is_due;
    bool lost;                               /* no strong reference has reached it at some time since it was looked at */
    bool risen;                              /* it was given back by a guard, or something was that refers to it */
    unsigned in, walk;                       /* which closures; of which comparison */
};

struct player {
    struct mmgc_heap *heap;
    struct mmgc_thread *t;
    mmgc_type thing;
    struct mate *mate;
    struct tally *tally;
    struct rng rng;
    bool keeps_soft;                         /* the heap's soft references outlive the test, if there is room */
    bool chains;                             /* somebody makes chains of ephemerons so long that values are followed whatever their keys */
    struct model *all, *roots[PLAYER_SLOTS];
    mmgc_local locals[PLAYER_SLOTS], queue, found, shared_queue;
    uint32_t count, next_id, walk;
    uint64_t compared, cleared, given;
};

/* The type, an exact thread that is inside, its local roots and queue. The heap's options are the caller's to set. */
void player_begin(struct player *p, struct entry *e, struct mate *mate, struct tally *tally, uint64_t seed);
void player_end(struct player *p);            /* forgets its model */
void player_step(struct player *p);          /* something at random, and a comparison with the model where that is due */
/* After whole collections: what the model does not reach is cleared, announced, given back, unless there are chains. */
void player_check_all(struct player *p);
void player_forget_all(struct player *p);    /* empties all roots */
/* [mates] numbers[0]: it is about to take something and has not said so yet. False: there was nothing. Checks what it is given. */
bool player_take(struct player *p);
struct thing *player_new(struct player *p);  /* [safepoint] */
mmgc_ref *thing_slot(struct thing *thing, enum edge e);
