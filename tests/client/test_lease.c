/* SPDX-License-Identifier: Apache-2.0 */
#include <mmgc/lease.h>
#include <string.h>
#include <unistd.h>

#include "tests/client/fixture.h"

#define MS UINT64_C(1000000)

/* A second session of the same heap, and a thread of its own for it: what another process would be. */
struct other {
    struct mmgc_client *client;
    struct mmgc_heap *heap;
    struct mmgc_thread *t;
};
static struct other other;
static struct node *n;

static void setup_two(void)
{
    setup();
    ck_assert_ok(mmgc_enter(t));
    n = mmgc_new(t, node_type);
    ck_assert_ok(mmgc_connect(fake->path, "other", &other.client));
    ck_assert_ok(mmgc_heap_open(other.client, "heap", NULL, &other.heap));
    ck_assert_ok(mmgc_attach(other.heap, NULL, &other.t));
    ck_assert_ok(mmgc_enter(other.t));
}

static void teardown_two(void)
{
    mmgc_detach(other.t);
    mmgc_heap_close(other.heap);
    mmgc_disconnect(other.client);
    teardown();
}

/* The node, as the other one has it mapped. */
static void *theirs(void)
{
    return mmgc_deref(other.t, mmgc_ref_of(t, n));
}

static unsigned entries(void)
{
    unsigned count = 0;

    for (uint32_t b = 0; b < SHM_LEASE_BUCKETS; b++)
        for (uint32_t i = 0; i < SHM_LEASE_PLACES; i++)
            count += at_load_relaxed(&fake->leases->buckets[b].entries[i]) != 0;
    return count;
}

static mmgc_lease take(enum mmgc_lease_mode mode)
{
    mmgc_lease lease;

    ck_assert_ok(mmgc_lease_try(t, n, mode, "mine", &lease));
    return lease;
}

START_TEST(granules_come_out_of_entries_as_they_went_in)
{
    for (uint64_t i = 0; i < 1000000; i++) {
        uint32_t granule = (uint32_t)(i * 4294967291u), distance = (uint32_t)(i % 32);
        uint32_t bucket = (shm_lease_home(granule) + distance) % SHM_LEASE_BUCKETS;
        uint64_t entry = shm_lease_entry(shm_lease_object(granule, distance), (uint32_t)(i % SHM_ROWS_MAX), 1 + (uint32_t)(i % 65535),
                                         SHM_LEASE_SHARED);
        ck_assert_uint_eq(shm_lease_granule(entry, bucket), granule);
        ck_assert_uint_eq(shm_lease_slot(entry), i % SHM_ROWS_MAX);
        ck_assert_uint_eq(shm_lease_holder(entry), 1 + i % 65535);
        ck_assert_int_eq(shm_lease_state(entry), SHM_LEASE_SHARED);
    }
}
END_TEST

START_TEST(a_lease_is_a_pin_and_an_entry_and_leaves_nothing)
{
    struct shm_session *s = thread_of(t)->heap->session;
    mmgc_lease lease = take(MMGC_LEASE_EXCLUSIVE);

    ck_assert_int_eq(shm_row_kind(at_load_relaxed(&s->row_tags[lease.slot])), SHM_ROW_EXCLUSIVE);
    ck_assert_uint_eq(at_load_relaxed(&s->row_words[lease.slot]), mmgc_ref_of(t, n).granule);
    ck_assert_str_eq(s->row_notes[lease.slot].name, "mine");
    ck_assert_uint_ne(at_load_relaxed(&s->row_notes[lease.slot].since_ns), 0);
    ck_assert_uint_eq(entries(), 1);
    ck_assert_ptr_eq(mmgc_lease_object(heap, lease), n);
    mmgc_leave(t);
    ck_assert_ptr_eq(mmgc_lease_object(heap, lease), n);
    ck_assert_ok(mmgc_lease_check(heap, lease));
    ck_assert_ok(mmgc_lease_release(heap, lease));
    ck_assert_uint_eq(entries(), 0);
    ck_assert_int_eq(shm_row_kind(at_load_relaxed(&s->row_tags[lease.slot])), SHM_ROW_FREE);
    ck_assert_int_eq(mmgc_lease_release(heap, lease), MMGC_E_DROPPED);
    ck_assert_int_eq(mmgc_lease_check(heap, lease), MMGC_E_DROPPED);
    ck_assert_ptr_null(mmgc_lease_object(heap, lease));
    ck_assert_uint_eq(at_load_relaxed(&fake->lease_releases), 0); /* nobody waited: the daemon was not bothered */
}
END_TEST

START_TEST(who_shares_keeps_out_who_does_not_and_the_reverse)
{
    mmgc_lease mine, second, theirs_too;

    mine = take(MMGC_LEASE_SHARED);
    ck_assert_ok(mmgc_lease_try(other.t, theirs(), MMGC_LEASE_SHARED, NULL, &theirs_too));
    ck_assert_int_eq(mmgc_lease_try(other.t, theirs(), MMGC_LEASE_EXCLUSIVE, NULL, &second), MMGC_E_BUSY);
    ck_assert_int_eq(mmgc_lease_try(t, n, MMGC_LEASE_EXCLUSIVE, NULL, &second), MMGC_E_BUSY); /* nor in the same process */
    ck_assert_ok(mmgc_lease_release(heap, mine));
    ck_assert_ok(mmgc_lease_release(other.heap, theirs_too));
    mine = take(MMGC_LEASE_EXCLUSIVE);
    ck_assert_int_eq(mmgc_lease_try(other.t, theirs(), MMGC_LEASE_SHARED, NULL, &second), MMGC_E_BUSY);
    ck_assert_int_eq(mmgc_lease_try(other.t, theirs(), MMGC_LEASE_EXCLUSIVE, NULL, &second), MMGC_E_BUSY);
    ck_assert_uint_eq(entries(), 1);
    ck_assert_ok(mmgc_lease_release(heap, mine));
    ck_assert_ok(mmgc_lease_try(other.t, theirs(), MMGC_LEASE_EXCLUSIVE, NULL, &second));
    ck_assert_ok(mmgc_lease_release(other.heap, second));
    ck_assert_uint_eq(entries(), 0);
}
END_TEST

START_TEST(what_cannot_be_leased_is_an_error_by_name)
{
    mmgc_lease lease;
    int local;

    ck_assert_int_eq(mmgc_lease_try(t, NULL, MMGC_LEASE_SHARED, NULL, &lease), MMGC_E_INVALID);
    ck_assert_int_eq(mmgc_lease_try(t, n, (enum mmgc_lease_mode)7, NULL, &lease), MMGC_E_INVALID);
    ck_assert_int_eq(mmgc_lease_try(t, n, MMGC_LEASE_SHARED, NULL, NULL), MMGC_E_INVALID);
    ck_assert_int_eq(mmgc_lease_try(t, &local, MMGC_LEASE_SHARED, NULL, &lease), MMGC_E_NO_OBJECT);
    ck_assert_int_eq(mmgc_lease_try(t, theirs(), MMGC_LEASE_SHARED, NULL, &lease), MMGC_E_NO_OBJECT); /* at another heap's address */
    ck_assert_int_eq(mmgc_lease_try(t, (char *)n + 4, MMGC_LEASE_SHARED, NULL, &lease), MMGC_E_NO_OBJECT);
    ck_assert_int_eq(mmgc_lease_release(NULL, lease), MMGC_E_INVALID);
    ck_assert_int_eq(mmgc_lease_release(heap, (mmgc_lease){ 0 }), MMGC_E_INVALID);
    mmgc_leave(t);
    ck_assert_int_eq(mmgc_lease_try(t, n, MMGC_LEASE_SHARED, NULL, &lease), MMGC_E_NOT_IN);
    ck_assert_uint_eq(entries(), 0);
}
END_TEST

START_TEST(a_session_that_only_reads_leases_nothing)
{
    mmgc_lease lease;

    teardown();
    fixture_open(&(struct mmgc_heap_options){ .read_only = true }, NULL);
    ck_assert_ok(mmgc_enter(t));
    ck_assert_int_eq(mmgc_lease_try(t, t->base + 4096, MMGC_LEASE_SHARED, NULL, &lease), MMGC_E_READ_ONLY);
}
END_TEST

/* ---- upgrades ----------------------------------------------------------------------------------------------------- */

START_TEST(the_only_holder_upgrades_and_comes_down_again)
{
    mmgc_lease mine = take(MMGC_LEASE_SHARED), second;

    ck_assert_ok(mmgc_lease_upgrade(t, mine, 0));
    ck_assert_ok(mmgc_lease_upgrade(t, mine, 0)); /* is already */
    ck_assert_int_eq(mmgc_lease_try(other.t, theirs(), MMGC_LEASE_SHARED, NULL, &second), MMGC_E_BUSY);
    ck_assert_ok(mmgc_lease_downgrade(heap, mine));
    ck_assert_ok(mmgc_lease_downgrade(heap, mine));
    ck_assert_ok(mmgc_lease_try(other.t, theirs(), MMGC_LEASE_SHARED, NULL, &second));
    ck_assert_int_eq(mmgc_lease_upgrade(t, mine, 0), MMGC_E_BUSY);
    ck_assert_ok(mmgc_lease_release(other.heap, second));
    ck_assert_ok(mmgc_lease_upgrade(t, mine, 0));
    ck_assert_ok(mmgc_lease_release(heap, mine));
    ck_assert_uint_eq(entries(), 0);
}
END_TEST

struct waiter {
    pthread_t id;
    int code;
    uint64_t took_ns, timeout_ns;
    enum mmgc_lease_mode mode;
    mmgc_lease lease;
    bool upgrade;
    _Atomic bool begun;
};

/* A thread of the other session. */
static void *wait_for_it(void *arg)
{
    struct waiter *w = arg;
    struct mmgc_thread *mine;

    if (mmgc_attach(other.heap, NULL, &mine) != MMGC_OK || mmgc_enter(mine) != MMGC_OK)
        return NULL;
    uint64_t begin_ns = mm_now_ns();
    at_store_release(&w->begun, true);
    w->code = w->upgrade ? mmgc_lease_upgrade(mine, w->lease, w->timeout_ns)
                         : mmgc_lease_take(mine, mmgc_deref(mine, mmgc_ref_of(t, n)), w->mode, "theirs", w->timeout_ns, &w->lease);
    w->took_ns = mm_now_ns() - begin_ns;
    mmgc_detach(mine);
    return w;
}

static void begin_wait(struct waiter *w)
{
    uint32_t before = at_load_relaxed(&fake->lease_waits);

    mmgc_leave(other.t); /* so that a stop needs the waiter alone */
    ck_assert_int_eq(pthread_create(&w->id, NULL, wait_for_it, w), 0);
    while (at_load_acquire(&fake->lease_waits) == before)
        (void)usleep(100);
}

static void end_wait(struct waiter *w)
{
    void *result;

    ck_assert_int_eq(pthread_join(w->id, &result), 0);
    ck_assert_ptr_eq(result, w);
}

/* How long the waiter is on its way after the lease is given back (0: a lease that excludes him, 1: one that he may share, 2: downgraded). */
static uint64_t hand_over_ns(int how)
{
    struct waiter w = { .mode = how == 0 ? MMGC_LEASE_EXCLUSIVE : MMGC_LEASE_SHARED, .timeout_ns = 10000 * MS };
    uint32_t releases = at_load_relaxed(&fake->lease_releases);
    mmgc_lease mine = take(MMGC_LEASE_EXCLUSIVE);

    begin_wait(&w);
    (void)usleep(250000); /* some slices: it stays asleep */
    uint64_t begin_ns = mm_now_ns();
    ck_assert_ok(how < 2 ? mmgc_lease_release(heap, mine) : mmgc_lease_downgrade(heap, mine));
    end_wait(&w);
    uint64_t took_ns = mm_now_ns() - begin_ns;
    ck_assert_ok(w.code);
    ck_assert_uint_eq(at_load_relaxed(&fake->lease_releases), releases + 1);
    ck_assert_ok(mmgc_lease_release(other.heap, w.lease));
    ck_assert_uint_eq(entries(), how < 2 ? 0 : 1);
    if (how == 2)
        ck_assert_ok(mmgc_lease_release(heap, mine));
    return took_ns;
}

START_TEST(who_waits_has_it_as_soon_as_it_is_given_back)
{
    uint64_t took_ns = hand_over_ns(_i);

    for (int i = 0; i < 5 && took_ns >= 90 * MS; i++) /* the machine was busy */
        took_ns = hand_over_ns(_i);
    ck_assert_uint_lt(took_ns, 90 * MS); /* sooner than a slice */
}
END_TEST

START_TEST(a_wake_that_is_lost_costs_a_slice)
{
    struct waiter w = { .mode = MMGC_LEASE_EXCLUSIVE, .timeout_ns = 10000 * MS };
    mmgc_lease mine = take(MMGC_LEASE_SHARED);

    at_store_relaxed(&fake->lose_wakes, true);
    begin_wait(&w);
    uint64_t begin_ns = mm_now_ns();
    ck_assert_ok(mmgc_lease_release(heap, mine));
    end_wait(&w);
    ck_assert_ok(w.code);
    ck_assert_uint_lt(mm_now_ns() - begin_ns, 1000 * MS);
}
END_TEST

START_TEST(a_wait_ends_at_its_deadline)
{
    static const uint64_t timeouts_ns[] = { 1, MS, 30 * MS, 250 * MS };
    struct waiter w = { .mode = MMGC_LEASE_SHARED, .timeout_ns = timeouts_ns[_i] };
    mmgc_lease mine = take(MMGC_LEASE_EXCLUSIVE);

    begin_wait(&w);
    end_wait(&w);
    ck_assert_int_eq(w.code, MMGC_E_TIMEOUT);
    ck_assert_uint_ge(w.took_ns, timeouts_ns[_i]);
    ck_assert_uint_lt(w.took_ns, timeouts_ns[_i] + 500 * MS);
    ck_assert_ok(mmgc_lease_check(heap, mine));
    ck_assert_uint_eq(entries(), 1);
    struct mmgc_handle_counts counts;
    ck_assert_ok(mmgc_handle_counts(other.heap, &counts));
    ck_assert_uint_eq(counts.shared + counts.exclusive, 0);
}
END_TEST

START_TEST(a_collection_does_not_wait_for_who_waits)
{
    struct waiter w = { .mode = MMGC_LEASE_EXCLUSIVE, .timeout_ns = 10000 * MS };
    mmgc_lease mine = take(MMGC_LEASE_EXCLUSIVE);

    begin_wait(&w);
    mmgc_leave(t);
    ck_assert(fake_stop_world(fake, 5000));
    ck_assert_ok(mmgc_lease_release(heap, mine)); /* from outside, in the middle of it: nobody is IN, so nobody takes it yet */
    (void)usleep(20000);
    ck_assert_uint_eq(entries(), 0);
    fake_resume_world(fake);
    end_wait(&w);
    ck_assert_ok(w.code);
    ck_assert_uint_eq(entries(), 1);
}
END_TEST

START_TEST(an_upgrade_waits_for_those_who_share_and_lets_nobody_new_in)
{
    mmgc_lease mine = take(MMGC_LEASE_SHARED), third;
    struct waiter w = { .upgrade = true, .timeout_ns = 10000 * MS };

    ck_assert_ok(mmgc_lease_try(other.t, theirs(), MMGC_LEASE_SHARED, "theirs", &w.lease));
    begin_wait(&w);
    while (mmgc_lease_try(t, n, MMGC_LEASE_SHARED, NULL, &third) == MMGC_OK)
        ck_assert_ok(mmgc_lease_release(heap, third));
    ck_assert_int_eq(mmgc_lease_upgrade(t, mine, 10000 * MS), MMGC_E_DEADLOCK); /* at once, and it is shared as before */
    ck_assert_ok(mmgc_lease_check(heap, mine));
    ck_assert_ok(mmgc_lease_release(heap, mine));
    end_wait(&w);
    ck_assert_ok(w.code);
    ck_assert_int_eq(mmgc_lease_try(t, n, MMGC_LEASE_SHARED, NULL, &third), MMGC_E_BUSY);
    ck_assert_ok(mmgc_lease_release(other.heap, w.lease));
    ck_assert_uint_eq(entries(), 0);
}
END_TEST

START_TEST(an_upgrade_in_vain_leaves_it_shared)
{
    mmgc_lease mine = take(MMGC_LEASE_SHARED), third;
    struct waiter w = { .upgrade = true, .timeout_ns = 50 * MS };

    ck_assert_ok(mmgc_lease_try(other.t, theirs(), MMGC_LEASE_SHARED, "theirs", &w.lease));
    begin_wait(&w);
    end_wait(&w);
    ck_assert_int_eq(w.code, MMGC_E_TIMEOUT);
    ck_assert_ok(mmgc_lease_check(other.heap, w.lease));
    ck_assert_ok(mmgc_lease_try(t, n, MMGC_LEASE_SHARED, NULL, &third));
    ck_assert_ok(mmgc_lease_release(heap, mine));
    ck_assert_ok(mmgc_lease_release(heap, third));
    ck_assert_ok(mmgc_lease_release(other.heap, w.lease));
    ck_assert_uint_eq(entries(), 0);
}
END_TEST

/* ---- what the daemon does ----------------------------------------------------------------------------------------- */

/* As daemon/leases.c does. */
static void revoke_lease(struct shm_session *s, mmgc_lease lease)
{
    at_store_relaxed(&s->row_tags[lease.slot], shm_row_tag(SHM_ROW_REVOKED, lease.serial));
    for (uint32_t b = 0; b < SHM_LEASE_BUCKETS; b++)
        for (uint32_t i = 0; i < SHM_LEASE_PLACES; i++) {
            uint64_t entry = at_load_relaxed(&fake->leases->buckets[b].entries[i]);
            if (entry != 0 && shm_lease_holder(entry) == s->lease_holder && shm_lease_slot(entry) == lease.slot)
                at_store_relaxed(&fake->leases->buckets[b].entries[i], 0);
        }
}

START_TEST(a_revoked_lease_says_so_and_keeps_its_address)
{
    mmgc_lease mine = take(MMGC_LEASE_EXCLUSIVE), second, again;

    revoke_lease(heap->session, mine);
    ck_assert_int_eq(mmgc_lease_check(heap, mine), MMGC_E_REVOKED);
    ck_assert_ptr_eq(mmgc_lease_object(heap, mine), n);
    ck_assert_ok(mmgc_lease_try(other.t, theirs(), MMGC_LEASE_EXCLUSIVE, NULL, &second));
    ck_assert_int_eq(mmgc_lease_upgrade(t, mine, 0), MMGC_E_REVOKED);
    ck_assert_int_eq(mmgc_lease_downgrade(heap, mine), MMGC_E_REVOKED);
    ck_assert_ok(mmgc_lease_release(heap, mine));
    ck_assert_ok(mmgc_lease_check(other.heap, second));
    ck_assert_uint_eq(entries(), 1);
    ck_assert_ok(mmgc_lease_release(other.heap, second));
    ck_assert_ok(mmgc_lease_try(t, n, MMGC_LEASE_SHARED, NULL, &again));
    ck_assert_uint_ne(again.slot, mine.slot); /* never again: the daemon may not be done with it */
}
END_TEST

START_TEST(no_more_leases_on_objects_of_one_place_than_there_is_room_for)
{
    mmgc_lease leases[SHM_LEASE_PLACES * (SHM_LEASE_EXTENT_MAX + 1) + 1], exclusive;
    size_t count = 0;
    int r;

    while ((r = mmgc_lease_try(t, n, MMGC_LEASE_SHARED, NULL, &leases[count])) == MMGC_OK)
        count++;
    ck_assert_int_eq(r, MMGC_E_LIMIT);
    ck_assert_uint_eq(count, MM_ARRAY_LEN(leases) - 1);
    ck_assert_int_eq(mmgc_lease_try(other.t, theirs(), MMGC_LEASE_EXCLUSIVE, NULL, &exclusive), MMGC_E_BUSY);
    for (size_t i = 0; i + 1 < count; i++)
        ck_assert_ok(mmgc_lease_release(heap, leases[i]));
    ck_assert_int_eq(mmgc_lease_try(other.t, theirs(), MMGC_LEASE_EXCLUSIVE, NULL, &exclusive), MMGC_E_BUSY); /* the farthest counts */
    ck_assert_ok(mmgc_lease_release(heap, leases[count - 1]));
    ck_assert_ok(mmgc_lease_try(other.t, theirs(), MMGC_LEASE_EXCLUSIVE, NULL, &exclusive));
}
END_TEST

/* ---- many at once ------------------------------------------------------------------------------------------------- */

#define ROUNDS 3000
static _Atomic int inside, sharing, broken, done;

static void *struggle(void *arg)
{
    uint64_t mine_of = (uint64_t)(uintptr_t)arg;
    struct mmgc_heap *in = mine_of % 2 == 0 ? heap : other.heap;
    struct mmgc_thread *mine;
    mmgc_lease lease;

    if (mmgc_attach(in, NULL, &mine) != MMGC_OK || mmgc_enter(mine) != MMGC_OK)
        return NULL;
    for (uint64_t i = 0; i < ROUNDS; i++) {
        bool shared = (i * 2654435761u >> 7) % 3 != mine_of % 3;
        void *object = mmgc_deref(mine, mmgc_ref_of(t, n));
        if (mmgc_lease_take(mine, object, shared ? MMGC_LEASE_SHARED : MMGC_LEASE_EXCLUSIVE, NULL, 20000 * MS, &lease) != MMGC_OK)
            return NULL;
        if (shared && i % 5 == 0 && mmgc_lease_upgrade(mine, lease, i % 2 == 0 ? 0 : 2 * MS) == MMGC_OK)
            shared = false;
        (void)at_add_acq_rel(shared ? &sharing : &inside, 1);
        if (!shared && (at_load_acquire(&inside) != 1 || at_load_acquire(&sharing) != 0))
            at_store_relaxed(&broken, 1);
        (void)at_sub_acq_rel(shared ? &sharing : &inside, 1);
        if (mmgc_lease_release(in, lease) != MMGC_OK)
            return NULL;
        (void)mmgc_poll(mine);
    }
    (void)at_add_acq_rel(&done, 1);
    mmgc_detach(mine);
    return arg;
}

START_TEST(nobody_is_inside_with_who_is_there_alone)
{
    pthread_t threads[4];

    mmgc_leave(t);
    mmgc_leave(other.t);
    for (uintptr_t i = 0; i < MM_ARRAY_LEN(threads); i++)
        ck_assert_int_eq(pthread_create(&threads[i], NULL, struggle, (void *)i), 0);
    for (size_t i = 0; i < MM_ARRAY_LEN(threads); i++)
        ck_assert_int_eq(pthread_join(threads[i], NULL), 0);
    ck_assert_int_eq(at_load_relaxed(&broken), 0);
    ck_assert_int_eq(at_load_relaxed(&done), (int)MM_ARRAY_LEN(threads));
    ck_assert_uint_eq(entries(), 0);
}
END_TEST

static Suite *lease_suite(void)
{
    Suite *suite = suite_create("lease");
    TCase *one = tcase_create("lease"), *many = tcase_create("many");

    tcase_add_checked_fixture(one, setup_two, teardown_two);
    tcase_set_timeout(one, 30);
    tcase_add_test(one, granules_come_out_of_entries_as_they_went_in);
    tcase_add_test(one, a_lease_is_a_pin_and_an_entry_and_leaves_nothing);
    tcase_add_test(one, who_shares_keeps_out_who_does_not_and_the_reverse);
    tcase_add_test(one, what_cannot_be_leased_is_an_error_by_name);
    tcase_add_test(one, the_only_holder_upgrades_and_comes_down_again);
    tcase_add_loop_test(one, who_waits_has_it_as_soon_as_it_is_given_back, 0, 3);
    tcase_add_test(one, a_wake_that_is_lost_costs_a_slice);
    tcase_add_loop_test(one, a_wait_ends_at_its_deadline, 0, 4);
    tcase_add_test(one, a_collection_does_not_wait_for_who_waits);
    tcase_add_test(one, an_upgrade_waits_for_those_who_share_and_lets_nobody_new_in);
    tcase_add_test(one, an_upgrade_in_vain_leaves_it_shared);
    tcase_add_test(one, a_revoked_lease_says_so_and_keeps_its_address);
    tcase_add_test(one, no_more_leases_on_objects_of_one_place_than_there_is_room_for);
    suite_add_tcase(suite, one);
    tcase_add_checked_fixture(many, setup_two, teardown_two);
    tcase_set_timeout(many, 120);
    tcase_add_test(many, nobody_is_inside_with_who_is_there_alone);
    suite_add_tcase(suite, many);
    TCase *readers = tcase_create("readers");
    tcase_add_checked_fixture(readers, setup, teardown);
    tcase_add_test(readers, a_session_that_only_reads_leases_nothing);
    suite_add_tcase(suite, readers);
    return suite;
}

int main(int argc, char **argv)
{
    return runner_main(argc, argv, lease_suite);
}
