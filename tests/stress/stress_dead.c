/* SPDX-License-Identifier: Apache-2.0 */
/* stress_dead: a client is killed in each state that one can be in and stay in: whatever it held or waited for is gone at once, for everybody: rows
 * of mmgcctl clients, handles and leases, the daemon's fds, the stop that waited for it, the lease that others wait for, a delegate's decision.
 * stress_kill and stress_step kill at random moments and at every instruction; this asks what is left, state by state.
 *   Blocked  another client is inside and a collection is asked for: it cannot begin before that one leaves, so who waits for it, waits */
#include <dirent.h>
#include <inttypes.h>
#include <mmgc/guardian.h>
#include <mmgc/hold.h>
#include <mmgc/lease.h>
#include <mmgc/notice.h>
#include <mmgc/reference.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "shm/base.h"
#include "tests/support/crew.h"
#include "tests/support/daemon.h"
#include "tests/support/entry.h"
#include "tests/support/inspect.h"
#include "tests/support/stress.h"

#define HEAP "dead"
#define OTHER_HEAP "other"
#define HEAP_BYTES (UINT64_C(16) << 20)
#define LIMIT_S 60.0
#define SETTLE_US 20000                               /* until it is where it says it will be */
#define GONE_NS (UINT64_C(1000000000) * STRESS_SLOWER) /* of ten, which the deadlines are */
#define FOR_EVER UINT64_MAX
#define HANDLES 20u
#define CONNECTS 120u /* of all plans together */

enum { READY = 1, AGAIN };
enum { LEAVE = 1, END };

struct dead_case {
    const char *socket, *plan, *options;
    bool exact;
};
struct stage {
    struct daemon *daemon;
    struct dead_case c;
    struct crew crew;
    struct inspect ask;
    struct mate *keeper;
};

static void join(struct entry *e, const struct dead_case *c, const char *heap, const char *name)
{
    entry_open(e, &(struct entry_options){ .socket = c->socket, .heap = heap, .plan = c->plan, .options = c->options,
                                           .max_bytes = stress_heap_bytes(c->plan, HEAP_BYTES), .name = name, .exact = c->exact });
}

static void *new_pair(struct entry *e)
{
    void *pair = mmgc_new(e->t, e->types.of[SHADOW_PAIR]);

    EXPECT(pair != NULL, "no memory: %s", mmgc_strerror(mmgc_thread_error(e->t)));
    return pair;
}

/* ---- the others ----------------------------------------------------------------------------------------------------- */

/* Has the object "shared" and outlives everybody. */
static void keep(struct mate *mate, void *arg)
{
    struct entry e;

    join(&e, arg, HEAP, "keeper");
    EXPECT_OK(mmgc_enter(e.t));
    EXPECT_OK(mmgc_name_set(e.t, "shared", new_pair(&e)));
    EXPECT_OK(mmgc_gc(e.t));
    mmgc_leave(e.t);
    mate_say(mate, READY);
    mate_listen(mate, END);
    entry_close(&e);
}

static void block(struct mate *mate, void *arg)
{
    struct entry e;

    join(&e, arg, HEAP, "blocker");
    EXPECT_OK(mmgc_enter(e.t));
    mate_say(mate, READY);
    mate_listen(mate, LEAVE);
    mmgc_leave(e.t);
    entry_close(&e);
}

/* Waits for the lease that the dead one has. */
static void wait_for_lease(struct mate *mate, void *arg)
{
    struct entry e;
    mmgc_lease lease;

    join(&e, arg, HEAP, "waiter");
    EXPECT_OK(mmgc_enter(e.t));
    void *shared = mmgc_name_get(e.t, "shared");
    mate_say(mate, READY);
    EXPECT_OK(mmgc_lease_take(e.t, shared, MMGC_LEASE_EXCLUSIVE, NULL, FOR_EVER, &lease));
    mate_say(mate, AGAIN);
    EXPECT_OK(mmgc_lease_release(e.heap, lease));
    mmgc_leave(e.t);
    entry_close(&e);
}

/* ---- states: each says READY and stays there ------------------------------------------------------------------------ */

static _Noreturn void stay(struct mate *mate)
{
    mate_say(mate, READY);
    for (;;)
        pause();
}

/* Until there is a collection that cannot begin. */
static void await_block(struct mate *mate, struct entry *e)
{
    for (mate_say(mate, READY); at_load_acquire(&mate->told) < LEAVE; crew_sleep_us(100))
        EXPECT_OK(mmgc_poll(e->t));
}

static void be_inside(struct mate *mate, struct entry *e, const struct dead_case *c)
{
    mmgc_handle handle;
    mmgc_weak weak;
    mmgc_hold hold;
    char name[32];

    (void)c;
    for (uint32_t i = 0; i < HANDLES; i++) {
        void *pair = new_pair(e);
        (void)mmgc_local_new(e->t, pair);
        EXPECT_OK(mmgc_handle_new(e->t, pair, &handle));
        snprintf(name, sizeof(name), "handle %" PRIu32, i);
        EXPECT_OK(mmgc_handle_name(e->heap, handle, name));
        EXPECT_OK(mmgc_weak_new(e->t, pair, &weak));
    }
    EXPECT_OK(mmgc_hold_begin(e->t, NULL, &hold));
    (void)new_pair(e);
    stay(mate);
}

static void be_outside(struct mate *mate, struct entry *e, const struct dead_case *c)
{
    mmgc_handle handle;

    (void)c;
    EXPECT_OK(mmgc_handle_new(e->t, new_pair(e), &handle));
    mmgc_leave(e->t);
    stay(mate);
}

static void be_parked(struct mate *mate, struct entry *e, const struct dead_case *c)
{
    (void)c;
    await_block(mate, e);
    for (;;)
        EXPECT_OK(mmgc_poll(e->t));
}

static void wait_for_memory(struct mate *mate, struct entry *e, const struct dead_case *c)
{
    (void)c;
    await_block(mate, e);
    while (mmgc_new_array(e->t, e->types.of[SHADOW_BYTES], 50000) != NULL)
        continue;
    EXPECT(false, "it was not to be told: %s", mmgc_strerror(mmgc_thread_error(e->t)));
}

static void wait_for_a_collection(struct mate *mate, struct entry *e, const struct dead_case *c)
{
    (void)c;
    await_block(mate, e);
    EXPECT_OK(mmgc_gc(e->t));
}

static void wait_for_a_stow(struct mate *mate, struct entry *e, const struct dead_case *c)
{
    struct shadow_pair *pair = new_pair(e);

    (void)c;
    await_block(mate, e);
    int r = mmgc_stow(e->t, pair, NULL);
    EXPECT(r == MMGC_E_UNSUPPORTED, "a stow before the collection: %s", mmgc_strerror(r));
    stay(mate);
}

static void have_leases(struct mate *mate, struct entry *e, const struct dead_case *c)
{
    mmgc_lease lease;

    (void)c;
    for (uint32_t i = 0; i < HANDLES; i++)
        EXPECT_OK(mmgc_lease_try(e->t, new_pair(e), i % 2 == 0 ? MMGC_LEASE_SHARED : MMGC_LEASE_EXCLUSIVE, "mine", &lease));
    EXPECT_OK(mmgc_lease_try(e->t, mmgc_name_get(e->t, "shared"), MMGC_LEASE_EXCLUSIVE, "shared", &lease));
    mmgc_leave(e->t);
    stay(mate);
}

static void wait_for_own_lease(struct mate *mate, struct entry *e, const struct dead_case *c)
{
    mmgc_lease lease;

    (void)c;
    EXPECT_OK(mmgc_lease_try(e->t, mmgc_name_get(e->t, "shared"), MMGC_LEASE_SHARED, "shared", &lease));
    mate_say(mate, READY);
    (void)mmgc_lease_take(e->t, mmgc_name_get(e->t, "shared"), MMGC_LEASE_EXCLUSIVE, "waits", FOR_EVER, &lease);
    EXPECT(false, "it was not to get it");
}

static void wait_for_notices(struct mate *mate, struct entry *e, const struct dead_case *c)
{
    struct mmgc_notices *notices;
    struct mmgc_move moves[8];
    struct mmgc_notice notice;
    size_t count;

    (void)c;
    mmgc_leave(e->t);
    EXPECT_OK(mmgc_notices_subscribe(e->heap, NULL, &notices));
    EXPECT_OK(mmgc_enter(e->t));
    mmgc_watched watched;
    EXPECT_OK(mmgc_watch(notices, e->t, new_pair(e), &watched));
    mmgc_leave(e->t);
    mate_say(mate, READY);
    for (;;)
        EXPECT_OK(mmgc_notices_next(notices, NULL, FOR_EVER, moves, MM_ARRAY_LEN(moves), &count, &notice));
}

static void wait_for_a_guard(struct mate *mate, struct entry *e, const struct dead_case *c)
{
    mmgc_guard guard;

    (void)c;
    EXPECT_OK(mmgc_guardian_be(e->heap, "heir"));
    for (uint32_t i = 0; i < HANDLES; i++)
        EXPECT_OK(mmgc_guard_new(e->t, new_pair(e), i, &guard));
    mate_say(mate, READY);
    for (;;)
        (void)mmgc_guard_wait(e->t, FOR_EVER);
}

static void wait_for_a_queue(struct mate *mate, struct entry *e, const struct dead_case *c)
{
    (void)c;
    mmgc_local queue = mmgc_local_new(e->t, mmgc_queue_new(e->t));
    mate_say(mate, READY);
    for (;;)
        (void)mmgc_queue_wait(e->t, mmgc_local_get(e->t, queue), FOR_EVER);
}

/* Three connections, two heaps, and a thread of each. */
static void have_several_sessions(struct mate *mate, struct entry *e, const struct dead_case *c)
{
    struct entry second, other;
    mmgc_handle handle;
    mmgc_lease lease;

    mmgc_leave(e->t);
    join(&second, c, HEAP, "second");
    join(&other, c, OTHER_HEAP, "third");
    EXPECT_OK(mmgc_enter(second.t));
    EXPECT_OK(mmgc_handle_new(second.t, new_pair(&second), &handle));
    EXPECT_OK(mmgc_lease_try(second.t, mmgc_name_get(second.t, "shared"), MMGC_LEASE_SHARED, NULL, &lease));
    mmgc_leave(second.t); /* one thread that is inside twice would wait for itself */
    EXPECT_OK(mmgc_enter(other.t));
    EXPECT_OK(mmgc_handle_new(other.t, new_pair(&other), &handle));
    EXPECT_OK(mmgc_enter(e->t));
    stay(mate);
}

/* A child that no handler of fork saw keeps the sockets and all other fds open. numbers[0]: its pid. */
static void share_with_a_child(struct mate *mate, struct entry *e, const struct dead_case *c)
{
    mmgc_handle handle;

    (void)c;
    EXPECT_OK(mmgc_handle_new(e->t, new_pair(e), &handle));
    long child = syscall(SYS_clone, SIGCHLD, NULL, NULL, NULL, NULL);
    if (child == 0)
        for (;;)
            pause();
    at_store_relaxed(&mate->numbers[0], (uint64_t)child);
    stay(mate);
}

struct state {
    const char *name;
    void (*live)(struct mate *mate, struct entry *e, const struct dead_case *c);
    bool blocked, leased; /* leased: somebody waits for "shared", and gets it */
    bool inside;          /* the collection asked for waits for it alone */
};
static const struct state states[] = {
    { .name = "inside, with handles, locals and a hold", .live = be_inside, .inside = true },
    { .name = "outside", .live = be_outside },
    { .name = "parked", .live = be_parked, .blocked = true },
    { .name = "waiting for memory", .live = wait_for_memory, .blocked = true },
    { .name = "waiting for a collection", .live = wait_for_a_collection, .blocked = true },
    { .name = "waiting for a stow", .live = wait_for_a_stow, .blocked = true },
    { .name = "with leases", .live = have_leases, .leased = true },
    { .name = "waiting for a lease", .live = wait_for_own_lease },
    { .name = "waiting for notices", .live = wait_for_notices },
    { .name = "a guardian waiting for its guards", .live = wait_for_a_guard },
    { .name = "waiting for a queue", .live = wait_for_a_queue },
    { .name = "with several sessions", .live = have_several_sessions, .inside = true },
    { .name = "with a child that has its sockets", .live = share_with_a_child, .inside = true },
};

struct victim {
    const struct state *state;
    const struct dead_case *c;
};

static void be_victim(struct mate *mate, void *arg)
{
    const struct victim *v = arg;
    struct entry e;

    join(&e, v->c, HEAP, "victim");
    EXPECT_OK(mmgc_enter(e.t));
    v->state->live(mate, &e, v->c);
    stay(mate);
}

/* ---- the test's side ------------------------------------------------------------------------------------------------ */

static void stage_init(struct stage *s, int i, uint64_t which)
{
    s->daemon = daemon_start("[daemon]\nthreads = 2\nstop_deadline = 60s\nnotice_deadline = 60s\n");
    s->c = (struct dead_case){ .socket = daemon_socket(s->daemon), .plan = stress_plan(i), .options = stress_options(stress_plan(i), which),
                               .exact = stress_toss(which) };
    crew_init(&s->crew);
    inspect_open(&s->ask, s->c.socket);
    s->keeper = crew_start(&s->crew, keep, &s->c);
    mate_await(s->keeper, READY, LIMIT_S);
}

static void stage_fini(struct stage *s)
{
    mate_tell(s->keeper, END);
    mate_join(s->keeper, LIMIT_S);
    inspect_close(&s->ask);
    crew_fini(&s->crew);
    daemon_stop(s->daemon);
}

static void expect_gone(struct stage *s, uint32_t pid, const char *state)
{
    uint64_t killed_ns = mm_now_ns();
    struct inspect_rest rest;

    do {
        rest = inspect_rest(&s->ask, pid);
        ck_assert_msg(mm_now_ns() < killed_ns + GONE_NS, "%s: killed, it still has %u sessions", state, rest.sessions);
    } while (rest.sessions > 0);
    rest = inspect_rest(&s->ask, pid);
    ck_assert_msg(rest.handles + rest.leases + rest.waiters == 0, "%s: dead, it has %u handles and %u leases, and %u wait", state,
                  rest.handles, rest.leases, rest.waiters);
}

static void collect_at_once(struct stage *s, const char *state)
{
    uint64_t begun_ns = mm_now_ns();

    ck_assert_int_eq(inspect_collect(&s->ask, HEAP), MMGC_E_OK);
    ck_assert_msg(mm_now_ns() - begun_ns < 5 * GONE_NS, "%s: a collection took %" PRIu64 " ms", state, (mm_now_ns() - begun_ns) / 1000000);
    inspect_verify(&s->ask, HEAP);
}

static void await_collection(struct stage *s, uint64_t number, const char *state)
{
    for (uint64_t begun_ns = mm_now_ns(); inspect_heap(&s->ask, HEAP).collections < number; crew_sleep_us(500))
        ck_assert_msg(mm_now_ns() - begun_ns < 5 * GONE_NS, "%s: the stop still waits for the dead", state);
}

static int count_threads(const struct stage *s)
{
    char path[32];
    int count = -2;

    snprintf(path, sizeof(path), "/proc/%d/task", (int)daemon_pid(s->daemon));
    DIR *tasks = opendir(path);
    ck_assert_ptr_nonnull(tasks);
    while (readdir(tasks) != NULL)
        count++;
    closedir(tasks);
    return count;
}

static struct mate *start_blocker(struct stage *s, struct mate *victim, const struct state *state)
{
    struct mate *blocker = state->blocked ? crew_start(&s->crew, block, &s->c) : NULL;

    if (blocker != NULL) {
        mate_await(blocker, READY, LIMIT_S);
        inspect_collect_begin(&s->ask, HEAP);
        mate_tell(victim, LEAVE);
    }
    if (state->inside)
        inspect_collect_begin(&s->ask, HEAP);
    return blocker;
}

/* It is where it will stay: who waits for memory has got what there was. */
static void settle(struct stage *s)
{
    uint64_t before, now = UINT64_MAX;

    do {
        before = now;
        crew_sleep_us(SETTLE_US);
        now = inspect_heap(&s->ask, HEAP).granted_bytes;
    } while (now != before);
}

static void kill_in(struct stage *s, const struct state *state)
{
    struct victim v = { .state = state, .c = &s->c };
    struct mate *waiter = NULL, *blocker;
    uint64_t handles = inspect_heap(&s->ask, HEAP).handles, collections = inspect_heap(&s->ask, HEAP).collections;
    int fds = daemon_fd_count(s->daemon), threads = count_threads(s);

    struct mate *victim = crew_start(&s->crew, be_victim, &v);
    uint32_t pid = (uint32_t)victim->pid;
    mate_await(victim, READY, LIMIT_S);
    blocker = start_blocker(s, victim, state);
    if (state->leased) {
        waiter = crew_start(&s->crew, wait_for_lease, &s->c);
        mate_await(waiter, READY, LIMIT_S);
    }
    settle(s);
    if (waiter != NULL)
        ck_assert_uint_lt(at_load_acquire(&waiter->said), AGAIN);
    ck_assert_uint_gt(inspect_rest(&s->ask, pid).sessions, 0);
    pid_t child = (pid_t)at_load_relaxed(&victim->numbers[0]);
    ck_assert(mate_kill(victim));
    if (waiter != NULL)
        mate_await(waiter, AGAIN, (double)GONE_NS / 1e9);
    expect_gone(s, pid, state->name);
    if (state->inside)
        await_collection(s, collections + 1, state->name);
    if (waiter != NULL)
        mate_join(waiter, LIMIT_S);
    if (blocker != NULL) {
        mate_tell(blocker, LEAVE);
        mate_join(blocker, LIMIT_S);
    }
    collect_at_once(s, state->name);
    inspect_await_sessions(&s->ask, HEAP, 1);
    ck_assert_uint_eq(inspect_heap(&s->ask, HEAP).handles, handles);
    ck_assert_uint_eq(inspect_heap(&s->ask, HEAP).abandoned_stops, 0);
    if (state->live != have_several_sessions) { /* whose other heap lives on */
        ck_assert_msg(daemon_await_fds(s->daemon, fds), "%s: the daemon has %d fds, and had %d", state->name, daemon_fd_count(s->daemon), fds);
        ck_assert_int_eq(count_threads(s), threads);
    }
    if (child > 0)
        ck_assert_int_eq(kill(child, SIGKILL), 0);
}

START_TEST(nothing_is_left_of_a_client_that_dies_in_whatever_state)
{
    struct stage s;

    stage_init(&s, _i, 1500 + (uint64_t)_i);
    uint64_t live = inspect_heap(&s.ask, HEAP).live_bytes;
    for (size_t i = 0; i < MM_ARRAY_LEN(states); i++)
        kill_in(&s, &states[i]);
    collect_at_once(&s, "all");
    ck_assert_uint_le(inspect_heap(&s.ask, HEAP).live_bytes, live + 4096);
    stage_fini(&s);
}
END_TEST

/* ---- a delegate, an heir, who is only coming ------------------------------------------------------------------------ */

static void be_silent_delegate(struct mate *mate, void *arg)
{
    struct inspect ask;

    inspect_open(&ask, arg);
    EXPECT(inspect_delegate(&ask, HEAP) == MMGC_E_OK, "it is not the delegate");
    stay(mate);
}

static void fill(struct mate *mate, void *arg)
{
    const struct dead_case *c = arg;
    struct entry e;

    entry_open(&e, &(struct entry_options){ .socket = c->socket, .heap = HEAP, .plan = c->plan, .options = "gc_trigger=delegated",
                                            .max_bytes = HEAP_BYTES, .limit_bytes = HEAP_BYTES / 2, .name = "filling" });
    mate_say(mate, READY);
    mate_listen(mate, LEAVE);
    EXPECT_OK(mmgc_enter(e.t));
    for (uint64_t bytes = 0; bytes < 2 * HEAP_BYTES; bytes += 10000)
        EXPECT(mmgc_new_array(e.t, e.types.of[SHADOW_BYTES], 10000) != NULL, "%s", mmgc_strerror(mmgc_thread_error(e.t)));
    mmgc_leave(e.t);
    entry_close(&e);
}

START_TEST(who_waits_for_a_delegate_that_dies_waits_no_longer)
{
    struct daemon *daemon = daemon_start("[daemon]\nthreads = 2\ntrigger_deadline = 60s\n");
    struct dead_case c = { .socket = daemon_socket(daemon), .plan = stress_plan(_i) };
    struct crew crew;
    struct inspect ask;

    crew_init(&crew);
    inspect_open(&ask, c.socket);
    struct mate *filling = crew_start(&crew, fill, &c);
    mate_await(filling, READY, LIMIT_S);
    struct mate *delegate = crew_start(&crew, be_silent_delegate, (void *)c.socket);
    mate_await(delegate, READY, LIMIT_S);
    mate_tell(filling, LEAVE);
    crew_sleep_us(5 * SETTLE_US);
    mate_check(filling);
    ck_assert_int_gt(filling->pid, 0); /* it waits */
    uint32_t pid = (uint32_t)delegate->pid;
    ck_assert(mate_kill(delegate));
    mate_join(filling, 20.0); /* not 60 */
    ck_assert_uint_eq(inspect_rest(&ask, pid).sessions, 0);
    inspect_verify(&ask, HEAP);
    ck_assert_int_eq(inspect_delegate(&ask, HEAP), MMGC_E_OK); /* the place is free */
    inspect_close(&ask);
    crew_fini(&crew);
    daemon_stop(daemon);
}
END_TEST

static void leave_to_heir(struct mate *mate, void *arg)
{
    struct entry e;
    mmgc_guard guard;

    join(&e, arg, HEAP, "testator");
    EXPECT_OK(mmgc_guards_leave_to(e.heap, "heir"));
    EXPECT_OK(mmgc_enter(e.t));
    for (uint32_t i = 0; i < HANDLES; i++)
        EXPECT_OK(mmgc_guard_new(e.t, new_pair(&e), 1, &guard));
    mmgc_leave(e.t);
    stay(mate);
}

/* Takes @numbers[0] of what was left to it, and waits to be killed, or takes all. */
static void be_heir(struct mate *mate, void *arg)
{
    struct entry e;
    uint64_t mark, most = at_load_relaxed(&mate->numbers[0]);

    join(&e, arg, HEAP, "heir");
    EXPECT_OK(mmgc_guardian_be(e.heap, "heir")); /* not BUSY: the one before is dead */
    EXPECT_OK(mmgc_enter(e.t));
    mate_listen(mate, LEAVE);
    most = at_load_relaxed(&mate->numbers[0]);
    for (unsigned tries = 0; at_load_relaxed(&mate->numbers[1]) < most && tries < 10000; tries++) {
        if (mmgc_guard_take(e.t, &mark) == NULL) {
            EXPECT_OK(mmgc_gc(e.t));
            continue;
        }
        EXPECT(mark == 1, "mark %" PRIu64, mark);
        at_add_relaxed(&mate->numbers[1], 1);
    }
    stay(mate);
}

START_TEST(what_an_heir_has_not_taken_is_there_for_the_next)
{
    struct stage s;
    uint64_t left = HANDLES, each[] = { 0, 7, HANDLES };

    stage_init(&s, _i, 1600 + (uint64_t)_i);
    struct mate *testator = crew_start(&s.crew, leave_to_heir, &s.c);
    mate_await(testator, READY, LIMIT_S);
    struct mate *heir = crew_start(&s.crew, be_heir, &s.c); /* is killed before there is anything */
    for (size_t i = 0; i < MM_ARRAY_LEN(each); i++) {
        uint64_t most = MM_MIN(each[i], left);
        at_store_relaxed(&heir->numbers[0], most);
        mate_tell(heir, LEAVE);
        mate_await(heir, READY, LIMIT_S);
        ck_assert_uint_eq(at_load_relaxed(&heir->numbers[1]), most);
        left -= most;
        uint32_t pid = (uint32_t)heir->pid;
        if (i == 0)
            ck_assert(mate_kill(testator));
        ck_assert(mate_kill(heir));
        expect_gone(&s, pid, "an heir");
        collect_at_once(&s, "an heir");
        if (left > 0)
            heir = crew_start(&s.crew, be_heir, &s.c);
    }
    ck_assert_uint_eq(left, 0);
    stage_fini(&s);
}
END_TEST

/* Comes and goes as fast as it can. */
static void come_and_go(struct mate *mate, void *arg)
{
    for (mate_say(mate, READY);;) {
        struct entry e;
        join(&e, arg, HEAP, "coming");
        entry_close(&e);
    }
}

START_TEST(of_who_dies_while_it_comes_nothing_is_left)
{
    struct stage s;
    struct rng rng = rng_from(stress_seed(1700 + (uint64_t)_i));

    stage_init(&s, _i, 1700 + (uint64_t)_i);
    collect_at_once(&s, "none");
    int fds = daemon_fd_count(s.daemon);
    for (uint64_t i = stress_count_each(CONNECTS, stress_plan_count()); i > 0; i--) {
        struct mate *mate = crew_start(&s.crew, come_and_go, &s.c);
        uint32_t pid = (uint32_t)mate->pid;
        mate_await(mate, READY, LIMIT_S);
        crew_sleep_us(rng_below(&rng, 3000));
        ck_assert(mate_kill(mate));
        expect_gone(&s, pid, "coming");
    }
    collect_at_once(&s, "coming");
    ck_assert_msg(daemon_await_fds(s.daemon, fds), "the daemon has %d fds, and had %d", daemon_fd_count(s.daemon), fds);
    ck_assert_uint_eq(inspect_heap(&s.ask, HEAP).sessions, 1);
    stage_fini(&s);
}
END_TEST

static Suite *dead_suite(void)
{
    stress_leave_out_pages(); /* one of its states is a full heap */
    Suite *suite = suite_create("stress_dead");
    TCase *state = tcase_create("state"), *office = tcase_create("office"), *coming = tcase_create("coming");
    int cases = stress_plan_count();

    tcase_add_loop_test(state, nothing_is_left_of_a_client_that_dies_in_whatever_state, 0, cases);
    tcase_add_loop_test(office, who_waits_for_a_delegate_that_dies_waits_no_longer, 0, 1);
    tcase_add_loop_test(office, what_an_heir_has_not_taken_is_there_for_the_next, 0, cases);
    tcase_add_loop_test(coming, of_who_dies_while_it_comes_nothing_is_left, 0, cases);
    TCase *all[] = { state, office, coming };
    for (size_t i = 0; i < MM_ARRAY_LEN(all); i++) {
        stress_limit(all[i], 120);
        suite_add_tcase(suite, all[i]);
    }
    return suite;
}

int main(int argc, char **argv)
{
    return stress_main(argc, argv, dead_suite);
}
