/* SPDX-License-Identifier: Apache-2.0 */
/* Quarantine: what a client breaks in a heap is found, named and kept, and no other heap hears of it. */
#include <stdio.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "shm/object.h"
#include "tests/daemon/raw.h"
#include "tests/support/runner.h"

#define HEAP_BYTES (UINT64_C(16) << 20)
#define WAIT_NS UINT64_C(10000000000)

static struct daemon *d;
static struct raw liar, other;
static struct raw_thread t;
static uint32_t type;
static char *cells[10];

static void setup(void)
{
    uint32_t refs[] = { 0 };

    d = daemon_start(NULL);
    raw_start(&other, d, "other");
    raw_open(&other, "sound", HEAP_BYTES);
    raw_start(&liar, d, "liar");
    raw_open(&liar, "h", HEAP_BYTES);
    type = raw_type(&liar, "cell", 8, 1, refs);
    raw_attach(&t, &liar, "one");
    ck_assert_int_eq(raw_grant(&t, SHM_GRANT_LINES, 32768), MMGC_E_OK);
    raw_enter(&t);
    char *first = raw_make_cells(&t, type, (int)MM_ARRAY_LEN(cells));
    for (size_t i = 0; i < MM_ARRAY_LEN(cells); i++)
        cells[i] = first + i * 16;
}

static void teardown(void)
{
    raw_close(&liar);
    raw_close(&other);
    daemon_stop(d);
}

static uint32_t granule_of(const char *object)
{
    return (uint32_t)((object - liar.arena) / MM_GRANULE_BYTES);
}

static void set(char *object, uint32_t granule)
{
    *(uint32_t *)(void *)object = granule;
}

static void set_name(const char *name, const char *object)
{
    RAW(request, NAME_SET, name_set);

    request_body.name = (char *)name;
    request_body.ref = granule_of(object);
    ck_assert_int_eq(raw_try(&liar, &request), MMGC_E_OK);
}

static void collect(struct raw *c)
{
    raw_collect_wait(c, raw_collect_begin(c, ""));
}

static wire_reply *verify(void)
{
    RAW(request, VERIFY, verify);
    wire_reply *reply = raw_ask(&liar, &request);

    ck_assert_int_eq(reply->body_case, WIRE_REPLY(VERDICT));
    return reply;
}

static void wait_for_the_log(const char *text)
{
    uint64_t deadline_ns = mm_now_ns() + WAIT_NS;
    struct timespec pause = { .tv_nsec = 1000000 };

    while (!daemon_log_has(d, text) && mm_now_ns() < deadline_ns)
        (void)nanosleep(&pause, NULL);
    ck_assert(daemon_log_has(d, text));
}

/* The fourth cell is live and refers into itself. */
static void break_the_heap(void)
{
    set_name("root", cells[3]);
    set(cells[3], granule_of(cells[3]) + 1);
    raw_leave(&t);
}

START_TEST(a_collection_that_meets_a_reference_to_nothing_has_the_heap_verified_and_the_log_says_it)
{
    break_the_heap();
    collect(&liar);
    wait_for_the_log("heap 'h' goes on, but has faults");
    ck_assert(daemon_log_has(d, "(object at 0x"));
    collect(&liar);
    ck_assert_uint_eq(at_load_acquire(&liar.control->corrupt), 0);
}
END_TEST

START_TEST(a_heap_that_is_found_broken_is_put_aside_alone)
{
    RAW(request, COLLECT, collect);

    break_the_heap();
    wire_reply_free(verify());
    ck_assert_uint_eq(at_load_acquire(&liar.control->corrupt), 1);
    ck_assert_int_eq(raw_try(&liar, &request), MMGC_E_CORRUPT);
    ck_assert_int_eq(raw_grant(&t, SHM_GRANT_LINES, 32768), MMGC_E_CORRUPT);
    collect(&other); /* whose heap goes on */
    ck_assert_uint_eq(at_load_acquire(&other.control->corrupt), 0);
}
END_TEST

START_TEST(the_fault_is_named_with_its_place_and_who_could_write)
{
    char writer[64];

    snprintf(writer, sizeof(writer), "liar (pid %d)", (int)getpid());
    break_the_heap();
    wire_reply *reply = verify();
    const wire_verdict *v = reply->verdict;
    ck_assert(!v->clean);
    ck_assert_uint_eq(v->faults, 1);
    ck_assert_uint_eq(v->root_faults, 0);
    ck_assert_uint_eq(v->n_rows, 1);
    ck_assert_uint_eq(v->rows[0]->object, granule_of(cells[3]));
    ck_assert_uint_eq(v->rows[0]->ref, granule_of(cells[3]) + 1);
    ck_assert_uint_eq(v->rows[0]->header, type);
    ck_assert_str_eq(v->rows[0]->type, "cell");
    ck_assert_ptr_nonnull(v->quarantine);
    ck_assert_ptr_nonnull(strstr(v->quarantine->why, v->rows[0]->fault));
    ck_assert_ptr_nonnull(strstr(v->quarantine->why, "'cell'"));
    ck_assert_str_eq(v->quarantine->writers, writer);
    ck_assert_uint_eq(v->quarantine->n_rows, 0); /* they are the same */
    wire_reply_free(reply);
}
END_TEST

START_TEST(what_was_found_first_is_kept)
{
    break_the_heap();
    wire_reply_free(verify());
    set(cells[3], 0); /* as if nothing had been */
    wire_reply *reply = verify();
    const wire_verdict *v = reply->verdict;
    ck_assert(v->clean);
    ck_assert_uint_eq(v->n_rows, 0);
    ck_assert_ptr_nonnull(v->quarantine);
    ck_assert_uint_eq(v->quarantine->n_rows, 1);
    ck_assert_uint_eq(v->quarantine->rows[0]->object, granule_of(cells[3]));
    wire_reply_free(reply);
}
END_TEST

START_TEST(the_faults_at_the_lowest_addresses_are_shown)
{
    set_name("root", cells[0]);
    for (size_t i = 0; i < MM_ARRAY_LEN(cells); i++)
        set(cells[i], granule_of(cells[i]) + 1);
    raw_leave(&t);
    wire_reply *reply = verify();
    ck_assert_uint_eq(reply->verdict->faults, MM_ARRAY_LEN(cells));
    ck_assert_uint_eq(reply->verdict->n_rows, MM_ARRAY_LEN(cells));
    for (size_t i = 0; i < MM_ARRAY_LEN(cells); i++)
        ck_assert_uint_eq(reply->verdict->rows[i]->object, granule_of(cells[i]));
    wire_reply_free(reply);
}
END_TEST

START_TEST(a_root_that_leads_nowhere_is_its_clients_own)
{
    set_name("root", cells[0]);
    at_store_relaxed(&liar.segment->row_words[1], granule_of(cells[0]) + 1);
    at_store_relaxed(&liar.segment->row_tags[1], shm_row_tag(SHM_ROW_STRONG, 1));
    at_store_relaxed(&liar.segment->row_high, 2);
    raw_leave(&t);
    wire_reply *reply = verify();
    ck_assert(!reply->verdict->clean);
    ck_assert_uint_eq(reply->verdict->faults, 1);
    ck_assert_uint_eq(reply->verdict->root_faults, 1);
    ck_assert_ptr_null(reply->verdict->quarantine);
    wire_reply_free(reply);
    collect(&liar);
    ck_assert_uint_eq(at_load_acquire(&liar.control->corrupt), 0);
}
END_TEST

static Suite *make_suite(void)
{
    Suite *s = suite_create("quarantine");
    TCase *tc = tcase_create("quarantine");

    tcase_add_checked_fixture(tc, setup, teardown);
    tcase_add_test(tc, a_collection_that_meets_a_reference_to_nothing_has_the_heap_verified_and_the_log_says_it);
    tcase_add_test(tc, a_heap_that_is_found_broken_is_put_aside_alone);
    tcase_add_test(tc, the_fault_is_named_with_its_place_and_who_could_write);
    tcase_add_test(tc, what_was_found_first_is_kept);
    tcase_add_test(tc, the_faults_at_the_lowest_addresses_are_shown);
    tcase_add_test(tc, a_root_that_leads_nowhere_is_its_clients_own);
    suite_add_tcase(s, tc);
    return s;
}

int main(int argc, char **argv)
{
    return runner_main(argc, argv, make_suite);
}
