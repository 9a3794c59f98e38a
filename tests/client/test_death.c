/* SPDX-License-Identifier: Apache-2.0 */
/* Death of the daemon, by SIGKILL: what each call of the library answers then, how soon, and what stays. The calls: death_calls.h.
 *   Trial    one call, by a thread of its own that has a world and a heap of its own; TRIALS at once share one death */
#include "tests/client/death_calls.h"

#include <dirent.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "shm/base.h"
#include "tests/support/daemon.h"
#include "tests/support/runner.h"

#define SOON_MS 3000 /* the library's waits look around once a second; the rest is leeway */
#define TRIALS 24
#define AMID_MS 100

static struct daemon *mmgcd;

static int fd_count(void)
{
    DIR *fds = opendir("/proc/self/fd");
    int count = 0;

    while (readdir(fds) != NULL)
        count++;
    closedir(fds);
    return count;
}

static uint64_t soon_ms(void)
{
    const char *times = getenv("CK_TIMEOUT_MULTIPLIER"); /* slow builds get longer everywhere */

    return SOON_MS * (times != NULL && atoi(times) > 1 ? (uint64_t)atoi(times) : 1);
}

/* ---- each call, at each moment ----------------------------------------------------------------------------------- */

static void start(void)
{
    mmgcd = daemon_start(NULL);
    snprintf(socket_path, sizeof(socket_path), "%s", daemon_socket(mmgcd));
}

static void finish(void)
{
    if (mmgcd != NULL)
        daemon_kill(mmgcd);
    mmgcd = NULL;
}

struct trial {
    int row, code;
    char heap[16];
    const uint32_t *epoch;
    uint64_t ms, close_ms;
    int wished_code; /* of who asked for the collection whose stop does not end */
    pthread_t thread, wisher;
};

static struct trial trials[TRIALS];
static pthread_barrier_t ready, go;

static uint64_t ms_since(uint64_t before_ns)
{
    return (mm_now_ns() - before_ns) / 1000000;
}

static void *try_call(void *arg)
{
    struct trial *trial = arg;
    struct world here;

    world = &here;
    world_open(world, trial->heap);
    trial->epoch = w.t->epoch;
    pthread_barrier_wait(&ready);
    pthread_barrier_wait(&go);
    uint64_t before_ns = mm_now_ns();
    trial->code = death_call(trial->row);
    trial->ms = ms_since(before_ns);
    before_ns = mm_now_ns();
    world_close(world);
    trial->close_ms = ms_since(before_ns);
    return NULL;
}

static void *wish_for_a_collection(void *arg)
{
    struct trial *trial = arg;
    struct mmgc_client *client;
    struct mmgc_heap *heap;
    struct mmgc_thread *t;

    ck_assert_ok(mmgc_connect(socket_path, "wisher", &client));
    ck_assert_ok(mmgc_heap_open(client, trial->heap, NULL, &heap));
    ck_assert_ok(mmgc_attach(heap, NULL, &t));
    trial->wished_code = mmgc_gc(t);
    mmgc_detach(t);
    mmgc_heap_close(heap);
    mmgc_disconnect(client);
    return NULL;
}

/* Until the daemon waits for their threads, which are inside and do not look. */
static void stop_worlds(int count)
{
    for (int i = 0; i < count; i++)
        ck_assert_int_eq(pthread_create(&trials[i].wisher, NULL, wish_for_a_collection, &trials[i]), 0);
    for (int i = 0; i < count; i++)
        while ((__atomic_load_n(trials[i].epoch, __ATOMIC_ACQUIRE) & 1u) == 0)
            (void)usleep(1000);
}

static void bring_about(enum moment moment, int count)
{
    if (moment == AMID)
        ck_assert_int_eq(kill(daemon_pid(mmgcd), SIGSTOP), 0);
    else if (moment == STOPPING)
        stop_worlds(count);
    if (moment != AMID)
        finish();
    pthread_barrier_wait(&go);
    if (moment == AMID) {
        (void)usleep(AMID_MS * 1000);
        finish();
    }
}

static void check_trial(const struct trial *trial, enum moment moment)
{
    const struct row *row = &death_rows[trial->row];

    ck_assert_msg(trial->code == row->code[moment], "%s: %d (%s), not %d", row->call, trial->code,
                  mmgc_strerror(trial->code), row->code[moment]);
    ck_assert_msg(trial->ms <= soon_ms(), "%s: %llu ms", row->call, (unsigned long long)trial->ms);
    ck_assert_msg(trial->close_ms <= soon_ms(), "%s, then closing: %llu ms", row->call,
                  (unsigned long long)trial->close_ms);
    if (moment == STOPPING)
        ck_assert_int_eq(trial->wished_code, MMGC_E_DISCONNECTED);
}

static void check_calls(int first, enum moment moment)
{
    int count = MM_MIN(death_row_count - first, TRIALS), before = fd_count();
    uint64_t longest_ms = 0;

    pthread_barrier_init(&ready, NULL, (unsigned)count + 1);
    pthread_barrier_init(&go, NULL, (unsigned)count + 1);
    for (int i = 0; i < count; i++) {
        trials[i] = (struct trial){ .row = first + i };
        snprintf(trials[i].heap, sizeof(trials[i].heap), "heap-%d", i);
        ck_assert_int_eq(pthread_create(&trials[i].thread, NULL, try_call, &trials[i]), 0);
    }
    pthread_barrier_wait(&ready);
    bring_about(moment, count);
    for (int i = 0; i < count; i++) {
        ck_assert_int_eq(pthread_join(trials[i].thread, NULL), 0);
        if (moment == STOPPING)
            ck_assert_int_eq(pthread_join(trials[i].wisher, NULL), 0);
        longest_ms = MM_MAX(longest_ms, trials[i].ms);
    }
    fprintf(stderr, "rows %d to %d, moment %d: the longest took %llu ms\n", first,
            first + count - 1, (int)moment, (unsigned long long)longest_ms);
    for (int i = 0; i < count; i++)
        check_trial(&trials[i], moment);
    ck_assert_int_eq(fd_count(), before);
}

START_TEST(after_its_death_each_call_says_so_or_works)
{
    check_calls(_i * TRIALS, AT_REST);
}
END_TEST

START_TEST(a_call_that_waits_for_it_learns_of_its_death)
{
    check_calls(_i * TRIALS, AMID);
}
END_TEST

START_TEST(a_stop_that_it_leaves_behind_holds_nobody)
{
    check_calls(_i * TRIALS, STOPPING);
}
END_TEST

/* ---- the table is whole ------------------------------------------------------------------------------------------ */

static bool has_row(const char *name)
{
    for (size_t i = 0; i < (size_t)death_row_count; i++)
        if (strcmp(death_rows[i].name, name) == 0)
            return true;
    return false;
}

/* Declarations in @path: MMGC_API, and the name before the first parenthesis. Returns how many. */
static int check_header(const char *path)
{
    char line[1024];
    int count = 0;
    FILE *header = fopen(path, "re");

    ck_assert_ptr_nonnull(header);
    while (fgets(line, sizeof(line), header) != NULL) {
        char *end = strncmp(line, "MMGC_API ", 9) == 0 ? strchr(line, '(') : NULL;
        if (end == NULL)
            continue;
        *end = '\0';
        char *name = end;
        while (name > line && name[-1] != ' ' && name[-1] != '*')
            name--;
        ck_assert_msg(has_row(name), "%s: %s has no row", path, name);
        count++;
    }
    fclose(header);
    return count;
}

START_TEST(every_public_call_has_a_row)
{
    static const char *const headers[] = { "mmgc",   "handle",   "lease",    "hold",
                                           "notice", "guardian", "reference" };
    const char *root = getenv("MMGC_SOURCE_ROOT");
    int count = 0;
    char path[512];

    for (size_t i = 0; i < MM_ARRAY_LEN(headers); i++) {
        snprintf(path, sizeof(path), "%s/client/include/mmgc/%s.h", root != NULL ? root : ".",
                 headers[i]);
        count += check_header(path);
    }
    ck_assert_int_gt(count, 70);
}
END_TEST

/* ---- what stays -------------------------------------------------------------------------------------------------- */

static void check_list(struct mmgc_thread *t, const struct node *list)
{
    int64_t value = NODES;

    for (const struct node *n = list; n != NULL; n = mmgc_get(t, n, next)) {
        char text[16];
        snprintf(text, sizeof(text), "%d", (int)--value);
        ck_assert_int_eq(n->value, value);
        ck_assert_str_eq(mmgc_get(t, n, text), text);
    }
    ck_assert_int_eq(value, 0);
}

START_TEST(what_was_there_can_be_read_until_the_heap_is_closed)
{
    struct world here;
    uint32_t count;

    world = &here;
    world_open(world, "heap");
    finish();
    check_list(w.t, w.list); /* inside */
    ck_assert_int_eq(mmgc_gc(w.t), MMGC_E_DISCONNECTED);
    check_list(w.t, w.list); /* thrown out, by now */
    check_list(w.t, mmgc_lease_object(w.heap, w.lease) == w.shared ? w.list : NULL);
    ck_assert_int_eq(use_up(&count), MMGC_E_DISCONNECTED);
    check_list(w.t, w.list);
    world_close(world);
}
END_TEST

START_TEST(what_was_granted_is_used_up_first)
{
    struct world here;
    uint32_t count, again;

    world = &here;
    world_open(world, "heap");
    finish();
    ck_assert_int_eq(use_up(&count), MMGC_E_DISCONNECTED);
    ck_assert_uint_gt(count, 100); /* the rest of a slab: kilobytes at the least */
    ck_assert_int_eq(use_up(&again), MMGC_E_DISCONNECTED);
    ck_assert_uint_eq(again, 0);
    ck_assert_int_eq(mmgc_enter(w.t), MMGC_E_DISCONNECTED);
    world_close(world);
}
END_TEST

/* Reason, not symptom: who was thrown out is not told to enter. */
START_TEST(who_was_thrown_out_is_told_why)
{
    struct world here;

    world = &here;
    world_open(world, "heap");
    trials[0] = (struct trial){ .heap = "heap", .epoch = w.t->epoch };
    stop_worlds(1);
    finish();
    ck_assert_int_eq(mmgc_poll(w.t), MMGC_E_DISCONNECTED);
    ck_assert_int_eq(mmgc_poll(w.t), MMGC_E_DISCONNECTED);
    ck_assert_ptr_null(mmgc_handle_get(w.t, w.handle));
    ck_assert_int_eq(mmgc_thread_error(w.t), MMGC_E_DISCONNECTED);
    ck_assert_int_eq(mmgc_stow(w.t, w.list, NULL), MMGC_E_DISCONNECTED);
    ck_assert_ptr_null(mmgc_new(w.t, w.node));
    ck_assert_int_eq(mmgc_thread_error(w.t), MMGC_E_DISCONNECTED);
    ck_assert_int_eq(pthread_join(trials[0].wisher, NULL), 0);
    world_close(world);
}
END_TEST

START_TEST(a_new_daemon_is_used_beside_what_the_dead_one_left)
{
    struct world old, fresh;

    world = &old;
    world_open(&old, "heap");
    finish();
    ck_assert_int_eq(mmgc_ping(old.client), MMGC_E_DISCONNECTED);
    start();
    world_open(&fresh, "heap");
    world = &fresh;
    ck_assert_ok(mmgc_ping(fresh.client));
    ck_assert_ok(mmgc_gc(fresh.t));
    check_list(old.t, old.list);
    check_list(fresh.t, fresh.list);
    ck_assert_int_eq(mmgc_gc(old.t), MMGC_E_DISCONNECTED);
    world_close(&old);
    ck_assert_ok(mmgc_gc(fresh.t));
    check_list(fresh.t, fresh.list);
    world_close(&fresh);
}
END_TEST

static Suite *death_suite(void)
{
    Suite *suite = suite_create("death");
    TCase *calls = tcase_create("calls"), *stays = tcase_create("stays");
    int batches = (death_row_count + TRIALS - 1) / TRIALS;

    tcase_add_checked_fixture(calls, start, finish);
    tcase_add_loop_test(calls, after_its_death_each_call_says_so_or_works, 0, batches);
    tcase_add_loop_test(calls, a_call_that_waits_for_it_learns_of_its_death, 0, batches);
    tcase_add_loop_test(calls, a_stop_that_it_leaves_behind_holds_nobody, 0, batches);
    tcase_add_checked_fixture(stays, start, finish);
    tcase_add_test(stays, every_public_call_has_a_row);
    tcase_add_test(stays, what_was_there_can_be_read_until_the_heap_is_closed);
    tcase_add_test(stays, what_was_granted_is_used_up_first);
    tcase_add_test(stays, who_was_thrown_out_is_told_why);
    tcase_add_test(stays, a_new_daemon_is_used_beside_what_the_dead_one_left);
    suite_add_tcase(suite, calls);
    suite_add_tcase(suite, stays);
    return suite;
}

int main(int argc, char **argv)
{
    return runner_main(argc, argv, death_suite);
}
