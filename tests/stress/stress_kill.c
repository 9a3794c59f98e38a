/* SPDX-License-Identifier: Apache-2.0 */
/* stress_kill: clients are killed with SIGKILL at random moments of all they can be doing, one at a time and several at once,
 * while collections run and while they wait for memory. After each death the heap verifies; two survivors find their graphs
 * and everything on the board as it should be. stress_step does the same at chosen instructions. */
#include <fcntl.h>
#include <inttypes.h>
#include <mmgc/hold.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "shm/base.h"
#include "tests/stress/survivors.h"
#include "tests/support/daemon.h"
#include "tests/support/shadow.h"

#define HEAP_BYTES (UINT64_C(8) << 20)
#define SMALL_HEAP_BYTES (UINT64_C(6) << 20)
#define BUDGET_BYTES ((UINT64_C(1) << 19) / STRESS_SLOWER)
/* Of all plans together. */
#define KILLS_ALONE 240u
#define KILLS_COLLECTING 140u
#define KILLS_WAITING 140u
#define ROUNDS_AT_ONCE 40u
#define AT_ONCE 4u
#define COMPARE_EVERY 5u
#define LARGE_MAX (300u << 10)
#define HANDLES 200u

/* ---- what a victim does until it is killed ------------------------------------------------------------------------- */

struct victim {
    const struct survive_case *c;
    void (*live)(struct entry *e, struct rng *rng);
    uint64_t seed;
    bool exact;
};

static void allocate(struct entry *e, struct rng *rng)
{
    for (unsigned i = 0; i < 200; i++)
        board_put(e, rng, rng_one_in(rng, 2));
}

static void link_things(struct entry *e, struct rng *rng)
{
    for (unsigned i = 0; i < 2000; i++) {
        board_shuffle(e, rng);
        (void)mmgc_poll(e->t);
    }
}

static void come_and_go(struct entry *e, struct rng *rng)
{
    board_put(e, rng, false);
    mmgc_leave(e->t);
    if (rng_one_in(rng, 4)) {
        mmgc_heap_close(e->heap);
        EXPECT_OK(mmgc_heap_open(e->client, SURVIVE_HEAP, NULL, &e->heap));
        shadow_types_define(e->heap, &e->types);
        e->board = (mmgc_handle){ 0 }; /* given back by closing */
    } else {
        mmgc_detach(e->t);
    }
    EXPECT_OK(mmgc_attach(e->heap, &(struct mmgc_thread_options){ .exact = e->exact }, &e->t));
    EXPECT_OK(mmgc_enter(e->t));
}

static void make_large(struct entry *e, struct rng *rng)
{
    uint32_t length = rng_below(rng, LARGE_MAX);
    char *bytes = mmgc_new_array(e->t, e->types.of[SHADOW_BYTES], length);
    EXPECT(bytes != NULL, "no memory for %" PRIu32 " bytes: %s", length,
           mmgc_strerror(mmgc_thread_error(e->t)));
    memset(bytes, 0x5a, length);
    EXPECT_OK(mmgc_name_set(e->t, "large", bytes));
    board_put(e, rng, false);
}

static void juggle_handles(struct entry *e, struct rng *rng)
{
    mmgc_handle handles[HANDLES];
    for (uint32_t i = 0; i < HANDLES; i++) {
        void *pair = mmgc_new(e->t, e->types.of[SHADOW_PAIR]);
        EXPECT(pair != NULL, "no memory: %s", mmgc_strerror(mmgc_thread_error(e->t)));
        EXPECT_OK(mmgc_handle_new(e->t, pair, &handles[i]));
        mmgc_handle_set(e->t, handles[rng_below(rng, i + 1)], pair);
    }
    for (uint32_t i = 0; i < HANDLES; i++) {
        EXPECT(mmgc_handle_get(e->t, handles[i]) != NULL, "a handle is empty");
        mmgc_handle_drop(e->heap, handles[i]);
    }
}

static void juggle_names(struct entry *e, struct rng *rng)
{
    char name[32];
    void *has, *pair = mmgc_new(e->t, e->types.of[SHADOW_PAIR]);
    EXPECT(pair != NULL, "no memory: %s", mmgc_strerror(mmgc_thread_error(e->t)));
    snprintf(name, sizeof(name), "juggled.%" PRIu32, rng_below(rng, 16));
    int r = rng_one_in(rng, 3)   ? mmgc_name_claim(e->t, name, pair, &has)
            : rng_one_in(rng, 3) ? mmgc_name_set(e->t, name, NULL)
                                 : mmgc_name_set(e->t, name, pair);
    EXPECT(r == MMGC_OK || r == MMGC_E_NO_NAME, "%s: %s", name, mmgc_strerror(r));
    (void)mmgc_name_get(e->t, name);
}

/* Of what is made there some is hung on the board, which stows it, some is kept, and most is dropped. */
static void hold_things(struct entry *e, struct rng *rng)
{
    mmgc_hold hold;
    EXPECT_OK(mmgc_hold_begin(e->t, NULL, &hold));
    for (uint32_t i = rng_below(rng, 200); i > 0; i--)
        EXPECT(mmgc_new_array(e->t, e->types.of[SHADOW_BYTES], rng_below(rng, 500)) != NULL, "no memory");
    for (unsigned i = 0; i < 4; i++)
        board_put(e, rng, rng_one_in(rng, 2));
    if (rng_one_in(rng, 2))
        hold_things(e, rng);
    mmgc_scope scope = mmgc_scope_open(e->t);
    mmgc_local local = mmgc_local_new(e->t, mmgc_new(e->t, e->types.of[SHADOW_PAIR]));
    (void)mmgc_poll(e->t);
    void *kept[1] = { mmgc_local_get(e->t, local) };
    EXPECT_OK(mmgc_hold_end(e->t, hold, kept, 1));
    mmgc_scope_close(e->t, scope);
}

static void ask_to_collect(struct entry *e, struct rng *rng)
{
    board_put(e, rng, false);
    EXPECT_OK(mmgc_gc(e->t));
}

static void be_victim(struct mate *mate, void *arg)
{
    const struct victim *v = arg;
    struct entry e;
    struct rng rng = rng_from(v->seed + mate->number);
    survivors_join(&e, v->c, v->exact);
    EXPECT_OK(mmgc_enter(e.t));
    for (mate_say(mate, 1);; (void)mmgc_poll(e.t)) {
        v->live(&e, &rng);
        if (rng_one_in(&rng, 8)) {
            mmgc_leave(e.t);
            EXPECT_OK(mmgc_enter(e.t));
        }
    }
}

static void (*const ways_to_live[])(struct entry *e, struct rng *rng) = { allocate,   link_things,    come_and_go,
                                                                          make_large, juggle_handles, juggle_names,
                                                                          hold_things };
#define WAYS ((uint32_t)MM_ARRAY_LEN(ways_to_live))

/* ---- figures ------------------------------------------------------------------------------------------------------- */

static uint64_t begun_ns, killed;

static void begin_figures(void)
{
    begun_ns = mm_now_ns();
    killed = 0;
}

static void say_figures(void)
{
    double seconds = (double)(mm_now_ns() - begun_ns) / 1e9;
    fprintf(stderr, "%" PRIu64 " kills in %.1f s, %.0f a second, each followed by a look at all of the heap\n", killed, seconds,
            (double)killed / seconds);
}

/* ---- killing ------------------------------------------------------------------------------------------------------- */

/* Half of them somewhere from fork to attach, half while they live as they do. */
static void kill_at_a_random_moment(struct mate *mate, struct rng *rng)
{
    if (rng_one_in(rng, 2))
        mate_await(mate, 1, 60);
    crew_sleep_us(rng_skewed(rng, 30000));
    ck_assert(mate_kill(mate));
    killed++;
}

static void run_mmgcctl_verify(struct daemon *daemon)
{
    pid_t pid = fork();
    if (pid == 0) {
        int null = open("/dev/null", O_WRONLY);
        dup2(null, STDOUT_FILENO);
        execl(daemon_mmgcctl(daemon), "mmgcctl", "--socket", daemon_socket(daemon), "verify",
              SURVIVE_HEAP, (char *)NULL);
        _exit(127);
    }
    int status;
    ck_assert_int_gt(pid, 0);
    ck_assert_int_eq(waitpid(pid, &status, 0), pid);
    ck_assert_msg(WIFEXITED(status) && WEXITSTATUS(status) == 0,
                  "mmgcctl verify ended with status %x", status);
}

START_TEST(a_killed_client_leaves_the_heap_whole)
{
    struct daemon *daemon = daemon_start(NULL);
    struct survive_case c = { .socket = daemon_socket(daemon),
                              .plan = stress_plan(_i),
                              .heap_bytes = stress_heap_bytes(stress_plan(_i), HEAP_BYTES),
                              .budget_bytes = BUDGET_BYTES,
                              .options = stress_options(stress_plan(_i), 200 + (uint64_t)_i),
                              .seed = stress_seed(200 + (uint64_t)_i) };
    struct rng rng = rng_from(c.seed);
    struct crew crew;
    struct survivors s;
    uint64_t kills = stress_count_each(KILLS_ALONE, stress_plan_count());
    crew_init(&crew);
    survivors_start(&s, &crew, &c);
    begin_figures();
    for (uint64_t i = 0; i < kills; i++) {
        struct victim v = { .c = &c,
                            .live = ways_to_live[i % WAYS],
                            .seed = rng_next(&rng),
                            .exact = rng_one_in(&rng, 2) };
        kill_at_a_random_moment(crew_start(&crew, be_victim, &v), &rng);
        survivors_check(&s, i % COMPARE_EVERY == 0);
    }
    run_mmgcctl_verify(daemon);
    say_figures();
    survivors_end(&s);
    crew_fini(&crew);
    daemon_stop(daemon);
}
END_TEST

START_TEST(clients_killed_together_leave_the_heap_whole)
{
    struct daemon *daemon = daemon_start(NULL);
    struct survive_case c = { .socket = daemon_socket(daemon),
                              .plan = stress_plan(_i),
                              .heap_bytes = stress_heap_bytes(stress_plan(_i), HEAP_BYTES),
                              .budget_bytes = BUDGET_BYTES,
                              .options = stress_options(stress_plan(_i), 300 + (uint64_t)_i),
                              .seed = stress_seed(300 + (uint64_t)_i) };
    struct rng rng = rng_from(c.seed);
    struct crew crew;
    struct survivors s;
    crew_init(&crew);
    survivors_start(&s, &crew, &c);
    begin_figures();
    for (uint64_t round = stress_count_each(ROUNDS_AT_ONCE, stress_plan_count()); round > 0; round--) {
        struct mate *victims[AT_ONCE];
        for (uint32_t i = 0; i < AT_ONCE; i++) {
            struct victim v = { .c = &c,
                                .live = ways_to_live[rng_below(&rng, WAYS)],
                                .seed = rng_next(&rng),
                                .exact = i % 2 == 1 };
            victims[i] = crew_start(&crew, be_victim, &v);
        }
        if (rng_one_in(&rng, 2))
            mate_await(victims[AT_ONCE - 1], 1, 60);
        crew_sleep_us(rng_skewed(&rng, 30000));
        for (uint32_t i = 0; i < AT_ONCE; i++)
            ck_assert_int_eq(kill(victims[i]->pid, SIGKILL), 0);
        for (uint32_t i = 0; i < AT_ONCE; i++)
            ck_assert(mate_kill(victims[i]));
        killed += AT_ONCE;
        survivors_check(&s, true);
    }
    say_figures();
    survivors_end(&s);
    crew_fini(&crew);
    daemon_stop(daemon);
}
END_TEST

static void be_collector(struct mate *mate, void *arg)
{
    struct entry e;
    survivors_join(&e, arg, false);
    for (mate_say(mate, 1); at_load_acquire(&mate->told) == 0;)
        EXPECT_OK(mmgc_gc(e.t));
    entry_close(&e);
}

START_TEST(a_client_killed_in_a_collection_leaves_the_heap_whole)
{
    struct daemon *daemon = daemon_start(NULL);
    struct survive_case c = { .socket = daemon_socket(daemon),
                              .plan = stress_plan(_i),
                              .heap_bytes = stress_heap_bytes(stress_plan(_i), HEAP_BYTES),
                              .budget_bytes = BUDGET_BYTES,
                              .options = stress_options(stress_plan(_i), 400 + (uint64_t)_i),
                              .seed = stress_seed(400 + (uint64_t)_i) };
    struct rng rng = rng_from(c.seed);
    struct crew crew;
    struct survivors s;
    crew_init(&crew);
    survivors_start(&s, &crew, &c);
    begin_figures();
    struct mate *collector = crew_start(&crew, be_collector, &c);
    mate_await(collector, 1, 60);
    for (uint64_t i = stress_count_each(KILLS_COLLECTING, stress_plan_count()); i > 0; i--) {
        struct victim v = { .c = &c,
                            .live = rng_one_in(&rng, 3) ? ask_to_collect
                                                        : ways_to_live[rng_below(&rng, WAYS)],
                            .seed = rng_next(&rng),
                            .exact = i % 2 == 1 };
        kill_at_a_random_moment(crew_start(&crew, be_victim, &v), &rng);
        survivors_check(&s, i % COMPARE_EVERY == 0);
    }
    mate_tell(collector, 1);
    mate_join(collector, 60);
    say_figures();
    survivors_end(&s);
    crew_fini(&crew);
    daemon_stop(daemon);
}
END_TEST

/* Much garbage in a small heap: most of their life they wait for a collection to give them memory. */
static void devour(struct entry *e, struct rng *rng)
{
    for (unsigned i = 0; i < 40; i++) {
        uint32_t length = rng_below(rng, rng_one_in(rng, 4) ? 200u << 10 : 12u << 10);
        char *bytes = mmgc_new_array(e->t, e->types.of[SHADOW_BYTES], length);
        if (bytes != NULL)
            memset(bytes, 0xa5, length);
        else
            EXPECT(mmgc_thread_error(e->t) == MMGC_E_NOMEM, "%s",
                   mmgc_strerror(mmgc_thread_error(e->t)));
    }
}

START_TEST(a_client_killed_while_it_waits_for_memory_leaves_the_heap_whole)
{
    struct daemon *daemon = daemon_start(NULL);
    struct survive_case c = { .socket = daemon_socket(daemon),
                              .plan = stress_plan(_i),
                              .heap_bytes = stress_heap_bytes(stress_plan(_i), SMALL_HEAP_BYTES),
                              .budget_bytes = BUDGET_BYTES / 2,
                              .options = stress_options(stress_plan(_i), 500 + (uint64_t)_i),
                              .seed = stress_seed(500 + (uint64_t)_i) };
    struct rng rng = rng_from(c.seed);
    struct crew crew;
    struct survivors s;
    crew_init(&crew);
    survivors_start(&s, &crew, &c);
    begin_figures();
    struct victim other = { .c = &c, .live = devour, .seed = rng_next(&rng) };
    struct mate *rival = crew_start(&crew, be_victim, &other);
    for (uint64_t i = stress_count_each(KILLS_WAITING, stress_plan_count()); i > 0; i--) {
        struct victim v = { .c = &c, .live = devour, .seed = rng_next(&rng), .exact = i % 2 == 1 };
        kill_at_a_random_moment(crew_start(&crew, be_victim, &v), &rng);
        survivors_check(&s, i % COMPARE_EVERY == 0);
    }
    ck_assert(mate_kill(rival));
    say_figures();
    survivors_end(&s);
    crew_fini(&crew);
    daemon_stop(daemon);
}
END_TEST

static Suite *kill_suite(void)
{
    Suite *suite = suite_create("stress_kill");
    TCase *one = tcase_create("one"), *several = tcase_create("several"),
          *collecting = tcase_create("collecting"), *waiting = tcase_create("waiting");
    tcase_add_loop_test(one, a_killed_client_leaves_the_heap_whole, 0, stress_plan_count());
    tcase_add_loop_test(several, clients_killed_together_leave_the_heap_whole, 0, stress_plan_count());
    tcase_add_loop_test(collecting, a_client_killed_in_a_collection_leaves_the_heap_whole, 0,
                        stress_plan_count());
    tcase_add_loop_test(waiting, a_client_killed_while_it_waits_for_memory_leaves_the_heap_whole, 0,
                        stress_plan_count());
    TCase *all[] = { one, several, collecting, waiting };
    for (size_t i = 0; i < MM_ARRAY_LEN(all); i++) {
        stress_limit(all[i], 120);
        suite_add_tcase(suite, all[i]);
    }
    return suite;
}

int main(int argc, char **argv)
{
    return stress_main(argc, argv, kill_suite);
}
