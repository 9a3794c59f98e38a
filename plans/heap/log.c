/* SPDX-License-Identifier: Apache-2.0 */
#include "plans/heap/log.h"

#include <errno.h>
#include <stdlib.h>

#include "plans/heap/state.h"

#define ROWS_FIRST 1024u

int log_init(struct log *log, void *bits, size_t bytes)
{
    if (bytes == 0)
        return 0;
    if (bits == NULL)
        bits = log->own_bits = calloc(1, bytes);
    log->bits = bits;
    return bits == NULL ? -ENOMEM : 0;
}

void log_fini(struct log *log)
{
    free(log->rows);
    free(log->own_bits);
    *log = (struct log){ 0 };
}

void log_clear(struct log *log)
{
    log->count = 0;
    log->lost = false;
}

static bool make_room(struct log *log, size_t count)
{
    size_t capacity = MM_MAX(log->capacity, (size_t)ROWS_FIRST);

    if (log->count + count <= log->capacity)
        return true;
    while (capacity < log->count + count)
        capacity *= 2;
    struct logged *rows = realloc(log->rows, capacity * sizeof(*rows));
    if (rows == NULL)
        return false;
    log->rows = rows;
    log->capacity = capacity;
    return true;
}

void heap_log_drain(struct heap *h, struct shm_log_entry *entries, size_t count)
{
    struct log *log = &h->log;

    if (log->bits == NULL)
        return;
    if (!make_room(log, count)) {
        heap_log_lost(h);
        return;
    }
    for (size_t i = 0; i < count; i++)
        log->rows[log->count++] = (struct logged){ .object = at_load_relaxed(&entries[i].object),
                                                   .offset = at_load_relaxed(&entries[i].offset),
                                                   .old = at_load_relaxed(&entries[i].old) };
    log->total += count;
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
