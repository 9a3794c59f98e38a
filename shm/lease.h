/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/* Lease: who has which object leased, one table a heap, shared by the daemon and the clients that may write. docs/heap-layout.md#leases
 *   Trust    advisory among clients, which could as well scribble over the object; hostile to the daemon. Not what pins: that is a row of the
 *            session's own table (shm/session.h)
 *   Entry    one word a lease, so that what a dead session leaves is found and cleared with no count to be put right. It names its lease
 *            exactly (holder and row), so nobody clears another's. It stands in the object's home bucket or in one of the next, as far as
 *            the home's `extent` says, which only grows
 *   Order    (all stores to entries are sequentially consistent compare-and-swaps, and so are the loads of the scans)
 *     take       IN: the row begins; look for a lease in the way and a free place; entry TRY; scan again: a lease in the way, or a TRY at a
 *                lower place: withdraw; a TRY at a higher place: wait until it has gone or become a lease; else TRY becomes the lease;
 *                then the row's tag: REVOKED: give back. In the home's first place, before which there is none, the entry may say at once
 *                what it is to become; if the scan then finds anything at all, it becomes TRY, and goes on as one. So who shares, and sees
 *                EXCLUSIVE elsewhere, sees one that will give way
 *     give back  the row's tag gets ENDING (who does that ends it); entry 0; home's `waiters`: if set, LeaseReleased; the row ends. So an
 *                entry stands only while its object is pinned. A withdrawal ends the same way
 *     upgrade    IN: SHARED becomes UPGRADE_TRY; scan: UPGRADING elsewhere, or UPGRADE_TRY at a lower place: back to SHARED, MMGC_E_DEADLOCK;
 *                then UPGRADING: nobody new shares; when all others are gone, EXCLUSIVE, and then the tag
 *     wait       LeaseWait, once; then again and again: read lease_go; try; sleep on lease_go for a slice, at most to the deadline
 *     daemon     LeaseWait: sets `waiters`, then raises that client's lease_go, so that it looks once more. LeaseReleased: raises lease_go of
 *                all who wait for the object. A session's end: clears its entries, then the same. Revoking: the row's tag, then its entry; the
 *                client does not use that row again. Entries without a row are cleared at a stop, when nobody takes
 *   Proof    tests/model/lease_model.py tries every interleaving of this, and what happens without each of its parts                 */
#include <assert.h>
#include <stdalign.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "shm/base.h"

#define SHM_LEASE_BUCKETS_LOG 12u
#define SHM_LEASE_BUCKETS (1u << SHM_LEASE_BUCKETS_LOG)
#define SHM_LEASE_PLACES 7u                  /* of a bucket */
#define SHM_LEASE_EXTENT_MAX 31u             /* buckets after the home */
#define SHM_LEASE_HOLDER_MAX 0xffffu         /* 0 is nobody */

enum shm_lease_state {
    SHM_LEASE_NONE,
    SHM_LEASE_SHARED_TRY, SHM_LEASE_EXCLUSIVE_TRY,           /* not leases yet */
    SHM_LEASE_SHARED, SHM_LEASE_EXCLUSIVE,
    SHM_LEASE_UPGRADE_TRY, SHM_LEASE_UPGRADING               /* shared, and about to be more */
};

struct shm_lease_bucket {
    alignas(MM_CACHE_LINE) _Atomic uint32_t waiters;         /* [D] not 0: somebody waits for an object whose home this is */
    _Atomic uint32_t extent;                 /* [C] buckets after this one where such an object may have entries; clamp it */
    _Atomic uint64_t entries[SHM_LEASE_PLACES];              /* [C][D] 0: free */
};
struct shm_leases {
    struct shm_lease_bucket buckets[SHM_LEASE_BUCKETS];
};
static_assert(sizeof(struct shm_lease_bucket) == MM_CACHE_LINE, "docs/heap-layout.md#leases");
static_assert(offsetof(struct shm_lease_bucket, entries) == 8, "docs/heap-layout.md#leases");

/* An entry: bits 0 to 2 the state, 3 to 7 how far from home it is, 8 to 27 the rest of the object's hash, 28 to 47 the row, 48 to 63 the
 * holder. Hash and home are the granule, which is multiplied by an odd number: nothing is lost. */
#define SHM_LEASE_HASH 0x9e3779b1u
#define SHM_LEASE_UNHASH 0x0e8b2f51u         /* its inverse, modulo 2^32 */
#define SHM_LEASE_REST_BITS (32u - SHM_LEASE_BUCKETS_LOG)
#define SHM_LEASE_OBJECT_MASK UINT64_C(0xffffff8)            /* distance and rest: the same object, seen in one bucket */

static inline uint32_t shm_lease_home(uint32_t granule)
{
    return granule * SHM_LEASE_HASH >> SHM_LEASE_REST_BITS;
}
/* The bits of an entry that say which object, in the bucket that is @distance after its home. */
static inline uint64_t shm_lease_object(uint32_t granule, uint32_t distance)
{
    return (uint64_t)(granule * SHM_LEASE_HASH & ((1u << SHM_LEASE_REST_BITS) - 1)) << 8 | (uint64_t)distance << 3;
}
static inline uint64_t shm_lease_entry(uint64_t object, uint32_t slot, uint32_t holder, enum shm_lease_state state)
{
    return (uint64_t)holder << 48 | (uint64_t)slot << 28 | object | (uint64_t)state;
}
static inline uint64_t shm_lease_with_state(uint64_t entry, enum shm_lease_state state)
{
    return (entry & ~UINT64_C(7)) | (uint64_t)state;
}
static inline enum shm_lease_state shm_lease_state(uint64_t entry)
{
    return (enum shm_lease_state)(entry & 7u);
}
static inline uint32_t shm_lease_holder(uint64_t entry)
{
    return (uint32_t)(entry >> 48);
}
static inline uint32_t shm_lease_slot(uint64_t entry)
{
    return (uint32_t)(entry >> 28) & 0xfffffu;
}
/* Of the object that an entry in bucket @bucket is about. */
static inline uint32_t shm_lease_granule(uint64_t entry, uint32_t bucket)
{
    uint32_t home = (bucket - ((uint32_t)(entry >> 3) & SHM_LEASE_EXTENT_MAX)) & (SHM_LEASE_BUCKETS - 1);
    uint32_t rest = (uint32_t)(entry >> 8) & ((1u << SHM_LEASE_REST_BITS) - 1);

    return (home << SHM_LEASE_REST_BITS | rest) * SHM_LEASE_UNHASH;
}
static_assert((uint32_t)(SHM_LEASE_HASH * SHM_LEASE_UNHASH) == 1, "each the other's inverse");

/* The bucket that is @distance after @home. */
static inline struct shm_lease_bucket MM_NODEREF *shm_lease_bucket(struct shm_leases MM_NODEREF *table, uint32_t home, uint32_t distance)
{
    return &table->buckets[(home + distance) & (SHM_LEASE_BUCKETS - 1)];
}

/* What a lease of one state makes of one of another: nothing, or it stands in the way, or it may come to. */
enum shm_lease_conflict { SHM_LEASE_FREE, SHM_LEASE_TRIED, SHM_LEASE_TAKEN };
enum shm_lease_conflict shm_lease_conflict(enum shm_lease_state mine, enum shm_lease_state other);
