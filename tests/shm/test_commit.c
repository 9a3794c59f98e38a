/* SPDX-License-Identifier: Apache-2.0 */
#include "shm/commit.h"

#include <errno.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include "shm/segment.h"
#include "shm/units.h"
#include "tests/support/runner.h"

#ifndef MADV_COLLAPSE
#define MADV_COLLAPSE 25
#endif

#define UNITS 4
#define BYTES ((size_t)UNITS * MM_COMMIT_BYTES)

static struct shm_segment *seg;
static char *memory;

static void setup(void)
{
    ck_assert_int_eq(shm_segment_new(&seg, BYTES, "test-commit"), 0);
    memory = shm_segment_address(seg);
}

static void teardown(void)
{
    seg = shm_segment_unref(seg);
}

static uint64_t resident(void)
{
    return shm_resident_bytes(shm_segment_fd(seg));
}

static enum shm_pages commit(size_t offset, size_t bytes, enum shm_huge huge)
{
    enum shm_pages got = (enum shm_pages)99;

    ck_assert_int_eq(shm_commit(memory + offset, bytes, huge, &got), 0);
    return got;
}

static bool all_are(const char *from, size_t bytes, unsigned char value)
{
    return (unsigned char)from[0] == value && memcmp(from, from + 1, bytes - 1) == 0;
}

/* Bytes of our mapping that huge pages map now, told by the kernel. */
static unsigned long huge_bytes(void)
{
    char line[512];
    unsigned long long start, end;
    unsigned long kib, found = 0;
    bool inside = false;
    FILE *smaps = fopen("/proc/self/smaps", "re");

    ck_assert_ptr_nonnull(smaps);
    while (fgets(line, sizeof(line), smaps) != NULL) {
        if (sscanf(line, "%llx-%llx ", &start, &end) == 2)
            inside = start < (uintptr_t)(memory + BYTES) && (uintptr_t)memory < end;
        else if (inside && sscanf(line, "ShmemPmdMapped: %lu", &kib) == 1)
            found += kib * 1024; /* an advised part is a mapping of its own */
    }
    fclose(smaps);
    return found;
}

static void touch_all_pages(void)
{
    for (size_t at = 0; at < BYTES; at += MM_PAGE_BYTES)
        (void)*(volatile char *)(memory + at);
}

START_TEST(a_commit_makes_its_range_resident_and_no_more)
{
    ck_assert_uint_eq(resident(), 0);
    commit(MM_COMMIT_BYTES, MM_COMMIT_BYTES, (enum shm_huge)_i);
    ck_assert_uint_eq(resident(), MM_COMMIT_BYTES);
    commit(0, BYTES, (enum shm_huge)_i);
    ck_assert_uint_eq(resident(), BYTES);
    touch_all_pages();
    ck_assert_uint_eq(resident(), BYTES);
}
END_TEST

START_TEST(what_was_never_written_reads_zero)
{
    commit(0, BYTES, (enum shm_huge)_i);
    ck_assert(all_are(memory, BYTES, 0));
}
END_TEST

START_TEST(contents_are_kept)
{
    for (size_t at = 0; at < BYTES; at += 3 * MM_PAGE_BYTES)
        memset(memory + at, (int)(at / MM_PAGE_BYTES % 251 + 1), MM_PAGE_BYTES);
    commit(0, BYTES, (enum shm_huge)_i);
    for (size_t page = 0; page < BYTES / MM_PAGE_BYTES; page++)
        ck_assert(all_are(memory + page * MM_PAGE_BYTES, MM_PAGE_BYTES,
                          page % 3 == 0 ? (unsigned char)(page % 251 + 1) : 0));
}
END_TEST

/* Another process counts in the range while it becomes huge: no store is lost or made up. */
START_TEST(contents_are_kept_while_another_process_writes)
{
    _Atomic uint64_t *counter = (_Atomic uint64_t *)(void *)memory;
    _Atomic uint64_t *told = (_Atomic uint64_t *)(void *)(memory + MM_COMMIT_BYTES - 8);
    pid_t child = fork();
    int status;

    if (child == 0)
        for (uint64_t n = 1;; n++) {
            if (at_add_relaxed(counter, 1) != n - 1)
                _exit(1);
            at_store_relaxed(told, n);
        }
    while (at_load_relaxed(told) < 1000)
        usleep(100);
    for (int round = 0; round < 20; round++)
        commit(0, BYTES, (enum shm_huge)_i);
    uint64_t n = at_load_relaxed(told);
    while (at_load_relaxed(told) == n && waitpid(child, &status, WNOHANG) == 0)
        usleep(100); /* it is still counting, so it never saw a wrong one */
    ck_assert_uint_gt(at_load_relaxed(told), n);
    kill(child, SIGKILL);
    ck_assert_int_eq(waitpid(child, &status, 0), child);
    ck_assert(WIFSIGNALED(status));
    uint64_t counted = at_load_relaxed(counter);
    ck_assert(counted == at_load_relaxed(told) || counted == at_load_relaxed(told) + 1);
}
END_TEST

START_TEST(punched_pages_go_back_and_read_zero)
{
    commit(0, BYTES, (enum shm_huge)_i);
    memset(memory, 0xaa, BYTES);
    ck_assert_int_eq(shm_punch(shm_segment_fd(seg), MM_COMMIT_BYTES, MM_COMMIT_BYTES), 0);
    ck_assert_uint_eq(resident(), BYTES - MM_COMMIT_BYTES);
    for (size_t unit = 0; unit < UNITS; unit++)
        ck_assert(all_are(memory + unit * MM_COMMIT_BYTES, MM_COMMIT_BYTES, unit == 1 ? 0 : 0xaa));
    commit(MM_COMMIT_BYTES, MM_COMMIT_BYTES, (enum shm_huge)_i);
    ck_assert_uint_eq(resident(), BYTES);
    ck_assert_int_eq(shm_punch(shm_segment_fd(seg), 0, BYTES), 0);
    ck_assert_uint_eq(resident(), 0);
}
END_TEST

START_TEST(a_commit_is_as_huge_as_it_says)
{
    enum shm_pages got = commit(0, BYTES, SHM_HUGE_AUTO);

    touch_all_pages();
    if (got != SHM_PAGES_SMALL)
        ck_assert_uint_eq(huge_bytes(), BYTES);
    ck_assert(got == shm_commit_probe() || got == SHM_PAGES_SMALL); /* memory may be in pieces */
    if (shm_commit_probe() == SHM_PAGES_SMALL) {                    /* is that so? */
        (void)madvise(memory, BYTES, MADV_COLLAPSE);
        touch_all_pages();
        ck_assert_uint_eq(huge_bytes(), 0);
    }
    fprintf(stderr, "# %s, %lu KiB of %zu huge\n", shm_pages_name(got), huge_bytes() / 1024,
            BYTES / 1024);
}
END_TEST

/* The probe was right, and then the system has no huge page to give. */
START_TEST(a_commit_that_got_no_huge_pages_says_so)
{
    (void)shm_commit_probe();
    ck_assert_int_eq(prctl(PR_SET_THP_DISABLE, 1, 0, 0, 0), 0);
    enum shm_pages got = commit(0, BYTES, SHM_HUGE_AUTO);
    touch_all_pages();
    ck_assert_int_eq(prctl(PR_SET_THP_DISABLE, 0, 0, 0, 0), 0);
    ck_assert_uint_eq(huge_bytes(), 0);
    ck_assert_int_eq(got, SHM_PAGES_SMALL);
    ck_assert_uint_eq(resident(), BYTES);
}
END_TEST

START_TEST(never_is_told_as_small)
{
    ck_assert_int_eq(commit(0, BYTES, SHM_HUGE_NEVER), SHM_PAGES_SMALL);
    if (shm_commit_probe() != SHM_PAGES_ADVISED) /* else the system may make it huge unasked */
        ck_assert_uint_eq(huge_bytes(), 0);
}
END_TEST

START_TEST(small_pages_can_become_huge_later)
{
    commit(0, BYTES, SHM_HUGE_NEVER);
    memset(memory, 0x55, BYTES);
    commit(0, BYTES, SHM_HUGE_AUTO);
    ck_assert_uint_eq(resident(), BYTES);
    ck_assert(all_are(memory, BYTES, 0x55));
}
END_TEST

static void *probe_in_thread(void *unused)
{
    (void)unused;
    return (void *)(uintptr_t)shm_commit_probe();
}

START_TEST(all_threads_probe_the_same)
{
    pthread_t threads[4];
    void *found;

    for (int i = 0; i < 4; i++)
        ck_assert_int_eq(pthread_create(&threads[i], NULL, probe_in_thread, NULL), 0);
    for (int i = 0; i < 4; i++) {
        ck_assert_int_eq(pthread_join(threads[i], &found), 0);
        ck_assert_uint_eq((uintptr_t)found, shm_commit_probe());
    }
}
END_TEST

START_TEST(every_kind_of_page_has_its_name)
{
    ck_assert_str_eq(shm_pages_name(SHM_PAGES_SMALL), "4 KiB pages");
    ck_assert_ptr_nonnull(strstr(shm_pages_name(SHM_PAGES_ADVISED), "2 MiB"));
    ck_assert_ptr_nonnull(strstr(shm_pages_name(SHM_PAGES_COLLAPSED), "2 MiB"));
    ck_assert_ptr_nonnull(shm_pages_name((enum shm_pages)99));
}
END_TEST

START_TEST(what_cannot_be_had_is_an_error)
{
    MM_AUTO(shm_segment) view = NULL;
    MM_AUTO(shm_segment) published = NULL;
    enum shm_pages got = (enum shm_pages)99;
    int fd = shm_segment_reopen_read_only(seg);

    ck_assert_int_eq(shm_segment_adopt(&view, fd, BYTES, SHM_READ_ONLY), 0);
    ck_assert_int_lt(shm_commit(shm_segment_address(view), BYTES, SHM_HUGE_NEVER, &got), 0);
    ck_assert_int_lt(shm_commit(shm_segment_address(view), BYTES, SHM_HUGE_AUTO, &got), 0);
    ck_assert_int_eq(got, 99);
    ck_assert_int_eq(shm_segment_new_published(&published, 4096, "test"), 0);
    ck_assert_int_eq(shm_punch(shm_segment_fd(published), 0, 4096), -EPERM);
    ck_assert_int_eq(shm_punch(-1, 0, 4096), -EBADF);
    ck_assert_uint_eq(shm_resident_bytes(-1), 0);
}
END_TEST

START_TEST(what_was_written_ends_at_the_first_page_that_was_not)
{
    int fd = shm_segment_fd(seg);

    ck_assert_uint_eq(shm_written_bytes(fd, 4096, 8192), 0);
    memory[4096] = memory[8192] = memory[16384] = 1;
    ck_assert_uint_eq(shm_written_bytes(fd, 4096, 4096), 4096);
    ck_assert_uint_eq(shm_written_bytes(fd, 4096, BYTES - 4096), 8192);
    ck_assert_uint_eq(shm_written_bytes(fd, 5000, 100), 100);
    ck_assert_uint_eq(shm_written_bytes(fd, 0, 100), 0);
    ck_assert_uint_eq(resident(), 3 * 4096); /* and asking allocates nothing */
    ck_assert_uint_eq(shm_written_bytes(-1, 0, 100), 100);
}
END_TEST

START_TEST(nothing_is_committed_at_once)
{
    commit(0, 0, (enum shm_huge)_i);
    ck_assert_uint_eq(resident(), 0);
}
END_TEST

static Suite *make(void)
{
    Suite *suite = suite_create("commit");
    TCase *tc = tcase_create("both"); /* asked for huge pages, and not */

    tcase_add_checked_fixture(tc, setup, teardown);
    tcase_add_loop_test(tc, a_commit_makes_its_range_resident_and_no_more, 0, 2);
    tcase_add_loop_test(tc, what_was_never_written_reads_zero, 0, 2);
    tcase_add_loop_test(tc, contents_are_kept, 0, 2);
    tcase_add_loop_test(tc, contents_are_kept_while_another_process_writes, 0, 2);
    tcase_add_loop_test(tc, punched_pages_go_back_and_read_zero, 0, 2);
    tcase_add_test(tc, what_was_written_ends_at_the_first_page_that_was_not);
    tcase_add_loop_test(tc, nothing_is_committed_at_once, 0, 2);
    suite_add_tcase(suite, tc);

    tc = tcase_create("huge");
    tcase_add_checked_fixture(tc, setup, teardown);
    tcase_add_test(tc, a_commit_is_as_huge_as_it_says);
    tcase_add_test(tc, a_commit_that_got_no_huge_pages_says_so);
    tcase_add_test(tc, never_is_told_as_small);
    tcase_add_test(tc, small_pages_can_become_huge_later);
    tcase_add_test(tc, all_threads_probe_the_same);
    tcase_add_test(tc, every_kind_of_page_has_its_name);
    tcase_add_test(tc, what_cannot_be_had_is_an_error);
    suite_add_tcase(suite, tc);
    return suite;
}

int main(int argc, char **argv)
{
    return runner_main(argc, argv, make);
}
