/* SPDX-License-Identifier: Apache-2.0 */
#include "shm/futex.h"

#include <fcntl.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

#include "shm/segment.h"
#include "tests/support/runner.h"

#define LONG_NS UINT64_C(10000000000)
#define MS_NS UINT64_C(1000000)

struct words {
    _Atomic uint32_t go;
    _Atomic uint32_t ready; /* the child is about to wait */
};

static struct shm_segment *seg;
static struct words *words;

static void setup(void)
{
    ck_assert_int_eq(shm_segment_new(&seg, 4096, "test-futex"), 0);
    words = shm_segment_address(seg);
}

static void teardown(void)
{
    seg = shm_segment_unref(seg);
}

/* A child that waits for @word to leave 0. It exits 0 if that happened without any time-out. */
static pid_t start_waiter(const _Atomic uint32_t *word)
{
    pid_t child = fork();

    if (child != 0)
        return child;
    at_store_release(&words->ready, 1);
    while (at_load_acquire(word) == 0)
        if (futex_wait(word, 0, LONG_NS) == FUTEX_TIMED_OUT)
            _exit(1);
    _exit(0);
}

static void wake_and_reap(pid_t child)
{
    int status;

    while (at_load_acquire(&words->ready) == 0)
        usleep(100);
    usleep(20000); /* most likely asleep by now; right either way */
    at_store_release(&words->go, 1);
    futex_wake_all(&words->go);
    ck_assert_int_eq(waitpid(child, &status, 0), child);
    ck_assert(WIFEXITED(status));
    ck_assert_int_eq(WEXITSTATUS(status), 0);
}

START_TEST(a_wake_reaches_another_process)
{
    wake_and_reap(start_waiter(&words->go));
}
END_TEST

START_TEST(a_wake_reaches_a_read_only_mapping)
{
    int fd = shm_segment_reopen_read_only(seg);
    ck_assert_int_ge(fd, 0);
    const struct words *view = mmap(NULL, 4096, PROT_READ, MAP_SHARED, fd, 0);
    ck_assert(view != MAP_FAILED);

    wake_and_reap(start_waiter(&view->go));
    munmap((void *)view, 4096);
    close(fd);
}
END_TEST

START_TEST(waiting_ends_at_the_time_out)
{
    uint64_t before = mm_now_ns();
    enum futex_result result;

    do /* a signal may cut a wait short */
        result = futex_wait(&words->go, 0, 30 * MS_NS);
    while (result == FUTEX_WOKEN);
    ck_assert_uint_ge(mm_now_ns() - before, 30 * MS_NS);
    ck_assert_uint_lt(mm_now_ns() - before, LONG_NS);
}
END_TEST

START_TEST(no_time_is_a_time_out)
{
    ck_assert_int_eq(futex_wait(&words->go, 0, 0), FUTEX_TIMED_OUT);
}
END_TEST

START_TEST(a_changed_word_is_not_waited_on)
{
    at_store_release(&words->go, 5);
    ck_assert_int_eq(futex_wait(&words->go, 4, LONG_NS), FUTEX_WOKEN);
}
END_TEST

START_TEST(the_longest_time_out_is_no_error)
{
    at_store_release(&words->go, 1);
    ck_assert_int_eq(futex_wait(&words->go, 0, UINT64_MAX), FUTEX_WOKEN);
    wake_and_reap(start_waiter(&words->go));
}
END_TEST

START_TEST(waking_nobody_is_harmless)
{
    futex_wake_all(&words->go);
    ck_assert_uint_eq(at_load_relaxed(&words->go), 0);
}
END_TEST

static Suite *make(void)
{
    Suite *suite = suite_create("futex");
    TCase *tc = tcase_create("futex");

    tcase_add_checked_fixture(tc, setup, teardown);
    tcase_add_test(tc, a_wake_reaches_another_process);
    tcase_add_test(tc, a_wake_reaches_a_read_only_mapping);
    tcase_add_test(tc, waiting_ends_at_the_time_out);
    tcase_add_test(tc, no_time_is_a_time_out);
    tcase_add_test(tc, a_changed_word_is_not_waited_on);
    tcase_add_test(tc, the_longest_time_out_is_no_error);
    tcase_add_test(tc, waking_nobody_is_harmless);
    suite_add_tcase(suite, tc);
    return suite;
}

int main(int argc, char **argv)
{
    return runner_main(argc, argv, make);
}
