/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/* Lease table: one lease's entry in the table that a heap's clients share (shm/lease.h has the order and why it is right).
 *   Threads  any; of one lease one at a time. What takes or upgrades is IN, what gives back may be anywhere
 *   Errors   MMGC_OK; MMGC_E_BUSY: somebody is in the way; MMGC_E_LIMIT: no place near the object's home is free;
 *            MMGC_E_DEADLOCK: another holder upgrades; MMGC_E_REVOKED: the daemon has taken the entry away            */
#include <stdint.h>

#include "client/heap.h"

struct lease_place {                         /* what one lease is told by: lease_table_place() */
    struct mmgc_heap *heap;
    struct shm_lease_bucket *home;
    uint64_t entry;                          /* of no state, and at home */
    uint32_t granule, slot;                  /* of its object; its row */
    uint32_t at;                             /* where its entry stands: buckets from home * SHM_LEASE_PLACES + the place in it */
};

static inline struct lease_place lease_table_place(struct mmgc_heap *heap, uint32_t granule, uint32_t slot, uint32_t at)
{
    return (struct lease_place){
        .heap = heap,
        .home = shm_lease_bucket(heap->leases, shm_lease_home(granule), 0),
        .entry = shm_lease_entry(shm_lease_object(granule, 0), slot, heap->session->lease_holder, SHM_LEASE_NONE),
        .granule = granule,
        .slot = slot,
        .at = at,
    };
}
/* From no entry to one of @state, SHARED or EXCLUSIVE. Not MMGC_OK: there is none. */
int lease_table_take(struct lease_place *p, enum shm_lease_state state);
/* From an entry of whatever state to none, unless it has gone already. Who waits is told. */
void lease_table_give_back(const struct lease_place *p);
/* SHARED to UPGRADING: nobody new shares it. Not MMGC_OK: it is SHARED as before, or revoked. */
int lease_table_upgrade_begin(const struct lease_place *p);
/* UPGRADING to EXCLUSIVE, if nobody else has it. MMGC_E_BUSY: it is UPGRADING as before. */
int lease_table_upgrade(const struct lease_place *p);
/* From @state to SHARED; who waits is told. */
int lease_table_downgrade(const struct lease_place *p, enum shm_lease_state state);
