/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/* Faults: calls of a daemon that fail on demand. faults_preload.c is put before the C library (LD_PRELOAD) of the process that is tried; the
 * test and it share one page, the file that MMGC_FAULTS names.
 *   Points   the @at-th call of a kind since it was armed fails with the kind's @way-th errno, once; or all calls of some kinds do until
 *            @until_ns
 *   Kinds    what a full system, a limit or a signal makes fail: memory, descriptors, threads, sockets, files. Each errno is one that the call
 *            may give on what it is asked: FAULT_KINDS is the list of both
 *   Threads  of the daemon: any. The test writes while nothing is armed                                                    */
#include <errno.h>
#include <stdatomic.h>
#include <stdint.h>

#define FAULTS_VARIABLE "MMGC_FAULTS"

#define FAULT_KINDS(X) /* what it stands for; its ways to fail */                                   \
    X(MALLOC, "malloc", ENOMEM)                                                                     \
    X(CALLOC, "calloc", ENOMEM)                                                                     \
    X(REALLOC, "realloc", ENOMEM)               /* reallocarray, too */                             \
    X(STRDUP, "strdup", ENOMEM)                                                                     \
    X(MEMALIGN, "aligned_alloc", ENOMEM)        /* posix_memalign, too */                           \
    X(MMAP, "mmap", ENOMEM, EAGAIN)                                                                 \
    X(MPROTECT, "mprotect", ENOMEM)                                                                 \
    X(MADVISE, "madvise", ENOMEM, EAGAIN)                                                           \
    X(MUNMAP, "munmap", ENOMEM)                 /* one mapping would become two, over vm.max_map_count */  \
    X(MEMFD, "memfd_create", EMFILE, ENOMEM)                                                        \
    X(FTRUNCATE, "ftruncate", EFBIG, EINTR)                                                         \
    X(FALLOCATE, "fallocate", ENOSPC, EINTR, ENOMEM)                                                \
    X(OPEN, "open", EMFILE, ENOMEM)                                                                 \
    X(FOPEN, "fopen", EMFILE, ENOMEM)                                                               \
    X(READ, "read", EINTR)                                                                          \
    X(WRITE, "write", EINTR)                                                                        \
    X(FSTAT, "fstat", ENOMEM)                                                                       \
    X(READLINK, "readlink", ENOMEM)                                                                 \
    X(MINCORE, "mincore", EAGAIN, ENOMEM)                                                           \
    X(SENDMSG, "sendmsg", EINTR, ENOBUFS, ENOMEM, ETOOMANYREFS) /* the last with fds only */        \
    X(RECVMSG, "recvmsg", EINTR, ENOMEM, EAGAIN)                                                    \
    X(ACCEPT, "accept4", EMFILE, ENFILE, ENOMEM, EINTR, ECONNABORTED)                               \
    X(SOCKETPAIR, "socketpair", EMFILE, ENOMEM)                                                     \
    X(SOCKET, "socket", EMFILE, ENOMEM)                                                             \
    X(GETSOCKOPT, "getsockopt", EMFILE, ENOMEM) /* of a pidfd only */                               \
    X(EPOLL_CTL, "epoll_ctl", ENOMEM, ENOSPC)   /* adding only */                                   \
    X(EPOLL_WAIT, "epoll_wait", EINTR)                                                              \
    X(EVENTFD, "eventfd", EMFILE)                                                                   \
    X(PIPE, "pipe2", EMFILE)                                                                        \
    X(SPAWN, "posix_spawn", EAGAIN, ENOMEM)                                                         \
    X(THREAD, "pthread_create", EAGAIN)                                                             \
    X(BARRIER, "membarrier", ENOMEM)

enum fault_kind {
#define FAULT_ENUM(name, ...) FAULT_##name,
    FAULT_KINDS(FAULT_ENUM)
#undef FAULT_ENUM
    FAULT_KIND_COUNT
};
#define FAULT_WAYS_MAX 5u
struct fault_row {
    const char *name;
    int ways[FAULT_WAYS_MAX];                 /* errnos; 0 after the last */
};
#define FAULT_ROW(name, call, ...) { call, { __VA_ARGS__ } },
#define FAULT_ROWS { FAULT_KINDS(FAULT_ROW) }

enum fault_mode { FAULTS_OFF, FAULTS_COUNT, FAULTS_ONE, FAULTS_ALL };
struct faults {
    _Atomic uint32_t mode;                    /* [test] enum fault_mode, stored last (release) */
    uint32_t kind, way;                       /* [test] of ONE */
    uint64_t at;                              /* [test] of ONE: counts from 1 */
    uint64_t kinds, until_ns;                 /* [test] of ALL: a bit for each kind; CLOCK_MONOTONIC */
    _Atomic uint64_t calls[FAULT_KIND_COUNT]; /* [daemon] since the test has cleared them */
    _Atomic uint64_t failed;                  /* [daemon] calls that were made to fail */
    _Atomic uint64_t last_caller;             /* [daemon] where in the daemon the last of them was: an address, to be looked up by hand */
};
