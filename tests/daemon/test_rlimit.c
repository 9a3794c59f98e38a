/* SPDX-License-Identifier: Apache-2.0 */
/* Limits of a process (setrlimit): of the daemon and of a client, each is an error that says so, and nothing else. */
#include <mmgc/mmgc.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "shm/base.h"
#include "tests/support/daemon.h"
#include "tests/support/runner.h"

#define MIB (UINT64_C(1) << 20)
#define GIB (UINT64_C(1) << 30)

static struct daemon *d;

/* A daemon with a soft limit that the test itself is then without. */
static void start_with(int resource, uint64_t bytes)
{
    struct rlimit before, limit;

    ck_assert_int_eq(getrlimit((__rlimit_resource_t)resource, &before), 0);
    limit = (struct rlimit){ .rlim_cur = bytes, .rlim_max = before.rlim_max };
    ck_assert_int_eq(setrlimit((__rlimit_resource_t)resource, &limit), 0);
    d = daemon_start(NULL);
    ck_assert_int_eq(setrlimit((__rlimit_resource_t)resource, &before), 0);
}

static int try_heap(const char *name, uint64_t bytes, struct mmgc_client **ret_client,
                    struct mmgc_heap **ret_heap)
{
    struct mmgc_heap_options options = { .create = true, .max_bytes = bytes };
    int code = mmgc_connect(daemon_socket(d), "limited", ret_client);

    if (code != MMGC_OK)
        return code;
    code = mmgc_heap_open(*ret_client, name, &options, ret_heap);
    if (code != MMGC_OK)
        mmgc_disconnect(*ret_client);
    return code;
}

/* A heap that can be used. */
static void check_heap(const char *name, uint64_t bytes)
{
    struct mmgc_client *client;
    struct mmgc_heap *heap;
    struct mmgc_thread *t;
    mmgc_type type;

    ck_assert_int_eq(try_heap(name, bytes, &client, &heap), MMGC_OK);
    ck_assert_int_eq(mmgc_type_bytes(heap, &type), MMGC_OK);
    ck_assert_int_eq(mmgc_attach(heap, NULL, &t), MMGC_OK);
    ck_assert_int_eq(mmgc_enter(t), MMGC_OK);
    for (int i = 0; i < 100; i++) {
        char *p = mmgc_new_array(t, type, 50000);
        ck_assert_msg(p != NULL, "%s", mmgc_strerror(mmgc_thread_error(t)));
        memset(p, i, 50000);
    }
    ck_assert_int_eq(mmgc_gc(t), MMGC_OK);
    mmgc_leave(t);
    mmgc_detach(t);
    mmgc_heap_close(heap);
    mmgc_disconnect(client);
}

/* In a process of its own: what it is limited in, it stays limited in. */
static void in_a_client(void (*run)(void))
{
    int status;
    pid_t pid = fork();

    if (pid == 0) {
        (void)prctl(PR_SET_PDEATHSIG, SIGKILL);
        run();
        _exit(0);
    }
    ck_assert_int_eq(waitpid(pid, &status, 0), pid);
    ck_assert_msg(WIFEXITED(status) && WEXITSTATUS(status) == 0, "wait status %#x", (unsigned)status);
}

/* ---- the daemon's ---- */

/* The kernel sends SIGXFSZ with that, whose default is the end. */
START_TEST(a_heap_over_the_daemons_file_size_is_refused)
{
    struct mmgc_client *client;
    struct mmgc_heap *heap;

    start_with(RLIMIT_FSIZE, 48 * MIB);
    ck_assert_int_eq(try_heap("large", 64 * MIB, &client, &heap), MMGC_E_LIMIT);
    ck_assert_ptr_nonnull(strstr(mmgc_error_detail(), "RLIMIT_FSIZE"));
    check_heap("small", 16 * MIB);
    daemon_stop(d);
}
END_TEST

START_TEST(heaps_beyond_the_daemons_address_space_are_refused)
{
    struct mmgc_client *clients[8];
    struct mmgc_heap *heaps[8];
    char name[8] = "h0";
    int code = MMGC_OK, n = 0;

    start_with(RLIMIT_AS, 96 * GIB);
    for (; n < 8 && code == MMGC_OK; n++, name[1]++)
        code = try_heap(name, 16 * GIB, &clients[n], &heaps[n]);
    ck_assert_msg(code == MMGC_E_SYSTEM_NOMEM, "%s after %d", mmgc_strerror(code), n);
    for (int i = 0; i < n - 1; i++) {
        mmgc_heap_close(heaps[i]);
        mmgc_disconnect(clients[i]);
    }
    if (n > 1) {
        check_heap("h0", 16 * GIB); /* what there was before is as good as ever */
        ck_assert_int_eq(mmgc_connect(daemon_socket(d), "limited", &clients[0]), MMGC_OK);
        ck_assert_int_eq(mmgc_heap_destroy(clients[0], "h0", true), MMGC_OK);
        mmgc_disconnect(clients[0]);
    }
    usleep(200000);
    check_heap("small", 16 * MIB);
    daemon_stop(d);
}
END_TEST

/* ---- a client's ---- */

static void limit_self(int resource, uint64_t value)
{
    ck_assert_int_eq(setrlimit((__rlimit_resource_t)resource, &(struct rlimit){ value, value }), 0);
}

static void with_little_address_space(void)
{
    struct mmgc_client *client;
    struct mmgc_heap *heap;

    limit_self(RLIMIT_AS, GIB);
    ck_assert_int_eq(try_heap("large", 8 * GIB, &client, &heap), MMGC_E_SYSTEM);
    ck_assert_ptr_nonnull(strstr(mmgc_error_detail(), "memory"));
    check_heap("small", 16 * MIB);
}

START_TEST(a_client_without_address_space_is_told_and_goes_on)
{
    d = daemon_start(NULL);
    in_a_client(with_little_address_space);
    check_heap("large", 8 * GIB); /* which the daemon has made */
    daemon_stop(d);
}
END_TEST

static void with_few_descriptors(void)
{
    struct mmgc_client *client;
    struct mmgc_heap *heap;
    int code = MMGC_OK, held[64], n = 0;

    limit_self(RLIMIT_NOFILE, 40);
    while (n < 64 && (held[n] = dup(STDERR_FILENO)) >= 0)
        n++;
    for (int room = 0; room < 12; room++) { /* each time one more */
        code = try_heap("h", 16 * MIB, &client, &heap);
        if (code == MMGC_OK)
            break;
        ck_assert_msg(code == MMGC_E_SYSTEM || code == MMGC_E_PROTOCOL || code == MMGC_E_LIMIT ||
                          code == MMGC_E_DISCONNECTED,
                      "with %d: %s", room, mmgc_strerror(code));
        (void)close(held[--n]);
    }
    ck_assert_int_eq(code, MMGC_OK);
    mmgc_heap_close(heap);
    mmgc_disconnect(client);
    for (int i = 0; i < 8; i++)
        (void)close(held[--n]);
    check_heap("h", 16 * MIB);
}

START_TEST(a_client_without_descriptors_is_told_and_goes_on)
{
    d = daemon_start(NULL);
    int before = daemon_fd_count(d);
    in_a_client(with_few_descriptors);
    check_heap("other", 16 * MIB);
    (void)before;
    daemon_stop(d);
}
END_TEST

/* As another user, root being above this limit: all that it maps is to be locked, and may not be. */
static void with_little_to_lock(void)
{
    struct mmgc_client *client;
    struct mmgc_heap *heap;

    limit_self(RLIMIT_MEMLOCK, 8 * MIB);
    ck_assert_int_eq(setuid(12345), 0);
    ck_assert_int_eq(syscall(SYS_mlockall, MCL_FUTURE), 0); /* mlockall() does nothing under a sanitizer */
    int code = try_heap("locked", 256 * MIB, &client, &heap);
    ck_assert_msg(code == MMGC_E_SYSTEM, "%s", mmgc_strerror(code));
    ck_assert_int_eq(munlockall(), 0);
    ck_assert_int_eq(try_heap("free", 256 * MIB, &client, &heap), MMGC_OK);
    mmgc_heap_close(heap);
    mmgc_disconnect(client);
}

START_TEST(a_client_that_may_not_lock_an_arena_is_told_and_goes_on)
{
    char command[96];

    if (geteuid() != 0)
        return; /* nobody else to be */
    d = daemon_start("[daemon]\nthreads = 2\nsocket_mode = 0666\n");
    snprintf(command, sizeof(command), "chmod 755 %s", daemon_directory(d));
    ck_assert_int_eq(system(command), 0);
    in_a_client(with_little_to_lock);
    check_heap("small", 16 * MIB);
    daemon_stop(d);
}
END_TEST

static Suite *rlimit_suite(void)
{
    Suite *suite = suite_create("rlimit");
    TCase *daemons = tcase_create("daemon"), *clients = tcase_create("client");

    tcase_set_timeout(daemons, 60);
    tcase_add_test(daemons, a_heap_over_the_daemons_file_size_is_refused);
#if !defined(__SANITIZE_ADDRESS__) && !defined(__SANITIZE_THREAD__) /* which take 16 TiB of it */
    tcase_add_test(daemons, heaps_beyond_the_daemons_address_space_are_refused);
#endif
    suite_add_tcase(suite, daemons);
    tcase_set_timeout(clients, 60);
#if !defined(__SANITIZE_ADDRESS__) && !defined(__SANITIZE_THREAD__)
    tcase_add_test(clients, a_client_without_address_space_is_told_and_goes_on);
#endif
    tcase_add_test(clients, a_client_without_descriptors_is_told_and_goes_on);
#if !defined(__SANITIZE_THREAD__) /* whose own memory would be locked, too */
    tcase_add_test(clients, a_client_that_may_not_lock_an_arena_is_told_and_goes_on);
#endif
    suite_add_tcase(suite, clients);
    return suite;
}

int main(int argc, char **argv)
{
    return runner_main(argc, argv, rlimit_suite);
}
