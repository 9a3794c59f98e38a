/* SPDX-License-Identifier: Apache-2.0 */
#include "tests/support/trap.h"

#include <linux/filter.h>
#include <linux/seccomp.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <sys/types.h>
#include <unistd.h>

#include "shm/base.h"

static _Thread_local bool is_armed;

void trap_arm(bool armed)
{
    is_armed = armed;
}

static void meet(const char *name)
{
    if (!is_armed)
        return;
    is_armed = false;
    (void)!write(STDERR_FILENO, "trapped: ", 9);
    (void)!write(STDERR_FILENO, name, strlen(name));
    (void)!write(STDERR_FILENO, "\n", 1);
    abort();
}

/* Result, name, parameters, arguments: what is wrapped; the same list as in meson.build. */
#define CALLS(X) \
    X(void *, malloc, (size_t n), (n)) \
    X(void *, calloc, (size_t n, size_t m), (n, m)) \
    X(void *, realloc, (void *p, size_t n), (p, n)) \
    X(void *, reallocarray, (void *p, size_t n, size_t m), (p, n, m)) \
    X(void *, aligned_alloc, (size_t a, size_t n), (a, n)) \
    X(void *, memalign, (size_t a, size_t n), (a, n)) \
    X(void *, valloc, (size_t n), (n)) \
    X(int, posix_memalign, (void **p, size_t a, size_t n), (p, a, n)) \
    X(char *, strdup, (const char *s), (s)) \
    X(char *, strndup, (const char *s, size_t n), (s, n)) \
    X(void *, mmap, (void *p, size_t n, int prot, int flags, int fd, off_t at), (p, n, prot, flags, fd, at)) \
    X(void *, mmap64, (void *p, size_t n, int prot, int flags, int fd, off_t at), (p, n, prot, flags, fd, at)) \
    X(int, munmap, (void *p, size_t n), (p, n)) \
    X(int, mprotect, (void *p, size_t n, int prot), (p, n, prot)) \
    X(int, madvise, (void *p, size_t n, int advice), (p, n, advice)) \
    X(int, brk, (void *p), (p)) \
    X(void *, sbrk, (intptr_t n), (n)) \
    X(int, memfd_create, (const char *name, unsigned flags), (name, flags)) \
    X(FILE *, fopen, (const char *path, const char *mode), (path, mode)) \
    X(FILE *, fopen64, (const char *path, const char *mode), (path, mode)) \
    X(int, pthread_create, (void *t, const void *attr, void *run, void *arg), (t, attr, run, arg)) \
    X(long, syscall, (long n, long a, long b, long c, long d, long e, long f), (n, a, b, c, d, e, f))

#define X(type, name, parameters, arguments) \
    type __real_##name parameters; \
    type __wrap_##name parameters; \
    type __wrap_##name parameters \
    { \
        meet(#name); \
        return __real_##name arguments; \
    }
CALLS(X)
#undef X

void __real_free(void *p);
void __wrap_free(void *p);
void __wrap_free(void *p)
{
    meet("free");
    __real_free(p);
}

#define ALLOW(number) \
    BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, (number), 0, 1), BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW)

bool trap_system_calls(void)
{
    struct sock_filter filter[] = {
        BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, nr)),
        ALLOW(SYS_write),
        ALLOW(SYS_clock_gettime), /* where the kernel lends no page to read it from */
        ALLOW(SYS_exit_group),
        BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_KILL_PROCESS),
    };
    struct sock_fprog program = { MM_ARRAY_LEN(filter), filter };

    return prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) == 0 && prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, &program, 0, 0) == 0;
}
