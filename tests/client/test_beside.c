/* SPDX-License-Identifier: Apache-2.0 */
/* Beside: cycles that mark while clients run have one stop, at their beginning. Who is slow, hung or dead after that makes nobody wait. */
#include <mmgc/mmgc.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

#include "client/write_barrier.h"
#include "shm/base.h"
#include "tests/support/daemon.h"
#include "tests/support/inspect.h"
#include "tests/support/runner.h"

#define HEAP_BYTES (UINT64_C(64) << 20)
#define SLOTS 5000u
#define VALUE INT64_C(0x5eed)
#define SILENT_NS UINT64_C(1000000000)
#define PATIENCE_NS UINT64_C(20000000000)
#define ROUNDS 25u
#define ck_assert_ok(call) ck_assert_int_eq((call), MMGC_OK)

struct node {
    mmgc_ref left, right;
    int64_t value;
};
struct access { /* one process's way into the heap */
    struct mmgc_client *client;
    struct mmgc_heap *heap;
    struct mmgc_thread *t;
    mmgc_type node, bytes, refs;
    mmgc_ref *table; /* a named root: SLOTS nodes */
};
struct board { /* shared with a child */
    _Atomic bool silent, speak;
    bool at_once;   /* silent, without waiting for a cycle */
    uint64_t until; /* the number of the cycle in which it fell silent */
};

static struct daemon *mmgcd;
static struct inspect ask;
static struct board *board;
static struct access a;

static int open_access(struct access *to)
{
    struct mmgc_heap_options options = { .create = true,
                                         .max_bytes = HEAP_BYTES,
                                         .plan = "concurrentimmix",
                                         .options = "stress_factor=4M" };
    int r = mmgc_connect(daemon_socket(mmgcd), "beside", &to->client);

    if (r == MMGC_OK)
        r = mmgc_heap_open(to->client, "heap", &options, &to->heap);
    if (r == MMGC_OK)
        r = mmgc_attach(to->heap, NULL, &to->t);
    if (r == MMGC_OK)
        r = MMGC_DEFINE_TYPE(to->heap, node, &to->node, left, right);
    if (r == MMGC_OK)
        r = mmgc_type_bytes(to->heap, &to->bytes);
    if (r == MMGC_OK)
        r = mmgc_type_refs(to->heap, &to->refs);
    return r == MMGC_OK ? mmgc_enter(to->t) : r;
}

static struct node *new_node(int64_t value)
{
    struct node *n = mmgc_new(a.t, a.node);

    MM_ASSERT(n != NULL);
    n->value = value;
    return n;
}

/* Each slot a short list, so that there is something to mark. */
static void fill_table(void)
{
    a.table = mmgc_new_array(a.t, a.refs, SLOTS);
    ck_assert_ptr_nonnull(a.table);
    ck_assert_ok(mmgc_name_set(a.t, "table", a.table));
    for (uint32_t i = 0; i < SLOTS; i++)
        for (int depth = 0; depth < 10; depth++) {
            struct node *n = new_node(VALUE);
            a.table = mmgc_name_get(a.t, "table"); /* a whole collection may have moved it */
            mmgc_set(a.t, n, left, mmgc_load(a.t, &a.table[i]));
            mmgc_store(a.t, a.table, &a.table[i], n);
        }
}

static void setup_with(const char *config)
{
    mmgcd = daemon_start(config);
    inspect_open(&ask, daemon_socket(mmgcd));
    board = mmap(NULL, sizeof(*board), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    MM_ASSERT(board != MAP_FAILED);
    ck_assert_ok(open_access(&a));
    fill_table();
}

static void setup(void)
{
    setup_with(NULL);
}

static void setup_short(void)
{
    setup_with("[daemon]\nthreads = 2\nstop_deadline = 200ms\n");
}

static void teardown(void)
{
    mmgc_leave(a.t);
    mmgc_detach(a.t);
    (void)inspect_verify(&ask, "heap");
    inspect_close(&ask);
    mmgc_heap_close(a.heap);
    mmgc_disconnect(a.client);
    daemon_stop(mmgcd);
}

static uint64_t collections_seen_by(const struct access *of)
{
    struct mmgc_heap_info info;

    ck_assert_ok(mmgc_heap_info(of->heap, &info));
    return info.collections;
}

static uint64_t collections(void)
{
    return collections_seen_by(&a);
}

static void make_garbage(uint32_t bytes)
{
    char *garbage = mmgc_new_array(a.t, a.bytes, bytes);

    MM_ASSERT(garbage != NULL);
    memset(garbage, 0xff, bytes);
}

static void table_is_whole(void)
{
    a.table = mmgc_name_get(a.t, "table");
    for (uint32_t i = 0; i < SLOTS; i++) {
        struct node *n = mmgc_load(a.t, &a.table[i]);
        for (int depth = 0; depth < 10; depth++, n = mmgc_get(a.t, n, left))
            if (n == NULL || n->value != VALUE)
                ck_abort_msg("a node is not what it was");
    }
}

/* ---- one that is slow ---- */

/* Polls until a cycle marks that has not ended meanwhile; leaving and entering brings log_lines up to date. */
static bool await_cycle(const struct access *x)
{
    for (;;) {
        uint64_t before = collections_seen_by(x);
        if (mmgc_poll(x->t) != MMGC_OK)
            return false;
        board->until = before + 1;
        if (write_barrier_logs(thread_of(x->t)) && collections_seen_by(x) == before)
            return true;
        mmgc_leave(x->t);
        if (mmgc_enter(x->t) != MMGC_OK)
            return false;
    }
}

/* Inside, and from the moment at which stores are to be logged without a safepoint. */
static int stay_silent(bool hangs)
{
    struct access x;

    (void)alarm(60);
    if (open_access(&x) != MMGC_OK)
        return 1;
    if (!board->at_once && !await_cycle(&x))
        return 2;
    at_store_release(&board->silent, true);
    if (hangs)
        (void)raise(SIGSTOP);
    while (!at_load_acquire(&board->speak))
        (void)usleep(1000);
    if (mmgc_poll(x.t) != MMGC_OK)
        return 3;
    mmgc_leave(x.t);
    mmgc_disconnect(x.client);
    return 0;
}

static pid_t start_silent(bool hangs)
{
    pid_t pid = fork();

    if (pid == 0)
        _exit(stay_silent(hangs));
    ck_assert_int_gt(pid, 0);
    return pid;
}

/* Begins a cycle: by garbage, more than stress_factor lets pass. */
static void begin_cycle(void)
{
    uint64_t end_ns = mm_now_ns() + PATIENCE_NS;

    while (!at_load_acquire(&board->silent)) {
        make_garbage(4000);
        ck_assert_uint_lt(mm_now_ns(), end_ns);
    }
}

/* Goes on, with little allocation, for a while and until the cycle has ended. The longest that anything took. */
static uint64_t live_on(uint64_t until)
{
    uint64_t begin_ns = mm_now_ns(), before_ns = begin_ns, longest_ns = 0;

    for (uint32_t i = 0; collections() < until || before_ns - begin_ns < SILENT_NS; i++) {
        mmgc_ref *slot = &a.table[i % SLOTS];
        struct node *n = mmgc_load(a.t, slot);
        mmgc_store(a.t, a.table, slot, mmgc_load(a.t, &a.table[(i + 1) % SLOTS]));
        mmgc_store(a.t, a.table, &a.table[(i + 1) % SLOTS], n);
        if (i % 1024 == 0 && i < 200 * 1024)
            make_garbage(1000);
        ck_assert_int_eq(mmgc_poll(a.t), MMGC_OK);
        uint64_t now_ns = mm_now_ns();
        longest_ns = MM_MAX(longest_ns, now_ns - before_ns);
        before_ns = now_ns;
        if (now_ns - begin_ns > PATIENCE_NS)
            ck_abort_msg("the cycle does not come to its end");
    }
    return longest_ns;
}

START_TEST(who_comes_to_no_safepoint_holds_up_neither_the_end_of_marking_nor_the_others)
{
    pid_t pid = start_silent(false);
    int status;

    begin_cycle();
    uint64_t longest_ns = live_on(board->until);
    fprintf(stderr, "a thread did not answer for %d ms; the longest that another was held up: %.3f ms\n",
            (int)(SILENT_NS / 1000000), (double)longest_ns / 1e6);
    ck_assert_uint_lt(longest_ns, SILENT_NS / 2);
    ck_assert_uint_gt(inspect_pauses(&ask, "heap", "initial-mark"), 0);
    ck_assert_uint_eq(inspect_pauses(&ask, "heap", "final-mark"), 0);
    at_store_release(&board->speak, true);
    ck_assert_int_eq(waitpid(pid, &status, 0), pid);
    ck_assert_int_eq(status, 0);
    table_is_whole();
}
END_TEST

START_TEST(who_hangs_inside_does_not_either)
{
    pid_t pid = start_silent(true);
    int status;

    begin_cycle();
    uint64_t longest_ns = live_on(board->until);
    ck_assert_uint_lt(longest_ns, SILENT_NS / 2);
    ck_assert_uint_eq(inspect_pauses(&ask, "heap", "final-mark"), 0);
    ck_assert_int_eq(kill(pid, SIGKILL), 0);
    ck_assert_int_eq(waitpid(pid, &status, 0), pid);
    ck_assert(WIFSIGNALED(status));
    for (int i = 0; i < 3000; i++)
        make_garbage(4000);
    table_is_whole();
}
END_TEST

/* First stops that there were. One that has just been is counted a moment later, and as long as somebody is silent there are no more. */
static uint64_t cycles_begun(void)
{
    uint64_t before, now = inspect_pauses(&ask, "heap", "initial-mark");

    do {
        before = now;
        (void)usleep(50000);
        now = inspect_pauses(&ask, "heap", "initial-mark");
    } while (now != before);
    return now;
}

/* A cycle begins with a stop. It is tried for moments, until the thread comes. */
START_TEST(who_comes_to_no_safepoint_delays_a_cycle_that_would_begin_and_hardly_the_others)
{
    board->at_once = true;
    pid_t pid = start_silent(false);
    int status;

    begin_cycle();
    uint64_t cycles = cycles_begun(), before_ns = mm_now_ns(), end_ns = before_ns + SILENT_NS, longest_ns = 0;
    for (uint64_t bytes = 0; before_ns < end_ns; bytes += 1000) { /* more than stress_factor, and less than would be missed */
        if (bytes < UINT64_C(12) << 20)
            make_garbage(1000);
        ck_assert_ok(mmgc_poll(a.t));
        uint64_t now_ns = mm_now_ns();
        longest_ns = MM_MAX(longest_ns, now_ns - before_ns);
        before_ns = now_ns;
    }
    fprintf(stderr, "a thread was not at a safepoint for %d ms; the longest that another was held up: %.3f ms\n",
            (int)(SILENT_NS / 1000000), (double)longest_ns / 1e6);
    ck_assert_uint_lt(longest_ns, SILENT_NS / 2);
    ck_assert_uint_eq(inspect_pauses(&ask, "heap", "initial-mark"), cycles);
    at_store_release(&board->speak, true);
    ck_assert_int_eq(waitpid(pid, &status, 0), pid);
    ck_assert_int_eq(status, 0);
    while (inspect_pauses(&ask, "heap", "initial-mark") == cycles) {
        make_garbage(1000); /* what was made while a cycle was under way counts for no other */
        (void)usleep(1000);
    }
    ck_assert_uint_eq(inspect_heap(&ask, "heap").abandoned_stops, 0);
    table_is_whole();
}
END_TEST

/* Somebody needs what the cycle would free: then it is waited for, as long as stop_deadline says. */
START_TEST(who_needs_memory_waits_for_who_comes_to_no_safepoint)
{
    board->at_once = true;
    pid_t pid = start_silent(false);
    int status;
    uint64_t bytes = 0;

    begin_cycle();
    uint64_t begun = collections() + 1; /* a cycle may be under way that needs no stop any more */
    pid_t speaker = fork();
    if (speaker == 0) {
        (void)usleep(SILENT_NS / 1000);
        at_store_release(&board->speak, true);
        _exit(0);
    }
    for (uint64_t end_ns = mm_now_ns() + PATIENCE_NS; collections() <= begun; bytes += 4000) {
        make_garbage(4000);
        ck_assert_uint_lt(mm_now_ns(), end_ns);
    }
    ck_assert(at_load_acquire(&board->speak));
    ck_assert_uint_le(bytes, 2 * HEAP_BYTES);
    ck_assert_int_eq(waitpid(speaker, &status, 0), speaker);
    ck_assert_int_eq(waitpid(pid, &status, 0), pid);
    ck_assert_int_eq(status, 0);
    ck_assert_uint_eq(inspect_heap(&ask, "heap").abandoned_stops, 0);
    table_is_whole();
}
END_TEST

START_TEST(who_never_comes_is_named_when_the_deadline_has_passed_all_the_same)
{
    board->at_once = true;
    pid_t pid = start_silent(false);
    uint64_t end_ns = mm_now_ns() + PATIENCE_NS;
    int status;

    begin_cycle();
    for (uint32_t bytes = 0; inspect_heap(&ask, "heap").abandoned_stops == 0; bytes += 1000) {
        if (bytes < 12u << 20) /* a cycle is wanted, and nobody waits for it */
            make_garbage(1000);
        ck_assert_ok(mmgc_poll(a.t));
        ck_assert_uint_lt(mm_now_ns(), end_ns);
    }
    ck_assert(daemon_log_has(mmgcd, "did not stop within 200 ms"));
    at_store_release(&board->speak, true);
    ck_assert_int_eq(waitpid(pid, &status, 0), pid);
    ck_assert_int_eq(status, 0);
}
END_TEST

/* ---- those that die ---- */

static uint32_t next_random(uint32_t *r)
{
    *r = *r * 1664525u + 1013904223u;
    return *r >> 8;
}

/* Moves nodes about, each for moments in registers alone, until it is killed. */
static int move_about(uint32_t seed)
{
    struct access x;

    (void)alarm(60);
    if (open_access(&x) != MMGC_OK)
        return 1;
    for (uint32_t r = seed, n = 0;; n++) {
        mmgc_ref *table = mmgc_name_get(x.t, "table");
        at_store_release(&board->silent, true);
        for (int k = 0; k < 500; k++) {
            mmgc_ref *one = &table[next_random(&r) % SLOTS], *other = &table[next_random(&r) % SLOTS];
            struct node *first = mmgc_load(x.t, one), *second = mmgc_load(x.t, other);
            if (first->value != VALUE || second->value != VALUE)
                return 2;
            mmgc_store(x.t, table, one, second);
            mmgc_store(x.t, table, other, first);
        }
        if (mmgc_poll(x.t) != MMGC_OK)
            return 3;
    }
}

START_TEST(who_is_killed_while_it_stores_takes_nobody_s_objects_along)
{
    uint32_t r = (uint32_t)mm_now_ns();

    fprintf(stderr, "seed %u\n", r);
    for (uint32_t round = 0; round < ROUNDS; round++) {
        uint64_t before = collections(), enough_ns;
        int status;
        at_store_release(&board->silent, false);
        pid_t pid = fork();
        if (pid == 0)
            _exit(move_about(r));
        while (!at_load_acquire(&board->silent))
            ck_assert_ok(mmgc_poll(a.t));
        enough_ns = mm_now_ns() + 1000000 * (1 + next_random(&r) % 40);
        while (mm_now_ns() < enough_ns)
            make_garbage(2000 + next_random(&r) % 2000);
        ck_assert_int_eq(kill(pid, SIGKILL), 0);
        ck_assert_int_eq(waitpid(pid, &status, 0), pid);
        ck_assert(WIFSIGNALED(status));
        while (collections() < before + 2)
            make_garbage(4000);
        table_is_whole();
    }
    fprintf(stderr, "%u killed, %u cycles\n", ROUNDS, (unsigned)inspect_pauses(&ask, "heap", "initial-mark"));
    ck_assert_uint_gt(inspect_pauses(&ask, "heap", "initial-mark"), ROUNDS);
}
END_TEST

static Suite *make_suite(void)
{
    Suite *s = suite_create("beside");
    TCase *tc = tcase_create("beside");

    tcase_set_timeout(tc, 60);
    tcase_add_checked_fixture(tc, setup, teardown);
    tcase_add_test(tc, who_comes_to_no_safepoint_holds_up_neither_the_end_of_marking_nor_the_others);
    tcase_add_test(tc, who_hangs_inside_does_not_either);
    tcase_add_test(tc, who_comes_to_no_safepoint_delays_a_cycle_that_would_begin_and_hardly_the_others);
    tcase_add_test(tc, who_needs_memory_waits_for_who_comes_to_no_safepoint);
    tcase_add_test(tc, who_is_killed_while_it_stores_takes_nobody_s_objects_along);
    suite_add_tcase(s, tc);
    tc = tcase_create("deadline");
    tcase_set_timeout(tc, 60);
    tcase_add_checked_fixture(tc, setup_short, teardown);
    tcase_add_test(tc, who_never_comes_is_named_when_the_deadline_has_passed_all_the_same);
    suite_add_tcase(s, tc);
    return s;
}

int main(int argc, char **argv)
{
    return runner_main(argc, argv, make_suite);
}
