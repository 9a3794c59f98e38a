/* SPDX-License-Identifier: Apache-2.0 */
/* stress_hold: threads of several processes make, link, stow and drop graphs in nested holds, each with a private model of what it has:
 * which objects there are, what they refer to, and how deep a hold each is in. After each collection, stow and end the two are compared.
 *   H1  everything is held by local roots alone, whether the thread is exact or not; pointers live from one safepoint to the next
 *   H2  a world of old objects in the heap is stored into: that lets out what is in holds
 *   Replay  MMGC_SEED=... as printed      Longer  --long, --times N                                                  */
#include <inttypes.h>
#include <mmgc/hold.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "client/hold.h"
#include "shm/base.h"
#include "tests/support/crew.h"
#include "tests/support/daemon.h"
#include "tests/support/inspect.h"
#include "tests/support/stress.h"

#define CLIENTS 2u
#define THREADS 2u
#define SECONDS_ALL 20.0 /* of all cases together */
#define HEAP_BYTES (UINT64_C(48) << 20)
#define SLOTS 24u /* local roots; the first WORLD of them stay in the heap */
#define WORLD 4u
#define LARGE_REFS 5000u
#define DEPTH_MAX 4u
#define OBJECTS_MAX 4000u /* in a model; more, and it begins anew */
#define STEPS 300u

struct thing {
    mmgc_ref refs[3];
    uint32_t id;
};

/* ---- the model ---- */

struct model { /* an object */
    struct model *next;
    uint32_t id, depth, ref_count;
    bool guest; /* the heap's from the beginning: it never moves out of a hold, though it is one's */
    uint32_t walk;
    const char *where; /* in that walk */
    struct model *refs[];
};

struct open_hold {
    mmgc_hold hold;
    enum mmgc_hold_policy policy;
};

struct player {
    struct mmgc_heap *heap;
    struct mmgc_thread *t;
    mmgc_type thing, refs;
    bool exact;
    struct rng rng;
    struct model *all;
    uint32_t count, next_id, walk;
    struct model *roots[SLOTS];
    mmgc_local locals[SLOTS];
    struct open_hold holds[DEPTH_MAX];
    uint32_t depth;
    uint64_t steps, compared, stowed, collections;
};

static struct model *model_new(struct player *p, uint32_t ref_count, bool guest)
{
    struct model *m = calloc(1, sizeof(*m) + ref_count * sizeof(m->refs[0]));
    EXPECT(m != NULL, "no memory for the model");
    *m = (struct model){ .next = p->all, .id = ++p->next_id, .depth = p->depth, .ref_count = ref_count, .guest = guest };
    p->all = m;
    p->count++;
    return m;
}

/* What @m reaches and is deeper than @to is so deep from now on. */
static void model_stow(struct model *m, uint32_t to)
{
    if (m == NULL || m->depth <= to)
        return;
    m->depth = to;
    for (uint32_t i = 0; i < m->ref_count; i++)
        model_stow(m->refs[i], to);
}

static void model_visit(struct player *p, struct model *m)
{
    if (m == NULL || m->walk == p->walk)
        return;
    m->walk = p->walk;
    for (uint32_t i = 0; i < m->ref_count; i++)
        model_visit(p, m->refs[i]);
}

static void model_prune(struct player *p)
{
    p->walk++;
    for (uint32_t i = 0; i < SLOTS; i++)
        model_visit(p, p->roots[i]);
    for (struct model *m = p->all; m != NULL; m = m->next)
        if (m->guest && m->depth > 0) /* it lives as long as its hold */
            model_visit(p, m);
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

/* ---- both ---- */

static char *at_slot(const struct player *p, uint32_t slot)
{
    return mmgc_local_get(p->t, p->locals[slot]);
}

static mmgc_ref *refs_of(char *object)
{
    return (mmgc_ref *)(void *)object; /* both types begin with them */
}

static void compare_object(struct player *p, struct model *m, char *object)
{
    EXPECT((m == NULL) == (object == NULL), "object %" PRIu32 " is %s", m == NULL ? 0 : m->id, object == NULL ? "null" : "there");
    if (m == NULL)
        return;
    if (m->walk == p->walk) {
        EXPECT(m->where == object, "object %" PRIu32 " is in two places", m->id);
        return;
    }
    m->walk = p->walk;
    m->where = object;
    p->compared++;
    struct thread *th = thread_of(p->t);
    uint32_t depth = th->hold_depth == 0 ? 0 : hold_depth_of(th, object);
    EXPECT(depth == m->depth, "object %" PRIu32 " is %" PRIu32 " deep and should be %" PRIu32, m->id, depth, m->depth);
    if (m->guest)
        EXPECT(mmgc_length(object) == m->ref_count, "object %" PRIu32 " has %" PRIu32 " elements", m->id, mmgc_length(object));
    else
        EXPECT(((struct thing *)(void *)object)->id == m->id, "object %" PRIu32 " says it is %" PRIu32, m->id,
               ((struct thing *)(void *)object)->id);
    for (uint32_t i = 0; i < m->ref_count; i++)
        compare_object(p, m->refs[i], mmgc_load(p->t, &refs_of(object)[i]));
}

static void compare(struct player *p)
{
    p->walk++;
    for (uint32_t i = 0; i < SLOTS; i++)
        compare_object(p, p->roots[i], at_slot(p, i));
}

static void compare_if_collected(struct player *p)
{
    struct mmgc_heap_info info;
    EXPECT_OK(mmgc_heap_info(p->heap, &info));
    if (info.collections != p->collections)
        compare(p);
    p->collections = info.collections;
}

static uint32_t any_slot(struct player *p)
{
    return WORLD + rng_below(&p->rng, SLOTS - WORLD);
}

static bool out_of_memory(const struct player *p, int r)
{
    (void)p;
    return r == MMGC_E_NOMEM || r == MMGC_E_LIMIT;
}

/* ---- operations ---- */

static void do_new(struct player *p)
{
    uint32_t slot = any_slot(p);
    struct thing *made = mmgc_new(p->t, p->thing);
    EXPECT(made != NULL, "no memory: %s", mmgc_strerror(mmgc_thread_error(p->t)));
    struct model *m = model_new(p, 3, false);
    made->id = m->id;
    for (uint32_t i = 0; i < 3; i++)
        if (rng_one_in(&p->rng, 2)) {
            uint32_t other = rng_below(&p->rng, SLOTS);
            if (p->roots[other] != NULL && p->roots[other]->depth > p->depth)
                continue; /* there is none */
            m->refs[i] = p->roots[other];
            mmgc_init_store(p->t, &made->refs[i], at_slot(p, other));
        }
    p->roots[slot] = m;
    mmgc_local_set(p->t, p->locals[slot], made);
}

/* A row of things that nothing else knows: what a request makes on its way. */
static void do_litter(struct player *p)
{
    for (uint32_t i = rng_below(&p->rng, 400); i > 0; i--)
        EXPECT(mmgc_new_array(p->t, p->refs, rng_below(&p->rng, 60)) != NULL, "no memory");
}

static void do_new_guest(struct player *p)
{
    uint32_t slot = any_slot(p), length = rng_one_in(&p->rng, 2) ? LARGE_REFS : 5;
    char *made = mmgc_new_in(p->t, p->refs, length, length == LARGE_REFS ? MMGC_SPACE_DEFAULT : MMGC_SPACE_NONMOVING);
    if (made == NULL) {
        EXPECT(out_of_memory(p, mmgc_thread_error(p->t)), "%s", mmgc_strerror(mmgc_thread_error(p->t)));
        return;
    }
    struct model *m = model_new(p, length, true);
    for (uint32_t i = 0; i < 4; i++) {
        uint32_t at = rng_below(&p->rng, length), other = rng_below(&p->rng, SLOTS);
        m->refs[at] = p->roots[other];
        mmgc_init_store(p->t, &refs_of(made)[at], at_slot(p, other));
    }
    p->roots[slot] = m;
    mmgc_local_set(p->t, p->locals[slot], made);
}

/* By each way to store. True: something else stands there than before; what was let out never stood there. */
static bool store(struct player *p, char *object, uint32_t ref, char *value)
{
    mmgc_ref *slot = &refs_of(object)[ref];
    char *was = mmgc_load(p->t, slot);
    switch (rng_below(&p->rng, 4)) {
    case 0: (void)mmgc_compare_and_swap(p->t, object, slot, was, value); break;
    case 1: mmgc_exchange(p->t, object, slot, value); break;
    case 2: mmgc_fill_refs(p->t, object, slot, value, 1); break;
    default: mmgc_store(p->t, object, slot, value); break;
    }
    return mmgc_load(p->t, slot) != was;
}

static void do_link(struct player *p, uint32_t from, uint32_t to)
{
    struct model *a = p->roots[from], *b = p->roots[to];
    if (a == NULL)
        return;
    uint32_t ref = rng_below(&p->rng, a->ref_count);
    bool escapes = b != NULL && b->depth > a->depth;
    enum mmgc_hold_policy policy = escapes ? p->holds[b->depth - 1].policy : MMGC_HOLD_STOW;
    if (p->depth == 0) {
        mmgc_store(p->t, at_slot(p, from), &refs_of(at_slot(p, from))[ref], at_slot(p, to));
        a->refs[ref] = b;
        return;
    }
    char *was = mmgc_load(p->t, &refs_of(at_slot(p, from))[ref]);
    bool done = store(p, at_slot(p, from), ref, at_slot(p, to));
    if (escapes && policy == MMGC_HOLD_REFUSE) {
        EXPECT(mmgc_thread_error(p->t) == MMGC_E_HELD, "not refused");
        EXPECT(mmgc_load(p->t, &refs_of(at_slot(p, from))[ref]) == was, "refused and stored");
        return;
    }
    if (escapes && !done && out_of_memory(p, mmgc_thread_error(p->t)))
        return;
    a->refs[ref] = b;
    if (escapes) {
        model_stow(b, a->depth);
        p->stowed++;
        compare(p);
    }
}

static void do_stow(struct player *p)
{
    void *objects[2];
    uint32_t slots[2] = { any_slot(p), any_slot(p) };
    if (p->depth == 0)
        return;
    for (uint32_t i = 0; i < 2; i++)
        objects[i] = at_slot(p, slots[i]);
    int r = mmgc_hold_stow(p->t, objects, 2);
    EXPECT(r == MMGC_OK || out_of_memory(p, r), "stow: %s: %s", mmgc_strerror(r), mmgc_error_detail());
    for (uint32_t i = 0; i < 2; i++)
        EXPECT(objects[i] == at_slot(p, slots[i]), "a local root is not what was stowed");
    for (uint32_t i = 0; r == MMGC_OK && i < 2; i++)
        model_stow(p->roots[slots[i]], p->depth - 1);
    compare(p);
}

static void do_begin(struct player *p)
{
    struct mmgc_hold_options options = { .policy = rng_one_in(&p->rng, 3) ? MMGC_HOLD_REFUSE : MMGC_HOLD_STOW };
    if (p->depth == DEPTH_MAX)
        return;
    struct open_hold *open = &p->holds[p->depth];
    open->policy = options.policy;
    EXPECT_OK(mmgc_hold_begin(p->t, &options, &open->hold));
    p->depth++;
    if (rng_one_in(&p->rng, 4)) {
        int r = mmgc_reserve(p->t, rng_below(&p->rng, 200000));
        EXPECT(r == MMGC_OK || r == MMGC_E_RESERVE || out_of_memory(p, r), "reserve: %s", mmgc_strerror(r));
    }
}

/* Everything that its guests refer to is kept, too. */
static void model_end(struct player *p)
{
    uint32_t depth = p->depth--;
    for (struct model *m = p->all; m != NULL; m = m->next)
        if (m->guest && m->depth == depth)
            model_stow(m, depth - 1);
    for (uint32_t i = 0; i < SLOTS; i++)
        if (p->roots[i] != NULL && p->roots[i]->depth == depth)
            p->roots[i] = NULL;
}

static void do_end(struct player *p, uint32_t keep)
{
    void *kept[3];
    uint32_t slots[3];
    if (p->depth == 0)
        return;
    for (uint32_t i = 0; i < keep; i++) {
        slots[i] = any_slot(p);
        kept[i] = at_slot(p, slots[i]);
    }
    int r = mmgc_hold_end(p->t, p->holds[p->depth - 1].hold, kept, keep);
    if (r != MMGC_OK) {
        EXPECT(out_of_memory(p, r), "end: %s: %s", mmgc_strerror(r), mmgc_error_detail());
        compare(p);
        return;
    }
    for (uint32_t i = 0; i < keep; i++)
        model_stow(p->roots[slots[i]], p->depth - 1);
    model_end(p);
    for (uint32_t i = 0; i < keep; i++)
        EXPECT(kept[i] == at_slot(p, slots[i]), "a local root is not what was kept");
    compare(p);
}

static void do_stop(struct player *p)
{
    if (rng_one_in(&p->rng, 4)) {
        int r = mmgc_gc(p->t);
        EXPECT(r == MMGC_OK, "%s", mmgc_strerror(r));
    } else if (rng_one_in(&p->rng, 2)) {
        mmgc_leave(p->t);
        if (rng_one_in(&p->rng, 4))
            crew_sleep_us(rng_below(&p->rng, 500));
        EXPECT_OK(mmgc_enter(p->t));
    } else {
        EXPECT_OK(mmgc_poll(p->t));
    }
}

static void step(struct player *p)
{
    uint32_t what = rng_below(&p->rng, 100);
    if (what < 40)
        do_new(p);
    else if (what < 55)
        do_litter(p);
    else if (what < 70)
        do_link(p, any_slot(p), rng_below(&p->rng, SLOTS));
    else if (what < 75)
        do_link(p, rng_below(&p->rng, WORLD), any_slot(p));
    else if (what < 78)
        do_stow(p);
    else if (what < 81)
        do_new_guest(p);
    else if (what < 87)
        do_begin(p);
    else if (what < 93)
        do_end(p, rng_below(&p->rng, 4));
    else
        do_stop(p);
    compare_if_collected(p);
    p->steps++;
}

/* ---- a thread's life ---- */

static void begin_anew(struct player *p)
{
    while (p->depth > 0)
        do_end(p, 0);
    for (uint32_t i = 0; i < SLOTS; i++) {
        p->roots[i] = NULL;
        mmgc_local_set(p->t, p->locals[i], NULL);
    }
    model_prune(p);
    for (uint32_t i = 0; i < WORLD; i++) {
        struct thing *made = mmgc_new(p->t, p->thing);
        EXPECT(made != NULL, "no memory for a world");
        p->roots[i] = model_new(p, 3, false);
        made->id = p->roots[i]->id;
        mmgc_local_set(p->t, p->locals[i], made);
    }
}

static void come_in(struct player *p)
{
    EXPECT_OK(mmgc_attach(p->heap, &(struct mmgc_thread_options){ .exact = p->exact, .name = "hold" }, &p->t));
    EXPECT_OK(mmgc_enter(p->t));
    for (uint32_t i = 0; i < SLOTS; i++)
        p->locals[i] = mmgc_local_new(p->t, NULL);
    begin_anew(p);
}

/* With holds open: they go with the thread. */
static void go(struct player *p)
{
    mmgc_detach(p->t);
    p->depth = 0;
    memset(p->roots, 0, sizeof(p->roots));
    for (struct model *m = p->all; m != NULL; m = m->next)
        m->depth = 0;
    model_prune(p);
}

static void play(struct player *p, uint64_t end_ns)
{
    come_in(p);
    do {
        for (unsigned i = 0; i < STEPS; i++)
            step(p);
        model_prune(p);
        if (p->count > OBJECTS_MAX)
            begin_anew(p);
        if (rng_one_in(&p->rng, 10)) {
            go(p);
            come_in(p);
        }
    } while (mm_now_ns() < end_ns);
    compare(p);
    go(p);
}

struct hold_case {
    const char *socket, *plan, *options;
    uint64_t seed;
    double seconds;
};
struct seat {
    struct player player;
    uint64_t end_ns;
    pthread_t thread;
};

static void *work(void *arg)
{
    struct seat *seat = arg;
    play(&seat->player, seat->end_ns);
    return NULL;
}

static const uint32_t thing_refs[] = { 0, 4, 8 };

static void open_heap(const struct hold_case *c, struct mmgc_client **ret_client, struct mmgc_heap **ret_heap)
{
    struct mmgc_heap_options options = { .create = true,
                                         .max_bytes = stress_heap_bytes(c->plan, HEAP_BYTES),
                                         .plan = c->plan,
                                         .options = c->options };
    EXPECT_OK(mmgc_connect(c->socket, "hold", ret_client));
    EXPECT_OK(mmgc_heap_open(*ret_client, "hold", &options, ret_heap));
}

static void define(struct mmgc_heap *heap, mmgc_type *thing, mmgc_type *refs)
{
    struct mmgc_type_layout layout = { .name = "thing", .fixed_bytes = sizeof(struct thing), .refs = thing_refs, .ref_count = 3 };
    EXPECT_OK(mmgc_type_define(heap, &layout, thing));
    EXPECT_OK(mmgc_type_refs(heap, refs));
}

static void be_client(struct mate *mate, void *arg)
{
    const struct hold_case *c = arg;
    struct seat seats[THREADS];
    struct mmgc_client *client;
    struct mmgc_heap *heap;
    open_heap(c, &client, &heap);
    for (uint32_t i = 0; i < THREADS; i++) {
        uint64_t seed = c->seed * CREW_MAX + mate->number * THREADS + i;
        seats[i] = (struct seat){ .player = { .heap = heap, .exact = i % 2 == 1, .rng = rng_from(seed) },
                                  .end_ns = mm_now_ns() + (uint64_t)(c->seconds * 1e9) };
        define(heap, &seats[i].player.thing, &seats[i].player.refs);
        EXPECT(pthread_create(&seats[i].thread, NULL, work, &seats[i]) == 0, "no thread");
    }
    for (uint32_t i = 0; i < THREADS; i++) {
        pthread_join(seats[i].thread, NULL);
        at_add_relaxed(&mate->numbers[0], seats[i].player.steps);
        at_add_relaxed(&mate->numbers[1], seats[i].player.compared);
        at_add_relaxed(&mate->numbers[2], seats[i].player.stowed);
    }
    mmgc_heap_close(heap);
    mmgc_disconnect(client);
}

START_TEST(what_holds_have_equals_its_model)
{
    struct daemon *daemon = daemon_start(NULL);
    struct hold_case c = { .socket = daemon_socket(daemon),
                           .plan = stress_plan(_i),
                           .options = stress_options(stress_plan(_i), (uint64_t)_i),
                           .seed = stress_seed((uint64_t)_i),
                           .seconds = stress_seconds_each(SECONDS_ALL, stress_plan_count()) };
    struct crew crew;
    struct inspect ask;
    uint64_t numbers[3] = { 0 };
    crew_init(&crew);
    for (uint32_t i = 0; i < CLIENTS; i++)
        crew_start(&crew, be_client, &c);
    for (uint32_t i = 0; i < CLIENTS; i++) {
        mate_join(&crew.mates[i], c.seconds + 60);
        for (uint32_t k = 0; k < 3; k++)
            numbers[k] += crew.mates[i].numbers[k];
    }
    inspect_open(&ask, c.socket);
    inspect_await_sessions(&ask, "hold", 0);
    inspect_verify(&ask, "hold");
    ck_assert_int_eq(inspect_collect(&ask, "hold"), MMGC_E_OK);
    inspect_verify(&ask, "hold");
    struct inspect_heap heap = inspect_heap(&ask, "hold");
    ck_assert_uint_eq(heap.live_bytes, 0);
    inspect_close(&ask);
    crew_fini(&crew);
    daemon_stop(daemon);
    fprintf(stderr, "plan %s (%s): %" PRIu64 " steps, %" PRIu64 " collections, %" PRIu64 " stores that stowed, %" PRIu64 " objects compared\n",
            c.plan, c.options, numbers[0], heap.collections, numbers[2], numbers[1]);
    ck_assert_uint_gt(heap.collections, 0);
}
END_TEST

static Suite *hold_suite(void)
{
    Suite *suite = suite_create("stress_hold");
    TCase *models = tcase_create("models");
    stress_limit(models, SECONDS_ALL + 90);
    tcase_add_loop_test(models, what_holds_have_equals_its_model, 0, stress_plan_count());
    suite_add_tcase(suite, models);
    return suite;
}

int main(int argc, char **argv)
{
    return stress_main(argc, argv, hold_suite);
}
