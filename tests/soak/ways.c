/* SPDX-License-Identifier: Apache-2.0 */
/* ways: how clients of the soak live. Each turn makes something, shares or keeps it, and checks what it or others have made before.
 *   W1  pointers are not used across a safepoint: exact threads' die there. Locals and handles are
 *   W2  whoever dies leaves behind nothing that another turn cannot cope with: what is on the board is whole, a name has one owner, a seat */
#include <inttypes.h>
#include <mmgc/guardian.h>
#include <mmgc/hold.h>
#include <mmgc/lease.h>
#include <mmgc/notice.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "shm/base.h"
#include "tests/soak/player.h"
#include "tests/support/board.h"
#include "tests/support/shadow_graph.h"

#define MS UINT64_C(1000000)
#define CHAIN_MAX 400u
#define HANDLES_EACH 64u
#define GUARDS_EACH 12u
#define WATCHED 32u
#define MARK UINT64_C(0x9e3779b97f4a7c15) /* a guarded pair's value is its mark times this */

static void *make(struct player *p, enum shadow_kind kind, uint32_t length)
{
    struct entry *e = &p->e;
    void *made = length == 0 ? mmgc_new(e->t, e->types.of[kind]) : mmgc_new_array(e->t, e->types.of[kind], length);

    EXPECT(made != NULL, "no memory: %s", mmgc_strerror(mmgc_thread_error(e->t)));
    return made;
}

/* ---- graphs, beside a model ------------------------------------------------------------------------------------------ */

/* The one who had the seat before may have died and left his names. */
static void begin_graph(struct player *p)
{
    char label[32], name[48];

    snprintf(label, sizeof(label), "seat%" PRIu32, p->options->seat);
    for (uint32_t i = 0; i < NAMES; i++) {
        snprintf(name, sizeof(name), "%s.%" PRIu32, label, i);
        int r = mmgc_name_set(p->e.t, name, NULL);
        EXPECT(r == MMGC_OK || r == MMGC_E_NO_NAME, "%s: %s", name, mmgc_strerror(r));
    }
    mmgc_leave(p->e.t);
    p->state = shadow_new(&(struct shadow_config){
        .label = label, .seed = rng_next(&p->rng), .budget_bytes = PLAYER_BUDGET_BYTES, .sleeps = true, .collects = rng_one_in(&p->rng, 3) });
    shadow_attach(p->state, p->e.heap, p->e.t, p->e.exact, false);
    EXPECT_OK(mmgc_enter(p->e.t));
}

static void turn_graph(struct player *p)
{
    mmgc_leave(p->e.t);
    shadow_run(p->state, 20);
    if (rng_one_in(&p->rng, 8))
        shadow_compare(p->state);
    EXPECT_OK(mmgc_enter(p->e.t));
}

static void end_graph(struct player *p)
{
    mmgc_leave(p->e.t);
    shadow_compare(p->state);
    shadow_drop(p->state);
    shadow_free(p->state);
    EXPECT_OK(mmgc_enter(p->e.t));
}

/* ---- the board: graphs with checksums, from everybody to everybody --------------------------------------------------- */

static void turn_board(struct player *p)
{
    for (unsigned i = 0; i < 40; i++)
        board_put(&p->e, &p->rng, rng_one_in(&p->rng, 3));
    for (unsigned i = 0; i < 40; i++)
        board_shuffle(&p->e, &p->rng);
    (void)board_check(&p->e);
}

/* ---- handles, strong and weak ---------------------------------------------------------------------------------------- */

static void turn_handles(struct player *p)
{
    struct entry *e = &p->e;
    mmgc_handle strong[HANDLES_EACH];
    mmgc_weak weak[HANDLES_EACH];

    for (uint32_t i = 0; i < HANDLES_EACH; i++) {
        struct shadow_pair *pair = make(p, SHADOW_PAIR, 0);
        pair->value = i * MARK;
        EXPECT_OK(mmgc_handle_new(e->t, i % 2 == 0 ? pair : NULL, &strong[i]));
        EXPECT_OK(rng_one_in(&p->rng, 2) ? mmgc_weak_new(e->t, pair, &weak[i]) : mmgc_soft_new(e->t, pair, &weak[i]));
    }
    if (rng_one_in(&p->rng, 3))
        EXPECT_OK(mmgc_gc(e->t));
    for (uint32_t i = 0; i < HANDLES_EACH; i++) {
        struct shadow_pair *pair = mmgc_handle_get(e->t, strong[i]), *found = mmgc_weak_get(e->t, weak[i]);
        EXPECT((pair != NULL) == (i % 2 == 0) && (pair == NULL || found == pair), "handle %" PRIu32 " has another object", i);
        EXPECT(found == NULL || found->value == i * MARK, "what weak handle %" PRIu32 " finds is %" PRIx64, i, found->value);
        EXPECT_OK(mmgc_handle_drop(e->heap, strong[i]));
        EXPECT_OK(mmgc_weak_drop(e->heap, weak[i]));
    }
}

/* ---- leases ---------------------------------------------------------------------------------------------------------- */

struct ledger {
    mmgc_ref unused;
    _Atomic uint32_t owner, turns; /* who has it alone; whatever the last one left when he was killed */
};
static mmgc_type ledger_type;

static void begin_lease(struct player *p)
{
    void *first;

    EXPECT_OK(MMGC_DEFINE_TYPE(p->e.heap, ledger, &ledger_type, unused));
    void *mine = mmgc_new(p->e.t, ledger_type);
    EXPECT(mine != NULL, "no memory for a ledger");
    EXPECT_OK(mmgc_name_claim(p->e.t, "ledger", mine, &first));
}

static void write_alone(struct player *p, struct ledger *ledger)
{
    uint32_t me = p->options->seat + 1, turns = at_load_acquire(&ledger->turns);

    at_store_release(&ledger->owner, me);
    if (rng_one_in(&p->rng, 4))
        crew_sleep_us(rng_skewed(&p->rng, 2000));
    EXPECT(at_load_acquire(&ledger->owner) == me && at_load_acquire(&ledger->turns) == turns, "seat %" PRIu32 " is in here, too",
           at_load_acquire(&ledger->owner) - 1);
    at_store_release(&ledger->turns, turns + 1);
}

static void turn_lease(struct player *p)
{
    struct entry *e = &p->e;
    enum mmgc_lease_mode mode = rng_one_in(&p->rng, 2) ? MMGC_LEASE_EXCLUSIVE : MMGC_LEASE_SHARED;
    mmgc_lease lease;
    int r = mmgc_lease_take(e->t, mmgc_name_get(e->t, "ledger"), mode, "ledger", rng_below(&p->rng, 50) * MS, &lease);

    EXPECT(r == MMGC_OK || r == MMGC_E_BUSY || r == MMGC_E_TIMEOUT, "a lease: %s", mmgc_strerror(r));
    if (r != MMGC_OK)
        return;
    struct ledger *ledger = mmgc_lease_object(e->heap, lease);
    mmgc_leave(e->t);
    uint32_t owner = at_load_acquire(&ledger->owner);
    if (mode == MMGC_LEASE_EXCLUSIVE)
        write_alone(p, ledger);
    else
        crew_sleep_us(rng_skewed(&p->rng, 1000));
    EXPECT(mode == MMGC_LEASE_EXCLUSIVE || at_load_acquire(&ledger->owner) == owner, "somebody has alone what is shared");
    EXPECT_OK(mmgc_enter(e->t));
    EXPECT(mmgc_name_get(e->t, "ledger") == ledger, "what is leased has moved");
    EXPECT_OK(mmgc_lease_release(e->heap, lease));
}

/* ---- holds ----------------------------------------------------------------------------------------------------------- */

static void turn_hold(struct player *p)
{
    struct entry *e = &p->e;
    mmgc_hold hold;

    EXPECT_OK(mmgc_hold_begin(e->t, NULL, &hold));
    for (uint32_t i = rng_below(&p->rng, 200); i > 0; i--)
        (void)make(p, SHADOW_BYTES, 1 + rng_below(&p->rng, 500));
    for (unsigned i = 0; i < 4; i++)
        board_put(e, &p->rng, rng_one_in(&p->rng, 2));
    struct shadow_pair *pair = make(p, SHADOW_PAIR, 0);
    pair->value = MARK;
    mmgc_local local = mmgc_local_new(e->t, pair);
    if (rng_one_in(&p->rng, 3))
        turn_hold(p);
    void *kept[1] = { mmgc_local_get(e->t, local) };
    EXPECT_OK(mmgc_hold_end(e->t, hold, kept, 1));
    EXPECT(((struct shadow_pair *)kept[0])->value == MARK, "what was kept of a hold is another object");
}

/* ---- guards, and the heir of who dies -------------------------------------------------------------------------------- */

static void begin_guard(struct player *p)
{
    EXPECT_OK(mmgc_guards_leave_to(p->e.heap, "heir"));
}

static void turn_guard(struct player *p)
{
    struct entry *e = &p->e;
    struct shadow_pair *pair;
    mmgc_guard guard;
    uint64_t mark;
    int r = mmgc_guardian_be(e->heap, "heir");

    EXPECT(r == MMGC_OK || r == MMGC_E_BUSY, "the heir: %s", mmgc_strerror(r));
    for (uint32_t i = 0; i < GUARDS_EACH; i++) {
        mark = rng_next(&p->rng) | 1;
        pair = make(p, SHADOW_PAIR, 0);
        pair->value = mark * MARK;
        EXPECT_OK(mmgc_guard_new(e->t, pair, mark, &guard));
    }
    EXPECT_OK(mmgc_gc(e->t));
    while ((pair = mmgc_guard_take(e->t, &mark)) != NULL)
        EXPECT(pair->value == mark * MARK, "mark %" PRIx64 " was on another object: %" PRIx64, mark, pair->value);
    r = mmgc_thread_error(e->t);
    EXPECT(r == MMGC_OK, "taking: %s", mmgc_strerror(r));
}

/* ---- notices: a table by address, kept right by what one is told ----------------------------------------------------- */

struct table {
    struct mmgc_notices *notices;
    mmgc_handle handles[WATCHED];
    uint32_t at[WATCHED];
};

static void begin_notice(struct player *p)
{
    struct table *table = p->state = calloc(1, sizeof(*table));
    mmgc_watched watched;

    mmgc_leave(p->e.t);
    EXPECT_OK(mmgc_notices_subscribe(p->e.heap, NULL, &table->notices));
    EXPECT_OK(mmgc_enter(p->e.t));
    for (uint32_t i = 0; i < WATCHED; i++) {
        void *pair = make(p, SHADOW_PAIR, 0);
        EXPECT_OK(mmgc_handle_new(p->e.t, pair, &table->handles[i]));
        EXPECT_OK(mmgc_watch(table->notices, p->e.t, pair, &watched));
    }
    for (uint32_t i = 0; i < WATCHED; i++) /* after the last safepoint */
        table->at[i] = 0;
}

static void apply(void *context, const struct mmgc_notice *notice, const struct mmgc_move *moves, size_t count)
{
    struct table *table = context;
    uint32_t to[WATCHED] = { 0 };

    for (size_t m = 0; m < count; m++)
        for (uint32_t i = 0; i < WATCHED; i++)
            if (table->at[i] != 0 && table->at[i] == moves[m].from.granule)
                to[i] = moves[m].to.granule == 0 ? UINT32_MAX : moves[m].to.granule;
    for (uint32_t i = 0; i < WATCHED; i++)
        if (notice->incomplete)
            table->at[i] = 0;
        else if (to[i] != 0)
            table->at[i] = to[i];
}

static void end_notice(struct player *p)
{
    struct table *table = p->state;

    mmgc_notices_close(table->notices);
    for (uint32_t i = 0; i < WATCHED; i++)
        EXPECT_OK(mmgc_handle_drop(p->e.heap, table->handles[i]));
    free(table);
}

static void turn_notice(struct player *p)
{
    struct table *table = p->state;
    int r;

    for (unsigned i = 0; i < 300; i++)
        (void)make(p, SHADOW_BYTES, 1 + rng_below(&p->rng, 300));
    if (rng_one_in(&p->rng, 3))
        EXPECT_OK(mmgc_gc(p->e.t));
    r = mmgc_notices_apply(table->notices, p->e.t, apply, table);
    if (r == MMGC_E_NO_NOTICES) { /* it was stopped while others collected more often than the daemon keeps notices of */
        end_notice(p);
        begin_notice(p);
        return;
    }
    EXPECT(r == MMGC_OK, "notices: %s", mmgc_strerror(r));
    for (uint32_t i = 0; i < WATCHED; i++) {
        uint32_t at = mmgc_ref_of(p->e.t, mmgc_handle_get(p->e.t, table->handles[i])).granule;
        EXPECT(table->at[i] == 0 || table->at[i] == at, "object %" PRIu32 " is at %" PRIx32 ", and not at %" PRIx32 " as we were told", i, at,
               table->at[i]);
        table->at[i] = at;
    }
}

/* ---- chains, some of which are stowed -------------------------------------------------------------------------------- */

static mmgc_local make_chain(struct player *p, uint32_t length)
{
    struct entry *e = &p->e;
    mmgc_local top = mmgc_local_new(e->t, NULL);

    for (uint32_t i = 0; i < length; i++) {
        struct shadow_pair *pair = make(p, SHADOW_PAIR, 0);
        pair->value = i * MARK;
        mmgc_set(e->t, pair, left, mmgc_local_get(e->t, top));
        mmgc_local_set(e->t, top, pair);
    }
    return top;
}

static void check_chain(struct player *p, mmgc_local top, uint32_t length)
{
    uint32_t i = length;

    for (struct shadow_pair *pair = mmgc_local_get(p->e.t, top); pair != NULL; pair = mmgc_get(p->e.t, pair, left))
        EXPECT(i-- > 0 && pair->value == i * MARK, "pair %" PRIu32 " of a chain of %" PRIu32 " is another", i, length);
    EXPECT(i == 0, "%" PRIu32 " of a chain of %" PRIu32 " are gone", i, length);
}

static void turn_chain(struct player *p)
{
    uint32_t length = rng_skewed(&p->rng, CHAIN_MAX);
    mmgc_local top = make_chain(p, length);
    int r = length == 0 || !rng_one_in(&p->rng, 3) ? mmgc_poll(p->e.t) : mmgc_stow(p->e.t, mmgc_local_get(p->e.t, top), NULL);

    EXPECT(r == MMGC_OK || r == MMGC_E_UNSUPPORTED, "a stow: %s", mmgc_strerror(r));
    check_chain(p, top, length);
}

/* ---- a full heap ----------------------------------------------------------------------------------------------------- */

/* As many links as there is memory for: an error that says so, and nothing of what is there has come to harm. */
static uint32_t fill(struct player *p, mmgc_local top)
{
    struct entry *e = &p->e;

    for (uint32_t i = 0;; i++) {
        mmgc_scope scope = mmgc_scope_open(e->t);
        struct shadow_pair *pair = mmgc_new(e->t, e->types.of[SHADOW_PAIR]);
        mmgc_local held = mmgc_local_new(e->t, pair);
        char *bytes = pair == NULL ? NULL : mmgc_new_array(e->t, e->types.of[SHADOW_BYTES], 500 + i % 3 * 9000);
        if (bytes == NULL) {
            int r = mmgc_thread_error(e->t);
            mmgc_scope_close(e->t, scope);
            EXPECT(r == MMGC_E_NOMEM, "a full heap: %s", mmgc_strerror(r));
            return i;
        }
        memset(bytes, (int)(i % 251), 500);
        pair = mmgc_local_get(e->t, held);
        pair->value = i * MARK;
        mmgc_set(e->t, pair, right, bytes);
        mmgc_set(e->t, pair, left, mmgc_local_get(e->t, top));
        mmgc_local_set(e->t, top, pair);
        mmgc_scope_close(e->t, scope);
    }
}

static void turn_full(struct player *p)
{
    mmgc_local top = mmgc_local_new(p->e.t, NULL);
    uint32_t length = fill(p, top);

    check_chain(p, top, length);
    for (struct shadow_pair *pair = mmgc_local_get(p->e.t, top); pair != NULL; pair = mmgc_get(p->e.t, pair, left)) {
        const char *bytes = mmgc_get(p->e.t, pair, right);
        char expected = (char)(--length % 251);
        for (unsigned i = 0; i < 500; i += 7)
            EXPECT(bytes[i] == expected, "byte %u of link %" PRIu32 " is %d", i, length, bytes[i]);
    }
}

const struct way ways[] = {
    { .name = "graph", .begin = begin_graph, .turn = turn_graph, .end = end_graph, .has_locals = true },
    { .name = "board", .turn = turn_board },
    { .name = "handles", .turn = turn_handles },
    { .name = "lease", .begin = begin_lease, .turn = turn_lease },
    { .name = "hold", .turn = turn_hold },
    { .name = "guard", .begin = begin_guard, .turn = turn_guard },
    { .name = "notice", .begin = begin_notice, .turn = turn_notice, .end = end_notice },
    { .name = "chain", .turn = turn_chain },
};
const uint32_t way_count = MM_ARRAY_LEN(ways);
const struct way way_full = { .name = "full", .turn = turn_full };
