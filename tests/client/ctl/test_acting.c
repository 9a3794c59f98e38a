/* SPDX-License-Identifier: Apache-2.0 */
/* gc, verify, destroy, ping: what they do, and the status they end with. */
#include <string.h>

#include "tests/client/ctl/run.h"
#include "tests/client/ctl/world.h"
#include "tests/support/runner.h"

static struct world world;
static struct fake *fake;
static struct ctl_run run;

static void set_up(void)
{
    world = (struct world){ 0 };
    fake = fake_start(world_answer, &world);
}

static void tear_down(void)
{
    ctl_run_free(&run);
    fake_stop(fake);
}

#define RUN(wanted_status, ...) \
    do { \
        run = ctl_run(fake_socket(fake), __VA_ARGS__, NULL); \
        ck_assert_msg(run.status == (wanted_status), "status %d: %s", run.status, run.err); \
    } while (0)
#define assert_has(text_, part) \
    ck_assert_msg(strstr(text_, part) != NULL, "no '%s' in:\n%s", part, text_)

static json_int_t number_of(const char *key)
{
    json_auto_t *json = parse_json(run.out);

    ck_assert_msg(json_is_integer(json_object_get(json, key)), "%s is no integer", key);
    return json_integer_value(json_object_get(json, key));
}

START_TEST(gc_waits_until_the_collection_is_done)
{
    world.looks_until_done = 5;
    RUN(0, "gc", "trees");
    ck_assert_str_eq(run.out, "trees: collection 42 freed 2.0 MiB of 10.0 MiB, 1.5 MiB live;"
                              " paused 9.0 ms, 20.0 us of it to stop the threads\n");
    ck_assert_uint_eq(world.collects, 1);
    ck_assert_uint_ge(world.looks, 6);
}
END_TEST

START_TEST(gc_in_json_says_the_same)
{
    RUN(0, "gc", "trees", "--json");
    ck_assert_int_eq(number_of("collection"), 42);
    ck_assert_int_eq(number_of("freed_bytes"), 2 << 20);
    ck_assert_int_eq(number_of("used_before_bytes"), 10 << 20);
    ck_assert_int_eq(number_of("used_bytes"), 8 << 20);
    ck_assert_int_eq(number_of("pause_ns"), 9000000);
    ck_assert_int_eq(number_of("stop_ns"), 20000);
}
END_TEST

START_TEST(gc_says_when_the_heap_ignores_it)
{
    world.ignores = true;
    RUN(0, "gc", "trees");
    ck_assert_str_eq(run.out, "trees: not collected: ignore_system_gc is on\n");
    ctl_run_free(&run);
    RUN(0, "gc", "trees", "--json");
    assert_has(run.out, "\"ignored\": true");
}
END_TEST

START_TEST(gc_fails_when_the_stop_is_given_up)
{
    world.stalls = true;
    RUN(1, "gc", "trees");
    ck_assert_str_eq(run.out, "");
    assert_has(run.err, "mmgcctl: gc trees: a client did not stop in time");
    assert_has(run.err, "`mmgcctl clients` names it");
}
END_TEST

START_TEST(gc_gives_up_waiting_after_the_timeout)
{
    world.looks_until_done = 1000000;
    RUN(1, "gc", "trees", "--timeout=500ms", "--json");
    assert_has(run.out, "\"name\": \"TIMEOUT\"");
}
END_TEST

START_TEST(verify_of_a_clean_heap_is_a_success)
{
    RUN(0, "verify", "trees");
    ck_assert_str_eq(run.out, "trees: clean, 100 objects, 250 references; reachable: 60 objects, 6.0 KiB\n");
}
END_TEST

START_TEST(verify_with_faults_has_a_status_of_its_own)
{
    world.faulty = true;
    RUN(4, "verify", "trees");
    assert_has(run.out,
               "trees: 3 faults in 100 objects, 250 references; reachable: 60 objects, 6.0 KiB\n"
               "OBJECT  TYPE  HEADER              REFERENCE  FAULT\n"
               "  0x80  node  0xfedcba9876543210     0x8000  a reference outside\\x0athe arena\n"
               "and 2 more\n"
               "quarantined for 7 s, since its collection 12: a second\\x0atrace\n"
               "clients that could write then: web (pid 7)\n"
               "faults then:\n");
    ctl_run_free(&run);
    RUN(4, "verify", "trees", "--json");
    ck_assert_int_eq(number_of("faults"), 3);
    assert_has(run.out, "\"clean\": false");
    assert_has(run.out, "\"header\": \"0xfedcba9876543210\"");
    assert_has(run.out, "\"why\": \"a second\\ntrace\"");
    assert_has(run.out, "\"object\": 16");
}
END_TEST

START_TEST(destroy_needs_force_for_a_heap_in_use)
{
    world.busy = true;
    RUN(1, "destroy", "trees");
    assert_has(
        run.err,
        "mmgcctl: destroy trees: the heap has clients: end them first, or destroy it with force\n  2 clients\n");
    ck_assert_uint_eq(world.destroyed, 0);
    ctl_run_free(&run);
    RUN(0, "destroy", "--force", "trees");
    ck_assert_str_eq(run.out, "trees: destroyed\n");
    ck_assert_uint_eq(world.destroyed, 1);
}
END_TEST

START_TEST(destroy_in_json_says_so)
{
    RUN(0, "destroy", "trees", "--json");
    json_auto_t *json = parse_json(run.out);
    ck_assert(json_is_true(json_object_get(json, "destroyed")));
}
END_TEST

START_TEST(ping_says_who_answers)
{
    RUN(0, "ping");
    assert_has(run.out, "mmgcd 9.8.7 (protocol 1) answers on ");
    assert_has(run.out, fake_socket(fake));
    ctl_run_free(&run);
    RUN(0, "ping", "--json");
    ck_assert_int_gt(number_of("round_trip_ns"), 0);
    assert_has(run.out, "\"incarnation\": \"fedcba9876543210\"");
}
END_TEST

START_TEST(a_heap_that_is_not_there_is_a_failure)
{
    static const char *const commands[] = { "info", "histogram", "roots", "gc", "verify", "destroy" };

    RUN(1, commands[_i], "oak");
    ck_assert_str_eq(run.out, "");
    assert_has(run.err, "there is no heap of this name: create it, or look at `mmgcctl list`\n  oak\n");
    ctl_run_free(&run);
    RUN(1, commands[_i], "oak", "--json");
    ck_assert_str_eq(run.err, "");
    json_auto_t *json = parse_json(run.out);
    const json_t *error = json_object_get(json, "error");
    ck_assert_int_eq(json_integer_value(json_object_get(error, "code")), MMGC_E_NO_HEAP);
    ck_assert_str_eq(json_string_value(json_object_get(error, "name")), "NO_HEAP");
    ck_assert_str_eq(json_string_value(json_object_get(error, "message")),
                     mmgc_error_sentence(MMGC_E_NO_HEAP));
    ck_assert_str_eq(json_string_value(json_object_get(error, "detail")), "oak");
}
END_TEST

static Suite *acting_suite(void)
{
    Suite *suite = suite_create("acting");
    TCase *acting = tcase_create("acting");

    tcase_add_checked_fixture(acting, set_up, tear_down);
    tcase_add_test(acting, gc_waits_until_the_collection_is_done);
    tcase_add_test(acting, gc_in_json_says_the_same);
    tcase_add_test(acting, gc_says_when_the_heap_ignores_it);
    tcase_add_test(acting, gc_fails_when_the_stop_is_given_up);
    tcase_add_test(acting, gc_gives_up_waiting_after_the_timeout);
    tcase_add_test(acting, verify_of_a_clean_heap_is_a_success);
    tcase_add_test(acting, verify_with_faults_has_a_status_of_its_own);
    tcase_add_test(acting, destroy_needs_force_for_a_heap_in_use);
    tcase_add_test(acting, destroy_in_json_says_so);
    tcase_add_test(acting, ping_says_who_answers);
    tcase_add_loop_test(acting, a_heap_that_is_not_there_is_a_failure, 0, 6);
    suite_add_tcase(suite, acting);
    return suite;
}

int main(int argc, char **argv)
{
    return runner_main(argc, argv, acting_suite);
}
