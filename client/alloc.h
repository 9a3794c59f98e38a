/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/* Alloc: small objects from spans, whatever they are granted as.
 *   Threads  the attached thread itself, while IN                                                        */
#include <mmgc/mmgc.h>
#include <stdbool.h>
#include <stdint.h>

#include "shm/mutator.h"

struct thread;

struct alloc_source {                        /* where an object comes from */
    enum shm_grant_class class;              /* any but LARGE */
    bool crumbs;                             /* when there is no more: from what is left of whole blocks */
    uint32_t bytes;                          /* that it takes there */
    uint32_t min_bytes;                      /* of the spans to be asked for */
};

/* MMGC_OK, or why @t cannot have an object of @bytes. */
int alloc_check(const struct mmgc_thread *t, mmgc_type type, uint64_t bytes);
/* What is to be had at once: bytes by class. Of plans that bump all of it is to come from whole blocks. */
struct alloc_need {
    uint64_t bytes[SHM_GRANT_CLASSES];
};
void alloc_need_add(const struct thread *th, struct alloc_need *need, uint64_t bytes);        /* an object of at most MMGC_SMALL_MAX */
/* Whether @bytes of objects up to a line are to be had without waiting, where the plan bumps. */
bool alloc_lies_ready(struct thread *th, uint64_t bytes);
/* [safepoint] Sees to @need: objects that it was added up from fit in any order, if nothing else is allocated meanwhile. */
int alloc_secure(struct thread *th, const struct alloc_need *need);
/* @bytes, zeroed, without a header, where the plan has small objects, outside any hold; NULL: nothing at hand fits. @secured: of what
 * alloc_secure() has seen to. */
char *alloc_at_hand(struct thread *th, uint64_t bytes, bool secured);
/* [safepoint] from->bytes, zeroed, without a header; NULL: *ret_error, and the detail is set. */
char *alloc_small(struct thread *th, const struct alloc_source *from, int *ret_error);

/* Its header, which fixes the size (S6 I6): what stands at @p is an object from here on. */
static inline void *alloc_finish(char *p, uint64_t header)
{
    __atomic_store_n((uint64_t *)(void *)p, header, __ATOMIC_RELAXED);
    return mmgc_launder_(p + sizeof(uint64_t));
}
