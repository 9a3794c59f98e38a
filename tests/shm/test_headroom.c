/* SPDX-License-Identifier: Apache-2.0 */
#include "shm/commit.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/stat.h>

#include "tests/support/runner.h"

#define GIB (UINT64_C(1) << 30)
#define V1 "/sys/fs/cgroup/memory"
#define V2 "/sys/fs/cgroup"

static char root[64]; /* stands for / */

static void setup(void)
{
    strcpy(root, "/tmp/mmgc-headroom-XXXXXX");
    ck_assert_ptr_nonnull(mkdtemp(root));
}

static void teardown(void)
{
    char command[128];

    snprintf(command, sizeof(command), "rm -rf '%s'", root);
    ck_assert_int_eq(system(command), 0);
}

/* Writes a file below the root, with the folders it needs. */
static void put(const char *name, const char *format, ...)
{
    char path[512];
    va_list arguments;

    snprintf(path, sizeof(path), "%s%s", root, name);
    for (char *slash = path + strlen(root) + 1; (slash = strchr(slash, '/')) != NULL; slash++) {
        *slash = '\0';
        mkdir(path, 0700);
        *slash = '/';
    }
    FILE *file = fopen(path, "w");
    ck_assert_ptr_nonnull(file);
    va_start(arguments, format);
    vfprintf(file, format, arguments);
    va_end(arguments);
    fclose(file);
}

static void put_memory_available(uint64_t bytes)
{
    put("/proc/meminfo",
        "MemTotal:       99999999 kB\nMemFree:        88888888 kB\n"
        "MemAvailable:   %llu kB\nBuffers: 1 kB\n",
        (unsigned long long)bytes / 1024);
}

static uint64_t headroom(void)
{
    uint64_t bytes = 1;

    ck_assert_int_eq(shm_headroom_under(root, &bytes), 0);
    return bytes;
}

static uint64_t ours(void)
{
    uint64_t bytes = 0;

    ck_assert_int_eq(shm_commit_headroom(&bytes), 0);
    return bytes;
}

START_TEST(nothing_known_is_no_limit)
{
    ck_assert_uint_eq(headroom(), UINT64_MAX);
}
END_TEST

START_TEST(without_cgroups_it_is_the_available_memory)
{
    put_memory_available(3 * GIB);
    ck_assert_uint_eq(headroom(), 3 * GIB);
}
END_TEST

START_TEST(version_2_limits_count_on_every_level)
{
    put_memory_available(64 * GIB);
    put("/proc/self/cgroup", "0::/system.slice/mmgcd.service\n");
    put(V2 "/system.slice/mmgcd.service/memory.max", "max\n");
    put(V2 "/system.slice/mmgcd.service/memory.current", "1000\n");
    put(V2 "/system.slice/memory.max", "%llu\n", 8ull * GIB);
    put(V2 "/system.slice/memory.current", "%llu\n", 5ull * GIB);
    ck_assert_uint_eq(headroom(), 3 * GIB);
    put(V2 "/system.slice/mmgcd.service/memory.max", "4096\n");
    ck_assert_uint_eq(headroom(), 3096);
}
END_TEST

START_TEST(version_1_limits_count_on_every_level)
{
    put_memory_available(64 * GIB);
    put("/proc/self/cgroup", "9:name=systemd:/a\n4:cpu,memory:/a/b\n1:cpuset:/\n0::/\n");
    put(V1 "/a/b/memory.limit_in_bytes", "9223372036854771712\n");
    put(V1 "/a/b/memory.usage_in_bytes", "%llu\n", 1ull * GIB);
    put(V1 "/a/memory.limit_in_bytes", "%llu\n", 2ull * GIB);
    put(V1 "/a/memory.usage_in_bytes", "%llu\n", 1ull * GIB);
    ck_assert_uint_eq(headroom(), GIB);
    put(V1 "/memory.limit_in_bytes", "10\n");
    put(V1 "/memory.usage_in_bytes", "9\n");
    ck_assert_uint_eq(headroom(), 1);
}
END_TEST

START_TEST(other_controllers_and_unlimited_groups_do_not_count)
{
    put_memory_available(2 * GIB);
    put("/proc/self/cgroup", "3:memoryless:/x\n2:pids:/x\n1:memory:/x\n");
    put(V1 "/x/memory.limit_in_bytes", "9223372036854771712\n");
    put(V1 "/x/memory.usage_in_bytes", "%llu\n", 1ull * GIB);
    ck_assert_uint_eq(headroom(), 2 * GIB);
}
END_TEST

/* In a container the path may be the host's, and only the container's own folder is mounted. */
START_TEST(a_path_that_is_not_mounted_ends_at_what_is)
{
    put("/proc/self/cgroup", "0::/docker/0123456789abcdef\n");
    put(V2 "/memory.max", "%llu\n", 2ull * GIB);
    put(V2 "/memory.current", "%llu\n", 1ull * GIB);
    ck_assert_uint_eq(headroom(), GIB);
}
END_TEST

START_TEST(over_the_limit_leaves_nothing)
{
    put_memory_available(2 * GIB);
    put("/proc/self/cgroup", "0::/\n");
    put(V2 "/memory.max", "100\n");
    put(V2 "/memory.current", "101\n");
    ck_assert_uint_eq(headroom(), 0);
}
END_TEST

START_TEST(odd_lines_are_passed_over)
{
    put("/proc/meminfo", "MemAvailable: many kB\n\n");
    put("/proc/self/cgroup", "\n:\n::\n4:memory\n0::\nmemory:::/\n4:memory:/gone");
    put(V1 "/memory.limit_in_bytes", "%s", "");
    ck_assert_uint_eq(headroom(), UINT64_MAX);
}
END_TEST

START_TEST(this_system_has_some)
{
    ck_assert_uint_gt(ours(), 0);
}
END_TEST

/* "Nothing known" would be no limit at all. */
START_TEST(what_cannot_be_looked_at_now_is_an_error_and_no_answer)
{
    struct rlimit files;
    uint64_t bytes = 77;

    put_memory_available(GIB);
    ck_assert_int_eq(getrlimit(RLIMIT_NOFILE, &files), 0);
    files.rlim_cur = 0;
    ck_assert_int_eq(setrlimit(RLIMIT_NOFILE, &files), 0);
    int r = shm_headroom_under(root, &bytes);
    files.rlim_cur = files.rlim_max;
    ck_assert_int_eq(setrlimit(RLIMIT_NOFILE, &files), 0);
    ck_assert_int_eq(r, -EMFILE);
    ck_assert_uint_eq(bytes, 77);
    ck_assert_uint_eq(headroom(), GIB);
}
END_TEST

static Suite *make(void)
{
    Suite *suite = suite_create("headroom");
    TCase *tc = tcase_create("headroom");

    tcase_add_checked_fixture(tc, setup, teardown);
    tcase_add_test(tc, nothing_known_is_no_limit);
    tcase_add_test(tc, without_cgroups_it_is_the_available_memory);
    tcase_add_test(tc, version_2_limits_count_on_every_level);
    tcase_add_test(tc, version_1_limits_count_on_every_level);
    tcase_add_test(tc, other_controllers_and_unlimited_groups_do_not_count);
    tcase_add_test(tc, a_path_that_is_not_mounted_ends_at_what_is);
    tcase_add_test(tc, over_the_limit_leaves_nothing);
    tcase_add_test(tc, odd_lines_are_passed_over);
    tcase_add_test(tc, what_cannot_be_looked_at_now_is_an_error_and_no_answer);
    tcase_add_test(tc, this_system_has_some);
    suite_add_tcase(suite, tc);
    return suite;
}

int main(int argc, char **argv)
{
    return runner_main(argc, argv, make);
}
