/* SPDX-License-Identifier: Apache-2.0 */
/* test_options.c - Options of a heap against a real daemon: who may say what, and what follows from it. */
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "shm/units.h"
#include "tests/daemon/raw.h"
#include "tests/support/runner.h"

#define HEAP_BYTES (UINT64_C(16) << 20)
#define FACTOR (UINT64_C(256) << 10)

static struct daemon *d;
static struct raw c;
static struct raw_thread t;

static void set_up(void)
{
    d = daemon_start("[daemon]\nthreads = 2\nlog_level = error\n[heap]\nsize = 32M\nmax_size = 64M\nstress_factor = 8M\n"
                     "[heap named]\nplan = semispace\nmode = 0640\n");
    raw_start(&c, d, "client");
}

static void tear_down(void)
{
    raw_close(&c);
    daemon_stop(d);
}

static enum mmgc_error try_create(const char *heap, uint64_t max_bytes, const char *options)
{
    c.options = options;
    return raw_try_open(&c, heap, max_bytes);
}

static void create(const char *heap, const char *options)
{
    enum mmgc_error code = try_create(heap, HEAP_BYTES, options);

    ck_assert_msg(code == MMGC_E_OK, "%s: %s", options, c.detail);
    raw_attach(&t, &c, "one");
}

/* The facts of @heap; the caller frees. */
static wire_reply *ask_facts(const char *heap)
{
    RAW(request, HEAP_INFO, heap_info);

    request_body.name = (char *)heap;
    wire_reply *reply = raw_ask(&c, &request);
    ck_assert_int_eq(reply->body_case, WIRE_REPLY(HEAP_FACTS));
    return reply;
}

/* As mmgcctl info shows it: "KEY=VALUE KEY=VALUE". */
static void options_of(const char *heap, char *ret, size_t size)
{
    wire_reply *reply = ask_facts(heap);
    const wire_heap_facts *facts = reply->heap_facts;
    size_t length = 0;

    ret[0] = '\0';
    for (size_t i = 0; i < facts->n_options; i++)
        length += (size_t)snprintf(ret + length, size - length, "%s%s=%s", i == 0 ? "" : " ",
                                   facts->options[i]->key, facts->options[i]->value);
    wire_reply_free(reply);
}

static uint64_t emergencies(const char *heap)
{
    wire_reply *reply = ask_facts(heap);
    uint64_t count = reply->heap_facts->emergency_collections;

    wire_reply_free(reply);
    return count;
}

static uint64_t collections(void)
{
    return at_load_acquire(&c.control->collections);
}

static uint64_t granted(void)
{
    return at_load_relaxed(&c.control->granted_bytes);
}

static void take_all(enum shm_grant_class class)
{
    at_store_release(&t.m->mail[class].taken, at_load_acquire(&t.m->mail[class].published));
}

/* ---- who says what ---- */

START_TEST(a_creators_options_win_over_those_of_the_administrator)
{
    char text[512];

    create("named", "stress_factor=1M,precise_stress=on gc_trigger=dynamic:4M,1G, sanity=yes nursery=bounded:2M,8M,pause_goal=1000us");
    options_of("named", text, sizeof(text));
    ck_assert_str_eq(text, "size=16M max_size=64M plan=semispace gc_trigger=dynamic:4M,16M mode=0640 "
                           "nursery=bounded:2M,8M pause_goal=1ms stress_factor=1M precise_stress=on sanity=on");
    ck_assert_str_eq(c.control->plan, "semispace");
}
END_TEST

START_TEST(a_heap_of_another_name_has_the_common_options)
{
    char text[512];

    create("other", "");
    options_of("other", text, sizeof(text));
    ck_assert_str_eq(text, "size=16M max_size=64M stress_factor=8M");
}
END_TEST

START_TEST(size_and_plan_can_be_options_and_the_fields_win)
{
    ck_assert_int_eq(try_create("sized", 0, "size=8M limit=4M plan=nogc"), MMGC_E_OK);
    ck_assert_uint_eq(c.arena_bytes, 8 << 20);
    ck_assert_uint_eq(at_load_relaxed(&c.control->limit_bytes), 4 << 20);
    ck_assert_str_eq(c.control->plan, "nogc");
    raw_close(&c);
    raw_start(&c, d, "client");
    ck_assert_int_eq(try_create("field", HEAP_BYTES, "size=8M"), MMGC_E_OK);
    ck_assert_uint_eq(c.arena_bytes, HEAP_BYTES);
}
END_TEST

static const struct {
    const char *options, *words;
    enum mmgc_error error;
} refused[] = {
    { "color=blue", "there is no option 'color'; there are size", MMGC_E_INVALID },
    { "stress_factor", "'stress_factor' is not KEY=VALUE", MMGC_E_INVALID },
    { "stress_factor=", "stress_factor=: not a size", MMGC_E_INVALID },
    { "sanity=perhaps", "sanity=perhaps: it can be on or off", MMGC_E_INVALID },
    { "sanity=on,precise_stress=2", "precise_stress=2: ", MMGC_E_INVALID },
    { "gc_trigger=dynamic:4M", "gc_trigger=dynamic:4M: write fixed", MMGC_E_INVALID },
    { "nursery=bounded:2M", "nursery=bounded:2M: write fixed", MMGC_E_INVALID },
    { "pause_goal=1", "pause_goal=1: not a time", MMGC_E_INVALID },
    { "plan=imix", "plan=imix: it can be one of: nogc", MMGC_E_INVALID },
    { "max_size=1G", "max_size: only the administrator", MMGC_E_INVALID },
    { "max_names=1", "max_names: only the administrator", MMGC_E_INVALID },
    { "huge_pages=never", "huge_pages: only the administrator", MMGC_E_INVALID },
    { "size=128M", "(max_size)", MMGC_E_TOO_LARGE },
    { "size=8M limit=16M", "above its maximum", MMGC_E_INVALID },
    { "=on", "there is no option ''", MMGC_E_INVALID },
    { "sanity==on", "sanity==on", MMGC_E_INVALID },
};

START_TEST(what_a_creator_may_not_say_is_refused_and_named)
{
    enum mmgc_error code = try_create("refused", 0, refused[_i].options);

    ck_assert_msg(code == refused[_i].error, "%s: %s", refused[_i].options, mmgc_error_name(code));
    ck_assert_msg(strstr(c.detail, refused[_i].words) != NULL, "%s: %s", refused[_i].options, c.detail);
    ck_assert_int_eq(try_create("refused", 0, ""), MMGC_E_OK); /* nothing was made */
}
END_TEST

/* ---- collections that are asked for ---- */

START_TEST(an_ignored_wish_is_answered_with_the_collections_there_were)
{
    RAW(request, COLLECT, collect);

    create("h", "ignore_system_gc=on");
    wire_reply *reply = raw_ask(&c, &request);
    ck_assert_int_eq(reply->body_case, WIRE_REPLY(COLLECT_STARTED));
    ck_assert(reply->collect_started->ignored);
    ck_assert_uint_eq(reply->collect_started->number, 0);
    wire_reply_free(reply);
    for (int i = 0; i < 100 && collections() == 0; i++) /* but a full heap is collected */
        if (raw_grant(&t, SHM_GRANT_LARGE, 1 << 20) == MMGC_E_OK)
            take_all(SHM_GRANT_LARGE);
    ck_assert_uint_gt(collections(), 0);
}
END_TEST

/* ---- stress ---- */

static void wait_for_collection(uint64_t number)
{
    for (int tick = 0; collections() < number; tick++, usleep(1000))
        ck_assert_msg(tick < 10000, "collection %llu did not come", (unsigned long long)number);
}

START_TEST(stress_factor_makes_a_collection_whenever_so_much_was_granted)
{
    create("h", "stress_factor=256K");
    for (uint64_t round = 1; round <= 8; round++) {
        uint64_t before = granted();
        ck_assert_uint_eq(collections(), round - 1);
        while (granted() - before < FACTOR) {
            ck_assert_uint_eq(collections(), round - 1);
            ck_assert_int_eq(raw_grant(&t, SHM_GRANT_LINES, MM_BLOCK_BYTES), MMGC_E_OK);
            take_all(SHM_GRANT_LINES);
        }
        wait_for_collection(round);
    }
}
END_TEST

START_TEST(precise_stress_grants_no_more_than_that_between_two)
{
    static const enum shm_grant_class classes[] = { SHM_GRANT_LINES, SHM_GRANT_BLOCKS,
                                                    SHM_GRANT_NONMOVING, SHM_GRANT_LARGE };
    uint64_t total = 0;

    create("h", "stress_factor=256K precise_stress=on");
    for (int i = 0; i < 60; i++) { /* each asks for more than may be granted at once, or does not divide it */
        enum shm_grant_class class = classes[i % 4];
        uint64_t before = granted(), bytes = class == SHM_GRANT_LARGE ? 100000 : 1 << 20;
        ck_assert_int_eq(raw_grant(&t, class, bytes), MMGC_E_OK);
        take_all(class);
        ck_assert_uint_le(granted() - before, FACTOR);
        ck_assert_uint_le(granted(), (collections() + 1) * FACTOR);
        total += granted() - before;
    }
    ck_assert_uint_eq(total, granted());
    ck_assert_uint_ge(collections() + 1, total / FACTOR);
}
END_TEST

START_TEST(precise_stress_lets_pass_what_is_larger_by_itself)
{
    create("h", "stress_factor=4K precise_stress=on");
    for (int i = 0; i < 4; i++) {
        uint64_t before = collections();
        ck_assert_int_eq(raw_grant(&t, i % 2 == 0 ? SHM_GRANT_LARGE : SHM_GRANT_LINES, 1 << 20),
                         MMGC_E_OK);
        take_all(i % 2 == 0 ? SHM_GRANT_LARGE : SHM_GRANT_LINES);
        wait_for_collection(before + 1);
    }
}
END_TEST

START_TEST(a_reservation_under_precise_stress_is_kept)
{
    RAW(grant, GRANT, grant);

    create("h", "stress_factor=256K precise_stress=on");
    grant_body.thread = t.id;
    grant_body.grant_class = SHM_GRANT_BLOCKS;
    grant_body.bytes = 2 << 20;
    grant_body.reserve = true;
    grant_body.mail_serial = ++t.mail_serial;
    raw_send(&c, &grant);
    ck_assert_int_eq(raw_grant_wait(&t, SHM_GRANT_BLOCKS), MMGC_E_OK);
    ck_assert_uint_ge(granted(), 2 << 20);
    ck_assert_uint_ge(collections(), 7);
}
END_TEST

/* ---- emergencies ---- */

START_TEST(an_emergency_collection_comes_before_an_error)
{
    enum mmgc_error code = MMGC_E_OK;

    create("h", "plan=immix stress_factor=0");
    for (int i = 0; i < 1000 && code == MMGC_E_OK; i++) /* never taken: no collection gives it back */
        code = raw_grant(&t, SHM_GRANT_BLOCKS, 1 << 20);
    ck_assert_msg(code == MMGC_E_NOMEM, "%s", mmgc_error_name(code));
    uint64_t collected = collections(), in_emergency = emergencies("h");
    ck_assert_uint_gt(in_emergency, 0);
    ck_assert_int_eq(raw_grant(&t, SHM_GRANT_BLOCKS, 1 << 20), MMGC_E_NOMEM);
    ck_assert_uint_eq(collections(), collected + 2);
    ck_assert_uint_eq(emergencies("h"), in_emergency + 1);
}
END_TEST

START_TEST(a_collection_that_makes_room_is_no_emergency)
{
    create("h", "plan=marksweep stress_factor=0");
    for (int i = 0; i < 100; i++) {
        ck_assert_int_eq(raw_grant(&t, SHM_GRANT_NONMOVING, 1 << 20), MMGC_E_OK);
        take_all(SHM_GRANT_NONMOVING);
    }
    ck_assert_uint_gt(collections(), 0);
    ck_assert_uint_eq(emergencies("h"), 0);
}
END_TEST

static Suite *options_suite(void)
{
    Suite *suite = suite_create("options");
    TCase *says = tcase_create("says"), *wishes = tcase_create("wishes"),
          *stress = tcase_create("stress"), *emergency = tcase_create("emergency");

    tcase_add_checked_fixture(says, set_up, tear_down);
    tcase_add_test(says, a_creators_options_win_over_those_of_the_administrator);
    tcase_add_test(says, a_heap_of_another_name_has_the_common_options);
    tcase_add_test(says, size_and_plan_can_be_options_and_the_fields_win);
    tcase_add_loop_test(says, what_a_creator_may_not_say_is_refused_and_named, 0, MM_ARRAY_LEN(refused));
    suite_add_tcase(suite, says);
    tcase_add_checked_fixture(wishes, set_up, tear_down);
    tcase_add_test(wishes, an_ignored_wish_is_answered_with_the_collections_there_were);
    suite_add_tcase(suite, wishes);
    tcase_add_checked_fixture(stress, set_up, tear_down);
    tcase_add_test(stress, stress_factor_makes_a_collection_whenever_so_much_was_granted);
    tcase_add_test(stress, precise_stress_grants_no_more_than_that_between_two);
    tcase_add_test(stress, precise_stress_lets_pass_what_is_larger_by_itself);
    tcase_add_test(stress, a_reservation_under_precise_stress_is_kept);
    suite_add_tcase(suite, stress);
    tcase_add_checked_fixture(emergency, set_up, tear_down);
    tcase_add_test(emergency, an_emergency_collection_comes_before_an_error);
    tcase_add_test(emergency, a_collection_that_makes_room_is_no_emergency);
    suite_add_tcase(suite, emergency);
    return suite;
}

int main(int argc, char **argv)
{
    return runner_main(argc, argv, options_suite);
}
