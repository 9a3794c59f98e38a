/* SPDX-License-Identifier: Apache-2.0 */
/* bound.c - A stack that many fill and one empties: one word, one CAS a call.
 *   B1  a packet leaves only by the owner's pop. So while the owner looks at the newest one, that packet stays on the list
 *       and its `next`, written before its push, stands: if the CAS finds the same newest, it is the same list below. No
 *       packet can have been away and come back, which is what breaks such a stack with two who pop.
 *   B2  push releases, pop acquires: what was written to a packet reaches its worker.                              */
#include "plans/work/bound.h"

/* seq_cst: "published, then looked for sleepers" of idle.c */
static bool bound_cas(struct bound *b, struct packet **newest, struct packet *to)
{
    return atomic_compare_exchange_weak_explicit(&b->newest, newest, to, memory_order_seq_cst,
                                                 memory_order_acquire);
}

void bound_push(struct bound *b, struct packet *p)
{
    struct packet *newest = at_load_relaxed(&b->newest);
    do
        p->next = newest;
    while (!bound_cas(b, &newest, p));
}

struct packet *bound_pop(struct bound *b)
{
    struct packet *p = at_load_acquire(&b->newest); /* pairs with bound_push */
    while (p != NULL && !bound_cas(b, &p, p->next))
        ; /* somebody pushed: only the newest has changed */
    return p;
}
