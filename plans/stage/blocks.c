/* SPDX-License-Identifier: Apache-2.0 */
/* blocks.c - Stages that pass over all blocks: measure, prepare, release. */
#include "plans/stage/collection.h"

void stage_measure(struct worker *w, struct packet *p)
{
    struct heap *h = collection_of(w)->heap;
    struct share *share = worker_local(w);

    stage_split(w, p);
    for (uint32_t block = (uint32_t)p->args[0]; block < p->args[1]; block++)
        if (block_kind_in_use(blocks_kind(&h->blocks, block)))
            h->plan->measure_block(h, block, &share->spill);
}

void stage_choose(struct collection *c, struct job *job)
{
    struct plan_spill total = { 0 };

    for (unsigned i = 0; i < c->workers; i++) {
        const struct share *share = job_worker_local(job, i);
        for (unsigned rank = 0; rank < PLAN_SPILL_RANKS; rank++)
            total.lines[rank] += share->spill.lines[rank];
    }
    c->heap->plan->choose_stw(c->heap, &total);
}

void stage_prepare(struct worker *w, struct packet *p)
{
    struct heap *h = collection_of(w)->heap;

    stage_split(w, p);
    for (uint32_t block = (uint32_t)p->args[0]; block < p->args[1]; block++) {
        const struct space *space = space_of(blocks_kind(&h->blocks, block));
        if (space == NULL)
            continue;
        at_store_relaxed(&h->meta.flags[block], 0);
        space->prepare_block(h, block);
    }
}

void stage_sweep(struct worker *w, struct packet *p)
{
    struct heap *h = collection_of(w)->heap;
    struct share *share = worker_local(w);

    stage_split(w, p);
    for (uint32_t block = (uint32_t)p->args[0]; block < p->args[1]; block++) {
        const struct space *space = space_of(blocks_kind(&h->blocks, block));
        if (space != NULL)
            space->sweep_block(h, block, &share->sweep);
    }
}
