/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/* Barrier world: one row of references and two threads that store to it, made by hand in memory that a forked child shares at
 * the same addresses; and the one question that matters about it: could a store be missed now?
 *   Owner    the test: one mapping, ended with its process     Daemon  none: requests to it fail at once  */
#include <mmgc/mmgc.h>
#include <stdbool.h>
#include <stdint.h>

#include "client/thread.h"

#define WORLD_THREADS 2u
#define WORLD_REFS 160u /* in three lines, the first and the last not whole */
#define WORLD_ARENA_BYTES 65536u

struct world {
    struct mmgc_thread *t[WORLD_THREADS];
    mmgc_ref *row;                           /* the object */
    mmgc_ref before[WORLD_REFS];             /* what stood in it when it was armed */
    struct shm_mutator *m[WORLD_THREADS];
    uint32_t pushed[WORLD_THREADS], lost[WORLD_THREADS];     /* at that time */
    struct world_entry {                     /* of thread 0, when it was last looked at: world_rewrite_fault() */
        bool tentative;
        uint32_t at, retracted, object, offset;
        uint64_t old;
    } last;
    enum shm_barrier_kind kind;
    _Atomic uint8_t *lines;
    _Atomic uint64_t *bits;
};

struct world *world_new(void);
/* From now on @kind is logged. Fields hold numbers of their own, all bytes and bits are set, the rings are empty or, if @full,
 * have no room. */
void world_arm(struct world *w, enum shm_barrier_kind kind, bool full);
/* Of fields: the barrier is lowered, and all bits are set again, as the daemon does it when marking has ended. */
void world_rest(struct world *w);
/* NULL: each bit that was cleared since is in an entry, or one was lost: the daemon can set it again at the next stop. */
const char *world_rest_fault(const struct world *w);
/* NULL: whatever has changed, or can change now without anybody's being told, is in the log as it was. Otherwise what is not.
 * What a thread has died over counts as the daemon counts it. */
const char *world_fault(const struct world *w);
/* NULL: no word of an entry of thread 0 that was tentative when this was last asked has changed, or it was said to be retracted. */
const char *world_rewrite_fault(struct world *w);
/* As world_fault(), with no thread in the middle of anything: and each granule of the @count fields from @first on was logged by exactly
 * one entry, or each line by at least one and by no thread twice; the others by none. */
const char *world_end_fault(const struct world *w, uint32_t first, uint32_t count);
