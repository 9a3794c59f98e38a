/* SPDX-License-Identifier: Apache-2.0 */
/* faults_preload.c - Faults, in the daemon: a shared object that stands between it and the C library (faults.h).
 *   P1  it takes no memory and makes no call that it stands in front of: glibc's own allocator is reached by its other names
 *   P2  the committer process is left alone: it is to die, and its death is tried by killing it
 *   P3  what a call may not answer is not made up: an EAGAIN where somebody polls is followed by another event, a wait for events is at
 *       most interrupted, what is sent without descriptors does not have too many of them                                */
#undef _FILE_OFFSET_BITS /* it would give mmap() and its like other names: both are stood in front of, below */
#include <dlfcn.h>
#include <fcntl.h>
#include <linux/membarrier.h>
#include <pthread.h>
#include <spawn.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

#include "tests/support/faults.h"

#define SHOWN __attribute__((visibility("default")))
#ifndef SO_PEERPIDFD
#define SO_PEERPIDFD 77
#endif

extern void *__libc_malloc(size_t bytes);
extern void *__libc_calloc(size_t count, size_t bytes);
extern void *__libc_realloc(void *piece, size_t bytes);
extern void *__libc_memalign(size_t align, size_t bytes);

static const struct fault_row rows[] = FAULT_ROWS;
static struct faults *faults; /* NULL: nothing fails, nothing is counted */

static bool is_committer(void)
{
    char line[256];
    bool found = false;
    int fd = (int)syscall(SYS_openat, AT_FDCWD, "/proc/self/cmdline", O_RDONLY | O_CLOEXEC);
    long got = fd < 0 ? 0 : syscall(SYS_read, fd, line, sizeof(line));

    for (long i = 0; i < got && !found; i++)
        found = (i == 0 || line[i - 1] == '\0') &&
                strncmp(line + i, "--committer-process", (size_t)(got - i)) == 0;
    if (fd >= 0)
        (void)syscall(SYS_close, fd);
    return found;
}

__attribute__((constructor)) static void open_faults(void)
{
    const char *path = getenv(FAULTS_VARIABLE);

    if (path == NULL || is_committer())
        return;
    int fd = (int)syscall(SYS_openat, AT_FDCWD, path, O_RDWR | O_CLOEXEC);
    void *page =
        (void *)syscall(SYS_mmap, NULL, sizeof(*faults), PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
    if (fd >= 0)
        (void)syscall(SYS_close, fd);
    if (page != MAP_FAILED)
        faults = page;
}

static uint64_t now_ns(void)
{
    struct timespec now;

    (void)clock_gettime(CLOCK_MONOTONIC, &now);
    return (uint64_t)now.tv_sec * UINT64_C(1000000000) + (uint64_t)now.tv_nsec;
}

/* True: this call fails, with *ret_error. @ways: how many of the kind's ways this call may fail in. */
static bool fails(enum fault_kind kind, unsigned ways, const void *caller, int *ret_error)
{
    struct faults *f = faults;
    uint32_t mode = f == NULL ? FAULTS_OFF : atomic_load_explicit(&f->mode, memory_order_acquire);
    unsigned way = 0;

    if (mode == FAULTS_OFF)
        return false;
    uint64_t number = atomic_fetch_add_explicit(&f->calls[kind], 1, memory_order_relaxed) + 1;
    if (mode == FAULTS_COUNT || (mode == FAULTS_ONE && (f->kind != kind || f->at != number)))
        return false;
    if (mode == FAULTS_ALL && ((f->kinds >> kind & 1) == 0 || now_ns() >= f->until_ns))
        return false;
    while (way < FAULT_WAYS_MAX && way < ways && rows[kind].ways[way] != 0)
        way++;
    if (mode == FAULTS_ONE && f->way >= way)
        return false;
    *ret_error = rows[kind].ways[mode == FAULTS_ONE ? f->way : number % way];
    (void)atomic_fetch_add_explicit(&f->failed, 1, memory_order_relaxed);
    atomic_store_explicit(&f->last_caller, (uint64_t)(uintptr_t)caller, memory_order_relaxed);
    return true;
}

#define ANY_WAY FAULT_WAYS_MAX
#define FAIL(kind, ways, result) \
    do { \
        int fault_error; \
        if (fails((kind), (ways), __builtin_return_address(0), &fault_error)) { \
            errno = fault_error; \
            return (result); \
        } \
    } while (0)
/* The C library's own; looked up at the first call. */
#define REAL(name) \
    static __typeof__(&name) real; \
    if (real == NULL) \
    real = (__typeof__(&name))dlsym(RTLD_NEXT, #name)

/* ---- memory ---- */

SHOWN void *malloc(size_t bytes)
{
    FAIL(FAULT_MALLOC, ANY_WAY, NULL);
    return __libc_malloc(bytes);
}

SHOWN void *calloc(size_t count, size_t bytes)
{
    FAIL(FAULT_CALLOC, ANY_WAY, NULL);
    return __libc_calloc(count, bytes);
}

SHOWN void *realloc(void *piece, size_t bytes)
{
    FAIL(FAULT_REALLOC, ANY_WAY, NULL);
    return __libc_realloc(piece, bytes);
}

SHOWN void *reallocarray(void *piece, size_t count, size_t bytes)
{
    size_t all;

    FAIL(FAULT_REALLOC, ANY_WAY, NULL);
    if (__builtin_mul_overflow(count, bytes, &all)) {
        errno = ENOMEM;
        return NULL;
    }
    return __libc_realloc(piece, all);
}

SHOWN char *strdup(const char *text)
{
    FAIL(FAULT_STRDUP, ANY_WAY, NULL);
    size_t bytes = strlen(text) + 1;
    char *copy = __libc_malloc(bytes);
    return copy == NULL ? NULL : memcpy(copy, text, bytes);
}

SHOWN void *aligned_alloc(size_t align, size_t bytes)
{
    FAIL(FAULT_MEMALIGN, ANY_WAY, NULL);
    return __libc_memalign(align, bytes);
}

SHOWN int posix_memalign(void **ret_piece, size_t align, size_t bytes)
{
    int error;

    if (fails(FAULT_MEMALIGN, ANY_WAY, __builtin_return_address(0), &error))
        return error;
    void *piece = __libc_memalign(align, bytes);
    *ret_piece = piece == NULL ? *ret_piece : piece;
    return piece == NULL ? ENOMEM : 0;
}

static void *map(void *at, size_t bytes, int protection, int flags, int fd, off_t offset)
{
    return (void *)syscall(SYS_mmap, at, bytes, protection, flags, fd, offset);
}

SHOWN void *mmap(void *at, size_t bytes, int protection, int flags, int fd, off_t offset)
{
    FAIL(FAULT_MMAP, ANY_WAY, MAP_FAILED);
    return map(at, bytes, protection, flags, fd, offset);
}

SHOWN int mprotect(void *at, size_t bytes, int protection)
{
    FAIL(FAULT_MPROTECT, ANY_WAY, -1);
    return (int)syscall(SYS_mprotect, at, bytes, protection);
}

SHOWN int madvise(void *at, size_t bytes, int advice)
{
    FAIL(FAULT_MADVISE, ANY_WAY, -1);
    return (int)syscall(SYS_madvise, at, bytes, advice);
}

SHOWN int munmap(void *at, size_t bytes)
{
    FAIL(FAULT_MUNMAP, ANY_WAY, -1);
    return (int)syscall(SYS_munmap, at, bytes);
}

SHOWN int mincore(void *at, size_t bytes, unsigned char *ret)
{
    FAIL(FAULT_MINCORE, ANY_WAY, -1);
    return (int)syscall(SYS_mincore, at, bytes, ret);
}

/* ---- files ---- */

SHOWN int memfd_create(const char *name, unsigned flags)
{
    FAIL(FAULT_MEMFD, ANY_WAY, -1);
    return (int)syscall(SYS_memfd_create, name, flags);
}

SHOWN int ftruncate(int fd, off_t bytes)
{
    FAIL(FAULT_FTRUNCATE, ANY_WAY, -1);
    return (int)syscall(SYS_ftruncate, fd, bytes);
}

SHOWN int fallocate(int fd, int mode, off_t offset, off_t bytes)
{
    FAIL(FAULT_FALLOCATE, ANY_WAY, -1);
    return (int)syscall(SYS_fallocate, fd, mode, offset, bytes);
}

static int open_at(const char *path, int flags, va_list more)
{
    unsigned mode = (flags & (O_CREAT | O_TMPFILE)) != 0 ? va_arg(more, unsigned) : 0;

    return (int)syscall(SYS_openat, AT_FDCWD, path, flags, mode);
}

SHOWN int open(const char *path, int flags, ...)
{
    va_list more;

    FAIL(FAULT_OPEN, ANY_WAY, -1);
    va_start(more, flags);
    int fd = open_at(path, flags, more);
    va_end(more);
    return fd;
}

SHOWN FILE *fopen(const char *path, const char *mode)
{
    REAL(fopen);
    FAIL(FAULT_FOPEN, ANY_WAY, NULL);
    return real(path, mode);
}

SHOWN ssize_t read(int fd, void *bytes, size_t count)
{
    FAIL(FAULT_READ, ANY_WAY, -1);
    return syscall(SYS_read, fd, bytes, count);
}

SHOWN ssize_t write(int fd, const void *bytes, size_t count)
{
    FAIL(FAULT_WRITE, ANY_WAY, -1);
    return syscall(SYS_write, fd, bytes, count);
}

SHOWN int fstat(int fd, struct stat *ret)
{
    FAIL(FAULT_FSTAT, ANY_WAY, -1);
    return (int)syscall(SYS_fstat, fd, ret);
}

SHOWN ssize_t readlink(const char *path, char *ret, size_t bytes)
{
    FAIL(FAULT_READLINK, ANY_WAY, -1);
    return syscall(SYS_readlink, path, ret, bytes);
}

/* With _FILE_OFFSET_BITS=64 programs ask for these. */
SHOWN void *mmap64(void *at, size_t bytes, int protection, int flags, int fd, off_t offset)
    __attribute__((alias("mmap")));
SHOWN int ftruncate64(int fd, off_t bytes) __attribute__((alias("ftruncate")));
SHOWN int fallocate64(int fd, int mode, off_t offset, off_t bytes) __attribute__((alias("fallocate")));
SHOWN int open64(const char *path, int flags, ...) __attribute__((alias("open")));
SHOWN FILE *fopen64(const char *path, const char *mode) __attribute__((alias("fopen")));
SHOWN int fstat64(int fd, struct stat64 *ret);
SHOWN int fstat64(int fd, struct stat64 *ret)
{
    FAIL(FAULT_FSTAT, ANY_WAY, -1);
    return (int)syscall(SYS_fstat, fd, ret);
}

/* ---- sockets, events ---- */

SHOWN ssize_t sendmsg(int sock, const struct msghdr *message, int flags)
{
    FAIL(FAULT_SENDMSG, message->msg_controllen > 0 ? ANY_WAY : 3, -1);
    return syscall(SYS_sendmsg, sock, message, flags);
}

SHOWN ssize_t recvmsg(int sock, struct msghdr *message, int flags)
{
    FAIL(FAULT_RECVMSG, ANY_WAY, -1);
    return syscall(SYS_recvmsg, sock, message, flags);
}

SHOWN int accept4(int sock, struct sockaddr *address, socklen_t *bytes, int flags)
{
    FAIL(FAULT_ACCEPT, ANY_WAY, -1);
    return (int)syscall(SYS_accept4, sock, address, bytes, flags);
}

SHOWN int socketpair(int domain, int type, int protocol, int ret[2])
{
    FAIL(FAULT_SOCKETPAIR, ANY_WAY, -1);
    return (int)syscall(SYS_socketpair, domain, type, protocol, ret);
}

SHOWN int socket(int domain, int type, int protocol)
{
    FAIL(FAULT_SOCKET, ANY_WAY, -1);
    return (int)syscall(SYS_socket, domain, type, protocol);
}

SHOWN int getsockopt(int sock, int level, int option, void *ret, socklen_t *bytes)
{
    if (level == SOL_SOCKET && option == SO_PEERPIDFD)
        FAIL(FAULT_GETSOCKOPT, ANY_WAY, -1);
    return (int)syscall(SYS_getsockopt, sock, level, option, ret, bytes);
}

SHOWN int epoll_ctl(int epoll, int operation, int fd, struct epoll_event *event)
{
    if (operation == EPOLL_CTL_ADD)
        FAIL(FAULT_EPOLL_CTL, ANY_WAY, -1);
    return (int)syscall(SYS_epoll_ctl, epoll, operation, fd, event);
}

SHOWN int epoll_wait(int epoll, struct epoll_event *ret, int count, int timeout_ms)
{
    FAIL(FAULT_EPOLL_WAIT, ANY_WAY, -1);
    return (int)syscall(SYS_epoll_pwait, epoll, ret, count, timeout_ms, NULL, 8);
}

SHOWN int epoll_pwait(int epoll, struct epoll_event *ret, int count, int timeout_ms, const sigset_t *mask)
{
    FAIL(FAULT_EPOLL_WAIT, ANY_WAY, -1);
    return (int)syscall(SYS_epoll_pwait, epoll, ret, count, timeout_ms, mask, 8);
}

SHOWN int eventfd(unsigned value, int flags)
{
    FAIL(FAULT_EVENTFD, ANY_WAY, -1);
    return (int)syscall(SYS_eventfd2, value, flags);
}

SHOWN int pipe2(int ret[2], int flags)
{
    FAIL(FAULT_PIPE, ANY_WAY, -1);
    return (int)syscall(SYS_pipe2, ret, flags);
}

/* ---- processes, threads ---- */

SHOWN int posix_spawn(pid_t *ret_pid, const char *path, const posix_spawn_file_actions_t *actions,
                      const posix_spawnattr_t *attributes, char *const argv[],
                      char *const environment[])
{
    REAL(posix_spawn);
    int error;

    if (fails(FAULT_SPAWN, ANY_WAY, __builtin_return_address(0), &error))
        return error;
    return real(ret_pid, path, actions, attributes, argv, environment);
}

SHOWN int pthread_create(pthread_t *ret_thread, const pthread_attr_t *attributes,
                         void *(*run)(void *), void *argument)
{
    REAL(pthread_create);
    int error;

    if (fails(FAULT_THREAD, ANY_WAY, __builtin_return_address(0), &error))
        return error;
    return real(ret_thread, attributes, run, argument);
}

/* The barrier is asked for by number. */
SHOWN long syscall(long number, ...)
{
    REAL(syscall);
    va_list more;
    long a[6];

    va_start(more, number);
    for (int i = 0; i < 6; i++)
        a[i] = va_arg(more, long); /* what was not passed is not looked at by the kernel either */
    va_end(more);
    if (number == SYS_membarrier && a[0] == MEMBARRIER_CMD_GLOBAL_EXPEDITED)
        FAIL(FAULT_BARRIER, ANY_WAY, -1);
    return real(number, a[0], a[1], a[2], a[3], a[4], a[5]);
}
