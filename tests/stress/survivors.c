/* SPDX-License-Identifier: Apache-2.0 */
#include "tests/stress/survivors.h"

#include <inttypes.h>
#include <stdio.h>
#include <unistd.h>

#include "shm/base.h"
#include "tests/support/shadow.h"

#define STEPS 20u
#define LIMIT_S 60.0
#define GOODBYE UINT32_MAX
#define LEFT_BYTES \
    (UINT64_C(1) << 20) /* a full board has a fifth of that, and some names may be left */

void survivors_join(struct entry *e, const struct survive_case *c, bool exact)
{
    entry_open(e, &(struct entry_options){ .socket = c->socket,
                                           .heap = SURVIVE_HEAP,
                                           .plan = c->plan,
                                           .options = c->options,
                                           .max_bytes = c->heap_bytes,
                                           .name = exact ? "exact" : "ambiguous",
                                           .exact = exact });
}

static void check_board(struct entry *e)
{
    EXPECT_OK(mmgc_enter(e->t));
    board_check(e);
    mmgc_leave(e->t);
}

static void be_survivor(struct mate *mate, void *arg)
{
    const struct survive_case *c = arg;
    struct entry e;
    char label[32];
    uint32_t told = 0, done = 0;
    struct rng rng = rng_from(c->seed + mate->number);
    snprintf(label, sizeof(label), "survivor%" PRIu32, mate->number);
    struct shadow *shadow = shadow_new(&(struct shadow_config){
        .label = label, .seed = rng_next(&rng), .budget_bytes = c->budget_bytes, .sleeps = true });
    survivors_join(&e, c, mate->number % 2 == 1);
    EXPECT_OK(mmgc_enter(e.t));
    board_claim(&e);
    mmgc_leave(e.t);
    shadow_attach(shadow, e.heap, e.t, e.exact, false);
    for (mate_say(mate, 1); (told = at_load_acquire(&mate->told)) != GOODBYE;
         crew_sleep_us(rng_below(&rng, 300))) {
        shadow_run(shadow, STEPS);
        EXPECT_OK(mmgc_enter(e.t));
        board_put(&e, &rng, false);
        board_shuffle(&e, &rng);
        mmgc_leave(e.t);
        if (told == done)
            continue;
        shadow_compare(shadow);
        check_board(&e);
        mate_say(mate, 1 + (done = told));
    }
    shadow_drop(shadow);
    shadow_free(shadow);
    entry_close(&e);
}

void survivors_start(struct survivors *s, struct crew *crew, const struct survive_case *c)
{
    *s = (struct survivors){ .crew = crew, .c = c };
    for (uint32_t i = 0; i < SURVIVORS; i++)
        s->mates[i] = crew_start(crew, be_survivor, (void *)c);
    for (uint32_t i = 0; i < SURVIVORS; i++)
        mate_await(s->mates[i], 1, LIMIT_S);
    inspect_open(&s->ask, c->socket);
}

void survivors_check(struct survivors *s, bool compare)
{
    inspect_verify(&s->ask, SURVIVE_HEAP);
    if (compare) { /* also when what the dead have left is swept */
        ck_assert_int_eq(inspect_collect(&s->ask, SURVIVE_HEAP), MMGC_E_OK);
        inspect_verify(&s->ask, SURVIVE_HEAP);
    }
    s->asked += compare;
    for (uint32_t i = 0; compare && i < SURVIVORS; i++)
        mate_tell(s->mates[i], s->asked);
    for (uint32_t i = 0; i < SURVIVORS; i++)
        if (compare)
            mate_await(s->mates[i], 1 + s->asked, LIMIT_S);
        else
            mate_check(s->mates[i]);
}

void survivors_end(struct survivors *s)
{
    struct inspect *ask = &s->ask;
    survivors_check(s, true);
    struct inspect_heap heap = inspect_heap(ask, SURVIVE_HEAP);
    fprintf(stderr, "plan %s (%s): %" PRIu64 " MiB granted, %" PRIu64 " collections, %" PRIu64 " MiB alive\n",
            s->c->plan, s->c->options, heap.granted_bytes >> 20, heap.collections, heap.live_bytes >> 20);
    inspect_await_sessions(ask, SURVIVE_HEAP, SURVIVORS);
    ck_assert_int_eq(inspect_collect(ask, SURVIVE_HEAP), MMGC_E_OK);
    survivors_check(s, true);
    for (uint32_t i = 0; i < SURVIVORS; i++)
        mate_tell(s->mates[i], GOODBYE);
    for (uint32_t i = 0; i < SURVIVORS; i++)
        mate_join(s->mates[i], LIMIT_S);
    inspect_await_sessions(ask, SURVIVE_HEAP, 0);
    ck_assert_int_eq(inspect_collect(ask, SURVIVE_HEAP), MMGC_E_OK);
    inspect_verify(ask, SURVIVE_HEAP);
    heap = inspect_heap(ask, SURVIVE_HEAP);
    ck_assert_uint_eq(heap.handles, 0);
    ck_assert_uint_eq(heap.abandoned_stops, 0);
    ck_assert_msg(heap.live_bytes <= LEFT_BYTES, "%" PRIu64 " bytes are alive when all have gone",
                  heap.live_bytes);
    inspect_close(ask);
}
