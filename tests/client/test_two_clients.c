/* SPDX-License-Identifier: Apache-2.0 */
/* Two libraries of one process, each a client without knowing of the other: one is linked with libmmgc-client.so, one has it inside. */
#include <dlfcn.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "proto/mmgc/error.h"
#include "shm/base.h"
#include "tests/client/two_module.h"
#include "tests/support/daemon.h"
#include "tests/support/runner.h"

#define NODES 20000
#define ck_assert_ok(call) ck_assert_int_eq((call), MMGC_OK)

enum { LINKED, EMBEDDED, MODULES };

static struct daemon *mmgcd;
static void *loaded[MODULES];
static const struct two_module *modules[MODULES];

static void load(int which, const char *path)
{
    loaded[which] = dlopen(path, RTLD_NOW | RTLD_LOCAL);
    ck_assert_msg(loaded[which] != NULL, "%s", dlerror());
    modules[which] = dlsym(loaded[which], TWO_MODULE_SYMBOL);
    ck_assert_ptr_nonnull(modules[which]);
}

static void setup(void)
{
    mmgcd = daemon_start(NULL);
    load(LINKED, TWO_LINKED);
    load(EMBEDDED, TWO_EMBEDDED);
    ck_assert_ptr_ne(modules[LINKED], modules[EMBEDDED]);
}

static void open_both(const char *first, const char *second)
{
    ck_assert_ok(modules[LINKED]->open(daemon_socket(mmgcd), first));
    ck_assert_ok(modules[EMBEDDED]->open(daemon_socket(mmgcd), second));
}

static void close_both(void)
{
    modules[LINKED]->close();
    modules[EMBEDDED]->close();
    if (mmgcd != NULL)
        daemon_stop(mmgcd);
}

START_TEST(each_has_a_connection_and_a_heap_of_its_own)
{
    open_both("first", "second");
    for (int round = 0; round < 3; round++)
        for (int i = 0; i < MODULES; i++) {
            ck_assert_ok(modules[i]->grow("list", NODES + i));
            ck_assert_ok(modules[1 - i]->collect());
            ck_assert_ok(modules[i]->collect());
            ck_assert_ok(modules[i]->check("list", NODES + i));
        }
    close_both();
}
END_TEST

START_TEST(both_share_a_heap_as_two_processes_do)
{
    open_both("heap", "heap");
    ck_assert_ok(modules[LINKED]->grow("linked", NODES));
    ck_assert_ok(modules[EMBEDDED]->grow("embedded", NODES + 1));
    ck_assert_ok(modules[LINKED]->collect());
    ck_assert_ok(modules[LINKED]->check("embedded", NODES + 1));
    ck_assert_ok(modules[EMBEDDED]->collect());
    ck_assert_ok(modules[EMBEDDED]->check("linked", NODES));
    close_both();
}
END_TEST

static void *work(void *arg)
{
    const struct two_module *module = arg;
    int r = module->open(daemon_socket(mmgcd), "heap");

    for (int i = 0; r == MMGC_OK && i < 10; i++) {
        r = module->grow(module == modules[LINKED] ? "linked" : "embedded", NODES);
        if (r == MMGC_OK)
            r = module->collect();
        if (r == MMGC_OK)
            r = module->check(module == modules[LINKED] ? "linked" : "embedded", NODES);
    }
    module->close();
    return (void *)(intptr_t)r;
}

START_TEST(their_threads_collect_under_each_other)
{
    pthread_t threads[MODULES];
    void *result;

    for (int i = 0; i < MODULES; i++)
        ck_assert_int_eq(pthread_create(&threads[i], NULL, work, (void *)(uintptr_t)modules[i]), 0);
    for (int i = 0; i < MODULES; i++) {
        ck_assert_int_eq(pthread_join(threads[i], &result), 0);
        ck_assert_int_eq((int)(intptr_t)result, MMGC_OK);
    }
    daemon_stop(mmgcd);
}
END_TEST

/* One thread, inside twice: the half that does not look keeps the other waiting, as any client that does not look would. */
START_TEST(a_thread_that_is_inside_by_one_waits_in_vain_by_the_other)
{
    ck_assert_ok(modules[LINKED]->open(daemon_socket(mmgcd), "heap"));
    ck_assert_ok(modules[EMBEDDED]->open(daemon_socket(mmgcd), "heap"));
    ck_assert_ok(modules[LINKED]->enter());
    ck_assert_int_eq(modules[EMBEDDED]->collect(), MMGC_E_STALLED); /* at the daemon's stop_deadline */
    modules[LINKED]->leave();
    ck_assert_ok(modules[EMBEDDED]->collect());
    close_both();
}
END_TEST

static void setup_hasty(void)
{
    setup();
    daemon_stop(mmgcd);
    mmgcd = daemon_start("[daemon]\nthreads = 2\nstop_deadline = 300ms\nstop_policy = abandon\n");
}

START_TEST(a_child_is_forked_for_both)
{
    int status;

    open_both("first", "second");
    pid_t pid = fork();
    ck_assert_int_ge(pid, 0);
    if (pid == 0)
        _exit(modules[LINKED]->ping() == MMGC_E_FORKED && modules[EMBEDDED]->ping() == MMGC_E_FORKED
                  ? 0
                  : 1);
    ck_assert_int_eq(waitpid(pid, &status, 0), pid);
    ck_assert_int_eq(status, 0);
    ck_assert_ok(modules[LINKED]->ping());
    ck_assert_ok(modules[EMBEDDED]->ping());
    close_both();
}
END_TEST

START_TEST(both_learn_of_the_daemons_death)
{
    open_both("heap", "heap");
    daemon_kill(mmgcd);
    mmgcd = NULL;
    ck_assert_int_eq(modules[LINKED]->collect(), MMGC_E_DISCONNECTED);
    ck_assert_int_eq(modules[EMBEDDED]->collect(), MMGC_E_DISCONNECTED);
    close_both();
}
END_TEST

static void *attach_to_both(void *arg)
{
    int first = modules[LINKED]->attach_and_end(), second = modules[EMBEDDED]->attach_and_end();

    (void)arg;
    return (void *)(intptr_t)(first != MMGC_OK ? first : second);
}

START_TEST(a_thread_that_ends_is_detached_from_both)
{
    pthread_t thread;
    void *result;

    open_both("heap", "heap");
    ck_assert_int_eq(pthread_create(&thread, NULL, attach_to_both, NULL), 0);
    ck_assert_int_eq(pthread_join(thread, &result), 0);
    ck_assert_int_eq((int)(intptr_t)result, MMGC_OK);
    uint64_t before_ns = mm_now_ns();
    ck_assert_ok(modules[LINKED]->collect());
    ck_assert_uint_lt((mm_now_ns() - before_ns) / 1000000,
                      5000); /* half of what the daemon waits for one that is inside */
    close_both();
}
END_TEST

static pthread_barrier_t unloaded;

static void *attach_and_outlive(void *arg)
{
    void *result = attach_to_both(arg);

    pthread_barrier_wait(&unloaded);
    pthread_barrier_wait(&unloaded);
    return result; /* through the destructors of keys whose libraries may be gone */
}

START_TEST(a_library_may_be_unloaded_before_its_threads_end)
{
    pthread_t thread;
    void *result;

    open_both("heap", "heap");
    pthread_barrier_init(&unloaded, NULL, 2);
    ck_assert_int_eq(pthread_create(&thread, NULL, attach_and_outlive, NULL), 0);
    pthread_barrier_wait(&unloaded);
    close_both();
    ck_assert_int_eq(dlclose(loaded[EMBEDDED]), 0);
    ck_assert_int_eq(dlclose(loaded[LINKED]), 0);
    pthread_barrier_wait(&unloaded);
    ck_assert_int_eq(pthread_join(thread, &result), 0);
    pid_t pid = fork(); /* nor do their fork handlers run */
    if (pid == 0)
        _exit(0);
    ck_assert_int_eq(waitpid(pid, NULL, 0), pid);
}
END_TEST

static Suite *two_suite(void)
{
    Suite *suite = suite_create("two_clients");
    TCase *both = tcase_create("both"), *hasty = tcase_create("hasty");

    tcase_add_checked_fixture(both, setup, NULL);
    tcase_add_test(both, each_has_a_connection_and_a_heap_of_its_own);
    tcase_add_test(both, both_share_a_heap_as_two_processes_do);
    tcase_add_test(both, their_threads_collect_under_each_other);
    tcase_add_test(both, a_child_is_forked_for_both);
    tcase_add_test(both, both_learn_of_the_daemons_death);
    tcase_add_test(both, a_thread_that_ends_is_detached_from_both);
#if !defined(__SANITIZE_ADDRESS__) /* which is right: 16 bytes a thread stay, that nobody knows any more */
    tcase_add_test(both, a_library_may_be_unloaded_before_its_threads_end);
#endif
    suite_add_tcase(suite, both);
    tcase_add_checked_fixture(hasty, setup_hasty, NULL);
    tcase_add_test(hasty, a_thread_that_is_inside_by_one_waits_in_vain_by_the_other);
    suite_add_tcase(suite, hasty);
    return suite;
}

int main(int argc, char **argv)
{
    return runner_main(argc, argv, two_suite);
}
