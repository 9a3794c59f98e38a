/* SPDX-License-Identifier: Apache-2.0 */
#include "tests/client/fixture.h"

#include <stdio.h>
#include <stdlib.h>
#include <sys/wait.h>
#include <unistd.h>

#define CHILD_CHECK(x) \
    do { \
        if (!(x)) { \
            fprintf(stderr, "child: line %d: %s\n", __LINE__, #x); \
            _exit(1); \
        } \
    } while (0)

static void setup_in(void)
{
    setup();
    ck_assert_ok(mmgc_enter(t));
    ck_assert_ptr_nonnull(mmgc_new(t, node_type));
}

/* Every call, in the child of a thread that was inside. */
static void child_calls(void)
{
    struct mmgc_client *other;
    struct mmgc_heap *second;
    struct mmgc_thread *mine;
    struct mmgc_heap_info info;
    mmgc_handle h;
    mmgc_type type;
    void *p;

    CHILD_CHECK(mmgc_ping(client) == MMGC_E_FORKED);
    CHILD_CHECK(mmgc_heap_open(client, "x", NULL, &second) == MMGC_E_FORKED);
    CHILD_CHECK(mmgc_heap_destroy(client, "x", true) == MMGC_E_FORKED);
    CHILD_CHECK(mmgc_heap_info(heap, &info) == MMGC_E_FORKED);
    CHILD_CHECK(MMGC_DEFINE_LEAF(heap, node, &type) == MMGC_E_FORKED);
    CHILD_CHECK(mmgc_attach(heap, NULL, &mine) == MMGC_E_FORKED);
    CHILD_CHECK(mmgc_enter(t) == MMGC_E_FORKED);
    CHILD_CHECK(mmgc_poll(t) == MMGC_E_FORKED);
    CHILD_CHECK(mmgc_new(t, node_type) == NULL && mmgc_thread_error(t) == MMGC_E_FORKED);
    CHILD_CHECK(mmgc_new_array(t, bytes_type, 100000) == NULL && mmgc_thread_error(t) == MMGC_E_FORKED);
    CHILD_CHECK(mmgc_reserve(t, 100) == MMGC_E_FORKED);
    CHILD_CHECK(mmgc_gc(t) == MMGC_E_FORKED);
    CHILD_CHECK(mmgc_handle_new(t, NULL, &h) == MMGC_E_FORKED);
    CHILD_CHECK(mmgc_handle_get(t, (mmgc_handle){ 1, 1 }) == NULL);
    CHILD_CHECK(mmgc_handle_drop(heap, (mmgc_handle){ 1, 1 }) == MMGC_E_FORKED);
    CHILD_CHECK(mmgc_local_new(t, NULL).slot == 0);
    CHILD_CHECK(mmgc_scope_open(t).top == 0);
    CHILD_CHECK(mmgc_name_set(t, "x", NULL) == MMGC_E_FORKED);
    CHILD_CHECK(mmgc_name_get(t, "x") == NULL);
    CHILD_CHECK(mmgc_name_claim(t, "x", t->base + 8, &p) == MMGC_E_FORKED);
    CHILD_CHECK(mmgc_stack_add(t, &info, sizeof(info)) == MMGC_E_FORKED);
    mmgc_leave(t);
    mmgc_detach(t);
    mmgc_heap_close(heap);
    mmgc_disconnect(client);
    CHILD_CHECK(mmgc_connect(fake->path, "child", &other) == MMGC_OK); /* anew: the parent's fake answers */
    CHILD_CHECK(mmgc_heap_open(other, "heap", NULL, &second) == MMGC_OK);
    CHILD_CHECK(mmgc_attach(second, NULL, &mine) == MMGC_OK);
    CHILD_CHECK(MMGC_DEFINE_LEAF(second, node, &type) == MMGC_OK);
    CHILD_CHECK(mmgc_enter(mine) == MMGC_OK && mmgc_new(mine, type) != NULL);
    mmgc_leave(mine);
    mmgc_heap_close(second);
    mmgc_disconnect(other);
}

static int wait_child(pid_t pid)
{
    int status;

    ck_assert_int_eq(waitpid(pid, &status, 0), pid);
    return status;
}

START_TEST(in_a_child_every_call_is_forked_until_it_connects)
{
    pid_t pid = fork();

    if (pid == 0) {
        child_calls();
        exit(0); /* with the key's destructors of the parent's thread */
    }
    ck_assert_int_eq(wait_child(pid), 0);
    ck_assert_ptr_nonnull(mmgc_new(t, node_type)); /* the parent never noticed */
    ck_assert_ok(mmgc_ping(client));
}
END_TEST

#if !defined(__SANITIZE_ADDRESS__) /* its allocator may be locked by a thread that the child has not */
static _Atomic bool busy_over;

static void *busy(void *arg)
{
    while (!at_load_relaxed(&busy_over)) {
        struct mmgc_thread *mine;
        if (mmgc_attach(heap, NULL, &mine) != MMGC_OK)
            return NULL;
        (void)mmgc_ping(client);
        mmgc_detach(mine);
        if (at_load_acquire(&fake->attaches) >= FAKE_THREADS - 2)
            while (!at_load_relaxed(&busy_over))
                (void)mmgc_ping(client);
    }
    return arg;
}

START_TEST(a_fork_amid_other_threads_calls_leaves_no_lock_held)
{
    pthread_t thread;

    ck_assert_int_eq(pthread_create(&thread, NULL, busy, fake), 0);
    for (int i = 0; i < 20; i++) {
        (void)usleep(1000);
        pid_t pid = fork();
        if (pid == 0) {
            struct mmgc_client *other;
            (void)alarm(5);
            CHILD_CHECK(mmgc_ping(client) == MMGC_E_FORKED);
            CHILD_CHECK(mmgc_connect(fake->path, "child", &other) == MMGC_OK);
            CHILD_CHECK(mmgc_ping(other) == MMGC_OK);
            _exit(0);
        }
        ck_assert_int_eq(wait_child(pid), 0);
    }
    at_store_relaxed(&busy_over, true);
    (void)pthread_join(thread, NULL);
}
END_TEST
#endif

static Suite *fork_suite(void)
{
    Suite *suite = suite_create("fork");
    TCase *child = tcase_create("child");

    tcase_add_checked_fixture(child, setup_in, teardown);
    tcase_add_test(child, in_a_child_every_call_is_forked_until_it_connects);
#if !defined(__SANITIZE_ADDRESS__)
    tcase_add_test(child, a_fork_amid_other_threads_calls_leaves_no_lock_held);
#endif
    suite_add_tcase(suite, child);
    return suite;
}

int main(int argc, char **argv)
{
    return runner_main(argc, argv, fork_suite);
}
