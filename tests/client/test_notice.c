/* SPDX-License-Identifier: Apache-2.0 */
/* Relocation notices as the library takes them: whole and in pieces, by message and by sheet, and those that are in doubt. */
#include <mmgc/notice.h>

#include <fcntl.h>
#include <stdlib.h>
#include <sys/wait.h>
#include <unistd.h>

#include "client/table.h"
#include "shm/move.h"
#include "shm/sheet.h"
#include "tests/client/fixture.h"

#define MANY 1000u

static struct mmgc_notices *notices;
static bool setup_all;
static struct mmgc_move moves[MANY];
static size_t count;
static struct mmgc_notice got;

static void setup_subscribed(void)
{
    setup();
    ck_assert_ok(mmgc_notices_subscribe(heap, &(struct mmgc_notices_options){ .all = setup_all, .deadline_ns = 77 }, &notices));
}

static void setup_for_all(void)
{
    setup_all = true;
    setup_subscribed();
}

static void setup_watching(void)
{
    setup_all = false;
    setup_subscribed();
}

static void teardown_subscribed(void)
{
    mmgc_notices_close(notices);
    teardown();
}

/* Row @i of any notice here. */
static struct shm_move row(uint32_t i)
{
    return (struct shm_move){ 1000 + i, i % 5 == 4 ? 0 : 2000 + i, i % 5 == 4 ? 0 : 2 + i };
}

static wire_notice notice_of(uint64_t number, uint32_t rows, uint32_t *words)
{
    wire_notice notice = wire_notice_init();

    notice.number = number;
    notice.collection = number * 10;
    notice.count = rows;
    notice.moves = words;
    for (uint32_t i = 0; words != NULL && i < rows; i++) {
        struct shm_move move = row(i);
        memcpy(&words[3 * i], &move, sizeof(move));
    }
    notice.n_moves = words != NULL ? 3 * rows : 0;
    return notice;
}

static void tell_inline(uint64_t number, uint32_t rows)
{
    uint32_t words[3 * 128];
    wire_notice notice = notice_of(number, rows, words);

    fake_notice(fake, &notice, -1);
}

static struct shm_sheet sheet_of(uint32_t rows)
{
    struct shm_sheet sheet;

    ck_assert_int_eq(shm_sheet_new(&sheet, 2 * rows * sizeof(struct shm_move), "fake notice"), 0);
    for (uint32_t i = 0; i < rows; i++)
        ((struct shm_move *)sheet.address)[i] = row(i);
    return sheet;
}

static void tell_by_sheet(uint64_t number, uint32_t rows)
{
    wire_notice notice = notice_of(number, rows, NULL);
    struct shm_sheet sheet = sheet_of(rows);

    ck_assert_int_eq(shm_sheet_seal(&sheet, rows * sizeof(struct shm_move)), 0);
    fake_notice(fake, &notice, sheet.fd);
    shm_sheet_close(&sheet);
}

static void expect_rows(uint32_t first, size_t rows)
{
    ck_assert_uint_eq(count, rows);
    for (uint32_t i = 0; i < rows; i++) {
        struct shm_move move = row(first + i);
        ck_assert(moves[i].from.granule == move.from && moves[i].to.granule == move.to && moves[i].granules == move.granules);
    }
}

static int next(size_t capacity)
{
    return mmgc_notices_next(notices, NULL, 0, moves, capacity, &count, &got);
}

static void await_taken(uint64_t number)
{
    for (int i = 0; i < 5000 && at_load_acquire(&fake->notice_taken) != number; i++)
        (void)usleep(1000);
    ck_assert_uint_eq(at_load_acquire(&fake->notice_taken), number);
}

START_TEST(nothing_is_due_at_first)
{
    ck_assert_uint_eq(at_load_relaxed(&fake->notice_deadline), 77);
    ck_assert(!mmgc_notices_due(notices));
    ck_assert_ok(next(MANY));
    ck_assert(count == 0 && got.number == 0);
    ck_assert_ok(mmgc_notices_next(notices, NULL, 2000000, moves, MANY, &count, &got));
    ck_assert_uint_eq(got.number, 0);
}
END_TEST

START_TEST(a_notice_is_taken_with_its_last_row)
{
    if (_i == 0)
        tell_inline(1, 100);
    else
        tell_by_sheet(1, 100);
    ck_assert(mmgc_notices_due(notices));
    ck_assert_ok(next(60));
    ck_assert(got.number == 1 && got.collection == 10 && !got.last && !got.incomplete);
    expect_rows(0, 60);
    ck_assert(mmgc_notices_due(notices));
    ck_assert_uint_eq(at_load_relaxed(&fake->notice_taken), 0);
    ck_assert_ok(next(60));
    ck_assert(got.number == 1 && got.last);
    expect_rows(60, 40);
    ck_assert(!mmgc_notices_due(notices));
    await_taken(1);
    ck_assert_ok(next(60));
    ck_assert_uint_eq(got.number, 0);
}
END_TEST

static uint64_t applied;

static void apply(void *context, const struct mmgc_notice *notice, const struct mmgc_move *rows, size_t n)
{
    ck_assert_ptr_eq(context, &applied);
    ck_assert(notice->last);
    applied++;
    ck_assert_uint_eq(notice->number, applied);
    count = n;
    memcpy(moves, rows, n * sizeof(*rows));
}

START_TEST(all_that_are_due_are_applied_in_order)
{
    applied = 0;
    tell_inline(1, 3);
    tell_by_sheet(2, MANY);
    tell_inline(3, 0);
    tell_by_sheet(4, 7);
    ck_assert_ok(mmgc_enter(t));
    ck_assert_ok(mmgc_notices_apply(notices, t, apply, &applied));
    ck_assert_uint_eq(applied, 4);
    expect_rows(0, 7);
    ck_assert(!mmgc_notices_due(notices));
    await_taken(4);
    ck_assert_ok(mmgc_notices_apply(notices, t, apply, &applied));
    ck_assert_uint_eq(applied, 4);
    mmgc_leave(t);
}
END_TEST

START_TEST(what_is_incomplete_says_so)
{
    wire_notice notice = notice_of(1, 0, NULL);

    notice.incomplete = true;
    fake_notice(fake, &notice, -1);
    ck_assert_ok(next(MANY));
    ck_assert(got.number == 1 && got.incomplete && got.last && count == 0);
    ck_assert(!mmgc_notices_due(notices));
}
END_TEST

/* By loop index. */
static void tell_what_is_in_doubt(int kind)
{
    uint32_t words[3 * 128];
    wire_notice notice = notice_of(kind == 0 ? 2 : 1, 4, words);
    struct shm_sheet sheet = sheet_of(50);
    int fd = -1;

    switch (kind) {
    case 0: break;                                       /* not the next */
    case 1: notice.n_moves = 11; break;                  /* not whole rows */
    case 2: notice.count = 5; break;                     /* fewer than it says */
    case 3: notice.n_moves = 0; break;                   /* none, and no sheet */
    case 4: notice.n_moves = 0; fd = sheet.fd; break;    /* one that is not sealed */
    case 5:                                              /* one that is sealed, and shorter */
        notice.n_moves = 0;
        ck_assert_int_eq(shm_sheet_seal(&sheet, 3 * sizeof(struct shm_move)), 0);
        fd = sheet.fd;
        break;
    case 6: notice.n_moves = 0; notice.count = UINT64_MAX / 4; fd = sheet.fd; break;
    default: notice.n_moves = 0; fd = STDIN_FILENO; break;
    }
    fake_notice(fake, &notice, fd);
    shm_sheet_close(&sheet);
}

START_TEST(a_notice_in_doubt_ends_the_subscription)
{
    tell_what_is_in_doubt(_i);
    ck_assert_int_eq(next(MANY), MMGC_E_PROTOCOL);
    ck_assert_uint_eq(count, 0);
    ck_assert_int_eq(next(MANY), MMGC_E_PROTOCOL);
    ck_assert(mmgc_notices_due(notices));
    ck_assert_ok(mmgc_enter(t)); /* the heap's own session is as it was */
    mmgc_leave(t);
}
END_TEST

/* However much is left to be taken: it is worth nothing. */
START_TEST(who_was_dropped_gets_nothing_more)
{
    struct shm_session *session = fake_session(fake);

    tell_inline(1, 3);
    (void)atomic_fetch_or(&session->notices, SHM_NOTICES_DROPPED);
    if (_i == 1)
        fake_event(fake, MMGC_E_HEAP_GONE);
    ck_assert(mmgc_notices_due(notices));
    ck_assert_int_eq(next(MANY), _i == 1 ? MMGC_E_HEAP_GONE : MMGC_E_NO_NOTICES);
    ck_assert(count == 0 && got.number == 0);
    ck_assert_int_eq(mmgc_notices_apply(notices, NULL, apply, &applied), _i == 1 ? MMGC_E_HEAP_GONE : MMGC_E_NO_NOTICES);
    ck_assert(mmgc_notices_due(notices));
}
END_TEST

START_TEST(what_is_watched_is_a_row_of_its_own_table)
{
    mmgc_watched a, b;
    mmgc_handle handle;

    ck_assert_ok(mmgc_enter(t));
    struct node *n = mmgc_new(t, node_type);
    ck_assert_ok(mmgc_handle_new(t, NULL, &handle));
    ck_assert_ok(mmgc_watch(notices, t, n, &a));
    ck_assert_ok(mmgc_watch(notices, t, n, &b));
    struct shm_session *session = fake_session(fake); /* of the last that was opened: the subscription's */
    ck_assert_uint_eq(at_load_relaxed(&session->row_high), 3);
    ck_assert_uint_eq(at_load_relaxed(&session->row_words[a.slot]), mmgc_ref_of(t, n).granule);
    ck_assert_int_eq(shm_row_kind(at_load_relaxed(&session->row_tags[a.slot])), SHM_ROW_WATCHED);
    mmgc_leave(t);
    ck_assert_ok(mmgc_unwatch(notices, a));
    ck_assert_int_eq(mmgc_unwatch(notices, a), MMGC_E_DROPPED);
    at_store_relaxed(&session->row_tags[b.slot], at_load_relaxed(&session->row_tags[b.slot]) | SHM_ROW_CLEARED); /* it died */
    at_store_relaxed(&session->row_words[b.slot], 0);
    ck_assert_ok(mmgc_unwatch(notices, b));
    ck_assert_int_eq(mmgc_watch(notices, t, n, &a), MMGC_E_NOT_IN);
}
END_TEST

START_TEST(a_child_has_no_subscription)
{
    int fd = mmgc_notices_fd(notices), status;
    pid_t pid = fork();

    if (pid == 0) {
        bool closed = fcntl(fd, F_GETFD) < 0;
        bool refused = next(MANY) == MMGC_E_FORKED && mmgc_notices_due(notices);
        mmgc_notices_close(notices);
        _exit(closed && refused ? 0 : 1);
    }
    ck_assert_int_eq(waitpid(pid, &status, 0), pid);
    ck_assert(WIFEXITED(status) && WEXITSTATUS(status) == 0);
    tell_inline(1, 1);
    ck_assert_ok(next(MANY));
    expect_rows(0, 1);
}
END_TEST

static Suite *make(void)
{
    Suite *suite = suite_create("notice");
    TCase *tc = tcase_create("all"), *watching = tcase_create("watching");

    tcase_add_checked_fixture(tc, setup_for_all, teardown_subscribed);
    tcase_add_test(tc, nothing_is_due_at_first);
    tcase_add_loop_test(tc, a_notice_is_taken_with_its_last_row, 0, 2);
    tcase_add_test(tc, all_that_are_due_are_applied_in_order);
    tcase_add_test(tc, what_is_incomplete_says_so);
    tcase_add_loop_test(tc, a_notice_in_doubt_ends_the_subscription, 0, 8);
    tcase_add_loop_test(tc, who_was_dropped_gets_nothing_more, 0, 2);
    tcase_add_test(tc, a_child_has_no_subscription);
    suite_add_tcase(suite, tc);
    tcase_add_checked_fixture(watching, setup_watching, teardown_subscribed);
    tcase_add_test(watching, what_is_watched_is_a_row_of_its_own_table);
    suite_add_tcase(suite, watching);
    return suite;
}

int main(int argc, char **argv)
{
    return runner_main(argc, argv, make);
}
