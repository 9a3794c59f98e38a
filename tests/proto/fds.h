/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/* Fds: how many this process has open, and some to give away. */
#include <check.h>
#include <dirent.h>
#include <sys/mman.h>
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
