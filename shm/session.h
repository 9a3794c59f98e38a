/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/* Session: one client connection's own segment: where its threads sleep, and its table of rows: handles, leases, guards, watches.
 * Only that client and the daemon map it; to the daemon every [C] word is hostile. docs/heap-layout.md#session
 *   Row      word: a granule or 0; tag: what the row is to the collector (enum shm_row_kind) and a serial, so that who still has the
 *            number of a row that was given up finds out; note: for people
 *   Client   IN, to begin a row: note, word, then tag, each a release. To change its word: IN. From anywhere, to end it: tag to FREE by a
 *            compare-and-swap, then word to 0 (S8). Who won the first has ended it. Of a lease first ENDING, so, and FREE when its entry
 *            (shm/lease.h) has gone
 *   Daemon   world stopped, by compare-and-swap: a word to where its object is now, or to 0; a tag from WEAK, SOFT, WATCHED to the same
 *            kind with CLEARED; from GUARDED to READY. At any time: from SHARED or EXCLUSIVE, if not ENDING, to REVOKED. So a row that its client ends
 *            meanwhile stays ended
 *   Mixed    the daemon may see a tag and the word of before or after it: a word it holds to be a root for one collection too many, or
 *            0. No row begins during a stop, so a word it follows was its row's at the last safepoint  */
#include <assert.h>
#include <stdalign.h>
#include <stddef.h>
#include <stdint.h>

#include "shm/base.h"

#define SHM_SESSION_MAGIC UINT64_C(0x7373657363676d6d)
#define SHM_SESSION_VERSION 3u
#define SHM_ROWS_MAX (1u << 20)
#define SHM_ROW_NAME_MAX 23u
#define SHM_NOTICES_DROPPED (UINT64_C(1) << 63)

enum shm_row_kind {
    SHM_ROW_FREE,
    SHM_ROW_STRONG,                          /* a handle: a root */
    SHM_ROW_WEAK,                            /* a handle that keeps nothing alive */
    SHM_ROW_SOFT,                            /* the same, but cleared late: by age and need */
    SHM_ROW_SHARED,                          /* leases: a root, and its object stays where it is */
    SHM_ROW_EXCLUSIVE,
    SHM_ROW_REVOKED,                         /* one that an administrator has ended for others: its object still stays */
    SHM_ROW_GUARDED,                         /* READY when nothing else holds its object */
    SHM_ROW_READY,                           /* a root, until a thread of the client takes it */
    SHM_ROW_WATCHED,                         /* weak, and its moves are told */
    SHM_ROW_KINDS
};
/* A tag: bits 0 to 3 the kind, bit 4 CLEARED, bit 5 ENDING, bits 8 to 31 the serial. */
#define SHM_ROW_KIND_MASK 0xfu
#define SHM_ROW_CLEARED 0x10u
#define SHM_ROW_ENDING 0x20u                 /* of a lease: its client gives it back; nobody else changes the tag */
#define SHM_ROW_LEASES (1u << SHM_ROW_SHARED | 1u << SHM_ROW_EXCLUSIVE | 1u << SHM_ROW_REVOKED)
#define SHM_ROW_SERIAL_SHIFT 8u

static inline enum shm_row_kind shm_row_kind(uint32_t tag)
{
    return (tag & SHM_ROW_KIND_MASK) < SHM_ROW_KINDS ? (enum shm_row_kind)(tag & SHM_ROW_KIND_MASK) : SHM_ROW_FREE;
}
/* For people: "strong", "shared" ... */
static inline const char *shm_row_kind_name(enum shm_row_kind kind)
{
    static const char *const names[SHM_ROW_KINDS] = { "free",      "strong",  "weak",    "soft",  "shared",
                                                      "exclusive", "revoked", "guarded", "ready", "watched" };
    return names[kind < SHM_ROW_KINDS ? kind : SHM_ROW_FREE];
}
static inline uint32_t shm_row_serial(uint32_t tag)
{
    return tag >> SHM_ROW_SERIAL_SHIFT;
}
static inline uint32_t shm_row_tag(enum shm_row_kind kind, uint32_t serial)
{
    return serial << SHM_ROW_SERIAL_SHIFT | kind;
}

struct shm_row_note {                        /* [C] hostile */
    _Atomic uint64_t since_ns;               /* CLOCK_MONOTONIC, coarse: when a lease was taken, a soft handle last used, another row named; 0: not
                                                yet. Of what is guarded, the program's own mark */
    char name[SHM_ROW_NAME_MAX + 1];         /* what the program calls it; may end without a NUL */
};

struct shm_session {
    _Atomic uint64_t magic;                  /* [D] release-stored last */
    uint32_t version, features;              /* [D] constant */
    _Atomic uint32_t row_limit;              /* [D] rows it may use: raised when it asks for more; at most SHM_ROWS_MAX */
    uint32_t lease_holder;                   /* [D] constant: who it is in shm/lease.h; 0: it can lease nothing */
    _Atomic uint32_t may_lease;              /* [D] 0: no lease may begin now: it is no holder, or its user has as many as it may */
    _Atomic uint32_t lease_limit;            /* [D] as many as that, for sentences */

    alignas(MM_CACHE_LINE) _Atomic uint32_t go;      /* [D] raised at every resume; this client's threads futex-wait on it (S4) */
    _Atomic uint32_t lease_go;               /* [D] raised when something changed for who waits for a lease, who futex-waits on it */

    alignas(MM_CACHE_LINE) _Atomic uint32_t row_high;        /* [C] rows ever used; the daemon reads it once and clamps it */

    alignas(MM_CACHE_LINE) _Atomic uint64_t notices;         /* [D] relocation notices decided for it, raised before the resume;
                                                                or-ed with DROPPED: it is told no more */

    alignas(4096) _Atomic uint32_t row_words[SHM_ROWS_MAX];  /* [C][D] see above; row 0 is never used */
    alignas(4096) _Atomic uint32_t row_tags[SHM_ROWS_MAX];   /* [C][D] */
    alignas(4096) struct shm_row_note row_notes[SHM_ROWS_MAX];       /* [C] touched only by who names or leases */
};
static_assert(sizeof(struct shm_row_note) == 32, "docs/heap-layout.md#session");
static_assert(offsetof(struct shm_session, row_limit) == 16, "docs/heap-layout.md#session");
static_assert(offsetof(struct shm_session, lease_holder) == 20, "docs/heap-layout.md#session");
static_assert(offsetof(struct shm_session, may_lease) == 24, "docs/heap-layout.md#session");
static_assert(offsetof(struct shm_session, lease_limit) == 28, "docs/heap-layout.md#session");
static_assert(offsetof(struct shm_session, go) == 64, "docs/heap-layout.md#session");
static_assert(offsetof(struct shm_session, lease_go) == 68, "docs/heap-layout.md#session");
static_assert(offsetof(struct shm_session, row_high) == 128, "docs/heap-layout.md#session");
static_assert(offsetof(struct shm_session, notices) == 192, "docs/heap-layout.md#session");
static_assert(offsetof(struct shm_session, row_words) == 4096, "docs/heap-layout.md#session");
static_assert(offsetof(struct shm_session, row_tags) == 4096 + 4194304, "docs/heap-layout.md#session");
static_assert(offsetof(struct shm_session, row_notes) == 4096 + 8388608, "docs/heap-layout.md#session");
