/* SPDX-License-Identifier: Apache-2.0 */
#include "tests/soak/player.h"

#include <inttypes.h>
#include <stdio.h>

#include "shm/base.h"
#include "tests/support/board.h"

static void join(struct player *p)
{
    const struct player_options *o = p->options;
    char name[32];

    snprintf(name, sizeof(name), "seat %" PRIu32, o->seat);
    entry_open(&p->e, &(struct entry_options){ .socket = o->socket, .heap = o->heap, .plan = o->plan, .options = o->options, .max_bytes = o->max_bytes,
                                               .limit_bytes = o->limit_bytes, .name = name, .exact = rng_one_in(&p->rng, 2) });
    EXPECT_OK(mmgc_enter(p->e.t));
}

/* One turn of a way is a safepoint or has some. */
static void live(struct player *p, const struct way *way, struct mate *mate)
{
    for (; at_load_acquire(&mate->told) < LEAVE; at_add_relaxed(&mate->numbers[0], 1)) {
        mmgc_scope scope = way->has_locals ? (mmgc_scope){ 0 } : mmgc_scope_open(p->e.t);
        way->turn(p);
        if (!way->has_locals)
            mmgc_scope_close(p->e.t, scope);
        EXPECT_OK(mmgc_poll(p->e.t));
        if (!rng_one_in(&p->rng, 4))
            continue;
        mmgc_leave(p->e.t);
        crew_sleep_us(rng_skewed(&p->rng, 4000));
        EXPECT_OK(mmgc_enter(p->e.t));
    }
}

void player_live(struct mate *mate, void *options)
{
    struct player p = { .options = options };

    p.rng = rng_from(p.options->seed);
    const struct way *way = p.options->full ? &way_full : &ways[rng_below(&p.rng, way_count)];
    join(&p);
    if (!p.options->full)
        board_claim(&p.e);
    if (way->begin != NULL)
        way->begin(&p);
    live(&p, way, mate);
    if (way->end != NULL)
        way->end(&p);
    mmgc_leave(p.e.t);
    entry_close(&p.e);
}
