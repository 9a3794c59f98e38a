/* SPDX-License-Identifier: Apache-2.0 */
/* sanity = on against a real daemon: a heap whose collections agree with the second look stays open; one that a client
 * changes while the world is stopped is quarantined, and only that one. */
#include <pthread.h>
#include <string.h>

#include "tests/daemon/raw.h"
#include "tests/support/runner.h"

#define HEAP_BYTES (UINT64_C(16) << 20)
#define CELLS 1000u

static struct daemon *d;
static struct raw c;
static struct raw_thread t;
static _Atomic uint32_t *cells[CELLS]; /* their references */

static uint32_t granule(const void *at)
{
    return (uint32_t)(((const char *)at - c.arena) / 8);
}

/* A list of cells, a handle at its head. Objects stay where they are: marksweep, and blocks that nothing moves out of. */
static void open_list(const char *heap, const char *options)
{
    uint32_t refs[] = { 0 };

    c.options = options;
    raw_open(&c, heap, HEAP_BYTES);
    uint32_t type = raw_type(&c, "cell", 8, 1, refs);
    raw_attach(&t, &c, "one");
    ck_assert_int_eq(raw_grant(&t, SHM_GRANT_LINES, 32768), MMGC_E_OK);
    raw_enter(&t);
    const struct shm_grant *span = shm_mutator_ring(t.m, SHM_GRANT_LINES);
    char *at = c.arena + 8 * (uint64_t)span->start, *end = at + 8 * (uint64_t)span->granules;
    ck_assert(end >= at + 16 * CELLS);
    memset(at, 0, (size_t)(end - at));
    t.m->lines = (struct shm_bump){ at, end, end };
    for (uint32_t i = 0; i < CELLS; i++, at += 16) {
        *(uint64_t *)(void *)at = type;
        cells[i] = (_Atomic uint32_t *)(void *)(at + 8);
        at_store_relaxed(cells[i], i == 0 ? 0 : granule(cells[i - 1]));
        t.m->lines.cursor = at + 16;
    }
    at_store_release(&c.segment->row_words[1], granule(cells[CELLS - 1]));
    at_store_release(&c.segment->row_tags[1], shm_row_tag(SHM_ROW_STRONG, 1));
    at_store_release(&c.segment->row_high, 2);
    raw_leave(&t);
}

/* False: refused. */
static bool try_collect(void)
{
    RAW(request, COLLECT, collect);

    request_body.heap = (char *)"h";
    wire_reply *reply = raw_ask(&c, &request);
    bool started = reply->body_case == WIRE_REPLY(COLLECT_STARTED);
    uint64_t number = started ? reply->collect_started->number : 0;
    wire_reply_free(reply);
    raw_collect_wait(&c, number);
    return started;
}

static bool is_corrupt(void)
{
    return at_load_acquire(&c.control->corrupt) != 0;
}

START_TEST(a_sane_heap_stays_open)
{
    d = daemon_start(NULL);
    raw_start(&c, d, "honest");
    open_list("h", "plan=marksweep sanity=on");
    for (int i = 0; i < 5; i++)
        ck_assert(try_collect());
    ck_assert_uint_eq(at_load_relaxed(&c.control->live_objects), CELLS);
    ck_assert(!is_corrupt());
    ck_assert_int_eq(raw_grant(&t, SHM_GRANT_LINES, 32768), MMGC_E_OK);
    raw_close(&c);
    daemon_stop(d);
}
END_TEST

static _Atomic bool over;

/* Takes the list apart and joins it again, whether the world is stopped or not. */
static void *forge(void *context)
{
    (void)context;
    while (!at_load_relaxed(&over))
        at_store_relaxed(cells[CELLS / 2], at_load_relaxed(cells[CELLS / 2]) ^ granule(cells[CELLS / 2 - 1]));
    return NULL;
}

/* Whether each single collection is caught is chance; that none of a thousand is, is not. */
static bool is_caught(void)
{
    pthread_t forger;

    at_store_relaxed(&over, false);
    ck_assert_int_eq(pthread_create(&forger, NULL, forge, NULL), 0);
    for (int i = 0; i < 1000 && !is_corrupt() && try_collect(); i++)
        ;
    at_store_relaxed(&over, true);
    (void)pthread_join(forger, NULL);
    return is_corrupt();
}

START_TEST(who_writes_while_the_world_is_stopped_is_found_out)
{
    struct raw other;

    d = daemon_start(NULL);
    raw_start(&other, d, "other");
    raw_open(&other, "sound", HEAP_BYTES);
    raw_start(&c, d, "forger");
    open_list("h", "plan=marksweep sanity=on");
    ck_assert(is_caught());
    ck_assert_int_eq(raw_grant(&t, SHM_GRANT_LINES, 32768), MMGC_E_CORRUPT);
    ck_assert_uint_eq(at_load_acquire(&other.control->corrupt), 0);
    raw_close(&other);
    raw_close(&c);
    daemon_stop(d);
}
END_TEST

static Suite *make_suite(void)
{
    Suite *s = suite_create("sanity");
    TCase *tc = tcase_create("daemon");

    tcase_set_timeout(tc, 60);
    tcase_add_test(tc, a_sane_heap_stays_open);
    tcase_add_test(tc, who_writes_while_the_world_is_stopped_is_found_out);
    suite_add_tcase(s, tc);
    return s;
}

int main(int argc, char **argv)
{
    return runner_main(argc, argv, make_suite);
}
