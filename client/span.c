/* SPDX-License-Identifier: Apache-2.0 */
/* span.c - Span: bytes are zeroed before limit claims them, and limit before the fast path sees them.
 *   P1  [start of the current span, limit) was zero before the first header there; at every store
 *   P2  a span is zeroed to its end before `taken` says that it is finished
 *   P3  the bump never lies in a finished span while the thread may run on: it is void, or in entry `taken`
 *   All stores are in program order (release): the daemon reads them of a thread that is parked, or dead.    */
#include "client/span.h"

#include <string.h>

#include "client/hold.h"
#include "client/tsan.h"
#include "shm/units.h"

#define ZERO_AHEAD_BYTES 2048u /* in cache until they are used; S7 found 1 to 4 KiB best */

struct shm_bump *span_bump(const struct thread *th, enum shm_grant_class class)
{
    bool parked = class == SHM_GRANT_LINES && hold_is_open(th); /* m->lines is the hold's */

    return parked ? &th->m->bumps[SHM_GRANT_LINES] : shm_mutator_bump(th->m, class);
}

/* Does a processor wait for each line that it is going to store to, if nobody fetches it before? Of those measured Intel's do (Emerald
 * Rapids: what allocates without collecting takes 5.0 ns an object of 24 bytes, with this 3.1), AMD's do not (there it was a loss). */
static bool stores_wait(void)
{
#if defined(__x86_64__)
    return __builtin_cpu_is("intel") != 0;
#else
    return false;
#endif
}

/* What is zeroed next is on its way into the cache meanwhile. */
static void fetch_next(const struct shm_bump *bump)
{
    const char *stop = (uint64_t)(bump->end - bump->limit) > ZERO_AHEAD_BYTES ? bump->limit + ZERO_AHEAD_BYTES : bump->end;

    for (const char *line = bump->limit; line < stop; line += MM_CACHE_LINE)
        __builtin_prefetch(line, 1);
}

static void zero_to(struct shm_bump *bump, char *to)
{
    memset(bump->limit, 0, (size_t)(to - bump->limit));
    span_word_store(&bump->limit, to); /* P1 */
}

char *span_take(struct shm_bump *bump, uint64_t bytes)
{
    char *p = bump->cursor;

    if (bytes > (uint64_t)(bump->end - p))
        return NULL;
    if (bytes > (uint64_t)(bump->limit - p)) {
        uint64_t wanted = bytes + ZERO_AHEAD_BYTES; /* whole lines of the cache, to the end of one */
        char *to = (uint64_t)(bump->end - p) > wanted
                       ? (char *)mm_align_down((uintptr_t)(p + wanted), MM_CACHE_LINE)
                       : bump->end;
        zero_to(bump, to);
        if (stores_wait())
            fetch_next(bump);
    }
    span_word_store(&bump->cursor, p + bytes);
    return p;
}

uint64_t span_ahead(struct thread *th, enum shm_grant_class class)
{
    struct slab *slab = &th->slabs[class];
    const struct shm_grant *ring = shm_mutator_ring(th->m, class);
    uint32_t published = at_load_acquire(&th->m->mail[class].published); /* pairs with the daemon's */
    uint64_t came_bytes = 0;

    if (slab->seen != published)
        tsan_acquire(th->heap);
    for (; slab->seen != published; slab->seen++)
        came_bytes += (uint64_t)ring[slab->seen % shm_ring_capacity(class)].granules << MM_GRANULE_LOG;
    slab->ahead_bytes += came_bytes;
    slab->came_bytes += came_bytes;
    return slab->ahead_bytes;
}

static void span_finish(struct thread *th, enum shm_grant_class class)
{
    struct slab *slab = &th->slabs[class];
    struct shm_bump *bump = span_bump(th, class);

    zero_to(bump, bump->end); /* P2 */
    at_store_release(&th->m->mail[class].taken, ++slab->taken);
    slab->current = false;
    span_word_store(&bump->limit, NULL); /* P3 */
    span_word_store(&bump->cursor, NULL);
    span_word_store(&bump->end, NULL);
}

bool span_next(struct thread *th, enum shm_grant_class class)
{
    struct slab *slab = &th->slabs[class];
    struct shm_bump *bump = span_bump(th, class);

    if (slab->current)
        span_finish(th, class);
    if (slab->taken == slab->seen) {
        (void)span_ahead(th, class);
        if (slab->taken == slab->seen)
            return false;
    }
    const struct shm_grant *grant =
        &shm_mutator_ring(th->m, class)[slab->taken % shm_ring_capacity(class)];
    char *start = th->heap->base + ((uint64_t)grant->start << MM_GRANULE_LOG);
    char *end = start + ((uint64_t)grant->granules << MM_GRANULE_LOG);
    slab->ahead_bytes -= (uint64_t)(end - start);
    slab->current = true;
    span_word_store(&bump->limit, (grant->flags & SHM_GRANT_ZEROED) != 0 ? end : start); /* P1 */
    span_word_store(&bump->cursor, start);
    span_word_store(&bump->end, end);
    return true;
}
