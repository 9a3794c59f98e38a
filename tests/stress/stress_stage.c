/* SPDX-License-Identifier: Apache-2.0 */
/* stress_stage: a client kills itself at a moment of its choice within a collection: while the daemon waits for it, pins, traces,
 * copies, sweeps or resumes. A second thread of the victim watches the epoch, and from the moment it is odd lets pass a random part
 * of what the last pause took. Whatever the victim's own thread does then, on its way to a safepoint, parked, waiting for memory,
 * outside or coming in, the heap verifies, and the survivors have what they had. */
#include <inttypes.h>
#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "shm/base.h"
#include "tests/stress/survivors.h"
#include "tests/support/daemon.h"

#define HEAP_BYTES (UINT64_C(24) << 20)
#define BUDGET_BYTES ((UINT64_C(1) << 19) / STRESS_SLOWER)
#define DEATHS 150u           /* of all plans together */
#define BALLAST (60000u / STRESS_SLOWER) /* pairs, so that a collection takes its time */
#define COMPARE_EVERY 5u
#define LIMIT_S 60.0
#define LATE_NS UINT64_C(3000000)
#define QUARTERS 5u           /* of the pause before; the fifth is behind its end */

/* ---- what a victim does when the world is to stop ------------------------------------------------------------------ */

static void park_at_once(struct entry *e, struct rng *rng)
{
    board_shuffle(e, rng);
    (void)mmgc_poll(e->t);
}

static void park_late(struct entry *e, struct rng *rng)
{
    uint64_t end = mm_now_ns() + rng_skewed(rng, (uint32_t)LATE_NS);
    while (mm_now_ns() < end)
        board_shuffle(e, rng);
    (void)mmgc_poll(e->t);
}

static void allocate(struct entry *e, struct rng *rng)
{
    board_put(e, rng, rng_one_in(rng, 2));
}

static void allocate_large(struct entry *e, struct rng *rng)
{
    uint32_t length = rng_below(rng, 60u << 10);
    char *bytes = mmgc_new_array(e->t, e->types.of[SHADOW_BYTES], length);
    if (bytes != NULL)
        memset(bytes, 0x3c, length);
}

static void go_in_and_out(struct entry *e, struct rng *rng)
{
    mmgc_leave(e->t);
    EXPECT_OK(mmgc_enter(e->t));
    board_put(e, rng, false);
}

static void collect(struct entry *e, struct rng *rng)
{
    (void)mmgc_gc(e->t);
    board_put(e, rng, false);
}

static const struct manner {
    const char *name;
    void (*live)(struct entry *e, struct rng *rng);
} manners[] = {
    { "parking at once", park_at_once }, { "parking late", park_late },
    { "allocating", allocate },          { "allocating pages", allocate_large },
    { "going in and out", go_in_and_out }, { "collecting", collect },
};
#define MANNERS ((uint32_t)MM_ARRAY_LEN(manners))

/* ---- the victim ---------------------------------------------------------------------------------------------------- */

struct victim {
    const struct survive_case *c;
    uint32_t manner;
    uint64_t seed;
    bool exact;
};
struct watch { /* the watching thread's; it is no thread of mmgc's */
    const uint32_t *epoch;
    uint64_t stops; /* how many it lets pass first */
    uint64_t delay_ns;
};

static void await_epoch(const uint32_t *epoch, uint32_t odd)
{
    while ((__atomic_load_n(epoch, __ATOMIC_RELAXED) & 1u) != odd)
        sched_yield();
}

static void *die_in_a_stop(void *arg)
{
    const struct watch *watch = arg;
    for (uint64_t i = 0; i < watch->stops; i++) {
        await_epoch(watch->epoch, 1);
        await_epoch(watch->epoch, 0);
    }
    await_epoch(watch->epoch, 1);
    for (uint64_t end = mm_now_ns() + watch->delay_ns; mm_now_ns() < end;)
        continue;
    kill(getpid(), SIGKILL);
    return NULL;
}

/* numbers[0]: which quarter of the last pause the delay falls into. */
static void be_victim(struct mate *mate, void *arg)
{
    const struct victim *v = arg;
    struct rng rng = rng_from(v->seed);
    struct mmgc_heap_info info;
    struct entry e;
    pthread_t watcher;
    survivors_join(&e, v->c, v->exact);
    EXPECT_OK(mmgc_heap_info(e.heap, &info));
    uint64_t most = MM_MAX(info.last_pause_ns, 1u) / 4 * QUARTERS;
    struct watch watch = { .epoch = e.t->epoch,
                           .stops = rng_below(&rng, 3),
                           .delay_ns = rng_one_in(&rng, 8) ? 0 : rng_next(&rng) % (most + 1) };
    at_store_relaxed(&mate->numbers[0], watch.delay_ns * QUARTERS / (most + 1));
    EXPECT_OK(mmgc_enter(e.t));
    board_shuffle(&e, &rng); /* knows the board from now on */
    EXPECT(pthread_create(&watcher, NULL, die_in_a_stop, &watch) == 0, "no thread");
    for (;;)
        manners[v->manner].live(&e, &rng);
}

/* Keeps a chain and collects without a pause, from outside. */
static void be_collector(struct mate *mate, void *arg)
{
    struct entry e;
    mmgc_handle top = { 0 };
    survivors_join(&e, arg, true);
    EXPECT_OK(mmgc_enter(e.t));
    EXPECT_OK(mmgc_handle_new(e.t, NULL, &top));
    for (uint32_t i = 0; i < BALLAST; i++) {
        struct shadow_pair *pair = mmgc_new(e.t, e.types.of[SHADOW_PAIR]);
        EXPECT(pair != NULL, "no memory: %s", mmgc_strerror(mmgc_thread_error(e.t)));
        pair->value = i;
        mmgc_set(e.t, pair, left, mmgc_handle_get(e.t, top));
        mmgc_handle_set(e.t, top, pair);
    }
    mmgc_leave(e.t);
    for (mate_say(mate, 1); at_load_acquire(&mate->told) == 0;)
        EXPECT_OK(mmgc_gc(e.t));
    EXPECT_OK(mmgc_enter(e.t));
    uint32_t left = BALLAST;
    for (struct shadow_pair *pair = mmgc_handle_get(e.t, top); pair != NULL; pair = mmgc_get(e.t, pair, left))
        EXPECT(pair->value == --left, "pair %" PRIu32 " of the ballast is %" PRIu64, left, pair->value);
    EXPECT(left == 0, "%" PRIu32 " pairs of the ballast are gone", left);
    mmgc_leave(e.t);
    entry_close(&e);
}

/* ---- the case ------------------------------------------------------------------------------------------------------ */

static void one_death(struct survivors *s, const struct victim *v, uint64_t quarters[QUARTERS])
{
    struct mate *mate = crew_start(s->crew, be_victim, (void *)v);
    int status = mate_wait_status(mate, LIMIT_S);
    ck_assert_msg(WIFSIGNALED(status) && WTERMSIG(status) == SIGKILL, "%s, it ended with status %x: %s",
                  manners[v->manner].name, status, mate->report);
    quarters[MM_MIN(mate->numbers[0], QUARTERS - 1)]++;
}

START_TEST(a_client_that_dies_at_any_stage_of_a_collection_leaves_the_heap_whole)
{
    struct daemon *daemon = daemon_start(NULL);
    struct survive_case c = { .socket = daemon_socket(daemon),
                              .plan = stress_plan(_i),
                              .heap_bytes = stress_heap_bytes(stress_plan(_i), HEAP_BYTES),
                              .budget_bytes = BUDGET_BYTES,
                              .options = stress_options(stress_plan(_i), 1200 + (uint64_t)_i),
                              .seed = stress_seed(1200 + (uint64_t)_i) };
    struct rng rng = rng_from(c.seed);
    uint64_t quarters[QUARTERS] = { 0 };
    struct crew crew;
    struct survivors s;
    crew_init(&crew);
    survivors_start(&s, &crew, &c);
    struct mate *collector = crew_start(&crew, be_collector, &c);
    mate_await(collector, 1, LIMIT_S);
    for (uint64_t i = stress_count_each(DEATHS, stress_plan_count()); i > 0; i--) {
        struct victim v = { .c = &c,
                            .manner = (uint32_t)i % MANNERS,
                            .seed = rng_next(&rng),
                            .exact = rng_one_in(&rng, 2) };
        one_death(&s, &v, quarters);
        survivors_check(&s, i % COMPARE_EVERY == 0);
        mate_check(collector);
    }
    mate_tell(collector, 1);
    mate_join(collector, LIMIT_S);
    survivors_end(&s);
    crew_fini(&crew);
    daemon_stop(daemon);
    fprintf(stderr, "deaths by quarters of a pause:");
    for (unsigned i = 0; i < QUARTERS; i++)
        fprintf(stderr, " %" PRIu64, quarters[i]);
    fputc('\n', stderr);
}
END_TEST

static Suite *stage_suite(void)
{
    Suite *suite = suite_create("stress_stage");
    TCase *stages = tcase_create("stages");
    stress_limit(stages, 120);
    tcase_add_loop_test(stages, a_client_that_dies_at_any_stage_of_a_collection_leaves_the_heap_whole, 0,
                        stress_plan_count());
    suite_add_tcase(suite, stages);
    return suite;
}

int main(int argc, char **argv)
{
    return stress_main(argc, argv, stage_suite);
}
