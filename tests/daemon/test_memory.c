/* SPDX-License-Identifier: Apache-2.0 */
/* Memory that follows need: given back when it is not needed, limits that move. */
#include <pthread.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "shm/units.h"
#include "tests/daemon/memory.h"
#include "tests/support/runner.h"

#define HEAP_BYTES (256 * MIB)
#define SOMEBODY 12345 /* another user */
#define SECOND_NS UINT64_C(1000000000)

/* ---- giving back ---- */

START_TEST(what_a_collection_freed_is_the_systems_within_a_second)
{
    int zeroed = 0;

    memory_open(HEAP_BYTES, NULL);
    for (int i = 0; i < 12; i++) {
        ck_assert_int_eq(memory_waste(&memory.thread, 16 * MIB), MMGC_E_OK);
        memset(memory_bytes_of(memory_newest_run()) + 8, 0xee, MIB);
    }
    ck_assert_uint_ge(memory_sizes().resident, 192 * MIB);
    ck_assert_int_eq(memory_waste(&memory.thread, 4096), MMGC_E_OK); /* the last one taken is not given up yet */
    uint64_t done_ns = memory_collect();
    while (memory_sizes().resident > 32 * MIB && mm_now_ns() - done_ns < 5 * SECOND_NS)
        usleep(10000);
    uint64_t took_ns = mm_now_ns() - done_ns;
    ck_assert_msg(took_ns < SECOND_NS, "%llu MiB resident, %llu used after %llu ms",
                  (unsigned long long)(memory_sizes().resident >> 20), (unsigned long long)(memory_sizes().used >> 20),
                  (unsigned long long)(took_ns / 1000000));
    ck_assert_uint_le(memory_sizes().committed, 32 * MIB);
    for (int i = 0; i < 10; i++) { /* and it comes back, zero */
        ck_assert_int_eq(memory_waste(&memory.thread, 16 * MIB), MMGC_E_OK);
        const uint64_t *words = (const uint64_t *)memory_bytes_of(memory_newest_run());
        zeroed += (memory_newest_run().flags & SHM_GRANT_ZEROED) != 0;
        for (uint64_t at = 0; (memory_newest_run().flags & SHM_GRANT_ZEROED) != 0 && at < 16 * MIB / 8; at++)
            if (words[at] != 0)
                ck_abort_msg("grant %d, word %llu", i, (unsigned long long)at);
    }
    ck_assert_int_ge(zeroed, 8);
}
END_TEST

START_TEST(what_lives_stays)
{
    char *objects[10];

    memory_open(HEAP_BYTES, NULL);
    for (int i = 0; i < 10; i++) {
        char called[8];
        ck_assert_int_eq(memory_waste(&memory.thread, 10 * MIB), MMGC_E_OK);
        snprintf(called, sizeof(called), "k%d", i);
        ck_assert_int_eq(memory_keep(called, 3 * MIB), MMGC_E_OK);
        objects[i] = memory_bytes_of(memory_newest_run()) + 8;
        memset(objects[i], i + 1, 3 * MIB - 64);
    }
    uint64_t done_ns = memory_collect();
    while (memory_sizes().resident > 90 * MIB && mm_now_ns() - done_ns < 5 * SECOND_NS)
        usleep(10000);
    ck_assert_uint_ge(memory_sizes().resident, 30 * MIB);
    ck_assert_uint_le(memory_sizes().resident, 90 * MIB);
    for (int i = 0; i < 10; i++) {
        for (uint64_t at = 0; at < 3 * MIB - 64; at++)
            if (objects[i][at] != i + 1)
                ck_abort_msg("object %d, byte %llu", i, (unsigned long long)at);
    }
}
END_TEST

START_TEST(a_busy_heap_keeps_its_memory)
{
    uint64_t most = 0, least = UINT64_MAX, begun_ns = mm_now_ns(), collections;

    memory_open(64 * MIB, NULL);
    collections = at_load_relaxed(&memory.client.control->collections);
    for (int i = 0; mm_now_ns() - begun_ns < 2 * SECOND_NS; i++) {
        ck_assert_int_eq(memory_waste(&memory.thread, MIB), MMGC_E_OK);
        if (i < 100 || i % 50 != 0)
            continue;
        uint64_t now = memory_sizes().resident;
        most = MM_MAX(most, now);
        least = MM_MIN(least, now);
    }
    ck_assert_uint_gt(at_load_relaxed(&memory.client.control->collections), collections + 3);
    ck_assert_msg(least >= most - 2 * MIB, "%llu to %llu MiB", (unsigned long long)(least >> 20),
                  (unsigned long long)(most >> 20));
}
END_TEST

/* As much as is in use, free beside it, before any collection begins. */
START_TEST(what_will_be_copied_into_is_committed_before)
{
    uint64_t begun_ns = mm_now_ns();

    memory_open(64 * MIB, "plan=semispace");
    while (memory_sizes().used < 12 * MIB) { /* a grant may bring less than was asked for */
        ck_assert_int_eq(raw_grant(&memory.thread, SHM_GRANT_BLOCKS, MIB), MMGC_E_OK);
        memory_take_all(&memory.thread, SHM_GRANT_BLOCKS);
    }
    while (memory_sizes().committed < 2 * memory_sizes().used && mm_now_ns() - begun_ns < 5 * SECOND_NS)
        usleep(1000);
    struct memory_sizes now = memory_sizes();
    ck_assert_uint_ge(now.used, 12 * MIB);
    ck_assert_uint_eq(at_load_relaxed(&memory.client.control->collections), 0);
    ck_assert_uint_ge(now.committed, 2 * now.used);
    ck_assert_uint_le(now.committed, 64 * MIB);
}
END_TEST

static void await_committed(uint64_t bytes)
{
    uint64_t begun_ns = mm_now_ns();

    while (memory_sizes().committed != bytes && mm_now_ns() - begun_ns < 20 * SECOND_NS)
        usleep(1000);
    ck_assert_uint_eq(memory_sizes().committed, bytes);
    ck_assert_uint_ge(memory_sizes().resident, bytes);
}

START_TEST(all_of_a_pretouched_heap_is_committed_before_anybody_asks_and_kept)
{
    memory_open(64 * MIB, "pretouch=on limit=16M");
    await_committed(16 * MIB);
    ck_assert_int_eq(memory_waste(&memory.thread, 8 * MIB), MMGC_E_OK);
    (void)memory_collect();
    usleep(500000); /* what is too much would be gone by then */
    await_committed(16 * MIB);
    ck_assert_int_eq(memory_resize(&memory.admin, "h", 48 * MIB), MMGC_E_OK);
    await_committed(48 * MIB);
    ck_assert_int_eq(memory_resize(&memory.admin, "h", 8 * MIB), MMGC_E_OK);
    await_committed(8 * MIB);
}
END_TEST

/* ---- limits ---- */

static void *allocate(void *stop)
{
    struct raw other;
    struct raw_thread th;
    enum mmgc_error code = MMGC_E_OK;

    raw_start(&other, memory.daemon, "other");
    raw_open(&other, "h", 0);
    raw_attach(&th, &other, "two");
    while (!at_load_relaxed((_Atomic bool *)stop) && (code == MMGC_E_OK || code == MMGC_E_NOMEM))
        code = memory_waste(&th, 512 * 1024);
    raw_close(&other);
    return code == MMGC_E_OK || code == MMGC_E_NOMEM ? NULL : (void *)mmgc_error_name(code);
}

/* What one who allocates sees of a new limit, in two seconds: all that it may use in use, and never more at the end. */
static void follows(uint64_t bytes)
{
    uint64_t begun_ns = mm_now_ns(), most = 0;

    ck_assert_int_eq(memory_resize(&memory.admin, "h", bytes), MMGC_E_OK);
    ck_assert_uint_eq(memory_limit(), bytes);
    while (memory_sizes().committed > bytes && mm_now_ns() - begun_ns < 2 * SECOND_NS)
        (void)memory_waste(&memory.thread, MIB);
    for (int i = 0; i < 300; i++) {
        (void)memory_waste(&memory.thread, MIB);
        struct memory_sizes now = memory_sizes();
        ck_assert_uint_le(now.used, bytes);
        ck_assert_uint_le(now.resident, bytes);
        most = MM_MAX(most, now.used);
    }
    ck_assert_uint_ge(most, bytes / 2);
}

START_TEST(limits_move_while_clients_allocate)
{
    static _Atomic bool stop;
    pthread_t other;
    void *error;

    memory_open(128 * MIB, "limit=64M");
    ck_assert_uint_eq(memory_limit(), 64 * MIB);
    ck_assert_int_eq(pthread_create(&other, NULL, allocate, &stop), 0);
    follows(16 * MIB);
    follows(96 * MIB);
    follows(8 * MIB);
    follows(128 * MIB);
    at_store_relaxed(&stop, true);
    pthread_join(other, &error);
    ck_assert_msg(error == NULL, "%s", (const char *)error);
}
END_TEST

START_TEST(a_limit_below_what_lives_waits_for_deaths)
{
    memory_open(64 * MIB, NULL);
    for (int i = 0; i < 8; i++) {
        char called[8];
        snprintf(called, sizeof(called), "k%d", i);
        ck_assert_int_eq(memory_keep(called, 4 * MIB), MMGC_E_OK);
    }
    ck_assert_int_eq(memory_resize(&memory.admin, "h", 16 * MIB), MMGC_E_OK);
    ck_assert_int_eq(memory_waste(&memory.thread, MIB), MMGC_E_NOMEM);
    ck_assert_int_eq(memory_reserve(MIB), MMGC_E_RESERVE);
    ck_assert_uint_ge(memory_sizes().used, 32 * MIB);
    for (int i = 0; i < 6; i++) {
        char called[8];
        snprintf(called, sizeof(called), "k%d", i);
        memory_name(called, 0);
    }
    ck_assert_int_eq(memory_waste(&memory.thread, 4 * MIB), MMGC_E_OK);
    ck_assert_uint_le(memory_sizes().used, 16 * MIB);
    ck_assert_int_eq(memory_resize(&memory.admin, "h", 64 * MIB), MMGC_E_OK);
    ck_assert_int_eq(memory_waste(&memory.thread, 20 * MIB), MMGC_E_OK);
}
END_TEST

START_TEST(who_waits_is_served_when_the_limit_grows)
{
    memory_open(64 * MIB, "limit=8M plan=nogc");
    ck_assert_int_eq(memory_keep("a", 6 * MIB), MMGC_E_OK);
    ck_assert_int_eq(memory_waste(&memory.thread, 3 * MIB), MMGC_E_NOMEM);
    ck_assert_int_eq(memory_reserve(3 * MIB), MMGC_E_RESERVE);
    ck_assert_int_eq(memory_resize(&memory.admin, "h", 32 * MIB), MMGC_E_OK);
    ck_assert_int_eq(memory_waste(&memory.thread, 3 * MIB), MMGC_E_OK);
    uint32_t from = at_load_acquire(&memory.thread.m->mail[SHM_GRANT_BLOCKS].published);
    ck_assert_int_eq(memory_reserve(3 * MIB), MMGC_E_OK);
    ck_assert_uint_ge(memory_reserved_bytes(from), 3 * MIB);
}
END_TEST

START_TEST(impossible_limits_are_refused)
{
    memory_open(64 * MIB, NULL);
    ck_assert_int_eq(memory_resize(&memory.admin, "h", 0), MMGC_E_INVALID);
    ck_assert_int_eq(memory_resize(&memory.admin, "h", 64 * MIB + 1), MMGC_E_INVALID);
    ck_assert_int_eq(memory_resize(&memory.admin, "h", UINT64_MAX), MMGC_E_INVALID);
    ck_assert_int_eq(memory_resize(&memory.admin, "nowhere", MIB), MMGC_E_NO_HEAP);
    ck_assert_int_eq(memory_resize(&memory.admin, "", MIB), MMGC_E_ORDER);
    ck_assert_uint_eq(memory_limit(), 64 * MIB);
    ck_assert_int_eq(memory_resize(&memory.client, "", 3 * MIB), MMGC_E_OK); /* its own, rounded up */
    ck_assert_uint_eq(memory_limit(), 4 * MIB);
}
END_TEST

START_TEST(only_the_owner_and_root_say_how_large_a_heap_is)
{
    struct raw stranger;

    memory_open(64 * MIB, "mode=0666 gc_trigger=delegated");
    if (geteuid() != 0)
        return; /* nobody else to be */
    ck_assert_int_eq(chmod(daemon_directory(memory.daemon), 0755), 0);
    ck_assert_int_eq(seteuid(SOMEBODY), 0);
    raw_start(&stranger, memory.daemon, "stranger");
    ck_assert_int_eq(seteuid(0), 0);
    raw_open(&stranger, "h", 0);
    ck_assert_int_eq(memory_resize(&stranger, "h", 8 * MIB), MMGC_E_DENIED);
    RAW(delegate, DELEGATE, delegate);
    delegate_body.heap = (char *)"h";
    ck_assert_int_eq(raw_try(&stranger, &delegate), MMGC_E_DENIED);
    ck_assert_uint_eq(memory_limit(), 64 * MIB);
    raw_close(&stranger);
}
END_TEST

static Suite *memory_suite(void)
{
    Suite *suite = suite_create("memory");
    TCase *back = tcase_create("given back"), *limits = tcase_create("limits");

    tcase_add_checked_fixture(back, NULL, memory_close);
    tcase_add_test(back, what_a_collection_freed_is_the_systems_within_a_second);
    tcase_add_test(back, what_lives_stays);
    tcase_add_test(back, a_busy_heap_keeps_its_memory);
    tcase_add_test(back, what_will_be_copied_into_is_committed_before);
    tcase_add_test(back, all_of_a_pretouched_heap_is_committed_before_anybody_asks_and_kept);
    suite_add_tcase(suite, back);
    tcase_add_checked_fixture(limits, NULL, memory_close);
    tcase_add_test(limits, limits_move_while_clients_allocate);
    tcase_add_test(limits, a_limit_below_what_lives_waits_for_deaths);
    tcase_add_test(limits, who_waits_is_served_when_the_limit_grows);
    tcase_add_test(limits, impossible_limits_are_refused);
    tcase_add_test(limits, only_the_owner_and_root_say_how_large_a_heap_is);
    suite_add_tcase(suite, limits);
    return suite;
}

int main(int argc, char **argv)
{
    return runner_main(argc, argv, memory_suite);
}
