/* SPDX-License-Identifier: Apache-2.0 */
/* stress_oom: a full heap is an error and nothing else: whatever was reachable stays as it was, nobody hangs, and when
 * something is dropped there is memory again. And what mmgc_reserve() promises holds whatever others do. */
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "plans/plan.h"
#include "shm/base.h"
#include "tests/support/crew.h"
#include "tests/support/daemon.h"
#include "tests/support/entry.h"
#include "tests/support/inspect.h"
#include "tests/support/stress.h"

#define HEAP "full"
#define HEAP_BYTES (UINT64_C(16) << 20)
#define LARGER_HEAP_BYTES (UINT64_C(32) << 20) /* where RESERVE_MAX is to be had, also with as much kept for copies */
#define LIMIT_BYTES (UINT64_C(8) << 20)
#define LIMIT_S 60.0
#define CROWD 4u

struct oom_case {
    const char *socket, *plan;
    uint64_t heap_bytes;
    bool exact;
    unsigned size; /* enum size_class */
    uint64_t seed;
};

static void oom_case_init(struct oom_case *c, struct daemon *daemon, const char *plan, uint64_t which)
{
    *c = (struct oom_case){ .socket = daemon_socket(daemon),
                            .plan = plan,
                            .heap_bytes = HEAP_BYTES,
                            .exact = stress_toss(which),
                            .seed = stress_seed(which) };
}

static void enter_heap(struct entry *e, const struct oom_case *c, uint64_t limit_bytes)
{
    entry_open(e, &(struct entry_options){ .socket = c->socket,
                                           .heap = HEAP,
                                           .plan = c->plan,
                                           .max_bytes = c->heap_bytes,
                                           .limit_bytes = limit_bytes,
                                           .name = "full",
                                           .exact = c->exact });
    EXPECT_OK(mmgc_enter(e->t));
}

/* ---- a pile: one client's chain of things, held by a handle --------------------------------------------------------- */

enum size_class { SMALL, MEDIUM, LARGE, ALL_SIZES, SIZE_CLASSES };

struct pile {
    struct entry *e;
    struct rng rng;
    enum size_class size;
    mmgc_handle top; /* pair {left: the one below, right: bytes or null, value: how many are below} */
    uint64_t height, bytes;
};

static void pile_init(struct pile *pile, struct entry *e, enum size_class size, uint64_t seed)
{
    *pile = (struct pile){ .e = e, .rng = rng_from(seed), .size = size };
    struct shadow_pair *bottom = mmgc_new(e->t, e->types.of[SHADOW_PAIR]);
    EXPECT(bottom != NULL, "not even one pair: %s", mmgc_strerror(mmgc_thread_error(e->t)));
    EXPECT_OK(mmgc_handle_new(e->t, bottom, &pile->top));
}

static uint32_t length_for(struct pile *pile)
{
    static const uint32_t max[] = {
        [SMALL] = 0, [MEDIUM] = 16000, [LARGE] = 1u << 20, [ALL_SIZES] = 200u << 10
    };
    if (pile->size == LARGE)
        return 20000 + rng_below(&pile->rng, max[LARGE] - 20000);
    return max[pile->size] ? rng_skewed(&pile->rng, max[pile->size]) : 0;
}

static char byte_of(uint64_t value, uint32_t length)
{
    return (char)(value * 29 + length);
}

static uint64_t bytes_of(struct pile *pile, const void *bytes)
{
    return mmgc_size(pile->e->types.of[SHADOW_PAIR], 0) +
           (bytes ? mmgc_size(pile->e->types.of[SHADOW_BYTES], mmgc_length(bytes)) : 0);
}

/* False: no memory, and nothing has changed. */
static bool pile_add(struct pile *pile)
{
    struct mmgc_thread *t = pile->e->t;
    uint32_t length = length_for(pile);
    mmgc_scope scope = mmgc_scope_open(t);
    struct held held = entry_hold(pile->e, mmgc_new(t, pile->e->types.of[SHADOW_PAIR]));
    char *bytes = held.p && length ? mmgc_new_array(t, pile->e->types.of[SHADOW_BYTES], length) : NULL;
    if (held.p == NULL || (length > 0 && bytes == NULL)) {
        mmgc_scope_close(t, scope);
        return false;
    }
    struct shadow_pair *pair = entry_held(pile->e, &held);
    if (bytes != NULL)
        memset(bytes, byte_of(pile->height, length), length);
    pair->value = ++pile->height;
    mmgc_set(t, pair, right, bytes);
    mmgc_set(t, pair, left, mmgc_handle_get(t, pile->top));
    mmgc_handle_set(t, pile->top, pair);
    mmgc_scope_close(t, scope);
    pile->bytes += bytes_of(pile, bytes);
    return true;
}

/* Until there is no memory; the error is the one that says so. How many were added. */
static uint64_t pile_fill(struct pile *pile)
{
    uint64_t n = 0;
    while (pile_add(pile))
        n++;
    int error = mmgc_thread_error(pile->e->t);
    EXPECT(error == MMGC_E_NOMEM, "a full heap says: %s (%s)", mmgc_strerror(error),
           mmgc_error_detail());
    return n;
}

static void pile_check(struct pile *pile)
{
    struct mmgc_thread *t = pile->e->t;
    uint64_t height = pile->height;
    for (struct shadow_pair *pair = mmgc_handle_get(t, pile->top); pair != NULL;
         pair = mmgc_get(t, pair, left), height--) {
        EXPECT(pair->value == height, "number %" PRIu64 " of the pile is %" PRIu64, height, pair->value);
        const char *bytes = mmgc_get(t, pair, right);
        uint32_t length = bytes ? mmgc_length(bytes) : 0;
        for (uint32_t i = 0; i < length; i++)
            EXPECT(bytes[i] == byte_of(height - 1, length),
                   "byte %" PRIu32 " of number %" PRIu64 " differs", i, height);
        if (height == 0)
            break;
    }
    EXPECT(height == 0, "%" PRIu64 " of the pile are gone", height);
}

/* Keeps the lower half. What is dropped is taken apart: a word forgotten on an ambiguous stack may keep one thing, but not all. */
static void pile_halve(struct pile *pile)
{
    struct mmgc_thread *t = pile->e->t;
    struct shadow_pair *pair = mmgc_handle_get(t, pile->top);
    for (uint64_t keep = pile->bytes / 2; pile->bytes > keep; pile->height--) {
        struct shadow_pair *below = mmgc_get(t, pair, left);
        pile->bytes -= bytes_of(pile, mmgc_get(t, pair, right));
        mmgc_set(t, pair, left, NULL);
        mmgc_set(t, pair, right, NULL);
        pair = below;
    }
    mmgc_handle_set(t, pile->top, pair);
}

/* Plans that copy what is old promise half of the heap. They may hold more, in blocks that had no room to be copied into; when something
 * was dropped, nothing more is had before they hold less than half again. */
static uint64_t promised_bytes(const struct oom_case *c)
{
    return plan_find(c->plan)->copies_to[BLOCK_COPY] == BLOCK_COPY ? HEAP_BYTES / 2 : HEAP_BYTES;
}

/* ---- one client ---------------------------------------------------------------------------------------------------- */

static void fill_again_and_again(struct mate *mate, void *arg)
{
    const struct oom_case *c = arg;
    struct entry e;
    struct pile pile;
    (void)mate;
    enter_heap(&e, c, 0);
    pile_init(&pile, &e, (enum size_class)c->size, c->seed);
    for (unsigned round = 0; round < 3; round++) {
        pile_fill(&pile);
        /* large objects waste up to the largest of them, and page ends */
        EXPECT(pile.bytes > MM_MIN(HEAP_BYTES / 2, promised_bytes(c) / 8 * 7),
               "the heap was full with %" PRIu64 " bytes of %" PRIu64 " reachable", pile.bytes,
               HEAP_BYTES);
        pile_check(&pile);
        void *too = NULL; /* other calls go on as before */
        EXPECT_OK(mmgc_name_set(e.t, "top", mmgc_handle_get(e.t, pile.top)));
        EXPECT_OK(mmgc_name_claim(e.t, "top", mmgc_handle_get(e.t, pile.top), &too));
        mmgc_leave(e.t);
        EXPECT_OK(mmgc_enter(e.t));
        EXPECT_OK(mmgc_gc(e.t));
        pile_check(&pile);
        EXPECT_OK(mmgc_name_set(e.t, "top", NULL));
        uint64_t before = MM_MIN(pile.bytes, promised_bytes(c));
        pile_halve(&pile);
        /* most of the other half is had again; large objects need it in one piece */
        while (pile.bytes < before / 8 * (pile.size == LARGE ? 5 : 7))
            EXPECT(pile_add(&pile),
                   "no memory though half was dropped: %" PRIu64 " bytes of %" PRIu64 ": %s",
                   pile.bytes, before, mmgc_strerror(mmgc_thread_error(e.t)));
        pile_check(&pile);
    }
    mmgc_leave(e.t);
    entry_close(&e);
}

START_TEST(a_full_heap_is_an_error_and_nothing_is_lost)
{
    struct daemon *daemon = daemon_start(NULL);
    struct oom_case c;
    struct crew crew;
    struct inspect ask;
    oom_case_init(&c, daemon, stress_plan(_i / SIZE_CLASSES), 700 + (uint64_t)_i);
    c.size = (unsigned)_i % SIZE_CLASSES;
    crew_init(&crew);
    mate_join(crew_start(&crew, fill_again_and_again, &c), LIMIT_S);
    inspect_open(&ask, c.socket);
    inspect_verify(&ask, HEAP);
    ck_assert_int_eq(inspect_collect(&ask, HEAP), MMGC_E_OK);
    ck_assert_uint_eq(inspect_heap(&ask, HEAP).live_bytes, 0);
    inspect_close(&ask);
    crew_fini(&crew);
    daemon_stop(daemon);
}
END_TEST

static void fill_a_limit(struct mate *mate, void *arg)
{
    struct entry e;
    struct pile pile;
    struct mmgc_heap_info info;
    (void)mate;
    enter_heap(&e, arg, LIMIT_BYTES);
    pile_init(&pile, &e, ALL_SIZES, 1);
    pile_fill(&pile);
    pile_check(&pile);
    EXPECT_OK(mmgc_heap_info(e.heap, &info));
    EXPECT(info.limit_bytes == LIMIT_BYTES && info.max_bytes == HEAP_BYTES,
           "limit %" PRIu64 ", maximum %" PRIu64, info.limit_bytes, info.max_bytes);
    EXPECT(pile.bytes <= LIMIT_BYTES, "%" PRIu64 " bytes are reachable, over the limit of %" PRIu64,
           pile.bytes, LIMIT_BYTES);
    mmgc_leave(e.t);
    entry_close(&e);
}

START_TEST(a_limit_below_the_maximum_holds)
{
    struct daemon *daemon = daemon_start(NULL);
    struct oom_case c;
    struct crew crew;
    oom_case_init(&c, daemon, stress_plan(_i), 1500 + (uint64_t)_i);
    crew_init(&crew);
    mate_join(crew_start(&crew, fill_a_limit, &c), LIMIT_S);
    crew_fini(&crew);
    daemon_stop(daemon);
}
END_TEST

static void fill_without_collector(struct mate *mate, void *arg)
{
    struct entry e;
    struct pile pile;
    (void)mate;
    enter_heap(&e, arg, 0);
    pile_init(&pile, &e, ALL_SIZES, 1);
    EXPECT(pile_fill(&pile) > 0, "nothing fits");
    pile_check(&pile);
    pile_halve(&pile);
    EXPECT(mmgc_gc(e.t) == MMGC_E_UNSUPPORTED, "a plan without collector collects");
    pile_check(&pile);
    EXPECT(entry_collections(&e) == 0, "a plan without collector has collected");
    mmgc_leave(e.t);
    entry_close(&e);
}

START_TEST(a_plan_without_collector_fills_up_and_says_so)
{
    struct daemon *daemon = daemon_start(NULL);
    struct oom_case c;
    struct crew crew;
    oom_case_init(&c, daemon, "nogc", 1600);
    crew_init(&crew);
    mate_join(crew_start(&crew, fill_without_collector, &c), LIMIT_S);
    crew_fini(&crew);
    daemon_stop(daemon);
}
END_TEST

/* ---- several at once ----------------------------------------------------------------------------------------------- */

static void fill_in_a_crowd(struct mate *mate, void *arg)
{
    const struct oom_case *c = arg;
    struct entry e;
    struct pile pile;
    bool copies = stress_plan_copies(c->plan);
    enter_heap(&e, c, 0);
    pile_init(&pile, &e, (enum size_class)((c->size + mate->number) % SIZE_CLASSES),
              c->seed + mate->number);
    mate_say(mate, 1);
    mmgc_leave(e.t);
    mate_listen(mate, 1); /* all at once */
    EXPECT_OK(mmgc_enter(e.t));
    pile_fill(&pile);
    pile_check(&pile);
    mmgc_leave(e.t);
    mate_say(mate, 2);
    mate_listen(mate, 2); /* all have met the error: all keep a quarter, or an eighth where there must be room for copies */
    EXPECT_OK(mmgc_enter(e.t));
    pile_check(&pile);
    for (unsigned halves = copies ? 3 : 2; halves > 0; halves--)
        pile_halve(&pile);
    mmgc_leave(e.t);
    mate_say(mate, 3);
    mate_listen(mate, 3); /* now there is memory for each */
    EXPECT_OK(mmgc_enter(e.t));
    pile.size = pile.size == LARGE ? ALL_SIZES
                                   : pile.size; /* a long row of free pages is more than memory */
    for (uint64_t enough = pile.bytes + HEAP_BYTES / (copies ? 32 : 16); pile.bytes < enough;)
        EXPECT(pile_add(&pile), "no memory though most was dropped: %s",
               mmgc_strerror(mmgc_thread_error(e.t)));
    pile_check(&pile);
    mmgc_leave(e.t);
    entry_close(&e);
}

START_TEST(of_clients_that_fill_a_heap_at_once_each_gets_memory_or_an_error)
{
    struct daemon *daemon = daemon_start(NULL);
    struct oom_case c;
    struct crew crew;
    struct inspect ask;
    oom_case_init(&c, daemon, stress_plan(_i), 800 + (uint64_t)_i);
    crew_init(&crew);
    for (uint32_t i = 0; i < CROWD; i++)
        mate_await(crew_start(&crew, fill_in_a_crowd, &c), 1, LIMIT_S);
    inspect_open(&ask, c.socket);
    for (uint32_t stage = 1; stage <= 3; stage++) {
        for (uint32_t i = 0; i < CROWD; i++)
            mate_tell(&crew.mates[i], stage);
        for (uint32_t i = 0; i < CROWD && stage < 3; i++)
            mate_await(&crew.mates[i], stage + 1, LIMIT_S);
        inspect_verify(&ask, HEAP);
    }
    for (uint32_t i = 0; i < CROWD; i++)
        mate_join(&crew.mates[i], LIMIT_S);
    inspect_close(&ask);
    crew_fini(&crew);
    daemon_stop(daemon);
}
END_TEST

/* ---- reservations -------------------------------------------------------------------------------------------------- */

#define RESERVE_MAX (UINT64_C(4) << 20)

/* Objects of random sizes that are @bytes together, one after the other, at once. */
static void use_reservation(struct entry *e, struct rng *rng, uint64_t bytes)
{
    uint64_t before = entry_collections(e), left = bytes;
    mmgc_type type = e->types.of[SHADOW_BYTES];
    while (left >= mmgc_size(type, 1)) {
        uint64_t most = MM_MIN(left, MMGC_SMALL_MAX) - 8;
        uint32_t length = rng_skewed(rng, (uint32_t)most / 8 * 8);
        char *p = mmgc_new_array(e->t, type, length);
        EXPECT(p != NULL,
               "%" PRIu32 " bytes were refused with %" PRIu64 " of %" PRIu64 " reserved bytes left: %s",
               length, left, bytes, mmgc_strerror(mmgc_thread_error(e->t)));
        memset(p, 0x77, length);
        left -= mmgc_size(type, length);
    }
    EXPECT(entry_collections(e) == before,
           "a collection came between the allocations of a reservation of %" PRIu64 " bytes", bytes);
}

static void reserve_and_use(struct mate *mate, void *arg)
{
    const struct oom_case *c = arg;
    struct entry e;
    struct rng rng = rng_from(c->seed);
    enter_heap(&e, c, 0);
    mate_say(mate, 1); /* from now on somebody else collects all the time */
    for (uint64_t i = stress_count(60); i > 0; i--) {
        uint64_t bytes = 16 + rng_skewed(&rng, (uint32_t)RESERVE_MAX / 2);
        EXPECT_OK(mmgc_reserve(e.t, bytes));
        crew_sleep_us(rng_below(&rng, 300)); /* time for a stop to be asked for */
        use_reservation(&e, &rng, bytes);
        (void)mmgc_poll(e.t);
    }
    EXPECT(mmgc_reserve(e.t, RESERVE_MAX + 1) == MMGC_E_RESERVE,
           "more than can be reserved was reserved");
    EXPECT_OK(mmgc_reserve(e.t, RESERVE_MAX));
    EXPECT_OK(mmgc_reserve(e.t, RESERVE_MAX / 4)); /* replaces */
    use_reservation(&e, &rng, RESERVE_MAX / 4);
    EXPECT_OK(mmgc_reserve(e.t, 0));
    mmgc_leave(e.t);
    entry_close(&e);
}

static void collect_all_the_time(struct mate *mate, void *arg)
{
    struct entry e;
    uint64_t rounds = 0;
    enter_heap(&e, arg, 0);
    for (mate_say(mate, 1); at_load_acquire(&mate->told) == 0; rounds++) {
        EXPECT_OK(mmgc_gc(e.t));
        for (unsigned i = 0; i < 100; i++)
            EXPECT(mmgc_new_array(e.t, e.types.of[SHADOW_BYTES], 500) != NULL, "%s",
                   mmgc_strerror(mmgc_thread_error(e.t)));
    }
    mmgc_leave(e.t);
    entry_close(&e);
}

START_TEST(what_is_reserved_is_had_without_failing_or_waiting)
{
    struct daemon *daemon = daemon_start(NULL);
    struct oom_case c;
    struct crew crew;
    oom_case_init(&c, daemon, stress_plan(_i), 900 + (uint64_t)_i);
    c.heap_bytes = LARGER_HEAP_BYTES;
    crew_init(&crew);
    struct mate *other = crew_start(&crew, collect_all_the_time, &c);
    mate_await(other, 1, LIMIT_S);
    struct mate *one = crew_start(&crew, reserve_and_use, &c);
    mate_join(one, LIMIT_S);
    mate_tell(other, 1);
    mate_join(other, LIMIT_S);
    crew_fini(&crew);
    daemon_stop(daemon);
}
END_TEST

static void reserve_in_a_full_heap(struct mate *mate, void *arg)
{
    const struct oom_case *c = arg;
    struct entry e;
    struct pile pile;
    struct rng rng = rng_from(c->seed);
    (void)mate;
    enter_heap(&e, c, 0);
    EXPECT_OK(mmgc_reserve(e.t, 256u << 10)); /* leaves whole blocks over, to be eaten up at the end */
    use_reservation(&e, &rng, 256u << 10);
    pile_init(&pile, &e, SMALL, c->seed);
    pile_fill(&pile);
    int r = mmgc_reserve(e.t, 1u << 20);
    EXPECT(r == MMGC_E_NOMEM || r == MMGC_E_RESERVE, "a full heap promises: %s", mmgc_strerror(r));
    pile_halve(&pile);
    if (stress_plan_copies(c->plan)) /* an object at the end of its hopes was given what was kept for copies, too */
        pile_halve(&pile);
    EXPECT_OK(mmgc_reserve(e.t, 1u << 20));
    use_reservation(&e, &rng, 1u << 20);
    pile_check(&pile);
    mmgc_leave(e.t);
    entry_close(&e);
}

START_TEST(a_full_heap_promises_nothing_until_something_is_dropped)
{
    struct daemon *daemon = daemon_start(NULL);
    struct oom_case c;
    struct crew crew;
    oom_case_init(&c, daemon, stress_plan(_i), 1000 + (uint64_t)_i);
    crew_init(&crew);
    mate_join(crew_start(&crew, reserve_in_a_full_heap, &c), LIMIT_S);
    crew_fini(&crew);
    daemon_stop(daemon);
}
END_TEST

/* ---- too large ----------------------------------------------------------------------------------------------------- */

static void ask_too_much(struct mate *mate, void *arg)
{
    static const struct {
        uint32_t element_bytes, length;
    } asks[] = { { 1, UINT32_MAX },           { 8, UINT32_MAX },
                 { 1, UINT32_MAX - 7 },       { 1u << 20, UINT32_MAX },
                 { 1u << 20, 1u << 12 },      { 4096, 1u << 20 },
                 { 1, (uint32_t)HEAP_BYTES }, { 1, (uint32_t)HEAP_BYTES - 7 },
                 { 1u << 20, 1u << 31 } };
    struct entry e;
    struct pile pile;
    (void)mate;
    enter_heap(&e, arg, 0);
    pile_init(&pile, &e, SMALL, 1);
    for (unsigned i = 0; i < 1000; i++)
        EXPECT(pile_add(&pile), "no memory");
    for (size_t i = 0; i < MM_ARRAY_LEN(asks); i++) {
        char name[32];
        mmgc_type type;
        snprintf(name, sizeof(name), "element%" PRIu32, asks[i].element_bytes);
        EXPECT_OK(mmgc_type_define(
            e.heap, &(struct mmgc_type_layout){ .name = name, .element_bytes = asks[i].element_bytes },
            &type));
        void *p = mmgc_new_array(e.t, type, asks[i].length);
        EXPECT(p == NULL && mmgc_thread_error(e.t) == MMGC_E_TOO_LARGE,
               "%" PRIu32 " elements of %" PRIu32 " bytes: %p, %s", asks[i].length,
               asks[i].element_bytes, p, mmgc_strerror(mmgc_thread_error(e.t)));
    }
    /* just below: it may be there is no such row of free pages, but nothing worse */
    for (uint32_t less = 8; less < HEAP_BYTES / 2; less *= 2) {
        void *p = mmgc_new_array(e.t, e.types.of[SHADOW_BYTES], (uint32_t)HEAP_BYTES - less);
        int error = p ? MMGC_OK : mmgc_thread_error(e.t);
        EXPECT(p || error == MMGC_E_NOMEM || error == MMGC_E_TOO_LARGE,
               "%" PRIu32 " less than the heap: %s", less, mmgc_strerror(error));
    }
    pile_check(&pile);
    mmgc_leave(e.t);
    entry_close(&e);
}

START_TEST(what_no_heap_could_hold_is_refused_as_too_large)
{
    struct daemon *daemon = daemon_start(NULL);
    struct oom_case c;
    struct crew crew;
    struct inspect ask;
    oom_case_init(&c, daemon, stress_plan(_i), 1500 + (uint64_t)_i);
    crew_init(&crew);
    mate_join(crew_start(&crew, ask_too_much, &c), LIMIT_S);
    inspect_open(&ask, c.socket);
    inspect_verify(&ask, HEAP);
    inspect_close(&ask);
    crew_fini(&crew);
    daemon_stop(daemon);
}
END_TEST

static Suite *oom_suite(void)
{
    stress_leave_out_pages();
    Suite *suite = suite_create("stress_oom");
    TCase *full = tcase_create("full"), *crowd = tcase_create("crowd"),
          *reserve = tcase_create("reserve"), *large = tcase_create("large");
    tcase_add_loop_test(full, a_full_heap_is_an_error_and_nothing_is_lost, 0,
                        stress_plan_count() * SIZE_CLASSES);
    tcase_add_loop_test(full, a_limit_below_the_maximum_holds, 0, stress_plan_count());
    tcase_add_test(full, a_plan_without_collector_fills_up_and_says_so);
    tcase_add_loop_test(crowd, of_clients_that_fill_a_heap_at_once_each_gets_memory_or_an_error, 0,
                        stress_plan_count());
    tcase_add_loop_test(reserve, what_is_reserved_is_had_without_failing_or_waiting, 0,
                        stress_plan_count());
    tcase_add_loop_test(reserve, a_full_heap_promises_nothing_until_something_is_dropped, 0,
                        stress_plan_count());
    tcase_add_loop_test(large, what_no_heap_could_hold_is_refused_as_too_large, 0, stress_plan_count());
    TCase *all[] = { full, crowd, reserve, large };
    for (size_t i = 0; i < MM_ARRAY_LEN(all); i++) {
        stress_limit(all[i], 100);
        suite_add_tcase(suite, all[i]);
    }
    return suite;
}

int main(int argc, char **argv)
{
    return stress_main(argc, argv, oom_suite);
}
