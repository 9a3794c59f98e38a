/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/* Log: what clients wrote down by the write barrier and no collection has looked at yet, and the bytes and bits that make them do so.
 *   Owner    the heap      Threads  the heap's one caller; a collection's workers read rows, and set bytes
 *   Hostile  a row says what a client said: whoever uses it checks it. Clients write bytes and bits, too: no decision of
 *            the daemon's rests on one. Rows cost no more than a share of the heap, however much is pushed
 *                                                                                    shm/write_barrier.h says the rest */
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include "shm/base.h"
#include "shm/write_barrier.h"

struct heap;
struct store;

struct logged {
    uint32_t object, offset;                 /* granules; as struct shm_log_entry */
    uint64_t old;
};

struct log {
    struct store *store;                     /* [const] where rows come from */
    _Atomic uint8_t *lines;                  /* [const] byte a line; NULL: the plan has no barrier */
    _Atomic uint32_t *bits;                  /* [const] bit a granule, a word a line; NULL: the plan logs no fields */
    void *own;                               /* [const] both, if heap_config had no segment */
    bool active;                             /* clients log now; raised with the world stopped */
    struct logged *rows;
    size_t count, capacity;
    size_t most;                             /* [const] rows; what is beyond is lost */
    bool lost;                               /* some stores are in no row */
    uint64_t total;                          /* rows ever drained */
    uint64_t losses;                         /* times that lost was said */
};

/* 0, -ENOMEM. @segment may be NULL. */
int log_init(struct log *log, struct store *store, enum shm_barrier_kind kind, void *segment, uint64_t arena_bytes);
size_t log_rows_bytes(enum shm_barrier_kind kind, uint64_t arena_bytes);     /* that rows take at most */
void log_fini(struct log *log);
void log_clear(struct log *log);             /* a collection has looked at all of it */

/* What clients have logged since it was cleared, though nobody asked for it any more, is to be logged again. */
void log_rearm_stw(const struct log *log, uint64_t granules);

/* Stores to @lines lines from line @first on are to be logged, or not. Nobody else has these lines. */
static inline void log_set_lines(const struct log *log, uint64_t first, uint64_t lines, bool wanted)
{
    memset((void *)(log->lines + first), wanted, lines);
    if (log->bits != NULL)
        memset((void *)(log->bits + first), wanted ? 0xff : 0, lines * sizeof(*log->bits));
}
/* The same of a line that others of the daemon's threads may be setting, too. */
static inline void log_want_line(const struct log *log, uint64_t line)
{
    at_store_relaxed(&log->lines[line], true);
    if (log->bits != NULL)
        at_store_relaxed(&log->bits[line], UINT32_MAX);
}
/* Of plans that log fields: true for the one that found it as a client leaves it: stores there are to be logged again. */
static inline bool log_claim_granule(const struct log *log, uint64_t granule)
{
    uint32_t bit = UINT32_C(1) << granule % MM_LINE_GRANULES;
    return (at_or_relaxed(&log->bits[granule / MM_LINE_GRANULES], bit) & bit) == 0;
}
