/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/* Bound: the packets of one job's open stage that one worker must run itself.
 *   Owner    embedded in the job's record of that worker; packets in it belong to the list
 *   Threads  push by anyone; pop by the owner worker; looks by anyone
 *   Order    newest first, and nothing is promised                                                Proof  bound.c  */
#include <stdalign.h>
#include <stdbool.h>

#include "plans/work/engine.h"

struct bound {
    alignas(MM_CACHE_LINE) _Atomic(struct packet *) newest;
};

void bound_push(struct bound *b, struct packet *p);
struct packet *bound_pop(struct bound *b);               /* NULL: empty. Owner only */
static inline bool bound_is_empty(const struct bound *b) /* seq_cst: takes part in the proof of idle.c */
{
    return atomic_load_explicit(&b->newest, memory_order_seq_cst) == NULL;
}
