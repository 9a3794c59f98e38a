/* SPDX-License-Identifier: Apache-2.0 */
/* reference_player.c - Reference player: one client's structures and its model of them.
 *   P1  MUST is what roots reach by strong references, and by values of ephemerons whose keys they reach: nothing of it is ever cleared or given back
 *   P2  who was outside of MUST for a moment is lost until a comparison has seen it there again: references to it, and its own, may have been cleared
 *   P3  SOFTLY is MUST and what soft references lead to, if the heap keeps them; ANY is that and what guarded things refer to by whatever kind.
 *       After whole collections a weak reference to what is not in SOFTLY, a phantom one to what is not in ANY, is null
 *   P4  what was cleared stays so, and is in the queue, once                                                             */
#include "tests/stress/reference_player.h"

#include <inttypes.h>
#include <stdlib.h>

#include "shm/base.h"

#define MUST 1u
#define SOFTLY 2u
#define ANY 4u
#define COUNT_MAX 400u
#define CHAIN 80u /* more than the rounds that a collection looks for values (plans/stage/references.c) */

mmgc_ref *thing_slot(struct thing *thing, enum edge e)
{
    switch (e) {
    case FIRST: return &thing->first;
    case SECOND: return &thing->second;
    case WEAK: return &thing->weak;
    case PHANTOM: return &thing->phantom;
    case SOFT: return &thing->soft.ref;
    case KEY: return &thing->pair.key;
    default: return &thing->pair.value;
    }
}

static void define_thing(struct player *p)
{
    EXPECT_OK(mmgc_type_struct(p->heap, "thing", sizeof(struct thing), &p->thing, 8u, MMGC_STRONG(thing, first), MMGC_STRONG(thing, second),
                               MMGC_WEAK(thing, weak), MMGC_PHANTOM(thing, phantom), MMGC_SOFT(thing, soft), MMGC_EPHEMERON(thing, pair),
                               MMGC_QUEUE(thing, queue), MMGC_LINK(thing, next)));
}

/* ---- the model ---- */

static bool is_followed(const struct player *p, enum edge e, unsigned in)
{
    return e == FIRST || e == SECOND || in == ANY || (e == SOFT && in == SOFTLY && p->keeps_soft);
}

static void reach(struct player *p, struct model *m, unsigned in)
{
    if (m == NULL || (m->in & in) != 0)
        return;
    m->in |= in;
    for (enum edge e = 0; e < EDGES; e++)
        if (is_followed(p, e, in))
            reach(p, m->edges[e], in);
}

static bool value_is_due(const struct model *m, unsigned in)
{
    const struct model *key = m->edges[KEY], *value = m->edges[VALUE];

    return (m->in & in) != 0 && key != NULL && (key->in & in) != 0 && value != NULL && (value->in & in) == 0;
}

static void reach_from_roots(struct player *p, unsigned in)
{
    for (uint32_t i = 0; i < PLAYER_SLOTS; i++)
        reach(p, p->roots[i], in);
    for (bool again = true; again;) {
        again = false;
        for (struct model *m = p->all; m != NULL; m = m->next)
            if (value_is_due(m, in)) {
                reach(p, m->edges[VALUE], in);
                again = true;
            }
    }
}

/* True: something is reached again that was lost. */
static bool reckon(struct player *p)
{
    bool again = false;

    for (struct model *m = p->all; m != NULL; m = m->next)
        m->in = 0;
    reach_from_roots(p, MUST);
    reach_from_roots(p, SOFTLY);
    for (struct model *m = p->all; m != NULL; m = m->next)
        if (m->is_guarded && (m->in & SOFTLY) == 0)
            reach(p, m, ANY);
    for (struct model *m = p->all; m != NULL; m = m->next) {
        m->in |= (m->in & SOFTLY) != 0 ? ANY : 0;
        again |= m->lost && (m->in & MUST) != 0;
        m->lost |= (m->in & MUST) == 0;
    }
    return again;
}

static void visit(struct model *m, uint32_t walk)
{
    if (m == NULL || m->walk == walk)
        return;
    m->walk = walk;
    for (enum edge e = 0; e < EDGES; e++)
        visit(m->edges[e], walk);
}

/* What nothing in the model refers to, in whatever way. */
static void prune(struct player *p)
{
    p->walk++;
    for (uint32_t i = 0; i < PLAYER_SLOTS; i++)
        visit(p->roots[i], p->walk);
    for (struct model *m = p->all; m != NULL; m = m->next)
        if (m->is_guarded)
            visit(m, p->walk);
    for (struct model **link = &p->all, *m; (m = *link) != NULL;) {
        if (m->walk == p->walk) {
            link = &m->next;
            continue;
        }
        *link = m->next;
        free(m);
        p->count--;
    }
}

static struct model *find(struct player *p, uint32_t id)
{
    struct model *m = p->all;

    while (m != NULL && m->id != id)
        m = m->next;
    return m;
}

static struct model *find_mark(struct player *p, uint64_t mark)
{
    struct model *m = p->all;

    while (m != NULL && m->mark != mark)
        m = m->next;
    return m;
}

/* ---- what is there ---- */

static struct thing *at_root(const struct player *p, uint32_t i)
{
    return mmgc_local_get(p->t, p->locals[i]);
}

static void set_root(struct player *p, uint32_t i, struct model *m, struct thing *thing)
{
    p->roots[i] = m;
    mmgc_local_set(p->t, p->locals[i], thing);
}

static struct thing *load(struct player *p, struct thing *thing, enum edge e)
{
    switch (e) {
    case FIRST:
    case SECOND: return mmgc_load(p->t, thing_slot(thing, e));
    case SOFT: return mmgc_load_soft(p->t, &thing->soft);
    case PHANTOM: return NULL;
    default: return mmgc_load_weak(p->t, thing_slot(thing, e));
    }
}

/* May the reference @e of @m be null, though the model has it? P2. */
static bool may_be_cleared(const struct model *m, enum edge e)
{
    const struct model *key = m->edges[e == VALUE ? KEY : e];

    return e != FIRST && e != SECOND && (m->lost || key == NULL || key->lost);
}

static void see_cleared(struct player *p, struct model *m, enum edge e)
{
    EXPECT(may_be_cleared(m, e), "edge %d of thing %" PRIu32 " to %" PRIu32 " is null, which is reachable", e, m->id, m->edges[e]->id);
    p->cleared++;
}

/* Takes what was announced: things that have lost something, each once (P4). */
static void drain(struct player *p)
{
    struct thing *next, *thing = mmgc_queue_take(p->t, mmgc_local_get(p->t, p->queue));

    for (; thing != NULL; thing = next) {
        struct model *m = find(p, thing->id);
        next = mmgc_get(p->t, thing, next);
        mmgc_set(p->t, thing, next, NULL);
        EXPECT(mmgc_is_cleared(&thing->queue), "thing %" PRIu32 " was announced and has its queue", thing->id);
        EXPECT(m == NULL || m->has_queue, "thing %" PRIu32 " was announced twice", thing->id);
        if (m != NULL)
            m->has_queue = false;
    }
}

static void compare_edge(struct player *p, struct model *m, enum edge e, struct thing *actual, bool whole);

/* @whole: after collections of the whole heap (P3). */
static void compare_thing(struct player *p, struct model *m, struct thing *thing, bool whole)
{
    EXPECT(thing->id == m->id, "thing %" PRIu32 " says it is %" PRIu32, m->id, thing->id);
    if (m->walk == p->walk)
        return;
    m->walk = p->walk;
    p->compared++;
    bool had[EDGES], lost = false;
    for (enum edge e = 0; e < EDGES; e++)
        had[e] = m->edges[e] != NULL;
    for (enum edge e = EDGES; e-- > 0;) /* a value before its key, which says whether it may be null */
        if (mmgc_is_cleared(thing_slot(thing, e)) && m->edges[e] != NULL)
            see_cleared(p, m, e);
    for (enum edge e = 0; e < EDGES; e++) {
        bool cleared = mmgc_is_cleared(thing_slot(thing, e));
        EXPECT(had[e] || cleared, "edge %d of thing %" PRIu32 " is back", e, m->id);
        m->edges[e] = cleared ? NULL : m->edges[e];
        lost |= had[e] && cleared;
    }
    EXPECT(m->edges[KEY] != NULL || m->edges[VALUE] == NULL, "thing %" PRIu32 " has a value without a key", m->id);
    EXPECT(!(lost && m->has_queue), "thing %" PRIu32 " has lost something and was not announced", m->id);
    EXPECT(m->has_queue == !mmgc_is_cleared(&thing->queue), "thing %" PRIu32 " has %s queue", m->id, m->has_queue ? "no" : "a");
    for (enum edge e = 0; e < EDGES; e++)
        if (m->edges[e] != NULL)
            compare_edge(p, m, e, e == SOFT ? mmgc_load_weak(p->t, &thing->soft.ref) : load(p, thing, e), whole);
}

static void compare_edge(struct player *p, struct model *m, enum edge e, struct thing *actual, bool whole)
{
    struct model *to = m->edges[e];
    bool strong = e == FIRST || e == SECOND, in_order = !m->risen && !to->risen && e != VALUE && e != PHANTOM;

    EXPECT(!whole || strong || (to->in & ANY) != 0, "edge %d of thing %" PRIu32 " to %" PRIu32 " is not null, which is gone", e, m->id, to->id);
    EXPECT(!whole || strong || !in_order || (to->in & SOFTLY) != 0, "edge %d of thing %" PRIu32 " to %" PRIu32 " is not null, only guarded",
           e, m->id, to->id);
    if (actual == NULL)
        EXPECT(e == PHANTOM, "edge %d of thing %" PRIu32 " cannot be loaded", e, m->id);
    else
        EXPECT(actual->id == to->id, "edge %d of thing %" PRIu32 " leads to %" PRIu32 ", not %" PRIu32, e, m->id, actual->id, to->id);
    if (actual != NULL && (to->in & MUST) != 0)
        compare_thing(p, to, actual, whole);
}

static void compare(struct player *p, bool whole)
{
    (void)reckon(p);
    drain(p);
    p->walk++;
    for (uint32_t i = 0; i < PLAYER_SLOTS; i++) {
        struct thing *thing = at_root(p, i);
        EXPECT((thing == NULL) == (p->roots[i] == NULL), "root %" PRIu32 " is %s", i, thing == NULL ? "null" : "there");
        if (thing != NULL)
            compare_thing(p, p->roots[i], thing, whole);
    }
    for (struct model *m = p->all; m != NULL; m = m->next)
        m->lost &= m->walk != p->walk;
    (void)reckon(p);
}

/* ---- operations ---- */

static void store(struct player *p, uint32_t from, enum edge e, uint32_t to)
{
    p->roots[from]->edges[e] = p->roots[to];
    mmgc_store(p->t, at_root(p, from), thing_slot(at_root(p, from), e), at_root(p, to));
}

static void store_pair(struct player *p, uint32_t from, uint32_t key, uint32_t value)
{
    struct thing *thing = at_root(p, from);

    if (p->roots[key] == NULL)
        return;
    mmgc_store(p->t, thing, &thing->pair.value, NULL);
    store(p, from, KEY, key);
    store(p, from, VALUE, value);
}

static uint32_t any_slot(struct player *p)
{
    return rng_below(&p->rng, PLAYER_SLOTS);
}

/* In most cases one whose root is not null. */
static uint32_t some_thing(struct player *p)
{
    uint32_t i = any_slot(p);

    for (unsigned tries = 0; tries < 8 && p->roots[i] == NULL; tries++)
        i = any_slot(p);
    return i;
}

struct thing *player_new(struct player *p)
{
    struct thing *made = mmgc_new(p->t, p->thing);

    EXPECT(made != NULL, "no memory: %s", mmgc_strerror(mmgc_thread_error(p->t)));
    return made;
}

static struct model *make(struct player *p, uint32_t slot)
{
    struct thing *made = player_new(p);
    struct model *m = calloc(1, sizeof(*m));

    EXPECT(m != NULL, "no memory for the model");
    *m = (struct model){ .next = p->all, .id = made->id = ++p->next_id };
    p->all = m;
    p->count++;
    set_root(p, slot, m, made);
    return m;
}

static void do_new(struct player *p)
{
    uint32_t slot = any_slot(p), was = any_slot(p);

    if (p->roots[was] == NULL || rng_one_in(&p->rng, 4))
        slot = was;
    struct model *m = make(p, slot);
    for (enum edge e = 0; e < KEY; e++)
        if (rng_one_in(&p->rng, 3))
            store(p, slot, e, any_slot(p));
    if (rng_one_in(&p->rng, 3))
        store_pair(p, slot, some_thing(p), some_thing(p));
    m->has_queue = rng_one_in(&p->rng, 2);
    if (m->has_queue)
        mmgc_set(p->t, at_root(p, slot), queue, mmgc_local_get(p->t, p->queue));
}

/* Each ephemeron's value is the key of one that lies before it, so that a look from the first to the last finds one. */
static void do_chain(struct player *p)
{
    enum { HEAD, VALUE_NOW, MADE, KEY_NOW };

    set_root(p, HEAD, NULL, NULL);
    (void)make(p, VALUE_NOW);
    for (uint32_t i = 0; i < CHAIN; i++) {
        (void)make(p, MADE);
        (void)make(p, KEY_NOW);
        store(p, MADE, FIRST, HEAD);
        store_pair(p, MADE, KEY_NOW, VALUE_NOW);
        set_root(p, HEAD, p->roots[MADE], at_root(p, MADE));
        set_root(p, VALUE_NOW, p->roots[KEY_NOW], at_root(p, KEY_NOW));
    }
    set_root(p, MADE, NULL, NULL);
    set_root(p, KEY_NOW, NULL, NULL);
}

/* What was guarded keeps its first. */
static void do_change(struct player *p)
{
    uint32_t from = some_thing(p);
    enum edge e = rng_below(&p->rng, EDGES);

    if (p->roots[from] == NULL || (e == FIRST && p->roots[from]->mark != 0))
        return;
    if (e >= KEY)
        store_pair(p, from, some_thing(p), some_thing(p));
    else
        store(p, from, e, any_slot(p));
}

/* A root is what one of its references leads to from now on. */
static void do_follow(struct player *p)
{
    uint32_t i = some_thing(p), to = rng_one_in(&p->rng, 2) ? i : any_slot(p);
    enum edge e = rng_below(&p->rng, EDGES);
    struct model *m = p->roots[i];

    if (m == NULL || m->edges[e] == NULL || e == PHANTOM)
        return;
    struct thing *found = load(p, at_root(p, i), e);
    if (found == NULL) {
        EXPECT(may_be_cleared(m, e), "edge %d of thing %" PRIu32 " is null, which is reachable", e, m->id);
        return;
    }
    EXPECT(found->id == m->edges[e]->id, "edge %d of thing %" PRIu32 " leads to %" PRIu32, e, m->id, found->id);
    set_root(p, to, m->edges[e], found);
}

static void say_guard(struct player *p, uint32_t mark, enum guard_state state)
{
    at_store_release(&p->tally->guards[mark], (uint8_t)state);
}

static void do_guard(struct player *p)
{
    struct model *m = p->roots[some_thing(p)];
    mmgc_guard guard;

    uint32_t slot = 0;
    while (slot < PLAYER_SLOTS && p->roots[slot] != m)
        slot++;
    if (m == NULL || m->mark != 0 || slot == PLAYER_SLOTS)
        return;
    uint32_t mark = at_add_relaxed(&p->tally->marks, 1) + 1;
    EXPECT(mark < TALLY_MARKS, "the test has no more marks");
    struct thing *thing = at_root(p, slot);
    thing->mark = m->mark = mark;
    thing->child = m->edges[FIRST] != NULL ? m->edges[FIRST]->id : 0;
    say_guard(p, mark, GUARD_BEGINS);
    EXPECT_OK(mmgc_guard_new(p->t, thing, mark, &guard));
    say_guard(p, mark, GUARD_STANDS);
    m->is_guarded = true;
    if (!rng_one_in(&p->rng, 6))
        return;
    say_guard(p, mark, GUARD_IS_DROPPED);
    EXPECT_OK(mmgc_guard_drop(p->heap, guard));
    say_guard(p, mark, GUARD_DROPPED);
    m->is_guarded = false;
}

static void raise_all(struct model *m, uint32_t walk)
{
    if (m == NULL || m->walk == walk)
        return;
    m->walk = walk;
    m->risen = m->lost = true;
    for (enum edge e = 0; e < EDGES; e++)
        raise_all(m->edges[e], walk);
}

/* It is whole, whoever guarded it. */
static void check_given(struct player *p, struct thing *thing, uint64_t mark)
{
    struct thing *first = mmgc_get(p->t, thing, first);

    EXPECT(thing->mark == mark, "the mark of thing %" PRIu32 " is %" PRIu32 ", not %" PRIu64, thing->id, thing->mark, mark);
    EXPECT((first != NULL ? first->id : 0) == thing->child, "thing %" PRIu32 " was given back without its child %" PRIu32, thing->id, thing->child);
}

bool player_take(struct player *p)
{
    uint64_t mark;

    at_store_release(&p->mate->numbers[0], 1);
    struct thing *thing = mmgc_guard_take(p->t, &mark);
    if (thing != NULL) {
        EXPECT(mark > 0 && mark < TALLY_MARKS, "mark %" PRIu64, mark);
        EXPECT(at_add_relaxed(&p->tally->taken[mark], 1) == 0, "mark %" PRIu64 " was given back twice", mark);
    }
    at_store_release(&p->mate->numbers[0], 0);
    if (thing == NULL) {
        EXPECT(mmgc_thread_error(p->t) == MMGC_OK, "taking: %s", mmgc_strerror(mmgc_thread_error(p->t)));
        return false;
    }
    check_given(p, thing, mark);
    p->given++;
    struct model *m = find_mark(p, mark);
    if (m == NULL)
        return true; /* another's, who is dead */
    EXPECT(m->is_guarded && m->id == thing->id, "thing %" PRIu32 " is given back, which is not guarded", m->id);
    EXPECT((m->in & MUST) == 0 || m->risen, "thing %" PRIu32 " is given back and is reachable", m->id);
    m->is_guarded = false;
    raise_all(m, ++p->walk);
    if (rng_one_in(&p->rng, 2))
        set_root(p, any_slot(p), m, thing);
    compare(p, false);
    return true;
}

void player_step(struct player *p)
{
    uint32_t what = rng_below(&p->rng, 100);

    if (p->chains && rng_one_in(&p->rng, 60))
        do_chain(p);
    else if (what < 35)
        do_new(p);
    else if (what < 55)
        do_change(p);
    else if (what < 70)
        do_follow(p);
    else if (what < 82)
        set_root(p, any_slot(p), NULL, NULL);
    else if (what < 90)
        do_guard(p);
    else if (what < 97)
        (void)player_take(p);
    else
        compare(p, false);
    if (reckon(p))
        compare(p, false);
    prune(p);
    if (p->count > COUNT_MAX)
        player_forget_all(p);
}

/* ---- whole collections ---- */

/* Three: one that was under way, one for what the queue held and was loaded meanwhile, and its own. */
static void collect(struct player *p)
{
    for (int i = 0; i < 3; i++) {
        EXPECT_OK(mmgc_gc(p->t));
        drain(p);
    }
}

/* First what is ready already is taken: it is a root until then, and keeps from the rest what this is about. */
void player_check_all(struct player *p)
{
    collect(p);
    while (player_take(p))
        continue;
    (void)reckon(p);
    for (struct model *m = p->all; m != NULL; m = m->next)
        m->is_due = m->is_guarded && (m->in & SOFTLY) == 0;
    collect(p);
    compare(p, !p->chains);
    while (player_take(p))
        continue;
    for (struct model *m = p->all; m != NULL; m = m->next)
        EXPECT(!m->is_due || !m->is_guarded || p->chains, "thing %" PRIu32 " is guarded, gone, and not given back", m->id);
    prune(p);
}

void player_forget_all(struct player *p)
{
    for (uint32_t i = 0; i < PLAYER_SLOTS; i++)
        set_root(p, i, NULL, NULL);
    (void)reckon(p);
    prune(p);
}

void player_begin(struct player *p, struct entry *e, struct mate *mate, struct tally *tally, uint64_t seed)
{
    *p = (struct player){ .heap = e->heap, .t = e->t, .mate = mate, .tally = tally, .rng = rng_from(seed) };
    define_thing(p);
    EXPECT_OK(mmgc_enter(p->t));
    for (uint32_t i = 0; i < PLAYER_SLOTS; i++)
        p->locals[i] = mmgc_local_new(p->t, NULL);
    p->queue = mmgc_local_new(p->t, mmgc_queue_new(p->t));
    EXPECT(mmgc_local_get(p->t, p->queue) != NULL, "no queue: %s", mmgc_strerror(mmgc_thread_error(p->t)));
    p->found = mmgc_local_new(p->t, NULL);
    p->shared_queue = mmgc_local_new(p->t, NULL);
}

void player_end(struct player *p)
{
    for (struct model *m; (m = p->all) != NULL; free(m))
        p->all = m->next;
}
