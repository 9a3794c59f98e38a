/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/* Log hunt: what stress_log.c and stress_log_end.c share: a few objects, writers that store to them, a collector that looks on.
 *   Threads  the collector's, but for what is atomic; see stress_log.c */
#include <pthread.h>
#include <stdbool.h>
#include <stdint.h>
#include <ucontext.h>

#include "shm/base.h"
#include "tests/stress/barrier_store.h"
#include "tests/support/stress.h"

#define WRITERS 3u
#define SLOTS 6u
#define SIZE 4u                              /* granules of an object: its header and three of two references each */
#define OBJECTS 7u
#define FRESH 2u                             /* of them: born in this round, so nobody needs to hear of them */
#define GRANULES (SIZE * (OBJECTS + 1))      /* object n is at granule SIZE * n; 0 is null, 1 the root */
#define ROUNDS 3u
#define STACK_BYTES (64u << 10)
#define AGENTS (WRITERS + 1)                 /* the last is the collector */

enum look {                                  /* at rings, to end marking without a stop */
    LOOK_NEVER,
    LOOK_RIGHT,
    LOOK_PUSHED_ONLY,                        /* no tentative entry counts */
    LOOK_UNCHECKED,                          /* an entry that is taken back meanwhile counts */
    LOOK_ONCE,                               /* and what it finds is marked, but nothing from there */
    LOOK_DROPS_LATE,                         /* what is logged when the barrier rests already */
    LOOK_PUSHED_FIRST                        /* then at what is tentative */
};

struct hunt;
struct agent {
    struct writer w;                         /* first: step() is told this much */
    struct hunt *h;
    struct rng rng;
    _Atomic bool dead, parked;
    ucontext_t context;
    char *stack;
    pthread_t thread;
};
struct hunt {
    enum shm_barrier_kind kind;
    bool threads;
    enum look look;
    uint32_t sparse;                         /* of so many references that are stored one is not null */
    uint32_t slow;                           /* the first writer takes one of so many turns that it could have */
    uint32_t hot, deadly;                    /* slots that are stored to are the first of hot objects; of how many steps one kills */
    struct rng rng;                          /* of fibres: who is next */
    struct agent agents[AGENTS];
    ucontext_t outside;
    _Alignas(8) _Atomic uint64_t memory[GRANULES];
    _Atomic uint8_t lines[GRANULES / BARRIER_LINE_GRANULES];
    _Atomic uint64_t bits[GRANULES / 64 + 1];
    uint64_t then[GRANULES];                 /* memory at the start of the round */
    uint32_t entries[GRANULES];              /* that count, of each unit: unit_of() */
    bool looked[GRANULES];                   /* their tentative entries were seen by the last look */
    bool marked[OBJECTS + 1], done[OBJECTS + 1];
    _Atomic bool stopping, over;
    _Atomic bool rests;                      /* marking has ended beside the writers */
    const char *wrong;                       /* what was found */
};

static inline bool is_fresh(uint32_t object)
{
    return object / SIZE > OBJECTS - FRESH;
}
static inline bool is_set(const struct hunt *h, uint32_t unit)   /* of fields */
{
    return at_load_relaxed(&h->bits[unit / 64]) >> (unit % 64) & 1;
}

/* stress_log.c */
void others_run(struct agent *a);            /* somebody, perhaps, before @a goes on */
void mark_both(struct hunt *h, uint64_t word);
bool mark_fields(struct hunt *h, struct agent *yield);           /* of one object; false: all are done */
bool drain_one(struct hunt *h, struct agent *yield, struct shm_mutator *m);      /* false: nothing there */

/* stress_log_end.c */
uint32_t lost_so_far(const struct hunt *h);
void compare_marked(struct hunt *h);         /* all of the snapshot is marked */
void end_beside(struct agent *collector);    /* of marking, as h->look has it; then it rests, unless that takes a stop */
void end_rest(struct hunt *h);               /* at the stop after that: every bit is set that the next round counts on */
