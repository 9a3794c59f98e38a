/* SPDX-License-Identifier: Apache-2.0 */
/* stress_lease: processes that share a few objects take leases on them, wait for them, upgrade them, work inside and outside, and are killed with
 * SIGKILL at random moments of all that, while collections move what they may. Who has an object alone finds it as he left it; who shares it, as it
 * was; nobody waits beyond his deadline; and when all are dead nothing is leased. */
#include <fcntl.h>
#include <inttypes.h>
#include <mmgc/lease.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "shm/base.h"
#include "tests/support/crew.h"
#include "tests/support/daemon.h"
#include "tests/support/entry.h"
#include "tests/support/stress.h"

#define HEAP_BYTES (UINT64_C(8) << 20)
#define HEAP "leases"
#define OBJECTS 3u
#define VICTIMS 3u
#define KILLS 260u /* of all plans together */
#define MS UINT64_C(1000000)
#define LATE_NS (3000 * MS * STRESS_SLOWER) /* that a busy machine may add to a deadline */

struct thing {
    mmgc_ref unused;
    uint32_t number;
    _Atomic uint64_t owner; /* who has it alone; whatever the last one left when he was killed */
    _Atomic uint64_t turns;
};
struct table {
    mmgc_ref things[OBJECTS];
};
struct lease_case {
    const char *socket, *plan, *options;
    uint64_t heap_bytes, seed;
    bool exact;
};

static mmgc_type thing_type, table_type;

static void join(struct entry *e, const struct lease_case *c)
{
    static const uint32_t refs[] = { 0, 4, 8 };

    entry_open(e, &(struct entry_options){ .socket = c->socket, .heap = HEAP, .plan = c->plan, .max_bytes = c->heap_bytes,
                                           .options = c->options, .name = "lease", .exact = c->exact });
    struct mmgc_type_layout table = { .name = "table", .fixed_bytes = sizeof(struct table), .refs = refs, .ref_count = OBJECTS };
    EXPECT_OK(mmgc_type_define(e->heap, &table, &table_type));
    EXPECT_OK(MMGC_DEFINE_TYPE(e->heap, thing, &thing_type, unused));
}

/* What a thread at rest holds is a root: each in a frame of its own. */
__attribute__((noinline)) static void make_things(struct entry *e)
{
    mmgc_local table = mmgc_local_new(e->t, mmgc_new(e->t, table_type));

    for (uint32_t i = 0; i < OBJECTS; i++) {
        struct thing *thing = mmgc_new(e->t, thing_type);
        struct table *in = mmgc_local_get(e->t, table);
        thing->number = i;
        mmgc_store(e->t, in, &in->things[i], thing);
    }
    EXPECT_OK(mmgc_name_set(e->t, "table", mmgc_local_get(e->t, table)));
}

static struct thing *find_thing(struct entry *e, uint32_t i)
{
    struct table *table = mmgc_name_get(e->t, "table");

    EXPECT(table != NULL, "no table: %s", mmgc_strerror(mmgc_thread_error(e->t)));
    struct thing *thing = mmgc_load(e->t, &table->things[i]);
    EXPECT(thing->number == i, "thing %u is %u", i, thing->number);
    return thing;
}

static void work_alone(struct thing *thing, uint64_t me, struct rng *rng)
{
    at_store_release(&thing->owner, me);
    uint64_t turns = at_load_acquire(&thing->turns);
    for (uint32_t i = rng_below(rng, 300); i > 0; i--)
        EXPECT(at_load_acquire(&thing->owner) == me, "%" PRIu64 " is in here, too", at_load_acquire(&thing->owner));
    at_store_release(&thing->turns, turns + 1);
}

static void work_together(struct thing *thing, struct rng *rng)
{
    uint64_t owner = at_load_acquire(&thing->owner), turns = at_load_acquire(&thing->turns);

    for (uint32_t i = rng_below(rng, 300); i > 0; i--)
        EXPECT(at_load_acquire(&thing->owner) == owner && at_load_acquire(&thing->turns) == turns, "somebody has it alone while we share it");
}

/* Takes it, if it can be had. */
static int take(struct entry *e, uint32_t i, enum mmgc_lease_mode mode, struct rng *rng, mmgc_lease *ret_lease)
{
    static const uint64_t timeouts_ns[] = { 0, 1, MS, 20 * MS, 2000 * MS };
    uint64_t timeout_ns = timeouts_ns[rng_below(rng, MM_ARRAY_LEN(timeouts_ns))], begin_ns = mm_now_ns();
    int r = timeout_ns == 0 ? mmgc_lease_try(e->t, find_thing(e, i), mode, "try", ret_lease)
                            : mmgc_lease_take(e->t, find_thing(e, i), mode, "take", timeout_ns, ret_lease);

    EXPECT(r == MMGC_OK || r == (timeout_ns == 0 ? MMGC_E_BUSY : MMGC_E_TIMEOUT), "%s: %s", mmgc_strerror(r), mmgc_error_detail());
    EXPECT(mm_now_ns() - begin_ns < timeout_ns + LATE_NS, "%" PRIu64 " ms for a deadline of %" PRIu64, (mm_now_ns() - begin_ns) / MS,
           timeout_ns / MS);
    return r;
}

static void use(struct entry *e, mmgc_lease lease, enum mmgc_lease_mode mode, uint64_t me, struct rng *rng)
{
    struct thing *thing = mmgc_lease_object(e->heap, lease);
    bool outside = rng_one_in(rng, 2);

    EXPECT(thing != NULL, "a lease without an object");
    if (outside)
        mmgc_leave(e->t);
    if (mode == MMGC_LEASE_EXCLUSIVE)
        work_alone(thing, me, rng);
    else
        work_together(thing, rng);
    if (outside && rng_one_in(rng, 4)) { /* collections come and go */
        crew_sleep_us(rng_below(rng, 3000));
        if (mode == MMGC_LEASE_EXCLUSIVE)
            work_alone(thing, me, rng);
        else
            work_together(thing, rng);
    }
    if (outside)
        EXPECT_OK(mmgc_enter(e->t));
    struct thing *now = find_thing(e, thing->number);
    EXPECT(mmgc_lease_object(e->heap, lease) == thing && now == thing, "thing %u was at %u and is at %u, leased", thing->number,
           mmgc_ref_of(e->t, thing).granule, mmgc_ref_of(e->t, now).granule);
}

static void live_once(struct entry *e, uint64_t me, struct rng *rng)
{
    enum mmgc_lease_mode mode = rng_one_in(rng, 2) ? MMGC_LEASE_SHARED : MMGC_LEASE_EXCLUSIVE;
    mmgc_lease lease;

    if (take(e, rng_below(rng, OBJECTS), mode, rng, &lease) != MMGC_OK)
        return;
    use(e, lease, mode, me, rng);
    if (mode == MMGC_LEASE_SHARED && rng_one_in(rng, 3)) {
        int r = mmgc_lease_upgrade(e->t, lease, rng_one_in(rng, 2) ? 0 : 5 * MS);
        EXPECT(r == MMGC_OK || r == MMGC_E_BUSY || r == MMGC_E_TIMEOUT || r == MMGC_E_DEADLOCK, "%s", mmgc_strerror(r));
        if (r == MMGC_OK)
            use(e, lease, mode = MMGC_LEASE_EXCLUSIVE, me, rng);
    }
    if (mode == MMGC_LEASE_EXCLUSIVE && rng_one_in(rng, 3)) {
        EXPECT_OK(mmgc_lease_downgrade(e->heap, lease));
        use(e, lease, MMGC_LEASE_SHARED, me, rng);
    }
    if (rng_one_in(rng, 2)) {
        EXPECT_OK(mmgc_lease_release(e->heap, lease));
        return;
    }
    mmgc_leave(e->t);
    EXPECT_OK(mmgc_lease_release(e->heap, lease));
    EXPECT_OK(mmgc_enter(e->t));
}

struct victim {
    const struct lease_case *c;
    uint64_t seed;
    bool exact;
};

static void be_victim(struct mate *mate, void *arg)
{
    const struct victim *v = arg;
    struct lease_case c = *v->c;
    struct rng rng = rng_from(v->seed);
    struct entry e;

    c.exact = v->exact;
    join(&e, &c);
    EXPECT_OK(mmgc_enter(e.t));
    for (mate_say(mate, 1);; at_store_relaxed(&mate->numbers[0], at_load_relaxed(&mate->numbers[0]) + 1))
        live_once(&e, v->seed, &rng);
}

/* Makes the things, then garbage and collections until it is told to end; then all must be to be had alone. */
static void be_keeper(struct mate *mate, void *arg)
{
    const struct lease_case *c = arg;
    struct entry e;
    mmgc_lease leases[OBJECTS];

    join(&e, c);
    EXPECT_OK(mmgc_enter(e.t));
    make_things(&e);
    for (mate_say(mate, 1); at_load_acquire(&mate->told) == 0; crew_sleep_us(500)) {
        for (int i = 0; i < 500; i++)
            EXPECT(mmgc_new(e.t, thing_type) != NULL, "%s", mmgc_strerror(mmgc_thread_error(e.t)));
        EXPECT_OK(mmgc_gc(e.t));
    }
    for (uint32_t i = 0; i < OBJECTS; i++)
        EXPECT_OK(mmgc_lease_take(e.t, find_thing(&e, i), MMGC_LEASE_EXCLUSIVE, NULL, 10000 * MS, &leases[i]));
    uint64_t turns = 0;
    for (uint32_t i = 0; i < OBJECTS; i++) {
        turns += at_load_relaxed(&find_thing(&e, i)->turns);
        EXPECT_OK(mmgc_lease_release(e.heap, leases[i]));
    }
    EXPECT(turns > 5, "only %" PRIu64 " times anybody had one alone", turns);
    entry_close(&e);
}

static void run_mmgcctl_verify(struct daemon *daemon)
{
    int status;
    pid_t pid = fork();

    if (pid == 0) {
        int null = open("/dev/null", O_WRONLY);
        dup2(null, STDOUT_FILENO);
        execl(daemon_mmgcctl(daemon), "mmgcctl", "--socket", daemon_socket(daemon), "verify", HEAP, (char *)NULL);
        _exit(127);
    }
    ck_assert_int_gt(pid, 0);
    ck_assert_int_eq(waitpid(pid, &status, 0), pid);
    ck_assert_msg(WIFEXITED(status) && WEXITSTATUS(status) == 0, "mmgcctl verify ended with status %x", status);
}

static const char *options_of(const char *plan)
{
    return strcmp(plan, "immix") == 0 ? "sanity=on stress_factor=256K immix_always_defrag=on immix_defrag_every_block=on" : "sanity=on stress_factor=256K";
}

START_TEST(nothing_stays_leased_by_the_dead)
{
    struct daemon *daemon = daemon_start(NULL);
    struct lease_case c = { .socket = daemon_socket(daemon), .plan = stress_plan(_i), .heap_bytes = stress_heap_bytes(stress_plan(_i), HEAP_BYTES),
                            .options = options_of(stress_plan(_i)), .seed = stress_seed(900 + (uint64_t)_i) };
    struct rng rng = rng_from(c.seed);
    struct victim v[VICTIMS];
    struct mate *victims[VICTIMS];
    struct crew crew;

    crew_init(&crew);
    struct mate *keeper = crew_start(&crew, be_keeper, &c);
    mate_await(keeper, 1, 60);
    for (uint32_t i = 0; i < VICTIMS; i++) {
        v[i] = (struct victim){ &c, rng_next(&rng), i % 2 == 1 };
        victims[i] = crew_start(&crew, be_victim, &v[i]);
    }
    for (uint64_t kills = stress_count_each(KILLS, stress_plan_count()); kills > 0; kills--) {
        uint32_t i = rng_below(&rng, VICTIMS);
        if (rng_one_in(&rng, 2))
            mate_await(victims[i], 1, 60);
        crew_sleep_us(rng_skewed(&rng, 20000));
        ck_assert(mate_kill(victims[i]));
        mate_check(keeper);
        v[i] = (struct victim){ &c, rng_next(&rng), rng_one_in(&rng, 2) };
        victims[i] = crew_start(&crew, be_victim, &v[i]);
    }
    for (uint32_t i = 0; i < VICTIMS; i++)
        ck_assert(mate_kill(victims[i]));
    mate_tell(keeper, 1);
    mate_join(keeper, 60);
    run_mmgcctl_verify(daemon);
    crew_fini(&crew);
    daemon_stop(daemon);
}
END_TEST

static Suite *lease_suite(void)
{
    Suite *suite = suite_create("stress_lease");
    TCase *tc = tcase_create("killed");

    tcase_add_loop_test(tc, nothing_stays_leased_by_the_dead, 0, stress_plan_count());
    stress_limit(tc, 120);
    suite_add_tcase(suite, tc);
    return suite;
}

int main(int argc, char **argv)
{
    return stress_main(argc, argv, lease_suite);
}
