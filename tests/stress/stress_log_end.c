/* SPDX-License-Identifier: Apache-2.0 */
/* stress_log_end.c - Log end: marking that ends while writers run, as daemon/drain.c and plans/cycle.c have it, and mistakes in that. */
#include <string.h>

#include "tests/stress/log_hunt.h"

static void reach_then(const struct hunt *h, uint32_t ref, bool *reached)
{
    uint32_t o = ref / SIZE;
    if (ref == 0 || reached[o])
        return;
    reached[o] = true;
    for (uint32_t g = SIZE * o + 1; g < SIZE * (o + 1); g++) {
        reach_then(h, (uint32_t)h->then[g], reached);
        reach_then(h, (uint32_t)(h->then[g] >> 32), reached);
    }
}

void compare_marked(struct hunt *h)
{
    bool reached[OBJECTS + 1] = { false };
    reach_then(h, SIZE, reached);
    for (uint32_t o = 1; o <= OBJECTS; o++)
        if (h->kind == SHM_BARRIER_FIELDS && reached[o] && !h->marked[o])
            h->wrong = "an object of the snapshot is not marked";
}

uint32_t lost_so_far(const struct hunt *h)
{
    uint32_t lost = 0;
    for (uint32_t i = 0; i < WRITERS; i++)
        lost += at_load_acquire(&h->agents[i].w.m->log.lost);
    return lost;
}

/* daemon/drain.c, with others between any two loads. */
static void look_at_entry(struct hunt *h, struct agent *yield, struct shm_mutator *m, uint32_t at, uint32_t retracted)
{
    const struct shm_log_entry *e = &m->log_ring[at % SHM_LOG_CAPACITY];
    others_run(yield);
    uint32_t granule = at_load_acquire(&e->object);
    others_run(yield);
    granule += at_load_acquire(&e->offset);
    others_run(yield);
    uint64_t old = at_load_acquire(&e->old);
    others_run(yield);
    if (at_load_relaxed(&m->log.retracted) != retracted && h->look != LOOK_UNCHECKED)
        return;
    if (granule >= GRANULES || old != h->then[granule]) {
        h->wrong = "a tentative entry has another old value than stood there";
        return;
    }
    h->looked[granule] = true;
    mark_both(h, old);
}

static void look_at_ring(struct hunt *h, struct agent *yield, struct shm_mutator *m)
{
    uint32_t retracted = at_load_acquire(&m->log.retracted), tentative = 0;
    others_run(yield);
    if (h->look != LOOK_PUSHED_FIRST)
        tentative = at_load_acquire(&m->log.tentative);
    others_run(yield);
    uint32_t pushed = at_load_acquire(&m->log.pushed);
    while (at_load_relaxed(&m->log.drained) != pushed)
        (void)drain_one(h, yield, m);
    others_run(yield);
    if (h->look == LOOK_PUSHED_FIRST)
        tentative = at_load_acquire(&m->log.tentative);
    if (tentative == pushed + 1 && h->look != LOOK_PUSHED_ONLY)
        look_at_entry(h, yield, m, pushed, retracted);
}

static void note_changed(const struct hunt *h, bool changed[GRANULES])
{
    for (uint32_t g = 0; g < GRANULES; g++)
        changed[g] = g >= SIZE && !is_fresh(g) && at_load_acquire(&h->memory[g]) != h->then[g];
}

/* True: nothing was found that was not marked. */
static bool look_at_rings(struct hunt *h, struct agent *yield)
{
    bool before[OBJECTS + 1], changed[GRANULES];
    memcpy(before, h->marked, sizeof before);
    memset(h->looked, 0, sizeof h->looked);
    note_changed(h, changed);
    for (uint32_t i = 0; i < WRITERS; i++)
        look_at_ring(h, yield, h->agents[i].w.m);
    for (uint32_t g = SIZE; g < GRANULES && lost_so_far(h) == 0; g++)
        if (changed[g] && h->entries[g] == 0 && !h->looked[g])
            h->wrong = "what was stored to before the look was not found by it";
    return h->look == LOOK_ONCE || memcmp(before, h->marked, sizeof before) == 0;
}

static void sweep(struct hunt *h, struct agent *yield)
{
    for (uint32_t g = SIZE; g < GRANULES; g++) {
        others_run(yield);
        if (!is_fresh(g))
            (void)atomic_fetch_or(&h->bits[g / 64], UINT64_C(1) << (g % 64));
    }
}

void end_beside(struct agent *a)
{
    struct hunt *h = a->h;
    do
        while (mark_fields(h, a))
            ;
    while (!look_at_rings(h, a));
    if (lost_so_far(h) != 0 || h->wrong != NULL) /* that takes a stop */
        return;
    compare_marked(h);
    atomic_store(&h->rests, true);
    sweep(h, a);
    for (uint32_t work = rng_below(&a->rng, 60); work != 0; work--)
        others_run(a);
}

static void rearm(struct hunt *h, const struct shm_log_entry *e)
{
    uint32_t granule = at_load_relaxed(&e->object) + at_load_relaxed(&e->offset);
    if (granule < GRANULES && h->look != LOOK_DROPS_LATE)
        (void)atomic_fetch_or(&h->bits[granule / 64], UINT64_C(1) << (granule % 64));
}

/* At the stop: what came late, and whether every bit is set then that the next round counts on. */
void end_rest(struct hunt *h)
{
    for (uint32_t i = 0; i < WRITERS; i++) {
        struct shm_mutator *m = h->agents[i].w.m;
        uint32_t pushed = at_load_acquire(&m->log.pushed), end = pushed + (at_load_relaxed(&m->log.tentative) == pushed + 1);
        for (uint32_t at = at_load_relaxed(&m->log.drained); at != end; at++)
            rearm(h, &m->log_ring[at % SHM_LOG_CAPACITY]);
        at_store_release(&m->log.drained, pushed);
    }
    for (uint32_t g = SIZE; g < GRANULES && lost_so_far(h) == 0; g++)
        if (!is_fresh(g) && !is_set(h, g))
            h->wrong = "a bit stays clear though its field is not in a log";
    atomic_store(&h->rests, false);
}
