/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/* Hold blocks: the blocks that a thread was granted for its holds, and what the daemon is told of them (shm/mutator.h, Holds).
 *   A block is known by its place in the ring, plus one: 0 is none. It is in the pool, and then its row does not count, or in one hold's chain.
 *   Threads  the attached thread itself                                                                 */
#include <stdbool.h>
#include <stdint.h>

#include "shm/mutator.h"

struct thread;
struct stow_map;

struct held_block {
    char *start;
    char *top;                               /* of a chain's, but its last: here its objects end, at a line, after zeroes */
    uint32_t next;                           /* in its chain, or in the pool; 0: none */
    uint64_t row;                            /* what hold_rows says of it */
    struct stow_map *map;                    /* what was stowed out of it, if anything ever was */
};

struct hold_chain {
    uint32_t first, last, count;
};

struct hold_pool {
    uint32_t clean, clean_count;             /* their rows say nothing */
    uint32_t known;                          /* ring entries that were put into the pool so far */
    uint32_t most, in_use;                   /* blocks in chains: since the last look at the pool, and now */
    uint32_t trim_epoch;                     /* of that look */
    uint8_t *owners;                         /* a byte for each block of the arena: whose it is (hold.h) */
    uint16_t *places;                        /* of those in the ring, by block of the arena */
    struct held_block blocks[SHM_HOLD_CAPACITY];
};

static inline struct held_block *held_block(struct hold_pool *pool, uint32_t place)
{
    return &pool->blocks[place - 1];
}
/* A clean block at the end of @chain, the hold's of depth @depth. The pool is not empty. */
struct held_block *hold_chain_extend(struct thread *th, struct hold_chain *chain, uint8_t depth);
/* The last block of @chain has objects and zeroes up to @top, which is at a line. */
void hold_chain_cover(struct thread *th, const struct hold_chain *chain, const char *top);
/* Its objects are gone. @seen: a stop may have looked at its rows. @ended: nobody looks at them any more, since the outermost hold has ended:
 * then, if none was seen, it takes constant time; else a store a block. */
void hold_chain_drop(struct thread *th, struct hold_chain *chain, bool seen, bool ended);
/* The same of what was added to it behind @last, since it was @count long; no stop has seen that. */
void hold_chain_cut(struct thread *th, struct hold_chain *chain, uint32_t last, uint32_t count);
/* Puts what the daemon has granted into the pool. */
void hold_pool_take_in(struct thread *th);
/* No hold is open: gives back what was not needed for some time. */
void hold_pool_trim(struct thread *th);
