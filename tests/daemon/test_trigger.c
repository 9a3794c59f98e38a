/* SPDX-License-Identifier: Apache-2.0 */
/* Triggers: a limit that follows what lives, and a client that decides when a heap is full. */
#include <stdio.h>
#include <unistd.h>

#include "daemon/trigger.h"
#include "shm/units.h"
#include "tests/daemon/memory.h"
#include "tests/support/runner.h"

/* ---- dynamic ---- */

START_TEST(the_spare_follows_the_square_root)
{
    uint64_t spare = trigger_spare_bytes(100 * MIB, 100 * MIB, 1000 * MIB);

    ck_assert_uint_ge(spare, 195 * MIB);
    ck_assert_uint_le(spare, 210 * MIB);
    ck_assert_uint_ge(trigger_spare_bytes(400 * MIB, 100 * MIB, 1000 * MIB), 2 * spare - 8 * MIB);
    ck_assert_uint_le(trigger_spare_bytes(400 * MIB, 100 * MIB, 1000 * MIB), 2 * spare + 8 * MIB);
    ck_assert_uint_eq(trigger_spare_bytes(100 * MIB, 0, 1000 * MIB), 50 * MIB);
    ck_assert_uint_eq(trigger_spare_bytes(0, 0, 0), 8 * MIB);
    ck_assert_uint_ge(trigger_spare_bytes(MM_ARENA_MAX_BYTES, UINT64_C(1) << 40, 1), MM_ARENA_MAX_BYTES);
}
END_TEST

START_TEST(a_dynamic_limit_follows_what_lives_up_and_down)
{
    uint64_t low;
    char called[8];

    memory_open(512 * MIB, "gc_trigger=dynamic:16M,400M");
    ck_assert_uint_eq(memory_limit(), 64 * MIB);
    for (int i = 0; i < 200; i++)
        ck_assert_int_eq(memory_waste(&memory.thread, MIB), MMGC_E_OK);
    low = memory_limit();
    for (int i = 0; i < 48; i++) {
        snprintf(called, sizeof(called), "k%d", i);
        ck_assert_int_eq(memory_keep(called, 4 * MIB), MMGC_E_OK);
        usleep(1000);
    }
    (void)memory_collect();
    memory_await_limit(288 * MIB, 400 * MIB); /* half as much again, at the least */
    for (int i = 0; i < 48; i++) {
        snprintf(called, sizeof(called), "k%d", i);
        memory_name(called, 0);
    }
    for (int i = 0; i < 8; i++) {
        usleep(20000); /* little is allocated */
        ck_assert_int_eq(memory_waste(&memory.thread, MIB), MMGC_E_OK);
        (void)memory_collect();
    }
    memory_await_limit(16 * MIB, 64 * MIB);
    ck_assert_uint_ge(low, 16 * MIB);
    usleep(1000000);
    ck_assert_uint_le(memory_sizes().resident, 64 * MIB);
    ck_assert_int_eq(memory_resize(&memory.admin, "h", 64 * MIB), MMGC_E_UNSUPPORTED);
}
END_TEST

START_TEST(a_dynamic_heap_fails_nobody_below_its_maximum)
{
    char called[8];
    int i;

    memory_open(256 * MIB, "gc_trigger=dynamic:8M,128M limit=8M");
    ck_assert_uint_eq(memory_limit(), 8 * MIB);
    ck_assert_int_eq(memory_reserve(32 * MIB), MMGC_E_OK);
    ck_assert_uint_ge(memory_reserved_bytes(0), 32 * MIB);
    memory_take_all(&memory.thread, SHM_GRANT_BLOCKS);
    ck_assert_int_eq(memory_waste(&memory.thread, 100 * MIB), MMGC_E_OK);
    ck_assert_int_eq(memory_waste(&memory.thread, 4096), MMGC_E_OK);
    for (i = 0; i < 100; i++) {
        snprintf(called, sizeof(called), "k%d", i);
        enum mmgc_error code = memory_keep(called, 2 * MIB);
        if (code != MMGC_E_OK) {
            ck_assert_int_eq(code, MMGC_E_NOMEM);
            break;
        }
    }
    ck_assert_int_ge(i, 60);
    ck_assert_int_le(i, 64);
    ck_assert_uint_eq(memory_limit(), 128 * MIB);
    ck_assert_int_eq(memory_waste(&memory.thread, 129 * MIB), MMGC_E_TOO_LARGE);
    ck_assert_int_eq(memory_reserve(129 * MIB), MMGC_E_RESERVE);
    ck_assert_int_eq(memory_reserve(16 * MIB), MMGC_E_RESERVE);
}
END_TEST

/* ---- delegated ---- */

static enum mmgc_error delegate(struct raw *client)
{
    RAW(request, DELEGATE, delegate);

    request_body.heap = (char *)"h";
    return raw_try(client, &request);
}

static enum mmgc_error decide(struct raw *client, uint32_t decision, uint64_t limit_bytes)
{
    RAW(request, DECIDE, decide);

    request_body.heap = (char *)"h";
    request_body.decision = decision;
    request_body.limit_bytes = limit_bytes;
    return raw_try(client, &request);
}

static void await_pressure(uint64_t wanted)
{
    wire_reply *reply = raw_receive(&memory.admin, NULL);

    ck_assert_ptr_nonnull(reply);
    ck_assert_int_eq(reply->body_case, WIRE_REPLY(PRESSURE));
    ck_assert_uint_eq(reply->serial, 0);
    ck_assert_str_eq(reply->pressure->heap, "h");
    ck_assert_uint_eq(reply->pressure->limit_bytes, memory_limit());
    ck_assert_uint_eq(reply->pressure->wanted_bytes, wanted);
    ck_assert_uint_le(reply->pressure->used_bytes, memory_limit());
    wire_reply_free(reply);
}

/* Full, and the admin its delegate: of 8 MiB, 6 live or are garbage. */
static void open_delegated(bool garbage)
{
    memory_open(64 * MIB, "gc_trigger=delegated limit=8M");
    ck_assert_int_eq(delegate(&memory.admin), MMGC_E_OK);
    ck_assert_int_eq(garbage ? memory_waste(&memory.thread, 6 * MIB) : memory_keep("a", 6 * MIB), MMGC_E_OK);
}

static uint64_t collections(void)
{
    return at_load_acquire(&memory.client.control->collections);
}

START_TEST(a_delegate_has_it_collected)
{
    open_delegated(true);
    raw_grant_send(&memory.thread, SHM_GRANT_LARGE, 4 * MIB);
    await_pressure(4 * MIB);
    ck_assert_uint_eq(collections(), 0);
    ck_assert_int_eq(decide(&memory.admin, DECIDE_COLLECT, 0), MMGC_E_OK);
    ck_assert_int_eq(raw_grant_wait(&memory.thread, SHM_GRANT_LARGE), MMGC_E_OK);
    ck_assert_uint_eq(collections(), 1);
}
END_TEST

START_TEST(a_delegate_is_asked_again_after_a_collection_in_vain)
{
    open_delegated(false);
    raw_grant_send(&memory.thread, SHM_GRANT_LARGE, 4 * MIB);
    await_pressure(4 * MIB);
    ck_assert_int_eq(decide(&memory.admin, DECIDE_COLLECT, 0), MMGC_E_OK);
    await_pressure(4 * MIB);
    ck_assert_uint_eq(collections(), 1);
    ck_assert_int_eq(decide(&memory.admin, DECIDE_LIMIT, 16 * MIB), MMGC_E_OK);
    ck_assert_int_eq(raw_grant_wait(&memory.thread, SHM_GRANT_LARGE), MMGC_E_OK);
    ck_assert_uint_eq(collections(), 1);
}
END_TEST

START_TEST(a_delegate_lets_it_grow)
{
    open_delegated(false);
    raw_grant_send(&memory.thread, SHM_GRANT_LARGE, 8 * MIB);
    await_pressure(8 * MIB);
    ck_assert_int_eq(decide(&memory.admin, DECIDE_LIMIT, 10 * MIB), MMGC_E_OK); /* not enough */
    await_pressure(8 * MIB);
    ck_assert_uint_eq(memory_limit(), 10 * MIB);
    ck_assert_int_eq(decide(&memory.admin, DECIDE_LIMIT, 64 * MIB + 1), MMGC_E_INVALID);
    ck_assert_int_eq(decide(&memory.admin, DECIDE_LIMIT, 16 * MIB), MMGC_E_OK);
    ck_assert_int_eq(raw_grant_wait(&memory.thread, SHM_GRANT_LARGE), MMGC_E_OK);
    ck_assert_uint_eq(collections(), 0);
    ck_assert_int_eq(decide(&memory.admin, DECIDE_LIMIT, 64 * MIB), MMGC_E_OK); /* unasked */
    ck_assert_int_eq(memory_reserve(32 * MIB), MMGC_E_OK);
    ck_assert_uint_ge(memory_reserved_bytes(0), 32 * MIB);
}
END_TEST

START_TEST(a_limit_that_is_no_higher_is_a_collection)
{
    open_delegated(true);
    raw_grant_send(&memory.thread, SHM_GRANT_LARGE, 4 * MIB);
    await_pressure(4 * MIB);
    ck_assert_int_eq(decide(&memory.admin, DECIDE_LIMIT, 6 * MIB), MMGC_E_OK);
    ck_assert_int_eq(raw_grant_wait(&memory.thread, SHM_GRANT_LARGE), MMGC_E_OK);
    ck_assert_uint_eq(collections(), 1);
    ck_assert_uint_eq(memory_limit(), 6 * MIB);
}
END_TEST

START_TEST(a_delegate_refuses)
{
    open_delegated(true);
    raw_grant_send(&memory.thread, SHM_GRANT_LARGE, 4 * MIB);
    await_pressure(4 * MIB);
    ck_assert_int_eq(decide(&memory.admin, DECIDE_REFUSE, 0), MMGC_E_OK);
    ck_assert_int_eq(raw_grant_wait(&memory.thread, SHM_GRANT_LARGE), MMGC_E_NOMEM);
    ck_assert_uint_eq(collections(), 0);
    raw_grant_send(&memory.thread, SHM_GRANT_LARGE, 4 * MIB); /* that was about one; this is another */
    await_pressure(4 * MIB);
    ck_assert_int_eq(decide(&memory.admin, DECIDE_COLLECT, 0), MMGC_E_OK);
    ck_assert_int_eq(raw_grant_wait(&memory.thread, SHM_GRANT_LARGE), MMGC_E_OK);
}
END_TEST

START_TEST(a_delegate_that_does_not_answer_is_passed_over)
{
    uint64_t begun_ns = mm_now_ns();

    open_delegated(true);
    ck_assert_int_eq(memory_waste(&memory.thread, 4 * MIB), MMGC_E_OK);
    ck_assert_uint_ge(mm_now_ns() - begun_ns, 300 * UINT64_C(1000000));
    ck_assert_uint_eq(collections(), 1);
    await_pressure(4 * MIB);
    ck_assert_int_eq(decide(&memory.admin, DECIDE_COLLECT, 0), MMGC_E_OK); /* late: a collection nobody waits for */
    raw_collect_wait(&memory.client, 2);
    ck_assert_int_eq(decide(&memory.admin, DECIDE_REFUSE, 0), MMGC_E_OK);
    ck_assert_int_eq(memory_waste(&memory.thread, MIB), MMGC_E_OK);
}
END_TEST

START_TEST(a_delegate_that_dies_is_missed_at_once)
{
    struct raw next;

    open_delegated(true);
    raw_grant_send(&memory.thread, SHM_GRANT_LARGE, 4 * MIB);
    await_pressure(4 * MIB);
    raw_close(&memory.admin);
    ck_assert_int_eq(raw_grant_wait(&memory.thread, SHM_GRANT_LARGE), MMGC_E_OK);
    ck_assert_uint_eq(collections(), 1);
    ck_assert_int_eq(memory_waste(&memory.thread, 3 * MIB), MMGC_E_OK);
    ck_assert_int_eq(memory_waste(&memory.thread, 3 * MIB), MMGC_E_OK); /* nobody is asked */
    ck_assert_uint_eq(collections(), 2);
    raw_start(&next, memory.daemon, "next");
    ck_assert_int_eq(delegate(&next), MMGC_E_OK);
    raw_close(&next);
    raw_start(&memory.admin, memory.daemon, "admin");
}
END_TEST

START_TEST(there_is_one_delegate_of_a_heap_that_wants_one)
{
    open_delegated(true);
    ck_assert_int_eq(delegate(&memory.admin), MMGC_E_OK); /* it is already */
    ck_assert_int_eq(delegate(&memory.client), MMGC_E_LIMIT);
    ck_assert_int_eq(decide(&memory.client, DECIDE_COLLECT, 0), MMGC_E_ORDER);
    ck_assert_int_eq(decide(&memory.admin, DECISIONS, 0), MMGC_E_INVALID);
    memory_close();
    memory_open(64 * MIB, NULL);
    ck_assert_int_eq(delegate(&memory.admin), MMGC_E_UNSUPPORTED);
    ck_assert_int_eq(decide(&memory.admin, DECIDE_COLLECT, 0), MMGC_E_ORDER);
}
END_TEST

START_TEST(the_heaps_end_is_its_delegates)
{
    RAW(destroy, HEAP_DESTROY, heap_destroy);

    open_delegated(true);
    destroy_body.name = (char *)"h";
    destroy_body.force = true;
    ck_assert_int_eq(raw_try(&memory.client, &destroy), MMGC_E_OK);
    ck_assert_int_eq(raw_last_word(&memory.admin), MMGC_E_HEAP_GONE);
}
END_TEST

static Suite *trigger_suite(void)
{
    Suite *suite = suite_create("trigger");
    TCase *dynamic = tcase_create("dynamic"), *delegated = tcase_create("delegated"), *sums = tcase_create("sums");

    tcase_add_test(sums, the_spare_follows_the_square_root);
    suite_add_tcase(suite, sums);
    tcase_add_checked_fixture(dynamic, NULL, memory_close);
    tcase_add_test(dynamic, a_dynamic_limit_follows_what_lives_up_and_down);
    tcase_add_test(dynamic, a_dynamic_heap_fails_nobody_below_its_maximum);
    suite_add_tcase(suite, dynamic);
    tcase_add_checked_fixture(delegated, NULL, memory_close);
    tcase_add_test(delegated, a_delegate_has_it_collected);
    tcase_add_test(delegated, a_delegate_is_asked_again_after_a_collection_in_vain);
    tcase_add_test(delegated, a_delegate_lets_it_grow);
    tcase_add_test(delegated, a_limit_that_is_no_higher_is_a_collection);
    tcase_add_test(delegated, a_delegate_refuses);
    tcase_add_test(delegated, a_delegate_that_does_not_answer_is_passed_over);
    tcase_add_test(delegated, a_delegate_that_dies_is_missed_at_once);
    tcase_add_test(delegated, there_is_one_delegate_of_a_heap_that_wants_one);
    tcase_add_test(delegated, the_heaps_end_is_its_delegates);
    suite_add_tcase(suite, delegated);
    return suite;
}

int main(int argc, char **argv)
{
    return runner_main(argc, argv, trigger_suite);
}
