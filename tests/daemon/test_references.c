/* SPDX-License-Identifier: Apache-2.0 */
/* References that keep nothing alive, between real clients and the real daemon, under every plan that collects. */
#include "plans/plan.h"

#include <mmgc/reference.h>
#include <pthread.h>
#include <string.h>

#include "shm/base.h"
#include "tests/support/daemon.h"
#include "tests/support/runner.h"

#define HEAP_BYTES (UINT64_C(16) << 20)
#define ENTRIES 200u
#define ck_assert_ok(call) ck_assert_int_eq((call), MMGC_OK)

struct entry {
    mmgc_ref weak, strong;
    struct mmgc_soft soft;
    mmgc_ref phantom, queue, next;
    uint64_t number;
};
struct access {
    struct mmgc_client *client;
    struct mmgc_heap *heap;
    struct mmgc_thread *t;
    mmgc_type entry, refs, ephemerons;
};

static struct daemon *mmgcd;
static struct access a;

static void open_as(struct access *to, const char *plan, const char *options)
{
    struct mmgc_heap_options heap = { .create = true, .max_bytes = HEAP_BYTES, .plan = plan, .options = options };

    ck_assert_ok(mmgc_connect(daemon_socket(mmgcd), "references", &to->client));
    ck_assert_ok(mmgc_heap_open(to->client, "heap", &heap, &to->heap));
    ck_assert_ok(mmgc_type_struct(to->heap, "entry", sizeof(struct entry), &to->entry, 6u, MMGC_WEAK(entry, weak),
                                  MMGC_STRONG(entry, strong), MMGC_SOFT(entry, soft), MMGC_PHANTOM(entry, phantom),
                                  MMGC_QUEUE(entry, queue), MMGC_LINK(entry, next)));
    ck_assert_ok(mmgc_type_refs(to->heap, &to->refs));
    ck_assert_ok(mmgc_type_ephemerons(to->heap, &to->ephemerons));
    /* exact: no stale word of the stack keeps what is to be cleared */
    ck_assert_ok(mmgc_attach(to->heap, &(struct mmgc_thread_options){ .exact = true }, &to->t));
    ck_assert_ok(mmgc_enter(to->t));
}

static void close_access(struct access *to)
{
    mmgc_detach(to->t);
    mmgc_heap_close(to->heap);
    mmgc_disconnect(to->client);
}

static void setup(void)
{
    mmgcd = daemon_start(NULL);
}

static void teardown(void)
{
    daemon_stop(mmgcd);
}

static mmgc_local new_entry(const struct access *in, uint64_t number)
{
    mmgc_local local = mmgc_local_new(in->t, mmgc_new(in->t, in->entry));
    struct entry *e = mmgc_local_get(in->t, local);

    ck_assert_ptr_nonnull(e);
    e->number = number;
    return local;
}

static struct entry *at(const struct access *in, mmgc_local local)
{
    return mmgc_local_get(in->t, local);
}

START_TEST(two_clients_see_the_same_reference_cleared)
{
    struct access b;

    if (plans[_i]->constraints.trace == PLAN_TRACE_NONE)
        return;
    open_as(&a, plans[_i]->name, "sanity=on immix_always_defrag=on");
    open_as(&b, plans[_i]->name, NULL);
    mmgc_local holder = new_entry(&a, 1), live = new_entry(&a, 2);
    mmgc_scope scope = mmgc_scope_open(a.t);
    mmgc_local dead = new_entry(&a, 3);
    mmgc_set(a.t, at(&a, holder), weak, at(&a, dead));
    mmgc_set(a.t, at(&a, holder), phantom, at(&a, dead));
    mmgc_set(a.t, at(&a, holder), soft.ref, at(&a, live));
    ck_assert_ok(mmgc_name_set(a.t, "holder", at(&a, holder)));
    ck_assert_uint_eq(((struct entry *)mmgc_load_weak(b.t, &((struct entry *)mmgc_name_get(b.t, "holder"))->weak))->number, 3);
    mmgc_leave(b.t);
    ck_assert_ok(mmgc_gc(a.t));
    ck_assert_uint_eq(((struct entry *)mmgc_load_weak(a.t, &at(&a, holder)->weak))->number, 3);
    mmgc_scope_close(a.t, scope);
    ck_assert_ok(mmgc_gc(a.t));
    ck_assert_ok(mmgc_enter(b.t));
    struct entry *seen = mmgc_name_get(b.t, "holder");
    ck_assert(mmgc_is_cleared(&seen->weak) && mmgc_is_cleared(&seen->phantom));
    ck_assert_ptr_null(mmgc_load_weak(b.t, &seen->weak));
    ck_assert_ptr_eq(mmgc_load_soft(a.t, &at(&a, holder)->soft), at(&a, live));
    close_access(&b);
    close_access(&a);
}
END_TEST

/* A cache as programs have it: a queue, entries that are announced when what they stand for has gone. */
START_TEST(a_cache_learns_by_its_queue_what_has_gone)
{
    bool gone[ENTRIES] = { false };
    uint64_t found = 0;

    if (plans[_i]->constraints.trace == PLAN_TRACE_NONE)
        return;
    open_as(&a, plans[_i]->name, "sanity=on");
    mmgc_local queue = mmgc_local_new(a.t, mmgc_queue_new(a.t));
    mmgc_local all = mmgc_local_new(a.t, mmgc_new_array(a.t, a.refs, ENTRIES));
    mmgc_local kept = mmgc_local_new(a.t, mmgc_new_array(a.t, a.refs, ENTRIES));
    for (uint32_t i = 0; i < ENTRIES; i++) {
        mmgc_scope scope = mmgc_scope_open(a.t);
        mmgc_local e = new_entry(&a, i), value = new_entry(&a, 1000 + i);
        mmgc_set(a.t, at(&a, e), weak, at(&a, value));
        mmgc_set(a.t, at(&a, e), queue, mmgc_local_get(a.t, queue));
        mmgc_store(a.t, mmgc_local_get(a.t, all), (mmgc_ref *)mmgc_local_get(a.t, all) + i, at(&a, e));
        if (i % 2 == 0)
            mmgc_store(a.t, mmgc_local_get(a.t, kept), (mmgc_ref *)mmgc_local_get(a.t, kept) + i, at(&a, value));
        mmgc_scope_close(a.t, scope);
    }
    ck_assert_int_eq(mmgc_queue_wait(a.t, mmgc_local_get(a.t, queue), 1000), MMGC_E_TIMEOUT);
    ck_assert_ok(mmgc_gc(a.t));
    ck_assert_ok(mmgc_queue_wait(a.t, mmgc_local_get(a.t, queue), UINT64_C(10000000000)));
    for (struct entry *e = mmgc_queue_take(a.t, mmgc_local_get(a.t, queue)); e != NULL; e = mmgc_get(a.t, e, next), found++) {
        ck_assert(!gone[e->number] && mmgc_is_cleared(&e->weak) && mmgc_is_cleared(&e->queue));
        gone[e->number] = true;
    }
    ck_assert_uint_eq(found, ENTRIES / 2);
    for (uint32_t i = 0; i < ENTRIES; i++)
        ck_assert(gone[i] == (i % 2 != 0));
    close_access(&a);
}
END_TEST

/* The queue goes, then, with what it lists; nothing is found to be wrong with that. */
START_TEST(a_queue_that_its_objects_alone_refer_to_may_go_with_them)
{
    struct mmgc_heap_info info;

    if (plans[_i]->constraints.trace == PLAN_TRACE_NONE)
        return;
    open_as(&a, plans[_i]->name, "sanity=on");
    mmgc_local e = new_entry(&a, 1);
    mmgc_set(a.t, at(&a, e), queue, mmgc_queue_new(a.t));
    mmgc_scope scope = mmgc_scope_open(a.t);
    mmgc_local value = new_entry(&a, 2);
    mmgc_set(a.t, at(&a, e), weak, at(&a, value));
    mmgc_scope_close(a.t, scope);
    ck_assert_ok(mmgc_gc(a.t));
    ck_assert(mmgc_is_cleared(&at(&a, e)->weak) && mmgc_is_cleared(&at(&a, e)->queue));
    ck_assert_ok(mmgc_gc(a.t));
    ck_assert_ok(mmgc_gc(a.t));
    ck_assert_ok(mmgc_heap_info(a.heap, &info));
    ck_assert_uint_eq(info.live_objects, 1);
    close_access(&a);
}
END_TEST

START_TEST(every_soft_reference_goes_before_an_allocation_fails)
{
    if (plans[_i]->constraints.trace == PLAN_TRACE_NONE)
        return;
    open_as(&a, plans[_i]->name, NULL);
    /* half of the heap is softly held, and used all the time; then more than the other half is wanted */
    uint32_t length = (uint32_t)(HEAP_BYTES / 5 / 4 / 16);
    mmgc_local holders[16], big[16];
    for (int i = 0; i < 16; i++) {
        holders[i] = new_entry(&a, (uint64_t)i);
        void *array = mmgc_new_array(a.t, a.refs, length);
        ck_assert_ptr_nonnull(array);
        mmgc_set(a.t, at(&a, holders[i]), soft.ref, array);
        ck_assert_ptr_nonnull(mmgc_load_soft(a.t, &at(&a, holders[i])->soft));
    }
    for (int i = 0; i < 16; i++) {
        for (int k = 0; k < 16; k++)
            (void)mmgc_load_soft(a.t, &at(&a, holders[k])->soft);
        void *array = mmgc_new_array(a.t, a.refs, 2 * length);
        ck_assert_msg(array != NULL, "array %d: %s", i, mmgc_strerror(mmgc_thread_error(a.t)));
        big[i] = mmgc_local_new(a.t, array);
    }
    ck_assert_ptr_nonnull(mmgc_local_get(a.t, big[15]));
    close_access(&a);
}
END_TEST

/* ---- beside collections: what one thread finds by weak references alone is whole while another collects without end -------------- */

#define WORK_NS UINT64_C(500000000) /* at least; until something was found and missed, but not for ever */
#define WORK_MAX_NS UINT64_C(30000000000)

struct finder {
    struct access in;
    bool seldom; /* its plan clears what is old in whole collections alone, which may not come */
    uint64_t found, missed;
};

static bool goes_on(const struct finder *f, uint64_t ns)
{
    bool enough = f->found > 0 && (f->missed > 1 || f->seldom);

    return ns < (enough ? WORK_NS : WORK_MAX_NS);
}

static void *find(void *context)
{
    struct finder *f = context;
    struct access *in = &f->in;
    uint64_t begin = mm_now_ns();

    open_as(in, NULL, NULL);
    mmgc_local weak = new_entry(in, 0), strong = new_entry(in, 0);
    for (uint64_t round = 0; goes_on(f, mm_now_ns() - begin); round++) {
        struct entry *e = mmgc_load_weak(in->t, &at(in, weak)->weak);
        if (e != NULL) {
            mmgc_set(in->t, at(in, strong), strong, e); /* found by nothing else: it has to be whole from here on */
            f->found++;
        } else {
            mmgc_scope scope = mmgc_scope_open(in->t);
            mmgc_local fresh = new_entry(in, round), child = new_entry(in, round + 1);
            mmgc_set(in->t, at(in, fresh), strong, at(in, child));
            mmgc_set(in->t, at(in, weak), weak, at(in, fresh));
            mmgc_scope_close(in->t, scope);
            f->missed++;
        }
        struct entry *kept = mmgc_get(in->t, at(in, strong), strong);
        if (kept != NULL) {
            struct entry *child = mmgc_get(in->t, kept, strong);
            ck_assert(child != NULL && child->number == kept->number + 1);
        }
        if (round % 7 == 0)
            mmgc_set(in->t, at(in, strong), strong, NULL);
        for (int i = round % 7 == 0 && round % 5 == 0 ? 500 : 1; i > 0; i--) /* garbage, so that it is collected, also while nothing else holds it */
            ck_assert_ptr_nonnull(mmgc_new_array(in->t, in->refs, 100));
    }
    close_access(in);
    return NULL;
}

START_TEST(what_is_found_by_weak_references_beside_collections_is_whole)
{
    struct finder finders[3] = { { .found = 0 } };
    pthread_t threads[3];

    if (plans[_i]->constraints.trace == PLAN_TRACE_NONE)
        return;
    open_as(&a, plans[_i]->name, "stress_factor=256K sanity=on");
    mmgc_leave(a.t);
    for (int i = 0; i < 3; i++) {
        finders[i].seldom = plans[_i]->constraints.counts || plans[_i]->constraints.generational;
        ck_assert_int_eq(pthread_create(&threads[i], NULL, find, &finders[i]), 0);
    }
    for (int i = 0; i < 3; i++) {
        ck_assert_int_eq(pthread_join(threads[i], NULL), 0);
        ck_assert_uint_gt(finders[i].found, 0);
        if (!finders[i].seldom)
            ck_assert_uint_gt(finders[i].missed, 1);
    }
    close_access(&a);
}
END_TEST

static Suite *make_suite(void)
{
    Suite *s = suite_create("references");
    TCase *tc = tcase_create("daemon");

    tcase_add_checked_fixture(tc, setup, teardown);
    tcase_set_timeout(tc, 60);
    tcase_add_loop_test(tc, two_clients_see_the_same_reference_cleared, 0, PLAN_COUNT);
    tcase_add_loop_test(tc, a_cache_learns_by_its_queue_what_has_gone, 0, PLAN_COUNT);
    tcase_add_loop_test(tc, a_queue_that_its_objects_alone_refer_to_may_go_with_them, 0, PLAN_COUNT);
    tcase_add_loop_test(tc, every_soft_reference_goes_before_an_allocation_fails, 0, PLAN_COUNT);
    tcase_add_loop_test(tc, what_is_found_by_weak_references_beside_collections_is_whole, 0, PLAN_COUNT);
    suite_add_tcase(s, tc);
    return s;
}

int main(int argc, char **argv)
{
    return runner_main(argc, argv, make_suite);
}
