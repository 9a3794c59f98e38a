/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/* store.h: how a bench stores a reference: by mmgc_store(), or, compiled with MMGC_NO_BARRIER, as mmgc_store() does where there
 * is nothing to be logged, but without asking. For barrier.py alone: under a plan with a barrier the next collection of such a
 * program's heap may lose what it holds, so there must be none. */
#include <mmgc/mmgc.h>

static inline void bench_store(struct mmgc_thread *t, void *object, mmgc_ref *slot, const void *value)
{
#ifdef MMGC_NO_BARRIER
    (void)object;
    __atomic_store_n(&slot->granule, mmgc_ref_of(t, value).granule, __ATOMIC_RELEASE);
#else
    mmgc_store(t, object, slot, value);
#endif
}
#define bench_set(t, object, field, value) bench_store((t), (object), &(object)->field, (value))
