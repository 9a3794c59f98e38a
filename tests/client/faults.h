/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/* Faults: does touching an address fault, and exactly there? For programs with one thread that touches. */
#include <setjmp.h>
#include <signal.h>
#include <stdbool.h>
#include <stddef.h>

#include "shm/base.h"

static sigjmp_buf before_fault;
static void *volatile faulted_at;

static void on_fault(int sig, siginfo_t *info, void *context)
{
    (void)context;
    faulted_at = info->si_addr;
    siglongjmp(before_fault, sig);
}

static inline void catch_faults(void)
{
    struct sigaction action = { .sa_sigaction = on_fault, .sa_flags = SA_SIGINFO };

    MM_ASSERT(sigaction(SIGSEGV, &action, NULL) == 0);
}

/* Does reading there fault, exactly there? */
static inline bool read_faults(const volatile char *at)
{
    faulted_at = NULL;
    if (sigsetjmp(before_fault, 1) != 0)
        return faulted_at == (const void *)at;
    (void)*at;
    return false;
}

static inline bool write_faults(volatile char *at)
{
    faulted_at = NULL;
    if (sigsetjmp(before_fault, 1) != 0)
        return faulted_at == (void *)at;
    *at = 1;
    return false;
}
