/* SPDX-License-Identifier: Apache-2.0 */
#ifndef MMGC_HANDLE_H
#define MMGC_HANDLE_H
/* mmgc handles: what a process keeps of a heap outside of it: strong ones are roots, weak and soft ones keep nothing alive. Part of <mmgc/mmgc.h>.
 *   Threads   Any of the process. Inside for all that yields or takes an object, anywhere for what says "from anywhere"
 *   Errors    MMGC_E_DROPPED: it was dropped, unless its place has been used 16777216 times since; MMGC_E_INVALID: it never was, or is of another
 *             kind; MMGC_E_NO_OBJECT: not an object of this heap; MMGC_E_LIMIT: as many handles, leases, guards and watches as a
 *             session may have (mmgcd's max_handles, less one; threads keep up to 16 free places each for themselves).
 *             A call that yields an object yields NULL instead, and mmgc_thread_error() says which.
 *   Mistakes  With MMGC_ABORT_ON_MISUSE=1 in the environment the program stops where it makes one of the first three, in these calls and
 *             those of <mmgc/lease.h>, and stderr says where.                                     docs/leases-and-holds.md, mmgc(3) */
#include <mmgc/mmgc.h>

#ifdef __cplusplus
extern "C" {
#endif

/* Strong: the object lives while there is the handle. @object may be NULL. */
MMGC_API int mmgc_handle_new(struct mmgc_thread *t, const void *object, mmgc_handle *ret_handle);
MMGC_API void *mmgc_handle_get(struct mmgc_thread *t, mmgc_handle handle);
MMGC_API int mmgc_handle_set(struct mmgc_thread *t, mmgc_handle handle, const void *object);
MMGC_API int mmgc_handle_dup(struct mmgc_thread *t, mmgc_handle handle, mmgc_handle *ret_handle);
/* From anywhere. */
MMGC_API int mmgc_handle_drop(struct mmgc_heap *heap, mmgc_handle handle);

typedef struct mmgc_weak {                   /* a handle that keeps nothing alive, weak or soft; {0} is none */
    uint32_t slot, serial;
} mmgc_weak;

/* Weak: cleared by the first collection that finds nothing else to hold the object. Soft: cleared only when it has not been used for long and
 * memory is needed, and before any allocation fails. @object is not NULL. */
MMGC_API int mmgc_weak_new(struct mmgc_thread *t, const void *object, mmgc_weak *ret_weak);
MMGC_API int mmgc_soft_new(struct mmgc_thread *t, const void *object, mmgc_weak *ret_weak);
/* The object, which then lives as any that a thread has a pointer to. NULL and MMGC_E_CLEARED: it is gone. */
MMGC_API void *mmgc_weak_get(struct mmgc_thread *t, mmgc_weak weak);
/* A strong handle on the same object; the weak one stays. MMGC_E_CLEARED. */
MMGC_API int mmgc_weak_upgrade(struct mmgc_thread *t, mmgc_weak weak, mmgc_handle *ret_handle);
/* Another of the same kind. MMGC_E_CLEARED. */
MMGC_API int mmgc_weak_dup(struct mmgc_thread *t, mmgc_weak weak, mmgc_weak *ret_weak);
/* A weak handle on what a strong one has; that one stays. MMGC_E_INVALID: it has NULL. */
MMGC_API int mmgc_handle_weaken(struct mmgc_thread *t, mmgc_handle handle, mmgc_weak *ret_weak);
/* From anywhere; cleared ones, too. */
MMGC_API int mmgc_weak_drop(struct mmgc_heap *heap, mmgc_weak weak);

/* What `mmgcctl handles` and leak reports call it: 23 bytes are kept. From anywhere. */
MMGC_API int mmgc_handle_name(struct mmgc_heap *heap, mmgc_handle handle, const char *name);

struct mmgc_handle_counts {                  /* of this session, by kind */
    uint32_t strong, weak, soft;             /* handles; cleared ones count */
    uint32_t shared, exclusive, revoked;     /* leases, those that are waited for included */
    uint32_t guarded, ready, watched;
};
/* Walks the table. Racy by nature. */
MMGC_API int mmgc_handle_counts(struct mmgc_heap *heap, struct mmgc_handle_counts *ret_counts);

struct mmgc_leak {                           /* borrowed for the call */
    const char *kind;                        /* "strong", "weak", "soft", "shared" ... */
    const char *name;                        /* "" if it has none */
    uint64_t age_ms;                         /* since a lease was taken, a handle named; 0: not known */
    uint32_t slot;
};
/* Tells @callback of each handle and lease that this session still has, by slot. A program that gives back all it takes calls it before it closes
 * the heap. The option report_leaks of mmgc_heap_open(), or MMGC_LEAKS=1 in the environment, have mmgc_heap_close() print them. */
MMGC_API int mmgc_heap_leaks(struct mmgc_heap *heap, void (*callback)(void *context, const struct mmgc_leak *leak), void *context);

#ifdef __cplusplus
}
#endif
#endif
