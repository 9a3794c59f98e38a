/* SPDX-License-Identifier: Apache-2.0 */
/* Drain: a ring that an honest client, a dead one or a liar has left, and what the heap gets to see of it. */
#include "daemon/drain.h"

#include <stdalign.h>
#include <stdlib.h>
#include <string.h>

#include "tests/support/runner.h"

#define GRANULES 4096u
#define FIRST 77u /* counters begin anywhere */

static struct shm_mutator *words;
static struct drain drain;
static _Atomic uint64_t bits[GRANULES / 64];
static uint64_t *seen; /* what the heap was handed: old values */
static size_t seen_count;
static unsigned lost;
static void (*meanwhile)(void); /* what the client does while the daemon reads, once */

/* ---- the heap's part, looked at ---- */

void heap_log_drain(struct heap *heap, struct shm_log_entry *entries, size_t count)
{
    (void)heap;
    ck_assert(count == 1 || (entries >= words->log_ring && entries + count <= words->log_ring + SHM_LOG_CAPACITY));
    ck_assert_uint_le(seen_count + count, 2 * SHM_LOG_CAPACITY);
    for (size_t i = 0; i < count; i++)
        seen[seen_count++] = at_load_relaxed(&entries[i].old);
    if (meanwhile != NULL)
        meanwhile();
    meanwhile = NULL;
}

void heap_log_lost(struct heap *heap)
{
    (void)heap;
    lost++;
}

/* ---- the client's part ---- */

static void set_ring(uint32_t counter)
{
    drain = (struct drain){ .drained = counter };
    at_store_relaxed(&words->log.pushed, counter);
    at_store_relaxed(&words->log.tentative, counter);
    at_store_relaxed(&words->log.drained, counter);
    at_store_relaxed(&words->log.retracted, counter);
}

static void setup(void)
{
    words = aligned_alloc(alignof(struct shm_mutator), shm_mutator_bytes(0)); /* as mapped: at a page */
    memset(words, 0, shm_mutator_bytes(0));
    seen = calloc(2 * SHM_LOG_CAPACITY, sizeof(*seen));
    seen_count = lost = 0;
    memset((void *)bits, 0xff, sizeof(bits));
    set_ring(FIRST);
}

static void teardown(void)
{
    free(words);
    free(seen);
}

static void write_entry(uint32_t at, uint32_t object, uint32_t offset, uint64_t old)
{
    struct shm_log_entry *entry = &words->log_ring[at % SHM_LOG_CAPACITY];

    at_store_relaxed(&entry->object, object);
    at_store_relaxed(&entry->offset, offset);
    at_store_relaxed(&entry->old, old);
}

/* Entries whose old values are 0, 1 and so on from @old. */
static void push(uint32_t count, uint64_t old)
{
    uint32_t pushed = at_load_relaxed(&words->log.pushed);

    for (uint32_t i = 0; i < count; i++)
        write_entry(pushed + i, 100, 2, old + i);
    at_store_release(&words->log.pushed, pushed + count);
}

/* The thread has died over this one. */
static void leave_tentative(uint32_t object, uint32_t offset, uint64_t old)
{
    uint32_t pushed = at_load_relaxed(&words->log.pushed);

    write_entry(pushed, object, offset, old);
    at_store_release(&words->log.tentative, pushed + 1);
}

static void clear_bit(uint32_t granule)
{
    (void)at_and_relaxed(&bits[granule / 64], ~(UINT64_C(1) << granule % 64));
}

static void drain_now(void)
{
    drain_locked(&drain, words, NULL);
}

static void drain_running(void)
{
    drain_running_locked(&drain, words, NULL);
}

static void drain_last(void)
{
    drain_last_locked(&drain, words, NULL, bits, GRANULES);
}

static void ck_assert_seen(size_t count)
{
    ck_assert_uint_eq(seen_count, count);
    for (size_t i = 0; i < count; i++)
        ck_assert_uint_eq(seen[i], i);
}

/* ---- honest ones ---- */

START_TEST(entries_are_seen_once_and_their_room_is_free_again)
{
    push(5, 0);
    drain_now();
    ck_assert_seen(5);
    ck_assert_uint_eq(at_load_relaxed(&words->log.drained), FIRST + 5);
    drain_now();
    ck_assert_seen(5);
    push(2, 5);
    drain_now();
    ck_assert_seen(7);
    ck_assert_uint_eq(lost, 0);
}
END_TEST

START_TEST(a_full_ring_is_seen_in_order_round_its_end)
{
    push(SHM_LOG_CAPACITY, 0);
    drain_now();
    ck_assert_seen(SHM_LOG_CAPACITY);
    ck_assert_uint_eq(lost, 0);
}
END_TEST

START_TEST(counters_wrap)
{
    set_ring(UINT32_MAX - 2);
    push(6, 0);
    drain_now();
    ck_assert_seen(6);
    ck_assert_uint_eq(at_load_relaxed(&words->log.drained), 3);
    ck_assert_uint_eq(lost, 0);
}
END_TEST

START_TEST(what_found_no_room_is_told_once)
{
    push(3, 0);
    at_store_relaxed(&words->log.lost, 2);
    drain_now();
    drain_now();
    ck_assert_uint_eq(lost, 1);
    ck_assert_seen(3);
    at_store_relaxed(&words->log.lost, 3);
    drain_now();
    ck_assert_uint_eq(lost, 2);
}
END_TEST

START_TEST(the_entry_a_living_thread_is_at_is_left)
{
    push(1, 0);
    leave_tentative(100, 2, 1);
    clear_bit(102);
    drain_now();
    ck_assert_seen(1);
    ck_assert_uint_eq(at_load_relaxed(&words->log.drained), FIRST + 1);
}
END_TEST

/* ---- those that run, asked for all they have done so far ---- */

START_TEST(the_entry_a_running_thread_is_at_is_seen_and_its_room_is_not_free)
{
    push(2, 0);
    leave_tentative(100, 2, 2); /* whatever its bit says */
    drain_running();
    ck_assert_seen(3);
    ck_assert_uint_eq(at_load_relaxed(&words->log.drained), FIRST + 2);
}
END_TEST

START_TEST(an_entry_confirmed_since_is_seen_by_the_next_drain)
{
    leave_tentative(100, 2, 0);
    drain_running();
    ck_assert_seen(1);
    at_store_release(&words->log.pushed, FIRST + 1);
    seen_count = 0;
    drain_running();
    ck_assert_seen(1);
    drain_running(); /* tentative has stayed where it was: behind pushed */
    ck_assert_seen(1);
}
END_TEST

START_TEST(an_entry_taken_back_by_a_running_thread_is_not_seen)
{
    push(1, 0);
    leave_tentative(100, 2, 1);
    at_store_relaxed(&words->log.tentative, FIRST + 1);
    at_store_relaxed(&words->log.retracted, FIRST + 1);
    drain_running();
    ck_assert_seen(1);
}
END_TEST

/* Takes its entry back, and is at the next when the daemon comes to look: called while it reads those before. */
static void rewrite_entry(void)
{
    uint32_t pushed = at_load_relaxed(&words->log.pushed);

    at_store_relaxed(&words->log.tentative, pushed);
    at_store_release(&words->log.retracted, at_load_relaxed(&words->log.retracted) + 1);
    at_store_release(&words->log_ring[pushed % SHM_LOG_CAPACITY].object, 200);
}

START_TEST(an_entry_that_is_being_written_anew_is_not_seen)
{
    push(1, 0);
    leave_tentative(100, 2, 1);
    meanwhile = rewrite_entry;
    drain_running();
    ck_assert_seen(1);
}
END_TEST

static void write_next_entry(void)
{
    rewrite_entry();
    leave_tentative(100, 3, 2);
}

/* It was not there when we looked, and what it tells of had not happened. */
START_TEST(nor_is_the_one_that_took_its_place)
{
    push(1, 0);
    leave_tentative(100, 2, 1);
    meanwhile = write_next_entry;
    drain_running();
    ck_assert_seen(1);
    drain_running();
    ck_assert_uint_eq(seen_count, 2);
    ck_assert_uint_eq(seen[1], 2);
}
END_TEST

/* ---- dead ones ---- */

START_TEST(the_entry_a_thread_died_over_counts_if_its_bit_is_clear)
{
    push(2, 0);
    leave_tentative(100, 2, 2);
    clear_bit(102);
    drain_last();
    ck_assert_seen(3);
}
END_TEST

START_TEST(and_does_not_if_its_bit_is_set)
{
    push(2, 0);
    leave_tentative(100, 2, 2);
    clear_bit(100); /* the object's own is another unit's */
    drain_last();
    ck_assert_seen(2);
}
END_TEST

START_TEST(an_entry_that_was_taken_back_does_not_count)
{
    push(2, 0);
    leave_tentative(100, 2, 2);
    clear_bit(102);
    at_store_relaxed(&words->log.tentative, FIRST + 2);
    drain_last();
    ck_assert_seen(2);
}
END_TEST

START_TEST(a_dead_ring_is_drained_once)
{
    push(2, 0);
    drain_last();
    push(2, 2);
    leave_tentative(100, 2, 4);
    clear_bit(102);
    drain_last();
    drain_now();
    ck_assert_seen(2);
}
END_TEST

/* ---- liars ---- */

START_TEST(more_than_a_ring_can_hold_is_lost)
{
    at_store_relaxed(&words->log.pushed, FIRST + SHM_LOG_CAPACITY + 1);
    drain_now();
    ck_assert_uint_eq(lost, 1);
    ck_assert_seen(0);
    push(3, 0); /* from there on it is believed again */
    drain_now();
    ck_assert_seen(3);
    at_store_relaxed(&words->log.pushed, FIRST); /* backwards */
    drain_now();
    ck_assert_uint_eq(lost, 2);
}
END_TEST

START_TEST(what_it_says_was_drained_is_not_believed)
{
    push(4, 0);
    at_store_relaxed(&words->log.drained, FIRST - 1000);
    drain_now();
    ck_assert_seen(4);
    ck_assert_uint_eq(at_load_relaxed(&words->log.drained), FIRST + 4);
}
END_TEST

START_TEST(a_unit_outside_the_arena_is_not_looked_up)
{
    leave_tentative(UINT32_MAX, UINT32_MAX, 1);
    drain_last();
    ck_assert_seen(0);
    set_ring(FIRST);
    leave_tentative(UINT32_MAX, 103, 1); /* 102, if it wrapped */
    clear_bit(102);
    drain_last();
    ck_assert_seen(0);
    set_ring(FIRST);
    leave_tentative(GRANULES - 1, 0, 0);
    clear_bit(GRANULES - 1);
    drain_last();
    ck_assert_seen(1);
}
END_TEST

static Suite *make(void)
{
    Suite *suite = suite_create("drain");
    TCase *tc = tcase_create("drain");

    tcase_add_checked_fixture(tc, setup, teardown);
    tcase_add_test(tc, entries_are_seen_once_and_their_room_is_free_again);
    tcase_add_test(tc, a_full_ring_is_seen_in_order_round_its_end);
    tcase_add_test(tc, counters_wrap);
    tcase_add_test(tc, what_found_no_room_is_told_once);
    tcase_add_test(tc, the_entry_a_living_thread_is_at_is_left);
    tcase_add_test(tc, the_entry_a_running_thread_is_at_is_seen_and_its_room_is_not_free);
    tcase_add_test(tc, an_entry_confirmed_since_is_seen_by_the_next_drain);
    tcase_add_test(tc, an_entry_taken_back_by_a_running_thread_is_not_seen);
    tcase_add_test(tc, an_entry_that_is_being_written_anew_is_not_seen);
    tcase_add_test(tc, nor_is_the_one_that_took_its_place);
    tcase_add_test(tc, the_entry_a_thread_died_over_counts_if_its_bit_is_clear);
    tcase_add_test(tc, and_does_not_if_its_bit_is_set);
    tcase_add_test(tc, an_entry_that_was_taken_back_does_not_count);
    tcase_add_test(tc, a_dead_ring_is_drained_once);
    tcase_add_test(tc, more_than_a_ring_can_hold_is_lost);
    tcase_add_test(tc, what_it_says_was_drained_is_not_believed);
    tcase_add_test(tc, a_unit_outside_the_arena_is_not_looked_up);
    suite_add_tcase(suite, tc);
    return suite;
}

int main(int argc, char **argv)
{
    return runner_main(argc, argv, make);
}
