/* SPDX-License-Identifier: Apache-2.0 */
/* Identity hashes under every plan: the same wherever the object is moved, and in every process. */
#include "plans/plan.h"

#include <mmgc/mmgc.h>
#include <sys/mman.h>

#include "shm/base.h"
#include "tests/support/crew.h"
#include "tests/support/daemon.h"
#include "tests/support/runner.h"

#define COUNT 1000u
#define ROUNDS 4u
enum { STARTED = 1, READY, DONE }; /* what mates say */

struct node {
    mmgc_ref next, thing;
    int64_t value;
};
struct access {
    struct mmgc_client *client;
    struct mmgc_heap *heap;
    struct mmgc_thread *t;
    mmgc_type node, bytes, refs;
};
struct hashes { /* [0]: who made them; by index */
    _Atomic uint32_t of[2][COUNT];
    _Atomic uint64_t moved;
};

static struct daemon *mmgcd;
static struct crew crew;
static const struct plan *plan;
static struct hashes *hashes;

static void setup(void)
{
    mmgcd = daemon_start("[daemon]\nthreads = 2\n[heap]\nsanity = on\n");
    crew_init(&crew);
    hashes = mmap(NULL, sizeof(*hashes), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
}

static void teardown(void)
{
    crew_fini(&crew);
    (void)munmap(hashes, sizeof(*hashes));
    daemon_stop(mmgcd);
}

static void access_open(struct access *a)
{
    struct mmgc_heap_options options = { .create = true, .max_bytes = UINT64_C(32) << 20, .plan = plan->name,
                                         .options = "immix_always_defrag=on immix_defrag_every_block=on" };
    struct mmgc_thread_options exact = { .exact = true };

    EXPECT_OK(mmgc_connect(daemon_socket(mmgcd), "identity", &a->client));
    EXPECT_OK(mmgc_heap_open(a->client, "heap", &options, &a->heap));
    EXPECT_OK(MMGC_DEFINE_TYPE(a->heap, node, &a->node, next, thing));
    EXPECT_OK(mmgc_type_bytes(a->heap, &a->bytes));
    EXPECT_OK(mmgc_type_refs(a->heap, &a->refs));
    EXPECT_OK(mmgc_attach(a->heap, &exact, &a->t));
    EXPECT_OK(mmgc_enter(a->t));
}

static void access_close(struct access *a)
{
    mmgc_leave(a->t);
    mmgc_detach(a->t);
    mmgc_heap_close(a->heap);
    mmgc_disconnect(a->client);
}

/* A list of COUNT nodes, each with a node, a byte array or an array of references; garbage between them. */
static void list_make(struct access *a)
{
    mmgc_local list = mmgc_local_new(a->t, NULL), thing = mmgc_local_new(a->t, NULL);

    for (uint32_t i = 0; i < COUNT; i++) {
        mmgc_local_set(a->t, thing, i % 3 == 0 ? mmgc_new(a->t, a->node) : mmgc_new_array(a->t, i % 3 == 1 ? a->bytes : a->refs, i / 3 % 40));
        EXPECT(mmgc_new_array(a->t, a->bytes, 300) != NULL);
        struct node *n = mmgc_new(a->t, a->node);
        EXPECT(n != NULL && mmgc_local_get(a->t, thing) != NULL);
        n->value = i;
        mmgc_set(a->t, n, next, (struct node *)mmgc_local_get(a->t, list));
        mmgc_set(a->t, n, thing, mmgc_local_get(a->t, thing));
        mmgc_local_set(a->t, list, n);
    }
    EXPECT_OK(mmgc_name_set(a->t, "list", mmgc_local_get(a->t, list)));
}

/* Asks for all, forwards along the list or by halves from its end, so that two who race meet. */
static void ask(struct access *a, uint32_t who)
{
    static uint32_t at[COUNT];
    uint32_t n = 0;

    for (struct node *node = mmgc_name_get(a->t, "list"); node != NULL; node = mmgc_get(a->t, node, next))
        at[n++] = mmgc_ref_of(a->t, node).granule;
    EXPECT(n == COUNT);
    for (uint32_t i = 0; i < n; i++) {
        struct node *node = mmgc_deref(a->t, (mmgc_ref){ at[who == 0 ? i : n - 1 - i] });
        uint32_t hash = mmgc_identity_hash(a->t, mmgc_load(a->t, &node->thing));
        uint32_t was = at_exchange_acq_rel(&hashes->of[who][node->value], hash);
        EXPECT(hash != 0 && (was == 0 || was == hash));
    }
}

static void count_moves(struct access *a, uint32_t *places)
{
    for (struct node *node = mmgc_name_get(a->t, "list"); node != NULL; node = mmgc_get(a->t, node, next)) {
        uint32_t place = node->thing.granule;
        at_add_relaxed(&hashes->moved, places[node->value] != 0 && places[node->value] != place);
        places[node->value] = place;
    }
}

/* [safepoint] */
static void collect(struct access *a)
{
    int r = mmgc_gc(a->t);

    EXPECT(r == (plan->constraints.trace != PLAN_TRACE_NONE ? MMGC_OK : MMGC_E_UNSUPPORTED));
}

static void move_and_ask(struct mate *mate, void *arg)
{
    static uint32_t places[COUNT];
    struct access a;

    (void)arg;
    access_open(&a);
    list_make(&a);
    count_moves(&a, places);
    ask(&a, 0);
    for (uint32_t round = 0; round < ROUNDS; round++) {
        collect(&a);
        count_moves(&a, places);
        ask(&a, 0);
    }
    mate_say(mate, DONE);
    access_close(&a);
}

START_TEST(a_hash_goes_along_with_its_object)
{
    plan = plans[_i];
    mate_join(crew_start(&crew, move_and_ask, NULL), 60);
    ck_assert(plan->constraints.moves == (at_load_relaxed(&hashes->moved) > 0));
}
END_TEST

static void race(struct mate *mate, void *arg)
{
    uint32_t who = arg != NULL;
    struct access a;

    access_open(&a);
    if (who == 0)
        list_make(&a);
    mmgc_leave(a.t);
    mate_say(mate, READY);
    mate_listen(mate, STARTED);
    EXPECT_OK(mmgc_enter(a.t));
    ask(&a, who);
    for (uint32_t round = 0; round < ROUNDS; round++) {
        collect(&a);
        ask(&a, who);
    }
    access_close(&a);
}

START_TEST(processes_that_ask_at_once_agree)
{
    plan = plans[_i];
    struct mate *first = crew_start(&crew, race, NULL);
    mate_await(first, READY, 60);
    struct mate *second = crew_start(&crew, race, &crew);
    mate_await(second, READY, 60);
    mate_tell(first, STARTED);
    mate_tell(second, STARTED);
    mate_join(first, 60);
    mate_join(second, 60);
    for (uint32_t i = 0; i < COUNT; i++)
        ck_assert_uint_eq(at_load_relaxed(&hashes->of[0][i]), at_load_relaxed(&hashes->of[1][i]));
}
END_TEST

static Suite *make(void)
{
    Suite *suite = suite_create("identity_moves");
    TCase *tc = tcase_create("identity_moves");

    tcase_add_checked_fixture(tc, setup, teardown);
    tcase_set_timeout(tc, 120);
    tcase_add_loop_test(tc, a_hash_goes_along_with_its_object, 0, (int)PLAN_COUNT);
    tcase_add_loop_test(tc, processes_that_ask_at_once_agree, 0, (int)PLAN_COUNT);
    suite_add_tcase(suite, tc);
    return suite;
}

int main(int argc, char **argv)
{
    return runner_main(argc, argv, make);
}
