/* SPDX-License-Identifier: Apache-2.0 */
/* Who allocates is who the profile says, under every plan: by every call, with every sample and with few. */
#include "tests/client/hold_world.h"

#include <fcntl.h>
#include <math.h>
#include <mmgc/profile.h>
#include <pthread.h>
#include <stdio.h>
#include <sys/wait.h>
#include <unistd.h>

#include "proto/pprof.h"

/* Call sites: functions in sections of their own, so that an address says which it is in. */
#define SITE(name) __attribute__((noinline, noclone, section("site_" #name)))
extern char __start_site_few[], __stop_site_few[], __start_site_many[], __stop_site_many[];

enum value { ALLOC_OBJECTS, ALLOC_SPACE, INUSE_OBJECTS, INUSE_SPACE };
struct site {
    const char *begin, *end; /* NULL: any */
};
#define FEW ((struct site){ __start_site_few, __stop_site_few })
#define MANY ((struct site){ __start_site_many, __stop_site_many })
#define ANY ((struct site){ NULL, NULL })

static SITE(few) void *few(struct mmgc_thread *by, mmgc_type type, uint32_t length)
{
    void *object = mmgc_new_array(by, type, length);

    ck_assert_ptr_nonnull(object);
    return object;
}

static SITE(many) void *many(struct mmgc_thread *by, mmgc_type type, uint32_t length)
{
    void *object = mmgc_new_array(by, type, length);

    ck_assert_ptr_nonnull(object);
    return object;
}

static SITE(few) void *few_in(enum mmgc_space space, uint32_t length)
{
    void *object = mmgc_new_in(t, bytes_type, length, space);

    ck_assert_ptr_nonnull(object);
    return object;
}

/* ---- reading ---- */

static pprof_profile *read_file(const char *path)
{
    static uint8_t bytes[4 << 20];
    FILE *file = fopen(path, "r");

    ck_assert_ptr_nonnull(file);
    size_t count = fread(bytes, 1, sizeof(bytes), file);
    fclose(file);
    pprof_profile *p = pprof_unpack(bytes, count);
    ck_assert_ptr_nonnull(p);
    return p;
}

static pprof_profile *written(void)
{
    char path[] = "/tmp/mmgc-profile-XXXXXX";
    int fd = mkstemp(path);

    ck_assert_int_ge(fd, 0);
    ck_assert_ok(mmgc_profile_write_fd(fd));
    close(fd);
    pprof_profile *p = read_file(path);
    unlink(path);
    return p;
}

/* What @site called itself for, or had inlined. */
static int64_t sum(const pprof_profile *p, struct site site, enum value value)
{
    int64_t all = 0;

    for (size_t i = 0; i < p->n_sample; i++) {
        const char *leaf = (const char *)(uintptr_t)p->location[p->sample[i]->location_id[0] - 1]->address;
        if (site.begin == NULL || (leaf >= site.begin && leaf < site.end))
            all += p->sample[i]->value[value];
    }
    return all;
}

static int64_t sum_now(struct site site, enum value value)
{
    pprof_profile *p = written();
    int64_t all = sum(p, site, value);

    pprof_free(p);
    return all;
}

/* ---- beginning: before the thread attaches, so that nothing is missed ---- */

static void start(uint64_t interval)
{
    struct mmgc_profile_options options = { .interval_bytes = interval, .seed = 20240607 };

    ck_assert_ok(mmgc_profile_start(&options));
}

static void start_and_open(int i, uint64_t interval)
{
    start(interval);
    open_both(i);
}

/* ---- tests ---- */

/* An estimate's variance is the sum of s^2 (1-p)/p over its objects of s bytes, each sampled with probability p; 5 sigma. */
static void check_estimate(const pprof_profile *p, struct site site, int64_t objects, uint64_t object_bytes, uint64_t interval)
{
    double chance = -expm1(-(double)object_bytes / (double)interval), truth = (double)objects * (double)object_bytes;
    double sigma = (double)object_bytes * sqrt((double)objects * (1 - chance) / chance);

    ck_assert_double_lt(fabs((double)sum(p, site, ALLOC_SPACE) - truth), 5 * sigma);
    ck_assert_double_lt(5 * sigma, truth / 2); /* or it says nothing */
    ck_assert_double_lt(fabs((double)sum(p, site, ALLOC_OBJECTS) - (double)objects), 5 * sigma / (double)object_bytes + 1);
}

START_TEST(three_to_one_is_seen_as_such)
{
    plan = plans[_i / 2];
    int64_t rounds = some(40000);
    uint64_t interval = rounds < 40000 ? 64 : 2048;

    start_and_open(_i, interval);
    for (int64_t i = 0; i < rounds; i++) { /* 24 bytes, and three times as many */
        few(t, node_type, 0);
        many(t, bytes_type, 64);
    }
    pprof_profile *p = written();
    check_estimate(p, FEW, rounds, mmgc_size(node_type, 0), interval);
    check_estimate(p, MANY, rounds, mmgc_size(bytes_type, 64), interval); /* what cells hold is sampled by the cell: more often, if anything */
    pprof_free(p);
}
END_TEST

START_TEST(with_every_object_a_sample_it_is_exact)
{
    int64_t bytes = 0;

    start_and_open(_i, 1);
    int64_t objects = some(3000);
    for (int64_t i = 0; i < objects; i++) {
        uint32_t length = (uint32_t)(i * 37 % 500);
        few(t, bytes_type, length);
        bytes += (int64_t)mmgc_size(bytes_type, length);
        if (i % 500 == 0)
            ck_assert_ok(mmgc_poll(t));
    }
    pprof_profile *p = written();
    ck_assert_int_eq(sum(p, FEW, ALLOC_OBJECTS), objects);
    ck_assert_int_eq(sum(p, FEW, ALLOC_SPACE), bytes);
    ck_assert_int_eq(sum(p, MANY, ALLOC_OBJECTS), 0);
    pprof_free(p);
}
END_TEST

/* Overflow blocks, cells of some KiB, runs of pages, and what is asked for elsewhere. */
START_TEST(objects_of_every_size_and_space_are_counted)
{
    static const uint32_t lengths[] = { 300, 1015, 1017, 3000, 9000, 16000, 17000, 100000 };
    int64_t bytes = 0;

    start_and_open(_i, 1);
    for (size_t i = 0; i < MM_ARRAY_LEN(lengths); i++) {
        many(t, bytes_type, lengths[i]);
        bytes += (int64_t)mmgc_size(bytes_type, lengths[i]);
    }
    few_in(MMGC_SPACE_NONMOVING, 40);
    few_in(MMGC_SPACE_IMMORTAL, 40);
    few_in(MMGC_SPACE_LARGE, 40);
    pprof_profile *p = written();
    ck_assert_int_eq(sum(p, MANY, ALLOC_OBJECTS), MM_ARRAY_LEN(lengths));
    ck_assert_int_eq(sum(p, MANY, ALLOC_SPACE), bytes);
    ck_assert_int_eq(sum(p, FEW, ALLOC_OBJECTS), 3);
    ck_assert_int_eq(sum(p, FEW, ALLOC_SPACE), 3 * mmgc_size(bytes_type, 40));
    pprof_free(p);
}
END_TEST

START_TEST(what_collections_clear_is_no_longer_in_use)
{
    enum { KEPT = 30 };

    start_and_open(_i, 1);
    for (int i = 0; i < 600; i++) {
        mmgc_handle handle;
        void *object = few(t, node_type, 0);
        if (i % 20 == 0)
            ck_assert_ok(mmgc_handle_new(t, object, &handle));
    }
    collect();
    pprof_profile *p = written();
    ck_assert_int_eq(sum(p, FEW, ALLOC_OBJECTS), 600);
    if (plan->constraints.trace == PLAN_TRACE_NONE)
        ck_assert_int_eq(sum(p, FEW, INUSE_OBJECTS), 600);
    else
        ck_assert_int_le(sum(p, FEW, INUSE_OBJECTS) - KEPT, exact ? 0 : 4); /* what an ambiguous word still points at */
    ck_assert_int_ge(sum(p, FEW, INUSE_OBJECTS), KEPT);
    ck_assert_int_eq(sum(p, FEW, INUSE_SPACE), 24 * sum(p, FEW, INUSE_OBJECTS));
    pprof_free(p);
}
END_TEST

START_TEST(what_lived_when_its_heap_was_closed_stays_in_use)
{
    mmgc_handle handle;

    start_and_open(_i, 1);
    ck_assert_ok(mmgc_handle_new(t, few(t, node_type, 0), &handle));
    mmgc_heap_close(heap);
    heap = NULL;
    t = NULL;
    ck_assert_int_eq(sum_now(FEW, INUSE_SPACE), 24);
}
END_TEST

START_TEST(what_is_made_in_holds_counts_once_however_it_leaves)
{
    int64_t objects = 0;
    mmgc_hold outer, inner;

    start_and_open(_i, 1);
    for (int round = 0; round < 3; round++) {
        few(t, node_type, 0);
        ck_assert_ok(mmgc_hold_begin(t, NULL, &outer));
        for (int i = 0; i < 40; i++)
            few(t, node_type, 0);
        ck_assert_ok(mmgc_hold_begin(t, NULL, &inner));
        for (int i = 0; i < 40; i++)
            few(t, node_type, 0);
        void *kept = few(t, node_type, 0);
        ck_assert_ok(mmgc_hold_end(t, inner, &kept, 1)); /* a copy in the outer one */
        for (int i = 0; i < 40; i++)
            few(t, node_type, 0);
        ck_assert_ok(mmgc_hold_end(t, outer, &kept, 1)); /* a copy in the heap */
        few(t, node_type, 0);
        objects += 123;
        ck_assert_int_eq(sum_now(FEW, ALLOC_OBJECTS), objects);
    }
    if (plan->constraints.trace != PLAN_TRACE_NONE) {
        collect();
        ck_assert_int_le(sum_now(FEW, INUSE_OBJECTS), 6); /* of those outside of holds */
    }
}
END_TEST

START_TEST(holds_are_estimated_like_all_else)
{
    enum { INTERVAL = 2048, IN_HOLD = 50 };
    mmgc_hold outer, inner;

    start_and_open(_i, INTERVAL);
    int64_t rounds = some(600);
    for (int64_t round = 0; round < rounds; round++) {
        ck_assert_ok(mmgc_hold_begin(t, NULL, &outer));
        for (int i = 0; i < IN_HOLD; i++)
            few(t, node_type, 0);
        ck_assert_ok(mmgc_hold_begin(t, NULL, &inner));
        for (int i = 0; i < IN_HOLD; i++)
            many(t, node_type, 0);
        ck_assert_ok(mmgc_hold_end(t, inner, NULL, 0));
        for (int i = 0; i < IN_HOLD; i++)
            few(t, node_type, 0);
        ck_assert_ok(mmgc_hold_end(t, outer, NULL, 0));
        ck_assert_ok(mmgc_poll(t));
    }
    pprof_profile *p = written();
    if (rounds == 600) { /* else it is too few to say anything */
        check_estimate(p, FEW, 2 * IN_HOLD * rounds, 24, INTERVAL);
        check_estimate(p, MANY, IN_HOLD * rounds, 24, INTERVAL);
    }
    pprof_free(p);
}
END_TEST

static void *allocate_beside(void *argument)
{
    const int *objects = argument;
    struct mmgc_thread *by;

    ck_assert_ok(mmgc_attach(heap, NULL, &by));
    ck_assert_ok(mmgc_enter(by));
    for (int i = 0; i < *objects; i++)
        many(by, node_type, 0);
    mmgc_leave(by);
    mmgc_detach(by);
    return NULL;
}

START_TEST(threads_are_counted_together)
{
    enum { THREADS = 4 };
    pthread_t threads[THREADS];

    start_and_open(_i, 1);
    int each = (int)some(2000);
    mmgc_leave(t);
    for (int i = 0; i < THREADS; i++)
        ck_assert_int_eq(pthread_create(&threads[i], NULL, allocate_beside, &each), 0);
    for (int i = 0; i < THREADS; i++)
        ck_assert_int_eq(pthread_join(threads[i], NULL), 0);
    ck_assert_int_eq(sum_now(MANY, ALLOC_OBJECTS), THREADS * each);
}
END_TEST

/* Sampling beside writing, stopping and starting anew: nothing is torn. */
START_TEST(a_profile_is_stopped_and_started_while_threads_allocate)
{
    pthread_t thread;

    start_and_open(_i, 512);
    int objects = (int)some(30000);
    mmgc_leave(t);
    ck_assert_int_eq(pthread_create(&thread, NULL, allocate_beside, &objects), 0);
    for (int i = 0; i < 20; i++) {
        pprof_free(written());
        ck_assert_ok(mmgc_profile_stop());
        start(i % 2 == 0 ? 1 : 512);
    }
    ck_assert_int_eq(pthread_join(thread, NULL), 0);
    ck_assert_ok(mmgc_enter(t));
    few(t, node_type, 0);
    ck_assert_ok(mmgc_profile_stop());
    few(t, node_type, 0);
    ck_assert_int_eq(sum_now(ANY, ALLOC_OBJECTS), sum_now(ANY, ALLOC_OBJECTS));
}
END_TEST

START_TEST(a_stopped_profile_counts_no_more_and_can_be_written)
{
    start_and_open(_i, 1);
    few(t, node_type, 0);
    ck_assert_ok(mmgc_profile_stop());
    for (int i = 0; i < 100; i++)
        few(t, node_type, 0);
    ck_assert_int_eq(sum_now(FEW, ALLOC_OBJECTS), 1);
    start(1);
    ck_assert_int_eq(sum_now(ANY, ALLOC_OBJECTS), 0);
}
END_TEST

START_TEST(no_row_is_left_when_the_heap_is_closed)
{
    struct mmgc_handle_counts counts;

    start_and_open(_i, 1);
    few(t, node_type, 0);
    ck_assert_ok(mmgc_handle_counts(heap, &counts));
    ck_assert_uint_eq(counts.weak, 1);
    ck_assert_ok(mmgc_profile_stop());
    start(1); /* forgets */
    ck_assert_ok(mmgc_handle_counts(heap, &counts));
    ck_assert_uint_eq(counts.weak, 0);
}
END_TEST

START_TEST(a_child_has_a_profile_of_its_own_or_none)
{
    start_and_open(_i, 1);
    few(t, node_type, 0);
    pid_t pid = fork();
    if (pid == 0) {
        bool none = mmgc_profile_write_fd(STDERR_FILENO) == MMGC_E_INVALID && mmgc_profile_stop() == MMGC_E_INVALID;
        bool own = mmgc_profile_start(NULL) == MMGC_OK && mmgc_profile_stop() == MMGC_OK;
        _exit(none && own ? 0 : 1);
    }
    int status = 0;
    ck_assert_int_eq(waitpid(pid, &status, 0), pid);
    ck_assert_int_eq(status, 0);
    few(t, node_type, 0);
    ck_assert_int_eq(sum_now(FEW, ALLOC_OBJECTS), 2);
}
END_TEST

START_TEST(a_profile_outlives_the_daemon)
{
    start_and_open(_i, 1);
    few(t, node_type, 0);
    daemon_kill(mmgcd);
    mmgcd = daemon_start(NULL); /* for the teardown */
    while (mmgc_new_array(t, bytes_type, 20000) != NULL)
        ;
    ck_assert_int_ge(sum_now(FEW, ALLOC_OBJECTS), 1);
    mmgc_heap_close(heap);
    heap = NULL;
    t = NULL;
    ck_assert_int_ge(sum_now(FEW, INUSE_OBJECTS), 1);
}
END_TEST

START_TEST(misuse_is_said)
{
    struct mmgc_profile_options much = { .interval_bytes = UINT64_MAX };

    ck_assert_int_eq(mmgc_profile_stop(), MMGC_E_INVALID);
    ck_assert_int_eq(mmgc_profile_write("/dev/null"), MMGC_E_INVALID);
    ck_assert_int_eq(mmgc_profile_start(&much), MMGC_E_INVALID);
    ck_assert_ok(mmgc_profile_start(NULL));
    ck_assert_int_eq(mmgc_profile_start(NULL), MMGC_E_INVALID);
    ck_assert_int_eq(mmgc_profile_write(NULL), MMGC_E_INVALID);
    ck_assert_int_eq(mmgc_profile_write("/nowhere/at/all"), MMGC_E_SYSTEM);
    ck_assert_ptr_nonnull(strstr(mmgc_error_detail(), "/nowhere/at/all"));
    ck_assert_ok(mmgc_profile_write("/dev/null"));
    ck_assert_ok(mmgc_profile_stop());
}
END_TEST

/* ---- by the environment ---- */

static void use_heap(int objects)
{
    ck_assert_ok(mmgc_connect(daemon_socket(mmgcd), "test", &client));
    open_both(0);
    for (int i = 0; i < objects; i++)
        few(t, node_type, 0);
    mmgc_heap_close(heap);
    mmgc_disconnect(client);
}

START_TEST(the_environment_starts_one_and_disconnecting_writes_it)
{
    char value[512], path[512];

    mmgcd = daemon_start(NULL);
    snprintf(path, sizeof(path), "%s/profile.%d", daemon_directory(mmgcd), (int)getpid());
    snprintf(value, sizeof(value), "%s/profile.%%p,interval=1", daemon_directory(mmgcd));
    setenv("MMGC_PROFILE", value, 1);
    use_heap(7);
    pprof_profile *p = read_file(path);
    ck_assert_int_eq(sum(p, FEW, ALLOC_OBJECTS), 7);
    pprof_free(p);
    use_heap(3);
    p = read_file(path);
    ck_assert_int_eq(sum(p, FEW, ALLOC_OBJECTS), 10);
    pprof_free(p);
    unlink(path);
    daemon_stop(mmgcd);
}
END_TEST

START_TEST(a_child_of_the_environments_has_a_file_of_its_own)
{
    char value[512], path[512];

    mmgcd = daemon_start(NULL);
    snprintf(value, sizeof(value), "%s/profile,interval=1", daemon_directory(mmgcd));
    setenv("MMGC_PROFILE", value, 1);
    use_heap(7);
    pid_t pid = fork();
    if (pid == 0) {
        use_heap(2);
        _exit(0);
    }
    int status = 0;
    ck_assert_int_eq(waitpid(pid, &status, 0), pid);
    ck_assert_int_eq(status, 0);
    snprintf(path, sizeof(path), "%s/profile.%d", daemon_directory(mmgcd), (int)pid);
    pprof_profile *p = read_file(path);
    ck_assert_int_eq(sum(p, FEW, ALLOC_OBJECTS), 2);
    pprof_free(p);
    unlink(path);
    snprintf(path, sizeof(path), "%s/profile", daemon_directory(mmgcd));
    p = read_file(path);
    ck_assert_int_eq(sum(p, FEW, ALLOC_OBJECTS), 7);
    pprof_free(p);
    unlink(path);
    daemon_stop(mmgcd);
}
END_TEST

START_TEST(a_program_that_just_exits_has_its_profile_written)
{
    char path[512], value[sizeof(path) + 16];

    mmgcd = daemon_start(NULL);
    snprintf(path, sizeof(path), "%s/profile", daemon_directory(mmgcd));
    snprintf(value, sizeof(value), "%s,interval=1", path);
    setenv("MMGC_PROFILE", value, 1);
    pid_t pid = fork(); /* of a process that was no client */
    if (pid == 0) {
        ck_assert_ok(mmgc_connect(daemon_socket(mmgcd), "test", &client));
        open_both(0);
        for (int i = 0; i < 5; i++)
            few(t, node_type, 0);
        exit(0);
    }
    int status = 0;
    ck_assert_int_eq(waitpid(pid, &status, 0), pid);
    ck_assert_int_eq(status, 0);
    pprof_profile *p = read_file(path);
    ck_assert_int_eq(sum(p, FEW, ALLOC_OBJECTS), 5);
    ck_assert_int_eq(sum(p, FEW, INUSE_OBJECTS), 5);
    pprof_free(p);
    unlink(path);
    daemon_stop(mmgcd);
}
END_TEST

static Suite *make(void)
{
    Suite *s = suite_create("profile");
    TCase *plans_case = tcase_create("plans"), *once = tcase_create("once"), *environment = tcase_create("environment");

    tcase_add_checked_fixture(plans_case, setup, teardown);
    tcase_set_timeout(plans_case, 60);
    tcase_add_loop_test(plans_case, three_to_one_is_seen_as_such, 0, BOTH);
    tcase_add_loop_test(plans_case, with_every_object_a_sample_it_is_exact, 0, BOTH);
    tcase_add_loop_test(plans_case, objects_of_every_size_and_space_are_counted, 0, BOTH);
    tcase_add_loop_test(plans_case, what_collections_clear_is_no_longer_in_use, 0, BOTH);
    tcase_add_loop_test(plans_case, what_is_made_in_holds_counts_once_however_it_leaves, 0, BOTH);
    tcase_add_loop_test(plans_case, holds_are_estimated_like_all_else, 0, BOTH);
#if !defined(__SANITIZE_THREAD__) /* libunwind takes a lock as a thread ends, when TSan has forgotten that thread already, and dies of it */
    tcase_add_loop_test(plans_case, threads_are_counted_together, 0, BOTH);
    tcase_add_loop_test(plans_case, a_profile_is_stopped_and_started_while_threads_allocate, 0, BOTH);
#endif
    tcase_add_checked_fixture(once, setup, teardown);
    tcase_add_test(once, what_lived_when_its_heap_was_closed_stays_in_use);
    tcase_add_test(once, a_stopped_profile_counts_no_more_and_can_be_written);
    tcase_add_test(once, no_row_is_left_when_the_heap_is_closed);
    tcase_add_test(once, a_child_has_a_profile_of_its_own_or_none);
    tcase_add_test(once, a_profile_outlives_the_daemon);
    tcase_add_test(once, misuse_is_said);
    tcase_add_test(environment, the_environment_starts_one_and_disconnecting_writes_it);
    tcase_add_test(environment, a_program_that_just_exits_has_its_profile_written);
    tcase_add_test(environment, a_child_of_the_environments_has_a_file_of_its_own);
    suite_add_tcase(s, plans_case);
    suite_add_tcase(s, once);
    suite_add_tcase(s, environment);
    return s;
}

int main(int argc, char **argv)
{
    return runner_main(argc, argv, make);
}
