/* SPDX-License-Identifier: Apache-2.0 */
/* Nurseries: when a heap of a generational plan is collected, and when as a whole. Against a real daemon. */
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "plans/plan.h"
#include "tests/daemon/memory.h"
#include "tests/support/runner.h"

#define NURSERY (MIB / 2)

/* ---- plans ---- */

static const char *generational(int i)
{
    for (size_t p = 0; p < PLAN_COUNT; p++)
        if (plans[p]->constraints.generational && i-- == 0)
            return plans[p]->name;
    return NULL;
}

static int generational_count(void)
{
    int count = 0;

    while (generational(count) != NULL)
        count++;
    return count;
}

static void open_plan(const char *plan, uint64_t bytes, const char *options)
{
    char text[256];

    snprintf(text, sizeof(text), "plan=%s %s", plan, options);
    memory_open(bytes, text);
}

/* ---- what info says ---- */

static wire_reply *ask_facts(void)
{
    RAW(request, HEAP_INFO, heap_info);

    request_body.name = (char *)"h";
    wire_reply *reply = raw_ask(&memory.admin, &request);
    ck_assert_int_eq(reply->body_case, WIRE_REPLY(HEAP_FACTS));
    return reply;
}

static uint64_t pauses(const char *kind)
{
    wire_reply *reply = ask_facts();
    const wire_heap_facts *facts = reply->heap_facts;
    uint64_t count = 0;

    for (size_t i = 0; i < facts->n_pauses; i++)
        if (strcmp(facts->pauses[i]->kind, kind) == 0)
            count = facts->pauses[i]->count;
    wire_reply_free(reply);
    return count;
}

/* Of plans that count references, those are what they do instead. */
static uint64_t young_pauses(void)
{
    return pauses("young") + pauses("refcount");
}

static uint64_t young_bytes(void)
{
    wire_reply *reply = ask_facts();
    uint64_t bytes = reply->heap_facts->young_new_bytes;

    wire_reply_free(reply);
    return bytes;
}

static uint64_t emergencies(void)
{
    wire_reply *reply = ask_facts();
    uint64_t count = reply->heap_facts->emergency_collections;

    wire_reply_free(reply);
    return count;
}

static uint64_t collections(void)
{
    return at_load_acquire(&memory.client.control->collections);
}

static uint64_t granted(void)
{
    return at_load_relaxed(&memory.client.control->granted_bytes);
}

static void wait_for_collection(uint64_t number)
{
    for (int tick = 0; collections() < number; tick++, usleep(1000))
        ck_assert_msg(tick < 10000, "collection %llu did not come", (unsigned long long)number);
    for (int tick = 0; young_pauses() + pauses("full") < number; tick++, usleep(1000))
        ck_assert_msg(tick < 10000, "collection %llu was not counted", (unsigned long long)number);
}

/* ---- when ---- */

static void waste_a_nursery(void)
{
    for (uint64_t before = granted(); granted() - before < NURSERY;)
        ck_assert_int_eq(memory_waste(&memory.thread, 64 << 10), MMGC_E_OK);
}

START_TEST(a_nursery_that_was_granted_is_collected_and_nothing_else_is)
{
    open_plan(generational(_i), 64 * MIB, "nursery=fixed:512K");
    for (uint64_t round = 1; round <= 8; round++) {
        ck_assert_uint_eq(collections(), round - 1);
        waste_a_nursery();
        wait_for_collection(round);
    }
    ck_assert_uint_eq(young_pauses(), 8);
    ck_assert_uint_eq(pauses("full"), 0);
    ck_assert_uint_eq(young_bytes(), 8 * NURSERY);
}
END_TEST

START_TEST(no_grant_goes_far_beyond_the_nursery)
{
    open_plan(generational(_i), 64 * MIB, "nursery=fixed:512K");
    for (int i = 0; i < 64; i++) {
        uint64_t before = granted();
        ck_assert_int_eq(raw_grant(&memory.thread, SHM_GRANT_LINES, 4 * MIB), MMGC_E_OK);
        memory_take_all(&memory.thread, SHM_GRANT_LINES);
        ck_assert_uint_gt(granted(), before);
        ck_assert_uint_le(granted() - before, NURSERY / 4);
    }
}
END_TEST

START_TEST(who_asks_for_a_collection_gets_a_whole_one)
{
    open_plan(generational(_i), 64 * MIB, "nursery=fixed:512K");
    waste_a_nursery();
    wait_for_collection(1);
    (void)memory_collect();
    wait_for_collection(2);
    ck_assert_uint_eq(pauses("full"), 1);
    waste_a_nursery(); /* and the next is a young one again */
    wait_for_collection(3);
    ck_assert_uint_eq(pauses("full"), 1);
    ck_assert_uint_eq(young_pauses(), 2);
}
END_TEST

START_TEST(stress_factor_makes_young_collections)
{
    open_plan(generational(_i), 64 * MIB, "stress_factor=512K");
    for (uint64_t round = 1; round <= 4; round++) {
        waste_a_nursery();
        wait_for_collection(round);
    }
    ck_assert_uint_eq(young_pauses(), 4);
}
END_TEST

START_TEST(other_plans_have_no_nursery)
{
    open_plan("immix", 64 * MIB, "nursery=fixed:512K");
    for (int i = 0; i < 8; i++)
        waste_a_nursery();
    usleep(50000);
    ck_assert_uint_eq(collections(), 0);
}
END_TEST

/* ---- a full heap ---- */

/* Until there is no more: how many there were. */
static int keep_all(uint64_t bytes, enum mmgc_error *ret_code)
{
    char called[8];

    for (int i = 0; i < 1000; i++) {
        snprintf(called, sizeof(called), "k%d", i);
        *ret_code = memory_keep(called, bytes);
        if (*ret_code != MMGC_E_OK)
            return i;
    }
    return 1000;
}

static void drop(int from, int to)
{
    char called[8];

    for (int i = from; i < to; i++) {
        snprintf(called, sizeof(called), "k%d", i);
        memory_name(called, 0);
    }
}

START_TEST(an_error_comes_after_a_collection_of_the_whole_heap)
{
    enum mmgc_error code;

    open_plan(generational(_i), 64 * MIB, "limit=8M");
    ck_assert_int_ge(keep_all(MIB / 4, &code), 16);
    ck_assert_int_eq(code, MMGC_E_NOMEM);
    ck_assert_uint_ge(emergencies(), 1);
    ck_assert_uint_ge(pauses("full"), emergencies());
}
END_TEST

START_TEST(what_died_old_is_found_before_anybody_fails)
{
    enum mmgc_error code;

    open_plan(generational(_i), 64 * MIB, "limit=8M");
    int count = keep_all(MIB / 4, &code);
    ck_assert_int_eq(code, MMGC_E_NOMEM);
    drop(0, count);
    for (int i = 0; i < count; i++)
        ck_assert_int_eq(memory_waste(&memory.thread, MIB / 4), MMGC_E_OK);
}
END_TEST

/* Of 16 MiB four are kept, and replaced by turns: what they were dies old, and nobody has to stop for long to find it. */
START_TEST(a_cycle_finds_what_died_old_and_young_collections_go_on)
{
    char called[8];

    open_plan("concurrentstickyimmix", 64 * MIB, "limit=16M nursery=fixed:512K");
    for (int i = 0; pauses("final-mark") < 3; i++) {
        ck_assert_int_lt(i, 1000);
        snprintf(called, sizeof(called), "k%d", i % 16);
        ck_assert_int_eq(memory_keep(called, MIB / 4), MMGC_E_OK);
        waste_a_nursery();
    }
    ck_assert_uint_ge(pauses("initial-mark"), 3);
    ck_assert_uint_ge(young_pauses(), 9);
    ck_assert_uint_eq(pauses("full"), 0);
    ck_assert_uint_eq(emergencies(), 0);
}
END_TEST

START_TEST(a_dynamic_limit_is_left_alone_by_young_collections)
{
    open_plan(generational(_i), 256 * MIB, "nursery=fixed:512K gc_trigger=dynamic:16M,128M");
    uint64_t limit = memory_limit();
    for (uint64_t round = 1; round <= 8; round++) {
        waste_a_nursery();
        wait_for_collection(round);
        ck_assert_uint_eq(memory_limit(), limit);
    }
    (void)memory_collect();
    memory_await_limit(16 * MIB, limit - 1); /* next to nothing lives */
}
END_TEST

START_TEST(a_dynamic_heap_grows_after_a_whole_collection_up_to_its_maximum)
{
    enum mmgc_error code;

    open_plan(generational(_i), 256 * MIB, "gc_trigger=dynamic:8M,64M limit=8M");
    for (char called[] = "a"; memory_limit() == 8 * MIB; called[0]++) {
        ck_assert_int_lt(called[0], 'a' + 9);
        ck_assert_int_eq(memory_keep(called, MIB), MMGC_E_OK);
    }
    ck_assert_uint_ge(pauses("full"), 1);
    int count = keep_all(MIB, &code);
    ck_assert_int_eq(code, MMGC_E_NOMEM);
    ck_assert_int_ge(count, 48);
    ck_assert_uint_eq(memory_limit(), 64 * MIB);
}
END_TEST

static Suite *nursery_suite(void)
{
    Suite *suite = suite_create("nursery");
    TCase *when = tcase_create("when"), *full = tcase_create("full");
    int count = generational_count();

    tcase_add_checked_fixture(when, NULL, memory_close);
    tcase_add_loop_test(when, a_nursery_that_was_granted_is_collected_and_nothing_else_is, 0, count);
    tcase_add_loop_test(when, no_grant_goes_far_beyond_the_nursery, 0, count);
    tcase_add_loop_test(when, who_asks_for_a_collection_gets_a_whole_one, 0, count);
    tcase_add_loop_test(when, stress_factor_makes_young_collections, 0, count);
    tcase_add_test(when, other_plans_have_no_nursery);
    suite_add_tcase(suite, when);
    tcase_add_checked_fixture(full, NULL, memory_close);
    tcase_add_loop_test(full, an_error_comes_after_a_collection_of_the_whole_heap, 0, count);
    tcase_add_loop_test(full, what_died_old_is_found_before_anybody_fails, 0, count);
    tcase_add_test(full, a_cycle_finds_what_died_old_and_young_collections_go_on);
    tcase_add_loop_test(full, a_dynamic_limit_is_left_alone_by_young_collections, 0, count);
    tcase_add_loop_test(full, a_dynamic_heap_grows_after_a_whole_collection_up_to_its_maximum, 0, count);
    suite_add_tcase(suite, full);
    return suite;
}

int main(int argc, char **argv)
{
    return runner_main(argc, argv, nursery_suite);
}
