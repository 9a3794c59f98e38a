/* SPDX-License-Identifier: Apache-2.0 */
/* large.c - Large: ask, wait, zero, all of it parked, so that nobody waits for a long memset. Where pages are closed to clients
 * it is zeroed IN: only then are those that were opened meanwhile open here, and stay so.
 *   L1  until `taken` is raised, the entry is untouched to the daemon: zeros, then perhaps a header that nobody refers to
 *   L2  the header is stored when the run is zero and the thread IN, then `taken` is raised                      */
#include "client/large.h"

#include <string.h>

#include "client/grant.h"
#include "client/safepoint.h"
#include "client/span.h"
#include "client/thread.h"
#include "shm/units.h"

/* The run in entry `taken`, zeroed as far as the object goes; NULL: there is none, or it is too small. */
static char *run_take(struct thread *th, uint64_t bytes)
{
    struct slab *slab = &th->slabs[SHM_GRANT_LARGE];

    (void)span_ahead(th, SHM_GRANT_LARGE);
    if (slab->taken == slab->seen)
        return NULL;
    const struct shm_grant *grant = &shm_mutator_ring(th->m, SHM_GRANT_LARGE)[slab->taken % SHM_LARGE_CAPACITY];
    uint64_t run_bytes = (uint64_t)grant->granules << MM_GRANULE_LOG;
    if (run_bytes < bytes)
        return NULL;
    char *start = th->heap->base + ((uint64_t)grant->start << MM_GRANULE_LOG);
    if ((grant->flags & SHM_GRANT_ZEROED) == 0)
        memset(start, 0, run_bytes);
    slab->ahead_bytes -= run_bytes;
    return start;
}

void *large_new(struct thread *th, uint64_t bytes, uint64_t header)
{
    struct grant_ask ask = { .class = SHM_GRANT_LARGE, .bytes = bytes };
    int r = safepoint_park(th);

    if (r != MMGC_OK)
        return thread_fail(th, r);
    r = grant_wait_parked(th, &ask);
    bool zero_parked = th->heap->pages == NULL;
    char *start = r == MMGC_OK && zero_parked ? run_take(th, bytes) : NULL;
    int resumed = safepoint_resume(th);
    if (resumed != MMGC_OK)
        return thread_fail(th, resumed);
    if (r != MMGC_OK)
        return thread_fail(th, r);
    if (!zero_parked)
        start = run_take(th, bytes);
    if (start == NULL)
        return thread_fail(th, error_set(MMGC_E_PROTOCOL, "no run where one was granted"));
    __atomic_store_n((uint64_t *)(void *)start, header, __ATOMIC_RELAXED);
    at_store_release(&th->m->mail[SHM_GRANT_LARGE].taken, ++th->slabs[SHM_GRANT_LARGE].taken);
    return mmgc_launder_(start + sizeof(uint64_t));
}
