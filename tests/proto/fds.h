/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/* Fds: how many this process has open, and some to give away. */
#include <check.h>
#include <dirent.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <unistd.h>

#include "proto/packet.h"

static inline unsigned fds_open(void)
{
    DIR *dir = opendir("/proc/self/fd");
    unsigned count = 0;

    ck_assert_ptr_nonnull(dir);
    while (readdir(dir) != NULL)
        count++;
    (void)closedir(dir);
    return count;
}

/* Leaves room for @room more fds. False where the kernel was not asked: valgrind keeps the limit to itself. */
static inline bool fds_leave_room(unsigned room, struct rlimit *ret_before)
{
    unsigned long kernels = 0;
    char line[256];

    int next = dup(STDIN_FILENO);
    ck_assert_int_ge(next, 0);
    (void)close(next);
    ck_assert_int_eq(getrlimit(RLIMIT_NOFILE, ret_before), 0);
    FILE *limits = fopen("/proc/self/limits", "re");
    ck_assert_ptr_nonnull(limits);
    struct rlimit tight = { .rlim_cur = (rlim_t)next + room, .rlim_max = ret_before->rlim_max };
    ck_assert_int_eq(setrlimit(RLIMIT_NOFILE, &tight), 0);
    while (fgets(line, sizeof(line), limits) != NULL)
        (void)sscanf(line, "Max open files %lu", &kernels);
    (void)fclose(limits);
    if (kernels == tight.rlim_cur)
        return true;
    (void)setrlimit(RLIMIT_NOFILE, ret_before);
    return false;
}

static inline struct packet_fds fds_new(size_t count)
{
    struct packet_fds fds = { .count = count };

    for (size_t i = 0; i < count; i++) {
        fds.fd[i] = memfd_create("gift", MFD_CLOEXEC);
        ck_assert_int_ge(fds.fd[i], 0);
        ck_assert_int_eq(ftruncate(fds.fd[i], (off_t)(i + 1)), 0); /* the size says which it is */
    }
    return fds;
}

static inline void fds_pair(int pair[2], int flags)
{
    ck_assert_int_eq(socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC | flags, 0, pair), 0);
}

static inline void fds_close_pair(int pair[2])
{
    (void)close(pair[0]);
    (void)close(pair[1]);
}
