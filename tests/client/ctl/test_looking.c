/* SPDX-License-Identifier: Apache-2.0 */
/* list, info, clients, histogram, roots: what people and scripts see of a world that is known. */
#include "shm/base.h"
#include "tests/client/ctl/run.h"
#include "tests/client/ctl/world.h"
#include "tests/support/runner.h"

#include <string.h>

static struct world world;
static struct fake *fake;
static struct ctl_run run;
static json_t *json;

static void set_up(void)
{
    world = (struct world){ 0 };
    fake = fake_start(world_answer, &world);
}

static void tear_down(void)
{
    json_decref(json);
    ctl_run_free(&run);
    fake_stop(fake);
}

/* Runs it, well: status 0 and nothing on stderr. */
#define RUN(...) \
    do { \
        run = ctl_run(fake_socket(fake), __VA_ARGS__, NULL); \
        ck_assert_str_eq(run.err, ""); \
        ck_assert_int_eq(run.status, 0); \
    } while (0)
#define RUN_JSON(...) \
    do { \
        RUN(__VA_ARGS__, "--json"); \
        json = parse_json(run.out); \
    } while (0)
#define assert_line(line) \
    ck_assert_msg(strstr(run.out, line "\n") != NULL, "no line '%s' in:\n%s", line, run.out)
#define assert_no(text) ck_assert_msg(strstr(run.out, text) == NULL, "'%s' in:\n%s", text, run.out)

static json_t *row(const char *array, size_t i)
{
    return json_array_get(json_object_get(json, array), i);
}
static json_int_t number(const json_t *object, const char *key)
{
    ck_assert_msg(json_is_integer(json_object_get(object, key)), "%s is no integer", key);
    return json_integer_value(json_object_get(object, key));
}
static const char *text(const json_t *object, const char *key)
{
    ck_assert_msg(json_is_string(json_object_get(object, key)), "%s is no string", key);
    return json_string_value(json_object_get(object, key));
}

START_TEST(list_is_a_table_of_all_pages)
{
    RUN("list");
    assert_line(
        "HEAP               PLAN       USED     LIVE    MAXIMUM  CLIENTS  GCS");
    assert_line(
        "arbor              immix  10.0 MiB  1.5 MiB  256.0 MiB        2   41");
    assert_line(
        "ce\\x0adar\\x1b[31m  immix  10.0 MiB  1.5 MiB  256.0 MiB        2   41");
    assert_line(
        "trees              immix  10.0 MiB  1.5 MiB  256.0 MiB        2   41");
    assert_no("\033");
}
END_TEST

START_TEST(list_in_json_has_exact_numbers_and_names)
{
    RUN_JSON("list");
    ck_assert_uint_eq(json_array_size(json_object_get(json, "heaps")), WORLD_HEAPS);
    ck_assert_int_eq(number(json, "omitted"), 0);
    ck_assert_str_eq(text(row("heaps", 2), "name"), WORLD_HOSTILE_HEAP);
    ck_assert_int_eq(number(row("heaps", 0), "used_bytes"), 10 << 20);
    ck_assert_int_eq(number(row("heaps", 0), "live_bytes"), 3 << 19);
    ck_assert_int_eq(number(row("heaps", 0), "max_bytes"), 256 << 20);
    ck_assert_int_eq(number(row("heaps", 3), "threads"), 3);
    ck_assert(json_is_false(json_object_get(row("heaps", 0), "corrupt")));
}
END_TEST

START_TEST(a_limit_says_what_it_leaves_out)
{
    RUN("list", "-n", "2");
    assert_line("... and 3 more");
    assert_no("fir");
    ctl_run_free(&run);
    RUN_JSON("list", "--limit=2");
    ck_assert_uint_eq(json_array_size(json_object_get(json, "heaps")), 2);
    ck_assert_int_eq(number(json, "omitted"), 3);
}
END_TEST

START_TEST(bytes_shows_sizes_exactly)
{
    RUN("list", "--bytes");
    assert_line(
        "arbor              immix  10485760  1572864  268435456        2   41");
}
END_TEST

START_TEST(info_shows_memory_pages_spaces_pauses_and_packets)
{
    RUN("info", "trees");
    assert_line("trees: plan immix");
    assert_line("  maximum                      256.0 MiB");
    assert_line("  metadata                       4.0 MiB");
    assert_line("  metadata share of committed     25.0 %");
    assert_line("  pages                        4 KiB: shmem_enabled is never");
    assert_line("  SPACE     USED  BLOCKS     LIVE");
    assert_line("  immix  2.0 MiB      64  1.0 MiB");
    assert_line("  paused the last time              9.0 ms");
    assert_line("  of it, to stop the threads       20.0 us");
    assert_line("  PAUSE                COUNT     TOTAL      P50      P99    P99.9   P99.99      MAX");
    assert_line("  full                     2    4.0 ms   2.0 ms   6.0 ms   8.0 ms  10.0 ms  12.0 ms");
    assert_line("  to stop the threads     41  410.0 us  10.0 us  30.0 us  40.0 us  50.0 us  60.0 us");
    assert_no("  all "); /* one kind is all */
    assert_no("Young objects");
    assert_no("Concurrent collections");
    assert_no("Write barrier");
    assert_line("  OPTION      VALUE");
    assert_line("  gc_trigger  dynamic:16M,1G");
    assert_line("  PACKET      COUNT   TOTAL    MEAN     MIN     MAX");
    assert_line("  SCAN_ROOTS      4  4.0 us  1.0 us  500 ns  2.0 us");
    assert_no("CORRUPT");
}
END_TEST

START_TEST(info_shows_each_kind_of_pause_and_what_is_young)
{
    world.generational = true;
    RUN("info", "trees");
    assert_line("  PAUSE                COUNT     TOTAL       P50       P99     P99.9    P99.99       MAX");
    assert_line("  full                     2    4.0 ms    2.0 ms    6.0 ms    8.0 ms   10.0 ms   12.0 ms");
    assert_line("  young                   39    3.9 ms  100.0 us  300.0 us  400.0 us  500.0 us  600.0 us");
    assert_line("  all                     41    6.2 ms  150.0 us  450.0 us  600.0 us  750.0 us  900.0 us");
    assert_line("  to stop the threads     41  410.0 us   10.0 us   30.0 us   40.0 us   50.0 us   60.0 us");
    assert_line("  looked at              800.0 MiB");
    assert_line("  promoted                40.0 MiB");
    assert_line("  survived                   5.0 %");
    assert_line("  survived the last one     25.0 %");
    assert_line("  worked while clients ran  2.50 s");
    assert_line("  became full collections        3");
    assert_line("  stores logged              123456");
    assert_line("  times that some were lost       2");
}
END_TEST

START_TEST(info_in_json_has_pauses_by_kind_and_all_counters)
{
    world.generational = true;
    RUN_JSON("info", "trees");
    ck_assert_uint_eq(json_array_size(json_object_get(json, "pauses")), 2);
    ck_assert_str_eq(text(row("pauses", 0), "kind"), "full");
    ck_assert_str_eq(text(row("pauses", 1), "kind"), "young");
    ck_assert_int_eq(number(row("pauses", 1), "count"), 39);
    ck_assert_int_eq(number(row("pauses", 1), "total_ns"), 3900000);
    ck_assert_int_eq(number(row("pauses", 1), "mean_ns"), 100000);
    ck_assert_int_eq(number(row("pauses", 1), "min_ns"), 50000);
    ck_assert_int_eq(number(row("pauses", 1), "p50_ns"), 100000);
    ck_assert_int_eq(number(row("pauses", 1), "p90_ns"), 200000);
    ck_assert_int_eq(number(row("pauses", 1), "p99_ns"), 300000);
    ck_assert_int_eq(number(row("pauses", 1), "p99_9_ns"), 400000);
    ck_assert_int_eq(number(row("pauses", 1), "p99_99_ns"), 500000);
    ck_assert_int_eq(number(row("pauses", 1), "max_ns"), 600000);
    ck_assert_int_eq(number(json_object_get(json, "all_pauses"), "count"), 41);
    ck_assert_int_eq(number(json_object_get(json, "all_pauses"), "max_ns"), 900000);
    ck_assert_int_eq(number(json_object_get(json, "all_stops"), "p99_99_ns"), 50000);
    ck_assert_int_eq(number(json, "concurrent_ns"), 2500000000);
    ck_assert_int_eq(number(json, "fallbacks"), 3);
    ck_assert_int_eq(number(json, "barrier_slow_paths"), 123456);
    ck_assert_int_eq(number(json, "barrier_losses"), 2);
    ck_assert_int_eq(number(json, "young_new_bytes"), 800 << 20);
    ck_assert_int_eq(number(json, "promoted_bytes"), 40 << 20);
    ck_assert_int_eq(number(json, "last_young_new_bytes"), 16 << 20);
    ck_assert_int_eq(number(json, "last_promoted_bytes"), 4 << 20);
    ck_assert_double_eq(json_real_value(json_object_get(json, "survival_rate")), 0.05);
    ck_assert_double_eq(json_real_value(json_object_get(json, "last_survival_rate")), 0.25);
}
END_TEST

START_TEST(info_in_json_has_the_recent_measurements)
{
    RUN_JSON("info", "trees");
    const json_t *pauses = json_object_get(json, "recent_pause_ns"),
                 *stops = json_object_get(json, "recent_stop_ns");
    ck_assert_uint_eq(json_array_size(pauses), 4);
    ck_assert_int_eq(json_integer_value(json_array_get(pauses, 3)), 9000000); /* oldest first */
    ck_assert_uint_eq(json_array_size(stops), 3);
    ck_assert_int_eq(json_integer_value(json_array_get(stops, 0)), 30000);
    ck_assert_str_eq(text(json, "name"), "trees");
    ck_assert_str_eq(text(json, "plan"), "immix");
    ck_assert_int_eq(number(json, "collections"), 41);
    ck_assert_int_eq(number(json, "abandoned_stops"), 5);
    ck_assert_int_eq(number(json, "last_pause_ns"), 9000000);
    ck_assert_int_eq(number(json, "max_pause_ns"), 12000000);
    ck_assert_int_eq(number(json, "recent_mean_pause_ns"), 3750000);
    ck_assert_int_eq(number(json, "recent_p50_pause_ns"), 2000000);
    ck_assert_int_eq(number(json, "recent_p99_pause_ns"), 9000000);
    ck_assert_int_eq(number(json, "recent_max_stop_ns"), 30000);
    ck_assert_int_eq(number(json, "committed_bytes"), 16 << 20);
    ck_assert_double_eq(json_real_value(json_object_get(json, "metadata_share")), 0.25);
    ck_assert_int_eq(number(row("packets", 0), "mean_ns"), 1000);
    ck_assert_int_eq(number(row("spaces", 0), "blocks"), 64);
    ck_assert_int_eq(number(row("spaces", 0), "live_bytes"), 1 << 20);
    ck_assert_str_eq(text(row("options", 0), "key"), "gc_trigger");
    ck_assert_str_eq(text(row("options", 0), "value"), "dynamic:16M,1G");
    ck_assert_int_eq(number(json, "emergency_collections"), 4);
}
END_TEST

START_TEST(info_says_when_a_heap_is_quarantined)
{
    world.corrupt = true;
    RUN("info", "trees");
    assert_line("trees: plan immix, CORRUPT and quarantined: see `mmgcctl verify`, then destroy it");
}
END_TEST

START_TEST(clients_names_late_threads)
{
    RUN("clients");
    assert_line("SESSION  CLIENT    PID  USER  HEAP   CONNECTED  HANDLES  LEASES  NOTICES  DUE");
    assert_line("      5  web      4700  root  -      2 min 5 s        3       0  -          0");
    assert_line("      6  indexer  4700  root  trees  2 min 5 s        3       1  all        2");
    assert_line("SESSION  CLIENT   THREAD  NAME         TID  STATE  GRANTED  LATE  SLOWEST");
    assert_line("      6  indexer       2  worker\\x0d  4712  in     3.0 MiB     2   1.20 s");
    assert_line("late: thread 2 'worker\\x0d' (tid 4712) of 'indexer' (pid 4700) kept 2 collections waiting past the"
                " deadline; its slowest stop took 1.20 s");
    assert_no("thread 1 'main'");
}
END_TEST

START_TEST(clients_in_json_has_threads_within)
{
    RUN_JSON("clients");
    ck_assert_uint_eq(json_array_size(json_object_get(json, "clients")), 2);
    ck_assert_int_eq(number(row("clients", 0), "session"), 5);
    ck_assert_int_eq(number(row("clients", 1), "connected_ms"), 125000);
    const json_t *threads = json_object_get(row("clients", 1), "threads");
    ck_assert_uint_eq(json_array_size(threads), 2);
    ck_assert_int_eq(number(json_array_get(threads, 1), "late_stops"), 2);
    ck_assert_int_eq(number(json_array_get(threads, 1), "max_stop_ns"), 1200000000);
    ck_assert_str_eq(text(json_array_get(threads, 1), "name"), "worker\r");
}
END_TEST

START_TEST(threads_are_those_of_all_clients)
{
    RUN("threads");
    assert_line("SESSION  CLIENT   THREAD  NAME         TID  STATE  GRANTED  LATE  SLOWEST");
    assert_line("      6  indexer       2  worker\\x0d  4712  in     3.0 MiB     2   1.20 s");
    assert_no("HANDLES");
    ctl_run_free(&run);
    RUN_JSON("threads", "--limit=1");
    ck_assert_uint_eq(json_array_size(json_object_get(json, "threads")), 1);
    ck_assert_int_eq(number(row("threads", 0), "pid"), 4700);
    ck_assert_str_eq(text(row("threads", 0), "client"), "indexer");
}
END_TEST

/* Names as people give them. What is rare appears where there is some. */
START_TEST(no_table_is_wider_than_a_terminal)
{
    static const char *const commands[] = { "list", "clients", "threads", "users", "handles", "leases" };
    RUN(commands[_i]);
    for (const char *line = run.out, *end; *line != '\0' && (end = strchr(line, '\n')) != NULL; line = end + 1)
        if (strncmp(line, "late:", 5) != 0)
            ck_assert_msg(end - line <= 80, "%d columns: %.*s", (int)(end - line), (int)(end - line), line);
}
END_TEST

START_TEST(clients_of_one_heap_are_those_it_asks_for)
{
    RUN_JSON("clients", "trees");
    ck_assert_uint_eq(json_array_size(json_object_get(json, "clients")), 1);
    ck_assert_int_eq(number(row("clients", 0), "session"), 6);
}
END_TEST

START_TEST(a_histogram_has_most_bytes_first_and_sums)
{
    RUN("histogram", "trees");
    ck_assert_str_eq(run.out, "OBJECTS    BYTES   SHARE  TYPE\n"
                              "     10  4.0 KiB  40.0 %  node\n"
                              "     20  3.0 KiB  30.0 %  leaf\n"
                              "     30  2.0 KiB  20.0 %  array\n"
                              "     40  1.0 KiB  10.0 %  big\n"
                              "100 objects, 10.0 KiB\n");
    ck_assert_uint_eq(world.last_after_type, 3);
}
END_TEST

static const struct {
    const char *option, *first, *last;
} sorts[] = { { "--sort=bytes", "node", "big" },
              { "--sort=objects", "big", "node" },
              { "--sort=name", "array", "node" } };

START_TEST(a_histogram_is_sorted_as_asked)
{
    RUN_JSON("histogram", "trees", sorts[_i].option);
    ck_assert_str_eq(text(row("types", 0), "name"), sorts[_i].first);
    ck_assert_str_eq(text(row("types", 3), "name"), sorts[_i].last);
    ck_assert_int_eq(number(json, "total_objects"), 100);
    ck_assert_int_eq(number(json, "total_bytes"), 10240);
}
END_TEST

START_TEST(a_limited_histogram_still_sums_all)
{
    RUN("histogram", "trees", "-n1", "-b");
    ck_assert_str_eq(run.out, "OBJECTS  BYTES   SHARE  TYPE\n"
                              "     10   4096  40.0 %  node\n"
                              "... and 3 more\n"
                              "100 objects, 10240 B\n");
}
END_TEST

START_TEST(roots_have_names_types_and_offsets)
{
    RUN("roots", "trees");
    ck_assert_str_eq(run.out, "NAME  TYPE  BYTES  OFFSET\n"
                              "aa    node   24 B  0x1000\n"
                              "zz\xef\xbf\xbd   node   24 B  0x1000\n"
                              "and 11 handles, 4 local roots\n");
}
END_TEST

START_TEST(a_name_that_is_no_utf8_shows_that)
{
    RUN_JSON("roots", "trees");
    ck_assert_str_eq(text(row("roots", 1), "name"), "zz\xef\xbf\xbd");
    ck_assert_int_eq(number(row("roots", 1), "ref"), 512);
    ck_assert_int_eq(number(json, "handles"), 11);
    ck_assert_int_eq(number(json, "local_slots"), 4);
}
END_TEST

START_TEST(handles_and_leases_are_tables_of_all_pages)
{
    RUN("handles", "trees");
    assert_line("SESSION  CLIENT  SLOT  KIND    NAME        TYPE  BYTES  OFFSET");
    assert_line("      5  web        7  strong  adding\\x1b  node   24 B  0x1000");
    assert_line("      5  web        9  soft    adding\\x1b  node   24 B  0x1000");
    assert_no("\033");
    ck_assert_uint_eq(world.last_session, 0);
    ctl_run_free(&run);
    RUN("leases");
    assert_line("SESSION  CLIENT   SLOT  KIND       HELD  AGE  WAITERS  NAME        TYPE  OFFSET");
    assert_line("      6  indexer     7  exclusive   yes  7 s        2  adding\\x1b  node  0x1000");
    assert_line("      6  indexer     9  exclusive     -  7 s        2  adding\\x1b  node  0x1000");
}
END_TEST

START_TEST(leases_are_of_the_client_that_was_asked_for)
{
    RUN_JSON("leases", "--client", "6");
    ck_assert_uint_eq(world.last_session, 6);
    ck_assert_uint_eq(json_array_size(json_object_get(json, "leases")), 2);
}
END_TEST

START_TEST(handles_in_json_are_of_the_client_that_was_asked_for)
{
    RUN_JSON("handles", "--client", "5");
    ck_assert_uint_eq(world.last_session, 5);
    ck_assert_uint_eq(json_array_size(json_object_get(json, "handles")), 2);
    ck_assert_int_eq(number(row("handles", 1), "slot"), 9);
    ck_assert_str_eq(text(row("handles", 1), "kind"), "soft");
    ck_assert_str_eq(text(row("handles", 0), "heap"), "trees");
    ck_assert_int_eq(number(row("handles", 0), "ref"), 512);
}
END_TEST

START_TEST(pages_of_handles_that_do_not_go_on_are_an_error)
{
    world.circles = true;
    run = ctl_run(fake_socket(fake), "handles", NULL);
    ck_assert_int_eq(run.status, 1);
    ck_assert_ptr_nonnull(strstr(run.err, "pages of rows that do not go on"));
}
END_TEST

START_TEST(a_lease_is_revoked_by_its_two_numbers)
{
    RUN("revoke", "trees", "6", "7");
    assert_line("trees: lease 7 of client 6 is revoked");
    ck_assert_uint_eq(world.revoked, 1);
    ctl_run_free(&run);
    run = ctl_run(fake_socket(fake), "revoke", "trees", "6", "8", NULL);
    ck_assert_int_eq(run.status, 1);
    ctl_run_free(&run);
    run = ctl_run(fake_socket(fake), "revoke", "trees", "6", NULL);
    ck_assert_int_eq(run.status, 2);
    ctl_run_free(&run);
    run = ctl_run(fake_socket(fake), "revoke", "trees", "6", "x", NULL);
    ck_assert_int_eq(run.status, 2);
}
END_TEST

START_TEST(a_client_is_evicted_by_its_number)
{
    RUN("evict", "6");
    assert_line("client 6 'web' is evicted: process 4711 is killed, which had 2 connections");
    ck_assert_uint_eq(world.evicted, 1);
    static const struct {
        const char *operand;
        int status;
    } bad[] = { { "7", 1 }, { "web", 2 }, { NULL, 2 } };
    for (size_t i = 0; i < MM_ARRAY_LEN(bad); i++) {
        ctl_run_free(&run);
        run = ctl_run(fake_socket(fake), "evict", bad[i].operand, NULL);
        ck_assert_int_eq(run.status, bad[i].status);
    }
    ck_assert_uint_eq(world.evicted, 1);
}
END_TEST

START_TEST(users_are_three_tables_of_all_pages)
{
    RUN("users");
    assert_line("USER  HEAPS    BYTES  CLIENTS  THREADS  HANDLES  LEASES  TYPES  FILES");
    assert_line("root      2  6.0 MiB        3        0        0       0      0     17");
    assert_line("4242      2  6.0 MiB        3        0        0       0      0     17");
    assert_line("MAY HAVE  HEAPS     BYTES  CLIENTS  THREADS  HANDLES  LEASES  TYPES");
    assert_line("root        any       any      any      any      any     any    any");
    assert_line("4242          2  64.0 MiB      100      100      100     100    100");
    assert_line("MAY DO  REQUESTS/S  CONNECTS/S  REFUSED  HELD BACK  SECTION");
    assert_line("root           any         any        0          0  user");
    assert_line("4242          1000        1000        5          0  user");
    assert_line("60 of 1024 file descriptors are in use");
}
END_TEST

START_TEST(users_in_json_have_null_where_nothing_bounds_them)
{
    RUN_JSON("users");
    ck_assert_uint_eq(json_array_size(json_object_get(json, "users")), 2);
    ck_assert(json_is_null(json_object_get(row("users", 0), "max_heaps")));
    ck_assert(json_is_true(json_object_get(row("users", 0), "trusted")));
    ck_assert_int_eq(number(row("users", 1), "max_heaps"), 2);
    ck_assert_int_eq(number(row("users", 1), "bytes"), 6 << 20);
    ck_assert_int_eq(number(row("users", 1), "requests_per_second"), 1000);
    ck_assert_int_eq(number(json, "max_files"), 1024);
}
END_TEST

START_TEST(pages_of_users_that_do_not_go_on_are_an_error)
{
    world.circles = true;
    run = ctl_run(fake_socket(fake), "users", NULL);
    ck_assert_int_eq(run.status, 1);
    ck_assert_ptr_nonnull(strstr(run.err, "pages of users that do not go on"));
}
END_TEST

static Suite *looking_suite(void)
{
    Suite *suite = suite_create("looking");
    TCase *looking = tcase_create("looking");

    tcase_add_checked_fixture(looking, set_up, tear_down);
    tcase_add_test(looking, list_is_a_table_of_all_pages);
    tcase_add_test(looking, list_in_json_has_exact_numbers_and_names);
    tcase_add_test(looking, a_limit_says_what_it_leaves_out);
    tcase_add_test(looking, bytes_shows_sizes_exactly);
    tcase_add_test(looking, info_shows_memory_pages_spaces_pauses_and_packets);
    tcase_add_test(looking, info_in_json_has_the_recent_measurements);
    tcase_add_test(looking, info_says_when_a_heap_is_quarantined);
    tcase_add_test(looking, info_shows_each_kind_of_pause_and_what_is_young);
    tcase_add_test(looking, info_in_json_has_pauses_by_kind_and_all_counters);
    tcase_add_test(looking, clients_names_late_threads);
    tcase_add_test(looking, clients_in_json_has_threads_within);
    tcase_add_test(looking, threads_are_those_of_all_clients);
    tcase_add_loop_test(looking, no_table_is_wider_than_a_terminal, 0, 6);
    tcase_add_test(looking, clients_of_one_heap_are_those_it_asks_for);
    tcase_add_test(looking, a_histogram_has_most_bytes_first_and_sums);
    tcase_add_loop_test(looking, a_histogram_is_sorted_as_asked, 0, MM_ARRAY_LEN(sorts));
    tcase_add_test(looking, a_limited_histogram_still_sums_all);
    tcase_add_test(looking, roots_have_names_types_and_offsets);
    tcase_add_test(looking, a_name_that_is_no_utf8_shows_that);
    tcase_add_test(looking, handles_and_leases_are_tables_of_all_pages);
    tcase_add_test(looking, leases_are_of_the_client_that_was_asked_for);
    tcase_add_test(looking, handles_in_json_are_of_the_client_that_was_asked_for);
    tcase_add_test(looking, pages_of_handles_that_do_not_go_on_are_an_error);
    tcase_add_test(looking, a_lease_is_revoked_by_its_two_numbers);
    tcase_add_test(looking, a_client_is_evicted_by_its_number);
    tcase_add_test(looking, users_are_three_tables_of_all_pages);
    tcase_add_test(looking, users_in_json_have_null_where_nothing_bounds_them);
    tcase_add_test(looking, pages_of_users_that_do_not_go_on_are_an_error);
    suite_add_tcase(suite, looking);
    return suite;
}

int main(int argc, char **argv)
{
    return runner_main(argc, argv, looking_suite);
}
