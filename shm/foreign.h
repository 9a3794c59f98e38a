/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/* Foreign: memory that a client can write while we read it (soundness S13).
 *   Reached only through the opaque type `foreign` and these calls: one relaxed atomic access each.
 *   The caller reads once, checks, and works from the copy; it bounds @off itself.
 *   Records that clients write (a session's, a mutator's, the leases, a log) have types of their own instead: a pointer to one is declared
 *   MM_NODEREF (base.h), its fields are reached by their address alone, by one explicit atomic access each.
 *   Under clang with MM_CHECK_FOREIGN neither can be dereferenced by accident (tests/foreign.sh).           */
#include <stddef.h>
#include <stdint.h>

#include "shm/base.h"

typedef struct foreign_bytes MM_NODEREF *foreign;    /* incomplete on purpose */

static inline foreign foreign_from(void *mapped)
{
    return (foreign)mapped;
}
static inline char *foreign_address(foreign base, size_t off)
{
    return (char *)(uintptr_t)base + off;
}
static inline uint64_t foreign_load64(foreign base, size_t off)
{
    return at_load_relaxed((_Atomic uint64_t *)(void *)foreign_address(base, off));
}
static inline uint32_t foreign_load32(foreign base, size_t off)
{
    return at_load_relaxed((_Atomic uint32_t *)(void *)foreign_address(base, off));
}
static inline void foreign_store32(foreign base, size_t off, uint32_t value)
{
    at_store_relaxed((_Atomic uint32_t *)(void *)foreign_address(base, off), value);
}
static inline uint32_t foreign_exchange32(foreign base, size_t off, uint32_t value)
{
    return atomic_exchange_explicit((_Atomic uint32_t *)(void *)foreign_address(base, off), value, memory_order_relaxed);
}
static inline bool foreign_cas32(foreign base, size_t off, uint32_t *expected, uint32_t value)
{
    return at_cas_acq_rel((_Atomic uint32_t *)(void *)foreign_address(base, off), expected, value);
}
static inline void foreign_store64(foreign base, size_t off, uint64_t value)
{
    at_store_relaxed((_Atomic uint64_t *)(void *)foreign_address(base, off), value);
}
/* Copies @bytes, a multiple of 8, word by word: what a client writes meanwhile is in the copy or not, each word whole. */
static inline void foreign_copy(foreign base, size_t to, size_t from, size_t bytes)
{
    for (size_t i = 0; i < bytes; i += 8)
        foreign_store64(base, to + i, foreign_load64(base, from + i));
}
static inline void foreign_prefetch(foreign base, size_t off)
{
    __builtin_prefetch(foreign_address(base, off));
}
