/* SPDX-License-Identifier: Apache-2.0 */
#include <mmgc/reference.h>

#include "tests/client/fixture.h"

struct holder {
    mmgc_ref weak;
    struct mmgc_soft soft;
    struct mmgc_ephemeron pair;
};

static mmgc_type holder_type;

static void open_with(const struct mmgc_heap_options *options)
{
    fixture_barrier = SHM_BARRIER_FIELDS;
    fixture_active = true;
    fixture_open(options, NULL);
    ck_assert_ok(mmgc_type_struct(heap, "holder", sizeof(struct holder), &holder_type, 3u, MMGC_WEAK(holder, weak),
                                  MMGC_SOFT(holder, soft), MMGC_EPHEMERON(holder, pair)));
    ck_assert_ok(mmgc_enter(t));
}

static void setup_fields(void)
{
    open_with(NULL);
}

static void setup_reader(void)
{
    open_with(&(struct mmgc_heap_options){ .read_only = true });
}

static uint32_t pushed(void)
{
    return at_load_relaxed(&mutator()->log.pushed);
}

START_TEST(nothing_is_written_down_while_nothing_marks)
{
    struct holder *h = mmgc_new(t, holder_type), *n = mmgc_new(t, holder_type);

    mmgc_set(t, h, weak, n);
    mmgc_set(t, h, soft.ref, n);
    ck_assert_ptr_eq(mmgc_load_weak(t, &h->weak), n);
    ck_assert_ptr_eq(mmgc_load_soft(t, &h->soft), n);
    ck_assert_uint_ne(h->soft.used, 0);
    ck_assert_uint_eq(pushed(), 0);
    ck_assert(!mmgc_is_cleared(&h->weak));
    mmgc_set(t, h, weak, NULL);
    ck_assert(mmgc_is_cleared(&h->weak));
    ck_assert_ptr_null(mmgc_load_weak(t, &h->weak));
}
END_TEST

START_TEST(what_is_found_while_a_cycle_marks_is_in_the_ring)
{
    struct holder *h = mmgc_new(t, holder_type), *n = mmgc_new(t, holder_type);

    mmgc_set(t, h, weak, n);
    mmgc_set(t, h, pair.key, h);
    mmgc_set(t, h, pair.value, n);
    at_store_relaxed(&fake->control->keeps, 1);
    ck_assert_ptr_eq(mmgc_load_weak(t, &h->weak), n);
    ck_assert_uint_eq(pushed(), 1);
    const struct shm_log_entry *entry = &mutator()->log_ring[0];
    ck_assert_uint_eq(at_load_relaxed(&entry->object), mmgc_ref_of(t, n).granule);
    ck_assert_uint_eq(at_load_relaxed(&entry->offset), SHM_LOG_KEEP);
    ck_assert_ptr_eq(mmgc_load_ephemeron(t, &h->pair, h), n);
    ck_assert_uint_eq(pushed(), 3); /* key and value */
    ck_assert_ptr_null(mmgc_load_ephemeron(t, &h->pair, n));
    ck_assert_ptr_null(mmgc_load_ephemeron(t, &h->pair, NULL));
    at_store_relaxed(&fake->control->keeps, 0);
    ck_assert_ptr_eq(mmgc_load_weak(t, &h->weak), n);
    ck_assert_uint_eq(pushed(), 4);
}
END_TEST

START_TEST(a_full_ring_is_said_to_be_so)
{
    struct holder *h = mmgc_new(t, holder_type), *n = mmgc_new(t, holder_type);

    mmgc_set(t, h, weak, n);
    at_store_relaxed(&fake->control->keeps, 1);
    for (uint32_t i = 0; i < SHM_LOG_CAPACITY; i++)
        if (mmgc_load_weak(t, &h->weak) != n)
            ck_abort();
    ck_assert_uint_eq(at_load_relaxed(&mutator()->log.lost), 0);
    ck_assert_ptr_eq(mmgc_load_weak(t, &h->weak), n);
    ck_assert_uint_eq(at_load_relaxed(&mutator()->log.lost), 1);
}
END_TEST

START_TEST(who_only_reads_is_refused_where_the_daemon_could_not_take_note)
{
    char *base = t->base;
    mmgc_ref slot = { 1000 };

    at_store_relaxed(&fake->control->keeps, 1);
    for (uint32_t i = 0; i < SHM_LOG_CAPACITY; i++)
        if (mmgc_load_weak(t, &slot) != base + 8000)
            ck_abort();
    ck_assert_ptr_null(mmgc_load_weak(t, &slot));
    ck_assert_int_eq(mmgc_thread_error(t), MMGC_E_STALLED);
}
END_TEST

static void *announce(void *object)
{
    struct mmgc_thread *mine;
    mmgc_ref *queue = object;

    if (mmgc_attach(heap, NULL, &mine) != MMGC_OK)
        return NULL;
    if (!fake_stop_world(fake, 10000))
        return NULL;
    __atomic_store_n(&queue->granule, 77u, __ATOMIC_RELEASE);
    fake_resume_world(fake);
    return object;
}

START_TEST(who_waits_for_a_queue_is_woken_by_a_collection_that_announces_something)
{
    void *queue = mmgc_queue_new(t);
    pthread_t other;

    ck_assert_ptr_nonnull(queue);
    ck_assert_ptr_null(mmgc_queue_take(t, queue));
    ck_assert_int_eq(mmgc_queue_wait(t, queue, 1000), MMGC_E_TIMEOUT);
    ck_assert_int_eq(mmgc_queue_wait(t, NULL, 0), MMGC_E_INVALID);
    ck_assert_int_eq(pthread_create(&other, NULL, announce, queue), 0);
    ck_assert_ok(mmgc_queue_wait(t, queue, UINT64_MAX));
    ck_assert_ptr_eq(mmgc_queue_take(t, queue), t->base + 8 * 77);
    ck_assert_ptr_null(mmgc_queue_take(t, queue));
    ck_assert_int_eq(pthread_join(other, NULL), 0);
    mmgc_leave(t);
    ck_assert_int_eq(mmgc_queue_wait(t, queue, 0), MMGC_E_NOT_IN);
}
END_TEST

static Suite *make_suite(void)
{
    Suite *s = suite_create("reference");
    TCase *loads = tcase_create("loads"), *reader = tcase_create("reader"), *queues = tcase_create("queues");

    tcase_add_checked_fixture(loads, setup_fields, teardown);
    tcase_add_test(loads, nothing_is_written_down_while_nothing_marks);
    tcase_add_test(loads, what_is_found_while_a_cycle_marks_is_in_the_ring);
    tcase_add_test(loads, a_full_ring_is_said_to_be_so);
    suite_add_tcase(s, loads);
    tcase_add_checked_fixture(reader, setup_reader, teardown);
    tcase_add_test(reader, who_only_reads_is_refused_where_the_daemon_could_not_take_note);
    suite_add_tcase(s, reader);
    tcase_add_checked_fixture(queues, setup_fields, teardown);
    tcase_add_test(queues, who_waits_for_a_queue_is_woken_by_a_collection_that_announces_something);
    suite_add_tcase(s, queues);
    return s;
}

int main(int argc, char **argv)
{
    return runner_main(argc, argv, make_suite);
}
