/* SPDX-License-Identifier: Apache-2.0 */
/* Guarded objects, between real clients and the real daemon, under every plan that collects. */
#include "plans/plan.h"

#include <mmgc/guardian.h>
#include <mmgc/reference.h>
#include <signal.h>
#include <sys/wait.h>
#include <unistd.h>

#include "tests/support/daemon.h"
#include "tests/support/runner.h"

#define HEAP_BYTES (UINT64_C(16) << 20)
#define GUARDED 50u
#define CHAIN 3000u
#define LONG_NS UINT64_C(20000000000)
#define ck_assert_ok(call) ck_assert_int_eq((call), MMGC_OK)

struct item {
    mmgc_ref child, weak;
    uint64_t number;
};
struct access {
    struct mmgc_client *client;
    struct mmgc_heap *heap;
    struct mmgc_thread *t;
    mmgc_type item;
};

static struct daemon *mmgcd;
static const char *plan;

/* Exact: no stale word of the stack keeps what is to become ready. */
static bool open_as(struct access *to)
{
    struct mmgc_heap_options options = { .create = true, .max_bytes = HEAP_BYTES, .plan = plan, .options = "sanity=on immix_always_defrag=on" };

    return mmgc_connect(daemon_socket(mmgcd), "guards", &to->client) == MMGC_OK &&
           mmgc_heap_open(to->client, "heap", &options, &to->heap) == MMGC_OK &&
           mmgc_type_struct(to->heap, "item", sizeof(struct item), &to->item, 2u, MMGC_STRONG(item, child), MMGC_WEAK(item, weak)) == MMGC_OK &&
           mmgc_attach(to->heap, &(struct mmgc_thread_options){ .exact = true }, &to->t) == MMGC_OK && mmgc_enter(to->t) == MMGC_OK;
}

static void close_access(struct access *to)
{
    mmgc_detach(to->t);
    mmgc_heap_close(to->heap);
    mmgc_disconnect(to->client);
}

/* An item with a child that has the same number, guarded by it; in no root. */
static bool guard_one(struct access *a, uint64_t number)
{
    mmgc_scope scope = mmgc_scope_open(a->t);
    mmgc_guard guard;
    mmgc_local item = mmgc_local_new(a->t, mmgc_new(a->t, a->item)), child = mmgc_local_new(a->t, mmgc_new(a->t, a->item));
    struct item *i = mmgc_local_get(a->t, item), *c = mmgc_local_get(a->t, child);
    bool made = i != NULL && c != NULL;

    if (made) {
        i->number = c->number = number;
        mmgc_set(a->t, i, child, c);
        mmgc_set(a->t, i, weak, c);
        made = mmgc_guard_new(a->t, i, number, &guard) == MMGC_OK;
    }
    mmgc_scope_close(a->t, scope);
    return made;
}

static bool is_whole(struct access *a, struct item *i, uint64_t number)
{
    struct item *child = i == NULL ? NULL : mmgc_get(a->t, i, child);

    return child != NULL && i->number == number && child->number == number && mmgc_load_weak(a->t, &i->weak) == child;
}

static bool begin(int loop)
{
    if (plans[loop]->constraints.trace == PLAN_TRACE_NONE)
        return false;
    plan = plans[loop]->name;
    return true;
}

static void setup(void)
{
    mmgcd = daemon_start(NULL);
}

static void teardown(void)
{
    daemon_stop(mmgcd);
}

START_TEST(what_nothing_holds_is_given_back_whole_and_once)
{
    bool back[GUARDED] = { false };
    struct access a;
    uint64_t mark;

    if (!begin(_i))
        return;
    ck_assert(open_as(&a));
    for (uint32_t i = 0; i < GUARDED; i++)
        ck_assert(guard_one(&a, i));
    ck_assert_ptr_null(mmgc_guard_take(a.t, &mark));
    ck_assert_ok(mmgc_gc(a.t));
    ck_assert_ok(mmgc_guard_wait(a.t, LONG_NS));
    mmgc_local last = mmgc_local_new(a.t, NULL);
    for (struct item *i; (i = mmgc_guard_take(a.t, &mark)) != NULL; mmgc_local_set(a.t, last, i)) {
        ck_assert(mark < GUARDED && !back[mark] && is_whole(&a, i, mark));
        back[mark] = true;
    }
    for (uint32_t i = 0; i < GUARDED; i++)
        ck_assert(back[i]);
    ck_assert_ok(mmgc_gc(a.t)); /* the last one lives on; nothing is given back again */
    ck_assert_ptr_null(mmgc_guard_take(a.t, &mark));
    ck_assert(is_whole(&a, mmgc_local_get(a.t, last), ((struct item *)mmgc_local_get(a.t, last))->number));
    close_access(&a);
}
END_TEST

/* An item refers to the one before, and that is guarded, too: none waits for a collection after the other's. */
START_TEST(what_guarded_objects_refer_to_is_ready_with_them)
{
    struct access a;
    mmgc_guard guard;
    uint32_t count = 0;

    if (!begin(_i))
        return;
    ck_assert(open_as(&a));
    mmgc_local last = mmgc_local_new(a.t, NULL);
    for (uint64_t i = 0; i < CHAIN; i++) {
        struct item *item = mmgc_new(a.t, a.item);
        ck_assert_ptr_nonnull(item);
        item->number = i;
        mmgc_set(a.t, item, child, (struct item *)mmgc_local_get(a.t, last));
        mmgc_local_set(a.t, last, item);
        ck_assert_ok(mmgc_guard_new(a.t, item, i, &guard));
    }
    mmgc_local_set(a.t, last, NULL);
    ck_assert_ok(mmgc_gc(a.t));
    for (struct item *i; (i = mmgc_guard_take(a.t, NULL)) != NULL; count++) {
        struct item *child = mmgc_get(a.t, i, child);
        ck_assert(i->number == 0 ? child == NULL : child->number == i->number - 1);
    }
    ck_assert_uint_eq(count, CHAIN);
    close_access(&a);
}
END_TEST

/* A client that guards some items and then is killed, or closes. */
static void run_testator(const char *heir, bool closes)
{
    struct access a;
    pid_t child = fork();

    if (child == 0) {
        bool good = open_as(&a) && mmgc_guards_leave_to(a.heap, heir) == MMGC_OK;
        for (uint32_t i = 0; good && i < GUARDED; i++)
            good = guard_one(&a, i);
        if (good && closes)
            close_access(&a);
        if (good && !closes)
            raise(SIGKILL);
        _exit(good ? 0 : 1);
    }
    int status;
    ck_assert_int_eq(waitpid(child, &status, 0), child);
    ck_assert(closes ? WIFEXITED(status) && WEXITSTATUS(status) == 0 : WIFSIGNALED(status));
}

static uint32_t take_all(struct access *a)
{
    uint32_t count = 0;
    uint64_t mark;

    for (struct item *i; (i = mmgc_guard_take(a->t, &mark)) != NULL; count++)
        ck_assert(is_whole(a, i, mark));
    ck_assert_ok(mmgc_thread_error(a->t));
    return count;
}

START_TEST(what_a_dead_client_had_guarded_is_its_heirs)
{
    struct access a;
    uint32_t count = 0;

    if (!begin(_i))
        return;
    ck_assert(open_as(&a));
    ck_assert_ok(mmgc_guardian_be(a.heap, "heir"));
    run_testator("heir", _i % 2 == 0);
    for (int round = 0; round < 100 && count < GUARDED; round++) { /* its death may be learnt after the first of them */
        ck_assert_ok(mmgc_gc(a.t));
        count += take_all(&a);
    }
    ck_assert_uint_eq(count, GUARDED);
    close_access(&a);
}
END_TEST

START_TEST(without_an_heir_it_goes_with_the_client)
{
    struct access a;
    struct mmgc_heap_info info;

    if (!begin(_i))
        return;
    ck_assert(open_as(&a));
    ck_assert_ok(mmgc_guardian_be(a.heap, "heir"));
    run_testator(NULL, true);
    for (int i = 0; i < 3; i++) {
        ck_assert_ok(mmgc_gc(a.t));
        ck_assert_uint_eq(take_all(&a), 0);
    }
    ck_assert_ok(mmgc_heap_info(a.heap, &info));
    ck_assert_uint_eq(info.live_objects, 0);
    close_access(&a);
}
END_TEST

START_TEST(an_estate_waits_for_its_guardian)
{
    struct access a, b;
    uint32_t count = 0;

    if (!begin(_i))
        return;
    ck_assert(open_as(&a));
    run_testator("late", false);
    for (int i = 0; i < 3; i++)
        ck_assert_ok(mmgc_gc(a.t));
    ck_assert(open_as(&b));
    ck_assert_ok(mmgc_guardian_be(b.heap, "late"));
    ck_assert_int_eq(mmgc_guardian_be(a.heap, "late"), MMGC_E_BUSY);
    for (int round = 0; round < 100 && count < GUARDED; round++) {
        mmgc_leave(a.t);
        ck_assert_ok(mmgc_gc(b.t));
        count += take_all(&b);
        ck_assert_ok(mmgc_enter(a.t));
    }
    ck_assert_uint_eq(count, GUARDED);
    close_access(&b);
    ck_assert_ok(mmgc_guardian_be(a.heap, "late"));
    close_access(&a);
}
END_TEST

static Suite *make_suite(void)
{
    Suite *s = suite_create("guards");
    TCase *tc = tcase_create("daemon");

    tcase_add_checked_fixture(tc, setup, teardown);
    tcase_set_timeout(tc, 60);
    tcase_add_loop_test(tc, what_nothing_holds_is_given_back_whole_and_once, 0, PLAN_COUNT);
    tcase_add_loop_test(tc, what_guarded_objects_refer_to_is_ready_with_them, 0, PLAN_COUNT);
    tcase_add_loop_test(tc, what_a_dead_client_had_guarded_is_its_heirs, 0, PLAN_COUNT);
    tcase_add_loop_test(tc, without_an_heir_it_goes_with_the_client, 0, PLAN_COUNT);
    tcase_add_loop_test(tc, an_estate_waits_for_its_guardian, 0, PLAN_COUNT);
    suite_add_tcase(s, tc);
    return s;
}

int main(int argc, char **argv)
{
    return runner_main(argc, argv, make_suite);
}
