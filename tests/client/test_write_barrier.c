/* SPDX-License-Identifier: Apache-2.0 */
/* The write barrier: what is logged, how often, and with which old value. Killed in between: test_barrier_step.c. */
#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "client/write_barrier.h"
#include "shm/units.h"
#include "tests/client/fixture.h"

#define LENGTH 300u /* of the row: 1200 bytes, in five or six lines */
#define MID_LINE 5u /* the row's granule in its first line */
#define LINE_END (2 * (MM_LINE_GRANULES - MID_LINE)) /* fields of the row in that line */

static mmgc_ref *row;
static struct node *child;

static uint32_t granule_of(const void *p)
{
    return mmgc_ref_of(t, p).granule;
}

static struct shm_log *ring(void)
{
    return &mutator()->log;
}

static uint32_t entries(void)
{
    return at_load_relaxed(&ring()->pushed) - at_load_relaxed(&ring()->drained);
}

static const struct shm_log_entry *entry_at(uint32_t n)
{
    return &mutator()->log_ring[(at_load_relaxed(&ring()->drained) + n) % SHM_LOG_CAPACITY];
}

static bool bit_of(const void *at)
{
    return (at_load_relaxed(&fake->log_bits[granule_of(at) / 64]) >> granule_of(at) % 64 & 1) != 0;
}

static bool byte_of(const void *at)
{
    return at_load_relaxed(&fake->log_lines[granule_of(at) / MM_LINE_GRANULES]) != 0;
}

static void arm_granule(const void *at)
{
    at_store_relaxed(&fake->log_lines[granule_of(at) / MM_LINE_GRANULES], 1);
    (void)at_or_relaxed(&fake->log_bits[granule_of(at) / 64], UINT64_C(1) << granule_of(at) % 64);
}

/* As a collection does, whatever is logged: every byte and bit of it is set. */
static void arm_row(void)
{
    for (uint32_t i = 0; i < LENGTH; i += 2)
        arm_granule(&row[i]);
    at_store_release(&ring()->drained, at_load_relaxed(&ring()->pushed));
}

/* The row begins in the middle of a line. */
static void open_with(enum shm_barrier_kind kind, bool active)
{
    fixture_barrier = kind;
    fixture_active = active;
    setup();
    ck_assert_ok(mmgc_enter(t));
    while (mmgc_ref_of(t, t->cursor).granule % MM_LINE_GRANULES != MID_LINE - 1)
        ck_assert_ptr_nonnull(mmgc_new_array(t, bytes_type, 1));
    row = mmgc_new_array(t, refs_type, LENGTH);
    ck_assert_uint_eq(granule_of(row) % MM_LINE_GRANULES, MID_LINE);
    child = mmgc_new(t, node_type);
    for (uint32_t i = 0; i < LENGTH; i++)
        row[i].granule = 5000 + i;
    arm_row();
}

static void setup_lines(void)
{
    open_with(SHM_BARRIER_LINES, true);
}

static void setup_fields(void)
{
    open_with(SHM_BARRIER_FIELDS, true);
}

static void setup_off(void)
{
    open_with(SHM_BARRIER_FIELDS, false);
}

static uint64_t pair(uint32_t low, uint32_t high)
{
    return low | (uint64_t)high << 32;
}

static uint32_t line_of(uint32_t field)
{
    return granule_of(&row[field]) / MM_LINE_GRANULES;
}

#define ck_assert_logged(n, offset_granules, old_low, old_high) \
    do { \
        ck_assert_uint_eq(at_load_relaxed(&entry_at(n)->object), granule_of(row)); \
        ck_assert_uint_eq(at_load_relaxed(&entry_at(n)->offset), (offset_granules)); \
        ck_assert_uint_eq(at_load_relaxed(&entry_at(n)->old), pair((old_low), (old_high))); \
    } while (0)

/* ---- what is logged ---- */

START_TEST(a_line_is_logged_once)
{
    mmgc_store(t, row, &row[3], child);
    mmgc_store(t, row, &row[3], NULL);
    mmgc_store(t, row, &row[LINE_END - 1], child);
    ck_assert_uint_eq(entries(), 1);
    ck_assert_logged(0, 1, 0, 0);
    ck_assert(!byte_of(row));
    ck_assert(byte_of(&row[LINE_END]));
    ck_assert(bit_of(&row[2])); /* nobody looks at it */
    ck_assert_uint_eq(row[LINE_END - 1].granule, granule_of(child));
}
END_TEST

START_TEST(each_line_of_a_long_object_is_logged_by_itself)
{
    mmgc_store(t, row, &row[LENGTH - 1], child);
    mmgc_store(t, row, &row[LINE_END], child);
    ck_assert_uint_eq(entries(), 2);
    ck_assert_logged(0, (LENGTH - 1) / 2, 0, 0);
    ck_assert_logged(1, LINE_END / 2, 0, 0);
    ck_assert(byte_of(row));
}
END_TEST

START_TEST(objects_share_what_was_logged_of_their_line)
{
    struct node *last = (struct node *)(void *)&row[LENGTH - 4]; /* as if the row ended before */

    ck_assert_uint_eq(granule_of(child) / MM_LINE_GRANULES, granule_of(last) / MM_LINE_GRANULES);
    arm_granule(child);
    mmgc_store(t, child, &child->left, row);
    mmgc_store(t, row, &last->right, child);
    ck_assert_uint_eq(entries(), 1);
    ck_assert_uint_eq(at_load_relaxed(&entry_at(0)->object), granule_of(child));
}
END_TEST

START_TEST(a_compare_and_swap_and_an_exchange_log_their_line)
{
    ck_assert(!mmgc_compare_and_swap(t, row, &row[4], child, NULL));
    ck_assert_uint_eq(entries(), 1);
    mmgc_keep(mmgc_exchange(t, row, &row[LINE_END], child));
    ck_assert_uint_eq(entries(), 2);
    ck_assert_logged(1, LINE_END / 2, 0, 0);
    ck_assert_uint_eq(row[LINE_END].granule, granule_of(child));
}
END_TEST

START_TEST(a_field_is_logged_with_what_stood_there)
{
    mmgc_store(t, row, &row[9], child);
    mmgc_store(t, row, &row[8], child); /* the same granule */
    mmgc_store(t, row, &row[10], child);
    ck_assert_uint_eq(entries(), 2);
    ck_assert_logged(0, 4, 5008, 5009);
    ck_assert_logged(1, 5, 5010, 5011);
    ck_assert(!bit_of(&row[8]));
    ck_assert(bit_of(&row[12]));
    ck_assert(byte_of(&row[8])); /* it is the daemon's alone */
}
END_TEST

START_TEST(a_byte_that_is_clear_hides_the_bits_behind_it)
{
    at_store_relaxed(&fake->log_lines[granule_of(row) / MM_LINE_GRANULES], 0);
    mmgc_store(t, row, &row[9], child);
    ck_assert_uint_eq(entries(), 0);
    ck_assert(bit_of(&row[9]));
}
END_TEST

START_TEST(a_compare_and_swap_logs_before_it_tries)
{
    ck_assert(!mmgc_compare_and_swap(t, row, &row[4], child, NULL));
    ck_assert_uint_eq(entries(), 1);
    ck_assert_logged(0, 2, 5004, 5005);
    ck_assert(mmgc_compare_and_swap(t, row, &row[6], mmgc_deref(t, row[6]), child));
    ck_assert_uint_eq(entries(), 2);
    ck_assert_logged(1, 3, 5006, 5007);
    ck_assert_uint_eq(row[6].granule, granule_of(child));
}
END_TEST

START_TEST(an_exchange_logs_what_it_returns)
{
    const void *old = mmgc_exchange(t, row, &row[20], child);

    ck_assert_uint_eq(granule_of(old), 5020);
    ck_assert_uint_eq(entries(), 1);
    ck_assert_logged(0, 10, 5020, 5021);
    ck_assert_uint_eq(row[20].granule, granule_of(child));
}
END_TEST

START_TEST(a_new_object_is_not_logged)
{
    struct node *n;

    do
        n = mmgc_new(t, node_type);
    while (byte_of(n)); /* the row's last line, which is armed as a whole */
    mmgc_set(t, n, left, child);
    mmgc_set(t, n, right, n);
    ck_assert_uint_eq(entries(), 0);
    ck_assert_ptr_eq(mmgc_get(t, n, left), child);
}
END_TEST

START_TEST(nothing_is_logged_while_the_barrier_rests)
{
    mmgc_store(t, row, &row[0], child);
    mmgc_keep(mmgc_exchange(t, row, &row[1], child));
    ck_assert(!mmgc_compare_and_swap(t, row, &row[2], child, child));
    mmgc_fill_refs(t, row, &row[4], child, 8);
    mmgc_copy_refs(t, row, &row[14], &row[4], 8);
    ck_assert_uint_eq(entries(), 0);
    ck_assert(bit_of(row));
    ck_assert_uint_eq(row[21].granule, granule_of(child));
}
END_TEST

/* ---- rows ---- */

START_TEST(filling_logs_each_field_once)
{
    mmgc_store(t, row, &row[12], NULL);
    mmgc_fill_refs(t, row, &row[11], child, 6); /* granules 5 to 8, of which 6 is logged */
    ck_assert_uint_eq(entries(), 4);
    ck_assert_logged(1, 5, 5010, 5011);
    ck_assert_logged(2, 7, 5014, 5015);
    ck_assert_logged(3, 8, 5016, 5017);
    ck_assert(bit_of(&row[8]));
    ck_assert(bit_of(&row[18]));
    for (uint32_t i = 0; i < LENGTH; i++)
        ck_assert_uint_eq(row[i].granule, i >= 11 && i < 17 ? granule_of(child) : 5000 + i);
}
END_TEST

START_TEST(filling_with_nothing_and_filling_nothing_are_fine)
{
    mmgc_fill_refs(t, row, &row[5], child, 0);
    mmgc_copy_refs(t, row, &row[5], &row[8], 0);
    mmgc_copy_refs(t, row, &row[5], &row[5], 9);
    ck_assert_uint_eq(entries(), 0);
    mmgc_fill_refs(t, row, row, NULL, LENGTH);
    ck_assert_uint_eq(entries(), LENGTH / 2);
    for (uint32_t i = 0; i < LENGTH; i++)
        ck_assert_uint_eq(row[i].granule, 0);
}
END_TEST

START_TEST(an_initialising_store_is_not_logged)
{
    arm_granule(&row[3]);
    mmgc_init_store(t, &row[3], child);
    ck_assert_uint_eq(row[3].granule, granule_of(child));
    mmgc_init_store(t, &row[3], NULL);
    ck_assert_uint_eq(row[3].granule, 0);
    ck_assert_uint_eq(entries(), 0);
    ck_assert(byte_of(&row[3]));
    ck_assert(bit_of(&row[3]));
}
END_TEST

START_TEST(a_long_row_is_logged_by_lines)
{
    mmgc_fill_refs(t, row, &row[4], child, LINE_END + 64 * 2 + 1 - 4); /* to the first field of the fourth line */
    ck_assert_uint_eq(entries(), 4);
    ck_assert_logged(0, 2, 0, 0);
    for (uint32_t i = 1; i < 4; i++)
        ck_assert_logged(i, LINE_END / 2 + 32 * (i - 1), 0, 0);
    ck_assert(!byte_of(row));
    ck_assert(!byte_of(&row[LINE_END + 64 * 2]));
    ck_assert(byte_of(&row[LINE_END + 64 * 3]));
}
END_TEST

/* Every first field and length. */
START_TEST(a_row_logs_exactly_the_lines_it_touches)
{
    for (uint32_t first = 0; first < LENGTH; first += 7)
        for (uint32_t count = 1; first + count <= LENGTH; count += 13) {
            uint32_t from = line_of(first), to = line_of(first + count - 1);
            arm_row();
            mmgc_fill_refs(t, row, &row[first], child, count);
            ck_assert_uint_eq(entries(), to - from + 1);
            for (uint32_t i = 0; i < LENGTH; i += 2)
                if (byte_of(&row[i]) == (line_of(i) >= from && line_of(i) <= to))
                    ck_abort_msg("fields %u to %u: the byte of %u", first, first + count - 1, i);
        }
}
END_TEST

START_TEST(a_copy_overlaps_as_memmove_does)
{
    mmgc_ref expected[LENGTH];
    static const struct {
        uint32_t to, from, count;
    } moves[] = { { 10, 30, 50 }, { 30, 10, 50 }, { 1, 0, LENGTH - 1 }, { 0, 1, LENGTH - 1 }, { 0, 150, 150 }, { 7, 7, 100 } };

    memcpy(expected, row, sizeof(expected));
    for (size_t i = 0; i < MM_ARRAY_LEN(moves); i++) {
        memmove(&expected[moves[i].to], &expected[moves[i].from], moves[i].count * sizeof(mmgc_ref));
        mmgc_copy_refs(t, row, &row[moves[i].to], &row[moves[i].from], moves[i].count);
        ck_assert_mem_eq(row, expected, sizeof(expected));
    }
    for (uint32_t n = 0; n < entries(); n++) { /* each as it was before the first of them */
        uint32_t field = 2 * at_load_relaxed(&entry_at(n)->offset);
        ck_assert_logged(n, field / 2, 5000 + field, 5001 + field);
    }
    ck_assert_uint_eq(entries(), LENGTH / 2);
}
END_TEST

/* Every first field and length, at every place among the log's words: what is logged is what is touched. */
START_TEST(a_row_logs_exactly_the_units_it_touches)
{
    for (uint32_t first = 0; first < LENGTH; first += 7)
        for (uint32_t count = 1; first + count <= LENGTH; count += 13) {
            arm_row();
            mmgc_fill_refs(t, row, &row[first], child, count);
            ck_assert_uint_eq(entries(), (first + count - 1) / 2 - first / 2 + 1);
            ck_assert_uint_eq(at_load_relaxed(&entry_at(0)->offset), first / 2);
            for (uint32_t i = 0; i < LENGTH; i += 2)
                if (bit_of(&row[i]) == (i / 2 >= first / 2 && i / 2 <= (first + count - 1) / 2))
                    ck_abort_msg("fields %u to %u: the bit of %u", first, first + count - 1, i);
        }
}
END_TEST

/* ---- the ring ---- */

static void log_again(uint32_t times)
{
    for (uint32_t i = 0; i < times; i++) {
        arm_granule(row);
        mmgc_store(t, row, row, i % 2 == 0 ? child : NULL);
    }
}

START_TEST(the_daemon_is_asked_to_drain_when_a_quarter_of_a_ring_has_filled)
{
    log_again(SHM_LOG_CAPACITY / 4 - 1);
    ck_assert_ok(mmgc_ping(client));
    ck_assert_uint_eq(at_load_relaxed(&fake->drains), 0);
    log_again(1);
    for (unsigned i = 0; i < 5000 && at_load_relaxed(&fake->drains) == 0; i++)
        (void)usleep(100);
    ck_assert_uint_eq(at_load_relaxed(&fake->drains), 1);
    log_again(1);
    ck_assert_uint_eq(entries(), SHM_LOG_CAPACITY / 4 + 1);
}
END_TEST

START_TEST(a_full_ring_loses_and_says_so_and_waits_for_nobody)
{
    log_again(SHM_LOG_CAPACITY);
    ck_assert_uint_eq(at_load_relaxed(&ring()->lost), 0);
    log_again(2);
    ck_assert_uint_eq(at_load_relaxed(&ring()->lost), 2);
    ck_assert_uint_eq(entries(), SHM_LOG_CAPACITY);
    ck_assert(!bit_of(row));
    ck_assert_uint_eq(at_load_relaxed(&entry_at(0)->old), pair(5000, 5001)); /* the first is still there */
}
END_TEST

START_TEST(a_full_ring_of_lines_loses_and_says_so)
{
    log_again(SHM_LOG_CAPACITY);
    ck_assert_uint_eq(at_load_relaxed(&ring()->lost), 0);
    log_again(1);
    ck_assert_uint_eq(at_load_relaxed(&ring()->lost), 1);
    ck_assert_uint_eq(entries(), SHM_LOG_CAPACITY);
    ck_assert(!byte_of(row));
}
END_TEST

START_TEST(a_drained_ring_goes_round)
{
    log_again(SHM_LOG_CAPACITY);
    at_store_release(&ring()->drained, 3);
    log_again(3);
    ck_assert_uint_eq(at_load_relaxed(&ring()->lost), 0);
    ck_assert_uint_eq(entries(), SHM_LOG_CAPACITY);
    ck_assert_ptr_eq(entry_at(SHM_LOG_CAPACITY - 1), &mutator()->log_ring[2]);
    ck_assert_logged(SHM_LOG_CAPACITY - 1, 0, 0, 5001);
}
END_TEST

START_TEST(counters_wrap)
{
    at_store_relaxed(&ring()->pushed, UINT32_MAX);
    at_store_relaxed(&ring()->tentative, UINT32_MAX);
    at_store_relaxed(&ring()->drained, UINT32_MAX);
    log_again(2);
    ck_assert_uint_eq(at_load_relaxed(&ring()->pushed), 1);
    ck_assert_uint_eq(at_load_relaxed(&ring()->lost), 0);
    ck_assert_ptr_eq(entry_at(0), &mutator()->log_ring[SHM_LOG_CAPACITY - 1]);
    ck_assert_logged(0, 0, 5000, 5001);
    ck_assert_logged(1, 0, granule_of(child), 5001);
}
END_TEST

/* ---- when it is active ---- */

static void set_active(bool active)
{
    mmgc_leave(t);
    ck_assert(fake_stop_world(fake, 100));
    at_store_relaxed(&fake->control->barrier_active, active);
    fake_resume_world(fake);
    ck_assert_ok(mmgc_enter(t));
}

START_TEST(who_goes_inside_knows_what_is_logged)
{
    mmgc_store(t, row, row, child);
    ck_assert_uint_eq(entries(), 0);
    set_active(true);
    mmgc_store(t, row, row, child);
    ck_assert_uint_eq(entries(), 1);
    set_active(false);
    mmgc_store(t, row, &row[2], child);
    ck_assert_uint_eq(entries(), 1);
}
END_TEST

/* Without a stop: the daemon has marked all there is. */
START_TEST(who_is_inside_when_the_barrier_comes_to_rest_logs_nothing_more)
{
    set_active(true);
    mmgc_store(t, row, row, child);
    ck_assert_uint_eq(entries(), 1);
    at_store_relaxed(&fake->control->barrier_active, 0);
    ck_assert(write_barrier_logs(thread_of(t)));
    mmgc_store(t, row, &row[2], child);
    ck_assert_uint_eq(entries(), 1);
    ck_assert(!write_barrier_logs(thread_of(t)));
    ck_assert_uint_eq(mmgc_load(t, &row[2]) == child, 1);
    set_active(true);
    at_store_relaxed(&fake->control->barrier_active, 0);
    mmgc_fill_refs(t, row, &row[4], child, 6);
    ck_assert_uint_eq(entries(), 1);
    ck_assert(!write_barrier_logs(thread_of(t)));
}
END_TEST

static void *stop_and_activate(void *unused)
{
    (void)unused;
    MM_ASSERT(fake_stop_world(fake, 5000));
    at_store_relaxed(&fake->control->barrier_active, 1);
    fake_resume_world(fake);
    return NULL;
}

START_TEST(who_goes_on_after_a_stop_knows_what_is_logged)
{
    pthread_t daemon;

    ck_assert_int_eq(pthread_create(&daemon, NULL, stop_and_activate, NULL), 0);
    while (!write_barrier_logs(thread_of(t)))
        ck_assert_ok(mmgc_poll(t));
    ck_assert_int_eq(pthread_join(daemon, NULL), 0);
    mmgc_store(t, row, row, child);
    ck_assert_uint_eq(entries(), 1);
}
END_TEST

START_TEST(who_only_reads_has_no_log)
{
    fixture_barrier = SHM_BARRIER_LINES;
    fixture_active = true;
    fixture_open(&(struct mmgc_heap_options){ .read_only = true }, NULL);
    ck_assert_ok(mmgc_enter(t));
    ck_assert(!write_barrier_logs(thread_of(t)));
    ck_assert(!mmgc_must_log_(t, t->base + 64));
    teardown();
}
END_TEST

START_TEST(a_barrier_of_a_later_release_is_refused)
{
    struct mmgc_heap *other = NULL;

    fake->control->barrier = SHM_BARRIER_FIELDS + 1;
    ck_assert_int_eq(mmgc_heap_open(client, "other", NULL, &other), MMGC_E_VERSION);
    ck_assert_ptr_null(other);
}
END_TEST

/* ---- two threads ---- */

#define ROUNDS 300

struct racer {
    pthread_t thread;
    struct mmgc_thread *t;
    uint32_t number, drained;
};
static pthread_barrier_t start_line, finish_line;

static void *race(void *arg)
{
    struct racer *r = arg;

    MM_ASSERT(mmgc_attach(heap, &(struct mmgc_thread_options){ .exact = true }, &r->t) == MMGC_OK);
    MM_ASSERT(mmgc_enter(r->t) == MMGC_OK);
    for (int round = 0; round < ROUNDS; round++) {
        (void)pthread_barrier_wait(&start_line);
        for (uint32_t i = 0; i < LENGTH; i++) { /* neighbours in a granule, and the same fields, from both ends */
            uint32_t field = r->number == 0 ? i : i ^ 1;
            mmgc_store(r->t, row, &row[field], mmgc_deref(r->t, (mmgc_ref){ 9000 + r->number }));
        }
        (void)pthread_barrier_wait(&finish_line);
    }
    (void)pthread_barrier_wait(&start_line); /* its entries have been read */
    mmgc_detach(r->t);
    return NULL;
}

/* Adds what a racer has logged to @seen, by unit. */
static void take_entries(struct racer *r, uint32_t seen[LENGTH])
{
    struct shm_mutator *m = thread_of(r->t)->m;
    uint32_t pushed = at_load_acquire(&m->log.pushed);

    ck_assert_uint_le(at_load_relaxed(&m->log.tentative), pushed);
    for (; r->drained != pushed; r->drained++) {
        const struct shm_log_entry *entry = &m->log_ring[r->drained % SHM_LOG_CAPACITY];
        uint32_t offset = at_load_relaxed(&entry->offset);
        ck_assert_uint_eq(at_load_relaxed(&entry->object), granule_of(row));
        ck_assert_uint_lt(offset, LENGTH / 2);
        if (at_load_relaxed(&entry->old) != pair(5000 + 2 * offset, 5001 + 2 * offset))
            ck_abort_msg("unit %u was logged with a value it did not have", offset);
        seen[offset]++;
    }
    at_store_release(&m->log.drained, pushed);
}

START_TEST(of_two_threads_exactly_one_logs_a_unit_and_with_what_stood_there)
{
    struct racer racers[2] = { { .number = 0 }, { .number = 1 } };

    ck_assert_int_eq(pthread_barrier_init(&start_line, NULL, 3), 0);
    ck_assert_int_eq(pthread_barrier_init(&finish_line, NULL, 3), 0);
    for (uint32_t i = 0; i < 2; i++)
        ck_assert_int_eq(pthread_create(&racers[i].thread, NULL, race, &racers[i]), 0);
    for (int round = 0; round < ROUNDS; round++) {
        uint32_t seen[LENGTH] = { 0 };
        for (uint32_t i = 0; i < LENGTH; i++)
            row[i].granule = 5000 + i;
        arm_row();
        (void)pthread_barrier_wait(&start_line);
        (void)pthread_barrier_wait(&finish_line);
        take_entries(&racers[0], seen);
        take_entries(&racers[1], seen);
        for (uint32_t unit = 0; unit < LENGTH / 2; unit++)
            if (seen[unit] != 1)
                ck_abort_msg("round %d: unit %u was logged %u times", round, unit, seen[unit]);
    }
    (void)pthread_barrier_wait(&start_line);
    for (uint32_t i = 0; i < 2; i++)
        ck_assert_int_eq(pthread_join(racers[i].thread, NULL), 0);
}
END_TEST

static TCase *add_case(Suite *suite, const char *name, void (*open)(void))
{
    TCase *tc = tcase_create(name);

    tcase_add_checked_fixture(tc, open, open == NULL ? NULL : teardown);
    tcase_set_timeout(tc, 60);
    suite_add_tcase(suite, tc);
    return tc;
}

static Suite *make(void)
{
    Suite *suite = suite_create("write_barrier");
    TCase *lines = add_case(suite, "lines", setup_lines);
    TCase *fields = add_case(suite, "fields", setup_fields);
    TCase *off = add_case(suite, "off", setup_off);
    TCase *others = add_case(suite, "others", NULL);

    tcase_add_test(lines, a_line_is_logged_once);
    tcase_add_test(lines, each_line_of_a_long_object_is_logged_by_itself);
    tcase_add_test(lines, objects_share_what_was_logged_of_their_line);
    tcase_add_test(lines, a_compare_and_swap_and_an_exchange_log_their_line);
    tcase_add_test(lines, a_new_object_is_not_logged);
    tcase_add_test(lines, an_initialising_store_is_not_logged);
    tcase_add_test(lines, a_long_row_is_logged_by_lines);
    tcase_add_test(lines, a_row_logs_exactly_the_lines_it_touches);
    tcase_add_test(lines, a_full_ring_of_lines_loses_and_says_so);
    tcase_add_test(fields, a_field_is_logged_with_what_stood_there);
    tcase_add_test(fields, an_initialising_store_is_not_logged);
    tcase_add_test(fields, a_byte_that_is_clear_hides_the_bits_behind_it);
    tcase_add_test(fields, a_compare_and_swap_logs_before_it_tries);
    tcase_add_test(fields, an_exchange_logs_what_it_returns);
    tcase_add_test(fields, filling_logs_each_field_once);
    tcase_add_test(fields, filling_with_nothing_and_filling_nothing_are_fine);
    tcase_add_test(fields, a_copy_overlaps_as_memmove_does);
    tcase_add_test(fields, a_row_logs_exactly_the_units_it_touches);
    tcase_add_test(fields, the_daemon_is_asked_to_drain_when_a_quarter_of_a_ring_has_filled);
    tcase_add_test(fields, a_full_ring_loses_and_says_so_and_waits_for_nobody);
    tcase_add_test(fields, a_drained_ring_goes_round);
    tcase_add_test(fields, counters_wrap);
    tcase_add_test(fields, a_barrier_of_a_later_release_is_refused);
    tcase_add_test(fields, of_two_threads_exactly_one_logs_a_unit_and_with_what_stood_there);
    tcase_add_test(off, nothing_is_logged_while_the_barrier_rests);
    tcase_add_test(off, who_goes_inside_knows_what_is_logged);
    tcase_add_test(off, who_is_inside_when_the_barrier_comes_to_rest_logs_nothing_more);
    tcase_add_test(off, who_goes_on_after_a_stop_knows_what_is_logged);
    tcase_add_test(others, who_only_reads_has_no_log);
    return suite;
}

int main(int argc, char **argv)
{
    return runner_main(argc, argv, make);
}
