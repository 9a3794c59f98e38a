/* SPDX-License-Identifier: Apache-2.0 */
/* blocks.c - Stages that pass over all blocks: measure, prepare, release. */
#include "plans/heap/bitmap.h"
#include "plans/heap/moves.h"
#include "plans/heap/walk.h"
#include "plans/refcount.h"
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

static void prepare_whole(struct heap *h, uint32_t block, const struct space *space)
{
    uint8_t kept = BLOCK_HELD | (space->kind == BLOCK_LARGE ? BLOCK_YOUNG : 0); /* large_space.c L4 */

    at_and_relaxed(&h->meta.flags[block], kept);
    if (h->plan->constraints.counts && heap_cycle(h) == HEAP_CYCLE_NONE)
        refcount_clear_block(h, block);
    space->prepare_block(h, block);
}

/* Of blocks that nothing was granted in there is nothing to be made ready: a glance at 18 bytes. One that is held may be retired by this
 * stop: then its lines are counted. */
static void prepare_young(struct heap *h, uint32_t block, enum block_kind kind)
{
    uint8_t held = at_load_relaxed(&h->meta.flags[block]) & BLOCK_HELD;

    if (!block_kind_has_lines(kind) || (held == 0 && !walk_block_in_g(h, block)))
        return;
    uint8_t leaves = kind == BLOCK_NURSERY || refcount_moves_block(h, block, kind) ? BLOCK_EVACUATE : 0;
    bitmap_clear_range(heap_scratch_bits(h), (uint64_t)block * MM_BLOCK_GRANULES,
                       ((uint64_t)block + 1) * MM_BLOCK_GRANULES);
    at_store_relaxed(&h->meta.charged[block], 0);
    at_store_relaxed(&h->meta.flags[block], BLOCK_YOUNG | leaves | held);
}

void stage_prepare(struct worker *w, struct packet *p)
{
    struct heap *h = collection_of(w)->heap;

    stage_split(w, p);
    for (uint32_t block = (uint32_t)p->args[0]; block < p->args[1]; block++) {
        const struct space *space = space_of(blocks_kind(&h->blocks, block));
        if (space == NULL)
            continue;
        if (h->young)
            prepare_young(h, block, space->kind);
        else
            prepare_whole(h, block, space);
    }
}

void stage_sweep(struct worker *w, struct packet *p)
{
    struct heap_moves *moves = collection_of(w)->stop->moves;
    struct heap *h = collection_of(w)->heap;
    struct share *share = worker_local(w);

    stage_split(w, p);
    for (uint32_t block = (uint32_t)p->args[0]; block < p->args[1]; block++) {
        const struct space *space = space_of(blocks_kind(&h->blocks, block));
        if (space == NULL || (h->young && !blocks_flag(&h->blocks, block, BLOCK_YOUNG)))
            continue;
        if (MM_UNLIKELY(moves != NULL) && blocks_flag(&h->blocks, block, BLOCK_EVACUATE))
            moves_note_evacuated(moves, h, block);
        space->sweep_block(h, block, &share->sweep);
        if (h->plan->constraints.counts)
            refcount_block_swept(h, w, collection_of(w)->elements, block);
    }
}
