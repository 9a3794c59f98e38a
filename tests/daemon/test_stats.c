/* SPDX-License-Identifier: Apache-2.0 */
#include <stdio.h>
#include <string.h>

#include "shm/units.h"
#include "tests/daemon/raw.h"
#include "tests/support/runner.h"

#define HEAP_BYTES (UINT64_C(4) << 20)

static struct daemon *d;
static struct raw admin;

static void set_up(void)
{
    d = daemon_start("[daemon]\nthreads = 2\nmax_heaps = 200\n[heap]\nplan = immix\nsize = 8M\n");
    raw_start(&admin, d, "admin");
}

static void tear_down(void)
{
    raw_close(&admin);
    daemon_stop(d);
}

static wire_reply *ask_stats(struct raw *c, const char *heap, const char *after)
{
    RAW(stats, STATS, stats);

    stats_body.heap = (char *)heap;
    stats_body.after = (char *)after;
    wire_reply *reply = raw_ask(c, &stats);
    ck_assert_int_eq(reply->body_case, WIRE_REPLY(STATS_ROWS));
    return reply;
}

START_TEST(all_heaps_are_told_of_by_name_in_pages)
{
    enum { HEAPS = 70 };
    struct raw c[HEAPS];
    char name[16], last[WIRE_NAME_MAX + 1] = "";
    int seen = 0, pages = 0;
    bool more = true;

    for (int i = 0; i < HEAPS; i++) {
        snprintf(name, sizeof(name), "heap-%02d", (i * 37) % HEAPS);
        raw_start(&c[i], d, "maker");
        raw_open(&c[i], name, HEAP_BYTES);
    }
    for (; more; pages++) {
        wire_reply *reply = ask_stats(&admin, "", last);
        for (size_t i = 0; i < reply->stats_rows->n_rows; i++, seen++) {
            wire_heap_stats *stats = reply->stats_rows->rows[i];
            snprintf(name, sizeof(name), "heap-%02d", seen);
            ck_assert_str_eq(stats->row->name, name);
            ck_assert_uint_eq(stats->row->sessions, 1);
            ck_assert_uint_eq(stats->limit_bytes, HEAP_BYTES);
            snprintf(last, sizeof(last), "%s", stats->row->name);
        }
        ck_assert_uint_eq(reply->stats_rows->daemon->heaps, HEAPS);
        ck_assert_uint_eq(reply->stats_rows->daemon->sessions, HEAPS + 1);
        more = reply->stats_rows->more;
        wire_reply_free(reply);
    }
    ck_assert_int_eq(seen, HEAPS);
    ck_assert_int_eq(pages, 3);
    for (int i = 0; i < HEAPS; i++)
        raw_close(&c[i]);
}
END_TEST

START_TEST(what_a_collection_cost_is_counted_once_and_in_its_bucket)
{
    struct raw c;
    struct raw_thread t;

    raw_start(&c, d, "user");
    raw_open(&c, "h", HEAP_BYTES);
    raw_attach(&t, &c, "thread");
    ck_assert_int_eq(raw_grant(&t, SHM_GRANT_BLOCKS, 65536), MMGC_E_OK);
    for (int i = 1; i <= 3; i++) {
        raw_collect_wait(&c, raw_collect_begin(&c, "h"));
        ck_assert_int_eq(raw_ping(&c), MMGC_E_OK);
    }
    wire_reply *reply = ask_stats(&admin, "h", "");
    const wire_stats_rows *page = reply->stats_rows;
    ck_assert_uint_eq(page->n_rows, 1);
    const wire_heap_stats *stats = page->rows[0];
    ck_assert_uint_eq(stats->n_pauses, 1);
    ck_assert_str_eq(stats->pauses[0]->kind, "full");
    ck_assert_uint_eq(stats->pauses[0]->count, 3);
    ck_assert_uint_eq(stats->stops->count, 3);
    ck_assert_uint_gt(page->n_bucket_ns, 2);
    ck_assert_uint_eq(stats->pauses[0]->n_buckets, page->n_bucket_ns);
    ck_assert_uint_eq(stats->pauses[0]->buckets[page->n_bucket_ns - 1], 3); /* ten seconds: none took longer */
    for (size_t i = 0; i < page->n_bucket_ns; i++) {
        uint64_t shorter = i == 0 ? 0 : stats->pauses[0]->buckets[i - 1];
        ck_assert_uint_ge(stats->pauses[0]->buckets[i], shorter);
        ck_assert(i == 0 || page->bucket_ns[i] > page->bucket_ns[i - 1]);
        if (stats->max_pause_ns <= page->bucket_ns[i])
            ck_assert_uint_eq(stats->pauses[0]->buckets[i], 3);
        else
            ck_assert_uint_lt(stats->pauses[0]->buckets[i], 3);
    }
    ck_assert_uint_ge(stats->max_pause_ns, stats->p99_pause_ns);
    ck_assert_uint_ge(stats->p99_pause_ns, stats->p50_pause_ns);
    ck_assert_uint_gt(stats->p50_pause_ns, 0);
    ck_assert_uint_ge(stats->pauses[0]->total_ns, stats->max_pause_ns);
    ck_assert_uint_ge(stats->granted_bytes, 65536);
    ck_assert_uint_ge(stats->commits, 1);
    wire_reply_free(reply);
    raw_close(&c);
}
END_TEST

START_TEST(who_is_told_that_there_is_no_memory_is_counted)
{
    struct raw c;
    struct raw_thread t;

    raw_start(&c, d, "user");
    raw_open(&c, "small", HEAP_BYTES);
    raw_attach(&t, &c, "thread");
    ck_assert_int_eq(raw_grant(&t, SHM_GRANT_LARGE, HEAP_BYTES * 3 / 4), MMGC_E_OK);
    ck_assert_int_eq(raw_grant(&t, SHM_GRANT_LARGE, HEAP_BYTES * 3 / 4), MMGC_E_NOMEM);
    wire_reply *reply = ask_stats(&admin, "small", "");
    ck_assert_uint_eq(reply->stats_rows->rows[0]->out_of_memory, 1);
    wire_reply_free(reply);
    raw_close(&c);
}
END_TEST

START_TEST(the_daemon_counts_what_it_does)
{
    wire_reply *reply = ask_stats(&admin, "", "");
    wire_daemon_stats before = *reply->stats_rows->daemon;
    struct raw c;

    wire_reply_free(reply);
    raw_start(&c, d, "one more"); /* its Hello */
    ck_assert_int_eq(raw_ping(&c), MMGC_E_OK);
    reply = ask_stats(&admin, "", ""); /* itself */
    const wire_daemon_stats *after = reply->stats_rows->daemon;
    ck_assert_uint_eq(after->requests, before.requests + 3);
    ck_assert_uint_eq(after->connections, before.connections + 1);
    ck_assert_uint_eq(after->sessions, before.sessions + 1);
    ck_assert_uint_gt(after->resident_bytes, 1 << 20);
    ck_assert_uint_gt(after->files, 3);
    ck_assert_uint_gt(after->max_files, after->files);
    wire_reply_free(reply);
    raw_close(&c);
}
END_TEST

static wire_reply *ask_blocks(const char *heap, uint32_t max_cells)
{
    RAW(blocks, BLOCKS, blocks);

    blocks_body.heap = (char *)heap;
    blocks_body.max_cells = max_cells;
    wire_reply *reply = raw_ask(&admin, &blocks);
    ck_assert_int_eq(reply->body_case, WIRE_REPLY(BLOCK_MAP));
    return reply;
}

/* Sum over the cells whose kind is called @name. */
static unsigned used_as(const wire_block_map *map, const char *name)
{
    unsigned used = 0;

    for (size_t i = 0; i < map->kinds.len; i++)
        if (strcmp(map->kind_names[map->kinds.data[i]], name) == 0)
            used += map->used.data[i];
    return used;
}

START_TEST(blocks_are_shown_as_what_they_are_and_as_full_as_they_are)
{
    struct raw c;
    struct raw_thread t;

    raw_start(&c, d, "user");
    raw_open(&c, "h", HEAP_BYTES);
    wire_reply *reply = ask_blocks("h", 0);
    ck_assert_uint_eq(used_as(reply->block_map, "immix"), 0);
    wire_reply_free(reply);
    raw_attach(&t, &c, "thread");
    ck_assert_int_eq(raw_grant(&t, SHM_GRANT_BLOCKS, 2 * MM_BLOCK_BYTES), MMGC_E_OK);
    ck_assert_int_eq(raw_grant(&t, SHM_GRANT_LARGE, MM_BLOCK_BYTES / 2), MMGC_E_OK);
    reply = ask_blocks("h", 0);
    const wire_block_map *map = reply->block_map;
    ck_assert_uint_eq(map->block_bytes, MM_BLOCK_BYTES);
    ck_assert_uint_eq(map->blocks, HEAP_BYTES / MM_BLOCK_BYTES);
    ck_assert_uint_eq(map->blocks_a_cell, 1);
    ck_assert_uint_eq(map->kinds.len, map->used.len);
    ck_assert_uint_le(map->kinds.len, map->blocks);
    ck_assert_uint_ge(used_as(map, "immix"), 255);
    ck_assert_uint_ge(used_as(map, "large"), 255 / 2);
    ck_assert_uint_eq(used_as(map, "free"), 0);
    wire_reply_free(reply);
    raw_close(&c);
}
END_TEST

static const char *const plans[] = {
    "nogc",      "immix",    "semispace", "marksweep",       "markcompact",           "compressor", "pageprotect",
    "stickyimmix", "genimmix", "gencopy", "concurrentimmix", "concurrentstickyimmix", "lxr",
};

/* Whatever a plan calls its blocks, and whichever way it grants. */
START_TEST(under_every_plan_what_was_granted_is_seen)
{
    struct raw c = { 0 };
    struct raw_thread t;
    char options[64];
    unsigned before = 0, after = 0;

    snprintf(options, sizeof(options), "plan=%s", plans[_i]);
    c.options = options;
    raw_start(&c, d, "user");
    c.options = options;
    raw_open(&c, "h", 4 * HEAP_BYTES);
    raw_attach(&t, &c, "thread");
    wire_reply *reply = ask_blocks("h", 0);
    for (size_t i = 0; i < reply->block_map->used.len; i++)
        before += reply->block_map->used.data[i];
    wire_reply_free(reply);
    ck_assert_int_eq(raw_grant(&t, SHM_GRANT_LARGE, 2 * MM_BLOCK_BYTES), MMGC_E_OK);
    ck_assert_int_eq(raw_grant(&t, SHM_GRANT_NONMOVING, MM_BLOCK_BYTES), MMGC_E_OK);
    reply = ask_blocks("h", 0);
    for (size_t i = 0; i < reply->block_map->used.len; i++)
        after += reply->block_map->used.data[i];
    ck_assert_uint_ge(after, before + 2 * 255);
    ck_assert_uint_gt(used_as(reply->block_map, "nonmoving"), 0);
    wire_reply_free(reply);
    reply = ask_stats(&admin, "h", "");
    ck_assert_str_eq(reply->stats_rows->rows[0]->row->plan, plans[_i]);
    ck_assert_uint_ge(reply->stats_rows->rows[0]->granted_bytes, 3 * MM_BLOCK_BYTES);
    wire_reply_free(reply);
    raw_close(&c);
}
END_TEST

START_TEST(a_coarse_map_has_no_more_cells_than_asked_for)
{
    struct raw c;
    struct raw_thread t;

    raw_start(&c, d, "user");
    raw_open(&c, "h", HEAP_BYTES);
    raw_attach(&t, &c, "thread");
    ck_assert_int_eq(raw_grant(&t, SHM_GRANT_BLOCKS, MM_BLOCK_BYTES), MMGC_E_OK);
    wire_reply *reply = ask_blocks("h", 10);
    const wire_block_map *map = reply->block_map;
    ck_assert_uint_gt(map->kinds.len, 0);
    ck_assert_uint_le(map->kinds.len, 10);
    ck_assert_uint_ge(map->blocks_a_cell * 10, map->blocks);
    wire_reply_free(reply);
    raw_close(&c);
}
END_TEST

static Suite *stats_suite(void)
{
    Suite *suite = suite_create("stats");
    TCase *stats = tcase_create("stats");

    tcase_add_checked_fixture(stats, set_up, tear_down);
    tcase_add_test(stats, all_heaps_are_told_of_by_name_in_pages);
    tcase_add_test(stats, what_a_collection_cost_is_counted_once_and_in_its_bucket);
    tcase_add_test(stats, who_is_told_that_there_is_no_memory_is_counted);
    tcase_add_test(stats, the_daemon_counts_what_it_does);
    tcase_add_test(stats, blocks_are_shown_as_what_they_are_and_as_full_as_they_are);
    tcase_add_loop_test(stats, under_every_plan_what_was_granted_is_seen, 0, MM_ARRAY_LEN(plans));
    tcase_add_test(stats, a_coarse_map_has_no_more_cells_than_asked_for);
    suite_add_tcase(suite, stats);
    return suite;
}

int main(int argc, char **argv)
{
    return runner_main(argc, argv, stats_suite);
}
