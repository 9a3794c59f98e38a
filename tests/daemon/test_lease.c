/* SPDX-License-Identifier: Apache-2.0 */
/* The daemon's part in leases: entries and rows that clients forge, who waits, what goes with a session, rights, and listing. */
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "shm/futex.h"
#include "tests/daemon/raw.h"
#include "tests/support/runner.h"

#define HEAP_BYTES (UINT64_C(16) << 20)
#define TICKS 2000 /* of 2 ms */
#define GRANULE 4711u

#define ROWS (SHM_ROWS_MAX - 1u) /* max_handles: not the default, and many */

static struct daemon *mmgcd;
static struct raw a, b;

static void setup(void)
{
    mmgcd = daemon_start("[daemon]\nmax_handles = 300000\nmax_threads = 4\n");
    a = b = (struct raw){ 0 };
    raw_start(&a, mmgcd, "a");
    raw_open(&a, "heap", HEAP_BYTES);
    raw_start(&b, mmgcd, "b");
    raw_open(&b, "heap", 0);
}

static void teardown(void)
{
    raw_close(&a);
    raw_close(&b);
    daemon_stop(mmgcd);
}

static _Atomic uint64_t *place(uint32_t granule, uint32_t distance, uint32_t i)
{
    return &shm_lease_bucket(a.leases, shm_lease_home(granule), distance)->entries[i];
}

/* As an honest client leaves things: a row, then an entry. */
static void lease(struct raw *c, uint32_t slot, uint32_t granule, uint32_t i)
{
    atomic_store(&c->segment->row_words[slot], granule);
    atomic_store(&c->segment->row_tags[slot], shm_row_tag(SHM_ROW_EXCLUSIVE, 1));
    atomic_store(&c->segment->row_notes[slot].since_ns, mm_now_ns());
    atomic_store(&c->segment->row_high, MM_MAX(atomic_load(&c->segment->row_high), slot + 1));
    atomic_store(place(granule, 0, i),
                 shm_lease_entry(shm_lease_object(granule, 0), slot, c->segment->lease_holder, SHM_LEASE_EXCLUSIVE));
}

static void wait_for(struct raw *c, uint32_t granule, uint32_t slot, bool over)
{
    RAW(request, LEASE_WAIT, lease_wait);

    request_body.ref = granule;
    request_body.slot = slot;
    request_body.over = over;
    raw_send(c, &request);
    ck_assert_int_eq(raw_ping(c), MMGC_E_OK); /* it has been read */
}

static void released(struct raw *c, uint32_t granule)
{
    RAW(request, LEASE_RELEASED, lease_released);

    request_body.ref = granule;
    raw_send(c, &request);
    ck_assert_int_eq(raw_ping(c), MMGC_E_OK);
}

static enum mmgc_error revoke_lease(struct raw *c, uint64_t session, uint32_t slot)
{
    RAW(request, LEASE_REVOKE, lease_revoke);

    request_body.session = session;
    request_body.slot = slot;
    return raw_try(c, &request);
}

static uint32_t waiters(uint32_t granule)
{
    return atomic_load(&shm_lease_bucket(a.leases, shm_lease_home(granule), 0)->waiters);
}

static void await_gone(uint32_t granule, uint32_t i)
{
    for (int tick = 0; atomic_load(place(granule, 0, i)) != 0; tick++) {
        ck_assert_msg(tick < TICKS, "the entry stays");
        usleep(2000);
    }
}

START_TEST(each_session_is_another_holder_and_has_the_daemons_limit)
{
    struct raw c = { 0 };

    ck_assert_uint_ne(a.segment->lease_holder, 0);
    ck_assert_uint_ne(a.segment->lease_holder, b.segment->lease_holder);
    ck_assert_uint_eq(a.segment->row_limit, 300000);
    raw_start(&c, mmgcd, "c");
    c.read_only = true;
    raw_open(&c, "heap", 0);
    ck_assert_ptr_null(c.leases);
    ck_assert_uint_eq(c.segment->lease_holder, 0);
    RAW(request, LEASE_WAIT, lease_wait);
    ck_assert_int_eq(raw_try(&c, &request), MMGC_E_READ_ONLY);
    raw_close(&c);
}
END_TEST

START_TEST(a_waiter_is_woken_when_it_registers_and_at_each_release)
{
    uint32_t go = atomic_load(&b.segment->lease_go);

    wait_for(&b, GRANULE, 7, false);
    ck_assert_uint_ne(waiters(GRANULE), 0);
    ck_assert_uint_eq(atomic_load(&b.segment->lease_go), go + 1);
    released(&a, GRANULE);
    released(&a, GRANULE + 1);
    ck_assert_uint_eq(atomic_load(&b.segment->lease_go), go + 2);
    wait_for(&b, GRANULE, 7, true);
    ck_assert_uint_eq(waiters(GRANULE), 0);
    released(&a, GRANULE);
    ck_assert_uint_eq(atomic_load(&b.segment->lease_go), go + 2);
    ck_assert_uint_eq(atomic_load(&a.segment->lease_go), 0);
}
END_TEST

START_TEST(only_so_many_wait)
{
    RAW(request, LEASE_WAIT, lease_wait);

    for (uint32_t i = 1; i <= 4; i++)
        wait_for(&b, GRANULE + i, i, false);
    request_body.ref = GRANULE;
    request_body.slot = 5;
    ck_assert_int_eq(raw_try(&b, &request), MMGC_E_LIMIT);
    wait_for(&b, GRANULE + 1, 1, true);
    wait_for(&b, GRANULE, 5, false);
    ck_assert_uint_ne(waiters(GRANULE), 0);
}
END_TEST

START_TEST(what_a_dead_session_had_is_free_and_who_waits_is_woken)
{
    uint32_t go = atomic_load(&b.segment->lease_go);

    lease(&a, 1, GRANULE, 0);
    lease(&a, 2, 99999, 6);
    lease(&b, 3, GRANULE, 1);
    uint64_t theirs = atomic_load(place(GRANULE, 0, 1));
    atomic_store(place(12345, 3, 2), shm_lease_entry(0xabcdef8, 77, a.segment->lease_holder, (enum shm_lease_state)7)); /* wherever */
    wait_for(&b, GRANULE, 4, false);
    ck_assert_uint_ne(atomic_load(place(GRANULE, 0, 0)), 0); /* it has its row */
    struct shm_leases *table = a.leases;
    raw_close(&a);
    a.leases = table;
    await_gone(GRANULE, 0);
    await_gone(99999, 6);
    for (int tick = 0; atomic_load(place(12345, 3, 2)) != 0; tick++) {
        ck_assert_int_lt(tick, TICKS);
        usleep(2000);
    }
    for (int tick = 0; atomic_load(&b.segment->lease_go) < go + 2; tick++) {
        ck_assert_int_lt(tick, TICKS);
        usleep(2000);
    }
    ck_assert_uint_eq(atomic_load(place(GRANULE, 0, 1)), theirs);
}
END_TEST

START_TEST(entries_of_nobody_go_when_somebody_waits_for_them)
{
    atomic_store(place(GRANULE, 0, 2), shm_lease_entry(shm_lease_object(GRANULE, 0), 5, 60000, SHM_LEASE_EXCLUSIVE));
    wait_for(&b, GRANULE, 4, false);
    ck_assert_uint_eq(atomic_load(place(GRANULE, 0, 2)), 0);
}
END_TEST

START_TEST(entries_without_a_row_go_at_the_next_stop)
{
    struct raw_thread t;

    lease(&a, 1, GRANULE, 0);
    lease(&a, 2, GRANULE, 1);
    atomic_store(&a.segment->row_tags[2], shm_row_tag(SHM_ROW_FREE, 1)); /* and its row is gone */
    wait_for(&b, GRANULE, 4, false);
    ck_assert_uint_ne(atomic_load(place(GRANULE, 0, 1)), 0);
    raw_attach(&t, &b, "t");
    raw_collect_wait(&b, raw_collect_begin(&b, "heap"));
    ck_assert_uint_eq(atomic_load(place(GRANULE, 0, 1)), 0);
    ck_assert_uint_ne(atomic_load(place(GRANULE, 0, 0)), 0); /* this one has its own */
}
END_TEST

START_TEST(revoking_ends_the_entry_and_not_the_pin)
{
    uint32_t go = atomic_load(&b.segment->lease_go);

    lease(&a, 1, GRANULE, 0);
    lease(&a, 2, GRANULE, 1);
    wait_for(&b, GRANULE, 4, false);
    ck_assert_int_eq(revoke_lease(&b, a.session, 1), MMGC_E_OK);
    ck_assert_uint_eq(atomic_load(place(GRANULE, 0, 0)), 0);
    ck_assert_uint_ne(atomic_load(place(GRANULE, 0, 1)), 0);
    ck_assert_uint_eq(atomic_load(&a.segment->row_tags[1]), shm_row_tag(SHM_ROW_REVOKED, 1));
    ck_assert_uint_eq(atomic_load(&a.segment->row_words[1]), GRANULE);
    ck_assert_uint_eq(atomic_load(&b.segment->lease_go), go + 2);
    ck_assert_int_eq(revoke_lease(&b, a.session, 1), MMGC_E_DROPPED);
    atomic_store(&a.segment->row_tags[2], shm_row_tag(SHM_ROW_SHARED, 1) | SHM_ROW_ENDING);
    ck_assert_int_eq(revoke_lease(&b, a.session, 2), MMGC_E_DROPPED);
    ck_assert_int_eq(revoke_lease(&b, a.session, 0), MMGC_E_INVALID);
    ck_assert_int_eq(revoke_lease(&b, a.session, UINT32_MAX), MMGC_E_INVALID);
    ck_assert_int_eq(revoke_lease(&b, 123456, 1), MMGC_E_INVALID);
}
END_TEST

START_TEST(leases_are_listed_with_who_waits)
{
    RAW(request, HANDLES, handles);

    request_body.leases = true;
    lease(&a, 1, GRANULE, 0);
    memcpy(a.segment->row_notes[1].name, "ad\033ding\xff, as it is without an end", SHM_ROW_NAME_MAX + 1);
    wait_for(&b, GRANULE, 4, false);
    wait_for(&b, GRANULE, 5, false);
    wire_reply *reply = raw_ask(&b, &request);
    ck_assert_int_eq(reply->body_case, WIRE_REPLY(HANDLE_ROWS));
    ck_assert_uint_eq(reply->handle_rows->n_rows, 1);
    ck_assert(!reply->handle_rows->more);
    const wire_handle_row *row = reply->handle_rows->rows[0];
    ck_assert_uint_eq(row->session, a.session);
    ck_assert_uint_eq(row->slot, 1);
    ck_assert_str_eq(row->kind, "exclusive");
    ck_assert_str_eq(row->name, "ad?ding?, as it is with");
    ck_assert_str_eq(row->heap, "heap");
    ck_assert_uint_eq(row->ref, GRANULE);
    ck_assert_uint_eq(row->waiters, 2);
    ck_assert(row->held);
    ck_assert_uint_lt(row->age_ms, 60000);
    wire_reply_free(reply);
}
END_TEST

START_TEST(a_table_that_claims_to_be_full_is_listed_in_pages)
{
    uint64_t session = 0, seen = 0, pages = 0;
    uint32_t slot = 0;

    atomic_store(&a.segment->row_high, UINT32_MAX);
    for (uint32_t i = 1; i < ROWS; i += 1000) {
        atomic_store(&a.segment->row_tags[i], shm_row_tag(SHM_ROW_STRONG, 3));
        atomic_store(&a.segment->row_words[i], i % 2 == 0 ? UINT32_MAX : i);
    }
    for (bool more = true; more; pages++) {
        RAW(request, HANDLES, handles);
        request_body.heap = (char *)"heap";
        request_body.after_session = session;
        request_body.after_slot = slot;
        wire_reply *reply = raw_ask(&b, &request);
        ck_assert_int_eq(reply->body_case, WIRE_REPLY(HANDLE_ROWS));
        more = reply->handle_rows->more;
        seen += reply->handle_rows->n_rows;
        session = reply->handle_rows->last_session;
        slot = reply->handle_rows->last_slot;
        wire_reply_free(reply);
        ck_assert_uint_lt(pages, 100);
    }
    ck_assert_uint_eq(seen, (300000 + 998) / 1000); /* what lies beyond the rows that it was given is nobody's */
    RAW(request, HANDLES, handles);
    request_body.after_session = UINT64_MAX;
    request_body.after_slot = UINT32_MAX;
    request_body.session = b.session;
    wire_reply *reply = raw_ask(&b, &request);
    ck_assert_uint_eq(reply->handle_rows->n_rows, 0);
    wire_reply_free(reply);
}
END_TEST

START_TEST(any_bytes_in_the_table_harm_nobody)
{
    uint64_t state = 12345;
    struct raw_thread t;

    raw_attach(&t, &b, "t");
    for (int round = 0; round < 40; round++) {
        for (size_t i = 0; i < sizeof(*a.leases) / 8; i++) {
            state = state * UINT64_C(6364136223846793005) + UINT64_C(1442695040888963407);
            uint64_t word = state ^ state >> 29;
            if (i % 3 == 0) /* one that may be somebody's */
                word = (word & ~(UINT64_C(0xffff) << 48)) | (uint64_t)(i % 2 == 0 ? a : b).segment->lease_holder << 48;
            atomic_store((_Atomic uint64_t *)(void *)a.leases + i, word);
        }
        for (uint32_t i = 0; i < 64; i++)
            atomic_store(&a.segment->row_tags[i], (uint32_t)(state >> i % 30));
        atomic_store(&a.segment->row_high, (uint32_t)state);
        wait_for(&b, (uint32_t)state, (uint32_t)(round % 4), false);
        released(&a, (uint32_t)(state >> 7));
        (void)revoke_lease(&b, a.session, (uint32_t)(state >> 3) % 64);
        if (round % 10 == 0)
            raw_collect_wait(&b, raw_collect_begin(&b, "heap"));
    }
    struct shm_leases *table = a.leases;
    uint32_t holder = a.segment->lease_holder;
    raw_close(&a);
    for (int tick = 0; tick < TICKS; tick++) {
        unsigned left = 0;
        for (uint32_t i = 0; i < SHM_LEASE_BUCKETS; i++)
            for (uint32_t k = 0; k < SHM_LEASE_PLACES; k++)
                left += shm_lease_holder(atomic_load(&table->buckets[i].entries[k])) == holder;
        if (left == 0)
            break;
        ck_assert_int_lt(tick, TICKS - 1);
        usleep(2000);
    }
    ck_assert_int_eq(raw_ping(&b), MMGC_E_OK);
}
END_TEST

static Suite *lease_suite(void)
{
    Suite *suite = suite_create("lease");
    TCase *tc = tcase_create("lease");

    tcase_add_checked_fixture(tc, setup, teardown);
    tcase_set_timeout(tc, 60);
    tcase_add_test(tc, each_session_is_another_holder_and_has_the_daemons_limit);
    tcase_add_test(tc, a_waiter_is_woken_when_it_registers_and_at_each_release);
    tcase_add_test(tc, only_so_many_wait);
    tcase_add_test(tc, what_a_dead_session_had_is_free_and_who_waits_is_woken);
    tcase_add_test(tc, entries_of_nobody_go_when_somebody_waits_for_them);
    tcase_add_test(tc, entries_without_a_row_go_at_the_next_stop);
    tcase_add_test(tc, revoking_ends_the_entry_and_not_the_pin);
    tcase_add_test(tc, leases_are_listed_with_who_waits);
    tcase_add_test(tc, a_table_that_claims_to_be_full_is_listed_in_pages);
    tcase_add_test(tc, any_bytes_in_the_table_harm_nobody);
    suite_add_tcase(suite, tc);
    return suite;
}

int main(int argc, char **argv)
{
    return runner_main(argc, argv, lease_suite);
}
