/* SPDX-License-Identifier: Apache-2.0 */
/* Plan pageprotect with the library and the real daemon: stale pointers fault in every client, and nothing else does. */
#include <mmgc/mmgc.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "shm/units.h"
#include "tests/client/faults.h"
#include "tests/support/daemon.h"
#include "tests/support/runner.h"

#define ck_assert_ok(call) ck_assert_int_eq((call), MMGC_OK)
#define HEAP_BYTES (UINT64_C(32) << 20)
#define MASK UINT64_C(0x5555555555555555) /* a pointer that no scan takes for one */

struct node {
    mmgc_ref next;
    int64_t value;
};
struct access {
    struct mmgc_client *client;
    struct mmgc_heap *heap;
    struct mmgc_thread *t;
    mmgc_type node, bytes;
};

static struct daemon *mmgcd;
static struct access a;

static int access_open(struct access *x, bool read_only)
{
    struct mmgc_heap_options options = { .create = true, .read_only = read_only, .max_bytes = HEAP_BYTES, .plan = "pageprotect" };
    struct mmgc_thread_options exact = { .exact = true };

    memset(x, 0, sizeof(*x));
    int r = mmgc_connect(daemon_socket(mmgcd), "test", &x->client);
    if (r == MMGC_OK)
        r = mmgc_heap_open(x->client, "heap", &options, &x->heap);
    if (r == MMGC_OK)
        r = MMGC_DEFINE_TYPE(x->heap, node, &x->node, next);
    if (r == MMGC_OK)
        r = mmgc_type_bytes(x->heap, &x->bytes);
    return r == MMGC_OK ? mmgc_attach(x->heap, &exact, &x->t) : r;
}

static void access_close(struct access *x)
{
    mmgc_detach(x->t);
    mmgc_heap_close(x->heap);
    mmgc_disconnect(x->client);
}

static void setup(void)
{
    mmgcd = daemon_start(NULL);
    ck_assert_ok(access_open(&a, false));
    ck_assert_ok(mmgc_enter(a.t));
    catch_faults();
}

static void teardown(void)
{
    access_close(&a);
    daemon_stop(mmgcd);
}

/* Runs @run in a process of its own; its result, or 128 and the signal that ended it. */
static int in_child(int (*run)(void *context), void *context)
{
    int status;
    pid_t pid = fork();

    if (pid == 0)
        _exit(run(context));
    ck_assert_int_gt(pid, 0);
    ck_assert_int_eq(waitpid(pid, &status, 0), pid);
    return WIFSIGNALED(status) ? 128 + WTERMSIG(status) : WEXITSTATUS(status);
}

START_TEST(a_stale_pointer_faults_where_it_points)
{
    static const uint32_t lengths[] = { 1, 4088, 5000, 16376, 20000, 64 * 4096 - 8, 1000000 };
    uint32_t length = lengths[_i];
    struct mmgc_heap_info info;
    char *dead = mmgc_new_array(a.t, a.bytes, length), *kept = mmgc_new_array(a.t, a.bytes, length);
    mmgc_local local = mmgc_local_new(a.t, kept);

    memset(dead, 1, length);
    memset(kept, 2, length);
    ck_assert_ok(mmgc_gc(a.t));
    ck_assert(read_faults(dead));
    ck_assert(read_faults(dead + length - 1));
    ck_assert(write_faults(dead + length / 2));
    ck_assert_ptr_eq(mmgc_local_get(a.t, local), kept);
    ck_assert(!write_faults(kept) && !write_faults(kept + length - 1));
    ck_assert_ok(mmgc_heap_info(a.heap, &info));
    ck_assert_uint_ge(info.closed_bytes, length);
    ck_assert_uint_eq(info.left_open_bytes, 0);
    ck_assert_ok(mmgc_gc(a.t)); /* its term is over */
    ck_assert_ok(mmgc_heap_info(a.heap, &info));
    ck_assert_uint_eq(info.closed_bytes, 0);
    ck_assert(!read_faults(dead));
}
END_TEST

/* A program that does not expect it: it has an ambiguous thread, and hides its pointer in malloc memory. */
__attribute__((noinline)) static void hide_pointer(struct access *x, uint64_t *hidden)
{
    struct node *n = mmgc_new(x->t, x->node);

    n->value = 42;
    *hidden = (uint64_t)(uintptr_t)n ^ MASK;
}

__attribute__((noinline)) static void wipe_stack(void)
{
    volatile char bytes[16384];

    for (size_t i = 0; i < sizeof(bytes); i++)
        bytes[i] = 0;
}

static int use_after_death(void *context)
{
    struct mmgc_client *client;
    struct access x = { 0 };
    uint64_t *hidden = malloc(sizeof(*hidden));

    (void)context;
    (void)signal(SIGSEGV, SIG_DFL);
    if (hidden == NULL || mmgc_connect(daemon_socket(mmgcd), "careless", &client) != MMGC_OK ||
        mmgc_heap_open(client, "heap", NULL, &x.heap) != MMGC_OK || MMGC_DEFINE_TYPE(x.heap, node, &x.node, next) != MMGC_OK ||
        mmgc_attach(x.heap, NULL, &x.t) != MMGC_OK || mmgc_enter(x.t) != MMGC_OK)
        return 1;
    hide_pointer(&x, hidden);
    wipe_stack();
    if (mmgc_gc(x.t) != MMGC_OK)
        return 2;
    const volatile struct node *n = (const struct node *)(uintptr_t)(*hidden ^ MASK);
    return n->value == 42 ? 3 : 4;
}

START_TEST(a_program_that_kept_a_pointer_in_malloc_memory_is_stopped)
{
    mmgc_leave(a.t);
    ck_assert_int_eq(in_child(use_after_death, NULL), 128 + SIGSEGV);
    ck_assert_ok(mmgc_enter(a.t));
}
END_TEST

struct places { /* granules */
    uint32_t dead, kept;
};

static int look_from_outside(void *context)
{
    const struct places *places = context;
    struct access x;
    bool read_only = getenv("TEST_READ_ONLY") != NULL;

    if (access_open(&x, read_only) != MMGC_OK || mmgc_enter(x.t) != MMGC_OK)
        return 1;
    struct node *kept = mmgc_name_get(x.t, "kept");
    if (kept == NULL || kept->value != 42 || mmgc_ref_of(x.t, kept).granule != places->kept)
        return 2;
    if (!read_faults((char *)x.t->base + (size_t)places->dead * MM_GRANULE_BYTES))
        return 3;
    if (write_faults((char *)&kept->value) != read_only)
        return 4;
    if (mmgc_gc(x.t) != MMGC_OK || read_faults((char *)x.t->base + (size_t)places->dead * MM_GRANULE_BYTES))
        return 5; /* its term is over */
    mmgc_leave(x.t);
    access_close(&x);
    return 0;
}

START_TEST(who_comes_later_finds_closed_what_is_closed)
{
    struct node *dead = mmgc_new(a.t, a.node), *kept = mmgc_new(a.t, a.node);
    struct places places = { mmgc_ref_of(a.t, dead).granule, mmgc_ref_of(a.t, kept).granule };

    kept->value = 42;
    ck_assert_ok(mmgc_name_set(a.t, "kept", kept));
    ck_assert_ok(mmgc_gc(a.t));
    mmgc_leave(a.t);
    if (_i == 1)
        ck_assert_int_eq(setenv("TEST_READ_ONLY", "1", 1), 0);
    ck_assert_int_eq(in_child(look_from_outside, &places), 0);
    ck_assert_ok(mmgc_enter(a.t)); /* the child's collection has opened it */
    ck_assert(!read_faults((char *)dead));
}
END_TEST

/* Closed in a process that slept through the collection, as soon as it comes back. */
START_TEST(who_was_outside_finds_closed_what_died_meanwhile)
{
    struct access other;
    struct node *n = mmgc_new(a.t, a.node);
    uint32_t granule = mmgc_ref_of(a.t, n).granule;

    ck_assert_ok(access_open(&other, false)); /* another mapping of the same heap */
    ck_assert_ok(mmgc_enter(other.t));
    char *there = other.t->base + (size_t)granule * MM_GRANULE_BYTES;
    ck_assert(!read_faults(there));
    mmgc_leave(other.t);
    ck_assert_ok(mmgc_gc(a.t));
    ck_assert(read_faults((char *)n));
    ck_assert_ok(mmgc_enter(other.t));
    ck_assert(read_faults(there));
    mmgc_leave(other.t);
    access_close(&other);
}
END_TEST

/* ---- memory ------------------------------------------------------------------------------------------------------------ */

/* A list of nodes in @list until there is no room, or of @count. */
static int64_t list_grow(struct access *x, mmgc_local list, int64_t count)
{
    int64_t made = 0;

    for (struct node *n; made < count && (n = mmgc_new(x->t, x->node)) != NULL; made++) {
        n->value = made;
        mmgc_set(x->t, n, next, (struct node *)mmgc_local_get(x->t, list));
        mmgc_local_set(x->t, list, n);
    }
    return made;
}

static bool list_is(struct access *x, mmgc_local list, int64_t count)
{
    for (struct node *n = mmgc_local_get(x->t, list); n != NULL; n = mmgc_get(x->t, n, next))
        if (n->value != --count)
            return false;
    return count == 0;
}

START_TEST(a_heap_full_of_garbage_is_not_full)
{
    mmgc_local list = mmgc_local_new(a.t, NULL);

    int64_t filled = list_grow(&a, list, INT64_MAX);
    ck_assert_int_eq(mmgc_thread_error(a.t), MMGC_E_NOMEM);
    ck_assert_int_ge(filled, (int64_t)(HEAP_BYTES / MM_PAGE_BYTES / 10 * 8));
    ck_assert(list_is(&a, list, filled));
    for (int round = 0; round < 3; round++) {
        mmgc_local_set(a.t, list, NULL);
        ck_assert_int_eq(list_grow(&a, list, filled * 3 / 4), filled * 3 / 4); /* nobody asked for a collection */
        ck_assert(list_is(&a, list, filled * 3 / 4));
    }
    mmgc_local_set(a.t, list, NULL);
    for (int i = 0; i < 200; i++)
        ck_assert_ptr_nonnull(mmgc_new_array(a.t, a.bytes, 1 << 20));
}
END_TEST

/* ---- several threads and processes --------------------------------------------------------------------------------------- */

static const char *work_and_look(struct access *x)
{
    for (int round = 0; round < 12; round++) {
        mmgc_scope scope = mmgc_scope_open(x->t);
        mmgc_local list = mmgc_local_new(x->t, NULL), large = mmgc_local_new(x->t, NULL);
        for (int64_t part = 0; part < 4; part++) {
            if (list_grow(x, list, 60) != 60)
                return mmgc_strerror(mmgc_thread_error(x->t));
            mmgc_local_set(x->t, list, part < 3 ? NULL : mmgc_local_get(x->t, list));
            char *bytes = mmgc_new_array(x->t, x->bytes, (uint32_t)(10000 * part + 5000));
            if (bytes == NULL)
                return mmgc_strerror(mmgc_thread_error(x->t));
            memset(bytes, (int)part, 10000 * (size_t)part + 5000);
            mmgc_local_set(x->t, large, bytes);
        }
        struct node *shared = mmgc_name_get(x->t, "shared");
        if (shared != NULL && shared->value != 42)
            return "what is shared has changed";
        struct node *mine = mmgc_new(x->t, x->node);
        if (mine == NULL)
            return "no memory for a node";
        mine->value = 42;
        if (mmgc_name_set(x->t, "shared", mine) != MMGC_OK || (round % 4 == 3 && mmgc_gc(x->t) != MMGC_OK))
            return mmgc_error_detail();
        if (!list_is(x, list, 60) || *(char *)mmgc_local_get(x->t, large) != 3)
            return "what lives has changed";
        mmgc_scope_close(x->t, scope);
    }
    return NULL;
}

static void *worker(void *context)
{
    struct access x = *(const struct access *)context;
    struct mmgc_thread_options exact = { .exact = true };

    if (mmgc_attach(x.heap, &exact, &x.t) != MMGC_OK || mmgc_enter(x.t) != MMGC_OK)
        return "cannot attach";
    const char *wrong = work_and_look(&x);
    mmgc_detach(x.t);
    return (void *)(uintptr_t)wrong;
}

static int process_of_threads(void *context)
{
    struct access x;
    pthread_t threads[3];
    void *wrong[3] = { NULL };

    (void)context;
    (void)signal(SIGSEGV, SIG_DFL);
    if (access_open(&x, false) != MMGC_OK)
        return 1;
    for (int i = 0; i < 3; i++)
        if (pthread_create(&threads[i], NULL, worker, &x) != 0)
            return 2;
    for (int i = 0; i < 3; i++) {
        (void)pthread_join(threads[i], &wrong[i]);
        if (wrong[i] != NULL)
            fprintf(stderr, "thread %d: %s\n", i, (const char *)wrong[i]);
    }
    access_close(&x);
    return wrong[0] == NULL && wrong[1] == NULL && wrong[2] == NULL ? 0 : 3;
}

START_TEST(what_lives_never_faults)
{
    pid_t pids[3];

    mmgc_leave(a.t);
    for (int i = 0; i < 3; i++) {
        pids[i] = fork();
        if (pids[i] == 0)
            _exit(process_of_threads(NULL));
        ck_assert_int_gt(pids[i], 0);
    }
    for (int i = 0; i < 3; i++) {
        int status;
        ck_assert_int_eq(waitpid(pids[i], &status, 0), pids[i]);
        ck_assert_int_eq(status, 0);
    }
    ck_assert_ok(mmgc_enter(a.t));
    struct node *shared = mmgc_name_get(a.t, "shared");
    ck_assert(shared != NULL && shared->value == 42);
}
END_TEST

static Suite *pageprotect_suite(void)
{
    Suite *suite = suite_create("pageprotect");
    TCase *tc = tcase_create("pageprotect");

    tcase_set_timeout(tc, 60);
    tcase_add_checked_fixture(tc, setup, teardown);
    tcase_add_loop_test(tc, a_stale_pointer_faults_where_it_points, 0, 7);
    tcase_add_test(tc, a_program_that_kept_a_pointer_in_malloc_memory_is_stopped);
    tcase_add_loop_test(tc, who_comes_later_finds_closed_what_is_closed, 0, 2);
    tcase_add_test(tc, who_was_outside_finds_closed_what_died_meanwhile);
    tcase_add_test(tc, a_heap_full_of_garbage_is_not_full);
    tcase_add_test(tc, what_lives_never_faults);
    suite_add_tcase(suite, tc);
    return suite;
}

int main(int argc, char **argv)
{
    return runner_main(argc, argv, pageprotect_suite);
}
