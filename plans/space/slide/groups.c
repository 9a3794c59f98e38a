/* SPDX-License-Identifier: Apache-2.0 */
/* groups.c - Groups: who slides when.
 *   G1  a group waits for each group below it that one of its destinations is a candidate of: what it would
 *       write over has been moved out. That is all it waits for: nobody else writes to its destinations
 *       (layout.c L2), and within the group objects move in address order, to where they are or below (L3
 *       there)
 *   G2  groups wait for lower ones only: no circle; the lowest group that has not been moved waits for nobody
 *   G3  waits is 1 for the group's own turn, and 1 for each group by G1: whoever takes the last one away runs
 *       the group
 *   Order  sub (acq_rel) of waits: what the groups before have read and written comes before what this one
 *          writes */
#include "plans/space/slide/groups.h"

#include <errno.h>

#include "plans/work/store.h"

#define GROUP_NONE UINT32_MAX

int slide_init(struct slide *s, struct heap *h)
{
    *s = (struct slide){ .heap = h, .policy = h->plan->slide };
    if (s->policy == NULL)
        return 0;
    s->count = (blocks_high(&h->blocks) + s->policy->group_blocks - 1) / s->policy->group_blocks;
    s->groups = store_alloc_zeroed(h->store, ((size_t)s->count + 1) * sizeof(*s->groups));
    return s->groups == NULL ? -ENOMEM : 0;
}

void slide_fini(struct slide *s)
{
    store_free(s->heap->store, s->groups);
    s->groups = NULL;
}

/* Both keys never fall from one group to the next. */
static uint32_t search(const struct slide *s, uint32_t index, bool destinations)
{
    uint32_t low = 0, high = s->count;

    while (low < high) {
        uint32_t middle = low + (high - low) / 2;
        const struct slide_group *g = &s->groups[middle];
        if ((destinations ? g->base + g->blocks : g[1].first) <= index)
            low = middle + 1;
        else
            high = middle;
    }
    return low;
}

uint32_t slide_group_with(const struct slide *s, uint32_t index)
{
    return search(s, index, false);
}

uint32_t slide_group_into(const struct slide *s, uint32_t index)
{
    return search(s, index, true);
}

/* Serial: 0.1 ms at most, for a heap of 32 GiB. */
void slide_layout_end_stw(struct slide *s)
{
    uint32_t candidates = 0, blocks = 0;

    for (uint32_t i = 0; i < s->count; i++) {
        struct slide_group *g = &s->groups[i];
        uint32_t own = g->first;
        g->first = candidates;
        g->base = s->policy->whole_heap ? blocks : candidates;
        candidates += own;
        blocks += g->blocks;
    }
    s->groups[s->count].first = candidates;
}

/* The end of @group: puts those that waited for nobody else on the list @ready. */
static uint32_t release_dependents(struct slide *s, uint32_t group, uint32_t ready)
{
    uint32_t first = s->groups[group].first, end = s->groups[group + 1].first;

    if (first == end)
        return ready;
    for (uint32_t i = slide_group_into(s, first); i < s->count && s->groups[i].base < end; i++) {
        struct slide_group *g = &s->groups[i];
        if (i <= group || g->blocks == 0 || at_sub_acq_rel(&g->waits, 1) != 1)
            continue;
        g->next = ready;
        ready = i;
    }
    return ready;
}

/* All but one of the list @ready to others; what the pool declines stays on it. */
static uint32_t share(struct slide *s, struct worker *w, uint32_t ready)
{
    while (ready != GROUP_NONE && s->groups[ready].next != GROUP_NONE) {
        struct packet *p = worker_packet_try_new(w, s->ready);
        if (p == NULL)
            break;
        p->args[0] = ready;
        p->args[1] = (uint64_t)ready + 1;
        ready = s->groups[ready].next;
        worker_packet_push(w, p);
    }
    return ready;
}

void slide_run_ready(struct slide *s, struct trace_tally *tally, struct worker *w, uint32_t group)
{
    uint32_t ready = group;

    s->groups[group].next = GROUP_NONE;
    while (ready != GROUP_NONE) {
        group = ready;
        ready = s->groups[group].next;
        slide_move_group(s, tally, group);
        ready = share(s, w, release_dependents(s, group, ready));
    }
}

void slide_take_turn(struct slide *s, struct trace_tally *tally, struct worker *w, uint32_t group)
{
    if (at_sub_acq_rel(&s->groups[group].waits, 1) == 1)
        slide_run_ready(s, tally, w, group);
}
