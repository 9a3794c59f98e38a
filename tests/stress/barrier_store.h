/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/* Barrier store: the write barrier's protocol with a hook before each instruction that others can see, and the orders that
 * are known to be wrong. What is hunted in stress_log.c; shm/write_barrier.h has the order, tests/model/ why.
 *   Threads  a writer belongs to one thread; its mutator's log is drained by another                                   */
#include <stdint.h>

#include "shm/mutator.h"

enum barrier_order {
    BARRIER_RIGHT,
    BARRIER_CLEARS_FIRST,                    /* byte or bit, then the entry */
    BARRIER_STORES_FIRST,                    /* the field, then the entry; from here on: FIELDS alone */
    BARRIER_NOT_TENTATIVE,                   /* an entry counts only once it is pushed */
    BARRIER_CONFIRMS_FIRST,                  /* whoever clears the bit */
    BARRIER_CLEARS_PLAINLY,                  /* no atomic AND */
    BARRIER_LOSER_LEAVES,                    /* its tentative entry */
    BARRIER_LOOKS_ONCE,                      /* at the bit, before the old value is read */
    BARRIER_ORDERS
};

#define BARRIER_LINE_GRANULES 8u             /* short ones, so that a few objects are in several */

struct writer {
    struct shm_mutator *m;                   /* log, log_ring and base are used */
    enum shm_barrier_kind kind;
    _Atomic uint8_t *lines;                  /* bytes, of BARRIER_LINE_GRANULES */
    _Atomic uint64_t *bits;                  /* of FIELDS */
    void (*step)(struct writer *w);          /* before each instruction; need not return: then the writer has been killed */
    enum barrier_order order;
    const _Atomic bool *rests;               /* nobody asks what is stored any more */
};

/* Stores @value into reference @slot of the object at granule @object, whose references begin after its header. */
void barrier_store(struct writer *w, uint32_t object, uint32_t slot, uint32_t value);
