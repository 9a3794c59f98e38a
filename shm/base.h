/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/* Base: the few words every folder speaks: assertions, ownership, named-order atomics, arithmetic.
 *   Atomics  the memory order is part of the name, so that a reader sees it at the call. A comment
 *            at the call names the partner ("pairs with packet_steal").                         */
#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* A broken program stops here, naming file and line. Hostile input never reaches an assertion. */
#define MM_ASSERT(x) ((x) ? (void)0 : mm_assert_failed(#x, __FILE__, __LINE__))
_Noreturn void mm_assert_failed(const char *what, const char *file, int line);

/* MM_AUTO(type) drops a local at scope end; MM_TAKE hands it over. type_unref(NULL) must be legal. */
#define MM_AUTO(type) __attribute__((cleanup(type##_auto))) struct type *
#define MM_DEFINE_AUTO(type, unref)                          \
    static inline void type##_auto(struct type **p)          \
    {                                                        \
        if (*p != NULL)                                      \
            (void)unref(*p);                                 \
    }
#define MM_TAKE(p) (__extension__({ __auto_type mm_taken_ = (p); (p) = NULL; mm_taken_; }))

#define MM_ARRAY_LEN(a) (sizeof(a) / sizeof((a)[0]))
#define MM_MIN(a, b) ((a) < (b) ? (a) : (b))
#define MM_MAX(a, b) ((a) > (b) ? (a) : (b))
/* What it points to is for others to write: see foreign.h. */
#if defined(__clang__) && defined(MM_CHECK_FOREIGN)
#define MM_NODEREF __attribute__((noderef))
#else
#define MM_NODEREF
#endif

#define MM_LIKELY(x) __builtin_expect(!!(x), 1)
#define MM_UNLIKELY(x) __builtin_expect(!!(x), 0)
#define MM_CACHE_LINE 64
/* No stack protector, which costs six instructions: for a path of a few dozen whose locals are words and never an array. */
#if __has_attribute(no_stack_protector)
#define MM_NO_CANARY __attribute__((no_stack_protector))
#else
#define MM_NO_CANARY
#endif

static inline uint64_t mm_align_up(uint64_t n, uint64_t to)   /* @to is a power of two */
{
    return (n + to - 1) & ~(to - 1);
}
static inline uint64_t mm_align_down(uint64_t n, uint64_t to)
{
    return n & ~(to - 1);
}

#define at_load_relaxed(p) atomic_load_explicit((p), memory_order_relaxed)
#define at_load_acquire(p) atomic_load_explicit((p), memory_order_acquire)
#define at_store_relaxed(p, v) atomic_store_explicit((p), (v), memory_order_relaxed)
#define at_store_release(p, v) atomic_store_explicit((p), (v), memory_order_release)
#define at_add_relaxed(p, v) atomic_fetch_add_explicit((p), (v), memory_order_relaxed)
#define at_add_acq_rel(p, v) atomic_fetch_add_explicit((p), (v), memory_order_acq_rel)
#define at_sub_acq_rel(p, v) atomic_fetch_sub_explicit((p), (v), memory_order_acq_rel)
#define at_or_relaxed(p, v) atomic_fetch_or_explicit((p), (v), memory_order_relaxed)
#define at_and_relaxed(p, v) atomic_fetch_and_explicit((p), (v), memory_order_relaxed)
#define at_exchange_acq_rel(p, v) atomic_exchange_explicit((p), (v), memory_order_acq_rel)
#define at_cas_acq_rel(p, expected, v) \
    atomic_compare_exchange_strong_explicit((p), (expected), (v), memory_order_acq_rel, memory_order_acquire)
#define at_load_seq_cst(p) atomic_load_explicit((p), memory_order_seq_cst)
#define at_cas_seq_cst(p, expected, v) \
    atomic_compare_exchange_strong_explicit((p), (expected), (v), memory_order_seq_cst, memory_order_seq_cst)
#define at_compiler_fence() atomic_signal_fence(memory_order_seq_cst)

uint64_t mm_now_ns(void);                            /* CLOCK_MONOTONIC */
uint64_t mm_now_coarse_ns(void);                     /* the same as of the last tick, some ms ago at the most: costs a few ns */
