/* SPDX-License-Identifier: Apache-2.0 */
#include "plans/heap/log.h"

#include <errno.h>

#include "plans/heap/state.h"
#include "plans/work/store.h"
#include "shm/units.h"

#define ROWS_FIRST 1024u
#define ROWS_MOST (UINT64_C(16) << 20) /* 256 MiB */

/* Of lines, one row each is a sixteenth of the arena, and more than honest clients need between two collections; of fields four
 * times as much, and they are taken while they come. When so much has changed a whole collection is no bad idea anyway. */
static size_t most_rows(enum shm_barrier_kind kind, uint64_t arena_bytes)
{
    uint64_t lines = arena_bytes / MM_LINE_BYTES, rows = kind == SHM_BARRIER_FIELDS ? 4 * lines : lines;

    return (size_t)MM_MIN(MM_MAX(rows, (uint64_t)SHM_LOG_CAPACITY), ROWS_MOST);
}

size_t log_rows_bytes(enum shm_barrier_kind kind, uint64_t arena_bytes)
{
    return kind == SHM_BARRIER_NONE ? 0 : most_rows(kind, arena_bytes) * sizeof(struct logged);
}

int log_init(struct log *log, struct store *store, enum shm_barrier_kind kind, void *segment, uint64_t arena_bytes)
{
    log->store = store;
    if (kind == SHM_BARRIER_NONE)
        return 0;
    if (segment == NULL)
        segment = log->own = store_alloc_zeroed(store, shm_log_bytes(arena_bytes));
    if (segment == NULL)
        return -ENOMEM;
    log->lines = segment;
    if (kind == SHM_BARRIER_FIELDS)
        log->bits = (_Atomic uint32_t *)(void *)((char *)segment + shm_log_bits_offset(arena_bytes));
    log->active = kind == SHM_BARRIER_LINES;
    log->most = most_rows(kind, arena_bytes);
    return 0;
}

void log_fini(struct log *log)
{
    store_free(log->store, log->rows);
    store_free(log->store, log->own);
    *log = (struct log){ 0 };
}

void log_clear(struct log *log)
{
    log->count = 0;
    log->lost = false;
}

void log_rearm_stw(const struct log *log, uint64_t granules)
{
    for (size_t i = 0; log->bits != NULL && i < log->count; i++) {
        uint64_t granule = (uint64_t)log->rows[i].object + log->rows[i].offset;
        if (granule < granules)
            (void)log_claim_granule(log, granule);
    }
}

static bool make_room(struct log *log, size_t count)
{
    size_t capacity = MM_MAX(log->capacity, store_is_sparse(log->store) ? log->most : (size_t)ROWS_FIRST); /* what is not touched costs nothing */

    if (log->count + count > log->most)
        return false;
    if (log->count + count <= log->capacity)
        return true;
    while (capacity < log->count + count)
        capacity = MM_MIN(capacity * 2, log->most);
    struct logged *rows = store_resize(log->store, log->rows, capacity * sizeof(*rows));
    if (rows == NULL)
        return false;
    log->rows = rows;
    log->capacity = capacity;
    return true;
}

void heap_log_drain(struct heap *h, struct shm_log_entry MM_NODEREF *entries, size_t count)
{
    struct log *log = &h->log;

    if (log->lines == NULL)
        return;
    log->total += count;
    if (!make_room(log, count)) {
        if (!log->lost) /* once a collection, however long a client goes on */
            heap_log_lost(h);
        return;
    }
    for (size_t i = 0; i < count; i++)
        log->rows[log->count++] = (struct logged){ .object = at_load_relaxed(&entries[i].object),
                                                   .offset = at_load_relaxed(&entries[i].offset),
                                                   .old = at_load_relaxed(&entries[i].old) };
}

void heap_log_lost(struct heap *h)
{
    h->log.lost = true;
    h->log.losses++;
}

struct heap_log_totals heap_log_totals(const struct heap *h)
{
    return (struct heap_log_totals){ .entries = h->log.total, .losses = h->log.losses };
}
