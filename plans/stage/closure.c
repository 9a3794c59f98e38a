/* SPDX-License-Identifier: Apache-2.0 */
/* closure.c - The closure stage: packets of the trace that this collection is made of. */
#include "plans/stage/collection.h"

void stage_objects(struct worker *w, struct packet *p)
{
    mark_run_objects(&collection_of(w)->trace, tally_of(w), w, p);
}

void stage_slots(struct worker *w, struct packet *p)
{
    evacuate_run_slots(&collection_of(w)->trace, tally_of(w), w, p);
}

void stage_slice(struct worker *w, struct packet *p)
{
    struct collection *c = collection_of(w);

    if (c->heap->evacuates)
        evacuate_run_slice(&c->trace, tally_of(w), w, p);
    else
        mark_run_slice(&c->trace, tally_of(w), w, p);
}

trace_rescan stage_rescan_of(const struct collection *c)
{
    return c->heap->evacuates ? evacuate_run_rescan : mark_run_rescan;
}

void stage_rescan(struct worker *w, struct packet *p)
{
    struct collection *c = collection_of(w);

    stage_rescan_of(c)(&c->trace, tally_of(w), w, p);
}
