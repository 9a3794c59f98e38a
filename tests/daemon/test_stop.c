/* SPDX-License-Identifier: Apache-2.0 */
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "shm/futex.h"
#include "tests/daemon/raw.h"
#include "tests/daemon/sleeper.h"
#include "tests/support/runner.h"

#define HEAP_BYTES SLEEPER_HEAP_BYTES
#define NS_PER_MS UINT64_C(1000000)

static wire_reply *info_of(struct raw *c, const char *heap)
{
    RAW(request, HEAP_INFO, heap_info);

    request_body.name = (char *)heap;
    wire_reply *reply = raw_ask(c, &request);
    ck_assert_int_eq(reply->body_case, WIRE_REPLY(HEAP_FACTS));
    return reply;
}

static uint64_t collections_of(struct raw *c, const char *heap)
{
    wire_reply *reply = info_of(c, heap);
    uint64_t collections = reply->heap_facts->row->collections;

    wire_reply_free(reply);
    return collections;
}

START_TEST(a_collection_waits_for_who_is_inside)
{
    struct daemon *d = daemon_start(NULL);
    struct raw c;
    struct raw_thread t;
    RAW(get, NAME_GET, name_get);
    uint32_t refs[] = { 0 };

    raw_start(&c, d, "inside");
    raw_open(&c, "h", HEAP_BYTES);
    raw_attach(&t, &c, "busy");
    raw_enter(&t);
    uint64_t number = raw_collect_begin(&c, "");
    usleep(50000);
    ck_assert_uint_eq(at_load_acquire(&c.control->epoch) & 1, 1);
    ck_assert_uint_lt(at_load_acquire(&c.control->collections), number);
    ck_assert_int_eq(raw_ping(&c), MMGC_E_OK); /* all of these while the stop is pending */
    get_body.name = (char *)"nothing";
    ck_assert_int_eq(raw_try(&c, &get), MMGC_E_NO_NAME);
    ck_assert_uint_eq(raw_type(&c, "node", 16, 1, refs), 1);
    ck_assert_int_eq(raw_grant(&t, SHM_GRANT_LINES, 65536), MMGC_E_OK);
    ck_assert_uint_lt(at_load_acquire(&c.control->collections), number);
    raw_leave(&t);
    raw_collect_wait(&c, number);
    raw_enter(&t);
    raw_leave(&t);
    raw_close(&c);
    daemon_stop(d);
}
END_TEST

START_TEST(the_deadline_abandons_and_names_the_thread)
{
    struct daemon *d = daemon_start("[daemon]\nthreads = 2\nstop_deadline = 200ms\n");
    struct raw c;
    struct raw_thread t, other;
    RAW(clients, CLIENTS, clients);

    raw_start(&c, d, "the stubborn client");
    raw_open(&c, "h", HEAP_BYTES);
    raw_attach(&t, &c, "the stubborn thread");
    raw_attach(&other, &c, "willing");
    raw_enter(&t);
    uint64_t begun_ns = mm_now_ns();
    uint64_t number = raw_collect_begin(&c, "");
    while (at_load_acquire(&c.control->abandoned_stops) == 0)
        usleep(1000);
    uint64_t took_ns = mm_now_ns() - begun_ns;
    ck_assert_uint_ge(took_ns, 200 * NS_PER_MS);
    ck_assert_uint_lt(took_ns, 2000 * NS_PER_MS);
    raw_enter(&other); /* resumed */
    ck_assert_uint_lt(at_load_acquire(&c.control->collections), number);
    ck_assert(daemon_log_has(d, "'the stubborn thread'"));
    ck_assert(daemon_log_has(d, "'the stubborn client'"));
    wire_reply *reply = raw_ask(&c, &clients);
    ck_assert_int_eq(reply->body_case, WIRE_REPLY(CLIENT_ROWS));
    ck_assert_uint_eq(reply->client_rows->rows[0]->threads[0]->late_stops, 1);
    ck_assert_str_eq(reply->client_rows->rows[0]->threads[0]->state, "in");
    wire_reply_free(reply);
    raw_leave(&t);
    raw_leave(&other);
    raw_collect_wait(&c, raw_collect_begin(&c, ""));
    raw_close(&c);
    daemon_stop(d);
}
END_TEST

START_TEST(who_waits_for_memory_behind_a_stalled_stop_is_told)
{
    struct daemon *d = daemon_start("[daemon]\nthreads = 2\nstop_deadline = 200ms\n");
    struct raw c;
    struct raw_thread stubborn, hungry;
    enum mmgc_error code = MMGC_E_OK;

    raw_start(&c, d, "stalled");
    raw_open(&c, "h", 4 << 20);
    raw_attach(&stubborn, &c, "stubborn");
    raw_attach(&hungry, &c, "hungry");
    raw_enter(&stubborn);
    for (int i = 0; i < 1000 && code == MMGC_E_OK; i++) {
        code = raw_grant(&hungry, SHM_GRANT_LARGE, 1 << 20);
        at_store_release(&hungry.m->mail[SHM_GRANT_LARGE].taken,
                         at_load_acquire(&hungry.m->mail[SHM_GRANT_LARGE].published));
    }
    ck_assert_int_eq(code, MMGC_E_STALLED);
    raw_leave(&stubborn);
    raw_close(&c);
    daemon_stop(d);
}
END_TEST

/* How long a collection takes from the death of a client that is inside; @c is another. */
static uint64_t seen_after_ns(struct daemon *d, struct raw *c)
{
    pid_t pid = sleeper_start(d, &(struct sleeper_options){ .kind = INSIDE });
    uint64_t number = raw_collect_begin(c, ""); /* cannot go on: the sleeper is inside */

    usleep(50000);
    ck_assert_uint_lt(at_load_acquire(&c->control->collections), number);
    uint64_t killed_ns = mm_now_ns();
    sleeper_reap(pid, false);
    raw_collect_wait(c, number);
    return mm_now_ns() - killed_ns;
}

START_TEST(a_killed_client_is_seen_within_100_ms)
{
    struct daemon *d = daemon_start(NULL);
    struct raw c;

    raw_start(&c, d, "waiting");
    raw_open(&c, "h", HEAP_BYTES);
    uint64_t took_ns = seen_after_ns(d, &c);
    for (int i = 0; i < 5 && took_ns >= 100 * NS_PER_MS; i++) /* the machine was busy */
        took_ns = seen_after_ns(d, &c);
    ck_assert_uint_lt(took_ns, 100 * NS_PER_MS);
    wire_reply *reply = info_of(&c, "h");
    ck_assert_uint_eq(reply->heap_facts->row->sessions, 1);
    ck_assert_uint_eq(reply->heap_facts->row->threads, 0);
    wire_reply_free(reply);
    raw_close(&c);
    daemon_stop(d);
}
END_TEST

START_TEST(by_policy_the_late_process_is_killed)
{
    struct daemon *d =
        daemon_start("[daemon]\nthreads = 2\nstop_deadline = 100ms\nstop_policy = kill\n");
    struct raw c;

    pid_t pid = sleeper_start(d, &(struct sleeper_options){ .kind = INSIDE });
    raw_start(&c, d, "waiting");
    raw_open(&c, "h", HEAP_BYTES);
    raw_collect_wait(&c, raw_collect_begin(&c, ""));
    sleeper_reap(pid, true);
    ck_assert_uint_eq(at_load_acquire(&c.control->abandoned_stops), 0);
    ck_assert(daemon_log_has(d, "its process is killed"));
    raw_close(&c);
    daemon_stop(d);
}
END_TEST

START_TEST(a_reader_that_does_not_stop_is_killed)
{
    struct daemon *d = daemon_start("[daemon]\nthreads = 2\nstop_deadline = 100ms\n");
    struct raw c;

    raw_start(&c, d, "owner");
    raw_open(&c, "h", HEAP_BYTES);
    pid_t pid = sleeper_start(d, &(struct sleeper_options){ .kind = READING });
    raw_collect_wait(&c, raw_collect_begin(&c, ""));
    sleeper_reap(pid, true);
    ck_assert_uint_eq(at_load_acquire(&c.control->abandoned_stops), 0);
    raw_close(&c);
    daemon_stop(d);
}
END_TEST

START_TEST(who_sleeps_outside_delays_nobody)
{
    struct daemon *d = daemon_start(NULL);
    struct raw c;

    pid_t pid = sleeper_start(d, &(struct sleeper_options){ .kind = OUTSIDE });
    kill(pid, SIGSTOP);
    raw_start(&c, d, "quick");
    raw_open(&c, "h", HEAP_BYTES);
    raw_collect_wait(&c, raw_collect_begin(&c, ""));
    sleeper_reap(pid, false);
    raw_close(&c);
    daemon_stop(d);
}
END_TEST

/* A pending stop of one heap is no other heap's concern: both are stopping at the same time. */
START_TEST(two_heaps_collect_at_once)
{
    struct daemon *d = daemon_start(NULL);
    struct raw a, b;
    struct raw_thread in_a, in_b;

    raw_start(&a, d, "a");
    raw_open(&a, "a", HEAP_BYTES);
    raw_attach(&in_a, &a, "a");
    raw_start(&b, d, "b");
    raw_open(&b, "b", HEAP_BYTES);
    raw_attach(&in_b, &b, "b");
    raw_enter(&in_a);
    raw_enter(&in_b);
    uint64_t of_a = raw_collect_begin(&a, ""), of_b = raw_collect_begin(&b, "");
    usleep(20000);
    ck_assert_uint_eq(at_load_acquire(&a.control->epoch) & 1, 1);
    ck_assert_uint_eq(at_load_acquire(&b.control->epoch) & 1, 1);
    raw_leave(&in_b);
    raw_collect_wait(&b, of_b);
    ck_assert_uint_eq(at_load_acquire(&a.control->epoch) & 1, 1);
    raw_leave(&in_a);
    raw_collect_wait(&a, of_a);
    raw_close(&a);
    raw_close(&b);
    daemon_stop(d);
}
END_TEST

START_TEST(a_thread_attached_during_a_stop_waits_for_the_resume)
{
    struct daemon *d = daemon_start(NULL);
    struct raw c, late;
    struct raw_thread t, newcomer;

    raw_start(&c, d, "inside");
    raw_open(&c, "h", HEAP_BYTES);
    raw_attach(&t, &c, "busy");
    raw_enter(&t);
    uint64_t number = raw_collect_begin(&c, "");
    raw_start(&late, d, "late");
    raw_open(&late, "h", 0);
    raw_attach(&newcomer, &late, "newcomer");
    uint32_t go = at_load_acquire(&late.segment->go);
    raw_grant_send(&newcomer, SHM_GRANT_LINES, 65536);
    usleep(20000);
    ck_assert_uint_ne(at_load_acquire(&newcomer.m->mail[SHM_GRANT_LINES].answered),
                      newcomer.mail_serial);
    raw_leave(&t);
    ck_assert_int_eq(raw_grant_wait(&newcomer, SHM_GRANT_LINES), MMGC_E_OK);
    raw_collect_wait(&c, number);
    raw_enter(&newcomer);
    ck_assert_uint_ne(at_load_acquire(&late.segment->go), go); /* it, too, is woken */
    raw_leave(&newcomer);
    raw_close(&late);
    raw_close(&c);
    daemon_stop(d);
}
END_TEST

/* Whatever the plan: the kinds' pauses are all of them, and all are those that were measured. */
static void check_pauses(const wire_heap_facts *facts, uint64_t done)
{
    const wire_pause_row *all = facts->all_pauses, *stops = facts->all_stops;
    uint64_t total = 0, longest = 0, up_to_p50 = 0, of_kinds = 0;

    for (size_t i = 0; i < facts->n_recent_pause_ns; i++) {
        total += facts->recent_pause_ns[i];
        longest = MM_MAX(longest, facts->recent_pause_ns[i]);
        up_to_p50 += facts->recent_pause_ns[i] <= all->p50_ns;
    }
    for (size_t i = 0; i < facts->n_pauses; i++)
        of_kinds += facts->pauses[i]->count;
    ck_assert_uint_eq(of_kinds, done);
    ck_assert_uint_eq(all->count, done);
    ck_assert_uint_eq(all->total_ns, total);
    ck_assert_uint_eq(all->total_ns, facts->total_pause_ns);
    ck_assert_uint_eq(all->max_ns, longest);
    ck_assert_uint_ge(2 * up_to_p50, done);
    ck_assert(0 < all->min_ns && all->min_ns <= all->p50_ns && all->p50_ns <= all->p99_ns && all->p99_ns <= longest);
    ck_assert_uint_eq(stops->count, done);
    ck_assert_uint_eq(stops->max_ns, facts->max_stop_ns);
    ck_assert_uint_lt(stops->total_ns, total);
}

/* A request that joins a stop still pending is served by it; numbers never run ahead of what will be done. */
START_TEST(numbers_of_collections_are_kept)
{
    struct daemon *d = daemon_start(NULL);
    struct raw c, outside;
    struct raw_thread t;

    raw_start(&c, d, "inside");
    raw_start(&outside, d, "outside");
    raw_open(&c, "h", HEAP_BYTES);
    raw_attach(&t, &c, "busy");
    raw_enter(&t);
    uint64_t first = raw_collect_begin(&c, "");
    ck_assert_uint_eq(raw_collect_begin(&outside, "h"), first);
    raw_leave(&t);
    raw_collect_wait(&c, first);
    for (int i = 0; i < 50; i++) {
        uint64_t number = raw_collect_begin(&outside, "h");
        ck_assert_uint_gt(number, collections_of(&outside, "h") - 1);
        raw_collect_wait(&c, number);
    }
    uint64_t done = collections_of(&outside, "h");
    wire_reply *reply = info_of(&outside, "h");
    while (reply->heap_facts->n_recent_pause_ns < done) { /* the loop hears of it a moment after the clients */
        wire_reply_free(reply);
        reply = info_of(&outside, "h");
    }
    ck_assert_uint_eq(reply->heap_facts->n_recent_pause_ns, done);
    ck_assert_uint_eq(reply->heap_facts->row->collections, done);
    ck_assert_uint_eq(reply->heap_facts->n_recent_stop_ns, done);
    ck_assert_uint_ge(reply->heap_facts->max_pause_ns, reply->heap_facts->last_pause_ns);
    check_pauses(reply->heap_facts, done);
    wire_reply_free(reply);
    raw_close(&outside);
    raw_close(&c);
    daemon_stop(d);
}
END_TEST

START_TEST(verify_and_histogram_are_answered_from_a_stopped_world)
{
    struct daemon *d = daemon_start(NULL);
    struct raw c;
    struct raw_thread t;
    uint32_t refs[] = { 0 };
    RAW(verify, VERIFY, verify);
    RAW(histogram, HISTOGRAM, histogram);
    RAW(roots, ROOTS, roots);

    raw_start(&c, d, "curious");
    raw_open(&c, "h", HEAP_BYTES);
    uint32_t type = raw_type(&c, "cell", 8, 1, refs);
    raw_attach(&t, &c, "one");
    ck_assert_int_eq(raw_grant(&t, SHM_GRANT_LINES, 32768), MMGC_E_OK);
    raw_enter(&t);
    RAW(set, NAME_SET, name_set);
    set_body.name = (char *)"first";
    set_body.ref = (uint32_t)((raw_make_cells(&t, type, 10) - c.arena) / 8);
    ck_assert_int_eq(raw_try(&c, &set), MMGC_E_OK);
    raw_leave(&t);
    wire_reply *listed = raw_ask(&c, &roots);
    ck_assert_int_eq(listed->body_case, WIRE_REPLY(ROOT_ROWS));
    ck_assert_str_eq(listed->root_rows->rows[0]->type, "cell");
    ck_assert_uint_eq(listed->root_rows->rows[0]->bytes, 16);
    wire_reply_free(listed);
    wire_reply *reply = raw_ask(&c, &histogram);
    ck_assert_int_eq(reply->body_case, WIRE_REPLY(HISTOGRAM_ROWS));
    ck_assert_uint_eq(reply->histogram_rows->n_rows, 1);
    ck_assert_str_eq(reply->histogram_rows->rows[0]->name, "cell");
    ck_assert_uint_eq(reply->histogram_rows->rows[0]->objects, 10);
    wire_reply_free(reply);
    reply = raw_ask(&c, &verify);
    ck_assert_int_eq(reply->body_case, WIRE_REPLY(VERDICT));
    ck_assert(reply->verdict->clean);
    ck_assert_uint_eq(reply->verdict->objects, 10);
    wire_reply_free(reply);
    raw_close(&c);
    daemon_stop(d);
}
END_TEST

START_TEST(a_heap_found_broken_is_quarantined)
{
    struct daemon *d = daemon_start(NULL);
    struct raw c, other;
    struct raw_thread t;
    uint32_t refs[] = { 0 };
    RAW(verify, VERIFY, verify);
    RAW(collect, COLLECT, collect);
    RAW(attach, ATTACH, attach);

    raw_start(&other, d, "other");
    raw_open(&other, "sound", HEAP_BYTES);
    raw_start(&c, d, "forger");
    raw_open(&c, "h", HEAP_BYTES);
    uint32_t type = raw_type(&c, "cell", 8, 1, refs);
    raw_attach(&t, &c, "one");
    ck_assert_int_eq(raw_grant(&t, SHM_GRANT_LINES, 32768), MMGC_E_OK);
    raw_enter(&t);
    char *first = raw_make_cells(&t, type, 10);
    *(uint32_t *)(void *)first = (uint32_t)((first - c.arena) / 8) + 1; /* into the next header */
    raw_leave(&t);
    wire_reply *reply = raw_ask(&c, &verify);
    ck_assert_int_eq(reply->body_case, WIRE_REPLY(VERDICT));
    ck_assert(!reply->verdict->clean);
    ck_assert_uint_gt(reply->verdict->n_rows, 0);
    wire_reply_free(reply);
    ck_assert_uint_eq(at_load_acquire(&c.control->corrupt), 1);
    ck_assert_int_eq(raw_grant(&t, SHM_GRANT_LINES, 32768), MMGC_E_CORRUPT);
    ck_assert_int_eq(raw_try(&c, &attach), MMGC_E_CORRUPT);
    ck_assert_int_eq(raw_try(&c, &collect), MMGC_E_CORRUPT);
    raw_collect_wait(&other, raw_collect_begin(&other, "")); /* the other heaps go on */
    raw_close(&c);
    raw_close(&other);
    daemon_stop(d);
}
END_TEST

/* A row of each kind, with each of a tag's two bits and both. */
static void forge_rows(struct raw *liar, uint32_t w)
{
    for (uint32_t row = 0; row < 4 * SHM_ROW_KINDS; row++) {
        struct shm_row_note *note = &liar->segment->row_notes[row];
        at_store_relaxed(&liar->segment->row_words[row], w);
        at_store_relaxed(&liar->segment->row_tags[row], shm_row_tag(row % SHM_ROW_KINDS, w) | row / SHM_ROW_KINDS * SHM_ROW_CLEARED);
        at_store_relaxed(&note->since_ns, (uint64_t)w << 32 | w);
        memset(note->name, 'a', sizeof(note->name));
    }
}

/* Whatever a client writes into its own segments, the daemon goes on. */
START_TEST(forged_words_harm_nobody_else)
{
    static const uint32_t words[] = { 0, 1, 7, 4096, UINT32_MAX - 1, UINT32_MAX };
    struct daemon *d = daemon_start(NULL);
    struct raw liar, other;
    struct raw_thread t, honest;

    raw_start(&liar, d, "liar");
    raw_open(&liar, "h", HEAP_BYTES);
    raw_attach(&t, &liar, "lying");
    raw_start(&other, d, "other");
    raw_open(&other, "h", 0);
    raw_attach(&honest, &other, "honest");
    for (size_t i = 0; i < MM_ARRAY_LEN(words); i++) {
        uint32_t w = words[i];
        (void)raw_grant(&t, SHM_GRANT_LINES, 65536);
        for (size_t class = 0; class < SHM_GRANT_CLASSES; class ++)
            at_store_relaxed(&t.m->mail[class].taken, w);
        t.m->base = (char *)(uintptr_t)w;
        t.m->lines = (struct shm_bump){ liar.arena + w, liar.arena - w, liar.arena };
        at_store_relaxed(&t.m->root_count, w);
        at_store_relaxed(&t.m->local_count, w);
        at_store_relaxed(&liar.segment->row_high, w);
        forge_rows(&liar, w);
        t.m->roots[0] = t.m->roots[1] = w;
        at_store_relaxed(&t.m->locals[0], w);
        at_store_relaxed(&t.m->state, w == 1 ? SHM_PARKED : w);
        raw_collect_wait(&other, raw_collect_begin(&other, ""));
        ck_assert_int_eq(raw_grant(&honest, SHM_GRANT_LINES, 4096), MMGC_E_OK);
    }
    raw_close(&liar);
    raw_collect_wait(&other, raw_collect_begin(&other, ""));
    raw_close(&other);
    daemon_stop(d);
}
END_TEST

static void take_all(struct raw_thread *t, enum shm_grant_class class)
{
    at_store_release(&t->m->mail[class].taken, at_load_acquire(&t->m->mail[class].published));
}

/* Nothing can be freed while some thread's roots are not known; whoever wants memory is told so, under plans that would mark or count while
 * clients run, too, and gets it when they are known again. */
START_TEST(roots_that_do_not_fit_cost_others_an_error_and_not_their_answer)
{
    static const char *const options[] = { "plan=immix", "plan=concurrentimmix",
                                           "plan=concurrentstickyimmix", "plan=lxr" };
    struct daemon *d = daemon_start(NULL);
    struct raw overflowing, other;
    struct raw_thread t, filling;
    enum mmgc_error error;

    raw_start(&overflowing, d, "overflowing");
    overflowing.options = options[_i];
    raw_open(&overflowing, "h", HEAP_BYTES);
    raw_attach(&t, &overflowing, "deep");
    raw_start(&other, d, "other");
    raw_open(&other, "h", 0);
    raw_attach(&filling, &other, "filling");
    for (int round = 0; round < 3; round++) {
        at_store_relaxed(&t.m->root_count, SHM_ROOTS_OVERFLOW);
        for (int grants = 0; (error = raw_grant(&filling, SHM_GRANT_LINES, 262144)) == MMGC_E_OK;
             grants++) {
            take_all(&filling, SHM_GRANT_LINES);
            ck_assert_int_lt(grants, 1000);
        }
        ck_assert_int_eq(error, MMGC_E_NOMEM);
        uint64_t collections = collections_of(&other, "h");
        raw_collect_wait(&other, raw_collect_begin(&other, ""));
        usleep(100000);
        ck_assert_uint_lt(collections_of(&other, "h"), collections + 10); /* and it does not try for ever */
        at_store_relaxed(&t.m->root_count, 0);
        raw_collect_wait(&other, raw_collect_begin(&other, ""));
        ck_assert_int_eq(raw_grant(&filling, SHM_GRANT_LINES, 262144), MMGC_E_OK);
    }
    raw_close(&overflowing);
    raw_close(&other);
    daemon_stop(d);
}
END_TEST

static uint32_t inherit_all(struct raw *heir)
{
    RAW(inherit, INHERIT, inherit);
    uint32_t count = 0;

    for (uint32_t ref = 1; ref != 0; count += ref != 0) {
        wire_reply *reply = raw_ask(heir, &inherit);
        ck_assert_int_eq(reply->body_case, WIRE_REPLY(INHERITED));
        ref = reply->inherited->ref;
        wire_reply_free(reply);
    }
    return count;
}

/* What a liar leaves to an heir is looked at as his own rows are: the heir is given what he said is ready, and it has an end. */
START_TEST(a_forged_estate_harms_nobody_else)
{
    static const uint32_t words[] = { 0, 1, 7, 4096, UINT32_MAX - 1, UINT32_MAX };
    struct daemon *d = daemon_start(NULL);
    struct raw liar, heir;
    struct raw_thread honest;
    uint32_t given = 0;
    RAW(bequeath, BEQUEATH, bequeath);
    RAW(guardian, GUARDIAN, guardian);
    RAW(verify, VERIFY, verify);

    bequeath_body.heir = guardian_body.name = (char *)"heir";
    raw_start(&heir, d, "heir");
    raw_open(&heir, "h", HEAP_BYTES);
    raw_attach(&honest, &heir, "honest");
    ck_assert_int_eq(raw_try(&heir, &guardian), MMGC_E_OK);
    for (size_t i = 0; i < MM_ARRAY_LEN(words); i++) {
        raw_start(&liar, d, "liar");
        raw_open(&liar, "h", 0);
        ck_assert_int_eq(raw_try(&liar, &bequeath), MMGC_E_OK);
        forge_rows(&liar, words[i]);
        at_store_relaxed(&liar.segment->row_high, i % 2 == 0 ? UINT32_MAX : 4 * SHM_ROW_KINDS);
        if (i % 3 == 0)
            raw_collect_wait(&heir, raw_collect_begin(&heir, ""));
        raw_close(&liar);
        for (int round = 0; round < 3; round++) {
            raw_collect_wait(&heir, raw_collect_begin(&heir, ""));
            given += inherit_all(&heir);
        }
        ck_assert_int_eq(raw_grant(&honest, SHM_GRANT_LINES, 4096), MMGC_E_OK);
    }
    ck_assert_uint_gt(given, 0);
    ck_assert_uint_le(given, MM_ARRAY_LEN(words) * 8); /* GUARDED and READY rows, four of each */
    wire_reply *reply = raw_ask(&heir, &verify);
    ck_assert_int_eq(reply->body_case, WIRE_REPLY(VERDICT));
    ck_assert(reply->verdict->clean);
    wire_reply_free(reply);
    raw_close(&heir);
    daemon_stop(d);
}
END_TEST

static Suite *stop_suite(void)
{
    Suite *suite = suite_create("stop");
    TCase *stop = tcase_create("stop");

    tcase_add_test(stop, a_collection_waits_for_who_is_inside);
    tcase_add_test(stop, the_deadline_abandons_and_names_the_thread);
    tcase_add_test(stop, who_waits_for_memory_behind_a_stalled_stop_is_told);
    tcase_add_test(stop, a_killed_client_is_seen_within_100_ms);
    tcase_add_test(stop, by_policy_the_late_process_is_killed);
    tcase_add_test(stop, a_reader_that_does_not_stop_is_killed);
    tcase_add_test(stop, who_sleeps_outside_delays_nobody);
    tcase_add_test(stop, two_heaps_collect_at_once);
    tcase_add_test(stop, a_thread_attached_during_a_stop_waits_for_the_resume);
    tcase_add_test(stop, numbers_of_collections_are_kept);
    tcase_add_test(stop, verify_and_histogram_are_answered_from_a_stopped_world);
    tcase_add_test(stop, a_heap_found_broken_is_quarantined);
    tcase_add_test(stop, forged_words_harm_nobody_else);
    tcase_add_loop_test(stop, roots_that_do_not_fit_cost_others_an_error_and_not_their_answer, 0, 4);
    tcase_add_test(stop, a_forged_estate_harms_nobody_else);
    suite_add_tcase(suite, stop);
    return suite;
}

int main(int argc, char **argv)
{
    return runner_main(argc, argv, stop_suite);
}
