/* SPDX-License-Identifier: Apache-2.0 */
/* Shadow: the random operations.
 *   S1  an exact thread's pointers are not used after a safepoint: each operation allocates first and chooses partners later  */
#include "tests/support/shadow.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "shm/base.h"
#include "tests/support/crew.h"
#include "tests/support/shadow_graph.h"
#include "tests/support/stress.h"

#define REFS_MAX 5000u /* a large object */
#define BYTES_MAX (100u << 10)
#define BYTES_HUGE (1u << 20)
#define TREE_MAX 4000u
#define DEPTH_MAX 400u
#define COMPARE_EVERY 32u /* steps, if there was a collection */
#define PRUNE_EVERY 256u

/* ---- operations ---------------------------------------------------------------------------------------------------- */

static struct shadow_object *add_model(struct shadow *s, struct shadow_object *o)
{
    o->next = s->all;
    s->all = o;
    s->bytes += shadow_object_bytes(o);
    return o;
}

/* A full heap is no failure of its own: in a small one, nothing is that large. */
static uint32_t bytes_max(struct shadow *s)
{
    uint32_t max = rng_one_in(&s->rng, 32) ? BYTES_HUGE : BYTES_MAX;
    return (uint32_t)MM_MIN(max, s->config.budget_bytes / 8);
}

/* Stores into a reference of @owner, mostly one that was null: what hung there goes, and graphs would stay small. */
static bool hang(struct shadow *s, struct found owner, struct found f)
{
    if (owner.o == NULL || owner.o->ref_count == 0)
        return false;
    uint32_t ref = rng_below(&s->rng, owner.o->ref_count);
    for (unsigned tries = 0; tries < 4 && owner.o->refs[ref] != NULL; tries++)
        ref = rng_below(&s->rng, owner.o->ref_count);
    if (owner.o->refs[ref] != NULL && !rng_one_in(&s->rng, 16))
        return false;
    graph_set_ref(s, owner, ref, f);
    return true;
}

/* As a constructor does: each reference once, before anything else happens. */
static void construct(struct shadow *s, struct found fresh)
{
    uint32_t count = (uint32_t)MM_MIN(fresh.o->ref_count, 4u);

    for (uint32_t ref = 0; ref < count; ref++)
        if (rng_one_in(&s->rng, 2))
            graph_init_ref(s, fresh, ref, graph_pick(s));
}

static struct shadow_object *new_model(struct shadow *s)
{
    static const uint8_t shares[SHADOW_KINDS] = { 58, 22, 10, 4, 4, 2 };
    uint32_t at = rng_below(&s->rng, 100), kind = 0, length = 0;
    while (at >= shares[kind])
        at -= shares[kind++];
    if (kind == SHADOW_REFS)
        length = rng_skewed(&s->rng, REFS_MAX);
    else if (kind == SHADOW_TABLE)
        length = rng_skewed(&s->rng, REFS_MAX / 2);
    else if (kind == SHADOW_BYTES)
        length = rng_skewed(&s->rng, bytes_max(s));
    return add_model(s, shadow_object_new((enum shadow_kind)kind, length, rng_next(&s->rng)));
}

/* A new object that refers to some others, and is referred to by a root or by another object. */
static void do_new(struct shadow *s)
{
    struct shadow_object *o = new_model(s);
    struct found fresh = { o, shadow_object_make(s->t, &s->types, o) };
    EXPECT(fresh.p != NULL, "%s: no memory for %" PRIu64 " bytes with %" PRIu64 " reachable: %s",
           s->label, shadow_object_bytes(o), s->bytes, mmgc_strerror(mmgc_thread_error(s->t)));
    if (rng_one_in(&s->rng, 8))
        construct(s, fresh);
    else if (rng_one_in(&s->rng, 4))
        hang(s, fresh, graph_pick(s));
    if (rng_one_in(&s->rng, 16) || !hang(s, graph_pick(s), fresh))
        graph_root_put(s, fresh);
}

/* A tree, grown at its leaves. */
static void do_grow(struct shadow *s)
{
    struct shadow_object *top = add_model(s, shadow_object_new(SHADOW_PAIR, 0, rng_next(&s->rng)));
    char *p = shadow_object_make(s->t, &s->types, top);
    mmgc_scope scope = mmgc_scope_open(s->t);
    mmgc_local local = mmgc_local_new(s->t, p);
    for (uint32_t n = rng_below(&s->rng, TREE_MAX / STRESS_SLOWER); n > 0 && p != NULL; n--) {
        enum shadow_kind kind = rng_one_in(&s->rng, 4) ? SHADOW_WIDE : SHADOW_PAIR;
        struct found leaf = { add_model(s, shadow_object_new(kind, 0, rng_next(&s->rng))), NULL };
        leaf.p = shadow_object_make(s->t, &s->types, leaf.o);
        struct found at = { top, s->exact ? mmgc_local_get(s->t, local) : p };
        uint32_t ref = rng_below(&s->rng, top->ref_count);
        while (at.o->refs[ref] != NULL) {
            at.p = mmgc_load(s->t, shadow_object_slot(at.o, at.p, ref));
            at.o = at.o->refs[ref];
            ref = rng_below(&s->rng, at.o->ref_count);
        }
        EXPECT(leaf.p != NULL, "%s: no memory: %s", s->label, mmgc_strerror(mmgc_thread_error(s->t)));
        graph_set_ref(s, at, ref, leaf);
    }
    struct found tree = { top, s->exact ? mmgc_local_get(s->t, local) : p };
    mmgc_scope_close(s->t, scope);
    graph_root_put(s, tree);
}

static void do_link(struct shadow *s)
{
    hang(s, graph_pick(s), graph_pick(s));
}

static void do_unlink(struct shadow *s)
{
    struct found from = graph_pick(s);
    if (from.o != NULL && from.o->ref_count > 0)
        graph_set_ref(s, from, rng_below(&s->rng, from.o->ref_count), (struct found){ 0 });
}

/* What hangs here hangs there: had a collection seen the one place before and the other after, it would be lost. */
static void do_move(struct shadow *s)
{
    struct found from = graph_pick(s), to = graph_pick(s), moved;
    if (from.o == NULL || from.o->ref_count == 0)
        return;
    uint32_t ref = rng_below(&s->rng, from.o->ref_count);
    moved.o = from.o->refs[ref];
    moved.p = mmgc_load(s->t, shadow_object_slot(from.o, from.p, ref));
    if (moved.o != NULL && hang(s, to, moved) && from.o->refs[ref] == moved.o)
        graph_set_ref(s, from, ref, (struct found){ 0 });
}

static void do_scribble(struct shadow *s)
{
    struct found f = graph_pick(s);
    if (f.o == NULL)
        return;
    f.o->seed = rng_next(&s->rng);
    shadow_object_fill(f.o, f.p);
}

static void do_root(struct shadow *s)
{
    graph_root_put(s, graph_pick(s));
}

static void do_unroot(struct shadow *s)
{
    graph_root_clear(s, rng_below(&s->rng, graph_root_count(s)));
}

static void do_scope(struct shadow *s)
{
    if (s->scope_count < SCOPES && rng_one_in(&s->rng, 2)) {
        s->scopes[s->scope_count].scope = mmgc_scope_open(s->t);
        s->scopes[s->scope_count++].first = s->local_count;
    } else if (s->scope_count > 0) {
        mmgc_scope_close(s->t, s->scopes[--s->scope_count].scope);
        s->local_count = s->scopes[s->scope_count].first;
    }
}

static void do_local_set(struct shadow *s)
{
    struct found f = graph_pick(s);
    if (s->local_count == 0)
        return;
    struct root *root = &s->locals[rng_below(&s->rng, s->local_count)];
    mmgc_local_set(s->t, root->local, f.p);
    root->o = f.o;
}

static void do_garbage(struct shadow *s)
{
    for (uint32_t n = rng_below(&s->rng, 400); n > 0; n--) {
        struct shadow_pair *pair = mmgc_new(s->t, s->types.of[SHADOW_PAIR]);
        EXPECT(pair != NULL, "%s: no memory for a pair: %s", s->label,
               mmgc_strerror(mmgc_thread_error(s->t)));
        EXPECT(pair->value == 0 && pair->left.granule == 0 && pair->right.granule == 0,
               "%s: a new pair is not zero", s->label);
        pair->value = n;
        mmgc_set(s->t, pair, left, pair);
    }
}

static void do_outside(struct shadow *s)
{
    mmgc_leave(s->t);
    graph_forget_raws(s);
    if (s->config.sleeps && rng_one_in(&s->rng, 4))
        crew_sleep_us(rng_skewed(&s->rng, 2000));
    if (rng_one_in(&s->rng, 4))
        graph_handle_drop(s, rng_below(&s->rng, HANDLES)); /* allowed from anywhere */
    EXPECT_OK(mmgc_enter(s->t));
    for (uint32_t n = rng_below(&s->rng, 6); n > 0; n--) /* nobody may be looking at the heap now */
        do_move(s);
}

static void do_collect(struct shadow *s)
{
    if (!s->config.collects)
        return;
    uint64_t before = graph_collections(s);
    EXPECT_OK(mmgc_gc(s->t));
    EXPECT(graph_collections(s) > before, "%s: mmgc_gc() came back before any collection", s->label);
}

/* A pointer in each of many frames, or a local root if the thread is exact. */
static __attribute__((noinline)) struct shadow_pair *descend(struct shadow *s, uint32_t depth)
{
    struct shadow_pair *pair = mmgc_new(s->t, s->types.of[SHADOW_PAIR]);
    EXPECT(pair != NULL, "%s: no memory for a pair: %s", s->label,
           mmgc_strerror(mmgc_thread_error(s->t)));
    pair->value = s->tally.steps << 16 | depth;
    mmgc_scope scope = { 0 };
    mmgc_local local = { 0 };
    if (s->exact) {
        scope = mmgc_scope_open(s->t);
        local = mmgc_local_new(s->t, pair);
    }
    struct shadow_pair *child = NULL;
    if (depth > 0)
        child = descend(s, depth - 1);
    else if (rng_one_in(&s->rng, 8))
        do_collect(s);
    else
        do_garbage(s);
    if (s->exact) { /* no safepoint since the child came back */
        pair = mmgc_local_get(s->t, local);
        mmgc_scope_close(s->t, scope);
    }
    EXPECT(pair->value == (s->tally.steps << 16 | depth),
           "%s: frame %" PRIu32 " has another object: %" PRIx64, s->label, depth, pair->value);
    mmgc_set(s->t, pair, left, child);
    for (uint32_t i = depth; child != NULL && i + 8 > depth; child = mmgc_get(s->t, child, left))
        EXPECT(child->value == (s->tally.steps << 16 | --i),
               "%s: below frame %" PRIu32 " hangs another object", s->label, depth);
    mmgc_keep(pair);
    return pair;
}

static void do_descend(struct shadow *s)
{
    descend(s, rng_skewed(&s->rng, DEPTH_MAX / STRESS_SLOWER));
}

/* A collection that goes on beside the clients may come to its end at any time; a stop comes when this thread lets it. */
static uint64_t stopped_ns(const struct shadow *s)
{
    struct mmgc_heap_info info;
    EXPECT_OK(mmgc_heap_info(s->heap, &info));
    return info.total_pause_ns;
}

static void do_reserve(struct shadow *s)
{
    uint64_t bytes = rng_skewed(&s->rng, 64u << 10);
    int r = mmgc_reserve(s->t, bytes);
    EXPECT(r == MMGC_OK, "%s: reserving %" PRIu64 " bytes: %s", s->label, bytes, mmgc_strerror(r));
    uint64_t before = stopped_ns(s), pair_bytes = mmgc_size(s->types.of[SHADOW_PAIR], 0);
    for (uint64_t left = bytes; left >= pair_bytes; left -= pair_bytes)
        EXPECT(mmgc_new(s->t, s->types.of[SHADOW_PAIR]) != NULL,
               "%s: an allocation failed within a reservation of %" PRIu64, s->label, bytes);
    EXPECT(stopped_ns(s) == before,
           "%s: the world was stopped within a reservation of %" PRIu64 " bytes", s->label, bytes);
    EXPECT_OK(mmgc_reserve(s->t, 0));
}

static void do_poll(struct shadow *s)
{
    EXPECT_OK(mmgc_poll(s->t));
}

static const struct operation {
    void (*run)(struct shadow *s);
    uint32_t share; /* of 1000 */
} operations[] = {
    { do_new, 548 },      { do_link, 200 }, { do_unlink, 10 },  { do_move, 20 },
    { do_scribble, 60 },  { do_root, 40 },  { do_unroot, 10 },  { do_scope, 20 },
    { do_local_set, 10 }, { do_poll, 30 },  { do_garbage, 20 }, { do_outside, 20 },
    { do_descend, 5 },    { do_grow, 2 },   { do_reserve, 4 },  { do_collect, 1 },
};

static void step(struct shadow *s)
{
    uint32_t at = rng_below(&s->rng, 1000), i = 0;
    while (at >= operations[i].share)
        at -= operations[i++].share;
    operations[i].run(s);
    s->tally.steps++;
    if (s->tally.steps % COMPARE_EVERY == 0)
        graph_compare_if_collected(s);
    if (s->bytes > s->config.budget_bytes + s->config.budget_bytes / 2 ||
        s->tally.steps % PRUNE_EVERY == 0)
        graph_keep_in_budget(s);
}

/* ---- a shadow's life ----------------------------------------------------------------------------------------------- */

struct shadow *shadow_new(const struct shadow_config *config)
{
    struct shadow *s = calloc(1, sizeof(*s));
    EXPECT(s != NULL, "no private memory");
    s->config = *config;
    snprintf(s->label, sizeof(s->label), "%s", config->label);
    s->config.label = s->label;
    s->rng = rng_from(config->seed);
    return s;
}

void shadow_free(struct shadow *s)
{
    if (s == NULL)
        return;
    s->walk++;
    graph_free_unvisited(s);
    free(s->stack);
    free(s);
}

void shadow_attach(struct shadow *s, struct mmgc_heap *heap, struct mmgc_thread *t, bool exact,
                   bool same_heap)
{
    s->heap = heap;
    s->t = t;
    s->exact = exact;
    s->local_count = s->scope_count = 0;
    graph_forget_raws(s);
    if (!same_heap) {
        memset(s->handles, 0, sizeof(s->handles));
        memset(s->made, 0, sizeof(s->made));
    }
    shadow_types_define(heap, &s->types);
    graph_prune(s);
}

/* Not inlined, so that the array is in a frame below all that runs. */
static __attribute__((noinline)) void run_inside(struct shadow *s, unsigned steps)
{
    char *raw[RAWS] = { 0 };
    s->raw = raw;
    __asm__ volatile("" : : "r"(raw) : "memory");
    for (unsigned i = 0; i < steps; i++)
        step(s);
    graph_compare_if_collected(s);
    graph_forget_raws(s);
    s->raw = NULL;
}

void shadow_run(struct shadow *s, unsigned steps)
{
    EXPECT_OK(mmgc_enter(s->t));
    run_inside(s, steps);
    mmgc_leave(s->t);
}

void shadow_compare(struct shadow *s)
{
    EXPECT_OK(mmgc_enter(s->t));
    graph_compare(s);
    mmgc_leave(s->t);
}

void shadow_drop(struct shadow *s)
{
    EXPECT_OK(mmgc_enter(s->t));
    for (uint32_t i = 0; i < graph_root_count(s); i++)
        graph_root_clear(s, i);
    for (uint32_t i = 0; i < HANDLES; i++)
        graph_handle_drop(s, i);
    mmgc_leave(s->t);
    graph_prune(s);
}

const struct shadow_tally *shadow_tally(const struct shadow *s)
{
    return &s->tally;
}
