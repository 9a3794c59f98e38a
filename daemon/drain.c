/* SPDX-License-Identifier: Apache-2.0 */
#include "daemon/drain.h"

#include "shm/base.h"
#include "shm/write_barrier.h"

/* Entries @from to @from + @count, which may go round the ring's end. */
static void hand_over(struct shm_mutator MM_NODEREF *words, struct heap *heap, uint32_t from, uint32_t count)
{
    while (count > 0) {
        uint32_t at = from % SHM_LOG_CAPACITY, piece = MM_MIN(count, SHM_LOG_CAPACITY - at);
        heap_log_drain(heap, &words->log_ring[at], piece);
        from += piece;
        count -= piece;
    }
}

void drain_locked(struct drain *d, struct shm_mutator MM_NODEREF *words, struct heap *heap)
{
    struct shm_log MM_NODEREF *log = &words->log;

    if (d->over)
        return;
    uint32_t pushed = at_load_acquire(&log->pushed); /* pairs with the client's release: the entries are there */
    uint32_t lost = at_load_acquire(&log->lost);
    bool lies = pushed - d->drained > SHM_LOG_CAPACITY;
    if (lies || lost != d->lost)
        heap_log_lost(heap);
    if (!lies)
        hand_over(words, heap, d->drained, pushed - d->drained);
    d->drained = pushed;
    d->lost = lost;
    at_store_release(&log->drained, pushed); /* pairs with the client's acquire: we are done with these entries */
}

static void hand_over_keep(struct shm_log_entry MM_NODEREF *entry, struct heap *heap)
{
    struct shm_log_entry keep = { .object = at_load_relaxed(&entry->object), .offset = SHM_LOG_KEEP };

    if (at_load_relaxed(&entry->offset) == SHM_LOG_KEEP)
        heap_log_drain(heap, &keep, 1);
}

void drain_keeps_locked(struct drain *d, struct shm_mutator MM_NODEREF *words, struct heap *heap)
{
    uint32_t pushed = at_load_acquire(&words->log.pushed); /* pairs with the client's release */

    for (uint32_t i = d->drained; pushed - d->drained <= SHM_LOG_CAPACITY && i != pushed; i++)
        hand_over_keep(&words->log_ring[i % SHM_LOG_CAPACITY], heap);
    d->drained = pushed;
    at_store_release(&words->log.drained, pushed);
}

static struct shm_log_entry copy_of(const struct shm_log_entry MM_NODEREF *entry)
{
    struct shm_log_entry copy;

    /* pairs with the client's releases */
    at_store_relaxed(&copy.object, at_load_acquire(&entry->object));
    at_store_relaxed(&copy.offset, at_load_acquire(&entry->offset));
    at_store_relaxed(&copy.old, at_load_acquire(&entry->old));
    return copy;
}

/* In this order (write_barrier.h, Beside): an entry that is tentative when we look is pushed when we look next, or stays, or was retracted
 * and tells of no store. */
void drain_running_locked(struct drain *d, struct shm_mutator MM_NODEREF *words, struct heap *heap)
{
    struct shm_log MM_NODEREF *log = &words->log;
    uint32_t retracted = at_load_acquire(&log->retracted);
    uint32_t tentative = at_load_acquire(&log->tentative);

    drain_locked(d, words, heap);
    if (d->over || tentative != d->drained + 1)
        return;
    struct shm_log_entry entry = copy_of(&words->log_ring[d->drained % SHM_LOG_CAPACITY]);
    if (at_load_relaxed(&log->retracted) == retracted)
        heap_log_drain(heap, &entry, 1);
}

/* The daemon alone sets bits, and none since this thread died: if its bit is clear, somebody may have stored. */
static bool may_count(const struct shm_log_entry MM_NODEREF *entry, const _Atomic uint64_t *bits, uint64_t granules)
{
    uint64_t unit = (uint64_t)at_load_relaxed(&entry->object) + at_load_relaxed(&entry->offset);

    return unit < granules && (at_load_acquire(&bits[unit / 64]) >> unit % 64 & 1) == 0;
}

void drain_last_locked(struct drain *d, struct shm_mutator MM_NODEREF *words, struct heap *heap, const _Atomic uint64_t *bits,
                       uint64_t granules)
{
    if (d->over)
        return;
    drain_locked(d, words, heap);
    d->over = true;
    struct shm_log_entry MM_NODEREF *entry = &words->log_ring[d->drained % SHM_LOG_CAPACITY];
    if (bits != NULL && at_load_acquire(&words->log.tentative) == d->drained + 1 && may_count(entry, bits, granules))
        heap_log_drain(heap, entry, 1);
}
