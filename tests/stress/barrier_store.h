/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/* Barrier store: the write barrier's protocol with a hook before each instruction that others can see, and the orders that
 * are known to be wrong. What is hunted in stress_log.c; shm/write_barrier.h has the order, tests/model/ why.
 *   Threads  a writer belongs to one thread; its mutator's log is drained by another                                   */
#include <stdint.h>

#include "shm/mutator.h"

enum barrier_order {
    BARRIER_RIGHT,
    BARRIER_CLEARS_FIRST,                    /* the bit, then the entry */
    BARRIER_STORES_FIRST,                    /* the field, then the entry */
    BARRIER_NOT_TENTATIVE,                   /* an entry counts only once it is pushed */
    BARRIER_CONFIRMS_FIRST,                  /* whoever clears the bit */
    BARRIER_CLEARS_PLAINLY,                  /* no atomic AND */
    BARRIER_LOSER_LEAVES,                    /* its tentative entry */
    BARRIER_LOOKS_ONCE,                      /* at the bit, before the old value is read */
    BARRIER_ORDERS
};

struct writer {
    struct shm_mutator *m;                   /* log, log_ring, log_bits, log_mask and base are used */
    void (*step)(struct writer *w);          /* before each instruction; need not return: then the writer has been killed */
    enum barrier_order order;
};

/* Stores @value into reference @slot of the object at granule @object, whose references begin after its header. */
void barrier_store(struct writer *w, uint32_t object, uint32_t slot, uint32_t value);
