/* SPDX-License-Identifier: Apache-2.0 */
/* Pages that nobody was granted: found, counted, given back; and what was granted stays. */
#include <stdio.h>
#include <string.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "shm/units.h"
#include "tests/daemon/memory.h"
#include "tests/support/runner.h"

#define HEAP_BYTES (128 * MIB)
#define SECOND_NS UINT64_C(1000000000)

static struct raw reader;

/* Every page of the arena, as who follows a forged reference or walks a mapping reads it. */
static void read_all(const struct raw *c)
{
    for (size_t at = 0; at < c->arena_bytes; at += MM_PAGE_BYTES)
        (void)*(volatile const char *)(c->arena + at);
}

static void open_reader(void)
{
    reader = (struct raw){ .read_only = true };
    raw_start(&reader, memory.daemon, "reader");
    raw_open(&reader, "h", 0);
}

static void await_punched(uint64_t at_least)
{
    uint64_t begun_ns = mm_now_ns();
    struct memory_sizes now = memory_sizes();

    while ((now.punched < at_least || now.resident > now.committed) &&
           mm_now_ns() - begun_ns < 10 * SECOND_NS) {
        usleep(20000);
        now = memory_sizes();
    }
    ck_assert_msg(now.punched >= at_least && now.resident <= now.committed,
                  "%llu MiB punched, %llu resident, %llu committed",
                  (unsigned long long)(now.punched >> 20), (unsigned long long)(now.resident >> 20),
                  (unsigned long long)(now.committed >> 20));
}

static char *keep_a_pattern(void)
{
    ck_assert_int_eq(memory_keep("kept", 3 * MIB), MMGC_E_OK);
    char *bytes = memory_bytes_of(memory_newest_run()) + 8;
    memset(bytes, 0x6b, 3 * MIB - 64);
    return bytes;
}

static void check_pattern(const char *bytes)
{
    for (uint64_t at = 0; at < 3 * MIB - 64; at++)
        if (bytes[at] != 0x6b)
            ck_abort_msg("byte %llu", (unsigned long long)at);
}

START_TEST(what_a_reader_touches_is_counted_and_given_back)
{
    uint64_t begun_ns = mm_now_ns();
    char *kept;

    memory_open(HEAP_BYTES, NULL);
    kept = keep_a_pattern();
    open_reader();
    read_all(&reader);
    struct memory_sizes now = memory_sizes(); /* some of it may have been found by now */
    ck_assert_uint_ge(now.resident + now.punched, HEAP_BYTES - 2 * MIB);
    while (memory_sizes().foreign + memory_sizes().punched < 64 * MIB &&
           mm_now_ns() - begun_ns < 10 * SECOND_NS)
        usleep(5000);
    await_punched(64 * MIB);
    check_pattern(kept);
    ck_assert(daemon_log_has(memory.daemon, "that nobody was granted"));
    read_all(&reader); /* he does it again */
    await_punched(memory_sizes().punched + 64 * MIB);
    check_pattern(kept);
    ck_assert_int_eq(memory_waste(&memory.thread, 64 * MIB), MMGC_E_OK); /* and it can be committed, with as much again ahead of the thread */
    check_pattern(kept);
    read_all(&reader); /* of what the heap has not, and then he goes */
    raw_close(&reader);
    await_punched(0);
    check_pattern(kept);
}
END_TEST

/* It holds what is granted, and only that, though it is locked. */
START_TEST(locked_memory_is_warned_of_and_given_back)
{
    struct raw_thread thread;
    char *kept;

    memory_open(HEAP_BYTES, NULL);
    kept = keep_a_pattern();
    raw_start(&reader, memory.daemon, "locker");
    raw_open(&reader, "h", 0);
    if (syscall(SYS_mlock, reader.arena, reader.arena_bytes) < 0) { /* mlock() does nothing under a sanitizer */
        fprintf(stderr, "# left out: this process may not lock %zu MiB\n", reader.arena_bytes >> 20);
        raw_close(&reader);
        return;
    }
    raw_attach(&thread, &reader, "one");
    ck_assert(daemon_log_has(memory.daemon, "locks its memory"));
    await_punched(64 * MIB);
    check_pattern(kept);
    ck_assert_int_eq(memory_waste(&memory.thread, 32 * MIB), MMGC_E_OK);
    check_pattern(kept);
    raw_close(&reader);
}
END_TEST

START_TEST(a_forged_reference_commits_nothing)
{
    memory_open(HEAP_BYTES, NULL);
    char *kept = keep_a_pattern();
    for (uint32_t i = 1; i < 16; i++) {
        char called[16];
        snprintf(called, sizeof(called), "forged-%u", i);
        memory_name(called, (uint32_t)(i * (HEAP_BYTES / 16) / 8));
    }
    memory_collect();
    memory_collect();
    usleep(1500000); /* until what is committed ahead is, and a look later */
    struct memory_sizes now = memory_sizes();
    ck_assert_uint_le(now.resident, now.committed);
    ck_assert_uint_eq(memory_sizes().foreign + memory_sizes().punched, 0);
    check_pattern(kept);
}
END_TEST

/* With a limit below the maximum, what is being punched is no memory that the heap has. */
START_TEST(whoever_allocates_meanwhile_is_served)
{
    uint64_t begun_ns = mm_now_ns();
    unsigned rounds = 0;

    memory_open(HEAP_BYTES, "limit=32M");
    char *kept = keep_a_pattern();
    open_reader();
    while (mm_now_ns() - begun_ns < 4 * SECOND_NS) {
        if (rounds++ % 16 == 0)
            read_all(&reader);
        ck_assert_int_eq(memory_waste(&memory.thread, 2 * MIB), MMGC_E_OK);
        struct memory_sizes now = memory_sizes();
        ck_assert_uint_le(now.used, 32 * MIB);
        ck_assert_uint_le(now.committed, 34 * MIB);
    }
    check_pattern(kept);
    ck_assert_uint_gt(memory_sizes().punched, 0);
    raw_close(&reader);
}
END_TEST

static Suite *foreign_suite(void)
{
    Suite *suite = suite_create("foreign");
    TCase *pages = tcase_create("pages");

    tcase_add_checked_fixture(pages, NULL, memory_close);
    tcase_set_timeout(pages, 60);
    tcase_add_test(pages, what_a_reader_touches_is_counted_and_given_back);
    tcase_add_test(pages, locked_memory_is_warned_of_and_given_back);
    tcase_add_test(pages, a_forged_reference_commits_nothing);
    tcase_add_test(pages, whoever_allocates_meanwhile_is_served);
    suite_add_tcase(suite, pages);
    return suite;
}

int main(int argc, char **argv)
{
    return runner_main(argc, argv, foreign_suite);
}
