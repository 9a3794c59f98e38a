/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/* Log: what clients wrote down by the write barrier and no collection has looked at yet, and the bits that make them do so.
 *   Owner    the heap      Threads  the heap's one caller; a collection's workers read rows, and set bits
 *   Hostile  a row says what a client said: whoever uses it checks it. Clients write the bits, too: no decision of the daemon's
 *            rests on one                                                            shm/write_barrier.h says the rest */
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "shm/base.h"

struct heap;

struct logged {
    uint32_t object, offset;                 /* granules; as struct shm_log_entry */
    uint64_t old;
};

struct log {
    _Atomic uint64_t *bits;                  /* [const] bit a granule; NULL: the plan has no barrier */
    void *own_bits;                          /* [const] those, if heap_config had none */
    int32_t mask;                            /* [stw] of what clients log now */
    struct logged *rows;
    size_t count, capacity;
    bool lost;                               /* some stores are in no row */
    uint64_t total;                          /* rows ever drained */
    uint64_t losses;                         /* times that lost was said */
};

/* 0, -ENOMEM. @bits may be NULL. */
int log_init(struct log *log, void *bits, size_t bytes);
void log_fini(struct log *log);
void log_clear(struct log *log);             /* a collection has looked at all of it */

/* Stores to @lines lines from line @first on are to be logged, or not. Nobody else has these lines. */
static inline void log_set_lines(const struct log *log, uint64_t first, uint64_t lines, bool wanted)
{
    _Atomic uint32_t *words = (_Atomic uint32_t *)log->bits + first;

    for (uint64_t i = 0; i < lines; i++)
        at_store_relaxed(&words[i], wanted ? UINT32_MAX : 0);
}
static inline void log_set_granule(const struct log *log, uint64_t granule)
{
    at_or_relaxed(&log->bits[granule / 64], UINT64_C(1) << granule % 64);
}
